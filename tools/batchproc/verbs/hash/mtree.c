/* SPDX-License-Identifier: MIT */
/*
 * hash: what a list in mtree's form says beside digests: type, permissions, size, modification
 * time, and where links lead. Directories have entries too, each before what is in it: NetBSD's
 * mtree knows no path whose directories it has not read of.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/blocking.h"
#include "base/calls.h"
#include "output/output.h"
#include "run/job.h"
#include "verbs/hash/hash.h"
#include "walk/tree.h"

/* ---- files */

struct look {
	int dirfd;
	const char *name;
	struct stat st;
	char *link; /* PATH_MAX, or NULL */
	ssize_t len;
};

static int look(void *arg)
{
	struct look *look = arg;
	int err = call_fstatat(look->dirfd, look->name, &look->st, AT_SYMLINK_NOFOLLOW);

	if (err || !S_ISLNK(look->st.st_mode))
		return err;
	look->link = xrealloc(NULL, PATH_MAX);
	look->len = readlinkat(look->dirfd, look->name, look->link, PATH_MAX);
	return look->len < 0 ? -errno : 0;
}

static void note(struct sumfacts *facts, const struct stat *st)
{
	facts->given = true;
	facts->has_mode = true;
	facts->mode = st->st_mode & 07777;
	facts->has_time = true;
	facts->sec = st->st_mtim.tv_sec;
	facts->nsec = (uint32_t)st->st_mtim.tv_nsec;
}

int hash_mtree_look(struct item *item)
{
	struct hash_item *own = item_priv(item);
	struct look at = {.dirfd = item->dir ? dirnode_fd(item->dir) : AT_FDCWD,
			  .name = item->name.data};
	int err;

	/* What a name that the user gave is on is not known yet. */
	if (item->dir && item->dir->kind != DEVICE_OTHER)
		err = blocking(look, &at);
	else
		err = blocking_long(look, &at);
	own->facts = (struct sumfacts){.type = at.link ? 'l' : 'f', .link = at.link};
	free(own->text);
	own->text = at.link;
	if (err)
		return err;
	note(&own->facts, &at.st);
	own->size = (uint64_t)at.st.st_size;
	own->facts.link_len = at.link ? (size_t)at.len : 0;
	return at.link != NULL;
}

/* ---- directories */

static void add_directory(const struct job *job, const char *path, size_t len,
			  const struct stat *st)
{
	struct sumline line = {.name = (char *)path, .facts = {.type = 'd'}};
	struct buf text = {0};

	while (len > 1 && path[len - 1] == '/')
		len--;
	line.len = len;
	if (st) {
		note(&line.facts, st);
		/* It changes with what is made in it, the list perhaps. */
		line.facts.has_time = false;
	}
	/* The list begins with the one that it is about. */
	if (len == 1 && *path == '.')
		return;
	mtree_add(&text, &line);
	output_add(job->output, SINK_OUT, text.data, text.len);
	buf_free(&text);
}

static bool writes_list(const struct job *job)
{
	return !job->opt->json && !job->opt->dry_run;
}

int hash_mtree_enter(struct dirnode *dir)
{
	const struct job *job = dir->tree->data;
	struct buf path = {0};
	struct stat st;
	bool known;

	if (!writes_list(job))
		return 0;
	known = dir->kind != DEVICE_OTHER && !call_fstat(dirnode_fd(dir), &st);
	dirnode_path(dir, &path);
	add_directory(job, path.data, path.len, known ? &st : NULL);
	buf_free(&path);
	return 0;
}

void hash_mtree_parents(struct job *job, const char *name)
{
	if (!writes_list(job) || *name == '/')
		return;
	for (const char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/'))
		if (slash[1] && slash[1] != '/')
			add_directory(job, name, (size_t)(slash - name), NULL);
}
