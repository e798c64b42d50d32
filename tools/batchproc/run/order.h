/* SPDX-License-Identifier: MIT */
/*
 * order: --keep-order, in bounded memory. All of it stands under the job's lock.
 */
#ifndef BATCHPROC_ORDER_H
#define BATCHPROC_ORDER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct item;

/* Ended items that wait for one before them. */
struct order {
	struct item **ring; /* by seq; NULL: not ended yet */
	size_t size; /* of the ring, a power of two */
	size_t held;
	size_t most; /* items that may be held before the feed waits */
	uint64_t head; /* seq of the next one to write */
	pthread_cond_t room;
};

/* For a run with so many items in flight. */
void order_init(struct order *order, long limit);
void order_exit(struct order *order);

/*
 * Takes an ended item. Returns those that nothing is waited for any more, in order and linked by
 * their next: they are the caller's.
 */
struct item *order_put(struct order *order, struct item *item);

/* Whether the feed may take a number; and a wait for that, which lets go of the lock meanwhile. */
bool order_room(const struct order *order);
void order_wait(struct order *order, pthread_mutex_t *lock);

#endif
