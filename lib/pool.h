/* SPDX-License-Identifier: MIT */
/*
 * Helper threads for what blocks: bp_offload() and the POOL lane.
 *
 * Bounded; a thread is made when work is queued and none is idle. Jobs are put in by loops; each job's
 * end is posted to its loop as a message.
 */
#ifndef BP_POOL_H
#define BP_POOL_H

#include <pthread.h>

#include "base.h"
#include "loop.h"

#define POOL_THREADS_MAX 64

struct pool_job {
	struct bp_link_ link;
	int (*fn)(void *arg);
	void *arg;
	int result;
	struct bp_loop *loop;
	struct bp_message message; /* its handle() runs on the loop after fn has returned */
};

struct pool {
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct bp_link_ queue;
	size_t queued;
	unsigned int idle, count;
	bool stopping;
	pthread_t threads[POOL_THREADS_MAX];
};

void pool_init(struct pool *pool);

/** Ends the helper threads; no job may be left. */
void pool_exit(struct pool *pool);

/** Queues a job. Return: 0, or -EAGAIN when there is no helper thread and none can be made. */
int pool_put(struct pool *pool, struct pool_job *job);

/** Takes back a job that no thread has begun. Return: whether it was taken back. */
bool pool_take_back(struct pool *pool, struct pool_job *job);

#endif /* BP_POOL_H */
