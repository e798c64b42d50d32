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
 * The last name of a path, which slashes behind it do not belong to: *@len bytes, none for "/".
 * What stands before it, with its slashes, is the directory that it is in.
 */
const char *path_name(const char *path, size_t *len);

/*
 * Takes a path apart: the name in it, and the directory that this is in, as the path has it. Both
 * are the caller's to free.
 */
void path_split(const char *path, char **parent, char **name);

/* Opens what a path names, as openat() without a mode; the descriptor or -errno. */
typedef int (*path_opener)(int dirfd, const char *path, int flags);

/*
 * Steps down a path until the rest of it is short enough for one call: @dirfd and @path are
 * changed to a directory and what remains. Returns 0 or -errno; *@opened is a descriptor that the
 * caller closes after use, -1 for none.
 */
int path_shorten(int *dirfd, const char **path, int *opened);

/* As openat(), however long the path is. Return: the descriptor or -errno. */
int path_open(int dirfd, const char *path, int flags);

/*
 * The same below @dirfd, through no symbolic link, and into nothing that is mounted there: -EXDEV.
 * (Without openat2() what is mounted is not told from the rest.)
 */
int path_open_within(int dirfd, const char *path, int flags);

/*
 * Whether openat2() failed because it is not to be had: an old filter, which knows openat() alone.
 */
bool path_openat2_refused(int err);

/* What can be done instead: name by name, below @dirfd and through no link. */
int path_open_by_name(int dirfd, const char *path, int flags, path_opener open_one);

/* Opens a path by parts that are short enough for @open_part; always with O_CLOEXEC. */
int path_open_parts(int dirfd, const char *path, int flags, path_opener open_part);

#endif
