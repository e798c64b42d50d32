/* SPDX-License-Identifier: MIT */
/*
 * many_receives.c - 500 connections that are mostly silent, and sixteen buffers for all of them
 *
 * Each connection has a task that waits for what comes and sends it back. A task with a buffer of its own would
 * need 500 of 4 KiB for that; here one is taken from the ring when there is something to put into it.
 */
#include <sys/resource.h>
#include <sys/socket.h>

#include "example.h"

#define CONNECTIONS 500
#define BUFFERS 16

static struct bp_buf_ring *ring;

static int echo(void *arg)
{
	int fd = *(int *)arg;
	struct bp_recv_multi m;
	void *data;
	ssize_t n;

	CHECK(!bp_recv_multi_begin(&m, fd, ring, 0));
	while ((n = bp_recv_multi_next(&m, &data)) > 0)
		if (bp_send(fd, data, (size_t)n, 0) != n)
			break;
	bp_recv_multi_end(&m);
	bp_close(fd);
	return (int)n;
}

static int ask(void *arg)
{
	int fd = *(int *)arg;
	char question[32], answer[32];
	int len = snprintf(question, sizeof(question), "connection %d", fd);

	CHECK(!bp_sleep((unsigned int)fd % 50 * MS));
	CHECK(bp_send(fd, question, (size_t)len, 0) == len);
	CHECK(bp_recv(fd, answer, (size_t)len, MSG_WAITALL) == len);
	CHECK(!memcmp(question, answer, (size_t)len));
	return bp_close(fd);
}

int main(void)
{
	struct bp_engine *engine;
	struct bp_group *group;
	struct rlimit nofile;
	int i, fds[2];

	/* Both ends of all connections are in this process. */
	CHECK(!getrlimit(RLIMIT_NOFILE, &nofile));
	nofile.rlim_cur = nofile.rlim_max;
	CHECK(!setrlimit(RLIMIT_NOFILE, &nofile));

	CHECK(!bp_engine_create(&engine, NULL));
	CHECK(!bp_buf_ring_create(&ring, engine, BUFFERS, 4096));
	CHECK(!bp_group_create(&group, engine, NULL));
	for (i = 0; i < CONNECTIONS; i++) {
		CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
		CHECK(!bp_go_copy(group, echo, &fds[0], sizeof(int)));
		CHECK(!bp_go_copy(group, ask, &fds[1], sizeof(int)));
	}
	CHECK(!bp_wait(group));
	printf("%d connections were answered from %d buffers\n", CONNECTIONS, BUFFERS);
	bp_group_destroy(group);
	bp_buf_ring_destroy(ring);
	bp_engine_destroy(engine);
	return 0;
}
