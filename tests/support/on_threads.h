/* SPDX-License-Identifier: MIT */
/*
 * on_threads - what the tests of the threads backend share: its engines, and things to wait for
 */
#ifndef BATCHPROC_TESTS_ON_THREADS_H
#define BATCHPROC_TESTS_ON_THREADS_H

#include "support/harness.h"

static inline void engine_of_threads(struct test *t, unsigned int loops)
{
	assert_int_equal(bp_engine_create(&t->engine, &BP_ENGINE_OPTS(.backend = BP_BACKEND_THREADS,
								      .loops = loops)),
			 0);
	expect_eq(bp_engine_info(t->engine)->backend, BP_BACKEND_THREADS);
	expect_eq(strcmp(bp_engine_info(t->engine)->backend_name, "threads"), 0);
}

/* Each test is played on an engine that the caller drives and on one with two loops. */
#define ON_BOTH(fn)                                                                                \
	static void fn##_driven(struct test *t)                                                    \
	{                                                                                          \
		engine_of_threads(t, 0);                                                           \
		fn(t);                                                                             \
	}                                                                                          \
	static void fn##_on_two_loops(struct test *t)                                              \
	{                                                                                          \
		engine_of_threads(t, 2);                                                           \
		fn(t);                                                                             \
	}
#define BOTH(fn) ONCE(fn##_driven), ONCE(fn##_on_two_loops)

static inline void make_pair(int fd[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
}

static inline void close_pair(const int fd[2])
{
	close(fd[0]);
	close(fd[1]);
}

static inline bool is_nonblocking(int fd)
{
	return fcntl(fd, F_GETFL) & O_NONBLOCK;
}

struct file {
	int fd;
	char buf[4096];
};

/* IOSQE_ASYNC: by a helper thread, though the file is in the page cache. */
static inline int read_by_a_helper(void *arg)
{
	struct file *file = arg;
	struct io_uring_sqe *sqe = bp_sqe();

	io_uring_prep_read(sqe, file->fd, file->buf, sizeof(file->buf), 0);
	sqe->flags |= IOSQE_ASYNC;
	expect_eq(bp_await(), sizeof(file->buf));
	return 0;
}

struct share {
	int fd, peer;
	int turn; /* which reader got its byte how early */
	atomic_ulong done;
};

static inline int poll_in(void *arg)
{
	struct share *s = arg;
	int events = bp_poll(s->fd, POLLIN);

	atomic_fetch_add(&s->done, 1);
	return events;
}

#endif
