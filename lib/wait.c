/* SPDX-License-Identifier: MIT */
/*
 * How tasks and threads wait for each other, and are woken; see wait.h.
 */
#include "wait.h"

static void task_woken(struct bp_loop *loop, struct bp_message *message)
{
	struct waiter *waiter = container_of(message, struct waiter, message);

	loop_make_runnable(loop, &waiter->task->op);
}

void wait_wake(struct waiter *waiter, int result)
{
	struct bp_engine *engine = waiter->engine;

	engine_assert_locked(engine);
	list_del(&waiter->link);
	waiter->woken = true;
	waiter->result = result;
	if (!waiter->task) {
		if (engine->threaded)
			pthread_cond_signal(&waiter->cond);
		else
			engine->driver_woken = engine->driven;
		return;
	}
	waiter->message.handle = task_woken;
	if (waiter->task->op.loop_ == bp_this_loop || engine->driven) {
		loop_make_runnable(waiter->task->op.loop_, &waiter->task->op);
		if (unlikely(engine->outer))
			loop_wake(waiter->task->op.loop_);
	} else {
		loop_post(waiter->task->op.loop_, &waiter->message);
	}
}

static void wait_timed_out(struct bp_loop *loop, struct bp_timer_ *timer)
{
	struct bp_task *task = container_of(timer, struct bp_task, timer);
	struct waiter *waiter = task->waiter;

	engine_lock(loop->engine);
	if (!waiter->woken)
		wait_wake(waiter, -ETIMEDOUT);
	engine_unlock(loop->engine);
}

static void block_task(struct waiter *waiter, uint64_t until,
		       void (*interrupt)(struct bp_task *task))
{
	struct bp_task *task = waiter->task;
	struct bp_loop *loop = task->op.loop_;

	task->waiter = waiter;
	task->interrupt = interrupt;
	if (until != BP_NEVER) {
		task->timer.when = until;
		task->timer.fire = wait_timed_out;
		timer_add(&loop->timers, &task->timer);
	}
	engine_unlock(loop->engine);
	op_set_state(&task->op, OP_WAITING);
	task_suspend(task);
	engine_lock(loop->engine);
	timer_del(&loop->timers, &task->timer);
	task->waiter = NULL;
}

static void block_thread(struct waiter *waiter, uint64_t until)
{
	struct bp_engine *engine = waiter->engine;
	pthread_condattr_t attr;
	int err = 0;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&waiter->cond, &attr);
	pthread_condattr_destroy(&attr);
	while (!waiter->woken && err != ETIMEDOUT)
		err = engine_cond_wait(engine, &waiter->cond, until);
	pthread_cond_destroy(&waiter->cond);
}

static void block_driving(struct waiter *waiter, uint64_t until)
{
	struct bp_engine *engine = waiter->engine;
	struct bp_loop *loop = engine->loops[0];
	bool first = true;

	/* One turn at least: with a time that has come already this is how to poll. */
	do {
		/* Since the turn before the thread was nowhere else. */
		loop->stale = loop->stale && first;
		first = false;
		if (loops_drive(engine, until))
			continue;
		/* Nothing runs, and nothing can: only one that gives up can change that. */
		if (engine->hooks->break_idle(engine))
			continue;
		if (!waiter->yields)
			bp_deadlock("deadlock: everything on this engine waits for something else");
		wait_wake(waiter, -EDEADLK);
	} while (!waiter->woken && (until == BP_NEVER || bp_now(engine) < until));
	engine->driver_woken = false;
	/* The outer loop knows nothing of what was begun meanwhile: it is to take a turn. */
	if (unlikely(engine->outer)) {
		loop_rest(engine->loops[0]);
		loop_wake(engine->loops[0]);
	}
}

void wait_block(struct waiter *waiter, struct bp_link_ *queue, uint64_t until,
		void (*interrupt)(struct bp_task *task))
{
	struct bp_engine *engine = waiter->engine;
	int cancellable;

	engine_assert_locked(engine);
	list_add_tail(queue, &waiter->link);
	if (waiter->task) {
		block_task(waiter, until, interrupt);
	} else {
		/*
		 * A thread that ended in here would leave the lock held, and itself in the queue.
		 */
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancellable);
		if (engine->threaded)
			block_thread(waiter, until);
		else
			block_driving(waiter, until);
		pthread_setcancelstate(cancellable, NULL);
	}
	if (!waiter->woken) {
		list_del(&waiter->link);
		waiter->result = -ETIMEDOUT;
	}
}

static void wait_interrupted(struct bp_task *task)
{
	struct waiter *waiter = task->waiter;
	struct bp_engine *engine = waiter->engine;

	engine_lock(engine);
	if (!waiter->woken)
		wait_wake(waiter, task_reason(task));
	engine_unlock(engine);
}

int wait_in_line(struct waiter *waiter, struct bp_link_ *queue, uint64_t until)
{
	enum call_context context = call_context(waiter->engine);

	if (context == CONTEXT_CALLBACK)
		return -EDEADLK;
	waiter->task = context == CONTEXT_TASK ? task_current() : NULL;
	waiter->yields = true;
	wait_block(waiter, queue, until, wait_interrupted);
	return waiter->result;
}

int wait_reason(const struct bp_engine *engine)
{
	return call_context(engine) == CONTEXT_TASK ? task_reason(task_current()) : 0;
}
