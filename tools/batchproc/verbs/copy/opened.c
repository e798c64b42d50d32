/* SPDX-License-Identifier: MIT */
/*
 * opened: destinations that are what this process has open already, by whatever name. Main thread.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/path.h"
#include "verbs/copy/copy.h"

#define LINKS_MOST 40 /* as the kernel has it */

/* With a slash at its end it is what the link leads to. */
bool copy_names_link(const char *path)
{
	struct stat st;

	return !lstat(path, &st) && S_ISLNK(st.st_mode);
}

/* The number of a descriptor of this process that is open, or -1. */
static int fd_number(const char *number)
{
	unsigned long fd;
	char *end;

	if (*number < '0' || *number > '9')
		return -1;
	fd = strtoul(number, &end, 10);
	return !*end && fd <= INT_MAX && fcntl((int)fd, F_GETFD) >= 0 ? (int)fd : -1;
}

/* Whether a directory lists what this process has open: /proc/self/fd, by whatever name. */
static bool lists_open(const char *dir)
{
	char *self = realpath("/proc/self", NULL), *real = realpath(*dir ? dir : ".", NULL);
	const size_t len = self ? strlen(self) : 0, all = real ? strlen(real) : 0;
	const bool is = len && all >= len + 3 && !strncmp(real, self, len) && real[len] == '/' &&
			!strcmp(real + all - 3, "/fd");

	free(self);
	free(real);
	return is;
}

/* One link on the way to what @path is a name for; NULL: there is none. Frees @path. */
static char *follow_link(char *path, const char *dir)
{
	struct buf next = {0};
	char to[PATH_MAX];
	const ssize_t len = readlink(path, to, sizeof(to));

	free(path);
	if (len <= 0 || len == sizeof(to))
		return NULL;
	if (to[0] != '/' && *dir) {
		buf_str(&next, dir);
		buf_char(&next, '/');
	}
	buf_add(&next, to, (size_t)len);
	buf_char(&next, '\0');
	return next.data;
}

/*
 * /dev/stdout and its like, and links to them: what is open is not to be replaced, but written to
 * where it stands.
 */
int copy_fd_called(const char *path)
{
	char *at, *dir, *name;
	int fd = -1;

	/* Also where /proc is not mounted. */
	if (!strcmp(path, "/dev/stdout"))
		return STDOUT_FILENO;
	if (!strcmp(path, "/dev/stderr"))
		return STDERR_FILENO;
	at = copy_names_link(path) ? xstrdup(path) : NULL;
	for (int links = 0; at && fd < 0 && links < LINKS_MOST; links++) {
		path_split(at, &dir, &name);
		fd = fd_number(name);
		if (fd >= 0 && !lists_open(dir))
			fd = -1;
		at = follow_link(at, dir);
		free(dir);
		free(name);
	}
	free(at);
	return fd;
}
