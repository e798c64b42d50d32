/* SPDX-License-Identifier: MIT */
/*
 * walk: turns directory trees into items, concurrently and in flat memory.
 *
 *	walk_add() --> stack of pending directories --pop--> walker tasks --> job_submit()
 *	                        ^------ subdirectories ---------'   ^
 *	               directories to be left -------pop------------'
 *	                        ^------ nothing is left below them (tree.h)
 *
 * Walkers are tasks in a group of their own, so that one that waits for a place among the items
 * never takes the place that it waits for. They start when there is work and end when there is
 * none. The stack is last in, first out: depth first, which keeps it short.
 *
 * Memory. A pending directory is its name and its parent. When the stack is long, a walker leaves
 * the rest of the directory that it reads below the subdirectories found so far, as a pending one
 * that goes on at a position, so that a million subdirectories never stand in memory at once.
 *
 * Descriptors. A directory stays open while items found in it are in flight: they open their
 * files relative to it. Everything below a root is opened relative to an open directory of the
 * tree, without following links, so that a directory that is swapped for a link meanwhile leads
 * nowhere.
 *
 * The stack, what is to be left and the number of walkers stand under walk->lock.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "job.h"
#include "paths.h"
#include "tree.h"
#include "util.h"
#include "walk.h"

#define STACK_LONG 65536u /* pending directories from which on reading is put off */
#define BLOCK_BYTES 65536u /* of directory entries, in one call */

struct pending {
	struct pending *next;
	struct tree *tree;
	struct dirnode *parent; /* NULL: it is the root */
	struct dirnode *rest; /* it was opened before, and the rest of it is to be read */
	off_t position; /* from where on */
	size_t len;
	char name[];
};

struct walk {
	struct job *job;
	struct bp_group *group;
	unsigned int most; /* walkers */
	struct dirs dirs;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct pending *stack;
	size_t depth;
	struct dirnode *leaving; /* nothing is left below these */
	size_t live; /* directories that will be left or have not ended being so */
	unsigned int active;
};

/* ---- the stack */

static struct pending *pending_new(struct tree *tree, struct dirnode *parent, const char *name,
				   size_t len)
{
	struct pending *p = xcalloc(1, sizeof(*p) + len + 1);

	p->tree = tree_get(tree);
	p->parent = parent ? dirnode_get(parent) : NULL;
	p->len = len;
	memcpy(p->name, name, len);
	return p;
}

static void pending_free(struct pending *p)
{
	dirnode_put(p->rest);
	dirnode_put(p->parent);
	tree_put(p->tree);
	free(p);
}

static int walker(void *arg);

/* Under the lock: whether there should be one more walker, which then counts already. */
static bool wants_walker(struct walk *walk)
{
	bool wants = walk->active < walk->most && !job_stopped(walk->job);

	walk->active += wants;
	return wants;
}

static void start_walker(struct walk *walk)
{
	int err = bp_go(walk->group, walker, walk);

	if (!err)
		return;
	pthread_mutex_lock(&walk->lock);
	walk->active--;
	pthread_cond_broadcast(&walk->changed);
	pthread_mutex_unlock(&walk->lock);
	if (err != -ECANCELED)
		job_trouble(walk->job, "cannot walk a directory", err);
}

/* Puts a chain of directories on the stack, and starts a walker if there should be one more. */
static void push(struct walk *walk, struct pending *chain)
{
	bool start;

	pthread_mutex_lock(&walk->lock);
	while (chain) {
		struct pending *p = chain;

		chain = p->next;
		p->next = walk->stack;
		walk->stack = p;
		walk->depth++;
	}
	start = wants_walker(walk);
	pthread_mutex_unlock(&walk->lock);
	if (start)
		start_walker(walk);
}

/* dirs->ended: nothing is left below @dir. */
static bool nothing_below(struct dirnode *dir)
{
	struct walk *walk = dir->tree->walk;
	bool start;

	if (!dir->tree->ops->leaves)
		return true;
	/* A group whose deadline passed ends its items before anybody else may have noticed. */
	job_stopping(walk->job);
	pthread_mutex_lock(&walk->lock);
	if (dir->recorded) {
		if (--walk->live == 0)
			pthread_cond_broadcast(&walk->changed);
		pthread_mutex_unlock(&walk->lock);
		return true;
	}
	dir->next = walk->leaving;
	walk->leaving = dir;
	start = wants_walker(walk);
	if (!start)
		pthread_cond_broadcast(&walk->changed);
	pthread_mutex_unlock(&walk->lock);
	if (start)
		start_walker(walk);
	return false;
}

/* A directory that was left lets go of its parent, which may be the next to be left. */
static void left(struct walk *walk, struct dirnode *dir)
{
	dirnode_free(dir);
	pthread_mutex_lock(&walk->lock);
	if (--walk->live == 0)
		pthread_cond_broadcast(&walk->changed);
	pthread_mutex_unlock(&walk->lock);
}

void walk_item_ended(struct dirnode *dir, struct dirnode *self)
{
	dirnode_put_open(dir);
	if (self)
		left(self->tree->walk, self);
}

/* Under the lock. */
static struct pending *pop_pending(struct walk *walk)
{
	struct pending *p = walk->stack;

	if (!p)
		return NULL;
	walk->stack = p->next;
	p->next = NULL;
	if (--walk->depth == STACK_LONG - 1)
		pthread_cond_broadcast(&walk->changed);
	return p;
}

/* Under the lock. */
static struct dirnode *pop_leaving(struct walk *walk)
{
	struct dirnode *dir = walk->leaving;

	if (dir)
		walk->leaving = dir->next;
	return dir;
}

/* What is to be done next: one of the two. False: nothing, and the walker that asks has ended. */
static bool pop(struct walk *walk, struct pending **p, struct dirnode **dir)
{
	*p = NULL;
	*dir = NULL;
	pthread_mutex_lock(&walk->lock);
	if (!job_stopped(walk->job)) {
		*dir = pop_leaving(walk);
		if (!*dir)
			*p = pop_pending(walk);
	}
	if (!*dir && !*p) {
		walk->active--;
		pthread_cond_broadcast(&walk->changed);
	}
	pthread_mutex_unlock(&walk->lock);
	return *dir || *p;
}

static bool stack_is_long(struct walk *walk)
{
	bool is_long;

	pthread_mutex_lock(&walk->lock);
	is_long = walk->depth >= STACK_LONG;
	pthread_mutex_unlock(&walk->lock);
	return is_long;
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
	item = job_item_undivided(walk->job, tree->use, open ? parent : NULL, path.data, path.len);
	item->type = DT_DIR;
	item->below = parent != NULL;
	buf_free(&path);
	return item;
}

/* A directory that could not be read, or will not be any more, has a record too. */
static void finish_directory(struct walk *walk, const struct pending *p, enum status status,
			     int err, const char *why)
{
	struct item *item = directory_item(walk, p->tree, p->parent, false, p->name, p->len);

	item->why = why;
	if (p->tree->ops->missed)
		p->tree->ops->missed(item, p->tree, p->parent, p->name);
	if (p->parent && status == STATUS_FAILED)
		atomic_store(&p->parent->failed, true);
	job_finish(item, status, err);
}

/* How much of a root's path, which ends with no slash, is the path of the directory that it is in. */
static size_t parent_len(const struct pending *p)
{
	const char *slash = memrchr(p->name, '/', p->len);

	return slash ? (size_t)(slash - p->name) + 1 : 0;
}

/* It is there already where the root itself found no descriptor before. */
static int open_above(const struct pending *p)
{
	const struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC};
	struct buf parent = {0};
	const char *path;
	int dirfd = AT_FDCWD, opened, fd;

	if (p->tree->above >= 0)
		return 0;
	buf_add(&parent, p->name, parent_len(p));
	if (!parent.len)
		buf_char(&parent, '.');
	buf_char(&parent, '\0');
	path = parent.data;
	fd = path_shorten(&dirfd, &path, 0, &opened);
	if (!fd)
		fd = bp_openat2(dirfd, path, &how);
	if (opened >= 0)
		close(opened);
	buf_free(&parent);
	if (fd < 0)
		return fd;
	p->tree->above = fd;
	return 0;
}

static int open_root(const struct pending *p)
{
	struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC};
	const char *path = p->name;
	int dirfd = AT_FDCWD, opened, fd;

	if (p->tree->ops->above) {
		fd = open_above(p);
		if (fd < 0)
			return fd;
		dirfd = p->tree->above;
		path = p->name + parent_len(p);
	}
	if (!p->tree->ops->follows)
		how.flags |= O_NOFOLLOW;
	fd = path_shorten(&dirfd, &path, 0, &opened);
	if (!fd)
		fd = bp_openat2(dirfd, path, &how);
	if (opened >= 0)
		close(opened);
	return fd;
}

static int open_below(const struct pending *p)
{
	const struct open_how how = {
		.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW,
		.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH,
	};
	int fd = dirnode_open(p->parent);

	if (fd < 0)
		return fd;
	fd = bp_openat2(dirnode_fd(p->parent), p->name, &how);
	dirnode_put_open(p->parent);
	return fd;
}

static int open_rest(const struct pending *p)
{
	int err = dirnode_open(p->rest);

	if (!err && lseek(dirnode_fd(p->rest), p->position, SEEK_SET) < 0) {
		err = -errno;
		dirnode_put_open(p->rest);
	}
	return err;
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
	*err = p->tree->ops->enter ? p->tree->ops->enter(dir) : 0;
	if (!*err)
		return dir;
	dir->recorded = *err < 0;
	*why = dir->why;
	dirnode_put_open(dir);
	return NULL;
}

/* What may not be read may be empty all the same. False: its parent is gone too. */
static bool submit_unread(struct walk *walk, const struct pending *p, int err)
{
	struct item *item;

	if (p->parent && dirnode_open(p->parent) < 0)
		return false;
	item = directory_item(walk, p->tree, p->parent, true, p->name, p->len);
	item->err = err;
	job_submit(item);
	return true;
}

/* The directory, held open, to be read; NULL: it is not to be read, and has its record if need be. */
static struct dirnode *open_directory(struct walk *walk, struct pending *p)
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
	} while ((err == -EMFILE || err == -ENFILE) && job_await_descriptor(walk->job, &tries));

	if (err >= 0)
		dir = p->rest ? p->rest : enter(walk, p, err, &err, &why);
	if (err == -EACCES && p->tree->ops->unread && !p->rest && submit_unread(walk, p, err))
		return NULL;
	if (err < 0) {
		bool stopped = err == -ECANCELED && job_stopping(walk->job);

		if (p->rest)
			p->rest->recorded = true;
		finish_directory(walk, p, stopped ? STATUS_NOT_STARTED : STATUS_FAILED,
				 stopped ? 0 : err, why);
	}
	return dir;
}

static struct item *leaving_item(struct walk *walk, struct dirnode *dir, bool open)
{
	struct item *item = directory_item(walk, dir->tree, dir->parent, open, dir->name, dir->len);

	item->self = dir;
	return item;
}

/* All below @dir has ended: its own item. */
static void leave(struct walk *walk, struct dirnode *dir)
{
	unsigned int tries = 0;
	struct item *item;
	int err = 0;

	while (dir->parent) {
		err = dirnode_open(dir->parent);
		if ((err != -EMFILE && err != -ENFILE) || !job_await_descriptor(walk->job, &tries))
			break;
	}
	/* The item may hold it open for a while, which must not end it once more; left() frees it. */
	dirnode_get(dir);
	item = leaving_item(walk, dir, !err);
	if (!err)
		job_submit(item);
	else if (err == -ECANCELED && job_stopping(walk->job))
		job_finish(item, STATUS_NOT_STARTED, 0);
	else {
		atomic_store(&dir->parent->failed, true);
		job_finish(item, STATUS_FAILED, err);
	}
}

/* ---- reading */

static unsigned char type_of(const struct dirnode *dir, const struct dirent64 *entry, int *err)
{
	struct statx stx;

	*err = 0;
	if (entry->d_type != DT_UNKNOWN)
		return entry->d_type;
	*err = bp_statx(dirnode_fd(dir), entry->d_name, AT_SYMLINK_NOFOLLOW | AT_STATX_DONT_SYNC,
			STATX_TYPE, &stx);
	return *err ? DT_UNKNOWN : IFTODT(stx.stx_mode);
}

static const char *odd_type(unsigned char type)
{
	switch (type) {
	case DT_FIFO:
		return "is a FIFO";
	case DT_SOCK:
		return "is a socket";
	case DT_CHR:
	case DT_BLK:
		return "is a device";
	default:
		return "is not a regular file";
	}
}

static bool takes(const struct tree *tree, unsigned char type)
{
	return type == DT_REG || (tree->ops->takes >> type & 1);
}

/* One entry: an item, a subdirectory for the chain, or nothing. */
static void take_entry(struct walk *walk, struct dirnode *dir, const struct dirent64 *entry,
		       struct pending **chain)
{
	const char *name = entry->d_name;
	size_t len = strlen(name);
	struct pending *p;
	struct item *item;
	unsigned char type;
	int err;

	if (!strcmp(name, ".") || !strcmp(name, ".."))
		return;
	type = type_of(dir, entry, &err);
	if (type == DT_LNK && !takes(dir->tree, DT_LNK))
		return;
	if (type == DT_DIR) {
		p = pending_new(dir->tree, dir, name, len);
		p->next = *chain;
		*chain = p;
		return;
	}
	item = job_item(walk->job, dir->tree->use, dirnode_get_open(dir), name, len);
	item->type = type;
	if (err) {
		job_finish(item, STATUS_FAILED, err);
	} else if (takes(dir->tree, type)) {
		job_submit(item);
	} else {
		item->why = odd_type(type);
		job_finish(item, STATUS_SKIPPED, 0);
	}
}

/* Where reading stopped for now: it goes back on the stack, under what it led to. */
static struct pending *rest_of(struct dirnode *dir, off_t position)
{
	struct pending *rest = pending_new(dir->tree, dir->parent, dir->name, dir->len);

	rest->rest = dirnode_get(dir);
	rest->position = position;
	return rest;
}

/*
 * One block of entries, and its subdirectories to the stack; the first one found is kept in
 * *@first instead, as the next for this walker. False: the rest is somebody's later.
 */
static bool take_block(struct walk *walk, struct dirnode *dir, off_t *position, const char *block,
		       size_t len, struct pending **first)
{
	struct pending *chain = NULL, *rest = NULL;
	const struct dirent64 *entry;

	for (size_t at = 0; at < len && !rest; at += entry->d_reclen) {
		entry = (const struct dirent64 *)(block + at);
		if (job_stopping(walk->job)) {
			rest = rest_of(dir, *position);
			break;
		}
		take_entry(walk, dir, entry, &chain);
		*position = entry->d_off;
	}
	if (!rest && chain && stack_is_long(walk))
		rest = rest_of(dir, *position);
	if (chain && !*first) {
		*first = chain;
		chain = chain->next;
		(*first)->next = NULL;
	}
	if (rest) {
		/* push() turns a chain round: the first one comes to lie at the bottom. */
		rest->next = chain;
		chain = rest;
	}
	if (chain)
		push(walk, chain);
	return !rest;
}

static long read_block(int fd, char *block)
{
	long n = syscall(SYS_getdents64, fd, block, BLOCK_BYTES);

	return n < 0 ? -errno : n;
}

static struct pending *read_directory(struct walk *walk, struct dirnode *dir, struct pending *p,
				      char *block)
{
	struct pending *first = NULL;
	long n;

	while ((n = read_block(dirnode_fd(dir), block)) > 0) {
		if (!take_block(walk, dir, &p->position, block, (size_t)n, &first))
			return first;
		/* A block of nothing but links and directories has not let anybody else run. */
		bp_yield();
	}
	if (n < 0) {
		dir->recorded = true;
		finish_directory(walk, p, STATUS_FAILED, (int)n, NULL);
	}
	return first;
}

/* From a directory into its first subdirectory, then into that one's ... */
static void descend(struct walk *walk, struct pending *p, char *block)
{
	struct pending *next;

	for (; p; p = next) {
		struct dirnode *dir;

		if (job_stopping(walk->job)) {
			push(walk, p);
			return;
		}
		dir = open_directory(walk, p);
		next = NULL;
		if (dir) {
			next = read_directory(walk, dir, p, block);
			dirnode_put_open(dir);
		}
		pending_free(p);
	}
}

static int walker(void *arg)
{
	struct walk *walk = arg;
	char *block = xrealloc(NULL, BLOCK_BYTES);
	struct dirnode *dir;
	struct pending *p;

	while (pop(walk, &p, &dir)) {
		if (dir)
			leave(walk, dir);
		else
			descend(walk, p, block);
	}
	free(block);
	return 0;
}

/* ---- for the job */

static void walker_ended(void *ctx, void *arg, enum bp_end end, int result)
{
	struct walk *walk = arg;

	(void)ctx;
	(void)result;
	if (end != BP_END_NEVER_STARTED)
		return;
	pthread_mutex_lock(&walk->lock);
	walk->active--;
	pthread_cond_broadcast(&walk->changed);
	pthread_mutex_unlock(&walk->lock);
}

int walk_create(struct job *job)
{
	struct walk *walk = xcalloc(1, sizeof(*walk));
	int err;

	walk->job = job;
	/* One walker alone reads in an order that does not depend on time. */
	walk->most = job->opt->keep_order ? 1 : job->walkers;
	walk->dirs.idle_most = job->idle_dirs;
	walk->dirs.ended = nothing_below;
	pthread_mutex_init(&walk->dirs.lock, NULL);
	pthread_mutex_init(&walk->lock, NULL);
	pthread_cond_init(&walk->changed, NULL);
	err = bp_group_create(&walk->group, job->engine,
			      &BP_GROUP_OPTS(.stop_after_failures = 0,
					     .deadline_ns = job->deadline_ns,
					     .report = walker_ended));
	job->walk = walk;
	return err;
}

void walk_destroy(struct walk *walk)
{
	if (!walk)
		return;
	bp_group_destroy(walk->group);
	pthread_cond_destroy(&walk->changed);
	pthread_mutex_destroy(&walk->lock);
	pthread_mutex_destroy(&walk->dirs.lock);
	free(walk);
}

/* Under the lock: whether a further tree may be added. */
static bool may_add(const struct walk *walk)
{
	if (walk->job->opt->keep_order)
		return !walk->active && !walk->live && !walk->stack;
	return walk->depth < STACK_LONG;
}

void walk_add(struct walk *walk, const struct walk_root *root, const char *path, size_t len)
{
	struct tree *tree = xcalloc(1, sizeof(*tree));

	atomic_init(&tree->refs, 1);
	tree->walk = walk;
	tree->use = root->use;
	tree->ops = root->ops;
	tree->above = -1;
	tree->data = root->data;
	tree->release = root->release;
	push(walk, pending_new(tree, NULL, path, len));
	tree_put(tree);

	pthread_mutex_lock(&walk->lock);
	while (!job_stopped(walk->job) && !may_add(walk))
		pthread_cond_wait(&walk->changed, &walk->lock);
	pthread_mutex_unlock(&walk->lock);
}

/* After a stop: what was not reached has its record all the same, as input for another run. */
static bool give_up_one(struct walk *walk)
{
	struct pending *p;
	struct dirnode *dir;

	pthread_mutex_lock(&walk->lock);
	p = pop_pending(walk);
	dir = p ? NULL : pop_leaving(walk);
	pthread_mutex_unlock(&walk->lock);
	if (dir)
		job_finish(leaving_item(walk, dir, false), STATUS_NOT_STARTED, 0);
	if (p) {
		/* A directory has one record, and one that was begun gets its own when it is left. */
		if (!p->rest || !p->tree->ops->leaves)
			finish_directory(walk, p, STATUS_NOT_STARTED, 0, NULL);
		pending_free(p);
	}
	return dir || p;
}

void walk_wait(struct walk *walk)
{
	if (!walk)
		return;
	for (;;) {
		bool active, over;

		/* The deadline may have ended all that would go on; then the walk has stopped. */
		job_stopping(walk->job);
		pthread_mutex_lock(&walk->lock);
		over = !walk->live && !walk->stack && !walk->leaving;
		active = walk->active || (!over && !job_stopped(walk->job));
		if (active || (!over && !walk->stack && !walk->leaving))
			pthread_cond_wait(&walk->changed, &walk->lock);
		pthread_mutex_unlock(&walk->lock);
		if (active)
			continue;
		if (over)
			break;
		give_up_one(walk);
	}
	bp_wait(walk->group);
}

void walk_cancel(struct walk *walk)
{
	if (walk)
		bp_cancel(walk->group, 0);
}

void walk_wake(struct walk *walk)
{
	if (!walk)
		return;
	pthread_mutex_lock(&walk->lock);
	pthread_cond_broadcast(&walk->changed);
	pthread_mutex_unlock(&walk->lock);
}
