/* SPDX-License-Identifier: MIT */
/*
 * journal_file: the lines of a journal, written and read. Pure functions on bytes, from any thread.
 */
#include <string.h>
#include <xxhash.h>

#include "base/buf.h"
#include "journal/file.h"

#define SUM_DIGITS 16u

static const char ended[] = "ended";

static const char digits[] = "0123456789abcdef";

/* ---- writing */

static bool has_special(const char *text, size_t len)
{
	return len &&
	       (memchr(text, '\t', len) || memchr(text, '\n', len) || memchr(text, '\\', len));
}

void journal_escape(struct buf *buf, const char *text, size_t len)
{
	char *start, *to;

	if (!has_special(text, len)) {
		buf_add(buf, text, len);
		return;
	}
	/* Each byte may become two. */
	start = to = buf_room(buf, 2 * len);
	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (c == '\t' || c == '\n' || c == '\\') {
			*to++ = '\\';
			c = c == '\t' ? 't' : c == '\n' ? 'n' : '\\';
		}
		*to++ = c;
	}
	buf->len += (size_t)(to - start);
}

void journal_escape_from(struct buf *buf, size_t from)
{
	struct buf text = {0};

	if (buf->len == from || !has_special(buf->data + from, buf->len - from))
		return;
	buf_add(&text, buf->data + from, buf->len - from);
	buf->len = from;
	journal_escape(buf, text.data, text.len);
	buf_free(&text);
}

void journal_stamp(struct buf *buf, uint64_t size, int64_t sec, uint32_t nsec)
{
	char fraction[10] = ".";

	buf_u64(buf, size);
	buf_char(buf, '\t');
	if (sec < 0)
		buf_char(buf, '-');
	buf_u64(buf, sec < 0 ? -(uint64_t)sec : (uint64_t)sec);
	for (size_t i = 9; i; i--, nsec /= 10)
		fraction[i] = digits[nsec % 10];
	buf_add(buf, fraction, sizeof(fraction));
}

static void put_sum(char *to, const char *data, size_t len)
{
	XXH64_hash_t sum = XXH3_64bits(data, len);

	for (size_t i = SUM_DIGITS; i; i--, sum >>= 4)
		to[i - 1] = digits[sum & 15];
}

void journal_seal(struct buf *buf, size_t from)
{
	char *end = buf_room(buf, SUM_DIGITS + 2);

	end[0] = '\t';
	put_sum(end + 1, buf->data + from, buf->len - from);
	end[SUM_DIGITS + 1] = '\n';
	buf->len += SUM_DIGITS + 2;
}

void journal_header(struct buf *buf, const char *command, struct span options)
{
	size_t from = buf->len;

	buf_str(buf, JOURNAL_MAGIC "\t" JOURNAL_VERSION "\t");
	buf_str(buf, command);
	buf_char(buf, '\t');
	buf_add(buf, options.data, options.len);
	journal_seal(buf, from);
}

void journal_end(struct buf *buf)
{
	size_t from = buf->len;

	buf_str(buf, ended);
	journal_seal(buf, from);
}

uint64_t journal_key_hash(struct span key)
{
	return XXH3_64bits(key.data, key.len);
}

/* ---- reading */

/* Cuts the field before the next tab off @rest. False: there is no tab. */
static bool cut_field(struct span *rest, struct span *field)
{
	const char *tab = rest->len ? memchr(rest->data, '\t', rest->len) : NULL;

	if (!tab)
		return false;
	*field = (struct span){rest->data, (size_t)(tab - rest->data)};
	rest->len -= field->len + 1;
	rest->data = tab + 1;
	return true;
}

static enum journal_kind parse_header(struct journal_line *line, struct span rest)
{
	struct span version;

	if (!cut_field(&rest, &version))
		return JOURNAL_DAMAGED;
	if (!span_is(version, JOURNAL_VERSION))
		return JOURNAL_FOREIGN;
	if (!cut_field(&rest, &line->command) || memchr(rest.data, '\t', rest.len))
		return JOURNAL_DAMAGED;
	line->options = rest;
	return JOURNAL_HEADER;
}

static enum journal_kind parse_item(struct journal_line *line, struct span status, struct span rest)
{
	struct span size, mtime;

	line->ok = span_is(status, "ok");
	if (!line->ok && !span_is(status, "failed"))
		return JOURNAL_DAMAGED;
	if (!cut_field(&rest, &size) || !cut_field(&rest, &mtime) ||
	    !cut_field(&rest, &line->result))
		return JOURNAL_DAMAGED;
	line->stamp = (struct span){size.data, size.len + 1 + mtime.len};
	line->key = rest;
	return JOURNAL_ITEM;
}

enum journal_kind journal_parse(struct journal_line *line, const char *data, size_t len)
{
	struct span rest, first;
	char sum[SUM_DIGITS];

	*line = (struct journal_line){.kind = JOURNAL_DAMAGED};
	if (len <= SUM_DIGITS || len >= JOURNAL_LINE_MOST || data[len - SUM_DIGITS - 1] != '\t')
		return line->kind;
	rest = (struct span){data, len - SUM_DIGITS - 1};
	put_sum(sum, rest.data, rest.len);
	if (memcmp(sum, data + len - SUM_DIGITS, SUM_DIGITS))
		return line->kind;
	if (span_is(rest, ended))
		line->kind = JOURNAL_END;
	if (!cut_field(&rest, &first))
		return line->kind;
	line->kind = span_is(first, JOURNAL_MAGIC) ? parse_header(line, rest) :
						     parse_item(line, first, rest);
	return line->kind;
}

bool journal_stamp_size(struct span stamp, uint64_t *size)
{
	size_t i = 0;

	*size = 0;
	for (; i < stamp.len && stamp.data[i] >= '0' && stamp.data[i] <= '9'; i++)
		*size = *size * 10 + (uint64_t)(stamp.data[i] - '0');
	return i && i < stamp.len && stamp.data[i] == '\t';
}

bool journal_unescape(struct buf *buf, struct span field)
{
	for (size_t i = 0; i < field.len; i++) {
		char c = field.data[i];

		if (c == '\\') {
			c = ++i < field.len ? field.data[i] : '\0';
			if (c != 't' && c != 'n' && c != '\\')
				return false;
			c = c == 't' ? '\t' : c == 'n' ? '\n' : '\\';
		}
		buf_char(buf, c);
	}
	return true;
}
