/* SPDX-License-Identifier: MIT */
/*
 * copymeta: mode, owner, times and extended attributes, in the order in which one does not undo
 * the other: the owner takes set-user-ID away, attributes need write permission, an ACL and the
 * mode are two views of one thing, and every change but the last one changes a time.
 *
 * What cannot be kept because the user is not root, or because the file system has no such thing, is
 * not an error: cp -a has it so.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "copy.h"
#include "util.h"

#define ACL_ACCESS "system.posix_acl_access"
#define ACL_DEFAULT "system.posix_acl_default"
#define LIST_BYTES 65536u /* the most that the kernel lists or keeps */
#define SPECIAL_BITS (S_ISUID | S_ISGID)

mode_t current_umask(void)
{
	FILE *status = fopen("/proc/self/status", "re");
	unsigned int mask = 0;
	char line[256];
	bool found = false;

	/* umask() would change it for a moment, for all threads. */
	while (status && !found && fgets(line, sizeof(line), status))
		found = sscanf(line, "Umask: %o", &mask) == 1;
	if (status)
		fclose(status);
	if (!found) {
		mask = umask(022);
		umask(mask);
	}
	return mask;
}

mode_t meta_mode(const struct copy_settings *set, const struct stat *st, const struct stat *old)
{
	if (set->keep_mode)
		return st->st_mode & 07777;
	/* A write takes these bits off an existing file; a new one does not get them. */
	if (old)
		return old->st_mode & 01777;
	return st->st_mode & 0777 & ~set->umask;
}

/* What this file system or this user cannot have. */
static bool tolerable(int err)
{
	return err == EPERM || err == EOPNOTSUPP || err == EINVAL || err == EACCES || err == ENOSYS;
}

/* ---- extended attributes */

/* A path for a descriptor that may be open with O_PATH, which the calls by descriptor refuse. */
static void proc_path(int fd, char path[40])
{
	snprintf(path, 40, "/proc/self/fd/%d", fd);
}

static int copy_attribute(const char *from, const char *to, const char *name, char *value)
{
	ssize_t len = getxattr(from, name, value, LIST_BYTES);

	if (len < 0)
		return errno == ENODATA || tolerable(errno) ? 0 : -errno;
	if (setxattr(to, name, value, (size_t)len, 0))
		return tolerable(errno) ? 0 : -errno;
	return 0;
}

/*
 * Security labels are the policy's, not the user's; capabilities are. An ACL belongs to the mode, whose
 * group's rights are more than the group has where there is one.
 */
static bool wanted(const struct copy_settings *set, const char *name)
{
	if (!set->keep_xattrs)
		return !strcmp(name, ACL_ACCESS) || !strcmp(name, ACL_DEFAULT);
	return strncmp(name, "security.", 9) || !strcmp(name, "security.capability");
}

/* @len bytes of names. */
static int copy_attributes(const struct copy_settings *set, int from, int to, const char *names,
			   size_t len, bool *acl)
{
	char from_path[40], to_path[40];
	char *value = xrealloc(NULL, LIST_BYTES);
	int err = 0;

	proc_path(from, from_path);
	proc_path(to, to_path);
	for (const char *name = names; name < names + len && !err; name += strlen(name) + 1) {
		if (!wanted(set, name))
			continue;
		*acl |= !strcmp(name, ACL_ACCESS);
		err = copy_attribute(from_path, to_path, name, value);
	}
	free(value);
	return err;
}

static ssize_t list_attributes(int fd, char *names, size_t room)
{
	ssize_t len = flistxattr(fd, names, room);
	char path[40];

	if (len >= 0 || errno != EBADF)
		return len;
	proc_path(fd, path);
	return listxattr(path, names, room);
}

static int keep_attributes(const struct copy_settings *set, int from, const struct stat *st, int to,
			   bool default_acl)
{
	char path[40], few[256], *names = few;
	ssize_t len = list_attributes(from, few, sizeof(few));
	bool acl = false;
	int err = 0;

	if (len < 0 && errno == ERANGE) {
		names = xrealloc(NULL, LIST_BYTES);
		len = list_attributes(from, names, LIST_BYTES);
	}
	if (len < 0)
		err = tolerable(errno) ? 0 : -errno;
	if (len > 0) {
		/* Its owner may write it; an attribute of it is written like the file. */
		if (S_ISREG(st->st_mode))
			fchmod(to, S_IRUSR | S_IWUSR);
		err = copy_attributes(set, from, to, names, (size_t)len, &acl);
	}
	if (!err && default_acl && !acl) {
		proc_path(to, path);
		removexattr(path, ACL_ACCESS);
	}
	if (names != few)
		free(names);
	return err;
}

/* ---- all of it */

static int keep_owner(const struct stat *st, int to, mode_t *mode)
{
	if (!fchown(to, st->st_uid, st->st_gid))
		return 0;
	if (!tolerable(errno))
		return -errno;
	/* The group alone may be one's own. */
	if (fchown(to, (uid_t)-1, st->st_gid) && !tolerable(errno))
		return -errno;
	/* What would be somebody else's rights must not become one's own. */
	if (*mode != (mode_t)-1)
		*mode &= ~(mode_t)SPECIAL_BITS;
	return 0;
}

static void times_of(const struct stat *st, struct timespec times[2])
{
	times[0] = st->st_atim;
	times[1] = st->st_mtim;
}

int meta_set(const struct copy_settings *set, int from, const struct stat *st, int to, mode_t mode,
	     bool default_acl)
{
	struct timespec times[2];
	int err = 0;

	if (set->keep_owner)
		err = keep_owner(st, to, &mode);
	if (!err && set->keep_mode)
		err = keep_attributes(set, from, st, to, default_acl);
	if (!err && mode != (mode_t)-1 && fchmod(to, mode & 07777))
		err = -errno;
	times_of(st, times);
	if (!err && set->keep_times && futimens(to, times))
		err = -errno;
	return err;
}

int meta_keep(int old_fd, const struct stat *old, int to)
{
	char from_path[40], to_path[40];
	char *value;
	struct stat st;
	int err = 0;

	if (fstat(to, &st))
		return -errno;
	if ((st.st_uid != old->st_uid || st.st_gid != old->st_gid) &&
	    fchown(to, old->st_uid, old->st_gid) && fchown(to, (uid_t)-1, old->st_gid) &&
	    !tolerable(errno))
		return -errno;
	proc_path(old_fd, from_path);
	if (getxattr(from_path, ACL_ACCESS, NULL, 0) <= 0)
		return 0;
	proc_path(to, to_path);
	value = xrealloc(NULL, LIST_BYTES);
	err = copy_attribute(from_path, to_path, ACL_ACCESS, value);
	free(value);
	return err;
}

int meta_set_odd(const struct copy_settings *set, int from, const struct stat *st,
		 const struct spot *to)
{
	mode_t mode = st->st_mode & 07777;
	struct timespec times[2];
	int fd, err = 0;

	fd = openat(to->dirfd, to->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (set->keep_owner &&
	    fchownat(fd, "", st->st_uid, st->st_gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW)) {
		err = tolerable(errno) ? 0 : -errno;
		mode &= ~(mode_t)SPECIAL_BITS;
	}
	if (!err && !S_ISLNK(st->st_mode)) {
		char path[40];

		if (set->keep_xattrs)
			err = keep_attributes(set, from, st, fd, false);
		proc_path(fd, path);
		if (!err && set->keep_mode && chmod(path, mode))
			err = -errno;
	}
	times_of(st, times);
	if (!err && set->keep_times && utimensat(to->dirfd, to->name, times, AT_SYMLINK_NOFOLLOW))
		err = -errno;
	close(fd);
	return err;
}
