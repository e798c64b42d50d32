/* SPDX-License-Identifier: MIT */
/*
 * bagline: the lines of a bag's manifests and of its fetch.txt, as RFC 8493 has them. Pure functions.
 *
 *	manifest-sha256.txt	DIGEST  data/NAME
 *	fetch.txt		URL LENGTH data/NAME
 *
 * In names %0A, %0D and %25 stand for a newline, a carriage return and a percent sign.
 */
#ifndef BATCHPROC_BAGLINE_H
#define BATCHPROC_BAGLINE_H

#include "base/buf.h"
#include "digest/sumline.h"

/* The line of a manifest: never SUMLINE_SKIPPED. The name is as it stands there. */
enum sumline_kind bagline_parse(struct sumline *line, const struct digest_alg *alg, char *text,
				size_t len);

/* The name in a line of fetch.txt; false where it is none. */
bool bagline_fetch(const char **name, size_t *name_len, const char *text, size_t len);

/* Appends what a name stands for; false where that is the name itself. */
bool bagline_decode(struct buf *buf, const char *name, size_t len);

/* Whether it can only be a name in the bag; and with @payload, in its payload. */
bool bagline_is_inside(const char *name, size_t len, bool payload);

void bagline_add(struct buf *buf, const struct digest_alg *alg, const unsigned char *digest,
		 const char *name, size_t len);

/* The algorithm's name as in manifest-NAME.txt. */
void bagline_add_name(struct buf *buf, const struct digest_alg *alg);

#endif
