/* SPDX-License-Identifier: MIT */
/*
 * statuses: sets of HTTP statuses, as --expect-status has them: 200,404 or 2xx or 200-299. Pure
 * functions.
 */
#ifndef BATCHPROC_STATUSES_H
#define BATCHPROC_STATUSES_H

#include <stdbool.h>
#include <stddef.h>

struct buf;

#define STATUSES_MOST 16

struct statuses {
	struct {
		unsigned short first, last;
	} range[STATUSES_MOST];
	size_t count;
};

/* NULL, or what @arg should have been. */
const char *statuses_parse(struct statuses *set, const char *arg);
bool statuses_have(const struct statuses *set, int status);
/* As text that statuses_parse() takes. */
void statuses_text(const struct statuses *set, struct buf *buf);

#endif
