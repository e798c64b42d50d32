/* SPDX-License-Identifier: MIT */
/*
 * calls: plain system calls, for work that is not handed to the ring. Each returns what the call
 * does, or -errno; a call that a signal interrupted is made again. Any thread.
 *
 * In a debug build BATCHPROC_FAULTS makes some of them go wrong, as lib/backend/fault.c does with
 * operations; see calls.c.
 */
#ifndef BATCHPROC_CALLS_H
#define BATCHPROC_CALLS_H

#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

int call_openat(int dirfd, const char *path, int flags, mode_t mode);
/* Below @dirfd, through no symbolic link, however long the path is. */
int call_open_beneath(int dirfd, const char *path, int flags);
ssize_t call_read(int fd, void *buf, size_t len);
ssize_t call_pread(int fd, void *buf, size_t len, off_t offset);
ssize_t call_pwrite(int fd, const void *buf, size_t len, off_t offset);
ssize_t call_write(int fd, const void *buf, size_t len);
ssize_t call_copy_range(int from, int to, off_t offset, size_t len);
int call_clone(int to, int from);
int call_ftruncate(int fd, off_t size);
int call_fsync(int fd);
int call_renameat(int dirfd, const char *from, const char *to);
int call_unlinkat(int dirfd, const char *path, int flags);
/* Unless something of the new name is there; -EINVAL where that is not to be had. */
int call_rename_new(int dirfd, const char *from, const char *to);
/* Gives an open file without a name one; -EEXIST where something has it. */
int call_link_fd(int fd, int dirfd, const char *name);
int call_mkdirat(int dirfd, const char *path, mode_t mode);
int call_fstatat(int dirfd, const char *path, struct stat *st, int flags);
/* However long the path is. */
int call_lstat(const char *path, struct stat *st);
int call_stat(const char *path, struct stat *st);
int call_fstat(int fd, struct stat *st);
int call_statx(int dirfd, const char *path, int flags, unsigned int mask, struct statx *stx);
ssize_t call_getdents(int fd, void *buf, size_t len);
/* Of a list, without which nothing can go on: no fault makes it fail. */
ssize_t call_read_list(int fd, void *buf, size_t len);
int call_close(int fd);
/*
 * All of it, also where somebody made the open file non-blocking. Returns 0 or -errno. No faults.
 */
int call_write_all(int fd, const char *data, size_t len);

#endif
