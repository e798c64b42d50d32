/* SPDX-License-Identifier: MIT */
/*
 * util: what every room of the command needs: memory that is there or ends the program, exit
 * status, and messages on standard error.
 */
#ifndef BATCHPROC_UTIL_H
#define BATCHPROC_UTIL_H

#include <stddef.h>

/* Exit status; 128 + N stands for signal N. */
enum {
	EXIT_OK = 0,
	EXIT_SOME_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_HALTED = 3,
	EXIT_DEADLINE = 124,
	EXIT_TROUBLE = 125,
};

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

void *xcalloc(size_t count, size_t size);
void *xrealloc(void *old, size_t size);

/* The verb whose name stands in messages: "batchproc: hash: ..."; NULL before it is known. */
void set_message_verb(const char *verb);

/* One line on standard error, in order with all others; @format without the newline. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The text that stands in front of every message. */
struct buf;
void add_message_prefix(struct buf *buf);

/* The text of an errno, without the thread-unsafety of strerror(). */
const char *error_text(int err);

/* Ends what was printed with stdio; returns EXIT_OK, or EXIT_TROUBLE after a message. */
int flush_stdout(void);

#endif
