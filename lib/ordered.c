/* SPDX-License-Identifier: MIT */
/*
 * Results in the order of input: a group whose items may end in any order, and are delivered in the
 * order in which they were added. Over the public functions alone.
 *
 * Each item has a slot in a ring of as many as the window is wide, and a semaphore counts the free
 * ones. An item's report marks its slot, and whoever finds the oldest slot over delivers from there
 * on, one at a time; the others only mark.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base.h"

enum slot_state {
	SLOT_FREE,
	SLOT_BUSY,
	SLOT_OVER,
	SLOT_VOID, /* it was not accepted */
};

struct slot {
	bp_map_fn fn;
	void *arg;
	enum slot_state state;
	enum bp_end end;
	int res;
	_Alignas(max_align_t) unsigned char result[];
};

struct bp_ordered {
	struct bp_group *group;
	struct bp_semaphore room;
	pthread_mutex_t lock; /* for what follows; never held across a call */
	uint64_t next, oldest;
	bool delivering;

	size_t window, result_size, stride;
	bp_deliver_fn deliver;
	void *deliver_arg;
	unsigned char *slots;
};

static struct slot *slot_of(const struct bp_ordered *o, uint64_t number)
{
	return (struct slot *)(void *)(o->slots + number % o->window * o->stride);
}

static bool is_over(const struct slot *slot)
{
	return slot->state == SLOT_OVER || slot->state == SLOT_VOID;
}

/** A slot is in its last @state: delivers what is next, unless somebody does so already. */
static void settle(struct bp_ordered *o, struct slot *slot, enum slot_state state)
{
	pthread_mutex_lock(&o->lock);
	slot->state = state;
	while (!o->delivering && is_over(slot_of(o, o->oldest))) {
		slot = slot_of(o, o->oldest);
		o->delivering = true;
		pthread_mutex_unlock(&o->lock);
		if (slot->state == SLOT_OVER)
			o->deliver(o->deliver_arg, slot->arg, slot->end, slot->res, slot->result);
		pthread_mutex_lock(&o->lock);
		slot->state = SLOT_FREE;
		o->oldest++;
		pthread_mutex_unlock(&o->lock);
		bp_semaphore_release(&o->room, 1);
		pthread_mutex_lock(&o->lock);
		o->delivering = false;
	}
	pthread_mutex_unlock(&o->lock);
}

static int run(void *arg)
{
	struct slot *slot = arg;

	return slot->fn(slot->arg, slot->result);
}

static void report(void *ctx, void *arg, enum bp_end end, int result)
{
	struct slot *slot = arg;

	slot->end = end;
	slot->res = result;
	settle(ctx, slot, SLOT_OVER);
}

static int make(struct bp_ordered *o, struct bp_engine *engine, const struct bp_ordered_opts *opts)
{
	struct bp_group_opts group_opts = opts->group ? *opts->group : bp_group_opts_default();

	if (opts->group && opts->group->report)
		return -EINVAL;
	group_opts.report = report;
	group_opts.report_arg = o;
	o->window = opts->window ? opts->window : BP_WINDOW_DEFAULT;
	o->result_size = opts->result_size;
	o->stride = sizeof(struct slot) + (opts->result_size + sizeof(max_align_t) - 1) /
						  sizeof(max_align_t) * sizeof(max_align_t);
	o->deliver = opts->deliver;
	o->deliver_arg = opts->deliver_arg;
	o->slots = calloc(o->window, o->stride);
	if (!o->slots)
		return -ENOMEM;
	bp_semaphore_init(&o->room, engine, o->window);
	return bp_group_create(&o->group, engine, &group_opts);
}

int bp_ordered_create(struct bp_ordered **ordered, struct bp_engine *engine,
		      const struct bp_ordered_opts *user)
{
	struct bp_ordered_opts opts = {.sz = sizeof(opts)};
	struct bp_ordered *o;
	int err;

	if (!ordered)
		return -EINVAL;
	*ordered = NULL;
	bp_need(engine, __func__, "engine");
	err = opts_copy(&opts, sizeof(opts), user);
	if (!err &&
	    (!opts.deliver || opts.window > BP_WINDOW_MAX || opts.result_size > BP_RESULT_MAX))
		err = -EINVAL;
	if (err)
		return err;
	o = calloc(1, sizeof(*o));
	if (!o)
		return -ENOMEM;
	pthread_mutex_init(&o->lock, NULL);
	err = make(o, engine, &opts);
	if (err) {
		bp_ordered_destroy(o);
		return err;
	}
	*ordered = o;
	return 0;
}

int bp_ordered_go(struct bp_ordered *o, bp_map_fn fn, void *arg)
{
	struct slot *slot;
	int err;

	bp_need(o, __func__, "collector");
	if (!fn)
		return -EINVAL;
	err = bp_semaphore_acquire(&o->room, 1);
	if (err)
		return err;
	pthread_mutex_lock(&o->lock);
	slot = slot_of(o, o->next++);
	slot->state = SLOT_BUSY;
	pthread_mutex_unlock(&o->lock);
	slot->fn = fn;
	slot->arg = arg;
	memset(slot->result, 0, o->result_size);
	err = bp_go(o->group, run, slot);
	if (err)
		settle(o, slot, SLOT_VOID);
	return err;
}

struct bp_group *bp_ordered_group(struct bp_ordered *o)
{
	bp_need(o, __func__, "collector");
	return o->group;
}

void bp_ordered_destroy(struct bp_ordered *o)
{
	if (!o)
		return;
	bp_group_destroy(o->group);
	pthread_mutex_destroy(&o->lock);
	free(o->slots);
	free(o);
}
