/* SPDX-License-Identifier: MIT */
/*
 * claims: which destinations of a run are taken, and by which source.
 *
 *	place --first bits--> block [ place, source | place, source | ... ]
 *
 * Of a place (device, inode and name) 64 bits of a hash are kept, of a source 32: a false alarm in
 * a run of ten million is one chance in 370,000.
 *
 * Blocks are in memory until one of them is full, which is when there are about 600,000 claims in 7
 * MiB. Then they move to a file without a name, half full, a page each, and are read and written
 * one at a time; when one is full again each becomes two. So memory stays flat, and the file has 15
 * to 30 bytes for a claim.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xxhash.h>

#include "verbs/copy/claims.h"
#include "base/scratch.h"
#include "base/alloc.h"

#define FIRST_BITS 11u
#define PAGE_BYTES 4096u
#define BLOCK_MOST (PAGE_BYTES / sizeof(struct entry))
#define NAME_BYTES 256u /* a longer name is none that a file system takes */
#define IS_FULL 100 /* beside enum claim */

/* As it is in the file, so without holes; 12 bytes. */
struct entry {
	uint32_t place[2]; /* 0 and 0: none */
	uint32_t source;
};

union page {
	struct entry entries[BLOCK_MOST];
	unsigned char bytes[PAGE_BYTES];
};

struct block {
	struct entry *entries;
	unsigned int count, room;
};

struct claims {
	pthread_mutex_t lock; /* covers it all */
	unsigned int bits; /* of a place, that say which block; 0: there is none yet */
	struct block *blocks; /* NULL: they are in the file */
	int fd;
	union page page;
};

static uint64_t place_of(const struct entry *entry)
{
	return (uint64_t)entry->place[0] << 32 | entry->place[1];
}

static struct entry make_entry(dev_t dev, ino_t ino, const char *name, const struct stat *source,
			       uint64_t way)
{
	struct {
		uint64_t dev, ino;
		char name[NAME_BYTES];
	} place = {.dev = dev, .ino = ino};
	const uint64_t from[] = {source->st_dev, source->st_ino, way};
	size_t len = strnlen(name, NAME_BYTES);
	uint64_t hash;

	memcpy(place.name, name, len);
	hash = XXH3_64bits(&place, offsetof(typeof(place), name) + len);
	if (!hash)
		hash = 1;
	return (struct entry){
		.place = {(uint32_t)(hash >> 32), (uint32_t)hash},
		.source = (uint32_t)XXH3_64bits(from, sizeof(from)),
	};
}

/* The one with the same place among @count; where there is none, *@at is behind the last. */
static int look_for(const struct entry *entries, size_t count, const struct entry *wanted,
		    size_t *at)
{
	for (*at = 0; *at < count; (*at)++) {
		const struct entry *entry = &entries[*at];

		if (entry->place[1] != wanted->place[1] || entry->place[0] != wanted->place[0]) {
			if (!entry->place[0] && !entry->place[1])
				break;
			continue;
		}
		return entry->source == wanted->source ? CLAIM_SAME : CLAIM_OTHER;
	}
	return CLAIM_FIRST;
}

/* ---- files */

/* With room for it, so that a full disk is noticed before it is filled. */
static int new_file(off_t size)
{
	int fd = scratch_file(NULL);

	if (fd >= 0 && fallocate(fd, 0, 0, size) && (errno == ENOSPC || errno == EDQUOT)) {
		close(fd);
		return -ENOSPC;
	}
	return fd;
}

static int new_memory(void)
{
	int fd = memfd_create("batchproc-claims", MFD_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* All of it, or an error. */
static int write_at(int fd, const void *data, size_t len, off_t at)
{
	for (const char *from = data; len;) {
		ssize_t n = pwrite(fd, from, len, at);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			from += n;
			at += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

static int read_page(struct claims *claims, uint64_t number)
{
	size_t done = 0;

	while (done < PAGE_BYTES) {
		ssize_t n = pread(claims->fd, claims->page.bytes + done, PAGE_BYTES - done,
				  (off_t)(number * PAGE_BYTES + done));

		if (n == 0)
			return -EIO;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			done += (size_t)n;
	}
	return 0;
}

/* Writes a block as the two that it becomes where one bit more counts. */
static int split(const struct claims *claims, int fd, uint64_t number, const struct entry *entries,
		 size_t count)
{
	union page *halves = xcalloc(2, sizeof(*halves));
	size_t fill[2] = {0};
	int err;

	for (size_t i = 0; i < count && place_of(&entries[i]); i++) {
		const size_t half = place_of(&entries[i]) >> (63 - claims->bits) & 1;

		halves[half].entries[fill[half]++] = entries[i];
	}
	err = write_at(fd, halves, 2 * sizeof(*halves), (off_t)(number * 2 * PAGE_BYTES));
	free(halves);
	return err;
}

static void free_blocks(struct claims *claims)
{
	for (uint64_t i = 0; claims->blocks && i < 1ull << claims->bits; i++)
		free(claims->blocks[i].entries);
	free(claims->blocks);
	claims->blocks = NULL;
}

/* Writes twice as many blocks to the new file @fd, which from then on has them. */
static int move_to(struct claims *claims, int fd)
{
	const uint64_t count = 1ull << claims->bits;
	int err = fd < 0 ? fd : 0;

	for (uint64_t i = 0; i < count && !err; i++) {
		if (claims->blocks) {
			err = split(claims, fd, i, claims->blocks[i].entries,
				    claims->blocks[i].count);
			continue;
		}
		err = read_page(claims, i);
		if (!err)
			err = split(claims, fd, i, claims->page.entries, BLOCK_MOST);
	}
	if (err) {
		if (fd >= 0)
			close(fd);
		return err;
	}
	free_blocks(claims);
	if (claims->fd >= 0)
		close(claims->fd);
	claims->fd = fd;
	claims->bits++;
	return 0;
}

/* A block is full. Not every file system says beforehand that it is, too. */
static int grow(struct claims *claims)
{
	int err = move_to(claims, new_file(2 * (off_t)PAGE_BYTES << claims->bits));

	return err ? move_to(claims, new_memory()) : 0;
}

/* ---- taking one: enum claim, IS_FULL, or -errno */

static int take_in_memory(struct block *block, const struct entry *entry)
{
	size_t at;
	int found = look_for(block->entries, block->count, entry, &at);

	if (found != CLAIM_FIRST)
		return found;
	if (at == BLOCK_MOST)
		return IS_FULL;
	if (at == block->room) {
		block->room += at < 16 ? 4 : 16;
		block->entries = xrealloc(block->entries, block->room * sizeof(*block->entries));
	}
	block->entries[block->count++] = *entry;
	return CLAIM_FIRST;
}

static int take_in_file(struct claims *claims, uint64_t number, const struct entry *entry)
{
	size_t at;
	int err = read_page(claims, number), found;

	if (err)
		return err;
	found = look_for(claims->page.entries, BLOCK_MOST, entry, &at);
	if (found != CLAIM_FIRST)
		return found;
	if (at == BLOCK_MOST)
		return IS_FULL;
	return write_at(claims->fd, entry, sizeof(*entry),
			(off_t)(number * PAGE_BYTES + at * sizeof(*entry)));
}

static int take(struct claims *claims, const struct entry *entry)
{
	const uint64_t number = place_of(entry) >> (64 - claims->bits);

	return claims->blocks ? take_in_memory(&claims->blocks[number], entry) :
				take_in_file(claims, number, entry);
}

int claims_take(struct claims *claims, dev_t dev, ino_t ino, const char *name,
		const struct stat *source, uint64_t way)
{
	const struct entry entry = make_entry(dev, ino, name, source, way);
	int found, err = 0;

	pthread_mutex_lock(&claims->lock);
	if (!claims->bits) {
		claims->bits = FIRST_BITS;
		claims->blocks = xcalloc(1u << FIRST_BITS, sizeof(*claims->blocks));
	}
	while ((found = take(claims, &entry)) == IS_FULL && !err)
		err = grow(claims);
	pthread_mutex_unlock(&claims->lock);
	return err ? err : found;
}

bool claims_taken(struct claims *claims, dev_t dev, ino_t ino, const char *name)
{
	const struct entry entry = make_entry(dev, ino, name, &(struct stat){0}, 0);
	const struct entry *entries = claims->page.entries;
	size_t count = BLOCK_MOST, at;
	bool taken = false;

	pthread_mutex_lock(&claims->lock);
	if (claims->bits) {
		const uint64_t number = place_of(&entry) >> (64 - claims->bits);

		if (claims->blocks) {
			entries = claims->blocks[number].entries;
			count = claims->blocks[number].count;
		}
		if (claims->blocks || !read_page(claims, number))
			taken = look_for(entries, count, &entry, &at) != CLAIM_FIRST;
	}
	pthread_mutex_unlock(&claims->lock);
	return taken;
}

struct claims *claims_new(void)
{
	struct claims *claims = xcalloc(1, sizeof(*claims));

	pthread_mutex_init(&claims->lock, NULL);
	claims->fd = -1;
	return claims;
}

void claims_free(struct claims *claims)
{
	free_blocks(claims);
	if (claims->fd >= 0)
		close(claims->fd);
	pthread_mutex_destroy(&claims->lock);
	free(claims);
}
