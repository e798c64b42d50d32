/* SPDX-License-Identifier: MIT */
/*
 * Handles: one item that is cancelled alone, joined, and tells of its end. See handle.h.
 */
#include <stdlib.h>

#include "handle.h"

struct bp_handle *handle_make(struct bp_engine *engine, void *arg)
{
	struct bp_handle *handle = calloc(1, sizeof(*handle));

	if (!handle)
		return NULL;
	handle->engine = engine;
	handle->arg = arg;
	handle->refs = 2; /* the item and the holder */
	list_init(&handle->joiners);
	engine_lock(engine);
	engine->nhandles++;
	engine_unlock(engine);
	return handle;
}

static void unref(struct bp_handle *handle)
{
	engine_assert_locked(handle->engine);
	if (--handle->refs)
		return;
	handle->engine->nhandles--;
	free(handle);
}

void handle_unmake(struct bp_handle *handle)
{
	struct bp_engine *engine = handle->engine;

	engine_lock(engine);
	handle->refs = 1;
	unref(handle);
	engine_unlock(engine);
}

void handle_ended(struct bp_handle *handle, enum bp_end end, int result)
{
	struct bp_engine *engine = handle->engine;
	bp_report_fn told;

	engine_assert_locked(engine);
	handle->ended = true;
	handle->end = end;
	handle->result = result;
	while (!list_empty(&handle->joiners))
		wait_wake(waiter_of_link(handle->joiners.next), 0);
	told = handle->told;
	if (told) {
		engine_unlock(engine);
		told(handle->told_arg, handle->arg, end, result);
		engine_lock(engine);
	}
	unref(handle);
}

/** On the item's loop: ends what it does, as a cancel of its group would. */
static void stop_item(struct bp_loop *loop, struct bp_message *message)
{
	struct bp_handle *handle = container_of(message, struct bp_handle, stop);
	struct bp_engine *engine = handle->engine;
	struct bp_op *op;

	engine_lock(engine);
	op = handle->op;
	engine_unlock(engine);
	/* It ends on this thread alone. */
	if (op && op->kind_ == OP_KIND_TASK)
		task_stop_alone(loop, task_of_op(op));
	else if (op)
		loop_cancel(loop, op);
	engine_lock(engine);
	unref(handle);
	engine_unlock(engine);
}

static struct bp_engine *handle_enter(const struct bp_handle *handle, const char *call)
{
	bp_need(handle, call, "handle");
	engine_check_thread(handle->engine, call);
	engine_lock(handle->engine);
	return handle->engine;
}

int bp_handle_cancel(struct bp_handle *handle, int cause)
{
	struct bp_engine *engine = handle_enter(handle, __func__);
	int err = handle->op ? 0 : -ESRCH;

	if (!err && !atomic_load_explicit(&handle->cancelled, memory_order_relaxed)) {
		handle->cause = cause > 0 ? -cause : cause ? cause : -ECANCELED;
		atomic_store_explicit(&handle->cancelled, true, memory_order_relaxed);
		PROBE3(cancel_item, handle->op->group_, handle->op, handle->cause);
	}
	/* What no loop has taken is looked at when one does. */
	if (!err && handle->loop && !handle->stop_posted) {
		handle->stop_posted = true;
		handle->refs++;
		handle->stop.handle = stop_item;
		loop_post(handle->loop, &handle->stop);
	}
	engine_unlock(engine);
	return err;
}

static int join(struct bp_handle *handle, int *result, uint64_t until, const char *call)
{
	struct bp_engine *engine = handle_enter(handle, call);
	struct waiter waiter = {.engine = engine, .what = "an item"};
	struct bp_task *self = call_context(engine) == CONTEXT_TASK ? task_current() : NULL;
	int err = wait_reason(engine);

	if (!err && self && handle->op == &self->op)
		err = -EDEADLK;
	else if (!err && !handle->ended)
		err = wait_in_line(&waiter, &handle->joiners, until);
	if (!err && result)
		*result = handle->result;
	engine_unlock(engine);
	return err;
}

int bp_handle_join(struct bp_handle *handle, int *result)
{
	return join(handle, result, BP_NEVER, __func__);
}

int bp_handle_join_until(struct bp_handle *handle, int *result, uint64_t deadline_ns)
{
	return join(handle, result, deadline_ns, __func__);
}

int bp_handle_end(const struct bp_handle *handle, enum bp_end *end, int *result)
{
	struct bp_engine *engine = handle_enter(handle, __func__);
	int err = handle->ended ? 0 : -EAGAIN;

	if (!err && end)
		*end = handle->end;
	if (!err && result)
		*result = handle->result;
	engine_unlock(engine);
	return err;
}

int bp_handle_notify(struct bp_handle *handle, bp_report_fn fn, void *arg)
{
	struct bp_engine *engine;
	bool ended;
	int err = 0;

	bp_need(handle, __func__, "handle");
	if (!fn)
		return -EINVAL;
	engine = handle_enter(handle, __func__);
	ended = handle->ended;
	if (handle->told) {
		err = -EBUSY;
	} else {
		handle->told = fn;
		handle->told_arg = arg;
	}
	engine_unlock(engine);
	if (!err && ended)
		fn(arg, handle->arg, handle->end, handle->result);
	return err;
}

void bp_handle_release(struct bp_handle *handle)
{
	struct bp_engine *engine;

	if (!handle)
		return;
	engine = handle_enter(handle, __func__);
	unref(handle);
	engine_unlock(engine);
}
