/* SPDX-License-Identifier: MIT */
/*
 * A loop: one thread, one backend instance, and the operations that go through it.
 *
 * Everything here is touched by the loop's own thread alone, except what says otherwise. A loop
 * knows operations and their states; what an operation belongs to (a task, a group) it reaches only
 * through the hooks that the engine gives it.
 *
 * State of a struct bp_op (op->state_):
 *
 *	IDLE ---------> READY ----> RUNNABLE <----------------------------+
 *	  accepted by     taken by     |  resumed                         |
 *	  a group         a loop       v                                  |
 *	                            RUNNING --+--> BACKLOG --> IN_FLIGHT -+  an operation
 *	                               |      +--> SLEEPING --------------+  bp_sleep()
 *	                               |      +--> POOLED ----------------+  bp_offload()
 *	                               v      +--> WAITING ---------------+  for another: wait.h, op_multi.c
 *	                             ENDED
 *
 * An operation item has no code to run between its operations: it goes from READY to BACKLOG or
 * IN_FLIGHT, and from RUNNABLE to ENDED or back, or to POOLED where the kernel had no thread for it.
 * The ticket of a task goes from READY to IDLE where the task takes its place (task.h).
 * What never starts goes from READY to ENDED, and what is cancelled in the BACKLOG to RUNNABLE. op_set_state() is the one way from state to state.
 */
#ifndef BP_LOOP_H
#define BP_LOOP_H

#include "core.h"
#include "probes.h"
#include "stack.h"

enum op_state {
	OP_IDLE,
	OP_READY,
	OP_RUNNABLE,
	OP_RUNNING,
	OP_BACKLOG,
	OP_IN_FLIGHT,
	OP_SLEEPING,
	OP_POOLED,
	OP_WAITING,
	OP_ENDED,
};

extern const char *const op_state_names[];

#ifdef BP_DEBUG
/**
 * Ends the program unless the picture above has the way from the operation's state to @to. With
 * BATCHPROC_TRACE=1 in the environment it says each such step on stderr.
 */
void op_check_state(const struct bp_op *op, enum op_state to);
#endif

/**
 * Moves an operation to another state. The loop's own thread, or under the lock before a loop has
 * it. Stored as one piece, since bp_engine_dump() looks from another thread.
 */
static inline void op_set_state(struct bp_op *op, enum op_state to)
{
#ifdef BP_DEBUG
	op_check_state(op, to);
#endif
	__atomic_store_n(&op->state_, (unsigned char)to, __ATOMIC_RELAXED);
}

enum op_kind {
	OP_KIND_TASK,
	OP_KIND_ITEM,
	OP_KIND_INNER, /* beside that of its task: no group counts it, done() does all */
};

/* op->flags_ */
enum {
	OPF_CANCEL_SENT = 1 << 0, /* its cancel is with the backend */
	OPF_COMPLETED = 1 << 1, /* its last CQE came before the answer to its cancel */
	OPF_CANCELLING = 1 << 2, /* a cancel is wanted until it has completed */
	OPF_FIRST_RES = 1 << 3, /* end_ holds the result that counts, of several */
	OPF_NO_CANCEL = 1 << 4, /* bp_close() */
	OPF_TIMED_OUT = 1 << 5, /* the item's timeout has fired */
	OPF_TIMED = 1 << 6, /* the item has a timeout */
	OPF_PATIENT = 1 << 7, /* it waits for a peer, and takes no place of the depth */
};

/* Sent to a loop by another thread: a node of its inbox. */
struct bp_message {
	struct bp_message *next;
	void (*handle)(struct bp_loop *loop, struct bp_message *message);
};

/* What is done for a loop by the files that stand on it. */
struct bp_loop_hooks {
	/** Starts up to @room accepted items that no loop has taken yet. */
	void (*take)(struct bp_loop *loop, unsigned int room);
	/** Hands @n completions, loop->batch, to loop_completed() and on to their owners. */
	void (*dispatch)(struct bp_loop *loop, unsigned int n);
	/** Resumes a task, or tells an operation item its result; MORE in @flags: not its last. */
	void (*deliver)(struct bp_loop *loop, struct bp_op *op, int res, unsigned int flags);
	/** Fires the deadlines of groups that have passed. */
	void (*deadlines)(struct bp_loop *loop);
	/** Admits what waited for the queues to have room. */
	void (*room)(struct bp_engine *engine);
	/**
	 * For the simulation, under the lock: whether one waits for room although there is some.
	 */
	bool (*overlooked)(const struct bp_engine *engine);
	/**
	 * Under the lock: nothing runs, and nothing can but a bp_go() that gives up with -EDEADLK.
	 * Return: whether there was one.
	 */
	bool (*break_idle)(struct bp_engine *engine);
};

#define LOOP_BATCH 256

struct bp_loop {
	struct bp_engine *engine;
	const struct bp_backend_ops *backend;
	const struct bp_loop_hooks *hooks;
	void *backend_data;
	unsigned int index, depth;
	uint64_t patient_ops; /* a bit for each opcode that takes no place of the depth */
	uint64_t odd_ops; /* opcodes, a bit each, of which loop_submitted_odd() is told */
	int for_device; /* reads and writes since the backend was last entered; < 0: not to be looked at */

	struct bp_link_ runnable; /* tasks to resume */
	struct bp_link_ backlog; /* operations without a place in the completion queue */
	struct bp_link_ cancels; /* operations in flight whose cancel was not sent yet */
	struct bp_link_ stubborn; /* cancelled without effect so far: to be cancelled again */
	struct bp_link_ finished; /* over without the backend: their result is in res_ */
	struct bp_timer_ again; /* when the stubborn are cancelled again */
	uint64_t again_ns; /* how long that waits now */
	struct timer_heap timers;
	uint64_t now; /* as of this turn */
	unsigned int cancels_out; /* cancels that the backend has not answered */
	unsigned int pooled; /* operations with the helper threads */
	unsigned int inline_calls; /* calls made beside the backend in this turn */
	uint64_t trimmed; /* when it last gave memory of stacks back */
	bool trim_again; /* and there may be more */
	unsigned int take_more; /* items to start in one turn, beyond the least: see item.c */
	uint64_t woke_other; /* when it last woke another loop for an item */
	bool submitting; /* an operation's prep() may be running */
	bool stale; /* the driving thread was elsewhere since now was read */

	struct bp_op *running; /* the task that runs now */
	uintptr_t errno_at; /* errno of the loop's thread, see loop_errno(); with LOOP_CXX */
	struct bp_context self;
	struct stack_pool stacks;

	/* read by other threads */
	_Atomic unsigned int in_flight; /* operations submitted and not completed, but for: */
	_Atomic unsigned int patient; /* those of patient_ops */
	_Atomic unsigned int starting; /* items taken whose first operation may be to come */
	_Atomic unsigned int live_tasks; /* tasks that have a stack */
	_Atomic size_t stacks_mapped;
	_Atomic unsigned int stack_guard; /* enum stack_guard, the weakest in use */
	_Atomic(struct bp_message *) inbox;
	_Atomic bool sleeping;

	const struct fixed_table *fixed[ENROLL_KINDS]; /* the engine's, once all loops know it */
	struct bufs *bufs; /* its share of each of the engine's rings of buffers */
	bool enrolled[ENROLL_KINDS]; /* the backend keeps it under the same numbers */

	struct bp_completion batch[LOOP_BATCH];
};

/* The loop whose thread this is, while it drives; else NULL. */
extern BP_THREAD_LOCAL struct bp_loop *bp_this_loop;

/** In a child of fork(): no loop is the calling thread's any more. */
void loop_forget_this(void);

int loop_init(struct bp_loop *loop, struct bp_engine *engine, unsigned int index);
void loop_exit(struct bp_loop *loop);

/** One turn: starts, resumes, submits, waits until @until at most, dispatches. */
void loop_turn(struct bp_loop *loop, uint64_t until);

/**
 * Between two turns that an outer event loop has taken: from now on the loop is one that sleeps. Return: when the
 * next turn has to be taken at the latest, BP_NEVER: when it is woken; 0: at once.
 */
uint64_t loop_rest(struct bp_loop *loop);

/** Whether nothing that the loop owns can ever make progress by itself. */
bool loop_idle(const struct bp_loop *loop);

/** Where an operation waits when the ring has no place for it. */
void loop_backlog(struct bp_loop *loop, struct bp_op *op);

/** Ends what a task or operation item waits for, if it can be ended from here. */
void loop_cancel(struct bp_loop *loop, struct bp_op *op);

/** Lets a suspended task run again in this turn or the next. Own thread only. */
void loop_make_runnable(struct bp_loop *loop, struct bp_op *op);

/** Hands a message to a loop, which will handle it in its own thread. Any thread. */
void loop_post(struct bp_loop *loop, struct bp_message *message);

/** Makes a loop that waits look at its inbox and at the ready items. Any thread. */
void loop_wake(struct bp_loop *loop);

/* In a bit that an address leaves free, so that who has no C++ pays nothing: see task_suspend(). */
#define LOOP_CXX 1u

static inline int *loop_errno(const struct bp_loop *loop)
{
	return (int *)(loop->errno_at & ~(uintptr_t)LOOP_CXX);
}

/** The same where loop_has_cxx() is false. */
static inline int *loop_errno_plain(const struct bp_loop *loop)
{
	return (int *)loop->errno_at;
}

/** Whether a C++ runtime is loaded, whose exceptions belong to tasks. */
static inline bool loop_has_cxx(const struct bp_loop *loop)
{
	return loop->errno_at & LOOP_CXX;
}

/** Brings loop->now up to date if the driving thread was elsewhere since the last turn. */
static inline void loop_freshen(struct bp_loop *loop)
{
	if (likely(!loop->stale))
		return;
	loop->stale = false;
	loop->now = loop->backend->now(loop->engine);
}

/** Lets other threads see how many stacks there are. */
static inline void loop_note_stacks(struct bp_loop *loop)
{
	atomic_store_explicit(&loop->stacks_mapped, loop->stacks.all_mapped, memory_order_relaxed);
	atomic_store_explicit(&loop->stack_guard, loop->stacks.guard, memory_order_relaxed);
}

static inline unsigned int loop_in_flight(const struct bp_loop *loop)
{
	return atomic_load_explicit(&loop->in_flight, memory_order_relaxed);
}

static inline void loop_in_flight_add(struct bp_loop *loop, unsigned int n)
{
	atomic_store_explicit(&loop->in_flight, loop_in_flight(loop) + n, memory_order_relaxed);
}

/** Operations that wait for a peer, and may do so for ever. */
static inline unsigned int loop_patient(const struct bp_loop *loop)
{
	return atomic_load_explicit(&loop->patient, memory_order_relaxed);
}

static inline void loop_patient_add(struct bp_loop *loop, unsigned int n)
{
	atomic_store_explicit(&loop->patient, loop_patient(loop) + n, memory_order_relaxed);
}

/**
 * An operation that was submitted gives its place back at once, because it may wait for ever while
 * others, as reads of files are, end by themselves and need the place.
 */
static inline void loop_be_patient(struct bp_loop *loop, struct bp_op *op)
{
	op->flags_ |= OPF_PATIENT;
	loop_patient_add(loop, 1);
	loop_in_flight_add(loop, -1u);
}

/** Takes an operation that is over out of its count. */
static inline void loop_count_end(struct bp_loop *loop, struct bp_op *op)
{
	if (op->flags_ & OPF_PATIENT)
		loop_patient_add(loop, -1u);
	else
		loop_in_flight_add(loop, -1u);
}

/** An operation of loop->odd_ops was submitted: it is counted, and a full batch is handed to the device. */
void loop_submitted_odd(struct bp_loop *loop, struct bp_op *op, int opcode);

/** Gives an operation to the backend, beside those @in_flight. Return: whether it took it. */
static inline __attribute__((always_inline)) bool
loop_try_submit(struct bp_loop *loop, struct bp_op *op, unsigned int in_flight)
{
	int opcode;

	/* Counted first: prep() may ask for more, and must see the place taken. */
	atomic_store_explicit(&loop->in_flight, in_flight + 1, memory_order_relaxed);
	loop->submitting = true;
	opcode = loop->backend->submit(loop, op);
	loop->submitting = false;
	if (unlikely(opcode < 0)) {
		loop_in_flight_add(loop, -1u);
		return false;
	}
	op_set_state(op, OP_IN_FLIGHT);
	PROBE3(submit, op->group_, op, opcode);
	if (unlikely(loop->odd_ops >> (opcode & 63) & 1))
		loop_submitted_odd(loop, op, opcode);
	return true;
}

/** Whether an item waits to be started that this loop has room for. */
static inline bool loop_has_ready(const struct bp_loop *loop)
{
	return atomic_load(&loop->engine->ready) && loop_in_flight(loop) < loop->depth;
}

/**
 * Puts an operation on its way: to the backend, or to the backlog when the ring has no place. @flags:
 * OPF_NO_CANCEL or 0.
 */
static inline __attribute__((always_inline)) void loop_submit(struct bp_loop *loop,
							      struct bp_op *op, unsigned int flags)
{
	unsigned int in_flight = loop_in_flight(loop);

	op->flags_ = (unsigned char)((op->flags_ & (OPF_TIMED | OPF_TIMED_OUT)) | flags);
	if (unlikely(in_flight >= loop->depth || !list_empty(&loop->backlog)) ||
	    unlikely(!loop_try_submit(loop, op, in_flight)))
		loop_backlog(loop, op);
}

/** As loop_completed(), for what is more than the plain end of an operation; it delivers itself. */
void loop_completed_otherwise(struct bp_loop *loop, const struct bp_completion *c);

/** Notes a completion. Return: whether it is to be delivered now. */
static inline bool loop_completed(struct bp_loop *loop, const struct bp_completion *c)
{
	struct bp_op *op = c->op;

	if (unlikely(c->flags & (BP_COMPLETION_CANCEL | BP_COMPLETION_MORE)) ||
	    unlikely(op->flags_ & (OPF_FIRST_RES | OPF_CANCELLING | OPF_PATIENT))) {
		loop_completed_otherwise(loop, c);
		return false;
	}
	loop_in_flight_add(loop, -1u);
	op_set_state(op, OP_RUNNABLE);
	PROBE5(complete, op->group_, op, op->opcode_, c->res, c->flags);
	return true;
}

static inline struct bp_op *op_of_link(struct bp_link_ *link)
{
	return container_of(link, struct bp_op, link_);
}

/* ---------------------------------------------------------------- all loops of an engine */

/** Makes the loops, with a thread for each where they have threads. Return: 0 or -errno. */
int loops_start(struct bp_engine *engine);
void loops_stop(struct bp_engine *engine);

/** Places of a completion queue that are taken, or about to be. Any thread. */
static inline unsigned int loop_busy(const struct bp_loop *loop)
{
	return atomic_load_explicit(&loop->starting, memory_order_acquire) + loop_in_flight(loop);
}

/** Whether the completion queues have no place for one more item. Under the lock. */
static inline bool loops_full(const struct bp_engine *engine)
{
	size_t busy = engine_ready(engine) + engine->granted, depth = engine->depth;
	struct bp_loop *const *loops = engine->loops;
	unsigned int i, n = engine->nloops;

	engine_assert_locked(engine);
	busy += loop_busy(loops[0]);
	if (likely(n == 1))
		return busy >= depth;
	for (i = 1; i < n; i++)
		busy += loop_busy(loops[i]);
	return busy >= depth * n;
}

/** A loop that waits and has room for an item, other than the caller's own; or NULL. */
struct bp_loop *loops_sleeper(struct bp_engine *engine);

/** Wakes one loop that waits, if there is one, because items are ready. */
void loops_wake_one(struct bp_engine *engine);

/** Lets an engine without threads work until @until at most, once. Return: false if it is idle. */
bool loops_drive(struct bp_engine *engine, uint64_t until);

#endif /* BP_LOOP_H */
