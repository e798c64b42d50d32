/* SPDX-License-Identifier: MIT */
/*
 * claims: which destinations of a run are taken, and by which source; in flat memory. Any thread.
 */
#ifndef BATCHPROC_CLAIMS_H
#define BATCHPROC_CLAIMS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct claims;

/* Those of a run: none. */
struct claims *claims_new(void);

enum claim {
	CLAIM_FIRST, /* it is the caller's now */
	CLAIM_SAME, /* the same source has it already, and in the same way */
	CLAIM_OTHER, /* another one has it */
};

/*
 * Takes a name in a directory, which is known by device and inode, for a source, which is to come
 * there in this @way. Returns an enum claim, or -errno where there is no room to note it. Plain
 * calls.
 */
int claims_take(struct claims *claims, dev_t dev, ino_t ino, const char *name,
		const struct stat *source, uint64_t way);

/* Whether a place is taken by anybody. */
bool claims_taken(struct claims *claims, dev_t dev, ino_t ino, const char *name);

void claims_free(struct claims *claims);

#endif
