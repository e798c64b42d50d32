/* SPDX-License-Identifier: MIT */
/*
 * temp: the names under which copies are made before they get their own. Plain calls, any thread.
 *
 * A name is the same each time, so that a later run over the same items finds what one that was
 * killed has left. It is short and plain, since some file systems take no long names, and says
 * nothing of the file's own, which might be cut within a character. Who writes the file holds a
 * lock on it: what nobody holds is a leftover.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/calls.h"
#include "verbs/copy/copy.h"

#define BEGINNING ".batchproc-"
#define DIGITS 16

void temp_name(const char *name, char temp[NAME_MAX + 1])
{
	snprintf(temp, NAME_MAX + 1, BEGINNING "%0*llx", DIGITS,
		 (unsigned long long)XXH3_64bits(name, strlen(name)));
}

bool temp_is_one(const char *name)
{
	const size_t beginning = strlen(BEGINNING);

	return !strncmp(name, BEGINNING, beginning) && strlen(name) == beginning + DIGITS &&
	       strspn(name + beginning, "0123456789abcdef") == DIGITS;
}

/* False: another run has it. Where there are no locks nobody can have one. */
static bool lock(int fd)
{
	return !flock(fd, LOCK_EX | LOCK_NB) || errno != EWOULDBLOCK;
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
	/* Who may not read it cannot ask for the lock, but may remove it. */
	if (fd == -EACCES)
		return unlinkat(dirfd, temp, 0) ? -errno : 0;
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	if (!lock(fd))
		err = -EBUSY;
	else if (dest_is_named(dirfd, temp, fd) && unlinkat(dirfd, temp, 0))
		err = -errno;
	close(fd);
	return err;
}

int temp_give_way(int dirfd, const char *temp)
{
	return remove_leftover(dirfd, temp);
}

void temp_remove(const struct dest *dest, int dirfd, const char *name)
{
	char temp[NAME_MAX + 1];

	if (dest->fresh)
		return;
	temp_name(name, temp);
	remove_leftover(dirfd, temp);
}

int temp_any(int dirfd, unsigned int most)
{
	int fd = call_openat(dirfd, ".", O_RDONLY | O_DIRECTORY, 0), any = 0;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	if (!dir && fd >= 0)
		close(fd);
	if (!dir)
		return -1;
	while (!any && (errno = 0, entry = readdir(dir))) {
		if (temp_is_one(entry->d_name))
			any = 1;
		else if (!most--)
			any = -1;
	}
	if (!any && errno)
		any = -1;
	closedir(dir);
	return any;
}

/* What a directory that this run did not make has of them is looked for once. */
static bool has_some(struct dest *dest, int dirfd)
{
	int has = atomic_load_explicit(&dest->leftovers, memory_order_relaxed);

	if (has != LEFTOVERS_UNKNOWN)
		return has == LEFTOVERS_SOME;
	has = temp_any(dirfd, UINT_MAX) == 1 ? LEFTOVERS_SOME : LEFTOVERS_NONE;
	atomic_store_explicit(&dest->leftovers, has, memory_order_relaxed);
	return has == LEFTOVERS_SOME;
}

void temp_remove_of_skipped(struct dest *dest, int dirfd, const char *name)
{
	if (!dest->fresh && has_some(dest, dirfd))
		temp_remove(dest, dirfd, name);
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
	if (fd >= 0 && (!lock(fd) || !dest_is_named(dirfd, temp, fd))) {
		close(fd);
		return -EBUSY;
	}
	return fd == -EEXIST ? -EBUSY : fd;
}
