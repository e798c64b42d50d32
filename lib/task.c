/* SPDX-License-Identifier: MIT */
/*
 * Tasks: their start, their suspension and their end; sleep, yield, offload, shields and timeout
 * scopes. See task.h.
 */
#include <stdlib.h>
#include <string.h>

#include "cxx.h"
#include "task.h"

#define SLAB_TICKETS 64
/* They are read as tasks, of which they are the beginning, so they are aligned as those are. */
#define TICKET_STEP ((TASK_TICKET_SIZE + 63) / 64 * 64)

struct task_slab {
	struct task_slab *next;
	char tickets[SLAB_TICKETS * TICKET_STEP] __attribute__((aligned(64)));
};

struct bp_task *task_need(const char *call)
{
	struct bp_task *task = task_current();

	if (unlikely(!task))
		bp_fatal("%s: called outside of a task", call);
	return task;
}

bool task_slab_create(struct bp_engine *engine)
{
	struct task_slab *slab = aligned_alloc(64, sizeof(*slab));
	unsigned int i;

	if (!slab)
		return false;
	memset(slab, 0, sizeof(*slab));
	slab->next = engine->task_slabs;
	engine->task_slabs = slab;
	for (i = SLAB_TICKETS; i > 0; i--)
		ticket_free(engine, (struct bp_task *)(slab->tickets + (i - 1) * TICKET_STEP));
	return true;
}

void task_free_copy(struct bp_task *task)
{
	free(task->copy);
	task->copy = NULL;
}

void task_slabs_free(struct bp_engine *engine)
{
	while (engine->task_slabs) {
		struct task_slab *slab = engine->task_slabs;

		engine->task_slabs = slab->next;
		free(slab);
	}
}

void task_prep(struct bp_op *op, struct io_uring_sqe *sqe)
{
	*sqe = task_of_op(op)->sqe;
}

/** What a task leaves at its end, on its own stack: its values are destroyed, all else is misuse. */
static __attribute__((noinline)) void task_settle(struct bp_task *task)
{
	task_locals_end(task);
	if (task->scopes)
		bp_fatal("a task ended inside bp_timeout_begin()");
	if (task->mutexes)
		bp_fatal("a task ended that holds a mutex");
}

void task_entry(void *arg)
{
	struct bp_task *task = arg;
	int res;

	context_entered(&task->op.loop_->self);
	res = task->fn(task->arg);
	if (unlikely(task->owes))
		task_settle(task);
	task->op.res_ = res;
	op_set_state(&task->op, OP_ENDED);
	context_leave(&task->stack->ctx, &task->op.loop_->self, true);
	bp_fatal("an ended task was resumed");
}

struct bp_stack *task_stack(struct bp_loop *loop, const struct bp_task *task)
{
	const struct task_group *group = (const struct task_group *)task->op.group_;
	struct stack_pool *pool = &loop->stacks;
	struct bp_stack *stack;

	if (group_marks(group, GROUP_STACKS))
		pool = stack_pool_of(pool, group->stack_size);
	stack = pool ? stack_get(pool) : NULL;
	loop_note_stacks(loop);
	return stack;
}

int task_suspend_cxx(struct bp_task *task)
{
	struct bp_loop *loop = task->op.loop_;
	struct cxx_state exceptions = cxx_take();
	int saved = *loop_errno(loop);

	context_leave(&task->stack->ctx, &loop->self, false);
	*loop_errno(loop) = saved;
	cxx_give(exceptions);
	return task->op.res_;
}

bool task_shielded(const struct bp_task *task)
{
	const struct bp_timeout *scope;

	if (!task->shield)
		return false;
	/* A scope that was begun inside the shield is no stranger to it. */
	for (scope = task->scopes; scope; scope = scope->outer_)
		if (scope->fired_ && scope->shield_ >= task->shield)
			return false;
	return true;
}

struct io_uring_sqe *bp_sqe(void)
{
	struct bp_task *task = task_need(__func__);

	memset(&task->sqe, 0, sizeof(task->sqe));
	task->prepared = true;
	return &task->sqe;
}

int bp_await(void)
{
	struct bp_task *task = task_need(__func__);

	/* What the SQE holds otherwise is an earlier operation, and its buffer may be gone. */
	if (unlikely(!task->prepared))
		bp_fatal("%s: called without bp_sqe() before", __func__);
	task->prepared = false;
	return task_await(task, false);
}

static void sleep_over(struct bp_loop *loop, struct bp_timer_ *timer)
{
	struct bp_task *task = container_of(timer, struct bp_task, timer);

	task->op.res_ = 0;
	loop_make_runnable(loop, &task->op);
}

int bp_sleep(uint64_t ns)
{
	struct bp_task *task = task_need(__func__);
	struct bp_loop *loop = task->op.loop_;
	int reason = task_reason(task);

	if (reason)
		return reason;
	task->timer.when = time_after(bp_now(loop->engine), ns);
	task->timer.fire = sleep_over;
	timer_add(&loop->timers, &task->timer);
	op_set_state(&task->op, OP_SLEEPING);
	return task_result(task, task_suspend(task));
}

int bp_yield(void)
{
	struct bp_task *task = task_need(__func__);
	struct bp_loop *loop = task->op.loop_;
	int reason = task_reason(task);

	if (reason)
		return reason;
	loop_make_runnable(loop, &task->op);
	task_suspend(task);
	return task_reason(task);
}

static void offload_over(struct bp_loop *loop, struct bp_message *message)
{
	struct pool_job *job = container_of(message, struct pool_job, message);
	struct bp_task *task = container_of(job, struct bp_task, job);

	loop->pooled--;
	task->op.res_ = job->result;
	loop_make_runnable(loop, &task->op);
}

int task_offload(struct bp_task *task, int (*fn)(void *), void *arg)
{
	struct bp_loop *loop = task->op.loop_;
	int err = task_reason(task);

	if (err)
		return err;
	task->job.fn = fn;
	task->job.arg = arg;
	task->job.class = POOL_OFFLOAD;
	task->job.loop = loop;
	task->job.message.handle = offload_over;
	/* Before it is queued; its end comes as a message, when this task is suspended. */
	loop->pooled++;
	if (loop->backend->offload)
		err = loop->backend->offload(loop, &task->job);
	else
		err = pool_put(loop->engine->pool, &task->job);
	if (err) {
		loop->pooled--;
		return err;
	}
	op_set_state(&task->op, OP_POOLED);
	return task_result(task, task_suspend(task));
}

int bp_offload(int (*fn)(void *arg), void *arg)
{
	struct bp_task *task = task_need(__func__);

	return fn ? task_offload(task, fn, arg) : -EINVAL;
}

static void scope_over(struct bp_timeout *scope)
{
	struct bp_task *task = scope->task_;

	if (scope->fired_)
		return;
	scope->fired_ = true;
	task->fired++;
}

/** A task that computes keeps its loop from looking at the clock: it looks itself. */
static void look_at_clock(struct bp_task *task)
{
	const struct task_group *group = (const struct task_group *)task->op.group_;
	struct bp_loop *loop = task->op.loop_;
	struct bp_timeout *scope;

	loop->now = bp_now(loop->engine);
	if (engine_next_deadline(loop->engine) <= loop->now)
		loop->hooks->deadlines(loop);
	if ((task->op.flags_ & OPF_TIMED) && task->op.timer_.when <= loop->now &&
	    !group_marks(group, GROUP_CANCELLED))
		task_time_out(task);
	for (scope = task->scopes; scope; scope = scope->outer_)
		if (scope->timer_.when <= loop->now)
			scope_over(scope);
}

bool bp_cancelled(void)
{
	struct bp_task *task = task_need(__func__);
	const struct task_group *group = (const struct task_group *)task->op.group_;

	look_at_clock(task);

	return group_marks(group, GROUP_CANCELLED) || task->fired;
}

void bp_shield_begin(void)
{
	task_need(__func__)->shield++;
}

void bp_shield_end(void)
{
	struct bp_task *task = task_need(__func__);

	if (!task->shield)
		bp_fatal("bp_shield_end() without bp_shield_begin()");
	task->shield--;
}

static void scope_fired(struct bp_loop *loop, struct bp_timer_ *timer)
{
	struct bp_timeout *scope = container_of(timer, struct bp_timeout, timer_);
	struct bp_task *task = scope->task_;

	scope_over(scope);
	task_stop(loop, task);
}

void bp_timeout_begin(struct bp_timeout *scope, uint64_t ns)
{
	struct bp_task *task = task_need(__func__);
	struct bp_loop *loop = task->op.loop_;
	const struct bp_timeout *outer;

	bp_need(scope, __func__, "scope");
	for (outer = task->scopes; outer; outer = outer->outer_)
		if (outer == scope)
			bp_fatal("%s: this scope has begun already", __func__);
	/* No more than the struct of 0.1.0 had: a program may have been built against that. */
	memset(scope, 0, offsetof(struct bp_timeout, spare_));
	scope->task_ = task;
	scope->outer_ = task->scopes;
	scope->shield_ = task->shield;
	task->scopes = scope;
	task->owes = true;
	scope->timer_.when = time_after(bp_now(loop->engine), ns);
	scope->timer_.fire = scope_fired;
	timer_add(&loop->timers, &scope->timer_);
}

int bp_timeout_end(struct bp_timeout *scope)
{
	struct bp_task *task = task_need(__func__);

	if (!scope || task->scopes != scope)
		bp_fatal("bp_timeout_end() of a scope that is not the task's innermost");
	task->scopes = scope->outer_;
	timer_del(&task->op.loop_->timers, &scope->timer_);
	if (scope->fired_)
		task->fired--;
	else if (bp_now(task->op.loop_->engine) < scope->timer_.when)
		return 0;
	return -ETIMEDOUT;
}
