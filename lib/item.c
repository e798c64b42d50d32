/* SPDX-License-Identifier: MIT */
/*
 * Items between their acceptance and their end: what a loop takes, starts, resumes and counts.
 *
 * These are the loop's hooks, so they run in its thread. What they change of the group they change
 * under the engine's lock; reports are called without it.
 */
#include "handle.h"
#include "instead.h"

/*
 * Items that a loop starts in one turn. With many they share a system call, and what a turn costs
 * besides: a NOP in a task takes 12 ns less with 64 of them than with 16. With few what they touch
 * stays in the first-level caches: hashing 50,000 files of 8 KiB takes 4% less CPU time with 16. So a
 * loop begins with few, goes on to more while the resumes that are timed are brief, and back at one
 * that is not. Where another loop could have what stands behind one that is not, it stays with few.
 */
#define TAKE_MIN 16
#define TAKE_STEP 4
#define TAKE_MAX 64
#define BRIEF_RESUME_NS 500

/*
 * How many resumes of a group are between two that are timed: none while they are so long that two
 * clock reads cost nothing beside them, up to so many while they are short.
 */
#define SAMPLE_MAX 64
#define LONG_RESUME_NS 5000

static inline void add_relaxed(_Atomic uint64_t *to, uint64_t n)
{
	atomic_store_explicit(to, atomic_load_explicit(to, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

/* ---------------------------------------------------------------- the end of an item */

/** Counts an item's end and draws the consequences for the group. Under the lock. */
static inline __attribute__((always_inline)) enum bp_end
account(struct bp_group *group, struct bp_op *op, void *arg, int result, bool started)
{
	engine_assert_locked(group->engine);
	if (!started) {
		group->never_started++;
		return BP_END_NEVER_STARTED;
	}
	if (likely(result >= 0)) {
		if (group->succeeded++ == 0) {
			group->winner = arg;
			if (op->kind_ == OP_KIND_TASK && task_of_op(op)->copy) {
				group->winner_copy = arg;
				task_of_op(op)->copy = NULL;
			}
		}
		if (group->succeeded == group->stop_after_successes)
			group_cancel_locked(group, 0, CANCEL_BY_SUCCESS);
		return BP_END_SUCCEEDED;
	}
	if (result == -ECANCELED && group_cancelled(group)) {
		group->stopped++;
		return BP_END_STOPPED;
	}
	group->failed++;
	if (!group->first_failure)
		group->first_failure = result;
	if (!group->cause_set && group->stop_after_successes == 0) {
		group->cause_set = true;
		group->cause = result;
	}
	if (group->failed == group->stop_after_failures)
		group_cancel_locked(group, group->first_failure, CANCEL_BY_FAILURE);
	return BP_END_FAILED;
}

/** Counts the end of an item that was cancelled alone: no failure, and no cause. Under the lock. */
static enum bp_end account_alone(struct bp_group *group, bool started)
{
	engine_assert_locked(group->engine);
	if (started)
		group->stopped++;
	else
		group->never_started++;
	return started ? BP_END_STOPPED : BP_END_NEVER_STARTED;
}

/** Takes off an item what it has beyond others. Under the lock. Return: its handle, or NULL. */
static struct bp_handle *strip_special(struct bp_op *op, uint64_t *beside)
{
	struct bp_handle *handle = handle_of(op);

	*beside = heavy_of(op);
	op->extra_ = 0;
	if (handle)
		handle->op = NULL;
	return handle;
}

/**
 * Ends an item: its one and only end. Its memory is the caller's again after the report. Made
 * several times, so that what is @special, the other @kind and a lock that nobody takes cost nothing.
 */
static inline __attribute__((always_inline)) void end_item(struct bp_loop *loop, struct bp_op *op,
							   const unsigned int kind, int result,
							   const bool started, const bool special,
							   const bool locks)
{
	struct bp_group *group = op->group_;
	struct bp_engine *engine = group->engine;
	struct bp_task *task = kind == OP_KIND_TASK ? task_of_op(op) : NULL;
	void *arg = task ? task->arg : op;
	struct bp_handle *handle = NULL;
	uint64_t beside = 0, took = started ? loop->now - op->start_ns_ : 0;
	enum bp_end end;

	if (started)
		add_relaxed(&group->members[loop->index].lifetime_ns, took);
	if (unlikely(op->flags_ & OPF_TIMED)) {
		timer_del(&loop->timers, &op->timer_);
		if ((op->flags_ & OPF_TIMED_OUT) && result == -ECANCELED)
			result = -ETIMEDOUT;
	}
	/* A task that has returned says so itself. */
	if (kind == OP_KIND_ITEM || op->state_ != OP_ENDED)
		op_set_state(op, OP_ENDED);

	engine_lock_if(engine, locks);
	if (list_linked(&op->member_))
		list_del(&op->member_);
	if (special && result == -ECANCELED && cancelled_alone(op)) {
		result = handle_of(op)->cause;
		end = account_alone(group, started);
	} else {
		end = account(group, op, arg, result, started);
	}
	PROBE4(end, group, op, end, result);
	/* From the report on the operation is the caller's, who may free it or add it again. */
	if (special)
		handle = strip_special(op, &beside);
	if (group->report) {
		engine_unlock_if(engine, locks);
		group->report(group->report_arg, arg, end, result);
		engine_lock_if(engine, locks);
	}
	if (special && handle)
		handle_ended(handle, end, result);
	if (task)
		task_finish(loop, task);
	if (special && group->control && !group_cancelled(group) &&
	    (end == BP_END_SUCCEEDED || end == BP_END_FAILED))
		auto_end(group, loop->now, took, end == BP_END_FAILED);
	admit_release(group, beside);
	engine_unlock_if(engine, locks);
}

static __attribute__((noinline)) void item_end_special(struct bp_loop *loop, struct bp_op *op,
						       int result, bool started)
{
	end_item(loop, op, op->kind_, result, started, true, true);
}

__attribute__((noinline)) void item_end(struct bp_loop *loop, struct bp_op *op, int result,
					bool started)
{
	if (unlikely(group_special(op->group_)))
		item_end_special(loop, op, result, started);
	else
		end_item(loop, op, op->kind_, result, started, false, true);
}

/** The end of an item of a known kind that ran. */
static inline __attribute__((always_inline)) void item_ran(struct bp_loop *loop, struct bp_op *op,
							   const unsigned int kind, int result)
{
	if (unlikely(group_special(op->group_)) || loop->engine->locks)
		item_end(loop, op, result, true);
	else
		end_item(loop, op, kind, result, true, false, false);
}

/* ---------------------------------------------------------------- the start of an item */

static void item_timed_out(struct bp_loop *loop, struct bp_timer_ *timer)
{
	struct bp_op *op = container_of(timer, struct bp_op, timer_);

	if (group_cancelled(op->group_))
		return;
	if (op->kind_ == OP_KIND_TASK) {
		task_time_out(task_of_op(op));
		task_stop(loop, task_of_op(op));
	} else {
		op->flags_ |= OPF_TIMED_OUT;
		loop_cancel(loop, op);
	}
}

static __attribute__((noinline)) void task_over(struct bp_loop *loop, struct bp_task *task)
{
	item_ran(loop, &task->op, OP_KIND_TASK, task->op.res_);
}

/** Resumes a task and adds to the estimate of what its group computes. */
static __attribute__((noinline)) void
timed_resume(struct bp_loop *loop, struct group_member *member, struct bp_task *task)
{
	uint64_t begin = bp_now(loop->engine), took;

	task_resume(loop, task);
	took = bp_now(loop->engine) - begin;
	add_relaxed(&member->compute_ns, took * (member->period + 1));
	if (took > BRIEF_RESUME_NS)
		loop->take_more = 0;
	else if (loop->engine->nloops <= 1 && loop->take_more < TAKE_MAX - TAKE_MIN)
		loop->take_more += TAKE_STEP;
	if (took > LONG_RESUME_NS)
		member->period = 0;
	else if (member->period < SAMPLE_MAX - 1)
		member->period = member->period * 2 + 1;
	member->untimed = member->period;
}

/** Runs a task until it suspends or ends. Inline where many are run in turn: see switch.h. */
static inline __attribute__((always_inline)) void resume(struct bp_loop *loop, struct bp_op *op)
{
	struct bp_task *task = task_of_op(op);
	struct group_member *member = &op->group_->members[loop->index];

	if (likely(member->untimed)) {
		member->untimed--;
		task_resume(loop, task);
	} else {
		timed_resume(loop, member, task);
	}
	if (op->state_ == OP_ENDED)
		task_over(loop, task);
}

/** Whether an item was cancelled, alone or with its group. */
static __attribute__((noinline)) bool is_cancelled(const struct bp_op *op)
{
	return group_cancelled(op->group_) || cancelled_alone(op);
}

static inline __attribute__((always_inline)) void start_item(struct bp_loop *loop, struct bp_op *op)
{
	struct bp_group *group = op->group_;

	if (unlikely(group_marks(&group->head, GROUP_CANCELLED | GROUP_SPECIAL)) &&
	    is_cancelled(op)) {
		item_end(loop, op, -ECANCELED, false);
		return;
	}
	item_begin(loop, op);
	if (group->item_timeout_ns) {
		/* Not loop->now: the turn may have begun a while ago. */
		op->timer_.when = time_after(bp_now(group->engine), group->item_timeout_ns);
		op->timer_.fire = item_timed_out;
		op->timer_.prev = NULL;
		op->flags_ |= OPF_TIMED;
		timer_add(&loop->timers, &op->timer_);
	}
	if (op->kind_ == OP_KIND_ITEM) {
		loop_submit(loop, op, 0);
	} else if (unlikely(!task_of_op(op)->stack)) {
		item_end(loop, op, -ENOMEM, true);
	} else {
		resume(loop, op);
	}
}

void group_start_item(struct bp_loop *loop, struct bp_op *op)
{
	start_item(loop, op);
}

static inline unsigned int take_max(const struct bp_loop *loop)
{
	return TAKE_MIN + loop->take_more;
}

/** The next item that waits for its turn, groups taking turns. Under the lock. */
static struct bp_op *next_ready(struct bp_engine *engine)
{
	struct bp_group *group;
	struct bp_op *op;

	engine_assert_locked(engine);
	if (list_empty(&engine->ready_groups))
		return NULL;
	group = container_of(engine->ready_groups.next, struct bp_group, ready_link);
	op = op_of_link(list_pop(&group->ready));
	group->nready--;
	if (list_empty(&group->ready)) {
		list_del(&group->ready_link);
	} else if (group->ready_link.next != &engine->ready_groups) {
		list_del(&group->ready_link);
		list_add_tail(&engine->ready_groups, &group->ready_link);
	}
	return op;
}

/** A task takes the place of its ticket, which nobody knows any more. Under the lock. */
static inline __attribute__((always_inline)) struct bp_op *
take_over(struct bp_engine *engine, struct bp_task *task, struct bp_op *ticket)
{
	engine_assert_locked(engine);
	if (unlikely(ticket->extra_)) {
		ticket->extra_ = 0;
		if (handle_of(&task->op))
			handle_of(&task->op)->op = &task->op;
	}
	PROBE3(move, task->op.group_, ticket, &task->op);
	op_set_state(ticket, OP_IDLE);
	ticket_free(engine, task_of_op(ticket));
	return &task->op;
}

/**
 * Puts items that a loop has taken among those that run there. Those that are tasks get their stacks,
 * where no memory is asked for under the lock; meanwhile they stand in no list, and see a cancel by the
 * mark of their group.
 */
static inline __attribute__((always_inline)) void
enter_items(struct bp_loop *loop, struct bp_op *batch[TAKE_MAX], unsigned int n, const bool locks)
{
	struct bp_engine *engine = loop->engine;
	struct bp_task *made[TAKE_MAX];
	unsigned int i;

	for (i = 0; i < n && locks; i++)
		made[i] = batch[i]->kind_ == OP_KIND_TASK ? task_make(loop, task_of_op(batch[i])) :
							    NULL;
	engine_lock_if(engine, locks);
	for (i = 0; i < n; i++) {
		struct bp_op *op = batch[i];

		if (op->kind_ == OP_KIND_TASK) {
			struct bp_task *task = locks ? made[i] : task_make(loop, task_of_op(op));

			if (unlikely(!task))
				continue;
			op = batch[i] = take_over(engine, task, op);
		}
		group_enter(op->group_, loop, op);
	}
	engine_unlock_if(engine, locks);
}

/** Begins items that a loop has taken. */
static inline __attribute__((always_inline)) void
start_items(struct bp_loop *loop, struct bp_op *batch[TAKE_MAX], unsigned int n)
{
	unsigned int i;

	if (loop->engine->locks)
		enter_items(loop, batch, n, true);
	else
		enter_items(loop, batch, n, false);
	for (i = 0; i < n; i++) {
		start_item(loop, batch[i]);
		atomic_store_explicit(&loop->starting, n - i - 1, memory_order_release);
	}
}

/** bp_loop_hooks.take */
static void take(struct bp_loop *loop, unsigned int room)
{
	struct bp_engine *engine = loop->engine;
	struct bp_op *batch[TAKE_MAX];
	size_t ready, share;
	unsigned int n = 0;

	if (room > take_max(loop))
		room = take_max(loop);
	engine_lock(engine);
	ready = engine_ready(engine);
	share = (ready + engine->nloops - 1) / engine->nloops;
	if (room > share)
		room = (unsigned int)share;
	while (n < room && (batch[n] = next_ready(engine)))
		n++;
	/* Not ready any more and not yet in flight: they need room all the same. */
	atomic_store_explicit(&loop->starting, n, memory_order_release);
	engine_set_ready(engine, ready - n);
	engine_unlock(engine);
	if (!engine->driven && ready > n)
		loops_wake_one(engine);
	start_items(loop, batch, n);
}

void group_start_pinned(struct bp_loop *loop, struct bp_message *message)
{
	struct group_member *member = container_of(message, struct group_member, start);
	struct bp_group *group = member->group;
	struct bp_engine *engine = group->engine;
	struct bp_op *batch[TAKE_MAX];
	unsigned int n = 0;
	bool more;

	engine_lock(engine);
	while (n < take_max(loop) && !list_empty(&member->pinned)) {
		batch[n++] = op_of_link(list_pop(&member->pinned));
	}
	group->npinned -= n;
	engine->granted -= n;
	atomic_store_explicit(&loop->starting, n, memory_order_release);
	more = !list_empty(&member->pinned);
	if (!more) {
		/* The items that begin now hold the group, or it is done. */
		member->start_posted = false;
		group->messages--;
		if (!n)
			group_check_done(group);
	}
	engine_unlock(engine);
	start_items(loop, batch, n);
	if (more)
		loop_post(loop, &member->start);
}

/** Whether an item was told to end: its group, it alone, by a timeout or by its own done(). */
static bool told_to_end(const struct bp_op *op)
{
	return (op->flags_ & (OPF_TIMED_OUT | OPF_CANCELLING | OPF_FIRST_RES)) ||
	       group_cancelled(op->group_) || (group_special(op->group_) && cancelled_alone(op));
}

/** done() has returned @ret: the item goes on, or ends. */
static inline __attribute__((always_inline)) void item_after(struct bp_loop *loop, struct bp_op *op,
							     int ret)
{
	if (ret != BP_OP_AGAIN)
		item_ran(loop, op, OP_KIND_ITEM, ret);
	else if (unlikely(group_marks(&op->group_->head, GROUP_CANCELLED | GROUP_SPECIAL)) &&
		 is_cancelled(op))
		item_end(loop, op, -ECANCELED, true);
	else
		loop_submit(loop, op, 0);
}

static __attribute__((noinline)) void item_done(struct bp_loop *loop, struct bp_op *op, int res,
						unsigned int flags)
{
	int ret;

	if (unlikely(res == -ECANCELED)) {
		if (op->flags_ & OPF_TIMED_OUT)
			res = -ETIMEDOUT;
		else if (!told_to_end(op) && !instead_call(loop, op, &res))
			return;
	}
	op->cqe_flags = flags;
	ret = op->done(op, res);
	if (unlikely(flags & BP_COMPLETION_MORE)) {
		if (ret < 0 && !(op->flags_ & OPF_FIRST_RES)) {
			op->flags_ |= OPF_FIRST_RES;
			op->end_ = ret;
			loop_cancel(loop, op);
		}
		return;
	}
	if (unlikely(op->flags_ & (OPF_FIRST_RES | OPF_TIMED_OUT))) {
		if (op->flags_ & OPF_FIRST_RES)
			ret = op->end_;
		else if (ret == BP_OP_AGAIN)
			ret = -ECANCELED;
	}
	item_after(loop, op, ret);
}

/** As item_done(), of what is in a batch: most of it is no more than the one result of an operation. */
static inline __attribute__((always_inline)) void
item_done_plain(struct bp_loop *loop, struct bp_op *op, int res, unsigned int flags)
{
	if (unlikely(res == -ECANCELED) || unlikely(op->flags_)) {
		item_done(loop, op, res, flags);
		return;
	}
	op->cqe_flags = flags;
	item_after(loop, op, op->done(op, res));
}

static inline __attribute__((always_inline)) void
hand_over(struct bp_loop *loop, struct bp_op *op, int res, unsigned int flags, const bool batch)
{
	if (op->kind_ == OP_KIND_TASK) {
		op->res_ = res;
		resume(loop, op);
	} else if (likely(op->kind_ == OP_KIND_ITEM)) {
		if (batch)
			item_done_plain(loop, op, res, flags);
		else
			item_done(loop, op, res, flags);
	} else {
		op->cqe_flags = flags;
		op->done(op, res);
	}
}

/** bp_loop_hooks.deliver */
static void deliver(struct bp_loop *loop, struct bp_op *op, int res, unsigned int flags)
{
	hand_over(loop, op, res, flags, false);
}

/** bp_loop_hooks.dispatch */
static void dispatch(struct bp_loop *loop, unsigned int n)
{
	const struct bp_completion *c = loop->batch, *end = c + n;

	for (; c < end; c++) {
		struct bp_op *op = c->op;
		unsigned int flags = c->flags;
		int res = c->res;

		if (loop_completed(loop, c))
			hand_over(loop, op, res, flags, true);
	}
}

const struct bp_loop_hooks group_hooks = {
	.take = take,
	.dispatch = dispatch,
	.deliver = deliver,
	.deadlines = group_run_deadlines,
	.room = admit_room,
	.overlooked = admit_overlooked,
	.break_idle = admit_break_idle,
};
