/* SPDX-License-Identifier: MIT */
/*
 * Items with options: a weight, a handle, a loop of their own. The plain ones are in admit.c.
 */
#include <stdlib.h>
#include <string.h>

#include "handle.h"

static int check_opts(const struct bp_go_opts *opts, const struct bp_engine *engine)
{
	if (opts->weight > BP_WEIGHT_MAX || opts->loop < BP_LOOP_ANY ||
	    (opts->loop >= 0 && (unsigned int)opts->loop >= engine->nloops))
		return -EINVAL;
	return 0;
}

/** Gives an item that has its places what it has beyond others. Under the lock. */
static void make_special(struct bp_group *group, struct bp_op *op, const struct bp_go_opts *opts,
			 struct bp_handle *handle)
{
	engine_assert_locked(group->engine);
	if (!handle && opts->weight == 1)
		return;
	group_mark(&group->head, GROUP_SPECIAL);
	if (!handle) {
		op->extra_ = (opts->weight - 1) << 1 | 1;
		return;
	}
	handle->heavy = opts->weight - 1;
	handle->op = op;
	op->extra_ = (uintptr_t)handle;
	*opts->handle = handle;
}

/** Reads the options, and makes the handle if one is wanted. Return: 0 or -errno. */
static int begin(struct bp_engine *engine, struct bp_go_opts *opts, const struct bp_go_opts *user,
		 void *arg, struct bp_handle **handle, const char *call)
{
	int err;

	engine_check_thread(engine, call);
	*handle = NULL;
	err = opts_copy(opts, sizeof(*opts), user);
	if (!err && opts->handle)
		*opts->handle = NULL;
	if (!err)
		err = check_opts(opts, engine);
	if (!err && !opts->weight)
		opts->weight = 1;
	if (!err && opts->handle) {
		*handle = handle_make(engine, arg);
		err = *handle ? 0 : -ENOMEM;
	}
	return err;
}

static int go_task(struct bp_group *group, bp_task_fn fn, void *arg, const struct bp_go_opts *user,
		   const char *call)
{
	struct bp_engine *engine = group_engine(group, call);
	struct bp_go_opts opts = BP_GO_OPTS();
	struct bp_handle *handle;
	struct bp_task *task = NULL;
	void *copy = NULL;
	int err = begin(engine, &opts, user, arg, &handle, call);

	if (!err && (!fn || (opts.copy_size && !arg)))
		err = -EINVAL;
	if (!err && opts.copy_size) {
		copy = malloc(opts.copy_size);
		err = copy ? 0 : -ENOMEM;
	}
	if (copy)
		arg = memcpy(copy, arg, opts.copy_size);
	if (!err) {
		engine_lock(engine);
		err = admit(group, opts.weight, opts.try_now);
		if (!err && !(task = ticket_alloc(engine))) {
			admit_undo(group, opts.weight);
			err = -ENOMEM;
		}
		if (!err) {
			task->fn = fn;
			task->arg = arg;
			task->copy = copy;
			task->stack = NULL;
			task->op.kind_ = OP_KIND_TASK;
			if (handle)
				handle->arg = arg;
			make_special(group, &task->op, &opts, handle);
			admit_enlist(group, &task->op, opts.loop);
		}
		engine_unlock(engine);
	}
	if (err) {
		free(copy);
		if (handle)
			handle_unmake(handle);
		return err;
	}
	admit_announce(engine);
	return 0;
}

int bp_go_with(struct bp_group *group, bp_task_fn fn, void *arg, const struct bp_go_opts *opts)
{
	return go_task(group, fn, arg, opts, __func__);
}

int bp_go_weighted(struct bp_group *group, uint64_t weight, bp_task_fn fn, void *arg)
{
	return go_task(group, fn, arg, &BP_GO_OPTS(.weight = weight), __func__);
}

int bp_go_handle(struct bp_group *group, struct bp_handle **handle, bp_task_fn fn, void *arg)
{
	return handle ? go_task(group, fn, arg, &BP_GO_OPTS(.handle = handle), __func__) : -EINVAL;
}

int bp_go_on(struct bp_group *group, unsigned int loop, bp_task_fn fn, void *arg)
{
	if (loop >= BP_LOOPS_MAX)
		return -EINVAL;
	return go_task(group, fn, arg, &BP_GO_OPTS(.loop = (int)loop), __func__);
}

int bp_go_op_with(struct bp_group *group, struct bp_op *op, const struct bp_go_opts *user)
{
	struct bp_engine *engine = group_engine(group, __func__);
	struct bp_go_opts opts = BP_GO_OPTS();
	struct bp_handle *handle;
	int err = begin(engine, &opts, user, op, &handle, __func__);

	if (!err && (!op || !op->prep || !op->done || opts.copy_size))
		err = -EINVAL;
	if (!err) {
		admit_check_op(op, __func__);
		engine_lock(engine);
		err = admit(group, opts.weight, opts.try_now);
		if (!err) {
			op->kind_ = OP_KIND_ITEM;
			make_special(group, op, &opts, handle);
			admit_enlist(group, op, opts.loop);
		}
		engine_unlock(engine);
	}
	if (err) {
		if (handle)
			handle_unmake(handle);
		return err;
	}
	admit_announce(engine);
	return 0;
}

int bp_loop_index(void)
{
	return bp_this_loop ? (int)bp_this_loop->index : -1;
}
