/* SPDX-License-Identifier: MIT */
/*
 * reference: what a redirection points to, seen from the URL that it came from. See url.h.
 */
#include <string.h>

#include "base/buf.h"
#include "base/chars.h"
#include "net/url.h"

/*
 * Adds path and query of a reference with all encoded that cannot stand there. A backslash, a
 * control character and a % that is not followed by two digits stay, and are refused.
 */
static void add_encoded(struct buf *buf, const char *text, size_t len)
{
	bool query = false;

	for (size_t i = 0; i < len && text[i] != '#'; i++) {
		const unsigned char c = (unsigned char)text[i];

		query = query || c == '?';
		if (c >= 0x80 || (c && strchr(" \"<>[]^`{|}", c)))
			buf_printf(buf, "%%%02X", c);
		else
			buf_char(buf, (char)c);
	}
}

/* The base's path up to and with its last slash. */
static void add_directory(struct buf *buf, const struct url *base)
{
	size_t len = base->path_len;

	while (base->target[len - 1] != '/')
		len--;
	buf_add(buf, base->target, len);
}

/* What follows "//" in a reference: the host as it is, then path and query. */
static void add_with_host(struct buf *buf, const char *text, size_t len)
{
	size_t host = 0;

	while (host < len && text[host] != '/' && text[host] != '?' && text[host] != '#')
		host++;
	buf_add(buf, text, host);
	add_encoded(buf, text + host, len - host);
}

static void add_reference(struct buf *buf, const struct url *base, const char *ref, size_t len)
{
	size_t scheme = url_scheme_length(ref, len);

	if (scheme) {
		buf_add(buf, ref, scheme);
		if (len - scheme >= 2 && ref[scheme] == '/' && ref[scheme + 1] == '/')
			scheme += 2;
		buf_add(buf, "//", ref[scheme - 1] == '/' ? 2 : 0);
		add_with_host(buf, ref + scheme, len - scheme);
		return;
	}
	buf_str(buf, base->tls ? "https://" : "http://");
	if (len >= 2 && ref[0] == '/' && ref[1] == '/') {
		add_with_host(buf, ref + 2, len - 2);
		return;
	}
	url_authority(base, false, buf);
	if (!len || ref[0] == '#')
		buf_str(buf, base->target);
	else if (ref[0] == '?')
		buf_add(buf, base->target, base->path_len);
	else if (ref[0] != '/')
		add_directory(buf, base);
	add_encoded(buf, ref, len);
}

const char *url_resolve(struct url *url, const struct url *base, const char *ref, size_t len)
{
	struct buf text = {0};
	const char *wrong;

	memset(url, 0, sizeof(*url));
	if (len > URL_LENGTH_MAX)
		return "is longer than 16384 bytes";
	while (len && is_blank(ref[len - 1]))
		len--;
	while (len && is_blank(*ref)) {
		ref++;
		len--;
	}
	add_reference(&text, base, ref, len);
	wrong = url_parse(url, text.data, text.len);
	buf_free(&text);
	return wrong;
}
