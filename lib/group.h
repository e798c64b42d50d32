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

#include "limit.h"
#include "wait.h"

enum cancel_by {
	CANCEL_BY_CALLER,
	CANCEL_BY_FAILURE,
	CANCEL_BY_SUCCESS,
	CANCEL_BY_PARENT,
	CANCEL_BY_DEADLINE,
};

/* A group's part on one loop. What each resume, start and end looks at comes first. */
struct group_member {
	struct bp_link_ items; /* started and not ended; written by the loop, under the lock */
	unsigned int untimed, period; /* resumes until the next timed one; between two */
	bool stop_posted, start_posted; /* under the lock */
	_Atomic uint64_t compute_ns, lifetime_ns;
	struct bp_group *group;
	struct bp_message stop; /* tells the loop that the group was cancelled */
	struct bp_link_ pinned; /* accepted for this loop, and not taken; under the lock */
	struct bp_message start; /* tells the loop of them */
	uint64_t spare[3];
};

/* The one of a loop is found by a shift. */
_Static_assert(sizeof(void *) != 8 || sizeof(struct group_member) == 128, "a power of two");

/* The words of a cause, shared with the groups below. Under the lock. */
struct cause_text {
	unsigned int refs;
	char words[];
};

#define CAUSE_TEXT_MAX 4095

struct bp_group {
	struct task_group head;
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
	uint64_t waiting_places; /* that these hold here */
	uint64_t own_waiting; /* those of them that stand in bp_go() on this group */
	uint64_t visited_place; /* see circle.c */
	bool visited_end;
	struct bp_timer_ deadline;

	long limit;
	struct limit_control *control; /* of BP_LIMIT_AUTO: limit is what it says; or NULL */
	uint64_t auto_most; /* for that; 0: what the engine has room for */
	uint64_t room; /* for running: what the limit leaves beside what is heavy; see group_set_room() */
	unsigned long stop_after_failures, stop_after_successes;
	uint64_t item_timeout_ns;
	bp_report_fn report;
	void *report_arg;

	uint64_t accepted, succeeded, failed, stopped, never_started, rejected;
	uint64_t running, nready, peak;
	uint64_t heavy; /* places that running items hold beside one each */
	uint64_t npinned; /* accepted for a loop of their own, and not taken */
	unsigned int stops; /* stop messages on their way */
	unsigned int messages; /* these and the start messages */
	uint64_t created_ns, cancel_start, cancel_ns;

	struct group_value *values;
	struct cause_text *text; /* of the cause, or NULL */

	void *winner;
	void *winner_copy; /* what it is: the copy that bp_go_copy() made; or NULL */

	struct group_member members[];
};

/* Somebody who waits in bp_go() or bp_wait(); lives on the waiter's stack. Under the lock. */
struct group_waiter {
	struct waiter w;
	struct bp_link_ from; /* in group.waiting of the group that the task is an item of */
	struct bp_group *group;
	bool for_place; /* in bp_go(), not in bp_wait() */
	uint64_t weight; /* places that it wants */
};

static inline struct group_waiter *group_waiter_of(struct waiter *waiter)
{
	return container_of(waiter, struct group_waiter, w);
}

static inline struct group_waiter *group_waiter_of_link(struct bp_link_ *link)
{
	return group_waiter_of(waiter_of_link(link));
}

/* One item, for who wants to cancel it alone or to join it; see handle.h. Under the lock. */
struct bp_handle {
	struct bp_engine *engine;
	struct bp_op *op; /* NULL: it is the caller's again */
	struct bp_loop *loop; /* that has taken it; NULL: none yet */
	void *arg;
	struct bp_link_ joiners;
	unsigned int refs;
	bool stop_posted;
	bool ended; /* and its report has returned */
	_Atomic bool cancelled; /* alone; written under the lock */
	int cause, result;
	enum bp_end end;
	uint64_t heavy; /* places more than one */
	bp_report_fn told;
	void *told_arg;
	struct bp_message stop;
};

static inline struct bp_handle *handle_of(const struct bp_op *op)
{
	return op->extra_ & 1 ? NULL : (struct bp_handle *)(uintptr_t)op->extra_;
}

/** Places that the item takes beside the first. */
static inline uint64_t heavy_of(const struct bp_op *op)
{
	if (op->extra_ & 1)
		return op->extra_ >> 1;
	return op->extra_ ? handle_of(op)->heavy : 0;
}

/** Whether the item was cancelled alone. Any thread. */
static inline bool cancelled_alone(const struct bp_op *op)
{
	const struct bp_handle *handle = handle_of(op);

	return handle && atomic_load_explicit(&handle->cancelled, memory_order_relaxed);
}

extern const struct bp_loop_hooks group_hooks;

/** The engine of a group that @call was given. */
static inline struct bp_engine *group_engine(const struct bp_group *group, const char *call)
{
	bp_need(group, call, "group");
	return group->engine;
}

static inline bool group_cancelled(const struct bp_group *group)
{
	return group_marks(&group->head, GROUP_CANCELLED);
}

/** Whether some items of the group are or were more than ordinary. */
static inline bool group_special(const struct bp_group *group)
{
	return group_marks(&group->head, GROUP_SPECIAL);
}

/** Whether bp_wait() has returned. Under the lock. */
static inline bool group_closed(const struct bp_group *group)
{
	return group_marks(&group->head, GROUP_CLOSED);
}

/* item.c */

/** An item is over, with @result; @started: it ran. Not under the lock. */
void item_end(struct bp_loop *loop, struct bp_op *op, int result, bool started);

/** Lets a loop take the items that were accepted for it alone. */
void group_start_pinned(struct bp_loop *loop, struct bp_message *message);

/** Lets an item that a loop has taken begin. Not under the lock. */
void group_start_item(struct bp_loop *loop, struct bp_op *op);

/** Notes on which loop an item begins, and when. */
static inline __attribute__((always_inline)) void item_begin(struct bp_loop *loop, struct bp_op *op)
{
	loop_freshen(loop);
	op->loop_ = loop;
	PROBE3(start, op->group_, op, op->kind_);
	__atomic_store_n(&op->start_ns_, loop->now, __ATOMIC_RELAXED);
}

static inline void member_add(struct bp_group *group, const struct bp_loop *loop, struct bp_op *op)
{
	engine_assert_locked(group->engine);
	list_add_tail(&group->members[loop->index].items, &op->member_);
}

/** Puts an item among those that run on a loop. Under the lock, as all that follow. */
static inline void group_enter(struct bp_group *group, struct bp_loop *loop, struct bp_op *op)
{
	member_add(group, loop, op);
	if (unlikely(group_special(group)) && handle_of(op))
		handle_of(op)->loop = loop;
}

/* cancel.c */

/** bp_loop_hooks.deadlines; takes the lock itself. */
void group_run_deadlines(struct bp_loop *loop);

/* All that follow: under the lock. */
void group_cancel_locked(struct bp_group *top, int cause, enum cancel_by by);

/** bp_cancel() with words for the cause, or NULL. */
void group_cancel_with(struct bp_group *group, int cause, struct cause_text *text);

/* context.c */

/** Frees the values and the words of a group that ends. */
void context_forget(struct bp_group *group);
/** One less needs the words, or NULL. */
void cause_text_put(struct cause_text *text);

/** The group's deadline does not count any more. */
void group_drop_deadline(struct bp_group *group);

/* group.c */

/** Wakes those who wait for the end of a group that is done. */
void group_done(struct bp_group *group);

/** Whether no item runs, and none is about to. */
static inline bool group_is_done(const struct bp_group *group)
{
	engine_assert_locked(group->engine);
	return group->running == 0 && group->messages == 0 && list_empty(&group->go_waiters);
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

/** One that stands in bp_go() gets -EDEADLK, and those behind it go on if they can. Under the lock. */
void admit_give_up(struct group_waiter *waiter);

/** The first of those who wait in bp_go(); there must be one. */
static inline struct group_waiter *first_waiter(const struct bp_group *group)
{
	return group_waiter_of_link(group->go_waiters.next);
}

/** Whether there are so many places, whoever else may want them. */
static inline bool group_has_place(const struct bp_group *group, uint64_t weight)
{
	return group->running < group->room && weight <= group->room - group->running;
}

/** After a change of limit or heavy. */
static inline void group_set_room(struct bp_group *group)
{
	if (group->limit < 0)
		group->room = UINT64_MAX;
	else if ((uint64_t)group->limit > group->heavy)
		group->room = (uint64_t)group->limit - group->heavy;
	else
		group->room = 0;
}

/* auto.c; under the lock */

/** The limit is found by a controller from now on. Return: 0 or -ENOMEM. */
int auto_begin(struct bp_group *group);

/** The limit is not found any more, and what is now stays. */
void auto_stop(struct bp_group *group);

/** An item of a group with a controller has ended by itself, and still has its place. */
void auto_end(struct bp_group *group, uint64_t now, uint64_t took, bool failed);

/**
 * So many places are needed, or nothing goes on; @keep: from now on. Return: whether there are so many, which
 * only a controller can see to.
 */
bool auto_need(struct bp_group *group, uint64_t places, bool keep);

/* circle.c; under the lock */

/** Notes that a task is about to wait in bp_go() or, without a time, in bp_wait(). */
void circle_enter(struct group_waiter *waiter);
/** It does not any more; harmless where it never did. */
void circle_leave(struct group_waiter *waiter);

/**
 * Whether who waits for so many places of the group, or for its end where that is 0, can only wait for
 * ever. @breaker is set to one of the circle that stands in bp_go() and could give up, or NULL.
 */
bool circle_closed(struct bp_group *group, uint64_t weight, struct group_waiter **breaker);

/** Takes @weight places, waiting for them unless @try. Return: 0, or what bp_go() returns. */
int admit(struct bp_group *group, uint64_t weight, bool try);

/**
 * Puts an item that has a place where a loop will take it: any, or the one of this number.
 */
void admit_enlist(struct bp_group *group, struct bp_op *op, int loop);

/** Ends the program where @call was given an operation that cannot be an item now. Any thread. */
static inline void admit_check_op(const struct bp_op *op, const char *call)
{
	if (unlikely((uintptr_t)op % _Alignof(struct bp_op)))
		bp_fatal("%s: this operation is not aligned", call);
	if (unlikely(op->state_ != OP_IDLE && op->state_ != OP_ENDED))
		bp_fatal("%s: this operation is in use, or was not zeroed", call);
}

/** Not under the lock: one of the loops may have to be told of what was enlisted. */
void admit_announce(struct bp_engine *engine);

/** What an item that could not be made holds is given back. */
void admit_undo(struct bp_group *group, uint64_t weight);

/** Gives an item's place back, and those that it holds @beside. */
static inline void admit_release(struct bp_group *group, uint64_t beside)
{
	engine_assert_locked(group->engine);
	bp_assert(group->running > 0);
	group->running--;
	if (unlikely(beside)) {
		group->heavy -= beside;
		group_set_room(group);
	}
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

/** bp_loop_hooks.break_idle */
bool admit_break_idle(struct bp_engine *engine);

#endif /* BP_GROUP_H */
