/* SPDX-License-Identifier: MIT */
/*
 * Engines: made of a backend, loops, helper threads and the groups' hooks, which meet here alone;
 * taken down; and what is told about them. Any thread may make an engine, and ask about one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/fault.h"
#include "group.h"
#include "op.h"
#include "pool.h"
#include "post.h"

/* ---------------------------------------------------------------- making and unmaking */

static void engine_free(struct bp_engine *engine)
{
	unsigned int i;

	if (engine->pool)
		pool_exit(engine->pool);
	free(engine->pool);
	free(engine->post);
	task_slabs_free(engine);
	for (i = 0; engine->loops && i < engine->nloops; i++)
		free(engine->loops[i]);
	free(engine->loops);
	free(engine->threads);
	pthread_mutex_destroy(&engine->lock);
	free(engine);
}

static void unmake_backend(struct bp_engine *engine)
{
	if (engine->backend->destroy)
		engine->backend->destroy(engine);
}

/**
 * Memory for the loops, each with cache lines of its own: what one writes is no other's business.
 */
static bool alloc_loops(struct bp_engine *engine)
{
	size_t size = (sizeof(struct bp_loop) + 63) & ~(size_t)63;
	unsigned int i;

	engine->threads = calloc(engine->nloops, sizeof(*engine->threads));
	engine->loops = calloc(engine->nloops, sizeof(*engine->loops));
	if (!engine->threads || !engine->loops)
		return false;
	for (i = 0; i < engine->nloops; i++) {
		engine->loops[i] = aligned_alloc(64, size);
		if (!engine->loops[i])
			return false;
		memset(engine->loops[i], 0, size);
	}
	return true;
}

/**
 * The lock is held for a few instructions: where it is taken, to look again for a moment is less than to
 * sleep. Two loops that end 100,000 tasks at the same time would do hardly anything but that.
 */
static void lock_init(pthread_mutex_t *lock)
{
#ifdef PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP
	pthread_mutexattr_t attr;

	if (!pthread_mutexattr_init(&attr)) {
		pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ADAPTIVE_NP);
		pthread_mutex_init(lock, &attr);
		pthread_mutexattr_destroy(&attr);
		return;
	}
#endif
	pthread_mutex_init(lock, NULL);
}

static struct bp_engine *engine_alloc(const struct bp_engine_opts *opts,
				      const struct bp_backend_ops *backend)
{
	struct bp_engine *engine = calloc(1, sizeof(*engine));

	if (!engine)
		return NULL;
	engine->backend = backend;
	engine->driven = opts->loops == 0;
	engine->threaded = opts->loops > 0 && !backend->start;
	engine->locks = engine->threaded;
	engine->told = !engine->driven;
	engine->nloops = opts->loops ? opts->loops : 1;
	engine->patient = !opts->depth;
	engine->depth = opts->depth ? opts->depth : BP_DEPTH_DEFAULT;
	engine->stack_size = opts->stack_size ? opts->stack_size : BP_STACK_DEFAULT;
	engine->seed = opts->seed;
	engine->hooks = &group_hooks;
	engine->owner = base_thread();
	engine->forks = base_forks;
	atomic_store(&engine->next_deadline, BP_NEVER);
	lock_init(&engine->lock);
	list_init(&engine->groups);
	list_init(&engine->ready_groups);
	list_init(&engine->starved);
	list_init(&engine->buf_rings);
	engine->pool = malloc(sizeof(*engine->pool));
	if (engine->pool &&
	    pool_init(engine->pool, opts->offload ? opts->offload : BP_OFFLOAD_DEFAULT)) {
		free(engine->pool);
		engine->pool = NULL;
	}
	engine->post = post_create();
	if (!engine->pool || !engine->post || !alloc_loops(engine)) {
		engine_free(engine);
		return NULL;
	}
	return engine;
}

static int check_opts(const struct bp_engine_opts *opts)
{
	if (opts->depth > BP_DEPTH_MAX || opts->loops > BP_LOOPS_MAX ||
	    opts->offload > BP_OFFLOAD_MAX)
		return -EINVAL;
	if (opts->stack_size &&
	    (opts->stack_size < STACK_SIZE_MIN || opts->stack_size > STACK_SIZE_MAX))
		return -EINVAL;
	switch (opts->backend) {
	case BP_BACKEND_AUTO:
	case BP_BACKEND_URING:
	case BP_BACKEND_THREADS:
	case BP_BACKEND_SIM:
		return 0;
	}
	return -EINVAL;
}

/** The faults to be injected, for tests; NULL: none. */
static const char *faults_wanted(void)
{
#ifdef BP_DEBUG
	if (!bp_faults)
		return getenv("BATCHPROC_FAULTS");
#endif
	return bp_faults;
}

/* Why the thread's last bp_engine_create() failed. */
static __thread char trouble[ENGINE_REASON];

/**
 * Makes an engine of one backend, complete or not at all, with @reason to tell. On an error @reason
 * is set to what was refused.
 */
static int engine_make(struct bp_engine **enginep, const struct bp_engine_opts *opts,
		       const struct bp_backend_ops *backend, char reason[ENGINE_REASON])
{
	struct bp_engine *engine = engine_alloc(opts, backend);
	int err = 0;

	if (!engine)
		return say_why(reason, ENGINE_REASON, -ENOMEM, "%s", strerror(ENOMEM));
	engine->info.backend = opts->backend;
	if (backend->create)
		err = backend->create(engine);
	if (err)
		goto out_free;
	if (faults_wanted())
		err = faults_wrap(engine, faults_wanted());
	if (!err)
		err = loops_start(engine);
	if (err)
		goto out_backend;
	if (backend->describe)
		backend->describe(engine->loops[0], &engine->info);
	memcpy(engine->reason, reason, ENGINE_REASON);
	*enginep = engine;
	return 0;

out_backend:
	unmake_backend(engine);
out_free:
	say_why(reason, ENGINE_REASON, err, "%s",
		engine->reason[0] ? engine->reason : strerror(-err));
	engine_free(engine);
	return err;
}

/** io_uring, or threads on all loops where it cannot be had for one of them. */
static int engine_make_auto(struct bp_engine **enginep, struct bp_engine_opts *opts,
			    char reason[ENGINE_REASON])
{
	opts->backend = BP_BACKEND_URING;
	snprintf(reason, ENGINE_REASON, "io_uring works here");
	if (!engine_make(enginep, opts, &bp_uring_backend, reason))
		return 0;
	opts->backend = BP_BACKEND_THREADS;
	/* Its reason is why there are no rings; where it fails as well, what it was refused. */
	return engine_make(enginep, opts, &bp_threads_backend, reason);
}

static int make_chosen(struct bp_engine **enginep, struct bp_engine_opts *opts,
		       char reason[ENGINE_REASON])
{
	switch (opts->backend) {
	case BP_BACKEND_URING:
		snprintf(reason, ENGINE_REASON, "io_uring was asked for, and works here");
		return engine_make(enginep, opts, &bp_uring_backend, reason);
	case BP_BACKEND_THREADS:
		snprintf(reason, ENGINE_REASON, "threads were asked for");
		return engine_make(enginep, opts, &bp_threads_backend, reason);
	case BP_BACKEND_SIM:
		snprintf(reason, ENGINE_REASON, "the simulation was asked for");
		return engine_make(enginep, opts, &bp_sim_backend, reason);
	case BP_BACKEND_AUTO:
		break;
	}
	return engine_make_auto(enginep, opts, reason);
}

int bp_engine_create(struct bp_engine **enginep, const struct bp_engine_opts *user)
{
	struct bp_engine_opts opts = BP_ENGINE_OPTS();
	char reason[ENGINE_REASON] = "";
	int err, saved = errno;

	if (!enginep)
		return -EINVAL;
	*enginep = NULL;
	if (bp_this_loop)
		bp_fatal("%s: called in a task or a callback", __func__);
	base_watch_forks(loop_forget_this);
	err = opts_copy(&opts, sizeof(opts), user);
	if (!err)
		err = check_opts(&opts);
	if (err)
		return say_why(trouble, sizeof(trouble), err, "an option is out of range");
	err = make_chosen(enginep, &opts, reason);
	if (err)
		memcpy(trouble, reason, sizeof(trouble));
	errno = saved;
	return err;
}

const char *bp_engine_error(void)
{
	return trouble;
}

void bp_engine_destroy(struct bp_engine *engine)
{
	int saved = errno;

	if (!engine)
		return;
	engine_check_thread(engine, __func__);
	if (call_context(engine) != CONTEXT_OUTSIDE)
		bp_fatal("%s: called by one of the engine's own tasks or callbacks", __func__);
	engine_lock(engine);
	if (engine->ngroups)
		bp_fatal("%s: %zu group(s) of the engine are still alive", __func__,
			 engine->ngroups);
	if (engine->nhandles)
		bp_fatal("%s: %zu handle(s) of items were not released", __func__,
			 engine->nhandles);
	engine_unlock(engine);
	if (!list_empty(&engine->buf_rings))
		bp_fatal("%s: a ring of buffers of the engine is still alive", __func__);
	/* Before the loops: a helper may still be on its way out of a loop's loop_wake(). */
	pool_stop(engine->pool);
	loops_stop(engine);
	unmake_backend(engine);
	op_fixed_exit(engine);
	engine_free(engine);
	errno = saved;
}

const struct bp_engine_info *bp_engine_info(const struct bp_engine *const_engine)
{
	static const char *const guards[] = {"madvise", "mprotect", "canary"};
	struct bp_engine *engine = (struct bp_engine *)const_engine;
	static __thread struct bp_engine_info copy;
	struct bp_engine_info *info = &copy;
	enum stack_guard guard = STACK_GUARD_MADVISE;
	size_t tasks = 0, in_flight = 0, patient = 0, stacks = 0;
	unsigned int i;

	bp_need(engine, __func__, "engine");
	engine_check_forks(engine, __func__);
	engine_lock(engine);
	copy = engine->info;
	for (i = 0; i < engine->nloops; i++) {
		struct bp_loop *loop = engine->loops[i];

		tasks += atomic_load_explicit(&loop->live_tasks, memory_order_relaxed);
		in_flight += loop_in_flight(loop) + loop_patient(loop);
		patient += loop_patient(loop);
		stacks += atomic_load_explicit(&loop->stacks_mapped, memory_order_relaxed);
		if (atomic_load_explicit(&loop->stack_guard, memory_order_relaxed) > guard)
			guard = atomic_load_explicit(&loop->stack_guard, memory_order_relaxed);
	}
	info->backend_name = engine->backend->name;
	info->reason = engine->reason;
	info->loops = engine->nloops;
	info->threaded = engine->threaded;
	info->depth = engine->depth;
	info->stack_guard = guards[guard];
	info->live_groups = engine->ngroups;
	info->live_tasks = tasks;
	info->in_flight = in_flight;
	info->waiting = engine_ready(engine);
	info->stacks = stacks;
	info->full = loops_full(engine);
	info->patient = patient;
	engine_unlock(engine);
	return info;
}
