/* SPDX-License-Identifier: MIT */
/*
 * uv_read.c - the peer of task-read: libuv's file operations, 64 in flight; see reads.h
 *
 * libuv hands each call to its pool, which has N threads: UV_THREADPOOL_SIZE, read once at its start.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include "reads.h"

static struct reads reads;
static struct tally tally;

struct slot {
	uv_fs_t req; /* first */
	uv_file fd;
	uv_buf_t buffer;
	char path[READS_PATH];
};

static void take_next(struct slot *s);

static void closed(uv_fs_t *req)
{
	uv_fs_req_cleanup(req);
	take_next((struct slot *)req);
}

static void was_read(uv_fs_t *req)
{
	struct slot *s = (struct slot *)req;

	if (req->result < 0)
		reads_complain(s->path, (int)-req->result);
	else
		tally_add(&tally, s->buffer.base, (size_t)req->result);
	uv_fs_req_cleanup(req);
	uv_fs_close(uv_default_loop(), req, s->fd, closed);
}

static void opened(uv_fs_t *req)
{
	struct slot *s = (struct slot *)req;

	s->fd = (uv_file)req->result;
	uv_fs_req_cleanup(req);
	if (s->fd < 0) {
		reads_complain(s->path, -s->fd);
		take_next(s);
		return;
	}
	uv_fs_read(uv_default_loop(), req, s->fd, &s->buffer, 1, 0, was_read);
}

static void take_next(struct slot *s)
{
	if (reads_next(&reads, s->path))
		uv_fs_open(uv_default_loop(), &s->req, s->path, O_RDONLY | O_CLOEXEC, 0, opened);
}

int main(int argc, char **argv)
{
	struct slot *slots = calloc(READS_IN_FLIGHT, sizeof(*slots));
	char *buffer;
	unsigned int i;

	if (!slots || !reads_parse(&reads, argc, argv)) {
		free(slots);
		return 2;
	}
	setenv("UV_THREADPOOL_SIZE", argv[1], 1);
	buffer = reads_buffer(&reads, READS_IN_FLIGHT);
	for (i = 0; i < READS_IN_FLIGHT; i++) {
		slots[i].buffer = uv_buf_init(buffer + i * reads.size, (unsigned int)reads.size);
		take_next(&slots[i]);
	}
	uv_run(uv_default_loop(), UV_RUN_DEFAULT);
	uv_loop_close(uv_default_loop());
	tally_count(&tally);
	free(buffer);
	free(slots);
	return reads_end();
}
