/* SPDX-License-Identifier: MIT */
/*
 * The engine: its loops and their threads, its backend, and what all groups share.
 *
 * One lock guards the state that groups share between loops (places, queues, causes). It is held for
 * a few instructions, never across a callback; the only system calls under it are those that wake a
 * loop or a waiting thread. A caller-driven engine has one
 * thread and takes no lock.
 */
#ifndef BP_ENGINE_H
#define BP_ENGINE_H

#include <pthread.h>

#include "loop.h"
#include "pool.h"

struct bp_engine {
	const struct bp_backend_ops *backend;
	const struct bp_loop_hooks *hooks;
	bool threaded; /* the loops are threads: the lock is a real one */
	bool driven; /* loops = 0: the calling thread drives the one loop */
	unsigned int nloops, depth;
	size_t stack_size;
	uint64_t seed;
	pthread_t owner; /* of an engine without threads */
	struct sim *sim; /* of BP_BACKEND_SIM */
	struct faults *faults; /* around the backend; for tests */
	void (*preempt)(struct bp_engine *engine); /* simulated threads: another may go on */
	bool driver_woken; /* of a caller-driven engine: what its thread waits for has come */
	struct pool pool;

	pthread_mutex_t lock;
	/* Under the lock: */
	struct bp_link_ groups; /* all that live */
	struct bp_link_ ready_groups; /* those with items to start */
	struct bp_link_ starved; /* those whose bp_go() waits for room in the rings */
	struct timer_heap deadlines;
	struct task_slab *task_slabs;
	struct bp_link_ *task_free; /* linked by next alone */
	size_t ngroups;
	size_t granted; /* places given to waiting bp_go() that have not used them yet */

	/* Written under the lock, glanced at without it: */
	_Atomic uint64_t next_deadline;
	_Atomic size_t ready;
	_Atomic bool is_starved;
	_Atomic bool stopping;

	struct bp_engine_info info;
	char reason[256];

	pthread_t *threads;
	unsigned int nthreads;
	struct bp_loop **loops;
};

static inline void engine_lock(struct bp_engine *engine)
{
	if (engine->threaded)
		pthread_mutex_lock(&engine->lock);
	else if (unlikely(engine->preempt))
		engine->preempt(engine);
}

static inline void engine_unlock(struct bp_engine *engine)
{
	if (engine->threaded)
		pthread_mutex_unlock(&engine->lock);
	else if (unlikely(engine->preempt))
		engine->preempt(engine);
}

static inline uint64_t engine_next_deadline(const struct bp_engine *engine)
{
	return atomic_load_explicit(&engine->next_deadline, memory_order_relaxed);
}

/** Whether an item waits to be started that this loop has room for. */
static inline bool engine_has_ready(const struct bp_engine *engine, const struct bp_loop *loop)
{
	return atomic_load(&engine->ready) && loop_in_flight(loop) < loop->depth;
}

static inline bool engine_is_starved(const struct bp_engine *engine)
{
	return atomic_load_explicit(&engine->is_starved, memory_order_relaxed);
}

/** Sets how many items wait to be started. Under the lock. */
static inline void engine_set_ready(struct bp_engine *engine, size_t n)
{
	/* In order, since a loop that is about to sleep looks without the lock. */
	if (engine->driven)
		atomic_store_explicit(&engine->ready, n, memory_order_relaxed);
	else
		atomic_store(&engine->ready, n);
}

/** Whether the completion queues have no place for one more item. Under the lock. */
static inline bool engine_is_full(const struct bp_engine *engine)
{
	size_t busy = atomic_load_explicit(&engine->ready, memory_order_relaxed) + engine->granted;
	unsigned int i;

	for (i = 0; i < engine->nloops; i++)
		busy += atomic_load_explicit(&engine->loops[i]->starting, memory_order_acquire) +
			loop_in_flight(engine->loops[i]);
	return busy >= (size_t)engine->depth * engine->nloops;
}

/** A loop that waits and has room for an item, other than the caller's own; or NULL. */
struct bp_loop *engine_sleeper(struct bp_engine *engine);

/** Wakes one loop that waits, if there is one, because items are ready. */
void engine_wake_one(struct bp_engine *engine);

/** Lets a caller-driven engine work until @until at most, once. Return: false if it is idle. */
bool engine_drive(struct bp_engine *engine, uint64_t until);

/** Ends the program when the calling thread may not use this engine's groups. */
static inline void engine_check_thread(const struct bp_engine *engine, const char *call)
{
	if (unlikely(!engine->threaded && !pthread_equal(engine->owner, pthread_self())))
		bp_fatal("%s: called from a foreign thread on an engine with loops = 0", call);
}

#endif /* BP_ENGINE_H */
