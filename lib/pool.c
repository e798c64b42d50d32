// SPDX-License-Identifier: MIT
/*
 * The pool of helper threads; see pool.h. Its threads block every signal, so that the program's
 * handlers run in the program's own threads.
 */
#include <signal.h>
#include <string.h>

#include "pool.h"

void pool_init(struct pool *pool)
{
	memset(pool, 0, sizeof(*pool));
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->work, NULL);
	list_init(&pool->queue);
}

static void *pool_thread(void *arg)
{
	struct pool *pool = arg;
	struct bp_link_ *link;

	pthread_mutex_lock(&pool->lock);
	for (;;) {
		struct pool_job *job;

		while (!(link = list_pop(&pool->queue)) && !pool->stopping) {
			pool->idle++;
			pthread_cond_wait(&pool->work, &pool->lock);
			pool->idle--;
		}
		if (!link)
			break;
		pool->queued--;
		pthread_mutex_unlock(&pool->lock);
		job = container_of(link, struct pool_job, link);
		job->result = job->fn(job->arg);
		loop_post(job->loop, &job->message);
		pthread_mutex_lock(&pool->lock);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

/** One more thread if the queue is longer than what the idle ones will take. */
static int pool_grow(struct pool *pool)
{
	sigset_t all, old;
	int err;

	if (pool->queued < pool->idle || pool->count == POOL_THREADS_MAX)
		return 0;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&pool->threads[pool->count], NULL, pool_thread, pool);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!err)
		pool->count++;
	return pool->count ? 0 : -EAGAIN;
}

int pool_put(struct pool *pool, struct pool_job *job)
{
	int err;

	pthread_mutex_lock(&pool->lock);
	err = pool_grow(pool);
	if (!err) {
		list_add_tail(&pool->queue, &job->link);
		pool->queued++;
		pthread_cond_signal(&pool->work);
	}
	pthread_mutex_unlock(&pool->lock);
	return err;
}

bool pool_take_back(struct pool *pool, struct pool_job *job)
{
	bool queued;

	pthread_mutex_lock(&pool->lock);
	queued = list_linked(&job->link);
	if (queued) {
		list_del(&job->link);
		pool->queued--;
	}
	pthread_mutex_unlock(&pool->lock);
	return queued;
}

void pool_exit(struct pool *pool)
{
	unsigned int i;

	pthread_mutex_lock(&pool->lock);
	bp_assert(list_empty(&pool->queue));
	pool->stopping = true;
	pthread_cond_broadcast(&pool->work);
	pthread_mutex_unlock(&pool->lock);
	for (i = 0; i < pool->count; i++)
		pthread_join(pool->threads[i], NULL);
	pthread_cond_destroy(&pool->work);
	pthread_mutex_destroy(&pool->lock);
}
