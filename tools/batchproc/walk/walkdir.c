/* SPDX-License-Identifier: MIT */
/*
 * walkdir: one directory of a walk: entered, read, left, or given up. See walkdir.h.
 *
 * Descriptors. A directory stays open while items found in it are in flight: they open their
 * files relative to it. Everything below a root is opened relative to an open directory of the
 * tree, without following links, so that a directory that is swapped for a link meanwhile leads
 * nowhere.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/device.h"
#include "run/job.h"
#include "run/steer.h"
#include "base/path.h"
#include "walk/tree.h"
#include "base/alloc.h"
#include "walk/walkdir.h"

void walkdir_give(struct walk *walk, struct item *item)
{
	if (walk->works)
		item_perform(item);
	else
		item_submit(item);
}

/* ---- opening and leaving */

/* With @open, the parent is held open for the item; else the name is the path. */
static struct item *directory_item(struct walk *walk, struct tree *tree, struct dirnode *parent,
				   bool open, const char *name, size_t len)
{
	struct buf path = {0};
	struct item *item;

	if (parent && !open)
		dirnode_path(parent, &path);
	buf_add(&path, name, len);
	item = item_new_undivided(walk->job, tree->class, open ? parent : NULL, path.data,
				  path.len);
	item->type = DT_DIR;
	item->below = parent != NULL;
	buf_free(&path);
	return item;
}

void walkdir_finish(struct walk *walk, const struct pending *p, enum status status, int err,
		    const char *why)
{
	struct item *item = directory_item(walk, p->tree, p->parent, false, p->name, p->len);

	item->why = why;
	if (p->tree->ops->missed)
		p->tree->ops->missed(item, p->tree, p->parent, p->name);
	if (p->parent && status == STATUS_FAILED)
		atomic_store(&p->parent->failed, true);
	item_finish(item, status, err);
}

/* The name of a root in the directory that it is in. */
static const char *own_name(const struct pending *p)
{
	size_t len;

	return path_name(p->name, &len);
}

/* It is there already where the root itself found no descriptor before. */
static int open_above(const struct pending *p)
{
	struct buf parent = {0};
	int fd;

	if (p->tree->above >= 0)
		return 0;
	buf_add(&parent, p->name, (size_t)(own_name(p) - p->name));
	if (!parent.len)
		buf_char(&parent, '.');
	buf_char(&parent, '\0');
	fd = path_open(AT_FDCWD, parent.data, O_PATH | O_DIRECTORY);
	buf_free(&parent);
	if (fd < 0)
		return fd;
	p->tree->above = fd;
	return 0;
}

static int open_root(const struct pending *p)
{
	const int flags = O_RDONLY | O_DIRECTORY | (p->tree->ops->follows ? 0 : O_NOFOLLOW);
	const char *path = p->name;
	int dirfd = AT_FDCWD, fd;

	if (p->tree->ops->above) {
		fd = open_above(p);
		if (fd < 0)
			return fd;
		dirfd = p->tree->above;
		path = own_name(p);
	}
	return device_open(p->tree->kind, dirfd, path, flags);
}

static int open_below(const struct pending *p)
{
	int fd = dirnode_open(p->parent);

	if (fd < 0)
		return fd;
	fd = p->followed ? device_open(p->parent->kind, dirnode_fd(p->parent), p->name,
				       O_RDONLY | O_DIRECTORY) :
			   device_open_beneath(p->parent->kind, dirnode_fd(p->parent), p->name,
					       O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	dirnode_put_open(p->parent);
	return fd;
}

static int open_rest(struct pending *p)
{
	int err = dirnode_open(p->rest);

	if (!err)
		pending_let_go(p);
	/* Most often it stands there. */
	if (!err && lseek(dirnode_fd(p->rest), 0, SEEK_CUR) != p->position &&
	    lseek(dirnode_fd(p->rest), p->position, SEEK_SET) < 0) {
		err = -errno;
		dirnode_put_open(p->rest);
	}
	return err;
}

static bool is_in_itself(const struct dirnode *dir)
{
	const struct dirnode *up = dir->parent;

	while (up && (up->dev != dir->dev || up->ino != dir->ino))
		up = up->parent;
	return up;
}

static struct dirnode *enter(struct walk *walk, struct pending *p, int fd, int *err,
			     const char **why)
{
	struct dirnode *dir = dirnode_new(&walk->dirs, tree_get(p->tree),
					  p->parent ? dirnode_get(p->parent) : NULL, fd, p->name,
					  p->len);

	if (p->tree->ops->leaves) {
		pthread_mutex_lock(&walk->lock);
		walk->live++;
		pthread_mutex_unlock(&walk->lock);
	}
	*err = dirnode_look(dir);
	if (!*err && p->followed && is_in_itself(dir)) {
		dir->why = "leads to a directory that it is in";
		*err = -ELOOP;
	}
	if (!*err && p->tree->ops->enter)
		*err = p->tree->ops->enter(dir);
	if (!*err)
		return dir;
	dir->recorded = *err < 0;
	*why = dir->why;
	dirnode_put_open(dir);
	return NULL;
}

/* What may not be read may be empty all the same; what is gone is the verb's to judge. */
static bool is_tried_unread(const struct pending *p, int err)
{
	return p->tree->ops->unread && !p->rest && (err == -EACCES || err == -ENOENT);
}

/* False: its parent is gone too. */
static bool submit_unread(struct walk *walk, const struct pending *p, int err)
{
	struct item *item;

	if (p->parent && dirnode_open(p->parent) < 0)
		return false;
	item = directory_item(walk, p->tree, p->parent, true, p->name, p->len);
	item->err = err;
	walkdir_give(walk, item);
	return true;
}

/*
 * The directory, held open, to be read; NULL: it is not to be read, and has its record if need be.
 */
struct dirnode *walkdir_open(struct walk *walk, struct pending *p)
{
	struct dirnode *dir = NULL;
	const char *why = NULL;
	unsigned int tries = 0;
	int err;

	do {
		if (p->rest)
			err = open_rest(p);
		else
			err = p->parent ? open_below(p) : open_root(p);
	} while (steer_await_descriptor(walk->job, err, &tries));

	if (err >= 0)
		dir = p->rest ? p->rest : enter(walk, p, err, &err, &why);
	if (is_tried_unread(p, err) && submit_unread(walk, p, err))
		return NULL;
	if (err < 0) {
		bool stopped = err == -ECANCELED && steer_stopping(walk->job);

		if (p->rest && stopped) {
			walk_push(walk, pending_rest(p->rest, p->position));
			return NULL;
		}
		if (p->rest)
			p->rest->recorded = true;
		walkdir_finish(walk, p, stopped ? STATUS_NOT_STARTED : STATUS_FAILED,
			       stopped ? 0 : err, why);
	}
	return dir;
}

struct item *walkdir_leaving(struct walk *walk, struct dirnode *dir, bool open)
{
	struct item *item = directory_item(walk, dir->tree, dir->parent, open, dir->name, dir->len);

	item->self = dir;
	return item;
}

/* All below @dir has ended: its own item. */
void walkdir_leave(struct walk *walk, struct dirnode *dir)
{
	unsigned int tries = 0;
	struct item *item;
	int err = 0;

	if (dir->parent)
		do {
			err = dirnode_open(dir->parent);
		} while (steer_await_descriptor(walk->job, err, &tries));
	/*
	 * The item may hold it open for a while, which must not end it once more; left() frees it.
	 */
	dirnode_get(dir);
	item = walkdir_leaving(walk, dir, !err);
	item->why = dir->why;
	if (dir->why)
		item_finish(item, STATUS_SKIPPED, 0);
	else if (!err)
		walkdir_give(walk, item);
	else if (err == -ECANCELED && steer_stopping(walk->job))
		item_finish(item, STATUS_NOT_STARTED, 0);
	else {
		atomic_store(&dir->parent->failed, true);
		item_finish(item, STATUS_FAILED, err);
	}
}

/* ---- reading */

struct block *walkdir_block_new(const struct walk *walk)
{
	size_t room = walk->works ? WORK_BYTES : BLOCK_BYTES;
	struct block *block = xrealloc(NULL, sizeof(*block) + room);

	block->room = room;
	block->sorted = NULL;
	if (walk->works)
		block->sorted = xrealloc(NULL, room / ENTRY_LEAST * sizeof(block->sorted[0]));
	return block;
}

void walkdir_block_free(struct block *block)
{
	free(block->sorted);
	free(block);
}

/*
 * Entries as long as there is room: bytes. *@last: what the last call gave, 0 at the end of the
 * directory, or -errno.
 */
static size_t fill(const struct dirnode *dir, struct block *block, ssize_t *last)
{
	size_t len = 0;

	do {
		*last = device_getdents(dir->kind, dirnode_fd(dir), block->bytes + len,
					BLOCK_BYTES);
		if (*last > 0)
			len += (size_t)*last;
	} while (*last > 0 && len + BLOCK_BYTES <= block->room);
	return len;
}

/* Subdirectories, and the rest of their directory, to the stack; the first one becomes *@first. */
static void push_found(struct walk *walk, struct pending *chain, struct pending *rest,
		       struct pending **first)
{
	if (chain && !*first) {
		*first = chain;
		chain = chain->next;
		(*first)->next = NULL;
	}
	if (rest) {
		/* walk_push() turns a chain round: the first one comes to lie at the bottom. */
		rest->next = chain;
		chain = rest;
	}
	if (chain)
		walk_push(walk, chain);
}

/*
 * One block of entries, and its subdirectories to the stack; the first one found is kept in
 * *@first instead, as the next for this walker. False: the rest is somebody's later.
 */
static bool take_block(struct walk *walk, struct dirnode *dir, off_t *position,
		       const struct block *block, size_t len, struct pending **first)
{
	struct pending *chain = NULL, *rest = NULL;
	const struct dirent64 *entry;

	for (size_t at = 0; at < len && !rest; at += entry->d_reclen) {
		entry = (const struct dirent64 *)(block->bytes + at);
		if (steer_stopping(walk->job)) {
			rest = pending_rest(dir, *position);
			break;
		}
		walkdir_take_entry(walk, dir, entry, &chain);
		*position = entry->d_off;
	}
	if (!rest && chain && walk_is_deep(walk))
		rest = pending_rest(dir, *position);
	push_found(walk, chain, rest, first);
	return !rest;
}

/*
 * In the order of inodes a file system has those of several files in one block, and most often
 * their names beside each other. For 200,000 files in one directory on ext4 it is 1.7 times as fast
 * to sort by a mebibyte of entries as to sort by 64 KiB.
 */
static int by_inode(const void *a, const void *b)
{
	uint64_t x = (*(const struct dirent64 *const *)a)->d_ino;
	uint64_t y = (*(const struct dirent64 *const *)b)->d_ino;

	return (x > y) - (x < y);
}

/*
 * Whether two threads that unlink in one large directory are faster than one: 1.6 times on ext4,
 * with 200,000 files in it. On XFS they take twice as long.
 */
static bool gains_by_two(const struct dirnode *dir)
{
	struct statfs fs;

	return dir->kind == DEVICE_TRUSTED && !fstatfs(dirnode_fd(dir), &fs) &&
	       fs.f_type == EXT4_SUPER_MAGIC;
}

/*
 * The same by a walker that works: others get the subdirectories before it begins, and perhaps the
 * rest of a large directory too. After a stop that directory stands for what was not reached in it.
 */
static bool work_block(struct walk *walk, struct dirnode *dir, off_t *position, struct block *block,
		       size_t len, bool ends, struct pending **first)
{
	struct pending *chain = NULL, *rest = NULL;
	const struct dirent64 *entry;
	size_t count = 0;

	for (size_t at = 0; at < len; at += entry->d_reclen) {
		entry = (const struct dirent64 *)(block->bytes + at);
		if (entry->d_type == DT_DIR)
			walkdir_take_entry(walk, dir, entry, &chain);
		else
			block->sorted[count++] = entry;
		*position = entry->d_off;
	}
	if (!ends && gains_by_two(dir))
		rest = pending_rest_open(dir, *position);
	if (!rest && chain && walk_is_deep(walk))
		rest = pending_rest(dir, *position);
	push_found(walk, chain, rest, first);

	chain = NULL;
	qsort(block->sorted, count, sizeof(block->sorted[0]), by_inode);
	for (size_t i = 0; i < count && !steer_stopping(walk->job); i++)
		walkdir_take_entry(walk, dir, block->sorted[i], &chain);
	/* Where the file system does not say what is one. */
	push_found(walk, chain, NULL, first);
	return !rest && !steer_stopping(walk->job);
}

struct pending *walkdir_read(struct walk *walk, struct dirnode *dir, struct pending *p,
			     struct block *block)
{
	struct pending *first = NULL;
	ssize_t last = 1;
	bool goes_on;
	size_t len;

	while (last > 0 && (len = fill(dir, block, &last)) > 0) {
		if (walk->works)
			goes_on =
				work_block(walk, dir, &p->position, block, len, last <= 0, &first);
		else
			goes_on = take_block(walk, dir, &p->position, block, len, &first);
		if (!goes_on)
			return first;
		/* A block of nothing but links and directories has not let anybody else run. */
		bp_yield();
	}
	if (!last && dir->tree->ops->whole)
		dir->tree->ops->whole(dir);
	/* Removed by somebody else, it is empty; when it is left that is found out. */
	if (last < 0 && !(last == -ENOENT && dir->tree->ops->unread)) {
		dir->recorded = true;
		walkdir_finish(walk, p, STATUS_FAILED, (int)last, NULL);
	}
	return first;
}

/* ---- giving up */

struct listing {
	struct walk *walk;
	struct pending *p;
	bool done;
};

static int list_rest(void *arg)
{
	struct listing *l = arg;
	struct dirnode *dir = l->p->rest;
	char *block;
	ssize_t n;

	if (open_rest(l->p))
		return 0;
	block = xrealloc(NULL, BLOCK_BYTES);
	while ((n = device_getdents(dir->kind, dirnode_fd(dir), block, BLOCK_BYTES)) > 0) {
		const struct dirent64 *entry;

		for (long at = 0; at < n; at += entry->d_reclen) {
			entry = (const struct dirent64 *)(block + at);
			walkdir_take_entry(l->walk, dir, entry, NULL);
		}
	}
	dirnode_put_open(dir);
	free(block);
	l->done = !n;
	return 0;
}

/*
 * What is in the rest of a directory that was begun: each name has its record, so that none of what
 * was found before stands for two. In a group of its own, since that of the walk may be cancelled.
 * False: it could not be read.
 */
static bool give_up_rest(struct walk *walk, struct pending *p)
{
	struct listing l = {.walk = walk, .p = p};
	struct bp_group *group = NULL;

	if (bp_group_create(&group, walk->job->engine, NULL))
		return false;
	if (!bp_go(group, list_rest, &l))
		bp_wait(group);
	bp_group_destroy(group);
	return l.done;
}

/* Nobody waits for the end of a long list. */
static bool in_haste(const struct job *job)
{
	return atomic_load(&job->signals) > 1 || atomic_load(&job->trouble);
}

/*
 * A directory has one record. One that was begun gets its own when it is left, or none, if it is
 * not left but was read to its end.
 */
void walkdir_give_up(struct walk *walk, struct pending *p)
{
	if (p->rest && (p->tree->ops->leaves || (!in_haste(walk->job) && give_up_rest(walk, p))))
		return;
	walkdir_finish(walk, p, STATUS_NOT_STARTED, 0, NULL);
}

void walkdir_write_off(struct walk *walk, const struct pending *p)
{
	walkdir_finish(walk, p, STATUS_NOT_STARTED, 0, NULL);
}
