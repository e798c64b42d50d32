/* SPDX-License-Identifier: MIT */
/*
 * test_timeouts - sleeping, timeout scopes, item timeouts, deadlines
 *
 * Lower bounds of time are exact; upper bounds are generous, for the machine may be busy.
 */
#include "support/harness.h"

/* A time that is never reached, but for a machine that stood still. */
#define LATE (20 * SECOND)

static int sleeps(void *arg)
{
	struct test *t = arg;
	uint64_t begin = bp_now(t->engine);

	expect_eq(bp_sleep(5 * MS), 0);
	expect_between(bp_now(t->engine) - begin, 5 * MS, LATE);
	expect_eq(bp_sleep(0), 0);
	return 0;
}

static void sleep_takes_its_time(struct test *t)
{
	expect_eq(run_task(t, sleeps, t), 0);
}

struct sleeper {
	struct test *t;
	uint64_t until;
	atomic_ulong *next;
	unsigned long place;
	bool late; /* it began after the time at which it was to wake */
};

static int sleep_and_note(void *arg)
{
	struct sleeper *s = arg;
	uint64_t now = bp_now(s->t->engine);
	int err;

	s->late = now >= s->until;
	err = bp_sleep(s->late ? 0 : s->until - now);

	s->place = atomic_fetch_add(s->next, 1);
	return err;
}

static bool sleep_in_disorder(struct test *t, uint64_t ns)
{
	enum {
		SLEEPERS = 20
	};
	atomic_ulong next = 0;
	struct bp_group *g = group_with(t, .limit = BP_LIMIT_NONE);
	struct sleeper s[SLEEPERS];
	uint64_t begin = bp_now(t->engine) + ns;
	bool all = true;

	for (unsigned long i = 0; i < SLEEPERS; i++) {
		s[i] = (struct sleeper){t, begin + ns / 5 * (i * 7 % SLEEPERS), &next, 0, false};
		expect_eq(bp_go(g, sleep_and_note, &s[i]), 0);
	}
	expect_eq(bp_wait(g), 0);
	for (unsigned long i = 0; i < SLEEPERS; i++)
		all = all && !s[i].late;
	for (unsigned long i = 0; all && i < SLEEPERS; i++)
		expect_eq(s[i].place, i * 7 % SLEEPERS);
	bp_group_destroy(g);
	return all;
}

/* Sleepers of one loop wake in the order of their times, whatever the order they began in. */
static void sleepers_wake_in_the_order_of_their_times(struct test *t)
{
	in_time(t, 50 * MS, sleep_in_disorder);
}

static int sleep_for_ever(void *unused)
{
	(void)unused;
	return bp_sleep(UINT64_MAX);
}

static void a_sleep_for_ever_can_be_cancelled(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = 1);

	expect_eq(bp_go(g, sleep_for_ever, NULL), 0);
	until_running(t, g, 1);
	many_turns(t);
	expect_eq(stats_of(g).running, 1);
	bp_cancel(g, -EINTR);
	expect_eq(bp_wait(g), -EINTR);
	expect_eq(stats_of(g).stopped, 1);
	bp_group_destroy(g);
}

/* ---------------------------------------------------------------- scopes */

struct scoped {
	struct test *t;
	struct crowd crowd;
};

static int a_scope_ends_a_read(void *arg)
{
	struct scoped *s = arg;
	uint64_t begin = bp_now(s->t->engine);
	struct bp_timeout scope;
	char byte;

	bp_timeout_begin(&scope, FAR_AWAY);
	expect(!bp_cancelled());
	expect_eq(bp_timeout_end(&scope), 0);
	bp_timeout_begin(&scope, 5 * MS);
	expect_eq(bp_read(s->crowd.gate.fd[0], &byte, 1, -1), -ETIMEDOUT);
	expect_between(bp_now(s->t->engine) - begin, 5 * MS, LATE);
	/* From then on everything in the scope, at once and without being submitted. */
	expect(bp_cancelled());
	expect_eq(bp_sleep(FAR_AWAY), -ETIMEDOUT);
	expect_eq(bp_yield(), -ETIMEDOUT);
	expect_eq(bp_read(s->crowd.gate.fd[0], &byte, 1, -1), -ETIMEDOUT);
	io_uring_prep_nop(bp_sqe());
	expect_eq(bp_await(), -ETIMEDOUT);
	expect_eq(bp_timeout_end(&scope), -ETIMEDOUT);
	/* And after it nothing. */
	expect(!bp_cancelled());
	expect_eq(bp_sleep(1), 0);
	return 0;
}

static void a_timeout_scope_ends_what_stands_in_it(struct test *t)
{
	struct scoped s = {.t = t};

	crowd_init(&s.crowd);
	expect_eq(run_task(t, a_scope_ends_a_read, &s), 0);
	crowd_free(&s.crowd);
}

static int a_scope_in_time(void *arg)
{
	struct bp_timeout scope;

	(void)arg;
	for (int i = 0; i < 100; i++) {
		bp_timeout_begin(&scope, FAR_AWAY);
		expect_eq(bp_yield(), 0);
		expect_eq(bp_timeout_end(&scope), 0);
	}
	bp_timeout_begin(&scope, UINT64_MAX);
	expect_eq(bp_sleep(1), 0);
	expect_eq(bp_timeout_end(&scope), 0);
	return 0;
}

static void a_timeout_scope_that_ends_in_time_does_nothing(struct test *t)
{
	expect_eq(run_task(t, a_scope_in_time, NULL), 0);
}

static int nested_scopes(void *arg)
{
	struct scoped *s = arg;
	struct bp_timeout outer, inner;

	/* The inner one runs out first: the outer one goes on. */
	bp_timeout_begin(&outer, FAR_AWAY);
	bp_timeout_begin(&inner, 2 * MS);
	expect_eq(gate_wait(&s->crowd.gate), -ETIMEDOUT);
	expect_eq(bp_timeout_end(&inner), -ETIMEDOUT);
	expect_eq(bp_sleep(1), 0);
	expect_eq(bp_timeout_end(&outer), 0);
	/* The outer one runs out first: the inner one's operations end too. */
	bp_timeout_begin(&outer, 2 * MS);
	bp_timeout_begin(&inner, FAR_AWAY);
	expect_eq(gate_wait(&s->crowd.gate), -ETIMEDOUT);
	expect_eq(bp_timeout_end(&inner), 0);
	expect_eq(bp_sleep(1), -ETIMEDOUT);
	expect_eq(bp_timeout_end(&outer), -ETIMEDOUT);
	/* Both. */
	bp_timeout_begin(&outer, 1 * MS);
	bp_timeout_begin(&inner, 1 * MS);
	expect_eq(gate_wait(&s->crowd.gate), -ETIMEDOUT);
	bp_shield_begin();
	expect_eq(bp_sleep(3 * MS), 0);
	bp_shield_end();
	expect_eq(bp_timeout_end(&inner), -ETIMEDOUT);
	expect_eq(bp_timeout_end(&outer), -ETIMEDOUT);
	return bp_sleep(1);
}

static void timeout_scopes_nest(struct test *t)
{
	struct scoped s = {.t = t};

	crowd_init(&s.crowd);
	expect_eq(run_task(t, nested_scopes, &s), 0);
	crowd_free(&s.crowd);
}

static int undoes_in_time(void *arg)
{
	struct scoped *s = arg;
	struct bp_timeout outer, scope;

	/* It runs out before the shield begins, so it has no say inside. */
	bp_timeout_begin(&outer, 1);
	expect_eq(bp_sleep(FAR_AWAY), -ETIMEDOUT);
	bp_shield_begin();
	bp_timeout_begin(&scope, 2 * MS);
	expect_eq(bp_sleep(1), 0);
	expect_eq(gate_wait(&s->crowd.gate), -ETIMEDOUT);
	/* A shield inside the scope keeps that one out too. */
	bp_shield_begin();
	expect_eq(bp_sleep(1), 0);
	bp_shield_end();
	expect_eq(bp_sleep(1), -ETIMEDOUT);
	expect_eq(bp_timeout_end(&scope), -ETIMEDOUT);
	expect_eq(bp_sleep(1), 0);
	bp_shield_end();
	expect_eq(bp_sleep(1), -ETIMEDOUT);
	return bp_timeout_end(&outer) == -ETIMEDOUT ? 0 : -EPROTO;
}

static void a_scope_that_begins_in_a_shield_counts_there(struct test *t)
{
	struct scoped s = {.t = t};

	crowd_init(&s.crowd);
	expect_eq(run_task(t, undoes_in_time, &s), 0);
	crowd_free(&s.crowd);
}

static int close_after_timeout(void *arg)
{
	struct bp_timeout scope;
	int fd = bp_openat(AT_FDCWD, "/dev/null", O_RDONLY | O_CLOEXEC, 0);

	(void)arg;
	bp_timeout_begin(&scope, 1);
	expect_eq(bp_sleep(FAR_AWAY), -ETIMEDOUT);
	expect_eq(bp_close(fd), 0);
	bp_shield_begin();
	fd = bp_openat(AT_FDCWD, "/dev/null", O_RDONLY | O_CLOEXEC, 0);
	expect(fd >= 0);
	expect_eq(bp_close(fd), 0);
	bp_shield_end();
	return bp_timeout_end(&scope);
}

/* bp_close() and shields work in a scope that ran out; its value may be the item's end. */
static void a_scope_that_ran_out_lets_close_and_shields_through(struct test *t)
{
	expect_eq(run_task(t, close_after_timeout, NULL), -ETIMEDOUT);
}

static int cancelled_in_a_scope(void *arg)
{
	struct scoped *s = arg;
	struct bp_timeout scope;
	int err;

	bp_timeout_begin(&scope, FAR_AWAY);
	err = crowd_task(&s->crowd);
	expect_eq(bp_timeout_end(&scope), 0);
	return err;
}

/* A cancel inside a scope is -ECANCELED. */
static void a_cancel_inside_a_scope_is_ecanceled(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = 1);
	struct scoped s = {.t = t};

	crowd_init(&s.crowd);
	expect_eq(bp_go(g, cancelled_in_a_scope, &s), 0);
	until_in_flight(t, 1);
	bp_cancel(g, -EINTR);
	expect_eq(bp_wait(g), -EINTR);
	expect_eq(s.crowd.cancelled, 1);
	expect_eq(stats_of(g).stopped, 1);
	bp_group_destroy(g);
	crowd_free(&s.crowd);
}

/* ---------------------------------------------------------------- items */

static int after_the_item_timeout(void *arg)
{
	struct scoped *s = arg;
	char byte;

	expect_eq(gate_wait(&s->crowd.gate), -ETIMEDOUT);
	expect(bp_cancelled());
	expect_eq(bp_read(s->crowd.gate.fd[0], &byte, 1, -1), -ETIMEDOUT);
	expect_eq(bp_sleep(1), -ETIMEDOUT);
	bp_shield_begin();
	expect_eq(bp_sleep(1), 0);
	bp_shield_end();
	/* What counts is the task's own value. */
	return 0;
}

static void after_its_timeout_a_task_is_told_etimedout(struct test *t)
{
	struct bp_group *g = group_with(t, .item_timeout_ns = 5 * MS);
	struct scoped s = {.t = t};

	crowd_init(&s.crowd);
	expect_eq(bp_go(g, after_the_item_timeout, &s), 0);
	expect_eq(bp_wait(g), 0);
	expect_eq(stats_of(g).succeeded, 1);
	bp_group_destroy(g);
	crowd_free(&s.crowd);
}

static int turns_for_a_while(void *arg)
{
	struct test *t = arg;
	uint64_t end = bp_now(t->engine) + 2 * MS;

	while (bp_now(t->engine) < end) {
		int err = bp_yield();

		if (err)
			return err;
	}
	return 0;
}

static void an_item_timeout_past_the_end_of_the_clock_is_none(struct test *t)
{
	struct bp_group *g = group_with(t, .item_timeout_ns = UINT64_MAX);

	expect_eq(bp_go(g, turns_for_a_while, t), 0);
	expect_eq(bp_wait(g), 0);
	bp_group_destroy(g);
}

/* An item's time begins with its start, not with its acceptance. */
static void an_items_timeout_begins_with_its_start(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = 1, .item_timeout_ns = LATE);
	uint64_t begin = bp_now(t->engine);

	for (int i = 0; i < 20; i++)
		expect_eq(bp_go(g, turns_for_a_while, t), 0);
	expect_eq(bp_wait(g), 0);
	expect(bp_now(t->engine) - begin >= 40 * MS);
	expect_eq(stats_of(g).succeeded, 20);
	bp_group_destroy(g);
}

static void items_that_end_in_time_leave_no_timer(struct test *t)
{
	unsigned long n = scaled(20000);
	struct bp_group *g = group_with(t, .limit = 50, .item_timeout_ns = FAR_AWAY);

	for (unsigned long i = 0; i < n; i++)
		expect_eq(bp_go(g, succeed, NULL), 0);
	expect_eq(bp_wait(g), 0);
	expect_eq(stats_of(g).succeeded, n);
	bp_group_destroy(g);
}

/* ---------------------------------------------------------------- deadlines */

static bool is_cancelled_by_the_deadline(struct test *t, uint64_t ns)
{
	uint64_t deadline = bp_now(t->engine) + ns;
	struct tally tally = {0};
	struct bp_group *g = group_with(t, .deadline_ns = deadline, REPORT_TO(&tally));
	struct crowd crowd;
	struct crowd_op op;
	bool both;

	crowd_init(&crowd);
	crowd_op_init(&op, &crowd);
	bp_go(g, crowd_task, &crowd);
	bp_go_op(g, &op.op);
	expect_eq(bp_wait(g), -ETIMEDOUT);
	expect_between(bp_now(t->engine), deadline, deadline + ns + LATE);
	both = crowd.started == 2;
	if (both)
		expect_eq(stats_of(g).stopped, 2);
	expect_eq(stats_of(g).failed, 0);
	expect_tally(&tally, g);
	bp_group_destroy(g);
	crowd_free(&crowd);
	return both;
}

static void a_deadline_cancels_what_runs(struct test *t)
{
	in_time(t, 10 * MS, is_cancelled_by_the_deadline);
}

static bool two_children_with_deadlines(struct test *t, uint64_t ns)
{
	uint64_t begin = bp_now(t->engine);
	struct bp_group *parent = group_with(t, .deadline_ns = begin + 30 * ns);
	struct bp_group *longer = group_with(t, .parent = parent, .deadline_ns = begin + FAR_AWAY);
	struct bp_group *shorter = group_with(t, .parent = parent, .deadline_ns = begin + ns);
	struct crowd crowd;
	bool both;

	crowd_init(&crowd);
	both = bp_go(longer, crowd_task, &crowd) == 0;
	both = bp_go(shorter, crowd_task, &crowd) == 0 && both;
	expect_eq(bp_wait(shorter), -ETIMEDOUT);
	expect(bp_now(t->engine) >= begin + ns);
	expect_eq(bp_wait(longer), -ETIMEDOUT);
	expect(bp_now(t->engine) >= begin + 30 * ns);
	expect_eq(stats_of(longer).cause, -ETIMEDOUT);
	bp_group_destroy(longer);
	bp_group_destroy(shorter);
	expect_eq(bp_wait(parent), -ETIMEDOUT);
	bp_group_destroy(parent);
	crowd_free(&crowd);
	return both;
}

/* The parent's deadline bounds the child's, and the child's own may be earlier. */
static void the_earlier_deadline_of_parent_and_child_counts(struct test *t)
{
	in_time(t, 1 * MS, two_children_with_deadlines);
}

static bool a_child_with_a_deadline(struct test *t, uint64_t ns)
{
	struct bp_group *parent = group_with(t, .limit = 4);
	struct bp_group *child =
		group_with(t, .parent = parent, .deadline_ns = bp_now(t->engine) + ns);
	struct crowd crowd;
	bool accepted;

	crowd_init(&crowd);
	accepted = bp_go(child, sleep_for_ever, NULL) == 0;
	expect_eq(bp_go(parent, crowd_task, &crowd), 0);
	expect_eq(bp_wait(child), -ETIMEDOUT);
	expect_eq(stats_of(parent).cause, 0);
	gate_open(&crowd.gate);
	expect_eq(bp_wait(parent), 0);
	bp_group_destroy(child);
	bp_group_destroy(parent);
	crowd_free(&crowd);
	return accepted;
}

/* The child's deadline is not the parent's. */
static void a_childs_deadline_leaves_the_parent_alone(struct test *t)
{
	in_time(t, 1 * MS, a_child_with_a_deadline);
}

/* Many deadlines at once, in disorder: each group ends by its own. */
static void many_deadlines_each_end_their_group(struct test *t)
{
	enum {
		GROUPS = 100
	};
	struct bp_engine *engine = engine_with(t, .depth = 0);
	struct bp_group *g[GROUPS];
	uint64_t deadline[GROUPS];

	for (uint64_t i = 0; i < GROUPS; i++) {
		deadline[i] = bp_now(engine) + (i * 37 % GROUPS) * MS / 4;
		g[i] = group_with(t, .deadline_ns = deadline[i]);
		expect(bp_go(g[i], sleep_for_ever, NULL) <= 0);
	}
	for (int i = 0; i < GROUPS; i++) {
		expect_eq(bp_wait(g[i]), -ETIMEDOUT);
		expect(bp_now(engine) >= deadline[i]);
		bp_group_destroy(g[i]);
	}
}

static int go_at_the_limit(void *arg)
{
	struct bp_group *full = arg;
	struct bp_timeout scope;
	int err;

	bp_timeout_begin(&scope, 2 * MS);
	err = bp_go(full, succeed, NULL);
	expect_eq(err, -ETIMEDOUT);
	expect_eq(bp_timeout_end(&scope), -ETIMEDOUT);
	return 0;
}

/* A scope ends a bp_go() that waits for a place, too: nothing was accepted. */
static void a_timeout_scope_ends_a_waiting_go(struct test *t)
{
	struct bp_group *full = group_with(t, .limit = 1);
	struct crowd crowd;

	crowd_init(&crowd);
	expect_eq(bp_go(full, crowd_task, &crowd), 0);
	until_in_flight(t, 1);
	expect_eq(run_task(t, go_at_the_limit, full), 0);
	expect_eq(stats_of(full).accepted, 1);
	gate_open(&crowd.gate);
	expect_eq(bp_wait(full), 0);
	bp_group_destroy(full);
	crowd_free(&crowd);
}

static const struct test_case cases[] = {
	EACH_ROW(sleep_takes_its_time),
	DRIVEN_ROWS(sleepers_wake_in_the_order_of_their_times),
	EACH_ROW(a_sleep_for_ever_can_be_cancelled),
	EACH_ROW(a_timeout_scope_ends_what_stands_in_it),
	EACH_ROW(a_timeout_scope_that_ends_in_time_does_nothing),
	EACH_ROW(timeout_scopes_nest),
	EACH_ROW(a_scope_that_begins_in_a_shield_counts_there),
	EACH_ROW(a_scope_that_ran_out_lets_close_and_shields_through),
	EACH_ROW(a_cancel_inside_a_scope_is_ecanceled),
	EACH_ROW(after_its_timeout_a_task_is_told_etimedout),
	EACH_ROW(an_item_timeout_past_the_end_of_the_clock_is_none),
	EACH_ROW(an_items_timeout_begins_with_its_start),
	EACH_ROW(items_that_end_in_time_leave_no_timer),
	EACH_ROW(a_deadline_cancels_what_runs),
	EACH_ROW(the_earlier_deadline_of_parent_and_child_counts),
	EACH_ROW(a_childs_deadline_leaves_the_parent_alone),
	EACH_ROW(many_deadlines_each_end_their_group),
	EACH_ROW(a_timeout_scope_ends_a_waiting_go),
};

int main(int argc, char **argv)
{
	return RUN_REAL_CASES(argc, argv, cases);
}
