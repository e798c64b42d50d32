/* SPDX-License-Identifier: MIT */
/*
 * sumline: the lines of sha256sum and its relatives, written and read. Pure functions.
 *
 *	DIGEST  NAME			SHA256 (NAME) = DIGEST
 *
 * A name with a backslash, newline or carriage return is escaped, and the line then starts with
 * a backslash; with -z it is not, and the line ends with NUL.
 */
#ifndef BATCHPROC_SUMLINE_H
#define BATCHPROC_SUMLINE_H

#include <stdbool.h>
#include <stddef.h>

#include "digest/digest.h"

struct buf;

/* Appends one line with its end. */
void sumline_add(struct buf *buf, const struct digest_alg *alg, const unsigned char *digest,
		 const char *name, size_t len, bool tag, bool zero);

struct sumline {
	const struct digest_alg *alg;
	unsigned char digest[DIGEST_SIZE_MAX];
	char *name; /* within the text that was parsed */
	size_t len;
};

/*
 * Takes a line apart; the text is changed. @forced is the only algorithm to accept, or NULL.
 * False: it is no such line.
 */
bool sumline_parse(struct sumline *line, const struct digest_alg *forced, char *text, size_t len,
		   bool zero);

/* A digest as a part of something else: NAME:DIGEST. The parser refuses any other algorithm's. */
void sumfield_add(struct buf *buf, const struct digest_alg *alg, const unsigned char *digest);
bool sumfield_parse(unsigned char *digest, const struct digest_alg *alg, const char *text,
		    size_t len);

#endif
