/* SPDX-License-Identifier: MIT */
/*
 * walk: turns directory trees into items, concurrently and in flat memory.
 *
 * Physical: symbolic links inside a tree are never followed. What becomes an item is the verb's
 * choice (tree.h): regular files always; symbolic links are passed over unless it takes them; what
 * it does not take of FIFOs, sockets and devices gets a "skipped" record and is never opened. A
 * directory that cannot be read gets a "failed" one, and the walk goes on. A verb that has something
 * to do when it leaves a directory gets an item for each, after all below it has ended.
 */
#ifndef BATCHPROC_WALK_H
#define BATCHPROC_WALK_H

#include <stddef.h>

struct dirnode;
struct job;
struct tree_ops;
struct item_class;
struct walk;

/* Walkers of a walk where descriptors are plenty. */
#define WALKERS_MOST 16

int walk_create(struct job *job);
void walk_destroy(struct walk *walk);

/* A tree to be walked: what its items are, what is done about directories, the verb's own data. */
struct walk_root {
	const struct item_class *class;
	const struct tree_ops *ops;
	void *data;
	void (*release)(void *data); /* when the tree has ended, or NULL */
};

/* Adds a tree. With --keep-order it returns when all its items were given. Main thread. */
void walk_add(struct walk *walk, const struct walk_root *root, const char *path, size_t len);

/* Waits for the end of all trees. Main thread. */
void walk_wait(struct walk *walk);

/* Ends the walkers; wakes a main thread that waits. Any thread; NULL is fine. */
void walk_cancel(struct walk *walk);
void walk_wake(struct walk *walk);

/*
 * An item that was found in @dir, or whose directory itself is @self, has ended. Any thread, and
 * after the last look at the item.
 */
void walk_item_ended(struct dirnode *dir, struct dirnode *self);

/* A walker that stood among the items will not be started. Any thread. */
void walk_never_started(struct walk *walk);

#endif
