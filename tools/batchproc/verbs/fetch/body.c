/* SPDX-License-Identifier: MIT */
/*
 * body: the body's way into the file, to standard output or nowhere; what was asked for compressed
 * is decompressed on the way.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "batchproc.h"
#include "net/decode.h"
#include "run/job.h"
#include "run/steer.h"
#include "verbs/fetch/fetch.h"

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

static int put_decoded(void *arg, const char *data, size_t len)
{
	return put(arg, data, len);
}

static int end(struct body *b, int err)
{
	/* A response without a body has no content to be cut. */
	if (!err && b->decoder && !decoder_ended(b->decoder) && b->x->received) {
		b->item->why = "the compressed body was cut short";
		err = -EBADMSG;
	}
	decoder_free(b->decoder);
	b->decoder = NULL;
	return err;
}

int body_move(struct body *b)
{
	const char *piece;
	ssize_t n;
	int err = 0;

	/* Nothing is decoded that was not asked for: some label a .tar.gz so. */
	if (b->set->compressed)
		err = decoder_begin(&b->decoder, &b->x->head, &b->item->why);

	while (!err && (n = exchange_body(b->x, &piece)) != 0) {
		if (n < 0) {
			b->item->why = b->x->why;
			err = (int)n;
			break;
		}
		atomic_fetch_add_explicit(&b->item->job->moved, (uint64_t)n, memory_order_relaxed);
		err = b->decoder ? decoder_take(b->decoder, piece, (size_t)n, put_decoded, b,
						&b->item->why) :
				   put(b, piece, (size_t)n);
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
