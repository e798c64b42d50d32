/* SPDX-License-Identifier: MIT */
/*
 * The pool of helper threads; see pool.h. Its threads block signals, so that the program's handlers
 * run in the program's own threads.
 *
 * Threads wake each other in a chain: who puts jobs in wakes one thread at most, and a thread that
 * takes a job wakes the next one while there is more to do. So a loop never pays for a whole herd,
 * and threads that are busy are not signalled: they find the next job when they have done theirs.
 * Idle threads form a stack; under a light load the same few do all the work, with warm caches.
 *
 * While brief jobs are held back by their limit, one thread watches. Where less was done in a tick
 * than processors that compute would have done, jobs wait, and the limit is doubled.
 */
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pool.h"

#define TICK_NS 1000000u

/* Brief jobs that one processor gets done in a tick, or they were not brief. */
#define BRIEF_PER_TICK 50

static void *pool_thread(void *arg);

static unsigned int count_cpus(void)
{
	cpu_set_t set;

	/* More processors than the set holds: as good as any large number. */
	if (sched_getaffinity(0, sizeof(set), &set))
		return POOL_THREADS_MAX;
	return (unsigned int)CPU_COUNT(&set);
}

int pool_init(struct pool *pool, unsigned int offload)
{
	unsigned int i;

	memset(pool, 0, sizeof(*pool));
	pool->most = offload + POOL_KEPT > POOL_THREADS_MAX ? offload + POOL_KEPT :
							      POOL_THREADS_MAX;
	pool->threads = calloc(pool->most, sizeof(*pool->threads));
	if (!pool->threads)
		return -ENOMEM;
	pthread_mutex_init(&pool->lock, NULL);
	for (i = 0; i < POOL_CLASSES; i++)
		list_init(&pool->queues[i].jobs);
	list_init(&pool->idle);
	pool->cpus = count_cpus();
	if (pool->cpus > POOL_THREADS_MAX)
		pool->cpus = POOL_THREADS_MAX;
	pool->queues[POOL_BRIEF].limit = pool->cpus;
	pool->queues[POOL_LONG].limit = POOL_THREADS_MAX;
	pool->queues[POOL_OFFLOAD].limit = offload;
	return 0;
}

/* ---------------------------------------------------------------- under the lock */

static inline bool may_run(const struct pool_queue *queue)
{
	return queue->queued && queue->running < queue->limit;
}

static inline bool held_back(const struct pool *pool)
{
	const struct pool_queue *brief = &pool->queues[POOL_BRIEF];

	return brief->queued && brief->running >= brief->limit && brief->limit < POOL_THREADS_MAX;
}

/** How many threads would find something to do now. */
static unsigned int runnable(const struct pool *pool)
{
	unsigned int i, n = 0;

	for (i = 0; i < POOL_CLASSES; i++) {
		const struct pool_queue *queue = &pool->queues[i];
		unsigned int room = queue->limit - queue->running;

		if (may_run(queue))
			n += queue->queued < room ? queue->queued : room;
	}
	return n;
}

static void wake_thread(struct pool *pool)
{
	struct pool_thread *t = container_of(list_pop(&pool->idle), struct pool_thread, idle);

	t->woken = true;
	pool->coming++;
	pthread_cond_signal(&t->cond);
}

static int make_thread(struct pool *pool)
{
	struct pool_thread *t = &pool->threads[pool->count];
	pthread_condattr_t attr;
	sigset_t old;
	int err;

	t->pool = pool;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&t->cond, &attr);
	pthread_condattr_destroy(&attr);
	signals_keep_out(&old);
	err = pthread_create(&t->thread, NULL, pool_thread, t);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err) {
		pthread_cond_destroy(&t->cond);
		return -EAGAIN;
	}
	pool->count++;
	pool->coming++;
	return 0;
}

/** Gets one more thread going if one is needed. Return: 0, or -EAGAIN: there is none at all. */
static int kick(struct pool *pool)
{
	bool watch = held_back(pool) && !pool->watched;

	if (runnable(pool) + watch <= pool->coming)
		return 0;
	if (!list_empty(&pool->idle))
		wake_thread(pool);
	else if (pool->count < pool->most && make_thread(pool))
		return pool->count ? 0 : -EAGAIN;
	return 0;
}

/** The next job that may run, the classes taking turns. */
static struct pool_job *take_job(struct pool *pool)
{
	unsigned int i;

	for (i = 0; i < POOL_CLASSES; i++) {
		unsigned int class = (pool->turn + i) % POOL_CLASSES;
		struct pool_queue *queue = &pool->queues[class];

		if (!may_run(queue))
			continue;
		pool->turn = (class + 1) % POOL_CLASSES;
		pool->taken += class == POOL_BRIEF;
		queue->queued--;
		queue->running++;
		return container_of(list_pop(&queue->jobs), struct pool_job, link);
	}
	return NULL;
}

/* ---------------------------------------------------------------- threads */

/** Waits until woken, or for one tick. Return: whether it was the tick that ended it. */
static bool idle_wait(struct pool_thread *t, bool tick)
{
	struct pool *pool = t->pool;
	struct timespec until;
	int err = 0;

	if (tick) {
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += TICK_NS;
		until.tv_sec += until.tv_nsec / (long)NSEC_PER_SEC;
		until.tv_nsec %= (long)NSEC_PER_SEC;
	}
	t->woken = false;
	if (tick)
		list_add_tail(&pool->idle, &t->idle);
	else
		list_add_head(&pool->idle, &t->idle);
	while (!t->woken && !pool->stopping && !err)
		err = tick ? pthread_cond_timedwait(&t->cond, &pool->lock, &until) :
			     pthread_cond_wait(&t->cond, &pool->lock);
	if (!t->woken) {
		list_del(&t->idle);
		return err;
	}
	pool->coming--;
	return false;
}

/** Judges from what was done in a tick whether brief jobs compute or wait. */
static void judge(struct pool *pool)
{
	struct pool_queue *brief = &pool->queues[POOL_BRIEF];

	if (pool->taken < pool->cpus * BRIEF_PER_TICK)
		brief->limit *= 2;
	else
		brief->limit /= 2;
	if (brief->limit > POOL_THREADS_MAX)
		brief->limit = POOL_THREADS_MAX;
	if (brief->limit < pool->cpus)
		brief->limit = pool->cpus;
	pool->taken = 0;
}

/** Waits for something to do, watching over the brief jobs if nobody else does. */
static void wait_for_work(struct pool_thread *t)
{
	struct pool *pool = t->pool;

	if (pool->watched || !held_back(pool)) {
		idle_wait(t, false);
		return;
	}
	pool->watched = true;
	pool->taken = 0;
	do {
		if (!idle_wait(t, true))
			break;
		if (held_back(pool))
			judge(pool);
	} while (held_back(pool));
	pool->watched = false;
}

static void *pool_thread(void *arg)
{
	struct pool_thread *t = arg;
	struct pool *pool = t->pool;
	struct pool_job *job;

	pthread_mutex_lock(&pool->lock);
	pool->coming--;
	while (!pool->stopping) {
		enum pool_class class;

		job = take_job(pool);
		if (!job) {
			wait_for_work(t);
			continue;
		}
		kick(pool);
		pthread_mutex_unlock(&pool->lock);
		class = job->class;
		job->result = job->fn(job->arg);
		loop_post(job->loop, &job->message);
		pthread_mutex_lock(&pool->lock);
		pool->queues[class].running--;
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

/* ---------------------------------------------------------------- for loops */

static void enqueue(struct pool *pool, struct pool_job *job)
{
	struct pool_queue *queue = &pool->queues[job->class];

	list_add_tail(&queue->jobs, &job->link);
	queue->queued++;
}

static bool dequeue(struct pool *pool, struct pool_job *job)
{
	if (!list_linked(&job->link))
		return false;
	list_del(&job->link);
	pool->queues[job->class].queued--;
	return true;
}

int pool_put(struct pool *pool, struct pool_job *job)
{
	int err;

	pthread_mutex_lock(&pool->lock);
	enqueue(pool, job);
	err = kick(pool);
	if (err)
		dequeue(pool, job);
	pthread_mutex_unlock(&pool->lock);
	return err;
}

int pool_put_all(struct pool *pool, struct bp_link_ *jobs)
{
	struct bp_link_ *link;
	unsigned int i;
	int err;

	pthread_mutex_lock(&pool->lock);
	while ((link = list_pop(jobs)))
		enqueue(pool, container_of(link, struct pool_job, link));
	err = kick(pool);
	/* Without a thread nothing was queued before: what is there is what came just now. */
	for (i = 0; err && i < POOL_CLASSES; i++) {
		list_splice_tail(jobs, &pool->queues[i].jobs);
		pool->queues[i].queued = 0;
	}
	pthread_mutex_unlock(&pool->lock);
	return err;
}

bool pool_take_back(struct pool *pool, struct pool_job *job)
{
	bool queued;

	pthread_mutex_lock(&pool->lock);
	queued = dequeue(pool, job);
	pthread_mutex_unlock(&pool->lock);
	return queued;
}

void pool_stop(struct pool *pool)
{
	unsigned int i;

	pthread_mutex_lock(&pool->lock);
	for (i = 0; i < POOL_CLASSES; i++)
		bp_assert(!pool->queues[i].queued);
	pool->stopping = true;
	for (i = 0; i < pool->count; i++)
		pthread_cond_signal(&pool->threads[i].cond);
	pthread_mutex_unlock(&pool->lock);
	for (i = 0; i < pool->count; i++) {
		pthread_join(pool->threads[i].thread, NULL);
		pthread_cond_destroy(&pool->threads[i].cond);
	}
	pool->count = 0;
}

void pool_exit(struct pool *pool)
{
	pool_stop(pool);
	free(pool->threads);
	pthread_mutex_destroy(&pool->lock);
}
