/* SPDX-License-Identifier: MIT */
/*
 * pace: --rate and --bwlimit, for all loops together.
 *
 * What is asked for is paid before it is done, and who must wait for it knows at once how long:
 * each has its own moment, in the order of asking, and nobody is woken for nothing. So no more than
 * the rate and a small burst is ever reached, however many ask at once.
 */
#ifndef BATCHPROC_PACE_H
#define BATCHPROC_PACE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct job;

/* A token bucket. Credit below zero is what those who wait have taken in advance. */
struct bucket {
	double per_ns; /* 0: there is no limit; constant while the run lasts */
	double burst; /* likewise */
	pthread_mutex_t lock; /* covers what follows */
	double credit;
	uint64_t at_ns; /* when the credit was right */
};

/* Sets up both buckets from the options; and the end of it. Main thread. */
void pace_init(struct job *job);
void pace_exit(struct job *job);

/*
 * Waits until an attempt may start, at most until the run stops. Task or main thread. Returns 0, or
 * -ECANCELED, -ETIMEDOUT in a task that was ended; after 0 the run may have stopped all the same.
 */
int pace_start(struct job *job);

/*
 * Sleeps, at most until the run stops. Task or main thread. Returns as pace_start().
 */
int pace_nap(struct job *job, uint64_t ns);

/* Whether there is a --bwlimit: then every byte that is moved has to be paid. */
bool pace_bytes_limited(const struct job *job);

/*
 * Waits until @bytes may be moved; to be called before they are. A stop of the run does not end the
 * wait, since what runs may end; a cancel does. Task only. Returns 0, or -ECANCELED, -ETIMEDOUT.
 */
int pace_bytes(struct job *job, uint64_t bytes);

/* Gives back what was paid and then not moved: a short read. */
void pace_give_back(struct job *job, uint64_t bytes);

/* How much to move at once, @most at most, so that it comes evenly. */
size_t pace_block(const struct job *job, size_t most);

#endif
