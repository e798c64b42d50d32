/* SPDX-License-Identifier: MIT */
/*
 * alloc: memory that is there, or ends the program. Any thread.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/status.h"

void out_of_memory(void)
{
	static const char text[] = "batchproc: out of memory\n";
	/* The exit status says it all the same when this cannot be written. */
	ssize_t written = write(STDERR_FILENO, text, sizeof(text) - 1);

	(void)written;
	_exit(EXIT_TROUBLE);
}

static void *need(void *ptr)
{
	if (!ptr)
		out_of_memory();
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
