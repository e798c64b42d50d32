/* SPDX-License-Identifier: MIT */
/*
 * pending: directories of a walk that are still to be read, or the rest of one. See walkdir.h. Such
 * a one belongs to the walk's stack, or to the walker that took it from there.
 */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "walk/tree.h"
#include "walk/walkdir.h"

struct pending *pending_new(struct tree *tree, struct dirnode *parent, const char *name, size_t len)
{
	struct pending *p = xcalloc(1, sizeof(*p) + len + 1);

	p->tree = tree_get(tree);
	p->parent = parent ? dirnode_get(parent) : NULL;
	p->len = len;
	memcpy(p->name, name, len);
	return p;
}

/* Where reading stopped for now: it goes back on the stack, under what it led to. */
struct pending *pending_rest(struct dirnode *dir, off_t position)
{
	struct pending *rest = pending_new(dir->tree, dir->parent, dir->name, dir->len);

	rest->rest = dirnode_get(dir);
	rest->position = position;
	return rest;
}

struct pending *pending_rest_open(struct dirnode *dir, off_t position)
{
	struct walk *walk = dir->tree->walk;
	struct pending *rest;
	bool may;

	pthread_mutex_lock(&walk->lock);
	may = walk->held < walk->held_most;
	walk->held += may;
	pthread_mutex_unlock(&walk->lock);
	if (!may)
		return NULL;
	rest = pending_rest(dir, position);
	dirnode_get_open(dir);
	rest->held = true;
	return rest;
}

void pending_let_go(struct pending *p)
{
	struct walk *walk = p->tree->walk;

	if (!p->held)
		return;
	p->held = false;
	pthread_mutex_lock(&walk->lock);
	walk->held--;
	pthread_mutex_unlock(&walk->lock);
	dirnode_put_open(p->rest);
}

void pending_free(struct pending *p)
{
	pending_let_go(p);
	dirnode_put(p->rest);
	dirnode_put(p->parent);
	tree_put(p->tree);
	free(p);
}
