/* SPDX-License-Identifier: MIT */
/*
 * url: http and https URLs, as RFC 3986 and the WHATWG's standard read them alike. What the two, or
 * programs that follow one of them, read in different ways is refused, and the refusal says what it
 * was: whoever checked an URL before it came here saw the same host that we connect to.
 *
 * Pure functions; a struct url belongs to whoever holds it. Any thread.
 */
#ifndef BATCHPROC_URL_H
#define BATCHPROC_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

/* Longer ones are refused: no server takes them, and a list may hold anything. */
#define URL_LENGTH_MAX 16384

struct url {
	bool tls; /* https */
	bool ipv6; /* the host is a literal that stands in brackets */
	bool literal; /* the host is an address, v4 or v6 */
	bool default_port; /* the scheme's own */
	uint16_t port;
	/* All end with NUL. */
	const char *host; /* in lower case, an IDN in its ASCII form, IPv6 without brackets */
	const char *target; /* path and query as a request sends them; begins with a slash */
	size_t path_len; /* of the path in it */
	const char *user; /* decoded; NULL: none */
	const char *password; /* decoded; NULL: none */
	char *store; /* where these stand */
};

/*
 * Takes an URL to pieces. A fragment is dropped, dots in the path are resolved, UTF-8 in path and
 * query is percent-encoded. Returns NULL, or what is wrong with it ("has a backslash") and nothing
 * to free.
 */
const char *url_parse(struct url *url, const char *text, size_t len);

/*
 * The same for a reference that @base redirected to, absolute or relative. Takes what servers send:
 * blanks and whatever else has to be percent-encoded in path and query may stand there as it is.
 */
const char *url_resolve(struct url *url, const struct url *base, const char *ref, size_t len);

/* The length of a scheme with its colon, 0 where the text does not begin with one. */
size_t url_scheme_length(const char *text, size_t len);

void url_free(struct url *url);

/* The same to look at, as long as @url is there; url_free() of it frees nothing. */
static inline struct url url_view(const struct url *url)
{
	struct url view = *url;

	view.store = NULL;
	return view;
}

/* Adds it as text without user and password. */
void url_text(const struct url *url, struct buf *buf);

/*
 * Adds the host as it stands in Host: or in CONNECT; the port where it is not the default one, or
 * @port.
 */
void url_authority(const struct url *url, bool port, struct buf *buf);

/* Whether requests to both go to the same server: scheme, host and port. */
bool url_same_origin(const struct url *a, const struct url *b);

/* Adds @text with its percent-encoded bytes decoded; NUL among them stays. */
void url_decode(struct buf *buf, const char *text, size_t len);

/*
 * Adds what may stand in records of something that was given as an URL: without user and password,
 * which *@secret tells of, as it is otherwise. Returns what url_parse() says of it, and its pieces
 * in *@kept, which may be NULL.
 */
const char *url_shown(struct buf *name, const char *text, size_t len, bool *secret,
		      struct url *kept);

#endif
