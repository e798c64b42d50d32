/* SPDX-License-Identifier: MIT */
/*
 * message: lines on standard error, and the texts of errors. Any thread, but for
 * message_set_verb().
 */
#ifndef BATCHPROC_MESSAGE_H
#define BATCHPROC_MESSAGE_H

#include <stddef.h>

struct buf;

/* The verb whose name stands in messages: "batchproc: hash: ..."; NULL before it is known. */
void message_set_verb(const char *verb);

/* One line, however long, in order with all others; @format without the newline. */
void message(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The text that stands in front of every message. */
void message_add_prefix(struct buf *buf);

/*
 * Who writes messages from here on; it is called under a lock, and must neither wait nor say
 * anything. NULL: they are written straight to standard error, as at first.
 */
void message_route(void (*add)(void *ctx, const char *line, size_t len), void *ctx);

/* The text of an errno, without the thread-unsafety of strerror(). */
const char *error_text(int err);

/* Ends what was printed with stdio; returns EXIT_OK, or EXIT_TROUBLE after a message. */
int flush_stdout(void);

#endif
