/* SPDX-License-Identifier: MIT */
/*
 * hash: what its parts share: hash.c has the verb, mtree.c what its lists in that form say beside
 * digests, update.c what of such a list is still so, bag.c makes bags.
 */
#ifndef BATCHPROC_HASH_H
#define BATCHPROC_HASH_H

#include <stdbool.h>
#include <stdint.h>

#include "digest/digest.h"
#include "digest/sumlist.h"

struct bag_run;
struct buf;
struct dirnode;
struct item;
struct job;
struct update;

#define HASH_MORE 7 /* as many as the lines of a list have: SUMLINE_MORE */

struct settings {
	const struct digest_alg *alg;
	const struct digest_alg *more[HASH_MORE]; /* beside that */
	size_t more_count;
	bool recursive;
	bool check; /* where it could not be taken for verify */
	struct sumstyle style;
	enum sumformat format;
	const char *update; /* a list, or NULL */
	bool bag;
	/* Of a run: */
	struct update *known;
	struct bag_run *bag_run;
};

struct hash_item {
	unsigned char digest[DIGEST_SIZE_MAX];
	unsigned char (*more)[DIGEST_SIZE_MAX]; /* of settings.more; NULL where that is none */
	struct sumfacts facts; /* of an mtree list; its link is in text */
	char *text;
	uint64_t size; /* of a file, by its name */
	bool kept; /* its digest is that of --update, and it was not read */
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

/* ---- update.c */

/* Reads an mtree list; NULL where that cannot be had, and it is said. Before the run. */
struct update *hash_update_read(const char *name, const struct digest_alg *alg);
void hash_update_free(struct update *update);

/* Whether the list has a file with that size and time; then its digest. Any thread. */
bool hash_update_knows(const struct update *update, const struct item *item, uint64_t size,
		       const struct sumfacts *facts, unsigned char *digest);

/* ---- bag.c */

struct bag_run *hash_bag_new(const struct digest_alg *alg);
void hash_bag_free(struct bag_run *bag);

/* As in struct job_ops. */
void hash_bag_feed(struct job *job);
bool hash_bag_finish(struct job *job);

/* NULL, or why a bag cannot hold it. */
const char *hash_bag_refuses(const struct item *item);

/* Adds a file to the manifest. Returns 0 or -errno. Any thread. */
int hash_bag_add(struct bag_run *bag, const struct item *item, const unsigned char *digest,
		 uint64_t size);

#endif
