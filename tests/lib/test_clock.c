/* SPDX-License-Identifier: MIT */
/*
 * test_clock - who looks at the clock, and who must not wait for it
 *
 * A task that computes keeps its loop from everything else: what its time has run out for it finds
 * out by itself. And a time that nobody waits for any more holds nobody up.
 */
#include "support/harness.h"

/* Too long for a test, short enough that one which computes so long ends before the watchdog. */
#define TOO_LONG (60 * SECOND)

struct computing {
	struct test *t;
	atomic_ulong present;
	unsigned long all;
	atomic_ulong told;
};

/** Computes, without a turn for its loop, until it is told to end. */
static bool computes_until_told(struct computing *c)
{
	uint64_t end = bp_now(c->t->engine) + TOO_LONG;

	while (!bp_cancelled())
		if (bp_now(c->t->engine) >= end)
			return false;
	atomic_fetch_add(&c->told, 1);
	return true;
}

/* All begin to compute when all are there, so that no loop has time to look after the others. */
static int computes_with_others(void *arg)
{
	struct computing *c = arg;

	atomic_fetch_add(&c->present, 1);
	while (atomic_load(&c->present) < c->all)
		if (bp_yield())
			return -ECANCELED;
	expect(computes_until_told(c));
	return -ECANCELED;
}

static bool computing_to_the_deadline(struct test *t, uint64_t ns)
{
	struct bp_group *g = group_with(t, .deadline_ns = bp_now(t->engine) + ns);
	struct computing c = {.t = t, .all = 8};

	for (unsigned long i = 0; i < c.all; i++)
		bp_go(g, computes_with_others, &c);
	expect_eq(bp_wait(g), -ETIMEDOUT);
	expect_eq(stats_of(g).failed + stats_of(g).succeeded, 0);
	bp_group_destroy(g);
	return c.present == c.all && c.told > 0;
}

/* The group's deadline, on whichever loops there are. */
static void computing_tasks_are_told_of_the_deadline(struct test *t)
{
	in_time(t, 10 * MS, computing_to_the_deadline);
}

static int computes_to_its_timeout(void *arg)
{
	struct computing *c = arg;

	expect(computes_until_told(c));
	expect_eq(bp_sleep(1), -ETIMEDOUT);
	return -ECANCELED;
}

/* The item's own timeout: the item says -ETIMEDOUT, as if an operation had been ended by it. */
static void a_computing_task_is_told_of_its_timeout(struct test *t)
{
	struct bp_group *g = group_with(t, .item_timeout_ns = 2 * MS, .stop_after_failures = 0);
	struct computing c = {.t = t};

	expect_eq(bp_go(g, computes_to_its_timeout, &c), 0);
	expect_eq(bp_wait(g), -ETIMEDOUT);
	expect_eq(c.told, 1);
	expect_eq(stats_of(g).failed, 1);
	bp_group_destroy(g);
}

static void compute_until(struct computing *c, uint64_t when)
{
	while (bp_now(c->t->engine) <= when)
		;
}

static int computes_to_the_end_of_scopes(void *arg)
{
	struct computing *c = arg;
	struct bp_timeout outer, inner;

	bp_timeout_begin(&outer, FAR_AWAY);
	bp_timeout_begin(&inner, 2 * MS);
	expect(computes_until_told(c));
	expect_eq(bp_yield(), -ETIMEDOUT);
	expect_eq(bp_timeout_end(&inner), -ETIMEDOUT);
	expect(!bp_cancelled());
	expect_eq(bp_yield(), 0);
	expect_eq(bp_timeout_end(&outer), 0);
	/* Both at once. */
	bp_timeout_begin(&outer, 1 * MS);
	bp_timeout_begin(&inner, 1 * MS);
	compute_until(c, bp_now(c->t->engine) + 1 * MS);
	expect(computes_until_told(c));
	expect_eq(bp_timeout_end(&inner), -ETIMEDOUT);
	expect_eq(bp_timeout_end(&outer), -ETIMEDOUT);
	expect(!bp_cancelled());
	return 0;
}

static void a_computing_task_is_told_of_its_scopes(struct test *t)
{
	struct computing c = {.t = t};

	engine_with(t, .depth = 0);
	expect_eq(run_task(t, computes_to_the_end_of_scopes, &c), 0);
	expect_eq(c.told, 2);
}

static int looks_at_the_end_of_a_scope_only(void *arg)
{
	struct test *t = arg;
	struct bp_timeout scope;
	uint64_t end = bp_now(t->engine) + 1 * MS;

	bp_timeout_begin(&scope, 1 * MS);
	while (bp_now(t->engine) <= end + 1 * MS)
		;
	expect_eq(bp_timeout_end(&scope), -ETIMEDOUT);
	expect_eq(bp_yield(), 0);
	return 0;
}

/* bp_timeout_end() says that the time ran out although nothing stood still in the scope. */
static void the_end_of_a_scope_looks_at_the_clock(struct test *t)
{
	engine_with(t, .depth = 0);
	expect_eq(run_task(t, looks_at_the_end_of_a_scope_only, t), 0);
}

static int yields_a_few_times(void *unused)
{
	(void)unused;
	for (int i = 0; i < 5; i++)
		expect_eq(bp_yield(), 0);
	return 0;
}

/* bp_wait_until() with a time that has passed is a poll, under which everything goes on. */
static void a_time_in_the_past_polls(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = 2);
	uint64_t end = bp_now(t->engine) + TOO_LONG;
	int err;

	expect_eq(bp_go(g, yields_a_few_times, NULL), 0);
	do
		err = bp_wait_until(g, 0);
	while (err == -ETIMEDOUT && bp_now(t->engine) < end);
	expect_eq(err, 0);
	expect_eq(stats_of(g).succeeded, 1);
	bp_group_destroy(g);
}

/*
 * Nothing runs that could ever give a place: the one thread is told, and does not wait first for
 * the deadline of a group that is over, whichever way it ended.
 */
static void a_deadline_of_the_past_hides_no_deadlock(struct test *t)
{
	struct bp_group *full = group_with(t, .limit = 0);
	struct bp_group *g[3];

	for (int i = 0; i < 3; i++)
		g[i] = group_with(t, .deadline_ns = bp_now(t->engine) + FAR_AWAY);
	bp_cancel(g[0], -EINTR);
	expect_eq(bp_wait(g[1]), 0);
	bp_group_destroy(g[2]);
	expect_eq(bp_go(full, succeed, NULL), -EDEADLK);
	bp_group_destroy(g[0]);
	bp_group_destroy(g[1]);
	bp_group_destroy(full);
}

struct step {
	atomic_ulong *ended;
	unsigned long seen;
};

static int steps_back_once(void *arg)
{
	struct step *step = arg;

	expect_eq(bp_yield(), 0);
	step->seen = atomic_load(step->ended);
	return 0;
}

/*
 * bp_yield() gives the loop a whole turn, in which it looks for completions, in a task's first turn
 * too.
 */
static void a_yield_is_a_turn_of_the_loop(struct test *t)
{
	atomic_ulong ended = 0;
	struct bp_group *g = group_with(t, .limit = 2);
	struct step step = {.ended = &ended};
	struct nop_op op;

	nop_op_init(&op, 0, &ended);
	expect_eq(bp_go_op(g, &op.op), 0);
	expect_eq(bp_go(g, steps_back_once, &step), 0);
	expect_eq(bp_wait(g), 0);
	expect_eq(step.seen, 1);
	bp_group_destroy(g);
}

static const struct test_case cases[] = {
	EACH_ROW(computing_tasks_are_told_of_the_deadline),
	EACH_ROW(a_computing_task_is_told_of_its_timeout),
	EACH_ROW(a_computing_task_is_told_of_its_scopes),
	EACH_ROW(the_end_of_a_scope_looks_at_the_clock),
	EACH_ROW(a_time_in_the_past_polls),
	DRIVEN_ROWS(a_deadline_of_the_past_hides_no_deadlock),
	DRIVEN_ROWS(a_yield_is_a_turn_of_the_loop),
};

int main(int argc, char **argv)
{
	return RUN_REAL_CASES(argc, argv, cases);
}
