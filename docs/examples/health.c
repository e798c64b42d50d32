/* SPDX-License-Identifier: MIT */
/*
 * health.c - which of five services answer: a connect with a timeout for each, all at once
 *
 * Three listen, one port is closed, one endpoint is a socket file that is not there. Failures do
 * not stop the others, and each gets at most half a second.
 */
#include <netinet/in.h>
#include <sys/un.h>

#include "example.h"

struct service {
	const char *name;
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_un un;
	} addr;
	socklen_t len;
	int result;
};

static int check(void *arg)
{
	struct service *s = arg;
	int fd = bp_socket(s->addr.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return fd;
	s->result = bp_connect(fd, &s->addr.sa, s->len);
	bp_close(fd);
	return s->result;
}

/* A listening port of the loopback interface; the caller closes the descriptor. */
static int listen_on(struct service *s)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	s->len = sizeof(s->addr.in);
	s->addr.in = (struct sockaddr_in){.sin_family = AF_INET,
					  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	CHECK(fd >= 0);
	CHECK(!bind(fd, &s->addr.sa, s->len));
	CHECK(!listen(fd, 16));
	CHECK(!getsockname(fd, &s->addr.sa, &s->len));
	return fd;
}

int main(void)
{
	struct service services[] = {
		{.name = "db"},	   {.name = "redis"}, {.name = "queue"},
		{.name = "cache"}, {.name = "api"},
	};
	struct bp_group_stats stats = {.sz = sizeof(stats)};
	struct bp_engine *engine;
	struct bp_group *group;
	int i, fd[4], err;

	for (i = 0; i < 4; i++)
		fd[i] = listen_on(&services[i]);
	close(fd[3]); /* the cache is down: nobody listens there any more */
	services[4].addr.un =
		(struct sockaddr_un){.sun_family = AF_UNIX, .sun_path = "/nosuch/api.sock"};
	services[4].len = sizeof(services[4].addr.un);

	CHECK(!bp_engine_create(&engine, NULL));
	CHECK(!bp_group_create(&group, engine,
			       &BP_GROUP_OPTS(.limit = 5, .stop_after_failures = 0,
					      .item_timeout_ns = 500 * MS)));
	for (i = 0; i < 5; i++)
		CHECK(!bp_go(group, check, &services[i]));
	err = bp_wait(group);
	bp_group_stats(group, &stats);
	for (i = 0; i < 5; i++)
		printf("%-6s %s\n", services[i].name,
		       services[i].result ? strerror(-services[i].result) : "up");

	CHECK(err == -ECONNREFUSED || err == -ENOENT); /* whichever failed first */
	CHECK(stats.succeeded == 3 && stats.failed == 2);
	CHECK(services[3].result == -ECONNREFUSED && services[4].result == -ENOENT);
	bp_group_destroy(group);
	bp_engine_destroy(engine);
	for (i = 0; i < 3; i++)
		close(fd[i]);
	return 0;
}
