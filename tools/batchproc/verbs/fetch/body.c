/* SPDX-License-Identifier: MIT */
/*
 * body: the body's way into the file, to standard output or nowhere; what was asked for compressed
 * is decompressed on the way.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/alloc.h"
#include "batchproc.h"
#include "run/job.h"
#include "run/steer.h"
#include "verbs/fetch/fetch.h"

#define INFLATE_BYTES 65536u

struct inflater {
	z_stream stream;
	bool ended; /* the compressed stream has */
	bool raw; /* deflate without zlib's header, as some send it */
	unsigned char out[INFLATE_BYTES];
};

static int write_stdout(struct body *b, const char *data, size_t len)
{
	struct fetch_item *own = item_priv(b->item);

	own->written = true;
	while (len) {
		ssize_t n = bp_write(STDOUT_FILENO, data, len, -1);

		if (n == -EINTR || n == -EAGAIN)
			continue;
		if (n < 0) {
			if (n != -ECANCELED && n != -ETIMEDOUT)
				steer_trouble(b->item->job, "cannot write standard output", (int)n);
			return (int)n;
		}
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Content, decompressed. */
static int put(struct body *b, const char *data, size_t len)
{
	uint64_t most = b->set->max_size;

	if (b->at > most || len > most - b->at) {
		b->item->why = "is larger than --max-size allows";
		return -EFBIG;
	}
	if (b->digest)
		digest_update(b->digest, data, len);
	b->item->bytes += len;
	if (b->set->to_stdout) {
		int err = write_stdout(b, data, len);

		if (err)
			return err;
	}
	for (size_t done = 0; b->place && done < len;) {
		ssize_t n = bp_write(b->place->fd, data + done, len - done, (off_t)(b->at + done));

		if (n < 0)
			return (int)n;
		done += (size_t)n;
	}
	b->at += len;
	return 0;
}

static int put_compressed(struct body *b, const char *data, size_t len)
{
	struct inflater *i = b->inflater;
	int state, err;

	i->stream.next_in = (Bytef *)data;
	i->stream.avail_in = (uInt)len;
	while (i->stream.avail_in && !i->ended) {
		i->stream.next_out = i->out;
		i->stream.avail_out = sizeof(i->out);
		state = inflate(&i->stream, Z_NO_FLUSH);
		if (state == Z_DATA_ERROR && !i->raw && !i->stream.total_out) {
			/* Its first bytes are still there: few servers send less than ten. */
			i->raw = true;
			inflateReset2(&i->stream, -15);
			i->stream.next_in = (Bytef *)data;
			i->stream.avail_in = (uInt)len;
			continue;
		}
		if (state != Z_OK && state != Z_STREAM_END && state != Z_BUF_ERROR) {
			b->item->why = "the compressed body is damaged";
			return -EBADMSG;
		}
		i->ended = state == Z_STREAM_END;
		err = put(b, (char *)i->out, sizeof(i->out) - i->stream.avail_out);
		if (err)
			return err;
	}
	if (i->stream.avail_in) {
		b->item->why = "something follows the compressed body";
		return -EBADMSG;
	}
	return 0;
}

static int begin(struct body *b)
{
	const char *encoding = head_value(&b->x->head, "Content-Encoding");

	/* Nothing is decoded that was not asked for: some label a .tar.gz so. */
	if (!b->set->compressed || !encoding || !strcasecmp(encoding, "identity"))
		return 0;
	if (strcasecmp(encoding, "gzip") && strcasecmp(encoding, "x-gzip") &&
	    strcasecmp(encoding, "deflate")) {
		b->item->why = "the body is encoded in a way that was not asked for";
		return -EPROTO;
	}
	b->inflater = xcalloc(1, sizeof(*b->inflater));
	if (inflateInit2(&b->inflater->stream, 15 + 32) != Z_OK) {
		free(b->inflater);
		b->inflater = NULL;
		return -ENOMEM;
	}
	return 0;
}

static int end(struct body *b, int err)
{
	struct inflater *i = b->inflater;

	if (!i)
		return err;
	if (!err && !i->ended && b->x->received) {
		b->item->why = "the compressed body was cut short";
		err = -EBADMSG;
	}
	inflateEnd(&i->stream);
	free(i);
	b->inflater = NULL;
	return err;
}

int body_move(struct body *b)
{
	const char *piece;
	ssize_t n;
	int err = begin(b);

	while (!err && (n = exchange_body(b->x, &piece)) != 0) {
		if (n < 0) {
			b->item->why = b->x->why;
			err = (int)n;
			break;
		}
		atomic_fetch_add_explicit(&b->item->job->moved, (uint64_t)n, memory_order_relaxed);
		err = b->inflater ? put_compressed(b, piece, (size_t)n) : put(b, piece, (size_t)n);
	}
	return end(b, err);
}

int body_peek(struct body *b, const char **data, size_t *len)
{
	const char *piece = "";
	ssize_t n;

	if (b->set->compressed || b->x->head.body == BODY_CHUNKED || !exchange_is_whole(b->x))
		return -EAGAIN;
	n = exchange_body(b->x, &piece);
	if (n < 0)
		return (int)n;
	*data = piece;
	*len = (size_t)n;
	if (b->digest)
		digest_update(b->digest, piece, *len);
	b->item->bytes += *len;
	b->at += *len;
	atomic_fetch_add_explicit(&b->item->job->moved, *len, memory_order_relaxed);
	return 0;
}
