/* SPDX-License-Identifier: MIT */
/*
 * ring_read.c - the ceiling of task-read: N threads with a bare ring each; see reads.h
 *
 * A slot goes from open to read to close and takes the next file then, 64 of them on each ring. The
 * close is submitted with the next file's open, and nobody waits for it alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "pool.h"
#include "reads.h"

static struct reads reads;

enum state {
	OPENING,
	READING,
	CLOSING,
};

struct slot {
	enum state state;
	int fd;
	char *buffer;
	char path[READS_PATH];
};

struct loop {
	struct io_uring ring;
	struct tally tally;
	unsigned int in_flight;
};

static struct io_uring_sqe *sqe_for(struct loop *l, struct slot *s, enum state state)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&l->ring);

	s->state = state;
	l->in_flight++;
	return sqe;
}

static void take_next(struct loop *l, struct slot *s)
{
	struct io_uring_sqe *sqe;

	if (!reads_next(&reads, s->path))
		return;
	sqe = sqe_for(l, s, OPENING);
	io_uring_prep_openat(sqe, AT_FDCWD, s->path, O_RDONLY | O_CLOEXEC, 0);
	io_uring_sqe_set_data(sqe, s);
}

static void complete(struct loop *l, struct slot *s, int res)
{
	struct io_uring_sqe *sqe;

	l->in_flight--;
	if (res < 0)
		reads_complain(s->path, -res);
	if (s->state == OPENING && res >= 0) {
		s->fd = res;
		sqe = sqe_for(l, s, READING);
		io_uring_prep_read(sqe, s->fd, s->buffer, (unsigned int)reads.size, 0);
		io_uring_sqe_set_data(sqe, s);
	} else if (s->state == READING) {
		if (res >= 0)
			tally_add(&l->tally, s->buffer, (size_t)res);
		sqe = sqe_for(l, s, CLOSING);
		io_uring_prep_close(sqe, s->fd);
		io_uring_sqe_set_data(sqe, s);
	} else {
		take_next(l, s);
	}
}

static void *work(void *arg)
{
	struct slot *slots = must(calloc(READS_IN_FLIGHT, sizeof(*slots)));
	char *buffer = reads_buffer(&reads, READS_IN_FLIGHT);
	struct loop l = {.in_flight = 0};
	int err = bare_ring(&l.ring, READS_IN_FLIGHT);
	unsigned int i, head, n;
	struct io_uring_cqe *cqe;

	(void)arg;
	if (err)
		reads_complain("io_uring", -err);
	for (i = 0; i < READS_IN_FLIGHT && !err; i++) {
		slots[i].buffer = buffer + i * reads.size;
		take_next(&l, &slots[i]);
	}
	while (l.in_flight) {
		io_uring_submit_and_wait(&l.ring, 1);
		n = 0;
		io_uring_for_each_cqe(&l.ring, head, cqe)
		{
			complete(&l, io_uring_cqe_get_data(cqe), cqe->res);
			n++;
		}
		io_uring_cq_advance(&l.ring, n);
	}
	if (!err)
		io_uring_queue_exit(&l.ring);
	tally_count(&l.tally);
	free(slots);
	free(buffer);
	return NULL;
}

int main(int argc, char **argv)
{
	if (!reads_parse(&reads, argc, argv))
		return 2;
	pool_run(reads.n, work);
	return reads_end();
}
