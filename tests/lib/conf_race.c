/* SPDX-License-Identifier: MIT */
/*
 * conf_race - the first success, k of n, and the other policies of the two stop numbers
 */
#include "support/harness.h"

/* ---------------------------------------------------------------- races of opens */

struct opener {
	char path[128];
	atomic_int *winner_fd;
	atomic_ulong *opened, *closed;
};

static int open_first(void *arg)
{
	struct opener *o = arg;
	int none = -1;
	int fd = bp_openat(AT_FDCWD, o->path, O_RDONLY | O_CLOEXEC, 0);

	if (fd < 0)
		return fd;
	atomic_fetch_add(o->opened, 1);
	if (!bp_cancelled() && atomic_compare_exchange_strong(o->winner_fd, &none, fd))
		return 0;
	/* A loser that got its descriptor all the same; closing works after the cancel too. */
	expect_eq(bp_close(fd), 0);
	atomic_fetch_add(o->closed, 1);
	return -ECANCELED;
}

/*
 * Three opens race and one wins, over and over: the losers are cancelled, a descriptor that a
 * loser got all the same is closed by its own code, no descriptor is left.
 */
static void three_opens_race_and_no_descriptor_is_left(struct test *t)
{
	for (unsigned long round = 0; round < scaled(500); round++) {
		atomic_ulong opened = 0, closed = 0;
		atomic_int winner_fd = -1;
		struct opener o[3];
		struct bp_group *g =
			group_with(t, .stop_after_failures = 0, .stop_after_successes = 1);

		for (int i = 0; i < 3; i++) {
			o[i] = (struct opener){"/dev/null", &winner_fd, &opened, &closed};
			if (i == (int)(round % 3))
				strcpy(o[i].path, "/proc/self/maps");
			int err = bp_go(g, open_first, &o[i]);

			/* The later ones may find the race decided. */
			expect(err == 0 || (i > 0 && err == -ECANCELED));
		}
		expect_eq(bp_wait(g), 0);
		expect_eq(stats_of(g).succeeded, 1);
		expect_eq(opened, closed + 1);
		expect_balanced(g);
		expect(bp_group_winner(g) == &o[0] || bp_group_winner(g) == &o[1] ||
		       bp_group_winner(g) == &o[2]);
		expect_eq(close(winner_fd), 0);
		bp_group_destroy(g);
	}
}

/* The losers stand in operations that nothing ends. */
static void the_winner_cancels_losers_that_wait(struct test *t)
{
	struct tally tally = {0};
	struct bp_group *g = group_with(t, .stop_after_failures = 0, .stop_after_successes = 1,
					REPORT_TO(&tally));
	struct crowd crowd;
	struct trigger trigger = {t, &crowd, 5, 7};

	crowd_init(&crowd);
	for (int i = 0; i < 5; i++)
		expect_eq(bp_go(g, crowd_task, &crowd), 0);
	expect_eq(bp_go(g, trigger_task, &trigger), 0);
	expect_eq(bp_wait(g), 0);
	expect_eq(bp_wait(g), 0);
	expect(bp_group_winner(g) == &trigger);
	expect_eq(stats_of(g).succeeded, 1);
	expect_eq(stats_of(g).stopped, 5);
	expect_eq(stats_of(g).failed, 0);
	expect_tally(&tally, g);
	expect_eq(bp_go(g, succeed, NULL), -EBADF);
	bp_group_destroy(g);
	crowd_free(&crowd);
}

/* The winner may be an operation item. */
static void an_operation_item_wins(struct test *t)
{
	struct bp_group *g = group_with(t, .stop_after_failures = 0, .stop_after_successes = 1);
	struct crowd crowd;
	struct crowd_op op;
	struct nop_op nop;

	crowd_init(&crowd);
	crowd_op_init(&op, &crowd);
	nop_op_init(&nop, 0, NULL);
	expect_eq(bp_go_op(g, &op.op), 0);
	until_in_flight(t, 1);
	expect(bp_group_winner(g) == NULL);
	expect_eq(bp_go_op(g, &nop.op), 0);
	expect_eq(bp_wait(g), 0);
	expect(bp_group_winner(g) == &nop.op);
	expect_eq(op.res, -ECANCELED);
	expect_balanced(g);
	bp_group_destroy(g);
	crowd_free(&crowd);
}

static int open_missing(void *path)
{
	int fd = bp_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);

	expect(fd < 0);
	return fd;
}

/* All fail: the first failure. */
static void a_race_that_all_lose_gives_the_first_failure(struct test *t)
{
	struct tally tally = {0};
	struct bp_group *g = group_with(t, .limit = 1, .stop_after_failures = 0,
					.stop_after_successes = 1, REPORT_TO(&tally));

	/* One at a time, so that the first to be given is the first to fail. */
	expect_eq(bp_go(g, open_missing, "/dev/null/x"), 0);
	expect_eq(bp_go(g, open_missing, "/nosuch/file"), 0);
	expect_eq(bp_go(g, open_missing, "/nosuch/file"), 0);
	expect_eq(bp_wait(g), -ENOTDIR);
	expect_eq(stats_of(g).failed, 3);
	expect_eq(tally.first_failure, -ENOTDIR);
	expect(bp_group_winner(g) == NULL);
	expect_tally(&tally, g);
	bp_group_destroy(g);
}

/* A race of nobody: -ENOENT. */
static void a_race_of_nobody_is_enoent(struct test *t)
{
	struct bp_group *g = group_with(t, .stop_after_failures = 0, .stop_after_successes = 1);

	expect_eq(bp_wait(g), -ENOENT);
	expect_eq(bp_wait(g), -ENOENT);
	expect(bp_group_winner(g) == NULL);
	bp_group_destroy(g);
}

static int wait_and_succeed_in_shield(void *arg)
{
	struct crowd *crowd = arg;

	atomic_fetch_add(&crowd->started, 1);
	bp_shield_begin();
	expect_eq(gate_wait(&crowd->gate), 0);
	bp_shield_end();
	return 0;
}

/* A success that races with the winner's cancel stays a success; the winner stays the first. */
static void a_second_success_is_counted_but_does_not_win(struct test *t)
{
	struct bp_group *g = group_with(t, .stop_after_failures = 0, .stop_after_successes = 1);
	struct crowd crowd;
	int first = 0;

	crowd_init(&crowd);
	expect_eq(bp_go(g, wait_and_succeed_in_shield, &crowd), 0);
	until_count(t, &crowd.started, 1);
	expect_eq(bp_go(g, succeed, &first), 0);
	until_ended(t, g, 1);
	gate_open(&crowd.gate);
	expect_eq(bp_wait(g), 0);
	expect(bp_group_winner(g) == &first);
	expect_eq(stats_of(g).succeeded, 2);
	expect_balanced(g);
	bp_group_destroy(g);
	crowd_free(&crowd);
}

/* A race that the caller ends has the caller's cause. */
static void a_cancelled_race_gives_the_cause(struct test *t)
{
	struct bp_group *g = group_with(t, .stop_after_failures = 0, .stop_after_successes = 1);
	struct crowd crowd;

	crowd_init(&crowd);
	expect_eq(bp_go(g, crowd_task, &crowd), 0);
	until_in_flight(t, 1);
	bp_cancel(g, -EINTR);
	expect_eq(bp_wait(g), -EINTR);
	expect(bp_group_winner(g) == NULL);
	bp_group_destroy(g);
	crowd_free(&crowd);
}

/* bp_go_copy(): the winner's copy lives as long as the group, the variable may change. */
static int value_of_copy(void *arg)
{
	int value = *(int *)arg;
	int err = bp_yield();

	return err ? err : value;
}

static void the_winners_copy_lives_as_long_as_the_group(struct test *t)
{
	struct bp_group *g =
		group_with(t, .limit = 1, .stop_after_failures = 0, .stop_after_successes = 1);
	int value = -ENOENT;
	int *winner;

	expect_eq(bp_go_copy(g, value_of_copy, &value, sizeof(value)), 0);
	value = 42;
	expect_eq(bp_go_copy(g, value_of_copy, &value, sizeof(value)), 0);
	value = 0;
	expect_eq(bp_wait(g), 0);
	winner = bp_group_winner(g);
	expect(winner && winner != &value);
	if (winner)
		expect_eq(*winner, 42);
	expect_eq(stats_of(g).failed, 1);
	bp_group_destroy(g);
}

/* ---------------------------------------------------------------- quorum and budgets */

static int negative_as_failure(void *result)
{
	return (int)(intptr_t)result;
}

#define ENDS_WITH(number) ((void *)(intptr_t)(number))

/* Two of three must succeed: ends at the second success, the third is cancelled. */
static void quorum_ends_at_the_last_success_it_needs(struct test *t)
{
	struct bp_group *g = group_with(t, .stop_after_failures = 2, .stop_after_successes = 2);
	struct crowd crowd;

	crowd_init(&crowd);
	expect_eq(bp_go(g, crowd_task, &crowd), 0);
	until_in_flight(t, 1);
	expect_eq(bp_go(g, succeed, NULL), 0);
	until_ended(t, g, 1);
	many_turns(t);
	expect_eq(stats_of(g).running, 1);
	expect_eq(bp_go(g, succeed, NULL), 0);
	expect_eq(bp_wait(g), 0);
	expect_eq(stats_of(g).succeeded, 2);
	expect_eq(stats_of(g).stopped, 1);
	expect_balanced(g);
	bp_group_destroy(g);
	crowd_free(&crowd);
}

/* Ends at the second failure, for two can no longer succeed; one success more or less. */
static void quorum_ends_when_it_can_no_longer_be_reached(struct test *t)
{
	struct bp_group *g = group_with(t, .stop_after_failures = 2, .stop_after_successes = 2);
	struct crowd crowd;

	crowd_init(&crowd);
	expect_eq(bp_go(g, crowd_task, &crowd), 0);
	until_in_flight(t, 1);
	expect_eq(bp_go(g, negative_as_failure, ENDS_WITH(-EIO)), 0);
	until_ended(t, g, 1);
	many_turns(t);
	expect_eq(stats_of(g).running, 1);
	expect_eq(bp_go(g, negative_as_failure, ENDS_WITH(-EPERM)), 0);
	expect_eq(bp_wait(g), -EIO);
	expect_eq(stats_of(g).failed, 2);
	expect_eq(stats_of(g).stopped, 1);
	expect_balanced(g);
	bp_group_destroy(g);
	crowd_free(&crowd);
}

/* One failure does not spoil it. */
static void quorum_is_reached_in_spite_of_a_failure(struct test *t)
{
	struct bp_group *g = group_with(t, .stop_after_failures = 2, .stop_after_successes = 2);

	expect_eq(bp_go(g, negative_as_failure, ENDS_WITH(-EIO)), 0);
	until_ended(t, g, 1);
	expect_eq(bp_go(g, succeed, NULL), 0);
	expect_eq(bp_go(g, succeed, NULL), 0);
	expect_eq(bp_wait(g), 0);
	expect_eq(stats_of(g).succeeded, 2);
	expect_eq(stats_of(g).failed, 1);
	bp_group_destroy(g);
}

/* All ended and there were too few successes: the first failure, or -ENOENT when none failed. */
static void too_few_successes_give_the_first_failure_or_enoent(struct test *t)
{
	struct bp_group *g = group_with(t, .stop_after_failures = 0, .stop_after_successes = 3);

	expect_eq(bp_go(g, succeed, NULL), 0);
	expect_eq(bp_go(g, succeed, NULL), 0);
	expect_eq(bp_wait(g), -ENOENT);
	bp_group_destroy(g);

	g = group_with(t, .stop_after_failures = 0, .stop_after_successes = 3);
	expect_eq(bp_go(g, succeed, NULL), 0);
	expect_eq(bp_go(g, negative_as_failure, ENDS_WITH(-EIO)), 0);
	expect_eq(bp_wait(g), -EIO);
	bp_group_destroy(g);
}

/* Wait for all: nothing is cancelled, and the first failure is the result all the same. */
static void waiting_for_all_cancels_nothing_and_gives_the_first_failure(struct test *t)
{
	struct bp_group *g = group_with(t, .stop_after_failures = 0);
	struct crowd crowd;

	crowd_init(&crowd);
	for (int i = 0; i < 3; i++)
		expect_eq(bp_go(g, crowd_task, &crowd), 0);
	expect_eq(bp_go(g, negative_as_failure, ENDS_WITH(-EIO)), 0);
	until_ended(t, g, 1);
	expect_eq(bp_go(g, negative_as_failure, ENDS_WITH(-EPERM)), 0);
	until_ended(t, g, 2);
	many_turns(t);
	expect_eq(stats_of(g).running, 3);
	expect_eq(stats_of(g).cancel_ns, 0);
	gate_open(&crowd.gate);
	expect_eq(bp_wait(g), -EIO);
	expect_eq(crowd.passed, 3);
	expect_eq(stats_of(g).succeeded, 3);
	expect_eq(stats_of(g).failed, 2);
	bp_group_destroy(g);
	crowd_free(&crowd);
}

/* An error budget of three: two failures cancel nothing, the third ends it. */
static void error_budget_ends_at_its_last_failure(struct test *t)
{
	struct bp_group *g = group_with(t, .stop_after_failures = 3);
	struct crowd crowd;

	crowd_init(&crowd);
	for (int i = 0; i < 4; i++)
		expect_eq(bp_go(g, crowd_task, &crowd), 0);
	until_count(t, &crowd.started, 4);
	for (uint64_t i = 1; i <= 2; i++) {
		expect_eq(bp_go(g, negative_as_failure, ENDS_WITH(-EIO)), 0);
		until_ended(t, g, i);
	}
	many_turns(t);
	expect_eq(stats_of(g).running, 4);
	expect_eq(bp_go(g, negative_as_failure, ENDS_WITH(-EPERM)), 0);
	expect_eq(bp_wait(g), -EIO);
	expect_eq(stats_of(g).failed, 3);
	expect_eq(stats_of(g).stopped, 4);
	expect_balanced(g);
	bp_group_destroy(g);
	crowd_free(&crowd);
}

/* A budget that was not used up: all ran, and the first failure is told. */
static void error_budget_not_used_up_still_tells_the_first_failure(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = 1, .stop_after_failures = 3);

	expect_eq(bp_go(g, succeed, NULL), 0);
	expect_eq(bp_go(g, negative_as_failure, ENDS_WITH(-EIO)), 0);
	expect_eq(bp_go(g, negative_as_failure, ENDS_WITH(-EPERM)), 0);
	expect_eq(bp_go(g, succeed, NULL), 0);
	expect_eq(bp_wait(g), -EIO);
	expect_eq(stats_of(g).succeeded, 2);
	expect_eq(stats_of(g).failed, 2);
	bp_group_destroy(g);
}

/* The default fails fast, as NULL options do. */
static void default_options_fail_fast(struct test *t)
{
	struct crowd crowd;
	struct bp_group *g;

	crowd_init(&crowd);
	engine_with(t, .depth = 0);
	expect_eq(bp_group_create(&g, t->engine, NULL), 0);
	expect_eq(stats_of(g).limit, BP_LIMIT_NONE);
	expect_eq(bp_go(g, crowd_task, &crowd), 0);
	until_in_flight(t, 1);
	expect_eq(bp_go(g, negative_as_failure, ENDS_WITH(-EIO)), 0);
	expect_eq(bp_wait(g), -EIO);
	expect_eq(stats_of(g).stopped, 1);
	bp_group_destroy(g);
	crowd_free(&crowd);
}

/* Zero items: 0. */
static void a_group_of_nobody_succeeds(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = 3);

	expect_eq(bp_wait(g), 0);
	expect_eq(bp_wait(g), 0);
	expect_eq(stats_of(g).accepted, 0);
	bp_group_destroy(g);
}

/* The macros say what the numbers of a race and of a quorum are. */
static void macros_make_races_and_quorums(struct test *t)
{
	const struct bp_group_opts race = BP_GROUP_OPTS(BP_RACE, .limit = 3);
	const struct bp_group_opts quorum = BP_GROUP_OPTS(BP_QUORUM(2, 5));
	int eio = -EIO;
	struct bp_group *g = group_with(t, BP_RACE, .limit = 1);

	expect_eq(race.stop_after_failures, 0);
	expect_eq(race.stop_after_successes, 1);
	expect_eq(race.limit, 3);
	expect_eq(quorum.stop_after_failures, 4);
	expect_eq(quorum.stop_after_successes, 2);
	/* A failure does not end a race. */
	expect_eq(bp_go(g, fail_with, &eio), 0);
	expect_eq(bp_go(g, succeed, NULL), 0);
	expect_eq(bp_wait(g), 0);
	bp_group_destroy(g);
}

static const struct test_case cases[] = {
	EACH_ROW(macros_make_races_and_quorums),
	EACH_REAL_ROW(three_opens_race_and_no_descriptor_is_left),
	EACH_ROW(the_winner_cancels_losers_that_wait),
	EACH_ROW(an_operation_item_wins),
	EACH_REAL_ROW(a_race_that_all_lose_gives_the_first_failure),
	EACH_ROW(a_race_of_nobody_is_enoent),
	EACH_ROW(a_second_success_is_counted_but_does_not_win),
	EACH_ROW(a_cancelled_race_gives_the_cause),
	EACH_ROW(the_winners_copy_lives_as_long_as_the_group),
	EACH_ROW(quorum_ends_at_the_last_success_it_needs),
	EACH_ROW(quorum_ends_when_it_can_no_longer_be_reached),
	EACH_ROW(quorum_is_reached_in_spite_of_a_failure),
	EACH_ROW(too_few_successes_give_the_first_failure_or_enoent),
	EACH_ROW(waiting_for_all_cancels_nothing_and_gives_the_first_failure),
	EACH_ROW(error_budget_ends_at_its_last_failure),
	EACH_ROW(error_budget_not_used_up_still_tells_the_first_failure),
	EACH_ROW(default_options_fail_fast),
	EACH_ROW(a_group_of_nobody_succeeds),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
