/* SPDX-License-Identifier: MIT */
/*
 * journal_scan: reads a journal from its first line to its last whole one. Main thread.
 */
#ifndef BATCHPROC_JOURNAL_SCAN_H
#define BATCHPROC_JOURNAL_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

struct journal_found {
	uint64_t end; /* of the last whole line: what follows is torn */
	uint64_t body; /* the same without the line of a run's end, if that is the last one */
	uint64_t lines;
	uint64_t items;
	uint64_t damaged;
	uint64_t first_damaged; /* the number of the line */
	bool foreign; /* a header of another version */
	bool has_header;
	bool ended; /* the last whole line is the end of a run */
	struct buf command, options; /* of the last header, escaped */
};

/*
 * Called for each item's line, with the hash of its key and its place. 0 or -errno, which ends the
 * scan.
 */
typedef int (*journal_take_fn)(void *ctx, uint64_t hash, uint64_t offset);

/* @found begins as zeros. 0 or -errno. */
int journal_scan(int fd, journal_take_fn take, void *ctx, struct journal_found *found);
void journal_found_free(struct journal_found *found);

#endif
