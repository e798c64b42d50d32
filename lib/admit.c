/* SPDX-License-Identifier: MIT */
/*
 * Admission: bp_go() and its relatives, the places of the limit, and those who wait for one.
 *
 * Waiting calls stand in one queue per group. A place that becomes free is handed to the first of
 * them before anybody else can see it, so a stream of bp_try_go() cannot starve a bp_go(), and a
 * limit raised by k lets in exactly those at the head of the queue that k more places are enough for.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "group.h"

/** Whether an item takes more places than there will ever be; with a limit of 0 it is not known. */
static inline bool too_heavy(const struct bp_group *group, uint64_t weight)
{
	return group->limit > 0 && weight > (uint64_t)group->limit;
}

static inline void take_place(struct bp_group *group, uint64_t weight)
{
	engine_assert_locked(group->engine);
	group->running++;
	if (unlikely(weight > 1)) {
		group->heavy += weight - 1;
		group_set_room(group);
	}
	if (group->running > group->peak)
		group->peak = group->running;
}

static void set_starved(struct bp_group *group)
{
	engine_assert_locked(group->engine);
	if (list_linked(&group->starved_link))
		return;
	list_add_tail(&group->engine->starved, &group->starved_link);
	atomic_store(&group->engine->is_starved, true);
}

void admit_forget(struct bp_group *group)
{
	engine_assert_locked(group->engine);
	if (!list_linked(&group->starved_link))
		return;
	list_del(&group->starved_link);
	atomic_store_explicit(&group->engine->is_starved, !list_empty(&group->engine->starved),
			      memory_order_relaxed);
}

void admit_waiters(struct bp_group *group)
{
	engine_assert_locked(group->engine);
	while (!list_empty(&group->go_waiters) &&
	       group_has_place(group, first_waiter(group)->weight)) {
		if (loops_full(group->engine)) {
			set_starved(group);
			return;
		}
		take_place(group, first_waiter(group)->weight);
		group->engine->granted++;
		waiter_wake(first_waiter(group), 0);
	}
	admit_forget(group);
}

void admit_refuse_all(struct bp_group *group, int result)
{
	engine_assert_locked(group->engine);
	while (!list_empty(&group->go_waiters))
		waiter_wake(first_waiter(group), result);
	admit_forget(group);
}

void admit_give_up(struct group_waiter *waiter)
{
	struct bp_group *group = waiter->group;

	waiter_wake(waiter, -EDEADLK);
	/* There may be enough for who stood behind it, or it was all that a bp_wait() waits for. */
	if (group_special(group))
		admit_waiters(group);
	group_check_done(group);
}

/** Places beside those that are held, by a controller: a limit that was found makes no deadlock. */
static bool need_for(struct bp_group *group, uint64_t weight)
{
	return auto_need(group, group->running + group->heavy + weight, false);
}

void admit_check_deadlock(struct bp_group *group)
{
	struct group_waiter *breaker;

	engine_assert_locked(group->engine);
	while (!list_empty(&group->go_waiters) &&
	       circle_closed(group, first_waiter(group)->weight, &breaker) && breaker) {
		if (need_for(breaker->group, first_waiter(breaker->group)->weight))
			admit_waiters(breaker->group);
		else
			admit_give_up(breaker);
	}
}

/** Lets in who waits for room in the queues, as far as there is any. Under the lock. */
static void use_room(struct bp_engine *engine)
{
	struct bp_link_ *link, *next;

	engine_assert_locked(engine);
	for (link = engine->starved.next; link != &engine->starved; link = next) {
		next = link->next;
		if (loops_full(engine))
			break;
		admit_waiters(container_of(link, struct bp_group, starved_link));
	}
}

void admit_room(struct bp_engine *engine)
{
	engine_lock(engine);
	use_room(engine);
	engine_unlock(engine);
}

bool admit_overlooked(const struct bp_engine *engine)
{
	const struct bp_link_ *link;

	for (link = engine->starved.next; link != &engine->starved; link = link->next) {
		const struct bp_group *group = container_of(link, struct bp_group, starved_link);

		if (!list_empty(&group->go_waiters) && !loops_full(engine) &&
		    group_has_place(group, first_waiter(group)->weight))
			return true;
	}
	return false;
}

bool admit_break_idle(struct bp_engine *engine)
{
	struct bp_link_ *link;

	engine_assert_locked(engine);
	for (link = engine->groups.next; link != &engine->groups; link = link->next) {
		struct bp_group *group = container_of(link, struct bp_group, engine_link);

		if (!list_empty(&group->go_waiters)) {
			admit_give_up(first_waiter(group));
			return true;
		}
	}
	return false;
}

void waiter_wake(struct group_waiter *waiter, int result)
{
	engine_assert_locked(waiter->group->engine);
	circle_leave(waiter);
	wait_wake(&waiter->w, result);
}

void waiter_block(struct group_waiter *waiter, struct bp_link_ *queue, uint64_t until,
		  void (*interrupt)(struct bp_task *task))
{
	waiter->w.engine = waiter->group->engine;
	wait_block(&waiter->w, queue, until, interrupt);
	circle_leave(waiter);
}

/** The task that waits for a place has been cancelled, or has timed out. */
static void go_interrupted(struct bp_task *task)
{
	struct group_waiter *waiter = group_waiter_of(task->waiter);
	struct bp_engine *engine = task->op.loop_->engine;

	engine_lock(engine);
	if (!waiter->w.woken) {
		waiter_wake(waiter, task_reason(task));
		admit_waiters(waiter->group);
		admit_check_deadlock(waiter->group);
		group_check_done(waiter->group);
	}
	engine_unlock(engine);
}

/** Stands in line. Return: 0: the places are the waiter's; or what bp_go() returns. */
static int block_for_place(struct group_waiter *waiter)
{
	struct bp_group *group = waiter->group;

	waiter_block(waiter, &group->go_waiters, BP_NEVER, go_interrupted);
	if (waiter->w.result)
		return waiter->w.result;
	/* The place was taken for us; the group may have been cancelled since. */
	group->engine->granted--;
	if (group_cancelled(group)) {
		group->refused = true;
		admit_release(group, waiter->weight - 1);
		/* The room that was kept for it is free, and no loop may be about to notice. */
		use_room(group->engine);
		return -ECANCELED;
	}
	return 0;
}

/** Takes places that there are, or notes that they wait for room in the queues. Return: whether it took them. */
static bool take_or_starve(struct bp_group *group, uint64_t weight)
{
	set_starved(group);
	atomic_thread_fence(memory_order_seq_cst);
	/* A loop may have made room since somebody looked, and seen nobody who wants it. */
	if (!list_empty(&group->go_waiters) || loops_full(group->engine))
		return false;
	admit_forget(group);
	take_place(group, weight);
	return true;
}

/** A task would wait for ever: it is told, or gets its place beyond the limit that was found. */
static int go_on_or_give_up(struct group_waiter *waiter)
{
	struct bp_group *group = waiter->group;
	uint64_t first = waiter->weight;

	if (!list_empty(&group->go_waiters))
		first = first_waiter(group)->weight;
	if (!need_for(group, first))
		return -EDEADLK;
	if (!list_empty(&group->go_waiters))
		admit_waiters(group);
	else if (take_or_starve(group, first))
		return 0;
	circle_enter(waiter);
	return block_for_place(waiter);
}

static int wait_for_place(struct bp_group *group, uint64_t weight)
{
	enum call_context context = call_context(group->engine);
	struct group_waiter waiter = {.group = group,
				      .weight = weight,
				      .for_place = true,
				      .w.what = "a place"};

	engine_assert_locked(group->engine);
	/* Before it has its places: they are counted for those in line too. */
	if (weight > 1)
		group_mark(&group->head, GROUP_SPECIAL);
	if (context == CONTEXT_CALLBACK)
		return -EDEADLK;
	if (context == CONTEXT_TASK) {
		int reason;

		waiter.w.task = task_current();
		reason = task_reason(waiter.w.task);
		if (reason)
			return reason;
	}
	if (group_has_place(group, weight) && take_or_starve(group, weight))
		return 0;
	if (waiter.w.task) {
		struct group_waiter *breaker;

		/* It would close the circle, and is the one that is told. */
		circle_enter(&waiter);
		if (circle_closed(group, weight, &breaker)) {
			circle_leave(&waiter);
			return go_on_or_give_up(&waiter);
		}
	}
	return block_for_place(&waiter);
}

/** Takes a place if there is one and nobody else waits for it. */
static inline __attribute__((always_inline)) bool
admit_now(struct bp_group *group, const struct bp_engine *engine, uint64_t weight)
{
	engine_assert_locked(engine);
	if (unlikely(group_marks(&group->head, GROUP_CLOSED | GROUP_CANCELLED)))
		return false;
	if (unlikely(!group_has_place(group, weight) || !list_empty(&group->go_waiters)) ||
	    unlikely(loops_full(engine)))
		return false;
	take_place(group, weight);
	return true;
}

/** After admit_now(): waits for a place unless @try. */
static __attribute__((noinline)) int admit_otherwise(struct bp_group *group, uint64_t weight,
						     bool try)
{
	engine_assert_locked(group->engine);
	if (group_closed(group))
		return -EBADF;
	if (group_cancelled(group)) {
		group->refused = true;
		return -ECANCELED;
	}
	/* A controller never goes below what one item needs, so that none waits for ever. */
	if (unlikely(weight > 1) && auto_need(group, weight, true)) {
		/* What was raised may be enough for those in line. */
		admit_waiters(group);
		if (admit_now(group, group->engine, weight))
			return 0;
	} else if (too_heavy(group, weight)) {
		return -EINVAL;
	}
	if (try) {
		group->rejected++;
		return -EAGAIN;
	}
	return wait_for_place(group, weight);
}

int admit(struct bp_group *group, uint64_t weight, bool try)
{
	return admit_now(group, group->engine, weight) ? 0 : admit_otherwise(group, weight, try);
}

void admit_undo(struct bp_group *group, uint64_t weight)
{
	admit_release(group, weight - 1);
	use_room(group->engine);
}

/**
 * Starts an operation item of a caller-driven engine, where there is nobody to share with: it goes
 * straight to the submission queue. Its prep() is called as from the loop, so that what a callback
 * must not do is noticed here too.
 */
static inline __attribute__((always_inline)) void start_now(struct bp_group *group,
							    struct bp_loop *loop, struct bp_op *op)
{
	struct bp_loop *outer = bp_this_loop;
	struct bp_op *running = loop->running;

	bp_this_loop = loop;
	loop->running = NULL;
	if (unlikely(group_marks(&group->head, GROUP_CANCELLED | GROUP_SPECIAL)) ||
	    unlikely(group->item_timeout_ns)) {
		group_enter(group, loop, op);
		group_start_item(loop, op);
	} else {
		member_add(group, loop, op);
		item_begin(loop, op);
		loop_submit(loop, op, 0);
	}
	loop->running = running;
	bp_this_loop = outer;
}

static inline void take_in(struct bp_group *group, struct bp_op *op)
{
	engine_assert_locked(group->engine);
	op_set_state(op, OP_READY);
	op->flags_ = 0;
	op->group_ = group;
	op->member_.next = NULL;
	group->accepted++;
	PROBE3(admit, group, op, op->kind_);
}

/** Puts an item that has a place where a loop will take it. */
static inline __attribute__((always_inline)) void
enlist(struct bp_group *group, struct bp_engine *engine, struct bp_op *op, const unsigned int kind)
{
	take_in(group, op);
	if (kind == OP_KIND_ITEM && engine->driven && group->nready == 0 &&
	    !engine->loops[0]->submitting) {
		start_now(group, engine->loops[0], op);
		return;
	}
	group->nready++;
	list_add_tail(&group->ready, &op->link_);
	if (!list_linked(&group->ready_link))
		list_add_tail(&engine->ready_groups, &group->ready_link);
	engine_set_ready(engine, engine_ready(engine) + 1);
}

void admit_enlist(struct bp_group *group, struct bp_op *op, int loop)
{
	struct bp_engine *engine = group->engine;
	struct group_member *member;

	if (loop < 0 || engine->nloops == 1) {
		enlist(group, engine, op, op->kind_);
		return;
	}
	take_in(group, op);
	member = &group->members[loop];
	list_add_tail(&member->pinned, &op->link_);
	group->npinned++;
	/* It needs room, and is none of those that any loop may take. */
	engine->granted++;
	if (member->start_posted)
		return;
	member->start_posted = true;
	group->messages++;
	member->start.handle = group_start_pinned;
	loop_post(engine->loops[loop], &member->start);
}

/*
 * A loop that accepts an item will take it itself, or wake another one, when its turn comes round.
 * To wake another for each of many small items costs more than they do, so it does so at once only
 * for many items or when it has not done so lately (which serves the task that goes on to compute).
 */
#define WAKE_ITEMS 16
#define WAKE_PAUSE_NS 200000ull

static void after_accept(struct bp_engine *engine)
{
	struct bp_loop *loop = bp_this_loop;
	uint64_t now;

	if (!loops_sleeper(engine))
		return;
	if (loop && loop->engine == engine && engine_ready(engine) < WAKE_ITEMS) {
		now = bp_now(engine);
		if (now - loop->woke_other < WAKE_PAUSE_NS)
			return;
		loop->woke_other = now;
	}
	loops_wake_one(engine);
}

void admit_announce(struct bp_engine *engine)
{
	if (engine->told)
		after_accept(engine);
}

static int go_task(struct bp_group *group, bp_task_fn fn, void *arg, void *copy, bool try,
		   const char *call)
{
	struct bp_engine *engine = group_engine(group, call);
	struct bp_task *task = NULL;
	int err;

	engine_check_thread(engine, call);
	engine_lock(engine);
	err = likely(admit_now(group, engine, 1)) ? 0 : admit_otherwise(group, 1, try);
	if (likely(!err)) {
		task = ticket_alloc(engine);
		if (unlikely(!task)) {
			err = -ENOMEM;
			admit_undo(group, 1);
		}
	}
	if (likely(!err)) {
		task->fn = fn;
		task->arg = copy ? copy : arg;
		task->copy = copy;
		task->stack = NULL;
		task->op.kind_ = OP_KIND_TASK;
		enlist(group, engine, &task->op, OP_KIND_TASK);
	}
	engine_unlock(engine);
	if (unlikely(err))
		free(copy);
	else if (engine->told)
		after_accept(engine);
	return err;
}

static int go_copy(struct bp_group *group, bp_task_fn fn, const void *arg, size_t size, bool try,
		   const char *call)
{
	void *copy;

	if (!fn || (!arg && size))
		return -EINVAL;
	copy = malloc(size ? size : 1);
	if (!copy)
		return -ENOMEM;
	if (size)
		memcpy(copy, arg, size);
	return go_task(group, fn, NULL, copy, try, call);
}

static int go_op(struct bp_group *group, struct bp_op *op, bool try, const char *call)
{
	struct bp_engine *engine = group_engine(group, call);
	int err;

	if (!op || !op->prep || !op->done)
		return -EINVAL;
	admit_check_op(op, call);
	engine_check_thread(engine, call);
	engine_lock(engine);
	err = likely(admit_now(group, engine, 1)) ? 0 : admit_otherwise(group, 1, try);
	if (likely(!err)) {
		op->kind_ = OP_KIND_ITEM;
		enlist(group, engine, op, OP_KIND_ITEM);
	}
	engine_unlock(engine);
	if (!err && engine->told)
		after_accept(engine);
	return err;
}

int bp_go(struct bp_group *group, bp_task_fn fn, void *arg)
{
	return fn ? go_task(group, fn, arg, NULL, false, __func__) : -EINVAL;
}

int bp_try_go(struct bp_group *group, bp_task_fn fn, void *arg)
{
	return fn ? go_task(group, fn, arg, NULL, true, __func__) : -EINVAL;
}

int bp_go_copy(struct bp_group *group, bp_task_fn fn, const void *arg, size_t size)
{
	return go_copy(group, fn, arg, size, false, __func__);
}

int bp_try_go_copy(struct bp_group *group, bp_task_fn fn, const void *arg, size_t size)
{
	return go_copy(group, fn, arg, size, true, __func__);
}

int bp_go_op(struct bp_group *group, struct bp_op *op)
{
	return go_op(group, op, false, __func__);
}

int bp_try_go_op(struct bp_group *group, struct bp_op *op)
{
	return go_op(group, op, true, __func__);
}

/** Who waits for more places than there are any more is told. */
static void refuse_too_heavy(struct bp_group *group)
{
	struct bp_link_ *link, *next;

	for (link = group->go_waiters.next; link != &group->go_waiters; link = next) {
		struct group_waiter *waiter = group_waiter_of_link(link);

		next = link->next;
		if (!auto_need(group, waiter->weight, true) && too_heavy(group, waiter->weight))
			waiter_wake(waiter, -EINVAL);
	}
	group_check_done(group);
}

int bp_group_set_limit(struct bp_group *group, long limit)
{
	struct bp_engine *engine = group_engine(group, __func__);
	int err = 0;

	if (limit < BP_LIMIT_NONE && limit != BP_LIMIT_AUTO)
		return -EINVAL;
	engine_check_thread(engine, __func__);
	engine_lock(engine);
	if (limit == BP_LIMIT_AUTO) {
		err = auto_begin(group);
	} else {
		auto_stop(group);
		group->limit = limit;
		group_set_room(group);
	}
	if (group_special(group))
		refuse_too_heavy(group);
	admit_waiters(group);
	admit_check_deadlock(group);
	engine_unlock(engine);
	return err;
}
