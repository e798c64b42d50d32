/* SPDX-License-Identifier: MIT */
/*
 * BP_LIMIT_AUTO of a group: its controller (limit.c) is told of ends, and what it says becomes the limit.
 *
 * Such a group is marked as special, so that the others pay nothing. All of it stands under the lock.
 */
#include <limits.h>
#include <stdlib.h>

#include "group.h"

/** The part of its items' time in which they compute. */
static double compute_share(const void *of)
{
	const struct bp_group *group = of;
	uint64_t compute = 0, lifetime = 0;
	unsigned int i;

	for (i = 0; i < group->engine->nloops; i++) {
		const struct group_member *member = &group->members[i];

		compute += atomic_load_explicit(&member->compute_ns, memory_order_relaxed);
		lifetime += atomic_load_explicit(&member->lifetime_ns, memory_order_relaxed);
	}
	if (!lifetime || compute > lifetime)
		return lifetime ? 1 : 0;
	return (double)compute / (double)lifetime;
}

static void use_limit(struct bp_group *group)
{
	group->limit = (long)group->control->limit;
	group_set_room(group);
}

int auto_begin(struct bp_group *group)
{
	struct bp_engine *engine = group->engine;
	struct limit_control *control = group->control;

	engine_assert_locked(engine);
	if (control)
		return 0;
	control = calloc(1, sizeof(*control));
	if (!control)
		return -ENOMEM;
	control->loops = engine->nloops;
	control->most = group->auto_most ? group->auto_most :
					   (uint64_t)engine->depth * engine->nloops;
	control->compute_share = compute_share;
	control->group = group;
	limit_begin(control, bp_now(engine), group->limit > 0 ? (uint64_t)group->limit : 0);
	group->control = control;
	group_mark(&group->head, GROUP_SPECIAL);
	use_limit(group);
	return 0;
}

void auto_stop(struct bp_group *group)
{
	free(group->control);
	group->control = NULL;
}

void auto_end(struct bp_group *group, uint64_t now, uint64_t took, bool failed)
{
	/* Who adds items may be a moment late, or lets some places become free before it adds the next. */
	bool full = (group->running + group->heavy) * 4 >= (uint64_t)group->limit * 3;

	engine_assert_locked(group->engine);
	/* Who gives its place back lets in those that have one now. */
	if (limit_end(group->control, now, took, failed, full))
		use_limit(group);
}

bool auto_need(struct bp_group *group, uint64_t places, bool keep)
{
	engine_assert_locked(group->engine);
	if (!group->control || places > LONG_MAX)
		return false;
	limit_need(group->control, bp_now(group->engine), places, keep);
	use_limit(group);
	return true;
}
