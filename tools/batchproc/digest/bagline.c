/* SPDX-License-Identifier: MIT */
/*
 * bagline: the lines of bags. See bagline.h.
 */
#include <string.h>

#include "base/chars.h"
#include "digest/bagline.h"

enum sumline_kind bagline_parse(struct sumline *line, const struct digest_alg *alg, char *text,
				size_t len)
{
	char *end = text + len, *at = text;

	*line = (struct sumline){.tagged = true, .alg = alg};
	while (at < end && !is_blank(*at))
		at++;
	if ((size_t)(at - text) != 2 * alg->size || !sumline_unhex(line->digest, text, alg->size))
		return SUMLINE_NONE;
	text = at;
	while (at < end && is_blank(*at))
		at++;
	/* As md5sum marks binary files, behind one blank. */
	if (at - text == 1 && at + 1 < end && *at == '*')
		at++;
	if (at == text || at == end || memchr(at, '\0', (size_t)(end - at)))
		return SUMLINE_NONE;
	line->name = at;
	line->len = (size_t)(end - at);
	return SUMLINE_ENTRY;
}

/* Passes over a word and the blanks behind it; false where either is missing. */
static bool pass_word(const char **at, const char *end)
{
	const char *from = *at, *blank;

	while (*at < end && !is_blank(**at))
		++*at;
	blank = *at;
	while (*at < end && is_blank(**at))
		++*at;
	return blank > from && *at > blank && *at < end;
}

bool bagline_fetch(const char **name, size_t *name_len, const char *text, size_t len)
{
	const char *at = text, *end = text + len;

	if (!pass_word(&at, end) || !pass_word(&at, end) || memchr(at, '\0', (size_t)(end - at)))
		return false;
	*name = at;
	*name_len = (size_t)(end - at);
	return true;
}

/* The three that have a meaning; 0: it is none of them. */
static char escaped(const char *name, size_t len)
{
	int c;

	if (len < 3 || name[0] != '%' || hex_value(name[1]) < 0 || hex_value(name[2]) < 0)
		return '\0';
	c = hex_value(name[1]) << 4 | hex_value(name[2]);
	return c == '\n' || c == '\r' || c == '%' ? (char)c : '\0';
}

bool bagline_decode(struct buf *buf, const char *name, size_t len)
{
	bool found = false;

	for (size_t i = 0; i < len; i++) {
		char c = escaped(name + i, len - i);

		buf_char(buf, c ? c : name[i]);
		if (c) {
			found = true;
			i += 2;
		}
	}
	return found;
}

bool bagline_is_inside(const char *name, size_t len, bool payload)
{
	static const char data[] = "data/";
	size_t from = 0;

	while (len > 1 && name[0] == '.' && name[1] == '/') {
		name += 2;
		len -= 2;
	}
	if (!len || *name == '/' || *name == '~')
		return false;
	if (payload != (len > strlen(data) && !memcmp(name, data, strlen(data))))
		return false;
	for (size_t i = 0; i <= len; i++) {
		if (i < len && name[i] != '/')
			continue;
		if (i - from == 2 && name[from] == '.' && name[from + 1] == '.')
			return false;
		from = i + 1;
	}
	return true;
}

void bagline_add(struct buf *buf, const struct digest_alg *alg, const unsigned char *digest,
		 const char *name, size_t len)
{
	buf_hex(buf, digest, alg->size);
	buf_str(buf, "  ");
	for (size_t i = 0; i < len; i++) {
		if (name[i] == '\n' || name[i] == '\r' || name[i] == '%')
			buf_printf(buf, "%%%02X", (unsigned int)name[i]);
		else
			buf_char(buf, name[i]);
	}
	buf_char(buf, '\n');
}

void bagline_add_name(struct buf *buf, const struct digest_alg *alg)
{
	for (const char *at = alg->name; *at; at++)
		if (*at != '-')
			buf_char(buf, *at);
}
