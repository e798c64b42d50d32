/* SPDX-License-Identifier: MIT */
/*
 * The simulated backend's tree of files: what goes by a path. See sim_model.h.
 *
 * Permissions and owners are not simulated; everybody may do everything.
 */
#include <stdlib.h>
#include <string.h>

#include "compat.h"
#include "sim/sim.h"

#define LINKS_MAX 8

/* The result of a walk: the directory that holds the last name, and what that name means there. */
struct where {
	struct sim_file *dir;
	struct sim_file *file; /* NULL: there is none yet */
	struct sim_entry *entry; /* NULL for a path that ends in "." or ".." */
	char name[256];
	bool slash; /* the path ends in one: it must be a directory */
};

static struct sim_entry *find_entry(struct sim_file *dir, const char *name)
{
	struct bp_link_ *link;

	for (link = dir->entries.next; link != &dir->entries; link = link->next) {
		struct sim_entry *entry = container_of(link, struct sim_entry, link);

		if (!strcmp(entry->name, name))
			return entry;
	}
	return NULL;
}

static int add_entry(struct sim *sim, struct sim_file *dir, const char *name, struct sim_file *file)
{
	struct sim_entry *entry = malloc(sizeof(*entry) + strlen(name) + 1);

	if (!entry)
		return -ENOMEM;
	strcpy(entry->name, name);
	entry->file = file;
	file->refs++;
	file->nlink++;
	if (file->type == SIM_DIR)
		file->parent = dir;
	dir->mtime = sim->clock;
	list_add_tail(&dir->entries, &entry->link);
	return 0;
}

static void remove_entry(struct sim *sim, struct sim_file *dir, struct sim_entry *entry)
{
	struct sim_file *file = entry->file;

	list_del(&entry->link);
	free(entry);
	dir->mtime = sim->clock;
	/* A directory that was removed while it is open must not outlive its parent's memory. */
	if (--file->nlink == 0 && file->type == SIM_DIR)
		file->parent = sim->model.root;
	sim_file_put(sim, file);
}

/** Takes the next name off @path. Return: its length, 0 at the end, or -ENAMETOOLONG. */
static int next_name(const char **path, char name[256])
{
	size_t len;

	*path += strspn(*path, "/");
	len = strcspn(*path, "/");
	if (len > 255)
		return -ENAMETOOLONG;
	memcpy(name, *path, len);
	name[len] = '\0';
	*path += len;
	return (int)len;
}

static int walk(struct sim_file *dir, const char *path, bool follow, unsigned int depth,
		struct where *at);

/** Follows the link at @at. */
static int follow_link(struct sim_file *root, struct where *at, unsigned int depth)
{
	char target[4096];

	if (depth >= LINKS_MAX)
		return -ELOOP;
	memcpy(target, at->file->data, at->file->len);
	target[at->file->len] = '\0';
	return walk(target[0] == '/' ? root : at->dir, target, true, depth + 1, at);
}

static struct sim_file *root_of(struct sim_file *dir)
{
	while (dir->parent != dir)
		dir = dir->parent;
	return dir;
}

static int walk(struct sim_file *dir, const char *path, bool follow, unsigned int depth,
		struct where *at)
{
	struct sim_file *root = root_of(dir);
	int len, err;

	at->dir = at->file = dir;
	at->entry = NULL;
	at->name[0] = '\0';
	while ((len = next_name(&path, at->name)) > 0) {
		bool last = path[strspn(path, "/")] == '\0';

		if (dir->type != SIM_DIR)
			return -ENOTDIR;
		at->dir = dir;
		at->entry = NULL;
		at->slash = *path != '\0';
		if (!strcmp(at->name, ".")) {
			at->file = dir;
		} else if (!strcmp(at->name, "..")) {
			at->file = dir->parent;
		} else {
			at->entry = find_entry(dir, at->name);
			at->file = at->entry ? at->entry->file : NULL;
		}
		if (!at->file)
			return last ? 0 : -ENOENT;
		if (at->file->type == SIM_LINK && (follow || !last || at->slash)) {
			err = follow_link(root, at, depth);
			if (err)
				return err;
			at->slash = *path != '\0';
			if (!at->file)
				return last ? 0 : -ENOENT;
		}
		dir = at->file;
	}
	if (len < 0)
		return len;
	return at->slash && at->file->type != SIM_DIR ? -ENOTDIR : 0;
}

static int lookup(struct sim *sim, int dirfd, const char *path, bool follow, struct where *at)
{
	struct sim_file *dir = sim->model.root;
	struct sim_desc *desc;
	int err;

	memset(at, 0, sizeof(*at));
	if (!path)
		return -EFAULT;
	if (!*path)
		return -ENOENT;
	if (*path != '/' && dirfd != AT_FDCWD) {
		desc = sim_desc_get(sim, dirfd);
		if (!desc)
			return -EBADF;
		dir = desc->file;
		sim_desc_put(sim, desc);
		if (dir->type != SIM_DIR)
			return -ENOTDIR;
	}
	err = walk(dir, path, follow, 0, at);
	/* A directory that was removed while it is open. */
	if (!err && !at->file && at->dir->nlink == 0 && at->dir != sim->model.root)
		return -ENOENT;
	return err;
}

/** Makes a file where @at says that there is none. */
static int create(struct sim *sim, struct where *at, enum sim_file_type type, mode_t mode,
		  struct sim_file **made)
{
	struct sim_file *file = sim_file_new(sim, type, mode);
	int err;

	if (!file)
		return -ENOMEM;
	err = add_entry(sim, at->dir, at->name, file);
	if (err)
		sim_file_put(sim, file);
	else
		*made = file;
	return err;
}

int sim_open(struct sim *sim, int dirfd, const char *path, int flags, mode_t mode)
{
	bool exclusive = (flags & O_CREAT) && (flags & O_EXCL);
	struct sim_file *file;
	struct where at;
	int err = lookup(sim, dirfd, path, !(flags & O_NOFOLLOW) && !exclusive, &at);

	if (err)
		return err;
	file = at.file;
	if (!file) {
		if (!(flags & O_CREAT))
			return -ENOENT;
		if (at.slash)
			return -EISDIR;
		err = create(sim, &at, SIM_REG, mode, &file);
		if (err)
			return err;
		return sim_fd_open(sim, file, flags);
	}
	if (exclusive)
		return -EEXIST;
	if (file->type == SIM_LINK)
		return -ELOOP;
	if (file->type != SIM_DIR && (flags & O_DIRECTORY))
		return -ENOTDIR;
	if (file->type == SIM_DIR && ((flags & O_ACCMODE) != O_RDONLY || (flags & O_CREAT)))
		return -EISDIR;
	if (file->type == SIM_REG && (flags & O_TRUNC)) {
		file->len = 0;
		file->mtime = sim->clock;
	}
	file->refs++;
	return sim_fd_open(sim, file, flags);
}

int sim_statx(struct sim *sim, int dirfd, const char *path, int flags, struct statx *stx)
{
	static const mode_t type[] = {
		[SIM_REG] = S_IFREG,	 [SIM_DIR] = S_IFDIR,	  [SIM_LINK] = S_IFLNK,
		[SIM_SOCKET] = S_IFSOCK, [SIM_STREAM] = S_IFSOCK, [SIM_LISTENER] = S_IFSOCK,
	};
	struct sim_desc *desc;
	struct sim_file *file;
	struct where at;
	int err;

	if (path && !*path && (flags & AT_EMPTY_PATH)) {
		desc = sim_desc_get(sim, dirfd);
		if (!desc)
			return -EBADF;
		file = desc->file;
		sim_desc_put(sim, desc);
	} else {
		err = lookup(sim, dirfd, path, !(flags & AT_SYMLINK_NOFOLLOW), &at);
		if (err)
			return err;
		file = at.file;
		if (!file)
			return -ENOENT;
	}
	if (!stx)
		return -EFAULT;
	memset(stx, 0, sizeof(*stx));
	stx->stx_mask = STATX_BASIC_STATS;
	stx->stx_blksize = 4096;
	stx->stx_nlink = file->type == SIM_DIR ? file->nlink + 1 : file->nlink;
	stx->stx_mode = (uint16_t)(type[file->type] | (file->mode & 07777));
	stx->stx_ino = file->ino;
	stx->stx_size = file->type == SIM_REG || file->type == SIM_LINK ? file->len : 0;
	stx->stx_blocks = (stx->stx_size + 511) / 512;
	stx->stx_mtime.tv_sec = (int64_t)(file->mtime / NSEC_PER_SEC);
	stx->stx_mtime.tv_nsec = (uint32_t)(file->mtime % NSEC_PER_SEC);
	return 0;
}

int sim_unlink(struct sim *sim, int dirfd, const char *path, int flags)
{
	struct where at;
	int err = lookup(sim, dirfd, path, false, &at);

	if (err)
		return err;
	if (!at.file)
		return -ENOENT;
	if (!at.entry)
		return flags & AT_REMOVEDIR ? -EINVAL : -EISDIR;
	if (flags & AT_REMOVEDIR) {
		if (at.file->type != SIM_DIR)
			return -ENOTDIR;
		if (!list_empty(&at.file->entries))
			return -ENOTEMPTY;
	} else if (at.file->type == SIM_DIR) {
		return -EISDIR;
	}
	remove_entry(sim, at.dir, at.entry);
	return 0;
}

/** Whether @dir is @top or lies below it. */
static bool is_below(struct sim_file *dir, const struct sim_file *top)
{
	for (; dir != top; dir = dir->parent)
		if (dir == dir->parent)
			return false;
	return true;
}

/** Whether a rename may put @from in the place of @to, which exists. */
static int check_replace(const struct sim_file *from, struct sim_file *to)
{
	if (to->type == SIM_DIR && from->type != SIM_DIR)
		return -EISDIR;
	if (to->type != SIM_DIR && from->type == SIM_DIR)
		return -ENOTDIR;
	return to->type == SIM_DIR && !list_empty(&to->entries) ? -ENOTEMPTY : 0;
}

int sim_rename(struct sim *sim, int olddir, const char *old, int newdir, const char *new,
	       unsigned int flags)
{
	struct where from, to;
	int err = lookup(sim, olddir, old, false, &from);

	if (!err)
		err = lookup(sim, newdir, new, false, &to);
	if (err)
		return err;
	if (!from.file)
		return -ENOENT;
	if (!from.entry || (to.file && !to.entry))
		return -EBUSY;
	if (flags & ~(unsigned int)RENAME_NOREPLACE)
		return -EINVAL;
	if (to.slash && from.file->type != SIM_DIR)
		return -ENOTDIR;
	if (to.file) {
		if (flags & RENAME_NOREPLACE)
			return -EEXIST;
		if (to.file == from.file)
			return 0;
		err = check_replace(from.file, to.file);
		if (err)
			return err;
	}
	if (from.file->type == SIM_DIR && is_below(to.dir, from.file))
		return -EINVAL;
	err = add_entry(sim, to.dir, to.name, from.file);
	if (err)
		return err;
	if (to.file)
		remove_entry(sim, to.dir, to.entry);
	remove_entry(sim, from.dir, from.entry);
	return 0;
}

int sim_link(struct sim *sim, int olddir, const char *old, int newdir, const char *new)
{
	struct where from, to;
	int err = lookup(sim, olddir, old, false, &from);

	if (!err)
		err = lookup(sim, newdir, new, false, &to);
	if (err)
		return err;
	if (!from.file)
		return -ENOENT;
	if (from.file->type == SIM_DIR)
		return -EPERM;
	if (to.file)
		return -EEXIST;
	return to.slash ? -ENOENT : add_entry(sim, to.dir, to.name, from.file);
}

int sim_symlink(struct sim *sim, const char *target, int dirfd, const char *path)
{
	struct sim_file *file;
	struct where at;
	int err = target ? lookup(sim, dirfd, path, false, &at) : -EFAULT;

	if (err)
		return err;
	if (at.file)
		return -EEXIST;
	if (!*target || at.slash)
		return -ENOENT;
	if (strlen(target) >= 4096)
		return -ENAMETOOLONG;
	err = create(sim, &at, SIM_LINK, 0777, &file);
	if (err)
		return err;
	err = sim_file_grow(file, strlen(target));
	if (err) {
		remove_entry(sim, at.dir, find_entry(at.dir, at.name));
	} else {
		file->len = strlen(target);
		memcpy(file->data, target, file->len);
	}
	sim_file_put(sim, file);
	return err;
}

int sim_mkdir(struct sim *sim, int dirfd, const char *path, mode_t mode)
{
	struct sim_file *file;
	struct where at;
	int err = lookup(sim, dirfd, path, false, &at);

	if (err)
		return err;
	if (at.file)
		return -EEXIST;
	err = create(sim, &at, SIM_DIR, mode, &file);
	if (!err)
		sim_file_put(sim, file);
	return err;
}
