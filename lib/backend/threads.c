/* SPDX-License-Identifier: MIT */
/*
 * The requests of the threads backend and the ways that they go; see threads.h.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/threads.h"

static inline struct request *request_of_op(const struct bp_op *op)
{
	return (struct request *)(uintptr_t)op->extra_;
}

static inline struct request *request_of_job(struct bp_link_ *link)
{
	return container_of(container_of(link, struct pool_job, link), struct request, job);
}

static uint64_t threads_now(const struct bp_engine *engine)
{
	(void)engine;
	return time_now();
}

/* ---------------------------------------------------------------- on their way */

void threads_finish(struct threads *t, struct request *r, int res)
{
	r->x.res = res;
	r->state = REQ_DONE;
	list_add_tail(&t->done, &r->link);
}

static void woken(struct bp_loop *loop, struct bp_timer_ *timer)
{
	struct request *r = container_of(timer, struct request, timer);

	r->x.ready = true;
	threads_settle(loop, r, exec_try(&r->x));
}

void threads_sleep(struct bp_loop *loop, struct request *r, uint64_t when)
{
	r->state = REQ_ASLEEP;
	r->timer.when = when;
	r->timer.fire = woken;
	timer_add(&loop->timers, &r->timer);
}

static int help(void *arg)
{
	struct request *r = arg;

	r->verdict = exec_block(&r->x);
	return 0;
}

static void helped(struct bp_loop *loop, struct bp_message *message)
{
	struct pool_job *job = container_of(message, struct pool_job, message);
	struct request *r = container_of(job, struct request, job);

	if (unlikely(r->cancelled) && r->verdict != EXEC_DONE)
		threads_finish(loop->backend_data, r, exec_ended(&r->x, -ECANCELED));
	else
		threads_settle(loop, r, r->verdict);
}

static void hand_to_pool(struct bp_loop *loop, struct request *r, enum pool_class class)
{
	struct threads *t = loop->backend_data;

	r->state = REQ_STAGED;
	r->cancelled = false;
	r->job.class = class;
	list_add_tail(&t->jobs, &r->job.link);
}

static void put_jobs(struct bp_loop *loop)
{
	struct threads *t = loop->backend_data;
	struct bp_link_ *link;

	if (list_empty(&t->jobs))
		return;
	for (link = t->jobs.next; link != &t->jobs; link = link->next)
		request_of_job(link)->state = REQ_POOLED;
	if (likely(!pool_put_all(loop->engine->pool, &t->jobs)))
		return;
	/* There is no helper and none can be made: better slow than not at all. */
	while ((link = list_pop(&t->jobs))) {
		struct request *r = request_of_job(link);

		threads_settle(loop, r, exec_block(&r->x));
	}
}

/** Tells epoll and the helpers of all that is for them; each may have something for the other. */
static void hand_over(struct bp_loop *loop)
{
	struct threads *t = loop->backend_data;

	do {
		threads_arm(loop);
		put_jobs(loop);
	} while (unlikely(!list_empty(&t->dirty)));
}

/** What an operation that is over says about a descriptor. */
static void learn(struct threads *t, const struct request *r)
{
	const struct exec *x = &r->x;
	struct watched *w;

	if (x->sqe.opcode == IORING_OP_READ || x->sqe.opcode == IORING_OP_WRITE) {
		w = x->plain ? threads_watched(t, x->sqe.fd) : NULL;
		if (w)
			w->plain = true;
	} else if (x->sqe.opcode == IORING_OP_OPENAT || x->sqe.opcode == IORING_OP_OPENAT2) {
		w = threads_watched(t, x->res);
		if (w)
			w->plain = x->plain;
	}
}

/** Sends a request where it has to go next. */
void threads_settle(struct bp_loop *loop, struct request *r, enum exec_verdict verdict)
{
	struct threads *t = loop->backend_data;

	switch (verdict) {
	case EXEC_DONE:
		learn(t, r);
		threads_finish(t, r, r->x.res);
		return;
	case EXEC_WAIT:
		threads_wait(t, r);
		return;
	case EXEC_SLEEP:
		threads_sleep(loop, r, r->x.wake_ns);
		return;
	case EXEC_BRIEF:
		hand_to_pool(loop, r, POOL_BRIEF);
		return;
	case EXEC_LONG:
		hand_to_pool(loop, r, POOL_LONG);
		return;
	}
}

/* ---------------------------------------------------------------- close */

/*
 * A wait on a descriptor that is closed would never end, for epoll forgets it. So before the call
 * all such waits are ended: here, and then on each other loop that may have some, one after the
 * other, with the request itself as the message that goes round.
 */
static void close_next(struct bp_loop *loop, struct request *r);

static void closed_elsewhere(struct bp_loop *loop, struct bp_message *message)
{
	struct pool_job *job = container_of(message, struct pool_job, message);
	struct request *r = container_of(job, struct request, job);

	r->asked++;
	close_next(loop, r);
}

static void close_asked(struct bp_loop *loop, struct bp_message *message)
{
	struct pool_job *job = container_of(message, struct pool_job, message);
	struct request *r = container_of(job, struct request, job);

	threads_before_close(loop->backend_data, r->x.sqe.fd);
	message->handle = closed_elsewhere;
	loop_post(job->loop, message);
}

static void close_next(struct bp_loop *loop, struct request *r)
{
	const struct bp_engine *engine = loop->engine;

	for (; r->asked < engine->nloops; r->asked++) {
		struct bp_loop *other = engine->loops[r->asked];

		if (other == loop || !threads_may_wait(other->backend_data, r->x.sqe.fd))
			continue;
		r->state = REQ_POOLED;
		r->job.message.handle = close_asked;
		loop_post(other, &r->job.message);
		return;
	}
	r->job.message.handle = helped;
	threads_settle(loop, r, exec_try(&r->x));
}

static void run_queued(struct bp_loop *loop)
{
	struct threads *t = loop->backend_data;
	struct bp_link_ *link;

	while ((link = list_pop(&t->queued))) {
		struct request *r = container_of(link, struct request, link);
		const struct watched *w;

		if (exec_closes(&r->x)) {
			threads_before_close(t, r->x.sqe.fd);
			r->asked = 0;
			close_next(loop, r);
			continue;
		}
		w = threads_peek(t, r->x.sqe.fd);
		r->x.plain = w && w->plain;
		threads_settle(loop, r, exec_try(&r->x));
	}
}

/* ---------------------------------------------------------------- the table's functions */

static int threads_init(struct bp_loop *loop)
{
	struct bp_engine *engine = loop->engine;
	struct threads *t = calloc(1, sizeof(*t) + loop->depth * sizeof(struct request));
	int err;

	if (!t)
		return -ENOMEM;
	list_init(&t->free);
	list_init(&t->queued);
	list_init(&t->done);
	list_init(&t->answers);
	list_init(&t->jobs);
	list_init(&t->dirty);
	err = wake_init(&t->wake, true);
	if (err) {
		say_why(engine->reason, sizeof(engine->reason), err,
			"neither eventfd() nor pipe2() gives a descriptor here: %s",
			strerror(-err));
		goto out_free;
	}
	err = threads_epoll_init(engine, t);
	if (err)
		goto out_wake;
	loop->backend_data = t;
	return 0;

out_wake:
	wake_exit(&t->wake);
out_free:
	free(t);
	return err;
}

static void threads_exit(struct bp_loop *loop)
{
	struct threads *t = loop->backend_data;
	unsigned int i;

	close(t->epoll_fd);
	wake_exit(&t->wake);
	for (i = 0; i < t->nchunks; i++)
		free(t->chunks[i]);
	while (t->more) {
		struct request_slab *slab = t->more;

		t->more = slab->next;
		free(slab);
	}
	free(t->chunks);
	free(t);
	loop->backend_data = NULL;
}

static void request_init(struct bp_loop *loop, struct request *r)
{
	r->job.fn = help;
	r->job.arg = r;
	r->job.loop = loop;
	r->job.message.handle = helped;
}

/** A request that is not in use, or NULL. */
static struct request *request_get(struct bp_loop *loop)
{
	struct threads *t = loop->backend_data;
	struct bp_link_ *link = list_pop(&t->free);
	struct request_slab *slab;
	unsigned int i;

	if (likely(link))
		return container_of(link, struct request, link);
	if (likely(t->fresh < loop->depth)) {
		request_init(loop, &t->requests[t->fresh]);
		return &t->requests[t->fresh++];
	}
	slab = calloc(1, sizeof(*slab));
	if (!slab)
		return NULL;
	slab->next = t->more;
	t->more = slab;
	for (i = 0; i < THREADS_MORE; i++) {
		request_init(loop, &slab->requests[i]);
		list_add_tail(&t->free, &slab->requests[i].link);
	}
	return container_of(list_pop(&t->free), struct request, link);
}

static bool threads_knows(const struct bp_loop *loop, unsigned int opcode)
{
	(void)loop;
	return exec_knows(opcode);
}

static int threads_submit(struct bp_loop *loop, struct bp_op *op)
{
	struct threads *t = loop->backend_data;
	struct request *r = request_get(loop);
	int opcode;

	if (unlikely(!r))
		return -EAGAIN;
	memset(&r->x.sqe, 0, sizeof(r->x.sqe));
	opcode = op_fill(op, &r->x.sqe);
	/* As with io_uring: links between operations are not for the caller to make. */
	r->x.sqe.flags &= (uint8_t) ~(IOSQE_IO_LINK | IOSQE_IO_HARDLINK | IOSQE_CQE_SKIP_SUCCESS);
	exec_init(&r->x);
	if (unlikely(r->x.sqe.flags & IOSQE_BUFFER_SELECT))
		r->x.bufs = bufs_find(loop->bufs, r->x.sqe.buf_group);
	r->extra = op->extra_;
	op->extra_ = (uintptr_t)r;
	r->op = op;
	r->state = REQ_QUEUED;
	list_add_tail(&t->queued, &r->link);
	return opcode;
}

/** Ends a request that nobody is working on. Return: the answer to its cancel. */
static int stop(struct bp_loop *loop, struct request *r)
{
	struct threads *t = loop->backend_data;

	switch (r->state) {
	case REQ_QUEUED:
		list_del(&r->link);
		break;
	case REQ_WAITING:
		threads_stop_waiting(t, r);
		break;
	case REQ_ASLEEP:
		timer_del(&loop->timers, &r->timer);
		break;
	case REQ_STAGED:
		list_del(&r->job.link);
		break;
	case REQ_POOLED:
		if (pool_take_back(loop->engine->pool, &r->job))
			break;
		r->cancelled = true;
		return -EALREADY;
	default:
		return -ENOENT;
	}
	threads_finish(t, r, exec_ended(&r->x, -ECANCELED));
	return 0;
}

static int threads_cancel(struct bp_loop *loop, struct bp_op *op)
{
	struct threads *t = loop->backend_data;
	struct request *r = request_of_op(op);

	bp_assert(r->op == op && !list_linked(&r->answer_link));
	r->answer = stop(loop, r);
	list_add_tail(&t->answers, &r->answer_link);
	return 0;
}

static void release(struct threads *t, struct request *r)
{
	r->op->extra_ = r->extra;
	r->state = REQ_FREE;
	r->op = NULL;
	list_add_head(&t->free, &r->link);
}

/** Copies completions out. A request is free again when its cancel has been answered as well. */
static unsigned int copy_out(struct threads *t, struct bp_completion *out, unsigned int max)
{
	struct bp_link_ *link;
	unsigned int n = 0;

	while (unlikely(!list_empty(&t->answers)) && n < max) {
		struct request *r =
			container_of(list_pop(&t->answers), struct request, answer_link);

		out[n++] = (struct bp_completion){r->op, r->answer, BP_COMPLETION_CANCEL};
	}
	while (n < max && (link = list_pop(&t->done))) {
		struct request *r = container_of(link, struct request, link);

		if (unlikely(r->x.two_cqes && r->state == REQ_DONE)) {
			out[n++] = (struct bp_completion){r->op, r->x.res, BP_COMPLETION_MORE};
			r->state = REQ_LAST;
			r->x.res = (int)r->x.second;
			list_add_tail(&t->done, &r->link);
			continue;
		}
		out[n++] = (struct bp_completion){r->op, r->x.res,
						  r->state == REQ_LAST ? IORING_CQE_F_NOTIF :
									 r->x.cqe_flags};
		release(t, r);
	}
	return n;
}

static unsigned int threads_reap(struct bp_loop *loop, struct bp_completion *out, unsigned int max,
				 uint64_t until)
{
	struct threads *t = loop->backend_data;

	run_queued(loop);
	hand_over(loop);
	if (!list_empty(&t->done) || !list_empty(&t->answers))
		until = 0;
	else if (timer_next(&loop->timers) < until)
		until = timer_next(&loop->timers);
	if (until || t->waiting || t->outer) {
		threads_run_events(loop, until);
		hand_over(loop);
	}
	return copy_out(t, out, max);
}

static int threads_fd(struct bp_loop *loop)
{
	struct threads *t = loop->backend_data;

	t->outer = true;
	return t->epoll_fd;
}

static bool threads_pending(const struct bp_loop *loop)
{
	const struct threads *t = loop->backend_data;

	return !list_empty(&t->queued) || !list_empty(&t->done) || !list_empty(&t->answers) ||
	       !list_empty(&t->jobs) || !list_empty(&t->dirty);
}

static void threads_wake(struct bp_loop *loop)
{
	const struct threads *t = loop->backend_data;

	wake_up(&t->wake);
}

const struct bp_backend_ops bp_threads_backend = {
	.name = "threads",
	.kernel_files = true,
	.init = threads_init,
	.exit = threads_exit,
	.knows = threads_knows,
	.submit = threads_submit,
	.cancel = threads_cancel,
	.reap = threads_reap,
	.wake = threads_wake,
	.fd = threads_fd,
	.pending = threads_pending,
	.now = threads_now,
};
