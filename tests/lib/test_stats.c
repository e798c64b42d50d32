/* SPDX-License-Identifier: MIT */
/*
 * test_stats - counts and times of a group, the winner, the report callback
 */
#include "support/harness.h"

static void a_fresh_group_has_zero_everywhere(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = 17);
	struct bp_group_stats st = stats_of(g);

	expect_eq(st.sz, sizeof(st));
	expect_eq(st.limit, 17);
	expect_eq(st.accepted | st.succeeded | st.failed | st.stopped | st.never_started, 0);
	expect_eq(st.rejected | st.running | st.waiting | st.peak, 0);
	expect_eq(st.cause, 0);
	expect_eq(st.cancel_ns | st.compute_ns | st.wait_ns, 0);
	bp_group_destroy(g);
}

/* Only as many bytes are filled as the caller's struct has; 0 stands for all. */
static void stats_fill_what_the_caller_knows(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = 17);
	struct bp_group_stats st;

	memset(&st, 0xff, sizeof(st));
	st.sz = offsetof(struct bp_group_stats, succeeded);
	expect_eq(bp_go(g, succeed, NULL), 0);
	expect_eq(bp_wait(g), 0);
	bp_group_stats(g, &st);
	expect_eq(st.sz, offsetof(struct bp_group_stats, succeeded));
	expect_eq(st.limit, 17);
	expect_eq(st.accepted, 1);
	expect_eq(st.succeeded, UINT64_MAX);
	expect_eq(st.wait_ns, UINT64_MAX);

	memset(&st, 0xff, sizeof(st));
	st.sz = 0;
	bp_group_stats(g, &st);
	expect_eq(st.accepted, 1);
	expect_eq(st.succeeded, 1);
	expect_eq(st.cause, 0);
	bp_group_destroy(g);
}

/* A larger struct of a later header: what is unknown here is left alone. */
static void stats_leave_alone_what_they_do_not_know(struct test *t)
{
	struct {
		struct bp_group_stats st;
		unsigned char later[64];
	} big;
	struct bp_group *g = group_with(t, .limit = 17);

	memset(&big, 0x5a, sizeof(big));
	big.st.sz = sizeof(big);
	bp_group_stats(g, &big.st);
	expect_eq(big.st.limit, 17);
	for (size_t i = 0; i < sizeof(big.later); i++)
		expect_eq(big.later[i], 0x5a);
	bp_group_destroy(g);
}

/* running, waiting, peak, rejected and cause, seen while items run. */
static void counts_are_those_of_the_moment(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = 3);
	struct bp_group_stats st;
	struct crowd crowd;

	crowd_init(&crowd);
	for (int i = 0; i < 3; i++)
		expect_eq(bp_go(g, crowd_task, &crowd), 0);
	expect_eq(bp_try_go(g, crowd_task, &crowd), -EAGAIN);
	until_count(t, &crowd.started, 3);
	st = stats_of(g);
	expect_eq(st.accepted, 3);
	expect_eq(st.running, 3);
	expect_eq(st.waiting, 0);
	expect_eq(st.peak, 3);
	expect_eq(st.rejected, 1);
	expect_eq(st.succeeded + st.failed + st.stopped + st.never_started, 0);
	gate_open(&crowd.gate);
	expect_eq(bp_wait(g), 0);
	st = stats_of(g);
	expect_eq(st.succeeded, 3);
	expect_eq(st.running, 0);
	expect_eq(st.peak, 3);
	expect_eq(st.cancel_ns, 0);
	bp_group_destroy(g);
	crowd_free(&crowd);
}

/* On a caller-driven engine nothing starts while nobody drives: then items wait. */
static void accepted_items_wait_until_somebody_drives(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = 10);

	for (int i = 0; i < 4; i++)
		expect_eq(bp_try_go(g, succeed, NULL), 0);
	expect_eq(stats_of(g).waiting, 4);
	expect_eq(bp_engine_info(t->engine)->waiting, 4);
	expect_eq(bp_wait(g), 0);
	expect_eq(stats_of(g).waiting, 0);
	expect_eq(stats_of(g).succeeded, 4);
	bp_group_destroy(g);
}

static int stands_in_a_shield(void *arg)
{
	struct crowd *crowd = arg;

	atomic_fetch_add(&crowd->started, 1);
	bp_shield_begin();
	expect_eq(gate_wait(&crowd->gate), 0);
	bp_shield_end();
	return -ECANCELED;
}

/* cancel_ns: from the recording of the cause to the end of the last item. */
static void cancel_latency_lasts_until_the_last_item(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = 10);
	struct crowd crowd;
	uint64_t before, after;

	crowd_init(&crowd);
	expect_eq(bp_go(g, stands_in_a_shield, &crowd), 0);
	until_count(t, &crowd.started, 1);
	before = bp_now(t->engine);
	bp_cancel(g, -EINTR);
	until_time(t, bp_now(t->engine) + 5 * MS);
	gate_open(&crowd.gate);
	expect_eq(bp_wait(g), -EINTR);
	after = bp_now(t->engine);
	expect_between(stats_of(g).cancel_ns, 5 * MS, after - before);
	expect_eq(stats_of(g).cause, -EINTR);
	expect_eq(stats_of(g).stopped, 1);
	bp_group_destroy(g);
	crowd_free(&crowd);
}

static int sleeps_a_while(void *ns)
{
	return bp_sleep(*(uint64_t *)ns);
}

static bool sleeping_items(struct test *t, uint64_t ns)
{
	enum {
		ITEMS = 20
	};
	struct bp_group *g = group_with(t, .limit = BP_LIMIT_NONE);
	struct bp_group_stats st;

	for (int i = 0; i < ITEMS; i++)
		expect_eq(bp_go(g, sleeps_a_while, &ns), 0);
	expect_eq(bp_wait(g), 0);
	st = stats_of(g);
	expect_between(st.wait_ns, 0, ITEMS * (ns + 60 * SECOND));
	bp_group_destroy(g);
	/*
	 * A resume that is timed stands for many: one that a busy machine held up makes them all
	 * long.
	 */
	return st.wait_ns >= ITEMS * ns / 5 * 4 && st.compute_ns < st.wait_ns;
}

/* wait_ns: items that only sleep wait for about as long as they live. */
static void sleeping_items_wait_and_do_not_compute(struct test *t)
{
	in_time(t, 50 * MS, sleeping_items);
}

struct computing {
	struct test *t;
	atomic_ullong truth; /* ns, as the items see it */
};

static int computes(void *arg)
{
	struct computing *c = arg;

	for (int i = 0; i < 64; i++) {
		uint64_t begin = bp_now(c->t->engine), now;

		do
			now = bp_now(c->t->engine);
		while (now < begin + MS / 4);
		atomic_fetch_add(&c->truth, now - begin);
		if (bp_yield())
			return -ECANCELED;
	}
	return 0;
}

/*
 * compute_ns: an estimate from samples, near the truth where every resume costs the same. What a
 * busy machine takes from an item while it computes both see; what it takes in between only one of
 * them.
 */
static void computing_items_compute(struct test *t)
{
	enum {
		ITEMS = 20
	};
	struct computing c = {.t = t};
	struct bp_group *g = group_with(t, .limit = BP_LIMIT_NONE);

	for (int i = 0; i < ITEMS; i++)
		expect_eq(bp_go(g, computes, &c), 0);
	expect_eq(bp_wait(g), 0);
	expect(c.truth >= ITEMS * 64 * (MS / 4));
	expect_between(stats_of(g).compute_ns, c.truth / 2, 2 * c.truth + 2 * SECOND);
	bp_group_destroy(g);
}

/* ---------------------------------------------------------------- winner, report */

static void the_winner_is_the_first_success_in_any_group(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = 1, .stop_after_failures = 0);
	int a, b, eio = -EIO;

	expect_eq(bp_go(g, fail_with, &eio), 0);
	expect_eq(bp_go(g, succeed, &a), 0);
	expect_eq(bp_go(g, succeed, &b), 0);
	expect(bp_wait(g) == -EIO);
	expect(bp_group_winner(g) == &a);
	bp_group_destroy(g);
}

struct seen {
	struct bp_group *group;
	void *arg;
	enum bp_end end;
	int result;
	atomic_ulong calls;
	uint64_t ended;
};

static void see(void *ctx, void *arg, enum bp_end end, int result)
{
	struct seen *seen = ctx;
	struct bp_group_stats st = stats_of(seen->group);

	seen->arg = arg;
	seen->end = end;
	seen->result = result;
	seen->ended = st.succeeded + st.failed + st.stopped + st.never_started;
	atomic_fetch_add(&seen->calls, 1);
}

static int seven(void *unused)
{
	(void)unused;
	return 7;
}

/* The report has the argument, the end and the value; the counts know of it already. */
static void the_report_tells_argument_end_and_value(struct test *t)
{
	struct seen seen = {.result = 0};
	struct bp_group *g = group_with(t, .limit = 1, .report = see, .report_arg = &seen);
	struct nop_op op;
	int arg;

	seen.group = g;
	expect_eq(bp_go(g, seven, &arg), 0);
	until_count(t, &seen.calls, 1);
	expect(seen.arg == &arg);
	expect_eq(seen.end, BP_END_SUCCEEDED);
	expect_eq(seen.result, 7);
	expect_eq(seen.ended, 1);
	nop_op_init(&op, -EDOM, NULL);
	expect_eq(bp_go_op(g, &op.op), 0);
	expect_eq(bp_wait(g), -EDOM);
	expect_eq(seen.calls, 2);
	expect(seen.arg == &op.op);
	expect_eq(seen.end, BP_END_FAILED);
	expect_eq(seen.result, -EDOM);
	expect_eq(seen.ended, 2);
	bp_group_destroy(g);
}

static void cancel_in_report(void *ctx, void *arg, enum bp_end end, int result)
{
	struct seen *seen = ctx;

	see(ctx, arg, end, result);
	if (end == BP_END_SUCCEEDED)
		bp_cancel(seen->group, -EINTR);
}

/* The callback may cancel its group. */
static void the_report_may_cancel_its_group(struct test *t)
{
	struct seen seen = {.result = 0};
	struct bp_group *g =
		group_with(t, .limit = 5, .report = cancel_in_report, .report_arg = &seen);
	struct crowd crowd;

	seen.group = g;
	crowd_init(&crowd);
	for (int i = 0; i < 3; i++)
		expect_eq(bp_go(g, crowd_task, &crowd), 0);
	until_count(t, &crowd.started, 3);
	expect_eq(bp_go(g, seven, NULL), 0);
	expect_eq(bp_wait(g), -EINTR);
	expect_eq(seen.calls, 4);
	expect_eq(stats_of(g).stopped, 3);
	expect_balanced(g);
	bp_group_destroy(g);
	crowd_free(&crowd);
}

struct chain {
	struct bp_group *group;
	atomic_ulong left;
};

static void go_on_in_report(void *ctx, void *arg, enum bp_end end, int result)
{
	struct chain *chain = ctx;
	unsigned long left = atomic_load(&chain->left);

	(void)arg;
	expect_eq(end, BP_END_SUCCEEDED);
	expect_eq(result, 0);
	while (left && !atomic_compare_exchange_weak(&chain->left, &left, left - 1))
		;
	if (left)
		expect_eq(bp_try_go(chain->group, succeed, NULL), 0);
}

/* It may add items: a pipeline without a thread to feed it. */
static void the_report_may_add_items(struct test *t)
{
	struct chain chain = {.left = scaled(20000)};
	unsigned long all = chain.left + 8;

	chain.group = group_with(t, .report = go_on_in_report, .report_arg = &chain);
	for (int i = 0; i < 8; i++)
		expect_eq(bp_go(chain.group, succeed, NULL), 0);
	expect_eq(bp_wait(chain.group), 0);
	expect_eq(stats_of(chain.group).accepted, all);
	expect_balanced(chain.group);
	bp_group_destroy(chain.group);
}

/* ---------------------------------------------------------------- copies */

static int adds_up(void *arg)
{
	struct {
		atomic_ulong *sum;
		unsigned long n;
	} mine;
	int err;

	memcpy(&mine, arg, sizeof(mine));
	err = bp_yield();
	memcpy(&mine, arg, sizeof(mine));
	atomic_fetch_add(mine.sum, mine.n);
	return err;
}

/* bp_go_copy(): each task has its own, though the variable is one. */
static void copies_are_not_shared(struct test *t)
{
	atomic_ulong sum = 0;
	struct {
		atomic_ulong *sum;
		unsigned long n;
	} mine = {&sum, 0};
	struct bp_group *g = group_with(t, .limit = 10);

	for (unsigned long i = 1; i <= 1000; i++) {
		mine.n = i;
		expect_eq(i % 2 ? bp_go_copy(g, adds_up, &mine, sizeof(mine)) : 0, 0);
		if (i % 2 == 0) {
			int err;

			while ((err = bp_try_go_copy(g, adds_up, &mine, sizeof(mine))) == -EAGAIN)
				many_turns(t);
			expect_eq(err, 0);
		}
	}
	expect_eq(bp_wait(g), 0);
	expect_eq(sum, 500500);
	expect_eq(stats_of(g).accepted, 1000);
	bp_group_destroy(g);
}

/* Copies of tasks that never start are freed as well; a copy may be empty. */
static void copies_of_what_never_starts_are_freed(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = BP_LIMIT_NONE);
	char big[5000] = "";

	for (int i = 0; i < 50; i++)
		expect_eq(bp_go_copy(g, succeed, big, i % 2 ? sizeof(big) : 0), 0);
	bp_cancel(g, -EINTR);
	expect_eq(bp_wait(g), -EINTR);
	expect_balanced(g);
	bp_group_destroy(g);
}

static const struct test_case cases[] = {
	EACH_ROW(a_fresh_group_has_zero_everywhere),
	EACH_ROW(stats_fill_what_the_caller_knows),
	EACH_ROW(stats_leave_alone_what_they_do_not_know),
	EACH_ROW(counts_are_those_of_the_moment),
	DRIVEN_ROWS(accepted_items_wait_until_somebody_drives),
	EACH_ROW(cancel_latency_lasts_until_the_last_item),
	EACH_ROW(sleeping_items_wait_and_do_not_compute),
	EACH_ROW(computing_items_compute),
	EACH_ROW(the_winner_is_the_first_success_in_any_group),
	EACH_ROW(the_report_tells_argument_end_and_value),
	EACH_ROW(the_report_may_cancel_its_group),
	EACH_ROW(the_report_may_add_items),
	EACH_ROW(copies_are_not_shared),
	EACH_ROW(copies_of_what_never_starts_are_freed),
};

int main(int argc, char **argv)
{
	return RUN_REAL_CASES(argc, argv, cases);
}
