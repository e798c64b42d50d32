/* SPDX-License-Identifier: MIT */
/*
 * ring_net.c - the ceiling of `batchproc probe`: requests to many servers over a bare ring
 *
 * usage: ring-net CONNECTIONS FILE
 *
 * As pool-net get, with one thread and a state for each connection, of which none is kept. An
 * answer is over with what comes first.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"
#include "pool.h"
#include "targets.h"

#define ENTRIES_MOST 16384u

struct client {
	struct target *target;
	int fd;
	enum {
		CONNECTING,
		SENDING,
		RECEIVING
	} state;
	char answer[1024];
};

static struct io_uring ring;
static size_t next, busy;

static struct io_uring_sqe *next_sqe(void)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	if (sqe)
		return sqe;
	io_uring_submit(&ring);
	return io_uring_get_sqe(&ring);
}

static void submit(struct client *c)
{
	struct io_uring_sqe *sqe = next_sqe();

	switch (c->state) {
	case CONNECTING:
		io_uring_prep_connect(sqe, c->fd, (struct sockaddr *)&c->target->addr,
				      sizeof(c->target->addr));
		break;
	case SENDING:
		io_uring_prep_send(sqe, c->fd, target_request, target_request_len, MSG_NOSIGNAL);
		break;
	case RECEIVING:
		io_uring_prep_recv(sqe, c->fd, c->answer, sizeof(c->answer), 0);
		/* The answer cannot be there yet. */
		sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
		break;
	}
	io_uring_sqe_set_data(sqe, c);
}

/* Begins the next one for which there is a socket. */
static void begin(struct client *c)
{
	static const int on = 1;

	while (next < target_count) {
		c->target = &targets[next++];
		c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (c->fd >= 0) {
			setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
			c->state = CONNECTING;
			submit(c);
			return;
		}
		c->target->err = errno;
	}
	busy--;
}

static void completed(struct client *c, int res)
{
	if (c->state == RECEIVING || res < 0) {
		c->target->err = res < 0 ? -res : target_judge(c->answer, (size_t)res);
		close(c->fd);
		begin(c);
		return;
	}
	c->state = c->state == CONNECTING ? SENDING : RECEIVING;
	submit(c);
}

int main(int argc, char **argv)
{
	size_t clients = argc == 3 ? strtoul(argv[1], NULL, 10) : 0;
	unsigned int entries = 64, seen, head;
	struct io_uring_cqe *cqe;
	struct client *all;
	int err;

	if (!clients) {
		fputs("usage: ring-net CONNECTIONS FILE\n", stderr);
		return 2;
	}
	err = targets_read(argv[2]);
	while (entries < clients && entries < ENTRIES_MOST)
		entries *= 2;
	if (!err)
		err = bare_ring(&ring, entries);
	if (err) {
		fprintf(stderr, "ring-net: %s: %s\n", argv[2], strerror(-err));
		return 1;
	}
	all = must(calloc(clients, sizeof(*all)));
	busy = clients;
	for (size_t i = 0; i < clients; i++)
		begin(&all[i]);
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
	targets_print();
	return 0;
}
