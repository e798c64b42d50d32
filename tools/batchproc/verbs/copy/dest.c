/* SPDX-License-Identifier: MIT */
/*
 * dest: the directories of the destination, and who may use which name in them.
 *
 * A directory of the destination is a dirnode like one of the source (tree.h): it lives while
 * something below it does, and its descriptor is closed and opened anew as need be, from the
 * directory that the user named and through no symbolic link. So one that is swapped for a link
 * meanwhile leads nowhere.
 *
 * A directory that is made gets mode 01700 until all in it is done: a run that is killed leaves it
 * so, and the next one sees that it was not there before. One that inherits an ACL gets its mode at
 * once, since the ACL is worked out from it.
 *
 * Names in these directories are claimed where one run may have two items for one destination: see
 * claims.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/blocking.h"
#include "base/calls.h"
#include "verbs/copy/claims.h"
#include "verbs/copy/copy.h"
#include "run/job.h"
#include "walk/tree.h"
#include "base/alloc.h"

#define MADE_MODE (S_ISVTX | S_IRWXU)

static void forget(struct dirnode *dir)
{
	free(dir->data);
}

static bool nobody_waits(struct dirnode *dir)
{
	(void)dir;
	return true;
}

static const struct tree_ops dest_ops = {.forget = forget};

/* The directories of a run; set up by the main thread before the first one. */
struct dest_run {
	struct tree tree;
	struct dirs dirs;
	/* The last one that the user named, and the last that a list has a name in; the main thread's. */
	struct dirnode *last_root, *last_below;
};

/* ---- directories */

/* A node with a reference for the caller, and one that is held open. */
static struct dirnode *with_data(struct dirnode *dir, const struct dest *dest)
{
	dir->data = xcalloc(1, sizeof(*dest));
	*(struct dest *)dir->data = *dest;
	return dirnode_get(dir);
}

static struct dirnode *root_node(struct dest_run *run, const char *name, int fd,
				 const struct dest *dest)
{
	return with_data(
		dirnode_new(&run->dirs, tree_get(&run->tree), NULL, fd, name, strlen(name)), dest);
}

static struct dirnode *node(struct dirnode *parent, const char *name, int fd,
			    const struct dest *dest)
{
	return with_data(dirnode_new(parent->dirs, tree_get(parent->tree), dirnode_get(parent), fd,
				     name, strlen(name)),
			 dest);
}

/* What @fd is, which may have been @made just now. */
static int look(int fd, bool made, struct dest *dest)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	dest->dev = st.st_dev;
	dest->ino = st.st_ino;
	dest->owner = st.st_uid;
	dest->marked = (st.st_mode & 07777 & ~(mode_t)S_ISGID) == MADE_MODE;
	dest->made = made || (dest->marked && st.st_uid == geteuid());
	dest->default_acl = fgetxattr(fd, "system.posix_acl_default", NULL, 0) > 0;
	return 0;
}

int dest_root(struct job *job, const char *path, const char *shown, struct dirnode **root)
{
	struct dest_run *run = copy_run_of(job)->dest;
	struct dest dest;
	int fd, err;

	/* A manifest has many lines for one directory. */
	if (run->last_root && !strcmp(run->last_root->name, shown)) {
		*root = dirnode_get(run->last_root);
		return 0;
	}
	fd = call_openat(AT_FDCWD, *path ? path : ".", O_RDONLY | O_DIRECTORY, 0);
	err = fd < 0 ? fd : look(fd, false, &dest);
	if (err < 0) {
		if (fd >= 0)
			close(fd);
		return err;
	}
	/* Before there is one: the loops' threads read it later. */
	if (!run->last_root)
		run->dirs.idle_most = job->idle_dirs;
	/* A root stays open as long as it is there. */
	*root = root_node(run, shown, fd, &dest);
	dirnode_put_open(*root);
	if (run->last_root)
		dirnode_put(run->last_root);
	run->last_root = dirnode_get(*root);
	return 0;
}

/*
 * Opens @name in @dirfd, and makes it if it is not there, like the directory @from of the source. Its
 * owner can use it, since nobody sets its mode when all is in it.
 */
static int make_like(const struct copy_settings *set, int dirfd, const char *name, const char *from)
{
	int source = call_openat(AT_FDCWD, from, O_RDONLY | O_DIRECTORY, 0);
	struct stat st;
	int err, fd;

	if (source < 0)
		return source;
	err = fstat(source, &st) ? -errno : 0;
	if (!err)
		err = call_mkdirat(dirfd, name, (st.st_mode & 01777) | S_IRWXU);
	fd = err && err != -EEXIST ?
		     err :
		     call_open_beneath(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	if (!err && fd >= 0)
		err = meta_set(set, source, &st, fd,
			       set->keep_mode ? (st.st_mode & 07777) | S_IRWXU : (mode_t)-1, false);
	if (!err && fd >= 0 && set->sync)
		err = call_fsync(dirfd);
	close(source);
	if (fd >= 0 && err && err != -EEXIST) {
		close(fd);
		return err;
	}
	return fd;
}

/* Makes what is not there of the directories in @from behind @at. Returns the last one, or -errno. */
static int make_way(const struct copy_settings *set, int root, const char *from, size_t at)
{
	char *path = xstrdup(from), *name, *end;
	int dirfd = root, fd = -ENOENT;

	for (name = path + at; *name && (fd >= 0 || dirfd == root); name = end) {
		while (*name == '/')
			name++;
		end = strchrnul(name, '/');
		if (end - name == 2 && !memcmp(name, "..", 2)) {
			/* What is to be made would depend on what is there. */
			fd = -ENOENT;
		} else {
			const char last = *end;

			*end = '\0';
			fd = make_like(set, dirfd, name, path);
			*end = last;
		}
		if (dirfd != root)
			close(dirfd);
		dirfd = fd;
	}
	free(path);
	return fd;
}

/* For a dry run, what is not there. */
static struct dirnode *imagine_way(struct dirnode *root, const char *path)
{
	struct dirnode *dir = dirnode_get(root), *next;
	char *copy = xstrdup(path), *rest = copy, *name;

	while ((name = strsep(&rest, "/"))) {
		if (!*name)
			continue;
		next = dest_imagine(dir, name);
		dirnode_put(dir);
		dir = next;
	}
	free(copy);
	return dir;
}

int dest_below(const struct job *job, const struct copy_settings *set, struct dirnode *root,
	       const char *from, size_t at, struct dirnode **dir)
{
	struct dest_run *run = job->copy->dest;
	const char *path = from + at;
	struct dest dest;
	int fd, err;

	if (run->last_below && run->last_below->parent == root &&
	    !strcmp(run->last_below->name, path)) {
		*dir = dirnode_get(run->last_below);
		return 0;
	}
	fd = call_open_beneath(dirnode_fd(root), path, O_RDONLY | O_DIRECTORY);
	if (fd == -ENOENT && job->opt->dry_run) {
		*dir = imagine_way(root, path);
		return 0;
	}
	if (fd == -ENOENT)
		fd = make_way(set, dirnode_fd(root), from, at);
	err = fd < 0 ? fd : look(fd, false, &dest);
	if (err < 0) {
		if (fd >= 0)
			close(fd);
		return err;
	}
	*dir = node(root, path, fd, &dest);
	dirnode_put_open(*dir);
	if (run->last_below)
		dirnode_put(run->last_below);
	run->last_below = dirnode_get(*dir);
	return 0;
}

struct enter_call {
	int parent;
	const char *name;
	mode_t mode;
	struct dest *dest;
	const char *why;
};

/* Return: a descriptor, or -errno. */
static int make_and_open(void *arg)
{
	struct enter_call *call = arg;
	int err = call_mkdirat(call->parent, call->name, call->mode), fd;
	bool made = !err;

	if (err && err != -EEXIST)
		return err;
	fd = call_open_beneath(call->parent, call->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	if (fd == -ELOOP || fd == -ENOTDIR) {
		struct stat st;

		/* Which of both an existing symbolic link gives depends on the kernel's mood. */
		if (!fstatat(call->parent, call->name, &st, AT_SYMLINK_NOFOLLOW) &&
		    S_ISLNK(st.st_mode))
			call->why = "the destination is a symbolic link, which is not followed";
		else
			call->why = "the destination is there and is not a directory";
		return made ? fd : -EEXIST;
	}
	err = fd < 0 ? fd : look(fd, made, call->dest);
	if (err < 0 && fd >= 0)
		close(fd);
	if (err < 0 && made)
		unlinkat(call->parent, call->name, AT_REMOVEDIR);
	return err < 0 ? err : fd;
}

int dest_enter(struct dirnode *parent, const char *name, mode_t mode, struct dirnode **dir,
	       const char **why)
{
	const struct dest *in = parent->data;
	struct dest dest = {.made = false};
	struct enter_call call = {
		.name = name,
		.mode = in->default_acl ? (mode & 01777) | S_IRWXU : MADE_MODE,
		.dest = &dest,
	};
	int fd = dirnode_open(parent);

	if (fd < 0)
		return fd;
	call.parent = dirnode_fd(parent);
	fd = blocking(make_and_open, &call);
	*why = call.why;
	if (fd >= 0) {
		*dir = node(parent, name, fd, &dest);
		dirnode_put_open(*dir);
	}
	dirnode_put_open(parent);
	return fd < 0 ? fd : 0;
}

struct dirnode *dest_imagine(struct dirnode *parent, const char *name)
{
	const struct dest *in = parent->data;
	/* What it is claimed by, since it has no inode. */
	const struct dest dest = {
		.dev = in->dev,
		.ino = XXH64(name, strlen(name), in->ino) | 1ull << 63,
	};
	struct dirnode *dir = node(parent, name, -1, &dest);

	dirnode_put_open(dir);
	return dir;
}

bool dest_is_below(int fd, const struct stat *top)
{
	struct stat st, above;
	int at = dup(fd), up;
	bool found = false;

	while (at >= 0 && !fstat(at, &st)) {
		found = st.st_dev == top->st_dev && st.st_ino == top->st_ino;
		if (found)
			break;
		up = openat(at, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
		close(at);
		at = up;
		if (at < 0 || fstat(at, &above) ||
		    (above.st_dev == st.st_dev && above.st_ino == st.st_ino))
			break;
	}
	if (at >= 0)
		close(at);
	return found;
}

int dest_claim(const struct job *job, const struct dirnode *dir, const char *name,
	       const struct stat *source, const struct copy_settings *set)
{
	const struct dest *dest = dir->data;

	return claims_take(job->copy->claims, dest->dev, dest->ino, name, source, set->way);
}

struct dest_run *dest_run_new(void)
{
	struct dest_run *run = xcalloc(1, sizeof(*run));

	run->tree.refs = 1;
	run->tree.ops = &dest_ops;
	pthread_mutex_init(&run->dirs.lock, NULL);
	run->dirs.ended = nobody_waits;
	return run;
}

void dest_run_free(struct dest_run *run)
{
	if (run->last_below)
		dirnode_put(run->last_below);
	if (run->last_root)
		dirnode_put(run->last_root);
	pthread_mutex_destroy(&run->dirs.lock);
	free(run);
}

bool dest_is_named(int dirfd, const char *name, int fd)
{
	struct stat held, named;

	return !fstat(fd, &held) && !fstatat(dirfd, name, &named, AT_SYMLINK_NOFOLLOW) &&
	       held.st_ino == named.st_ino && held.st_dev == named.st_dev;
}
