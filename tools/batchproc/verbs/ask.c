/* SPDX-License-Identifier: MIT */
/*
 * ask: questions to who started the command. See ask.h.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/blocking.h"
#include "base/buf.h"
#include "base/calls.h"
#include "cli/options.h"
#include "run/job.h"
#include "run/startup.h"
#include "run/steer.h"
#include "verbs/ask.h"
#include "walk/tree.h"
#include "walk/walk.h"

struct question {
	struct job *job;
	const char *text;
};

/* One byte after the other: what comes behind the line is the answer to the next question. */
static int read_answer(void *arg)
{
	static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;
	const struct question *q = arg;
	struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN},
			       {.fd = q->job->stop_fd, .events = POLLIN}};
	bool first = true, yes = false;
	char c = '\0';

	pthread_mutex_lock(&one);
	fputs(q->text, stderr);
	fflush(stderr);
	while (c != '\n') {
		ssize_t n;

		if (poll(fds, 2, -1) < 0 && errno == EINTR)
			continue;
		if (fds[1].revents || (n = read(STDIN_FILENO, &c, 1)) == 0) {
			yes &= !fds[1].revents;
			break;
		}
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0)
			break;
		if (first)
			yes = c == 'y' || c == 'Y';
		first = false;
	}
	pthread_mutex_unlock(&one);
	return yes;
}

bool ask_yes(struct job *job, const char *question)
{
	struct question q = {job, question};

	if (steer_stopping(job))
		return false;
	return blocking_long(read_answer, &q) > 0 && !steer_stopping(job);
}

bool ask_possible(const struct options *options, const char *option, int *status)
{
	for (size_t i = 0; i < options->list_count; i++) {
		if (strcmp(options->lists[i], "-"))
			continue;
		*status = usage_error(options->verb,
				      "%s reads answers from standard input, which is a list here",
				      option);
		return false;
	}
	return true;
}

bool ask_each_possible(const struct options *o, int *status)
{
	const char *other = o->timeout_ns  ? "--timeout" :
			    o->retries	   ? "--retries" :
			    o->rate > 0	   ? "--rate" :
			    o->reject	   ? "--on-full reject" :
			    o->shard.parts ? "--shard" :
			    o->jobs > 1	   ? "-j" :
					     NULL;

	if (other)
		*status = usage_error(o->verb, "-i and %s exclude each other", other);
	return !other && ask_possible(o, "-i", status);
}

bool ask_said_yes(void)
{
	char *line = NULL;
	size_t size = 0;
	bool yes;

	/* An answer may take its time. */
	startup_over();
	yes = getline(&line, &size, stdin) > 0 && (*line == 'y' || *line == 'Y');

	free(line);
	return yes;
}

/* ---- before a removal */

static const char *kind_of(const struct stat *st)
{
	switch (st->st_mode & S_IFMT) {
	case S_IFREG:
		return st->st_size ? "regular file" : "regular empty file";
	case S_IFDIR:
		return "directory";
	case S_IFLNK:
		return "symbolic link";
	case S_IFIFO:
		return "fifo";
	case S_IFSOCK:
		return "socket";
	case S_IFBLK:
		return "block special file";
	default:
		return "character special file";
	}
}

/* As rm(1) puts it. */
static bool says_yes(struct job *job, const char *what, bool is_protected, const char *kind,
		     const struct buf *path)
{
	struct buf text = {0};
	bool yes;

	buf_printf(&text, "batchproc: rm: %s%s%s '", what, is_protected ? " write-protected" : "",
		   kind);
	buf_visible(&text, path->data, path->len);
	buf_printf(&text, "'? %c", '\0');
	yes = ask_yes(job, text.data);
	buf_free(&text);
	return yes;
}

int ask_may_go(struct item *item, int dirfd, const char *name, bool directories)
{
	struct buf path = {0}, kind = {0};
	struct stat st;
	bool yes, locked;

	/* Of what is not there the removal says so. */
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 1 : -errno;
	/* It is an error, and no question. */
	if (S_ISDIR(st.st_mode) && !item->self && !directories)
		return 1;
	item_path(item, &path);
	locked = !S_ISLNK(st.st_mode) && faccessat(dirfd, name, W_OK, AT_EACCESS) &&
		 errno == EACCES;
	buf_printf(&kind, " %s%c", kind_of(&st), '\0');
	yes = says_yes(item->job, "remove", locked, kind.data, &path);
	item->why = yes ? NULL : "was to stay";
	if (!yes) {
		item->status = STATUS_SKIPPED;
		dirnode_spare(item->self ? item->self->parent : item->dir);
	}
	buf_free(&path);
	buf_free(&kind);
	return yes;
}

static bool is_empty(const struct dirnode *dir)
{
	int fd = call_openat(dirnode_fd(dir), ".", O_RDONLY | O_DIRECTORY, 0);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	size_t count = 0;
	bool empty;

	if (!list) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	while (count < 3 && (errno = 0, entry = readdir(list)))
		count++;
	empty = count == 2 && !errno;
	closedir(list);
	return empty;
}

bool ask_may_enter(struct dirnode *dir)
{
	struct buf path = {0};
	bool yes;

	if (is_empty(dir))
		return true;
	dirnode_path(dir, &path);
	if (path.len > 1 && path.data[path.len - 1] == '/')
		path.len--;
	yes = says_yes(walk_tree_job(dir->tree), "descend into",
		       faccessat(dirnode_fd(dir), ".", W_OK, AT_EACCESS) && errno == EACCES,
		       " directory", &path);
	buf_free(&path);
	if (!yes) {
		dir->why = "was to stay";
		dirnode_spare(dir->parent);
	}
	return yes;
}
