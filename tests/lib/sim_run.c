/* SPDX-License-Identifier: MIT */
/*
 * sim_run - runs a program of sim_prog on the simulated backend, and watches it
 *
 * Everything is on one thread. Tasks run their scripts step by step; the results of their steps are
 * checked where the caller alone can know what they must be.
 */
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lib/sim_run.h"

static struct bp_engine *kept[PROG_LOOPS_MAX + 1][sizeof(prog_depths) / sizeof(prog_depths[0])];
static struct run the_run;

void broken(const struct run *run, const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fprintf(stderr, "seed %llu, event %llu, %llu ns: ", (unsigned long long)run->prog->seed,
		(unsigned long long)run->seq, (unsigned long long)(run->sim->clock - SIM_EPOCH));
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n");
	_Exit(3);
}

void watch_clock(struct run *run)
{
	for (unsigned int i = 0; i < run->ginsts; i++) {
		struct ginst *g = &run->ginst[i];

		if (!g->deadline || g->gone)
			continue;
		if (!g->deadline_seq && run->sim->clock >= g->deadline)
			g->deadline_seq = run->seq;
		if (!g->deadline_sure_seq && run->sim->clock >= g->deadline + SURE_NS)
			g->deadline_sure_seq = run->seq;
	}
}

/* ---------------------------------------------------------------- steps of anybody */

struct ginst *run_group_of(struct run *run, struct item *caller, int a)
{
	if (a == GROUP_OWN)
		return caller ? caller->g : NULL;
	return (unsigned int)a < run->prog->groups && run->ginst[a].g && !run->ginst[a].gone ?
		       &run->ginst[a] :
		       NULL;
}

static void report(void *ctx, void *arg, enum bp_end end, int result)
{
	struct ginst *g = ctx;
	struct run *run = g->run;
	struct item *item;
	struct copy *copy = arg;

	if ((char *)arg >= (char *)run->item && (char *)arg < (char *)&run->item[PROG_ITEMS]) {
		item = &run->item[(size_t)((char *)arg - (char *)run->item) / sizeof(*item)];
	} else {
		must(run, copy->magic == COPY_MAGIC, "a report's copy is not what was copied");
		item = copy->item;
	}
	must(run, item->g == g, "item %u is reported to a group that is not its own", item->id);
	check_reported(item, end, result);
}

static void op_prep(struct bp_op *op, struct io_uring_sqe *sqe)
{
	struct item *item = container_of(op, struct item, op);
	struct run *run = item->run;
	int a = item->script & 1;

	if (!item->started)
		check_started(item);
	note(run, "item %u: prepared", item->id);
	switch (item->opcode) {
	case STEP_SLEEP:
	case STEP_TIMEOUT:
		io_uring_prep_timeout(sqe, &item->ts, 0, 0);
		return;
	case STEP_RECV:
		io_uring_prep_recv(sqe, run->pair[a][1], item->buf, sizeof(item->buf), 0);
		return;
	case STEP_SEND:
		io_uring_prep_send(sqe, run->pair[a][0], "0123456789", 10, 0);
		return;
	case STEP_SEND_ZC:
		io_uring_prep_send_zc(sqe, run->pair[a][0], "0123456789", 10, 0, 0);
		return;
	case STEP_POLL:
		io_uring_prep_poll_add(sqe, run->pair[a][1], POLLIN);
		return;
	default:
		io_uring_prep_nop(sqe);
	}
}

/** What an operation item's script says that it shall end with, if all goes well. */
static int op_result(const struct item *item)
{
	const struct script *script = &item->run->prog->script[item->script];

	for (unsigned int i = 0; i < PROG_STEPS; i++)
		if (script->step[i].kind == STEP_RETURN)
			return (int)script->step[i].c;
	return 0;
}

static int op_done(struct bp_op *op, int res)
{
	struct item *item = container_of(op, struct item, op);
	struct run *run = item->run;

	if (!item->started)
		check_started(item);
	must(run, !item->ended, "item %u: done() after its end", item->id);
	note(run, "item %u: done %d", item->id, res);
	must(run, res != -ECANCELED || item_may_be_cancelled(item),
	     "item %u: -ECANCELED, and nobody cancelled", item->id);
	if (res > 0 && !(op->cqe_flags & IORING_CQE_F_NOTIF)) {
		if (item->opcode == STEP_RECV)
			run->received += (uint64_t)res;
		else if (item->opcode != STEP_POLL)
			run->sent += (uint64_t)res;
	}
	memset(item->buf, UNTOUCHED, sizeof(item->buf));
	if (op->cqe_flags & IORING_CQE_F_MORE)
		return 0;
	item->ended_seq = run->seq;
	item->ended_late = surely_cancelled(item->g) || item->alone_sure;
	if (res == -ETIME)
		res = 0;
	if (res >= 0 && item->rounds) {
		item->rounds--;
		/* The item's timeout may make a failure of it. */
		if (item->g->o->item_timeout_ns)
			item->g->failures_returned++;
		return BP_OP_AGAIN;
	}
	item->ended = true;
	item->result = res < 0 ? res : op_result(item);
	if (item->result < 0)
		item->g->failures_returned++;
	else
		item->g->successes_returned++;
	return item->result;
}

static struct item *new_item(struct run *run, struct ginst *g, unsigned int script,
			     unsigned int flags)
{
	struct item *item = &run->item[run->items];
	const struct step *first = &run->prog->script[script].step[0];

	memset(item, 0, sizeof(*item));
	item->magic = ITEM_MAGIC;
	item->run = run;
	item->g = g;
	item->id = run->items++;
	item->script = script;
	item->flags = flags;
	item->weight = flags & GO_HEAVY ? 2 + (long)(script & 1) : 1;
	item->loop = flags & GO_PINNED ? (int)(script % run->engine->nloops) : -1;
	item->alone_cause = item->id % 3 ? -ESTALE : -ECANCELED;
	memset(item->buf, UNTOUCHED, sizeof(item->buf));
	if (!(flags & GO_OP))
		return item;
	item->op = (struct bp_op)BP_OP_INIT(op_prep, op_done);
	item->opcode = first->kind;
	item->rounds = (unsigned int)first->c & 3;
	item->ts.tv_nsec = first->c;
	return item;
}

int run_go(struct run *run, struct item *caller, struct ginst *g, const struct step *s)
{
	bool cancelled = surely_cancelled(g), closed = g->closed_seq != 0;
	struct item *item;
	int err;

	if (run->items == PROG_ITEMS)
		return 0;
	item = new_item(run, g, (unsigned int)s->b, s->flags);
	note(run, "item %u is offered to group %d", item->id, g->id);
	g->offers += item->weight;
	err = run_call_go(item);
	g->offers -= item->weight;
	note(run, "item %u: bp_go says %d", item->id, err);
	check_go(item, caller, err, cancelled, closed);
	return err;
}

void run_cancel(struct run *run, struct ginst *g, int cause)
{
	struct cancel *c = NULL;

	note(run, "group %d: cancel with %d", g->id, cause);
	if (g->cancels < RUN_CANCELS) {
		c = &g->cancel[g->cancels++];
		*c = (struct cancel){cause ? cause : -ECANCELED, run->seq, NEVER_SEQ};
	} else {
		g->cancels_lost = true;
	}
	bp_cancel(g->g, cause);
	note(run, "group %d: cancel has returned", g->id);
	must(run, list_empty(&g->g->go_waiters),
	     "group %d: a bp_go() still waits after its group was cancelled", g->id);
	if (c)
		c->hi = run->seq;
}

static bool queues_full(struct bp_engine *engine)
{
	bool full;

	engine_lock(engine);
	full = loops_full(engine);
	engine_unlock(engine);
	return full;
}

/** Whether there are places for the first in line. */
static bool could_go_on(struct bp_group *g)
{
	return group_has_place(g, group_waiter_of_link(g->go_waiters.next)->weight);
}

static void do_limit(struct run *run, struct ginst *g, long limit)
{
	long held;

	note(run, "group %d: limit %ld", g->id, limit);
	g->limit_changed = true;
	if (g->limit_calls++)
		g->limit_vague = true;
	if (g->cap >= 0 && (limit < 0 || limit > g->cap))
		g->cap = limit;
	must(run, bp_group_set_limit(g->g, limit) == 0, "bp_group_set_limit failed");
	if (g->limit_vague) {
		/* Who was the last of them cannot be known. */
		g->limit = g->cap = -1;
		g->limit_vague = --g->limit_calls > 0;
		return;
	}
	g->limit_calls--;
	g->limit = limit;
	held = g->held + g->offers;
	if (limit < 0)
		g->cap = -1;
	else
		g->cap = held > limit ? held : limit;
	note(run, "group %d: limit is %ld", g->id, limit);
	/* With several loops others may have come to wait since. */
	must(run,
	     !run->engine->driven || list_empty(&g->g->go_waiters) || !could_go_on(g->g) ||
		     queues_full(run->engine),
	     "group %d: a bp_go() still waits after its limit was raised to %ld", g->id, limit);
}

struct ginst *run_make_group(struct run *run, unsigned int options, struct ginst *parent,
			     struct item *owner)
{
	const struct prog_group *o = &run->prog->group[options];
	struct ginst *g = &run->ginst[run->ginsts++];
	int err;

	memset(g, 0, sizeof(*g));
	g->run = run;
	g->o = o;
	g->id = (int)(g - run->ginst);
	g->parent = parent;
	g->owner = owner;
	g->limit = g->cap = o->limit;
	g->deadline = o->deadline_ns ? run->sim->clock + o->deadline_ns : 0;
	g->created_seq = note(run, "group %d is created", g->id);
	err = bp_group_create(&g->g, run->engine,
			      &BP_GROUP_OPTS(.parent = parent ? parent->g : NULL, .limit = o->limit,
					     .stop_after_failures = o->failures,
					     .stop_after_successes = o->successes,
					     .deadline_ns = g->deadline,
					     .item_timeout_ns = o->item_timeout_ns,
					     .report = report, .report_arg = g));
	must(run, err == 0, "bp_group_create says %d", err);
	return g;
}

/** Waits; the group is closed when it has returned something else than its time out. */
int run_wait(struct run *run, struct ginst *g, uint64_t until)
{
	int res;

	g->wait_seq = note(run, "group %d: wait begins", g->id);
	res = until == BP_NEVER ? bp_wait(g->g) : bp_wait_until(g->g, until);
	note(run, "group %d: wait says %d", g->id, res);
	if (until != BP_NEVER && res == -ETIMEDOUT) {
		must(run, run->sim->clock >= until || g->accepted == g->reported,
		     "group %d: bp_wait_until gave up before its time", g->id);
		/* Or that was the cause, and the group is closed. */
		if (g->accepted == g->reported && !g->maybe_closed_seq)
			g->maybe_closed_seq = run->seq;
		return res;
	}
	if (until != BP_NEVER && !group_closed(g->g)) {
		/* Nothing had been added when it looked, and the group stays open. */
		must(run, res == (g->o->successes ? -ENOENT : 0),
		     "group %d: bp_wait_until on nothing says %d", g->id, res);
		return res;
	}
	if (!g->closed_seq) {
		g->closed_seq = run->seq;
		g->closing_seq = g->wait_seq;
	}
	check_result(g, res);
	return res;
}

void run_wait_for_all(struct run *run, struct item *caller, struct ginst *g)
{
	static const struct step late = {.kind = STEP_GO, .b = PROG_SCRIPTS - 1};
	int res = run_wait(run, g, BP_NEVER);

	must(run, bp_wait(g->g) == res, "group %d: bp_wait says something else the second time",
	     g->id);
	check_stats(g);
	check_winner(g);
	run_go(run, caller, g, &late);
}

void run_destroy(struct run *run, struct ginst *g)
{
	g->wait_seq = note(run, "group %d is destroyed", g->id);
	g->dying = true;
	bp_group_destroy(g->g);
	g->gone = true;
	note(run, "group %d is gone", g->id);
	must(run, g->accepted == g->reported,
	     "group %d was destroyed with %ld accepted and %ld reported items", g->id, g->accepted,
	     g->reported);
}

static void check_group_stats(struct run *run, struct ginst *g)
{
	struct bp_group_stats st = {.sz = sizeof(st)};

	bp_group_stats(g->g, &st);
	must(run, st.accepted >= st.succeeded + st.failed + st.stopped + st.never_started,
	     "group %d: more ends than items", g->id);
}

/** A step that anybody may do. Return: whether it was one. */
bool run_step(struct run *run, struct item *caller, const struct step *s, int *res)
{
	struct ginst *g;

	if (s->kind < STEP_GO || s->kind > STEP_ALONE)
		return false;
	if (s->kind == STEP_ALONE) {
		run_alone(run, s);
		return true;
	}
	g = run_group_of(run, caller, s->a);
	if (!g)
		return true;
	switch (s->kind) {
	case STEP_GO:
		for (int64_t i = 0; i < s->c; i++) {
			*res = run_go(run, caller, g, s);
			/* Whoever is turned away for good stops asking. */
			if (*res && *res != -EAGAIN)
				break;
		}
		*res = 0;
		break;
	case STEP_CANCEL:
		run_cancel(run, g, (int)s->c);
		break;
	case STEP_LIMIT:
		do_limit(run, g, (long)s->c);
		break;
	case STEP_POST:
		run_post(run, s);
		break;
	default:
		check_group_stats(run, g);
	}
	return true;
}

/* ---------------------------------------------------------------- a run */

static void quieten(struct sim_odds *odds, unsigned int quiet)
{
	unsigned int *all[] = {&odds->error, &odds->again, &odds->shorter, &odds->full,
			       &odds->late,  &odds->hold,  &odds->preempt, &odds->wake};

	for (unsigned int i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (quiet & (1u << i))
			*all[i] = 0;
	if (quiet & (1u << 8))
		odds->latency_ns = 0;
	if (quiet == ~0u)
		odds->preempt = 100;
}

static struct bp_engine *engine_for(const struct prog *prog)
{
	unsigned int d = 0;
	int err;

	while (prog_depths[d] != prog->depth)
		d++;
	if (!kept[prog->loops][d]) {
		err = bp_engine_create(&kept[prog->loops][d],
				       &BP_ENGINE_OPTS(.backend = BP_BACKEND_SIM,
						       .loops = prog->loops, .depth = prog->depth));
		if (err) {
			fprintf(stderr, "bp_engine_create says %d\n", err);
			_Exit(4);
		}
	}
	return kept[prog->loops][d];
}

void prog_run_end(void)
{
	for (unsigned int i = 0; i <= PROG_LOOPS_MAX; i++) {
		for (unsigned int d = 0; d < sizeof(kept[0]) / sizeof(kept[0][0]); d++) {
			bp_engine_destroy(kept[i][d]);
			kept[i][d] = NULL;
		}
	}
}

static void print_event(void *arg, const char *line)
{
	struct run *run = arg;

	printf("%8llu  %12llu ns  %s\n", (unsigned long long)run->seq,
	       (unsigned long long)(run->sim->clock - SIM_EPOCH), line);
}

/**
 * Everything waits, for bytes that nobody sends and the like: a second thread cancels it all, once.
 */
static bool stuck(void *arg)
{
	struct run *run = arg;

	if (run->helped)
		return false;
	run->helped = true;
	note(run, "everything waits");
	for (unsigned int i = 0; i < run->prog->groups; i++)
		if (run->ginst[i].g && !run->ginst[i].dying)
			run_cancel(run, &run->ginst[i], -ESHUTDOWN);
	return true;
}

/** Everybody must end; who has not ended by himself is cancelled. */
static void end_group(struct run *run, struct ginst *g)
{
	if (run_wait(run, g, run->sim->clock + 50000000) == -ETIMEDOUT)
		run_cancel(run, g, -ESHUTDOWN);
	run_wait_for_all(run, NULL, g);
}

static void main_script(struct run *run)
{
	const struct prog *prog = run->prog;
	int res;

	for (unsigned int i = 0; i < prog->groups; i++) {
		int parent = prog->group[i].parent;

		run_make_group(run, i, parent >= 0 ? &run->ginst[parent] : NULL, NULL);
	}
	for (unsigned int i = 0; i < PROG_STEPS; i++) {
		const struct step *s = &prog->script[0].step[i];
		struct ginst *g;

		if (run_step(run, NULL, s, &res))
			continue;
		if (s->kind == STEP_JOIN)
			run_join(run, s);
		if (s->kind != STEP_WAIT_UNTIL)
			continue;
		g = run_group_of(run, NULL, s->a);
		if (g)
			run_wait(run, g, run->sim->clock + (uint64_t)s->c);
	}
	for (unsigned int i = 0; i < prog->groups; i++) {
		unsigned int k = prog->parents_first ? i : prog->groups - 1 - i;

		if ((int)k != prog->destroyed)
			end_group(run, &run->ginst[k]);
	}
	/* Who is called must not be in a group that is freed meanwhile. */
	run_drain_posts(run);
	if (prog->destroyed >= 0)
		run_destroy(run, &run->ginst[prog->destroyed]);
	run_drain_posts(run);
	for (unsigned int i = 0; i < prog->groups; i++)
		if (!run->ginst[i].gone)
			run_destroy(run, &run->ginst[i]);
}

struct sim_outcome prog_run(const struct prog *prog, bool trace)
{
	struct run *run = &the_run;
	struct sim_outcome outcome;

	run->prog = prog;
	run->engine = engine_for(prog);
	run->sim = sim_of(run->engine);
	run->seq = 1;
	run->items = run->ginsts = 0;
	run->posts = run->called = 0;
	run->posting = false;
	run->sent = run->received = 0;
	sim_reset(run->engine, prog->seed);
	quieten(&run->sim->odds, prog->quiet);
	run->sim->trace = trace ? print_event : NULL;
	run->sim->stuck = stuck;
	run->sim->arg = run;
	run->helped = false;
	for (unsigned int i = 0; i < 2; i++)
		must(run, !sim_socketpair(run->engine, run->pair[i]), "no streams");
	run->listener = sim_listen(run->engine, RUN_ADDRESS, sizeof(RUN_ADDRESS), 4);
	main_script(run);
	for (unsigned int i = 0; i < 4; i++)
		sim_close(run->engine, run->pair[i / 2][i % 2]);
	sim_close(run->engine, run->listener);
	/* What is on its way to a loop, the cancel of an item that has ended, say, arrives. */
	if (run->engine->driven)
		bp_engine_turn(run->engine, NULL);
	else
		sim_threads_settle(run->engine);
	run_end_handles(run);
	check_end(run);
	outcome.hash = run->sim->hash;
	outcome.events = run->sim->events;
	outcome.items = run->items;
	return outcome;
}
