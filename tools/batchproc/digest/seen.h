/* SPDX-License-Identifier: MIT */
/*
 * seen: which paths there were, and a number for each. Of a path 16 bytes are kept, whatever its
 * length: for a million of them 48 MiB at most. Two paths with the same 16 bytes there are not: they are
 * XXH128's.
 *
 * Main thread while paths are added; any thread afterwards.
 */
#ifndef BATCHPROC_SEEN_H
#define BATCHPROC_SEEN_H

#include <stddef.h>
#include <stdint.h>

struct seen;

struct seen *seen_new(void);
void seen_free(struct seen *seen);

/* The number of a path, 0 for a new one; good until the next is added. */
uint32_t *seen_add(struct seen *seen, const char *path, size_t len);
/* NULL: there was none. */
const uint32_t *seen_find(const struct seen *seen, const char *path, size_t len);

#endif
