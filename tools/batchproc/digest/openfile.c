/* SPDX-License-Identifier: MIT */
/*
 * openfile: opens the file of an item to be read, if it is a regular one. See openfile.h.
 *
 * The name that the user gave is looked at before it is opened, since opening a FIFO or a device
 * does something to it. A file that a walk found was looked at when it was found. The name may
 * mean something else by the time it is opened: O_NONBLOCK keeps the open from waiting for the
 * other end of a FIFO, and nothing is read before it is known what was opened. For most files
 * that is told by their length, see hashfile.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/blocking.h"
#include "base/calls.h"
#include "digest/openfile.h"
#include "run/job.h"
#include "run/steer.h"
#include "walk/tree.h"

static const char *odd_mode(unsigned int mode)
{
	if (S_ISFIFO(mode))
		return "is a FIFO; the name - stands for standard input";
	if (S_ISSOCK(mode))
		return "is a socket";
	if (S_ISCHR(mode) || S_ISBLK(mode))
		return "is a device; the name - stands for standard input";
	return "is not a regular file";
}

/* 0: a regular file; 1: the item is skipped; or -errno. */
static int judge_mode(struct item *item, unsigned int mode)
{
	if (S_ISREG(mode))
		return 0;
	if (S_ISDIR(mode))
		return -EISDIR;
	item->status = STATUS_SKIPPED;
	item->skipped_named = !item->dir;
	item->why = odd_mode(mode);
	return 1;
}

static int open_waiting(struct item *item, enum device_kind kind, int dirfd, int flags)
{
	unsigned int tries = 0;
	int fd;

	do {
		fd = device_open(kind, dirfd, item->name.data, flags);
	} while (steer_await_descriptor(item->job, fd, &tries));
	return fd;
}

static int ask(void *arg)
{
	struct stat st;

	return call_fstat(*(const int *)arg, &st);
}

/*
 * Looks at a name without opening what it stands for. O_PATH and a look at the descriptor, since
 * io_uring gives every statx by name to a worker thread, at several times the cost.
 */
static int check_name(struct item *item, enum device_kind *kind)
{
	struct device_file file;
	int verdict, fd = open_waiting(item, DEVICE_TRUSTED, AT_FDCWD, O_PATH);

	if (fd < 0)
		return fd;
	verdict = device_look(fd, &file);
	if (!verdict) {
		*kind = device_kind(file.dev, fd);
		verdict = judge_mode(item, file.mode);
	}
	/* What its server is gone from still looks like a directory to who does not ask it. */
	if (verdict == -EISDIR && *kind == DEVICE_OTHER) {
		int err = blocking_long(ask, &fd);

		verdict = err ? err : verdict;
	}
	bp_close(fd);
	return verdict > 0 ? -ENXIO : verdict;
}

int openfile_open(struct item *item, enum device_kind *kind)
{
	const int flags = O_RDONLY | O_NOCTTY | O_NONBLOCK;
	int fd;

	if (!item->dir) {
		*kind = DEVICE_TRUSTED;
		fd = check_name(item, kind);
		return fd ? fd : open_waiting(item, *kind, AT_FDCWD, flags);
	}
	*kind = item->dir->kind;
	fd = open_waiting(item, *kind, dirnode_fd(item->dir), flags | O_NOFOLLOW);
	if (fd == -ELOOP)
		item->why = "has become a symbolic link";
	return fd;
}

int openfile_check(struct item *item, int fd, enum device_kind *kind, uint64_t *size)
{
	struct device_file file;
	int verdict = device_look(fd, &file);

	if (!verdict)
		verdict = judge_mode(item, file.mode);
	if (verdict)
		return verdict;
	*kind = device_kind(file.dev, fd);
	*size = file.size;
	/*
	 * O_NONBLOCK was for the open. Kept, it would make io_uring give -EAGAIN where a file
	 * system knows no reads that do not wait (tmpfs, /proc).
	 */
	return fcntl(fd, F_SETFL, 0) ? -errno : 0;
}
