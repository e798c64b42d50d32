/* SPDX-License-Identifier: MIT */
/*
 * walk: turns directory trees into items, concurrently and in flat memory.
 *
 * Physical: symbolic links inside a tree are never followed. What becomes an item is the verb's
 * choice (tree.h): regular files always; symbolic links are passed over unless it takes them; what
 * it does not take of FIFOs, sockets and devices gets a "skipped" record and is never opened. A
 * directory that cannot be read gets a "failed" one, and the walk goes on. A verb that has
 * something to do when it leaves a directory gets an item for each, after all below it has ended.
 */
#ifndef BATCHPROC_WALK_H
#define BATCHPROC_WALK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/device.h"
#include "run/job.h"

struct dirnode;
struct tree;
struct tree_ops;
struct walk;

/* The walk as a part of a run. */
extern const struct walk_hooks walk_hooks;

/* A tree to be walked: what its items are, what is done about directories, the verb's own data. */
struct walk_root {
	const struct item_class *class;
	const struct tree_ops *ops;
	enum device_kind kind; /* of the device that it is on */
	void *data;
	void (*release)(void *data); /* when the tree has ended, or NULL */
};

/* Adds a tree. With --keep-order it returns when all its items were given. Main thread. */
void walk_add(struct walk *walk, const struct walk_root *root, const char *path, size_t len);

/*
 * Whether a name in a directory, which is held open, is there and neither left out nor passed over;
 * one that cannot be looked at counts as one that is not. Plain calls.
 */
bool walk_takes(const struct dirnode *dir, const char *name);

/* The run that a tree is walked for. */
struct job *walk_tree_job(const struct tree *tree);

/* The tree that an item was found in, or whose root it is; NULL: none. */
struct tree *walk_item_tree(const struct item *item);

#endif
