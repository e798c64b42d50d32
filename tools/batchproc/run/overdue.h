/* SPDX-License-Identifier: MIT */
/*
 * overdue: calls that nobody can end, of a file server that does not answer.
 *
 * An item whose time is over, or that was cancelled, ends when the call that it waits for does.
 * Where that takes too long its record is written without it, and the run goes on, or ends, as if
 * it had ended; whatever comes of it later has no record any more. A run that cannot end by itself
 * ends with the process, which leaves its threads to the kernel.
 */
#ifndef BATCHPROC_OVERDUE_H
#define BATCHPROC_OVERDUE_H

struct item;
struct job;

/*
 * Looks whether anything is overdue; does not return where the run has to end so. To be called
 * every OVERDUE_TICK_NS by the thread that waits for signals, which no call of the work can hold
 * up.
 */
void overdue_look(struct job *job);

#define OVERDUE_TICK_NS 250000000

/* An item ended whose record is written: gives back what it holds. Any thread. */
void overdue_ended(struct item *item);

#endif
