/* SPDX-License-Identifier: MIT */
/*
 * hash: what its parts share: hash.c has the verb, mtree.c what its lists in that form say beside
 * digests.
 */
#ifndef BATCHPROC_HASH_H
#define BATCHPROC_HASH_H

#include <stdbool.h>
#include <stdint.h>

#include "digest/digest.h"
#include "digest/sumlist.h"

struct dirnode;
struct item;
struct job;

struct settings {
	const struct digest_alg *alg;
	bool recursive;
	bool check; /* where it could not be taken for verify */
	struct sumstyle style;
	enum sumformat format;
};

struct hash_item {
	unsigned char digest[DIGEST_SIZE_MAX];
	struct sumfacts facts; /* of an mtree list; its link is in text */
	char *text;
};

/* ---- mtree.c */

/*
 * Fills in what the list says of a file beside its digest. 0; 1: and that is all that it says; or
 * -errno. Task only.
 */
int hash_mtree_look(struct item *item);

/*
 * The directory is entered: its entry is written before those of what is in it. As in struct
 * tree_ops; and for those that a name is in, in the main thread.
 */
int hash_mtree_enter(struct dirnode *dir);
void hash_mtree_parents(struct job *job, const char *name);

#endif
