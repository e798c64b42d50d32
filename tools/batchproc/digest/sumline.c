/* SPDX-License-Identifier: MIT */
/*
 * sumline: the lines of sha256sum and its relatives, written and read. Pure functions; the forms
 * are those of coreutils 9, and for the tags of xxHash those of xxhsum.
 */
#include <string.h>

#include "base/buf.h"
#include "digest/sumline.h"
#include "base/chars.h"

static void add_escaped(struct buf *buf, const char *name, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (name[i] == '\n')
			buf_str(buf, "\\n");
		else if (name[i] == '\r')
			buf_str(buf, "\\r");
		else if (name[i] == '\\')
			buf_str(buf, "\\\\");
		else
			buf_char(buf, name[i]);
	}
}

static bool wants_escape(const char *name, size_t len)
{
	return memchr(name, '\\', len) || memchr(name, '\n', len) || memchr(name, '\r', len);
}

void sumline_add(struct buf *buf, const struct digest_alg *alg, const unsigned char *digest,
		 const char *name, size_t len, bool tag, bool zero)
{
	bool escape = !zero && wants_escape(name, len);

	if (escape)
		buf_char(buf, '\\');
	if (tag) {
		buf_str(buf, alg->tag);
		buf_str(buf, " (");
	} else {
		buf_hex(buf, digest, alg->size);
		buf_str(buf, "  ");
	}
	if (escape)
		add_escaped(buf, name, len);
	else
		buf_add(buf, name, len);
	if (tag) {
		buf_str(buf, ") = ");
		buf_hex(buf, digest, alg->size);
	}
	buf_char(buf, zero ? '\0' : '\n');
}

/* ---- reading */

static size_t hex_length(const char *text, const char *end)
{
	const char *at = text;

	while (at < end && hex_value(*at) >= 0)
		at++;
	return (size_t)(at - text);
}

static bool unhex(unsigned char *bytes, const char *hex, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int high = hex_value(hex[2 * i]), low = hex_value(hex[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		bytes[i] = (unsigned char)(high << 4 | low);
	}
	return true;
}

/* SHA256 (NAME) = DIGEST; OpenSSL leaves the blanks before the bracket and the sign out. */
static bool parse_tagged(struct sumline *line, char *text, char *end)
{
	char *open = memchr(text, '(', (size_t)(end - text));
	char *close, *at;
	size_t tag;

	if (!open || open == text)
		return false;
	tag = (size_t)(open - text) - (open[-1] == ' ');
	line->alg = digest_by_tag(text, tag);
	close = memrchr(open, ')', (size_t)(end - open));
	if (!line->alg || !close)
		return false;

	line->name = open + 1;
	line->len = (size_t)(close - line->name);
	for (at = close + 1; at < end && is_blank(*at); at++)
		;
	if (at == end || *at++ != '=')
		return false;
	while (at < end && is_blank(*at))
		at++;
	return (size_t)(end - at) == 2 * line->alg->size &&
	       unhex(line->digest, at, line->alg->size);
}

/* DIGEST, a blank, then a blank or an asterisk, NAME. */
static bool parse_plain(struct sumline *line, const struct digest_alg *forced, char *text,
			char *end)
{
	static const char xxh3[] = "XXH3_"; /* newer xxhsum tells it from XXH64 so */
	const struct digest_alg *named = NULL;
	size_t digits;

	if ((size_t)(end - text) > sizeof(xxh3) && !memcmp(text, xxh3, sizeof(xxh3) - 1)) {
		text += sizeof(xxh3) - 1;
		named = digest_by_name("xxh3");
	}
	digits = hex_length(text, end);
	line->alg = forced ? forced : digest_by_length(digits);
	if (!line->alg || digits != 2 * line->alg->size || (named && line->alg != named))
		return false;
	unhex(line->digest, text, line->alg->size);
	text += digits;
	if (text == end || !is_blank(*text++))
		return false;
	if (text < end && (*text == ' ' || *text == '*'))
		text++;
	line->name = text;
	line->len = (size_t)(end - text);
	return true;
}

/* In place; false where a backslash is followed by what it never is. */
static bool unescape(char *name, size_t *len)
{
	size_t to = 0;

	for (size_t i = 0; i < *len; i++) {
		char c = name[i];

		if (c == '\\') {
			if (++i == *len)
				return false;
			if (name[i] == 'n')
				c = '\n';
			else if (name[i] == 'r')
				c = '\r';
			else if (name[i] != '\\')
				return false;
		}
		name[to++] = c;
	}
	*len = to;
	return true;
}

bool sumline_parse(struct sumline *line, const struct digest_alg *forced, char *text, size_t len,
		   bool zero)
{
	char *end = text + len;
	bool escaped;

	while (text < end && is_blank(*text))
		text++;
	escaped = !zero && text < end && *text == '\\';
	text += escaped;
	if (memchr(text, '\0', (size_t)(end - text)))
		return false;
	if (!parse_tagged(line, text, end) && !parse_plain(line, forced, text, end))
		return false;
	if (forced && line->alg != forced)
		return false;
	if (escaped && !unescape(line->name, &line->len))
		return false;
	return line->len > 0;
}

/* ---- parts of something else */

void sumfield_add(struct buf *buf, const struct digest_alg *alg, const unsigned char *digest)
{
	buf_str(buf, alg->name);
	buf_char(buf, ':');
	buf_hex(buf, digest, alg->size);
}

bool sumfield_parse(unsigned char *digest, const struct digest_alg *alg, const char *text,
		    size_t len)
{
	size_t name = strlen(alg->name);

	return len == name + 1 + 2 * alg->size && !memcmp(text, alg->name, name) &&
	       text[name] == ':' && unhex(digest, text + name + 1, alg->size);
}
