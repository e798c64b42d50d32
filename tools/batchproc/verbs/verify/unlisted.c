/* SPDX-License-Identifier: MIT */
/*
 * verify --unlisted: what there is in a directory tree that no list names. See unlisted.h.
 *
 * Paths are compared by what they say: absolute, without . and .. and doubled slashes. The names of
 * the lists are taken in while they are read, and looked for by the walkers when all were read.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/calls.h"
#include "base/device.h"
#include "base/message.h"
#include "cli/options.h"
#include "digest/seen.h"
#include "run/job.h"
#include "run/ownfiles.h"
#include "run/steer.h"
#include "verbs/verify/unlisted.h"
#include "verbs/verify/verify.h"
#include "walk/tree.h"
#include "walk/walk.h"

/* ---- a tree, directory by directory */

struct pending_dir {
	struct pending_dir *next;
	size_t len;
	char path[]; /* below the top, with a slash at the end; "" for the top itself */
};

struct tree_walk {
	struct job *job;
	int topfd;
	struct pending_dir *stack;
	struct buf path;
	void (*take)(void *ctx, const struct found *found);
	void *ctx;
};

static void push(struct tree_walk *walk, const char *path, size_t len)
{
	struct pending_dir *dir = xcalloc(1, sizeof(*dir) + len + 1);

	memcpy(dir->path, path, len);
	dir->len = len;
	dir->next = walk->stack;
	walk->stack = dir;
}

static unsigned char type_at(int dirfd, const struct dirent *entry)
{
	struct stat st;

	if (entry->d_type != DT_UNKNOWN)
		return entry->d_type;
	return call_fstatat(dirfd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) ?
		       DT_UNKNOWN :
		       (unsigned char)IFTODT(st.st_mode);
}

static void take_entry(struct tree_walk *walk, const struct pending_dir *dir, int dirfd,
		       const struct dirent *entry)
{
	struct buf *path = &walk->path;
	struct found found = {.dirfd = dirfd, .name = entry->d_name};

	if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
		return;
	path->len = 0;
	buf_add(path, dir->path, dir->len);
	buf_str(path, entry->d_name);
	if (type_at(dirfd, entry) == DT_DIR) {
		buf_char(path, '/');
		push(walk, path->data, path->len);
		return;
	}
	buf_char(path, '\0');
	found.path = path->data;
	found.len = --path->len;
	walk->take(walk->ctx, &found);
}

static int read_directory(struct tree_walk *walk, const struct pending_dir *dir)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	const struct dirent *entry;
	int err = 0, fd;
	DIR *stream;

	fd = dir->len ? call_open_beneath(walk->topfd, dir->path, flags) :
			call_openat(walk->topfd, ".", flags, 0);
	if (fd < 0)
		return fd;
	stream = fdopendir(fd);
	if (!stream) {
		call_close(fd);
		return -ENOMEM;
	}
	while (!steer_stopping(walk->job)) {
		errno = 0;
		entry = readdir(stream);
		if (!entry) {
			err = -errno;
			break;
		}
		take_entry(walk, dir, fd, entry);
	}
	closedir(stream);
	return err;
}

int tree_each(struct job *job, struct list *list, const char *top,
	      void (*take)(void *ctx, const struct found *found), void *ctx)
{
	struct tree_walk walk = {.job = job, .take = take, .ctx = ctx};
	struct pending_dir *dir;

	walk.topfd = call_openat(AT_FDCWD, top, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (walk.topfd < 0)
		return walk.topfd;
	push(&walk, "", 0);
	while ((dir = walk.stack)) {
		int err;

		walk.stack = dir->next;
		err = steer_stopping(job) ? 0 : read_directory(&walk, dir);
		if (err) {
			walk.path.len = 0;
			buf_str(&walk.path, top);
			buf_char(&walk.path, '/');
			buf_add(&walk.path, dir->path, dir->len);
			verify_fault(job, list, UNREADABLE, walk.path.data, walk.path.len, NULL,
				     err);
		}
		free(dir);
	}
	buf_free(&walk.path);
	call_close(walk.topfd);
	return 0;
}

/* ---- paths in one form */

/* Appends the parts of a path to one that ends without a slash; "/" is nothing. */
static void add_parts(struct buf *buf, const char *path, size_t len)
{
	for (size_t at = 0; at < len;) {
		size_t end = at;

		while (end < len && path[end] != '/')
			end++;
		if (end - at == 2 && path[at] == '.' && path[at + 1] == '.') {
			while (buf->len && buf->data[--buf->len] != '/')
				;
		} else if (end > at && !(end - at == 1 && path[at] == '.')) {
			buf_char(buf, '/');
			buf_add(buf, path + at, end - at);
		}
		at = end + 1;
	}
}

static const char *here(struct verify_run *run)
{
	char path[PATH_MAX];

	if (!run->here)
		run->here = xstrdup(getcwd(path, sizeof(path)) ? path : "");
	return run->here;
}

static void absolute(struct verify_run *run, struct buf *buf, const char *path, size_t len)
{
	buf->len = 0;
	if (!len || *path != '/')
		add_parts(buf, here(run), strlen(here(run)));
	add_parts(buf, path, len);
}

void verify_seen(struct job *job, const char *name, size_t len)
{
	const struct settings *set = job->class.settings;
	struct verify_run *run = set->run;

	if (!set->unlisted_count)
		return;
	if (!run->seen)
		run->seen = seen_new();
	absolute(run, &run->path, name, len);
	*seen_add(run->seen, run->path.data, run->path.len) = 1;
}

/* ---- what was not seen */

/* A tree that is looked through. */
struct looking {
	struct list *list;
	struct buf top; /* absolute */
};

static void looking_free(void *data)
{
	struct looking *looking = data;

	verify_list_put(looking->list);
	buf_free(&looking->top);
	free(looking);
}

static bool is_own(const struct job *job, const struct dirnode *dir, const char *name)
{
	struct stat st;

	return own_file_called(job->own, name) &&
	       !call_fstatat(dirnode_fd(dir), name, &st, AT_SYMLINK_NOFOLLOW) &&
	       own_file_as_source(job->own, &st);
}

static bool is_seen(const struct verify_run *run, const struct dirnode *dir, const char *name)
{
	const struct looking *looking = dir->tree->data;
	struct buf path = {0};
	bool seen;

	buf_add(&path, looking->top.data, looking->top.len);
	buf_char(&path, '/');
	dirnode_path_below(dir, &path);
	buf_str(&path, name);
	seen = seen_find(run->seen, path.data, path.len);
	buf_free(&path);
	return seen;
}

/* False: what there is to say of it is said of an item. */
static bool take_found(struct dirnode *dir, const char *name, unsigned char type)
{
	struct job *job = walk_tree_job(dir->tree);
	const struct settings *set = job->class.settings;
	const struct looking *looking = dir->tree->data;
	struct buf path = {0};

	if (is_seen(set->run, dir, name) || is_own(job, dir, name))
		return true;
	if (type == DT_UNKNOWN || steer_stopping(job))
		return false;
	dirnode_path(dir, &path);
	buf_str(&path, name);
	verify_fault(job, looking->list, UNLISTED, path.data, path.len, "is in no list", 0);
	buf_free(&path);
	return true;
}

/* A directory that cannot be read. */
static void missed(struct item *item, struct tree *tree, struct dirnode *parent, const char *name)
{
	const struct looking *looking = tree->data;

	(void)parent;
	(void)name;
	verify_hold(item, looking->list);
}

static void look_through(struct job *job, const char *top)
{
	static const struct tree_ops all = {
		.follows = true,
		.takes = ~0u,
		.sized = true,
		.found = take_found,
		.missed = missed,
	};
	const struct settings *set = job->class.settings;
	struct looking *looking = xcalloc(1, sizeof(*looking));
	struct walk_root root = {
		.class = &job->class,
		.ops = &all,
		.data = looking,
		.release = looking_free,
	};
	struct stat st;

	looking->list = verify_list_new(set->run, top);
	absolute(set->run, &looking->top, top, strlen(top));
	if (!call_stat(top, &st))
		root.kind = device_kind_of_path(st.st_dev, top);
	walk_add(job->walk, &root, top, strlen(top));
}

void verify_unlisted(struct job *job)
{
	const struct settings *set = job->class.settings;
	struct verify_run *run = set->run;

	for (size_t i = 0; i < set->unlisted_count && !steer_stopping(job); i++) {
		if (run->unread) {
			message("%s: not looked through: a list could not be read",
				set->unlisted[i]);
			continue;
		}
		if (!run->seen)
			run->seen = seen_new();
		look_through(job, set->unlisted[i]);
	}
}

void verify_unlisted_end(struct verify_run *run)
{
	seen_free(run->seen);
	buf_free(&run->path);
	free(run->here);
}
