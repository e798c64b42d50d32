/* SPDX-License-Identifier: MIT */
/*
 * steer: how a run is stopped, and by what; and what is done where descriptors run out.
 */
#ifndef BATCHPROC_STEER_H
#define BATCHPROC_STEER_H

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "cli/policy.h"
#include "run/job.h"

/* What a stop needs; 0, or -errno after a message. And the end of it. */
int steer_init(struct job *job);
void steer_exit(struct job *job);

/* Stops the run: nothing more is admitted; with @cancel what runs is cancelled too. Any thread. */
void steer_stop(struct job *job, enum stop why, bool cancel);

/* Stops the run as the policy has it. Any thread. */
void steer_verdict(struct job *job, enum verdict verdict);

/*
 * Whether the run takes no more items. steer_stopping() notices the deadline by itself, and may
 * then take the walk's lock; steer_stopped() only looks. Any thread.
 */
bool steer_stopping(struct job *job);

static inline bool steer_stopped(const struct job *job)
{
	return atomic_load_explicit(&job->stop, memory_order_relaxed) != STOP_NONE;
}

/* Ends the run with a message: the program itself cannot go on. Any thread. */
void steer_trouble(struct job *job, const char *what, int err);

/* Whether a call failed for want of a descriptor. */
static inline bool lacks_descriptor(int err)
{
	return err == -EMFILE || err == -ENFILE;
}

/* Waits where one is lacked. */
bool steer_await_one(struct job *job, unsigned int *tries);

/*
 * Whether what ended with @err is to be tried again: it lacked a descriptor, and others may have
 * given theirs back, for which it waits. False also when nobody is left who could, or the run was
 * cancelled. Task only; @tries starts at 0.
 */
static inline bool steer_await_descriptor(struct job *job, int err, unsigned int *tries)
{
	return lacks_descriptor(err) && steer_await_one(job, tries);
}

/* For whom lists are read: see struct lines_watch. Main thread. */
void steer_watch_lines(struct job *job);

#endif
