/* SPDX-License-Identifier: MIT */
/*
 * data: the bytes of one regular file. Plain calls; see file.c for who makes them where.
 *
 * Blocks are shared where the file system can, else copied within the kernel, else read and written:
 * where something in between is to see them, and where copy_file_range() is not to be had. Holes
 * are gone over, and are holes in the copy too.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/calls.h"
#include "verbs/copy/file.h"
#include "run/job.h"

#define HOLE_BYTES 268435456u /* of a hole, digested in one block */

int copy_fail(struct copying *c, int err, const char *why)
{
	c->item->why = why;
	return err;
}

static void moved(struct copying *c, size_t bytes)
{
	c->item->bytes += bytes;
	atomic_fetch_add_explicit(&c->item->job->moved, bytes, memory_order_relaxed);
}

const struct digest_alg *copy_algorithm(const struct copy_settings *set)
{
	return set->alg ? set->alg : digest_by_name("xxh128");
}

static _Thread_local struct {
	dev_t from, to;
	bool refused;
} last_clone;

int copy_clone(struct copying *c)
{
	int err;

	if (c->set->reflink == REFLINK_NEVER || !c->st.st_size)
		return 1;
	if (c->set->reflink == REFLINK_AUTO && last_clone.refused &&
	    last_clone.from == c->st.st_dev && last_clone.to == c->dest->dev)
		return 1;
	err = call_clone(c->dst, c->src);
	if (!err) {
		c->pos = c->written = (uint64_t)c->st.st_size;
		moved(c, (size_t)c->st.st_size);
		return 0;
	}
	if (c->set->reflink == REFLINK_ALWAYS)
		return copy_fail(c, err, "cannot be cloned (--reflink always)");
	/* It may be this file only: with -EINVAL others can be tried. */
	if (err == -EOPNOTSUPP || err == -EXDEV || err == -ENOTTY) {
		last_clone.from = c->st.st_dev;
		last_clone.to = c->dest->dev;
		last_clone.refused = true;
	}
	return 1;
}

static int write_all(struct copying *c, const unsigned char *data, size_t len, uint64_t pos)
{
	while (len) {
		ssize_t n = call_pwrite(c->dst, data, len, (off_t)pos);

		if (n < 0)
			return (int)n;
		data += n;
		len -= (size_t)n;
		pos += (uint64_t)n;
	}
	if (pos > c->written)
		c->written = pos;
	return 0;
}

int copy_changed(struct copying *c)
{
	return copy_fail(c, -ESTALE, "changed while it was copied");
}

/* A block of zeros that need not be written. */
static void digest_hole(struct copying *c, uint64_t len)
{
	memset(c->hasher->buffer, 0, HASHER_BYTES);
	while (len) {
		size_t part = len < HASHER_BYTES ? (size_t)len : HASHER_BYTES;

		digest_update(c->hasher->digest, c->hasher->buffer, part);
		len -= part;
	}
}

/* Goes over holes to the next data; data_end is where that ends. */
static int seek_data(struct copying *c)
{
	uint64_t size = (uint64_t)c->st.st_size, next = size;
	off_t at;

	c->data_end = size;
	if (!c->sparse)
		return 0;
	at = lseek(c->src, (off_t)c->pos, SEEK_DATA);
	if (at < 0 && errno != ENXIO) {
		/* No such thing here: all is data. */
		c->sparse = false;
		return errno == EINVAL || errno == EOPNOTSUPP ? 0 : -errno;
	}
	if (at >= 0 && (uint64_t)at < size)
		next = (uint64_t)at;
	if (c->digests && next > c->pos) {
		/* The digest of a long hole must not hold up a cancel. */
		if (next - c->pos > HOLE_BYTES)
			next = c->pos + HOLE_BYTES;
		digest_hole(c, next - c->pos);
		c->data_end = next;
	} else if (next < size) {
		at = lseek(c->src, (off_t)next, SEEK_HOLE);
		if (at >= 0 && (uint64_t)at < size)
			c->data_end = (uint64_t)at;
	}
	c->pos = next;
	return 0;
}

/* Return: how many bytes, 0: it is not to be had here, or -errno. */
static ssize_t copy_range(struct copying *c, size_t len)
{
	ssize_t n;

	if (c->digests || c->no_range || c->set->reflink == REFLINK_NEVER)
		return 0;
	n = call_copy_range(c->src, c->dst, (off_t)c->pos, len);
	switch (n) {
	case -EXDEV:
	case -EINVAL:
	case -EPERM:
	case -EOPNOTSUPP:
	case -ENOSYS:
	case -ETXTBSY:
	case -EBADF:
		n = 0;
		break;
	default:
		break;
	}
	/* 0 before the end: some file systems say so of files that can be read all the same. */
	if (!n)
		c->no_range = true;
	return n;
}

static ssize_t copy_buffer(struct copying *c, size_t len)
{
	ssize_t n = call_pread(c->src, c->hasher->buffer, len < HASHER_BYTES ? len : HASHER_BYTES,
			       (off_t)c->pos);
	int err;

	if (n < 0)
		return n;
	if (!n)
		return copy_changed(c);
	if (c->digests)
		digest_update(c->hasher->digest, c->hasher->buffer, (size_t)n);
	err = write_all(c, c->hasher->buffer, (size_t)n, c->pos);
	return err ? err : n;
}

int copy_block(void *arg)
{
	struct copying *c = arg;
	uint64_t done = 0;

	while (done < c->step && c->pos < (uint64_t)c->st.st_size) {
		size_t len;
		ssize_t n;

		if (c->pos >= c->data_end) {
			int err = seek_data(c);

			if (err)
				return err;
			if (c->pos >= c->data_end) {
				done += c->digests ? c->step : 0;
				continue;
			}
		}
		len = (size_t)(c->data_end - c->pos);
		if (len > c->step - done)
			len = (size_t)(c->step - done);
		n = copy_range(c, len);
		if (!n)
			n = copy_buffer(c, len);
		if (n < 0)
			return (int)n;
		c->pos += (uint64_t)n;
		if (c->pos > c->written)
			c->written = c->pos;
		done += (uint64_t)n;
		moved(c, (size_t)n);
	}
	return c->pos < (uint64_t)c->st.st_size ? COPY_MORE : COPY_DONE;
}

int copy_small(struct copying *c)
{
	size_t size = (size_t)c->st.st_size, got = 0;
	int err;

	/* One byte more than there should be shows whether it grew. */
	while (got < SMALL_BYTES) {
		ssize_t n =
			call_pread(c->src, c->hasher->buffer + got, SMALL_BYTES - got, (off_t)got);

		if (n < 0)
			return (int)n;
		got += (size_t)n;
		if (!n || got == size)
			break;
	}
	/* Files of /proc and the like say that they are empty. */
	if (got != size && size)
		return copy_changed(c);
	if (!size && got == SMALL_BYTES)
		return copy_fail(c, -EFBIG, "has no size, and more than can be read at once");
	if (c->digests)
		digest_once(c->hasher->digest, copy_algorithm(c->set), c->hasher->buffer, got,
			    c->digest);
	err = write_all(c, c->hasher->buffer, got, 0);
	if (err)
		return err;
	c->pos = got;
	moved(c, got);
	return 0;
}

int copy_read_back(struct copying *c, const struct digest_alg *alg, unsigned char *digest)
{
	off_t pos = 0;
	ssize_t n;

	digest_begin(c->hasher->digest, alg);
	while ((n = call_pread(c->dst, c->hasher->buffer, HASHER_BYTES, pos)) > 0) {
		digest_update(c->hasher->digest, c->hasher->buffer, (size_t)n);
		pos += n;
	}
	digest_finish(c->hasher->digest, digest);
	if (!n && (uint64_t)pos != c->pos)
		n = -EIO;
	return (int)n;
}
