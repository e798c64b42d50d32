/* SPDX-License-Identifier: MIT */
/*
 * entry: one entry of a directory that is walked: an item, a subdirectory, or nothing. See
 * walkdir.h.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/device.h"
#include "cli/filter.h"
#include "run/job.h"
#include "run/steer.h"
#include "walk/tree.h"
#include "walk/walk.h"
#include "walk/walkdir.h"

static unsigned char type_of(const struct dirnode *dir, const struct dirent64 *entry, int *err)
{
	unsigned int mode = 0;

	*err = 0;
	if (entry->d_type != DT_UNKNOWN)
		return entry->d_type;
	*err = device_look_at(dir->kind, dirnode_fd(dir), entry->d_name, &mode);
	return *err ? DT_UNKNOWN : IFTODT(mode);
}

/* Of what a link leads to. */
static unsigned char type_behind(const struct dirnode *dir, const char *name, int *err)
{
	unsigned int mode = 0;

	*err = device_look_through(dir->kind, dirnode_fd(dir), name, &mode);
	return *err ? DT_UNKNOWN : IFTODT(mode);
}

static const char *odd_type(unsigned char type)
{
	switch (type) {
	case DT_FIFO:
		return "is a FIFO";
	case DT_SOCK:
		return "is a socket";
	case DT_CHR:
	case DT_BLK:
		return "is a device";
	default:
		return "is not a regular file";
	}
}

static bool takes(const struct tree *tree, unsigned char type)
{
	return type == DT_REG || (tree->ops->takes >> type & 1);
}

/* A subdirectory that will not be entered any more, in the rest of a directory. */
static void give_up_subdirectory(struct walk *walk, struct dirnode *dir, const char *name,
				 size_t len)
{
	struct pending *p = pending_new(dir->tree, dir, name, len);

	walkdir_finish(walk, p, STATUS_NOT_STARTED, 0, NULL);
	pending_free(p);
}

/* How many names below its root it is. */
static size_t depth_of(const struct dirnode *dir)
{
	size_t depth = 1;

	for (; dir->parent; dir = dir->parent)
		depth++;
	return depth;
}

static bool is_unfit_by_name(const struct filter *filter, const struct dirnode *dir,
			     const char *name, unsigned char type)
{
	struct buf path = {0};
	bool out;

	dirnode_path_below(dir, &path);
	buf_add(&path, name, strlen(name) + 1);
	out = filter_by_name(filter, path.data, depth_of(dir), type == DT_DIR);
	buf_free(&path);
	return out;
}

/* *@err: it cannot be looked at, and so not be judged: it is not left out, but fails. */
static bool is_unfit(const struct filter *filter, const struct dirnode *dir, const char *name,
		     unsigned char type, bool follows, int *err)
{
	struct filter_look look = {.is_file = type == DT_REG};

	if (type == DT_DIR || !filter_looks(filter))
		return false;
	if (!look.is_file && dir->tree->ops->sized && filter_sizes(filter))
		return true;
	*err = device_measure(dir->kind, dirnode_fd(dir), name, follows, &look.size,
			      &look.mtime_ns);
	return !*err && filter_by_look(filter, &look);
}

bool walk_takes(const struct dirnode *dir, const char *name)
{
	const struct filter *filter = &dir->tree->walk->job->opt->filter;
	struct filter_look look;
	unsigned char type;
	struct stat st;

	if (fstatat(dirnode_fd(dir), name, &st,
		    dir->tree->ops->follows_all ? 0 : AT_SYMLINK_NOFOLLOW))
		return errno != ENOENT;
	type = IFTODT(st.st_mode);
	if (filter_is_set(filter) && is_unfit_by_name(filter, dir, name, type))
		return false;
	if (type == DT_DIR)
		return true;
	look = (struct filter_look){
		.size = (uint64_t)st.st_size,
		.mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec,
		.is_file = type == DT_REG,
	};
	return takes(dir->tree, type) && !filter_by_look(filter, &look);
}

/* Whether a filter leaves it out; then it is counted. */
static bool is_left_out(struct walk *walk, struct dirnode *dir, const char *name,
			unsigned char type, bool follows, int *err)
{
	const struct filter *filter = &walk->job->opt->filter;
	bool out;

	if (!filter_is_set(filter))
		return false;
	out = is_unfit_by_name(filter, dir, name, type);
	if (!out && type != DT_UNKNOWN)
		out = is_unfit(filter, dir, name, type, follows, err);
	if (out) {
		atomic_fetch_add(&walk->job->excluded, 1);
		dirnode_spare(dir);
	}
	return out;
}

/* One that is not known, or not judged. */
static void end_unknown(struct walk *walk, struct item *item, const struct tree_ops *ops, int err)
{
	if (err == -ENOENT && ops->unread) {
		item->err = err;
		walkdir_give(walk, item);
	} else if (err == -ECANCELED && steer_stopping(walk->job)) {
		item_finish(item, STATUS_NOT_STARTED, 0);
	} else {
		item_finish(item, STATUS_FAILED, err);
	}
}

void walkdir_take_entry(struct walk *walk, struct dirnode *dir, const struct dirent64 *entry,
			struct pending **chain)
{
	const char *name = entry->d_name;
	size_t len = strlen(name);
	struct pending *p;
	struct item *item;
	unsigned char type;
	bool followed;
	int err;

	if (!strcmp(name, ".") || !strcmp(name, ".."))
		return;
	if (!atomic_load_explicit(&dir->found, memory_order_relaxed))
		atomic_store(&dir->found, true);
	type = type_of(dir, entry, &err);
	followed = type == DT_LNK && dir->tree->ops->follows_all;
	if (followed)
		type = type_behind(dir, name, &err);
	if (is_left_out(walk, dir, name, type, followed, &err))
		return;
	if (type == DT_LNK && !takes(dir->tree, DT_LNK))
		return;
	if (type == DT_DIR && !chain) {
		give_up_subdirectory(walk, dir, name, len);
		return;
	}
	if (type == DT_DIR) {
		p = pending_new(dir->tree, dir, name, len);
		p->followed = followed;
		p->next = *chain;
		*chain = p;
		return;
	}
	if (dir->tree->ops->found && dir->tree->ops->found(dir, name, type))
		return;
	item = item_new(walk->job, dir->tree->class, dirnode_get_open(dir), name, len);
	item->type = type;
	if (err) {
		end_unknown(walk, item, dir->tree->ops, err);
	} else if (takes(dir->tree, type)) {
		walkdir_give(walk, item);
	} else {
		item->why = odd_type(type);
		item_finish(item, STATUS_SKIPPED, 0);
	}
}
