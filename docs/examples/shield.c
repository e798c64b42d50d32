/* SPDX-License-Identifier: MIT */
/*
 * shield.c - finishing what must be finished although the group was cancelled
 *
 * A task writes a file. The cancel comes while it is at work; every further operation gives
 * -ECANCELED, but between bp_shield_begin() and bp_shield_end() it can still remove what it has
 * half written.
 */
#include "example.h"

static char path[] = "/tmp/batchproc-shield.XXXXXX";
static bool writing;

static int write_slowly(void *arg)
{
	ssize_t res;
	int fd, i;

	(void)arg;
	fd = bp_openat(AT_FDCWD, path, O_WRONLY | O_TRUNC | O_CLOEXEC, 0);
	if (fd < 0)
		return fd;
	for (i = 0, res = 0; i < 10000 && res >= 0; i++) {
		res = bp_write(fd, "half a line\n", 12, -1);
		if (res >= 0)
			res = bp_sleep(MS);
		writing = true;
	}
	bp_close(fd);
	if (res < 0) {
		CHECK(bp_unlinkat(AT_FDCWD, path, 0) == -ECANCELED); /* outside: refused */
		bp_shield_begin();
		CHECK(!bp_unlinkat(AT_FDCWD, path, 0));
		bp_shield_end();
	}
	return (int)res;
}

static int cancel_it(void *arg)
{
	while (!writing)
		bp_sleep(MS);
	bp_cancel(arg, -EINTR);
	return 0;
}

int main(void)
{
	struct bp_engine *engine;
	struct bp_group *group;
	int fd = mkstemp(path);

	CHECK(fd >= 0 && !close(fd));
	CHECK(!bp_engine_create(&engine, NULL));
	CHECK(!bp_group_create(&group, engine, NULL));
	CHECK(!bp_go(group, write_slowly, NULL));
	CHECK(!bp_go(group, cancel_it, group));
	CHECK(bp_wait(group) == -EINTR);
	CHECK(access(path, F_OK) < 0 && errno == ENOENT);
	printf("cancelled, and nothing half written is left\n");
	bp_group_destroy(group);
	bp_engine_destroy(engine);
	return 0;
}
