/* SPDX-License-Identifier: MIT */
/*
 * order: --keep-order, in bounded memory.
 *
 * Ended items stand in a ring by their number until all before them have ended:
 *
 *	      head                       next_seq
 *	       |                            |
 *	... w [ - e e - - e e e - - - - - ] .	w written, e ended and held, - in flight
 *
 * Only one feeds at a time under --keep-order (the main thread or the one walker), and it takes a
 * number only while few are held. So head is always in flight or held, never behind a full
 * window, and the ring spans no more than what is held and what is in flight.
 *
 * All of it stands under the job's lock.
 */
#include <stdlib.h>

#include "run/job.h"
#include "base/alloc.h"

#define HELD_LEAST 1024u

void order_init(struct job *job)
{
	struct order *order = &job->order;

	order->most = HELD_LEAST + 2 * (size_t)job->limit;
	order->size = HELD_LEAST;
	order->ring = xcalloc(order->size, sizeof(struct item *));
	order->head = 1;
	pthread_cond_init(&order->room, NULL);
}

void order_exit(struct job *job)
{
	free(job->order.ring);
	if (job->order.ring)
		pthread_cond_destroy(&job->order.room);
}

static void widen(struct order *order, uint64_t seq)
{
	size_t size = order->size;
	struct item **ring;

	while (seq - order->head >= size)
		size *= 2;
	if (size == order->size)
		return;
	ring = xcalloc(size, sizeof(struct item *));
	for (uint64_t i = order->head; i < order->head + order->size; i++)
		ring[i & (size - 1)] = order->ring[i & (order->size - 1)];
	free(order->ring);
	order->ring = ring;
	order->size = size;
}

void order_put(struct job *job, struct item *item)
{
	struct order *order = &job->order;

	widen(order, item->seq);
	order->ring[item->seq & (order->size - 1)] = item;
	order->held++;
	while ((item = order->ring[order->head & (order->size - 1)])) {
		item_emit(item);
		order->ring[order->head & (order->size - 1)] = NULL;
		item_put(item);
		order->head++;
		order->held--;
	}
	if (order->held < order->most)
		pthread_cond_signal(&order->room);
}

bool order_room(struct job *job)
{
	bool room;

	pthread_mutex_lock(&job->lock);
	room = job->order.held < job->order.most;
	pthread_mutex_unlock(&job->lock);
	return room;
}

void order_wait(struct job *job)
{
	pthread_mutex_lock(&job->lock);
	while (job->order.held >= job->order.most)
		pthread_cond_wait(&job->order.room, &job->lock);
	pthread_mutex_unlock(&job->lock);
}
