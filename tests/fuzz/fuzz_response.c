/* SPDX-License-Identifier: MIT */
/*
 * fuzz_response: what is read of a response is the same in whatever pieces it comes; and what
 * values of its headers are taken for makes sense.
 *
 * The first byte says whether it answers a HEAD, and how large the pieces are.
 *
 * fuzzes: tools/batchproc/net/head.c tools/batchproc/net/parser.c tools/batchproc/net/chunked.c
 * fuzzes: tools/batchproc/net/fields.c tools/batchproc/net/url.c tools/batchproc/base/buf.c
 */
#include <string.h>

#include "fuzz.h"
#include "net/chunked.h"
#include "net/fields.h"
#include "net/head.h"

static size_t find_end(const char *text, size_t len, size_t step)
{
	size_t at = 0, found = 0;

	for (size_t end = 0; end < len && !found;) {
		end = len - end < step ? len : end + step;
		found = head_length(text, end, &at);
		must(found <= end);
	}
	return found;
}

static enum chunk_found unchunk(const char *text, size_t len, size_t step, struct buf *out)
{
	enum chunk_found found = CHUNK_MORE;
	struct chunked chunked = {0};
	size_t piece;

	for (size_t at = 0; at < len && found == CHUNK_MORE; at += step) {
		const char *data = text + at;
		const char *end = len - at < step ? text + len : data + step;

		while ((found = chunked_next(&chunked, &data, end, &piece)) == CHUNK_DATA) {
			must(piece && data <= end);
			buf_add(out, data - piece, piece);
		}
	}
	return found;
}

static void check_chunks(const char *text, size_t len, size_t step)
{
	struct buf whole = {0}, pieces = {0};

	must(unchunk(text, len, len + 1, &whole) == unchunk(text, len, step, &pieces));
	must(whole.len == pieces.len && whole.len <= len);
	must(!whole.len || !memcmp(whole.data, pieces.data, whole.len));
	buf_free(&whole);
	buf_free(&pieces);
}

static void check_values(const struct head *head)
{
	const char *value = head_value(head, "Date");
	struct content_range range;
	struct buf buf = {0};
	int64_t date, again;
	uint64_t ns;

	if (value && http_date_parse(value, &date)) {
		http_date_add(&buf, date);
		buf_char(&buf, '\0');
		must(http_date_parse(buf.data, &again) && again == date);
		must(retry_after_parse(value, date, &ns) && !ns);
	}
	value = head_value(head, "Content-Range");
	if (value && content_range_parse(value, &range) && !range.unsatisfied)
		must(range.first <= range.last && range.last < range.total);
	value = head_value(head, "ETag");
	if (value && etag_is_strong(value))
		must(etag_is_valid(value) && etag_matches(value, value));
	value = head_value(head, "Content-Disposition");
	buf.len = 0;
	if (value && disposition_name(value, &buf))
		must(buf.len <= strlen(value));
	buf_free(&buf);
}

int fuzz_response(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data + 1;
	struct head head = {0};
	size_t len, step;

	if (!size)
		return 0;
	step = (size_t)(data[0] >> 1) + 1;
	size--;
	len = find_end(text, size, step);
	must(len == find_end(text, size, size + 1));
	if (len && !head_read(&head, text, len, data[0] & 1)) {
		must(head.status >= 100 && head.status <= 999 && head.count <= HEAD_COUNT_MAX);
		must(!(data[0] & 1) || head.body == BODY_NONE);
		must(head.body != BODY_TO_END || !head.keep);
		if (head.body == BODY_CHUNKED)
			check_chunks(text + len, size - len, step);
		check_values(&head);
	}
	head_free(&head);
	return 0;
}
