/* SPDX-License-Identifier: MIT */
/*
 * count.c - the bytes of files, all of them at once: the first program of README.md
 */
#include <batchproc.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static int count_bytes(void *path) /* a task: reads as if the calls blocked */
{
	char buf[16384];
	long sum = 0;
	ssize_t n;
	int fd = bp_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);

	if (fd < 0 && fd != -ECANCELED)
		fprintf(stderr, "%s: %s\n", (char *)path, strerror(-fd));
	if (fd < 0)
		return fd; /* negative: failed, and all others are cancelled */
	while ((n = bp_read(fd, buf, sizeof(buf), -1)) > 0)
		sum += n;
	bp_close(fd);
	if (n == 0)
		printf("%10ld %s\n", sum, (char *)path);
	return (int)n;
}

int main(int argc, char **argv)
{
	struct bp_engine *engine;
	struct bp_group *group;
	int i, err;

	err = bp_engine_create(&engine, NULL);
	if (err)
		goto out;
	err = bp_group_create(&group, engine, &BP_GROUP_OPTS(.limit = 64));
	for (i = 1; i < argc && !err; i++)
		err = bp_go(group, count_bytes, argv[i]); /* waits while 64 run */
	if (group && err)
		bp_cancel(group, err);
	if (group)
		err = bp_wait(group); /* the first failure, when all have ended */
	bp_group_destroy(group);
	bp_engine_destroy(engine);
out:
	if (err)
		fprintf(stderr, "%s: %s\n", argv[0], strerror(-err));
	return err != 0;
}
