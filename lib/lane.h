/* SPDX-License-Identifier: MIT */
/*
 * Lanes: how an operation of a task is carried out.
 *
 *	RING	through the backend: for all that may block
 *	INLINE	an ordinary call by the loop's own thread: only for what is known not to block
 *	POOL	an ordinary call by a helper thread: for what the ring would hand to a kernel worker
 *
 * Which lane serves which operation is the table in lane.c.
 */
#ifndef BP_LANE_H
#define BP_LANE_H

#include "task.h"

enum lane {
	LANE_RING,
	LANE_INLINE,
	LANE_POOL,
};

/* Operations that were measured; what is not here goes through the ring. */
enum lane_op {
	LANE_OPEN,
	LANE_READ,
	LANE_STATX_PATH,
	LANE_STATX_FD, /* AT_EMPTY_PATH with AT_STATX_DONT_SYNC: from the inode in memory */
	LANE_CLOSE,
	LANE_OPS,
};

/** The lane for an operation of this task, given its backend. */
enum lane lane_of(const struct bp_task *task, enum lane_op op);

/**
 * Called before each inline call: after many of them in one turn the task lets the loop's other tasks
 * and completions have theirs. Return: 0, -ECANCELED or -ETIMEDOUT.
 */
int lane_inline_begin(struct bp_task *task);

#endif /* BP_LANE_H */
