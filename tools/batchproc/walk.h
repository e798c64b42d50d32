/* SPDX-License-Identifier: MIT */
/*
 * walk: turns directory trees into items, concurrently and in flat memory.
 *
 * Physical: symbolic links inside a tree are never followed and, like find -type f, passed over;
 * one that the user named is followed. Regular files become items; FIFOs, sockets and devices
 * get a "skipped" record and are never opened; a directory that cannot be read gets a "failed"
 * one, and the walk goes on.
 */
#ifndef BATCHPROC_WALK_H
#define BATCHPROC_WALK_H

#include <stddef.h>

struct buf;
struct dirnode;
struct job;
struct walk;

/* Walkers of a walk where descriptors are plenty. */
#define WALKERS_MOST 16

int walk_create(struct job *job);
void walk_destroy(struct walk *walk);

/* Adds a tree. With --keep-order it returns when all its items were given. Main thread. */
void walk_add(struct walk *walk, const char *path, size_t len);

/* Waits for the end of all trees. Main thread. */
void walk_wait(struct walk *walk);

/* Ends the walkers; wakes a main thread that waits. Any thread; NULL is fine. */
void walk_cancel(struct walk *walk);
void walk_wake(struct walk *walk);

/* An open directory that items were found in. */
int dirnode_fd(const struct dirnode *dir);
void dirnode_path(const struct dirnode *dir, struct buf *buf);
void dirnode_put(struct dirnode *dir);

#endif
