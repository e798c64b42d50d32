/* SPDX-License-Identifier: MIT */
/*
 * ring_get.c - the ceiling of `batchproc fetch`: GETs over a bare ring, without a parser
 *
 * usage: ring-get CONNECTIONS PORT PATH COUNT LENGTH DIR|none
 *
 * As pool-get, with one thread and a state for each connection. A response is over when LENGTH
 * bytes stand behind its empty line, and nothing else is looked at. Files are made by plain calls.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

#define BUFFER 4096u

struct client {
	int fd; /* -1: none */
	bool sending, kept;
	size_t number, got, len;
	char buffer[BUFFER];
	char request[512];
};

static struct io_uring ring;
static struct sockaddr_in server = {.sin_family = AF_INET};
static const char *path;
static size_t count, next, failed, busy, length;
static int dirfd_ = -1;

static int connect_to_server(void)
{
	static const int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (!connect(fd, (const struct sockaddr *)&server, sizeof(server)))
		return fd;
	close(fd);
	return -errno;
}

static int make_file(const struct client *c, const char *data)
{
	char name[32], temp[40];
	int fd, err = 0;

	if (dirfd_ < 0)
		return 0;
	snprintf(name, sizeof(name), "%zu", c->number);
	snprintf(temp, sizeof(temp), ".%zu.part", c->number);
	fd = openat(dirfd_, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
	if (fd < 0)
		return -errno;
	if (write(fd, data, length) != (ssize_t)length)
		err = -EIO;
	close(fd);
	if (!err && renameat(dirfd_, temp, dirfd_, name))
		err = -errno;
	return err;
}

static void send_request(struct client *c)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	c->sending = true;
	c->got = 0;
	io_uring_prep_send(sqe, c->fd, c->request, c->len, MSG_NOSIGNAL);
	io_uring_sqe_set_data(sqe, c);
}

static void receive(struct client *c)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	c->sending = false;
	io_uring_prep_recv(sqe, c->fd, c->buffer + c->got, BUFFER - 1 - c->got, 0);
	/* The answer cannot be there yet. */
	if (!c->got)
		sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
	io_uring_sqe_set_data(sqe, c);
}

/* On a fresh connection where there is none, or @fresh. */
static void begin(struct client *c, bool fresh)
{
	if (fresh && c->fd >= 0) {
		close(c->fd);
		c->fd = -1;
	}
	c->kept = c->fd >= 0;
	if (c->fd < 0)
		c->fd = connect_to_server();
	if (c->fd < 0) {
		failed++;
		busy--;
		return;
	}
	send_request(c);
}

static void begin_next(struct client *c)
{
	if (next == count) {
		if (c->fd >= 0)
			close(c->fd);
		busy--;
		return;
	}
	c->number = next++;
	c->len =
		(size_t)snprintf(c->request, sizeof(c->request),
				 "GET %s?%zu HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUser-Agent: ring\r\n"
				 "Accept: */*\r\nAccept-Encoding: identity\r\n\r\n",
				 path, c->number, ntohs(server.sin_port));
	begin(c, false);
}

static void received(struct client *c)
{
	char *body;

	c->buffer[c->got] = '\0';
	body = memmem(c->buffer, c->got, "\r\n\r\n", 4);
	if (!body || c->got < (size_t)(body + 4 - c->buffer) + length) {
		receive(c);
		return;
	}
	failed += make_file(c, body + 4) != 0;
	begin_next(c);
}

static void completed(struct client *c, int res)
{
	if (res > 0 && c->sending) {
		receive(c);
	} else if (res > 0) {
		c->got += (size_t)res;
		received(c);
	} else if (c->kept && !c->got) {
		begin(c, true);
	} else {
		failed++;
		close(c->fd);
		c->fd = -1;
		begin_next(c);
	}
}

int main(int argc, char **argv)
{
	unsigned int clients, i, seen, head;
	struct io_uring_cqe *cqe;
	struct client *all;

	if (argc != 7) {
		fputs("usage: ring-get CONNECTIONS PORT PATH COUNT LENGTH DIR|none\n", stderr);
		return 2;
	}
	clients = (unsigned int)atoi(argv[1]);
	server.sin_port = htons((uint16_t)atoi(argv[2]));
	server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	path = argv[3];
	count = strtoul(argv[4], NULL, 10);
	length = strtoul(argv[5], NULL, 10);
	all = calloc(clients, sizeof(*all));
	if (strcmp(argv[6], "none"))
		dirfd_ = open(argv[6], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (!all || bare_ring(&ring, 2 * clients) || (strcmp(argv[6], "none") && dirfd_ < 0)) {
		fprintf(stderr, "ring-get: %s\n", strerror(errno));
		return 1;
	}
	busy = clients;
	for (i = 0; i < clients; i++) {
		all[i].fd = -1;
		begin_next(&all[i]);
	}
	while (busy) {
		io_uring_submit_and_wait(&ring, 1);
		seen = 0;
		io_uring_for_each_cqe(&ring, head, cqe)
		{
			seen++;
			completed(io_uring_cqe_get_data(cqe), cqe->res);
		}
		io_uring_cq_advance(&ring, seen);
	}
	io_uring_queue_exit(&ring);
	free(all);
	return failed != 0;
}
