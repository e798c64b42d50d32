/* SPDX-License-Identifier: MIT */
/*
 * progress: how far a run is, on standard error. Reads the job's counts under its lock; called by
 * the writer thread and, for USR1, by the signal thread.
 */
#ifndef BATCHPROC_PROGRESS_H
#define BATCHPROC_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct buf;
struct job;

/* output_hooks.tick; the context is the job. */
uint64_t progress_tick(void *job, struct buf *line, bool *bar);

/* One whole line of status, whatever --progress says. */
void progress_status(struct job *job, struct buf *line);

/* After the last item: with --progress json one more line, since who reads it waits for that. */
void progress_end(struct job *job);

#endif
