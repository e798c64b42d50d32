/* SPDX-License-Identifier: MIT */
/*
 * attributes: extended attributes and ACLs. Plain calls, any thread.
 *
 * What is open for reading or writing is asked by its descriptor; what is open with O_PATH by its
 * path in /proc, and where that is not mounted by its name, with the calls that Linux 6.13 has for
 * that, or else from within its directory: a thread may have a working directory of its own.
 *
 * An attribute that does not fit, or cannot be read, costs that attribute and is said. What this
 * file system or this user cannot have is not: cp -a has it so. An ACL is told of in any case,
 * since it says who may use the file.
 */
#include <endian.h>
#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <fcntl.h>

#include "base/alloc.h"
#include "base/array.h"
#include "verbs/copy/attributes.h"
#include "verbs/copy/copy.h"
#include "verbs/copy/lost.h"

#define ACL_ACCESS "system.posix_acl_access"
#define ACL_DEFAULT "system.posix_acl_default"
#define LIST_BYTES 65536u /* the most that the kernel lists or keeps */

/* Numbers that are the same on all machines; older headers lack them. */
enum {
	NR_FCHMODAT2 = 452,
	NR_SETXATTRAT = 463,
	NR_GETXATTRAT = 464,
	NR_LISTXATTRAT = 465,
	NR_REMOVEXATTRAT = 466,
};

struct xattr_args_at {
	uint64_t value;
	uint32_t size;
	uint32_t flags;
};

/* ---- the calls, for any descriptor */

/* A path for a descriptor that is open with O_PATH, which the calls by descriptor refuse. */
static const char *proc_path(int fd, char path[40])
{
	snprintf(path, 40, "/proc/self/fd/%d", fd);
	return path;
}

/* Something that attributes are read from or given to. */
struct place {
	int fd;
	const struct at_name *at;
};

/*
 * This kernel has no call for a name in a directory: the thread goes there, alone, until step_back().
 */
static bool step_in(struct place p, int *back)
{
	static _Thread_local bool alone;
	const int err = errno;

	if (!alone && unshare(CLONE_FS)) {
		errno = err;
		return false;
	}
	alone = true;
	*back = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	/* Whether there is a way back is tried first. */
	if (*back >= 0 && !fchdir(*back) && !fchdir(p.at->dirfd))
		return true;
	if (*back >= 0)
		close(*back);
	errno = err;
	return false;
}

static void step_back(int back)
{
	const int err = errno;

	if (fchdir(back))
		abort();
	close(back);
	errno = err;
}

static ssize_t list(struct place p, char *names, size_t room)
{
	ssize_t len = flistxattr(p.fd, names, room);
	char path[40];
	int back;

	if (len < 0 && errno == EBADF)
		len = listxattr(proc_path(p.fd, path), names, room);
	if (len < 0 && errno == ENOENT && p.at)
		len = syscall(NR_LISTXATTRAT, p.at->dirfd, p.at->name, AT_SYMLINK_NOFOLLOW, names,
			      room);
	if (len < 0 && errno == ENOSYS && p.at && step_in(p, &back)) {
		len = llistxattr(p.at->name, names, room);
		step_back(back);
	}
	return len;
}

static ssize_t get(struct place p, const char *name, void *value, size_t room)
{
	ssize_t len = fgetxattr(p.fd, name, value, room);
	char path[40];
	int back;

	if (len < 0 && errno == EBADF)
		len = getxattr(proc_path(p.fd, path), name, value, room);
	if (len < 0 && errno == ENOENT && p.at) {
		struct xattr_args_at args = {(uint64_t)(uintptr_t)value, (uint32_t)room, 0};

		len = syscall(NR_GETXATTRAT, p.at->dirfd, p.at->name, AT_SYMLINK_NOFOLLOW, name,
			      &args, sizeof(args));
	}
	if (len < 0 && errno == ENOSYS && p.at && step_in(p, &back)) {
		len = lgetxattr(p.at->name, name, value, room);
		step_back(back);
	}
	return len;
}

static int set(struct place p, const char *name, const void *value, size_t len)
{
	int err = fsetxattr(p.fd, name, value, len, 0), back;
	char path[40];

	if (err && errno == EBADF)
		err = setxattr(proc_path(p.fd, path), name, value, len, 0);
	if (err && errno == ENOENT && p.at) {
		struct xattr_args_at args = {(uint64_t)(uintptr_t)value, (uint32_t)len, 0};

		err = (int)syscall(NR_SETXATTRAT, p.at->dirfd, p.at->name, AT_SYMLINK_NOFOLLOW,
				   name, &args, sizeof(args));
	}
	if (err && errno == ENOSYS && p.at && step_in(p, &back)) {
		err = lsetxattr(p.at->name, name, value, len, 0);
		step_back(back);
	}
	return err;
}

static void take_away(struct place p, const char *name)
{
	int err = fremovexattr(p.fd, name), back;
	char path[40];

	if (err && errno == EBADF)
		err = removexattr(proc_path(p.fd, path), name);
	if (err && errno == ENOENT && p.at)
		err = (int)syscall(NR_REMOVEXATTRAT, p.at->dirfd, p.at->name, AT_SYMLINK_NOFOLLOW,
				   name);
	if (err && errno == ENOSYS && p.at && step_in(p, &back)) {
		lremovexattr(p.at->name, name);
		step_back(back);
	}
}

int attributes_open(const struct at_name *at, int fd)
{
	struct stat st, named;
	int opened;

	if (!access("/proc/self/fd", F_OK) || fstat(fd, &st) || !S_ISREG(st.st_mode))
		return -1;
	opened = openat(at->dirfd, at->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (opened >= 0 &&
	    (fstat(opened, &named) || named.st_ino != st.st_ino || named.st_dev != st.st_dev)) {
		close(opened);
		opened = -1;
	}
	return opened;
}

int attributes_chmod(int fd, mode_t mode)
{
	char path[40];
	int err = chmod(proc_path(fd, path), mode);

	if (err && errno == ENOENT)
		err = (int)syscall(NR_FCHMODAT2, fd, "", mode, AT_EMPTY_PATH);
	return err ? -errno : 0;
}

bool attributes_inherit(int fd)
{
	return fgetxattr(fd, ACL_DEFAULT, NULL, 0) > 0;
}

/* ---- which */

static bool begins(const char *name, const char *const *with, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!strncmp(name, with[i], strlen(with[i])))
			return true;
	return false;
}

/*
 * Labels are the policy's, not the user's. What a file system shows of its own affairs (the ACL
 * once more, where its blocks lie) means nothing to another file, or gives rights that were taken
 * back.
 */
bool attributes_wanted(const struct copy_settings *set, const char *name)
{
	static const char *const others[] = {
		"system.",	"trusted.SGI_", "xfsroot.",	    "security.selinux",
		"security.evm", "security.ima", "security.SMACK64", "security.apparmor",
		"trusted.lov",	"trusted.lma",	"trusted.lmv",	    "trusted.link",
		"trusted.fid",	"trusted.hsm",	"trusted.som",	    "lustre.",
		"ceph.",	"afs.",		"trusted.gfid",	    "trusted.glusterfs.",
		"trusted.afr.",
	};

	if (!strcmp(name, ACL_ACCESS) || !strcmp(name, ACL_DEFAULT))
		return set->keep_mode;
	return set->keep_xattrs && !begins(name, others, ARRAY_SIZE(others));
}

/* A write leaves it as it is, and takes capabilities away. */
bool attributes_stay(const struct copy_settings *set, const char *name)
{
	if (!strcmp(name, ACL_ACCESS))
		return !set->keep_mode;
	return !set->keep_xattrs && strncmp(name, "security.", 9) &&
	       attributes_wanted(&(struct copy_settings){.keep_xattrs = true}, name);
}

/* The names of all that something has, one behind the other. */
struct names {
	char few[256];
	char *all;
	size_t len;
};

/* What this file system or this user cannot have. */
static bool tolerable(int err)
{
	return err == EPERM || err == EOPNOTSUPP || err == EINVAL || err == EACCES || err == ENOSYS;
}

static int names_get(struct names *names, struct place p)
{
	ssize_t len = list(p, names->few, sizeof(names->few));

	names->all = names->few;
	if (len < 0 && errno == ERANGE) {
		names->all = xrealloc(NULL, LIST_BYTES);
		len = list(p, names->all, LIST_BYTES);
	}
	names->len = len < 0 ? 0 : (size_t)len;
	return len >= 0 || tolerable(errno) ? 0 : -errno;
}

static void names_free(struct names *names)
{
	if (names->all != names->few)
		free(names->all);
}

static bool any_of(const struct names *names, const struct copy_settings *set,
		   attributes_choice choose)
{
	for (const char *name = names->all; name < names->all + names->len;
	     name += strlen(name) + 1)
		if (choose(set, name))
			return true;
	return false;
}

bool attributes_any_wanted(const struct copy_settings *set, int fd)
{
	struct names names;
	/* Who cannot be asked may have some. */
	bool any = names_get(&names, (struct place){fd, NULL}) ||
		   any_of(&names, set, attributes_wanted);

	names_free(&names);
	return any;
}

/* ---- ACLs */

/* As the kernel has them in an attribute, in little endian. */
struct acl_entry {
	uint16_t tag, rights;
	uint32_t id;
};

enum {
	ACL_GROUP = 0x04,
	ACL_MASK = 0x10,
};

/*
 * Where there is an ACL the mode shows the most that it gives anybody as the group's rights.
 * Without it the group gets what the ACL gave it; where that is not known, what everybody has.
 */
static mode_t mode_without(mode_t mode, const unsigned char *acl, ssize_t len)
{
	mode_t group = 0, mask = 07;
	bool found = false;

	for (ssize_t at = 4; at + (ssize_t)sizeof(struct acl_entry) <= len;
	     at += (ssize_t)sizeof(struct acl_entry)) {
		struct acl_entry entry;

		memcpy(&entry, acl + at, sizeof(entry));
		if (le16toh(entry.tag) == ACL_GROUP) {
			group = le16toh(entry.rights);
			found = true;
		} else if (le16toh(entry.tag) == ACL_MASK) {
			mask = le16toh(entry.rights);
		}
	}
	group = found ? group & mask & 07 : mode & S_IRWXO;
	return (mode & ~(mode_t)S_IRWXG) | (mode & S_IRWXG & group << 3);
}

/* ---- copying them */

static struct place from_of(const struct attributes_copy *a)
{
	return (struct place){a->from, a->from_at};
}

static struct place to_of(const struct attributes_copy *a)
{
	return (struct place){a->to, a->to_at};
}

static void lose(const struct attributes_copy *a, int err, const char *name)
{
	struct buf text = {0};

	buf_str(&text, "attribute ");
	buf_visible(&text, name, strlen(name));
	buf_char(&text, '\0');
	lost_add(a->lost, err, text.data);
	buf_free(&text);
}

static void copy_plain(const struct attributes_copy *a, const char *name, char *value)
{
	ssize_t len = get(from_of(a), name, value, LIST_BYTES);

	if (len < 0 && errno == ENODATA)
		return;
	if (len >= 0 && !set(to_of(a), name, value, (size_t)len))
		return;
	if (!tolerable(errno))
		lose(a, -errno, name);
}

/* Return: whether the copy has it now. */
static bool copy_acl(const struct attributes_copy *a, const char *name, char *value, mode_t *mode)
{
	ssize_t len = get(from_of(a), name, value, LIST_BYTES);

	if (len < 0 && errno == ENODATA)
		return false;
	if (len >= 0 && !set(to_of(a), name, value, (size_t)len))
		return true;
	lost_add(a->lost, -errno, strcmp(name, ACL_ACCESS) ? "default ACL" : "ACL");
	if (!strcmp(name, ACL_ACCESS) && mode && *mode != (mode_t)-1)
		*mode = mode_without(*mode, (unsigned char *)value, len);
	return false;
}

/*
 * The ACL is last, since it may take away the right to write the others; where the source has none,
 * what was inherited goes.
 */
static void copy_chosen(const struct attributes_copy *a, const struct names *names, mode_t *mode)
{
	const char *end = names->all + names->len;
	char *value = xrealloc(NULL, LIST_BYTES);
	bool access = false, inherit = false;

	for (const char *name = names->all; name < end; name += strlen(name) + 1) {
		if (!a->choose(a->set, name))
			continue;
		if (!strcmp(name, ACL_ACCESS))
			access = true;
		else if (!strcmp(name, ACL_DEFAULT))
			inherit = true;
		else
			copy_plain(a, name, value);
	}
	if (inherit)
		inherit = copy_acl(a, ACL_DEFAULT, value, NULL);
	if (access)
		access = copy_acl(a, ACL_ACCESS, value, mode);
	if (a->inherited && !access)
		take_away(to_of(a), ACL_ACCESS);
	if (a->inherited && !inherit && !a->is_file)
		take_away(to_of(a), ACL_DEFAULT);
	free(value);
}

/*
 * Where the new file cannot be asked either, as on an rclone mount, the old one had nothing to
 * keep.
 */
static bool nothing_to_keep(const struct attributes_copy *a, int err)
{
	struct names names;
	bool same = !a->set->keep_xattrs && names_get(&names, to_of(a)) == err;

	if (!a->set->keep_xattrs)
		names_free(&names);
	return same;
}

void attributes_copy(const struct attributes_copy *a, mode_t *mode)
{
	struct names names;
	int err = names_get(&names, from_of(a));

	if (err && !nothing_to_keep(a, err))
		lost_add(a->lost, err, "attributes");
	if (a->inherited || any_of(&names, a->set, a->choose)) {
		/* Its owner may write it; an attribute of it is written like the file. */
		if (a->is_file)
			fchmod(a->to, S_IRUSR | S_IWUSR);
		copy_chosen(a, &names, mode);
	}
	names_free(&names);
}
