/* SPDX-License-Identifier: MIT */
/*
 * hashfile: the digest of one item's file, or several of them. Shared by hash and verify.
 */
#ifndef BATCHPROC_HASHFILE_H
#define BATCHPROC_HASHFILE_H

#include <stdbool.h>
#include <stddef.h>

#include "digest/digest.h"

struct item;

/* A digest that is wanted, and where it goes: alg->size bytes. */
struct hashfile_want {
	const struct digest_alg *alg;
	unsigned char *result;
};

/*
 * Opens, reads and digests the file of @item into @result; task only. What is not a regular file
 * is not read: item->status becomes STATUS_SKIPPED and item->why says what it is. The name - is
 * standard input where @stdin_name is set. Returns 0 or -errno.
 */
int hashfile_digest(struct item *item, const struct digest_alg *alg, bool stdin_name,
		    unsigned char *result);

/* The same for @count digests, 1 to HASHER_DIGESTS (hasher.h); the file is read once. */
int hashfile_digests(struct item *item, const struct hashfile_want *wants, size_t count,
		     bool stdin_name);

/* item_ops.permanent: what was read of standard input is gone, and it can be claimed only once. */
bool hashfile_permanent(const struct item *item, int err);

#endif
