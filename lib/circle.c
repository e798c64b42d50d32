/* SPDX-License-Identifier: MIT */
/*
 * Circles of groups: tasks that wait, in bp_go() and bp_wait(), for groups whose items wait for them.
 *
 * Who waits for the end of a group is stuck when one of its items is. Who waits for places in it is,
 * when those which items that are stuck hold there leave too few, whatever the others give back; with
 * one place each, when all that run are stuck. A wait that is met again on the way counts as stuck: if
 * all else on the way is, it is. What has a time, what runs, and what waits for anything else is not.
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

/** Places that the waiting task holds in its own group. */
static uint64_t places_of(const struct group_waiter *waiter)
{
	return 1 + heavy_of(&waiter->w.task->op);
}

void circle_enter(struct group_waiter *waiter)
{
	struct bp_group *own = waiter->w.task->op.group_;

	engine_assert_locked(own->engine);
	list_add_tail(&own->waiting, &waiter->from);
	own->waiting_places += places_of(waiter);
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
	own->waiting_places -= places_of(waiter);
	own->own_waiting -= for_own_place(waiter);
}

static bool is_stuck(struct search *search, struct bp_group *group, uint64_t weight,
		     unsigned int depth);

/** Whether items of the group that wait are stuck, and hold @enough places. */
static bool items_are_stuck(struct search *search, const struct bp_group *group, uint64_t enough,
			    unsigned int depth)
{
	uint64_t stuck = 0, at_most = group->waiting_places;
	const struct bp_link_ *link;

	for (link = group->waiting.next; stuck < enough && at_most >= enough; link = link->next) {
		struct group_waiter *waiter = container_of(link, struct group_waiter, from);

		if (!search->left)
			return false;
		search->left--;
		if (!is_stuck(search, waiter->group, waiter->for_place ? waiter->weight : 0,
			      depth)) {
			at_most -= places_of(waiter);
			continue;
		}
		stuck += places_of(waiter);
		if (waiter->for_place && !search->breaker)
			search->breaker = waiter;
	}
	return stuck >= enough;
}

/** Whether who waits for the end of the group is stuck. */
static bool end_is_stuck(struct search *search, struct bp_group *group, unsigned int depth)
{
	bool stuck;

	if (group->visited_end)
		return true;
	group->visited_end = true;
	stuck = items_are_stuck(search, group, 1, depth);
	group->visited_end = false;
	return stuck;
}

/** How many places are to be held by who is stuck, so that @weight never become free. */
static uint64_t enough_for(const struct bp_group *group, uint64_t weight)
{
	/* A limit of 0 is there to be raised, and what runs may do so. */
	if (group->limit == 0)
		return group->running + group->heavy;
	return weight > (uint64_t)group->limit ? 1 : (uint64_t)group->limit - weight + 1;
}

/** Whether who waits for so many places of the group is stuck. */
static bool place_is_stuck(struct search *search, struct bp_group *group, uint64_t weight,
			   unsigned int depth)
{
	uint64_t enough, visited = group->visited_place;
	bool stuck;

	/* Who stands behind another one waits for what that waits for: room in the queues, which comes. */
	if (!list_empty(&group->go_waiters)) {
		if (group_has_place(group, first_waiter(group)->weight))
			return false;
		if (first_waiter(group)->weight > weight)
			weight = first_waiter(group)->weight;
	}
	if (visited && weight >= visited)
		return true;
	if (group_has_place(group, weight) || !group->running)
		return false;
	if (group->own_waiting == group->running) {
		if (!search->breaker)
			search->breaker =
				container_of(group->waiting.next, struct group_waiter, from);
		return true;
	}
	/* Mostly that is all: some of its items do not wait. */
	enough = enough_for(group, weight);
	if (group->waiting_places < enough)
		return false;
	group->visited_place = weight;
	stuck = items_are_stuck(search, group, enough, depth);
	group->visited_place = visited;
	return stuck;
}

static bool is_stuck(struct search *search, struct bp_group *group, uint64_t weight,
		     unsigned int depth)
{
	struct group_waiter *before = search->breaker;
	bool stuck = false;

	if (depth && weight)
		stuck = place_is_stuck(search, group, weight, depth - 1);
	else if (depth)
		stuck = end_is_stuck(search, group, depth - 1);
	/* What was found on a way that led nowhere is none. */
	if (!stuck)
		search->breaker = before;
	return stuck;
}

bool circle_closed(struct bp_group *group, uint64_t weight, struct group_waiter **breaker)
{
	struct search search = {.left = CIRCLE_STEPS};
	bool closed = is_stuck(&search, group, weight, CIRCLE_DEPTH + 1);

	engine_assert_locked(group->engine);
	*breaker = closed ? search.breaker : NULL;
	return closed;
}
