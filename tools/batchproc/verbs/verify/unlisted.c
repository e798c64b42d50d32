/* SPDX-License-Identifier: MIT */
/*
 * verify --unlisted: what there is in a directory tree that no list names. See unlisted.h.
 *
 * Paths are compared by what they say: absolute, without . and .. and doubled slashes.
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
#include "base/message.h"
#include "cli/options.h"
#include "digest/seen.h"
#include "run/job.h"
#include "run/ownfiles.h"
#include "run/steer.h"
#include "verbs/verify/unlisted.h"
#include "verbs/verify/verify.h"

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

static void absolute(struct verify_run *run, struct buf *buf, const char *path, size_t len)
{
	char here[PATH_MAX];

	if (!run->here) {
		run->here = getcwd(here, sizeof(here)) ? xstrdup(here) : xstrdup("");
		run->here_len = strlen(run->here);
	}
	buf->len = 0;
	if (!len || *path != '/')
		add_parts(buf, run->here, run->here_len);
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

struct looking {
	struct job *job;
	struct list *list;
	const char *top;
	struct buf name;
};

static bool is_own(struct job *job, const struct found *found)
{
	struct stat st;

	return own_file_called(job->own, found->name) &&
	       !call_fstatat(found->dirfd, found->name, &st, AT_SYMLINK_NOFOLLOW) &&
	       own_file_as_source(job->own, &st);
}

static void take_found(void *ctx, const struct found *found)
{
	struct looking *looking = ctx;
	const struct settings *set = looking->job->class.settings;
	struct verify_run *run = set->run;
	struct buf *name = &looking->name;

	name->len = 0;
	buf_str(name, looking->top);
	if (name->len && name->data[name->len - 1] != '/')
		buf_char(name, '/');
	buf_add(name, found->path, found->len);
	absolute(run, &run->path, name->data, name->len);
	if (seen_find(run->seen, run->path.data, run->path.len) || is_own(looking->job, found))
		return;
	verify_fault(looking->job, looking->list, UNLISTED, name->data, name->len, "is in no list",
		     0);
}

void verify_unlisted(struct job *job)
{
	const struct settings *set = job->class.settings;
	struct verify_run *run = set->run;

	for (size_t i = 0; i < set->unlisted_count && !steer_stopping(job); i++) {
		const char *top = set->unlisted[i];
		struct looking looking = {.job = job, .top = top};
		int err;

		if (run->unread) {
			message("%s: not looked through: a list could not be read", top);
			continue;
		}
		if (!run->seen)
			run->seen = seen_new();
		looking.list = verify_list_new(run, top);
		err = tree_each(job, looking.list, top, take_found, &looking);
		if (err)
			verify_fault(job, looking.list, UNREADABLE, top, strlen(top), NULL, err);
		verify_list_put(looking.list);
		buf_free(&looking.name);
	}
	seen_free(run->seen);
	run->seen = NULL;
	buf_free(&run->path);
	free(run->here);
	run->here = NULL;
}
