/* SPDX-License-Identifier: MIT */
/*
 * Helper threads for what blocks: bp_offload(), the POOL lane and the threads backend.
 *
 * Bounded; a thread is made when a job may run, none is idle and none is on its way. Jobs are put
 * in by loops; each job's end is posted to its loop as a message. All of the pool stands under its
 * lock, which is held for a few instructions.
 *
 * How many jobs are worth running at a time depends on what they do, so each says of what class it
 * is:
 *
 *	BRIEF	is expected to compute, as calls into a warm directory cache do: one for each CPU,
 *		for more would only switch between each other. Where they turn out to wait after
 *		all, a watcher raises the number, and lowers it again later.
 *	LONG	is expected to wait, for a disk: as many as there are threads
 *	OFFLOAD	a function of the program that may take for ever: a few threads are kept from them,
 *		so that files never wait for a name server
 */
#ifndef BP_POOL_H
#define BP_POOL_H

#include <pthread.h>

#include "loop.h"

#define POOL_THREADS_MAX 64 /* for the library's own calls */
#define POOL_KEPT 8 /* threads that functions of the program never take */

enum pool_class {
	POOL_BRIEF,
	POOL_LONG,
	POOL_OFFLOAD,
	POOL_CLASSES,
};

struct pool_job {
	struct bp_link_ link;
	int (*fn)(void *arg);
	void *arg;
	/* NULL, or what ends fn early once it has begun; of tasks alone, by their loop's thread. */
	void (*stop)(void *arg);
	int result;
	enum pool_class class;
	struct bp_loop *loop;
	struct bp_message message; /* its handle() runs on the loop after fn has returned */
};

struct pool_queue {
	struct bp_link_ jobs;
	unsigned int queued, running;
	unsigned int limit; /* of those that run */
};

struct pool_thread {
	struct pool *pool;
	pthread_t thread;
	pthread_cond_t cond;
	struct bp_link_ idle;
	bool woken;
};

struct pool {
	pthread_mutex_t lock;
	struct pool_queue queues[POOL_CLASSES];
	unsigned int turn; /* the class that is looked at first */
	struct bp_link_ idle; /* threads, the one that worked last first */
	unsigned int count; /* threads made */
	unsigned int coming; /* woken or made, and not yet here */
	unsigned int cpus;
	unsigned int taken; /* brief jobs since the watcher last looked */
	bool watched; /* a thread looks after the limit of brief jobs */
	bool stopping;
	unsigned int most; /* threads */
	struct pool_thread *threads;
};

/** @offload: functions of the program at a time. Return: 0 or -ENOMEM. */
int pool_init(struct pool *pool, unsigned int offload);

/** Ends the helper threads; no job may be left. Harmless the second time. */
void pool_stop(struct pool *pool);

/** Frees what pool_init() made, after pool_stop(). */
void pool_exit(struct pool *pool);

/** Queues a job. Return: 0, or -EAGAIN when there is no helper thread and none can be made. */
int pool_put(struct pool *pool, struct pool_job *job);

/** Queues a list of jobs at once, or none of them. Return: as pool_put(). */
int pool_put_all(struct pool *pool, struct bp_link_ *jobs);

/** Takes back a job that no thread has begun. Return: whether it was taken back. */
bool pool_take_back(struct pool *pool, struct pool_job *job);

#endif /* BP_POOL_H */
