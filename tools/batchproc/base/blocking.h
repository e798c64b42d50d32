/* SPDX-License-Identifier: MIT */
/*
 * blocking: short functions of plain system calls, made from a task.
 *
 * io_uring hands much of what changes a file system to kernel worker threads, one operation at a
 * time; see blocking.c for what that costs. A function that makes all the calls of a small file
 * costs less on the loop's own thread, as long as it does not wait; once it does, for a disk or a
 * network, it goes to a helper thread of the library, so that others have their turn.
 */
#ifndef BATCHPROC_BLOCKING_H
#define BATCHPROC_BLOCKING_H

/*
 * Runs @fn on this thread or on a helper thread, whichever is quicker by what was measured. It must
 * not call functions of batchproc.h. Returns what it returned, or -ECANCELED, -ETIMEDOUT when it
 * did not run because the task was cancelled (unless shielded). Task only.
 */
int blocking(int (*fn)(void *arg), void *arg);

/* The same for what takes long in any case: always on a helper thread. */
int blocking_long(int (*fn)(void *arg), void *arg);

#endif
