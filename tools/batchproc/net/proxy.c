/* SPDX-License-Identifier: MIT */
/*
 * proxy: see proxy.h. The environment is read once, before anything runs.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/parse.h"
#include "base/alloc.h"
#include "base/chars.h"
#include "net/proxy.h"
#include "net/stream.h"

#define PORT_DEFAULT 1080 /* curl's */
#define HEAD_MAX 8192u

/* ---- the environment */

/* The first of them that is set to something. */
static const char *variable(const char *lower, const char *upper)
{
	const char *value = getenv(lower);

	if ((!value || !*value) && upper)
		value = getenv(upper);
	return value && *value ? value : NULL;
}

/* Replaces %41 by A; false: it is no such thing, or a control character. */
static bool decode(struct buf *out, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		int c = (unsigned char)text[i];

		if (c == '%') {
			if (i + 2 >= len || hex_value(text[i + 1]) < 0 ||
			    hex_value(text[i + 2]) < 0)
				return false;
			c = hex_value(text[i + 1]) * 16 + hex_value(text[i + 2]);
			i += 2;
		}
		if (c < 0x20 || c == 0x7f)
			return false;
		buf_char(out, (char)c);
	}
	return true;
}

/* "user:password" as the value of Proxy-Authorization, or NULL where it cannot be decoded. */
static char *basic(const char *text, size_t len)
{
	struct buf plain = {0};
	char *value = NULL;

	if (decode(&plain, text, len)) {
		if (!memchr(text, ':', len))
			buf_char(&plain, ':');
		value = xcalloc(1, 6 + (plain.len + 2) / 3 * 4 + 1);
		memcpy(value, "Basic ", 6);
		EVP_EncodeBlock((unsigned char *)value + 6, (unsigned char *)plain.data,
				(int)plain.len);
	}
	buf_free(&plain);
	return value;
}

static char *copy_part(const char *text, size_t len)
{
	char *copy = xcalloc(1, len + 1);

	memcpy(copy, text, len);
	return copy;
}

/* "host:port", "[::1]:port", either without a port; false: it is something else. */
static bool parse_place(struct proxy *proxy, const char *text, size_t len)
{
	const char *end = text + len, *host = text, *host_end, *colon;
	uint64_t port = PORT_DEFAULT;

	if (len && *text == '[') {
		host = text + 1;
		host_end = memchr(host, ']', (size_t)(end - host));
		if (!host_end)
			return false;
		colon = host_end + 1;
	} else {
		colon = memchr(text, ':', len);
		host_end = colon = colon ? colon : end;
	}
	if (colon != end) {
		char *digits = copy_part(colon, (size_t)(end - colon));
		bool good = *digits == ':' && parse_count(digits + 1, 1, 65535, &port);

		free(digits);
		if (!good)
			return false;
	}
	for (const char *c = host; c < host_end; c++)
		if (*c <= ' ' || *c >= 0x7f || strchr("/\\?#@%\"<>", *c))
			return false;
	proxy->host = copy_part(host, (size_t)(host_end - host));
	proxy->port = (uint16_t)port;
	return host < host_end;
}

static void proxy_free(struct proxy *proxy)
{
	if (!proxy)
		return;
	free(proxy->host);
	free(proxy->authorization);
	free(proxy);
}

/* A proxy from its text; NULL with @wrong where it cannot be one. */
static struct proxy *parse(const char *text, const char **wrong)
{
	struct proxy *proxy = xcalloc(1, sizeof(*proxy));
	const char *scheme = strstr(text, "://"), *at, *end;

	if (scheme && strncasecmp(text, "http://", 7)) {
		*wrong = "only http:// proxies can be used";
		goto bad;
	}
	if (scheme)
		text = scheme + 3;
	end = text + strcspn(text, "/?#");
	at = memrchr(text, '@', (size_t)(end - text));
	if (at) {
		proxy->authorization = basic(text, (size_t)(at - text));
		text = at + 1;
	}
	*wrong = "is not [http://][USER:PASSWORD@]HOST[:PORT]";
	if ((at && !proxy->authorization) || strspn(end, "/") != strlen(end) ||
	    !parse_place(proxy, text, (size_t)(end - text)))
		goto bad;
	*wrong = NULL;
	return proxy;
bad:
	proxy_free(proxy);
	return NULL;
}

const char *proxies_read(struct proxies *proxies)
{
	static const char *const names[2][2] = {{"http_proxy", NULL},
						{"https_proxy", "HTTPS_PROXY"}};
	const char *all = variable("all_proxy", "ALL_PROXY");
	const char *none = variable("no_proxy", "NO_PROXY");
	static char text[128];

	memset(proxies, 0, sizeof(*proxies));
	for (int i = 0; i < 2; i++) {
		const char *own = variable(names[i][0], names[i][1]), *wrong = NULL;
		struct proxy *proxy;

		if (!own && !all)
			continue;
		proxy = parse(own ? own : all, &wrong);
		if (wrong) {
			/* Not the value: it may hold a password. */
			snprintf(text, sizeof(text), "%s of the environment: %s",
				 own ? names[i][0] : "all_proxy", wrong);
			proxies_free(proxies);
			return text;
		}
		*(i ? &proxies->https : &proxies->http) = proxy;
	}
	proxies->none_for = none ? xstrdup(none) : NULL;
	return NULL;
}

void proxies_free(struct proxies *proxies)
{
	proxy_free(proxies->http);
	proxy_free(proxies->https);
	free(proxies->none_for);
	memset(proxies, 0, sizeof(*proxies));
}

/* ---- no_proxy */

/* The bits of an address; 0: it is none. */
static unsigned int address_bits(const char *text, unsigned char bits[16])
{
	if (inet_pton(AF_INET, text, bits) == 1)
		return 32;
	return inet_pton(AF_INET6, text, bits) == 1 ? 128 : 0;
}

static bool same_bits(const unsigned char *a, const unsigned char *b, unsigned int count)
{
	unsigned int rest = count % 8;

	if (memcmp(a, b, count / 8))
		return false;
	return !rest || !((a[count / 8] ^ b[count / 8]) >> (8 - rest));
}

/* "10.0.0.0/8", "[::1]", "192.0.2.1" */
static bool address_matches(char *entry, const unsigned char *host, unsigned int bits)
{
	unsigned char own[16];
	char *slash = strchr(entry, '/');
	uint64_t prefix = bits;

	if (slash) {
		*slash = '\0';
		if (!parse_count(slash + 1, 0, bits, &prefix))
			return false;
	}
	if (*entry == '[' && entry[strlen(entry) - 1] == ']') {
		entry[strlen(entry) - 1] = '\0';
		entry++;
	}
	return address_bits(entry, own) == bits && same_bits(own, host, (unsigned int)prefix);
}

/* A name matches itself and all below it; dots at the ends do not count. */
static bool name_matches(const char *entry, size_t len, const char *host)
{
	size_t host_len = strlen(host);

	if (len && *entry == '.') {
		entry++;
		len--;
	}
	if (len && entry[len - 1] == '.')
		len--;
	if (host_len && host[host_len - 1] == '.')
		host_len--;
	if (!len || len > host_len || strncasecmp(entry, host + host_len - len, len))
		return false;
	return len == host_len || host[host_len - len - 1] == '.';
}

static bool is_exempt(const char *list, const char *host)
{
	unsigned char bits[16];
	unsigned int count = address_bits(host, bits);

	if (!strcmp(list, "*"))
		return true;
	while (*list) {
		size_t len = strcspn(list, ", \t");
		char *entry = copy_part(list, len);
		bool found = len && (count ? address_matches(entry, bits, count) :
					     name_matches(entry, len, host));

		free(entry);
		if (found)
			return true;
		list += len;
		list += strspn(list, ", \t");
	}
	return false;
}

const struct proxy *proxy_for(const struct proxies *proxies, bool tls, const char *host)
{
	const struct proxy *proxy = tls ? proxies->https : proxies->http;

	if (proxy && proxies->none_for && is_exempt(proxies->none_for, host))
		return NULL;
	return proxy;
}

/* ---- CONNECT */

static void add_request(struct buf *buf, const struct proxy *proxy, const char *host, uint16_t port)
{
	const char *open = strchr(host, ':') ? "[" : "", *close = *open ? "]" : "";

	buf_printf(buf, "CONNECT %s%s%s:%u HTTP/1.1\r\nHost: %s%s%s:%u\r\n", open, host, close,
		   port, open, host, close, port);
	if (proxy->authorization)
		buf_printf(buf, "Proxy-Authorization: %s\r\n", proxy->authorization);
	buf_str(buf, "\r\n");
}

/* Reads up to the end of the head; *@more: something stands behind it. */
static int read_head(struct stream *stream, struct buf *head, bool *more)
{
	for (;;) {
		const char *end;
		ssize_t got;

		if (head->len >= HEAD_MAX) {
			stream->why = "the proxy's answer to CONNECT is too long";
			return -EPROTO;
		}
		got = stream_read(stream, buf_room(head, HEAD_MAX - head->len),
				  HEAD_MAX - head->len, 0);
		if (got <= 0) {
			if (!got)
				stream->why = "the proxy ended the connection";
			return got ? (int)got : -ECONNRESET;
		}
		head->len += (size_t)got;
		end = memmem(head->data, head->len, "\r\n\r\n", 4);
		if (end) {
			*more = end + 4 != head->data + head->len;
			return 0;
		}
	}
}

const char proxy_wants_credentials[] =
	"the proxy asks for a user and a password, or for others (407)";

static int verdict(struct stream *stream, const struct buf *head)
{
	const char *text = head->data;

	if (head->len < 13 || memcmp(text, "HTTP/1.", 7) || text[8] != ' ' || text[9] < '1' ||
	    text[9] > '5') {
		stream->why = "the proxy's answer is not HTTP";
		return -EPROTO;
	}
	if (text[9] == '2')
		return 0;
	if (!memcmp(text + 9, "407", 3) || !memcmp(text + 9, "401", 3)) {
		stream->why = text[11] == '7' ? proxy_wants_credentials :
						"the proxy takes no such user and password (401)";
		return -EACCES;
	}
	if (!memcmp(text + 9, "403", 3)) {
		stream->why = "the proxy does not lead there (403)";
		return -EACCES;
	}
	stream->why = text[9] == '5' ? "the proxy could not connect (5xx)" :
				       "the proxy refused to connect";
	return -ECONNREFUSED;
}

int proxy_tunnel(struct stream *stream, const struct proxy *proxy, const char *host, uint16_t port)
{
	struct buf text = {0};
	bool more = false;
	int err;

	add_request(&text, proxy, host, port);
	err = stream_write(stream, text.data, text.len, 0);
	text.len = 0;
	if (!err)
		err = read_head(stream, &text, &more);
	if (!err)
		err = verdict(stream, &text);
	/* A page may say why not; but the other side has not been spoken to yet. */
	if (!err && more) {
		stream->why = "the proxy sent more than the answer to CONNECT";
		err = -EPROTO;
	}
	buf_free(&text);
	stream->received = stream->sent = 0;
	return err;
}
