/* SPDX-License-Identifier: MIT */
/*
 * pool_tree.c - the peer of `batchproc copy -r` and `batchproc rm -r`: a pthread pool that uses
 * blocking calls
 *
 * usage: pool-tree [-t THREADS] copy FROM TO
 *        pool-tree [-t THREADS] rm DIR
 *
 * Regular files and directories only. It is written to be fast, so that the comparison is fair: a
 * directory is one thread's, since two that create or unlink in one wait for each other; names are
 * taken in the order of their inodes, so that those of neighbours are changed one after the other;
 * calls are relative to open directories; data moves within the kernel where both file systems are
 * one, and through a buffer at the start of a page where they are not.
 *
 * A directory is held by itself and by each directory in it. Whoever lets go of it last closes it,
 * and with rm removes it, and so on upwards.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pool.h"

#define BLOCK_BYTES (64u << 10)
#define RANGE_BYTES (1ul << 30) /* of a file, in one call */
#define BUFFER_BYTES (256u << 10)

struct dir {
	struct unit unit; /* first */
	struct dir *parent; /* NULL: it is what the user named */
	_Atomic unsigned int refs;
	int fd;
	int to; /* its copy */
	char name[];
};

/* The names of a directory, one behind the other, and where each begins. */
struct names {
	char *bytes;
	size_t len, room;
	struct entry {
		ino_t ino;
		size_t at;
	} * entries;
	size_t count, entry_room;
};

static bool removes;
static const char *copy_name; /* of the root */

static int fd_of_parent(const struct dir *d)
{
	return d->parent ? d->parent->fd : AT_FDCWD;
}

static void push_dir(struct dir *parent, const char *name)
{
	struct dir *d = must(malloc(sizeof(*d) + strlen(name) + 1));

	d->parent = parent;
	d->refs = 1;
	d->fd = d->to = -1;
	strcpy(d->name, name);
	if (parent)
		atomic_fetch_add(&parent->refs, 1);
	pool_push(&d->unit);
}

static void put_dir(struct dir *d)
{
	struct dir *parent;

	for (; d && atomic_fetch_sub(&d->refs, 1) == 1; d = parent) {
		parent = d->parent;
		if (d->fd >= 0)
			close(d->fd);
		if (d->to >= 0)
			close(d->to);
		if (removes && unlinkat(fd_of_parent(d), d->name, AT_REMOVEDIR))
			complain("", d->name, errno);
		free(d);
	}
}

/* ---------------------------------------------------------------- listing */

static void add_name(struct names *n, const struct dirent64 *e)
{
	size_t len = strlen(e->d_name) + 1;

	if (n->len + len > n->room) {
		n->room = n->room * 2 + BLOCK_BYTES;
		n->bytes = must(realloc(n->bytes, n->room));
	}
	if (n->count == n->entry_room) {
		n->entry_room = n->entry_room * 2 + 1024;
		n->entries = must(realloc(n->entries, n->entry_room * sizeof(*n->entries)));
	}
	n->entries[n->count++] = (struct entry){.ino = e->d_ino, .at = n->len};
	memcpy(n->bytes + n->len, e->d_name, len);
	n->len += len;
}

static int by_inode(const void *a, const void *b)
{
	ino_t x = ((const struct entry *)a)->ino, y = ((const struct entry *)b)->ino;

	return (x > y) - (x < y);
}

static bool is_dir(int fd, const struct dirent64 *e)
{
	struct stat st;

	if (e->d_type != DT_UNKNOWN)
		return e->d_type == DT_DIR;
	return !fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) && S_ISDIR(st.st_mode);
}

/* Its directories go to the pool, its other names to @n, in order. */
static void list(struct dir *d, char *buffer, struct names *n)
{
	const struct dirent64 *e;
	long len, at;

	n->len = n->count = 0;
	while ((len = syscall(SYS_getdents64, d->fd, buffer, BLOCK_BYTES)) > 0) {
		for (at = 0; at < len; at += e->d_reclen) {
			e = (const struct dirent64 *)(buffer + at);
			if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
				continue;
			if (is_dir(d->fd, e))
				push_dir(d, e->d_name);
			else
				add_name(n, e);
		}
	}
	if (len < 0)
		complain(d->name, "", errno);
	if (n->count)
		qsort(n->entries, n->count, sizeof(*n->entries), by_inode);
}

/* ---------------------------------------------------------------- files */

static atomic_bool no_range; /* copy_file_range() does not do it here */

static ssize_t copy_some(int from, int to, char *buffer)
{
	ssize_t n, done = 0, m;

	if (!no_range) {
		n = copy_file_range(from, NULL, to, NULL, RANGE_BYTES, 0);
		if (n >= 0 || errno != EXDEV)
			return n;
		no_range = true;
	}
	n = read(from, buffer, BUFFER_BYTES);
	while (done < n) {
		m = write(to, buffer + done, (size_t)(n - done));
		if (m < 0)
			return -1;
		done += m;
	}
	return n;
}

static int copy_data(int from, int to, off_t size, char *buffer)
{
	ssize_t n = 1;

	/* One that has become shorter is not waited for. */
	for (; size > 0 && n > 0; size -= n)
		n = copy_some(from, to, buffer);
	return n < 0 ? -1 : 0;
}

static void copy_file(const struct dir *d, const char *name, char *buffer)
{
	struct stat st;
	int from, to = -1;

	from = openat(d->fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (from >= 0 && !fstat(from, &st))
		to = openat(d->to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
			    st.st_mode & 0777);
	if (to < 0 || copy_data(from, to, st.st_size, buffer))
		complain(d->name, name, errno);
	if (to >= 0 && close(to))
		complain(d->name, name, errno);
	if (from >= 0)
		close(from);
}

static int open_copy(const struct dir *d)
{
	int at = d->parent ? d->parent->to : AT_FDCWD;
	const char *name = d->parent ? d->name : copy_name;

	if (mkdirat(at, name, 0755))
		return -1;
	return openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

static void do_dir(struct dir *d, char *buffer, struct names *n)
{
	size_t i;

	d->fd = openat(fd_of_parent(d), d->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (d->fd >= 0 && !removes)
		d->to = open_copy(d);
	if (d->fd < 0 || (!removes && d->to < 0)) {
		complain(d->name, "", errno);
		return;
	}
	list(d, buffer, n);
	for (i = 0; i < n->count; i++) {
		const char *name = n->bytes + n->entries[i].at;

		if (!removes)
			copy_file(d, name, buffer);
		else if (unlinkat(d->fd, name, 0))
			complain(d->name, name, errno);
	}
}

static void *work(void *arg)
{
	char *buffer = must(aligned_alloc(4096, BUFFER_BYTES));
	struct names names = {0};
	struct unit *u;

	(void)arg;
	for (u = pool_pop(false); u; u = pool_pop(true)) {
		struct dir *d = (struct dir *)u;

		do_dir(d, buffer, &names);
		put_dir(d);
	}
	free(names.entries);
	free(names.bytes);
	free(buffer);
	return NULL;
}

/* A wide tree has many directories open that wait for what is in them. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv)
{
	unsigned int threads = pool_threads(argc, argv);
	char **args = argv + optind;
	int count = argc - optind;

	removes = count == 2 && !strcmp(args[0], "rm");
	if (!threads || (!removes && (count != 3 || strcmp(args[0], "copy")))) {
		fprintf(stderr, "usage: pool-tree [-t THREADS] copy FROM TO\n"
				"       pool-tree [-t THREADS] rm DIR\n");
		return 2;
	}
	copy_name = removes ? NULL : args[2];
	raise_descriptor_limit();
	push_dir(NULL, args[1]);
	pool_run(threads, work);
	return complained();
}
