/* SPDX-License-Identifier: MIT */
/*
 * test_pool - the helper threads by themselves: classes, their limits, jobs taken back
 *
 * A loop that nobody drives stands in for the one that gets the messages: its inbox is counted.
 */
#include <pthread.h>
#include <sched.h>

#include "support/harness.h"
#include "loop.h"
#include "pool.h"

struct bench {
	struct pool pool;
	struct bp_loop loop;
	pthread_barrier_t barrier;
	atomic_ulong begun, ran;
	atomic_bool open;
	unsigned long over;
};

struct task_job {
	struct pool_job job;
	struct bench *b;
	unsigned int runs;
};

static void bench_init(struct bench *b)
{
	memset(b, 0, sizeof(*b));
	assert_int_equal(pool_init(&b->pool, BP_OFFLOAD_DEFAULT), 0);
}

static void bench_exit(struct bench *b)
{
	pool_stop(&b->pool);
	pool_exit(&b->pool);
}

static struct task_job *make_jobs(struct bench *b, unsigned int n, enum pool_class class,
				  int (*fn)(void *))
{
	struct task_job *jobs = calloc(n, sizeof(*jobs));

	assert_non_null(jobs);
	for (unsigned int i = 0; i < n; i++)
		jobs[i] = (struct task_job){
			.b = b,
			.job = {.fn = fn, .arg = &jobs[i], .class = class, .loop = &b->loop}};
	return jobs;
}

static void put_together(struct bench *b, struct task_job *jobs, unsigned int n)
{
	struct bp_link_ list;

	list_init(&list);
	for (unsigned int i = 0; i < n; i++)
		list_add_tail(&list, &jobs[i].job.link);
	expect_eq(pool_put_all(&b->pool, &list), 0);
	expect(list_empty(&list));
}

/* Waits until so many messages have come in all. */
static void until_over(struct bench *b, unsigned long at_least)
{
	struct bp_message *message;

	while (b->over < at_least) {
		message = atomic_exchange(&b->loop.inbox, NULL);
		if (!message)
			sched_yield();
		for (; message; message = message->next)
			b->over++;
	}
}

static void until_begun(struct bench *b, unsigned long at_least)
{
	while (atomic_load(&b->begun) < at_least)
		sched_yield();
}

static int runs(void *arg)
{
	struct task_job *job = arg;

	job->runs++;
	atomic_fetch_add(&job->b->ran, 1);
	return (int)job->runs;
}

static int stands_at_a_gate(void *arg)
{
	struct task_job *job = arg;

	atomic_fetch_add(&job->b->begun, 1);
	while (!atomic_load(&job->b->open))
		sched_yield();
	return runs(job);
}

static int meets_the_others(void *arg)
{
	struct task_job *job = arg;

	pthread_barrier_wait(&job->b->barrier);
	return runs(job);
}

/* Whatever the class and however they are put in, each job runs once and is reported once. */
static void each_job_runs_once(struct test *t)
{
	enum {
		MANY = 3000
	};
	struct task_job *jobs[POOL_CLASSES];
	struct bench b;

	(void)t;
	bench_init(&b);
	for (unsigned int class = 0; class < POOL_CLASSES; class ++) {
		jobs[class] = make_jobs(&b, MANY, class, runs);
		put_together(&b, jobs[class], MANY / 2);
		for (unsigned int i = MANY / 2; i < MANY; i++)
			expect_eq(pool_put(&b.pool, &jobs[class][i].job), 0);
	}
	until_over(&b, POOL_CLASSES * MANY);
	expect_eq(b.ran, POOL_CLASSES * MANY);
	bench_exit(&b);
	for (unsigned int class = 0; class < POOL_CLASSES; class ++) {
		for (unsigned int i = 0; i < MANY; i++)
			expect(jobs[class][i].runs == 1 && jobs[class][i].job.result == 1);
		free(jobs[class]);
	}
}

/*
 * Brief jobs that wait after all: each waits for all the others, so that they only end if the limit
 * of one for each processor is raised until all run at once.
 */
static void brief_jobs_that_wait_get_more_threads(struct test *t)
{
	struct task_job *jobs;
	struct bench b;

	(void)t;
	bench_init(&b);
	jobs = make_jobs(&b, POOL_THREADS_MAX, POOL_BRIEF, meets_the_others);
	expect_eq(pthread_barrier_init(&b.barrier, NULL, POOL_THREADS_MAX), 0);
	put_together(&b, jobs, POOL_THREADS_MAX);
	until_over(&b, POOL_THREADS_MAX);
	bench_exit(&b);
	pthread_barrier_destroy(&b.barrier);
	free(jobs);
}

/* So do long ones, at once; and no more threads are made than there may be. */
static void long_jobs_all_run_at_once(struct test *t)
{
	struct task_job *jobs;
	struct bench b;

	(void)t;
	bench_init(&b);
	jobs = make_jobs(&b, 3 * POOL_THREADS_MAX, POOL_LONG, meets_the_others);
	expect_eq(pthread_barrier_init(&b.barrier, NULL, POOL_THREADS_MAX), 0);
	put_together(&b, jobs, 3 * POOL_THREADS_MAX);
	until_over(&b, 3 * POOL_THREADS_MAX);
	expect_eq(b.pool.count, POOL_THREADS_MAX);
	bench_exit(&b);
	pthread_barrier_destroy(&b.barrier);
	free(jobs);
}

/* The program's functions may all stand still: files and directories still have threads. */
static void offloads_leave_threads_for_files(struct test *t)
{
	enum {
		MANY = BP_OFFLOAD_DEFAULT + 10
	};
	struct task_job *still, *file, *dir;
	struct bench b;

	(void)t;
	bench_init(&b);
	still = make_jobs(&b, MANY, POOL_OFFLOAD, stands_at_a_gate);
	file = make_jobs(&b, 100, POOL_LONG, runs);
	dir = make_jobs(&b, 100, POOL_BRIEF, runs);
	put_together(&b, still, MANY);
	until_begun(&b, BP_OFFLOAD_DEFAULT);
	put_together(&b, file, 100);
	put_together(&b, dir, 100);
	until_over(&b, 200);
	expect_eq(b.ran, 200);
	expect_eq(b.begun, BP_OFFLOAD_DEFAULT);
	atomic_store(&b.open, true);
	until_over(&b, 200 + MANY);
	bench_exit(&b);
	free(still);
	free(file);
	free(dir);
}

/* A job that no thread has begun is taken back and never runs; one that runs is not. */
static void what_has_not_begun_is_taken_back(struct test *t)
{
	enum {
		MANY = BP_OFFLOAD_DEFAULT + 10
	};
	struct task_job *jobs;
	unsigned int back = 0;
	struct bench b;

	(void)t;
	bench_init(&b);
	jobs = make_jobs(&b, MANY, POOL_OFFLOAD, stands_at_a_gate);
	put_together(&b, jobs, MANY);
	until_begun(&b, BP_OFFLOAD_DEFAULT);
	for (unsigned int i = 0; i < MANY; i++)
		back += pool_take_back(&b.pool, &jobs[i].job);
	expect_eq(back, MANY - BP_OFFLOAD_DEFAULT);
	expect(!pool_take_back(&b.pool, &jobs[MANY - 1].job));
	atomic_store(&b.open, true);
	until_over(&b, BP_OFFLOAD_DEFAULT);
	expect_eq(b.begun, BP_OFFLOAD_DEFAULT);
	bench_exit(&b);
	for (unsigned int i = 0; i < MANY; i++)
		expect_eq(jobs[i].runs, i < BP_OFFLOAD_DEFAULT);
	free(jobs);
}

static const struct test_case cases[] = {
	ONCE(each_job_runs_once),
	ONCE(brief_jobs_that_wait_get_more_threads),
	ONCE(long_jobs_all_run_at_once),
	ONCE(offloads_leave_threads_for_files),
	ONCE(what_has_not_begun_is_taken_back),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
