/* SPDX-License-Identifier: MIT */
/*
 * marks: the modes by which a later run knows what was never finished. Plain calls, any thread.
 *
 * Not every file system keeps a mode: exFAT, NTFS, FAT, SMB and many FUSE file systems say the same
 * of all files, some take the mode of a new file and no other later on, or refuse one. There
 * nothing is marked: what is made has a temporary name until it is whole, and the mode that it is
 * to have from the start. Which it is, is tried out once in a directory, with a file without a name
 * where that can be, else with the first file or directory that is made; and known for all below it
 * on the same device.
 *
 * A daemon of FUSE may open a file by its name at each call, which it must be allowed to.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "base/calls.h"
#include "verbs/copy/copy.h"
#include "verbs/copy/marks.h"

#ifndef FUSE_SUPER_MAGIC
#define FUSE_SUPER_MAGIC 0x65735546
#endif

bool mark_is_file(const struct stat *st)
{
	const mode_t mode = st->st_mode & 07777;

	return S_ISREG(st->st_mode) && (mode == MARK_FILE || mode == MARK_FILE_FUSE);
}

bool mark_is_directory(const struct stat *st)
{
	const mode_t mode = st->st_mode & 07777 & ~(mode_t)S_ISGID;

	return mode == MARK_DIRECTORY || mode == MARK_DIRECTORY_MADE;
}

static bool has_mode(int fd, mode_t mode)
{
	struct stat st;

	return !fstat(fd, &st) && (st.st_mode & 07777) == mode;
}

static mode_t mark_here(int fd)
{
	struct statfs fs;
	int err = fd == AT_FDCWD ? statfs(".", &fs) : fstatfs(fd, &fs);

	return !err && fs.f_type == FUSE_SUPER_MAGIC ? MARK_FILE_FUSE : MARK_FILE;
}

bool mark_is_file_in(int dirfd, const struct stat *st)
{
	return mark_is_file(st) &&
	       ((st->st_mode & 07777) == MARK_FILE || mark_here(dirfd) == MARK_FILE_FUSE);
}

mode_t mark_ask(int dirfd)
{
	int fd = call_openat(dirfd, ".", O_TMPFILE | O_WRONLY, MARK_FILE);
	mode_t mark = MARK_UNKNOWN;

	/* What makes files without names, and is not of FUSE, takes all that Linux has. */
	if (fd >= 0 && mark_here(fd) == MARK_FILE)
		mark = has_mode(fd, MARK_FILE) ? MARK_FILE : MARK_NONE;
	if (fd >= 0)
		close(fd);
	return mark;
}

mode_t mark_try(int fd)
{
	const mode_t mark = mark_here(fd);
	struct stat st;

	if (fstat(fd, &st))
		return MARK_NONE;
	if (S_ISDIR(st.st_mode))
		return !fchmod(fd, MARK_DIRECTORY | (st.st_mode & S_ISGID)) && !fstat(fd, &st) &&
				       mark_is_directory(&st) ?
			       mark :
			       MARK_NONE;
	return !fchmod(fd, mark) && has_mode(fd, mark) ? mark : MARK_NONE;
}
