/* SPDX-License-Identifier: MIT */
/*
 * The loop's turn and the travel of an operation through it; see loop.h for the states.
 *
 * A turn starts new items, resumes what is runnable, sends cancels and the backlog, then enters the
 * backend once to submit and to wait, copies the completions out and dispatches the copies. Copying
 * first means that a task which submits while it is dispatched never meets a ring that is being
 * read, that a completion is never handled inside another's handler, and that the kernel gets its
 * queue space back before anything can ask for more.
 */

#include "compat.h"
#include "cxx.h"
#include "loop.h"

/* How long the stubborn wait for their next cancel; doubled each time up to the maximum. */
#define AGAIN_MIN_NS 1000000ull
#define AGAIN_MAX_NS 100000000ull

/*
 * Answers to cancels that may be outstanding at once: the completion queue has a reserve for them.
 */
#define CANCELS_OUT_MAX 64

/*
 * What waits for a peer. A completion queue of any size takes any number of them: the kernel keeps
 * what does not fit, and hands it over at the next entry (IORING_FEAT_NODROP, 5.5).
 */
#define BIT(opcode) (1ull << (opcode))
#define PATIENT_OPS                                                                                \
	(BIT(IORING_OP_RECV) | BIT(IORING_OP_RECVMSG) | BIT(IORING_OP_ACCEPT) |                    \
	 BIT(IORING_OP_POLL_ADD) | BIT(IORING_OP_TIMEOUT) | BIT(BP_IORING_OP_EPOLL_WAIT) |         \
	 BIT(BP_IORING_OP_WAITID) | BIT(BP_IORING_OP_FUTEX_WAIT))

/*
 * What may go to a device is handed to the kernel a few at a time: while the rest of a burst is still
 * prepared the device has work. Random O_DIRECT reads of 4 KiB, 64 in flight, come in bursts of 20 to
 * 50; with batches of 8 a bare ring makes 92,000 a second of them for the same CPU time as 83,000 with
 * whole bursts. What the kernel does at once gains nothing: where a batch of reads was in the page
 * cache, so many that follow are left to the end of the turn.
 */
#define DEVICE_BATCH 8
#define DEVICE_PAUSE 1024
#define DEVICE_OPS                                                                                 \
	(BIT(IORING_OP_READ) | BIT(IORING_OP_READV) | BIT(IORING_OP_READ_FIXED) |                  \
	 BIT(BP_IORING_OP_READV_FIXED) | BIT(IORING_OP_WRITE) | BIT(IORING_OP_WRITEV) |            \
	 BIT(IORING_OP_WRITE_FIXED) | BIT(BP_IORING_OP_WRITEV_FIXED))

BP_THREAD_LOCAL struct bp_loop *bp_this_loop;

uint64_t bp_now(const struct bp_engine *engine)
{
	bp_need(engine, __func__, "engine");
	return engine->backend->now(engine);
}

static void cancel_again(struct bp_loop *loop, struct bp_timer_ *timer)
{
	(void)timer;
	list_splice_tail(&loop->cancels, &loop->stubborn);
}

int loop_init(struct bp_loop *loop, struct bp_engine *engine, unsigned int index)
{
	struct bp_stack *first;
	int err;

	loop->engine = engine;
	loop->index = index;
	loop->errno_at = (uintptr_t)&errno | (cxx_state() ? LOOP_CXX : 0);
	loop->backend = engine->backend;
	loop->hooks = engine->hooks;
	loop->depth = engine->depth;
	loop->patient_ops = engine->patient ? PATIENT_OPS : 0;
	loop->odd_ops = loop->patient_ops | (loop->backend->hand_over ? DEVICE_OPS : 0);
	list_init(&loop->runnable);
	list_init(&loop->backlog);
	list_init(&loop->cancels);
	list_init(&loop->stubborn);
	list_init(&loop->finished);
	loop->again.fire = cancel_again;
	loop->again_ns = AGAIN_MIN_NS;
	stack_pool_init(&loop->stacks, engine->stack_size);
	context_init_self(&loop->self);
	loop->now = loop->backend->now(engine);
	err = loop->backend->init(loop);
	if (err)
		return err;
	/* One stack, so that bp_engine_info() can say how they are guarded here. */
	first = stack_get(&loop->stacks);
	if (!first) {
		loop->backend->exit(loop);
		return -ENOMEM;
	}
	stack_put(&loop->stacks, first);
	loop_note_stacks(loop);
	return 0;
}

void loop_exit(struct bp_loop *loop)
{
	bp_assert(loop_in_flight(loop) + loop_patient(loop) == 0 && loop->pooled == 0);
	loop->backend->exit(loop);
	stack_pool_exit(&loop->stacks);
}

void loop_forget_this(void)
{
	bp_this_loop = NULL;
}

void loop_make_runnable(struct bp_loop *loop, struct bp_op *op)
{
	op_set_state(op, OP_RUNNABLE);
	list_add_tail(&loop->runnable, &op->link_);
}

void loop_backlog(struct bp_loop *loop, struct bp_op *op)
{
	op_set_state(op, OP_BACKLOG);
	list_add_tail(&loop->backlog, &op->link_);
}

void loop_submitted_odd(struct bp_loop *loop, struct bp_op *op, int opcode)
{
	if (loop->patient_ops >> (opcode & 63) & 1) {
		loop_be_patient(loop, op);
	} else if (++loop->for_device == DEVICE_BATCH) {
		loop->for_device = 0;
		if (loop->backend->hand_over(loop, DEVICE_BATCH))
			loop->for_device = -DEVICE_PAUSE;
	}
}

static void flush_backlog(struct bp_loop *loop)
{
	struct bp_link_ *link;

	while (loop_in_flight(loop) < loop->depth && (link = list_pop(&loop->backlog))) {
		if (!loop_try_submit(loop, op_of_link(link), loop_in_flight(loop))) {
			list_add_head(&loop->backlog, link);
			return;
		}
	}
}

static void flush_cancels(struct bp_loop *loop)
{
	struct bp_link_ *link;

	while (loop->cancels_out < CANCELS_OUT_MAX && (link = list_pop(&loop->cancels))) {
		struct bp_op *op = op_of_link(link);

		bp_assert(op->state_ == OP_IN_FLIGHT && !(op->flags_ & OPF_CANCEL_SENT));
		if (loop->backend->cancel(loop, op)) {
			list_add_head(&loop->cancels, link);
			return;
		}
		op->flags_ |= OPF_CANCEL_SENT;
		loop->cancels_out++;
	}
}

/** Ends an operation that is not with the backend. */
static void finish_here(struct bp_loop *loop, struct bp_op *op)
{
	op->res_ = -ECANCELED;
	list_add_tail(&loop->finished, &op->link_);
}

void loop_cancel(struct bp_loop *loop, struct bp_op *op)
{
	switch ((enum op_state)op->state_) {
	case OP_BACKLOG:
		if (op->flags_ & OPF_NO_CANCEL)
			return;
		list_del(&op->link_);
		op_set_state(op, OP_RUNNABLE);
		finish_here(loop, op);
		return;
	case OP_IN_FLIGHT:
		if (op->flags_ & (OPF_NO_CANCEL | OPF_CANCELLING))
			return;
		op->flags_ |= OPF_CANCELLING;
		list_add_tail(&loop->cancels, &op->link_);
		loop->again_ns = AGAIN_MIN_NS;
		return;
	default:
		/* Not in the loop's hands. */
		return;
	}
}

/** The operation and its cancel are both over: nothing in the backend knows it any more. */
static void op_over(struct bp_loop *loop, struct bp_op *op, int res, unsigned int flags)
{
	loop_count_end(loop, op);
	op_set_state(op, OP_RUNNABLE);
	PROBE5(complete, op->group_, op, op->opcode_, res, flags);
	loop->hooks->deliver(loop, op, res, flags);
}

static void cancel_answered(struct bp_loop *loop, struct bp_op *op)
{
	loop->cancels_out--;
	op->flags_ &= ~OPF_CANCEL_SENT;
	if (op->flags_ & OPF_COMPLETED) {
		op_over(loop, op, op->res_, op->cqe_flags);
		return;
	}
	/*
	 * The answer says little: ENOENT or EALREADY may mean that the operation is about to
	 * complete, or that it was between two states and goes on waiting. It is cancelled again
	 * until it has ended.
	 */
	list_add_tail(&loop->stubborn, &op->link_);
	if (!timer_armed(&loop->again)) {
		loop->again.when = loop->now + loop->again_ns;
		if (loop->again_ns < AGAIN_MAX_NS)
			loop->again_ns *= 2;
		timer_add(&loop->timers, &loop->again);
	}
}

void loop_completed_otherwise(struct bp_loop *loop, const struct bp_completion *c)
{
	struct bp_op *op = c->op;
	int res = c->res;

	if (unlikely(c->flags & BP_COMPLETION_CANCEL)) {
		cancel_answered(loop, op);
		return;
	}
	if (unlikely(c->flags & BP_COMPLETION_MORE)) {
		PROBE5(complete, op->group_, op, op->opcode_, res, c->flags);
		if (op->kind_ != OP_KIND_TASK) {
			loop->hooks->deliver(loop, op, res, c->flags);
		} else if (!(op->flags_ & OPF_FIRST_RES)) {
			op->flags_ |= OPF_FIRST_RES;
			op->end_ = res;
		}
		return;
	}
	if (unlikely(op->flags_ & (OPF_FIRST_RES | OPF_CANCELLING))) {
		if ((op->flags_ & OPF_FIRST_RES) && op->kind_ == OP_KIND_TASK) {
			/* What the news says of the buffer: for bp_send_zc(). */
			op->cqe_flags = (unsigned int)res;
			res = op->end_;
		}
		if (list_linked(&op->link_)) {
			list_del(&op->link_);
		} else if (op->flags_ & OPF_CANCEL_SENT) {
			op->flags_ |= OPF_COMPLETED;
			op->res_ = res;
			if (op->kind_ != OP_KIND_TASK)
				op->cqe_flags = c->flags;
			return;
		}
	}
	op_over(loop, op, res, c->flags);
}

static void run_finished(struct bp_loop *loop)
{
	struct bp_link_ batch, *link;

	list_init(&batch);
	list_splice_tail(&batch, &loop->finished);
	while ((link = list_pop(&batch))) {
		struct bp_op *op = op_of_link(link);

		loop->hooks->deliver(loop, op, op->res_, 0);
	}
}

static void run_runnable(struct bp_loop *loop)
{
	struct bp_link_ batch, *link;

	list_init(&batch);
	list_splice_tail(&batch, &loop->runnable);
	while ((link = list_pop(&batch))) {
		struct bp_op *op = op_of_link(link);

		loop->hooks->deliver(loop, op, op->res_, 0);
	}
}

static void run_inbox(struct bp_loop *loop)
{
	struct bp_message *message, *fifo = NULL;

	if (likely(!atomic_load_explicit(&loop->inbox, memory_order_relaxed)))
		return;
	message = atomic_exchange_explicit(&loop->inbox, NULL, memory_order_acquire);
	while (message) {
		struct bp_message *next = message->next;

		message->next = fifo;
		fifo = message;
		message = next;
	}
	while (fifo) {
		message = fifo;
		fifo = message->next;
		message->handle(loop, message);
	}
}

static void run_timers(struct bp_loop *loop)
{
	struct bp_timer_ *timer;

	if (unlikely(engine_next_deadline(loop->engine) <= loop->now))
		loop->hooks->deadlines(loop);
	while ((timer = timer_pop(&loop->timers, loop->now)))
		timer->fire(loop, timer);
}

static inline bool something_to_run(const struct bp_loop *loop)
{
	return !list_empty(&loop->runnable) || !list_empty(&loop->finished);
}

/** When the turn's wait must end at the latest, as far as this loop knows. */
static uint64_t wait_bound(struct bp_loop *loop, uint64_t until)
{
	uint64_t next = timer_next(&loop->timers);
	/* In order after loop->sleeping: who sets an earlier one looks for sleepers after that. */
	uint64_t deadline = atomic_load(&loop->engine->next_deadline);

	if (next < until)
		until = next;
	return deadline < until ? deadline : until;
}

/*
 * After a spike of tasks the stacks that are many more than those in use give their memory back:
 * when the loop has nothing to do, and not all the time.
 */
#define TRIM_PAUSE_NS NSEC_PER_SEC

/** Return: @until, or earlier where it wants to look again. */
static __attribute__((noinline)) uint64_t trim_stacks(struct bp_loop *loop, uint64_t until)
{
	size_t live = atomic_load_explicit(&loop->live_tasks, memory_order_relaxed);
	uint64_t again;

	if (loop->stacks.all_mapped / 4 < live) {
		loop->trim_again = true;
		return until;
	}
	if (loop->now - loop->trimmed >= TRIM_PAUSE_NS) {
		loop->trimmed = loop->now;
		loop->trim_again = stack_trim(&loop->stacks);
	}
	again = loop->trimmed + TRIM_PAUSE_NS;
	return loop->trim_again && again < until ? again : until;
}

/** Waits and copies completions; lets other threads know that it may have to be woken. */
static unsigned int reap(struct bp_loop *loop, uint64_t until)
{
	unsigned int n;

	/* What the backend had no room for just now it may have after this reap. */
	if (something_to_run(loop) || loop->engine->driver_woken ||
	    (!list_empty(&loop->cancels) && !loop->cancels_out) ||
	    (!list_empty(&loop->backlog) && loop_in_flight(loop) < loop->depth))
		until = 0;
	if (until) {
		atomic_store(&loop->sleeping, true);
		if (unlikely(atomic_load(&loop->engine->is_starved)))
			loop->hooks->room(loop->engine);
		if (something_to_run(loop) || atomic_load(&loop->inbox) || loop_has_ready(loop))
			until = 0;
		else
			until = wait_bound(loop, until);
		/* Woken for items, and filled up meanwhile: the wake-up is passed on. */
		if (until && unlikely(atomic_load(&loop->engine->ready)) && !loop->engine->driven)
			loops_wake_one(loop->engine);
		/* Nothing can end such a wait: the driving thread has to be told instead. */
		if (until == BP_NEVER && loop->engine->driven && !loop->engine->outer &&
		    loop_idle(loop))
			until = 0;
		if (until && unlikely(loop->stacks.many))
			until = trim_stacks(loop, until);
	}
	if (loop->for_device > 0)
		loop->for_device = 0;
	n = loop->backend->reap(loop, loop->batch, LOOP_BATCH, until);
	if (atomic_load_explicit(&loop->sleeping, memory_order_relaxed))
		atomic_store_explicit(&loop->sleeping, false, memory_order_relaxed);
	return n;
}

/** Whether a turn now would not be in vain. */
static bool restless(const struct bp_loop *loop)
{
	return something_to_run(loop) || atomic_load(&loop->inbox) || loop_has_ready(loop) ||
	       (!list_empty(&loop->cancels) && !loop->cancels_out) ||
	       (!list_empty(&loop->backlog) && loop_in_flight(loop) < loop->depth) ||
	       loop->backend->pending(loop);
}

uint64_t loop_rest(struct bp_loop *loop)
{
	uint64_t until;

	atomic_store(&loop->sleeping, true);
	if (restless(loop))
		return 0;
	until = wait_bound(loop, BP_NEVER);
	return unlikely(loop->stacks.many) ? trim_stacks(loop, until) : until;
}

void loop_turn(struct bp_loop *loop, uint64_t until)
{
	struct bp_engine *engine = loop->engine;
	unsigned int n;

	if (unlikely(engine->forks != base_forks))
		bp_fatal("a child of fork() goes on with its parent's engine");
	bp_this_loop = loop;
	loop->inline_calls = 0;
	loop_freshen(loop);
	context_note_modes(&loop->self);
	/* First, so that what steps back in its first turn is not resumed in the same one. */
	run_runnable(loop);
	if (loop_has_ready(loop))
		loop->hooks->take(loop, loop->depth - loop_in_flight(loop));
	flush_cancels(loop);
	flush_backlog(loop);
	/* Before the wait: what has ended in this turn may have been all that would end it. */
	if (unlikely(engine_is_starved(engine)))
		loop->hooks->room(engine);
	n = reap(loop, until);
	loop->now = loop->backend->now(engine);
	loop->hooks->dispatch(loop, n);
	run_inbox(loop);
	run_timers(loop);
	run_finished(loop);
	if (unlikely(engine_is_starved(engine)))
		loop->hooks->room(engine);
}

bool loop_idle(const struct bp_loop *loop)
{
	return loop_in_flight(loop) + loop_patient(loop) == 0 && loop->pooled == 0 &&
	       !loop->timers.root && !something_to_run(loop) && list_empty(&loop->backlog) &&
	       !atomic_load_explicit(&loop->inbox, memory_order_relaxed) && !loop_has_ready(loop);
}

void loop_post(struct bp_loop *loop, struct bp_message *message)
{
	struct bp_message *head = atomic_load_explicit(&loop->inbox, memory_order_relaxed);

	do {
		message->next = head;
	} while (!atomic_compare_exchange_weak(&loop->inbox, &head, message));
	loop_wake(loop);
}

void loop_wake(struct bp_loop *loop)
{
	/* The loop says that it sleeps before it looks; we put before we look: one of us sees. */
	if (atomic_load(&loop->sleeping) && atomic_exchange(&loop->sleeping, false))
		loop->backend->wake(loop);
}

/* ---------------------------------------------------------------- all loops of an engine */

struct bp_loop *loops_sleeper(struct bp_engine *engine)
{
	unsigned int i;

	for (i = 0; i < engine->nloops; i++) {
		struct bp_loop *loop = engine->loops[i];

		if (loop != bp_this_loop && atomic_load(&loop->sleeping) &&
		    loop_in_flight(loop) < loop->depth)
			return loop;
	}
	return NULL;
}

void loops_wake_one(struct bp_engine *engine)
{
	struct bp_loop *loop = loops_sleeper(engine);

	if (loop)
		loop_wake(loop);
}

bool loops_drive(struct bp_engine *engine, uint64_t until)
{
	struct bp_loop *loop = engine->loops[0], *outer = bp_this_loop;
	struct cxx_state exceptions = cxx_take();
	int saved = errno;
	bool busy = true;

	if (!engine->driven) {
		busy = engine->backend->drive(engine, until);
	} else if (until == BP_NEVER && engine_next_deadline(engine) == BP_NEVER &&
		   !engine->outer && loop_idle(loop)) {
		busy = false;
	} else {
		atomic_store_explicit(&loop->sleeping, false, memory_order_relaxed);
		loop_turn(loop, until);
		bp_this_loop = outer;
		loop->stale = true;
	}
	/* What the loop and its tasks leave there is not the caller's, nor are his exceptions theirs. */
	errno = saved;
	cxx_give(exceptions);
	return busy;
}
