/* SPDX-License-Identifier: MIT */
/*
 * request: the head of a request as it is sent.
 */
#include <string.h>
#include <strings.h>

#include "base/array.h"
#include "base/buf.h"
#include "base/chars.h"
#include "batchproc.h"
#include "net/request.h"
#include "net/url.h"

static size_t token_length(const char *text)
{
	static const char marks[] = "!#$%&'*+-.^_`|~";
	size_t len = 0;
	char c;

	while ((c = text[len]) && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
				   (c >= '0' && c <= '9') || strchr(marks, c)))
		len++;
	return len;
}

static size_t name_length(const char *line)
{
	return strcspn(line, ":;");
}

bool header_is(const char *line, const char *name)
{
	size_t len = strlen(name);

	return name_length(line) == len && !strncasecmp(line, name, len);
}

const char *header_check(const char *line)
{
	/* What frames the message, and what fetch has to know about. */
	static const char *const own[] = {
		"Connection", "Content-Length",	  "Expect",	    "Host", "If-Range",
		"Keep-Alive", "Proxy-Connection", "Range",	    "TE",   "Transfer-Encoding",
		"Trailer",    "Upgrade",	  "Accept-Encoding"};
	size_t len = token_length(line);

	for (const char *at = line; *at; at++)
		if (((unsigned char)*at < 0x20 && *at != '\t') || *at == 0x7f)
			return "a header without control characters";
	if (!len || (line[len] != ':' && strcmp(line + len, ";") != 0))
		return "a header, 'NAME: VALUE'";
	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		if (header_is(line, own[i]))
			return "another header than those which batchproc makes itself";
	return NULL;
}

const char *method_check(const char *method)
{
	size_t len = token_length(method);

	if (!len || method[len] || len > 32)
		return "a method, such as GET, HEAD or POST";
	if (!strcasecmp(method, "CONNECT") || !strcasecmp(method, "TRACE"))
		return "another method than CONNECT and TRACE";
	return NULL;
}

static void add_line(struct buf *buf, const char *name, const char *value)
{
	buf_str(buf, name);
	buf_str(buf, ": ");
	buf_str(buf, value);
	buf_str(buf, "\r\n");
}

/* A header that a line of -H takes the place of, or takes away. */
static void add_default(struct buf *buf, const struct request *r, const char *name,
			const char *value)
{
	for (size_t i = 0; i < r->header_count; i++)
		if (header_is(r->headers[i], name))
			return;
	add_line(buf, name, value);
}

static bool has_authorization(const struct request *r)
{
	for (size_t i = 0; i < r->header_count; i++)
		if (header_is(r->headers[i], "Authorization"))
			return true;
	return false;
}

static void add_credentials(struct buf *buf, const struct request *r)
{
	struct buf pair = {0};

	if (!r->user || (has_authorization(r) && !r->foreign_host))
		return;
	buf_str(&pair, r->user);
	buf_char(&pair, ':');
	buf_str(&pair, r->password ? r->password : "");
	buf_str(buf, "Authorization: Basic ");
	buf_base64(buf, pair.data, pair.len);
	buf_str(buf, "\r\n");
	explicit_bzero(pair.data, pair.len);
	buf_free(&pair);
}

static void add_own_headers(struct buf *buf, const struct request *r)
{
	for (size_t i = 0; i < r->header_count; i++) {
		const char *line = r->headers[i];
		size_t name = name_length(line);
		const char *value = line + name + 1;

		if (r->foreign_host &&
		    (header_is(line, "Authorization") || header_is(line, "Cookie") ||
		     header_is(line, "Proxy-Authorization")))
			continue;
		while (is_blank(*value))
			value++;
		if (line[name] == ':' && !*value)
			continue;
		buf_add(buf, line, name);
		buf_str(buf, ": ");
		buf_str(buf, value);
		buf_str(buf, "\r\n");
	}
}

static void add_conditions(struct buf *buf, const struct request *r)
{
	if (r->range_first || r->range_last != UINT64_MAX) {
		buf_str(buf, "Range: bytes=");
		buf_u64(buf, r->range_first);
		buf_char(buf, '-');
		if (r->range_last != UINT64_MAX)
			buf_u64(buf, r->range_last);
		buf_str(buf, "\r\n");
	}
	if (r->if_range)
		add_line(buf, "If-Range", r->if_range);
	if (r->if_none_match)
		add_line(buf, "If-None-Match", r->if_none_match);
	if (r->if_modified_since)
		add_line(buf, "If-Modified-Since", r->if_modified_since);
}

void request_add(struct buf *buf, const struct request *r)
{
	buf_str(buf, r->method);
	buf_char(buf, ' ');
	if (r->whole_url)
		url_text(r->url, buf);
	else
		buf_str(buf, r->url->target);
	buf_str(buf, " HTTP/1.1\r\nHost: ");
	url_authority(r->url, false, buf);
	buf_str(buf, "\r\n");
	if (r->proxy_authorization)
		add_line(buf, "Proxy-Authorization", r->proxy_authorization);
	add_credentials(buf, r);
	add_default(buf, r, "User-Agent", "batchproc/" BP_VERSION_STRING);
	add_default(buf, r, "Accept", "*/*");
	add_line(buf, "Accept-Encoding", r->compressed ? "gzip, deflate" : "identity");
	add_conditions(buf, r);
	if (r->has_body) {
		if (r->form)
			add_default(buf, r, "Content-Type", "application/x-www-form-urlencoded");
		buf_str(buf, "Content-Length: ");
		buf_u64(buf, r->body_len);
		buf_str(buf, "\r\n");
	}
	if (r->expect_continue)
		buf_str(buf, "Expect: 100-continue\r\n");
	add_own_headers(buf, r);
	buf_str(buf, "\r\n");
}
