/* SPDX-License-Identifier: MIT */
/*
 * slow_server.h - a server on loopback that takes its time, and a call to it
 *
 * The server runs on an engine of its own, with a loop thread, as a real one would run elsewhere.
 * A request says how long it shall take and what the answer shall be; the server counts how many
 * requests it works on at once. ask() is the client's side: plain straight-line code in a task.
 */
#ifndef SLOW_SERVER_H
#define SLOW_SERVER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdatomic.h>

#include "example.h"

struct slow_server {
	struct bp_engine *engine;
	struct bp_group *group;
	struct sockaddr_in addr;
	int fd;
	atomic_int now, most; /* requests in work, and the most at one instant */
	atomic_int served;
};

struct slow_request {
	uint32_t wait_ms;
	int32_t answer;
};

struct slow_connection {
	struct slow_server *server;
	int fd;
};

static int slow_serve(void *arg)
{
	struct slow_connection *c = arg;
	struct slow_server *s = c->server;
	struct slow_request r;
	ssize_t res;
	int now, most;

	res = bp_recv(c->fd, &r, sizeof(r), MSG_WAITALL);
	if (res == (ssize_t)sizeof(r)) {
		now = atomic_fetch_add(&s->now, 1) + 1;
		most = atomic_load(&s->most);
		while (now > most && !atomic_compare_exchange_weak(&s->most, &most, now))
			;
		bp_sleep(r.wait_ms * MS);
		/* Before the answer, because the client's next request may follow at once. */
		atomic_fetch_sub(&s->now, 1);
		atomic_fetch_add(&s->served, 1);
		res = bp_send(c->fd, &r.answer, sizeof(r.answer), MSG_NOSIGNAL);
	}
	bp_close(c->fd);
	return res < 0 ? (int)res : 0;
}

static int slow_accept(void *arg)
{
	struct slow_connection c = {.server = arg};
	int err = 0;

	while (!err) {
		c.fd = bp_accept(c.server->fd, NULL, NULL, SOCK_CLOEXEC);
		if (c.fd < 0)
			return c.fd;
		err = bp_go_copy(c.server->group, slow_serve, &c, sizeof(c));
	}
	bp_close(c.fd);
	return err;
}

static inline void slow_server_start(struct slow_server *s)
{
	socklen_t len = sizeof(s->addr);

	memset(s, 0, sizeof(*s));
	s->addr.sin_family = AF_INET;
	s->addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(s->fd >= 0);
	CHECK(!bind(s->fd, (struct sockaddr *)&s->addr, len));
	CHECK(!listen(s->fd, 4096));
	CHECK(!getsockname(s->fd, (struct sockaddr *)&s->addr, &len));
	CHECK(!bp_engine_create(&s->engine, &BP_ENGINE_OPTS(.loops = 1)));
	/* A client that goes away must not end the others' service: no failure stops the group. */
	CHECK(!bp_group_create(&s->group, s->engine, &BP_GROUP_OPTS(.stop_after_failures = 0)));
	CHECK(!bp_go(s->group, slow_accept, s));
}

static inline void slow_server_stop(struct slow_server *s)
{
	bp_cancel(s->group, 0);
	CHECK(bp_wait(s->group) == -ECANCELED);
	bp_group_destroy(s->group);
	bp_engine_destroy(s->engine);
	close(s->fd);
}

/*
 * Asks the server for an answer that takes some time. For use in a task.
 * Return: the answer, or -errno
 */
static inline int ask(const struct slow_server *s, uint32_t wait_ms, int32_t answer)
{
	struct slow_request r = {.wait_ms = wait_ms, .answer = answer};
	ssize_t res;
	int fd;

	fd = bp_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fd;
	res = bp_connect(fd, (const struct sockaddr *)&s->addr, sizeof(s->addr));
	if (!res)
		res = bp_send(fd, &r, sizeof(r), MSG_NOSIGNAL);
	if (res > 0)
		res = bp_recv(fd, &r.answer, sizeof(r.answer), MSG_WAITALL);
	bp_close(fd); /* works after a cancel too */
	if (res < 0)
		return (int)res;
	return res == (ssize_t)sizeof(r.answer) ? r.answer : -EPROTO;
}

#endif /* SLOW_SERVER_H */
