/* SPDX-License-Identifier: MIT */
/*
 * marks: the modes by which a later run knows what was never finished. Plain calls, any thread.
 *
 * Not every file system keeps a mode: exFAT, NTFS, FAT, SMB and many FUSE file systems say the same of
 * all files, some take the mode of a new file and no other later on, or refuse one. There nothing is
 * marked: what is made has a temporary name until it is whole, and the mode that it is to have from
 * the start. Which it is, is tried out once in a directory, with a file without a name where that can
 * be, and known for all below it on the same device.
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
	return (st->st_mode & 07777 & ~(mode_t)S_ISGID) == MARK_DIRECTORY;
}

/* A file to try it out with; whether it has a name is *@named. */
static int make_probe(int dirfd, const char *name, mode_t mode, bool *named)
{
	int fd = call_openat(dirfd, ".", O_TMPFILE | O_WRONLY, mode);

	*named = fd < 0;
	for (int tries = 0; fd < 0 && tries < 3; tries++) {
		fd = call_openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
		/* Of another run, that tries it out too or was killed at that. */
		if (fd == -EEXIST)
			unlinkat(dirfd, name, 0);
	}
	return fd;
}

static bool has_mode(int fd, mode_t mode)
{
	struct stat st;

	return !fstat(fd, &st) && (st.st_mode & 07777) == mode;
}

mode_t mark_probe(int dirfd)
{
	char name[NAME_MAX + 1];
	struct statfs fs;
	mode_t mark = MARK_FILE;
	bool named, kept;
	int fd;

	if (!fstatfs(dirfd, &fs) && fs.f_type == FUSE_SUPER_MAGIC)
		mark = MARK_FILE_FUSE;
	temp_name("", name);
	fd = make_probe(dirfd, name, mark, &named);
	if (fd < 0)
		return MARK_UNKNOWN;
	/* What makes files without names, and is not of FUSE, takes all that Linux has. */
	kept = has_mode(fd, mark) &&
	       ((!named && mark == MARK_FILE) ||
		(!fchmod(fd, S_IRUSR | S_IWUSR) && has_mode(fd, S_IRUSR | S_IWUSR)));
	named = named && dest_is_named(dirfd, name, fd);
	/* Closed first: some servers bring back at a close what was removed before. */
	close(fd);
	if (named)
		unlinkat(dirfd, name, 0);
	return kept ? mark : MARK_NONE;
}
