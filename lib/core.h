/* SPDX-License-Identifier: MIT */
/*
 * struct bp_engine: the lock, and what loops and groups share. It stands below them, and knows
 * neither.
 *
 * One lock guards the state that groups share between loops (places, queues, causes). It is held
 * for a few instructions, never across a callback; the only system calls under it are those that
 * wake a loop or a waiting thread. A caller-driven engine has one thread and takes no lock.
 * Functions that are called under the lock say so with engine_assert_locked(), which debug builds
 * check.
 */
#ifndef BP_CORE_H
#define BP_CORE_H

#include <pthread.h>
#include <time.h>

#include "backend/backend.h"
#include "timer.h"

struct bp_loop_hooks;
struct fixed_table;
struct pool;
struct post;
struct task_slab;

#define ENGINE_REASON 512u

struct bp_engine {
	const struct bp_backend_ops *backend;
	void *backend_data; /* what the backend shares between its loops */
	const struct bp_loop_hooks *hooks;
	bool threaded; /* the loops are threads: the lock is a real one */
	bool locks; /* threaded, or preempt is there: to take the lock is to do something */
	bool driven; /* loops = 0: the calling thread drives the one loop */
	unsigned int nloops, depth;
	bool patient; /* depth was left open: operations that wait for a peer take none of it */
	size_t stack_size;
	uint64_t seed;
	uint64_t owner; /* base_thread() of who made it: the only one to use an engine without threads */
	unsigned int forks; /* base_forks when it was made */
	void (*preempt)(struct bp_engine *engine); /* loops without threads: another may go on */
	bool driver_woken; /* of a caller-driven engine: what its thread waits for has come */
	bool outer; /* it lives inside another event loop, and may be woken from there */
	bool told; /* a loop that sleeps has to be woken for items: it has a thread, or that outer loop */
	struct post *post;
	struct pool *pool;

	pthread_mutex_t lock;
#ifdef BP_DEBUG
	unsigned int locked; /* how often: nested where one thread drives all */
	pthread_t holder;
#endif
	/* Under the lock: */
	struct bp_link_ groups; /* all that live */
	struct bp_link_ ready_groups; /* those with items to start */
	struct bp_link_ starved; /* those whose bp_go() waits for room in the rings */
	struct timer_heap deadlines;
	struct task_slab *task_slabs;
	struct bp_link_ *task_free; /* linked by next alone */
	size_t ngroups;
	size_t nhandles;
	size_t granted; /* given to waiting bp_go() that have not used them yet, and pinned items */

	/* Written under the lock, glanced at without it: */
	_Atomic uint64_t next_deadline;
	_Atomic size_t ready;
	_Atomic bool is_starved;
	_Atomic bool stopping;

	struct fixed_table *fixed[ENROLL_KINDS]; /* op_fixed.c; NULL: nothing is registered */

	struct bp_link_ buf_rings; /* all that live */

	struct bp_engine_info info;
	char reason[ENGINE_REASON]; /* why this backend; while it is made: what was refused */

	pthread_t *threads;
	unsigned int nthreads;
	struct bp_loop **loops;
};

#ifdef BP_DEBUG
static inline void engine_note_locked(struct bp_engine *engine, bool locked)
{
	engine->locked += locked ? 1 : -1u;
	if (locked)
		engine->holder = pthread_self();
}

static inline void engine_assert_locked(const struct bp_engine *engine)
{
	bp_assert(engine->locked && pthread_equal(engine->holder, pthread_self()));
}
#else
static inline void engine_note_locked(struct bp_engine *engine, bool locked)
{
	(void)engine, (void)locked;
}

static inline void engine_assert_locked(const struct bp_engine *engine)
{
	(void)engine;
}
#endif

static inline void engine_lock(struct bp_engine *engine)
{
	if (engine->locks) {
		if (likely(engine->threaded))
			pthread_mutex_lock(&engine->lock);
		else
			engine->preempt(engine);
	}
	engine_note_locked(engine, true);
}

static inline void engine_unlock(struct bp_engine *engine)
{
	engine_note_locked(engine, false);
	if (engine->locks) {
		if (likely(engine->threaded))
			pthread_mutex_unlock(&engine->lock);
		else
			engine->preempt(engine);
	}
}

/** engine_lock() of an engine of which the caller has looked whether it @locks. */
static inline void engine_lock_if(struct bp_engine *engine, const bool locks)
{
	if (locks)
		engine_lock(engine);
	else
		engine_note_locked(engine, true);
}

static inline void engine_unlock_if(struct bp_engine *engine, const bool locks)
{
	if (locks)
		engine_unlock(engine);
	else
		engine_note_locked(engine, false);
}

/**
 * Waits for @cond, which is on CLOCK_MONOTONIC, until @until at most; the lock is free meanwhile.
 * Return: 0 or ETIMEDOUT.
 */
static inline int engine_cond_wait(struct bp_engine *engine, pthread_cond_t *cond, uint64_t until)
{
	struct timespec ts = {.tv_sec = (time_t)(until / NSEC_PER_SEC),
			      .tv_nsec = (long)(until % NSEC_PER_SEC)};
	int err = 0;

	engine_note_locked(engine, false);
	if (until == BP_NEVER)
		pthread_cond_wait(cond, &engine->lock);
	else
		err = pthread_cond_timedwait(cond, &engine->lock, &ts);
	engine_note_locked(engine, true);
	return err;
}

static inline uint64_t engine_next_deadline(const struct bp_engine *engine)
{
	return atomic_load_explicit(&engine->next_deadline, memory_order_relaxed);
}

static inline bool engine_is_starved(const struct bp_engine *engine)
{
	return atomic_load_explicit(&engine->is_starved, memory_order_relaxed);
}

static inline size_t engine_ready(const struct bp_engine *engine)
{
	return atomic_load_explicit(&engine->ready, memory_order_relaxed);
}

/** Sets how many items wait to be started. Under the lock. */
static inline void engine_set_ready(struct bp_engine *engine, size_t n)
{
	engine_assert_locked(engine);
	/* In order, since a loop that is about to sleep looks without the lock. */
	if (engine->driven)
		atomic_store_explicit(&engine->ready, n, memory_order_relaxed);
	else
		atomic_store(&engine->ready, n);
}

/** Ends the program where the engine is the parent's of this process. */
static inline void engine_check_forks(const struct bp_engine *engine, const char *call)
{
	if (unlikely(engine->forks != base_forks))
		bp_fatal("%s: called in a child of fork() on its parent's engine", call);
}

/** Ends the program when the calling thread may not use this engine's groups. */
static inline void engine_check_thread(const struct bp_engine *engine, const char *call)
{
	/* In a child no thread is the owner. */
	if (likely(engine->owner == base_this_thread))
		return;
	engine_check_forks(engine, call);
	if (unlikely(!engine->threaded))
		bp_fatal("%s: called from a foreign thread on an engine with loops = 0", call);
}

#endif /* BP_CORE_H */
