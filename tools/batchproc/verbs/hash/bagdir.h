/* SPDX-License-Identifier: MIT */
/*
 * bagdir: what is in a directory that becomes a bag: its names one by one, and whether its payload is
 * what the manifest says. See bag.c for what lies where. Main thread only.
 */
#ifndef BATCHPROC_BAGDIR_H
#define BATCHPROC_BAGDIR_H

#include <stdbool.h>
#include <sys/stat.h>

#include "base/buf.h"

#define BAG_STAGE ".batchproc-bag"
#define BAG_DATA "data"

bool bagdir_has(int dirfd, const char *name);

/*
 * Calls @take for each name in a directory below @dirfd, until it does not return 0. Returns that,
 * or -errno where it cannot be listed to its end.
 */
int bagdir_each(int dirfd, const char *path, int (*take)(void *ctx, const char *name), void *ctx);

/* [tag]manifest-ALGORITHM.txt, also with .part behind it. */
bool bagdir_is_manifest(const char *name, bool *tag, bool *part);

/* The first that is found wrong, with what is wrong with it. */
struct bagdir_wrong {
	struct buf name; /* in the bag, with a NUL */
	const char *why; /* NULL: none is */
};

/*
 * Compares the files of the payload with the manifest, name by name. With @moved all are taken to be
 * where they belong below data/, or on their way in the stage's data/; otherwise they may be at
 * their old places as well. Returns 0, or -errno where that cannot be told, with the name in
 * @wrong.
 */
int bagdir_compare(int dirfd, int stage, bool moved, struct bagdir_wrong *wrong);

#endif
