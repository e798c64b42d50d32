/* SPDX-License-Identifier: MIT */
/*
 * badfs_names - badfs's calls for names and attributes
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "support/badfs_nodes.h"

/* ---------------------------------------------------------------- names */

void bad_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	if (begin(req, CALL_lookup, name, NULL))
		send_entry(req, dir_of(parent), name);
}

void bad_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t dev)
{
	if (!begin(req, CALL_mknod, name, NULL))
		return;
	if (switches.mistakes && !S_ISREG(mode) &&
	    !mknodat(dir_of(parent), name, S_IFREG | (mode & 07777), 0)) {
		errno = EIO;
		reply(req, -1);
	} else {
		send_made(req, mknodat(dir_of(parent), name, mode, dev), dir_of(parent), name);
	}
}

void bad_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	if (begin(req, CALL_mkdir, name, NULL))
		send_made(req, mkdirat(dir_of(parent), name, mode), dir_of(parent), name);
}

void bad_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	if (begin(req, CALL_symlink, name, NULL))
		send_made(req, symlinkat(target, dir_of(parent), name), dir_of(parent), name);
}

void bad_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	char path[64];

	if (!begin(req, CALL_link, name, NULL))
		return;
	if (linkat(AT_FDCWD, through(dir_of(ino), path), dir_of(parent), name, AT_SYMLINK_FOLLOW))
		reply(req, -1);
	else
		send_entry(req, dir_of(parent), name);
}

void bad_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	char found[NAME_MAX + 1];
	const char *below;

	if (!begin(req, CALL_unlink, name, NULL))
		return;
	below = spelled(dir_of(parent), name, found);
	if (switches.revive)
		node_removed(dir_of(parent), below);
	reply(req, unlinkat(dir_of(parent), below, 0));
}

void bad_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	char found[NAME_MAX + 1];

	if (begin(req, CALL_rmdir, name, NULL))
		reply(req,
		      unlinkat(dir_of(parent), spelled(dir_of(parent), name, found), AT_REMOVEDIR));
}

void bad_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t to,
		const char *new_name, unsigned int flags)
{
	char from[NAME_MAX + 1], old[NAME_MAX + 1];

	if (!begin(req, CALL_rename, new_name, name))
		return;
	reply(req, renameat2(dir_of(parent), spelled(dir_of(parent), name, from), dir_of(to),
			     spelled(dir_of(to), new_name, old), flags));
}

void bad_readlink(fuse_req_t req, fuse_ino_t ino)
{
	char target[PATH_MAX + 1];
	ssize_t len;

	if (!begin_at(req, CALL_readlink, ino))
		return;
	len = readlinkat(dir_of(ino), "", target, PATH_MAX);
	target[len < 0 ? 0 : len] = '\0';
	if (len < 0)
		reply(req, -1);
	else
		fuse_reply_readlink(req, target);
}

/* ---------------------------------------------------------------- attributes */

void bad_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)fi;
	if (begin_at(req, CALL_getattr, ino))
		send_attr(req, ino);
}

static int set_size(int fd, off_t size, const struct fuse_file_info *fi)
{
	char path[64];

	if (fi)
		return ftruncate((int)fi->fh, size);
	if (is_closed(fd)) {
		errno = EACCES;
		return -1;
	}
	return truncate(through(fd, path), size);
}

static int set_times(int fd, const struct stat *st, int what)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_nsec = UTIME_OMIT}};

	if (what & FUSE_SET_ATTR_ATIME_NOW)
		times[0].tv_nsec = UTIME_NOW;
	else if (what & FUSE_SET_ATTR_ATIME)
		times[0] = st->st_atim;
	if (what & FUSE_SET_ATTR_MTIME_NOW)
		times[1].tv_nsec = UTIME_NOW;
	else if (what & FUSE_SET_ATTR_MTIME)
		times[1] = st->st_mtim;
	return utimensat(fd, "", times, AT_EMPTY_PATH);
}

void bad_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st, int what,
		 struct fuse_file_info *fi)
{
	const int owner = FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID;
	const int time = FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_ATIME_NOW |
			 FUSE_SET_ATTR_MTIME_NOW;
	int fd = dir_of(ino), res = 0;
	char path[64];

	if (what & FUSE_SET_ATTR_MODE && !begin_at(req, CALL_chmod, ino))
		return;
	if (what & owner && !begin_at(req, CALL_chown, ino))
		return;
	if (what & FUSE_SET_ATTR_SIZE && !begin_at(req, CALL_truncate, ino))
		return;
	if (what & time && !begin_at(req, CALL_utimens, ino))
		return;
	if (what & owner && !switches.owners_ignored)
		res = fchownat(fd, "", what & FUSE_SET_ATTR_UID ? st->st_uid : (uid_t)-1,
			       what & FUSE_SET_ATTR_GID ? st->st_gid : (gid_t)-1, AT_EMPTY_PATH);
	if (!res && what & FUSE_SET_ATTR_MODE && switches.modes == MODES_REAL)
		res = chmod(through(fd, path), st->st_mode);
	if (!res && what & FUSE_SET_ATTR_SIZE)
		res = set_size(fd, st->st_size, fi);
	if (!res && what & time)
		res = set_times(fd, st, what);
	if (res)
		reply(req, res);
	else
		send_attr(req, ino);
}

void bad_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct statvfs st;

	if (!begin_at(req, CALL_statfs, ino))
		return;
	if (fstatvfs(dir_of(ino), &st)) {
		reply(req, -1);
		return;
	}
	if (switches.names)
		st.f_namemax = switches.names;
	fuse_reply_statfs(req, &st);
}

/* What a call found: with @size 0 how long it is. */
static void send_value(fuse_req_t req, const char *value, ssize_t len, size_t size)
{
	if (len < 0)
		reply(req, -1);
	else if (!size)
		fuse_reply_xattr(req, (size_t)len);
	else
		fuse_reply_buf(req, value, (size_t)len);
}

void bad_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	char path[64], value[65536];

	if (begin(req, CALL_getxattr, NULL, name))
		send_value(req, value, getxattr(through(dir_of(ino), path), name, value, size),
			   size);
}

void bad_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	char path[64], list[65536];

	if (begin_at(req, CALL_listxattr, ino))
		send_value(req, list, listxattr(through(dir_of(ino), path), list, size), size);
}

void bad_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size,
		  int flags)
{
	char path[64];

	if (begin(req, CALL_setxattr, NULL, name))
		reply(req, setxattr(through(dir_of(ino), path), name, value, size, flags));
}

void bad_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	char path[64];

	if (begin(req, CALL_removexattr, NULL, name))
		reply(req, removexattr(through(dir_of(ino), path), name));
}
