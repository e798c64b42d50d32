/* SPDX-License-Identifier: MIT */
#include "net/decode.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/alloc.h"
#include "net/head.h"

#define DECODED_BYTES 65536u

struct decoder {
	z_stream stream;
	bool ended; /* the compressed stream has */
	bool may_be_raw; /* deflate without zlib's header, as some send it */
	bool raw; /* it is */
	unsigned char first; /* byte, where the first piece had no more: a header is of two */
	unsigned char out[DECODED_BYTES];
};

int decoder_begin(struct decoder **decoder, const struct head *head, const char **why)
{
	const char *encoding = head_value(head, "Content-Encoding");

	*decoder = NULL;
	if (!encoding)
		return 0;
	/* Several lines are one list, of encodings one above the other. */
	if (head_count(head, "Content-Encoding") > 1)
		encoding = "several";
	if (!strcasecmp(encoding, "identity"))
		return 0;
	if (strcasecmp(encoding, "gzip") && strcasecmp(encoding, "x-gzip") &&
	    strcasecmp(encoding, "deflate")) {
		*why = "the body is encoded in a way that was not asked for";
		return -EPROTO;
	}
	*decoder = xcalloc(1, sizeof(**decoder));
	(*decoder)->may_be_raw = !strcasecmp(encoding, "deflate");
	if (inflateInit2(&(*decoder)->stream, 15 + 32) == Z_OK)
		return 0;
	free(*decoder);
	*decoder = NULL;
	return -ENOMEM;
}

/* From here on without a header; what was taken for one is content. */
static void go_raw(struct decoder *d, const char *data, size_t len, bool had_first)
{
	d->raw = true;
	inflateReset2(&d->stream, -15);
	if (had_first) {
		d->stream.next_in = &d->first;
		d->stream.avail_in = 1;
		d->stream.next_out = d->out;
		d->stream.avail_out = sizeof(d->out);
		inflate(&d->stream, Z_NO_FLUSH);
	}
	d->stream.next_in = (Bytef *)data;
	d->stream.avail_in = (uInt)len;
}

int decoder_take(struct decoder *d, const char *data, size_t len, decoder_put *put, void *arg,
		 const char **why)
{
	const bool is_begin = d->stream.total_in <= 1, had_first = d->stream.total_in == 1;
	int state, err;
	bool full;

	if (!d->stream.total_in && len == 1)
		d->first = (unsigned char)*data;
	d->stream.next_in = (Bytef *)data;
	d->stream.avail_in = (uInt)len;
	/* With @out full there may be more to come of what was taken in, the end too. */
	for (full = false; (d->stream.avail_in || full) && !d->ended; full = !d->stream.avail_out) {
		d->stream.next_out = d->out;
		d->stream.avail_out = sizeof(d->out);
		state = inflate(&d->stream, Z_NO_FLUSH);
		if (state == Z_DATA_ERROR && is_begin && d->may_be_raw && !d->raw &&
		    !d->stream.total_out) {
			go_raw(d, data, len, had_first);
			continue;
		}
		if (state != Z_OK && state != Z_STREAM_END && state != Z_BUF_ERROR) {
			*why = "the compressed body is damaged";
			return -EBADMSG;
		}
		d->ended = state == Z_STREAM_END;
		err = put(arg, (char *)d->out, sizeof(d->out) - d->stream.avail_out);
		if (err)
			return err;
	}
	if (d->stream.avail_in) {
		*why = "something follows the compressed body";
		return -EBADMSG;
	}
	return 0;
}

bool decoder_ended(const struct decoder *decoder)
{
	return decoder->ended;
}

void decoder_free(struct decoder *decoder)
{
	if (!decoder)
		return;
	inflateEnd(&decoder->stream);
	free(decoder);
}
