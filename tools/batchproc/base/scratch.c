/* SPDX-License-Identifier: MIT */
/*
 * scratch: files without a name, for tables that are too large for memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/path.h"
#include "base/scratch.h"

static int file_in(const char *dir, size_t len)
{
	struct buf path = {0};
	int fd;

	buf_add(&path, dir, len);
	buf_str(&path, len ? "/" : "./");
	buf_char(&path, '\0');
	fd = open(path.data, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0) {
		/* Not every file system makes files without names. */
		path.len--;
		buf_str(&path, "batchproc.XXXXXX");
		buf_char(&path, '\0');
		fd = mkostemp(path.data, O_CLOEXEC);
		if (fd >= 0)
			unlink(path.data);
	}
	fd = fd < 0 ? -errno : fd;
	buf_free(&path);
	return fd;
}

int scratch_file(const char *beside)
{
	const char *dir = getenv("TMPDIR");
	size_t len;
	int fd = beside ? file_in(beside, (size_t)(path_name(beside, &len) - beside)) : -1;

	if (fd >= 0)
		return fd;
	dir = dir && *dir ? dir : "/tmp";
	return file_in(dir, strlen(dir));
}
