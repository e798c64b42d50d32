/* SPDX-License-Identifier: MIT */
/*
 * fields: what values of headers mean. Pure functions of text; any thread.
 */
#ifndef BATCHPROC_FIELDS_H
#define BATCHPROC_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

/* A date of HTTP, in any of its three forms, as seconds since 1970. */
bool http_date_parse(const char *text, int64_t *seconds);
/* In the form that is sent: Sun, 06 Nov 1994 08:49:37 GMT. */
void http_date_add(struct buf *buf, int64_t seconds);

/*
 * Retry-After, seconds or a date, as nanoseconds from @now (seconds since 1970) on; false: neither.
 */
bool retry_after_parse(const char *text, int64_t now, uint64_t *ns);

/* Content-Range: bytes FIRST-LAST/TOTAL; also with * for the total, and bytes * /TOTAL. */
struct content_range {
	bool unsatisfied; /* it has only a total */
	uint64_t first, last;
	uint64_t total; /* UINT64_MAX: not known */
};
bool content_range_parse(const char *text, struct content_range *range);

/* Whether an ETag has the form of one; and whether it is strong, so that ranges may rest on it. */
bool etag_is_valid(const char *text);
bool etag_is_strong(const char *text);
/* Whether two name the same content to the byte. */
bool etag_matches(const char *a, const char *b);

/* The filename of a Content-Disposition, decoded to bytes; filename* goes before filename. */
bool disposition_name(const char *text, struct buf *name);

#endif
