/* SPDX-License-Identifier: MIT */
/*
 * test_offload - blocking functions on helper threads, and what a task's loop does meanwhile
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include "support/harness.h"

struct job {
	struct test *t;
	struct bp_group *group;
	pthread_t loop, helper;
	atomic_ulong begun, ran;
	atomic_bool release;
	int result;
	int seen;
};

static int note_thread(void *arg)
{
	struct job *job = arg;

	job->helper = pthread_self();
	return job->result;
}

static int offloads(void *arg)
{
	struct job *job = arg;

	job->loop = pthread_self();
	job->seen = bp_offload(note_thread, job);
	expect(pthread_equal(job->loop, pthread_self()));
	return 0;
}

/* The function runs on another thread; the task goes on where it was, with the value. */
static void a_function_runs_on_another_thread(struct test *t)
{
	struct job job = {.t = t, .result = -12345};

	expect_eq(run_task(t, offloads, &job), 0);
	expect_eq(job.seen, -12345);
	expect(!pthread_equal(job.loop, job.helper));
	job.result = 77;
	expect_eq(run_task(t, offloads, &job), 0);
	expect_eq(job.seen, 77);
}

static int blocks_until_released(void *arg)
{
	struct job *job = arg;

	atomic_fetch_add(&job->begun, 1);
	while (!atomic_load(&job->release))
		sched_yield();
	atomic_fetch_add(&job->ran, 1);
	return 5;
}

static int offloads_blocking(void *arg)
{
	struct job *job = arg;

	job->seen = bp_offload(blocks_until_released, job);
	return job->seen;
}

/* While it blocks, the loop runs other tasks: one of them releases it. */
static int releases(void *arg)
{
	struct job *job = arg;
	int err = 0;

	while (!err && atomic_load(&job->begun) == 0)
		err = bp_yield();
	atomic_store(&job->release, true);
	return err;
}

static void the_loop_goes_on_while_a_function_blocks(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = 2);
	struct job job = {.t = t};

	expect_eq(bp_go(g, offloads_blocking, &job), 0);
	expect_eq(bp_go(g, releases, &job), 0);
	expect_eq(bp_wait(g), 0);
	expect_eq(job.seen, 5);
	bp_group_destroy(g);
}

/* A function that has begun is waited for, though the group was cancelled: its value counts. */
static void a_function_that_has_begun_is_waited_for(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = 2);
	struct job job = {.t = t};

	expect_eq(bp_go(g, offloads_blocking, &job), 0);
	until_count(t, &job.begun, 1);
	bp_cancel(g, -EINTR);
	many_turns(t);
	expect_eq(stats_of(g).running, 1);
	expect_eq(job.ran, 0);
	atomic_store(&job.release, true);
	expect_eq(bp_wait(g), -EINTR);
	expect_eq(job.seen, 5);
	expect_eq(job.ran, 1);
	expect_eq(stats_of(g).succeeded, 1);
	bp_group_destroy(g);
}

static int offload_and_count(void *arg)
{
	struct job *job = arg;
	int res = bp_offload(blocks_until_released, job);

	expect(res == 5 || res == -ECANCELED);
	return res;
}

/* One that is still queued when the cancel comes is dropped: more tasks than helpers. */
static void functions_still_queued_are_dropped_by_the_cancel(struct test *t)
{
	unsigned long n = live_tasks(1000);
	struct bp_group *g = group_with(t, .limit = BP_LIMIT_NONE);
	struct job job = {.t = t};

	for (unsigned long i = 0; i < n; i++)
		expect_eq(bp_go(g, offload_and_count, &job), 0);
	until_running(t, g, n);
	until_count(t, &job.begun, 1);
	many_turns(t);
	bp_cancel(g, -EINTR);
	/* What is queued goes first, before any helper is free. */
	until_ended(t, g, 1);
	atomic_store(&job.release, true);
	expect_eq(bp_wait(g), -EINTR);
	expect_eq(job.ran, job.begun);
	expect_eq(stats_of(g).succeeded, job.ran);
	expect_eq(stats_of(g).stopped + stats_of(g).never_started, n - job.ran);
	expect(job.ran < n);
	expect_balanced(g);
	bp_group_destroy(g);
}

static int add_one(void *arg)
{
	atomic_fetch_add((atomic_ulong *)arg, 1);
	return 0;
}

static int offload_add(void *arg)
{
	for (int i = 0; i < 10; i++) {
		int err = bp_offload(add_one, arg);

		if (err)
			return err;
	}
	return 0;
}

static void many_functions_all_run(struct test *t)
{
	unsigned long n = scaled(5000);
	atomic_ulong count = 0;
	struct bp_group *g = group_with(t, .limit = (long)live_tasks(500));

	for (unsigned long i = 0; i < n; i++)
		expect_eq(bp_go(g, offload_add, &count), 0);
	expect_eq(bp_wait(g), 0);
	expect_eq(count, 10 * n);
	expect_balanced(g);
	bp_group_destroy(g);
}

static int offload_after_cancel(void *arg)
{
	struct job *job = arg;

	bp_cancel(job->group, -EINTR);
	job->seen = bp_offload(add_one, &job->ran);
	bp_shield_begin();
	expect_eq(bp_offload(add_one, &job->begun), 0);
	bp_shield_end();
	return -ECANCELED;
}

/* After the cancel it does not run, but inside a shield it does. */
static void after_the_cancel_a_function_runs_only_in_a_shield(struct test *t)
{
	struct job job = {.t = t, .group = group_with(t, .limit = 2)};

	expect_eq(bp_go(job.group, offload_after_cancel, &job), 0);
	expect_eq(bp_wait(job.group), -EINTR);
	expect_eq(job.seen, -ECANCELED);
	expect_eq(job.ran, 0);
	expect_eq(job.begun, 1);
	bp_group_destroy(job.group);
}

static int offload_in_scope(void *arg)
{
	struct job *job = arg;
	struct bp_timeout scope;

	bp_timeout_begin(&scope, 1);
	expect_eq(bp_sleep(FAR_AWAY), -ETIMEDOUT);
	expect_eq(bp_offload(add_one, &job->ran), -ETIMEDOUT);
	expect_eq(bp_timeout_end(&scope), -ETIMEDOUT);
	expect_eq(job->ran, 0);
	return 0;
}

static void after_a_timeout_a_function_does_not_run(struct test *t)
{
	struct job job = {.t = t};

	expect_eq(run_task(t, offload_in_scope, &job), 0);
}

static int signals_blocked(void *arg)
{
	sigset_t set;

	(void)arg;
	pthread_sigmask(SIG_SETMASK, NULL, &set);
	return sigismember(&set, SIGINT) == 1 && sigismember(&set, SIGUSR1) == 1;
}

static int offload_signals(void *arg)
{
	expect_eq(bp_offload(signals_blocked, arg), 1);
	return 0;
}

/* The program's signal handlers run in the program's own threads. */
static void helpers_leave_signals_alone(struct test *t)
{
	expect_eq(run_task(t, offload_signals, NULL), 0);
}

/* ---------------------------------------------------------------- how many at a time */

static atomic_int inside, most_inside;

/** Stays inside until so many others are, or for good where fewer may be. */
static int stays_with_others(void *arg)
{
	int n = atomic_fetch_add(&inside, 1) + 1, most = atomic_load(&most_inside);

	while (n > most && !atomic_compare_exchange_weak(&most_inside, &most, n))
		;
	while (atomic_load(&most_inside) < (int)(intptr_t)arg)
		sched_yield();
	atomic_fetch_sub(&inside, 1);
	return 0;
}

static int offloads_a_stay(void *arg)
{
	return bp_offload(stays_with_others, arg);
}

static void run_stays(struct test *t, unsigned int offload, int together, int n)
{
	struct bp_group *g;

	atomic_store(&inside, 0);
	atomic_store(&most_inside, 0);
	engine_with(t, .offload = offload);
	g = group_with(t);
	for (int i = 0; i < n; i++)
		expect_eq(bp_go(g, offloads_a_stay, (void *)(intptr_t)together), 0);
	expect_eq(bp_wait(g), 0);
	bp_group_destroy(g);
}

/* More than the default run at a time where the engine's options say so. */
static void as_many_run_as_the_options_say(struct test *t)
{
	run_stays(t, 100, 100, 100);
	expect_eq(atomic_load(&most_inside), 100);
}

static void no_more_run_than_the_options_say(struct test *t)
{
	run_stays(t, 2, 1, 200);
	expect_between(atomic_load(&most_inside), 1, 2);
}

static void too_many_are_refused(struct test *t)
{
	expect_eq(bp_engine_create(&t->engine, &BP_ENGINE_OPTS(.offload = BP_OFFLOAD_MAX + 1)),
		  -EINVAL);
}

static const struct test_case cases[] = {
	EACH_REAL_ROW(as_many_run_as_the_options_say),
	EACH_REAL_ROW(no_more_run_than_the_options_say),
	ONCE(too_many_are_refused),
	EACH_ROW(a_function_runs_on_another_thread),
	EACH_ROW(the_loop_goes_on_while_a_function_blocks),
	EACH_ROW(a_function_that_has_begun_is_waited_for),
	EACH_ROW(functions_still_queued_are_dropped_by_the_cancel),
	EACH_ROW(many_functions_all_run),
	EACH_ROW(after_the_cancel_a_function_runs_only_in_a_shield),
	EACH_ROW(after_a_timeout_a_function_does_not_run),
	EACH_ROW(helpers_leave_signals_alone),
};

int main(int argc, char **argv)
{
	return RUN_REAL_CASES(argc, argv, cases);
}
