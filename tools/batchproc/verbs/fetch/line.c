/* SPDX-License-Identifier: MIT */
/*
 * line: a line of a list: URL, URL TAB path, URL TAB path TAB ALG:HEX.
 */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "digest/sumline.h"
#include "verbs/fetch/fetch.h"

const char *path_check(const char *path)
{
	if (*path == '/')
		return "the path is absolute";
	for (const char *at = path; at; at = strchr(at, '/')) {
		size_t len;

		at += *at == '/';
		len = strcspn(at, "/");
		if (!len)
			return "the path has an empty step";
		if ((len == 1 && at[0] == '.') || (len == 2 && at[0] == '.' && at[1] == '.'))
			return "the path has a step of dots";
		if (len > NAME_MAX)
			return "the path has a step that is too long";
	}
	return NULL;
}

/* sha256:2cf24d... */
static const char *take_digest(struct fetch_item *own, const char *text)
{
	size_t len = strcspn(text, ":");
	char name[16];

	if (len >= sizeof(name))
		return "the digest is not ALGORITHM:HEXADECIMAL";
	memcpy(name, text, len);
	name[len] = '\0';
	own->alg = digest_by_name(name);
	if (!own->alg || !sumfield_parse(own->expected, own->alg, text, strlen(text))) {
		own->alg = NULL;
		return "the digest is not ALGORITHM:HEXADECIMAL";
	}
	return digest_setup(own->alg) ? digest_lacks(own->alg) : NULL;
}

/* Mirrors are separated by what cannot stand in an URL. One alone is taken to pieces in *@only. */
static const char *add_shown(struct buf *name, const char *text, size_t len, bool *secret,
			     struct url *only)
{
	const char *start = text, *end = text + len, *bar, *wrong = NULL, *one;
	size_t before = name->len;

	if (!memchr(text, '|', len))
		return url_shown(name, text, len, secret, only);
	for (;; text = bar + 1) {
		bar = memchr(text, '|', (size_t)(end - text));
		one = url_shown(name, text, (size_t)((bar ? bar : end) - text), secret, NULL);
		wrong = wrong ? wrong : one;
		if (!bar)
			break;
		buf_char(name, '|');
	}
	/* It may have stood in a password. */
	if (wrong) {
		name->len = before;
		url_shown(name, start, len, secret, NULL);
	}
	return wrong;
}

const char *line_parse(struct fetch_item *own, const char *line, size_t len, struct buf *name)
{
	const char *tab = memchr(line, '\t', len), *end = line + len;
	const char *wrong, *path_wrong = NULL;
	bool secret = false;
	char *text;

	wrong = add_shown(name, line, tab ? (size_t)(tab - line) : len, &secret, &own->url);
	if (tab || secret)
		own->line = xstrdup(line);
	if (!tab)
		return wrong;
	text = xstrdup(tab + 1);
	tab = memchr(tab + 1, '\t', (size_t)(end - tab - 1));
	own->path = text;
	if (tab) {
		text[strcspn(text, "\t")] = '\0';
		path_wrong = take_digest(own, tab + 1);
	}
	/* An empty one is none: the name comes from the URL. */
	if (!*text) {
		free(text);
		own->path = NULL;
	} else if (!path_wrong) {
		path_wrong = path_check(text);
	}
	return wrong ? wrong : path_wrong;
}

/* What stands in front of the path. */
static const char *urls_of(const struct item *item, size_t *len)
{
	const struct fetch_item *own = item_priv_const(item);

	*len = own->line ? strcspn(own->line, "\t") : item->name.len;
	return own->line ? own->line : item->name.data;
}

size_t line_mirrors(const struct item *item)
{
	size_t len, count = 1;
	const char *text = urls_of(item, &len), *end = text + len;

	while ((text = memchr(text, '|', (size_t)(end - text)))) {
		count++;
		text++;
	}
	return count;
}

const char *line_url(const struct item *item, size_t nth, struct url *url)
{
	size_t len;
	const char *text = urls_of(item, &len), *end = text + len, *bar;

	for (;; text = bar + 1) {
		bar = memchr(text, '|', (size_t)(end - text));
		if (!nth--)
			return url_parse(url, text, (size_t)((bar ? bar : end) - text));
	}
}
