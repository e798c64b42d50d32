/* SPDX-License-Identifier: MIT */
/*
 * place: what the names that the user gave mean.
 *
 * Each source has a target: a directory of the destination and the name that the copy gets in it.
 * That is found out before the copy starts, and so is what must not be copied at all: a directory
 * into itself, two sources to one place. Main thread.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "run/feed.h"
#include "base/array.h"
#include "base/buf.h"
#include "verbs/copy/claims.h"
#include "verbs/copy/copy.h"
#include "base/path.h"
#include "cli/inputs.h"
#include "run/job.h"
#include "run/steer.h"
#include "journal/journal.h"
#include "cli/options.h"
#include "walk/tree.h"
#include "base/alloc.h"
#include "verb.h"

#define LINKS_MOST 40 /* as the kernel has it */

/* What DST means for the sources that it is given with. */
struct target {
	const char *dst;
	bool single; /* there is one source */
	bool into; /* sources get names of their own in @dir */
	bool slash; /* the name ends with one: it is a directory's */
	bool shared; /* there are other sources in the run */
	enum copy_overlap overlap; /* where in a tree's copy these may have their places */
	struct dirnode *dir;
	char *name; /* of the copy, or NULL: @dir itself */
	int err; /* every source fails with it */
	const char *why;
	int fd; /* of this process, that the name stands for; -1: it is an ordinary one */
	/* The destination is a symbolic link: it itself, which what is no file replaces. */
	struct at_target {
		struct dirnode *dir;
		char *name;
		int err;
	} link;
};

/* Takes a path apart: the name in it, and the directory that this is in, as the path has it. */
static void split_path(const char *path, char **parent, char **name)
{
	size_t len;
	const char *last = path_name(path, &len);
	size_t start = (size_t)(last - path);

	*name = xrealloc(NULL, len + 1);
	memcpy(*name, last, len);
	(*name)[len] = '\0';
	*parent = xrealloc(NULL, start + 1);
	memcpy(*parent, path, start);
	while (start > 1 && (*parent)[start - 1] == '/')
		start--;
	(*parent)[start] = '\0';
}

/* @path is no directory that is there: it is a name in one. Returns 0 or -errno. */
static int split_target(struct job *job, const char *path, struct dirnode **dir, char **name)
{
	char *parent;
	int err;

	split_path(path, &parent, name);
	err = **name ? dest_root(job, parent, parent, dir) : -ENOENT;
	free(parent);
	return err;
}

static void target_new(struct job *job, struct target *t, const char *path)
{
	const size_t len = strlen(path);

	t->slash = len > 1 && path[len - 1] == '/';
	t->err = split_target(job, path, &t->dir, &t->name);
	if (!len)
		t->why = "the destination's name is empty";
	else if (t->err == -ENOENT)
		t->why = "the directory of the destination is not there";
}

/* With a slash at its end it is what the link leads to. */
static bool is_link(const char *path)
{
	struct stat st;

	return !lstat(path, &st) && S_ISLNK(st.st_mode);
}

/* The number of a descriptor of this process that is open, or -1. */
static int fd_number(const char *number)
{
	unsigned long fd;
	char *end;

	if (*number < '0' || *number > '9')
		return -1;
	fd = strtoul(number, &end, 10);
	return !*end && fd <= INT_MAX && fcntl((int)fd, F_GETFD) >= 0 ? (int)fd : -1;
}

/* Whether a directory lists what this process has open: /proc/self/fd, by whatever name. */
static bool lists_open(const char *dir)
{
	char *self = realpath("/proc/self", NULL), *real = realpath(*dir ? dir : ".", NULL);
	const size_t len = self ? strlen(self) : 0, all = real ? strlen(real) : 0;
	const bool is = len && all >= len + 3 && !strncmp(real, self, len) && real[len] == '/' &&
			!strcmp(real + all - 3, "/fd");

	free(self);
	free(real);
	return is;
}

/* One link on the way to what @path is a name for; NULL: there is none. Frees @path. */
static char *follow_link(char *path, const char *dir)
{
	struct buf next = {0};
	char to[PATH_MAX];
	const ssize_t len = readlink(path, to, sizeof(to));

	free(path);
	if (len <= 0 || len == sizeof(to))
		return NULL;
	if (to[0] != '/' && *dir) {
		buf_str(&next, dir);
		buf_char(&next, '/');
	}
	buf_add(&next, to, (size_t)len);
	buf_char(&next, '\0');
	return next.data;
}

/*
 * /dev/stdout and its like, and links to them: what is open is not to be replaced, but written to
 * where it stands.
 */
static int fd_called(const char *path)
{
	char *at, *dir, *name;
	int fd = -1;

	/* Also where /proc is not mounted. */
	if (!strcmp(path, "/dev/stdout"))
		return STDOUT_FILENO;
	if (!strcmp(path, "/dev/stderr"))
		return STDERR_FILENO;
	at = is_link(path) ? xstrdup(path) : NULL;
	for (int links = 0; at && fd < 0 && links < LINKS_MOST; links++) {
		split_path(at, &dir, &name);
		fd = fd_number(name);
		if (fd >= 0 && !lists_open(dir))
			fd = -1;
		at = follow_link(at, dir);
		free(dir);
		free(name);
	}
	free(at);
	return fd;
}

static void target_open(struct job *job, bool exact, struct target *t)
{
	const bool link = is_link(t->dst);
	struct stat st;
	char *real;

	t->fd = fd_called(t->dst);
	if (t->fd >= 0) {
		target_new(job, t, t->dst);
		return;
	}
	if (!stat(t->dst, &st) && S_ISDIR(st.st_mode)) {
		t->into = !exact;
		t->err = dest_root(job, t->dst, t->dst, &t->dir);
	} else if (link) {
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
	if (link && !t->into)
		t->link.err = split_target(job, t->dst, &t->link.dir, &t->link.name);
}

static void target_close(struct target *t)
{
	if (t->dir)
		dirnode_put(t->dir);
	free(t->name);
	if (t->link.dir)
		dirnode_put(t->link.dir);
	free(t->link.name);
}

/* A source, and where its copy comes to lie. */
struct source {
	const char *path;
	bool known; /* it is there, and @st says what it is */
	struct stat st;
	struct dirnode *dir;
	char *name;
	bool keeps_above; /* see struct copy_item */
};

/*
 * The part of a path that its copy is called by, without slashes at its end; NULL: it has no name.
 */
static const char *last_part(const char *path, size_t *len)
{
	path = path_name(path, len);
	if (!*len || (*len == 1 && *path == '.') || (*len == 2 && !memcmp(path, "..", 2)))
		return NULL;
	return path;
}

bool copy_add_destination(struct buf *buf, const char *dst, const char *source)
{
	size_t len;
	const char *name = last_part(source, &len);

	if (!name)
		return false;
	buf_str(buf, dst);
	buf_char(buf, '/');
	buf_add(buf, name, len);
	buf_char(buf, '\0');
	return true;
}

static char *own_name(const char *path)
{
	size_t len;
	const char *part = last_part(path, &len);
	char *name = NULL;

	if (part) {
		name = xcalloc(1, len + 1);
		memcpy(name, part, len);
	}
	return name;
}

/*
 * In a list, a/./b/c means the name b/c in the destination, as with rsync; so the parts of a tree
 * can be given back. What is behind the last slash is its name, what is before it a directory
 * there, which is the copy of that of the source. In a/././c it is the destination itself that is
 * the copy of a.
 */
static int place_marked(const struct job *job, const struct copy_settings *set,
			const struct target *t, struct source *src, const char *marked)
{
	const char *end = marked + strlen(marked);
	char *from;
	int err = 0;

	while (end > marked && end[-1] == '/')
		end--;
	while (end > marked && end[-1] != '/')
		end--;
	src->keeps_above = end > marked;
	while (end > marked && end[-1] == '/')
		end--;
	while (marked < end && (*marked == '/' || (*marked == '.' && marked[1] == '/')))
		marked++;
	if (marked == end || (end - marked == 1 && *marked == '.'))
		return 0;
	from = xcalloc(1, (size_t)(end - src->path) + 1);
	memcpy(from, src->path, (size_t)(end - src->path));
	dirnode_put(src->dir);
	src->dir = NULL;
	err = dest_below(job, set, t->dir, from, (size_t)(marked - src->path), &src->dir);
	free(from);
	return err;
}

/* As cp does: a file is written to where a link leads, anything else replaces the link. */
static bool replaces_link(const struct target *t, const struct source *src)
{
	return t->link.name && src->known && !S_ISREG(src->st.st_mode) && !S_ISDIR(src->st.st_mode);
}

static int place(const struct job *job, const struct copy_settings *set, const struct target *t,
		 struct source *src, bool from_list, const char **why)
{
	bool is_dir = src->known && S_ISDIR(src->st.st_mode);
	const char *marked = from_list ? strstr(src->path, "/./") : NULL;
	const struct dest *dest;
	bool begun;
	int err;

	if (replaces_link(t, src)) {
		if (t->link.err)
			return t->link.err;
		src->dir = dirnode_get(t->link.dir);
		src->name = xstrdup(t->link.name);
		return 0;
	}
	*why = t->why;
	if (t->err)
		return t->err;
	/* As cp -T has it: what is there is no directory. */
	if (is_dir && t->link.name) {
		*why = "the destination is a symbolic link, which no directory replaces";
		return -EEXIST;
	}
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
	if (!marked)
		return 0;
	err = place_marked(job, set, t, src, marked + 3);
	src->keeps_above &= src->name != NULL;
	return err;
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

/* With an @err it has failed; with @why alone it is skipped. */
static void add_item(struct job *job, const struct item_class *class, const struct target *t,
		     struct source *src, bool from_list, int err, const char *why)
{
	struct item *item = item_new(job, class, NULL, src->path, strlen(src->path));
	struct copy_item *own = item_priv(item);

	own->dir = src->dir;
	own->name = src->name;
	/* Of what is not there nobody knows yet what it will be. */
	own->claimed = src->known || !t->shared;
	own->mark.kind = from_list ? MARK_OWN : MARK_NONE;
	own->into_fd = t->fd >= 0;
	own->fd = t->fd;
	own->keeps_above = src->keeps_above && !job->opt->dry_run;
	item->type = src->known ? IFTODT(src->st.st_mode) : DT_UNKNOWN;
	if ((!err && !why) || steer_stopping(job)) {
		item_submit(item);
		return;
	}
	item->why = why;
	item_finish(item, err ? STATUS_FAILED : STATUS_SKIPPED, err);
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

/* What is in d is d/x in the destination where d is @named there, else x. */
static struct copy_mark mark_of(const char *path, bool named, bool from_list)
{
	size_t len = strlen(path);
	struct copy_mark mark = {.kind = MARK_AT, .at = len, .in_place = !named};

	if (from_list && strstr(path, "/./")) {
		mark.kind = MARK_OWN;
		return mark;
	}
	if (!named) {
		mark.at += !len || path[len - 1] != '/';
		return mark;
	}
	while (mark.at && path[mark.at - 1] == '/')
		mark.at--;
	while (mark.at && path[mark.at - 1] != '/')
		mark.at--;
	return mark;
}

/* 0, with @why where the same source has the destination already; or -errno. */
static int claim(const struct job *job, const struct source *src, const struct copy_settings *set,
		 const char **why)
{
	int found = dest_claim(job, src->dir, src->name ? src->name : ".", &src->st, set);

	if (found == CLAIM_SAME)
		*why = copy_shared;
	if (found == CLAIM_OTHER)
		*why = copy_claimed;
	return found == CLAIM_OTHER ? -EEXIST : found < 0 ? found : 0;
}

/* Among the names of the destination only those can be met that are in it themselves. */
static enum copy_overlap overlap_of(const struct target *t, const struct source *src)
{
	return t->overlap == OVERLAP_TOP && src->name ? OVERLAP_NONE : t->overlap;
}

static void add_source(struct job *job, const struct item_class *class, const struct target *t,
		       const char *path, bool from_list)
{
	const struct copy_settings *set = class->settings;
	struct source src = {.path = path};
	const char *why = NULL;
	bool tree;
	int err = 0;

	/* What is to be given back as a job of its own has to have its place. */
	if (!steer_stopping(job) || job->ops->mixes) {
		src.known = set->recursive ? !lstat(path, &src.st) : !stat(path, &src.st);
		err = place(job, set, t, &src, from_list, &why);
	}
	if (!src.dir && !src.name && job->ops->mixes)
		src.name = as_given(t);
	tree = src.known && S_ISDIR(src.st.st_mode) && set->recursive;
	if (!err && tree && into_itself(&src)) {
		err = -EINVAL;
		why = "cannot be copied into itself";
	}
	if (!err && src.dir && src.known && t->shared)
		err = claim(job, &src, set, &why);
	if (!err && !why && tree && src.dir)
		copy_tree_add(job, class, src.path,
			      &(struct copy_root){
				      .dir = src.dir,
				      .name = src.name,
				      .overlap = overlap_of(t, &src),
				      .mark = mark_of(src.path, t->into && src.name, from_list),
				      .keeps_above = src.keeps_above,
			      });
	else
		add_item(job, class, t, &src, from_list, err, why);
}

/*
 * Where one source may meet another's tree below the destination. As they are called anew in it
 * they lie beside each other, but d/. has no name, and lies among the others; and where a list says
 * where in the destination something belongs, it may be anywhere.
 */
static unsigned int overlap_by(const char *name, bool from_list)
{
	size_t len;

	if (from_list && strstr(name, "/./"))
		return OVERLAP_ALL;
	return last_part(name, &len) ? OVERLAP_NONE : OVERLAP_TOP;
}

/* A list has become another one since it was looked through. */
static void refuse_new(struct job *job, const char *name)
{
	struct item *item = item_new(job, &job->class, NULL, name, strlen(name));

	item->why = "the list has changed since it was looked through";
	item_finish(item, STATUS_FAILED, -EINVAL);
}

/* As a command: many sources, and the destination that copy_run() found. */
void copy_feed(struct job *job)
{
	const struct copy_settings *set = job->class.settings;
	const struct options *opt = job->opt;
	struct target t = {
		.dst = set->dst,
		.single = opt->arg_count == 1 && !opt->list_count,
	};
	bool from_list;
	const char *name;
	size_t len;

	t.shared = !t.single;
	if (t.shared)
		t.overlap = (enum copy_overlap)inputs_most(job->inputs, &job->watch, OVERLAP_ALL,
							   overlap_by);
	target_open(job, set->exact, &t);
	for (;;) {
		from_list = job->inputs->next_arg >= opt->arg_count;
		if (!feed_next(job, &name, &len))
			break;
		if (t.shared && overlap_by(name, from_list) > t.overlap)
			refuse_new(job, name);
		else
			add_source(job, &job->class, &t, name, from_list);
	}
	target_close(&t);
}

/*
 * In a run that goes on with a journal: the name of the directory that is there now, where it is
 * the copy that an earlier run made of @path under a name that was new then; else NULL. A run that
 * was killed left its mark on it (see place()), one that came to the end of this tree left a line.
 */
static char *was_new(struct job *job, const struct item_class *class, const char *path,
		     const char *dst)
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
	if (!journal_has(job, class, src, copy.data))
		buf_free(&copy);
	free(parent);
	free(name);
	free(src);
	return copy.data;
}

void copy_add(struct job *job, const struct jobspec *spec)
{
	const struct copy_settings *set = spec->class->settings;
	const size_t sources = spec->count - 1;
	struct target t = {
		.dst = spec->last,
		.single = sources == 1,
		.shared = true,
		.overlap = OVERLAP_ALL,
	};
	const char *source = jobspec_next(spec);
	char *name = NULL;

	target_open(job, set->exact || spec->exact, &t);
	if (t.single && t.into && set->recursive)
		name = was_new(job, spec->class, source, t.dst);
	if (name) {
		target_close(&t);
		t.dst = name;
		t.into = false;
		t.dir = NULL;
		t.name = NULL;
		target_open(job, true, &t);
	}
	if (!t.single && !t.into && !t.err) {
		t.err = -ENOTDIR;
		t.why = "the destination is not a directory to copy into";
	}
	for (size_t i = 0; i < sources; i++, source = jobspec_next(spec))
		add_source(job, spec->class, &t, source, false);
	target_close(&t);
	free(name);
}
