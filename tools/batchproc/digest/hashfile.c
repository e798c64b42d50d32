/* SPDX-License-Identifier: MIT */
/*
 * hashfile: the digest of one item's file.
 *
 * A small file that is cached is one open through the ring, two plain calls that do not wait, and
 * one digest call while the bytes are warm. Where that does not do, what was opened is looked at
 * and read in the way of its device (reader.h); a large file is read ahead (ahead.h) while this
 * task digests what has come. On a device that is not trusted (device.h) all is read one block
 * after the other, by ordinary reads.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/reader.h"
#include "cli/inputs.h"
#include "digest/ahead.h"
#include "digest/hasher.h"
#include "digest/hashfile.h"
#include "digest/openfile.h"
#include "journal/journal.h"
#include "run/job.h"
#include "run/ownfiles.h"

/* One file that is digested. */
struct hashing {
	struct item *item;
	const struct hashfile_want *wants;
	size_t count;
	struct hasher *hasher;
	struct reader reader;
};

static void moved(struct item *item, size_t bytes)
{
	item->bytes += bytes;
	atomic_fetch_add_explicit(&item->job->moved, bytes, memory_order_relaxed);
}

static void take(struct hashing *h, const void *data, size_t len)
{
	for (size_t i = 0; i < h->count; i++)
		digest_update(hasher_digest(h->hasher, i), data, len);
	moved(h->item, len);
}

/* Injected faults meet the engine's operations alone: under them all reads are such. */
static bool all_through_engine(void)
{
#ifdef BP_DEBUG
	return getenv("BATCHPROC_FAULTS");
#else
	return false;
#endif
}

/* What the page cache has, without waiting for more; or -errno. */
static ssize_t read_cached(int fd, void *buffer, size_t len, off_t offset)
{
	ssize_t n = preadv2(fd, &(struct iovec){buffer, len}, 1, offset, RWF_NOWAIT);

	return n < 0 ? -errno : n;
}

/*
 * Reads a small file whose bytes are all cached; returns its length, or 0 where it is anything
 * else, and nothing is lost.
 *
 * The look at the length is also what keeps others from being read: FIFOs, sockets and terminals
 * have no end to seek to, other character devices say 0, and for disks it is large. (A device of
 * less than a buffer's length is read when root puts it in the place of a file that was listed.)
 */
static size_t read_whole(const struct hashing *h)
{
	const struct origin *source = &h->item->source;
	const int fd = h->reader.fd;
	off_t size;

	/* There the length is asked for, and says little. */
	if (h->reader.kind == DEVICE_OTHER || all_through_engine())
		return 0;
	size = source->kind == ORIGIN_FILE ? (off_t)source->size : lseek(fd, 0, SEEK_END);
	if (size <= 0 || size >= (off_t)HASHER_BYTES)
		return 0;
	return read_cached(fd, h->hasher->buffer, HASHER_BYTES, 0) == size ? (size_t)size : 0;
}

/* What is cached, up to the first gap, which may be the end. */
static int digest_cached(struct hashing *h)
{
	int err = 0;

	while (!err && !all_through_engine()) {
		ssize_t n = read_cached(h->reader.fd, h->hasher->buffer, HASHER_BYTES,
					(off_t)h->reader.pos);

		if (n <= 0)
			break;
		take(h, h->hasher->buffer, (size_t)n);
		h->reader.pos += (uint64_t)n;
		err = bp_yield();
	}
	return err;
}

/* From where the reader is to the end. */
static int digest_rest(struct hashing *h)
{
	for (;;) {
		ssize_t n = reader_next(&h->reader, h->hasher->buffer, HASHER_BYTES);
		int err;

		if (n <= 0)
			return (int)n;
		take(h, h->hasher->buffer, (size_t)n);
		if (h->reader.ended)
			return 0;
		/* A cached file may never make this task wait; cancels and others need a turn. */
		err = bp_yield();
		if (err)
			return err;
	}
}

/*
 * Under --bwlimit: each block is paid for before it is read, as far as the size tells how long it
 * will be. At most as much as is paid at once, without reading ahead.
 */
static int digest_paced(struct hashing *h)
{
	struct job *job = h->item->job;
	const size_t block = pace_block(job, HASHER_BYTES);

	for (;;) {
		const uint64_t size = h->reader.size, done = h->reader.pos;
		uint64_t paid = size <= done ? 0 : size - done < block ? size - done : block;
		int err = pace_bytes(job, paid);
		ssize_t n;

		if (err)
			return err;
		n = reader_next(&h->reader, h->hasher->buffer, block);
		if (n < 0 || (uint64_t)n < paid)
			pace_give_back(job, n < 0 ? paid : paid - (uint64_t)n);
		if (n <= 0)
			return (int)n;
		if ((uint64_t)n > paid)
			err = pace_bytes(job, (uint64_t)n - paid);
		if (err)
			return err;
		take(h, h->hasher->buffer, (size_t)n);
	}
}

static int digest_ahead(struct hashing *h)
{
	struct ahead *ahead = ahead_open(h->item->job, h->reader.fd, h->reader.pos, h->reader.size);
	int err = 0;

	while (ahead) {
		const void *data;
		ssize_t n = ahead_next(ahead, &data);

		if (n <= 0) {
			err = (int)n;
			break;
		}
		take(h, data, (size_t)n);
		h->reader.pos += (uint64_t)n;
	}
	ahead_close(ahead);
	return err;
}

static bool is_quick(const struct hashing *h)
{
	return h->count == 1 && digest_is_quick(h->wants[0].alg);
}

/*
 * To read ahead lets a worker of the kernel copy a large file while this loop digests. It gains
 * where the digest takes longer than the copy, or where there is a disk to wait for.
 */
static int digest_fast(struct hashing *h)
{
	const uint64_t size = h->reader.kind == DEVICE_OTHER ? 0 : h->reader.size;
	int err = 0;

	if (size >= HASHER_BYTES && (size <= AHEAD_LEAST || is_quick(h)))
		err = digest_cached(h);
	if (!err && size > h->reader.pos + AHEAD_LEAST)
		err = digest_ahead(h);
	/* The end, what a file that grows has behind its first size, or the whole. */
	return err ? err : digest_rest(h);
}

static int digest_all(struct hashing *h)
{
	int err;

	for (size_t i = 0; i < h->count; i++)
		digest_begin(hasher_digest(h->hasher, i), h->wants[i].alg);
	err = pace_bytes_limited(h->item->job) ? digest_paced(h) : digest_fast(h);
	for (size_t i = 0; i < h->count && !err; i++)
		digest_finish(hasher_digest(h->hasher, i), h->wants[i].result);
	return err;
}

static int digest_opened(struct hashing *h)
{
	struct reader *reader = &h->reader;
	size_t len = pace_bytes_limited(h->item->job) ? 0 : read_whole(h);
	int err;

	if (!len) {
		err = openfile_check(h->item, reader->fd, &reader->kind, &reader->size);
		return err ? err : digest_all(h);
	}
	moved(h->item, len);
	for (size_t i = 0; i < h->count; i++)
		digest_once(hasher_digest(h->hasher, i), h->wants[i].alg, h->hasher->buffer, len,
			    h->wants[i].result);
	return 0;
}

/*
 * From where it stands, whatever it is. A file is read at offsets all the same: a read by io_uring
 * that goes on after the call, as with O_DIRECT or on an overlay, leaves it standing where it was.
 */
static int digest_stdin(struct hashing *h)
{
	struct reader *reader = &h->reader;
	struct device_file file;
	off_t from;
	int err;

	*reader = (struct reader){.fd = STDIN_FILENO, .streams = true};
	if (!device_look(STDIN_FILENO, &file) && S_ISREG(file.mode)) {
		reader->kind = device_kind(file.dev, STDIN_FILENO);
		reader->size = file.size;
		from = lseek(STDIN_FILENO, 0, SEEK_CUR);
		reader->streams = from < 0;
		reader->pos = from < 0 ? 0 : (uint64_t)from;
	}
	err = digest_all(h);
	/* As far as it was read, for whoever has it too. */
	if (!reader->streams)
		lseek(STDIN_FILENO, (off_t)reader->pos, SEEK_SET);
	return err;
}

/* ---- the item */

static bool is_stdin(const struct item *item)
{
	return !item->dir && !strcmp(item->name.data, "-");
}

bool hashfile_permanent(const struct item *item, int err)
{
	(void)err;
	return is_stdin(item);
}

/* It is written by this run, so that a digest of it would be one of nothing. */
static bool is_own(struct item *item, int fd)
{
	struct stat st;

	return own_file_called(item->job->own, item->name.data) && !fstat(fd, &st) &&
	       own_file_skips(item, &st);
}

static int hash_stdin(struct hashing *h)
{
	int err;

	h->item->source.kind = ORIGIN_ONCE;
	if (!stdin_claim()) {
		h->item->why = "standard input can be read only once";
		return -EBUSY;
	}
	h->hasher = hasher_get();
	err = digest_stdin(h);
	hasher_put(h->hasher);
	return err;
}

int hashfile_digests(struct item *item, const struct hashfile_want *wants, size_t count,
		     bool stdin_name)
{
	struct hashing h = {.item = item, .wants = wants, .count = count};
	enum device_kind kind;
	int err;

	if (stdin_name && is_stdin(item))
		return hash_stdin(&h);
	h.reader.fd = openfile_open(item, &kind);
	if (h.reader.fd < 0)
		return item->status == STATUS_SKIPPED ? 0 : h.reader.fd;
	h.reader.kind = kind;
	err = is_own(item, h.reader.fd);
	if (!err)
		err = journal_looks(item, h.reader.fd, h.reader.kind);
	if (!err) {
		h.hasher = hasher_get();
		err = digest_opened(&h);
		hasher_put(h.hasher);
	}
	device_close(kind, h.reader.fd);
	/* Positive: it is skipped. */
	return err < 0 ? err : 0;
}

int hashfile_digest(struct item *item, const struct digest_alg *alg, bool stdin_name,
		    unsigned char *result)
{
	const struct hashfile_want want = {alg, result};

	return hashfile_digests(item, &want, 1, stdin_name);
}
