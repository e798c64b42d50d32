/* SPDX-License-Identifier: MIT */
/*
 * hasher: a buffer and a digest state, kept for the next file. A task takes one and gives it back;
 * they are kept in a list for each thread: a task stays on its loop, so that no lock is needed, and
 * the one used last is used first. What a thread has when it ends is for those that come later.
 * They belong to the process, and are never freed: any number of runs may use them at once.
 */
#ifndef BATCHPROC_HASHER_H
#define BATCHPROC_HASHER_H

#include <stddef.h>

#define HASHER_BYTES 131072u
#define HASHER_DIGESTS 8u /* that a file is read for at once, at most */

struct digest;

struct hasher {
	struct hasher *next;
	struct digest *digest; /* the first */
	struct digest *further[HASHER_DIGESTS - 1]; /* those that were ever wanted, or NULL */
	unsigned char *memory;
	unsigned char *buffer; /* HASHER_BYTES, within memory */
};

struct hasher *hasher_get(void);
void hasher_put(struct hasher *hasher);

/* One of several digest states, from 0. */
struct digest *hasher_digest(struct hasher *hasher, size_t i);

#endif
