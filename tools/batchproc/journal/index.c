/* SPDX-License-Identifier: MIT */
/*
 * journal_index: where the lines of a journal are, by the hash of their keys, in flat memory.
 *
 * Building needs 8 MiB for a run of entries, and while runs are merged 16 KiB for each of them: ten
 * million lines are twenty runs.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "batchproc.h"
#include "journal/index.h"
#include "base/scratch.h"
#include "base/alloc.h"

#define RUN_ENTRIES 524288u
#define BLOCK_ENTRIES 128u
#define PIECE_ENTRIES                                                                              \
	1024u /* of a run, in memory while it is merged; and what is written at once */

struct entry {
	uint64_t hash;
	uint64_t offset;
};

struct journal_index {
	const char *beside;
	int runs_fd; /* sorted runs, one after the other; -1: all fits into one */
	int table_fd; /* -1: empty */
	struct entry *run; /* being filled, then what is written next to the table */
	size_t fill;
	uint64_t runs;
	uint64_t count; /* entries in the table */
	uint64_t *fence;
	size_t fence_room;
};

/* A run that is being merged. */
struct source {
	struct entry *piece;
	size_t at, fill;
	uint64_t next; /* entry in the file that follows the piece */
	uint64_t left; /* entries behind the piece */
};

struct journal_index *journal_index_new(const char *beside)
{
	struct journal_index *index = xcalloc(1, sizeof(*index));

	index->beside = beside;
	index->runs_fd = index->table_fd = -1;
	return index;
}

static void close_file(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void journal_index_free(struct journal_index *index)
{
	if (!index)
		return;
	close_file(&index->runs_fd);
	close_file(&index->table_fd);
	free(index->run);
	free(index->fence);
	free(index);
}

/* ---- files */

static int write_entries(int fd, const struct entry *entries, size_t count)
{
	const char *data = (const char *)entries;
	size_t left = count * sizeof(*entries);

	while (left) {
		ssize_t n = write(fd, data, left);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			data += n;
			left -= (size_t)n;
		}
	}
	return 0;
}

/* Exactly @count of them: nobody else has the file. */
static int read_entries(int fd, struct entry *entries, size_t count, uint64_t first)
{
	char *data = (char *)entries;
	size_t left = count * sizeof(*entries);
	off_t at = (off_t)(first * sizeof(*entries));

	while (left) {
		ssize_t n = pread(fd, data, left, at);

		if (n == 0)
			return -EIO;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			data += n;
			at += n;
			left -= (size_t)n;
		}
	}
	return 0;
}

/* ---- building */

static int compare(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	return x->offset > y->offset ? -1 : x->offset < y->offset;
}

static int spill(struct journal_index *index)
{
	int err;

	if (index->runs_fd < 0)
		index->runs_fd = scratch_file(index->beside);
	if (index->runs_fd < 0)
		return index->runs_fd;
	qsort(index->run, index->fill, sizeof(*index->run), compare);
	err = write_entries(index->runs_fd, index->run, index->fill);
	index->fill = 0;
	index->runs++;
	return err;
}

int journal_index_add(void *ctx, uint64_t hash, uint64_t offset)
{
	struct journal_index *index = ctx;
	int err = 0;

	if (!index->run)
		index->run = xcalloc(RUN_ENTRIES, sizeof(*index->run));
	if (index->fill == RUN_ENTRIES)
		err = spill(index);
	index->run[index->fill++] = (struct entry){hash, offset};
	return err;
}

static void add_fence(struct journal_index *index, uint64_t hash)
{
	size_t at = index->count / BLOCK_ENTRIES;

	if (index->count++ % BLOCK_ENTRIES)
		return;
	if (at == index->fence_room) {
		index->fence_room = at ? 2 * at : 64;
		index->fence = xrealloc(index->fence, index->fence_room * sizeof(*index->fence));
	}
	index->fence[at] = hash;
}

/* Appends to the table what index->run holds. */
static int write_table(struct journal_index *index)
{
	int err = write_entries(index->table_fd, index->run, index->fill);

	for (size_t i = 0; i < index->fill; i++)
		add_fence(index, index->run[i].hash);
	index->fill = 0;
	return err;
}

static int refill(const struct journal_index *index, struct source *source)
{
	size_t count = source->left < PIECE_ENTRIES ? source->left : PIECE_ENTRIES;

	source->at = 0;
	source->fill = count;
	source->left -= count;
	source->next += count;
	return read_entries(index->runs_fd, source->piece, count, source->next - count);
}

static const struct entry *head(const struct source *source)
{
	return source->piece + source->at;
}

/* Restores the order of a heap whose smallest is on top after heap[at] has grown. */
static void sink(struct source **heap, size_t count, size_t at)
{
	for (size_t child; (child = 2 * at + 1) < count; at = child) {
		struct source *down = heap[at];

		if (child + 1 < count && compare(head(heap[child + 1]), head(heap[child])) < 0)
			child++;
		if (compare(head(down), head(heap[child])) <= 0)
			return;
		heap[at] = heap[child];
		heap[child] = down;
	}
}

static int merge_heap(struct journal_index *index, struct source **heap, size_t count)
{
	int err = 0;

	for (size_t i = count / 2; i; i--)
		sink(heap, count, i - 1);
	while (count && !err) {
		struct source *first = heap[0];

		index->run[index->fill++] = *head(first);
		if (index->fill == PIECE_ENTRIES)
			err = write_table(index);
		if (++first->at == first->fill && !err)
			err = refill(index, first);
		if (!first->fill)
			heap[0] = heap[--count];
		sink(heap, count, 0);
	}
	return err ? err : write_table(index);
}

static int merge(struct journal_index *index, uint64_t last_run)
{
	struct source *sources = xcalloc(index->runs, sizeof(*sources));
	struct source **heap = xcalloc(index->runs, sizeof(*heap));
	struct entry *pieces;
	int err = 0;

	/* Not with the run's eight mebibytes on top. */
	free(index->run);
	index->run = xcalloc(PIECE_ENTRIES, sizeof(*index->run));
	pieces = xcalloc(index->runs * PIECE_ENTRIES, sizeof(*pieces));
	for (uint64_t i = 0; i < index->runs && !err; i++) {
		sources[i] = (struct source){
			.piece = pieces + i * PIECE_ENTRIES,
			.next = i * RUN_ENTRIES,
			.left = i + 1 < index->runs ? RUN_ENTRIES : last_run,
		};
		heap[i] = &sources[i];
		err = refill(index, heap[i]);
	}
	if (!err)
		err = merge_heap(index, heap, index->runs);
	free(pieces);
	free(heap);
	free(sources);
	return err;
}

int journal_index_ready(struct journal_index *index)
{
	uint64_t last_run = index->fill;
	int err = 0;

	if (!index->fill)
		return 0;
	index->table_fd = scratch_file(index->beside);
	if (index->table_fd < 0)
		return index->table_fd;
	if (index->runs) {
		err = spill(index);
		if (!err)
			err = merge(index, last_run);
		close_file(&index->runs_fd);
	} else {
		qsort(index->run, index->fill, sizeof(*index->run), compare);
		err = write_table(index);
	}
	free(index->run);
	index->run = NULL;
	return err;
}

/* ---- looking up */

/*
 * The block where the first entry of a hash would be: the last one that begins with a smaller hash.
 */
static uint64_t find_block(const struct journal_index *index, uint64_t hash)
{
	uint64_t low = 0, high = (index->count + BLOCK_ENTRIES - 1) / BLOCK_ENTRIES;

	while (high - low > 1) {
		uint64_t middle = low + (high - low) / 2;

		if (index->fence[middle] < hash)
			low = middle;
		else
			high = middle;
	}
	return low;
}

static int read_block(const struct journal_index *index, struct entry *block, size_t count,
		      uint64_t first)
{
	char *data = (char *)block;
	size_t left = count * sizeof(*block);
	off_t at = (off_t)(first * sizeof(*block));

	while (left) {
		ssize_t n = bp_read(index->table_fd, data, left, at);

		if (n <= 0)
			return n ? (int)n : -EIO;
		data += n;
		at += n;
		left -= (size_t)n;
	}
	return 0;
}

int journal_index_find(const struct journal_index *index, uint64_t hash, uint64_t before,
		       uint64_t *offset)
{
	struct entry block[BLOCK_ENTRIES];
	uint64_t first = find_block(index, hash) * BLOCK_ENTRIES;

	for (; first < index->count; first += BLOCK_ENTRIES) {
		size_t count = index->count - first < BLOCK_ENTRIES ? index->count - first :
								      BLOCK_ENTRIES;
		int err = read_block(index, block, count, first);

		if (err)
			return err;
		for (size_t i = 0; i < count; i++) {
			if (block[i].hash > hash)
				return 0;
			if (block[i].hash == hash && block[i].offset < before) {
				*offset = block[i].offset;
				return 1;
			}
		}
	}
	return 0;
}
