/* SPDX-License-Identifier: MIT */
/*
 * fail_fast.c - one fails, all go home: errgroup.WithContext, the default of a group
 *
 * Three calls over real sockets. B fails after 0.1 s; A would take 3 s and C 5 s. The wait ends
 * when B fails and gives B's error; A and C were stopped and have closed their descriptors.
 */
#include <dirent.h>

#include "slow_server.h"

static struct slow_server server;

struct call {
	const char *name;
	uint32_t wait_ms;
	int32_t answer;
	int result;
};

static int run_call(void *arg)
{
	struct call *c = arg;

	c->result = ask(&server, c->wait_ms, c->answer);
	return c->result;
}

static int open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	CHECK(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

int main(void)
{
	struct call calls[] = {
		{.name = "A", .wait_ms = 3000, .answer = 1},
		{.name = "B", .wait_ms = 100, .answer = -EHOSTDOWN},
		{.name = "C", .wait_ms = 5000, .answer = 3},
	};
	struct bp_group_stats stats = {.sz = sizeof(stats)};
	struct bp_engine *engine;
	struct bp_group *group;
	uint64_t start;
	double ms;
	int i, fds;

	fds = open_descriptors();
	slow_server_start(&server);
	CHECK(!bp_engine_create(&engine, NULL));
	CHECK(!bp_group_create(&group, engine, NULL));
	start = bp_now(engine);
	for (i = 0; i < 3; i++)
		CHECK(!bp_go(group, run_call, &calls[i]));
	CHECK(bp_wait(group) == -EHOSTDOWN);
	ms = ms_since(engine, start);

	for (i = 0; i < 3; i++)
		printf("%s: %s\n", calls[i].name, strerror(-calls[i].result));
	bp_group_stats(group, &stats);
	printf("ended after %.0f ms, %.3f ms after the failure\n", ms,
	       (double)stats.cancel_ns / (double)MS);
	CHECK(ms >= 100 && ms < 2000);
	CHECK(calls[0].result == -ECANCELED && calls[2].result == -ECANCELED);
	CHECK(stats.failed == 1 && stats.stopped == 2);

	bp_group_destroy(group);
	bp_engine_destroy(engine);
	slow_server_stop(&server);
	CHECK(open_descriptors() == fds);
	return 0;
}
