/* SPDX-License-Identifier: MIT */
/*
 * request: the head of a request as it is sent. Nothing that comes from a user can end a line in it
 * or begin another one: what could is refused when the option is read, and an URL has been encoded
 * by url.c.
 *
 * Pure functions; any thread.
 */
#ifndef BATCHPROC_REQUEST_H
#define BATCHPROC_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct url;

/*
 * Of -H: "Name: value", "Name:" for none of that name, "Name;" for an empty one, as curl has it.
 * Returns NULL, or what it should have been.
 */
const char *header_check(const char *line);
/* Of -X. */
const char *method_check(const char *method);

/* Whether the line of -H is about the header @name. */
bool header_is(const char *line, const char *name);

struct request {
	const char *method;
	const struct url *url;
	bool whole_url; /* it goes to a proxy that is to fetch it */
	const char *proxy_authorization; /* NULL: none */
	const char *user, *password; /* for Basic; user NULL: none */
	const char *const *headers; /* lines of -H, each passed header_check() */
	size_t header_count;
	bool foreign_host; /* redirected to another one: no Authorization and no Cookie of -H */
	bool compressed;
	bool expect_continue;
	uint64_t range_first, range_last; /* first 0 and last UINT64_MAX: all of it */
	const char *if_range; /* NULL: none; likewise the others */
	const char *if_none_match;
	const char *if_modified_since;
	bool has_body;
	uint64_t body_len;
	bool form; /* of -d: it is one unless -H says otherwise */
};

/* Adds the head with its empty line. */
void request_add(struct buf *buf, const struct request *request);

#endif
