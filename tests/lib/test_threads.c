/* SPDX-License-Identifier: MIT */
/*
 * test_threads - what is the threads backend's own: who waits where
 *
 * What operations do stands in the tests that run on every backend. Here is that waiting takes no
 * thread and holds up no loop, whatever the descriptor is and whatever its mode, and that several
 * may wait for one.
 */
#include <dirent.h>

#include "support/on_threads.h"
#include "pool.h"

static int threads_of_this_process(void)
{
	DIR *dir = opendir("/proc/self/task");
	int count = -2; /* . and .. */

	assert_non_null(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

/* ---------------------------------------------------------------- waiting takes no thread */

struct receive {
	struct bp_op op;
	int fd;
	char byte;
};

static void receive_prep(struct bp_op *op, struct io_uring_sqe *sqe)
{
	struct receive *r = CONTAINER(op, struct receive, op);

	io_uring_prep_recv(sqe, r->fd, &r->byte, 1, 0);
}

static int receive_done(struct bp_op *op, int res)
{
	(void)op;
	return res;
}

/* 3,000 receives that nothing answers, and files are read all the same. */
static void silent_receives_do_not_starve_a_file(struct test *t)
{
	unsigned long many = live_tasks(3000);
	struct receive *r = calloc(many, sizeof(*r));
	struct file file = {.fd = temp_file(t, "file", sizeof(file.buf), O_RDONLY)};
	struct bp_group *g = group_with(t, .limit = BP_LIMIT_NONE);
	int before = threads_of_this_process(), pair[2];

	assert_non_null(r);
	make_pair(pair);
	for (unsigned long i = 0; i < many; i++) {
		r[i].op = (struct bp_op)BP_OP_INIT(receive_prep, receive_done);
		/* A descriptor for each; all of them silent, for nobody writes to the pair. */
		r[i].fd = i ? fcntl(pair[0], F_DUPFD_CLOEXEC, 0) : pair[0];
		assert_true(r[i].fd >= 0);
		expect_eq(bp_go_op(g, &r[i].op), 0);
	}
	until_in_flight(t, many);
	for (int i = 0; i < 20; i++)
		expect_eq(run_task(t, read_by_a_helper, &file), 0);
	/* Each file takes one or a few more; receives would have taken all that there may be. */
	expect_between(threads_of_this_process(), before, before + POOL_THREADS_MAX / 2);
	bp_cancel(g, -EINTR);
	expect_eq(bp_wait(g), -EINTR);
	expect_eq(stats_of(g).stopped, many);
	bp_group_destroy(g);
	for (unsigned long i = 1; i < many; i++)
		close(r[i].fd);
	close_pair(pair);
	close(file.fd);
	free(r);
}

ON_BOTH(silent_receives_do_not_starve_a_file)

/* ---------------------------------------------------------------- several for one descriptor */

struct reader {
	struct share *share;
	char byte;
	int turn;
};

static int read_one(void *arg)
{
	struct reader *r = arg;
	ssize_t n = bp_read(r->share->fd, &r->byte, 1, 0);

	r->turn = r->share->turn++;
	atomic_fetch_add(&r->share->done, 1);
	return (int)n;
}

/* Readers of one pipe get its bytes in the order in which they came to wait. */
static void readers_of_one_pipe_are_served_in_order(struct test *t)
{
	enum {
		READERS = 50
	};
	struct bp_group *g = group_with(t, .limit = READERS);
	struct reader r[READERS];
	struct share share = {0};
	int pipe_fd[2];

	assert_int_equal(pipe2(pipe_fd, O_CLOEXEC), 0);
	share.fd = pipe_fd[0];
	for (int i = 0; i < READERS; i++) {
		r[i] = (struct reader){.share = &share};
		expect_eq(bp_go(g, read_one, &r[i]), 0);
		until_in_flight(t, (size_t)i + 1);
	}
	for (int i = 0; i < READERS; i++) {
		char byte = (char)i;

		expect_eq(write(pipe_fd[1], &byte, 1), 1);
		until_count(t, &share.done, (unsigned long)i + 1);
	}
	expect_eq(bp_wait(g), 0);
	for (int i = 0; i < READERS; i++)
		expect(r[i].turn == i && r[i].byte == i);
	bp_group_destroy(g);
	close_pair(pipe_fd);
}

static void readers_of_one_pipe_are_served_in_order_driven(struct test *t)
{
	engine_of_threads(t, 0);
	readers_of_one_pipe_are_served_in_order(t);
}

static int send_until_received(void *arg)
{
	struct share *s = arg;
	static const char zeros[65536];
	size_t left = 16 * sizeof(zeros);

	while (left) {
		ssize_t n = bp_send(s->fd, zeros, left < sizeof(zeros) ? left : sizeof(zeros), 0);

		if (n < 0)
			return (int)n;
		left -= (size_t)n;
	}
	return bp_shutdown(s->fd, SHUT_WR);
}

static int receive_one(void *arg)
{
	struct share *s = arg;
	char byte;

	/* The byte stays: a poll on another loop that looks a moment later shall find it too. */
	return (int)bp_recv(s->fd, &byte, 1, MSG_PEEK);
}

static int drain_and_answer(void *arg)
{
	struct share *s = arg;
	char buf[5000];
	ssize_t n;

	do {
		n = bp_recv(s->peer, buf, sizeof(buf), 0);
	} while (n > 0);
	return n < 0 ? (int)n : (int)bp_send(s->peer, "x", 1, 0);
}

/* One waits to send, one to receive and one polls, all on the same socket. */
static void both_directions_of_one_socket_wait(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = 4);
	struct share s = {0};
	int pair[2];

	make_pair(pair);
	s.fd = pair[0];
	s.peer = pair[1];
	expect_eq(bp_go(g, poll_in, &s), 0);
	expect_eq(bp_go(g, receive_one, &s), 0);
	expect_eq(bp_go(g, send_until_received, &s), 0);
	until_in_flight(t, 3);
	expect_eq(s.done, 0);
	expect_eq(bp_go(g, drain_and_answer, &s), 0);
	expect_eq(bp_wait(g), 0);
	expect_eq(s.done, 1);
	bp_group_destroy(g);
	close_pair(pair);
}

ON_BOTH(both_directions_of_one_socket_wait)

/* ---------------------------------------------------------------- blocking descriptors */

#define STREAM_BYTES (1u << 20)

struct stream {
	int in, out;
	bool vectors;
};

static int write_all(void *arg)
{
	struct stream *s = arg;
	unsigned char *buf = malloc(STREAM_BYTES);
	size_t done = 0;
	ssize_t n = 0;

	if (!buf)
		return -ENOMEM;
	for (size_t i = 0; i < STREAM_BYTES; i++)
		buf[i] = file_byte(i);
	while (done < STREAM_BYTES) {
		struct iovec iov[2] = {{buf + done, (STREAM_BYTES - done) / 2},
				       {buf + done + (STREAM_BYTES - done) / 2,
					STREAM_BYTES - done - (STREAM_BYTES - done) / 2}};

		n = s->vectors ? bp_writev(s->out, iov, 2, 0) :
				 bp_write(s->out, buf + done, STREAM_BYTES - done, 0);
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	free(buf);
	if (n > 0)
		n = bp_close(s->out);
	return (int)n;
}

static int read_all(void *arg)
{
	struct stream *s = arg;
	unsigned char buf[3001];
	size_t done = 0;
	ssize_t n;

	for (;;) {
		struct iovec iov[2] = {{buf, 1000}, {buf + 1000, sizeof(buf) - 1000}};

		n = s->vectors ? bp_readv(s->in, iov, 2, 0) : bp_read(s->in, buf, sizeof(buf), 0);
		if (n <= 0)
			break;
		for (ssize_t i = 0; i < n; i++)
			if (buf[i] != file_byte(done + (size_t)i))
				return -EILSEQ;
		done += (size_t)n;
	}
	if (n == 0)
		expect_eq(done, STREAM_BYTES);
	bp_close(s->in);
	return (int)n;
}

/* A megabyte from one task to another on the same thread: it would hang if any call waited. */
static void stream_through(struct test *t, int in, int out, bool vectors)
{
	struct stream s = {in, out, vectors};
	struct bp_group *g = group_with(t, .limit = 2);

	assert_true(in >= 0 && out >= 0);
	expect(!is_nonblocking(in) && !is_nonblocking(out));
	expect_eq(bp_go(g, write_all, &s), 0);
	expect_eq(bp_go(g, read_all, &s), 0);
	expect_eq(bp_wait(g), 0);
	bp_group_destroy(g);
}

static void blocking_pipes_hold_nobody_up(struct test *t)
{
	int fd[2];

	for (int vectors = 0; vectors < 2; vectors++) {
		assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
		stream_through(t, fd[0], fd[1], vectors);
		make_pair(fd);
		stream_through(t, fd[0], fd[1], vectors);
	}
}

ON_BOTH(blocking_pipes_hold_nobody_up)

/* A FIFO that was opened by name knows no RWF_NOWAIT: helpers, and still nobody waits in one. */
static void blocking_fifos_hold_nobody_up(struct test *t)
{
	char path[100];

	snprintf(path, sizeof(path), "%s/fifo", temp_dir(t));
	assert_int_equal(mkfifo(path, 0600), 0);
	for (int vectors = 0; vectors < 2; vectors++) {
		int in = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		int out = open(path, O_WRONLY | O_CLOEXEC);

		assert_int_equal(fcntl(in, F_SETFL, 0), 0);
		stream_through(t, in, out, vectors);
	}
}

ON_BOTH(blocking_fifos_hold_nobody_up)

/*
 * A terminal likewise: it is neither a file nor a socket. The line is read when the poll has seen
 * it.
 */
static int type_and_read(void *arg)
{
	struct share *s = arg;
	char line[8] = "";

	expect_eq(bp_write(s->peer, "hello\n", 6, -1), 6);
	while (!atomic_load(&s->done))
		if (bp_yield())
			return -ECANCELED;
	expect_eq(bp_read(s->fd, line, sizeof(line), -1), 6);
	expect_eq(strcmp(line, "hello\n"), 0);
	return 0;
}

static void terminals_are_waited_for(struct test *t)
{
	int fd[2] = {-1, posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)};
	struct bp_group *g = group_with(t, .limit = 2);
	struct share s;

	assert_true(fd[1] >= 0 && !grantpt(fd[1]) && !unlockpt(fd[1]));
	fd[0] = open(ptsname(fd[1]), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(fd[0] >= 0);
	s = (struct share){.fd = fd[0], .peer = fd[1]};
	expect_eq(bp_go(g, poll_in, &s), 0);
	until_in_flight(t, 1);
	expect_eq(bp_go(g, type_and_read, &s), 0);
	expect_eq(bp_wait(g), 0);
	expect_eq(s.done, 1);
	bp_group_destroy(g);
	close_pair(fd);
}

ON_BOTH(terminals_are_waited_for)

/*
 * ---------------------------------------------------------------- files that epoll does not watch
 */

static int poll_a_file(void *arg)
{
	const int *fd = arg;

	/* Always ready for this, never for that. */
	expect_eq(bp_poll(*fd, POLLIN | POLLOUT), POLLIN | POLLOUT);
	return bp_poll(*fd, POLLPRI);
}

static void a_poll_of_a_file_for_what_never_comes_is_cancelled(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = 2);
	int fd = temp_file(t, "file", 10, O_RDWR);

	expect_eq(bp_go(g, poll_a_file, &fd), 0);
	until_in_flight(t, 1);
	bp_cancel(g, -EINTR);
	expect_eq(bp_wait(g), -EINTR);
	expect_eq(stats_of(g).stopped, 1);
	bp_group_destroy(g);
	close(fd);
}

ON_BOTH(a_poll_of_a_file_for_what_never_comes_is_cancelled)

static int read_what_knows_no_nowait(void *unused)
{
	char buf[64];
	int fd = bp_openat(AT_FDCWD, "/proc/self/stat", O_RDONLY | O_CLOEXEC, 0);

	(void)unused;
	expect(fd >= 0);
	expect(bp_read(fd, buf, sizeof(buf), 0) == sizeof(buf));
	expect_eq(bp_close(fd), 0);
	fd = bp_openat(AT_FDCWD, "/", O_RDONLY | O_CLOEXEC | O_DIRECTORY, 0);
	expect(fd >= 0);
	expect_eq(bp_read(fd, buf, sizeof(buf), 0), -EISDIR);
	expect_eq(bp_close(fd), 0);
	fd = bp_openat(AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC, 0);
	expect(fd >= 0);
	expect_eq(bp_read(fd, buf, sizeof(buf), 0), 0);
	expect_eq(bp_write(fd, buf, sizeof(buf), 0), sizeof(buf));
	return bp_close(fd);
}

static void what_is_no_plain_file_is_read_too(struct test *t)
{
	expect_eq(run_task(t, read_what_knows_no_nowait, NULL), 0);
}

ON_BOTH(what_is_no_plain_file_is_read_too)

/*
 * The descriptor of an open has the mode that was asked for; a FIFO's does not wait for a writer.
 */
struct opening {
	const char *path;
	int flags;
};

static int open_and_look(void *arg)
{
	const struct opening *o = arg;
	int fd = bp_openat(AT_FDCWD, o->path, o->flags | O_CLOEXEC, 0600);

	expect(fd >= 0);
	expect_eq(is_nonblocking(fd), !!(o->flags & O_NONBLOCK));
	return bp_close(fd);
}

static void opens_do_not_wait_and_leave_no_trace(struct test *t)
{
	char path[100], file[100];
	struct opening o[] = {{path, O_RDONLY},
			      {path, O_RDONLY | O_NONBLOCK},
			      {file, O_RDWR | O_CREAT},
			      {file, O_RDONLY},
			      {file, O_RDONLY | O_NONBLOCK}};

	snprintf(path, sizeof(path), "%s/fifo", temp_dir(t));
	snprintf(file, sizeof(file), "%s/file", temp_dir(t));
	assert_int_equal(mkfifo(path, 0600), 0);
	for (size_t i = 0; i < COUNT_OF(o); i++)
		expect_eq(run_task(t, open_and_look, &o[i]), 0);
}

ON_BOTH(opens_do_not_wait_and_leave_no_trace)

static const struct test_case cases[] = {
	BOTH(silent_receives_do_not_starve_a_file),
	ONCE(readers_of_one_pipe_are_served_in_order_driven),
	BOTH(both_directions_of_one_socket_wait),
	BOTH(blocking_pipes_hold_nobody_up),
	BOTH(blocking_fifos_hold_nobody_up),
	BOTH(terminals_are_waited_for),
	BOTH(a_poll_of_a_file_for_what_never_comes_is_cancelled),
	BOTH(what_is_no_plain_file_is_read_too),
	BOTH(opens_do_not_wait_and_leave_no_trace),
};

int main(int argc, char **argv)
{
	raise_nofile();
	return RUN_CASES(argc, argv, cases);
}
