/* SPDX-License-Identifier: MIT */
/*
 * path: paths taken apart, and opened where one call of the kernel does not do. See path.h.
 *
 * A path of more than PATH_MAX bytes is a legal place in a tree; it only cannot be named at once.
 * It is split at slashes, and each part but the last is opened with O_PATH below the one before.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "batchproc.h"
#include "base/path.h"

const char *path_name(const char *path, size_t *len)
{
	size_t end = strlen(path), start;

	while (end > 1 && path[end - 1] == '/')
		end--;
	for (start = end; start && path[start - 1] != '/'; start--)
		;
	*len = end - start;
	return path + start;
}

/* The slash that ends the longest part which fits, or NULL where a single name is too long. */
static const char *last_slash(const char *path)
{
	return memrchr(path, '/', PATH_MAX - 1);
}

static int open_task(int dirfd, const char *name, int flags)
{
	return bp_openat(dirfd, name, flags, 0);
}

static int open_within_task(int dirfd, const char *path, int flags)
{
	const struct open_how how = {
		.flags = (uint64_t)(unsigned int)flags,
		.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH | RESOLVE_NO_XDEV,
	};
	int fd = bp_openat2(dirfd, path, &how);

	return path_openat2_refused(fd) ? path_open_by_name(dirfd, path, flags, open_task) : fd;
}

static bool is_short(const char *path)
{
	return strnlen(path, PATH_MAX) < PATH_MAX;
}

/* Of a function of its own, so that a short path takes no page of a task's stack. */
static __attribute__((noinline)) int shorten_long(int *dirfd, const char **path, int *opened,
						  path_opener open_part)
{
	char part[PATH_MAX];

	while (!is_short(*path)) {
		const char *slash = last_slash(*path);
		size_t len = slash ? (size_t)(slash - *path) : 0;
		int fd;

		if (!len)
			return -ENAMETOOLONG;
		memcpy(part, *path, len);
		part[len] = '\0';
		fd = open_part(*dirfd, part, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (*opened >= 0)
			close(*opened);
		*opened = -1;
		if (fd < 0)
			return fd;
		*opened = fd;
		*dirfd = fd;
		*path = slash + 1;
		/* An absolute path must not come of several slashes in a row. */
		while (**path == '/')
			(*path)++;
	}
	return 0;
}

static inline int shorten(int *dirfd, const char **path, int *opened, path_opener open_part)
{
	*opened = -1;
	return is_short(*path) ? 0 : shorten_long(dirfd, path, opened, open_part);
}

int path_shorten(int *dirfd, const char **path, int *opened)
{
	return shorten(dirfd, path, opened, open_task);
}

int path_open_parts(int dirfd, const char *path, int flags, path_opener open_part)
{
	int opened, fd = shorten(&dirfd, &path, &opened, open_part);

	if (!fd)
		fd = open_part(dirfd, path, flags | O_CLOEXEC);
	if (opened >= 0)
		close(opened);
	return fd;
}

int path_open(int dirfd, const char *path, int flags)
{
	if (is_short(path))
		return open_task(dirfd, path, flags | O_CLOEXEC);
	return path_open_parts(dirfd, path, flags, open_task);
}

int path_open_within(int dirfd, const char *path, int flags)
{
	return path_open_parts(dirfd, path, flags, open_within_task);
}

/* ---- without openat2() */

bool path_openat2_refused(int err)
{
	return err == -ENOSYS || err == -EPERM;
}

/*
 * One name: what leads on is opened as a directory and no link, the last as asked for. A slash
 * behind it asks for a directory.
 */
static int open_step(int at, const char *path, size_t len, int flags, path_opener open_one)
{
	char name[NAME_MAX + 1];

	if (len > NAME_MAX)
		return -ENAMETOOLONG;
	/* Upwards, or from the root: as RESOLVE_BENEATH has it. */
	if (!len || (len == 2 && !memcmp(path, "..", 2)))
		return *path ? -EXDEV : -ENOENT;
	memcpy(name, path, len);
	name[len] = '\0';
	if (path[len] == '/')
		flags |= O_DIRECTORY;
	return open_one(at, name, flags | O_NOFOLLOW | O_CLOEXEC);
}

int path_open_by_name(int dirfd, const char *path, int flags, path_opener open_one)
{
	int at = dirfd;

	for (;;) {
		size_t len = strcspn(path, "/");
		const char *rest = path + len + strspn(path + len, "/");
		int fd = open_step(at, path, len, *rest ? O_PATH | O_DIRECTORY : flags, open_one);

		if (at != dirfd)
			close(at);
		if (fd < 0 || !*rest)
			return fd;
		at = fd;
		path = rest;
	}
}

void path_split(const char *path, char **parent, char **name)
{
	size_t len;
	const char *last = path_name(path, &len);
	size_t start = (size_t)(last - path);

	*name = xrealloc(NULL, len + 1);
	memcpy(*name, last, len);
	(*name)[len] = '\0';
	*parent = xrealloc(NULL, start + 1);
	memcpy(*parent, path, start);
	while (start > 1 && (*parent)[start - 1] == '/')
		start--;
	(*parent)[start] = '\0';
}
