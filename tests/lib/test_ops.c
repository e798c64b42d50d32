/* SPDX-License-Identifier: MIT */
/*
 * test_ops - the operations on files and pipes, each against the real thing
 *
 * Each test runs one task; paths are relative to the test's own directory. Sockets have a
 * program of their own, test_net.
 */
#include <linux/openat2.h>
#include <sys/sysmacros.h>

#include "support/harness.h"

struct at {
	struct test *t;
	int dir;
	const char *path;
};

/* Runs a task with the test's directory open. */
static void in_dir(struct test *t, bp_task_fn fn)
{
	struct at at = {.t = t, .path = temp_dir(t)};

	at.dir = open(at.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(at.dir >= 0);
	expect_eq(run_task(t, fn, &at), 0);
	close(at.dir);
}

static int open_write_read_close(void *arg)
{
	struct at *at = arg;
	char buf[32] = "";
	int fd;

	expect_eq(bp_openat(at->dir, "nosuch", O_RDONLY, 0), -ENOENT);
	fd = bp_openat(at->dir, "file", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	if (!expect(fd >= 0))
		return fd;
	expect_eq(bp_openat(at->dir, "file", O_WRONLY | O_CREAT | O_EXCL, 0640), -EEXIST);
	expect_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	expect_eq(bp_write(fd, "hello, ring", 11, 0), 11);
	expect_eq(bp_read(fd, buf, sizeof(buf), 7), 4);
	expect_eq(memcmp(buf, "ring", 4), 0);
	expect_eq(bp_read(fd, buf, sizeof(buf), 11), 0);
	/* -1: the file position, as read(2) and write(2) do. */
	expect_eq(bp_write(fd, "HE", 2, -1), 2);
	expect_eq(bp_read(fd, buf, 3, -1), 3);
	expect_eq(memcmp(buf, "llo", 3), 0);
	expect_eq(lseek(fd, 0, SEEK_CUR), 5);
	expect_eq(bp_close(fd), 0);
	expect_eq(fcntl(fd, F_GETFD), -1);
	expect_eq(bp_read(fd, buf, 1, 0), -EBADF);
	expect_eq(bp_close(fd), -EBADF);
	return 0;
}

static void openat_write_read_and_close_do_what_the_calls_do(struct test *t)
{
	in_dir(t, open_write_read_close);
}

static int open_mode(void *arg)
{
	struct at *at = arg;
	mode_t mask = umask(027);
	struct stat st;
	int fd = bp_openat(at->dir, "moded", O_WRONLY | O_CREAT | O_CLOEXEC, 0666);

	umask(mask);
	if (!expect(fd >= 0))
		return fd;
	expect_eq(fstat(fd, &st), 0);
	/* io_uring's workers have the umask of the process. */
	expect_eq(st.st_mode & 07777, 0640);
	return bp_close(fd);
}

static void openat_honours_mode_and_umask(struct test *t)
{
	in_dir(t, open_mode);
}

static int open_with_how(void *arg)
{
	struct at *at = arg;
	struct open_how how = {.flags = O_RDONLY | O_CLOEXEC, .resolve = RESOLVE_BENEATH};
	int fd;

	expect_eq(symlinkat("/etc/passwd", at->dir, "out"), 0);
	expect_eq(symlinkat("in-file", at->dir, "in"), 0);
	fd = openat(at->dir, "in-file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	expect_eq(close(fd), 0);
	expect_eq(bp_openat2(at->dir, "out", &how), -EXDEV);
	expect_eq(bp_openat2(at->dir, "../x", &how), -EXDEV);
	fd = bp_openat2(at->dir, "in", &how);
	expect(fd >= 0);
	expect_eq(bp_close(fd), 0);
	how.resolve = RESOLVE_NO_SYMLINKS;
	expect_eq(bp_openat2(at->dir, "in", &how), -ELOOP);
	return 0;
}

static void openat2_honours_resolve(struct test *t)
{
	if (under_valgrind())
		skip_because(t, "valgrind does not know the call, which a backend may make");
	in_dir(t, open_with_how);
}

static int vectors(void *arg)
{
	struct at *at = arg;
	char a[3] = "", b[5] = "";
	struct iovec out[3] = {{"one", 3}, {"", 0}, {"three", 5}};
	struct iovec in[2] = {{a, sizeof(a)}, {b, sizeof(b)}};
	int fd = bp_openat(at->dir, "vec", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	expect_eq(bp_writev(fd, out, 3, 100), 8);
	expect_eq(bp_readv(fd, in, 2, 100), 8);
	expect_eq(memcmp(a, "one", 3), 0);
	expect_eq(memcmp(b, "three", 5), 0);
	expect_eq(bp_readv(fd, in, 2, 106), 2);
	return bp_close(fd);
}

static void readv_and_writev_gather_and_scatter(struct test *t)
{
	in_dir(t, vectors);
}

static int stat_things(void *arg)
{
	struct at *at = arg;
	struct statx stx;
	struct stat st;
	int fd = bp_openat(at->dir, "stat", O_RDWR | O_CREAT | O_CLOEXEC, 0604);

	expect_eq(bp_write(fd, "12345", 5, 0), 5);
	expect_eq(fstat(fd, &st), 0);
	memset(&stx, 0xff, sizeof(stx));
	expect_eq(bp_statx(at->dir, "stat", 0, STATX_BASIC_STATS, &stx), 0);
	expect_eq(stx.stx_size, 5);
	expect_eq(stx.stx_mode, st.st_mode);
	expect_eq(stx.stx_ino, st.st_ino);
	expect_eq(stx.stx_mtime.tv_sec, st.st_mtim.tv_sec);
	expect_eq(stx.stx_mtime.tv_nsec, st.st_mtim.tv_nsec);
	expect_eq(makedev(stx.stx_dev_major, stx.stx_dev_minor), st.st_dev);
	/* By descriptor, with and without the flag that lets it be answered at once. */
	memset(&stx, 0xff, sizeof(stx));
	expect_eq(bp_statx(fd, "", AT_EMPTY_PATH, STATX_SIZE, &stx), 0);
	expect_eq(stx.stx_size, 5);
	memset(&stx, 0xff, sizeof(stx));
	expect_eq(bp_statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_SIZE, &stx), 0);
	expect_eq(stx.stx_size, 5);
	expect_eq(bp_statx(at->dir, NULL, 0, STATX_SIZE, &stx), -EFAULT);
	expect_eq(bp_statx(at->dir, "nosuch", 0, STATX_SIZE, &stx), -ENOENT);
	expect_eq(symlinkat("stat", at->dir, "link"), 0);
	expect_eq(bp_statx(at->dir, "link", AT_SYMLINK_NOFOLLOW, STATX_TYPE, &stx), 0);
	expect(S_ISLNK(stx.stx_mode));
	expect_eq(bp_close(fd), 0);
	expect_eq(bp_statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_SIZE, &stx), -EBADF);
	return 0;
}

static void statx_tells_by_path_and_by_descriptor(struct test *t)
{
	in_dir(t, stat_things);
}

static int stat_many(void *arg)
{
	struct at *at = arg;
	struct statx stx;

	for (int i = 0; i < 500; i++) {
		int err =
			bp_statx(at->dir, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &stx);

		if (!expect_eq(err, 0))
			return err;
	}
	return 0;
}

/* More of the calls that are answered at once than one turn allows. */
static void many_statx_in_a_row_all_succeed(struct test *t)
{
	in_dir(t, stat_many);
}

static int sync_and_allocate(void *arg)
{
	struct at *at = arg;
	struct stat st;
	int fd = bp_openat(at->dir, "sync", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	expect_eq(bp_write(fd, "x", 1, 0), 1);
	expect_eq(bp_fsync(fd, 0), 0);
	expect_eq(bp_fsync(fd, IORING_FSYNC_DATASYNC), 0);
	expect_eq(bp_fsync(fd, 0x80), -EINVAL);
	expect_eq(bp_fallocate(fd, 0, 0, 10000), 0);
	expect_eq(fstat(fd, &st), 0);
	expect_eq(st.st_size, 10000);
	expect_eq(bp_fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 20000), 0);
	expect_eq(fstat(fd, &st), 0);
	expect_eq(st.st_size, 10000);
	expect_eq(bp_fallocate(fd, 0, 0, 0), -EINVAL);
	expect_eq(bp_close(fd), 0);
	expect_eq(bp_fsync(fd, 0), -EBADF);
	return 0;
}

static void fsync_and_fallocate_do_what_the_calls_do(struct test *t)
{
	in_dir(t, sync_and_allocate);
}

static int names(void *arg)
{
	struct at *at = arg;
	char target[16] = "";
	struct stat a, b;
	int fd;

	expect_eq(bp_mkdirat(at->dir, "d", 0750), 0);
	expect_eq(bp_mkdirat(at->dir, "d", 0750), -EEXIST);
	expect_eq(fstatat(at->dir, "d", &a, 0), 0);
	expect(S_ISDIR(a.st_mode));
	fd = bp_openat(at->dir, "d/a", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	expect_eq(bp_close(fd), 0);

	expect_eq(bp_linkat(at->dir, "d/a", at->dir, "d/b", 0), 0);
	expect_eq(bp_linkat(at->dir, "d/a", at->dir, "d/b", 0), -EEXIST);
	expect_eq(fstatat(at->dir, "d/a", &a, 0), 0);
	expect_eq(fstatat(at->dir, "d/b", &b, 0), 0);
	expect_eq(a.st_ino, b.st_ino);
	expect_eq(b.st_nlink, 2);

	expect_eq(bp_symlinkat("target", at->dir, "s"), 0);
	expect_eq(bp_symlinkat("target", at->dir, "s"), -EEXIST);
	expect_eq(readlinkat(at->dir, "s", target, sizeof(target)), 6);
	expect_eq(strcmp(target, "target"), 0);

	expect_eq(bp_renameat(at->dir, "s", at->dir, "d/b", RENAME_NOREPLACE), -EEXIST);
	expect_eq(bp_renameat(at->dir, "s", at->dir, "moved", 0), 0);
	expect_eq(bp_renameat(at->dir, "s", at->dir, "moved", 0), -ENOENT);
	expect_eq(fstatat(at->dir, "moved", &a, AT_SYMLINK_NOFOLLOW), 0);

	expect_eq(bp_unlinkat(at->dir, "d", 0), -EISDIR);
	expect_eq(bp_unlinkat(at->dir, "d", AT_REMOVEDIR), -ENOTEMPTY);
	expect_eq(bp_unlinkat(at->dir, "d/a", 0), 0);
	expect_eq(bp_unlinkat(at->dir, "d/b", 0), 0);
	expect_eq(bp_unlinkat(at->dir, "d", AT_REMOVEDIR), 0);
	expect_eq(bp_unlinkat(at->dir, "moved", 0), 0);
	expect_eq(bp_unlinkat(at->dir, "moved", 0), -ENOENT);
	return 0;
}

static void names_are_made_linked_moved_and_removed(struct test *t)
{
	in_dir(t, names);
}

static int splices(void *arg)
{
	struct at *at = arg;
	char buf[16] = "";
	int in = bp_openat(at->dir, "in", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	int out = bp_openat(at->dir, "out", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	int pipes[2];

	expect_eq(pipe2(pipes, O_CLOEXEC), 0);
	expect_eq(bp_write(in, "0123456789", 10, 0), 10);
	expect_eq(bp_splice(in, 3, pipes[1], -1, 5, 0), 5);
	expect_eq(bp_splice(pipes[0], -1, out, 2, 100, 0), 5);
	expect_eq(bp_read(out, buf, sizeof(buf), 0), 7);
	expect_eq(memcmp(buf,
			 "\0\0"
			 "34567",
			 7),
		  0);
	/* Neither end a pipe. */
	expect_eq(bp_splice(in, 0, out, 0, 5, 0), -EINVAL);
	close(pipes[0]);
	close(pipes[1]);
	expect_eq(bp_close(in), 0);
	return bp_close(out);
}

static void splice_moves_between_pipe_and_file(struct test *t)
{
	in_dir(t, splices);
}

/* A pipe's reader suspends until the writer, another task of the group, has written. */
struct pipe_ends {
	int fd[2];
	size_t got;
};

static int write_to_pipe(void *arg)
{
	struct pipe_ends *p = arg;
	unsigned char byte[100];

	for (size_t i = 0; i < 100 * sizeof(byte); i += sizeof(byte)) {
		for (size_t k = 0; k < sizeof(byte); k++)
			byte[k] = file_byte(i + k);
		expect_eq(bp_write(p->fd[1], byte, sizeof(byte), -1), sizeof(byte));
		if (bp_yield())
			break;
	}
	return bp_close(p->fd[1]);
}

static int read_from_pipe(void *arg)
{
	struct pipe_ends *p = arg;
	unsigned char buf[77] = "";
	ssize_t n;

	while ((n = bp_read(p->fd[0], buf, sizeof(buf), -1)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			if (!expect_eq(buf[i], file_byte(p->got + (size_t)i)))
				return -EIO;
		p->got += (size_t)n;
	}
	expect_eq(bp_close(p->fd[0]), 0);
	return (int)n;
}

static void two_tasks_talk_through_a_pipe(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = 2);
	struct pipe_ends p = {.got = 0};

	assert_int_equal(pipe2(p.fd, O_CLOEXEC), 0);
	expect_eq(bp_go(g, read_from_pipe, &p), 0);
	expect_eq(bp_go(g, write_to_pipe, &p), 0);
	expect_eq(bp_wait(g), 0);
	expect_eq(p.got, 10000);
	bp_group_destroy(g);
}

/* -EAGAIN of a non-blocking descriptor is waited out; RWF_NOWAIT would keep it. */
static void a_nonblocking_pipe_is_waited_for(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = 2);
	struct pipe_ends p = {.got = 0};

	assert_int_equal(pipe2(p.fd, O_CLOEXEC | O_NONBLOCK), 0);
	expect_eq(bp_go(g, read_from_pipe, &p), 0);
	until_in_flight(t, 1);
	many_turns(t);
	expect_eq(stats_of(g).running, 1);
	expect_eq(bp_go(g, write_to_pipe, &p), 0);
	expect_eq(bp_wait(g), 0);
	expect_eq(p.got, 10000);
	bp_group_destroy(g);
}

static int polls(void *arg)
{
	int pipes[2];

	(void)arg;
	expect_eq(pipe2(pipes, O_CLOEXEC), 0);
	expect_eq(bp_poll(pipes[1], POLLOUT), POLLOUT);
	expect_eq(write(pipes[1], "x", 1), 1);
	expect_eq(bp_poll(pipes[0], POLLIN), POLLIN);
	close(pipes[1]);
	expect_eq(bp_poll(pipes[0], POLLIN), POLLIN | POLLHUP);
	close(pipes[0]);
	expect_eq(bp_poll(pipes[0], POLLIN), -EBADF);
	return 0;
}

static void poll_returns_the_events(struct test *t)
{
	expect_eq(run_task(t, polls, NULL), 0);
}

static int any_operation(void *arg)
{
	struct at *at = arg;
	struct io_uring_sqe *sqe;
	char value[8] = "";
	int fd = bp_openat(at->dir, "any", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	sqe = bp_sqe();
	expect(sqe != NULL);
	io_uring_prep_nop(sqe);
	expect_eq(bp_await(), 0);
	io_uring_prep_fadvise(bp_sqe(), fd, 0, 0, POSIX_FADV_RANDOM);
	expect_eq(bp_await(), 0);
	io_uring_prep_fadvise(bp_sqe(), fd, 0, 0, 12345);
	expect_eq(bp_await(), -EINVAL);
	io_uring_prep_write(bp_sqe(), fd, "sqe", 3, 0);
	expect_eq(bp_await(), 3);
	io_uring_prep_read(bp_sqe(), fd, value, sizeof(value), 0);
	expect_eq(bp_await(), 3);
	expect_eq(strcmp(value, "sqe"), 0);
	/* user_data and link flags are the library's: what the caller leaves there does nothing. */
	sqe = bp_sqe();
	io_uring_prep_nop(sqe);
	sqe->flags |= IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
	sqe->user_data = 12345;
	expect_eq(bp_await(), 0);
	return bp_close(fd);
}

static void any_other_operation_goes_through_sqe_and_await(struct test *t)
{
	in_dir(t, any_operation);
}

static int a_cleared_sqe(void *unused)
{
	static const struct io_uring_sqe zero;

	(void)unused;
	memset(bp_sqe(), 0xff, sizeof(zero));
	expect_eq(memcmp(bp_sqe(), &zero, sizeof(zero)), 0);
	return 0;
}

static void sqe_gives_a_cleared_sqe(struct test *t)
{
	expect_eq(run_task(t, a_cleared_sqe, NULL), 0);
}

static int a_long_read(void *arg)
{
	static unsigned char buf[1 << 20];
	struct at *at = arg;
	int fd = bp_openat(at->dir, "long", O_RDONLY | O_CLOEXEC, 0);
	size_t got = 0;
	ssize_t n;

	while ((n = bp_read(fd, buf + got, sizeof(buf) - got, (off_t)got)) > 0)
		got += (size_t)n;
	expect_eq(n, 0);
	expect_eq(got, sizeof(buf) - 5);
	for (size_t i = 0; i < got; i++)
		if (buf[i] != file_byte(i))
			return -EIO;
	return bp_close(fd);
}

static void a_file_is_read_to_its_end(struct test *t)
{
	close(temp_file(t, "long", (1 << 20) - 5, O_RDONLY));
	in_dir(t, a_long_read);
}

static const struct test_case cases[] = {
	EACH_ROW(openat_write_read_and_close_do_what_the_calls_do),
	EACH_ROW(openat_honours_mode_and_umask),
	EACH_ROW(openat2_honours_resolve),
	EACH_ROW(readv_and_writev_gather_and_scatter),
	EACH_ROW(statx_tells_by_path_and_by_descriptor),
	EACH_ROW(many_statx_in_a_row_all_succeed),
	EACH_ROW(fsync_and_fallocate_do_what_the_calls_do),
	EACH_ROW(names_are_made_linked_moved_and_removed),
	EACH_ROW(splice_moves_between_pipe_and_file),
	EACH_ROW(two_tasks_talk_through_a_pipe),
	EACH_ROW(a_nonblocking_pipe_is_waited_for),
	EACH_ROW(poll_returns_the_events),
	EACH_ROW(any_other_operation_goes_through_sqe_and_await),
	EACH_ROW(sqe_gives_a_cleared_sqe),
	EACH_ROW(a_file_is_read_to_its_end),
};

int main(int argc, char **argv)
{
	return RUN_REAL_CASES(argc, argv, cases);
}
