/* SPDX-License-Identifier: MIT */
/*
 * Groups: creation and end, the wait. Who may enter stands in admit.c, what happens to items between
 * their start and their end in item.c, the cause and the cancel in cancel.c; the picture of it all
 * in group.h.
 */
#include <stdlib.h>
#include <string.h>

#include "group.h"

/* ---------------------------------------------------------------- waiting */

void group_done(struct bp_group *group)
{
	engine_assert_locked(group->engine);
	bp_assert(group->accepted ==
		  group->succeeded + group->failed + group->stopped + group->never_started);
	if (group_cancelled(group) && !group->cancel_ns) {
		group->cancel_ns = bp_now(group->engine) - group->cancel_start;
		if (!group->cancel_ns)
			group->cancel_ns = 1;
	}
	while (!list_empty(&group->wait_waiters))
		waiter_wake(group_waiter_of_link(group->wait_waiters.next), 0);
}

static int result_of(const struct bp_group *group)
{
	if (group_cancelled(group) && !(group->late && !group->refused))
		return group->cause;
	if (group->stop_after_successes == 0)
		return group->first_failure;
	if (group->succeeded >= group->stop_after_successes)
		return 0;
	return group->first_failure ? group->first_failure : -ENOENT;
}

/** The wait has ended: nothing may be added, and children end with their parent. Under the lock. */
static void close_group(struct bp_group *group)
{
	struct bp_link_ *link;

	engine_assert_locked(group->engine);
	/* From here on the result stands, whatever happens to the parent. */
	if (!group_closed(group))
		group->result = result_of(group);
	group_mark(&group->head, GROUP_CLOSED);
	group_drop_deadline(group);
	for (link = group->children.next; link != &group->children; link = link->next)
		group_cancel_locked(container_of(link, struct bp_group, sibling), -ECANCELED,
				    CANCEL_BY_PARENT);
}

/** The task that waits has been cancelled or has timed out: so is what it waits for. */
static void wait_interrupted(struct bp_task *task)
{
	struct group_waiter *waiter = group_waiter_of(task->waiter);
	struct bp_engine *engine = waiter->group->engine;

	engine_lock(engine);
	if (!waiter->w.woken)
		group_cancel_locked(waiter->group, task_reason(task), CANCEL_BY_PARENT);
	engine_unlock(engine);
}

/**
 * A task is about to wait for the end of a group. Where that group waits for the task, through its items, a
 * bp_go() in the circle gives up; where there is none the program ends.
 */
static void enter_circle(struct group_waiter *waiter, const char *call)
{
	struct group_waiter *breaker;

	circle_enter(waiter);
	while (unlikely(circle_closed(waiter->group, 0, &breaker))) {
		if (!breaker)
			bp_deadlock(
				"%s: deadlock: the group waits, through its own items, for this "
				"task's group",
				call);
		admit_give_up(breaker);
	}
}

/** Waits until the group is done. Under the lock. Return: 0, or -ETIMEDOUT. */
static int wait_done(struct bp_group *group, uint64_t until, const char *call)
{
	struct group_waiter waiter = {.group = group, .w.what = "a group"};
	enum call_context context = call_context(group->engine);
	struct bp_group *own;

	engine_assert_locked(group->engine);
	if (group_is_done(group))
		return 0;
	if (context == CONTEXT_CALLBACK)
		bp_fatal("%s: called in a callback, which must not block", call);
	if (context == CONTEXT_TASK) {
		waiter.w.task = task_current();
		for (own = waiter.w.task->op.group_; own; own = own->parent)
			if (own == group)
				bp_fatal("%s: called by a task on a group that it runs in", call);
		if (task_reason(waiter.w.task))
			group_cancel_locked(group, task_reason(waiter.w.task), CANCEL_BY_PARENT);
		if (group_is_done(group))
			return 0;
	}
	while (!group_is_done(group)) {
		waiter.w.woken = false;
		if (waiter.w.task && until == BP_NEVER)
			enter_circle(&waiter, call);
		/* Who gave up there may have been all that it was waiting for. */
		if (group_is_done(group)) {
			circle_leave(&waiter);
			break;
		}
		waiter_block(&waiter, &group->wait_waiters, until, wait_interrupted);
		if (waiter.w.result)
			return group_is_done(group) ? 0 : waiter.w.result;
	}
	return 0;
}

static int wait_until(struct bp_group *group, uint64_t until, const char *call)
{
	struct bp_engine *engine = group_engine(group, call);
	int err;

	engine_check_thread(engine, call);
	engine_lock(engine);
	err = wait_done(group, until, call);
	if (!err && until != BP_NEVER && !group->accepted && !group_cancelled(group)) {
		/* Who looks before anything was added has waited for nothing. */
		err = result_of(group);
	} else if (!err) {
		close_group(group);
		err = group->result;
	}
	engine_unlock(engine);
	return err;
}

int bp_wait(struct bp_group *group)
{
	return wait_until(group, BP_NEVER, __func__);
}

int bp_wait_until(struct bp_group *group, uint64_t deadline_ns)
{
	return wait_until(group, deadline_ns, __func__);
}

/* ---------------------------------------------------------------- creation, end, figures */

static int check_opts(const struct bp_group_opts *opts, const struct bp_engine *engine)
{
	if (opts->limit < BP_LIMIT_NONE && opts->limit != BP_LIMIT_AUTO)
		return -EINVAL;
	if (opts->auto_most > BP_WEIGHT_MAX)
		return -EINVAL;
	if (opts->parent && opts->parent->engine != engine)
		return -EINVAL;
	if (opts->stack_size &&
	    (opts->stack_size < STACK_SIZE_MIN || opts->stack_size > STACK_SIZE_MAX))
		return -EINVAL;
	return 0;
}

static void adopt(struct bp_group *group, struct bp_group *parent, uint64_t deadline_ns)
{
	struct bp_engine *engine = group->engine;

	engine_assert_locked(engine);
	list_add_tail(&engine->groups, &group->engine_link);
	engine->ngroups++;
	if (deadline_ns) {
		group->deadline.when = deadline_ns;
		timer_add(&engine->deadlines, &group->deadline);
		atomic_store(&engine->next_deadline, timer_next(&engine->deadlines));
	}
	if (!parent)
		return;
	group->parent = parent;
	list_add_tail(&parent->children, &group->sibling);
	if (group_cancelled(parent))
		group_cancel_locked(group, parent->cause ? parent->cause : -ECANCELED,
				    CANCEL_BY_PARENT);
}

int bp_group_create(struct bp_group **groupp, struct bp_engine *engine,
		    const struct bp_group_opts *user)
{
	struct bp_group_opts opts = BP_GROUP_OPTS();
	struct bp_group *group;
	unsigned int i;
	int err;

	if (!groupp)
		return -EINVAL;
	*groupp = NULL;
	bp_need(engine, __func__, "engine");
	engine_check_thread(engine, __func__);
	err = opts_copy(&opts, sizeof(opts), user);
	if (!err)
		err = check_opts(&opts, engine);
	if (err)
		return err;
	group = calloc(1, sizeof(*group) + engine->nloops * sizeof(group->members[0]));
	if (!group)
		return -ENOMEM;
	group->engine = engine;
	group->created_ns = bp_now(engine);
	if (opts.stack_size) {
		group->head.stack_size = opts.stack_size;
		group_mark(&group->head, GROUP_STACKS);
	}
	group->limit = opts.limit;
	group->auto_most = opts.auto_most;
	group_set_room(group);
	group->stop_after_failures = opts.stop_after_failures;
	group->stop_after_successes = opts.stop_after_successes;
	group->item_timeout_ns = opts.item_timeout_ns;
	group->report = opts.report;
	group->report_arg = opts.report_arg;
	list_init(&group->children);
	list_init(&group->ready);
	list_init(&group->go_waiters);
	list_init(&group->wait_waiters);
	list_init(&group->waiting);
	for (i = 0; i < engine->nloops; i++) {
		group->members[i].group = group;
		list_init(&group->members[i].items);
		list_init(&group->members[i].pinned);
	}
	engine_lock(engine);
	if (opts.parent && group_closed(opts.parent))
		err = -EINVAL;
	else if (opts.limit == BP_LIMIT_AUTO)
		err = auto_begin(group);
	if (!err)
		adopt(group, opts.parent, opts.deadline_ns);
	engine_unlock(engine);
	if (err) {
		free(group);
		return err;
	}
	/* Whichever loop sleeps may be the only one that will not be busy at that time. */
	for (i = 0; opts.deadline_ns && i < engine->nloops; i++)
		if (engine_next_deadline(engine) == opts.deadline_ns)
			loop_wake(engine->loops[i]);
	*groupp = group;
	return 0;
}

void bp_group_destroy(struct bp_group *group)
{
	struct bp_engine *engine;
	struct bp_link_ *link;

	if (!group)
		return;
	engine = group->engine;
	engine_check_thread(engine, __func__);
	engine_lock(engine);
	if (!group_is_done(group))
		group_cancel_locked(group, -ECANCELED, CANCEL_BY_CALLER);
	wait_done(group, BP_NEVER, __func__);
	close_group(group);
	while ((link = list_pop(&group->children)))
		container_of(link, struct bp_group, sibling)->parent = NULL;
	if (group->parent)
		list_del(&group->sibling);
	list_del(&group->engine_link);
	admit_forget(group);
	engine->ngroups--;
	context_forget(group);
	auto_stop(group);
	engine_unlock(engine);
	free(group->winner_copy);
	free(group);
}

void bp_group_stats(const struct bp_group *group, struct bp_group_stats *stats)
{
	struct bp_engine *engine = group_engine(group, __func__);
	struct bp_group_stats st = {.sz = sizeof(st)};
	uint64_t lifetime = 0;
	unsigned int i;

	bp_need(stats, __func__, "place for the statistics");
	engine_check_thread(engine, __func__);
	engine_lock(engine);
	st.limit = group->limit;
	st.accepted = group->accepted;
	st.succeeded = group->succeeded;
	st.failed = group->failed;
	st.stopped = group->stopped;
	st.never_started = group->never_started;
	st.rejected = group->rejected;
	st.running = group->running;
	st.waiting = group->nready + group->npinned;
	st.peak = group->peak;
	st.places = group->running + group->heavy;
	st.limit_reason = group->control ? group->control->reason : NULL;
	st.cause = group->late && !group->refused ? 0 : group->cause;
	st.cancel_ns = group->cancel_ns;
	for (i = 0; i < engine->nloops; i++) {
		st.compute_ns +=
			atomic_load_explicit(&group->members[i].compute_ns, memory_order_relaxed);
		lifetime +=
			atomic_load_explicit(&group->members[i].lifetime_ns, memory_order_relaxed);
	}
	st.wait_ns = lifetime > st.compute_ns ? lifetime - st.compute_ns : 0;
	engine_unlock(engine);
	/* Without a size it may be the struct of 0.1.0, which had no more. */
	st.sz = stats->sz ? stats->sz : offsetof(struct bp_group_stats, places);
	if (st.sz > sizeof(st))
		st.sz = sizeof(st);
	memcpy(stats, &st, st.sz);
}

void *bp_group_winner(const struct bp_group *group)
{
	struct bp_engine *engine = group_engine(group, __func__);
	void *winner;

	engine_check_thread(engine, __func__);
	engine_lock(engine);
	winner = group->winner;
	engine_unlock(engine);
	return winner;
}
