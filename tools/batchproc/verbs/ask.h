/* SPDX-License-Identifier: MIT */
/*
 * ask: questions to who started the command, one at a time.
 */
#ifndef BATCHPROC_ASK_H
#define BATCHPROC_ASK_H

#include <stdbool.h>

struct dirnode;
struct item;
struct job;
struct options;

/*
 * Prints a question on standard error and reads a line of standard input; whether it begins with y.
 * The end of the input is a no, and so is the end of the run. Task, or the main thread.
 */
bool ask_yes(struct job *job, const char *question);

/*
 * Whether answers can be read: standard input is no list. Else *@status is the exit status, and all
 * is said, with the @option that asks.
 */
bool ask_possible(const struct options *options, const char *option, int *status);

/* The same where there is a question before each item, which is why one goes at a time. */
bool ask_each_possible(const struct options *options, int *status);
/* Before anything has started: whether a line of standard input is a yes. Main thread. */
bool ask_said_yes(void);

/*
 * Whether an item may be removed, as rm(1) asks, which @directories may be too: 1; 0: it is skipped,
 * says so, and spares what it is in; -errno: what it is cannot be told, and so not be asked about.
 * One call can take @name, which is in @dirfd. Task.
 */
int ask_may_go(struct item *item, int dirfd, const char *name, bool directories);
/*
 * Whether a directory may be entered for that; if not it stays with all that is in it. Of an empty
 * one it is asked once, when it is left. Task.
 */
bool ask_may_enter(struct dirnode *dir);

#endif
