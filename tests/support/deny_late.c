/* SPDX-License-Identifier: MIT */
/*
 * deny_late - calls that are refused to a program from its main() on, when it has been loaded
 *
 * With deny.c this is deny.so, which LD_PRELOAD brings in. BATCHPROC_TESTS_DENY says what to
 * refuse, as "CALL ERRNO WHEN ARG VALUE" with a semicolon behind each.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/deny.h"

__attribute__((constructor)) static void deny_late(void)
{
	const char *at = getenv("BATCHPROC_TESTS_DENY");
	struct denied denied[DENY_MAX + 1] = {DENY_END};

	for (size_t i = 0; at && *at && i < DENY_MAX; i++, at = strchr(at, ';') + 1) {
		unsigned int when;

		if (!strchr(at, ';') ||
		    sscanf(at, "%ld %d %u %u %u;", &denied[i].call, &denied[i].err, &when,
			   &denied[i].arg, &denied[i].value) != 5)
			_exit(126);
		denied[i].when = when;
	}
	/* What it starts inherits the filter, and needs no other. */
	unsetenv("LD_PRELOAD");
	unsetenv("BATCHPROC_TESTS_DENY");
	if (deny_calls(denied))
		_exit(126);
}
