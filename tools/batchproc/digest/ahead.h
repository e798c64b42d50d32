/* SPDX-License-Identifier: MIT */
/*
 * ahead: reads a large file with several reads in flight, and gives the blocks in order. Task
 * only; an ahead belongs to the task that opened it.
 */
#ifndef BATCHPROC_AHEAD_H
#define BATCHPROC_AHEAD_H

#include <stdint.h>
#include <sys/types.h>

struct ahead;
struct job;

/* Files of up to this size are not worth it. */
#define AHEAD_LEAST 1048576u

/* From @offset to @size. NULL when enough files are read ahead already: plain reads do as well. */
struct ahead *ahead_open(struct job *job, int fd, uint64_t offset, uint64_t size);

/*
 * The next block: its length, 0 at the end of what could be read ahead (the file may have more
 * to give from there on), or -errno. The block is valid until the next call.
 */
ssize_t ahead_next(struct ahead *ahead, const void **data);

/* Waits for the reads that are in flight. NULL is fine. */
void ahead_close(struct ahead *ahead);

#endif
