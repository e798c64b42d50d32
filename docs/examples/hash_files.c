/* SPDX-License-Identifier: MIT */
/*
 * hash_files.c - checksums of files, many at once: straight-line code with goto for clean-up
 *
 * usage: hash_files FILE...
 *
 * Without arguments it hashes itself twice and compares. The checksum is FNV-1a, so that the
 * example needs no other library; `batchproc hash` is the tool for real digests.
 */
#include <inttypes.h>

#include "example.h"

struct file {
	const char *path;
	uint64_t hash;
	uint64_t bytes;
};

static int hash_file(void *arg)
{
	struct file *f = arg;
	const size_t size = 128 << 10;
	unsigned char *buf;
	ssize_t res, i;
	int fd;

	fd = bp_openat(AT_FDCWD, f->path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return fd;
	buf = malloc(size); /* not on the stack: a task's stack is small */
	res = -ENOMEM;
	if (!buf)
		goto out;
	f->hash = 0xcbf29ce484222325u;
	while ((res = bp_read(fd, buf, size, (off_t)f->bytes)) > 0) {
		for (i = 0; i < res; i++)
			f->hash = (f->hash ^ buf[i]) * 0x100000001b3u;
		f->bytes += (uint64_t)res;
	}
out:
	free(buf);
	bp_close(fd); /* works after a cancel too, so nothing leaks */
	return (int)res;
}

static int hash_all(struct file *files, int n)
{
	struct bp_engine *engine;
	struct bp_group *group;
	int i, err;

	err = bp_engine_create(&engine, NULL);
	if (err)
		return err;
	err = bp_group_create(&group, engine, &BP_GROUP_OPTS(.limit = 64));
	if (err)
		goto out;
	for (i = 0; i < n && !err; i++)
		err = bp_go(group, hash_file, &files[i]);
	if (err)
		bp_cancel(group, err);
	err = bp_wait(group);
	bp_group_destroy(group);
out:
	bp_engine_destroy(engine);
	return err;
}

int main(int argc, char **argv)
{
	char *self[] = {argv[0], "/proc/self/exe", "/proc/self/exe"};
	struct file *files;
	int i, n, err;

	if (argc == 1) {
		argv = self;
		argc = 3;
	}
	n = argc - 1;
	files = calloc((size_t)n, sizeof(*files));
	CHECK(files);
	for (i = 0; i < n; i++)
		files[i].path = argv[i + 1];
	err = hash_all(files, n);
	for (i = 0; i < n && !err; i++)
		printf("%016" PRIx64 "  %s\n", files[i].hash, files[i].path);
	if (argv == self)
		CHECK(!err && files[0].bytes && files[0].hash == files[1].hash);
	if (err)
		fprintf(stderr, "hash_files: %s\n", strerror(-err));
	free(files);
	return err ? 1 : 0;
}
