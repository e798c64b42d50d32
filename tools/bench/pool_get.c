/* SPDX-License-Identifier: MIT */
/*
 * pool_get.c - the peer of `batchproc fetch`: threads that get URLs over blocking sockets
 *
 * usage: pool-get [-t THREADS] PORT PATH COUNT DIR|none
 *
 * Each thread has a connection of its own that is kept. Heads are read by the command's own
 * parser; see getting.h for what is asked, and what becomes of it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "getting.h"
#include "net/head.h"
#include "pool.h"

#define BUFFER 65536u

static size_t count;
static atomic_size_t next, failed;

struct client {
	int fd; /* -1: none */
	char buffer[BUFFER];
};

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
		err = getting_make(number, c->buffer + len, (size_t)head.length);
	head_free(&head);
	return err;
}

static int get(struct client *c, size_t number)
{
	char request[512];
	bool keep = false;
	size_t len;
	int err;

	if (c->fd < 0)
		c->fd = getting_connect();
	if (c->fd < 0)
		return c->fd;
	len = getting_request(number, request, sizeof(request));
	if (send(c->fd, request, len, MSG_NOSIGNAL) != (ssize_t)len)
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
	int arg = argc > 2 && !strcmp(argv[1], "-t") ? 3 : 1, err;

	if (argc - arg != 4 || !threads) {
		fputs("usage: pool-get [-t THREADS] PORT PATH COUNT DIR|none\n", stderr);
		return 2;
	}
	count = getting_from(argv + arg);
	err = getting_to(argv[arg + 3]);
	if (err) {
		fprintf(stderr, "pool-get: %s: %s\n", argv[arg + 3], strerror(-err));
		return 1;
	}
	pool_run(threads, work);
	return atomic_load(&failed) != 0;
}
