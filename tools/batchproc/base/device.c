/* SPDX-License-Identifier: MIT */
/*
 * device: how the files of a file system may be read. See device.h.
 *
 * A file system is trusted when its asynchronous reads are known to end where ordinary ones do:
 * with the inode's size, which is right. FUSE cuts an asynchronous read of direct I/O at the size
 * that the server claimed, 9p and CIFS can do the same; their servers may claim anything. And
 * before it waits io_uring polls what can be polled, within the submission, while a FUSE server may
 * never say ready.
 *
 * What was found stands in a small table under a lock, the last two besides in the thread, since
 * files come by directories. A device's number may come back as another's when it was unmounted; in
 * the time of a run that is not to be expected.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "batchproc.h"
#include "base/alloc.h"
#include "base/array.h"
#include "base/blocking.h"
#include "base/calls.h"
#include "base/device.h"
#include "base/path.h"

/* Those that linux/magic.h has in no version, or in new ones only. */
#define BCACHEFS_MAGIC 0xca451a4eu
#define EXFAT_MAGIC 0x2011bab0u
#define EROFS_MAGIC 0xe0f5e1e2u
#define HFSPLUS_MAGIC 0x482bu
#define JFS_MAGIC 0x3153464au
#define NTFS3_MAGIC 0x7366746eu
#define UDF_MAGIC 0x15013346u
#define XFS_MAGIC 0x58465342u
#define ZFS_MAGIC 0x2fc12fc1u

#define KNOWN_MOST 64u

struct known {
	dev_t dev;
	enum device_kind kind;
	bool valid;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct known table[KNOWN_MOST]; /* these two under the lock */
static unsigned int next;
static _Thread_local struct known last[2]; /* a copy has one it reads and one it writes */

static enum device_kind kind_of(unsigned int magic)
{
	static const unsigned int trusted[] = {
		EXT4_SUPER_MAGIC,  XFS_MAGIC,	      BTRFS_SUPER_MAGIC, TMPFS_MAGIC,
		F2FS_SUPER_MAGIC,  RAMFS_MAGIC,	      ZFS_MAGIC,	 BCACHEFS_MAGIC,
		NFS_SUPER_MAGIC,   MSDOS_SUPER_MAGIC, EXFAT_MAGIC,	 NTFS3_MAGIC,
		ISOFS_SUPER_MAGIC, UDF_MAGIC,	      SQUASHFS_MAGIC,	 EROFS_MAGIC,
		CRAMFS_MAGIC,	   JFS_MAGIC,	      NILFS_SUPER_MAGIC, HFSPLUS_MAGIC,
	};

	for (size_t i = 0; i < ARRAY_SIZE(trusted); i++)
		if (magic == trusted[i])
			return DEVICE_TRUSTED;
	return magic == OVERLAYFS_SUPER_MAGIC ? DEVICE_STACKED : DEVICE_OTHER;
}

static void keep(const struct known *known)
{
	last[1] = last[0];
	last[0] = *known;
}

/* NULL: nobody knows it. */
static const struct known *find(dev_t dev)
{
	bool found = false;

	for (size_t i = 0; i < ARRAY_SIZE(last); i++)
		if (last[i].valid && last[i].dev == dev)
			return &last[i];
	pthread_mutex_lock(&lock);
	for (unsigned int i = 0; i < KNOWN_MOST && !found; i++) {
		found = table[i].valid && table[i].dev == dev;
		if (found)
			keep(&table[i]);
	}
	pthread_mutex_unlock(&lock);
	return found ? &last[0] : NULL;
}

static void note(dev_t dev, enum device_kind kind)
{
	keep(&(struct known){dev, kind, true});
	pthread_mutex_lock(&lock);
	table[next++ % KNOWN_MOST] = last[0];
	pthread_mutex_unlock(&lock);
}

struct question {
	const char *path; /* NULL: by descriptor */
	int fd;
	enum device_kind kind;
};

/* A FUSE server is asked for it, and may take its time. */
static int ask(void *arg)
{
	struct question *q = arg;
	struct statfs fs;
	int err = q->path ? statfs(q->path, &fs) : fstatfs(q->fd, &fs);

	/* Who does not say is not trusted. */
	q->kind = err ? DEVICE_OTHER : kind_of((unsigned int)fs.f_type);
	return 0;
}

static enum device_kind look_up(dev_t dev, struct question q, bool in_task)
{
	const struct known *known = find(dev);

	if (known)
		return known->kind;
	q.kind = DEVICE_OTHER;
	if (!(in_task ? blocking_long(ask, &q) : ask(&q)))
		note(dev, q.kind);
	return q.kind;
}

enum device_kind device_kind(dev_t dev, int fd)
{
	return look_up(dev, (struct question){.fd = fd}, true);
}

enum device_kind device_kind_waiting(dev_t dev, int fd)
{
	return look_up(dev, (struct question){.fd = fd}, false);
}

enum device_kind device_kind_of_path(dev_t dev, const char *path)
{
	return look_up(dev, (struct question){.path = path}, false);
}

#define NAMED_MOST 512u

/* The directory that this thread was asked for last. */
static _Thread_local struct {
	char path[NAMED_MOST];
	enum device_kind kind;
} named;

static bool look_at_directory(const char *path, enum device_kind *kind)
{
	struct device_file file;
	int fd = path_open(AT_FDCWD, path, O_PATH | O_DIRECTORY), err;

	if (fd < 0)
		return false;
	err = device_look(fd, &file);
	if (!err)
		*kind = device_kind(file.dev, fd);
	bp_close(fd);
	return !err;
}

/* Of what the first @len bytes name. */
static enum device_kind kind_of_directory(const char *path, size_t len)
{
	enum device_kind kind = DEVICE_OTHER;
	char *directory;

	if (len < NAMED_MOST && !strncmp(named.path, path, len) && !named.path[len])
		return named.kind;
	directory = xcalloc(1, len + 1);
	memcpy(directory, path, len);
	if (look_at_directory(directory, &kind) && len < NAMED_MOST) {
		memcpy(named.path, directory, len + 1);
		named.kind = kind;
	}
	free(directory);
	return kind;
}

enum device_kind device_kind_within(const char *directory)
{
	return kind_of_directory(directory, strlen(directory));
}

enum device_kind device_kind_around(const char *path)
{
	size_t len, above = (size_t)(path_name(path, &len) - path);

	return above ? kind_of_directory(path, above) : device_kind_within(".");
}

/* ---- calls */

int device_call(enum device_kind kind, int (*fn)(void *arg), void *arg)
{
	return kind == DEVICE_OTHER ? blocking_long(fn, arg) : blocking(fn, arg);
}

struct call {
	int dirfd; /* or the descriptor itself */
	const char *name;
	int flags;
};

static int open_plain(int dirfd, const char *path, int flags)
{
	return call_openat(dirfd, path, flags, 0);
}

static int open_waiting(void *arg)
{
	const struct call *call = arg;

	return path_open_parts(call->dirfd, call->name, call->flags, open_plain);
}

static int open_beneath_waiting(void *arg)
{
	const struct call *call = arg;

	return call_open_beneath(call->dirfd, call->name, call->flags);
}

static int unlink_waiting(void *arg)
{
	const struct call *call = arg;

	return call_unlinkat(call->dirfd, call->name, call->flags);
}

static int close_waiting(void *arg)
{
	const struct call *call = arg;

	return call_close(call->dirfd);
}

int device_open(enum device_kind kind, int dirfd, const char *path, int flags)
{
	if (kind == DEVICE_OTHER)
		return blocking_long(open_waiting, &(struct call){dirfd, path, flags});
	return path_open(dirfd, path, flags);
}

int device_open_beneath(enum device_kind kind, int dirfd, const char *path, int flags)
{
	int fd = -EXDEV;

	if (kind != DEVICE_OTHER)
		fd = path_open_within(dirfd, path, flags);
	/* On another device, which nobody knows yet: it may take its time. */
	if (fd == -EXDEV)
		fd = blocking_long(open_beneath_waiting, &(struct call){dirfd, path, flags});
	return fd;
}

int device_unlink(enum device_kind kind, int dirfd, const char *name, int flags)
{
	if (kind == DEVICE_OTHER)
		return blocking_long(unlink_waiting, &(struct call){dirfd, name, flags});
	return bp_unlinkat(dirfd, name, flags);
}

int device_close(enum device_kind kind, int fd)
{
	int err;

	if (kind != DEVICE_OTHER)
		return bp_close(fd);
	/* Also by a task that was cancelled. */
	bp_shield_begin();
	err = blocking_long(close_waiting, &(struct call){.dirfd = fd});
	bp_shield_end();
	return err;
}

/* ---- looking */

/* A filter may know no statx(). */
static bool is_refused(int err)
{
	return err == -ENOSYS || err == -EPERM;
}

struct listing {
	int fd;
	void *buf;
	size_t len;
};

static int list_waiting(void *arg)
{
	const struct listing *listing = arg;

	return (int)call_getdents(listing->fd, listing->buf, listing->len);
}

ssize_t device_getdents(enum device_kind kind, int fd, void *buf, size_t len)
{
	struct listing listing = {fd, buf, len};

	return kind == DEVICE_OTHER ? blocking_long(list_waiting, &listing) :
				      list_waiting(&listing);
}

int device_look(int fd, struct device_file *file)
{
	struct statx stx;
	struct stat st;
	int err;

	/* The inode is in memory, and nobody is asked to refresh it. */
	err = call_statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC,
			 STATX_TYPE | STATX_INO | STATX_SIZE, &stx);
	if (!err) {
		*file = (struct device_file){
			.dev = makedev(stx.stx_dev_major, stx.stx_dev_minor),
			.ino = stx.stx_ino,
			.mode = stx.stx_mode,
			.size = stx.stx_size,
			.mounted = stx.stx_attributes & STATX_ATTR_MOUNT_ROOT,
		};
		return 0;
	}
	if (!is_refused(err))
		return err;
	err = call_fstat(fd, &st);
	if (!err)
		*file = (struct device_file){
			.dev = st.st_dev,
			.ino = st.st_ino,
			.mode = st.st_mode,
			.size = (uint64_t)st.st_size,
		};
	return err;
}

struct look {
	int dirfd;
	const char *name;
	int flags;
	unsigned int mode;
};

static int look_waiting(void *arg)
{
	struct look *look = arg;
	struct stat st;
	int err = call_fstatat(look->dirfd, look->name, &st, look->flags);

	look->mode = err ? 0 : st.st_mode;
	return err;
}

static int look_at(enum device_kind kind, int dirfd, const char *name, int flags,
		   unsigned int *mode)
{
	struct look look = {.dirfd = dirfd, .name = name, .flags = flags};
	struct statx stx;
	int err = -ENOSYS;

	if (kind != DEVICE_OTHER)
		err = bp_statx(dirfd, name, flags | AT_STATX_DONT_SYNC, STATX_TYPE, &stx);
	if (!err) {
		*mode = stx.stx_mode;
		return 0;
	}
	if (is_refused(err))
		err = blocking_long(look_waiting, &look);
	*mode = look.mode;
	return err;
}

int device_look_at(enum device_kind kind, int dirfd, const char *name, unsigned int *mode)
{
	return look_at(kind, dirfd, name, AT_SYMLINK_NOFOLLOW, mode);
}

int device_look_through(enum device_kind kind, int dirfd, const char *name, unsigned int *mode)
{
	return look_at(kind, dirfd, name, 0, mode);
}

struct measuring {
	int dirfd;
	const char *name;
	int flags;
	struct stat st;
};

static int measure(void *arg)
{
	struct measuring *m = arg;

	return call_fstatat(m->dirfd, m->name, &m->st, m->flags);
}

int device_measure(enum device_kind kind, int dirfd, const char *name, bool follows, uint64_t *size,
		   int64_t *mtime_ns)
{
	struct measuring m = {dirfd, name, follows ? 0 : AT_SYMLINK_NOFOLLOW, {0}};
	int err = device_call(kind, measure, &m);

	*size = (uint64_t)m.st.st_size;
	*mtime_ns = (int64_t)m.st.st_mtim.tv_sec * 1000000000 + m.st.st_mtim.tv_nsec;
	return err;
}
