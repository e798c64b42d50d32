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

#include "run/item.h"
#include "run/order.h"
#include "base/alloc.h"

#define HELD_LEAST 1024u

void order_init(struct order *order, long limit)
{
	order->most = HELD_LEAST + 2 * (size_t)limit;
	order->size = HELD_LEAST;
	order->ring = xcalloc(order->size, sizeof(struct item *));
	order->head = 1;
	pthread_cond_init(&order->room, NULL);
}

void order_exit(struct order *order)
{
	if (!order->ring)
		return;
	free(order->ring);
	pthread_cond_destroy(&order->room);
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

struct item *order_put(struct order *order, struct item *item)
{
	struct item *first = NULL, **last = &first;

	widen(order, item->seq);
	order->ring[item->seq & (order->size - 1)] = item;
	order->held++;
	while ((item = order->ring[order->head & (order->size - 1)])) {
		order->ring[order->head & (order->size - 1)] = NULL;
		order->head++;
		order->held--;
		*last = item;
		last = &item->next;
	}
	*last = NULL;
	if (order->held < order->most)
		pthread_cond_signal(&order->room);
	return first;
}

bool order_room(const struct order *order)
{
	return order->held < order->most;
}

void order_wait(struct order *order, pthread_mutex_t *lock)
{
	while (order->held >= order->most)
		pthread_cond_wait(&order->room, lock);
}
