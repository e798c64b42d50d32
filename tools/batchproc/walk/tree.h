/* SPDX-License-Identifier: MIT */
/*
 * tree: the directories of the trees that are walked, as far as somebody still needs them.
 *
 *	tree --> root <-- dirnode <-- dirnode <-- items that were found in it
 *	          ^----------'           '------- what is pending below it
 *
 * A node lives while something below it does: it holds its parent, and knows only its own name. So
 * it is known when everything below a directory has ended, whatever order that happened in.
 *
 * Its descriptor is needed by less: by the walker that reads it and by the items found in it. When
 * none of them is left the descriptor may be closed, and is opened anew by its path from the root,
 * without following links, if a walker needs it again. So a deep tree needs no more descriptors
 * than a flat one. The root's stays open.
 *
 * Counts are atomic; closing and opening stand under the lock of struct dirs. Items may be on any
 * loop, so nothing of this waits but dirnode_open(), which only walkers call.
 */
#ifndef BATCHPROC_TREE_H
#define BATCHPROC_TREE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/device.h"

struct buf;
struct dirnode;
struct item;
struct tree;
struct item_class;
struct walk;

/* What a verb does about the directories of a tree. Called in a walker's task; any may be NULL. */
struct tree_ops {
	bool follows; /* a symbolic link that the user named as the root of a tree */
	/*
	 * Those too that are found: a link to a directory is entered, unless that is one that it is
	 * in, and any other one is what it leads to. Without it none is.
	 */
	bool follows_all;
	unsigned int takes; /* 1 << DT_x: types that become items; regular files always do */
	/*
	 * Each directory becomes an item too, of type DT_DIR and with item->self, when everything
	 * below it has ended.
	 */
	bool leaves;
	/*
	 * A directory that must not be read, or is gone, becomes an item as well, with its error in
	 * item->err and without item->self: it may be empty, or need not be there. So does anything
	 * else that is gone before it is known what it is.
	 */
	bool unread;
	/* A filter that goes by size leaves out what has none: all but regular files. */
	bool sized;
	/* The directory that a root is in is open as tree->above, and the root was opened in it. */
	bool above;
	/*
	 * A directory was opened, nothing of it has been read. Negative: its record says so (as
	 * dir->why, if that is set), and it is not read; WALK_PASS: it is passed over, and its
	 * record says "skipped" and dir->why.
	 */
	int (*enter)(struct dirnode *dir);
	/*
	 * Something was found that is no directory, of type DT_UNKNOWN where that cannot be known, and
	 * was not left out. True: the verb has seen to it, and it becomes no item.
	 */
	bool (*found)(struct dirnode *dir, const char *name, unsigned char type);
	/* One that was entered has been read to its end, without an error. */
	void (*whole)(struct dirnode *dir);
	/*
	 * A directory that was not entered, or not read to its end, has a record as well: fills in
	 * the verb's part of that item. @parent is NULL for the root of the tree.
	 */
	void (*missed)(struct item *item, struct tree *tree, struct dirnode *parent,
		       const char *name);
	/* Frees what enter() left in dir->data. Any thread. */
	void (*forget)(struct dirnode *dir);
};

#define WALK_PASS 1

/* One tree of a walk. */
struct tree {
	atomic_uint refs;
	struct walk *walk;
	const struct item_class *class; /* held */
	const struct tree_ops *ops;
	int above; /* -1: not opened */
	enum device_kind kind; /* of the device that its root is on */
	void *data; /* the verb's own */
	void (*release)(void *data); /* at the end of the tree */
};

/* The directories of all trees of a walk. */
struct dirs {
	pthread_mutex_t lock;
	unsigned int idle; /* open descriptors that nobody needs */
	unsigned int idle_most;
	/*
	 * Nothing is left below a node: whether it shall be freed now. Any thread, also a loop's.
	 */
	bool (*ended)(struct dirnode *dir);
};

struct dirnode {
	struct dirs *dirs;
	struct tree *tree;
	struct dirnode *parent; /* NULL: the root of its tree */
	atomic_uint refs; /* to its memory */
	atomic_uint opens; /* to its descriptor, all together one of refs; 0 <-> 1 under the lock */
	int fd; /* or -1; under the lock while opens is 0 */
	bool recorded; /* it has a record already, because it could not be read */
	bool written_off; /* likewise, since nobody waits for what is below it */
	atomic_bool found; /* something was found in it */
	atomic_bool failed; /* something in it did not succeed */
	atomic_bool spared; /* something below it was left out: by a filter, or by an answer */
	const char *why; /* of enter() */
	dev_t dev; /* these four by dirnode_look() */
	ino_t ino;
	enum device_kind kind;
	bool mounted; /* a file system, or a part of one, is mounted on it */
	void *data; /* the verb's own */
	struct dirnode *next; /* among those that wait to be left */
	size_t len;
	char name[]; /* in its parent; the root's is its path */
};

struct tree *tree_get(struct tree *tree);
void tree_put(struct tree *tree);

/*
 * A node for a directory that was just opened, which the caller holds open; takes @parent and @tree
 * over.
 */
struct dirnode *dirnode_new(struct dirs *dirs, struct tree *tree, struct dirnode *parent, int fd,
			    const char *name, size_t len);

/* Holds a node that is held open anyway once more, or holds its memory. */
struct dirnode *dirnode_get_open(struct dirnode *dir);
struct dirnode *dirnode_get(struct dirnode *dir);

/* The opposites. */
void dirnode_put_open(struct dirnode *dir);
void dirnode_put(struct dirnode *dir);

/* Whether its descriptor is there without opening it; then it is held open. */
bool dirnode_try_open(struct dirnode *dir);

/* Holds a node open, opening it anew if need be. Return: 0 or -errno. A walker's task only. */
int dirnode_open(struct dirnode *dir);

/* Frees a node that dirs->ended() kept; lets go of its parent. */
void dirnode_free(struct dirnode *dir);

/* Fills in what it is; it is held open. Return: 0 or -errno. A walker's task only. */
int dirnode_look(struct dirnode *dir);

/* Its descriptor, for whoever holds it open. */
static inline int dirnode_fd(const struct dirnode *dir)
{
	return dir->fd;
}

const struct dirnode *dirnode_root(const struct dirnode *dir);

/* Something in it was left out, and so in all above it. */
void dirnode_spare(struct dirnode *dir);

/* Adds its path as the user knows it, with a slash at the end; and that below its root. */
void dirnode_path(const struct dirnode *dir, struct buf *buf);
void dirnode_path_below(const struct dirnode *dir, struct buf *buf);

#endif
