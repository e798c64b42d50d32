/* SPDX-License-Identifier: MIT */
/*
 * device: how the files of a file system may be read, asked once for each device. What is known is
 * the process's, for it is about the machine. Any thread.
 */
#ifndef BATCHPROC_DEVICE_H
#define BATCHPROC_DEVICE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum device_kind {
	/* Asynchronous reads end where ordinary ones do, and what is cached never waits. */
	DEVICE_TRUSTED,
	/*
	 * Files of another file system, of whatever kind, are below it (overlayfs): where an
	 * asynchronous read ends, an ordinary one is asked whether that is the end.
	 */
	DEVICE_STACKED,
	/*
	 * Any other: FUSE, where an asynchronous read ends at the size that the server claims, and
	 * the loop's own thread waits for its answers; what the kernel makes up (/proc, /sys); what
	 * is not known here. All that may wait is an ordinary call on a helper thread.
	 */
	DEVICE_OTHER,
};

/* What is known of an open file without asking its file system. */
struct device_file {
	dev_t dev;
	ino_t ino;
	mode_t mode;
	uint64_t size;
	bool mounted; /* a file system, or a part of one, is mounted here */
};

/*
 * Fills in what a descriptor is of. Never waits, but where a filter refuses statx(): then the file
 * system may be asked, and nothing is known to be mounted. Any thread. Return: 0 or -errno.
 */
int device_look(int fd, struct device_file *file);

/* The kind of a device, of which @fd is a file. Task only: the file system may have to be asked. */
enum device_kind device_kind(dev_t dev, int fd);

/* The same for who may wait; and of a device that @path is on. */
enum device_kind device_kind_waiting(dev_t dev, int fd);
enum device_kind device_kind_of_path(dev_t dev, const char *path);

/*
 * The kind of the device that the directory is on which a path's last name is in; what cannot be
 * opened is DEVICE_OTHER. What was found for the last directory is remembered, since names come by
 * directories. Task only.
 */
enum device_kind device_kind_around(const char *path);
/* The same of a directory itself. */
enum device_kind device_kind_within(const char *directory);

/* Runs plain calls that are for files on it: as blocking() does, or blocking_long(). Task only. */
int device_call(enum device_kind kind, int (*fn)(void *arg), void *arg);

/*
 * Calls for names and files on a device of a known kind: as those of batchproc.h, or on a helper
 * thread where the kind asks for that. Paths may be of any length, and are opened with O_CLOEXEC.
 * Task only.
 */
int device_open(enum device_kind kind, int dirfd, const char *path, int flags);
/*
 * Through no symbolic link, below @dirfd, which is on the device; the path may lead to another one.
 */
int device_open_beneath(enum device_kind kind, int dirfd, const char *path, int flags);
int device_unlink(enum device_kind kind, int dirfd, const char *name, int flags);
ssize_t device_getdents(enum device_kind kind, int fd, void *buf, size_t len);
/* The type and permissions of a name, which is not followed: what the file system says now. */
int device_look_at(enum device_kind kind, int dirfd, const char *name, unsigned int *mode);
/* The same of what it leads to, where it is a symbolic link. */
int device_look_through(enum device_kind kind, int dirfd, const char *name, unsigned int *mode);
/* Its size and its modification time, in nanoseconds since 1970; of a link itself. */
int device_measure(enum device_kind kind, int dirfd, const char *name, bool follows, uint64_t *size,
		   int64_t *mtime_ns);
int device_close(enum device_kind kind, int fd);

#endif
