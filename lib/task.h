/* SPDX-License-Identifier: MIT */
/*
 * A task: a function on a stack of its own that suspends at each operation.
 *
 * A struct bp_task is an item of its group (its struct bp_op) and the one operation that the task
 * waits for. It stands at the top of the task's own stack, in a page that is touched anyway. That is
 * taken when the task starts, so that what waits for its turn costs no stack: until then there is a
 * ticket from the engine's pool, the first few fields of the struct. From its start to its end only
 * its loop's thread touches it.
 */
#ifndef BP_TASK_H
#define BP_TASK_H

#include "loop.h"
#include "pool.h"

/* What is rarely so of a group, in one byte that is looked at once where several matter. */
enum {
	GROUP_CANCELLED = 1 << 0,
	GROUP_CLOSED = 1 << 1, /* its wait has returned */
	GROUP_SPECIAL =
		1
		<< 2, /* items that are more than ordinary, see handle.h, or a limit that is found */
	GROUP_STACKS = 1 << 3, /* its tasks have stacks of their own size */
};

/* How a group looks to a task: the first member of struct bp_group. */
struct task_group {
	_Atomic unsigned char marks; /* written under the lock, or before others know it */
	size_t stack_size; /* of its tasks, with GROUP_STACKS */
};

/** Those of @marks that the group has. Any thread. */
static inline unsigned int group_marks(const struct task_group *group, unsigned int marks)
{
	return atomic_load_explicit(&group->marks, memory_order_relaxed) & marks;
}

static inline void group_mark(struct task_group *group, unsigned int mark)
{
	atomic_store_explicit(&group->marks, (unsigned char)(group_marks(group, 0xff) | mark),
			      memory_order_relaxed);
}

struct task_local;
struct waiter;
struct multi;

struct bp_task {
	struct bp_op op;
	bp_task_fn fn;
	void *arg;
	void *copy; /* what bp_go_copy() allocated, or NULL */
	struct bp_stack *stack; /* NULL: it has not begun, and there is nothing beyond this field */
	unsigned int shield;
	unsigned int
		fired; /* times that ran out: of its scopes, of the item; and one where it was cancelled alone */
	bool alone; /* it was cancelled without its group */
	bool prepared; /* bp_sqe() was called, and bp_await() was not since */
	bool owes; /* it has begun a scope, locked a mutex or set a value: see task_settle() */
	unsigned int mutexes; /* that it holds */
	struct io_uring_sqe sqe __attribute__((aligned(64)));
	struct bp_timeout *scopes;
	struct task_local *locals; /* see task_local.c */
	/* While it waits (wait.h): told that the task shall end. */
	void (*interrupt)(struct bp_task *task);
	struct waiter *waiter; /* under the lock */
	struct multi *multi; /* what it waits for in bp_recv_multi_next() */
	struct bp_mutex *wants; /* the mutex that it waits for; under the lock */
	struct bp_timer_ timer; /* of bp_sleep() and bp_wait_until() */
	struct pool_job job;
};

#define TASK_TICKET_SIZE (offsetof(struct bp_task, stack) + sizeof(struct bp_stack *))

_Static_assert(sizeof(struct bp_task) <= STACK_ROOM, "it stands there");
_Static_assert(sizeof(struct bp_stack) % _Alignof(struct bp_task) == 0, "that is behind it");

static inline struct bp_task *task_of_op(struct bp_op *op)
{
	return container_of(op, struct bp_task, op);
}

/** The task that calls, or NULL. */
static inline struct bp_task *task_current(void)
{
	struct bp_loop *loop = bp_this_loop;

	return loop && loop->running ? task_of_op(loop->running) : NULL;
}

/** The task that calls; ends the program when the caller is none. */
struct bp_task *task_need(const char *call);

/** Makes some tickets for the engine's pool. Return: whether it could. */
bool task_slab_create(struct bp_engine *engine);
void task_slabs_free(struct bp_engine *engine);
void task_free_copy(struct bp_task *task);

/** A ticket from the engine's pool, or NULL. Under the engine's lock. */
static inline struct bp_task *ticket_alloc(struct bp_engine *engine)
{
	struct bp_link_ *link;

	engine_assert_locked(engine);
	if (unlikely(!engine->task_free) && !task_slab_create(engine))
		return NULL;
	link = engine->task_free;
	engine->task_free = link->next;
	link->next = NULL;
	return task_of_op(op_of_link(link));
}

static inline void ticket_free(struct bp_engine *engine, struct bp_task *ticket)
{
	engine_assert_locked(engine);
	ticket->op.link_.next = engine->task_free;
	engine->task_free = &ticket->op.link_;
}

/** A stack for the task where none is free, or where it is not of the usual size; or NULL. */
struct bp_stack *task_stack(struct bp_loop *loop, const struct bp_task *task);

/** First code on a task's stack, with the task. */
void task_entry(void *arg);

/** Fills a task's SQE. */
void task_prep(struct bp_op *op, struct io_uring_sqe *sqe);

static inline void live_tasks_add(struct bp_loop *loop, unsigned int n)
{
	atomic_store_explicit(&loop->live_tasks,
			      atomic_load_explicit(&loop->live_tasks, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

/**
 * Makes the task of a ticket, on a stack on which task_resume() will start it. The ticket is to be freed
 * when nobody knows it any more. Return: the task, or NULL: no memory.
 */
static inline struct bp_task *task_make(struct bp_loop *loop, const struct bp_task *ticket)
{
	const struct task_group *group = (const struct task_group *)ticket->op.group_;
	struct bp_stack *stack = NULL;
	struct bp_task *task;

	if (likely(!group_marks(group, GROUP_STACKS)))
		stack = stack_get_free(&loop->stacks);
	if (unlikely(!stack)) {
		stack = task_stack(loop, ticket);
		if (!stack)
			return NULL;
	}
	task = stack_room(stack);
	op_set_state(&task->op, OP_READY);
	task->op.prep = task_prep;
	task->op.kind_ = OP_KIND_TASK;
	task->op.flags_ = 0;
	task->op.group_ = ticket->op.group_;
	task->op.member_.next = NULL;
	task->op.loop_ = loop;
	task->op.extra_ = ticket->op.extra_;
	task->fn = ticket->fn;
	task->arg = ticket->arg;
	task->copy = ticket->copy;
	task->stack = stack;
	task->shield = 0;
	task->fired = 0;
	task->alone = false;
	task->prepared = false;
	task->owes = false;
	context_begin(stack, task_entry, task, &loop->self);
	live_tasks_add(loop, 1);
	return task;
}

/** Goes on with a suspended task until it suspends or ends. */
static inline void task_resume(struct bp_loop *loop, struct bp_task *task)
{
	bp_assert(!loop->running && task->op.loop_ == loop);
	op_set_state(&task->op, OP_RUNNING);
	loop->running = &task->op;
	context_enter(&loop->self, &task->stack->ctx);
	loop->running = NULL;
}

/** Gives back what an ended task stands on, or the ticket of one that never was. Under the lock. */
static inline void task_finish(struct bp_loop *loop, struct bp_task *task)
{
	const struct task_group *group = (const struct task_group *)task->op.group_;
	struct bp_stack *stack = task->stack;

	if (unlikely(task->copy))
		task_free_copy(task);
	if (unlikely(!stack)) {
		ticket_free(loop->engine, task);
		return;
	}
	stack_put(unlikely(group_marks(group, GROUP_STACKS)) ? stack->pool : &loop->stacks, stack);
	live_tasks_add(loop, -1u);
}

/*
 * errno is the task's own, as a thread's is the thread's: it finds it as it was, whatever ran on
 * the loop meanwhile. Through a pointer, since a compiler may look up the thread's errno but once.
 */

/** As task_suspend(), where the exceptions of C++ are the task's own too. */
int task_suspend_cxx(struct bp_task *task);

/**
 * Leaves the running task, whose operation has its new state, until somebody resumes it.
 * Return: its op's result.
 */
static inline int task_suspend(struct bp_task *task)
{
	struct bp_loop *loop = task->op.loop_;
	int *errno_at, saved;

	if (unlikely(loop_has_cxx(loop)))
		return task_suspend_cxx(task);
	errno_at = loop_errno_plain(loop);
	saved = *errno_at;
	context_leave(&task->stack->ctx, &loop->self, false);
	*errno_at = saved;
	return task->op.res_;
}

/** Ends what a suspended task waits for, because its group was cancelled or a timeout fired. */
void task_stop(struct bp_loop *loop, struct bp_task *task);

/** The item's time has run out. */
static inline void task_time_out(struct bp_task *task)
{
	if (!(task->op.flags_ & OPF_TIMED_OUT))
		task->fired++;
	task->op.flags_ |= OPF_TIMED_OUT;
}

/** Ends what one task waits for, and its group goes on. */
void task_stop_alone(struct bp_loop *loop, struct bp_task *task);

/** Destroys the values of a task that ends, on its own stack. */
void task_locals_end(struct bp_task *task);

/** Whether what would end the task stays outside of a shield that it is in. */
bool task_shielded(const struct bp_task *task);

/** Why the task's operations shall not go on: 0, -ECANCELED or -ETIMEDOUT. Shields count. */
static inline int task_reason(const struct bp_task *task)
{
	const struct task_group *group = (const struct task_group *)task->op.group_;

	if (likely(!group_marks(group, GROUP_CANCELLED) && !task->fired))
		return 0;
	if (task_shielded(task))
		return 0;
	if (task->shield)
		return -ETIMEDOUT;
	if (task->alone || group_marks(group, GROUP_CANCELLED))
		return -ECANCELED;
	return -ETIMEDOUT;
}

/** The reason, where an operation was ended by it; else the operation's own result. */
static inline int task_result(const struct bp_task *task, int res)
{
	int reason;

	if (unlikely(res == -ECANCELED || res == -EINTR)) {
		reason = task_reason(task);
		if (reason)
			return reason;
	}
	return res;
}

/** Submits task->sqe and waits for its end; @always: although the task was cancelled. */
static inline int task_await(struct bp_task *task, bool always)
{
	int reason = task_reason(task), res;

	if (unlikely(reason) && !always)
		return reason;
	loop_submit(task->op.loop_, &task->op, always ? OPF_NO_CANCEL : 0);
	res = task_suspend(task);
	return always ? res : task_result(task, res);
}

/** Runs @fn on a helper thread and waits for its end. */
int task_offload(struct bp_task *task, int (*fn)(void *), void *arg);

#endif /* BP_TASK_H */
