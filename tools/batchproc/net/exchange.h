/* SPDX-License-Identifier: MIT */
/*
 * exchange: one request and its response, on a connection that is had for it.
 *
 *	exchange_begin() --> head of the final response --> exchange_body() ... 0 --> exchange_end()
 *
 * A kept connection that is lost before the first byte of the response is no fault of the
 * request's: it is sent again once on a fresh one, if it may be. Interim responses (1xx) are read
 * over. Nothing is sent behind a request before its response was read to the end.
 *
 * An exchange is one task's alone.
 */
#ifndef BATCHPROC_EXCHANGE_H
#define BATCHPROC_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "net/chunked.h"
#include "net/head.h"
#include "net/hosts.h"

struct request;

/* Where a response is read to at first; enough for a head and a small body. */
#define EXCHANGE_FIRST 4096u

struct exchange_conf {
	const struct net_conf *net;
	uint64_t first_byte_ns; /* for the first byte of the response; 0: as long as it takes */
	struct stream_low low; /* of the body */
	bool alone; /* on a connection of its own: no kept one, and not kept */
};

struct exchange {
	/* The caller's, before exchange_begin(). */
	struct net *net;
	const struct exchange_conf *conf;
	struct request *request;
	const void *body; /* of the request; its length stands there */
	const struct stream_pace *pace; /* of --bwlimit; NULL: none */
	char *memory; /* EXCHANGE_FIRST bytes that the response is read to */

	/* The response. */
	struct head head;
	struct dialed dialed;
	uint64_t first_byte_ns; /* from the request's last byte to the response's first */
	uint64_t received; /* of the body as it was sent, so far */
	bool unannounced; /* its length was not: a cut one could not be told from a whole one */
	const char *
		why; /* of an error, where it is not errno's text; constant text, or of the task's */

	/* Its own. */
	struct conn *conn; /* NULL: none */
	char *buffer;
	size_t size, at, len; /* of the buffer; what of it was taken; what was read to it */
	char *large; /* a buffer of its own, for a large head */
	uint64_t left; /* of a body with a length */
	struct chunked chunked;
	bool done; /* the body is over */
	bool heard; /* a byte of the response has come */
	bool sent_body;
};

/*
 * Sends the request and reads the head of its final response. Returns 0, or -errno with why: as
 * conn_get(), -EPROTO what came is no response, -ECONNRESET the connection ended before it,
 * -ETIMEDOUT, -ECANCELED. To be ended either way. Task only.
 */
int exchange_begin(struct exchange *x);

/*
 * The next piece of the body, in the exchange's memory until the next call. Returns its length, 0
 * at the end, or -errno with why: -EPIPE it was cut short. Task only.
 */
ssize_t exchange_body(struct exchange *x, const char **piece);

/* From here on it is read to @buffer, which is larger. What is there already comes first. */
void exchange_grow(struct exchange *x, char *buffer, size_t size);

/* How much of the body is there already, and whether that is all of it. */
bool exchange_is_whole(const struct exchange *x);

/*
 * Gives the connection back, to be used again where the response was read to its end, or nearly.
 * Task only.
 */
void exchange_end(struct exchange *x);

#endif
