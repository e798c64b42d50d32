/* SPDX-License-Identifier: MIT */
/*
 * unlisted: what there is in a directory tree that no list names. Main thread only; the trees of
 * --unlisted are walked by walkers, a bag's payload is not.
 */
#ifndef BATCHPROC_UNLISTED_H
#define BATCHPROC_UNLISTED_H

#include <stddef.h>
#include <sys/types.h>

struct job;
struct list;
struct verify_run;

/* Something that is no directory: its path below the top, and its name in the open directory. */
struct found {
	const char *path;
	size_t len;
	int dirfd;
	const char *name;
};

/*
 * Calls @take for all that is below @top and no directory. Links are not followed. What cannot be read
 * becomes an item that failed. Ends early where the run is stopped. Returns 0, or -errno where @top
 * itself cannot be read, without an item.
 */
int tree_each(struct job *job, struct list *list, const char *top,
	      void (*take)(void *ctx, const struct found *found), void *ctx);

/* A name from a list, or the list itself, is no stranger. */
void verify_seen(struct job *job, const char *name, size_t len);

/*
 * After the last list: has the directories of --unlisted walked, and each file in them that was not
 * seen is an item that has failed.
 */
void verify_unlisted(struct job *job);
/* After the run. */
void verify_unlisted_end(struct verify_run *run);

#endif
