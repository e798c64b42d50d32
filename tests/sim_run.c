// SPDX-License-Identifier: MIT
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

#include "sim_run.h"

static struct bp_engine *kept[PROG_LOOPS_MAX + 1][sizeof(prog_depths) / sizeof(prog_depths[0])];
static struct run the_run;

static int task_main(void *arg);

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

/* When a deadline has passed by so much, its cancel has happened. */
#define SURE_NS 20000000ull

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

static struct ginst *group_of(struct run *run, struct item *caller, int a)
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
	must(run, res != -ECANCELED || may_be_cancelled(item->g),
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
	item->ended_late = surely_cancelled(item->g);
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
	memset(item->buf, UNTOUCHED, sizeof(item->buf));
	if (!(flags & GO_OP))
		return item;
	item->op = (struct bp_op)BP_OP_INIT(op_prep, op_done);
	item->opcode = first->kind;
	item->rounds = (unsigned int)first->c & 3;
	item->ts.tv_nsec = first->c;
	return item;
}

static int call_go(struct item *item)
{
	struct copy copy = {COPY_MAGIC, item, COPY_MAGIC};
	struct bp_group *g = item->g->g;
	bool try = item->flags & GO_TRY;

	if (item->flags & GO_OP)
		return try ? bp_try_go_op(g, &item->op) : bp_go_op(g, &item->op);
	if (item->flags & GO_COPY)
		return try ? bp_try_go_copy(g, task_main, &copy, sizeof(copy)) :
			     bp_go_copy(g, task_main, &copy, sizeof(copy));
	return try ? bp_try_go(g, task_main, item) : bp_go(g, task_main, item);
}

static int do_go(struct run *run, struct item *caller, struct ginst *g, const struct step *s)
{
	bool cancelled = surely_cancelled(g), closed = g->closed_seq != 0;
	struct item *item;
	int err;

	if (run->items == PROG_ITEMS)
		return 0;
	item = new_item(run, g, (unsigned int)s->b, s->flags);
	note(run, "item %u is offered to group %d", item->id, g->id);
	g->offers++;
	err = call_go(item);
	g->offers--;
	note(run, "item %u: bp_go says %d", item->id, err);
	check_go(item, caller, err, cancelled, closed);
	return err;
}

static void do_cancel(struct run *run, struct ginst *g, int cause)
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
	if (c)
		c->hi = run->seq;
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
	held = g->accepted - g->reported + g->offers;
	if (limit < 0)
		g->cap = -1;
	else
		g->cap = held > limit ? held : limit;
	note(run, "group %d: limit is %ld", g->id, limit);
	/* With several loops others may have come to wait since. */
	must(run,
	     !run->engine->driven || list_empty(&g->g->go_waiters) ||
		     (limit >= 0 && g->g->running >= (uint64_t)limit) ||
		     engine_is_full(run->engine),
	     "group %d: a bp_go() still waits after its limit was raised to %ld", g->id, limit);
}

static struct ginst *make_ginst(struct run *run, unsigned int options, struct ginst *parent,
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
static int do_wait(struct run *run, struct ginst *g, uint64_t until)
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
	if (!g->closed_seq) {
		g->closed_seq = run->seq;
		g->closing_seq = g->wait_seq;
	}
	check_result(g, res);
	return res;
}

static void wait_for_all(struct run *run, struct item *caller, struct ginst *g)
{
	static const struct step late = {.kind = STEP_GO, .b = PROG_SCRIPTS - 1};
	int res = do_wait(run, g, BP_NEVER);

	must(run, bp_wait(g->g) == res, "group %d: bp_wait says something else the second time",
	     g->id);
	check_stats(g);
	check_winner(g);
	do_go(run, caller, g, &late);
}

static void destroy(struct run *run, struct ginst *g)
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
static bool common_step(struct run *run, struct item *caller, const struct step *s, int *res)
{
	struct ginst *g;

	if (s->kind != STEP_GO && s->kind != STEP_CANCEL && s->kind != STEP_LIMIT &&
	    s->kind != STEP_STATS)
		return false;
	g = group_of(run, caller, s->a);
	if (!g)
		return true;
	switch (s->kind) {
	case STEP_GO:
		for (int64_t i = 0; i < s->c; i++) {
			*res = do_go(run, caller, g, s);
			/* Whoever is turned away for good stops asking. */
			if (*res && *res != -EAGAIN)
				break;
		}
		*res = 0;
		break;
	case STEP_CANCEL:
		do_cancel(run, g, (int)s->c);
		break;
	case STEP_LIMIT:
		do_limit(run, g, (long)s->c);
		break;
	default:
		check_group_stats(run, g);
	}
	return true;
}

/* ---------------------------------------------------------------- steps of a task */

/* How things stood before an operation of a task. */
struct before {
	bool over; /* it has been cancelled, or has timed out, and is not shielded */
	uint64_t events, clock;
};

static struct before before(struct item *item)
{
	struct sim *sim = item->run->sim;

	return (struct before){bp_cancelled() && !item->shield, sim->events, sim->clock};
}

static bool timed_out(const struct item *item)
{
	const struct run *run = item->run;

	/* A thread's turn sees the time at which it began, which others may have let pass. */
	if (item->g->o->item_timeout_ns && run->sim->clock + (run->engine->driven ? 0 : SURE_NS) >=
						   item->started_ns + item->g->o->item_timeout_ns)
		return true;
	for (unsigned int i = 0; i < item->scopes; i++)
		if (run->sim->clock >= item->scope_end[i])
			return true;
	return false;
}

/** An operation of a task has returned. Return: @res. */
static int after(struct item *item, struct before b, const char *what, int64_t res)
{
	struct run *run = item->run;
	bool stopped = res == -ECANCELED || res == -ETIMEDOUT;

	if (b.over) {
		must(run, stopped, "item %u: %s gave %lld after the cancel", item->id, what,
		     (long long)res);
		must(run, run->sim->events == b.events,
		     "item %u: %s did something after the cancel", item->id, what);
	}
	note(run, "item %u: %s gives %lld", item->id, what, (long long)res);
	if (item->shield)
		must(run, !stopped, "item %u: %s gave %lld inside a shield", item->id, what,
		     (long long)res);
	if (res == -ECANCELED)
		must(run, may_be_cancelled(item->g) && bp_cancelled(),
		     "item %u: %s gave -ECANCELED, and nobody cancelled", item->id, what);
	if (res == -ETIMEDOUT)
		must(run, timed_out(item), "item %u: %s gave -ETIMEDOUT before its time", item->id,
		     what);
	return (int)res;
}

#define CALL(item, what, call)                                                                     \
	({                                                                                         \
		struct before before_ = before(item);                                              \
		after(item, before_, what, call);                                                  \
	})

static int step_sleep(struct item *item, uint64_t ns)
{
	uint64_t until = item->run->sim->clock + ns;
	int res = CALL(item, "sleep", bp_sleep(ns));

	must(item->run, res || item->run->sim->clock >= until, "item %u: slept too short",
	     item->id);
	return res;
}

static int blocking(void *arg)
{
	struct item *item = arg;

	note(item->run, "item %u: on a helper thread", item->id);
	item->offloaded = true;
	return 5;
}

static int step_offload(struct item *item)
{
	int res;

	item->offloaded = false;
	res = CALL(item, "offload", bp_offload(blocking, item));
	must(item->run, item->offloaded == (res == 5), "item %u: offload gave %d, and %s", item->id,
	     res, item->offloaded ? "it ran" : "it did not run");
	return res;
}

static void do_close(struct item *item, int fd)
{
	int res = bp_close(fd);

	note(item->run, "item %u: close gives %d", item->id, res);
	must(item->run, res == 0, "item %u: close gave %d", item->id, res);
}

/** Writes and reads back; what is read must be what was written. */
static int file_contents(struct item *item, int fd, const char *path, unsigned int len)
{
	struct statx stx = {0};
	unsigned int put = 0, got = 0;
	char text[64];
	int res;

	memset(text, 'a' + (int)(item->id % 26), sizeof(text));
	while (put < len) {
		res = CALL(item, "write", bp_write(fd, text, len - put, put));
		if (res < 0)
			return res;
		put += (unsigned int)res;
	}
	while (got < len) {
		res = CALL(item, "read", bp_read(fd, item->buf, len - got, got));
		if (res < 0)
			return res;
		must(item->run, res > 0, "item %u: the file ends after %u of %u bytes", item->id,
		     got, len);
		must(item->run, !memcmp(item->buf, text, (size_t)res),
		     "item %u: read something else than it wrote", item->id);
		memset(item->buf, UNTOUCHED, sizeof(item->buf));
		got += (unsigned int)res;
	}
	res = CALL(item, "statx", bp_statx(AT_FDCWD, path, 0, STATX_BASIC_STATS, &stx));
	must(item->run, res < 0 || stx.stx_size == len, "item %u: the file has %llu bytes, not %u",
	     item->id, (unsigned long long)stx.stx_size, len);
	return res;
}

static int step_file(struct item *item, const struct step *s)
{
	char path[32], moved[32];
	int fd, res;

	if (s->b) {
		snprintf(path, sizeof(path), "/shared%d", s->a);
		fd = CALL(item, "open", bp_openat(AT_FDCWD, path, O_RDWR | O_CREAT, 0644));
		if (fd < 0)
			return fd;
		res = CALL(item, "write", bp_write(fd, "x", 1, 0));
		do_close(item, fd);
		return res;
	}
	snprintf(path, sizeof(path), "file%u", item->id);
	snprintf(moved, sizeof(moved), "moved%u", item->id);
	fd = CALL(item, "open", bp_openat(AT_FDCWD, path, O_RDWR | O_CREAT | O_TRUNC, 0644));
	if (fd < 0)
		return fd;
	res = file_contents(item, fd, path, (unsigned int)s->c);
	do_close(item, fd);
	if (res >= 0)
		res = CALL(item, "rename", bp_renameat(AT_FDCWD, path, AT_FDCWD, moved, 0));
	/* What is left over is removed also after a cancel. */
	bp_shield_begin();
	item->shield++;
	CALL(item, "unlink", bp_unlinkat(AT_FDCWD, res < 0 ? path : moved, 0));
	item->shield--;
	bp_shield_end();
	return res;
}

static int count_sent(struct item *item, int res)
{
	if (res > 0)
		item->run->sent += (uint64_t)res;
	return res;
}

static int step_send(struct item *item, int fd, unsigned int len, bool zero_copy)
{
	static const char text[] = "0123456789012345678901234567890123456789";

	if (!zero_copy)
		return count_sent(item, CALL(item, "send", bp_send(fd, text, len, 0)));
	io_uring_prep_send_zc(bp_sqe(), fd, text, len, 0, 0);
	return count_sent(item, CALL(item, "send_zc", bp_await()));
}

static int step_recv(struct item *item, int fd, unsigned int len)
{
	int res = CALL(item, "recv", bp_recv(fd, item->buf, len, 0));

	for (unsigned int i = res > 0 ? (unsigned int)res : 0; i < sizeof(item->buf); i++)
		must(item->run, item->buf[i] == UNTOUCHED, "item %u: recv wrote too much",
		     item->id);
	if (res > 0)
		item->run->received += (uint64_t)res;
	memset(item->buf, UNTOUCHED, sizeof(item->buf));
	return res;
}

static const char address[] = "the address";

static int step_connect(struct item *item, unsigned int len)
{
	int fd = CALL(item, "socket", bp_socket(AF_UNIX, SOCK_STREAM, 0)), res;

	if (fd < 0)
		return fd;
	res = CALL(item, "connect",
		   bp_connect(fd, (const struct sockaddr *)address, sizeof(address)));
	if (res >= 0)
		res = step_send(item, fd, len, false);
	do_close(item, fd);
	return res;
}

static int step_accept(struct item *item)
{
	int fd = CALL(item, "accept", bp_accept(item->run->listener, NULL, NULL, 0)), res;

	if (fd < 0)
		return fd;
	do
		res = step_recv(item, fd, 40);
	while (res > 0);
	do_close(item, fd);
	return res;
}

static void step_shield(struct item *item, bool end)
{
	if (!end) {
		bp_shield_begin();
		item->shield++;
	} else if (item->shield) {
		bp_shield_end();
		item->shield--;
	}
}

static void end_scope(struct item *item)
{
	unsigned int i = --item->scopes;
	int res = bp_timeout_end(&item->scope[i]);

	note(item->run, "item %u: its scope ends with %d", item->id, res);
	must(item->run, res == 0 || item->run->sim->clock >= item->scope_end[i],
	     "item %u: a scope ended before its time", item->id);
}

static void step_timeout(struct item *item, const struct step *s)
{
	if (s->b && item->scopes) {
		end_scope(item);
	} else if (!s->b && item->scopes < 4) {
		item->scope_end[item->scopes] = item->run->sim->clock + (uint64_t)s->c;
		bp_timeout_begin(&item->scope[item->scopes++], (uint64_t)s->c);
	}
}

static void step_nest(struct item *item, const struct step *s)
{
	struct run *run = item->run;
	struct ginst *g;

	if (run->ginsts == RUN_GROUPS)
		return;
	g = make_ginst(run, (unsigned int)s->a, s->flags & NEST_OF_OWN ? item->g : NULL, item);
	for (int64_t i = 0; i < s->c; i++) {
		struct step go = {.kind = STEP_GO, .b = s->b};

		if (do_go(run, item, g, &go))
			break;
	}
	if (s->flags & NEST_UNTIL)
		do_wait(run, g, run->sim->clock + 100000);
	if (!(s->flags & NEST_DESTROY))
		wait_for_all(run, item, g);
	destroy(run, g);
}

static int task_step(struct item *item, const struct step *s)
{
	struct run *run = item->run;
	int res = 0;

	if (common_step(run, item, s, &res))
		return res;
	/* What may wait for ever has no business inside a shield. */
	if (item->shield && s->kind >= STEP_SEND && s->kind != STEP_SHIELD &&
	    s->kind != STEP_TIMEOUT)
		return 0;
	switch (s->kind) {
	case STEP_NOP:
		io_uring_prep_nop(bp_sqe());
		return CALL(item, "nop", bp_await());
	case STEP_YIELD:
		res = bp_yield();
		note(run, "item %u: yield gives %d", item->id, res);
		return res;
	case STEP_SLEEP:
		return step_sleep(item, (uint64_t)s->c);
	case STEP_OFFLOAD:
		return step_offload(item);
	case STEP_FILE:
		return step_file(item, s);
	case STEP_SEND:
	case STEP_SEND_ZC:
		return step_send(item, run->pair[s->a][0], (unsigned int)s->c,
				 s->kind == STEP_SEND_ZC);
	case STEP_RECV:
		return step_recv(item, run->pair[s->a][1], (unsigned int)s->c);
	case STEP_POLL:
		return CALL(item, "poll", bp_poll(run->pair[s->a][1], POLLIN));
	case STEP_CONNECT:
		return step_connect(item, (unsigned int)s->c);
	case STEP_ACCEPT:
		return step_accept(item);
	case STEP_SHIELD:
		step_shield(item, s->b);
		return 0;
	case STEP_TIMEOUT:
		step_timeout(item, s);
		return 0;
	case STEP_NEST:
		step_nest(item, s);
		return 0;
	default:
		return 0;
	}
}

static int task_main(void *arg)
{
	struct copy *copy = arg;
	struct item *item = copy->magic == COPY_MAGIC ? copy->item : arg;
	struct run *run = item->run;
	const struct script *script = &run->prog->script[item->script];
	int result = 0;

	must(run, item->magic == ITEM_MAGIC, "a task got something else than its argument");
	check_started(item);
	for (unsigned int i = 0; i < PROG_STEPS; i++) {
		const struct step *s = &script->step[i];
		int res;

		if (s->kind == STEP_RETURN) {
			result = (int)s->c;
			break;
		}
		res = task_step(item, s);
		if (res < 0)
			result = res;
	}
	while (item->scopes)
		end_scope(item);
	while (item->shield)
		step_shield(item, true);
	if (copy->magic == COPY_MAGIC)
		must(run, copy->item == item && copy->more_magic == COPY_MAGIC,
		     "item %u: its copy was changed", item->id);
	item->ended = true;
	item->result = result;
	item->ended_seq = note(run, "item %u returns %d", item->id, result);
	item->ended_late = surely_cancelled(item->g);
	item->g->running--;
	if (result >= 0)
		item->g->successes_returned++;
	else
		item->g->failures_returned++;
	return result;
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

/** Everything waits, for bytes that nobody sends and the like: a second thread cancels it all, once. */
static bool stuck(void *arg)
{
	struct run *run = arg;

	if (run->helped)
		return false;
	run->helped = true;
	note(run, "everything waits");
	for (unsigned int i = 0; i < run->prog->groups; i++)
		if (run->ginst[i].g && !run->ginst[i].dying)
			do_cancel(run, &run->ginst[i], -ESHUTDOWN);
	return true;
}

/** Everybody must end; who has not ended by himself is cancelled. */
static void end_group(struct run *run, struct ginst *g)
{
	if (do_wait(run, g, run->sim->clock + 50000000) == -ETIMEDOUT)
		do_cancel(run, g, -ESHUTDOWN);
	wait_for_all(run, NULL, g);
}

static void main_script(struct run *run)
{
	const struct prog *prog = run->prog;
	int res;

	for (unsigned int i = 0; i < prog->groups; i++) {
		int parent = prog->group[i].parent;

		make_ginst(run, i, parent >= 0 ? &run->ginst[parent] : NULL, NULL);
	}
	for (unsigned int i = 0; i < PROG_STEPS; i++) {
		const struct step *s = &prog->script[0].step[i];
		struct ginst *g;

		if (common_step(run, NULL, s, &res) || s->kind != STEP_WAIT_UNTIL)
			continue;
		g = group_of(run, NULL, s->a);
		if (g)
			do_wait(run, g, run->sim->clock + (uint64_t)s->c);
	}
	for (unsigned int i = 0; i < prog->groups; i++) {
		unsigned int k = prog->parents_first ? i : prog->groups - 1 - i;

		if ((int)k != prog->destroyed)
			end_group(run, &run->ginst[k]);
	}
	if (prog->destroyed >= 0)
		destroy(run, &run->ginst[prog->destroyed]);
	for (unsigned int i = 0; i < prog->groups; i++)
		if (!run->ginst[i].gone)
			destroy(run, &run->ginst[i]);
}

struct sim_outcome prog_run(const struct prog *prog, bool trace)
{
	struct run *run = &the_run;
	struct sim_outcome outcome;

	run->prog = prog;
	run->engine = engine_for(prog);
	run->sim = run->engine->sim;
	run->seq = 1;
	run->items = run->ginsts = 0;
	run->sent = run->received = 0;
	sim_reset(run->engine, prog->seed);
	quieten(&run->sim->odds, prog->quiet);
	run->sim->trace = trace ? print_event : NULL;
	run->sim->stuck = stuck;
	run->sim->arg = run;
	run->helped = false;
	for (unsigned int i = 0; i < 2; i++)
		must(run, !sim_socketpair(run->engine, run->pair[i]), "no streams");
	run->listener = sim_listen(run->engine, address, sizeof(address), 4);
	main_script(run);
	for (unsigned int i = 0; i < 4; i++)
		sim_close(run->engine, run->pair[i / 2][i % 2]);
	sim_close(run->engine, run->listener);
	if (!run->engine->driven)
		sim_threads_settle(run->engine);
	check_end(run);
	outcome.hash = run->sim->hash;
	outcome.events = run->sim->events;
	outcome.items = run->items;
	return outcome;
}
