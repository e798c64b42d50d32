/* SPDX-License-Identifier: MIT */
/*
 * journal_index: where the lines of a journal are, by the hash of their keys, in flat memory.
 *
 *	fence (memory)	[ h0 | h128 | h256 ... ]	first hash of each block
 *	table (file)	(hash, offset) (hash, offset) ...	sorted: hash up, offset down
 *
 * The table is a file without a name next to the journal: 16 bytes for each line, which the kernel
 * may keep in memory or not. Of it the process holds the fence: 1/16 byte for a line. A look-up is
 * one read of one block.
 *
 * It is built by the main thread, in sorted runs that are merged; afterwards it is read-only, and
 * every task may look things up.
 */
#ifndef BATCHPROC_JOURNAL_INDEX_H
#define BATCHPROC_JOURNAL_INDEX_H

#include <stddef.h>
#include <stdint.h>

struct journal_index;

/*
 * An empty one, with room for its files in the directory of @beside or else that for temporary
 * files.
 */
struct journal_index *journal_index_new(const char *beside);
void journal_index_free(struct journal_index *index);

/* Adds a line to @ctx, a struct journal_index. 0 or -errno. */
int journal_index_add(void *ctx, uint64_t hash, uint64_t offset);

/* After the last one. 0 or -errno. */
int journal_index_ready(struct journal_index *index);

/*
 * The last line of a hash that stands before @before. Return: 1 and *@offset; 0: there is none; or
 * -errno. Task only.
 */
int journal_index_find(const struct journal_index *index, uint64_t hash, uint64_t before,
		       uint64_t *offset);

#endif
