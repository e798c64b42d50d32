/* SPDX-License-Identifier: MIT */
/*
 * data: the bytes of one regular file. Plain calls; see file.c for who makes them where.
 *
 * Blocks are shared where the file system can, else copied within the kernel, else read and
 * written: where something in between is to see them, and where copy_file_range() is not to be had.
 * Holes are gone over, and are holes in the copy too.
 *
 * The end of a file is where its size says, and one byte less or more is an error; but where a file
 * system may say any size (see base/device.h: FUSE, /proc, /sys) it is what an ordinary read says,
 * and there may be no other way to read it than from front to end.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/calls.h"
#include "verbs/copy/file.h"
#include "run/job.h"

#define ZERO_BYTES 4096u /* of which --sparse=always makes a hole */
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

	if (c->set->reflink == REFLINK_NEVER || !c->st.st_size || c->into_stream ||
	    (c->to_end && c->set->reflink == REFLINK_AUTO))
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

/* At the byte @pos, or where that cannot be said behind what was written before. */
static ssize_t write_some(struct copying *c, const void *data, size_t len, uint64_t pos)
{
	ssize_t n;

	if (c->into_stream || c->in_order)
		return call_write(c->dst, data, len);
	n = call_pwrite(c->dst, data, len, (off_t)pos);
	if (n != -ESPIPE || pos || c->written)
		return n;
	/* What cannot seek has nothing that was written by such a call. */
	n = call_write(c->dst, data, len);
	c->in_order = n >= 0;
	return n;
}

int copy_fill(struct copying *c, uint64_t end)
{
	static const unsigned char zeros[4096];

	while (c->written < end) {
		const uint64_t left = end - c->written;
		ssize_t n = write_some(c, zeros, left < sizeof(zeros) ? left : sizeof(zeros),
				       c->written);

		if (n < 0)
			return (int)n;
		c->written += (uint64_t)n;
	}
	return 0;
}

static int write_all(struct copying *c, const unsigned char *data, size_t len, uint64_t pos)
{
	while (len) {
		ssize_t n;

		/* Not every server lets a hole be. */
		if (c->in_order && pos > c->written)
			n = -ESPIPE;
		else
			n = write_some(c, data, len, pos);
		if (n == -ESPIPE && pos > c->written) {
			n = copy_fill(c, pos);
			if (!n)
				continue;
		}

		if (n < 0)
			return (int)n;
		data += n;
		len -= (size_t)n;
		pos += (uint64_t)n;
		if (pos > c->written)
			c->written = pos;
	}
	return 0;
}

static bool is_zero(const unsigned char *data, size_t len)
{
	return !*data && !memcmp(data, data + 1, len - 1);
}

/* The same; with --sparse=always blocks of zeros are left out, and are a hole. */
static int put(struct copying *c, const unsigned char *data, size_t len, uint64_t pos)
{
	int err = 0;

	if (c->set->sparse != SPARSE_ALWAYS || c->into_stream || c->in_order)
		return write_all(c, data, len, pos);
	while (len && !err) {
		size_t run = 0, part;
		bool zero = false;

		/* As much as is written or left out at once. */
		while (run < len) {
			part = ZERO_BYTES - (size_t)((pos + run) % ZERO_BYTES);
			if (part > len - run)
				part = len - run;
			if (run && is_zero(data + run, part) != zero)
				break;
			zero = is_zero(data + run, part);
			run += part;
		}
		if (!zero)
			err = write_all(c, data, run, pos);
		data += run;
		pos += run;
		len -= run;
	}
	return err;
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
		return errno == EIO ? -EIO : 0;
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

	if (c->digests || c->no_range || c->to_end || c->into_stream ||
	    c->set->reflink == REFLINK_NEVER)
		return 0;
	n = call_copy_range(c->src, c->dst, (off_t)c->pos, len);
	/* Of what may be the files' own fault a read or a write can say more. */
	if (n < 0 && n != -EIO && n != -ENOSPC && n != -EDQUOT && n != -EFBIG)
		n = 0;
	/* 0 before the end: some file systems say so of files that can be read all the same. */
	if (!n)
		c->no_range = true;
	return n;
}

/* Where there are holes it can seek, and has been elsewhere for them. */
static ssize_t read_on(struct copying *c, size_t len)
{
	if (c->sparse && lseek(c->src, (off_t)c->pos, SEEK_SET) < 0)
		return -errno;
	return call_read(c->src, c->hasher->buffer, len);
}

static ssize_t copy_buffer(struct copying *c, size_t len)
{
	ssize_t n;
	int err;

	if (len > HASHER_BYTES)
		len = HASHER_BYTES;
	n = c->to_end ? read_on(c, len) : call_pread(c->src, c->hasher->buffer, len, (off_t)c->pos);
	if (n < 0)
		return n;
	if (!n && c->to_end) {
		c->ended = true;
		return 0;
	}
	if (!n)
		return copy_changed(c);
	if (c->digests)
		digest_update(c->hasher->digest, c->hasher->buffer, (size_t)n);
	err = put(c, c->hasher->buffer, (size_t)n, c->pos);
	return err ? err : n;
}

static bool is_at_end(const struct copying *c)
{
	return c->to_end ? c->ended : c->pos >= (uint64_t)c->st.st_size;
}

int copy_block(void *arg)
{
	struct copying *c = arg;
	uint64_t done = 0;

	while (done < c->step && !is_at_end(c)) {
		size_t len;
		ssize_t n;

		if (c->pos >= (uint64_t)c->st.st_size) {
			c->data_end = UINT64_MAX;
		} else if (c->pos >= c->data_end) {
			int err = seek_data(c);

			if (err)
				return err;
			if (c->pos >= c->data_end) {
				done += c->digests ? c->step : 0;
				continue;
			}
		}
		len = (size_t)(c->step - done);
		if (len > c->data_end - c->pos)
			len = (size_t)(c->data_end - c->pos);
		n = copy_range(c, len);
		if (n > 0 && c->pos + (uint64_t)n > c->written)
			c->written = c->pos + (uint64_t)n;
		if (!n)
			n = copy_buffer(c, len);
		if (n < 0)
			return (int)n;
		if (c->ended)
			break;
		c->pos += (uint64_t)n;
		done += (uint64_t)n;
		moved(c, (size_t)n);
	}
	return is_at_end(c) ? COPY_DONE : COPY_MORE;
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
	if (got != size)
		return copy_changed(c);
	if (c->digests)
		digest_once(c->hasher->digest, copy_algorithm(c->set), c->hasher->buffer, got,
			    c->digest);
	err = put(c, c->hasher->buffer, got, 0);
	if (err)
		return err;
	c->pos = got;
	moved(c, got);
	return 0;
}

int copy_first(struct copying *c)
{
	size_t got = 0;
	ssize_t n = 1;
	int err;

	while (got < SMALL_BYTES && n > 0) {
		n = call_read(c->src, c->hasher->buffer + got, SMALL_BYTES - got);
		if (n < 0)
			return (int)n;
		got += (size_t)n;
	}
	if (c->digests)
		digest_update(c->hasher->digest, c->hasher->buffer, got);
	err = put(c, c->hasher->buffer, got, 0);
	if (err)
		return err;
	c->pos = got;
	moved(c, got);
	c->ended = !n;
	if (c->ended && c->digests)
		digest_finish(c->hasher->digest, c->digest);
	return c->ended ? COPY_DONE : COPY_MORE;
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
