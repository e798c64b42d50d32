/* SPDX-License-Identifier: MIT */
/*
 * handoff.c - a pool of threads that a loop hands calls to, for the lanes row
 *
 * One loop thread submits and reaps, the pool's threads carry out. Under one mutex: the queue of
 * calls and the list of finished ones. Nobody is woken who is not asleep, because a futex call
 * costs more than most of the calls that are handed over.
 */
#include <pthread.h>
#include <stdlib.h>

#include "bench.h"

#define THREADS_MAX 64

struct handoff {
	pthread_mutex_t lock;
	pthread_cond_t work, done;
	struct handoff_job *head, **tail;
	struct handoff_job *finished;
	unsigned int idle, threads;
	bool loop_asleep, closing;
	pthread_t thread[THREADS_MAX];
};

static void *worker(void *arg)
{
	struct handoff *h = arg;
	struct handoff_job *job;

	pthread_mutex_lock(&h->lock);
	for (;;) {
		while (!h->head && !h->closing) {
			h->idle++;
			pthread_cond_wait(&h->work, &h->lock);
			h->idle--;
		}
		job = h->head;
		if (!job)
			break;
		h->head = job->next;
		if (!h->head)
			h->tail = &h->head;
		pthread_mutex_unlock(&h->lock);

		job->call(job);

		pthread_mutex_lock(&h->lock);
		job->next = h->finished;
		h->finished = job;
		if (h->loop_asleep) {
			h->loop_asleep = false;
			pthread_cond_signal(&h->done);
		}
	}
	pthread_mutex_unlock(&h->lock);
	return NULL;
}

struct handoff *handoff_create(unsigned int threads)
{
	struct handoff *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->work, NULL);
	pthread_cond_init(&h->done, NULL);
	h->tail = &h->head;
	while (h->threads < threads && h->threads < THREADS_MAX) {
		if (pthread_create(&h->thread[h->threads], NULL, worker, h)) {
			handoff_destroy(h);
			return NULL;
		}
		h->threads++;
	}
	return h;
}

void handoff_destroy(struct handoff *h)
{
	unsigned int i;

	pthread_mutex_lock(&h->lock);
	h->closing = true;
	pthread_cond_broadcast(&h->work);
	pthread_mutex_unlock(&h->lock);
	for (i = 0; i < h->threads; i++)
		pthread_join(h->thread[i], NULL);
	pthread_cond_destroy(&h->done);
	pthread_cond_destroy(&h->work);
	pthread_mutex_destroy(&h->lock);
	free(h);
}

void handoff_submit(struct handoff *h, struct handoff_job *job)
{
	bool wake;

	job->next = NULL;
	pthread_mutex_lock(&h->lock);
	*h->tail = job;
	h->tail = &job->next;
	wake = h->idle > 0;
	pthread_mutex_unlock(&h->lock);
	if (wake)
		pthread_cond_signal(&h->work);
}

struct handoff_job *handoff_reap(struct handoff *h)
{
	struct handoff_job *list;

	pthread_mutex_lock(&h->lock);
	while (!h->finished) {
		h->loop_asleep = true;
		pthread_cond_wait(&h->done, &h->lock);
	}
	h->loop_asleep = false;
	list = h->finished;
	h->finished = NULL;
	pthread_mutex_unlock(&h->lock);
	return list;
}
