/* SPDX-License-Identifier: MIT */
/*
 * test_threads_ends - what is the threads backend's own: how waits begin and end
 *
 * Connections, splices and timeouts; what becomes of a wait whose descriptor is closed; and what is
 * not carried out at all.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/un.h>

#include "compat.h"
#include "support/on_threads.h"

/* ---------------------------------------------------------------- connections */

struct server {
	struct sockaddr_storage addr;
	socklen_t len;
	int listener;
	atomic_ulong begun, done;
};

/* Who connects to it now is refused, and nobody else gets the port. */
static void bind_tcp(struct server *s)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&s->addr;

	*s = (struct server){.len = sizeof(*in)};
	in->sin_family = AF_INET;
	in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(s->listener >= 0);
	assert_int_equal(bind(s->listener, (struct sockaddr *)in, s->len), 0);
	assert_int_equal(getsockname(s->listener, (struct sockaddr *)in, &s->len), 0);
}

static void listen_tcp(struct server *s)
{
	bind_tcp(s);
	assert_int_equal(listen(s->listener, 8), 0);
}

static void listen_unix(struct test *t, struct server *s, int backlog)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&s->addr;

	*s = (struct server){.len = sizeof(*un)};
	un->sun_family = AF_UNIX;
	snprintf(un->sun_path, sizeof(un->sun_path), "%s/socket", temp_dir(t));
	s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(s->listener >= 0);
	assert_int_equal(bind(s->listener, (struct sockaddr *)un, s->len), 0);
	assert_int_equal(listen(s->listener, backlog), 0);
}

static int accept_one(void *arg)
{
	struct server *s = arg;
	int fd = bp_accept(s->listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return fd;
	expect(!is_nonblocking(fd));
	atomic_fetch_add(&s->done, 1);
	return bp_close(fd);
}

static int connect_one(void *arg)
{
	struct server *s = arg;
	int fd = bp_socket(s->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int err;

	if (fd < 0)
		return fd;
	atomic_fetch_add(&s->begun, 1);
	err = bp_connect(fd, (struct sockaddr *)&s->addr, s->len);
	expect(!is_nonblocking(fd));
	bp_close(fd);
	return err;
}

/*
 * Many wait to accept from one blocking socket; nobody is stuck in a call when another was faster.
 */
static void acceptors_of_one_socket_do_not_hold_up_a_loop(struct test *t)
{
	struct bp_group *g = group_with(t, .stop_after_failures = 0), *clients;
	struct server s;

	listen_tcp(&s);
	for (int i = 0; i < 30; i++)
		expect_eq(bp_go(g, accept_one, &s), 0);
	until_in_flight(t, 30);
	clients = group_with(t, .limit = 5);
	for (int i = 0; i < 20; i++)
		expect_eq(bp_go(clients, connect_one, &s), 0);
	expect_eq(bp_wait(clients), 0);
	bp_group_destroy(clients);
	until_count(t, &s.done, 20);
	bp_cancel(g, -EINTR);
	expect_eq(bp_wait(g), -EINTR);
	expect_eq(stats_of(g).succeeded, 20);
	expect_eq(stats_of(g).stopped, 10);
	bp_group_destroy(g);
	close(s.listener);
}

ON_BOTH(acceptors_of_one_socket_do_not_hold_up_a_loop)

static void a_refused_connect_leaves_the_socket_as_it_was(struct test *t)
{
	struct server s;

	bind_tcp(&s);
	expect_eq(run_task(t, connect_one, &s), -ECONNREFUSED);
	close(s.listener);
}

ON_BOTH(a_refused_connect_leaves_the_socket_as_it_was)

/* A local socket whose queue is full gives EAGAIN, and nothing says when it has room. */
static void a_full_local_listener_is_waited_for(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = 20);
	struct server s;

	listen_unix(t, &s, 1);
	for (int i = 0; i < 10; i++)
		expect_eq(bp_go(g, connect_one, &s), 0);
	until_count(t, &s.begun, 10);
	many_turns(t);
	expect(stats_of(g).running > 0);
	for (int i = 0; i < 10; i++)
		expect_eq(bp_go(g, accept_one, &s), 0);
	expect_eq(bp_wait(g), 0);
	expect_eq(s.done, 10);
	bp_group_destroy(g);
	close(s.listener);
}

ON_BOTH(a_full_local_listener_is_waited_for)

static int send_in_pieces(void *arg)
{
	struct share *s = arg;

	for (int i = 0; i < 10; i++) {
		expect_eq(bp_send(s->peer, "0123456789", 10, 0), 10);
		for (int turn = 0; turn < 5; turn++)
			bp_yield();
	}
	return 0;
}

static int receive_whole(void *arg)
{
	struct share *s = arg;
	char buf[100];
	struct iovec iov[3] = {{buf, 33}, {buf + 33, 33}, {buf + 66, 34}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 3};
	bool vectors = s->turn;
	ssize_t n = vectors ? bp_recvmsg(s->fd, &msg, MSG_WAITALL) :
			      bp_recv(s->fd, buf, sizeof(buf), MSG_WAITALL);

	expect_eq(n, sizeof(buf));
	for (size_t i = 0; i < sizeof(buf); i++)
		expect_eq(buf[i], '0' + (char)(i % 10));
	return 0;
}

/* MSG_WAITALL: the pieces are put together, and no thread stands in the call meanwhile. */
static void waitall_puts_pieces_together(struct test *t)
{
	for (int vectors = 0; vectors < 2; vectors++) {
		struct bp_group *g = group_with(t, .limit = 2);
		struct share s = {.turn = vectors};
		int pair[2];

		make_pair(pair);
		s.fd = pair[0];
		s.peer = pair[1];
		expect_eq(bp_go(g, receive_whole, &s), 0);
		expect_eq(bp_go(g, send_in_pieces, &s), 0);
		expect_eq(bp_wait(g), 0);
		bp_group_destroy(g);
		close_pair(pair);
	}
}

ON_BOTH(waitall_puts_pieces_together)

static int receive_some_of_all(void *arg)
{
	struct share *s = arg;
	char buf[100];

	/* What has come stays, as a cancelled receive of io_uring's would say. */
	s->turn = (int)bp_recv(s->fd, buf, sizeof(buf), MSG_WAITALL);
	return s->turn;
}

static void a_cancel_keeps_what_has_come(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = 2);
	struct share s = {0};
	int pair[2];

	make_pair(pair);
	s.fd = pair[0];
	expect_eq(send(pair[1], "0123456", 7, 0), 7);
	expect_eq(bp_go(g, receive_some_of_all, &s), 0);
	until_in_flight(t, 1);
	bp_cancel(g, -EINTR);
	expect_eq(bp_wait(g), -EINTR);
	expect_eq(s.turn, 7);
	expect_eq(stats_of(g).succeeded, 1);
	bp_group_destroy(g);
	close_pair(pair);
}

ON_BOTH(a_cancel_keeps_what_has_come)

/* ---------------------------------------------------------------- splice and timeouts */

struct link {
	int in, out;
	unsigned int flags;
};

static int splice_some(void *arg)
{
	struct link *l = arg;

	return (int)bp_splice(l->in, -1, l->out, -1, 100, l->flags);
}

/*
 * A splice from an empty pipe waits without a thread, and is cancelled, or goes on with data. There
 * are more of them than there may be threads.
 */
static void a_splice_waits_for_its_source(struct test *t)
{
	enum {
		MANY = 200
	};
	struct bp_group *g = group_with(t, .limit = MANY);
	struct file file = {.fd = temp_file(t, "file", sizeof(file.buf), O_RDONLY)};
	int from[2], to[2];
	struct link l = {0};

	assert_int_equal(pipe2(from, O_CLOEXEC), 0);
	make_pair(to);
	l.in = from[0];
	l.out = to[0];
	for (int i = 0; i < MANY; i++)
		expect_eq(bp_go(g, splice_some, &l), 0);
	until_in_flight(t, MANY);
	expect_eq(run_task(t, read_by_a_helper, &file), 0);
	expect_eq(write(from[1], "hello", 5), 5);
	until_ended(t, g, 1);
	bp_cancel(g, -EINTR);
	expect_eq(bp_wait(g), -EINTR);
	expect_eq(stats_of(g).succeeded, 1);
	expect_eq(stats_of(g).stopped, MANY - 1);
	bp_group_destroy(g);
	l.flags = SPLICE_F_NONBLOCK;
	expect_eq(run_task(t, splice_some, &l), -EAGAIN);
	close(file.fd);
	close_pair(from);
	close_pair(to);
}

ON_BOTH(a_splice_waits_for_its_source)

struct timeout {
	struct __kernel_timespec ts;
	unsigned int flags;
};

static int await_timeout(void *arg)
{
	struct timeout *timeout = arg;

	io_uring_prep_timeout(bp_sqe(), &timeout->ts, 0, timeout->flags);
	return bp_await();
}

static void timeouts_fire_on_every_clock(struct test *t)
{
	const unsigned int clocks[] = {0, IORING_TIMEOUT_BOOTTIME, IORING_TIMEOUT_REALTIME};
	struct timeout wrong = {.ts.tv_nsec = -1};

	for (size_t i = 0; i < COUNT_OF(clocks); i++) {
		struct timeout in_2_ms = {.ts.tv_nsec = 2000000, .flags = clocks[i]};
		struct timeout long_ago = {.ts.tv_sec = 1, .flags = clocks[i] | IORING_TIMEOUT_ABS};
		uint64_t begin = bp_now(t->engine);

		expect_eq(run_task(t, await_timeout, &in_2_ms), -ETIME);
		expect(bp_now(t->engine) - begin >= 2 * MS);
		expect_eq(run_task(t, await_timeout, &long_ago), -ETIME);
	}
	expect_eq(run_task(t, await_timeout, &wrong), -EINVAL);
}

ON_BOTH(timeouts_fire_on_every_clock)

static void timeouts_are_cancelled(struct test *t)
{
	struct timeout an_hour = {.ts.tv_sec = 3600};
	struct bp_group *g = group_with(t, .limit = 100);

	for (int i = 0; i < 100; i++)
		expect_eq(bp_go(g, await_timeout, &an_hour), 0);
	until_in_flight(t, 100);
	bp_cancel(g, -EINTR);
	expect_eq(bp_wait(g), -EINTR);
	expect_eq(stats_of(g).stopped, 100);
	bp_group_destroy(g);
}

ON_BOTH(timeouts_are_cancelled)

/* ---------------------------------------------------------------- closed descriptors */

static int receive_from_closed(void *arg)
{
	struct share *s = arg;
	char byte;
	ssize_t n = bp_recv(s->fd, &byte, 1, 0);

	expect_eq(n, -EBADF);
	atomic_fetch_add(&s->done, 1);
	return 0;
}

static int close_it(void *arg)
{
	struct share *s = arg;

	return bp_close(s->fd);
}

/* Otherwise they would wait for ever, for epoll forgets what is closed. */
static void a_close_ends_the_waits_on_every_loop(struct test *t)
{
	for (int round = 0; round < 20; round++) {
		struct bp_group *g = group_with(t, .limit = 20);
		struct share s = {0};
		int pair[2];

		make_pair(pair);
		s.fd = pair[0];
		for (int i = 0; i < 10; i++)
			expect_eq(bp_go(g, receive_from_closed, &s), 0);
		until_in_flight(t, 10);
		/*
		 * And the loops have had a turn, so that each wait stands where the close finds it.
		 */
		many_turns(t);
		expect_eq(bp_go(g, close_it, &s), 0);
		expect_eq(bp_wait(g), 0);
		expect_eq(s.done, 10);
		expect_eq(fcntl(pair[0], F_GETFD), -1);
		bp_group_destroy(g);
		close(pair[1]);
	}
}

ON_BOTH(a_close_ends_the_waits_on_every_loop)

static int receive_x(void *arg)
{
	struct share *s = arg;
	char byte = 0;
	ssize_t n = bp_recv(s->fd, &byte, 1, 0);

	expect_eq(n, 1);
	expect_eq(byte, 'x');
	return (int)n;
}

/* The program closes a descriptor by itself and gets the same number again: both are told apart. */
static void a_number_that_is_used_again_is_noticed(struct test *t)
{
	struct bp_group *old = group_with(t, .limit = 1), *g = group_with(t, .limit = 1);
	struct share s = {0};
	int pair[2], again[2];

	make_pair(pair);
	make_pair(again);
	s.fd = pair[0];
	expect_eq(bp_go(old, receive_from_closed, &s), 0);
	until_in_flight(t, 1);
	/* It goes and comes back as another socket. */
	assert_int_equal(dup3(again[0], pair[0], O_CLOEXEC), pair[0]);
	expect_eq(bp_go(g, receive_x, &s), 0);
	expect_eq(bp_wait(old), 0);
	expect_eq(send(again[1], "x", 1, 0), 1);
	expect_eq(bp_wait(g), 0);
	bp_group_destroy(old);
	bp_group_destroy(g);
	close_pair(pair);
	close_pair(again);
}

static void a_number_that_is_used_again_is_noticed_driven(struct test *t)
{
	engine_of_threads(t, 0);
	a_number_that_is_used_again_is_noticed(t);
}

/* A wait that was cancelled leaves nothing behind that a later one under its number could miss. */
static void a_number_is_waited_for_again_after_a_cancel(struct test *t)
{
	for (int round = 0; round < 20; round++) {
		struct bp_group *g = group_with(t, .limit = 1);
		struct share s = {0};
		int pair[2];

		make_pair(pair);
		s.fd = pair[0];
		expect_eq(bp_go(g, poll_in, &s), 0);
		until_in_flight(t, 1);
		if (round % 2) {
			bp_cancel(g, -EINTR);
			expect_eq(bp_wait(g), -EINTR);
		} else {
			expect_eq(send(pair[1], "x", 1, 0), 1);
			expect_eq(bp_wait(g), 0);
		}
		bp_group_destroy(g);
		close_pair(pair);
	}
}

ON_BOTH(a_number_is_waited_for_again_after_a_cancel)

/* ---------------------------------------------------------------- what is not carried out */

struct unsupported {
	const char *what;
	unsigned int opcode, flags, ioprio, file_index;
	int want;
};

static int await_unsupported(void *arg)
{
	const struct unsupported *u = arg;
	struct io_uring_sqe *sqe = bp_sqe();
	int res;

	io_uring_prep_rw((int)u->opcode, sqe, -1, NULL, 0, 0);
	sqe->flags = (uint8_t)u->flags;
	sqe->ioprio = (uint16_t)u->ioprio;
	sqe->file_index = u->file_index;
	res = bp_await();
	if (res != u->want)
		record_failure("%s: %d, not %d", u->what, res, u->want);
	return 0;
}

static void what_is_not_carried_out_says_so(struct test *t)
{
	static const struct unsupported list[] = {
		{"READ_FIXED", IORING_OP_READ_FIXED, .want = -EOPNOTSUPP},
		{"WRITE_FIXED", IORING_OP_WRITE_FIXED, .want = -EOPNOTSUPP},
		{"POLL_REMOVE", IORING_OP_POLL_REMOVE, .want = -EOPNOTSUPP},
		{"TIMEOUT_REMOVE", IORING_OP_TIMEOUT_REMOVE, .want = -EOPNOTSUPP},
		{"ASYNC_CANCEL", IORING_OP_ASYNC_CANCEL, .want = -EOPNOTSUPP},
		{"LINK_TIMEOUT", IORING_OP_LINK_TIMEOUT, .want = -EOPNOTSUPP},
		{"FILES_UPDATE", IORING_OP_FILES_UPDATE, .want = -EOPNOTSUPP},
		{"PROVIDE_BUFFERS", IORING_OP_PROVIDE_BUFFERS, .want = -EOPNOTSUPP},
		{"REMOVE_BUFFERS", IORING_OP_REMOVE_BUFFERS, .want = -EOPNOTSUPP},
		{"MSG_RING", IORING_OP_MSG_RING, .want = -EOPNOTSUPP},
		{"URING_CMD", IORING_OP_URING_CMD, .want = -EOPNOTSUPP},
		{"no opcode", 255, .want = -EINVAL},
		{"a fixed file", IORING_OP_READ, IOSQE_FIXED_FILE, .want = -EOPNOTSUPP},
		{"a drain", IORING_OP_NOP, IOSQE_IO_DRAIN, .want = -EOPNOTSUPP},
		{"a direct descriptor", IORING_OP_OPENAT, .file_index = 1, .want = -EOPNOTSUPP},
		{"a direct close", IORING_OP_CLOSE, .file_index = 1, .want = -EOPNOTSUPP},
		{"a direct socket", IORING_OP_SOCKET, .file_index = 1, .want = -EOPNOTSUPP},
		/* These are, and refuse what io_uring does: no such group, no group, no socket. */
		{"a provided buffer", IORING_OP_RECV, IOSQE_BUFFER_SELECT, .want = -ENOBUFS},
		{"multishot recv", IORING_OP_RECV, .ioprio = IORING_RECV_MULTISHOT,
		 .want = -EINVAL},
		{"multishot accept", IORING_OP_ACCEPT, .ioprio = IORING_ACCEPT_MULTISHOT,
		 .want = -EBADF},
		/* The library takes these out, as it does with io_uring. */
		{"a link", IORING_OP_NOP, IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS, .want = 0},
		{"a priority", IORING_OP_READ, .ioprio = 0x4001, .want = -EBADF},
	};

	for (size_t i = 0; i < COUNT_OF(list); i++)
		expect_eq(run_task(t, await_unsupported, (void *)&list[i]), 0);
}

ON_BOTH(what_is_not_carried_out_says_so)

static int newer_operations(void *unused)
{
	struct epoll_event ev = {.events = EPOLLIN}, got = {0};
	int fds[2] = {-1, -1}, epoll = epoll_create1(EPOLL_CLOEXEC);

	(void)unused;
	io_uring_prep_rw(BP_IORING_OP_PIPE, bp_sqe(), 0, fds, 0, 0);
	expect_eq(bp_await(), 0);
	expect(fds[0] >= 0 && fds[1] >= 0);
	io_uring_prep_epoll_ctl(bp_sqe(), epoll, fds[0], EPOLL_CTL_ADD, &ev);
	expect_eq(bp_await(), 0);
	expect_eq(write(fds[1], "x", 1), 1);
	io_uring_prep_rw(BP_IORING_OP_EPOLL_WAIT, bp_sqe(), epoll, &got, 1, 0);
	expect_eq(bp_await(), 1);
	expect_eq(got.events, EPOLLIN);
	close(epoll);
	close(fds[0]);
	close(fds[1]);
	return 0;
}

/* Operations that the running kernel's io_uring may not even know. */
static void newer_operations_are_plain_calls(struct test *t)
{
	expect_eq(run_task(t, newer_operations, NULL), 0);
}

ON_BOTH(newer_operations_are_plain_calls)

static const struct test_case cases[] = {
	BOTH(acceptors_of_one_socket_do_not_hold_up_a_loop),
	BOTH(a_refused_connect_leaves_the_socket_as_it_was),
	BOTH(a_full_local_listener_is_waited_for),
	BOTH(waitall_puts_pieces_together),
	BOTH(a_cancel_keeps_what_has_come),
	BOTH(a_splice_waits_for_its_source),
	BOTH(timeouts_fire_on_every_clock),
	BOTH(timeouts_are_cancelled),
	BOTH(a_close_ends_the_waits_on_every_loop),
	ONCE(a_number_that_is_used_again_is_noticed_driven),
	BOTH(a_number_is_waited_for_again_after_a_cancel),
	BOTH(what_is_not_carried_out_says_so),
	BOTH(newer_operations_are_plain_calls),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
