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
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"
#include "getting.h"

#define BUFFER 4096u

struct client {
	int fd; /* -1: none */
	bool sending, kept;
	size_t number, got, len;
	char buffer[BUFFER];
	char request[512];
};

static struct io_uring ring;
static size_t count, next, failed, busy, length;

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
		c->fd = getting_connect();
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
	c->len = getting_request(c->number, c->request, sizeof(c->request));
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
	failed += getting_make(c->number, body + 4, length) != 0;
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
	int err;

	if (argc != 7) {
		fputs("usage: ring-get CONNECTIONS PORT PATH COUNT LENGTH DIR|none\n", stderr);
		return 2;
	}
	clients = (unsigned int)atoi(argv[1]);
	count = getting_from(argv + 2);
	length = strtoul(argv[5], NULL, 10);
	all = calloc(clients, sizeof(*all));
	err = getting_to(argv[6]);
	if (!err && (!all || bare_ring(&ring, 2 * clients)))
		err = -ENOMEM;
	if (err) {
		fprintf(stderr, "ring-get: %s\n", strerror(-err));
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
