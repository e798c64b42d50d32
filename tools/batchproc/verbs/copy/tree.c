/* SPDX-License-Identifier: MIT */
/*
 * tree: the directories of a tree that is copied.
 *
 * One is made when the walk enters it: a dirnode's data is the directory of its copy. It gets its
 * mode and its times when all below it has ended, so that nothing changes them any more.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "batchproc.h"
#include "base/buf.h"
#include "base/calls.h"
#include "verbs/copy/claims.h"
#include "verbs/copy/copy.h"
#include "verbs/copy/names.h"
#include "run/job.h"
#include "run/steer.h"
#include "walk/tree.h"
#include "base/alloc.h"
#include "base/device.h"
#include "walk/walk.h"

const char copy_claimed[] = "another item of this run has the same destination";
const char copy_shared[] = "another item of this run has the same source and destination";

/* Of a tree: where the copy of its root comes to lie. */
struct copy_tree {
	struct copy_root at;
	struct job *job;
	dev_t top_dev; /* the directory of the destination; it is not copied into itself */
	ino_t top_ino;
};

struct dirnode *copy_place(const struct item *item, const char **name)
{
	const struct copy_item *own = item_priv_const(item);

	if (item->self) {
		*name = NULL;
		return item->self->data;
	}
	if (item->dir) {
		*name = item->name.data;
		return item->dir->data;
	}
	*name = own->name;
	return own->dir;
}

bool copy_add_place(const struct item *item, struct buf *buf)
{
	const char *name;
	struct dirnode *dir = copy_place(item, &name);

	if (!dir && name)
		buf_str(buf, name);
	if (!dir)
		return false;
	dirnode_path(dir, buf);
	if (name)
		buf_str(buf, name);
	else if (buf->len > 1)
		buf->len--; /* the slash behind a directory */
	return true;
}

/* Adds a path without what would be taken for a mark. */
static void add_unmarked(struct buf *buf, const char *path, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		while (len - i >= 3 && !memcmp(path + i, "/./", 3))
			i += 2;
		buf_char(buf, path[i]);
	}
}

/*
 * What is behind the mark: with another ./ where that says that the destination is a copy itself.
 */
static void add_marked(struct buf *buf, const struct copy_mark *mark, const char *rest, size_t len)
{
	if (mark->in_place && len)
		buf_str(buf, "./");
	buf_add(buf, rest, len);
}

void copy_list_path(const struct item *item, struct buf *buf)
{
	const struct copy_item *own = item_priv_const(item);
	const struct tree *in = walk_item_tree(item);
	const struct copy_mark *mark = in ? &((const struct copy_tree *)in->data)->at.mark :
					    &own->mark;
	struct buf path = {0};
	const char *found;
	size_t at;

	item_path(item, &path);
	switch (mark->kind) {
	case MARK_NONE:
		add_unmarked(buf, path.data, path.len);
		break;
	case MARK_OWN:
		found = memmem(path.data, path.len, "/./", 3);
		at = found ? (size_t)(found - path.data) + 3 : path.len;
		buf_add(buf, path.data, at);
		add_marked(buf, mark, path.data + at, path.len - at);
		break;
	default: /* MARK_AT */
		at = mark->at;
		/* The path of the root itself may end before it. */
		if (at > path.len)
			buf_char(&path, '/');
		add_unmarked(buf, path.data, at);
		/* What makes it a mark is a slash on either side. */
		buf_str(buf, at ? "./" : "././");
		add_marked(buf, mark, path.data + at, path.len - at);
		break;
	}
	buf_free(&path);
}

/* ---- entering */

/* Whether what is found in a directory may have another item's destination. */
static bool may_meet(const struct dirnode *dir)
{
	const struct copy_tree *tree = dir->tree->data;

	return tree->at.overlap == OVERLAP_ALL || (tree->at.overlap == OVERLAP_TOP && !dir->parent);
}

struct meeting {
	const struct copy_tree *tree;
	struct dirnode *in;
	const char *name;
	int source; /* itself */
	int from; /* what the source is in, or -1 */
	const char *why;
};

static int meet(void *arg)
{
	struct meeting *m = arg;
	struct stat st, source = {0};
	int err = call_fstatat(dirnode_fd(m->in), m->name, &st, AT_SYMLINK_NOFOLLOW);

	if (!err) {
		(void)call_fstat(m->source, &source);
		m->why = names_meet(m->tree->job, m->in->data, dirnode_fd(m->in), m->name, &st,
				    &source, m->from);
	}
	return err;
}

/* It was there, by another name than that of the source: see names.h. */
static const char *meets_other(const struct copy_tree *tree, struct dirnode *from,
			       struct dirnode *parent, const char *name)
{
	const bool known = from->parent && !dirnode_open(from->parent);
	struct meeting m = {
		.tree = tree,
		.in = parent,
		.name = name,
		.source = dirnode_fd(from),
		.from = known ? dirnode_fd(from->parent) : -1,
	};
	const struct dest *dest = parent->data;
	enum device_kind kind = from->kind;

	if (!dirnode_open(parent)) {
		if (kind != DEVICE_OTHER)
			kind = device_kind(dest->dev, dirnode_fd(parent));
		device_call(kind, meet, &m);
		dirnode_put_open(parent);
	}
	if (known)
		dirnode_put_open(from->parent);
	return m.why;
}

/* Makes the copy of a directory, or finds it. Returns 0 or -errno, with from->why. */
static int enter_copy(const struct copy_tree *tree, struct dirnode *from, struct dirnode *parent,
		      const char *name, mode_t mode)
{
	unsigned int tries = 0;
	struct dirnode *to;
	const struct dest *dest;
	const char *why;
	int err;

	if (!name) {
		from->data = dirnode_get(parent);
		return 0;
	}
	if (tree->job->opt->dry_run) {
		from->data = dest_imagine(parent, name);
		return 0;
	}
	do {
		err = dest_enter(parent, name, mode, &to, &from->why);
	} while (steer_await_descriptor(tree->job, err, &tries));
	if (err)
		return err;
	from->data = to;
	dest = to->data;
	why = dest->fresh ? NULL : meets_other(tree, from, parent, name);
	if (why)
		from->why = why;
	return why ? -EEXIST : 0;
}

struct looking {
	int fd;
	struct stat *st;
};

static int look_at(void *arg)
{
	const struct looking *l = arg;

	return call_fstat(l->fd, l->st);
}

static int enter_directory(struct dirnode *from)
{
	const struct copy_settings *set = from->tree->class->settings;
	struct copy_tree *tree = from->tree->data;
	struct dirnode *parent = from->parent ? from->parent->data : tree->at.dir;
	const char *name = from->parent ? from->name : tree->at.name;
	struct dirnode *to;
	const struct dest *dest;
	struct stat st;
	int err, found = CLAIM_FIRST;

	err = device_call(from->kind, look_at, &(struct looking){dirnode_fd(from), &st});
	if (err)
		return err;
	if (from->parent && st.st_dev == tree->top_dev && st.st_ino == tree->top_ino) {
		from->why = "is the destination, which is not copied into itself";
		return -EINVAL;
	}
	if (set->mirror)
		mirror_note_entered(tree->job, &st);
	if (from->parent && may_meet(from->parent))
		found = dest_claim(tree->job, parent, name, &st, set);
	if (found < 0)
		return found;
	if (found == CLAIM_OTHER) {
		from->why = copy_claimed;
		return -EEXIST;
	}
	err = enter_copy(tree, from, parent, name, meta_source_mode(set, &st));
	if (err)
		return err;
	to = from->data;
	/* It may be another one's that was to come into a directory that is there. */
	if (found == CLAIM_FIRST && name && tree->at.overlap == OVERLAP_ALL)
		found = dest_claim(tree->job, to, ".", &st, set);
	if (found < 0)
		return found;
	if (found == CLAIM_OTHER) {
		from->why = copy_claimed;
		return -EEXIST;
	}
	dest = to->data;
	if (!from->parent) {
		tree->top_dev = dest->dev;
		tree->top_ino = dest->ino;
	}
	/*
	 * Its copy is there now, so that it does not come when the one around it has got its times.
	 */
	if (found == CLAIM_SAME) {
		from->why = copy_shared;
		return WALK_PASS;
	}
	/* As with cp -x, what something is mounted on is there, and empty. */
	if (set->one_file_system && from->parent && from->dev != dirnode_root(from)->dev)
		return WALK_PASS;
	return 0;
}

static void note_whole(struct dirnode *from)
{
	const struct copy_settings *set = from->tree->class->settings;
	const struct copy_tree *tree = from->tree->data;

	if (set->mirror)
		mirror_note_listed(tree->job, from);
}

/* Where its copy would be. */
static void missed_directory(struct item *item, struct tree *of, struct dirnode *parent,
			     const char *name)
{
	const struct copy_tree *tree = of->data;
	struct copy_item *own = item_priv(item);

	if (!parent)
		name = tree->at.name;
	own->dir = dirnode_get(parent ? parent->data : tree->at.dir);
	own->name = name ? xstrdup(name) : NULL;
	own->mark = tree->at.mark;
}

static void forget_directory(struct dirnode *from)
{
	if (from->data)
		dirnode_put(from->data);
}

static void release_tree(void *data)
{
	struct copy_tree *tree = data;

	dirnode_put(tree->at.dir);
	free(tree->at.name);
	free(tree);
}

/* With -H and -L the root may be a link; with -L what is found, too. */
#define TREES(also, named, all)                                                                    \
	{                                                                                          \
		.whole = note_whole, .takes = 1 << DT_LNK | (also), .leaves = true,                \
		.enter = enter_directory, .missed = missed_directory, .forget = forget_directory,  \
		.follows = (named), .follows_all = (all),                                          \
	}
#define ODD_TYPES (1 << DT_FIFO | 1 << DT_SOCK | 1 << DT_CHR | 1 << DT_BLK)

static const struct tree_ops *trees_of(const struct copy_settings *set)
{
	static const struct tree_ops plain[] = {
		TREES(0, false, false),
		TREES(0, true, false),
		TREES(0, true, true),
	};
	static const struct tree_ops odd[] = {
		TREES(ODD_TYPES, false, false),
		TREES(ODD_TYPES, true, false),
		TREES(ODD_TYPES, true, true),
	};
	const size_t follow = (size_t)copy_follows(set, true) + copy_follows(set, false);
	/* Those too that are not copied but linked to, or read. */
	const bool takes_odd = set->archive || set->contents || set->makes != MAKES_COPIES;

	return takes_odd ? &odd[follow] : &plain[follow];
}

void copy_tree_add(struct job *job, const struct item_class *class, const char *path,
		   const struct copy_root *at)
{
	const struct copy_settings *set = class->settings;
	struct copy_tree *tree = xcalloc(1, sizeof(*tree));
	const struct walk_root root = {
		.class = class,
		.ops = trees_of(set),
		.data = tree,
		.release = release_tree,
	};

	tree->job = job;
	tree->at = *at;
	job->empty_is_fine = true;
	if (set->mirror)
		mirror_note_root(job, path, at->dir, at->name);
	walk_add(job->walk, &root, path, strlen(path));
}

bool copy_needs_claim(const struct item *item)
{
	const struct copy_item *own = item_priv_const(item);

	return !own->claimed && (!item->dir || may_meet(item->dir));
}

int copy_claim(struct item *item, const struct stat *st, bool *skip)
{
	struct copy_item *own = item_priv(item);
	const struct dirnode *dir;
	const char *name;
	int found;

	*skip = false;
	if (!copy_needs_claim(item))
		return 0;
	dir = copy_place(item, &name);
	found = dest_claim(item->job, dir, name, st, item->settings);
	switch (found) {
	case CLAIM_FIRST:
		own->claimed = true;
		return 0;
	case CLAIM_SAME:
		item->status = STATUS_SKIPPED;
		item->why = copy_shared;
		*skip = true;
		return 0;
	case CLAIM_OTHER:
		item->why = copy_claimed;
		return -EEXIST;
	default:
		return found;
	}
}

int copy_tree_open(const struct item *item)
{
	const struct tree *tree = walk_item_tree(item);
	const struct copy_tree *own;
	const char *name;
	int fd, dirfd;

	if (!tree)
		return -1;
	own = tree->data;
	name = own->at.name ? own->at.name : ".";
	/* A root stays open. */
	dirfd = dirnode_fd(own->at.dir);
	fd = dirfd < 0 ? -1 : openat(dirfd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd;
}

/* ---- leaving */

struct leaving {
	const struct copy_settings *set;
	const struct dest *dest;
	int from, to;
	int above; /* -1, or what the copy of the root was made in */
	struct copy_lost *lost;
	const char *root; /* NULL: its times are nothing to us; the path of the root */
};

static int finish_directory(void *arg)
{
	struct leaving *l = arg;
	struct stat st, made;
	mode_t mode = (mode_t)-1;
	struct meta m = {
		.set = l->set,
		.from = l->from,
		.st = &st,
		.to = l->to,
		.marked = l->dest->made && !l->dest->as_made,
		.inherits = l->dest->default_acl,
		.lost = l->lost,
	};
	int err;

	if (fstat(l->from, &st) || fstat(l->to, &made))
		return -errno;
	if (l->set->keep_mode)
		mode = st.st_mode & 07777;
	else if (l->dest->made && !l->dest->default_acl)
		mode = (meta_source_mode(l->set, &st) & 01777 & ~l->set->umask) |
		       (made.st_mode & S_ISGID);
	/* Nothing of it would change, but set-group-ID might go. */
	if (l->dest->as_made && !l->set->keep_mode && mode == (made.st_mode & 07777))
		mode = (mode_t)-1;
	err = meta_set(&m, mode);
	if (!err && l->set->sync)
		err = dest_sync(l->to);
	if (l->root)
		meta_set_above(l->set, l->root, l->above);
	/* The name of the root has to last too. */
	return !err && l->set->sync && l->above >= 0 ? dest_sync(l->above) : err;
}

/* Holds up to three directories open, of which the last may be NULL; all of them, or none. */
static int open_all(struct dirnode *const dirs[3])
{
	int err = 0;

	for (size_t i = 0; i < 3 && dirs[i] && !err; i++) {
		err = dirnode_open(dirs[i]);
		for (size_t j = i; err && j--;)
			dirnode_put_open(dirs[j]);
	}
	return err;
}

/* All below it has ended, so that nothing changes its times any more. */
int copy_leave(struct item *item)
{
	struct dirnode *from = item->self, *to = from->data;
	struct leaving l = {
		.set = item->settings,
		.dest = to->data,
		.above = -1,
		.lost = &((struct copy_item *)item_priv(item))->lost,
	};
	const struct copy_tree *tree = from->tree->data;
	const bool keeps_above = tree->at.keeps_above && !from->parent && l.set->keep_times;
	struct dirnode *above = (l.set->sync && !from->parent) || keeps_above ? to->parent : NULL;
	enum device_kind kind;
	unsigned int tries = 0;
	int err;

	/* The header cannot say of one of many trees that its name was new; its line does. */
	if (from->parent || !item->job->ops->mixes)
		item->source.kind = ORIGIN_ONCE;
	do {
		err = open_all((struct dirnode *const[]){from, to, above});
	} while (steer_await_descriptor(item->job, err, &tries));
	if (err)
		return err;
	l.from = dirnode_fd(from);
	l.to = dirnode_fd(to);
	if (above)
		l.above = dirnode_fd(above);
	if (above && keeps_above)
		l.root = from->name;
	kind = l.set->sync ? DEVICE_OTHER : copy_kind(item, l.dest, l.to);
	err = device_call(kind, finish_directory, &l);
	dirnode_put_open(above);
	dirnode_put_open(to);
	dirnode_put_open(from);
	return err;
}
