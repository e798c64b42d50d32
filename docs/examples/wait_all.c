/* SPDX-License-Identifier: MIT */
/*
 * wait_all.c - errors do not stop the others: sync.WaitGroup, or a zero errgroup.Group
 *
 * With stop_after_failures = 0 every item runs to its end. bp_wait() still gives the first
 * failure, and the report callback sees each one, with its argument.
 */
#include "example.h"

struct file {
	const char *path;
	int result;
};

static int open_and_close(void *arg)
{
	const struct file *f = arg;
	int fd = bp_openat(AT_FDCWD, f->path, O_RDONLY | O_CLOEXEC, 0);

	return fd < 0 ? fd : bp_close(fd);
}

static void note(void *ctx, void *arg, enum bp_end end, int result)
{
	int *reports = ctx;
	struct file *f = arg;

	(void)end;
	f->result = result;
	(*reports)++;
}

int main(void)
{
	struct file files[] = {
		{.path = "/proc/self/status"},
		{.path = "/nosuch/one"},
		{.path = "/"},
		{.path = "/proc/self/status/not-a-directory"},
		{.path = "/proc/self/maps"},
	};
	const int n = sizeof(files) / sizeof(files[0]);
	struct bp_group_stats stats = {.sz = sizeof(stats)};
	struct bp_engine *engine;
	struct bp_group *group;
	int i, reports = 0, err;

	CHECK(!bp_engine_create(&engine, NULL));
	CHECK(!bp_group_create(&group, engine,
			       &BP_GROUP_OPTS(.stop_after_failures = 0, .report = note,
					      .report_arg = &reports)));
	for (i = 0; i < n; i++)
		CHECK(!bp_go(group, open_and_close, &files[i]));
	err = bp_wait(group);
	for (i = 0; i < n; i++)
		printf("%-36s %s\n", files[i].path, strerror(-files[i].result));

	bp_group_stats(group, &stats);
	CHECK(reports == n);
	CHECK(err == -ENOENT || err == -ENOTDIR); /* whichever failed first */
	CHECK(files[1].result == -ENOENT && files[3].result == -ENOTDIR);
	CHECK(stats.succeeded == 3 && stats.failed == 2 && stats.stopped == 0);
	bp_group_destroy(group);
	bp_engine_destroy(engine);
	return 0;
}
