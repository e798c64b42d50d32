/* SPDX-License-Identifier: MIT */
/*
 * hashfile: the digest of one item's file. Shared by hash and verify.
 */
#ifndef BATCHPROC_HASHFILE_H
#define BATCHPROC_HASHFILE_H

#include "digest/digest.h"

struct item;

/*
 * Opens, reads and digests the file of @item into @result; task only. What is not a regular file
 * is not read: item->status becomes STATUS_SKIPPED and item->why says what it is. The name - is
 * standard input where @stdin_name is set. Returns 0 or -errno.
 */
int hashfile_digest(struct item *item, const struct digest_alg *alg, bool stdin_name,
		    unsigned char *result);

/* item_ops.permanent: what was read of standard input is gone, and it can be claimed only once. */
bool hashfile_permanent(const struct item *item, int err);

#endif
