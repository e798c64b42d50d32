/* SPDX-License-Identifier: MIT */
/*
 * copyplace: what the names that the user gave mean.
 *
 * Each source has a target: a directory of the destination and the name that the copy gets in it.
 * That is found out before the copy starts, and so is what must not be copied at all: a directory
 * into itself, two sources to one place. Main thread.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "buf.h"
#include "copy.h"
#include "inputs.h"
#include "job.h"
#include "journal.h"
#include "options.h"
#include "tree.h"
#include "util.h"
#include "verb.h"

/* What DST means for the sources that it is given with. */
struct target {
	const char *dst;
	bool single; /* there is one source */
	bool into; /* sources get names of their own in @dir */
	bool slash; /* the name ends with one: it is a directory's */
	bool overlaps; /* in a tree's copy other sources may have their places */
	struct dirnode *dir;
	char *name; /* of the copy, or NULL: @dir itself */
	int err; /* every source fails with it */
	const char *why;
};

/* Takes a path apart: the name in it, and the directory that this is in, as the path has it. */
static void split_path(const char *path, char **parent, char **name)
{
	size_t len = strlen(path), start;

	while (len > 1 && path[len - 1] == '/')
		len--;
	for (start = len; start && path[start - 1] != '/'; start--)
		;
	*name = xrealloc(NULL, len - start + 1);
	memcpy(*name, path + start, len - start);
	(*name)[len - start] = '\0';
	*parent = xrealloc(NULL, start + 1);
	memcpy(*parent, path, start);
	while (start > 1 && (*parent)[start - 1] == '/')
		start--;
	(*parent)[start] = '\0';
}

/* @path is no directory that is there: it is a name in one. */
static void target_new(struct job *job, struct target *t, const char *path)
{
	const size_t len = strlen(path);
	char *parent;

	t->slash = len > 1 && path[len - 1] == '/';
	split_path(path, &parent, &t->name);
	t->err = *t->name ? dest_root(job, parent, parent, &t->dir) : -ENOENT;
	free(parent);
}

static void target_open(struct job *job, bool exact, struct target *t)
{
	struct stat st;
	char *real;

	if (!stat(t->dst, &st) && S_ISDIR(st.st_mode)) {
		t->into = !exact;
		t->err = dest_root(job, t->dst, t->dst, &t->dir);
	} else if (!lstat(t->dst, &st) && S_ISLNK(st.st_mode)) {
		/* What the user names himself is followed. */
		real = realpath(t->dst, NULL);
		if (real) {
			target_new(job, t, real);
		} else {
			t->err = -errno;
			t->why = "the destination is a symbolic link that leads nowhere";
		}
		free(real);
	} else {
		target_new(job, t, t->dst);
	}
}

static void target_close(struct target *t)
{
	if (t->dir)
		dirnode_put(t->dir);
	free(t->name);
}

/* A source, and where its copy comes to lie. */
struct source {
	const char *path;
	bool known; /* it is there, and @st says what it is */
	struct stat st;
	struct dirnode *dir;
	char *name;
};

/* The part of a path that its copy is called by, without slashes at its end. */
static char *own_name(const char *path)
{
	size_t len = strlen(path), start;
	char *name;

	while (len > 1 && path[len - 1] == '/')
		len--;
	for (start = len; start && path[start - 1] != '/'; start--)
		;
	name = xrealloc(NULL, len - start + 1);
	memcpy(name, path + start, len - start);
	name[len - start] = '\0';
	if (!*name || !strcmp(name, ".") || !strcmp(name, "..")) {
		free(name);
		return NULL;
	}
	return name;
}

/*
 * In a list, a/./b/c means the name b/c in the destination, as with rsync; so the parts of a tree can
 * be given back. What is behind the last slash is its name, what is before it a directory there.
 */
static int place_marked(const struct target *t, struct source *src, const char *marked)
{
	size_t len = strlen(marked);
	char *below;
	int err = 0;

	while (len && marked[len - 1] == '/')
		len--;
	while (len && marked[len - 1] != '/')
		len--;
	while (len && marked[len - 1] == '/')
		len--;
	if (!len)
		return 0;
	below = xrealloc(NULL, len + 1);
	memcpy(below, marked, len);
	below[len] = '\0';
	dirnode_put(src->dir);
	src->dir = NULL;
	err = dest_below(t->dir, below, &src->dir);
	free(below);
	return err;
}

static int place(const struct target *t, struct source *src, bool from_list, const char **why)
{
	bool is_dir = src->known && S_ISDIR(src->st.st_mode);
	const char *marked = from_list ? strstr(src->path, "/./") : NULL;
	const struct dest *dest;
	bool begun;

	*why = t->why;
	if (t->err)
		return t->err;
	src->dir = dirnode_get(t->dir);
	dest = t->dir->data;
	if (t->into)
		src->name = own_name(src->path);
	else
		src->name = t->name ? xstrdup(t->name) : NULL;
	/* A directory that a run was killed at: then its name was new, and it still is. */
	begun = dest->made || (dest->marked && dest->owner == src->st.st_uid);
	if (t->into && t->single && is_dir && begun) {
		free(src->name);
		src->name = NULL;
	}
	if (!is_dir && src->known && t->slash) {
		/* What it would be called is not what was meant. */
		dirnode_put(src->dir);
		free(src->name);
		src->dir = NULL;
		src->name = NULL;
		*why = "the destination is not a directory";
		return -ENOTDIR;
	}
	if (!is_dir && src->known && !src->name) {
		*why = "the destination is a directory";
		return -EISDIR;
	}
	if (!src->name && !is_dir)
		src->name = xstrdup("");
	return marked ? place_marked(t, src, marked + 3) : 0;
}

/* Whether a directory would be copied into itself. */
static bool into_itself(const struct source *src)
{
	struct stat st;

	if (dest_is_below(dirnode_fd(src->dir), &src->st))
		return true;
	return src->name && !fstatat(dirnode_fd(src->dir), src->name, &st, AT_SYMLINK_NOFOLLOW) &&
	       st.st_dev == src->st.st_dev && st.st_ino == src->st.st_ino;
}

static void add_item(struct job *job, const struct use *use, struct source *src, int err,
		     const char *why)
{
	struct item *item = job_item(job, use, NULL, src->path, strlen(src->path));
	struct copy_item *own = item_priv(item);

	own->dir = src->dir;
	own->name = src->name;
	item->type = src->known ? IFTODT(src->st.st_mode) : DT_UNKNOWN;
	if (!err || job_stopping(job)) {
		job_submit(item);
		return;
	}
	item->why = why;
	job_finish(item, STATUS_FAILED, err);
}

/* The destination for a job of one source: with a slash, where it had to be a directory. */
static char *as_given(const struct target *t)
{
	const size_t len = strlen(t->dst);
	char *dst = xcalloc(1, len + 2);

	memcpy(dst, t->dst, len);
	if (!t->single && dst[len - 1] != '/')
		dst[len] = '/';
	return dst;
}

/* For struct copy_root. What is in d is d/x in the destination where d is @named there, else x. */
static size_t mark_of(const char *path, bool named)
{
	size_t len = strlen(path), end = len;

	/* It has its mark: it is from a list, or is d/. itself. */
	if (strstr(path, "/./") || (len > 1 && !strcmp(path + len - 2, "/.")))
		return 0;
	while (end && path[end - 1] == '/')
		end--;
	if (!named)
		return (end == len ? len + 1 : len) + 1;
	while (end && path[end - 1] != '/')
		end--;
	return end + 1;
}

static void add_source(struct job *job, const struct use *use, const struct target *t,
		       const char *path, bool from_list)
{
	const struct copy_settings *set = use->settings;
	struct source src = {.path = path};
	const char *why = NULL;
	bool tree;
	int err = 0;

	/* What is to be given back as a job of its own has to have its place. */
	if (!job_stopping(job) || job->ops->mixes) {
		src.known = set->recursive ? !lstat(path, &src.st) : !stat(path, &src.st);
		err = place(t, &src, from_list, &why);
	}
	if (!src.dir && !src.name && job->ops->mixes)
		src.name = as_given(t);
	tree = src.known && S_ISDIR(src.st.st_mode) && set->recursive;
	if (!err && tree && into_itself(&src)) {
		err = -EINVAL;
		why = "cannot be copied into itself";
	}
	if (!err && src.dir && (!t->single || job->ops->mixes) &&
	    !dest_claim(src.dir, src.name ? src.name : ".")) {
		err = -EEXIST;
		why = copy_claimed;
	}
	if (!err && tree && src.dir)
		copy_tree_add(job, use, src.path,
			      &(struct copy_root){
				      .dir = src.dir,
				      .name = src.name,
				      .overlaps = t->overlaps,
				      .mark = mark_of(src.path, t->into && src.name),
			      });
	else
		add_item(job, use, &src, err, why);
}

/*
 * d/. has no name of its own, and is all over DST. A list may well name a directory and what is in it:
 * --failed-to does, of a run that was stopped.
 */
static bool may_overlap(const struct options *opt)
{
	bool overlaps = false;
	char *name;

	for (size_t i = 0; i < opt->arg_count && !overlaps; i++) {
		name = own_name(opt->args[i]);
		overlaps = !name;
		free(name);
	}
	return overlaps;
}

/* As a command: many sources, and the destination that copy_run() found. */
void copy_feed(struct job *job)
{
	const struct copy_settings *set = job->use.settings;
	const struct options *opt = job->opt;
	struct target t = {
		.dst = set->dst,
		.single = opt->arg_count == 1 && !opt->list_count,
	};
	bool from_list;
	const char *name;
	size_t len;

	t.overlaps = !t.single && may_overlap(opt);
	target_open(job, set->exact, &t);
	for (;;) {
		from_list = job->inputs->next_arg >= opt->arg_count;
		if (!inputs_next(job->inputs, job, &name, &len))
			break;
		add_source(job, &job->use, &t, name, from_list);
	}
	target_close(&t);
}

/*
 * In a run that goes on with a journal: the name of the directory that is there now, where it is the
 * copy that an earlier run made of @path under a name that was new then; else NULL. A run that was
 * killed left its mark on it (see place()), one that came to the end of this tree left a line.
 */
static char *was_new(struct job *job, const struct use *use, const char *path, const char *dst)
{
	struct buf copy = {0};
	char *parent, *name, *src = xstrdup(path);
	size_t len = strlen(src);

	while (len > 1 && src[len - 1] == '/')
		src[--len] = '\0';
	split_path(dst, &parent, &name);
	buf_str(&copy, parent);
	if (*parent && strcmp(parent, "/"))
		buf_char(&copy, '/');
	buf_str(&copy, name);
	buf_char(&copy, '\0');
	if (!journal_has(job, use, src, copy.data))
		buf_free(&copy);
	free(parent);
	free(name);
	free(src);
	return copy.data;
}

void copy_add(struct job *job, const struct jobspec *spec)
{
	const struct copy_settings *set = spec->use->settings;
	const size_t sources = spec->count - 1;
	struct target t = {
		.dst = spec->args[sources],
		.single = sources == 1,
		.overlaps = true,
	};
	char *name = NULL;

	target_open(job, set->exact || spec->exact, &t);
	if (t.single && t.into && set->recursive)
		name = was_new(job, spec->use, spec->args[0], t.dst);
	if (name) {
		target_close(&t);
		t = (struct target){.dst = name, .single = true, .overlaps = true};
		target_open(job, true, &t);
	}
	if (!t.single && !t.into && !t.err) {
		t.err = -ENOTDIR;
		t.why = "the destination is not a directory to copy into";
	}
	for (size_t i = 0; i < sources; i++)
		add_source(job, spec->use, &t, spec->args[i], false);
	target_close(&t);
	free(name);
}
