/* SPDX-License-Identifier: MIT */
/*
 * park: tasks that wait for another task, in the order in which they came, on whatever loops they
 * are.
 *
 * A line of waiters stands under a lock of its owner. Each waits on a descriptor of its own, which
 * exists only while it waits, so that its wait ends like any operation: by a cancel or a timeout
 * too.
 */
#ifndef BATCHPROC_PARK_H
#define BATCHPROC_PARK_H

#include <pthread.h>
#include <stdbool.h>

struct waiter {
	struct waiter *next, *prev; /* in the line */
	int fd;
	bool called; /* it has left the line because its turn came */
};

struct line {
	struct waiter *first, *last;
	unsigned int length;
};

/*
 * Waits at the end of @line until line_call() reaches the task. Called with @lock held, which is
 * given up meanwhile and held again afterwards. Returns 0 when its turn came, whatever else
 * happened, or -ECANCELED, -ETIMEDOUT, -EMFILE; then it is out of the line and no turn is lost.
 * Task only.
 */
int line_wait(struct line *line, pthread_mutex_t *lock);

/*
 * Ends the wait of the first, or of all, of them; false: nobody waited. Under the lock; any thread.
 */
bool line_call(struct line *line);
void line_call_all(struct line *line);

#endif
