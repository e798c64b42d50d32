/* SPDX-License-Identifier: MIT */
/*
 * own: what the files of this folder share about the journal of a run.
 */
#ifndef BATCHPROC_JOURNAL_OWN_H
#define BATCHPROC_JOURNAL_OWN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

struct item;
struct item_ops;

struct journal {
	const char *name;
	int fd;
	bool writes; /* not --dry-run */
	bool made; /* by this run: it was not there */
	bool locked; /* another run would notice */
	bool lacks; /* an earlier run may have done what has no line */
	bool same_work; /* the last header is of this run too */
	uint64_t size, body, end; /* of the file, and as journal_scan() found them */
	struct buf cwd; /* what stands before a relative name, with a slash */
	struct buf options; /* those of this run, escaped */
	struct journal_index *index; /* NULL: every item is to be done */
};

/* The text that the options of a verb are for the journal, escaped. */
void journal_add_options(const struct item_ops *ops, const void *settings, struct buf *buf);

/* journal_hooks.skips and .add (lookup.c). */
bool journal_skips(struct item *item);
void journal_add(const struct item *item, struct buf *buf);

#endif
