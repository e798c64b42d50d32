/* SPDX-License-Identifier: MIT */
/*
 * progress: how far a run is, on standard error. Reads the job's counts under its lock; called by
 * the writer thread and, for USR1, by the signal thread.
 */
#ifndef BATCHPROC_PROGRESS_H
#define BATCHPROC_PROGRESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct buf;
struct job;

#define PROGRESS_SAMPLES 8u

/* What progress keeps of a run: the writer thread's own, but for @expected. */
struct progress {
	struct progress_sample {
		double seconds;
		uint64_t ended, bytes;
	} ring[PROGRESS_SAMPLES]; /* the newest at next - 1 */
	unsigned int next;
	/* Items that there will be, as far as that can be said before all are given; 0: not. */
	_Atomic uint64_t expected;
	bool counted;
};

/* output_hooks.tick; the context is the job. */
uint64_t progress_tick(void *job, struct buf *line, bool *bar);

/* One whole line of status, whatever --progress says. */
void progress_status(struct job *job, struct buf *line);

/* After the last item: with --progress json one more line, since who reads it waits for that. */
void progress_end(struct job *job);

#endif
