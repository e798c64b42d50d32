/* SPDX-License-Identifier: MIT */
/*
 * Lanes: how an operation of a task is carried out.
 *
 *	RING	through the backend: for all that may block
 *	INLINE	an ordinary call by the loop's own thread: for what does not block, or not for long
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
	LANE_UNLINK,
	LANE_OPS,
};

/* Not constant, so that a test can send each operation through each lane. */
extern enum lane lane_table[LANE_OPS];

/**
 * Carries the task's SQE out beside the backend, if the table says so and that can be done without
 * waiting where waiting is not allowed. A close is never given to a helper thread, nor ended by a
 * cancel.
 *
 * Return: true with the result in @res; false: the ring shall do it.
 */
bool lane_call(struct bp_task *task, enum lane_op op, int *res);

#endif /* BP_LANE_H */
