/* SPDX-License-Identifier: MIT */
/*
 * url: http and https URLs.
 *
 *	https://user:password@host:port/path?query#fragment
 *	        '--------- authority --'
 *
 * The pieces are written one after the other into one store, which is allocated for the worst case
 * before.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#ifdef BP_HAVE_IDN2
#include <idn2.h>
#endif

#include "base/alloc.h"
#include "base/buf.h"
#include "base/chars.h"
#include "net/url.h"

#define HOST_LENGTH_MAX 253
#define LABEL_LENGTH_MAX 63

/* What is parsed, and what of the store is still free. */
struct parse {
	struct url *url;
	const char *at, *end;
	char *out;
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/* What may stand in a path as it is, besides '/' and '%': pchar of RFC 3986. */
static bool is_pchar(char c)
{
	static const struct char_set pchars = {{
		DIGITS_LOW | CHAR_LOW('-') | CHAR_LOW('.') | CHAR_LOW('!') | CHAR_LOW('$') |
			CHAR_LOW('&') | CHAR_LOW('\'') | CHAR_LOW('(') | CHAR_LOW(')') |
			CHAR_LOW('*') | CHAR_LOW('+') | CHAR_LOW(',') | CHAR_LOW(';') |
			CHAR_LOW('=') | CHAR_LOW(':'),
		LETTERS_HIGH | CHAR_HIGH('_') | CHAR_HIGH('~') | CHAR_HIGH('@'),
	}};

	return char_is_of(&pchars, c);
}

static bool is_encoded(const char *at, const char *end)
{
	return end - at >= 3 && hex_value(at[1]) >= 0 && hex_value(at[2]) >= 0;
}

static void encode(char **out, unsigned char byte)
{
	static const char digits[] = "0123456789ABCDEF";

	*(*out)++ = '%';
	*(*out)++ = digits[byte >> 4];
	*(*out)++ = digits[byte & 15];
}

void url_decode(struct buf *buf, const char *text, size_t len)
{
	const char *end = text + len;

	while (text < end) {
		if (*text == '%' && is_encoded(text, end)) {
			buf_char(buf, (char)(hex_value(text[1]) << 4 | hex_value(text[2])));
			text += 3;
		} else {
			buf_char(buf, *text++);
		}
	}
}

/* ---- the authority */

/*
 * A part of the userinfo, decoded into the store; NULL where it holds what a header cannot carry.
 */
static const char *take_credential(struct parse *p, const char *text, const char *end)
{
	char *start = p->out;

	for (; text < end; text++) {
		char c = *text;

		if (c == '%') {
			if (!is_encoded(text, end))
				return NULL;
			c = (char)(hex_value(text[1]) << 4 | hex_value(text[2]));
			text += 2;
		} else if (!is_pchar(c)) {
			return NULL;
		}
		if ((unsigned char)c < 0x20 || c == 0x7f)
			return NULL;
		*p->out++ = c;
	}
	*p->out++ = '\0';
	return start;
}

static const char *take_userinfo(struct parse *p, const char *text, const char *end)
{
	const char *colon = memchr(text, ':', (size_t)(end - text));

	p->url->user = take_credential(p, text, colon ? colon : end);
	if (!p->url->user)
		return "has a user name with characters that cannot stand there";
	if (!*p->url->user)
		return "has an empty user name";
	if (strchr(p->url->user, ':'))
		return "has a user name with a colon";
	if (!colon)
		return NULL;
	p->url->password = take_credential(p, colon + 1, end);
	return p->url->password ? NULL : "has a password with characters that cannot stand there";
}

static const char *take_port(struct parse *p, const char *text, const char *end)
{
	unsigned int port = 0;

	p->url->port = p->url->tls ? 443 : 80;
	p->url->default_port = true;
	if (text == end)
		return NULL;
	if (end - text > 5)
		return "has a port that is no number up to 65535";
	for (; text < end; text++) {
		if (!is_digit(*text))
			return "has a port that is no number up to 65535";
		port = port * 10 + (unsigned int)(*text - '0');
	}
	if (port > 65535)
		return "has a port that is no number up to 65535";
	if (!port)
		return "has port 0";
	p->url->default_port = port == p->url->port;
	p->url->port = (uint16_t)port;
	return NULL;
}

static const char *take_ipv6(struct parse *p, const char *text, const char *end)
{
	char host[INET6_ADDRSTRLEN];
	struct in6_addr addr;
	size_t len = (size_t)(end - text);

	if (memchr(text, '%', len))
		return "has an IPv6 address with a zone";
	if (len >= sizeof(host) || memchr(text, '\0', len))
		return "has no IPv6 address between its brackets";
	memcpy(host, text, len);
	host[len] = '\0';
	if (inet_pton(AF_INET6, host, &addr) != 1)
		return "has no IPv6 address between its brackets";
	p->url->host = p->out;
	inet_ntop(AF_INET6, &addr, p->out, INET6_ADDRSTRLEN);
	p->out += strlen(p->out) + 1;
	p->url->ipv6 = p->url->literal = true;
	return NULL;
}

/* Whether browsers take a host with this last label for an IPv4 address, of whatever notation. */
static bool label_is_number(const char *label)
{
	if (label[0] == '0' && label[1] == 'x') {
		label += 2;
		while (hex_value(*label) >= 0)
			label++;
		return !*label;
	}
	if (!*label)
		return false;
	while (is_digit(*label))
		label++;
	return !*label;
}

/* An ASCII name in lower case, with the dot at its end cut off meanwhile. */
static const char *check_labels(struct url *url, const char *host)
{
	struct in_addr addr;
	size_t label = 0;
	const char *last = host;

	for (const char *at = host;; at++) {
		if (*at == '.' || !*at) {
			if (!label)
				return "has a host with an empty label";
			if (label > LABEL_LENGTH_MAX)
				return "has a host with a label of more than 63 bytes";
			if (!*at)
				break;
			label = 0;
			last = at + 1;
		} else if (is_letter(*at) || is_digit(*at) || *at == '-' || *at == '_') {
			label++;
		} else {
			return *at == '%' ? "has a percent-encoded host" :
					    "has a host with characters that cannot stand there";
		}
	}
	if (!label_is_number(last))
		return NULL;
	url->literal = true;
	/* inet_pton() takes four decimal numbers without zeros in front, and nothing else. */
	if (inet_pton(AF_INET, host, &addr) != 1)
		return "has a host that some read as an IPv4 address";
	return NULL;
}

static const char *check_name(struct url *url, char *host, size_t len)
{
	const char *wrong;
	bool dot;

	if (len > HOST_LENGTH_MAX)
		return "has a host of more than 253 bytes";
	dot = len && host[len - 1] == '.';
	if (dot)
		host[len - 1] = '\0';
	wrong = check_labels(url, host);
	if (dot && !wrong && url->literal)
		wrong = "has a host that some read as an IPv4 address";
	if (dot)
		host[len - 1] = '.';
	return wrong;
}

#ifdef BP_HAVE_IDN2
/* The ASCII form of a name in UTF-8. */
static const char *name_to_ascii(struct parse *p, size_t len)
{
	char *ascii = NULL;
	size_t ascii_len;

	p->out[len] = '\0';
	if (idn2_to_ascii_8z(p->out, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK)
		return "has a host that is no international domain name";
	ascii_len = strlen(ascii);
	if (ascii_len > HOST_LENGTH_MAX) {
		idn2_free(ascii);
		return "has a host of more than 253 bytes";
	}
	memcpy(p->out, ascii, ascii_len + 1);
	idn2_free(ascii);
	return NULL;
}
#else
static const char *name_to_ascii(struct parse *p, size_t len)
{
	(void)p;
	(void)len;
	return "has an international domain name, for which this batchproc was not built (libidn2)";
}
#endif

static const char *take_name(struct parse *p, const char *text, const char *end)
{
	size_t len = (size_t)(end - text);
	const char *wrong;
	bool ascii = true;

	if (!len)
		return "has no host";
	if (len > HOST_LENGTH_MAX * 4)
		return "has a host of more than 253 bytes";
	for (size_t i = 0; i < len; i++) {
		p->out[i] = lower(text[i]);
		ascii = ascii && !(text[i] & 0x80);
	}
	p->out[len] = '\0';
	if (!ascii) {
		wrong = utf8_valid(text, len) ? name_to_ascii(p, len) : "is not UTF-8";
		if (wrong)
			return wrong;
		len = strlen(p->out);
	}
	p->url->host = p->out;
	wrong = check_name(p->url, p->out, len);
	p->out += len + 1;
	return wrong;
}

static const char *take_host(struct parse *p, const char *text, const char *end)
{
	const char *wrong, *stop;

	if (text < end && *text == '[') {
		stop = memchr(text, ']', (size_t)(end - text));
		if (!stop || (stop + 1 < end && stop[1] != ':'))
			return "has no IPv6 address between its brackets";
		wrong = take_ipv6(p, text + 1, stop);
		stop++;
	} else {
		stop = memchr(text, ':', (size_t)(end - text));
		if (!stop)
			stop = end;
		wrong = take_name(p, text, stop);
	}
	if (wrong)
		return wrong;
	return take_port(p, stop < end ? stop + 1 : end, end);
}

static const char *take_authority(struct parse *p)
{
	const char *end = p->at, *at;
	const char *wrong = NULL;

	while (end < p->end && *end != '/' && *end != '?' && *end != '#')
		end++;
	at = memchr(p->at, '@', (size_t)(end - p->at));
	if (at) {
		if (memchr(at + 1, '@', (size_t)(end - at - 1)))
			return "has two @ in front of its path";
		wrong = take_userinfo(p, p->at, at);
		p->at = at + 1;
	}
	if (!wrong)
		wrong = take_host(p, p->at, end);
	p->at = end;
	return wrong;
}

/* ---- path and query */

/* A segment of @len dots, one or two of which some of them encoded, is read in two ways. */
static bool is_hidden_dots(const char *segment, size_t len)
{
	size_t dots = 0;
	bool encoded = false;

	for (size_t i = 0; i < len; dots++) {
		if (segment[i] == '.') {
			i++;
		} else if (len - i >= 3 && segment[i] == '%' && segment[i + 1] == '2' &&
			   lower(segment[i + 2]) == 'e') {
			encoded = true;
			i += 3;
		} else {
			return false;
		}
	}
	return encoded && dots <= 2;
}

/*
 * A segment is in the store from @segment on, without the slash that ends it: whether it stays.
 * Dots take it back, and two of them the one before.
 */
static bool keep_segment(struct parse *p, char *path, char *segment)
{
	size_t len = (size_t)(p->out - segment);

	if (len == 1 && segment[0] == '.') {
		p->out = segment;
		return false;
	}
	if (len == 2 && segment[0] == '.' && segment[1] == '.') {
		p->out = segment;
		if (p->out > path + 1) {
			p->out--;
			while (p->out[-1] != '/')
				p->out--;
		}
		return false;
	}
	return true;
}

/* One byte of path or query, or three that stand for one. */
static const char *take_byte(struct parse *p, bool query)
{
	char c = *p->at;

	if (c == '%') {
		if (!is_encoded(p->at, p->end))
			return "has a % without two hexadecimal digits behind it";
		memcpy(p->out, p->at, 3);
		p->out += 3;
		p->at += 3;
	} else if (c & 0x80) {
		encode(&p->out, (unsigned char)c);
		p->at++;
	} else if (is_pchar(c) || (query && (c == '/' || c == '?'))) {
		*p->out++ = c;
		p->at++;
	} else {
		return "has characters that must be percent-encoded";
	}
	return NULL;
}

static const char *take_path(struct parse *p)
{
	char *path = p->out, *segment;
	const char *wrong;

	*p->out++ = '/';
	if (p->at < p->end && *p->at == '/')
		p->at++;
	segment = p->out;
	while (p->at < p->end && *p->at != '?' && *p->at != '#') {
		if (*p->at != '/') {
			wrong = take_byte(p, false);
			if (wrong)
				return wrong;
			continue;
		}
		if (is_hidden_dots(segment, (size_t)(p->out - segment)))
			return "has percent-encoded dots for a step in its path";
		if (keep_segment(p, path, segment))
			*p->out++ = '/';
		segment = p->out;
		p->at++;
	}
	if (is_hidden_dots(segment, (size_t)(p->out - segment)))
		return "has percent-encoded dots for a step in its path";
	keep_segment(p, path, segment);
	p->url->target = path;
	p->url->path_len = (size_t)(p->out - path);
	return NULL;
}

static const char *take_query(struct parse *p)
{
	const char *wrong;

	if (p->at < p->end && *p->at == '?') {
		*p->out++ = *p->at++;
		while (p->at < p->end && *p->at != '#') {
			wrong = take_byte(p, true);
			if (wrong)
				return wrong;
		}
	}
	*p->out++ = '\0';
	return NULL;
}

/* ---- the whole */

static const char *check_text(const char *text, size_t len)
{
	if (!len)
		return "is empty";
	if (len > URL_LENGTH_MAX)
		return "is longer than 16384 bytes";
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == ' ' || c == '\t')
			return "has a blank";
		if (c < 0x20 || c == 0x7f)
			return "has a control character";
		if (c == '\\')
			return "has a backslash";
	}
	return utf8_valid(text, len) ? NULL : "is not UTF-8";
}

size_t url_scheme_length(const char *text, size_t len)
{
	size_t i = 0;

	if (!len || !is_letter(text[0]))
		return 0;
	while (i < len && (is_letter(text[i]) || is_digit(text[i]) || strchr("+-.", text[i])))
		i++;
	return i < len && text[i] == ':' ? i + 1 : 0;
}

static const char *take_scheme(struct parse *p)
{
	size_t len = url_scheme_length(p->at, (size_t)(p->end - p->at));
	bool slashes = p->end - p->at >= (ptrdiff_t)len + 2 && p->at[len] == '/' &&
		       p->at[len + 1] == '/';

	if (!len)
		return "does not begin with http:// or https://";
	if (len == 6 && !strncasecmp(p->at, "https", 5))
		p->url->tls = true;
	else if (len != 5 || strncasecmp(p->at, "http", 4))
		return slashes ? "has another scheme than http and https" :
				 "does not begin with http:// or https://";
	if (!slashes)
		return "lacks the // behind its scheme";
	p->at += len + 2;
	return NULL;
}

const char *url_parse(struct url *url, const char *text, size_t len)
{
	const char *wrong = check_text(text, len);
	struct parse p = {.url = url, .at = text, .end = text + len};

	memset(url, 0, sizeof(*url));
	if (wrong)
		return wrong;
	/* Each byte becomes three at most, a host may grow to its largest length in ASCII. */
	url->store = xcalloc(1, 3 * len + HOST_LENGTH_MAX + INET6_ADDRSTRLEN + 16);
	p.out = url->store;
	wrong = take_scheme(&p);
	if (!wrong)
		wrong = take_authority(&p);
	if (!wrong)
		wrong = take_path(&p);
	if (!wrong)
		wrong = take_query(&p);
	if (wrong)
		url_free(url);
	return wrong;
}

void url_free(struct url *url)
{
	free(url->store);
	memset(url, 0, sizeof(*url));
}

/* ---- as text */

void url_authority(const struct url *url, bool port, struct buf *buf)
{
	if (url->ipv6)
		buf_char(buf, '[');
	buf_str(buf, url->host);
	if (url->ipv6)
		buf_char(buf, ']');
	if (port || !url->default_port) {
		buf_char(buf, ':');
		buf_u64(buf, url->port);
	}
}

void url_text(const struct url *url, struct buf *buf)
{
	buf_str(buf, url->tls ? "https://" : "http://");
	url_authority(url, false, buf);
	buf_str(buf, url->target);
}

bool url_same_origin(const struct url *a, const struct url *b)
{
	return a->tls == b->tls && a->port == b->port && !strcmp(a->host, b->host);
}

const char *url_shown(struct buf *name, const char *text, size_t len, bool *secret,
		      struct url *kept)
{
	struct url url;
	const char *wrong = url_parse(&url, text, len);
	const char *at = memrchr(text, '@', len), *slashes;

	if (!wrong && url.user) {
		*secret = true;
		url_text(&url, name);
	} else if (wrong && at) {
		/* Whatever it is, what stands in front of the last @ may be a password. */
		*secret = true;
		slashes = memmem(text, len, "//", 2);
		if (slashes && slashes < at)
			buf_add(name, text, (size_t)(slashes + 2 - text));
		buf_add(name, at + 1, (size_t)(text + len - at - 1));
	} else {
		buf_add(name, text, len);
	}
	if (kept)
		*kept = url;
	else
		url_free(&url);
	return wrong;
}
