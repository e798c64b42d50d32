/* SPDX-License-Identifier: MIT */
/*
 * The simulated backend: its table, its queues and the virtual clock. See sim.h.
 *
 * What becomes of an operation is in ops.c. Here a submission may be refused until completions were
 * reaped, completions may be seen a turn later, and a wait may end for no reason. The contract of
 * backend.h is checked: an operation that comes back while the backend still knows it ends the
 * program.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "opcode.h"
#include "sim/sim.h"

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

const char *const sim_mishap_names[SIM_MISHAPS] = {
	[SIM_ERROR] = "error",	   [SIM_AGAIN] = "again", [SIM_SHORTER] = "short",
	[SIM_FULL] = "full",	   [SIM_LATE] = "late",	  [SIM_HOLD] = "hold",
	[SIM_PREEMPT] = "preempt", [SIM_WAKE] = "wake",	  [SIM_REORDER] = "reorder",
};

/** Takes a decision. Return: @value, or @plain where the seed has nothing to say. */
static uint64_t decide(struct sim *sim, const char *what, uint64_t value, uint64_t plain)
{
	const struct sim_kept *kept = sim->kept;
	uint64_t number = sim->decisions++;

	if (kept && (number >= kept->count || !(kept->bits[number / 8] & (1u << number % 8))))
		return plain;
	if (value != plain && sim->decided)
		sim->decided(sim->arg, number, what, value, plain);
	return value;
}

uint64_t sim_choose(struct sim *sim, const char *what, uint64_t n, uint64_t plain)
{
	return decide(sim, what, sim_random(sim, n), plain);
}

bool sim_chance(struct sim *sim, const char *what, unsigned int of_1000)
{
	return of_1000 && decide(sim, what, sim_random(sim, 1000) < of_1000, false);
}

bool sim_mishap(struct sim *sim, enum sim_mishap kind)
{
	unsigned int odds = sim->odds.of[kind];

	/* One that is off is drawn all the same: what comes after it keeps its numbers. */
	if (!odds)
		return false;
	if (sim->off & (1u << kind)) {
		sim_random(sim, 1000);
		sim->decisions++;
		return false;
	}
	if (!sim_chance(sim, sim_mishap_names[kind], odds))
		return false;
	sim->struck[kind]++;
	return true;
}

#define DRAW(sim, table) ((table)[sim_random(sim, SIM_COUNT(table))])

static void draw_odds(struct sim *sim)
{
	static const unsigned int rare[] = {0, 0, 0, 5, 30, 100};
	static const unsigned int some[] = {0, 0, 50, 400};
	static const unsigned int preempt[] = {0, 30, 200, 500};
	static const uint64_t latency[] = {0, 1000, 50000, 2000000};
	static const uint64_t turn[] = {100, 1000, 20000};

	sim->odds = (struct sim_odds){
		.error = DRAW(sim, rare),
		.again = DRAW(sim, rare),
		.shorter = DRAW(sim, some),
		.full = DRAW(sim, some),
		.late = DRAW(sim, some),
		.hold = DRAW(sim, some),
		.preempt = DRAW(sim, preempt),
		.wake = DRAW(sim, rare),
		.reorder = 1000,
		.latency_ns = DRAW(sim, latency),
		.turn_ns = DRAW(sim, turn),
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

/** Whether an operation takes another time than the average. Where all do, that is no decision. */
static bool reorders(struct sim *sim)
{
	if (sim->odds.reorder < 1000)
		return sim_mishap(sim, SIM_REORDER);
	if (sim->off & (1u << SIM_REORDER))
		return false;
	sim->struck[SIM_REORDER]++;
	return true;
}

uint64_t sim_latency(struct sim *sim)
{
	uint64_t average = sim->odds.latency_ns, ns;
	bool slow, other;

	if (!average)
		return 0;
	other = reorders(sim);
	/* Most are near the average; a few take long, as on a real disk. */
	ns = sim_choose(sim, "takes ns", 2 * average, average);
	slow = sim_chance(sim, "takes long", 60);
	/* All is drawn either way, so that what comes later keeps its numbers. */
	return other ? ns + (slow ? 20 * average : 0) : average;
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

struct sim_req *sim_req_new(struct sim_loop *sl, struct bp_op *op, enum sim_req_kind kind)
{
	struct sim *sim = sl->sim;
	struct bp_link_ *link = list_pop(&sim->free);
	struct sim_slab *slab;
	struct sim_req *req;

	if (!link) {
		slab = calloc(1, sizeof(*slab));
		if (!slab)
			return NULL;
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

struct sim_req *sim_req_find(struct sim_loop *sl, const struct bp_op *op, enum sim_req_kind kind)
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

void sim_at(struct sim_req *req, uint64_t ns,
	    void (*fire)(struct bp_loop *loop, struct bp_timer_ *timer))
{
	req->timer.when = req->loop->sim->clock + ns;
	req->timer.fire = fire;
	timer_add(&req->loop->sim->due, &req->timer);
}

struct sim_req *sim_req_of_timer(struct bp_timer_ *timer)
{
	return container_of(timer, struct sim_req, timer);
}

/* ---------------------------------------------------------------- the table */

/** Puts a request in the submission queue. Return: 0 or -EAGAIN. */
static int enqueue(struct sim_loop *sl, struct bp_op *op, enum sim_req_kind kind)
{
	struct sim_req *req;

	if (sl->full)
		return -EAGAIN;
	if (sim_mishap(sl->sim, SIM_FULL)) {
		sl->full = true;
		sim_note(sl->sim, 1, sl->loop->index, "loop %u: queue full", sl->loop->index);
		return -EAGAIN;
	}
	req = sim_req_new(sl, op, kind);
	if (!req)
		return -EAGAIN;
	hash_add(req);
	list_add_tail(&sl->queue, &req->link);
	if (kind == SIM_OP)
		op_fill(op, &req->sqe);
	sim_note(sl->sim, req->id, kind == SIM_OP ? req->sqe.opcode : 255u,
		 "loop %u: submit %s %u%s%s", sl->loop->index, kind == SIM_OP ? "op" : "cancel",
		 req->id, kind == SIM_OP ? ": " : "",
		 kind == SIM_OP ? opcode_name(req->sqe.opcode) : "");
	return 0;
}

static int sim_submit(struct bp_loop *loop, struct bp_op *op)
{
	struct sim_loop *sl = loop->backend_data;
	int err;

	if (sim_req_find(sl, op, SIM_OP) || sim_req_find(sl, op, SIM_CANCEL))
		bp_fatal("sim: an operation is used again before it and its cancel are over");
	sim_step(sl->sim);
	err = enqueue(sl, op, SIM_OP);
	return err ? err : op->opcode_;
}

static int sim_cancel(struct bp_loop *loop, struct bp_op *op)
{
	struct sim_loop *sl = loop->backend_data;

	if (sim_req_find(sl, op, SIM_CANCEL))
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

		sim_issue(req);
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
		if ((n || !waited) && sim_mishap(sim, SIM_HOLD))
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
			bp_deadlock("sim: everything waits for ever: %u operation(s) in flight",
				    loop_in_flight(sl->loop) + loop_patient(sl->loop));
}

static unsigned int sim_reap(struct bp_loop *loop, struct bp_completion *out, unsigned int max,
			     uint64_t until)
{
	struct sim_loop *sl = loop->backend_data;
	struct sim *sim = sl->sim;

	sim_step(sim);
	enter(sl);
	sim_pass(sim,
		 1 + sim_choose(sim, "turn takes ns", sim->odds.turn_ns, sim->odds.turn_ns / 2));
	if (sim_mishap(sim, SIM_WAKE))
		until = 0;
	if (sim->current)
		sim_thread_wait(sim, sl, until);
	else
		wait_driven(sl, until);
	sl->woken = false;
	return copy_out(sl, out, max, until != 0);
}

static bool sim_pending(const struct bp_loop *loop)
{
	const struct sim_loop *sl = loop->backend_data;

	return !list_empty(&sl->queue) || !list_empty(&sl->ready);
}

static void sim_wake(struct bp_loop *loop)
{
	struct sim_loop *sl = loop->backend_data;

	sl->woken = true;
}

static uint64_t sim_now(const struct bp_engine *engine)
{
	const struct sim *sim = engine->backend_data;

	return sim->clock;
}

static int sim_init(struct bp_loop *loop)
{
	struct sim_loop *sl = calloc(1, sizeof(*sl));

	if (!sl)
		return -ENOMEM;
	sl->sim = loop->engine->backend_data;
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
	struct sim_req *req = sim_req_of_timer(timer);
	struct pool_job *job = req->job;

	(void)loop;
	list_add_head(&req->loop->sim->free, &req->link);
	loop_post(job->loop, &job->message);
}

/** A helper thread takes the job. */
static void job_begins(struct bp_loop *unused, struct bp_timer_ *timer)
{
	struct sim_req *req = sim_req_of_timer(timer);
	struct bp_loop *loop = bp_this_loop;

	(void)unused;
	list_del(&req->link);
	sim_note(req->loop->sim, 3, req->id, "job %u begins", req->id);
	bp_this_loop = NULL;
	req->job->result = req->job->fn(req->job->arg);
	bp_this_loop = loop;
	sim_at(req, sim_latency(req->loop->sim), job_over);
}

static int sim_offload(struct bp_loop *loop, struct pool_job *job)
{
	struct sim_loop *sl = loop->backend_data;
	struct sim_req *req = sim_req_new(sl, NULL, SIM_JOB);

	if (!req)
		return -EAGAIN;
	req->job = job;
	list_add_tail(&sl->sim->jobs, &req->link);
	sim_at(req, sim_latency(sl->sim), job_begins);
	return 0;
}

static bool sim_take_back(struct bp_loop *loop, struct pool_job *job)
{
	struct sim *sim = loop->engine->backend_data;
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

/* ---------------------------------------------------------------- the whole */

static int start_over(struct sim *sim, uint64_t seed)
{
	sim->random = seed;
	sim->clock = SIM_EPOCH;
	sim->trace = NULL;
	sim->stuck = NULL;
	sim->step = NULL;
	sim->decided = NULL;
	sim->kept = NULL;
	sim->off = sim->turn = 0;
	sim->still = false;
	memset(sim->struck, 0, sizeof(sim->struck));
	sim->hash = sim->events = sim->decisions = 0;
	sim->ids = 0;
	draw_odds(sim);
	return sim_model_init(sim);
}

static void sim_destroy(struct bp_engine *engine)
{
	struct sim *sim = engine->backend_data;

	sim_model_exit(sim);
	while (sim->slabs) {
		struct sim_slab *slab = sim->slabs;

		sim->slabs = slab->next;
		free(slab);
	}
	free(sim);
	engine->backend_data = NULL;
}

static int sim_create(struct bp_engine *engine)
{
	struct sim *sim = calloc(1, sizeof(*sim));
	int err;

	if (!sim)
		return -ENOMEM;
	sim->engine = engine;
	list_init(&sim->free);
	list_init(&sim->jobs);
	engine->backend_data = sim;
	err = start_over(sim, engine->seed);
	if (err)
		sim_destroy(engine);
	return err;
}

void sim_reset(struct bp_engine *engine, uint64_t seed)
{
	struct sim *sim = engine->backend_data;

	if (!engine->driven)
		sim_threads_settle(engine);
	for (unsigned int i = 0; i < engine->nloops; i++) {
		struct bp_loop *loop = engine->loops[i];
		struct sim_loop *sl = loop->backend_data;

		bp_assert(list_empty(&sl->queue) && list_empty(&sl->ready));
		bp_assert(loop_in_flight(loop) + loop_patient(loop) == 0 && loop->cancels_out == 0);
		timer_del(&loop->timers, &loop->again);
		loop->now = SIM_EPOCH;
		loop->stale = false;
		loop->woke_other = 0;
		/* One that is driven sleeps after a bp_engine_turn(); the others stand in their wait. */
		if (engine->driven)
			atomic_store(&loop->sleeping, false);
		sl->woken = sl->full = false;
	}
	bp_assert(!sim->due.root && !engine->deadlines.root);
	atomic_store(&engine->next_deadline, BP_NEVER);
	engine->driver_woken = false;
	sim_model_exit(sim);
	if (start_over(sim, seed))
		bp_fatal("sim: no memory");
}

const struct bp_backend_ops bp_sim_backend = {
	.name = "sim",
	.kernel_files = false,
	.create = sim_create,
	.destroy = sim_destroy,
	.start = sim_threads_start,
	.stop = sim_threads_stop,
	.drive = sim_threads_drive,
	.preempt = sim_preempt,
	.init = sim_init,
	.exit = sim_exit,
	.submit = sim_submit,
	.cancel = sim_cancel,
	.reap = sim_reap,
	.wake = sim_wake,
	.pending = sim_pending,
	.now = sim_now,
	.offload = sim_offload,
	.take_back = sim_take_back,
};
