/* SPDX-License-Identifier: MIT */
/*
 * util: what every room of the command needs: memory that is there or ends the program, exit
 * status, messages on standard error, and kinds of characters whatever the locale.
 */
#ifndef BATCHPROC_UTIL_H
#define BATCHPROC_UTIL_H

#include <stdbool.h>
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
void *xaligned(size_t align, size_t size);
char *xstrdup(const char *text);

static inline bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* -1 where it is no digit. */
static inline int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* The verb whose name stands in messages: "batchproc: hash: ..."; NULL before it is known. */
void set_message_verb(const char *verb);

/* One line on standard error, in order with all others; @format without the newline. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The text that stands in front of every message. */
struct buf;
void add_message_prefix(struct buf *buf);

/* The text of an errno, without the thread-unsafety of strerror(). */
const char *error_text(int err);

/** The same for what bp_engine_create() returned: with the causes that there may be. */
const char *engine_error_text(int err);

/* Ends what was printed with stdio; returns EXIT_OK, or EXIT_TROUBLE after a message. */
int flush_stdout(void);

#endif
