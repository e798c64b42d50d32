/* SPDX-License-Identifier: MIT */
/*
 * test_arguments - what is missing from a call is an error or one clear line, never a crash
 */
#include <linux/openat2.h>

#include "support/harness.h"

static struct bp_group *the_group;

static int nothing(void *unused)
{
	(void)unused;
	return 0;
}

static void without_a_function_nothing_is_added(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = 2);
	struct bp_op neither = BP_OP_INIT(NULL, NULL);
	struct nop_op half;
	int arg = 1;

	nop_op_init(&half, 0, NULL);
	half.op.done = NULL;
	expect_eq(bp_go(g, NULL, &arg), -EINVAL);
	expect_eq(bp_try_go(g, NULL, &arg), -EINVAL);
	expect_eq(bp_go_copy(g, NULL, &arg, sizeof(arg)), -EINVAL);
	expect_eq(bp_try_go_copy(g, NULL, &arg, sizeof(arg)), -EINVAL);
	expect_eq(bp_go_copy(g, nothing, NULL, 1), -EINVAL);
	expect_eq(bp_try_go_copy(g, nothing, NULL, 1), -EINVAL);
	expect_eq(bp_go_op(g, NULL), -EINVAL);
	expect_eq(bp_try_go_op(g, NULL), -EINVAL);
	expect_eq(bp_go_op(g, &neither), -EINVAL);
	expect_eq(bp_go_op(g, &half.op), -EINVAL);
	/* No bytes need no place where they are. */
	expect_eq(bp_go_copy(g, nothing, NULL, 0), 0);
	expect_eq(bp_wait(g), 0);
	expect_eq(stats_of(g).accepted, 1);
	expect_balanced(g);
	bp_group_destroy(g);
}

static void without_a_place_nothing_is_made(struct test *t)
{
	size_t no_size = 0, garbage = SIZE_MAX / 2;
	struct bp_engine_opts engine_opts = BP_ENGINE_OPTS();
	struct bp_group_opts group_opts = BP_GROUP_OPTS();
	struct bp_engine *engine = NULL;
	struct bp_group *g = NULL;

	engine_with(t, .depth = 0);
	expect_eq(bp_engine_create(NULL, NULL), -EINVAL);
	expect_eq(bp_group_create(NULL, t->engine, NULL), -EINVAL);
	/* A struct that was not made by its macro has any size. */
	for (int i = 0; i < 2; i++) {
		engine_opts.sz = group_opts.sz = i ? garbage : no_size;
		expect_eq(bp_engine_create(&engine, &engine_opts), -EINVAL);
		expect_eq(bp_group_create(&g, t->engine, &group_opts), -EINVAL);
	}
	bp_engine_destroy(NULL);
	bp_group_destroy(NULL);
}

/* ---------------------------------------------------------------- one line */

static int group_of_nothing(void *unused)
{
	struct bp_group *g;

	(void)unused;
	return bp_group_create(&g, NULL, NULL);
}

static int info_of_nothing(void *unused)
{
	(void)unused;
	return bp_engine_info(NULL) != NULL;
}

static int now_of_nothing(void *unused)
{
	(void)unused;
	return bp_now(NULL) != 0;
}

static int go_nowhere(void *unused)
{
	return bp_go(NULL, nothing, unused);
}

static int try_go_nowhere(void *unused)
{
	return bp_try_go(NULL, nothing, unused);
}

static int go_copy_nowhere(void *unused)
{
	return bp_go_copy(NULL, nothing, &unused, sizeof(unused));
}

static int try_go_copy_nowhere(void *unused)
{
	return bp_try_go_copy(NULL, nothing, &unused, sizeof(unused));
}

static int go_op_nowhere(void *unused)
{
	struct nop_op op;

	(void)unused;
	nop_op_init(&op, 0, NULL);
	return bp_go_op(NULL, &op.op);
}

static int try_go_op_nowhere(void *unused)
{
	struct nop_op op;

	(void)unused;
	nop_op_init(&op, 0, NULL);
	return bp_try_go_op(NULL, &op.op);
}

static int limit_of_nothing(void *unused)
{
	(void)unused;
	return bp_group_set_limit(NULL, 1);
}

static int cancel_nothing(void *unused)
{
	(void)unused;
	bp_cancel(NULL, 0);
	return 0;
}

static int wait_for_nothing(void *unused)
{
	(void)unused;
	return bp_wait(NULL);
}

static int wait_until_nothing(void *unused)
{
	(void)unused;
	return bp_wait_until(NULL, 1);
}

static int stats_of_nothing(void *unused)
{
	struct bp_group_stats st = {.sz = sizeof(st)};

	(void)unused;
	bp_group_stats(NULL, &st);
	return 0;
}

static int stats_to_nowhere(void *t)
{
	bp_group_stats(group_with((struct test *)t, .limit = 1), NULL);
	return 0;
}

static int winner_of_nothing(void *unused)
{
	(void)unused;
	return bp_group_winner(NULL) != NULL;
}

static void what_is_nothing_ends_with_one_line(struct test *t)
{
	expect_abort(group_of_nothing, t, "bp_group_create: the engine is NULL");
	expect_abort(info_of_nothing, t, "bp_engine_info: the engine is NULL");
	expect_abort(now_of_nothing, t, "bp_now: the engine is NULL");
	expect_abort(go_nowhere, t, "bp_go: the group is NULL");
	expect_abort(try_go_nowhere, t, "bp_try_go: the group is NULL");
	expect_abort(go_copy_nowhere, t, "bp_go_copy: the group is NULL");
	expect_abort(try_go_copy_nowhere, t, "bp_try_go_copy: the group is NULL");
	expect_abort(go_op_nowhere, t, "bp_go_op: the group is NULL");
	expect_abort(try_go_op_nowhere, t, "bp_try_go_op: the group is NULL");
	expect_abort(limit_of_nothing, t, "bp_group_set_limit: the group is NULL");
	expect_abort(cancel_nothing, t, "bp_cancel: the group is NULL");
	expect_abort(wait_for_nothing, t, "bp_wait: the group is NULL");
	expect_abort(wait_until_nothing, t, "bp_wait_until: the group is NULL");
	expect_abort(stats_of_nothing, t, "bp_group_stats: the group is NULL");
	expect_abort(stats_to_nowhere, t, "bp_group_stats: the place for the statistics is NULL");
	expect_abort(winner_of_nothing, t, "bp_group_winner: the group is NULL");
}

/* ---------------------------------------------------------------- inside a task */

static int begins_no_scope(void *unused)
{
	(void)unused;
	bp_timeout_begin(NULL, 1);
	return 0;
}

static int ends_no_scope(void *unused)
{
	(void)unused;
	return bp_timeout_end(NULL);
}

/* It would be in two places of a list at once. */
static int begins_a_scope_twice(void *unused)
{
	struct bp_timeout outer, inner;

	(void)unused;
	bp_timeout_begin(&outer, FAR_AWAY);
	bp_timeout_begin(&inner, FAR_AWAY);
	bp_timeout_begin(&outer, FAR_AWAY);
	return 0;
}

static int in_task(struct test *t, bp_task_fn fn)
{
	the_group = group_with(t, .limit = 2);
	bp_go(the_group, fn, NULL);
	bp_wait(the_group);
	return 0;
}

static int no_scope_begun(void *t)
{
	return in_task(t, begins_no_scope);
}

static int no_scope_ended(void *t)
{
	return in_task(t, ends_no_scope);
}

static int scope_begun_twice(void *t)
{
	return in_task(t, begins_a_scope_twice);
}

static void scopes_that_are_none_end_with_one_line(struct test *t)
{
	expect_abort(no_scope_begun, t, "bp_timeout_begin: the scope is NULL");
	expect_abort(no_scope_ended, t, "bp_timeout_end");
	expect_abort(scope_begun_twice, t, "bp_timeout_begin");
}

static void no_time(struct bp_op *op, struct io_uring_sqe *sqe)
{
	(void)op;
	io_uring_prep_timeout(sqe, NULL, 0, 0);
}

static int as_it_is(struct bp_op *op, int res)
{
	(void)op;
	return res;
}

static int addresses(void *path)
{
	struct open_how how = {.flags = O_RDONLY};
	struct statx stx;
	char byte = 0;
	int fd;

	expect_eq(bp_offload(NULL, NULL), -EINVAL);
	expect_eq(bp_openat(AT_FDCWD, NULL, O_RDONLY, 0), -EFAULT);
	expect_eq(bp_openat2(AT_FDCWD, NULL, &how), -EFAULT);
	expect_eq(bp_openat2(AT_FDCWD, ".", NULL), -EFAULT);
	expect_eq(bp_statx(AT_FDCWD, ".", 0, STATX_BASIC_STATS, NULL), -EFAULT);
	expect_eq(bp_unlinkat(AT_FDCWD, NULL, 0), -EFAULT);
	expect_eq(bp_renameat(AT_FDCWD, NULL, AT_FDCWD, "x", 0), -EFAULT);
	expect_eq(bp_linkat(AT_FDCWD, ".", AT_FDCWD, NULL, 0), -EFAULT);
	expect_eq(bp_symlinkat(NULL, AT_FDCWD, "x"), -EFAULT);
	expect_eq(bp_mkdirat(AT_FDCWD, NULL, 0755), -EFAULT);
	expect_eq(bp_statx(AT_FDCWD, "/", 0, STATX_BASIC_STATS, &stx), 0);
	fd = bp_socket(AF_UNIX, SOCK_STREAM, 0);
	if (!expect(fd >= 0))
		return fd;
	expect_eq(bp_connect(fd, NULL, 16), -EFAULT);
	expect_eq(bp_sendmsg(fd, NULL, 0), -EFAULT);
	expect_eq(bp_recvmsg(fd, NULL, 0), -EFAULT);
	expect_eq(bp_close(fd), 0);
	fd = bp_openat(AT_FDCWD, path, O_RDWR | O_CREAT | O_EXCL, 0600);
	if (!expect(fd >= 0))
		return fd;
	expect_eq(bp_write(fd, &byte, 1, 0), 1);
	expect_eq(bp_read(fd, NULL, 1, 0), -EFAULT);
	expect_eq(bp_write(fd, NULL, 1, 0), -EFAULT);
	expect_eq(bp_readv(fd, NULL, 1, 0), -EFAULT);
	expect_eq(bp_writev(fd, NULL, 1, 0), -EFAULT);
	expect_eq(bp_close(fd), 0);
	return 0;
}

static void no_address_is_efault(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = 1);
	struct bp_op op = BP_OP_INIT(no_time, as_it_is);
	char path[100];

	snprintf(path, sizeof(path), "%s/f", t->row->backend == BP_BACKEND_SIM ? "" : temp_dir(t));
	expect_eq(run_task(t, addresses, path), 0);
	expect_eq(bp_go_op(g, &op), 0);
	expect_eq(bp_wait(g), -EFAULT);
	bp_group_destroy(g);
}

static const struct test_case cases[] = {
	EACH_ROW(without_a_function_nothing_is_added),
	EACH_ROW(without_a_place_nothing_is_made),
	EACH_ROW(what_is_nothing_ends_with_one_line),
	EACH_ROW(scopes_that_are_none_end_with_one_line),
	EACH_ROW(no_address_is_efault),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
