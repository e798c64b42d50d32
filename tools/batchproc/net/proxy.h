/* SPDX-License-Identifier: MIT */
/*
 * proxy: which proxy the environment names for a host, by the rules that curl documents, and
 * CONNECT through one.
 *
 *	http_proxy			for http (lower case alone: HTTP_PROXY is a header of CGI)
 *	https_proxy, HTTPS_PROXY	for https and tls
 *	all_proxy, ALL_PROXY		for what has none of its own
 *	no_proxy, NO_PROXY		hosts that are asked directly: names with all below them,
 *					addresses, networks as 10.0.0.0/8, or * for all
 */
#ifndef BATCHPROC_PROXY_H
#define BATCHPROC_PROXY_H

#include <stdbool.h>
#include <stdint.h>

struct stream;

/*
 * A proxy: http://[USER[:PASSWORD]@]HOST[:PORT], where http:// and the port 1080 may be left out.
 */
struct proxy {
	char *host; /* without brackets */
	uint16_t port;
	char *authorization; /* "Basic ..." for Proxy-Authorization; NULL: none */
};

/* What the environment said at the time of proxies_read(). */
struct proxies {
	struct proxy *http, *https; /* NULL: none; the same object where both name one */
	char *none_for; /* NULL: nothing */
};

/*
 * NULL, or what is wrong with a variable: "http_proxy: ...", good until the next call. Main thread.
 */
const char *proxies_read(struct proxies *proxies);
void proxies_free(struct proxies *proxies);

/* The proxy for a host, or NULL. Any thread. */
const struct proxy *proxy_for(const struct proxies *proxies, bool tls, const char *host);

/* Why something failed that a proxy answered with 407. */
extern const char proxy_wants_credentials[];

/*
 * Asks the proxy at the other end of @stream for a way to @host. Returns 0, or -errno with the
 * reason in stream->why: -EACCES it wants credentials or forbids it, -ECONNREFUSED it said no, -EPROTO its answer makes no sense. Task only.
 */
int proxy_tunnel(struct stream *stream, const struct proxy *proxy, const char *host, uint16_t port);

#endif
