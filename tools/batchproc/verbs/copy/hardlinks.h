/* SPDX-License-Identifier: MIT */
/*
 * hardlinks: which files with several names a run has copied, and where to. Any thread.
 */
#ifndef BATCHPROC_HARDLINKS_H
#define BATCHPROC_HARDLINKS_H

#include <stdbool.h>
#include <sys/stat.h>

#include "digest/digest.h"

struct dirnode;
struct hardlinks;
struct item;

struct hardlinks *hardlinks_new(void);
void hardlinks_free(struct hardlinks *table);

enum hardlink_turn {
	HARDLINK_FIRST, /* the caller copies it, and calls hardlink_done() */
	HARDLINK_LATER, /* another item copies it now */
	HARDLINK_THERE, /* the copy is there: special_link() */
};

/* A name of the copy of a file with several. */
struct hardlink_copy {
	struct dirnode *dir;
	char *name;
	bool has_digest;
	unsigned char digest[DIGEST_SIZE_MAX];
};

void hardlink_copy_free(struct hardlink_copy *copy);

enum hardlink_end {
	HARDLINK_MADE, /* the item's destination is the copy for all others */
	HARDLINK_PASSED, /* it is not, and the next one to come is the first */
	HARDLINK_FAILED,
	HARDLINK_JOINED, /* of HARDLINK_THERE: it is a link now, or was to stay what it is */
};

/* Of a file with this @st, that an item is a name of. With HARDLINK_THERE @copy is the caller's. */
enum hardlink_turn hardlink_turn(const struct item *item, const struct stat *st,
				 struct hardlink_copy *copy);
/* The same, and waits while another item copies it. Return: 0 or -errno. Task. */
int hardlink_await(const struct item *item, const struct stat *st, struct hardlink_copy *copy,
		   bool *there);
/* @digest: NULL where nobody knows it. */
void hardlink_done(const struct item *item, const struct stat *st, enum hardlink_end end,
		   const unsigned char *digest);
/*
 * Whether the copy that an earlier run has made of a file is the first of its names to come: then
 * the others become links to it.
 */
bool hardlink_restore(const struct item *item, const struct stat *st, const unsigned char *digest);

#endif
