/* SPDX-License-Identifier: MIT */
/*
 * paths: names that are longer than the kernel takes in one call.
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

#include "batchproc.h"
#include "base/path.h"

/* The slash that ends the longest part which fits, or NULL where a single name is too long. */
static const char *last_slash(const char *path)
{
	return memrchr(path, '/', PATH_MAX - 1);
}

int path_shorten(int *dirfd, const char **path, uint64_t resolve, int *opened)
{
	const struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC, .resolve = resolve};
	char part[PATH_MAX];

	*opened = -1;
	while (strnlen(*path, PATH_MAX) == PATH_MAX) {
		const char *slash = last_slash(*path);
		size_t len = slash ? (size_t)(slash - *path) : 0;
		int fd;

		if (!len)
			return -ENAMETOOLONG;
		memcpy(part, *path, len);
		part[len] = '\0';
		fd = bp_openat2(*dirfd, part, &how);
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
