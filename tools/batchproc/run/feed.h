/* SPDX-License-Identifier: MIT */
/*
 * feed: a run over the inputs that the options name. Main thread only.
 */
#ifndef BATCHPROC_FEED_H
#define BATCHPROC_FEED_H

#include <stdbool.h>
#include <stddef.h>

struct inputs;
struct job;
struct job_ops;
struct options;

/*
 * Opens all lists, none of which may be what the run writes. False: *@status is the exit status,
 * and all is said.
 */
bool feed_open(struct inputs *inputs, const struct options *options, int *status);

/* A run over the inputs of the options; returns the exit status. */
int feed_run(const struct options *options, const struct job_ops *ops);

/* The next input. One that can be no name becomes an item that failed. */
bool feed_next(struct job *job, const char **name, size_t *len);

/* The feed of a run where each input is a job for the verb. */
void feed_each(struct job *job);

#endif
