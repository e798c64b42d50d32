/* SPDX-License-Identifier: MIT */
/*
 * test_decode - what servers send as gzip and deflate is what it was, in pieces of whatever size; what
 * is damaged, cut short, longer, or encoded otherwise is not taken
 */
#include <errno.h>
#include <string.h>
#include <zlib.h>

#include "support/harness.h"
#include "base/buf.h"
#include "net/decode.h"
#include "net/head.h"

#define CONTENT 200000u

static int keep(void *arg, const char *data, size_t len)
{
	buf_add(arg, data, len);
	return 0;
}

static int refuse(void *arg, const char *data, size_t len)
{
	(void)arg;
	(void)data;
	(void)len;
	return -EFBIG;
}

/* @bits as deflateInit2() has them: 31 gzip, 15 zlib's header, -15 none. */
static void compress_text(struct buf *to, const struct buf *text, int bits)
{
	z_stream stream = {.next_in = (Bytef *)text->data, .avail_in = (uInt)text->len};

	assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
	buf_room(to, deflateBound(&stream, (uLong)text->len));
	stream.next_out = (Bytef *)to->data;
	stream.avail_out = (uInt)deflateBound(&stream, (uLong)text->len);
	assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
	to->len = stream.total_out;
	deflateEnd(&stream);
}

static void make_text(struct buf *text)
{
	for (unsigned int i = 0; text->len < CONTENT; i++)
		buf_printf(text, "%u is %u\n", i, i * 2654435761u);
}

static struct decoder *begin(const char *encoding, const char **why, int expected)
{
	struct buf text = {0};
	struct head head = {0};
	struct decoder *decoder;

	buf_printf(&text, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n%s%s\r\n\r\n",
		   encoding ? "Content-Encoding: " : "X: ", encoding ? encoding : "y");
	assert_null(head_read(&head, text.data, text.len, false));
	assert_int_equal(decoder_begin(&decoder, &head, why), expected);
	head_free(&head);
	buf_free(&text);
	return decoder;
}

/* In pieces of @size bytes. */
static int take(struct decoder *decoder, const struct buf *body, size_t size, struct buf *got,
		const char **why)
{
	int err = 0;

	for (size_t at = 0; at < body->len && !err; at += size)
		err = decoder_take(decoder, body->data + at,
				   body->len - at < size ? body->len - at : size, keep, got, why);
	return err;
}

static void every_form_in_every_size_of_pieces(struct test *t)
{
	static const struct {
		const char *encoding;
		int bits;
	} forms[] = {{"gzip", 31}, {"X-GZIP", 31}, {"deflate", 15}, {"Deflate", -15}};
	static const size_t sizes[] = {1, 2, 3, 11, 1000, 65536, CONTENT};
	struct buf text = {0};

	(void)t;
	make_text(&text);
	for (size_t i = 0; i < COUNT_OF(forms); i++) {
		struct buf body = {0};

		compress_text(&body, &text, forms[i].bits);
		for (size_t j = 0; j < COUNT_OF(sizes); j++) {
			const char *why = NULL;
			struct decoder *decoder = begin(forms[i].encoding, &why, 0);
			struct buf got = {0};

			assert_non_null(decoder);
			assert_int_equal(take(decoder, &body, sizes[j], &got, &why), 0);
			expect(decoder_ended(decoder) && !why);
			expect(got.len == text.len && !memcmp(got.data, text.data, text.len));
			decoder_free(decoder);
			buf_free(&got);
		}
		buf_free(&body);
	}
	buf_free(&text);
}

/* Where the output's memory is just full when the last byte comes, the end is still within that. */
static void an_end_behind_full_memory_is_seen(struct test *t)
{
	static const int forms[] = {31, 15, -15};
	struct buf text = {0};

	(void)t;
	memset(buf_room(&text, 2 * 65536 + 300), 'x', 2 * 65536 + 300);
	for (size_t i = 0; i < COUNT_OF(forms); i++) {
		for (size_t len = 65536 - 300; len < 2 * 65536 + 300;
		     len += len == 65536 + 300 ? 65536 - 600 : 1) {
			const char *why = NULL, *name = forms[i] == 31 ? "gzip" : "deflate";
			struct decoder *decoder = begin(name, &why, 0);
			struct buf body = {0}, got = {0};

			text.len = len;
			compress_text(&body, &text, forms[i]);
			assert_int_equal(take(decoder, &body, 1000, &got, &why), 0);
			expect(decoder_ended(decoder) && got.len == len);
			decoder_free(decoder);
			buf_free(&body);
			buf_free(&got);
		}
	}
	buf_free(&text);
}

static void what_is_not_whole_is_not_taken(struct test *t)
{
	struct buf text = {0}, body = {0}, got = {0};
	const char *why = NULL;
	struct decoder *decoder;

	(void)t;
	make_text(&text);
	compress_text(&body, &text, 31);
	/* Cut. */
	body.len--;
	decoder = begin("gzip", &why, 0);
	assert_int_equal(take(decoder, &body, 4096, &got, &why), 0);
	expect(!decoder_ended(decoder));
	decoder_free(decoder);
	/* With more behind it. */
	body.len++;
	buf_str(&body, "more");
	decoder = begin("gzip", &why, 0);
	assert_int_equal(take(decoder, &body, 4096, &got, &why), -EBADMSG);
	assert_string_equal(why, "something follows the compressed body");
	decoder_free(decoder);
	/* Damaged in the middle, and from the first byte on. */
	body.data[body.len / 2] ^= 0x55;
	decoder = begin("gzip", &why, 0);
	assert_int_equal(take(decoder, &body, 4096, &got, &why), -EBADMSG);
	assert_string_equal(why, "the compressed body is damaged");
	decoder_free(decoder);
	decoder = begin("gzip", &why, 0);
	assert_int_equal(take(decoder, &text, 4096, &got, &why), -EBADMSG);
	decoder_free(decoder);
	decoder = begin("deflate", &why, 0);
	got.len = 0;
	assert_int_equal(take(decoder, &text, 4096, &got, &why), -EBADMSG);
	decoder_free(decoder);
	/* Bare deflate is no gzip, and what is damaged behind a header has not been bare all along. */
	got.len = body.len = 0;
	compress_text(&body, &text, -15);
	decoder = begin("gzip", &why, 0);
	assert_int_equal(take(decoder, &body, 4096, &got, &why), -EBADMSG);
	expect(!got.len);
	decoder_free(decoder);
	body.len = 0;
	compress_text(&body, &text, 31);
	/* Its taker has enough. */
	decoder = begin("gzip", &why, 0);
	assert_int_equal(decoder_take(decoder, body.data, 1000, refuse, NULL, &why), -EFBIG);
	decoder_free(decoder);
	buf_free(&text);
	buf_free(&body);
	buf_free(&got);
}

static void other_encodings_are_none_or_refused(struct test *t)
{
	static const char *const others[] = {"br",
					     "zstd",
					     "gzip, br",
					     "compress",
					     "",
					     "gzip\r\nContent-Encoding: gzip",
					     "identity\r\nContent-Encoding: br"};
	const char *why = NULL;

	(void)t;
	assert_null(begin(NULL, &why, 0));
	assert_null(begin("identity", &why, 0));
	assert_null(why);
	for (size_t i = 0; i < COUNT_OF(others); i++) {
		why = NULL;
		assert_null(begin(others[i], &why, -EPROTO));
		assert_string_equal(why, "the body is encoded in a way that was not asked for");
	}
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		ONCE(every_form_in_every_size_of_pieces),
		ONCE(an_end_behind_full_memory_is_seen),
		ONCE(what_is_not_whole_is_not_taken),
		ONCE(other_encodings_are_none_or_refused),
	};

	return RUN_CASES(argc, argv, cases);
}
