/* SPDX-License-Identifier: MIT */
/*
 * walkdir: one directory of a walk; what pending.c, walk.c and walkdir.c share.
 */
#ifndef BATCHPROC_WALKDIR_H
#define BATCHPROC_WALKDIR_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "walk/tree.h"

#include "run/item.h"

struct dirent64;
struct job;

#define BLOCK_BYTES 65536u /* of directory entries, in one call */
#define WORK_BYTES 1048576u /* of which a walker that works sorts so many */
#define ENTRY_LEAST 24u /* bytes of an entry */

/* A walker's own: entries of a directory, and for one that works also their order. */
struct block {
	const struct dirent64 **sorted;
	size_t room;
	_Alignas(max_align_t) char bytes[];
};

struct pending {
	struct pending *next;
	struct tree *tree;
	struct dirnode *parent; /* NULL: it is the root */
	struct dirnode *rest; /* it was opened before, and the rest of it is to be read */
	off_t position; /* from where on */
	bool held; /* and is held open until then */
	bool followed; /* it was found as a link */
	struct pending *reading; /* among those that walkers are at */
	struct dirnode *dir; /* it is open; under the lock */
	size_t len;
	char name[];
};

struct walk {
	struct job *job;
	struct bp_group *group; /* of the walkers */
	unsigned int most; /* walkers */
	bool works; /* they do by themselves what they find, and are in the items' group */
	struct dirs dirs;
	unsigned int held_most; /* rests that may be held open */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct pending *stack;
	size_t depth;
	struct pending *reading; /* what walkers are at: few */
	struct pending *roots, **roots_end; /* not begun; taken when the stack is empty */
	size_t queued;
	unsigned int held;
	struct dirnode *leaving; /* nothing is left below these */
	size_t live; /* directories that will be left or have not ended being so */
	unsigned int active;
};

/* ---- what is to be read (pending.c) */

struct pending *pending_new(struct tree *tree, struct dirnode *parent, const char *name,
			    size_t len);
/* Where reading stopped for now: it goes back on the stack, under what it led to. */
struct pending *pending_rest(struct dirnode *dir, off_t position);
/*
 * The same with @dir, which the caller holds open, held open until somebody else does: where
 * entries vanish meanwhile, some file systems keep a position only for who has it open. NULL: too
 * many are.
 */
struct pending *pending_rest_open(struct dirnode *dir, off_t position);
void pending_let_go(struct pending *p);
void pending_free(struct pending *p);

/* ---- the stack (walk.c) */

/* Puts a chain of directories on the stack, and starts a walker if there should be one more. */
void walk_push(struct walk *walk, struct pending *chain);
/* There are so many that what is found is better found later. */
bool walk_is_deep(struct walk *walk);

/* ---- one directory (walkdir.c) */

/*
 * The directory, held open, to be read; NULL: it is not to be read, and has its record if need be.
 * Walker.
 */
struct dirnode *walkdir_open(struct walk *walk, struct pending *p);
struct block *walkdir_block_new(const struct walk *walk);
void walkdir_block_free(struct block *block);

/*
 * Reads it block by block, as far as the stack allows: its files become items, its directories
 * pending ones, of which the first is returned instead of being pushed. Walker.
 */
struct pending *walkdir_read(struct walk *walk, struct dirnode *dir, struct pending *p,
			     struct block *block);
/*
 * One entry: an item, a subdirectory for the chain (NULL: it is given up), or nothing (entry.c).
 * Walker.
 */
void walkdir_take_entry(struct walk *walk, struct dirnode *dir, const struct dirent64 *entry,
			struct pending **chain);
/* Has it worked off: by a task of its own, or by this walker, which then is one of them. */
void walkdir_give(struct walk *walk, struct item *item);
/* A directory that could not be read, or will not be any more, has a record too. */
void walkdir_finish(struct walk *walk, const struct pending *p, enum status status, int err,
		    const char *why);
/* All below it has ended: its own item, and that given to the job. The latter by a walker. */
struct item *walkdir_leaving(struct walk *walk, struct dirnode *dir, bool open);
void walkdir_leave(struct walk *walk, struct dirnode *dir);
/* After a stop: what becomes of one that was not entered, or not read to its end. Main thread. */
void walkdir_give_up(struct walk *walk, struct pending *p);
/*
 * The same for one that somebody else is at, of which nothing more will be looked at. Any thread.
 */
void walkdir_write_off(struct walk *walk, const struct pending *p);

#endif
