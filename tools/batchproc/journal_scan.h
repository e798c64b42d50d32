/* SPDX-License-Identifier: MIT */
/*
 * journal_scan: reads a journal from its first line to its last whole one. Main thread.
 */
#ifndef BATCHPROC_JOURNAL_SCAN_H
#define BATCHPROC_JOURNAL_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"

struct journal_index;

struct journal_found {
	uint64_t end; /* of the last whole line: what follows is torn */
	uint64_t dropped; /* bytes behind it that were read and not kept */
	uint64_t lines;
	uint64_t items;
	uint64_t damaged;
	uint64_t first_damaged; /* the number of the line */
	bool foreign; /* a header of another version */
	bool has_header;
	struct buf command, options; /* of the last header, escaped */
};

/* Adds each item's line to @index, and makes that ready. @found begins as zeros. 0 or -errno. */
int journal_scan(int fd, struct journal_index *index, struct journal_found *found);
void journal_found_free(struct journal_found *found);

#endif
