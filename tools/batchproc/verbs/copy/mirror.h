/* SPDX-License-Identifier: MIT */
/*
 * mirror: what --delete keeps for a run (mirror.c), and how one thing is removed (removal.c).
 */
#ifndef BATCHPROC_MIRROR_H
#define BATCHPROC_MIRROR_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

#include "run/item.h"

struct buf;
struct claims;
struct mirror_root;
struct seen;

struct mirror {
	struct item_class class; /* of what goes */
	struct claims *noted; /* of the sources: see mirror.c */
	struct seen *places; /* where those are that were named: real paths */
	struct mirror_root *roots;
	_Atomic uint64_t removed;
	atomic_bool lost; /* something of the sources could not be noted */
	pthread_mutex_t modes; /* held while a directory is made one that may be written */
};

/* What the item of something that goes has. */
struct delete_item {
	struct mirror_root *root; /* the tree that it is in the copy of */
	int fd; /* the directory that it is in */
	char *name; /* its path below the root; NULL: nothing of this is set */
	size_t below; /* where in that its last part begins */
	mode_t mode; /* of the directory, and its owner, as they were before anything went */
	uid_t owner;
	struct timespec mtime; /* that it is to have again; UTIME_OMIT: it is to have a new one */
};

extern const struct item_ops delete_items;

/* Adds the path of the source, as it was given, but for one item of it only. Any thread. */
void mirror_add_root(const struct item *item, struct buf *buf);

/* Why something stays that is a source, or a directory with one in it. */
extern const char mirror_is_source_text[];

/* Whether what is @st was named as a source, or is a directory of one. Any thread. */
bool mirror_is_source(struct mirror *m, const struct stat *st);

/*
 * Whether it is where one that was named was found: @path as mirror_place() has it, and a name
 * behind that. For file systems where the inode of a thing is not always the same. Any thread.
 */
bool mirror_is_place(const struct mirror *m, const char *path);
/* The real path of a directory that is open, with a slash at its end; nothing where that is not known. */
void mirror_place(struct buf *path, int fd);

/*
 * Whether a directory that was opened as @fd, in one on the device @dev, is where something is
 * mounted, be it a part of the same file system. Plain calls.
 */
bool mirror_crosses(int fd, dev_t dev);

#endif
