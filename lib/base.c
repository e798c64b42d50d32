// SPDX-License-Identifier: MIT
/*
 * The end of the program on misuse, the version, options structs, the clock; see base.h.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base.h"

void bp_fatal(const char *fmt, ...)
{
	char line[512] = "batchproc: ";
	size_t len = strlen(line);
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line + len, sizeof(line) - len - 1, fmt, ap);
	va_end(ap);
	if (n > 0)
		len += (size_t)n < sizeof(line) - len - 1 ? (size_t)n : sizeof(line) - len - 2;
	line[len++] = '\n';
	if (write(STDERR_FILENO, line, len) < 0)
		abort();
	abort();
}

const char *bp_version(void)
{
	return BP_VERSION_STRING;
}

#define OPTS_MAX 4096u

int opts_copy(void *to, size_t known, const void *from)
{
	size_t given, i;

	if (!from)
		return 0;
	given = *(const size_t *)from;
	/* A size that was not set is anything, and no struct of options will ever be that large. */
	if (given < sizeof(size_t) || given > OPTS_MAX)
		return -EINVAL;
	/* A caller built against a newer header may only leave unset what is not known here. */
	for (i = known; i < given; i++)
		if (((const char *)from)[i])
			return -EINVAL;
	memcpy(to, from, given < known ? given : known);
	return 0;
}

int say_why(char *room, size_t size, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(room, size, fmt, ap);
	va_end(ap);
	return err;
}

uint64_t time_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}
