/* SPDX-License-Identifier: MIT */
/*
 * conf_causes - which error bp_wait() gives
 *
 * The cause is the first failure in order of completion, or the caller's, the parent's or the
 * deadline's end, whichever was recorded first; what the cancel itself brings about never
 * replaces it.
 */
#include "support/harness.h"

/*
 * Limit 8: seven items stand in operations that nothing will end, the third item fails with -EIO.
 * Its siblings' -ECANCELED come back together. bp_wait() gives -EIO, and again when asked again.
 * Source: sourcegraph-public-snapshot PR38681, where the cause was recorded after the cancel.
 */
static void first_error_is_the_cause_and_not_the_cancel_of_its_siblings(struct test *t)
{
	struct tally tally = {0};
	struct bp_group *g = group_with(t, .limit = 8, REPORT_TO(&tally));
	struct bp_group_stats st;
	struct crowd crowd;
	struct trigger trigger = {t, &crowd, 7, -EIO};

	crowd_init(&crowd);
	for (int i = 0; i < 8; i++) {
		if (i == 2)
			expect_eq(bp_go(g, trigger_task, &trigger), 0);
		else
			expect_eq(bp_go(g, crowd_task, &crowd), 0);
	}
	expect_eq(bp_wait(g), -EIO);
	expect_eq(bp_wait(g), -EIO);
	st = stats_of(g);
	expect_eq(st.failed, 1);
	expect_eq(st.stopped, 7);
	expect_eq(st.cause, -EIO);
	expect_eq(st.peak, 8);
	expect_eq(crowd.cancelled, 7);
	expect_eq(tally.first_failure, -EIO);
	expect_tally(&tally, g);
	bp_group_destroy(g);
	crowd_free(&crowd);
}

static void eio_prep(struct bp_op *op, struct io_uring_sqe *sqe)
{
	struct crowd_op *self = CONTAINER(op, struct crowd_op, op);

	io_uring_prep_read(sqe, self->rounds, &self->res, 1, 0);
}

static int eio_done(struct bp_op *op, int res)
{
	(void)op;
	expect_eq(res, -EIO);
	return res;
}

/* The same with operation items, and an -EIO that the kernel gives. */
static void first_error_of_an_operation_item_is_the_cause(struct test *t)
{
	struct tally tally = {0};
	struct bp_group *g = group_with(t, .limit = 8, REPORT_TO(&tally));
	int fd = open_eio();
	struct crowd_op op[8];
	struct crowd crowd;

	crowd_init(&crowd);
	for (int i = 0; i < 7; i++) {
		crowd_op_init(&op[i], &crowd);
		expect_eq(bp_go_op(g, &op[i].op), 0);
	}
	until_in_flight(t, 7);
	op[7] = (struct crowd_op){.op = BP_OP_INIT(eio_prep, eio_done), .rounds = fd};
	expect_eq(bp_go_op(g, &op[7].op), 0);
	expect_eq(bp_wait(g), -EIO);
	expect_eq(bp_wait(g), -EIO);
	for (int i = 0; i < 7; i++)
		expect_eq(op[i].res, -ECANCELED);
	expect_eq(stats_of(g).failed, 1);
	expect_eq(stats_of(g).stopped, 7);
	expect_tally(&tally, g);
	bp_group_destroy(g);
	crowd_free(&crowd);
	close(fd);
}

/* Two operations of one batch fail by themselves: both count as failed, the first is the cause. */
static void of_two_failures_in_one_batch_the_first_is_the_cause(struct test *t)
{
	struct tally tally = {0};
	struct bp_group *g = group_with(t, REPORT_TO(&tally));
	struct nop_op first, second;

	nop_op_init(&first, -EIO, NULL);
	nop_op_init(&second, -ENOSPC, NULL);
	expect_eq(bp_go_op(g, &first.op), 0);
	expect_eq(bp_go_op(g, &second.op), 0);
	expect_eq(bp_wait(g), -EIO);
	expect_eq(stats_of(g).failed, 2);
	expect_eq(tally.first_failure, -EIO);
	expect_tally(&tally, g);
	bp_group_destroy(g);
}

/* An item that its own timeout ended says -ETIMEDOUT and counts as failed, not as cancelled. */
static void item_timeout_is_etimedout_and_not_ecanceled(struct test *t)
{
	struct tally tally = {0};
	struct bp_group *g = group_with(t, .stop_after_failures = 0, .item_timeout_ns = 10 * MS,
					REPORT_TO(&tally));
	struct crowd_op op;
	struct crowd crowd;

	crowd_init(&crowd);
	crowd_op_init(&op, &crowd);
	expect_eq(bp_go(g, crowd_task, &crowd), 0);
	expect_eq(bp_go_op(g, &op.op), 0);
	expect_eq(bp_go(g, succeed, NULL), 0);
	expect_eq(bp_wait(g), -ETIMEDOUT);
	expect_eq(op.res, -ETIMEDOUT);
	expect_eq(crowd.timed_out, 2);
	expect_eq(stats_of(g).failed, 2);
	expect_eq(stats_of(g).succeeded, 1);
	expect_eq(stats_of(g).stopped, 0);
	expect_eq(tally.first_failure, -ETIMEDOUT);
	expect_tally(&tally, g);
	bp_group_destroy(g);
	crowd_free(&crowd);
}

static bool one_of_four_times_out(struct test *t, uint64_t ns)
{
	struct bp_group *slow = group_with(t, .limit = BP_LIMIT_NONE);
	struct bp_group *g = group_with(t, .parent = slow, .item_timeout_ns = ns);
	struct crowd crowd;
	bool all;

	crowd_init(&crowd);
	for (int i = 0; i < 4; i++)
		bp_go(g, crowd_task, &crowd);
	expect_eq(bp_wait(g), -ETIMEDOUT);
	expect(stats_of(g).failed >= 1);
	/* All had begun before the time of the first one was over. */
	all = crowd.started == 4;
	if (all)
		expect_eq(stats_of(g).failed + stats_of(g).stopped, 4);
	expect_balanced(g);
	expect_eq(stats_of(slow).cause, 0);
	bp_group_destroy(g);
	expect_eq(bp_wait(slow), 0);
	bp_group_destroy(slow);
	crowd_free(&crowd);
	return all;
}

/* A timed-out item is the first failure of a group that fails fast: the siblings are cancelled. */
static void item_timeout_is_the_cause_that_cancels_the_siblings(struct test *t)
{
	in_time(t, 10 * MS, one_of_four_times_out);
}

/* A task returns -ECANCELED although nobody cancelled: a failure like any other. */
static void ecanceled_that_nobody_caused_is_a_failure(struct test *t)
{
	struct tally tally = {0};
	struct bp_group *g = group_with(t, REPORT_TO(&tally));
	struct crowd crowd;
	struct trigger trigger = {t, &crowd, 3, -ECANCELED};

	crowd_init(&crowd);
	for (int i = 0; i < 3; i++)
		expect_eq(bp_go(g, crowd_task, &crowd), 0);
	expect_eq(bp_go(g, trigger_task, &trigger), 0);
	expect_eq(bp_wait(g), -ECANCELED);
	expect_eq(stats_of(g).failed, 1);
	expect_eq(stats_of(g).stopped, 3);
	expect_eq(tally.first_failure, -ECANCELED);
	expect_tally(&tally, g);
	bp_group_destroy(g);
	crowd_free(&crowd);
}

/* The same of an operation item's done. */
static void ecanceled_of_an_operation_item_that_nobody_caused_is_a_failure(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = BP_LIMIT_NONE);
	struct nop_op op;

	nop_op_init(&op, -ECANCELED, NULL);
	expect_eq(bp_go_op(g, &op.op), 0);
	expect_eq(bp_wait(g), -ECANCELED);
	expect_eq(stats_of(g).failed, 1);
	expect_balanced(g);
	bp_group_destroy(g);
}

static int pass_although_cancelled(void *arg)
{
	struct crowd *crowd = arg;
	int err;

	atomic_fetch_add(&crowd->started, 1);
	bp_shield_begin();
	err = gate_wait(&crowd->gate);
	bp_shield_end();
	expect_eq(err, 0);
	return 0;
}

/* The parent is cancelled while the child's items run; they all return 0 none the less. */
static void parents_cause_is_the_childs_when_an_item_still_ran(struct test *t)
{
	struct bp_group *parent = group_with(t, .limit = BP_LIMIT_NONE);
	struct bp_group *child = group_with(t, .parent = parent);
	struct crowd crowd;

	crowd_init(&crowd);
	for (int i = 0; i < 3; i++)
		expect_eq(bp_go(child, pass_although_cancelled, &crowd), 0);
	until_count(t, &crowd.started, 3);
	bp_cancel(parent, -EPIPE);
	gate_open(&crowd.gate);
	expect_eq(bp_wait(child), -EPIPE);
	expect_eq(stats_of(child).succeeded, 3);
	expect_balanced(child);
	bp_group_destroy(child);
	expect_eq(bp_wait(parent), -EPIPE);
	bp_group_destroy(parent);
	crowd_free(&crowd);
}

/* The parent is cancelled after the child's last item ended: the child succeeded. */
static void parents_cause_is_not_the_childs_when_all_items_had_ended(struct test *t)
{
	struct bp_group *parent = group_with(t, .limit = BP_LIMIT_NONE);
	struct bp_group *child = group_with(t, .parent = parent);

	for (int i = 0; i < 3; i++)
		expect_eq(bp_go(child, succeed, NULL), 0);
	until_ended(t, child, 3);
	bp_cancel(parent, -EPIPE);
	expect_eq(bp_wait(child), 0);
	expect_eq(stats_of(child).cause, 0);
	bp_group_destroy(child);
	expect_eq(bp_wait(parent), -EPIPE);
	bp_group_destroy(parent);
}

/* The same, but the cancel refused one more item: the child did not do all that it was asked to. */
static void parents_cause_is_the_childs_when_an_item_was_refused_for_it(struct test *t)
{
	struct bp_group *parent = group_with(t, .limit = BP_LIMIT_NONE);
	struct bp_group *child = group_with(t, .parent = parent);

	expect_eq(bp_go(child, succeed, NULL), 0);
	until_ended(t, child, 1);
	bp_cancel(parent, -EPIPE);
	expect_eq(bp_go(child, succeed, NULL), -ECANCELED);
	expect_eq(bp_wait(child), -EPIPE);
	expect_eq(stats_of(child).accepted, 1);
	bp_group_destroy(child);
	bp_group_destroy(parent);
}

/* A child without items takes the parent's cause too. */
static void parents_cause_is_that_of_a_child_without_items(struct test *t)
{
	struct bp_group *parent = group_with(t, .limit = BP_LIMIT_NONE);
	struct bp_group *child = group_with(t, .parent = parent);

	bp_cancel(parent, -EPIPE);
	expect_eq(bp_wait(child), -EPIPE);
	bp_group_destroy(child);
	bp_group_destroy(parent);
}

/* bp_cancel() by the caller counts even when every item had ended. */
static void callers_cause_counts_although_all_items_had_succeeded(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = BP_LIMIT_NONE);

	expect_eq(bp_go(g, succeed, NULL), 0);
	until_ended(t, g, 1);
	bp_cancel(g, -EPIPE);
	expect_eq(bp_wait(g), -EPIPE);
	expect_eq(stats_of(g).succeeded, 1);
	bp_group_destroy(g);
}

static void callers_cause_of_zero_stands_for_ecanceled(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = BP_LIMIT_NONE);
	struct crowd crowd;

	crowd_init(&crowd);
	expect_eq(bp_go(g, crowd_task, &crowd), 0);
	until_in_flight(t, 1);
	bp_cancel(g, 0);
	bp_cancel(g, -EPIPE);
	expect_eq(bp_wait(g), -ECANCELED);
	expect_eq(stats_of(g).stopped, 1);
	expect_balanced(g);
	bp_group_destroy(g);
	crowd_free(&crowd);
}

static bool fails_before_the_deadline(struct test *t, uint64_t ns)
{
	uint64_t deadline = bp_now(t->engine) + ns;
	struct bp_group *g = group_with(t, .deadline_ns = deadline);
	struct crowd crowd;
	int eio = -EIO;
	bool failed;

	crowd_init(&crowd);
	bp_go(g, pass_although_cancelled, &crowd);
	failed = bp_go(g, fail_with, &eio) == 0;
	if (failed)
		until_ended(t, g, 1);
	failed = failed && bp_now(t->engine) < deadline;
	until_time(t, deadline + 1 * MS);
	many_turns(t);
	gate_open(&crowd.gate);
	if (failed)
		expect_eq(bp_wait(g), -EIO);
	else
		expect(bp_wait(g) < 0);
	expect_balanced(g);
	bp_group_destroy(g);
	crowd_free(&crowd);
	return failed;
}

/* A failure is recorded, then the deadline passes: the failure stays. */
static void failure_before_the_deadline_is_the_cause(struct test *t)
{
	in_time(t, 50 * MS, fails_before_the_deadline);
}

static int fail_although_cancelled(void *arg)
{
	pass_although_cancelled(arg);
	return -EIO;
}

static bool fails_after_the_deadline(struct test *t, uint64_t ns)
{
	uint64_t deadline = bp_now(t->engine) + ns;
	struct tally tally = {0};
	struct bp_group *g = group_with(t, .deadline_ns = deadline, REPORT_TO(&tally));
	struct crowd crowd;
	bool started;

	crowd_init(&crowd);
	bp_go(g, fail_although_cancelled, &crowd);
	bp_go(g, crowd_task, &crowd);
	until_time(t, deadline + 1 * MS);
	many_turns(t);
	started = crowd.started == 2;
	if (started)
		until_count(t, &crowd.cancelled, 1);
	gate_open(&crowd.gate);
	expect_eq(bp_wait(g), -ETIMEDOUT);
	if (started) {
		expect_eq(stats_of(g).failed, 1);
		expect_eq(stats_of(g).stopped, 1);
		expect_eq(tally.first_failure, -EIO);
	}
	expect_tally(&tally, g);
	bp_group_destroy(g);
	crowd_free(&crowd);
	return started;
}

/*
 * The deadline is recorded, then an item fails by itself: the deadline stays, the failure counts.
 */
static void deadline_before_the_failure_is_the_cause(struct test *t)
{
	in_time(t, 10 * MS, fails_after_the_deadline);
}

static bool succeeds_before_the_deadline(struct test *t, uint64_t ns)
{
	uint64_t deadline = bp_now(t->engine) + ns;
	struct bp_group *g = group_with(t, .deadline_ns = deadline);
	uint64_t accepted = 0;
	bool all;

	for (int i = 0; i < 10; i++)
		accepted += bp_go(g, succeed, NULL) == 0;
	until_ended(t, g, accepted);
	all = stats_of(g).succeeded == 10;
	until_time(t, deadline + 1 * MS);
	if (all) {
		expect_eq(bp_wait(g), 0);
		expect_eq(stats_of(g).cause, 0);
	}
	bp_group_destroy(g);
	return all;
}

/* All items succeeded before the deadline; bp_wait() is called after it. */
static void deadline_after_the_last_success_is_no_cause(struct test *t)
{
	in_time(t, 50 * MS, succeeds_before_the_deadline);
}

/* A deadline that has passed already: nothing runs. */
static void deadline_in_the_past_lets_nothing_run(struct test *t)
{
	struct bp_engine *engine = engine_with(t, .loops = 0);
	struct bp_group *g;
	struct crowd crowd;

	crowd_init(&crowd);
	until_time(t, bp_now(engine) + 1);
	g = group_with(t, .deadline_ns = bp_now(engine) - 1);
	for (int i = 0; i < 3; i++) {
		int err = bp_go(g, crowd_task, &crowd);

		expect(err == 0 || err == -ECANCELED);
	}
	expect_eq(bp_wait(g), -ETIMEDOUT);
	expect_eq(crowd.passed, 0);
	expect_balanced(g);
	bp_group_destroy(g);
	crowd_free(&crowd);
}

struct failing {
	atomic_uint reports;
	int result;
};

static int end_as_told(void *arg)
{
	struct failing *item = arg;

	return item->result;
}

static void note_failure(void *ctx, void *arg, enum bp_end end, int result)
{
	struct failing *item = arg;

	atomic_fetch_add(&item->reports, 1);
	expect_eq(result, item->result);
	expect_eq(end, result < 0 ? BP_END_FAILED : BP_END_SUCCEEDED);
	if (result < 0)
		atomic_fetch_add((atomic_ulong *)ctx, 1);
}

/*
 * Every failure can be seen through the report callback, with the item's argument, the later ones
 * too. Sources: golang/go#23595, golang/go#60415, conc#125: errgroup keeps one.
 */
static void every_failure_is_reported_with_its_argument(struct test *t)
{
	atomic_ulong failures = 0;
	struct failing item[40] = {0};
	struct bp_group *g = group_with(t, .stop_after_failures = 0, .report = note_failure,
					.report_arg = &failures);
	int cause;

	for (int i = 0; i < 40; i++) {
		item[i].result = i % 2 ? -(i + 1) : i;
		expect_eq(bp_go(g, end_as_told, &item[i]), 0);
	}
	cause = bp_wait(g);
	expect_between(-cause, 2, 40);
	if (driven(t))
		expect_eq(cause, -2);
	expect_eq(failures, 20);
	for (int i = 0; i < 40; i++)
		expect_eq(item[i].reports, 1);
	expect_eq(stats_of(g).failed, 20);
	expect_eq(stats_of(g).succeeded, 20);
	bp_group_destroy(g);
}

/* Also those that fail by themselves while the group is being cancelled. */
static void failures_after_the_first_are_reported_during_the_cancel(struct test *t)
{
	struct tally tally = {0};
	struct bp_group *g = group_with(t, REPORT_TO(&tally));
	struct crowd crowd;
	int eperm = -EPERM;

	crowd_init(&crowd);
	for (int i = 0; i < 5; i++)
		expect_eq(bp_go(g, fail_although_cancelled, &crowd), 0);
	until_count(t, &crowd.started, 5);
	expect_eq(bp_go(g, fail_with, &eperm), 0);
	/* Counted is not yet reported: two loops may report in another order. */
	until_count(t, &tally.calls, 1);
	gate_open(&crowd.gate);
	expect_eq(bp_wait(g), -EPERM);
	expect_eq(stats_of(g).failed, 6);
	expect_eq(tally.first_failure, -EPERM);
	expect_tally(&tally, g);
	bp_group_destroy(g);
	crowd_free(&crowd);
}

static const struct test_case cases[] = {
	EACH_ROW(first_error_is_the_cause_and_not_the_cancel_of_its_siblings),
	EACH_REAL_ROW(first_error_of_an_operation_item_is_the_cause),
	DRIVEN_REAL_ROWS(of_two_failures_in_one_batch_the_first_is_the_cause),
	EACH_ROW(item_timeout_is_etimedout_and_not_ecanceled),
	EACH_ROW(item_timeout_is_the_cause_that_cancels_the_siblings),
	EACH_ROW(ecanceled_that_nobody_caused_is_a_failure),
	EACH_ROW(ecanceled_of_an_operation_item_that_nobody_caused_is_a_failure),
	EACH_ROW(parents_cause_is_the_childs_when_an_item_still_ran),
	EACH_ROW(parents_cause_is_not_the_childs_when_all_items_had_ended),
	EACH_ROW(parents_cause_is_the_childs_when_an_item_was_refused_for_it),
	EACH_ROW(parents_cause_is_that_of_a_child_without_items),
	EACH_ROW(callers_cause_counts_although_all_items_had_succeeded),
	EACH_ROW(callers_cause_of_zero_stands_for_ecanceled),
	EACH_ROW(failure_before_the_deadline_is_the_cause),
	EACH_ROW(deadline_before_the_failure_is_the_cause),
	EACH_ROW(deadline_after_the_last_success_is_no_cause),
	EACH_ROW(deadline_in_the_past_lets_nothing_run),
	EACH_ROW(every_failure_is_reported_with_its_argument),
	EACH_ROW(failures_after_the_first_are_reported_during_the_cancel),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
