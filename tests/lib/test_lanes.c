/* SPDX-License-Identifier: MIT */
/*
 * Lanes: whichever lane the table gives an operation, the task sees the same results. The table is
 * changed here between runs, which nothing else does.
 */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lane.h"

static char path[PATH_MAX], second[PATH_MAX + 2];

struct seen {
	int open_missing, read, read_end, read_bad, statx_path, statx_fd, statx_missing, close;
	int close_bad, unlink, unlink_missing;
	uint64_t size_path, size_fd;
	char data[8];
};

/* One of each operation on a file of five bytes, good and bad. */
static int use_file(void *arg)
{
	struct seen *seen = arg;
	struct statx stx;
	int fd = bp_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);

	if (fd < 0)
		return fd;
	seen->open_missing = bp_openat(fd, "no such file", O_RDONLY, 0);
	seen->read = (int)bp_read(fd, seen->data, sizeof(seen->data), 0);
	seen->read_end = (int)bp_read(fd, seen->data, sizeof(seen->data), 5);
	seen->read_bad = (int)bp_read(-1, seen->data, sizeof(seen->data), 0);
	seen->statx_path = bp_statx(AT_FDCWD, path, 0, STATX_SIZE, &stx);
	seen->size_path = stx.stx_size;
	seen->statx_fd = bp_statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_SIZE, &stx);
	seen->size_fd = stx.stx_size;
	seen->statx_missing = bp_statx(AT_FDCWD, "/no/such/file", 0, STATX_SIZE, &stx);
	seen->close = bp_close(fd);
	seen->close_bad = bp_close(fd);
	seen->unlink = bp_unlinkat(AT_FDCWD, second, 0);
	seen->unlink_missing = bp_unlinkat(AT_FDCWD, second, 0);
	return 0;
}

static int run(struct bp_engine *engine, bp_task_fn fn, void *arg)
{
	struct bp_group *group;
	int err;

	assert_int_equal(bp_group_create(&group, engine, NULL), 0);
	assert_int_equal(bp_go(group, fn, arg), 0);
	err = bp_wait(group);
	bp_group_destroy(group);
	return err;
}

static struct bp_engine *engine_or_skip(void)
{
	struct bp_engine *engine;
	int err = bp_engine_create(&engine, &BP_ENGINE_OPTS(.backend = BP_BACKEND_URING));

	if (err) {
		print_message("io_uring is not to be had here: %s\n", strerror(-err));
		skip();
	}
	return engine;
}

static void every_lane_gives_the_same_results(void **state)
{
	struct bp_engine *engine = engine_or_skip();
	enum lane saved[LANE_OPS];
	int lane, op;

	(void)state;
	memcpy(saved, lane_table, sizeof(saved));
	for (lane = LANE_RING; lane <= LANE_POOL; lane++) {
		struct seen seen = {0};

		for (op = 0; op < LANE_OPS; op++)
			lane_table[op] = (enum lane)lane;
		assert_int_equal(link(path, second), 0);
		assert_int_equal(run(engine, use_file, &seen), 0);
		assert_int_equal(seen.open_missing, -ENOTDIR);
		assert_int_equal(seen.read, 5);
		assert_memory_equal(seen.data, "lanes", 5);
		assert_int_equal(seen.read_end, 0);
		assert_int_equal(seen.read_bad, -EBADF);
		assert_int_equal(seen.statx_path, 0);
		assert_int_equal(seen.size_path, 5);
		assert_int_equal(seen.statx_fd, 0);
		assert_int_equal(seen.size_fd, 5);
		assert_int_equal(seen.statx_missing, -ENOENT);
		assert_int_equal(seen.close, 0);
		assert_int_equal(seen.close_bad, -EBADF);
		assert_int_equal(seen.unlink, 0);
		assert_int_equal(seen.unlink_missing, -ENOENT);
	}
	memcpy(lane_table, saved, sizeof(saved));
	bp_engine_destroy(engine);
}

/* Calls that never suspend by themselves: a sibling gets its turn all the same. */
static bool sibling_ran;

static int set_flag(void *arg)
{
	*(bool *)arg = true;
	return 0;
}

static int stat_until_sibling_ran(void *arg)
{
	struct bp_group *group = arg;
	struct statx stx;
	int fd = open(path, O_RDONLY | O_CLOEXEC), err = 0, i;

	assert_int_equal(bp_go(group, set_flag, &sibling_ran), 0);
	for (i = 0; i < 1000 && !sibling_ran && !err; i++)
		err = bp_statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_SIZE, &stx);
	close(fd);
	return sibling_ran ? 0 : -ETIME;
}

static void inline_calls_leave_a_turn_to_others(void **state)
{
	struct bp_engine *engine = engine_or_skip();
	struct bp_group *group;

	(void)state;
	sibling_ran = false;
	assert_int_equal(bp_group_create(&group, engine, NULL), 0);
	assert_int_equal(bp_go(group, stat_until_sibling_ran, group), 0);
	assert_int_equal(bp_wait(group), 0);
	bp_group_destroy(group);
	bp_engine_destroy(engine);
}

static int make_file(void **state)
{
	const char *base = getenv("TMPDIR");
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/bp-lanes-XXXXXX", base && *base ? base : "/tmp");
	fd = mkstemp(path);
	snprintf(second, sizeof(second), "%s-2", path);
	return fd < 0 || write(fd, "lanes", 5) != 5 || close(fd);
}

static int remove_file(void **state)
{
	(void)state;
	return unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_lane_gives_the_same_results),
		cmocka_unit_test(inline_calls_leave_a_turn_to_others),
	};

	return cmocka_run_group_tests(tests, make_file, remove_file);
}
