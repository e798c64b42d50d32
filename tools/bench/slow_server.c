/* SPDX-License-Identifier: MIT */
/*
 * slow_server.c - a server on the library that takes its time: what in-flight asks
 *
 * usage: slow-server MS [PLACES [MS FROM-MS TO-MS]]
 *
 * Prints its port, answers each request with 2 bytes so many milliseconds after it came, and keeps
 * connections. With PLACES it works on so many at once, and the others wait in line: it slows down under
 * load. The second time is that between the two points, counted from the first request.
 * When its standard input ends it says how many requests there were, and how many at most waited
 * for their answer at one instant, and ends. A connection is a task; one engine, driven by the one
 * thread.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <batchproc.h>

#define ACCEPTERS 256
/*
 * Sockets of one port, among which the kernel divides what comes. One can be asked by
 * net.core.somaxconn at once, 4096 by default; who comes then asks again after a second, and that
 * would be measured.
 */
#define LISTENERS 8

static struct {
	struct bp_engine *engine;
	struct bp_group *group;
	uint64_t delay_ns;
	struct bp_semaphore places; /* requests that are worked on at once; the others wait */
	bool queues;
	uint64_t slow_ns, from_ns, to_ns; /* its delay for a while, since the first request */
	uint64_t first_ns;
	int listeners[LISTENERS];
	unsigned long requests, waiting, most;
} server;

/* Reads up to the end of a head; 0: the connection ended. */
static ssize_t read_request(int fd, char *buf, size_t size)
{
	size_t got = 0;

	for (;;) {
		ssize_t n = bp_recv(fd, buf + got, size - 1 - got, 0);

		if (n <= 0)
			return n;
		got += (size_t)n;
		buf[got] = '\0';
		if (strstr(buf, "\r\n\r\n"))
			return 1;
		if (got == size - 1)
			return -EMSGSIZE;
	}
}

static uint64_t delay_now(void)
{
	uint64_t now = bp_now(server.engine);

	if (!server.first_ns)
		server.first_ns = now;
	now -= server.first_ns;
	return now >= server.from_ns && now < server.to_ns ? server.slow_ns : server.delay_ns;
}

static int work(void)
{
	int err = server.queues ? bp_semaphore_acquire(&server.places, 1) : 0;

	if (err)
		return err;
	err = bp_sleep(delay_now());
	if (server.queues)
		bp_semaphore_release(&server.places, 1);
	return err;
}

static int serve(void *arg)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
	int fd = *(int *)arg;
	char buf[1024];

	while (read_request(fd, buf, sizeof(buf)) > 0) {
		int err;

		server.requests++;
		if (++server.waiting > server.most)
			server.most = server.waiting;
		err = work();
		server.waiting--;
		if (err || bp_send(fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL) < 0)
			break;
	}
	bp_close(fd);
	return 0;
}

static int accept_all(void *arg)
{
	const int *listener = arg;

	for (;;) {
		static const int on = 1;
		int fd = bp_accept(*listener, NULL, NULL, SOCK_CLOEXEC), err;

		if (fd < 0)
			return fd;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		err = bp_go_copy(server.group, serve, &fd, sizeof(fd));
		if (err) {
			bp_close(fd);
			return err;
		}
	}
}

/* The end of the input is the end of the server. */
static int await_end(void *arg)
{
	char byte;

	(void)arg;
	while (bp_read(STDIN_FILENO, &byte, 1, -1) > 0)
		;
	bp_cancel(server.group, 0);
	return 0;
}

static int listen_here(void)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
	static const int on = 1;
	socklen_t len = sizeof(addr);

	/* The first chooses the port. */
	for (int i = 0; i < LISTENERS; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) ||
		    bind(fd, (struct sockaddr *)&addr, len) || listen(fd, 65535) ||
		    getsockname(fd, (struct sockaddr *)&addr, &len))
			return -errno;
		server.listeners[i] = fd;
	}
	printf("%u\n", ntohs(addr.sin_port));
	fflush(stdout);
	return 0;
}

static uint64_t milliseconds(const char *text)
{
	return strtoull(text, NULL, 10) * 1000000u;
}

int main(int argc, char **argv)
{
	struct rlimit files;
	int err;

	if (argc < 2 || argc > 6 || (argc > 3 && argc < 6)) {
		fputs("usage: slow-server MS [PLACES [MS FROM-MS TO-MS]]\n", stderr);
		return 2;
	}
	server.delay_ns = milliseconds(argv[1]);
	server.queues = argc > 2;
	if (argc == 6) {
		server.slow_ns = milliseconds(argv[3]);
		server.from_ns = milliseconds(argv[4]);
		server.to_ns = milliseconds(argv[5]);
	}
	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	err = bp_engine_create(&server.engine, &BP_ENGINE_OPTS(.depth = 32768));
	if (!err)
		err = bp_group_create(&server.group, server.engine,
				      &BP_GROUP_OPTS(.stop_after_failures = 0));
	if (!err && server.queues)
		bp_semaphore_init(&server.places, server.engine, strtoull(argv[2], NULL, 10));
	if (!err)
		err = listen_here();
	if (!err)
		err = bp_go(server.group, await_end, NULL);
	/*
	 * Many, since one task takes one connection in a turn of its loop, and the backlog is
	 * finite.
	 */
	for (int i = 0; i < ACCEPTERS && !err; i++)
		err = bp_go(server.group, accept_all, &server.listeners[i % LISTENERS]);
	if (err) {
		fprintf(stderr, "slow-server: %s\n", strerror(-err));
		return 1;
	}
	bp_wait(server.group);
	printf("%lu requests, %lu at once at most\n", server.requests, server.most);
	bp_group_destroy(server.group);
	bp_engine_destroy(server.engine);
	return 0;
}
