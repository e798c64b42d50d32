/* SPDX-License-Identifier: MIT */
/*
 * mirror: --delete: what a copy of a tree has and the tree has not is removed.
 *
 * While trees are copied it is noted of each of their directories, by device and inode, that it is
 * a source, and what its times were before it was read; and when it was read to its end, by the
 * way that led there too. When all has ended, and nothing has failed, the copies are gone through
 * beside their sources, in the main thread: in a directory whose source was not noted, is not there
 * any more, or is another one now, nothing is removed; where it has changed since, something may
 * have been moved that was not copied, and that what is to go is there is a failure. What is in the
 * way there no item; what goes is one, with all that is in it: see removal.c. No link is followed,
 * nothing entered that is mounted in the destination, and no source removed: it is known by its
 * inode, and by where it is, since the inode of a thing is not the same for ever everywhere. A name that a filter
 * leaves out stays, as with rsync; so do what this run writes, and unfinished copies.
 *
 * Where names that differ in case are one, what is listed by another name than the source's may be
 * its copy: such a one is looked for among the source's names.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/calls.h"
#include "base/message.h"
#include "base/path.h"
#include "cli/filter.h"
#include "digest/seen.h"
#include "run/job.h"
#include "run/ownfiles.h"
#include "run/steer.h"
#include "verbs/copy/claims.h"
#include "verbs/copy/copy.h"
#include "verbs/copy/mirror.h"
#include "verbs/copy/names.h"
#include "walk/tree.h"
#include "walk/walk.h"

struct mirror_root {
	struct mirror_root *next;
	char *path;
	struct dirnode *dir; /* what the copy is in, or is, without a name */
	char *name;
	atomic_bool listed; /* it is in --failed-to */
};

/* ---- what is noted of sources */

static const char as_source[] = "source", with_times[] = "times";

static struct mirror *mirror_of(struct job *job)
{
	struct copy_run *run = copy_run_of(job);

	if (!run->mirror) {
		run->mirror = xcalloc(1, sizeof(*run->mirror));
		run->mirror->class.ops = &delete_items;
		run->mirror->class.settings = job->class.settings;
		run->mirror->noted = claims_new();
		run->mirror->places = seen_new();
		pthread_mutex_init(&run->mirror->modes, NULL);
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

static void note_source(struct mirror *m, const struct stat *st)
{
	if (claims_take(m->noted, st->st_dev, st->st_ino, as_source, &(struct stat){0}, 0) < 0)
		atomic_store(&m->lost, true);
}

static void note_place(struct mirror *m, const char *path, const char *name)
{
	char real[PATH_MAX];
	struct buf whole = {0};

	if (!realpath(*path ? path : ".", real))
		return;
	buf_str(&whole, real);
	if (name) {
		if (whole.len > 1)
			buf_char(&whole, '/');
		buf_str(&whole, name);
	}
	*seen_add(m->places, whole.data, whole.len) = 1;
	buf_free(&whole);
}

void mirror_place(struct buf *path, int fd)
{
	char real[PATH_MAX], link[32];
	ssize_t len;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, real, sizeof(real));
	path->len = 0;
	if (len <= 0 || len == sizeof(real) || real[0] != '/')
		return;
	buf_add(path, real, (size_t)len);
	if (len > 1)
		buf_char(path, '/');
}

bool mirror_is_place(const struct mirror *m, const char *path)
{
	return seen_find(m->places, path, strlen(path));
}

void mirror_note_source(struct job *job, const char *path)
{
	struct mirror *m = mirror_of(job);
	char *parent, *name;
	struct stat st;

	note_place(m, path, NULL);
	path_split(path, &parent, &name);
	note_place(m, parent, name);
	free(parent);
	free(name);

	/* A link, and what it leads to. */
	if (!lstat(path, &st))
		note_source(m, &st);
	if (!stat(path, &st))
		note_source(m, &st);
}

bool mirror_is_source(struct mirror *m, const struct stat *st)
{
	return claims_taken(m->noted, st->st_dev, st->st_ino, as_source);
}

static int take_times(struct mirror *m, const struct stat *st)
{
	const int64_t times[] = {st->st_mtim.tv_sec, st->st_mtim.tv_nsec, st->st_ctim.tv_sec,
				 st->st_ctim.tv_nsec};

	return claims_take(m->noted, st->st_dev, st->st_ino, with_times, &(struct stat){0},
			   XXH3_64bits(times, sizeof(times)));
}

void mirror_note_entered(struct job *job, const struct stat *st)
{
	struct mirror *m = job->copy->mirror;

	note_source(m, st);
	/* One that changes while it is read by several ways is a changed one to all of them. */
	if (take_times(m, st) < 0)
		atomic_store(&m->lost, true);
}

/* The name of a way to a directory: through links there may be several. */
static void way_to(const char *root, const char *below, size_t len, char way[17])
{
	const XXH64_hash_t from = XXH3_64bits(root, strlen(root));

	snprintf(way, 17, "%016llx", (unsigned long long)XXH3_64bits_withSeed(below, len, from));
}

void mirror_note_listed(struct job *job, const struct dirnode *dir)
{
	const struct stat none = {0};
	struct buf below = {0};
	char way[17];

	dirnode_path_below(dir, &below);
	way_to(dirnode_root(dir)->name, below.data, below.len, way);
	buf_free(&below);
	/* One that cannot be noted is not gone through. */
	claims_take(job->copy->mirror->noted, dir->dev, dir->ino, way, &none, 0);
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
	claims_free(m->noted);
	seen_free(m->places);
	pthread_mutex_destroy(&m->modes);
	free(m);
}

/* ---- what goes */

struct going {
	struct job *job;
	const struct copy_settings *set;
	struct mirror_root *of;
	const char *root; /* the source, as it was named */
	struct buf shown, below; /* paths, with a slash at the end unless they are empty */
	size_t depth;
};

/* A directory and its copy. */
struct pair {
	int from, to;
	struct stat source, copy;
	bool kept; /* something stays, since the source has changed since it was begun to be read */
};

/* A name in the copy, or NULL: the directory itself. */
static struct item *new_item(struct going *g, const char *name)
{
	struct buf path = {0};
	struct item *item;

	buf_add(&path, g->shown.data, g->shown.len);
	if (name)
		buf_str(&path, name);
	else if (path.len > 1)
		path.len--;
	if (!path.len)
		buf_char(&path, '.');
	item = item_new(g->job, &g->job->copy->mirror->class, NULL, path.data, path.len);
	item->below = true;
	((struct delete_item *)item_priv(item))->root = g->of;
	buf_free(&path);
	return item;
}

void mirror_add_root(const struct item *item, struct buf *buf)
{
	struct mirror_root *root = ((const struct delete_item *)item_priv_const(item))->root;

	if (!atomic_exchange(&root->listed, true))
		buf_str(buf, root->path);
}

static void fail(struct going *g, const char *name, int err, const char *why)
{
	struct item *item = new_item(g, name);

	item->why = why;
	item_finish(item, STATUS_FAILED, err);
}

/* Nothing in it goes, and that is no failure; but the copy is no mirror, so it is said. */
static void pass(struct going *g, const char *name, const char *why)
{
	const struct options *opt = g->job->opt;
	struct item *item = new_item(g, name);
	struct buf path = {0}, text = {0};

	item->why = why;
	if (!opt->quiet && (!opt->verbose || opt->dry_run)) {
		item_path(item, &path);
		buf_visible(&text, path.data, path.len);
		buf_char(&text, '\0');
		message("%s: %s", text.data, why);
		buf_free(&text);
		buf_free(&path);
	}
	item_finish(item, STATUS_SKIPPED, 0);
}

static void let_go(struct going *g, const struct pair *p, const char *name)
{
	struct delete_item *own;
	struct buf path = {0};
	struct item *item = new_item(g, name);
	int fd = fcntl(p->to, F_DUPFD_CLOEXEC, 0);

	if (fd < 0) {
		item_finish(item, STATUS_FAILED, -errno);
		return;
	}
	buf_add(&path, g->below.data, g->below.len);
	buf_add(&path, name, strlen(name) + 1);
	own = item_priv(item);
	own->fd = fd;
	own->name = path.data;
	own->below = g->below.len;
	own->mode = p->copy.st_mode;
	own->owner = p->copy.st_uid;
	own->mtime = p->source.st_mtim;
	if (!g->set->keep_times)
		own->mtime.tv_nsec = UTIME_OMIT;
	item_submit(item);
}

static bool stays(struct going *g, int fd, const char *name, bool directory)
{
	const size_t len = g->below.len;
	struct stat st;
	bool out;

	buf_add(&g->below, name, strlen(name) + 1);
	out = filter_by_name(&g->job->opt->filter, g->below.data, g->depth, directory);
	g->below.len = len;
	if (out || temp_is_one(name))
		return true;
	return own_file_called(g->job->own, name) && !fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) &&
	       own_file_as_source(g->job->own, &st);
}

static int open_directory(int fd, const char *name, bool follows)
{
	return call_openat(fd, name, O_RDONLY | O_DIRECTORY | (follows ? 0 : O_NOFOLLOW), 0);
}

/* What is not there any more, or is no directory, has nothing that could go. */
static bool is_none(int err)
{
	return err == -ENOENT || err == -ENOTDIR || err == -ELOOP;
}

static void go_through(struct going *g, int from, int to);

static void go_below(struct going *g, const struct pair *p, const char *name)
{
	const size_t shown = g->shown.len, below = g->below.len;
	int source = open_directory(p->from, name, copy_follows(g->set, false));
	int copy = source < 0 ? source : open_directory(p->to, name, false);

	if (copy < 0 && !is_none(copy))
		fail(g, name, copy, NULL);
	if (copy >= 0 && mirror_crosses(copy, p->copy.st_dev)) {
		pass(g, name, "nothing is removed in it: a file system is mounted there");
	} else if (copy >= 0) {
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

/* Asked for each name, which was looked for before: what was renamed meanwhile is not copied. */
static bool has_changed(const struct going *g, const struct pair *p)
{
	struct stat now;

	return p->kept || fstat(p->from, &now) ||
	       take_times(g->job->copy->mirror, &now) != CLAIM_SAME;
}

static void judge(struct going *g, struct pair *p, const char *name)
{
	struct stat copy, source;

	if (fstatat(p->to, name, &copy, AT_SYMLINK_NOFOLLOW)) {
		if (errno != ENOENT)
			fail(g, name, -errno, NULL);
		return;
	}
	if (stays(g, p->to, name, S_ISDIR(copy.st_mode)))
		return;
	if (!fstatat(p->from, name, &source, AT_SYMLINK_NOFOLLOW)) {
		if (S_ISDIR(copy.st_mode))
			go_below(g, p, name);
	} else if (errno != ENOENT) {
		fail(g, name, -errno, NULL);
	} else if (names_copy_of(p->to, name, &copy, p->from)) {
		return;
	} else if (has_changed(g, p)) {
		p->kept = true;
	} else {
		let_go(g, p, name);
	}
}

/* Names are collected first: some file systems lose their place where entries go meanwhile. */
static int names_in(int fd, struct buf *names)
{
	int own = call_openat(fd, ".", O_RDONLY | O_DIRECTORY, 0), err = own < 0 ? own : 0;
	DIR *dir = own < 0 ? NULL : fdopendir(own);
	struct dirent *entry;

	if (!dir) {
		if (own >= 0) {
			err = -errno;
			close(own);
		}
		return err;
	}
	while ((errno = 0, entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			buf_add(names, entry->d_name, strlen(entry->d_name) + 1);
	err = -errno;
	closedir(dir);
	return err;
}

static bool was_listed(const struct going *g, const struct stat *source)
{
	char way[17];

	way_to(g->root, g->below.data, g->below.len, way);
	return claims_taken(g->job->copy->mirror->noted, source->st_dev, source->st_ino, way);
}

static bool is_source(struct mirror *m, int fd, const struct stat *st)
{
	struct buf path = {0};
	bool is;

	mirror_place(&path, fd);
	if (path.len > 1)
		path.len--;
	buf_char(&path, '\0');
	is = mirror_is_source(m, st) || mirror_is_place(m, path.data);
	buf_free(&path);
	return is;
}

static void go_through(struct going *g, int from, int to)
{
	struct mirror *m = g->job->copy->mirror;
	struct pair p = {.from = from, .to = to};
	struct buf names = {0};
	int err = 0;

	if (fstat(from, &p.source) || fstat(to, &p.copy))
		err = -errno;
	else if (!was_listed(g, &p.source))
		return;
	else if (is_source(m, to, &p.copy))
		pass(g, NULL, "nothing is removed in it: it is a source of this run");
	else
		err = names_in(to, &names);
	if (err)
		fail(g, NULL, err, NULL);
	for (size_t at = 0; !err && at < names.len && !steer_stopping(g->job);
	     at += strlen(names.data + at) + 1)
		judge(g, &p, names.data + at);
	if (p.kept)
		fail(g, NULL, -EAGAIN,
		     "nothing was removed from it: its source has changed meanwhile");
	buf_free(&names);
}

static int open_root_copy(struct going *g, const struct mirror_root *root)
{
	const int above = dirnode_fd(root->dir);
	struct stat st;
	int fd;

	if (above < 0)
		return -ENOENT;
	fd = open_directory(above, root->name ? root->name : ".", false);
	if (fd < 0 || !root->name || (!fstat(above, &st) && !mirror_crosses(fd, st.st_dev)))
		return fd;
	close(fd);
	pass(g, NULL, "nothing is removed in it: a file system is mounted there");
	return -ENOENT;
}

static void go_through_root(struct job *job, struct mirror_root *root)
{
	struct going g = {.job = job,
			  .set = job->class.settings,
			  .of = root,
			  .root = root->path,
			  .depth = 1};
	int from = open_directory(AT_FDCWD, root->path, copy_follows(g.set, true)), to;

	dirnode_path(root->dir, &g.shown);
	if (root->name) {
		buf_str(&g.shown, root->name);
		buf_char(&g.shown, '/');
	}
	to = from < 0 ? from : open_root_copy(&g, root);
	if (to >= 0)
		go_through(&g, from, to);
	else if (!is_none(to))
		fail(&g, NULL, to, NULL);
	if (to >= 0)
		close(to);
	if (from >= 0)
		close(from);
	buf_free(&g.shown);
	buf_free(&g.below);
}

/* ---- when */

/* Whether all that was fed has ended. */
static bool all_ended(struct job *job)
{
	bool all;

	pthread_mutex_lock(&job->lock);
	all = job->counts.ended >= job->next_seq - 1;
	pthread_mutex_unlock(&job->lock);
	return all;
}

/* NULL: something may be. */
static const char *why_nothing_goes(struct job *job)
{
	const struct counts *counts = &job->counts;
	bool failed;

	if (steer_stopping(job))
		return "the run was stopped";
	pthread_mutex_lock(&job->lock);
	failed = counts->ended != counts->of[STATUS_OK] + counts->of[STATUS_SKIPPED];
	pthread_mutex_unlock(&job->lock);
	if (failed)
		return "not all was copied";
	return atomic_load(&job->copy->mirror->lost) ? "there is no room to note the sources" :
						       NULL;
}

void mirror_run(struct job *job)
{
	const struct timespec nap = {0, 2000000};
	const char *why;

	if (!job->copy || !job->copy->mirror)
		return;
	while (!steer_stopping(job) && !all_ended(job))
		nanosleep(&nap, NULL);
	why = why_nothing_goes(job);
	if (why) {
		if (!job->opt->quiet)
			message("--delete: nothing was removed: %s", why);
		return;
	}
	for (struct mirror_root *root = job->copy->mirror->roots; root && !steer_stopping(job);
	     root = root->next)
		go_through_root(job, root);
}
