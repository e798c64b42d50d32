/* SPDX-License-Identifier: MIT */
/*
 * walk: turns directory trees into items, concurrently and in flat memory.
 *
 *	walk_add() --> stack of pending directories --pop--> walker tasks --> job_submit()
 *	                        ^------ subdirectories ---------'
 *
 * Walkers are tasks in a group of their own, so that one that waits for a place among the items
 * never takes the place that it waits for. They start when there is work and end when the stack
 * is empty. The stack is last in, first out: depth first, which keeps it short.
 *
 * Memory. A pending directory is its path; no descriptor is held for it. When the stack is long, a
 * walker leaves the rest of the directory that it reads below the subdirectories found so far, as
 * a pending one that goes on at a position, so that a million subdirectories never stand in
 * memory at once.
 *
 * Descriptors. A directory stays open while items found in it are in flight: they open their
 * files relative to it. The directory of a whole tree stays open until the tree is done, and
 * everything below is opened relative to it with RESOLVE_NO_SYMLINKS, so that a directory that is
 * swapped for a link meanwhile leads nowhere.
 *
 * The stack and the number of walkers stand under walk->lock.
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
#include "util.h"
#include "walk.h"

#define STACK_LONG 65536u /* pending directories from which on reading is put off */
#define BLOCK_BYTES 65536u /* of directory entries, in one call */

struct dirnode {
	atomic_uint refs;
	int fd;
	size_t len;
	char path[]; /* ends with a slash */
};

struct pending {
	struct pending *next;
	struct dirnode *root; /* of its tree; NULL: it is the root itself */
	off_t position; /* where reading goes on; 0: from the start */
	size_t len;
	char path[];
};

struct walk {
	struct job *job;
	struct bp_group *group;
	unsigned int most; /* walkers */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct pending *stack;
	size_t depth;
	unsigned int active;
};

/* ---- open directories */

int dirnode_fd(const struct dirnode *dir)
{
	return dir->fd;
}

void dirnode_path(const struct dirnode *dir, struct buf *buf)
{
	buf_add(buf, dir->path, dir->len);
}

static struct dirnode *dirnode_get(struct dirnode *dir)
{
	atomic_fetch_add_explicit(&dir->refs, 1, memory_order_relaxed);
	return dir;
}

void dirnode_put(struct dirnode *dir)
{
	if (dir && atomic_fetch_sub_explicit(&dir->refs, 1, memory_order_acq_rel) == 1) {
		close(dir->fd);
		free(dir);
	}
}

static struct dirnode *dirnode_new(int fd, const char *path, size_t len)
{
	struct dirnode *dir = xcalloc(1, sizeof(*dir) + len + 2);

	atomic_init(&dir->refs, 1);
	dir->fd = fd;
	memcpy(dir->path, path, len);
	if (!len || path[len - 1] != '/')
		dir->path[len++] = '/';
	dir->len = len;
	return dir;
}

/* ---- the stack */

static struct pending *pending_new(struct dirnode *root, const char *dir, size_t dir_len,
				   const char *name, size_t len)
{
	struct pending *p = xcalloc(1, sizeof(*p) + dir_len + len + 1);

	p->root = root ? dirnode_get(root) : NULL;
	p->len = dir_len + len;
	if (dir_len)
		memcpy(p->path, dir, dir_len);
	memcpy(p->path + dir_len, name, len);
	return p;
}

static void pending_free(struct pending *p)
{
	dirnode_put(p->root);
	free(p);
}

static int walker(void *arg);

/* Puts a chain of directories on the stack, and starts a walker if there should be one more. */
static void push(struct walk *walk, struct pending *chain)
{
	bool start;
	int err;

	pthread_mutex_lock(&walk->lock);
	while (chain) {
		struct pending *p = chain;

		chain = p->next;
		p->next = walk->stack;
		walk->stack = p;
		walk->depth++;
	}
	start = walk->active < walk->most && !job_stopped(walk->job);
	walk->active += start;
	pthread_mutex_unlock(&walk->lock);
	if (!start)
		return;

	err = bp_go(walk->group, walker, walk);
	if (!err)
		return;
	pthread_mutex_lock(&walk->lock);
	walk->active--;
	pthread_cond_broadcast(&walk->changed);
	pthread_mutex_unlock(&walk->lock);
	if (err != -ECANCELED)
		job_trouble(walk->job, "cannot walk a directory", err);
}

/* The next directory; NULL ends the walker that asks. */
static struct pending *pop(struct walk *walk)
{
	struct pending *p = NULL;

	pthread_mutex_lock(&walk->lock);
	if (walk->stack && !job_stopped(walk->job)) {
		p = walk->stack;
		walk->stack = p->next;
		p->next = NULL;
		if (--walk->depth == STACK_LONG - 1)
			pthread_cond_broadcast(&walk->changed);
	} else {
		walk->active--;
		pthread_cond_broadcast(&walk->changed);
	}
	pthread_mutex_unlock(&walk->lock);
	return p;
}

static bool stack_is_long(struct walk *walk)
{
	bool is_long;

	pthread_mutex_lock(&walk->lock);
	is_long = walk->depth >= STACK_LONG;
	pthread_mutex_unlock(&walk->lock);
	return is_long;
}

/* ---- reading */

/* A directory that could not be read, or will not be any more, has a record too. */
static void finish_directory(struct walk *walk, const struct pending *p, enum status status,
			     int err)
{
	job_finish(job_item(walk->job, NULL, p->path, p->len), status, err);
}

static int open_once(const struct pending *p, const struct dirnode *parent)
{
	struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC};
	const char *path = p->path;
	int dirfd = AT_FDCWD, opened, fd;

	if (p->root) {
		const struct dirnode *from = parent ? parent : p->root;

		dirfd = from->fd;
		path += from->len;
		how.flags |= O_NOFOLLOW;
		how.resolve = RESOLVE_NO_SYMLINKS;
	}
	fd = path_shorten(&dirfd, &path, how.resolve, &opened);
	if (!fd)
		fd = bp_openat2(dirfd, path, &how);
	if (opened >= 0)
		close(opened);
	return fd;
}

static struct dirnode *open_directory(struct walk *walk, struct pending *p,
				      const struct dirnode *parent)
{
	unsigned int tries = 0;
	int fd;

	do {
		fd = open_once(p, parent);
	} while ((fd == -EMFILE || fd == -ENFILE) && job_await_descriptor(walk->job, &tries));

	if (fd >= 0 && p->position && lseek(fd, p->position, SEEK_SET) < 0) {
		int err = -errno;

		close(fd);
		fd = err;
	}
	if (fd < 0) {
		bool stopped = fd == -ECANCELED && job_stopping(walk->job);

		finish_directory(walk, p, stopped ? STATUS_NOT_STARTED : STATUS_FAILED,
				 stopped ? 0 : fd);
		return NULL;
	}
	return dirnode_new(fd, p->path, p->len);
}

static unsigned char type_of(const struct dirnode *dir, const struct dirent64 *entry, int *err)
{
	struct statx stx;

	*err = 0;
	if (entry->d_type != DT_UNKNOWN)
		return entry->d_type;
	*err = bp_statx(dir->fd, entry->d_name, AT_SYMLINK_NOFOLLOW | AT_STATX_DONT_SYNC,
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

/* One entry: an item, a subdirectory for the chain, or nothing. */
static void take_entry(struct walk *walk, struct dirnode *dir, struct dirnode *root,
		       const struct dirent64 *entry, struct pending **chain)
{
	const char *name = entry->d_name;
	size_t len = strlen(name);
	struct pending *p;
	struct item *item;
	int err;
	unsigned char type = type_of(dir, entry, &err);

	if (type == DT_LNK || !strcmp(name, ".") || !strcmp(name, ".."))
		return;
	if (type == DT_DIR) {
		p = pending_new(root, dir->path, dir->len, name, len);
		p->next = *chain;
		*chain = p;
		return;
	}
	item = job_item(walk->job, dirnode_get(dir), name, len);
	item->checked = true;
	if (err) {
		job_finish(item, STATUS_FAILED, err);
	} else if (type == DT_REG) {
		job_submit(item);
	} else {
		item->why = odd_type(type);
		job_finish(item, STATUS_SKIPPED, 0);
	}
}

/* Where reading of @p stopped for now: it goes back on the stack, under what it led to. */
static struct pending *rest_of(const struct pending *p)
{
	struct pending *rest = pending_new(p->root, NULL, 0, p->path, p->len);

	rest->position = p->position;
	return rest;
}

/*
 * One block of entries, and its subdirectories to the stack; the first one found is kept in
 * *@first instead, as the next for this walker. False: the rest is somebody's later.
 */
static bool take_block(struct walk *walk, struct dirnode *dir, struct pending *p, const char *block,
		       size_t len, struct pending **first)
{
	struct dirnode *root = p->root ? p->root : dir;
	struct pending *chain = NULL, *rest = NULL;
	const struct dirent64 *entry;

	for (size_t at = 0; at < len && !rest; at += entry->d_reclen) {
		entry = (const struct dirent64 *)(block + at);
		if (job_stopping(walk->job)) {
			rest = rest_of(p);
			break;
		}
		take_entry(walk, dir, root, entry, &chain);
		p->position = entry->d_off;
	}
	if (!rest && chain && stack_is_long(walk))
		rest = rest_of(p);
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

	while ((n = read_block(dir->fd, block)) > 0) {
		if (!take_block(walk, dir, p, block, (size_t)n, &first))
			return first;
		/* A block of nothing but links and directories has not let anybody else run. */
		bp_yield();
	}
	if (n < 0)
		finish_directory(walk, p, STATUS_FAILED, (int)n);
	return first;
}

static int walker(void *arg)
{
	struct walk *walk = arg;
	char *block = xrealloc(NULL, BLOCK_BYTES);
	struct pending *p, *next;

	while ((p = pop(walk))) {
		struct dirnode *parent = NULL, *dir;

		/* From a directory into its first subdirectory, then into that one's ... */
		for (; p; p = next) {
			if (job_stopping(walk->job)) {
				push(walk, p);
				break;
			}
			dir = open_directory(walk, p, parent);
			dirnode_put(parent);
			parent = dir;
			next = dir ? read_directory(walk, dir, p, block) : NULL;
			pending_free(p);
		}
		dirnode_put(parent);
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
	free(walk);
}

void walk_add(struct walk *walk, const char *path, size_t len)
{
	push(walk, pending_new(NULL, NULL, 0, path, len));

	pthread_mutex_lock(&walk->lock);
	while (!job_stopped(walk->job) &&
	       (walk->job->opt->keep_order ? walk->active > 0 : walk->depth >= STACK_LONG))
		pthread_cond_wait(&walk->changed, &walk->lock);
	pthread_mutex_unlock(&walk->lock);
}

void walk_wait(struct walk *walk)
{
	struct pending *p;

	if (!walk)
		return;
	pthread_mutex_lock(&walk->lock);
	while (walk->active)
		pthread_cond_wait(&walk->changed, &walk->lock);
	pthread_mutex_unlock(&walk->lock);
	bp_wait(walk->group);

	/* After a stop: the directories that were not reached, as input for another run. */
	while ((p = walk->stack)) {
		walk->stack = p->next;
		finish_directory(walk, p, STATUS_NOT_STARTED, 0);
		pending_free(p);
	}
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
