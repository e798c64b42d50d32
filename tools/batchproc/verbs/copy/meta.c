/* SPDX-License-Identifier: MIT */
/*
 * meta: mode, owner, times and extended attributes, in the order in which one does not undo
 * the other: a new owner takes set-user-ID and capabilities away, attributes need write permission,
 * an ACL and the mode are two views of one thing. The mode is last, since it is what tells a later run
 * that all the rest is done.
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

#include "verbs/copy/copy.h"
#include "base/alloc.h"

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

/* The names of all that something has, one behind the other. */
struct names {
	char few[256];
	char *all;
	size_t len;
};

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

/* The same of what is replaced: a write leaves it as it is, and takes capabilities away. */
static bool stays(const struct copy_settings *set, const char *name)
{
	if (!strcmp(name, ACL_ACCESS))
		return !set->keep_mode;
	return !set->keep_xattrs && strncmp(name, "security.", 9);
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

static int names_get(struct names *names, int fd)
{
	ssize_t len = list_attributes(fd, names->few, sizeof(names->few));

	names->all = names->few;
	if (len < 0 && errno == ERANGE) {
		names->all = xrealloc(NULL, LIST_BYTES);
		len = list_attributes(fd, names->all, LIST_BYTES);
	}
	names->len = len < 0 ? 0 : (size_t)len;
	/* A descriptor has no path where /proc is not mounted: nobody can say what there is. */
	return len >= 0 || tolerable(errno) || errno == ENOENT ? 0 : -errno;
}

static void names_free(struct names *names)
{
	if (names->all != names->few)
		free(names->all);
}

typedef bool (*choice)(const struct copy_settings *set, const char *name);

static bool any_of(const struct names *names, const struct copy_settings *set, choice choose)
{
	for (const char *name = names->all; name < names->all + names->len;
	     name += strlen(name) + 1)
		if (choose(set, name))
			return true;
	return false;
}

/*
 * Copies those of @names that are chosen. An ACL is last, since it may take away the right to write the
 * others; without one, what was inherited goes.
 */
static int copy_attributes(const struct copy_settings *set, choice choose,
			   const struct names *names, int from, int to, bool default_acl)
{
	char from_path[40], to_path[40];
	const char *end = names->all + names->len;
	bool acl = false;
	char *value;
	int err = 0;

	proc_path(from, from_path);
	proc_path(to, to_path);
	value = xrealloc(NULL, LIST_BYTES);
	for (const char *name = names->all; name < end && !err; name += strlen(name) + 1) {
		if (!choose(set, name))
			continue;
		if (!strcmp(name, ACL_ACCESS))
			acl = true;
		else
			err = copy_attribute(from_path, to_path, name, value);
	}
	if (!err && acl)
		err = copy_attribute(from_path, to_path, ACL_ACCESS, value);
	else if (!err && default_acl)
		removexattr(to_path, ACL_ACCESS);
	free(value);
	return err;
}

static int keep_attributes(const struct copy_settings *set, choice choose, int from, mode_t type,
			   int to, bool default_acl)
{
	struct names names;
	int err = names_get(&names, from);

	if (!err && (default_acl || any_of(&names, set, choose))) {
		/* Its owner may write it; an attribute of it is written like the file. */
		if (S_ISREG(type))
			fchmod(to, S_IRUSR | S_IWUSR);
		err = copy_attributes(set, choose, &names, from, to, default_acl);
	}
	names_free(&names);
	return err;
}

bool meta_has_attributes(const struct copy_settings *set, int from)
{
	struct names names;
	bool any = !names_get(&names, from) && any_of(&names, set, wanted);

	names_free(&names);
	return any;
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

	times_of(st, times);
	if (set->keep_times && futimens(to, times))
		err = -errno;
	if (!err && set->keep_owner)
		err = keep_owner(st, to, &mode);
	if (!err && set->keep_mode)
		err = keep_attributes(set, wanted, from, st->st_mode, to, default_acl);
	if (!err && mode != (mode_t)-1 && fchmod(to, mode & 07777))
		err = -errno;
	return err;
}

void meta_set_above(const struct copy_settings *set, const char *path, int to)
{
	struct timespec times[2];
	size_t len = strlen(path);
	char above[PATH_MAX];
	struct stat st;

	while (len && path[len - 1] == '/')
		len--;
	while (len && path[len - 1] != '/')
		len--;
	if (!set->keep_times || len >= sizeof(above))
		return;
	memcpy(above, path, len);
	above[len] = '\0';
	if (stat(len ? above : ".", &st))
		return;
	times_of(&st, times);
	/* It is not what was to be copied: as good as can be. */
	futimens(to, times);
}

/* The owner and the group of what is replaced, or the group alone. */
static int stay_owned(const struct stat *old, int to, mode_t *mode)
{
	struct stat st;

	if (fstat(to, &st))
		return -errno;
	if (st.st_uid == old->st_uid && st.st_gid == old->st_gid)
		return 0;
	if (!fchown(to, old->st_uid, old->st_gid))
		return 0;
	if (st.st_gid == old->st_gid || !fchown(to, (uid_t)-1, old->st_gid))
		return 0;
	if (!tolerable(errno))
		return -errno;
	/* The rights of one group are not another's, unless they are everybody's. */
	*mode &= ~(mode_t)S_IRWXG | (*mode & S_IRWXO) << 3;
	return 0;
}

int meta_keep(const struct copy_settings *set, int old_fd, const struct stat *old, int to,
	      mode_t *mode, bool default_acl)
{
	int err = set->keep_owner ? 0 : stay_owned(old, to, mode);

	if (err || set->keep_xattrs)
		return err;
	return keep_attributes(set, stays, old_fd, old->st_mode, to, default_acl);
}

int meta_set_special(const struct copy_settings *set, int from, const struct stat *st,
		     const struct at_name *to)
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
			err = keep_attributes(set, wanted, from, st->st_mode, fd, false);
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
