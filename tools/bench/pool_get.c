/* SPDX-License-Identifier: MIT */
/*
 * pool_get.c - the peer of `batchproc fetch`: threads that get URLs over blocking sockets
 *
 * usage: pool-get [-t THREADS] PORT PATH COUNT DIR|none
 *
 * GETs http://127.0.0.1:PORT/PATH?I for I from 0 to COUNT - 1, each thread over a connection of its
 * own that is kept, and makes a file of each body: DIR/I, which gets its name when it is whole.
 * Heads are read by the command's own parser.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/head.h"
#include "pool.h"

#define BUFFER 65536u

static struct sockaddr_in server = {.sin_family = AF_INET};
static const char *path;
static size_t count;
static atomic_size_t next, failed;
static int dirfd_ = -1; /* -1: bodies are dropped */

struct client {
	int fd; /* -1: none */
	char buffer[BUFFER];
};

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

static int make_file(size_t number, const char *data, size_t len)
{
	char name[32], temp[40];
	int fd, err = 0;

	if (dirfd_ < 0)
		return 0;
	snprintf(name, sizeof(name), "%zu", number);
	snprintf(temp, sizeof(temp), ".%zu.part", number);
	fd = openat(dirfd_, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
	if (fd < 0)
		return -errno;
	if (write(fd, data, len) != (ssize_t)len)
		err = -EIO;
	close(fd);
	if (!err && renameat(dirfd_, temp, dirfd_, name))
		err = -errno;
	return err;
}

/* Reads a whole response, which fits the buffer. */
static int read_response(struct client *c, size_t number, bool *keep)
{
	struct head head = {0};
	size_t got = 0, at = 0, len = 0;
	int err = 0;

	while (!len || got < len + head.length) {
		ssize_t n = recv(c->fd, c->buffer + got, BUFFER - got, 0);

		if (n <= 0) {
			err = n ? -errno : -ECONNRESET;
			break;
		}
		got += (size_t)n;
		if (len || !(len = head_length(c->buffer, got, &at)))
			continue;
		if (head_read(&head, c->buffer, len, false) || head.status != 200 ||
		    head.body != BODY_LENGTH || head.length > BUFFER - len) {
			err = -EPROTO;
			break;
		}
	}
	*keep = head.keep;
	if (!err)
		err = make_file(number, c->buffer + len, (size_t)head.length);
	head_free(&head);
	return err;
}

static int get(struct client *c, size_t number)
{
	char request[512];
	bool keep = false;
	int len, err;

	if (c->fd < 0)
		c->fd = connect_to_server();
	if (c->fd < 0)
		return c->fd;
	len = snprintf(request, sizeof(request),
		       "GET %s?%zu HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUser-Agent: pool\r\n"
		       "Accept: */*\r\nAccept-Encoding: identity\r\n\r\n",
		       path, number, ntohs(server.sin_port));
	if (send(c->fd, request, (size_t)len, MSG_NOSIGNAL) != len)
		err = -EPIPE;
	else
		err = read_response(c, number, &keep);
	if (err || !keep) {
		close(c->fd);
		c->fd = -1;
	}
	return err;
}

static void *work(void *arg)
{
	struct client *c = must(malloc(sizeof(*c)));
	size_t i;

	(void)arg;
	c->fd = -1;
	while ((i = atomic_fetch_add(&next, 1)) < count) {
		/* A connection that the server has ended meanwhile is none of the request's faults. */
		bool kept = c->fd >= 0;

		if (get(c, i) && (!kept || get(c, i)))
			atomic_fetch_add(&failed, 1);
	}
	if (c->fd >= 0)
		close(c->fd);
	free(c);
	return NULL;
}

int main(int argc, char **argv)
{
	unsigned int threads = pool_threads(argc, argv);
	int arg = argc > 2 && !strcmp(argv[1], "-t") ? 3 : 1;

	if (argc - arg != 4 || !threads) {
		fputs("usage: pool-get [-t THREADS] PORT PATH COUNT DIR|none\n", stderr);
		return 2;
	}
	server.sin_port = htons((uint16_t)atoi(argv[arg]));
	server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	path = argv[arg + 1];
	count = strtoul(argv[arg + 2], NULL, 10);
	if (strcmp(argv[arg + 3], "none")) {
		dirfd_ = open(argv[arg + 3], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (dirfd_ < 0) {
			fprintf(stderr, "pool-get: %s: %s\n", argv[arg + 3], strerror(errno));
			return 1;
		}
	}
	pool_run(threads, work);
	return atomic_load(&failed) != 0;
}
