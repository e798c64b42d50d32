/* SPDX-License-Identifier: MIT */
/*
 * Circles of groups: tasks that wait, in bp_go() and bp_wait(), for groups whose items wait for them.
 *
 * Who waits for the end of a group is stuck when one of its items is; who waits for a place in it,
 * when it has none and each of its running items is. A wait that is met again on the way counts as
 * stuck: if all else on the way is, it is. What has a time, what runs, and what waits for anything
 * else is not.
 *
 * The search costs time, and a task's small stack, so it goes so far and no further. What it does
 * not find hangs, as it would without it.
 */
#include "group.h"

#define CIRCLE_STEPS 1000
#define CIRCLE_DEPTH 64

struct search {
	unsigned int left;
	struct group_waiter *breaker;
};

static bool for_own_place(const struct group_waiter *waiter)
{
	return waiter->for_place && waiter->group == waiter->w.task->op.group_;
}

void circle_enter(struct group_waiter *waiter)
{
	struct bp_group *own = waiter->w.task->op.group_;

	engine_assert_locked(own->engine);
	list_add_tail(&own->waiting, &waiter->from);
	own->nwaiting++;
	own->own_waiting += for_own_place(waiter);
}

void circle_leave(struct group_waiter *waiter)
{
	struct bp_group *own;

	if (!list_linked(&waiter->from))
		return;
	own = waiter->w.task->op.group_;
	engine_assert_locked(own->engine);
	list_del(&waiter->from);
	own->nwaiting--;
	own->own_waiting -= for_own_place(waiter);
}

static bool is_stuck(struct search *search, struct bp_group *group, bool for_place,
		     unsigned int depth);

/** Whether the items of the group that wait are stuck: all of them, or one. */
static bool items_are_stuck(struct search *search, struct bp_group *group, bool all,
			    unsigned int depth)
{
	const struct bp_link_ *link;
	bool stuck = all;

	for (link = group->waiting.next; link != &group->waiting && stuck == all;
	     link = link->next) {
		struct group_waiter *waiter = container_of(link, struct group_waiter, from);

		if (!search->left)
			return false;
		search->left--;
		stuck = is_stuck(search, waiter->group, waiter->for_place, depth);
		if (stuck && waiter->for_place && !search->breaker)
			search->breaker = waiter;
	}
	return stuck;
}

/** Whether who waits for the group, for a place or for its end, is stuck. */
static bool is_stuck(struct search *search, struct bp_group *group, bool for_place,
		     unsigned int depth)
{
	struct group_waiter *before = search->breaker;
	bool stuck;

	if (group->visited[for_place])
		return true;
	/* Mostly that is all: there is a place, or some of its items do not wait. */
	if (for_place &&
	    (group_has_next_place(group) || !group->running || group->nwaiting < group->running))
		return false;
	if (for_place && group->own_waiting == group->running) {
		if (!before)
			search->breaker =
				container_of(group->waiting.next, struct group_waiter, from);
		return true;
	}
	if (!depth)
		return false;
	group->visited[for_place] = true;
	stuck = items_are_stuck(search, group, for_place, depth - 1);
	group->visited[for_place] = false;
	/* What was found on a way that led nowhere is none. */
	if (!stuck)
		search->breaker = before;
	return stuck;
}

bool circle_closed(struct bp_group *group, bool for_place, struct group_waiter **breaker)
{
	struct search search = {.left = CIRCLE_STEPS};
	bool closed = is_stuck(&search, group, for_place, CIRCLE_DEPTH);

	engine_assert_locked(group->engine);
	*breaker = closed ? search.breaker : NULL;
	return closed;
}
