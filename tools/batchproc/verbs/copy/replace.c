/* SPDX-License-Identifier: MIT */
/*
 * replace: what happens when a copy meets something of its name: it is needless, it may replace
 * that, or it must not. Plain calls, any thread.
 *
 * A file that was never finished is known by its mode: see marks.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/array.h"
#include "base/calls.h"
#include "run/job.h"
#include "run/ownfiles.h"
#include "verbs/copy/copy.h"
#include "verbs/copy/marks.h"
#include "verbs/copy/replace.h"

#define COMPARED_BYTES 65536u

bool replace_unfinished(const struct at_name *to, const struct stat *copy, const struct stat *st)
{
	return mark_is_file_in(to->dirfd, copy) &&
	       (copy->st_uid == geteuid() || copy->st_uid == st->st_uid);
}

static ssize_t read_part(int fd, unsigned char *to, size_t len, off_t at)
{
	size_t got = 0;

	while (got < len) {
		ssize_t n = call_pread(fd, to + got, len - got, at + (off_t)got);

		if (n <= 0)
			return n < 0 ? n : (ssize_t)got;
		got += (size_t)n;
	}
	return (ssize_t)got;
}

/*
 * Its mark keeps its owner out, unless that is root: who owns it may read it for the moment in
 * which it is opened.
 */
static int open_marked(const struct at_name *to, const struct stat *st)
{
	const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;
	int fd = call_openat(to->dirfd, to->name, flags, 0), path;
	char name[64];
	struct stat now;

	if (fd != -EACCES || !mark_is_file(st) || st->st_uid != geteuid())
		return fd;
	path = call_openat(to->dirfd, to->name, O_PATH | O_NOFOLLOW, 0);
	if (path < 0)
		return path;
	snprintf(name, sizeof(name), "/proc/self/fd/%d", path);
	if (!fstat(path, &now) && now.st_ino == st->st_ino && now.st_dev == st->st_dev &&
	    now.st_mode == st->st_mode && !chmod(name, (st->st_mode & 07777) | S_IRUSR)) {
		fd = call_openat(AT_FDCWD, name, O_RDONLY | O_NONBLOCK, 0);
		/* Unless another run has come to its end with it meanwhile. */
		if (!fstat(path, &now) && now.st_mode == (st->st_mode | S_IRUSR))
			(void)!chmod(name, st->st_mode & 07777);
	}
	close(path);
	return fd;
}

bool replace_is_beginning(int src, const struct at_name *to, const struct stat *old)
{
	unsigned char *ours = xcalloc(2, COMPARED_BYTES), *theirs = ours + COMPARED_BYTES;
	int fd = S_ISREG(old->st_mode) ? open_marked(to, old) : -EINVAL;
	ssize_t n = fd < 0 ? -1 : 1;
	off_t at = 0;

	while (n > 0) {
		n = read_part(fd, theirs, COMPARED_BYTES, at);
		if (n > 0 &&
		    (read_part(src, ours, (size_t)n, at) != n || memcmp(ours, theirs, (size_t)n)))
			n = -1;
		if (n > 0)
			at += n;
	}
	if (fd >= 0)
		close(fd);
	free(ours);
	return !n && at == old->st_size;
}

/* What times are kept in, in nanoseconds: NTFS, many servers, exFAT, old ext4, FAT. */
static const int64_t units[] = {100, 1000, 10000000, 1000000000, 2000000000};

static int64_t nanoseconds(struct timespec t)
{
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/*
 * All times that it has are whole ones of this unit: they may have been cut to that. Where it is
 * two seconds, a change of the inode has no time of its own.
 */
static bool is_in(const struct stat *st, int64_t unit)
{
	if (unit > 1000000000 && nanoseconds(st->st_ctim) != nanoseconds(st->st_mtim))
		return false;
	return !(nanoseconds(st->st_mtim) % unit) && !(nanoseconds(st->st_ctim) % unit) &&
	       !(nanoseconds(st->st_atim) % unit);
}

/* Whether the copy has the time of the source, as far as its file system can hold it. */
static bool has_time_of(const struct stat *old, const struct stat *st)
{
	const int64_t has = nanoseconds(old->st_mtim), wanted = nanoseconds(st->st_mtim);

	for (size_t i = 0; i < ARRAY_SIZE(units) && is_in(old, units[i]); i++)
		if (wanted - wanted % units[i] == has)
			return true;
	return has == wanted;
}

static bool is_older(const struct stat *old, const struct stat *st)
{
	return nanoseconds(old->st_mtim) < nanoseconds(st->st_mtim) && !has_time_of(old, st);
}

/* With -au what is found in a tree becomes what it is in the source, whichever of both is newer. */
bool replace_renews(const struct item *item)
{
	const struct copy_settings *set = item->settings;

	return set->archive && (set->update || set->mirror) && !set->ignore_existing && item->dir;
}

/* What is written into it is gone. */
static bool is_stream(mode_t mode)
{
	return S_ISFIFO(mode) || S_ISCHR(mode) || S_ISBLK(mode);
}

bool replace_stays(const struct copy_settings *set, const struct stat *st, const struct stat *old)
{
	return set->ignore_existing || (set->update && !is_older(old, st));
}

const char *replace_stays_why(const struct copy_settings *set)
{
	return set->ignore_existing ? "the destination is there" : "the destination is not older";
}

bool replace_needless(struct item *item, const struct stat *st, const struct at_name *to,
		      const struct stat *old)
{
	const struct copy_settings *set = item->settings;

	if ((!set->update && !set->ignore_existing) || (set->inplace && is_stream(old->st_mode)))
		return false;
	if (replace_unfinished(to, old, st)) {
		if (!set->ignore_existing)
			return false;
		item->status = STATUS_SKIPPED;
		item->why = "the destination has the mode of an unfinished copy, but is not the "
			    "beginning of the source";
		return true;
	}
	if (replace_renews(item) && ((old->st_mode ^ st->st_mode) & S_IFMT))
		return false;
	if (!replace_stays(set, st, old))
		return false;
	item->status = STATUS_SKIPPED;
	item->why = replace_stays_why(set);
	return true;
}

bool replace_like(const struct stat *st, const struct stat *old)
{
	return S_ISREG(old->st_mode) && st->st_size == old->st_size && has_time_of(old, st);
}

const char replace_same_text[] = "source and destination are the same file";

int replace_allowed(struct item *item, const struct stat *st, const struct stat *old)
{
	const struct copy_settings *set = item->settings;

	if (old->st_dev == st->st_dev && old->st_ino == st->st_ino) {
		item->why = replace_same_text;
		return -EINVAL;
	}
	if (S_ISDIR(old->st_mode) && replace_stays(set, st, old) && !replace_renews(item))
		return 0;
	if (S_ISDIR(old->st_mode)) {
		item->why = "the destination is a directory";
		return -EISDIR;
	}
	item->why = own_file_as_destination(item->job->own, old);
	if (item->why)
		return -EINVAL;
	/* What stays whatever it is need not be fit to be replaced. */
	if (!S_ISREG(st->st_mode) || S_ISREG(old->st_mode) || set->ignore_existing)
		return 0;
	if ((set->inplace && is_stream(old->st_mode)) || copy_anew(set))
		return 0;
	if (S_ISLNK(old->st_mode) && replace_renews(item))
		return 0;
	if (S_ISLNK(old->st_mode)) {
		item->why = "the destination is a symbolic link, which is not followed";
		return -EEXIST;
	}
	item->why = S_ISSOCK(old->st_mode) ?
			    "the destination is a socket" :
			    "the destination is a FIFO or a device (--inplace writes into it)";
	return -EEXIST;
}
