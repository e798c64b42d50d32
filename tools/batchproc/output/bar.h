/* SPDX-License-Identifier: MIT */
/*
 * bar: the one line of progress that stands below everything else on the terminal.
 *
 * For the writer threads of all runs; bar_possible() and bar_abandon() for any thread.
 */
#ifndef BATCHPROC_BAR_H
#define BATCHPROC_BAR_H

#include <stdbool.h>
#include <stddef.h>

/* Whether standard error is a terminal that can erase a line. Any thread. */
bool bar_possible(void);

/* Columns that a bar may take, so that it never wraps: asked anew each time. */
size_t bar_width(void);

/* Shows @text instead of the bar that stands there, where it can be shown. */
void bar_draw(const char *text, size_t len);

/*
 * Takes the bar away; to be called before anything else is written to a terminal. Returns whether
 * there was one.
 */
bool bar_erase(void);

/* What was written to a terminal since: no bar is drawn into the middle of a line. */
void bar_passed(const char *text, size_t len);

/* Before the program dies at once: leaves a clean line, if that needs no wait. Any thread. */
void bar_abandon(void);

#endif
