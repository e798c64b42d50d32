/* SPDX-License-Identifier: MIT */
/*
 * dest: the directories of the destination, and who may use which name in them.
 *
 * A directory of the destination is a dirnode like one of the source (tree.h): it lives while
 * something below it does, and its descriptor is closed and opened anew as need be, from the
 * directory that the user named and through no symbolic link. So one that is swapped for a link
 * meanwhile leads nowhere.
 *
 * A directory that is made gets mode 05700 until all in it is done: a run that is killed leaves it
 * so, and the next one sees that it was not there before. It gets its own mode at once where it
 * inherits an ACL, which is worked out from it, and where no other could be set later: see marks.h.
 *
 * Names in these directories are claimed where one run may have two items for one destination: see
 * claims.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/calls.h"
#include "verbs/copy/attributes.h"
#include "verbs/copy/claims.h"
#include "verbs/copy/copy.h"
#include "verbs/copy/marks.h"
#include "verbs/copy/names.h"
#include "run/job.h"
#include "walk/tree.h"
#include "base/alloc.h"
#include "base/device.h"

static void forget(struct dirnode *dir)
{
	names_forget(dir->data);
	temps_forget(dir->data);
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
	/*
	 * The last one that the user named, and the last that a list has a name in; the main
	 * thread's.
	 */
	struct dirnode *last_root, *last_below;
};

/* ---- directories */

/* A node with a reference for the caller, and one that is held open. */
static struct dirnode *with_data(struct dirnode *dir, const struct dest *dest)
{
	dir->data = xcalloc(1, sizeof(*dest));
	memcpy(dir->data, dest, sizeof(*dest));
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

int dest_sync(int dirfd)
{
	int err = call_fsync(dirfd);

	return err == -EINVAL || err == -ENOSYS || err == -EOPNOTSUPP ? 0 : err;
}

mode_t dest_mark(struct dest *dest, int dirfd)
{
	mode_t mark = atomic_load_explicit(&dest->mark, memory_order_relaxed);

	if (mark == MARK_UNKNOWN) {
		mark = mark_ask(dirfd);
		atomic_store_explicit(&dest->mark, mark, memory_order_relaxed);
	}
	return mark;
}

/*
 * What @fd is, which may have been @made just now. One that mkdir() has made, in this run or in one
 * that was killed then, gets the mark by which it can be used, but in a @dry run.
 */
static int look(int fd, bool made, bool dry, struct dest *dest)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	if (!dry && mark_is_directory(&st) && !(st.st_mode & S_IXUSR) && st.st_uid == geteuid() &&
	    fchmod(fd, MARK_DIRECTORY | (st.st_mode & S_ISGID)))
		return -errno;
	memset(dest, 0, sizeof(*dest));
	dest->dev = st.st_dev;
	dest->ino = st.st_ino;
	dest->owner = st.st_uid;
	dest->marked = mark_is_directory(&st);
	dest->fresh = made;
	dest->made = made || (dest->marked && st.st_uid == geteuid());
	dest->default_acl = attributes_inherit(fd);
	atomic_init(&dest->mark, MARK_UNKNOWN);
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
	err = fd < 0 ? fd : look(fd, false, job->opt->dry_run, &dest);
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

/* A directory on the way to what is copied: what it cannot have is no item's business. */
static int make_alike(const struct copy_settings *set, int from, const struct stat *st, int to)
{
	struct copy_lost lost = {0};
	int err = meta_set(
		&(struct meta){
			.set = set,
			.from = from,
			.st = st,
			.to = to,
			.inherits = attributes_inherit(to),
			.lost = &lost,
		},
		set->keep_mode ? (st->st_mode & 07777) | S_IRWXU : (mode_t)-1);

	lost_forget(&lost);
	return err;
}

/*
 * Opens @name in @dirfd, and makes it if it is not there, like the directory @from of the source.
 * Its owner can use it, since nobody sets its mode when all is in it. What it is made in is @like
 * that of the source, and has its times again.
 */
static int make_like(const struct copy_settings *set, int dirfd, const char *name, const char *from,
		     bool like)
{
	int source = call_openat(AT_FDCWD, from, O_RDONLY | O_DIRECTORY, 0);
	struct stat st;
	int err, fd;

	if (source < 0)
		return source;
	err = fstat(source, &st) ? -errno : 0;
	if (!err)
		err = call_mkdirat(dirfd, name, (st.st_mode & 01777) | S_IRWXU);
	if (!err && like)
		meta_set_above(set, from, dirfd);
	fd = err && err != -EEXIST ?
		     err :
		     call_open_beneath(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	if (!err && fd >= 0)
		err = make_alike(set, source, &st, fd);
	if (!err && fd >= 0 && set->sync)
		err = dest_sync(dirfd);
	close(source);
	if (fd >= 0 && err && err != -EEXIST) {
		close(fd);
		return err;
	}
	return fd;
}

/*
 * Makes what is not there of the directories in @from behind @at. Returns the last one, or -errno.
 */
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
			fd = make_like(set, dirfd, name, path, dirfd != root);
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
	err = fd < 0 ? fd : look(fd, false, job->opt->dry_run, &dest);
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
	struct dest *in; /* what it is made in */
	int parent;
	const char *name;
	mode_t mode; /* of the source */
	struct dest *dest;
	const char *why;
};

/*
 * Of a directory that was made with its own mode, since nobody knew better: it is marked now, or
 * not.
 */
static bool try_mark(struct enter_call *call, int fd)
{
	const mode_t mark = mark_try(fd);

	atomic_store(&call->in->mark, mark);
	return mark != MARK_NONE;
}

/* What is known of the parent, asked only before something new is made in it. */
static mode_t mark_of_parent(struct enter_call *call)
{
	struct stat st;

	if (atomic_load(&call->in->mark) == MARK_UNKNOWN &&
	    !fstatat(call->parent, call->name, &st, AT_SYMLINK_NOFOLLOW))
		return MARK_UNKNOWN;
	return dest_mark(call->in, call->parent);
}

/* Its group is one's own, so that set-group-ID stays at a chmod(), or one may set any. */
static bool keeps_group_bit(int fd)
{
	gid_t groups[1024];
	struct stat st;
	int count;

	if (!geteuid() || fstat(fd, &st) || !(st.st_mode & S_ISGID) || st.st_gid == getegid())
		return true;
	count = getgroups(1024, groups);
	while (count-- > 0)
		if (groups[count] == st.st_gid)
			return true;
	return false;
}

/* Return: a descriptor, or -errno. */
static int make_and_open(void *arg)
{
	struct enter_call *call = arg;
	const mode_t own = (call->mode & 01777) | S_IRWXU;
	const bool can_be_marked = !call->in->default_acl && keeps_group_bit(call->parent);
	const mode_t mark = mark_of_parent(call);
	bool as_made = !can_be_marked || mark == MARK_NONE || mark == MARK_UNKNOWN;
	int err = call_mkdirat(call->parent, call->name, as_made ? own : MARK_DIRECTORY_MADE), fd;
	bool made = !err;

	if (err && err != -EEXIST)
		return err;
	fd = call_open_beneath(call->parent, call->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	if (fd == -ELOOP || fd == -ENOTDIR) {
		struct stat st;

		/* Kernels differ in which of both an existing symbolic link gives. */
		if (!fstatat(call->parent, call->name, &st, AT_SYMLINK_NOFOLLOW) &&
		    S_ISLNK(st.st_mode))
			call->why = "the destination is a symbolic link, which is not followed";
		else
			call->why = "the destination is there and is not a directory";
		return made ? fd : -EEXIST;
	}
	if (fd >= 0 && made && can_be_marked && mark == MARK_UNKNOWN)
		as_made = !try_mark(call, fd);
	err = fd < 0 ? fd : look(fd, made, false, call->dest);
	if (!err) {
		call->dest->as_made = as_made;
		if (call->dest->dev == call->in->dev)
			atomic_init(&call->dest->mark, atomic_load(&call->in->mark));
	}
	if (err < 0 && fd >= 0)
		close(fd);
	if (err < 0 && made)
		unlinkat(call->parent, call->name, AT_REMOVEDIR);
	return err < 0 ? err : fd;
}

int dest_enter(struct dirnode *parent, const char *name, mode_t mode, struct dirnode **dir,
	       const char **why)
{
	struct dest dest = {.made = false};
	struct enter_call call = {
		.in = parent->data,
		.name = name,
		.mode = mode,
		.dest = &dest,
	};
	int fd = dirnode_open(parent);

	if (fd < 0)
		return fd;
	call.parent = dirnode_fd(parent);
	fd = device_call(device_kind(call.in->dev, call.parent), make_and_open, &call);
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
