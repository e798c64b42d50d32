/* SPDX-License-Identifier: MIT */
/*
 * head: the head of a response, and what it says of the body behind it.
 *
 * Strict where laxness would let two readers see two responses: lines end with CR LF, names are
 * tokens, nothing is folded, a length is one number, Transfer-Encoding is exactly "chunked" and has
 * no length beside it.
 *
 * A struct head belongs to whoever holds it; any thread.
 */
#ifndef BATCHPROC_HEAD_H
#define BATCHPROC_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* Larger ones, and those with more lines, are refused. */
#define HEAD_SIZE_MAX 65536
#define HEAD_COUNT_MAX 200

enum body_kind {
	BODY_NONE,
	BODY_LENGTH, /* length bytes */
	BODY_CHUNKED,
	BODY_TO_END, /* up to the end of the connection */
};

struct head {
	int status; /* 100 to 999 */
	int minor; /* HTTP/1.minor */
	bool keep; /* the connection may be used again after the body */
	enum body_kind body;
	uint64_t length; /* of the body */

	size_t count;
	struct buf fields; /* struct field, count of them */
	struct buf text; /* names and values, each with a NUL at its end */
};

/*
 * The length of the head that begins at @data, with its empty line; 0 where it has not ended yet.
 * *@at is where the search goes on when there is more, 0 at first.
 */
size_t head_length(const char *data, size_t len, size_t *at);

/*
 * Reads a whole head; @bodiless: of the response to a HEAD. What it had before is gone. Returns
 * NULL, or what is wrong with it, constant text. To be freed either way.
 */
const char *head_read(struct head *head, const char *data, size_t len, bool bodiless);
void head_free(struct head *head);

/* The first value of that name, without blanks around it; NULL: none. */
const char *head_value(const struct head *head, const char *name);

/* How many lines there are of that name. */
size_t head_count(const struct head *head, const char *name);

/* Whether one of the values of that name is a list with @token in it, whatever its case. */
bool head_has_token(const struct head *head, const char *name, const char *token);

static inline bool head_is_final(const struct head *head)
{
	return head->status >= 200;
}

#endif
