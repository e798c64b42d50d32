/* SPDX-License-Identifier: MIT */
/*
 * Timers: a pairing heap of intrusive nodes, ordered by the time at which they fire.
 *
 * No allocation: a node lives in its owner (an item, a task, a scope, a group). Insertion is O(1),
 * removal O(log n) amortised, recursion-free. A heap belongs to one loop, or stands under the
 * engine's lock.
 */
#ifndef BP_TIMER_H
#define BP_TIMER_H

#include "base.h"

struct timer_heap {
	struct bp_timer_ *root;
};

/** Adds a timer that is not in a heap; @timer->when and ->fire are set. */
void timer_add(struct timer_heap *heap, struct bp_timer_ *timer);

/** Takes a timer out; harmless when it is not armed. */
void timer_del(struct timer_heap *heap, struct bp_timer_ *timer);

/** Whether the timer is in a heap. A zeroed timer is not. */
static inline bool timer_armed(const struct bp_timer_ *timer)
{
	return timer->prev != NULL;
}

/** When the first timer fires; BP_NEVER for an empty heap. */
static inline uint64_t timer_next(const struct timer_heap *heap)
{
	return heap->root ? heap->root->when : BP_NEVER;
}

/** The first timer whose time is at or before @now, taken out of the heap; or NULL. */
struct bp_timer_ *timer_pop(struct timer_heap *heap, uint64_t now);

#endif /* BP_TIMER_H */
