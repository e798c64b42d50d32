/* SPDX-License-Identifier: MIT */
/*
 * signals: INT and TERM end a run in two steps, USR1 asks for a status line.
 *
 * signals_block() is called before any other thread exists, so that every thread inherits the
 * mask; then one thread of this room waits for the signals. A signal that was ignored when the
 * program started (nohup, a shell's background job) stays ignored.
 */
#ifndef BATCHPROC_SIGNALS_H
#define BATCHPROC_SIGNALS_H

struct job;

/* 0 or -errno. */
int signals_block(void);
/* One that ends the run and has come since then, or 0; before signals_start(). */
int signals_pending(void);
int signals_start(struct job *job);
void signals_stop(void);

/* Ends the program by the signal that ended the run, as its parent expects to see it. */
void signals_die(int signal);

#endif
