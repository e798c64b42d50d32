/* SPDX-License-Identifier: MIT */
/*
 * mirror: --delete: what a copy of a tree has and the tree has not is removed.
 *
 * While trees are copied each directory that was read to its end is noted, by device and inode.
 * When all has ended, the copies are gone through beside their sources, in the main thread: in a
 * directory whose source was not noted, is not there any more, or is another one now, nothing is
 * removed. What is in the way there is no item; what goes is one, with all that is in it. No link
 * is followed, no other file system entered. A name that a filter leaves out stays, as with rsync;
 * so do what this run writes, backups that it makes, and unfinished copies.
 *
 * Where names that differ in case are one, what is listed by another name than the source's may be
 * its copy: such a one is looked for among the source's names.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/blocking.h"
#include "base/buf.h"
#include "base/calls.h"
#include "cli/filter.h"
#include "journal/journal.h"
#include "run/job.h"
#include "run/ownfiles.h"
#include "run/steer.h"
#include "verbs/copy/claims.h"
#include "verbs/copy/copy.h"
#include "verbs/copy/names.h"
#include "walk/tree.h"
#include "walk/walk.h"

struct mirror_root {
	struct mirror_root *next;
	char *path;
	struct dirnode *dir; /* what the copy is in, or is, without a name */
	char *name;
};

struct mirror {
	struct item_class class; /* of what goes */
	struct claims *listed;
	struct mirror_root *roots;
	_Atomic uint64_t removed;
};

static const struct item_ops delete_items;

static struct mirror *mirror_of(struct job *job)
{
	struct copy_run *run = copy_run_of(job);

	if (!run->mirror) {
		run->mirror = xcalloc(1, sizeof(*run->mirror));
		run->mirror->class.ops = &delete_items;
		run->mirror->class.settings = job->class.settings;
		run->mirror->listed = claims_new();
	}
	return run->mirror;
}

void mirror_note_root(struct job *job, const char *path, struct dirnode *dir, const char *name)
{
	struct mirror_root *root = xcalloc(1, sizeof(*root));
	struct mirror *m = mirror_of(job);

	root->path = xstrdup(path);
	root->dir = dirnode_get(dir);
	root->name = name ? xstrdup(name) : NULL;
	root->next = m->roots;
	m->roots = root;
}

void mirror_note_listed(struct job *job, const struct dirnode *dir)
{
	const struct stat none = {0};

	/* One that cannot be noted is not gone through. */
	claims_take(job->copy->mirror->listed, dir->dev, dir->ino, "", &none, 0);
}

void mirror_free(struct mirror *m)
{
	struct mirror_root *root;

	if (!m)
		return;
	while ((root = m->roots)) {
		m->roots = root->next;
		dirnode_put(root->dir);
		free(root->path);
		free(root->name);
		free(root);
	}
	claims_free(m->listed);
	free(m);
}

/* ---- removing one thing, with all that is in it */

struct removing {
	struct item *item;
	struct buf below; /* its path below the root, for filters */
	dev_t dev;
};

static bool is_spared(struct removing *r, int dirfd, const char *name, bool directory)
{
	const struct job *job = r->item->job;
	size_t depth = 1;
	struct stat st;

	for (const char *at = r->below.data; (at = strchr(at, '/')); at++)
		depth++;
	if (filter_by_name(&job->opt->filter, r->below.data, depth, directory)) {
		r->item->why = "not removed: something in it is excluded";
		return true;
	}
	if (!own_file_called(job->own, name) || fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW))
		return false;
	r->item->why = own_file_as_source(job->own, &st);
	return r->item->why;
}

static int remove_inside(struct removing *r, int fd);

static int remove_directory(struct removing *r, int dirfd, const char *name)
{
	int fd = call_openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0), err;
	struct stat st;

	if (fd < 0)
		return fd;
	err = fstat(fd, &st) ? -errno : 0;
	if (!err && st.st_dev != r->dev) {
		r->item->why = "not removed: another file system is mounted in it";
		err = -EXDEV;
	}
	if (err) {
		close(fd);
		return err;
	}
	err = remove_inside(r, fd);
	return err ? err : call_unlinkat(dirfd, name, AT_REMOVEDIR);
}

static int remove_one(struct removing *r, int dirfd, const char *name)
{
	struct stat st;

	if (steer_stopped(r->item->job))
		return -ECANCELED;
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : -errno;
	if (is_spared(r, dirfd, name, S_ISDIR(st.st_mode)))
		return -ENOTEMPTY;
	return S_ISDIR(st.st_mode) ? remove_directory(r, dirfd, name) :
				     call_unlinkat(dirfd, name, 0);
}

/* Closes @fd. The first error is the one that is told; all else is removed. */
static int remove_inside(struct removing *r, int fd)
{
	const size_t len = r->below.len;
	DIR *dir = fdopendir(fd);
	struct dirent *entry;
	int first = 0;

	if (!dir) {
		first = -errno;
		close(fd);
		return first;
	}
	while ((errno = 0, entry = readdir(dir))) {
		int err;

		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		r->below.len = len - 1;
		buf_char(&r->below, '/');
		buf_add(&r->below, entry->d_name, strlen(entry->d_name) + 1);
		err = remove_one(r, dirfd(dir), entry->d_name);
		first = first ? first : err;
	}
	if (errno && !first)
		first = -errno;
	closedir(dir);
	r->below.len = len;
	r->below.data[len - 1] = '\0';
	return first;
}

/* How many things there are, itself included, as far as @most. */
static uint64_t count_of(int dirfd_, const char *name, uint64_t most)
{
	int fd = call_openat(dirfd_, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	uint64_t count = 1;

	while (dir && count <= most && (entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			count += count_of(dirfd(dir), entry->d_name, most - count);
	if (dir)
		closedir(dir);
	else if (fd >= 0)
		close(fd);
	return count;
}

/* Whether so many more may go; as a whole, or not at all. */
static bool reserve(struct item *item, const struct at_name *at)
{
	const struct copy_settings *set = item->settings;
	struct mirror *m = item->job->copy->mirror;
	uint64_t count, before = atomic_load(&m->removed);

	if (!set->has_max_delete)
		return true;
	count = count_of(at->dirfd, at->name, set->max_delete);
	do {
		if (before + count > set->max_delete) {
			item->why = "not removed: more would go than --max-delete allows";
			return false;
		}
	} while (!atomic_compare_exchange_weak(&m->removed, &before, before + count));
	return true;
}

static int remove_item(void *arg)
{
	struct item *item = arg;
	const struct copy_item *own = item_priv_const(item);
	const struct at_name at = {own->fd, own->name + own->below};
	struct removing r = {.item = item};
	struct stat st;
	int err;

	if (fstat(own->fd, &st))
		return -errno;
	r.dev = st.st_dev;
	if (!reserve(item, &at))
		return -EDQUOT;
	buf_add(&r.below, own->name, strlen(own->name) + 1);
	err = remove_one(&r, at.dirfd, at.name);
	buf_free(&r.below);
	/* It stays as it was to. */
	if (err == -ENOTEMPTY && item->why) {
		item->status = STATUS_SKIPPED;
		return 0;
	}
	return err;
}

static int delete_work(struct item *item)
{
	return blocking_long(remove_item, item);
}

static bool delete_permanent(const struct item *item, int err)
{
	return item->why || err == -EDQUOT;
}

static void delete_text(const struct item *item, struct buf *buf)
{
	struct buf path = {0};

	if (item->status != STATUS_OK || !item->job->opt->verbose)
		return;
	item_path(item, &path);
	buf_str(buf, "deleted '");
	buf_visible(buf, path.data, path.len);
	buf_str(buf, "'\n");
	buf_free(&path);
}

static void delete_release(struct item *item)
{
	struct copy_item *own = item_priv(item);

	if (own->name)
		close(own->fd);
	free(own->name);
	own->name = NULL;
}

static bool delete_always(const struct item *item)
{
	(void)item;
	return true;
}

static const struct item_ops delete_items = {
	.op = "delete",
	.priv_size = sizeof(struct copy_item),
	.descriptors = 3,
	.roots_cover = true,
	.work = delete_work,
	.permanent = delete_permanent,
	.text = delete_text,
	.release = delete_release,
	.journal_always = delete_always,
};

/* ---- what goes */

struct going {
	struct job *job;
	const struct copy_settings *set;
	struct buf shown, below; /* paths, with a slash at the end unless they are empty */
	size_t depth;
};

static void let_go(struct going *g, int fd, const char *name)
{
	struct mirror *m = g->job->copy->mirror;
	struct buf path = {0};
	struct copy_item *own;
	struct item *item;

	buf_add(&path, g->shown.data, g->shown.len);
	buf_str(&path, name);
	item = item_new(g->job, &m->class, NULL, path.data, path.len);
	own = item_priv(item);
	path.len = 0;
	buf_add(&path, g->below.data, g->below.len);
	buf_add(&path, name, strlen(name) + 1);
	item->below = true;
	own->below = g->below.len;
	own->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (own->fd >= 0) {
		own->name = path.data;
		item_submit(item);
		return;
	}
	buf_free(&path);
	item_finish(item, STATUS_FAILED, -errno);
}

/* Whatever the source has, a backup or an unfinished copy is not its. */
static bool is_ours(const struct going *g, const char *name)
{
	const size_t len = strlen(name), suffix = g->set->suffix ? strlen(g->set->suffix) : 0;

	if (temp_is_one(name))
		return true;
	if (!g->set->backup || !suffix)
		return false;
	return (len > suffix && !strcmp(name + len - suffix, g->set->suffix)) ||
	       (len > 3 && name[len - 1] == '~' && strstr(name, ".~"));
}

static bool stays(struct going *g, int fd, const char *name, bool directory)
{
	const size_t len = g->below.len;
	struct stat st;
	bool out;

	buf_add(&g->below, name, strlen(name) + 1);
	out = filter_by_name(&g->job->opt->filter, g->below.data, g->depth, directory);
	g->below.len = len;
	if (out || is_ours(g, name))
		return true;
	return own_file_called(g->job->own, name) && !fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) &&
	       own_file_as_source(g->job->own, &st);
}

static int open_directory(int fd, const char *name, bool follows)
{
	return call_openat(fd, name, O_RDONLY | O_DIRECTORY | (follows ? 0 : O_NOFOLLOW), 0);
}

static void go_through(struct going *g, int from, int to);

static void go_below(struct going *g, int from, int to, const char *name)
{
	const size_t shown = g->shown.len, below = g->below.len;
	int source = open_directory(from, name, copy_follows(g->set, false));
	int copy = source < 0 ? -1 : open_directory(to, name, false);

	if (copy >= 0) {
		buf_str(&g->shown, name);
		buf_char(&g->shown, '/');
		buf_str(&g->below, name);
		buf_char(&g->below, '/');
		g->depth++;
		go_through(g, source, copy);
		g->depth--;
		g->shown.len = shown;
		g->below.len = below;
	}
	if (copy >= 0)
		close(copy);
	if (source >= 0)
		close(source);
}

static void judge(struct going *g, int from, int to, const char *name)
{
	struct stat copy, source;

	if (fstatat(to, name, &copy, AT_SYMLINK_NOFOLLOW) ||
	    stays(g, to, name, S_ISDIR(copy.st_mode)))
		return;
	if (!fstatat(from, name, &source, AT_SYMLINK_NOFOLLOW)) {
		if (S_ISDIR(copy.st_mode))
			go_below(g, from, to, name);
	} else if (errno == ENOENT && !names_copy_of(to, name, &copy, from)) {
		let_go(g, to, name);
	}
}

/* Names are collected first: some file systems lose their place where entries go meanwhile. */
static bool names_in(int fd, struct buf *names)
{
	int own = call_openat(fd, ".", O_RDONLY | O_DIRECTORY, 0);
	DIR *dir = own < 0 ? NULL : fdopendir(own);
	struct dirent *entry;
	bool whole;

	if (!dir) {
		if (own >= 0)
			close(own);
		return false;
	}
	while ((errno = 0, entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			buf_add(names, entry->d_name, strlen(entry->d_name) + 1);
	whole = !errno;
	closedir(dir);
	return whole;
}

static void go_through(struct going *g, int from, int to)
{
	struct buf names = {0};
	struct stat st;

	if (!fstat(from, &st) &&
	    claims_taken(g->job->copy->mirror->listed, st.st_dev, st.st_ino, "") &&
	    names_in(to, &names))
		for (size_t at = 0; at < names.len && !steer_stopping(g->job);
		     at += strlen(names.data + at) + 1)
			judge(g, from, to, names.data + at);
	buf_free(&names);
}

static void go_through_root(struct job *job, const struct mirror_root *root)
{
	struct going g = {.job = job, .set = job->class.settings, .depth = 1};
	int from = open_directory(AT_FDCWD, root->path, copy_follows(g.set, true));
	int to =
		from < 0 || dirnode_fd(root->dir) < 0 ?
			-1 :
			open_directory(dirnode_fd(root->dir), root->name ? root->name : ".", false);

	dirnode_path(root->dir, &g.shown);
	if (root->name) {
		buf_str(&g.shown, root->name);
		buf_char(&g.shown, '/');
	}
	if (to >= 0)
		go_through(&g, from, to);
	if (to >= 0)
		close(to);
	if (from >= 0)
		close(from);
	buf_free(&g.shown);
	buf_free(&g.below);
}

/* Whether all that was fed has ended. */
static bool all_ended(struct job *job)
{
	bool all;

	pthread_mutex_lock(&job->lock);
	all = job->counts.ended >= job->next_seq - 1;
	pthread_mutex_unlock(&job->lock);
	return all;
}

void mirror_run(struct job *job)
{
	const struct timespec nap = {0, 2000000};

	if (!job->copy || !job->copy->mirror)
		return;
	while (!steer_stopping(job) && !all_ended(job))
		nanosleep(&nap, NULL);
	for (const struct mirror_root *root = job->copy->mirror->roots;
	     root && !steer_stopping(job); root = root->next)
		go_through_root(job, root);
}
