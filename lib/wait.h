/* SPDX-License-Identifier: MIT */
/*
 * Waiting for somebody else's call: for a place, for the end of a group, for a mutex.
 *
 * Tasks and threads wait in the same queues, first come, first served. A struct waiter lives on the
 * stack of who waits, and stands in a queue under the engine's lock until somebody takes it out and
 * wakes it with a result. A task is suspended meanwhile; a thread sleeps, or drives the loop where
 * it is the engine's own.
 */
#ifndef BP_WAIT_H
#define BP_WAIT_H

#include "task.h"

struct waiter {
	struct bp_link_ link; /* in the queue */
	struct bp_engine *engine;
	struct bp_task *task; /* NULL: a thread */
	const char *what; /* is waited for: for the dump */
	bool woken;
	bool yields; /* -EDEADLK where nothing can ever wake it, instead of the program's end */
	int result;
	pthread_cond_t cond;
	struct bp_message message;
};

static inline struct waiter *waiter_of_link(struct bp_link_ *link)
{
	return container_of(link, struct waiter, link);
}

enum call_context {
	CONTEXT_OUTSIDE,
	CONTEXT_TASK,
	CONTEXT_CALLBACK,
};

/** From where the caller calls, as seen by @engine. */
static inline enum call_context call_context(const struct bp_engine *engine)
{
	struct bp_loop *loop = bp_this_loop;

	if (!loop || loop->engine != engine)
		return CONTEXT_OUTSIDE;
	return loop->running ? CONTEXT_TASK : CONTEXT_CALLBACK;
}

/* All that follow: under the lock. */

/**
 * Waits in @queue until somebody wakes the waiter, or until @until: then its result is -ETIMEDOUT.
 * The lock is free meanwhile. @interrupt: what is done where the task that waits shall end; on its
 * own loop, not under the lock.
 */
void wait_block(struct waiter *waiter, struct bp_link_ *queue, uint64_t until,
		void (*interrupt)(struct bp_task *task));

/**
 * As wait_block(), by whoever calls; ended with the reason where the
 * calling task shall end. A callback, which must not wait, gets -EDEADLK, and so does a thread where
 * nothing runs that could wake it. Return: the result.
 */
int wait_in_line(struct waiter *waiter, struct bp_link_ *queue, uint64_t until);

/** Why the calling task, if the caller is one of this engine's, must not begin to wait; 0: it may. */
int wait_reason(const struct bp_engine *engine);

/** Takes a waiter out of its queue and lets it go on with @result. */
void wait_wake(struct waiter *waiter, int result);

#endif /* BP_WAIT_H */
