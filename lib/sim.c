// SPDX-License-Identifier: MIT
/*
 * The simulated backend: the fate of operations and cancels, and the virtual clock. See sim.h.
 *
 * What it may do is what a kernel has been seen to do (each of these is a choice of the seed): carry an
 * operation out at once or later, in any order; move fewer bytes than asked; fail it; answer a cancel
 * before or after its target, with 0, -ENOENT or -EALREADY, none of which says how the target will end;
 * refuse a submission until completions were reaped; let a wait end for no reason. It checks its
 * side of backend.h: an operation that comes back while the backend still knows it ends the program.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

#define SLAB_REQS 64

struct sim_slab {
	struct sim_slab *next;
	struct sim_req reqs[SLAB_REQS];
};

/* ---------------------------------------------------------------- chance and time */

/* splitmix64: every seed gives a good stream, also 0. */
static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

uint64_t sim_random(struct sim *sim, uint64_t n)
{
	sim->random += 0x9e3779b97f4a7c15ull;
	return mix(sim->random) % n;
}

#define PICK(sim, table) ((table)[sim_random(sim, sizeof(table) / sizeof((table)[0]))])

static void draw_odds(struct sim *sim)
{
	static const unsigned int rare[] = {0, 0, 0, 5, 30, 100};
	static const unsigned int some[] = {0, 0, 50, 400};
	static const unsigned int preempt[] = {0, 30, 200, 500};
	static const uint64_t latency[] = {0, 1000, 50000, 2000000};
	static const uint64_t turn[] = {100, 1000, 20000};

	sim->odds = (struct sim_odds){
		.error = PICK(sim, rare),
		.again = PICK(sim, rare),
		.shorter = PICK(sim, some),
		.full = PICK(sim, some),
		.late = PICK(sim, some),
		.hold = PICK(sim, some),
		.preempt = PICK(sim, preempt),
		.wake = PICK(sim, rare),
		.latency_ns = PICK(sim, latency),
		.turn_ns = PICK(sim, turn),
	};
}

void sim_note(struct sim *sim, uint64_t a, uint64_t b, const char *fmt, ...)
{
	char line[200];
	va_list ap;

	sim->events++;
	sim->hash = mix(sim->hash ^ mix(a) ^ (b * 0x9e3779b97f4a7c15ull) ^ sim->clock);
	if (!sim->trace)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	sim->trace(sim->arg, line);
}

static uint64_t latency(struct sim *sim)
{
	uint64_t ns = sim->odds.latency_ns;

	if (!ns)
		return 0;
	/* Most are near the average; a few take long, as on a real disk. */
	return sim_random(sim, 2 * ns) + (sim_chance(sim, 60) ? 20 * ns : 0);
}

static void run_due(struct sim *sim)
{
	struct bp_timer_ *timer;

	while ((timer = timer_pop(&sim->due, sim->clock)))
		timer->fire(NULL, timer);
}

void sim_pass(struct sim *sim, uint64_t ns)
{
	sim->clock += ns;
	run_due(sim);
}

bool sim_jump(struct sim *sim, uint64_t until)
{
	uint64_t next = timer_next(&sim->due);

	if (next > until)
		next = until;
	if (next == BP_NEVER)
		return false;
	if (next > sim->clock)
		sim->clock = next;
	run_due(sim);
	return true;
}

/* ---------------------------------------------------------------- requests */

static struct sim_req *req_new(struct sim_loop *sl, struct bp_op *op, enum sim_req_kind kind)
{
	struct sim *sim = sl->sim;
	struct bp_link_ *link = list_pop(&sim->free);
	struct sim_slab *slab;
	struct sim_req *req;

	if (!link) {
		slab = calloc(1, sizeof(*slab));
		if (!slab)
			bp_fatal("sim: no memory");
		slab->next = sim->slabs;
		sim->slabs = slab;
		for (unsigned int i = 0; i < SLAB_REQS; i++)
			list_add_tail(&sim->free, &slab->reqs[i].link);
		link = list_pop(&sim->free);
	}
	req = container_of(link, struct sim_req, link);
	memset(req, 0, sizeof(*req));
	req->loop = sl;
	req->op = op;
	req->kind = kind;
	req->id = ++sim->ids;
	req->most = SIZE_MAX;
	return req;
}

static struct sim_req **hash_slot(struct sim_loop *sl, const struct bp_op *op)
{
	return &sl->by_op[mix((uintptr_t)op) % SIM_HASH];
}

static struct sim_req *find(struct sim_loop *sl, const struct bp_op *op, enum sim_req_kind kind)
{
	struct sim_req *req = *hash_slot(sl, op);

	while (req && (req->op != op || req->kind != kind))
		req = req->hash_next;
	return req;
}

static void hash_add(struct sim_req *req)
{
	struct sim_req **slot = hash_slot(req->loop, req->op);

	req->hash_next = *slot;
	*slot = req;
}

static void req_free(struct sim_req *req)
{
	struct sim_req **slot = hash_slot(req->loop, req->op);

	while (*slot && *slot != req)
		slot = &(*slot)->hash_next;
	if (*slot)
		*slot = req->hash_next;
	list_add_head(&req->loop->sim->free, &req->link);
}

static void at(struct sim_req *req, uint64_t ns,
	       void (*fire)(struct bp_loop *loop, struct bp_timer_ *timer))
{
	req->timer.when = req->loop->sim->clock + ns;
	req->timer.fire = fire;
	timer_add(&req->loop->sim->due, &req->timer);
}

static struct sim_req *req_of_timer(struct bp_timer_ *timer)
{
	return container_of(timer, struct sim_req, timer);
}

/* ---------------------------------------------------------------- completions */

static void make_ready(struct sim_req *req)
{
	list_add_tail(&req->loop->ready, &req->link);
}

static void posted_later(struct bp_loop *loop, struct bp_timer_ *timer)
{
	(void)loop;
	make_ready(req_of_timer(timer));
}

static void post_more(struct sim_req *req, int res)
{
	struct sim_req *more = req_new(req->loop, req->op, SIM_MORE);

	more->res = res;
	more->flags = IORING_CQE_F_MORE;
	more->state = SIM_POSTED;
	make_ready(more);
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
	if (req->sqe.opcode == IORING_OP_SEND_ZC && res >= 0) {
		/* The buffer is free with the second completion. */
		post_more(req, res);
		req->res = 0;
		req->flags = IORING_CQE_F_NOTIF;
		at(req, latency(sim), posted_later);
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
	struct sim_req *req = req_of_timer(timer);

	(void)loop;
	if (!req->interrupted || !sim_chance(req->loop->sim, 600))
		run(req);
	else if (is_file_work(req) && sim_chance(req->loop->sim, 500))
		post(req, -EINTR); /* the signal has met a system call */
	else
		post(req, -ECANCELED);
}

static void give_to_worker(struct sim_req *req)
{
	req->state = SIM_WORKER;
	at(req, latency(req->loop->sim), worker_done);
}

void sim_file_changed(struct sim *sim, struct sim_file *file)
{
	struct bp_link_ *link;

	(void)sim;
	while ((link = list_pop(&file->armed)))
		give_to_worker(container_of(link, struct sim_req, link));
}

static void timeout_over(struct bp_loop *loop, struct bp_timer_ *timer)
{
	(void)loop;
	post(req_of_timer(timer), -ETIME);
}

static void issue_timeout(struct sim_req *req)
{
	struct sim *sim = req->loop->sim;
	const struct __kernel_timespec *ts = (void *)(uintptr_t)req->sqe.addr;
	uint64_t ns = (uint64_t)ts->tv_sec * NSEC_PER_SEC + (uint64_t)ts->tv_nsec;

	if (req->sqe.off) {
		post(req, -EOPNOTSUPP); /* a count of completions */
		return;
	}
	if (req->sqe.timeout_flags & IORING_TIMEOUT_ABS)
		ns = ns > sim->clock ? ns - sim->clock : 0;
	req->state = SIM_ARMED;
	at(req, ns, timeout_over);
}

/** An error that the operation might end with, or 0. */
static int draw_error(struct sim *sim, const struct io_uring_sqe *sqe)
{
	static const int file[] = {-EIO, -ENOSPC, -EMFILE, -ENOMEM};
	static const int stream[] = {-ECONNRESET, -EIO, -ENOBUFS};

	if (sim_chance(sim, sim->odds.again))
		return sim_chance(sim, 500) ? -EINTR : -EAGAIN;
	if (!sim_chance(sim, sim->odds.error))
		return 0;
	switch (sqe->opcode) {
	case IORING_OP_SEND:
	case IORING_OP_SEND_ZC:
	case IORING_OP_RECV:
	case IORING_OP_SENDMSG:
	case IORING_OP_RECVMSG:
	case IORING_OP_ACCEPT:
	case IORING_OP_CONNECT:
		return PICK(sim, stream);
	default:
		return PICK(sim, file);
	}
}

static void shorten(struct sim *sim, struct sim_req *req)
{
	switch (req->sqe.opcode) {
	case IORING_OP_READ:
	case IORING_OP_WRITE:
	case IORING_OP_RECV:
	case IORING_OP_SEND:
	case IORING_OP_SEND_ZC:
		req->most = 1 + sim_random(sim, req->sqe.len ? req->sqe.len : 1);
		return;
	default:
		req->most = 1 + sim_random(sim, 100);
	}
}

static void issue_op(struct sim_req *req)
{
	struct sim *sim = req->loop->sim;
	/* A close that fails has closed all the same; its model fails only with EBADF. */
	bool close = req->sqe.opcode == IORING_OP_CLOSE;
	int err = sim_model_target(sim, req);

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
	if (sim_chance(sim, sim->odds.shorter))
		shorten(sim, req);
	if (!sim->odds.latency_ns || sim_chance(sim, 200))
		run(req);
	else
		give_to_worker(req);
}

/* ---------------------------------------------------------------- cancels */

/** What the cancel does to its target. Return: its answer. */
static int cancel_target(struct sim *sim, struct sim_req *target)
{
	if (!target || target->state == SIM_POSTED)
		return -ENOENT;
	if (sim_chance(sim, sim->odds.late)) /* between two states: not found, or not in time */
		return sim_chance(sim, 500) ? -ENOENT : -EALREADY;
	if (target->state == SIM_WORKER && sim_chance(sim, 600)) {
		target->interrupted = sim_chance(sim, 500);
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
	struct sim_req *target = find(req->loop, req->op, SIM_OP);
	bool answer_first = sim_chance(sim, 400);

	req->state = SIM_POSTED;
	req->flags = BP_COMPLETION_CANCEL;
	if (answer_first)
		make_ready(req);
	req->res = cancel_target(sim, target);
	sim_note(sim, req->id, (uint64_t)(int64_t)req->res, "cancel of op %u: %d",
		 target ? target->id : 0, req->res);
	if (!answer_first)
		at(req, sim_chance(sim, 300) ? latency(sim) : 0, posted_later);
}

/* ---------------------------------------------------------------- the table */

/** Puts a request in the submission queue. Return: 0 or -EAGAIN. */
static int enqueue(struct sim_loop *sl, struct bp_op *op, enum sim_req_kind kind)
{
	struct sim_req *req;

	if (sl->full)
		return -EAGAIN;
	if (sim_chance(sl->sim, sl->sim->odds.full)) {
		sl->full = true;
		sim_note(sl->sim, 1, sl->loop->index, "loop %u: queue full", sl->loop->index);
		return -EAGAIN;
	}
	req = req_new(sl, op, kind);
	hash_add(req);
	list_add_tail(&sl->queue, &req->link);
	if (kind == SIM_OP)
		op->prep(op, &req->sqe);
	sim_note(sl->sim, req->id, kind == SIM_OP ? req->sqe.opcode : 255u,
		 kind == SIM_OP ? "loop %u: submit op %u, opcode %u" :
				  "loop %u: submit cancel %u (%u)",
		 sl->loop->index, req->id, req->sqe.opcode);
	return 0;
}

static int sim_submit(struct bp_loop *loop, struct bp_op *op)
{
	struct sim_loop *sl = loop->backend_data;

	if (find(sl, op, SIM_OP) || find(sl, op, SIM_CANCEL))
		bp_fatal("sim: an operation is used again before it and its cancel are over");
	return enqueue(sl, op, SIM_OP);
}

static int sim_cancel(struct bp_loop *loop, struct bp_op *op)
{
	struct sim_loop *sl = loop->backend_data;

	if (find(sl, op, SIM_CANCEL))
		bp_fatal("sim: an operation is cancelled while its cancel is outstanding");
	return enqueue(sl, op, SIM_CANCEL);
}

/** What io_uring_enter() does. */
static void enter(struct sim_loop *sl)
{
	struct bp_link_ *link;

	sl->full = false;
	while ((link = list_pop(&sl->queue))) {
		struct sim_req *req = container_of(link, struct sim_req, link);

		if (req->kind == SIM_OP)
			issue_op(req);
		else
			issue_cancel(req);
	}
}

static unsigned int copy_out(struct sim_loop *sl, struct bp_completion *out, unsigned int max,
			     bool waited)
{
	struct sim *sim = sl->sim;
	unsigned int n = 0;

	while (n < max && !list_empty(&sl->ready)) {
		struct sim_req *req = container_of(sl->ready.next, struct sim_req, link);

		/* It comes a moment too late for this turn. */
		if ((n || !waited) && sim_chance(sim, sim->odds.hold))
			break;
		list_del(&req->link);
		out[n].op = req->op;
		out[n].res = req->res;
		out[n++].flags = req->flags;
		req_free(req);
	}
	if (n)
		sim_note(sim, 2, n, "loop %u: reaps %u", sl->loop->index, n);
	return n;
}

/** Waits on an engine that one thread drives: time passes until something happens. */
static void wait_driven(struct sim_loop *sl, uint64_t until)
{
	while (!sl->woken && list_empty(&sl->ready) && sl->sim->clock < until)
		if (!sim_jump(sl->sim, until) && !(sl->sim->stuck && sl->sim->stuck(sl->sim->arg)))
			bp_fatal("sim: everything waits for ever: %u operation(s) in flight",
				 loop_in_flight(sl->loop));
}

static unsigned int sim_reap(struct bp_loop *loop, struct bp_completion *out, unsigned int max,
			     uint64_t until)
{
	struct sim_loop *sl = loop->backend_data;
	struct sim *sim = sl->sim;

	enter(sl);
	sim_pass(sim, 1 + sim_random(sim, sim->odds.turn_ns));
	if (sim_chance(sim, sim->odds.wake))
		until = 0;
	if (sim->current)
		sim_thread_wait(sim, sl, until);
	else
		wait_driven(sl, until);
	sl->woken = false;
	return copy_out(sl, out, max, until != 0);
}

static void sim_wake(struct bp_loop *loop)
{
	struct sim_loop *sl = loop->backend_data;

	sl->woken = true;
}

static uint64_t sim_now(const struct bp_engine *engine)
{
	return engine->sim->clock;
}

static int sim_init(struct bp_loop *loop)
{
	struct sim_loop *sl = calloc(1, sizeof(*sl));

	if (!sl)
		return -ENOMEM;
	sl->sim = loop->engine->sim;
	sl->loop = loop;
	list_init(&sl->queue);
	list_init(&sl->ready);
	loop->backend_data = sl;
	return 0;
}

static void sim_exit(struct bp_loop *loop)
{
	free(loop->backend_data);
	loop->backend_data = NULL;
}

/* ---------------------------------------------------------------- bp_offload() */

static void job_over(struct bp_loop *loop, struct bp_timer_ *timer)
{
	struct sim_req *req = req_of_timer(timer);
	struct pool_job *job = req->job;

	(void)loop;
	list_add_head(&req->loop->sim->free, &req->link);
	loop_post(job->loop, &job->message);
}

/** A helper thread takes the job. */
static void job_begins(struct bp_loop *unused, struct bp_timer_ *timer)
{
	struct sim_req *req = req_of_timer(timer);
	struct bp_loop *loop = bp_this_loop;

	(void)unused;
	list_del(&req->link);
	sim_note(req->loop->sim, 3, req->id, "job %u begins", req->id);
	bp_this_loop = NULL;
	req->job->result = req->job->fn(req->job->arg);
	bp_this_loop = loop;
	at(req, latency(req->loop->sim), job_over);
}

static int sim_offload(struct bp_loop *loop, struct pool_job *job)
{
	struct sim_loop *sl = loop->backend_data;
	struct sim_req *req = req_new(sl, NULL, SIM_JOB);

	req->job = job;
	list_add_tail(&sl->sim->jobs, &req->link);
	at(req, latency(sl->sim), job_begins);
	return 0;
}

static bool sim_take_back(struct bp_loop *loop, struct pool_job *job)
{
	struct sim *sim = loop->engine->sim;
	struct bp_link_ *link;

	for (link = sim->jobs.next; link != &sim->jobs; link = link->next) {
		struct sim_req *req = container_of(link, struct sim_req, link);

		if (req->job != job)
			continue;
		list_del(&req->link);
		timer_del(&sim->due, &req->timer);
		list_add_head(&sim->free, &req->link);
		return true;
	}
	return false;
}

const struct bp_backend_ops bp_sim_backend = {
	.name = "sim",
	.kernel_files = false,
	.init = sim_init,
	.exit = sim_exit,
	.submit = sim_submit,
	.cancel = sim_cancel,
	.reap = sim_reap,
	.wake = sim_wake,
	.now = sim_now,
	.offload = sim_offload,
	.take_back = sim_take_back,
};

/* ---------------------------------------------------------------- the whole */

static int start_over(struct sim *sim, uint64_t seed)
{
	sim->random = seed;
	sim->clock = SIM_EPOCH;
	sim->trace = NULL;
	sim->stuck = NULL;
	sim->hash = sim->events = 0;
	sim->ids = 0;
	draw_odds(sim);
	return sim_model_init(sim);
}

int sim_create(struct bp_engine *engine)
{
	struct sim *sim = calloc(1, sizeof(*sim));

	if (!sim)
		return -ENOMEM;
	sim->engine = engine;
	list_init(&sim->free);
	list_init(&sim->jobs);
	engine->sim = sim;
	return start_over(sim, engine->seed);
}

void sim_destroy(struct bp_engine *engine)
{
	struct sim *sim = engine->sim;

	if (!sim)
		return;
	sim_model_exit(sim);
	while (sim->slabs) {
		struct sim_slab *slab = sim->slabs;

		sim->slabs = slab->next;
		free(slab);
	}
	free(sim);
	engine->sim = NULL;
}

void sim_reset(struct bp_engine *engine, uint64_t seed)
{
	struct sim *sim = engine->sim;

	if (!engine->driven)
		sim_threads_settle(engine);
	for (unsigned int i = 0; i < engine->nloops; i++) {
		struct bp_loop *loop = engine->loops[i];
		struct sim_loop *sl = loop->backend_data;

		bp_assert(list_empty(&sl->queue) && list_empty(&sl->ready));
		bp_assert(loop_in_flight(loop) == 0 && loop->cancels_out == 0);
		timer_del(&loop->timers, &loop->again);
		loop->now = SIM_EPOCH;
		loop->stale = false;
		loop->woke_other = 0;
		sl->woken = sl->full = false;
	}
	bp_assert(!sim->due.root && !engine->deadlines.root);
	atomic_store(&engine->next_deadline, BP_NEVER);
	engine->driver_woken = false;
	sim_model_exit(sim);
	if (start_over(sim, seed))
		bp_fatal("sim: no memory");
}
