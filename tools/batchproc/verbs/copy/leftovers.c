/* SPDX-License-Identifier: MIT */
/*
 * leftovers: what runs that were killed have left in the way of new copies.
 *
 * Each goes when its item is copied anew. Where the file system is full before that, all of them go
 * at once: temporary files, by their names, and of what is marked as unfinished that alone which is
 * the beginning of the source's file of this name, since a user may have chosen that mode. Looked
 * into are the directories that the source has too. What another run is at now is not among them: a
 * temporary file is locked, and what is marked was changed since this run began.
 */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/calls.h"
#include "base/message.h"
#include "cli/options.h"
#include "run/job.h"
#include "verbs/copy/copy.h"
#include "verbs/copy/leftovers.h"
#include "verbs/copy/marks.h"
#include "verbs/copy/replace.h"
#include "walk/tree.h"

#define COARSE_NS 20000000u /* by so much a file's time may be behind the clock */

static bool is_old(const struct job *job, const struct stat *st)
{
	const uint64_t start = job->start_ns + job->real_offset_ns;
	const uint64_t changed =
		(uint64_t)st->st_ctim.tv_sec * 1000000000u + (uint64_t)st->st_ctim.tv_nsec;

	return changed + COARSE_NS < start;
}

/* A directory of the destination, and what it is the copy of: -1, or open. */
struct swept {
	const struct item *item;
	int from, to;
	struct buf path; /* below the root of the copy, for messages */
};

static void tell(struct swept *s, const char *name)
{
	struct buf text = {0};

	if (!s->item->job->opt->verbose)
		return;
	buf_visible(&text, s->path.data, s->path.len);
	buf_visible(&text, name, strlen(name));
	buf_char(&text, '\0');
	message("no space is left: removed %s, an unfinished copy", text.data);
	buf_free(&text);
}

/* Nothing is lost with it: the source has a file of that name, and that begins with all of it. */
static bool is_begun(const struct swept *s, const char *name, const struct stat *st)
{
	int flags = O_RDONLY | O_NONBLOCK | O_NOCTTY, src;
	struct stat of;
	bool is;

	if (!mark_is_file_in(s->to, st) || st->st_uid != geteuid() || !is_old(s->item->job, st))
		return false;
	if (!copy_follows(s->item->settings, false))
		flags |= O_NOFOLLOW;
	/* What is no file is not opened: it might wait, or begin something. */
	if (fstatat(s->from, name, &of, flags & O_NOFOLLOW ? AT_SYMLINK_NOFOLLOW : 0) ||
	    !S_ISREG(of.st_mode))
		return false;
	src = call_openat(s->from, name, flags, 0);
	is = src >= 0 && replace_is_beginning(src, &(struct at_name){s->to, name}, st);
	if (src >= 0)
		close(src);
	return is;
}

static void sweep(struct swept *s);

/* Into what the source has, too: nothing of this run comes anywhere else. */
static void sweep_below(struct swept *s, const char *name)
{
	const int follow = copy_follows(s->item->settings, false) ? 0 : O_NOFOLLOW;
	const size_t len = s->path.len;
	struct swept below = *s;

	below.from = call_openat(s->from, name, O_PATH | O_DIRECTORY | follow, 0);
	if (below.from < 0)
		return;
	below.to = call_openat(s->to, name, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
	if (below.to >= 0) {
		buf_str(&below.path, name);
		buf_char(&below.path, '/');
		sweep(&below);
		close(below.to);
	}
	close(below.from);
	s->path = below.path;
	s->path.len = len;
}

static void sweep(struct swept *s)
{
	int fd = call_openat(s->to, ".", O_RDONLY | O_DIRECTORY, 0);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	struct stat st;

	if (!dir && fd >= 0)
		close(fd);
	while (dir && (entry = readdir(dir))) {
		const char *name = entry->d_name;

		if (!strcmp(name, ".") || !strcmp(name, "..") ||
		    fstatat(s->to, name, &st, AT_SYMLINK_NOFOLLOW))
			continue;
		if (S_ISDIR(st.st_mode)) {
			if (s->from >= 0)
				sweep_below(s, name);
		} else if (temp_is_one(name)) {
			if (!temp_give_way(s->to, name))
				tell(s, name);
		} else if (s->from >= 0 && is_begun(s, name, &st) && !unlinkat(s->to, name, 0)) {
			tell(s, name);
		}
	}
	if (dir)
		closedir(dir);
}

void leftovers_give_way(struct item *item, int dirfd)
{
	struct copy_run *run = item->job->copy;

	pthread_mutex_lock(&run->lock);
	if (!run->swept) {
		struct swept s = {.item = item, .from = -1, .to = dirfd};
		int top = copy_tree_open(item);

		if (top >= 0) {
			s.to = top;
			s.from = call_openat(AT_FDCWD, dirnode_root(item->dir)->name,
					     O_PATH | O_DIRECTORY, 0);
		}
		sweep(&s);
		buf_free(&s.path);
		if (s.from >= 0)
			close(s.from);
		if (top >= 0)
			close(top);
		run->swept = true;
	}
	pthread_mutex_unlock(&run->lock);
}
