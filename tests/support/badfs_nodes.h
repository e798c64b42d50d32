/* SPDX-License-Identifier: MIT */
/*
 * badfs_nodes - the files that the kernel knows, and the calls of badfs
 */
#ifndef BATCHPROC_TESTS_BADFS_NODES_H
#define BATCHPROC_TESTS_BADFS_NODES_H

#define FUSE_USE_VERSION 34

#include <fuse_lowlevel.h>
#include <limits.h>
#include <sys/stat.h>

#include "support/badfs.h"

/** A file below that the kernel knows. */
struct node {
	struct node *next;
	int fd; /* O_PATH */
	dev_t dev;
	ino_t ino;
	uint64_t lookups;
	unsigned int opens;
	char *name; /* by which it was last looked up */
	int lost_dir; /* where it was removed while it was open; -1: nowhere */
};

extern struct node root;

struct node *node_of(fuse_ino_t ino);
int dir_of(fuse_ino_t ino);
/** The node of a name, with one more lookup; NULL: errno. */
struct node *look_up(int dir, const char *name, struct fuse_entry_param *entry);
void node_opened(struct node *node);
/** Its name is about to go: it may come back. */
void node_removed(int dir, const char *name);
/** @fd, which reads it, is about to be closed. */
void node_closed(struct node *node, int fd);

/** Begins a call with the names that it is about; false: it has been answered with an error. */
bool begin(fuse_req_t req, enum call call, const char *name, const char *other);
bool begin_at(fuse_req_t req, enum call call, fuse_ino_t ino);
/** Answers with an error if @res says that there was one. */
void reply(fuse_req_t req, long res);
void send_attr(fuse_req_t req, fuse_ino_t ino);
void send_entry(fuse_req_t req, int dir, const char *name);
/** As send_entry(), for what a call has made: it belongs to who asked for it. */
void send_made(fuse_req_t req, int res, int dir, const char *name);
/** The path of a descriptor, for calls that know none. */
const char *through(int fd, char path[64]);
/** The name as it is spelled below. */
const char *spelled(int dir, const char *name, char found[NAME_MAX + 1]);
/** An ordinary user's server cannot open it. */
bool is_closed(int fd);

void bad_forget(fuse_req_t req, fuse_ino_t ino, uint64_t lookups);
void bad_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *all);
void bad_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void bad_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t dev);
void bad_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void bad_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name);
void bad_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name);
void bad_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void bad_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void bad_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t to,
		const char *new_name, unsigned int flags);
void bad_readlink(fuse_req_t req, fuse_ino_t ino);
void bad_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void bad_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st, int what,
		 struct fuse_file_info *fi);
void bad_statfs(fuse_req_t req, fuse_ino_t ino);
void bad_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size);
void bad_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size);
void bad_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size,
		  int flags);
void bad_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name);
void bad_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void bad_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		struct fuse_file_info *fi);
void bad_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi);
void bad_write(fuse_req_t req, fuse_ino_t ino, const char *bytes, size_t size, off_t offset,
	       struct fuse_file_info *fi);
void bad_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void bad_fsync(fuse_req_t req, fuse_ino_t ino, int only_data, struct fuse_file_info *fi);
void bad_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void bad_flock(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, int op);
void bad_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi,
	      struct fuse_pollhandle *handle);
void bad_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
		   struct fuse_file_info *fi);
void bad_copy_file_range(fuse_req_t req, fuse_ino_t ino, off_t from, struct fuse_file_info *in,
			 fuse_ino_t to_ino, off_t to, struct fuse_file_info *out, size_t len,
			 int flags);
void bad_lseek(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence, struct fuse_file_info *fi);
void bad_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void bad_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		 struct fuse_file_info *fi);
void bad_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void bad_fsyncdir(fuse_req_t req, fuse_ino_t ino, int only_data, struct fuse_file_info *fi);

#endif
