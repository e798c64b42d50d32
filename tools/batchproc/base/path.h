/* SPDX-License-Identifier: MIT */
/*
 * path: paths taken apart, and opened where one call of the kernel does not do: they may be longer
 * than it takes, and openat2() may be refused. The openers are for tasks only.
 */
#ifndef BATCHPROC_PATH_H
#define BATCHPROC_PATH_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The last name of a path, which slashes behind it do not belong to: *@len bytes, none for "/". What
 * stands before it, with its slashes, is the directory that it is in.
 */
const char *path_name(const char *path, size_t *len);

/*
 * Steps down a path until the rest of it is short enough for one call: @dirfd and @path are
 * changed to a directory and what remains. Returns 0 or -errno; *@opened is a descriptor that the
 * caller closes after use, -1 for none.
 */
int path_shorten(int *dirfd, const char **path, int *opened);

/* As openat(), however long the path is. Return: the descriptor or -errno. */
int path_open(int dirfd, const char *path, int flags);

/* The same below @dirfd and through no symbolic link, wherever the path leads. */
int path_open_beneath(int dirfd, const char *path, int flags);

/* Whether openat2() failed because it is not to be had: an old filter, which knows openat() alone. */
bool path_openat2_refused(int err);

/* What path_open_beneath() does then: name by name, each opened by @open_one, which takes O_x. */
int path_open_by_name(int dirfd, const char *path, int flags,
		      int (*open_one)(int dirfd, const char *name, int flags));

#endif
