/* SPDX-License-Identifier: MIT */
/*
 * util: memory, messages, errno texts. Callable from every thread.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "output/output.h"
#include "base/util.h"

static const char *message_verb;

static void *need(void *ptr)
{
	static const char text[] = "batchproc: out of memory\n";

	if (!ptr) {
		/* The exit status says it all the same when this cannot be written. */
		ssize_t written = write(STDERR_FILENO, text, sizeof(text) - 1);

		(void)written;
		_exit(EXIT_TROUBLE);
	}
	return ptr;
}

void *xcalloc(size_t count, size_t size)
{
	return need(calloc(count, size));
}

void *xrealloc(void *old, size_t size)
{
	return need(realloc(old, size));
}

void *xaligned(size_t align, size_t size)
{
	return need(aligned_alloc(align, (size + align - 1) / align * align));
}

char *xstrdup(const char *text)
{
	return need(strdup(text));
}

void set_message_verb(const char *verb)
{
	message_verb = verb;
}

void add_message_prefix(struct buf *buf)
{
	buf_str(buf, "batchproc: ");
	if (message_verb) {
		buf_str(buf, message_verb);
		buf_str(buf, ": ");
	}
}

void say(const char *format, ...)
{
	struct buf line = {0};
	char text[1024];
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (len < 0)
		return;

	add_message_prefix(&line);
	buf_add(&line, text, (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1);
	buf_char(&line, '\n');
	output_add(SINK_ERR, line.data, line.len);
	buf_free(&line);
}

const char *error_text(int err)
{
	const char *text = strerrordesc_np(err < 0 ? -err : err);

	return text ? text : "Unknown error";
}

const char *engine_error_text(int err)
{
	switch (err) {
	case -EPERM:
		return "Operation not permitted: kernel.io_uring_disabled is set, or a seccomp filter, "
		       "such as a container's default profile, denies io_uring";
	case -ENOSYS:
		return "Function not implemented: the kernel was built without io_uring, or a seccomp "
		       "filter hides it";
	default:
		return error_text(err);
	}
}

int flush_stdout(void)
{
	if (!fflush(stdout) && !ferror(stdout))
		return EXIT_OK;
	say("cannot write standard output: %s", error_text(errno));
	return EXIT_TROUBLE;
}
