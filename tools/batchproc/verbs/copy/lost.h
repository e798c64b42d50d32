/* SPDX-License-Identifier: MIT */
/*
 * lost: what a copy should have kept of its source besides the content, and could not. The copy
 * stays, and its item fails with all of it in its reason. One thread at a time.
 */
#ifndef BATCHPROC_LOST_H
#define BATCHPROC_LOST_H

#include "base/buf.h"

struct copy_lost {
	int err; /* of the first; 0: nothing */
	struct buf text; /* ends with a NUL */
};

/* @what, as in "its owner". */
void lost_add(struct copy_lost *lost, int err, const char *what);
void lost_forget(struct copy_lost *lost);

#endif
