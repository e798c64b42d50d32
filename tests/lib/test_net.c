/* SPDX-License-Identifier: MIT */
/*
 * test_net - the operations on sockets, over the loopback and over socket pairs
 */
#include <netinet/in.h>
#include <sys/mman.h>

#include "support/harness.h"

struct server {
	struct test *t;
	struct sockaddr_in addr;
	int listener;
	unsigned long clients;
	atomic_ulong served;
};

/* Who connects to it now is refused, and nobody else gets the port. */
static void bind_here(struct server *s)
{
	socklen_t len = sizeof(s->addr);

	s->addr = (struct sockaddr_in){.sin_family = AF_INET,
				       .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
	s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s->listener, (struct sockaddr *)&s->addr, len), 0);
	assert_int_equal(getsockname(s->listener, (struct sockaddr *)&s->addr, &len), 0);
}

static void listen_here(struct server *s)
{
	bind_here(s);
	assert_int_equal(listen(s->listener, 128), 0);
}

static int echo(void *arg)
{
	int fd = *(int *)arg;
	char buf[64];
	ssize_t n;

	while ((n = bp_recv(fd, buf, sizeof(buf), 0)) > 0) {
		for (ssize_t sent = 0; sent < n;) {
			ssize_t s = bp_send(fd, buf + sent, (size_t)(n - sent), MSG_NOSIGNAL);

			if (!expect(s > 0))
				break;
			sent += s;
		}
	}
	expect_eq(bp_close(fd), 0);
	return (int)n;
}

struct accepting {
	struct server *s;
	struct bp_group *g;
};

static int accept_all(void *arg)
{
	struct accepting *a = arg;

	for (unsigned long i = 0; i < a->s->clients; i++) {
		struct sockaddr_in peer = {.sin_family = 0};
		socklen_t len = sizeof(peer);
		int fd = bp_accept(a->s->listener, (struct sockaddr *)&peer, &len, SOCK_CLOEXEC);

		if (!expect(fd >= 0))
			return fd;
		expect_eq(len, sizeof(peer));
		expect_eq(peer.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
		expect_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
		expect_eq(bp_go_copy(a->g, echo, &fd, sizeof(fd)), 0);
	}
	return 0;
}

static int ask(void *arg)
{
	struct server *s = arg;
	char out[200], in[200] = "";
	size_t got = 0;
	int fd = bp_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), err;

	if (!expect(fd >= 0))
		return fd;
	err = bp_connect(fd, (struct sockaddr *)&s->addr, sizeof(s->addr));
	expect_eq(err, 0);
	memset(out, 'a' + (int)(atomic_fetch_add(&s->served, 1) % 26), sizeof(out));
	expect_eq(bp_send(fd, out, sizeof(out), 0), sizeof(out));
	expect_eq(bp_shutdown(fd, SHUT_WR), 0);
	while (got < sizeof(in)) {
		ssize_t n = bp_recv(fd, in + got, sizeof(in) - got, 0);

		if (!expect(n > 0))
			break;
		got += (size_t)n;
	}
	expect_eq(memcmp(in, out, sizeof(in)), 0);
	expect_eq(bp_recv(fd, in, 1, 0), 0);
	return bp_close(fd);
}

/* Many clients talk to an echo server, all tasks of one engine. */
static void clients_and_servers_talk_over_tcp(struct test *t)
{
	struct server s = {.t = t, .clients = live_tasks(100)};
	struct bp_group *servers = group_with(t, .limit = BP_LIMIT_NONE);
	struct bp_group *clients = group_with(t, .limit = 20);
	struct accepting a = {&s, servers};

	listen_here(&s);
	expect_eq(bp_go(servers, accept_all, &a), 0);
	for (unsigned long i = 0; i < s.clients; i++)
		expect_eq(bp_go(clients, ask, &s), 0);
	expect_eq(bp_wait(clients), 0);
	expect_eq(bp_wait(servers), 0);
	expect_eq(s.served, s.clients);
	bp_group_destroy(clients);
	bp_group_destroy(servers);
	close(s.listener);
}

static int connect_to_nobody(void *arg)
{
	struct server *s = arg;
	int fd = bp_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int err = bp_connect(fd, (struct sockaddr *)&s->addr, sizeof(s->addr));

	expect_eq(err, -ECONNREFUSED);
	expect_eq(bp_close(fd), 0);
	expect_eq(bp_socket(AF_INET, 12345, 0), -EINVAL);
	return 0;
}

static void connecting_to_nobody_is_refused(struct test *t)
{
	struct server s = {.t = t};

	bind_here(&s);
	expect_eq(run_task(t, connect_to_nobody, &s), 0);
	close(s.listener);
}

struct pair {
	int fd[2];
};

static int wait_for_no_data(void *arg)
{
	struct pair *p = arg;
	char byte;

	expect_eq(bp_recv(p->fd[0], &byte, 1, MSG_DONTWAIT), -EAGAIN);
	expect_eq(fcntl(p->fd[0], F_SETFL, O_NONBLOCK), 0);
	expect_eq(bp_recv(p->fd[0], &byte, 1, MSG_DONTWAIT), -EAGAIN);
	return 0;
}

/* MSG_DONTWAIT keeps its -EAGAIN. */
static void dontwait_does_not_wait(struct test *t)
{
	struct pair p;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p.fd), 0);
	expect_eq(run_task(t, wait_for_no_data, &p), 0);
	close(p.fd[0]);
	close(p.fd[1]);
}

static int recv_a_byte(void *arg)
{
	char byte = 0;

	expect_eq(bp_recv(*(int *)arg, &byte, 1, 0), 1);
	expect_eq(byte, 'x');
	return 0;
}

/* Without it a non-blocking socket is waited for. */
static void a_nonblocking_socket_is_waited_for(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = 1);
	struct pair p;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, p.fd),
			 0);
	expect_eq(bp_go(g, recv_a_byte, &p.fd[0]), 0);
	until_in_flight(t, 1);
	many_turns(t);
	expect_eq(stats_of(g).running, 1);
	expect_eq(write(p.fd[1], "x", 1), 1);
	expect_eq(bp_wait(g), 0);
	bp_group_destroy(g);
	close(p.fd[0]);
	close(p.fd[1]);
}

/* Lengths that 32 bits cannot say are cut as read(2) cuts them, not to their low bits. */
static int moves_too_much(void *arg)
{
	const size_t too_much = (size_t)1 << 32;
	struct pair *p = arg;
	char buf[16];
	char *memory =
		mmap(NULL, too_much, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (!expect(memory != MAP_FAILED))
		return -ENOMEM;
	expect(bp_send(p->fd[0], memory, too_much, MSG_DONTWAIT) > 0);
	munmap(memory, too_much);
	expect_eq(send(p->fd[1], "ten bytes.", 10, 0), 10);
	expect_eq(bp_recv(p->fd[0], buf, too_much, 0), 10);
	expect_eq(send(p->fd[1], "ten bytes.", 10, 0), 10);
	expect_eq(bp_read(p->fd[0], buf, too_much, -1), 10);
	return 0;
}

static void lengths_are_cut_as_read_cuts_them(struct test *t)
{
	struct pair p;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p.fd), 0);
	expect_eq(run_task(t, moves_too_much, &p), 0);
	close(p.fd[0]);
	close(p.fd[1]);
}

/* Messages with a descriptor in their ancillary data. */
static int pass_a_descriptor(void *arg)
{
	struct pair *p = arg;
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control = {.buf = ""};
	char text[8] = "";
	struct iovec iov = {"fd", 2};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.buf,
			     .msg_controllen = sizeof(control.buf)};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	struct stat a, b;
	int fd = STDOUT_FILENO;

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	expect_eq(bp_sendmsg(p->fd[0], &msg, 0), 2);

	iov = (struct iovec){text, sizeof(text)};
	memset(&control, 0, sizeof(control));
	msg.msg_controllen = sizeof(control.buf);
	expect_eq(bp_recvmsg(p->fd[1], &msg, MSG_CMSG_CLOEXEC), 2);
	expect_eq(strcmp(text, "fd"), 0);
	cmsg = CMSG_FIRSTHDR(&msg);
	if (!expect(cmsg && cmsg->cmsg_type == SCM_RIGHTS))
		return -EIO;
	memcpy(&fd, CMSG_DATA(cmsg), sizeof(fd));
	expect_eq(fstat(STDOUT_FILENO, &a), 0);
	expect_eq(fstat(fd, &b), 0);
	expect_eq(a.st_ino, b.st_ino);
	expect_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	return bp_close(fd);
}

static void sendmsg_and_recvmsg_carry_ancillary_data(struct test *t)
{
	struct pair p;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p.fd), 0);
	expect_eq(run_task(t, pass_a_descriptor, &p), 0);
	close(p.fd[0]);
	close(p.fd[1]);
}

static int send_to_the_gone(void *arg)
{
	struct pair *p = arg;
	char byte;

	expect_eq(bp_send(p->fd[0], "x", 1, MSG_NOSIGNAL), -EPIPE);
	expect_eq(bp_recv(p->fd[0], &byte, 1, 0), 0);
	expect_eq(bp_shutdown(p->fd[0], 12345), -EINVAL);
	return 0;
}

static void sending_to_a_closed_peer_is_epipe(struct test *t)
{
	struct pair p;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p.fd), 0);
	close(p.fd[1]);
	expect_eq(run_task(t, send_to_the_gone, &p), 0);
	close(p.fd[0]);
}

static int accept_for_ever(void *arg)
{
	struct server *s = arg;

	return bp_accept(s->listener, NULL, NULL, 0);
}

/* An accept and a connect that nothing answers are cancelled. */
static void a_waiting_accept_is_cancelled(struct test *t)
{
	struct server s = {.t = t};
	struct bp_group *g = group_with(t, .limit = 3);

	listen_here(&s);
	for (int i = 0; i < 3; i++)
		expect_eq(bp_go(g, accept_for_ever, &s), 0);
	until_in_flight(t, 3);
	bp_cancel(g, -EINTR);
	expect_eq(bp_wait(g), -EINTR);
	expect_eq(stats_of(g).stopped, 3);
	bp_group_destroy(g);
	close(s.listener);
}

static int connect_and_hang(void *arg)
{
	struct server *s = arg;
	int fd = bp_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int err;

	if (fd < 0)
		return fd;
	err = bp_connect(fd, (struct sockaddr *)&s->addr, sizeof(s->addr));
	expect_eq(bp_close(fd), 0);
	return err;
}

static void a_connect_to_a_full_backlog_is_cancelled(struct test *t)
{
	enum {
		MANY = 40
	};
	struct server s = {.t = t};
	struct bp_group *g = group_with(t, .stop_after_failures = 0);

	listen_here(&s);
	assert_int_equal(listen(s.listener, 0), 0);
	for (int i = 0; i < MANY; i++)
		expect_eq(bp_go(g, connect_and_hang, &s), 0);
	until_ended(t, g, 1);
	bp_cancel(g, -EINTR);
	expect_eq(bp_wait(g), -EINTR);
	expect(stats_of(g).succeeded >= 1);
	expect(stats_of(g).stopped >= 1);
	expect_eq(stats_of(g).failed, 0);
	expect_balanced(g);
	bp_group_destroy(g);
	close(s.listener);
}

static const struct test_case cases[] = {
	EACH_ROW(clients_and_servers_talk_over_tcp),
	EACH_ROW(connecting_to_nobody_is_refused),
	EACH_ROW(dontwait_does_not_wait),
	EACH_ROW(a_nonblocking_socket_is_waited_for),
	EACH_ROW(lengths_are_cut_as_read_cuts_them),
	EACH_ROW(sendmsg_and_recvmsg_carry_ancillary_data),
	EACH_ROW(sending_to_a_closed_peer_is_epipe),
	EACH_ROW(a_waiting_accept_is_cancelled),
	EACH_ROW(a_connect_to_a_full_backlog_is_cancelled),
};

int main(int argc, char **argv)
{
	return RUN_REAL_CASES(argc, argv, cases);
}
