/* SPDX-License-Identifier: MIT */
/*
 * copydest: the directories of the destination, the names in them, and who may use which.
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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/blocking.h"
#include "base/calls.h"
#include "verbs/copy/claims.h"
#include "verbs/copy/copy.h"
#include "run/job.h"
#include "walk/tree.h"
#include "base/util.h"

#define MADE_MODE (S_ISVTX | S_IRWXU)
#define TEMP_ENDING ".batchproc-"
#define TEMP_KEEPS 200 /* bytes of the name */

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

/* Set up by the main thread before the first directory. */
static struct tree dest_tree = {.refs = 1, .ops = &dest_ops};
static struct dirs dest_dirs = {.lock = PTHREAD_MUTEX_INITIALIZER, .ended = nobody_waits};

/* The last one that the user named, and the last that a list has a name in; the main thread's. */
static struct dirnode *last_root, *last_below;

/* ---- directories */

/* A node with a reference for the caller, and one that is held open. */
static struct dirnode *node(struct dirnode *parent, const char *name, int fd,
			    const struct dest *dest)
{
	struct dirnode *dir = dirnode_new(&dest_dirs, tree_get(&dest_tree),
					  parent ? dirnode_get(parent) : NULL, fd, name,
					  strlen(name));

	dir->data = xcalloc(1, sizeof(*dest));
	*(struct dest *)dir->data = *dest;
	return dirnode_get(dir);
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
	struct dest dest;
	int fd, err;

	/* A manifest has many lines for one directory. */
	if (last_root && !strcmp(last_root->name, shown)) {
		*root = dirnode_get(last_root);
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
	if (!last_root)
		dest_dirs.idle_most = job->idle_dirs;
	/* A root stays open as long as it is there. */
	*root = node(NULL, shown, fd, &dest);
	dirnode_put_open(*root);
	if (last_root)
		dirnode_put(last_root);
	last_root = dirnode_get(*root);
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
	const char *path = from + at;
	struct dest dest;
	int fd, err;

	if (last_below && last_below->parent == root && !strcmp(last_below->name, path)) {
		*dir = dirnode_get(last_below);
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
	if (last_below)
		dirnode_put(last_below);
	last_below = dirnode_get(*dir);
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

int dest_claim(const struct dirnode *dir, const char *name, const struct stat *source,
	       const struct copy_settings *set)
{
	const struct dest *dest = dir->data;

	return claims_take(dest->dev, dest->ino, name, source, set->way);
}

void dest_cleanup(void)
{
	if (last_below)
		dirnode_put(last_below);
	if (last_root)
		dirnode_put(last_root);
	last_below = last_root = NULL;
	claims_free();
}

/* ---- temporary names */

void temp_name(const char *name, char temp[NAME_MAX + 1])
{
	size_t len = strlen(name);

	snprintf(temp, NAME_MAX + 1, ".%.*s" TEMP_ENDING "%08x", TEMP_KEEPS, name,
		 XXH32(name, len, 0));
}

bool temp_is_one(const char *name)
{
	const size_t len = strlen(name), ending = strlen(TEMP_ENDING) + 8;
	char of[TEMP_KEEPS + 1], temp[NAME_MAX + 1];
	size_t keeps;

	if (*name != '.' || len < ending + 2 || len > ending + 1 + TEMP_KEEPS)
		return false;
	if (memcmp(name + len - ending, TEMP_ENDING, strlen(TEMP_ENDING)))
		return false;
	/* What was cut off, and so the number, may be anything. */
	keeps = len - ending - 1;
	if (keeps == TEMP_KEEPS)
		return true;
	memcpy(of, name + 1, keeps);
	of[keeps] = '\0';
	temp_name(of, temp);
	return !strcmp(name, temp);
}

bool dest_is_named(int dirfd, const char *name, int fd)
{
	struct stat held, named;

	return !fstat(fd, &held) && !fstatat(dirfd, name, &named, AT_SYMLINK_NOFOLLOW) &&
	       held.st_ino == named.st_ino && held.st_dev == named.st_dev;
}

/* A file of this name is there: is it a leftover? Then it is removed. */
static int remove_leftover(int dirfd, const char *temp)
{
	struct stat named;
	int fd, err = 0;

	if (fstatat(dirfd, temp, &named, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : -errno;
	/* Links and the like take no time to make: nobody is at it. */
	if (!S_ISREG(named.st_mode))
		return unlinkat(dirfd, temp, 0) ? -errno : 0;
	fd = call_openat(dirfd, temp, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	if (flock(fd, LOCK_EX | LOCK_NB))
		err = errno == EWOULDBLOCK ? -EBUSY : -errno;
	else if (dest_is_named(dirfd, temp, fd) && unlinkat(dirfd, temp, 0))
		err = -errno;
	close(fd);
	return err;
}

void temp_remove(const struct job *job, int dirfd, const char *name)
{
	char temp[NAME_MAX + 1];

	if (!job->opt->resume && !job->opt->retry_failed)
		return;
	temp_name(name, temp);
	remove_leftover(dirfd, temp);
}

int temp_create(int dirfd, const char *temp, int flags, mode_t mode)
{
	int fd = -EEXIST, err = 0;

	for (int tries = 0; fd == -EEXIST && !err && tries < 3; tries++) {
		fd = call_openat(dirfd, temp, flags | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
		if (fd == -EEXIST)
			err = remove_leftover(dirfd, temp);
	}
	if (err)
		return err;
	/* Another run may have been quicker with the lock: then it removes it, or has done so. */
	if (fd >= 0 && (flock(fd, LOCK_EX | LOCK_NB) || !dest_is_named(dirfd, temp, fd))) {
		close(fd);
		return -EBUSY;
	}
	return fd == -EEXIST ? -EBUSY : fd;
}
