/* SPDX-License-Identifier: MIT */
/*
 * How a cancel or a timeout reaches a task, whatever it does: one that sleeps is woken, an operation in
 * flight is cancelled, a function that no helper thread has begun is taken back, who waits for
 * another is told. On the task's own loop.
 */
#include "task.h"

static bool take_back(struct bp_loop *loop, struct pool_job *job)
{
	if (loop->backend->take_back)
		return loop->backend->take_back(loop, job);
	return pool_take_back(loop->engine->pool, job);
}

void task_stop(struct bp_loop *loop, struct bp_task *task)
{
	if (task_shielded(task))
		return;
	switch ((enum op_state)task->op.state_) {
	case OP_BACKLOG:
	case OP_IN_FLIGHT:
		loop_cancel(loop, &task->op);
		return;
	case OP_SLEEPING:
		timer_del(&loop->timers, &task->timer);
		task->op.res_ = -ECANCELED;
		loop_make_runnable(loop, &task->op);
		return;
	case OP_POOLED:
		if (!take_back(loop, &task->job)) {
			if (task->job.stop)
				task->job.stop(task->job.arg);
			return;
		}
		loop->pooled--;
		task->op.res_ = -ECANCELED;
		loop_make_runnable(loop, &task->op);
		return;
	case OP_WAITING:
		task->interrupt(task);
		return;
	default:
		/* It runs, or will: its next operation looks. */
		return;
	}
}

void task_stop_alone(struct bp_loop *loop, struct bp_task *task)
{
	if (task->alone)
		return;
	/* As a scope around the whole task that has run out. */
	task->alone = true;
	task->fired++;
	task_stop(loop, task);
}
