/* SPDX-License-Identifier: MIT */
/*
 * The group: places under a limit, the first cause, the cancel of siblings, the wait for all.
 *
 * A group is shared by the loops of its engine and stands under the engine's lock, except for its
 * members: one for each loop, with the items that run there, touched by that loop alone. A group
 * knows items (struct bp_op) and loops; it knows nothing of rings.
 *
 *	open -----> cancelled ----+
 *	  |  cause recorded       |
 *	  |                       v
 *	  +--------------------> closed (bp_wait() has returned)
 *
 * A place of the limit is held from the acceptance of an item to its end, so what runs never
 * exceeds the limit, and the group is done when no place is held.
 */
#ifndef BP_GROUP_H
#define BP_GROUP_H

#include "task.h"

enum cancel_by {
	CANCEL_BY_CALLER,
	CANCEL_BY_FAILURE,
	CANCEL_BY_SUCCESS,
	CANCEL_BY_PARENT,
	CANCEL_BY_DEADLINE,
};

/* A group's part on one loop. */
struct group_member {
	struct bp_group *group;
	struct bp_link_ items; /* started and not ended; the loop's own */
	struct bp_message stop; /* tells the loop that the group was cancelled */
	unsigned int count; /* items; under the lock */
	bool stop_posted; /* under the lock */
	unsigned int period, untimed; /* resumes between two timed ones; left of them */
	_Atomic uint64_t compute_ns, lifetime_ns;
};

struct bp_group {
	struct task_group head;
	bool closed;
	bool cause_set;
	bool refused; /* a bp_go() was turned away because of the cancel */
	bool late; /* the cancel came from outside when all items had ended */
	int cause, first_failure;
	int result; /* what bp_wait() said when it closed the group */

	struct bp_engine *engine;
	struct bp_group *parent;
	struct bp_link_ children, sibling, engine_link;
	struct bp_link_ ready, ready_link; /* accepted items that no loop has taken */
	struct bp_link_ go_waiters, starved_link;
	struct bp_link_ wait_waiters;
	struct bp_link_ waiting; /* items of this group that stand in bp_go() or bp_wait() */
	uint64_t nwaiting, own_waiting; /* and those of them that stand in bp_go() on this group */
	bool visited[2]; /* see circle.c */
	struct bp_timer_ deadline;

	long limit;
	unsigned long stop_after_failures, stop_after_successes;
	uint64_t item_timeout_ns;
	bp_report_fn report;
	void *report_arg;

	uint64_t accepted, succeeded, failed, stopped, never_started, rejected;
	uint64_t running, nready, peak;
	unsigned int stops; /* stop messages on their way */
	uint64_t created_ns, cancel_start, cancel_ns;

	void *winner;
	struct bp_task *winner_task; /* keeps the copy that bp_go_copy() made */

	struct group_member members[];
};

/* Somebody who waits in bp_go() or bp_wait(); lives on the waiter's stack. Under the lock. */
struct group_waiter {
	struct bp_link_ link;
	struct bp_link_ from; /* in group.waiting of the group that the task is an item of */
	struct bp_group *group;
	struct bp_task *task; /* NULL: a thread */
	bool for_place; /* in bp_go(), not in bp_wait() */
	bool woken;
	int result;
	pthread_cond_t cond;
	struct bp_message message;
};

extern const struct bp_loop_hooks group_hooks;

enum group_context {
	CONTEXT_OUTSIDE,
	CONTEXT_TASK,
	CONTEXT_CALLBACK,
};

/** From where the caller calls, as seen by @engine. */
static inline enum group_context group_context(const struct bp_engine *engine)
{
	struct bp_loop *loop = bp_this_loop;

	if (!loop || loop->engine != engine)
		return CONTEXT_OUTSIDE;
	return loop->running ? CONTEXT_TASK : CONTEXT_CALLBACK;
}

/** The engine of a group that @call was given. */
static inline struct bp_engine *group_engine(const struct bp_group *group, const char *call)
{
	bp_need(group, call, "group");
	return group->engine;
}

static inline bool group_cancelled(const struct bp_group *group)
{
	return atomic_load_explicit(&group->head.cancelled, memory_order_relaxed);
}

/* item.c */

/** An item is over, with @result; @started: it ran. Not under the lock. */
void item_end(struct bp_loop *loop, struct bp_op *op, int result, bool started);

/** Lets an item that a loop has taken begin. Not under the lock. */
void group_start_item(struct bp_loop *loop, struct bp_op *op);

/** Puts an item among those that run on a loop. Under the lock, as all that follow. */
static inline void group_enter(struct bp_group *group, struct bp_loop *loop, struct bp_op *op)
{
	struct group_member *member = &group->members[loop->index];

	engine_assert_locked(group->engine);
	list_add_tail(&member->items, &op->member_);
	member->count++;
}

/* cancel.c */

/** bp_loop_hooks.deadlines; takes the lock itself. */
void group_run_deadlines(struct bp_loop *loop);

/* All that follow: under the lock. */
void group_cancel_locked(struct bp_group *top, int cause, enum cancel_by by);

/** The group's deadline does not count any more. */
void group_drop_deadline(struct bp_group *group);

/* group.c */

/** Wakes those who wait for the end of a group that is done. */
void group_done(struct bp_group *group);

/** Whether no item runs, and none is about to. */
static inline bool group_is_done(const struct bp_group *group)
{
	engine_assert_locked(group->engine);
	return group->running == 0 && group->stops == 0 && list_empty(&group->go_waiters);
}

static inline void group_check_done(struct bp_group *group)
{
	if (unlikely(group_is_done(group)))
		group_done(group);
}

/* admit.c; all under the lock */

/** Blocks until the waiter is woken, or until @until: then its result is -ETIMEDOUT. */
void waiter_block(struct group_waiter *waiter, struct bp_link_ *queue, uint64_t until,
		  void (*interrupt)(struct bp_task *task));
void waiter_wake(struct group_waiter *waiter, int result);

/** Hands free places to those who wait for them, in their order. */
void admit_waiters(struct bp_group *group);

/** Wakes everybody who waits in bp_go() with @result. */
void admit_refuse_all(struct bp_group *group, int result);

/** Breaks a circle that has closed because no place of the group became free. */
void admit_check_deadlock(struct bp_group *group);

static inline bool group_has_place(const struct bp_group *group)
{
	return group->limit < 0 || group->running < (uint64_t)group->limit;
}

/* circle.c; under the lock */

/** Notes that a task is about to wait in bp_go() or, without a time, in bp_wait(). */
void circle_enter(struct group_waiter *waiter);
/** It does not any more; harmless where it never did. */
void circle_leave(struct group_waiter *waiter);

/**
 * Whether those who wait for the group, for a place or for its end, can only wait for ever. @breaker is
 * set to one of the circle that stands in bp_go() and could give up, or NULL.
 */
bool circle_closed(struct bp_group *group, bool for_place, struct group_waiter **breaker);

/** Gives a place back. */
static inline void admit_release(struct bp_group *group)
{
	engine_assert_locked(group->engine);
	bp_assert(group->running > 0);
	group->running--;
	if (unlikely(!list_empty(&group->go_waiters))) {
		admit_waiters(group);
		admit_check_deadlock(group);
	}
	group_check_done(group);
}

/** The group does not wait for room in the queues any more. */
void admit_forget(struct bp_group *group);

/** bp_loop_hooks.room */
void admit_room(struct bp_engine *engine);

/** bp_loop_hooks.overlooked */
bool admit_overlooked(const struct bp_engine *engine);

/** Nothing runs on a caller-driven engine: gives a waiting bp_go() -EDEADLK. Return: if any. */
bool admit_break_idle(struct bp_engine *engine);

#endif /* BP_GROUP_H */
