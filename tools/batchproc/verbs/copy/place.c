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
#include "verbs/copy/replace.h"
#include "base/path.h"
#include "cli/inputs.h"
#include "run/job.h"
#include "run/steer.h"
#include "journal/journal.h"
#include "cli/options.h"
#include "walk/tree.h"
#include "base/alloc.h"
#include "base/device.h"
#include "verb.h"

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

/* @path is no directory that is there: it is a name in one. Returns 0 or -errno. */
static int split_target(struct job *job, const char *path, struct dirnode **dir, char **name)
{
	char *parent;
	int err;

	path_split(path, &parent, name);
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

static void target_open(struct job *job, bool exact, struct target *t)
{
	const bool link = copy_names_link(t->dst);
	struct stat st;
	char *real;

	t->fd = copy_fd_called(t->dst);
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
static bool replaces_link(const struct copy_settings *set, const struct target *t,
			  const struct source *src)
{
	if (!t->link.name || !src->known || S_ISDIR(src->st.st_mode))
		return false;
	return !S_ISREG(src->st.st_mode) || copy_anew(set) || set->makes != MAKES_COPIES;
}

/* The part of a name from which on it is one below the destination; NULL: its last part alone. */
static const char *marked_part(const struct copy_settings *set, const char *path, bool from_list)
{
	const char *marked = from_list && !set->parents ? strstr(path, "/./") : NULL;

	if (set->parents)
		return path;
	return marked ? marked + 3 : NULL;
}

static bool goes_up(const char *path)
{
	for (size_t len; *path; path += len + (path[len] == '/')) {
		len = strcspn(path, "/");
		if (len == 2 && !memcmp(path, "..", 2))
			return true;
	}
	return false;
}

/* As with cp, what would replace a directory is passed over where it may be. */
static bool dir_stays(const struct copy_settings *set, const struct source *src)
{
	struct stat old;

	return !fstat(dirnode_fd(src->dir), &old) && replace_stays(set, &src->st, &old);
}

static int place(const struct job *job, const struct copy_settings *set, const struct target *t,
		 struct source *src, bool from_list, const char **why)
{
	bool is_dir = src->known && S_ISDIR(src->st.st_mode);
	const char *marked = marked_part(set, src->path, from_list);
	const struct dest *dest;
	bool begun;
	int err;

	if (replaces_link(set, t, src)) {
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
	if (!is_dir && src->known && !src->name && dir_stays(set, src)) {
		*why = replace_stays_why(set);
		return 0;
	}
	if (!is_dir && src->known && !src->name) {
		*why = "the destination is a directory";
		return -EISDIR;
	}
	if (!src->name && !is_dir)
		src->name = xstrdup("");
	if (!marked)
		return 0;
	if (set->parents && goes_up(src->path)) {
		*why = "goes up by .., and --parents would leave the destination";
		return -EINVAL;
	}
	err = place_marked(job, set, t, src, marked);
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
	own->alone = !t->shared;
	own->mark.kind = from_list ? MARK_OWN : MARK_NONE;
	own->into_fd = t->fd >= 0;
	own->fd = t->fd;
	own->keeps_above = src->keeps_above && !job->opt->dry_run;
	own->kind = DEVICE_OTHER;
	item->type = DT_UNKNOWN;
	if (src->known) {
		own->kind = device_kind_of_path(src->st.st_dev, src->path);
		item->type = IFTODT(src->st.st_mode);
	}
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

static char *without_slashes(const char *path)
{
	char *plain = xstrdup(path);
	size_t len = strlen(plain);

	while (len > 1 && plain[len - 1] == '/')
		plain[--len] = '\0';
	return plain;
}

static void add_source(struct job *job, const struct item_class *class, const struct target *t,
		       const char *path, bool from_list)
{
	const struct copy_settings *set = class->settings;
	char *plain = set->strip_slashes ? without_slashes(path) : NULL;
	struct source src = {.path = plain ? plain : path};
	struct copy_mark mark = {.kind = MARK_NONE};
	const char *why = NULL;
	bool tree;
	int err = 0;

	/* What is to be given back as a job of its own has to have its place. */
	if (!steer_stopping(job) || job->ops->mixes) {
		src.known = copy_follows(set, true) ? !stat(src.path, &src.st) :
						      !lstat(src.path, &src.st);
		err = place(job, set, t, &src, from_list, &why);
	}
	if (!src.dir && !src.name && job->ops->mixes)
		src.name = as_given(t);
	if (set->mirror)
		mirror_note_source(job, src.path);
	tree = src.known && S_ISDIR(src.st.st_mode) && set->recursive;
	if (!err && tree && into_itself(&src)) {
		err = -EINVAL;
		why = "cannot be copied into itself";
	}
	if (!err && src.dir && src.known && t->shared)
		err = claim(job, &src, set, &why);
	if (!set->parents)
		mark = mark_of(src.path, t->into && src.name, from_list);
	if (!err && !why && tree && src.dir)
		copy_tree_add(job, class, src.path,
			      &(struct copy_root){
				      .dir = src.dir,
				      .name = src.name,
				      .overlap = overlap_of(t, &src),
				      .mark = mark,
				      .keeps_above = src.keeps_above,
			      });
	else
		add_item(job, class, t, &src, from_list && !set->parents, err, why);
	free(plain);
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
		t.overlap = set->parents ? OVERLAP_ALL :
					   (enum copy_overlap)inputs_most(job->inputs, &job->watch,
									  OVERLAP_ALL, overlap_by);
	target_open(job, set->exact, &t);
	for (;;) {
		from_list = job->inputs->next_arg >= opt->arg_count;
		if (!feed_next(job, &name, &len))
			break;
		if (t.shared && !set->parents && overlap_by(name, from_list) > t.overlap)
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
	path_split(dst, &parent, &name);
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
	if ((!t.single || set->parents) && !t.into && !t.err) {
		t.err = -ENOTDIR;
		t.why = "the destination is not a directory to copy into";
	}
	for (size_t i = 0; i < sources; i++, source = jobspec_next(spec))
		add_source(job, spec->class, &t, source, false);
	target_close(&t);
	free(name);
}
