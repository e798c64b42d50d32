/* SPDX-License-Identifier: MIT */
/*
 * message: lines on standard error, and the texts of errors.
 */
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/calls.h"
#include "base/message.h"
#include "base/status.h"

static const char *message_verb;

/* Of the process, as standard error is. */
static struct {
	pthread_mutex_t lock;
	void (*add)(void *ctx, const char *line, size_t len);
	void *ctx;
} route = {.lock = PTHREAD_MUTEX_INITIALIZER};

void message_set_verb(const char *verb)
{
	message_verb = verb;
}

void message_add_prefix(struct buf *buf)
{
	buf_str(buf, "batchproc: ");
	if (message_verb) {
		buf_str(buf, message_verb);
		buf_str(buf, ": ");
	}
}

void message_route(void (*add)(void *ctx, const char *line, size_t len), void *ctx)
{
	pthread_mutex_lock(&route.lock);
	route.add = add;
	route.ctx = ctx;
	pthread_mutex_unlock(&route.lock);
}

void message(const char *format, ...)
{
	struct buf line = {0};
	va_list args;

	message_add_prefix(&line);
	va_start(args, format);
	buf_vprintf(&line, format, args);
	va_end(args);
	buf_char(&line, '\n');

	pthread_mutex_lock(&route.lock);
	if (route.add)
		route.add(route.ctx, line.data, line.len);
	else
		call_write_all(STDERR_FILENO, line.data, line.len);
	pthread_mutex_unlock(&route.lock);
	buf_free(&line);
}

const char *error_text(int err)
{
	const char *text = strerrordesc_np(err < 0 ? -err : err);

	return text ? text : "Unknown error";
}

int flush_stdout(void)
{
	if (!fflush(stdout) && !ferror(stdout))
		return EXIT_OK;
	message("cannot write standard output: %s", error_text(errno));
	return EXIT_TROUBLE;
}
