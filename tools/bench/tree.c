/* SPDX-License-Identifier: MIT */
/*
 * tree.c - makes, warms and removes the trees of files that rows work on
 *
 * A tree lives in a directory of its own from mkdtemp(), on a disk: on tmpfs reads through a ring
 * go to kernel workers, and a figure from there says nothing about files.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "bench.h"

const char *fs_name(const char *path)
{
	static char number[32];
	struct statfs st;

	if (statfs(path, &st))
		return "?";
	switch ((unsigned long)st.f_type) {
	case EXT4_SUPER_MAGIC:
		return "ext4";
	case XFS_SUPER_MAGIC:
		return "xfs";
	case BTRFS_SUPER_MAGIC:
		return "btrfs";
	case F2FS_SUPER_MAGIC:
		return "f2fs";
	case OVERLAYFS_SUPER_MAGIC:
		return "overlay";
	case TMPFS_MAGIC:
		return "tmpfs";
	case RAMFS_MAGIC:
		return "ramfs";
	}
	snprintf(number, sizeof(number), "fs-0x%lx", (unsigned long)st.f_type);
	return number;
}

static bool on_disk(const char *path)
{
	const char *fs = fs_name(path);

	return strcmp(fs, "tmpfs") && strcmp(fs, "ramfs") && strcmp(fs, "?");
}

/* The first directory that is writable and on a disk; --smoke measures nothing, so any will do. */
const char *find_place(const struct bench *b)
{
	const char *places[] = {b->dir, getenv("TMPDIR"), "/var/tmp", "/tmp", "."};
	size_t i;

	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		if (!places[i])
			continue;
		if (!access(places[i], W_OK) && (b->smoke || on_disk(places[i])))
			return places[i];
		if (places[i] == b->dir)
			return NULL; /* asked for by name: no substitute */
	}
	return NULL;
}

#define PIECE (1ul << 20)

/* Contents differ from file to file, and from piece to piece, so that no digest is ever the same. */
static void fill(char *data, size_t size, uint64_t seed)
{
	uint64_t x = seed * 0x9e3779b97f4a7c15u + 1;
	size_t i;

	for (i = 0; i < size; i += sizeof(x)) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		memcpy(data + i, &x, size - i < sizeof(x) ? size - i : sizeof(x));
	}
}

static int write_file(int dirfd, const char *name, char *data, size_t size, uint64_t seed)
{
	int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644), err = 0;
	size_t at, len;

	if (fd < 0)
		return -errno;
	for (at = 0; at < size && !err; at += len) {
		ssize_t n;

		len = size - at < PIECE ? size - at : PIECE;
		fill(data, len, seed + (at / PIECE << 32));
		n = interrupted() ? 0 : write(fd, data, len);
		if (n != (ssize_t)len)
			err = n < 0 ? -errno : interrupted() ? -EINTR : -EIO;
	}
	if (close(fd) && !err)
		err = -errno;
	return err;
}

static int fill_dir(const struct tree *t, unsigned int dir, unsigned int files, char *data)
{
	char path[sizeof(t->root) + 32];
	unsigned int i;
	int fd, err = 0;

	snprintf(path, sizeof(path), "%s/d%03u", t->root, dir);
	if (mkdir(path, 0755))
		return -errno;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	for (i = 0; i < files && !err; i++) {
		char name[32];

		snprintf(name, sizeof(name), "f%05u", i);
		err = write_file(fd, name, data, t->file_size, (uint64_t)dir * files + i);
	}
	close(fd);
	return err;
}

static int sync_tree(const struct tree *t)
{
	int fd = open(t->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err;

	if (fd < 0)
		return -errno;
	err = syncfs(fd) ? -errno : 0;
	close(fd);
	return err;
}

int tree_create(struct tree *t, const struct bench *b, unsigned int files,
		unsigned int files_per_dir, size_t file_size)
{
	unsigned int i, per_dir = files < files_per_dir ? files : files_per_dir;
	const char *place = find_place(b);
	char *data;
	int err = 0;

	if (!place)
		return -ENODEV; /* no directory on a disk */
	snprintf(t->root, sizeof(t->root), "%s/batchproc-bench.XXXXXX", place);
	snprintf(t->fs, sizeof(t->fs), "%s", fs_name(place));
	t->files_per_dir = per_dir;
	t->dirs = files / per_dir;
	t->file_size = file_size;
	data = malloc(file_size < PIECE ? file_size : PIECE);
	if (!data)
		return -ENOMEM;
	if (!mkdtemp(t->root)) {
		err = -errno;
		free(data);
		t->root[0] = '\0';
		return err;
	}
	for (i = 0; i < t->dirs && !err; i++)
		err = interrupted() ? -EINTR : fill_dir(t, i, per_dir, data);
	free(data);
	if (!err)
		err = sync_tree(t);
	if (err)
		tree_remove(t);
	return err;
}

static int read_whole(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	char buf[65536];
	int fd;

	(void)st;
	(void)ftw;
	if (type != FTW_F)
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	while (read(fd, buf, sizeof(buf)) > 0)
		;
	close(fd);
	return 0;
}

int tree_warm(const struct tree *t)
{
	return nftw(t->root, read_whole, 32, FTW_PHYS) ? -EIO : 0;
}

/* What nftw() has found in a copy. */
static struct {
	const char *original, *copy;
	unsigned long files;
	bool differs;
} found;

static bool same_contents(int a, int b)
{
	static char one[65536], other[65536];
	ssize_t n;

	do {
		n = read(a, one, sizeof(one));
		if (n < 0 || read(b, other, sizeof(other)) != n || memcmp(one, other, (size_t)n))
			return false;
	} while (n);
	return true;
}

static int compare_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	char original[4096 + 256];
	int a, b;

	(void)st;
	(void)ftw;
	if (type != FTW_F)
		return 0;
	snprintf(original, sizeof(original), "%s%s", found.original, path + strlen(found.copy));
	a = open(original, O_RDONLY | O_CLOEXEC);
	b = open(path, O_RDONLY | O_CLOEXEC);
	found.files++;
	found.differs |= a < 0 || b < 0 || !same_contents(a, b);
	if (a >= 0)
		close(a);
	if (b >= 0)
		close(b);
	return found.differs;
}

bool tree_is_copied(const struct tree *t, const char *path)
{
	found.original = t->root;
	found.copy = path;
	found.files = 0;
	found.differs = false;
	return !nftw(path, compare_one, 32, FTW_PHYS) && !found.differs &&
	       found.files == (unsigned long)t->dirs * t->files_per_dir;
}

int tree_drop_caches(const struct tree *t)
{
	int fd, err;

	err = sync_tree(t);
	if (err)
		return err;
	fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	/* 3: pages, and the dentries and inodes without which an open would still be cached. */
	err = write(fd, "3", 1) == 1 ? 0 : -errno;
	close(fd);
	return err;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void tree_remove(struct tree *t)
{
	if (t->root[0])
		nftw(t->root, remove_one, 32, FTW_PHYS | FTW_DEPTH);
	t->root[0] = '\0';
}
