/* SPDX-License-Identifier: MIT */
/*
 * tree: the directories of the trees that are walked, as far as somebody still needs them. See
 * tree.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "batchproc.h"
#include "base/buf.h"
#include "base/device.h"
#include "run/job.h"
#include "walk/tree.h"
#include "base/alloc.h"

struct tree *tree_get(struct tree *tree)
{
	atomic_fetch_add_explicit(&tree->refs, 1, memory_order_relaxed);
	return tree;
}

void tree_put(struct tree *tree)
{
	if (atomic_fetch_sub_explicit(&tree->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (tree->above >= 0)
		close(tree->above);
	if (tree->release)
		tree->release(tree->data);
	item_class_put(tree->class);
	free(tree);
}

struct dirnode *dirnode_new(struct dirs *dirs, struct tree *tree, struct dirnode *parent, int fd,
			    const char *name, size_t len)
{
	struct dirnode *dir = xcalloc(1, sizeof(*dir) + len + 1);

	dir->dirs = dirs;
	dir->tree = tree;
	dir->parent = parent;
	dir->fd = fd;
	atomic_init(&dir->refs, 1);
	atomic_init(&dir->opens, 1);
	memcpy(dir->name, name, len);
	dir->len = len;
	return dir;
}

struct dirnode *dirnode_get_open(struct dirnode *dir)
{
	atomic_fetch_add_explicit(&dir->opens, 1, memory_order_relaxed);
	return dir;
}

struct dirnode *dirnode_get(struct dirnode *dir)
{
	atomic_fetch_add_explicit(&dir->refs, 1, memory_order_relaxed);
	return dir;
}

/* Return: the parent, of which it has let go but for the reference. */
static struct dirnode *free_node(struct dirnode *dir)
{
	struct dirnode *parent = dir->parent;

	if (dir->tree->ops->forget)
		dir->tree->ops->forget(dir);
	if (dir->fd >= 0) {
		close(dir->fd);
		pthread_mutex_lock(&dir->dirs->lock);
		dir->dirs->idle -= parent != NULL;
		pthread_mutex_unlock(&dir->dirs->lock);
	}
	tree_put(dir->tree);
	free(dir);
	return parent;
}

/* A loop, since a chain of directories may be longer than any stack. */
void dirnode_put(struct dirnode *dir)
{
	while (dir && atomic_fetch_sub_explicit(&dir->refs, 1, memory_order_acq_rel) == 1) {
		if (!dir->dirs->ended(dir))
			return;
		dir = free_node(dir);
	}
}

void dirnode_free(struct dirnode *dir)
{
	dirnode_put(free_node(dir));
}

/* Under the lock: what becomes of a descriptor that nobody needs. Return: one to close, or -1. */
static int set_idle(struct dirnode *dir)
{
	struct dirs *dirs = dir->dirs;
	int fd = dir->fd;

	if (!dir->parent)
		return -1;
	if (dirs->idle < dirs->idle_most) {
		dirs->idle++;
		return -1;
	}
	dir->fd = -1;
	return fd;
}

void dirnode_put_open(struct dirnode *dir)
{
	unsigned int opens;
	int close_fd = -1;
	bool last;

	if (!dir)
		return;
	opens = atomic_load_explicit(&dir->opens, memory_order_relaxed);
	while (opens > 1)
		if (atomic_compare_exchange_weak_explicit(&dir->opens, &opens, opens - 1,
							  memory_order_acq_rel,
							  memory_order_relaxed))
			return;
	/* The last one, unless a walker is quicker: the lock keeps both apart. */
	pthread_mutex_lock(&dir->dirs->lock);
	last = atomic_fetch_sub_explicit(&dir->opens, 1, memory_order_acq_rel) == 1;
	if (last)
		close_fd = set_idle(dir);
	pthread_mutex_unlock(&dir->dirs->lock);
	if (close_fd >= 0)
		close(close_fd);
	if (last)
		dirnode_put(dir);
}

/* Under the lock. */
static bool hold_open(struct dirnode *dir)
{
	if (dir->fd < 0)
		return false;
	if (atomic_fetch_add_explicit(&dir->opens, 1, memory_order_relaxed) == 0) {
		dirnode_get(dir);
		dir->dirs->idle -= dir->parent != NULL;
	}
	return true;
}

bool dirnode_try_open(struct dirnode *dir)
{
	bool open;

	pthread_mutex_lock(&dir->dirs->lock);
	open = hold_open(dir);
	pthread_mutex_unlock(&dir->dirs->lock);
	return open;
}

/* Through links, which must lead there still. */
static int open_followed(const struct dirnode *dir, const char *path)
{
	struct device_file file;
	int fd = device_open(dir->kind, dirnode_root(dir)->fd, path, O_RDONLY | O_DIRECTORY);
	int err = fd < 0 ? fd : device_look(fd, &file);

	if (!err && (file.dev != dir->dev || file.ino != dir->ino))
		err = -ESTALE;
	if (err && fd >= 0)
		device_close(dir->kind, fd);
	return err ? err : fd;
}

int dirnode_open(struct dirnode *dir)
{
	struct buf path = {0};
	int fd;

	if (dirnode_try_open(dir))
		return 0;
	dirnode_path_below(dir, &path);
	buf_char(&path, '\0');
	fd = dir->tree->ops->follows_all ?
		     open_followed(dir, path.data) :
		     device_open_beneath(dir->kind, dirnode_root(dir)->fd, path.data,
					 O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	buf_free(&path);
	if (fd < 0)
		return fd;

	pthread_mutex_lock(&dir->dirs->lock);
	if (dir->fd < 0) {
		dir->fd = fd;
		fd = -1;
		dir->dirs->idle++; /* for the moment */
	}
	hold_open(dir);
	pthread_mutex_unlock(&dir->dirs->lock);
	if (fd >= 0)
		close(fd);
	return 0;
}

int dirnode_look(struct dirnode *dir)
{
	struct device_file file;
	int err = device_look(dir->fd, &file);

	if (err)
		return err;
	dir->dev = file.dev;
	dir->ino = file.ino;
	dir->mounted = file.mounted;
	dir->kind = device_kind(dir->dev, dir->fd);
	return 0;
}

const struct dirnode *dirnode_root(const struct dirnode *dir)
{
	while (dir->parent)
		dir = dir->parent;
	return dir;
}

void dirnode_spare(struct dirnode *dir)
{
	while (dir && !atomic_exchange(&dir->spared, true))
		dir = dir->parent;
}

/* The root's path may have a slash already, or be empty: the working directory. */
static bool needs_slash(const struct dirnode *dir)
{
	return dir->parent || (dir->len && dir->name[dir->len - 1] != '/');
}

/* Adds the names from below @top (NULL: with the root's) down to @dir, a slash behind each. */
static void add_path(const struct dirnode *dir, const struct dirnode *top, struct buf *buf)
{
	const struct dirnode *node;
	size_t len = 0;
	char *to;

	for (node = dir; node != top; node = node->parent)
		len += node->len + needs_slash(node);
	if (!len)
		return;
	to = buf_room(buf, len) + len;
	for (node = dir; node != top; node = node->parent) {
		if (needs_slash(node))
			*--to = '/';
		to -= node->len;
		memcpy(to, node->name, node->len);
	}
	buf->len += len;
}

void dirnode_path(const struct dirnode *dir, struct buf *buf)
{
	add_path(dir, NULL, buf);
}

void dirnode_path_below(const struct dirnode *dir, struct buf *buf)
{
	const struct dirnode *root = dir;

	while (root->parent)
		root = root->parent;
	add_path(dir, root, buf);
}
