/* SPDX-License-Identifier: MIT */
/*
 * The cancel of a group: the cause is recorded, all groups below are told, and each loop that has items of
 * one gets a message. There, on the loop's own thread, what runs is ended: operations by a cancel of
 * the backend, tasks as task_cancel.c has it, what sleeps and what waits too; and what has not
 * started never will. The picture is in group.h.
 */
#include "group.h"

/* ---------------------------------------------------------------- on each loop */

/** A loop is told that the group was cancelled: ends what runs there and what waits to start. */
static void member_stop(struct bp_loop *loop, struct bp_message *message)
{
	struct group_member *member = container_of(message, struct group_member, stop);
	struct bp_group *group = member->group;
	struct bp_engine *engine = group->engine;
	struct bp_link_ unstarted, *link;

	/*
	 * None of these runs an item or touches the list. The last first: those that sleep for as long
	 * as each other are taken out of the timers in the order that they stand there.
	 */
	for (link = member->items.prev; link != &member->items; link = link->prev) {
		struct bp_op *op = container_of(link, struct bp_op, member_);

		if (op->kind_ == OP_KIND_TASK)
			task_stop(loop, task_of_op(op));
		else
			loop_cancel(loop, op);
	}

	list_init(&unstarted);
	engine_lock(engine);
	if (!list_empty(&member->pinned)) {
		for (link = member->pinned.next; link != &member->pinned; link = link->next) {
			group->npinned--;
			engine->granted--;
		}
		list_splice_tail(&unstarted, &member->pinned);
	}
	if (group->nready) {
		list_splice_tail(&unstarted, &group->ready);
		list_del(&group->ready_link);
		engine_set_ready(engine, engine_ready(engine) - group->nready);
		group->nready = 0;
	}
	engine_unlock(engine);
	while ((link = list_pop(&unstarted)))
		item_end(loop, op_of_link(link), -ECANCELED, false);

	engine_lock(engine);
	member->stop_posted = false;
	group->stops--;
	group->messages--;
	group_check_done(group);
	engine_unlock(engine);
}

/* ---------------------------------------------------------------- cause and cancel */

static void post_stop(struct bp_group *group, unsigned int index)
{
	struct group_member *member = &group->members[index];

	engine_assert_locked(group->engine);
	if (member->stop_posted)
		return;
	member->stop_posted = true;
	member->stop.handle = member_stop;
	group->stops++;
	group->messages++;
	loop_post(group->engine->loops[index], &member->stop);
}

static void stop_items(struct bp_group *group)
{
	struct bp_engine *engine = group->engine;
	unsigned int i, drain = 0;

	for (i = 0; i < engine->nloops; i++)
		if (!list_empty(&group->members[i].items) || !list_empty(&group->members[i].pinned))
			post_stop(group, i);
	if (group->nready && !group->stops) {
		/* Nothing runs, but something waits for its turn: one loop ends it. */
		if (bp_this_loop && bp_this_loop->engine == engine)
			drain = bp_this_loop->index;
		post_stop(group, drain);
	}
}

void group_drop_deadline(struct bp_group *group)
{
	struct bp_engine *engine = group->engine;

	engine_assert_locked(engine);
	if (!timer_armed(&group->deadline))
		return;
	timer_del(&engine->deadlines, &group->deadline);
	atomic_store(&engine->next_deadline, timer_next(&engine->deadlines));
}

/** The cause is recorded, with its words or NULL; those of a parent's cause are the parent's. */
static void record_cause(struct bp_group *group, int cause, enum cancel_by by,
			 struct cause_text *text)
{
	const struct bp_group *parent = group->parent;

	engine_assert_locked(group->engine);
	if (by == CANCEL_BY_PARENT && parent && group_cancelled(parent) && parent->cause == cause)
		text = parent->text;
	if (text)
		text->refs++;
	cause_text_put(group->text);
	group->text = text;
	group->cause_set = true;
	group->cause = cause;
}

/** Cancels a group without its children. Return: whether they are to be cancelled for it. */
static bool cancel_one(struct bp_group *group, int cause, enum cancel_by by,
		       struct cause_text *text)
{
	bool idle = group->running == 0 && group->accepted > 0;

	engine_assert_locked(group->engine);
	if (group->late && by == CANCEL_BY_CALLER) {
		group->late = false;
		record_cause(group, cause, by, text);
	}
	if (!group->cause_set) {
		record_cause(group, cause, by, text);
		group->late = idle && (by == CANCEL_BY_PARENT || by == CANCEL_BY_DEADLINE);
	}
	if (group_cancelled(group))
		return false;
	group_mark(&group->head, GROUP_CANCELLED);
	PROBE4(cancel, group, group->parent, group->cause, by);
	group->cancel_start = bp_now(group->engine);
	group_drop_deadline(group);
	admit_refuse_all(group, -ECANCELED);
	stop_items(group);
	group_check_done(group);
	return true;
}

/** What comes after @group below @top, parents before children, those of @group only if @down. */
static struct bp_group *next_below(const struct bp_group *top, struct bp_group *group, bool down)
{
	if (down && !list_empty(&group->children))
		return container_of(group->children.next, struct bp_group, sibling);
	for (; group != top; group = group->parent)
		if (group->sibling.next != &group->parent->children)
			return container_of(group->sibling.next, struct bp_group, sibling);
	return NULL;
}

/* Step by step, since this may run on a task's small stack, and groups may be nested deep. */
static void cancel_tree(struct bp_group *top, int cause, enum cancel_by by, struct cause_text *text)
{
	struct bp_group *group = top;
	bool down = cancel_one(top, cause, by, text);

	while ((group = next_below(top, group, down)))
		down = cancel_one(group, group->parent->cause ? group->parent->cause : -ECANCELED,
				  CANCEL_BY_PARENT, NULL);
}

void group_cancel_locked(struct bp_group *top, int cause, enum cancel_by by)
{
	cancel_tree(top, cause, by, NULL);
}

void group_cancel_with(struct bp_group *group, int cause, struct cause_text *text)
{
	engine_assert_locked(group->engine);
	if (cause == 0)
		cause = -ECANCELED;
	if (!group_closed(group))
		cancel_tree(group, cause < 0 ? cause : -cause, CANCEL_BY_CALLER, text);
}

void bp_cancel(struct bp_group *group, int cause)
{
	struct bp_engine *engine = group_engine(group, __func__);

	engine_check_thread(engine, __func__);
	engine_lock(engine);
	group_cancel_with(group, cause, NULL);
	engine_unlock(engine);
}

void group_run_deadlines(struct bp_loop *loop)
{
	struct bp_engine *engine = loop->engine;
	struct bp_timer_ *timer;

	engine_lock(engine);
	while ((timer = timer_pop(&engine->deadlines, loop->now)))
		group_cancel_locked(container_of(timer, struct bp_group, deadline), -ETIMEDOUT,
				    CANCEL_BY_DEADLINE);
	atomic_store(&engine->next_deadline, timer_next(&engine->deadlines));
	engine_unlock(engine);
}
