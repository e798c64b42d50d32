// SPDX-License-Identifier: MIT
/*
 * Engines: the choice of the backend, the loops and their threads, what is told about them.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine.h"
#include "backend/fault.h"
#include "group.h"
#include "sim/sim.h"

uint64_t bp_now(const struct bp_engine *engine)
{
	bp_need(engine, __func__, "engine");
	return engine->backend->now(engine);
}

struct bp_loop *engine_sleeper(struct bp_engine *engine)
{
	unsigned int i;

	for (i = 0; i < engine->nloops; i++) {
		struct bp_loop *loop = engine->loops[i];

		if (loop != bp_this_loop && atomic_load(&loop->sleeping) &&
		    loop_in_flight(loop) < loop->depth)
			return loop;
	}
	return NULL;
}

void engine_wake_one(struct bp_engine *engine)
{
	struct bp_loop *loop = engine_sleeper(engine);

	if (loop)
		loop_wake(loop);
}

bool engine_drive(struct bp_engine *engine, uint64_t until)
{
	struct bp_loop *loop = engine->loops[0], *outer = bp_this_loop;

	if (!engine->driven)
		return sim_threads_drive(engine, until);
	if (until == BP_NEVER && engine_next_deadline(engine) == BP_NEVER && loop_idle(loop))
		return false;
	loop_turn(loop, until);
	bp_this_loop = outer;
	loop->stale = true;
	return true;
}

/* ---------------------------------------------------------------- loop threads */

struct loop_start {
	struct bp_engine *engine;
	unsigned int index;
	int err;
	bool done;
	pthread_cond_t *cond;
};

static void *loop_thread(void *arg)
{
	struct loop_start *start = arg;
	struct bp_engine *engine = start->engine;
	struct bp_loop *loop = engine->loops[start->index];
	int err = loop_init(loop, engine, start->index);

	bp_this_loop = loop;
	pthread_mutex_lock(&engine->lock);
	start->err = err;
	start->done = true;
	pthread_cond_signal(start->cond);
	pthread_mutex_unlock(&engine->lock);
	if (err)
		return NULL;
	while (!atomic_load(&engine->stopping))
		loop_turn(loop, BP_NEVER);
	/* Not before stop_loops() has done with this loop's wake-up. */
	pthread_mutex_lock(&engine->lock);
	pthread_mutex_unlock(&engine->lock);
	loop_exit(loop);
	return NULL;
}

/** Starts one loop's thread and waits until its ring stands. */
static int start_loop(struct bp_engine *engine, unsigned int index)
{
	pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
	struct loop_start start = {.engine = engine, .index = index, .cond = &cond};
	sigset_t all, old;
	int err;

	/* The program's signal handlers run in the program's own threads. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&engine->threads[index], NULL, loop_thread, &start);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err)
		return -err;
	pthread_mutex_lock(&engine->lock);
	while (!start.done)
		pthread_cond_wait(&cond, &engine->lock);
	pthread_mutex_unlock(&engine->lock);
	pthread_cond_destroy(&cond);
	if (start.err) {
		pthread_join(engine->threads[index], NULL);
		return start.err;
	}
	engine->nthreads++;
	return 0;
}

static void stop_loops(struct bp_engine *engine)
{
	unsigned int i;

	pthread_mutex_lock(&engine->lock);
	atomic_store(&engine->stopping, true);
	for (i = 0; i < engine->nthreads; i++) {
		/* Not loop_wake(): a loop on its way to sleep must find the wake-up too. */
		atomic_store(&engine->loops[i]->sleeping, false);
		engine->backend->wake(engine->loops[i]);
	}
	pthread_mutex_unlock(&engine->lock);
	for (i = 0; i < engine->nthreads; i++)
		pthread_join(engine->threads[i], NULL);
}

static int start_loops(struct bp_engine *engine)
{
	unsigned int i;
	int err = 0;

	if (engine->driven)
		return loop_init(engine->loops[0], engine, 0);
	if (engine->sim)
		return sim_threads_start(engine);
	for (i = 0; i < engine->nloops && !err; i++)
		err = start_loop(engine, i);
	if (err)
		stop_loops(engine);
	return err;
}

/* ---------------------------------------------------------------- making and unmaking */

static void engine_free(struct bp_engine *engine)
{
	unsigned int i;

	sim_destroy(engine);
	faults_unwrap(engine);
	pool_exit(&engine->pool);
	task_slabs_free(engine);
	for (i = 0; engine->loops && i < engine->nloops; i++)
		free(engine->loops[i]);
	free(engine->loops);
	free(engine->threads);
	pthread_mutex_destroy(&engine->lock);
	free(engine);
}

static struct bp_engine *engine_alloc(const struct bp_engine_opts *opts)
{
	struct bp_engine *engine = calloc(1, sizeof(*engine));
	unsigned int i;

	if (!engine)
		return NULL;
	engine->driven = opts->loops == 0;
	engine->threaded = opts->loops > 0 && opts->backend != BP_BACKEND_SIM;
	engine->nloops = opts->loops ? opts->loops : 1;
	engine->depth = opts->depth ? opts->depth : BP_DEPTH_DEFAULT;
	engine->stack_size = opts->stack_size ? opts->stack_size : BP_STACK_DEFAULT;
	engine->seed = opts->seed;
	engine->hooks = &group_hooks;
	engine->owner = pthread_self();
	atomic_store(&engine->next_deadline, BP_NEVER);
	pthread_mutex_init(&engine->lock, NULL);
	list_init(&engine->groups);
	list_init(&engine->ready_groups);
	list_init(&engine->starved);
	pool_init(&engine->pool);
	engine->threads = calloc(engine->nloops, sizeof(*engine->threads));
	engine->loops = calloc(engine->nloops, sizeof(*engine->loops));
	for (i = 0; engine->loops && i < engine->nloops; i++) {
		/* A cache line of its own: what one loop writes is no other's business. */
		engine->loops[i] = aligned_alloc(64, (sizeof(struct bp_loop) + 63) & ~(size_t)63);
		if (!engine->loops[i])
			break;
		memset(engine->loops[i], 0, sizeof(struct bp_loop));
	}
	if (!engine->threads || !engine->loops || i < engine->nloops) {
		engine_free(engine);
		return NULL;
	}
	return engine;
}

static int check_opts(const struct bp_engine_opts *opts)
{
	if (opts->depth > BP_DEPTH_MAX || opts->loops > BP_LOOPS_MAX)
		return -EINVAL;
	if (opts->stack_size && (opts->stack_size < 16384 || opts->stack_size > (1u << 30)))
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

/** Makes an engine of one backend, complete or not at all. */
static int engine_make(struct bp_engine **enginep, const struct bp_engine_opts *opts,
		       const struct bp_backend_ops *backend, const char *reason)
{
	struct bp_engine *engine = engine_alloc(opts);
	int err = 0;

	if (!engine)
		return -ENOMEM;
	engine->backend = backend;
	engine->info.backend = opts->backend;
	snprintf(engine->reason, sizeof(engine->reason), "%s", reason);
	if (opts->backend == BP_BACKEND_SIM)
		err = sim_create(engine);
	if (!err && faults_wanted())
		err = faults_wrap(engine, faults_wanted());
	if (!err)
		err = start_loops(engine);
	if (err)
		engine_free(engine);
	else
		*enginep = engine;
	return err;
}

/** Why io_uring cannot be had, where that is a reason to do without it; NULL: it is none. */
static const char *uring_refused(int err)
{
	switch (err) {
	case -EPERM:
		return "io_uring is forbidden here (EPERM): kernel.io_uring_disabled is set, or a "
		       "seccomp filter, such as a container's default profile, denies it";
	case -ENOSYS:
		return "io_uring is missing here (ENOSYS): the kernel was built without it, or a "
		       "seccomp filter hides it";
	case -ENOMEM:
		return "io_uring got no memory (ENOMEM): RLIMIT_MEMLOCK bounds it on older kernels";
	case -EMFILE:
	case -ENFILE:
		return "io_uring got no file descriptor (EMFILE or ENFILE)";
	default:
		return NULL;
	}
}

/** io_uring, or threads on all loops where the kernel refuses it to one of them. */
static int engine_make_auto(struct bp_engine **enginep, struct bp_engine_opts *opts)
{
	const char *refused;
	int err;

	opts->backend = BP_BACKEND_URING;
	err = engine_make(enginep, opts, &bp_uring_backend, "io_uring works here");
	refused = uring_refused(err);
	if (!refused)
		return err;
	opts->backend = BP_BACKEND_THREADS;
	return engine_make(enginep, opts, &bp_threads_backend, refused);
}

int bp_engine_create(struct bp_engine **enginep, const struct bp_engine_opts *user)
{
	struct bp_engine_opts opts = BP_ENGINE_OPTS();
	int err;

	if (!enginep)
		return -EINVAL;
	*enginep = NULL;
	err = opts_copy(&opts, sizeof(opts), user);
	if (!err)
		err = check_opts(&opts);
	if (err)
		return err;
	switch (opts.backend) {
	case BP_BACKEND_URING:
		return engine_make(enginep, &opts, &bp_uring_backend,
				   "io_uring was asked for, and works here");
	case BP_BACKEND_THREADS:
		return engine_make(enginep, &opts, &bp_threads_backend, "threads were asked for");
	case BP_BACKEND_SIM:
		return engine_make(enginep, &opts, &bp_sim_backend, "the simulation was asked for");
	case BP_BACKEND_AUTO:
		break;
	}
	return engine_make_auto(enginep, &opts);
}

void bp_engine_destroy(struct bp_engine *engine)
{
	if (!engine)
		return;
	engine_check_thread(engine, __func__);
	if (group_context(engine) != CONTEXT_OUTSIDE)
		bp_fatal("%s: called by one of the engine's own tasks or callbacks", __func__);
	engine_lock(engine);
	if (engine->ngroups)
		bp_fatal("%s: %zu group(s) of the engine are still alive", __func__,
			 engine->ngroups);
	engine_unlock(engine);
	/* Before the loops: a helper may still be on its way out of a loop's loop_wake(). */
	pool_stop(&engine->pool);
	if (engine->threaded)
		stop_loops(engine);
	else if (engine->driven)
		loop_exit(engine->loops[0]);
	else
		sim_threads_stop(engine);
	engine_free(engine);
}

const struct bp_engine_info *bp_engine_info(const struct bp_engine *const_engine)
{
	static const char *const guards[] = {"madvise", "mprotect", "canary"};
	struct bp_engine *engine = (struct bp_engine *)const_engine;
	static __thread struct bp_engine_info copy;
	struct bp_engine_info *info = &copy;
	enum stack_guard guard = STACK_GUARD_MADVISE;
	size_t tasks = 0, in_flight = 0, stacks = 0;
	unsigned int i;

	bp_need(engine, __func__, "engine");
	engine_lock(engine);
	copy = engine->info;
	for (i = 0; i < engine->nloops; i++) {
		struct bp_loop *loop = engine->loops[i];

		tasks += atomic_load_explicit(&loop->live_tasks, memory_order_relaxed);
		in_flight += loop_in_flight(loop);
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
	info->waiting = atomic_load_explicit(&engine->ready, memory_order_relaxed);
	info->stacks = stacks;
	engine_unlock(engine);
	return info;
}
