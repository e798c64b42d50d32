/* SPDX-License-Identifier: MIT */
/*
 * bp_post(): functions that other threads and signal handlers hand to an engine.
 *
 * A ring of cells that any thread fills and the first loop empties, without a lock and without memory to be
 * had, since a signal handler has neither. The loop is told by a message in its inbox.
 */
#ifndef BP_POST_H
#define BP_POST_H

#include "loop.h"

#define POST_CELLS BP_POST_MAX

struct post_cell {
	/* 2 * n: free for the n-th time round; 2 * n + 1: filled. */
	_Atomic size_t state;
	void (*fn)(void *arg);
	void *arg;
};

struct post {
	_Atomic size_t head; /* where the next one is put */
	size_t tail; /* where the loop takes the next one */
	_Atomic bool told; /* the message is on its way */
	struct bp_message message;
	struct post_cell cells[POST_CELLS];
};

/** Return: NULL: no memory. */
struct post *post_create(void);

#endif /* BP_POST_H */
