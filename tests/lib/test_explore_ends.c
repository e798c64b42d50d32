/* SPDX-License-Identifier: MIT */
/*
 * test_explore_ends - bp_sim_run(): the ways in which a run can go wrong, and what is told of them
 */
#include <assert.h>
#include <pthread.h>
#include <signal.h>

#include "support/harness.h"

#include "batchproc_sim.h"

#define QUIET(...) BP_SIM_OPTS(.report_fd = -1, ##__VA_ARGS__)

static struct bp_sim_result played(bp_sim_fn program, void *arg, struct bp_sim_opts opts)
{
	struct bp_sim_result found = BP_SIM_RESULT();
	int status = bp_sim_run(program, arg, &opts, &found);

	expect_eq(status, found.verdict != BP_SIM_HELD);
	return found;
}

/** What was found is found again by the string that says it. */
static void found_again(bp_sim_fn program, void *arg, struct bp_sim_opts opts,
			const struct bp_sim_result *found)
{
	struct bp_sim_result again;

	opts.replay = found->replay;
	again = played(program, arg, opts);
	expect_eq(again.verdict, found->verdict);
	expect_eq(again.signal, found->signal);
	if (!expect(!strcmp(again.message, found->message)))
		record_failure("\"%s\", \"%s\"", again.message, found->message);
}

static int one_task(struct bp_engine *engine, bp_task_fn fn, void *arg)
{
	struct bp_group *g;
	int err = bp_group_create(&g, engine, NULL);

	if (!err)
		err = bp_go(g, fn, arg);
	if (!err)
		err = bp_wait(g);
	bp_group_destroy(g);
	return err;
}

/* ---------------------------------------------------------------- deadlocks */

struct two {
	struct bp_mutex mutex[2];
	int next;
};

static int takes_both(void *arg)
{
	struct two *two = arg;
	int first = two->next++ & 1, err = bp_sleep((uint64_t)first * 30000);

	if (err || (err = bp_mutex_lock(&two->mutex[first])))
		return err;
	err = bp_openat(AT_FDCWD, "/", O_RDONLY, 0);
	if (err >= 0)
		err = bp_close(err);
	if (!err)
		err = bp_mutex_lock(&two->mutex[!first]);
	if (!err)
		bp_mutex_unlock(&two->mutex[!first]);
	bp_mutex_unlock(&two->mutex[first]);
	return err;
}

static int in_two_orders(struct bp_engine *engine, void *arg)
{
	struct two two = {.next = 0};
	struct bp_group *g;
	int err = bp_group_create(&g, engine, NULL);

	(void)arg;
	bp_mutex_init(&two.mutex[0], engine);
	bp_mutex_init(&two.mutex[1], engine);
	for (int i = 0; i < 2 && !err; i++)
		err = bp_go(g, takes_both, &two);
	if (!err)
		err = bp_wait(g);
	bp_group_destroy(g);
	return err;
}

static int reads_from_nobody(void *arg)
{
	int fds[2], err = bp_pipe(fds, 0);
	char byte;

	(void)arg;
	return err ? err : (int)bp_read(fds[0], &byte, 1, -1);
}

static int waits_for_nobody(struct bp_engine *engine, void *arg)
{
	return one_task(engine, reads_from_nobody, arg);
}

static void a_deadlock_is_told_not_waited_for(struct test *t)
{
	struct bp_sim_result found;

	(void)t;
	for (unsigned int loops = 0; loops < 3; loops++) {
		struct bp_sim_opts opts = QUIET(.loops = loops, .latency_ns = 10000, .seeds = 2000);

		found = played(in_two_orders, NULL, opts);
		/* One of the two is told, as it would be anywhere. */
		expect_eq(found.verdict, BP_SIM_FAILED);
		expect(strstr(found.message, strerror(EDEADLK)));
		expect_between(found.decisions, loops ? 0 : 1, 10);
		found_again(in_two_orders, NULL, opts, &found);
		found = played(waits_for_nobody, NULL, opts);
		expect_eq(found.verdict, BP_SIM_DEADLOCK);
		expect_eq(found.decisions, 0);
		expect(strstr(found.message, "everything waits for ever"));
	}
}

/* ---------------------------------------------------------------- crashes */

static int writes_to_null(void *arg)
{
	*(volatile int *)arg = 1;
	return 0;
}

static int crashes(struct bp_engine *engine, void *arg)
{
	return one_task(engine, writes_to_null, arg);
}

static int is_sure(void *arg)
{
	fprintf(stderr, "something else\nshe said: %s\n", arg ? "yes" : "no");
	abort();
}

static int aborts(struct bp_engine *engine, void *arg)
{
	return one_task(engine, is_sure, arg);
}

static int leaves(struct bp_engine *engine, void *arg)
{
	(void)engine, (void)arg;
	_exit(0);
}

static int misuses(struct bp_engine *engine, void *arg)
{
	(void)arg;
	(void)engine;
	return bp_sleep(1);
}

static int overflows(struct bp_engine *engine, void *arg)
{
	struct bp_group *g;

	(void)arg;
	return bp_group_create(&g, engine, NULL);
}

static int fails(struct bp_engine *engine, void *arg)
{
	(void)engine, (void)arg;
	return -EIO;
}

static void who_ends_the_process_has_a_seed_too(struct test *t)
{
	struct bp_sim_result found;

	(void)t;
	found = played(crashes, NULL, QUIET(.seeds = 10));
	expect_eq(found.verdict, BP_SIM_CRASHED);
	expect(found.signal == SIGSEGV || found.signal == 0); /* 0: a sanitizer has said it */
	expect(found.message[0]);
	found_again(crashes, NULL, QUIET(), &found);

	found = played(aborts, NULL, QUIET(.seeds = 10));
	expect_eq(found.verdict, BP_SIM_CRASHED);
	expect_eq(found.signal, SIGABRT);
	expect(!strcmp(found.message, "she said: no"));
	expect(!strcmp(found.replay, "seed=0,decisions=none"));
	found_again(aborts, NULL, QUIET(), &found);

	found = played(leaves, NULL, QUIET(.seeds = 10));
	expect_eq(found.verdict, BP_SIM_CRASHED);
	expect(!strcmp(found.message, "the program ended its process"));

	found = played(misuses, NULL, QUIET(.seeds = 10));
	expect_eq(found.verdict, BP_SIM_CRASHED);
	expect(strstr(found.message, "bp_sleep"));
}

static void an_error_and_a_group_left_are_failures(struct test *t)
{
	struct bp_sim_result found;

	(void)t;
	found = played(fails, NULL, QUIET(.seeds = 10));
	expect_eq(found.verdict, BP_SIM_FAILED);
	expect(strstr(found.message, "the program returned -5"));
	found = played(overflows, NULL, QUIET(.seeds = 10));
	expect_eq(found.verdict, BP_SIM_FAILED);
	expect(strstr(found.message, "1 group(s) were not destroyed"));
}

/* ---------------------------------------------------------------- no end, and none that is sure */

static int yields(void *arg)
{
	(void)arg;
	for (;;)
		if (bp_yield())
			return 0;
}

static int goes_on(struct bp_engine *engine, void *arg)
{
	return one_task(engine, yields, arg);
}

static int computes(struct bp_engine *engine, void *arg)
{
	volatile unsigned int n = 0;

	(void)engine, (void)arg;
	for (;;)
		n++;
	return 0;
}

static void what_has_no_end_is_ended(struct test *t)
{
	struct bp_sim_result found;

	(void)t;
	found = played(goes_on, NULL, QUIET(.seeds = 10, .max_events = 1000));
	expect_eq(found.verdict, BP_SIM_ENDLESS);
	expect(!strcmp(found.message, "no end after 1000 events and turns"));
	found_again(goes_on, NULL, QUIET(.max_events = 1000), &found);
	found = played(computes, NULL, QUIET(.seeds = 1, .timeout_s = 1));
	expect_eq(found.verdict, BP_SIM_ENDLESS);
	expect_eq(found.signal, SIGALRM);
	expect_eq(found.shrink_runs, 0);
}

static int runs_before;

static int sleeps(void *arg)
{
	return bp_sleep(*(int *)arg ? 5000 : 1000);
}

static int remembers(struct bp_engine *engine, void *arg)
{
	runs_before += *(int *)arg;
	return one_task(engine, sleeps, &runs_before);
}

static int third_fails(struct bp_engine *engine, void *arg)
{
	(void)engine, (void)arg;
	return ++runs_before == 3 ? -EIO : 0;
}

static void what_something_else_decides_is_not_steady(struct test *t)
{
	struct bp_sim_result found;
	int forgets = 0, counts = 1;

	(void)t;
	runs_before = -1;
	found = played(remembers, &counts, QUIET(.seeds = 10));
	expect_eq(found.verdict, BP_SIM_UNSTEADY);
	expect_eq(found.found, 0);
	runs_before = 0;
	found = played(remembers, &forgets, QUIET(.seeds = 20));
	expect_eq(found.verdict, BP_SIM_HELD);
	found = played(third_fails, NULL, QUIET(.seed = 1, .seeds = 10));
	expect_eq(found.verdict, BP_SIM_UNSTEADY);
	expect_eq(found.found, 3);
	expect(strstr(found.message, "a run leaves something to the next"));
}

/* ---------------------------------------------------------------- what is told */

static int notes(void *arg)
{
	(void)arg;
	bp_sim_note("the number is %d", 42);
	bp_sim_check(bp_sim_size() == 3);
	bp_sim_check(bp_sim_random(0) == 0 && bp_sim_random(1) == 0 && bp_sim_random(10) < 10);
	return bp_sleep(1000 + bp_sim_random(1000)) ? 0 : -EXFULL;
}

static int tells(struct bp_engine *engine, void *arg)
{
	return one_task(engine, notes, arg);
}

static void read_all(int fd, char *text, size_t room)
{
	size_t len = 0;
	ssize_t n;

	while ((n = read(fd, text + len, room - len - 1)) > 0)
		len += (size_t)n;
	text[len] = '\0';
}

static void the_report_has_seed_events_and_how_to_see_them_again(struct test *t)
{
	struct bp_sim_result found = BP_SIM_RESULT();
	struct bp_sim_opts opts = QUIET(.seed = 7, .seeds = 5, .size = 3, .shrink_runs = 1);
	char text[65536], replay[BP_SIM_REPLAY_MAX + 32];
	int fds[2];

	(void)t;
	if (!expect_eq(pipe(fds), 0))
		return;
	fcntl(fds[1], F_SETPIPE_SZ, (int)sizeof(text));
	opts.report_fd = fds[1];
	expect_eq(bp_sim_run(tells, NULL, &opts, &found), 1);
	close(fds[1]);
	read_all(fds[0], text, sizeof(text));
	close(fds[0]);
	expect(strstr(text, "batchproc: sim: seed 7 fails: the program returned -54"));
	expect(strstr(text, "the number is 42"));
	snprintf(replay, sizeof(replay), "to play it again: %s\n", found.replay);
	expect(strstr(text, replay));
	expect_eq(found.found, 7);
}

static int tells_here(void *arg)
{
	(void)arg;
	return bp_sim_run(fails, NULL, &BP_SIM_OPTS(.in_process = true, .seed = 9), NULL);
}

static void the_report_of_a_deadlock_says_who_waits(struct test *t)
{
	char text[65536];
	int fds[2];

	(void)t;
	for (unsigned int loops = 0; loops < 2; loops++) {
		struct bp_sim_opts opts = QUIET(.seeds = 3, .loops = loops);

		if (!expect_eq(pipe(fds), 0))
			return;
		fcntl(fds[1], F_SETPIPE_SZ, (int)sizeof(text));
		opts.report_fd = fds[1];
		expect_eq(bp_sim_run(waits_for_nobody, NULL, &opts, NULL), 1);
		close(fds[1]);
		read_all(fds[0], text, sizeof(text));
		close(fds[0]);
		expect(strstr(text, "ends in a deadlock"));
		expect(strstr(text, "on loop 0: in flight: read"));
	}
}

static int fails_outside(void *arg)
{
	(void)arg;
	bp_sim_fail("not %s", "so");
}

static int runs_inside(void *arg)
{
	(void)arg;
	return bp_sim_run(fails, NULL, NULL, NULL);
}

static int in_a_task(void *arg)
{
	return run_task(arg, runs_inside, NULL);
}

static void in_this_process_a_failure_ends_it(struct test *t)
{
	expect_abort(tells_here, NULL, "seed 9 fails: the program returned -5");
	expect_abort(fails_outside, NULL, "not so");
	expect_abort(in_a_task, t, "bp_sim_run");
	expect_eq(bp_sim_size(), 1);
	expect_eq(bp_sim_random(5), 0);
	expect_eq(bp_sim_open_fds(), 0);
	bp_sim_note("nobody reads %s", "this");
	bp_sim_point();
}

static const struct test_case cases[] = {
	ONCE(a_deadlock_is_told_not_waited_for),
	ONCE(who_ends_the_process_has_a_seed_too),
	ONCE(an_error_and_a_group_left_are_failures),
	ONCE(what_has_no_end_is_ended),
	ONCE(what_something_else_decides_is_not_steady),
	ONCE(the_report_has_seed_events_and_how_to_see_them_again),
	ONCE(the_report_of_a_deadlock_says_who_waits),
	ONCE(in_this_process_a_failure_ends_it),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
