/* SPDX-License-Identifier: MIT */
/*
 * queue: items of the main thread that wait for their turn, where no walker gives items as well.
 *
 *	main thread --queue_start()--> [ items ] --queue_ended()--> the loop of who has ended
 *
 * Who ends starts the next item itself, so that no other thread has to be woken for each place that
 * becomes free, and no place stays free until that thread runs. It is woken when half of what may
 * wait has gone.
 *
 * While something waits all places are taken; so there is always somebody who will end.
 */
#ifndef BATCHPROC_QUEUE_H
#define BATCHPROC_QUEUE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct item;
struct job;

struct queue {
	bool used; /* by this run; does not change */
	pthread_mutex_t lock; /* covers what follows */
	pthread_cond_t room;
	struct item *first, *last;
	long count, most; /* that wait */
	long busy, peak; /* places that are taken, and that were at most */
	long places;
	bool ended; /* the run is stopped: nobody waits for room any more */
};

void queue_init(struct job *job);
void queue_exit(struct job *job);
/* The limit and the loops are known. */
void queue_begin(struct job *job);

/*
 * Starts an item, now or after those that wait. Returns 0, or -ECANCELED where the run is stopped:
 * then it will not be started. Main thread; waits for room.
 */
int queue_start(struct item *item);

/* An item that was started so has ended, or will never begin. On its loop. */
void queue_ended(struct job *job);

/* The limit of the items' group for so many places. */
long queue_group_limit(const struct job *job, long places);
/* From here on there are so many; and the start of what waits for the new ones. Any thread. */
void queue_set_places(struct job *job, long places);
void queue_fill(struct job *job);

/* How many items there were at once at most. Any thread. */
uint64_t queue_peak(struct job *job);

/* The run is stopped. Any thread. */
void queue_stop(struct job *job);

#endif
