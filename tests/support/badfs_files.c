/* SPDX-License-Identifier: MIT */
/*
 * badfs_files - badfs's calls for open files and directories
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <poll.h>
#include <sys/file.h>
#include <unistd.h>

#include "support/badfs_nodes.h"

/* ---------------------------------------------------------------- files */

/* The kernel may read what was opened for writing, and says itself where to append. */
static int flags_below(int flags)
{
	if ((flags & O_ACCMODE) == O_WRONLY)
		flags = (flags & ~O_ACCMODE) | O_RDWR;
	return (flags & ~(O_APPEND | O_NOFOLLOW | O_DIRECT)) | O_CLOEXEC;
}

static void is_open(struct node *node, struct fuse_file_info *fi, int fd)
{
	fi->fh = (uint64_t)fd;
	fi->direct_io = switches.direct || switches.size == SIZES_UNKNOWN;
	fi->nonseekable = switches.nonseekable;
	node_opened(node);
}

void bad_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	char path[64];
	int fd;

	if (!begin_at(req, CALL_open, ino))
		return;
	if (is_closed(dir_of(ino))) {
		fuse_reply_err(req, EACCES);
		return;
	}
	fd = open(through(dir_of(ino), path), flags_below(fi->flags));
	if (fd < 0) {
		reply(req, -1);
		return;
	}
	is_open(node_of(ino), fi, fd);
	fuse_reply_open(req, fi);
}

void bad_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		struct fuse_file_info *fi)
{
	const struct fuse_ctx *who = fuse_req_ctx(req);
	struct fuse_entry_param entry;
	char found[NAME_MAX + 1];
	struct node *node;
	int fd;

	if (!begin(req, CALL_create, name, NULL))
		return;
	fd = openat(dir_of(parent), spelled(dir_of(parent), name, found),
		    flags_below(fi->flags) | O_CREAT, mode);
	if (fd < 0) {
		reply(req, -1);
		return;
	}
	if (who->uid != geteuid())
		fchown(fd, who->uid, who->gid);
	node = look_up(dir_of(parent), name, &entry);
	if (!node) {
		reply(req, -1);
		close(fd);
		return;
	}
	is_open(node, fi, fd);
	fuse_reply_create(req, &entry, fi);
}

void bad_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	char *bytes;
	ssize_t len;

	if (!begin_at(req, CALL_read, ino))
		return;
	bytes = malloc(size + 1);
	len = bytes ? pread((int)fi->fh, bytes, size, offset) : -1;
	if (len < 0)
		reply(req, -1);
	else
		fuse_reply_buf(req, bytes, (size_t)len);
	free(bytes);
}

void bad_write(fuse_req_t req, fuse_ino_t ino, const char *bytes, size_t size, off_t offset,
	       struct fuse_file_info *fi)
{
	ssize_t len;

	if (!begin_at(req, CALL_write, ino))
		return;
	len = pwrite((int)fi->fh, bytes, size, offset);
	if (len < 0)
		reply(req, -1);
	else
		fuse_reply_write(req, (size_t)len);
}

void bad_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)fi;
	if (begin_at(req, CALL_flush, ino))
		fuse_reply_err(req, 0);
}

void bad_fsync(fuse_req_t req, fuse_ino_t ino, int only_data, struct fuse_file_info *fi)
{
	if (begin_at(req, CALL_fsync, ino))
		reply(req, only_data ? fdatasync((int)fi->fh) : fsync((int)fi->fh));
}

void bad_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct node *node = node_of(ino);
	int err = enter(CALL_release, NULL, node->name, NULL, NULL);

	node_closed(node, (int)fi->fh);
	close((int)fi->fh);
	fuse_reply_err(req, err);
}

void bad_flock(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, int op)
{
	if (begin_at(req, CALL_flock, ino))
		reply(req, flock((int)fi->fh, op));
}

void bad_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi,
	      struct fuse_pollhandle *handle)
{
	(void)fi;
	if (handle)
		fuse_pollhandle_destroy(handle);
	if (begin_at(req, CALL_poll, ino))
		fuse_reply_poll(req, switches.poll_never ? 0 : POLLIN | POLLOUT);
}

void bad_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
		   struct fuse_file_info *fi)
{
	if (begin_at(req, CALL_fallocate, ino))
		reply(req, fallocate((int)fi->fh, mode, offset, length));
}

void bad_copy_file_range(fuse_req_t req, fuse_ino_t ino, off_t from, struct fuse_file_info *in,
			 fuse_ino_t to_ino, off_t to, struct fuse_file_info *out, size_t len,
			 int flags)
{
	ssize_t done;

	if (!begin(req, CALL_copy_file_range, node_of(to_ino)->name, node_of(ino)->name))
		return;
	done = copy_file_range((int)in->fh, &from, (int)out->fh, &to, len, (unsigned int)flags);
	if (done < 0)
		reply(req, -1);
	else
		fuse_reply_write(req, (size_t)done);
}

void bad_lseek(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence, struct fuse_file_info *fi)
{
	if (!begin_at(req, CALL_lseek, ino))
		return;
	offset = lseek((int)fi->fh, offset, whence);
	if (offset < 0)
		reply(req, -1);
	else
		fuse_reply_lseek(req, offset);
}

/* ---------------------------------------------------------------- directories */

void bad_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	DIR *dir;

	if (!begin_at(req, CALL_opendir, ino))
		return;
	dir = fdopendir(openat(dir_of(ino), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	fi->fh = (uint64_t)(uintptr_t)dir;
	if (!dir)
		reply(req, -1);
	else
		fuse_reply_open(req, fi);
}

void bad_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		 struct fuse_file_info *fi)
{
	DIR *dir = (DIR *)(uintptr_t)fi->fh;
	struct dirent *entry;
	size_t used = 0;
	char *list;

	if (!begin_at(req, CALL_readdir, ino))
		return;
	list = malloc(size);
	seekdir(dir, offset);
	while (list && (entry = readdir(dir))) {
		struct stat st = {.st_ino = entry->d_ino, .st_mode = (mode_t)entry->d_type << 12};
		size_t len = fuse_add_direntry(req, list + used, size - used, entry->d_name, &st,
					       telldir(dir));

		if (len > size - used)
			break;
		used += len;
	}
	fuse_reply_buf(req, list, used);
	free(list);
}

void bad_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	closedir((DIR *)(uintptr_t)fi->fh);
	fuse_reply_err(req, 0);
}

void bad_fsyncdir(fuse_req_t req, fuse_ino_t ino, int only_data, struct fuse_file_info *fi)
{
	(void)only_data;
	if (begin_at(req, CALL_fsyncdir, ino))
		reply(req, fsync(dirfd((DIR *)(uintptr_t)fi->fh)));
}
