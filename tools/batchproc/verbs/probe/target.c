/* SPDX-License-Identifier: MIT */
/*
 * target: see target.h. Hosts and ports are url.c's business, under whatever scheme they stand.
 */
#include <string.h>
#include <strings.h>
#include <sys/un.h>

#include "base/buf.h"
#include "verbs/probe/target.h"

static bool begins_with(const char *text, size_t len, const char *scheme, size_t *skip)
{
	*skip = strlen(scheme);
	return len >= *skip && !strncasecmp(text, scheme, *skip);
}

/* HOST:PORT and nothing else. */
static const char *parse_place(struct probe_target *target, const char *text, size_t len,
			       bool needs_port)
{
	const char *host_end = memrchr(text, ']', len), *wrong;
	size_t from = host_end ? (size_t)(host_end - text) : 0;
	bool has_port = memchr(text + from, ':', len - from);
	struct buf url = {0};

	if (needs_port && !has_port)
		return "has no port";
	/* A port that is not given is that of https. */
	buf_str(&url, "https://");
	buf_add(&url, text, len);
	wrong = url_parse(&target->url, url.data, url.len);
	buf_free(&url);
	if (wrong)
		return wrong;
	if (strcmp(target->url.target, "/") || target->url.user || memchr(text, '/', len) ||
	    memchr(text, '#', len)) {
		url_free(&target->url);
		return "has more than a host and a port";
	}
	return NULL;
}

static const char *parse_path(struct probe_target *target, const char *path, size_t len)
{
	if (!len)
		return "has no path";
	if (len >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return "has a path that is too long for a socket";
	target->path = path;
	return NULL;
}

const char *target_parse(struct probe_target *target, const char *text, size_t len)
{
	size_t skip;

	memset(target, 0, sizeof(*target));
	if (begins_with(text, len, "tcp://", &skip)) {
		target->kind = PROBE_TCP;
		return parse_place(target, text + skip, len - skip, true);
	}
	if (begins_with(text, len, "tls://", &skip)) {
		target->kind = PROBE_TLS;
		return parse_place(target, text + skip, len - skip, false);
	}
	if (begins_with(text, len, "unix:", &skip)) {
		target->kind = PROBE_UNIX;
		return parse_path(target, text + skip, len - skip);
	}
	target->kind = PROBE_HTTP;
	if (begins_with(text, len, "http://", &skip) || begins_with(text, len, "https://", &skip))
		return url_parse(&target->url, text, len);
	return "is none of tcp://HOST:PORT, tls://HOST[:PORT], unix:PATH, http:// and https://";
}

void target_free(struct probe_target *target)
{
	if (target->kind != PROBE_UNIX)
		url_free(&target->url);
}

bool target_shown(const char *text, size_t len, struct buf *name)
{
	bool secret = false;
	size_t skip;

	if (begins_with(text, len, "unix:", &skip))
		buf_add(name, text, len);
	else
		url_shown(name, text, len, &secret, NULL);
	return secret;
}
