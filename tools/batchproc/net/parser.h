/* SPDX-License-Identifier: MIT */
/*
 * parser: the library that reads the heads of responses, llhttp or http-parser, behind one
 * function. What the two do differently is settled by head.c before and after, so that nothing else
 * knows which one it is.
 *
 * No state; any thread.
 */
#ifndef BATCHPROC_PARSER_H
#define BATCHPROC_PARSER_H

#include <stdbool.h>
#include <stddef.h>

struct parsed {
	int status;
	int major, minor; /* of HTTP */
	/* A piece of a header's name or value, one behind the other; not 0 ends the parsing. */
	int (*piece)(void *ctx, bool is_value, const char *at, size_t len);
	void *ctx;
};

/*
 * Reads a head from its status line to its empty line. Returns NULL, or what is wrong in its words.
 */
const char *parser_read(struct parsed *parsed, const char *head, size_t len);

/* Its name and version. */
const char *parser_name(void);

#endif
