/* SPDX-License-Identifier: MIT */
/*
 * The simulated backend: what becomes of an operation, and of its cancel. See sim.h.
 *
 * What it may do is what a kernel has been seen to do (each of these is a choice of the seed):
 * carry an operation out at once or later, in any order; move fewer bytes than asked; fail it;
 * answer a cancel before or after its target, with 0, -ENOENT or -EALREADY, none of which says how
 * the target will end.
 */
#include "sim/sim.h"

/* ---------------------------------------------------------------- completions */

static void make_ready(struct sim_req *req)
{
	list_add_tail(&req->loop->ready, &req->link);
}

static void posted_later(struct bp_loop *loop, struct bp_timer_ *timer)
{
	(void)loop;
	make_ready(sim_req_of_timer(timer));
}

/** Return: false: no memory. */
static bool post_more(struct sim_req *req, int res)
{
	struct sim_req *more = sim_req_new(req->loop, req->op, SIM_MORE);

	if (!more)
		return false;
	more->res = res;
	more->flags = IORING_CQE_F_MORE;
	more->state = SIM_POSTED;
	make_ready(more);
	return true;
}

/** The operation is over. */
static void post(struct sim_req *req, int res)
{
	struct sim *sim = req->loop->sim;

	sim_note(sim, req->id, (uint64_t)(int64_t)res, "op %u is over: %d", req->id, res);
	if (req->desc)
		sim_desc_put(sim, req->desc);
	req->desc = NULL;
	req->state = SIM_POSTED;
	req->res = res;
	if (req->sqe.opcode == IORING_OP_SEND_ZC && res >= 0 && post_more(req, res)) {
		/* The buffer is free with the second completion. */
		req->res = 0;
		req->flags = IORING_CQE_F_NOTIF;
		sim_at(req, sim_latency(sim), posted_later);
		return;
	}
	make_ready(req);
}

/* ---------------------------------------------------------------- operations */

static void arm(struct sim_req *req)
{
	req->state = SIM_ARMED;
	list_add_tail(&req->desc->file->armed, &req->link);
}

static void run(struct sim_req *req)
{
	struct sim *sim = req->loop->sim;
	int res = sim_model_run(sim, req, req->most);

	if (res == SIM_WAIT) {
		arm(req);
	} else if (req->sqe.opcode == IORING_OP_POLL_ADD && res >= 0 &&
		   (req->sqe.len & IORING_POLL_ADD_MULTI)) {
		post_more(req, res);
		arm(req);
	} else {
		post(req, res);
	}
}

/** Whether the kernel would do it in a worker thread, not when a file becomes ready. */
static bool is_file_work(const struct sim_req *req)
{
	return req->sqe.opcode != IORING_OP_NOP && (!req->desc || req->desc->file->type == SIM_REG);
}

static void worker_done(struct bp_loop *loop, struct bp_timer_ *timer)
{
	struct sim_req *req = sim_req_of_timer(timer);

	(void)loop;
	req->loop->sim->about = req->id;
	if (!req->interrupted || !sim_chance(req->loop->sim, "worker stops", 600))
		run(req);
	else if (is_file_work(req) && sim_chance(req->loop->sim, "worker says EINTR", 500))
		post(req, -EINTR); /* the signal has met a system call */
	else
		post(req, -ECANCELED);
	req->loop->sim->about = 0;
}

static void give_to_worker(struct sim_req *req, uint64_t ns)
{
	req->state = SIM_WORKER;
	sim_at(req, ns, worker_done);
}

void sim_file_changed(struct sim *sim, struct sim_file *file)
{
	struct bp_link_ *link;

	while ((link = list_pop(&file->armed)))
		give_to_worker(container_of(link, struct sim_req, link), sim_latency(sim));
}

static void timeout_over(struct bp_loop *loop, struct bp_timer_ *timer)
{
	(void)loop;
	post(sim_req_of_timer(timer), -ETIME);
}

static void issue_timeout(struct sim_req *req)
{
	struct sim *sim = req->loop->sim;
	const struct __kernel_timespec *ts = (void *)(uintptr_t)req->sqe.addr;
	uint64_t ns;

	if (!ts || req->sqe.off) {
		post(req, ts ? -EOPNOTSUPP : -EFAULT); /* a count of completions */
		return;
	}
	ns = (uint64_t)ts->tv_sec * NSEC_PER_SEC + (uint64_t)ts->tv_nsec;
	if (req->sqe.timeout_flags & IORING_TIMEOUT_ABS)
		ns = ns > sim->clock ? ns - sim->clock : 0;
	req->state = SIM_ARMED;
	sim_at(req, ns, timeout_over);
}

/** An error that the operation might end with, or 0. */
static int draw_error(struct sim *sim, const struct io_uring_sqe *sqe)
{
	static const int file[] = {-EIO, -ENOSPC, -EMFILE, -ENOMEM};
	static const int stream[] = {-ECONNRESET, -EIO, -ENOBUFS};

	if (sim_mishap(sim, SIM_AGAIN))
		return sim_chance(sim, "EINTR", 500) ? -EINTR : -EAGAIN;
	if (!sim_mishap(sim, SIM_ERROR))
		return 0;
	switch (sqe->opcode) {
	case IORING_OP_SEND:
	case IORING_OP_SEND_ZC:
	case IORING_OP_RECV:
	case IORING_OP_SENDMSG:
	case IORING_OP_RECVMSG:
	case IORING_OP_ACCEPT:
	case IORING_OP_CONNECT:
		return SIM_PICK(sim, "which error", stream);
	default:
		return SIM_PICK(sim, "which error", file);
	}
}

/** How many bytes it may move. The number is drawn where it is not used too: see sim_kept. */
static size_t draw_most(struct sim *sim, const struct sim_req *req)
{
	size_t len = 100;
	bool shorter;
	uint64_t most;

	if (!sim->odds.shorter)
		return SIZE_MAX;
	switch (req->sqe.opcode) {
	case IORING_OP_READ:
	case IORING_OP_WRITE:
	case IORING_OP_RECV:
	case IORING_OP_SEND:
	case IORING_OP_SEND_ZC:
		len = req->sqe.len ? req->sqe.len : 1;
	}
	shorter = sim_mishap(sim, SIM_SHORTER);
	most = 1 + sim_choose(sim, "bytes less one", len, len / 2);
	return shorter ? most : SIZE_MAX;
}

static void issue_op(struct sim_req *req)
{
	struct sim *sim = req->loop->sim;
	/* A close that fails has closed all the same; its model fails only with EBADF. */
	bool close = req->sqe.opcode == IORING_OP_CLOSE;
	int err = sim_model_target(sim, req);
	bool at_once;
	uint64_t ns;

	if (!err && !close)
		err = draw_error(sim, &req->sqe);
	if (err) {
		post(req, err);
		return;
	}
	if (req->sqe.opcode == IORING_OP_TIMEOUT) {
		issue_timeout(req);
		return;
	}
	req->most = draw_most(sim, req);
	at_once = !sim->odds.latency_ns || sim_chance(sim, "done at once", 200);
	ns = sim_latency(sim);
	if (at_once)
		run(req);
	else
		give_to_worker(req, ns);
}

/* ---------------------------------------------------------------- cancels */

/** What the cancel does to its target. Return: its answer. */
static int cancel_target(struct sim *sim, struct sim_req *target)
{
	if (!target || target->state == SIM_POSTED)
		return -ENOENT;
	if (sim_mishap(sim, SIM_LATE)) /* between two states: not found, or not in time */
		return sim_chance(sim, "cancel finds none", 500) ? -ENOENT : -EALREADY;
	if (target->state == SIM_WORKER && sim_chance(sim, "cancel meets a worker", 600)) {
		target->interrupted = sim_chance(sim, "cancel interrupts it", 500);
		return -EALREADY;
	}
	if (list_linked(&target->link))
		list_del(&target->link);
	timer_del(&sim->due, &target->timer);
	post(target, -ECANCELED);
	return 0;
}

static void issue_cancel(struct sim_req *req)
{
	struct sim *sim = req->loop->sim;
	struct sim_req *target = sim_req_find(req->loop, req->op, SIM_OP);
	bool answer_first = sim_chance(sim, "cancel is answered first", 400);

	req->state = SIM_POSTED;
	req->flags = BP_COMPLETION_CANCEL;
	if (answer_first)
		make_ready(req);
	req->res = cancel_target(sim, target);
	sim_note(sim, req->id, (uint64_t)(int64_t)req->res, "cancel of op %u: %d",
		 target ? target->id : 0, req->res);
	if (!answer_first)
		sim_at(req, sim_chance(sim, "answer comes late", 300) ? sim_latency(sim) : 0,
		       posted_later);
}

void sim_issue(struct sim_req *req)
{
	struct sim *sim = req->loop->sim;

	sim->about = req->id;
	if (req->kind == SIM_OP)
		issue_op(req);
	else
		issue_cancel(req);
	sim->about = 0;
}
