/* SPDX-License-Identifier: MIT */
/*
 * queue: see queue.h.
 *
 * Who starts the next item has still its own place in the items' group, so that has one more for
 * each loop than the run has. There is never more than one of them on a loop.
 */
#include <errno.h>

#include "run/queue.h"
#include "run/job.h"

#define QUEUE_LEAST 64
#define QUEUE_MOST 1024

void queue_init(struct job *job)
{
	struct queue *queue = &job->queue;

	pthread_mutex_init(&queue->lock, NULL);
	pthread_cond_init(&queue->room, NULL);
	/*
	 * What asks before each item wants to see what the one before has done; and a limit that is found is the
	 * group's, which has to see who waits. With --rate the main thread waits for an item's turn: many
	 * that have had it must not wait here, to begin all at once later.
	 */
	queue->used = !job->ops->walk && !job->ops->one_by_one && !job->opt->reject &&
		      !job->opt->rate && !job->finds_limit;
}

void queue_begin(struct job *job)
{
	long most = job->limit;

	job->queue.places = job->limit;
	if (most < QUEUE_LEAST)
		most = QUEUE_LEAST;
	job->queue.most = most < QUEUE_MOST ? most : QUEUE_MOST;
}

void queue_exit(struct job *job)
{
	pthread_mutex_destroy(&job->queue.lock);
	pthread_cond_destroy(&job->queue.room);
}

static void take_place(struct queue *queue)
{
	if (++queue->busy > queue->peak)
		queue->peak = queue->busy;
}

/* With its place. */
static int start(struct item *item)
{
	struct job *job = item->job;

	return bp_go(job->group, item_task, item);
}

static struct item *take(struct queue *queue)
{
	struct item *item = queue->first;

	if (!item)
		return NULL;
	queue->first = item->next;
	if (--queue->count == queue->most / 2)
		pthread_cond_signal(&queue->room);
	return item;
}

static void put(struct queue *queue, struct item *item)
{
	item->next = NULL;
	*(queue->first ? &queue->last->next : &queue->first) = item;
	queue->last = item;
	queue->count++;
}

/* Who waits is woken when there is room for many. */
static int wait_for_room(struct queue *queue)
{
	if (queue->count < queue->most)
		return 0;
	while (queue->count > queue->most / 2 && !queue->ended)
		pthread_cond_wait(&queue->room, &queue->lock);
	return queue->ended ? -ECANCELED : 0;
}

int queue_start(struct item *item)
{
	struct queue *queue = &item->job->queue;
	bool now;
	int err;

	item->fed = true;
	pthread_mutex_lock(&queue->lock);
	err = wait_for_room(queue);
	now = !err && queue->busy < queue->places;
	if (now)
		take_place(queue);
	else if (!err)
		put(queue, item);
	pthread_mutex_unlock(&queue->lock);
	if (!now)
		return err;
	err = start(item);
	if (err) {
		pthread_mutex_lock(&queue->lock);
		queue->busy--;
		pthread_mutex_unlock(&queue->lock);
	}
	return err;
}

/* Fills a place that is taken already, or leaves it. */
static void fill_place(struct job *job)
{
	struct queue *queue = &job->queue;
	struct item *item;

	do {
		pthread_mutex_lock(&queue->lock);
		item = queue->busy <= queue->places ? take(queue) : NULL;
		if (!item)
			queue->busy--;
		pthread_mutex_unlock(&queue->lock);
	} while (item && item_start_failed(item, start(item)));
}

void queue_ended(struct job *job)
{
	fill_place(job);
}

long queue_group_limit(const struct job *job, long places)
{
	return job->queue.used ? places + (long)job->loops : places;
}

void queue_set_places(struct job *job, long places)
{
	pthread_mutex_lock(&job->queue.lock);
	job->queue.places = places;
	pthread_mutex_unlock(&job->queue.lock);
	bp_group_set_limit(job->group, queue_group_limit(job, places));
}

void queue_fill(struct job *job)
{
	struct queue *queue = &job->queue;
	bool more;

	do {
		pthread_mutex_lock(&queue->lock);
		more = queue->count && queue->busy < queue->places;
		if (more)
			take_place(queue);
		pthread_mutex_unlock(&queue->lock);
		if (more)
			fill_place(job);
	} while (more);
}

uint64_t queue_peak(struct job *job)
{
	struct bp_group_stats stats = {.sz = sizeof(stats)};
	uint64_t peak;

	pthread_mutex_lock(&job->queue.lock);
	peak = (uint64_t)job->queue.peak;
	pthread_mutex_unlock(&job->queue.lock);
	if (job->queue.used)
		return peak;
	bp_group_stats(job->group, &stats);
	return stats.peak;
}

void queue_stop(struct job *job)
{
	struct queue *queue = &job->queue;

	pthread_mutex_lock(&queue->lock);
	queue->ended = true;
	pthread_cond_signal(&queue->room);
	pthread_mutex_unlock(&queue->lock);
}
