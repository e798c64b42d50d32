/* SPDX-License-Identifier: MIT */
/*
 * rm: removes files and trees.
 *
 * A walk finds what is in a tree, and each file and each directory is an item: a file at once, a
 * directory when everything below it has ended. Within a tree every name is taken relative to an
 * open directory, the root's own relative to the directory that it stands in, and no link is
 * followed: who swaps a directory for a link meanwhile gains nothing. A name that the user gave is
 * one call by its path, as with rm(1).
 *
 * There is no question before a file that is read-only: whether one may be removed is up to its
 * directory, and among thousands of files in flight nobody can answer. With -i there is one before
 * each, and then a single walker removes what it finds by itself, so that they come in order, and
 * each when the one before has been acted upon.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "journal/journal.h"
#include "run/feed.h"
#include "base/buf.h"
#include "base/calls.h"
#include "base/device.h"
#include "cli/inputs.h"
#include "cli/filter.h"
#include "run/job.h"
#include "run/steer.h"
#include "cli/options.h"
#include "run/ownfiles.h"
#include "base/path.h"
#include "walk/tree.h"
#include "base/alloc.h"
#include "base/status.h"
#include "verb.h"
#include "verbs/ask.h"
#include "walk/walk.h"

/* As GNU rm: so many files may be named before -I asks. */
#define ASK_ABOVE 3

struct settings {
	bool recursive;
	bool dirs;
	bool force;
	enum {
		ASK_NEVER,
		ASK_ONCE,
		ASK_ALWAYS,
	} ask;
	bool preserve_all;
	bool one_file_system;
	dev_t slash_dev; /* the root directory */
	ino_t slash_ino;
};

/* ---- one item */

/*
 * A file system that is read-only says so before it looks for the name, and what its server is gone
 * from still is a directory to who does not ask it.
 */
static int why_refused(struct item *item, int dirfd, const char *path, int err)
{
	unsigned int mode;
	int found = device_look_at(DEVICE_OTHER, dirfd, path, &mode);

	if (found)
		return found;
	if (err == -EISDIR)
		item->why = "is a directory (-r removes it with what is in it, -d an empty one)";
	return err;
}

/* Where an item is: a directory, and what one call can take for its name there. */
struct place {
	int dirfd;
	const char *name;
	int opened; /* to be closed; -1: nothing is */
};

/* Returns 0 or -errno; what is opened is to be closed in any case. */
static int place_find(const struct item *item, struct place *at)
{
	size_t len;

	*at = (struct place){AT_FDCWD, item->name.data, -1};
	if (item->dir) {
		at->dirfd = dirnode_fd(item->dir);
		return 0;
	}
	if (item->self) {
		at->dirfd = item->self->tree->above;
		at->name = path_name(item->name.data, &len);
		return 0;
	}
	return path_shorten(&at->dirfd, &at->name, &at->opened);
}

/* The server of the directory may be slow, and others are on the loop. */
static enum device_kind kind_of(const struct item *item)
{
	const struct dirnode *in = item->dir ? item->dir : item->self;

	return in ? in->kind : device_kind_around(item->name.data);
}

static int remove_operand(struct item *item, const struct place *at, int flags)
{
	const struct settings *set = item->settings;
	enum device_kind kind = kind_of(item);
	int err = device_unlink(kind, at->dirfd, at->name, flags);

	if (err == -EISDIR && set->dirs) {
		err = device_unlink(kind, at->dirfd, at->name, AT_REMOVEDIR);
		if (!err)
			item->type = DT_DIR;
	} else if (err == -EISDIR || err == -EROFS) {
		err = why_refused(item, at->dirfd, at->name, err);
	}
	return err;
}

static int remove_at(struct item *item, const struct place *at)
{
	const int flags = item->type == DT_DIR ? AT_REMOVEDIR : 0;

	return item->dir || item->self ? device_unlink(kind_of(item), at->dirfd, at->name, flags) :
					 remove_operand(item, at, flags);
}

struct looking {
	const struct place *at;
	struct stat st;
};

static int look(void *arg)
{
	struct looking *l = arg;

	return call_fstatat(l->at->dirfd, l->at->name, &l->st, AT_SYMLINK_NOFOLLOW);
}

/* What this run writes to must be there when it has ended. */
static int refuse_own(struct item *item, const struct place *at)
{
	struct looking l = {.at = at};
	int err;

	if (!own_file_called(item->job->own, item->name.data))
		return 0;
	err = device_call(kind_of(item), look, &l);
	if (err)
		return err;
	item->why = own_file_as_source(item->job->own, &l.st);
	return item->why ? -EINVAL : 0;
}

/* Return: 1: it was removed; 0: it stays, as the item says; -errno. */
static int remove_asked(struct item *item)
{
	const struct settings *set = item->settings;
	struct place at;
	int err = place_find(item, &at), may = 1;

	if (!err)
		err = refuse_own(item, &at);
	if (!err && set->ask == ASK_ALWAYS)
		may = ask_may_go(item, at.dirfd, at.name, set->dirs || set->recursive);
	if (may < 0)
		err = may;
	if (!err && may)
		err = remove_at(item, &at);
	if (at.opened >= 0)
		close(at.opened);
	return err ? err : may;
}

static int rm_work(struct item *item)
{
	const struct settings *set = item->settings;
	const bool looks = filter_looks(&item->job->opt->filter);
	int unread = item->err, err;
	bool spared;

	item->source.kind = ORIGIN_NAME;
	item->err = 0;
	if (item->self && atomic_load(&item->self->failed)) {
		item->why = "not removed: something in it could not be";
		item->silent = true;
		return -ENOTEMPTY;
	}
	spared = item->self && atomic_load(&item->self->spared);
	if (spared || (item->self && looks && !atomic_load(&item->self->found))) {
		item->status = STATUS_SKIPPED;
		item->why = spared ? "not removed: something in it was left out" :
				     "not removed: it was empty before, and filters are for files";
		dirnode_spare(item->self->parent);
		return 0;
	}
	/* What nobody has looked at, or into, is in no filter's choice. */
	err = unread && (looks || item->type != DT_DIR) ? unread : remove_asked(item);
	if (err >= 0)
		return 0;
	/* Only an empty one can be removed without a look into it; why it had none says more. */
	if (unread && (err == -ENOTEMPTY || err == -EEXIST))
		return unread;
	if (set->force && (err == -ENOENT || (err == -ENOTDIR && !item->dir && !item->self))) {
		item->status = STATUS_SKIPPED;
		item->why = "does not exist";
		return 0;
	}
	if (err == -ENOENT && item->maybe_done && !item->dir && !item->self) {
		item->status = STATUS_SKIPPED;
		item->restored = true;
		item->why =
			"does not exist; the run before, which was cut short, may have removed it";
		return 0;
	}
	return err;
}

/* What failed below has had its own attempts. */
static bool rm_permanent(const struct item *item, int err)
{
	(void)err;
	return item->silent;
}

static void rm_text(const struct item *item, struct buf *buf)
{
	struct buf path = {0};

	if (item->status != STATUS_OK || !item->job->opt->verbose)
		return;
	item_path(item, &path);
	buf_str(buf, item->type == DT_DIR ? "removed directory '" : "removed '");
	buf_visible(buf, path.data, path.len);
	buf_str(buf, "'\n");
	buf_free(&path);
}

/* What was removed and is there again is removed again. */
static bool rm_journal_restore(struct item *item, const char *result, size_t len)
{
	int fd;

	(void)result;
	(void)len;
	/* A walk has found it. */
	if (item->dir || item->self)
		return false;
	fd = path_open(AT_FDCWD, item->name.data, O_PATH | O_NOFOLLOW);
	if (fd >= 0)
		bp_close(fd);
	return fd == -ENOENT;
}

static const struct item_ops rm_items = {
	.op = "rm",
	.descriptors = 2, /* a tree has its root and the directory above it open */
	.roots_cover = true,
	.brief = true,
	.work = rm_work,
	.permanent = rm_permanent,
	.text = rm_text,
	.journal_restore = rm_journal_restore,
};

/* ---- operands and trees */

static bool is_slash(const struct settings *set, dev_t dev, ino_t ino)
{
	return dev == set->slash_dev && ino == set->slash_ino;
}

static const char slash_refused[] = "is the root directory, which is never removed";

static int enter_asked(const struct settings *set, struct dirnode *dir)
{
	return set->ask != ASK_ALWAYS || ask_may_enter(dir) ? 0 : WALK_PASS;
}

static int rm_enter(struct dirnode *dir)
{
	const struct settings *set = dir->tree->class->settings;

	/* Also where it is mounted once more within the tree. */
	if (is_slash(set, dir->dev, dir->ino)) {
		dir->why = slash_refused;
		return -EPERM;
	}
	if (!set->one_file_system || !dir->parent)
		return enter_asked(set, dir);
	if (dir->dev != dirnode_root(dir)->dev)
		dir->why = "is on another file system";
	else if (dir->mounted)
		dir->why = "is mounted from elsewhere";
	return dir->why ? -EXDEV : enter_asked(set, dir);
}

static const struct tree_ops trees = {
	.takes = ~0u,
	.leaves = true,
	.unread = true,
	.above = true,
	.sized = true,
	.enter = rm_enter,
};

/* What is wrong with an operand whatever there is; @len: without the slashes at its end. */
static const char *refused(const char *name, size_t len)
{
	const char *last;

	if (!len)
		return *name ? slash_refused : NULL;
	last = path_name(name, &len);
	if ((len == 1 && last[0] == '.') || (len == 2 && last[0] == '.' && last[1] == '.'))
		return "'.' and '..' are never removed";
	return NULL;
}

static void refuse(struct job *job, const struct item_class *class, const char *name,
		   const char *why, int err)
{
	struct item *item = item_new(job, class, NULL, name, strlen(name));

	item->why = why;
	item_finish(item, STATUS_FAILED, err);
}

static void add_tree(struct job *job, const struct item_class *class, const char *name, size_t len,
		     dev_t dev)
{
	struct walk_root root = {.class = class, .ops = &trees};

	if (item_passes_over(job, name, len))
		return;
	root.kind = device_kind_of_path(dev, name);
	walk_add(job->walk, &root, name, len);
}

/* Then it could be a directory, and must not be tried as a file. */
static bool cannot_be_looked_at(int err)
{
	return err != -ENOENT && err != -ENOTDIR;
}

/* A directory by its slash, and called as a tree is: in the journal it may be one. */
static void add_missing(struct job *job, const struct item_class *class, const char *name,
			size_t len)
{
	struct item *item = item_new(job, class, NULL, name, len);

	item->type = DT_DIR;
	item_submit(item);
}

/* --preserve-root=all: what something is mounted on stays, as rm(1) has it. */
static bool is_mounted(const char *name, const struct stat *st)
{
	struct buf above = {0};
	struct stat up;
	bool mounted;

	buf_printf(&above, "%s/..%c", name, '\0');
	mounted = !call_lstat(above.data, &up) && up.st_dev != st->st_dev;
	buf_free(&above);
	return mounted;
}

static void add_one(struct job *job, const struct item_class *class, const char *name)
{
	const struct settings *set = class->settings;
	size_t whole = strlen(name), len = whole;
	const char *why;
	struct stat st;
	char *plain;
	bool known;
	int err = -ENOENT;

	while (len && name[len - 1] == '/')
		len--;
	why = refused(name, len);
	if (why) {
		refuse(job, class, name, why, -EINVAL);
		return;
	}
	/* Without the slashes: with them a link would be followed. */
	plain = strndup(name, len);
	if (plain && (set->recursive || len < whole) && !steer_stopping(job))
		err = call_lstat(plain, &st);
	known = !err;
	free(plain);
	if (!known && cannot_be_looked_at(err))
		refuse(job, class, name, NULL, err);
	else if (known && S_ISLNK(st.st_mode) && len < whole)
		refuse(job, class, name, "is a symbolic link, to be named without the slash",
		       -ENOTDIR);
	else if (known && S_ISDIR(st.st_mode) && is_slash(set, st.st_dev, st.st_ino))
		refuse(job, class, name, slash_refused, -EPERM);
	else if (known && S_ISDIR(st.st_mode) && set->recursive && set->preserve_all &&
		 is_mounted(name, &st))
		refuse(job, class, name,
		       "is on another device than what it is in (--preserve-root=all)", -EXDEV);
	else if (known && S_ISDIR(st.st_mode) && own_file_within(job->own, &st))
		refuse(job, class, name, own_file_within(job->own, &st), -EINVAL);
	else if (known && S_ISDIR(st.st_mode) && set->recursive)
		add_tree(job, class, name, len, st.st_dev);
	else if (!known && set->recursive && len < whole)
		add_missing(job, class, name, len);
	else
		item_submit(item_new(job, class, NULL, name, whole));
}

static const char *rm_check(const struct jobspec *spec)
{
	const struct settings *set = spec->class->settings;

	if (set->ask)
		return "-i and -I ask, and nobody answers here";
	return spec->count || set->force ? NULL : "names no file";
}

static void rm_add(struct job *job, const struct jobspec *spec)
{
	for (size_t i = 0; i < spec->count; i++)
		add_one(job, spec->class, jobspec_next(spec));
}

/* ---- the command */

/* Of -f, -i, -I and --interactive the last one counts. */
static const char *read_force(void *to, const char *arg)
{
	struct settings *set = to;

	(void)arg;
	set->force = true;
	set->ask = ASK_NEVER;
	return NULL;
}

static const char *read_once(void *to, const char *arg)
{
	struct settings *set = to;

	(void)arg;
	set->ask = ASK_ONCE;
	set->force = false;
	return NULL;
}

static const char *read_always(void *to, const char *arg)
{
	struct settings *set = to;

	(void)arg;
	set->ask = ASK_ALWAYS;
	set->force = false;
	return NULL;
}

static const char *read_interactive(void *to, const char *arg)
{
	struct settings *set = to;

	if (!arg || !strcmp(arg, "always") || !strcmp(arg, "yes"))
		return read_always(to, NULL);
	if (!strcmp(arg, "once"))
		return read_once(to, NULL);
	set->ask = ASK_NEVER;
	return !strcmp(arg, "never") || !strcmp(arg, "no") || !strcmp(arg, "none") ?
		       NULL :
		       "never, once or always";
}

static const char *read_preserve_root(void *to, const char *arg)
{
	bool *all = to;

	*all |= arg != NULL;
	return !arg || !strcmp(arg, "all") ? NULL : "all";
}

static const char *rm_settle(void *settings, struct common *common)
{
	struct settings *set = settings;
	struct stat st;

	(void)common;
	if (stat("/", &st))
		return "the root directory cannot be looked at, and so not be told from others";
	set->slash_dev = st.st_dev;
	set->slash_ino = st.st_ino;
	return NULL;
}

/* -I: one question before anything starts. False: *@status is the exit status. */
static bool ask(const struct options *options, int *status)
{
	const struct settings *set = options->settings;
	const size_t count = options->arg_count, lists = options->list_count;

	if (set->ask != ASK_ONCE || options->dry_run || (!count && !lists) ||
	    (!set->recursive && !lists && count <= ASK_ABOVE))
		return true;
	if (!ask_possible(options, "-I", status))
		return false;
	fprintf(stderr, "batchproc: rm: remove %zu argument%s%s%s? ", count, count == 1 ? "" : "s",
		lists ? " and all that the lists name" : "", set->recursive ? " recursively" : "");
	fflush(stderr);
	*status = EXIT_OK;
	return ask_said_yes();
}

static int rm_run(const struct options *options)
{
	const struct settings *set = options->settings;
	const struct job_ops ops = {
		.walk = set->recursive ? &walk_hooks : NULL,
		.journal = &journal_hooks,
		.one_each = !set->recursive,
		.one_by_one = set->ask == ASK_ALWAYS,
		.feed = feed_each,
	};
	struct options own = *options;
	int status;

	if (ops.one_by_one && !own.dry_run) {
		if (!ask_each_possible(options, &status))
			return status;
		/* They come in the order of the input anyway. */
		own.keep_order = false;
		own.jobs = 1;
	}
	for (size_t i = 0; i < own.arg_count && set->recursive; i++)
		if (!own_files_outside(options, own.args[i], "in what is to be removed", &status))
			return status;
	if (!ask(options, &status))
		return status;
	own.allow_empty |= set->force;
	return feed_run(&own, &ops);
}

static bool rm_walks(const void *settings)
{
	return ((const struct settings *)settings)->recursive;
}

static const struct opt rm_options[] = {
	{'r', "recursive", NULL, "remove directories with all that is in them",
	 OPT_FLAG(struct settings, recursive)},
	{'R', "recursive", NULL, "the same", OPT_FLAG(struct settings, recursive)},
	{'d', "dir", NULL, "remove empty directories", OPT_FLAG(struct settings, dirs)},
	{'f', "force", NULL, "what does not exist is no error, nor is no PATH at all", read_force,
	 OPT_WHOLE},
	{'i', "ask-always", NULL, "ask before each removal; answers are lines of standard input",
	 read_always, OPT_WHOLE},
	{'I', "ask-once", NULL,
	 "ask once, before more than three files are removed or a directory\n"
	 "with what is in it",
	 read_once, OPT_WHOLE},
	{0, "interactive", "[=never|once|always]", "once: -I; always: -i, also without a word",
	 read_interactive, OPT_WHOLE},
	{0, "preserve-root", "[=all]",
	 "the root directory stays in any case; all: and so does a PATH that\n"
	 "something is mounted on",
	 read_preserve_root, OPT_AT(struct settings, preserve_all, bool)},
	{0, "one-file-system", NULL,
	 "leave what is on another file system than the PATH it is below",
	 OPT_FLAG(struct settings, one_file_system)},
	OPT_END,
};

const struct verb rm_verb = {
	.name = "rm",
	.synopsis = "[options] PATH...",
	.summary = "Removes files and trees",
	.details =
		"Symbolic links are removed and never followed; the root directory, . and .. are\n"
		"refused. Nobody is asked about files that are read-only. Each file and each\n"
		"directory is an item; a directory is left when all that is in it has ended. With\n"
		"-v a line for each is printed on standard output, as rm(1) has it.\n",
	.takes = TAKES_RUN | TAKES_ENGINE | TAKES_JSON | TAKES_WALK,
	.options = rm_options,
	.items = &rm_items,
	.settings_size = sizeof(struct settings),
	.settle = rm_settle,
	.check = rm_check,
	.add = rm_add,
	.walks = rm_walks,
	.run = rm_run,
};
