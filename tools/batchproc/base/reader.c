/* SPDX-License-Identifier: MIT */
/*
 * reader: the bytes of a file from front to end. See reader.h.
 */
#include <errno.h>

#include "batchproc.h"
#include "base/blocking.h"
#include "base/calls.h"
#include "base/reader.h"

static ssize_t read_once(struct reader *reader, void *buf, size_t len)
{
	ssize_t n;

	if (reader->streams)
		return call_read(reader->fd, buf, len);
	n = call_pread(reader->fd, buf, len, (off_t)reader->pos);
	/* Only before anything was read does it stand at the front. */
	if (n != -ESPIPE || reader->pos)
		return n;
	reader->streams = true;
	return call_read(reader->fd, buf, len);
}

ssize_t reader_next_waiting(struct reader *reader, void *buf, size_t len)
{
	size_t got = 0;

	/* A whole buffer, or the end: who asks on a helper thread comes seldom. */
	while (got < len && !reader->ended) {
		ssize_t n = read_once(reader, (char *)buf + got, len - got);

		if (n < 0)
			return got ? (ssize_t)got : n;
		reader->ended = !n;
		reader->pos += (uint64_t)n;
		got += (size_t)n;
	}
	return (ssize_t)got;
}

struct request {
	struct reader *reader;
	void *buf;
	size_t len;
};

static int serve(void *arg)
{
	const struct request *request = arg;

	return (int)reader_next_waiting(request->reader, request->buf, request->len);
}

ssize_t reader_next(struct reader *reader, void *buf, size_t len)
{
	struct request request = {reader, buf, len};
	ssize_t n;

	if (reader->ended)
		return 0;
	if (reader->kind == DEVICE_OTHER)
		return blocking_long(serve, &request);
	n = bp_read(reader->fd, buf, len, reader->streams ? -1 : (off_t)reader->pos);
	if (!n && reader->kind == DEVICE_STACKED) {
		/* At the end of a file of a plain file system this does not wait. */
		n = blocking(serve, &request);
		if (n > 0)
			reader->kind = DEVICE_OTHER;
		return n;
	}
	if (n < 0)
		return n;
	reader->pos += (uint64_t)n;
	reader->ended = !n || (reader->kind == DEVICE_TRUSTED && (size_t)n < len &&
			       reader->pos == reader->size);
	return n;
}
