/* SPDX-License-Identifier: MIT */
/*
 * What mutexes, semaphores, events and channels have in common: they stand under the lock of the
 * engine that they were made for, and have queues that are made when they are first looked at, so
 * that zeros are a good beginning.
 */
#ifndef BP_SYNC_H
#define BP_SYNC_H

#include "wait.h"

/** Takes the lock that an object stands under. Return: the engine. */
static inline struct bp_engine *sync_enter(struct bp_engine *engine, const char *call)
{
	bp_need(engine, call, "engine of what was never initialised");
	engine_check_thread(engine, call);
	engine_lock(engine);
	return engine;
}

/** The queue, made if need be. Under the lock. */
static inline struct bp_link_ *sync_queue(struct bp_link_ *queue)
{
	if (!queue->next)
		list_init(queue);
	return queue;
}

static inline void sync_wake_all(struct bp_link_ *queue, int result)
{
	sync_queue(queue);
	while (!list_empty(queue))
		wait_wake(waiter_of_link(queue->next), result);
}

#endif /* BP_SYNC_H */
