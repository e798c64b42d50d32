/* SPDX-License-Identifier: MIT */
/*
 * test_errno - no function of the library changes errno, and a task has an errno of its own
 */
#include <netinet/in.h>

#include "support/harness.h"

#define MARK 4711

/* errno has to be looked at anew each time: a task may not rely on what a compiler remembers. */
static __attribute__((noinline)) int the_errno(void)
{
	return errno;
}

static __attribute__((noinline)) void set_errno(int value)
{
	errno = value;
}

/** Makes a call, and sees that errno is what it was. */
#define KEEPS(call)                                                                                \
	({                                                                                         \
		set_errno(MARK);                                                                   \
		long res_ = (long)(call);                                                          \
		expect_eq_(the_errno(), MARK, "errno after " #call, "MARK", __FILE__, __LINE__);   \
		res_;                                                                              \
	})

static int nothing(void *unused)
{
	(void)unused;
	set_errno(ENOTTY);
	return 0;
}

static int with_paths(void *arg)
{
	struct statx stx;
	char buf[8];
	int fd, dir;

	dir = (int)KEEPS(bp_openat(AT_FDCWD, arg, O_RDONLY | O_DIRECTORY, 0));
	if (!expect(dir >= 0))
		return dir;
	expect_eq(KEEPS(bp_openat(dir, "nosuch", O_RDONLY, 0)), -ENOENT);
	expect_eq(KEEPS(bp_unlinkat(dir, "nosuch", 0)), -ENOENT);
	expect_eq(KEEPS(bp_statx(dir, "nosuch", 0, STATX_SIZE, &stx)), -ENOENT);
	expect_eq(KEEPS(bp_renameat(dir, "nosuch", dir, "x", 0)), -ENOENT);
	expect_eq(KEEPS(bp_linkat(dir, "nosuch", dir, "x", 0)), -ENOENT);
	fd = (int)KEEPS(bp_openat(dir, "f", O_RDWR | O_CREAT, 0600));
	expect_eq(KEEPS(bp_write(fd, "abc", 3, 0)), 3);
	expect_eq(KEEPS(bp_read(fd, buf, sizeof(buf), 0)), 3);
	expect_eq(KEEPS(bp_symlinkat("x", dir, "f")), -EEXIST);
	expect_eq(KEEPS(bp_mkdirat(dir, "f", 0700)), -EEXIST);
	expect_eq(KEEPS(bp_fsync(fd, 0)), 0);
	expect_eq(KEEPS(bp_close(fd)), 0);
	expect_eq(KEEPS(bp_read(fd, buf, sizeof(buf), 0)), -EBADF);
	expect_eq(KEEPS(bp_write(fd, buf, sizeof(buf), 0)), -EBADF);
	expect_eq(KEEPS(bp_close(fd)), -EBADF);
	expect_eq(KEEPS(bp_unlinkat(dir, "f", 0)), 0);
	expect_eq(KEEPS(bp_sleep(1000)), 0);
	expect_eq(KEEPS(bp_yield()), 0);
	expect_eq(KEEPS(bp_offload(nothing, NULL)), 0);
	return (int)KEEPS(bp_close(dir));
}

static void operations_on_files_leave_it_alone(struct test *t)
{
	engine_with(t);
	expect_eq(run_task(t, with_paths,
			   t->row->backend == BP_BACKEND_SIM ? (void *)"/" : (void *)temp_dir(t)),
		  0);
}

static int with_sockets(void *arg)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct msghdr msg = {0};
	char buf[8];
	int fd = (int)KEEPS(bp_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));

	(void)arg;
	/* Port 0 of this machine: nobody listens there. */
	expect(KEEPS(bp_connect(fd, (struct sockaddr *)&addr, sizeof(addr))) < 0);
	expect_eq(KEEPS(bp_accept(fd, NULL, NULL, 0)), -EINVAL);
	expect_eq(KEEPS(bp_shutdown(fd, SHUT_WR)), -ENOTCONN);
	expect(KEEPS(bp_recv(fd, buf, sizeof(buf), 0)) <= 0);
	expect_eq(KEEPS(bp_send(fd, buf, sizeof(buf), 0)), -EPIPE);
	expect(KEEPS(bp_recvmsg(fd, &msg, 0)) <= 0);
	expect_eq(KEEPS(bp_socket(-1, 0, 0)), -EAFNOSUPPORT);
	expect_eq(KEEPS(bp_poll(-1, POLLIN)), -EBADF);
	return (int)KEEPS(bp_close(fd));
}

static void operations_on_sockets_leave_it_alone(struct test *t)
{
	engine_with(t);
	expect_eq(run_task(t, with_sockets, NULL), 0);
}

static void calls_from_outside_leave_it_alone(struct test *t)
{
	struct bp_engine *engine = engine_with(t);
	struct bp_group *g;

	expect_eq(KEEPS(bp_group_create(&g, engine, NULL)), 0);
	expect_eq(KEEPS(bp_go(g, nothing, NULL)), 0);
	expect_eq(KEEPS(bp_wait_until(g, 1)) * 0, 0);
	expect_eq(KEEPS(bp_wait(g)), 0);
	KEEPS((bp_group_destroy(g), 0));
	expect_eq(KEEPS(bp_engine_create(&engine, &BP_ENGINE_OPTS(.backend = BP_BACKEND_THREADS))),
		  0);
	KEEPS((bp_engine_destroy(engine), 0));
}

/** Each of several tasks on one loop finds its own. */
static int has_its_own(void *arg)
{
	int mine = (int)(intptr_t)arg;

	for (int i = 0; i < 20; i++) {
		set_errno(mine);
		expect_eq(bp_yield(), 0);
		expect_eq(the_errno(), mine);
	}
	return 0;
}

static void tasks_have_each_their_own(struct test *t)
{
	struct bp_group *g = group_with(t);

	for (intptr_t i = 1; i <= 10; i++)
		expect_eq(bp_go(g, has_its_own, (void *)i), 0);
	expect_eq(bp_wait(g), 0);
	bp_group_destroy(g);
}

static const struct test_case cases[] = {
	EACH_ROW(operations_on_files_leave_it_alone),
	EACH_REAL_ROW(operations_on_sockets_leave_it_alone),
	EACH_REAL_ROW(calls_from_outside_leave_it_alone),
	EACH_ROW(tasks_have_each_their_own),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
