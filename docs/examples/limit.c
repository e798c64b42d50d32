/* SPDX-License-Identifier: MIT */
/*
 * limit.c - many calls to a server that must not fall over
 *
 * 1,000 requests of 20 ms each: without a limit all at once, with a limit of 50 in twenty rounds.
 * The server itself counts how many it worked on at one instant. Memory is that of the process, which has
 * both ends of each connection.
 *
 *	limit			both of these
 *	limit MS LIMIT		with requests of MS milliseconds, and this limit (0: none)
 */
#include <stdlib.h>
#include <sys/resource.h>

#include "slow_server.h"

#define REQUESTS 1000
#define WAIT_MS 20

static struct slow_server server;
static uint32_t wait_ms = WAIT_MS;

static int request(void *arg)
{
	(void)arg;
	return ask(&server, wait_ms, 0);
}

/* The most that the process had in memory so far, in KiB. */
static long memory(void)
{
	struct rusage usage;

	CHECK(!getrusage(RUSAGE_SELF, &usage));
	return usage.ru_maxrss;
}

static double run(struct bp_engine *engine, long limit)
{
	uint64_t start = bp_now(engine);
	struct bp_group_stats stats = {.sz = sizeof(stats)};
	struct bp_group *group;
	long before = memory();
	double ms;
	int i;

	server.most = 0;
	CHECK(!bp_group_create(&group, engine, &BP_GROUP_OPTS(.limit = limit)));
	for (i = 0; i < REQUESTS; i++)
		CHECK(!bp_go(group, request, NULL)); /* waits while the limit is reached */
	CHECK(!bp_wait(group));
	ms = ms_since(engine, start);
	bp_group_stats(group, &stats);
	printf("limit %4ld: %6.1f ms, at most %d at once (here %llu), %ld KiB more\n", limit, ms,
	       server.most, (unsigned long long)stats.peak, memory() - before);
	CHECK(stats.succeeded == REQUESTS);
	bp_group_destroy(group);
	return ms;
}

int main(int argc, char **argv)
{
	struct rlimit nofile;
	struct bp_engine *engine;
	double unlimited, limited;

	/* Both ends of 1,000 connections are in this process. */
	CHECK(!getrlimit(RLIMIT_NOFILE, &nofile));
	nofile.rlim_cur = nofile.rlim_max;
	CHECK(!setrlimit(RLIMIT_NOFILE, &nofile));

	slow_server_start(&server);
	CHECK(!bp_engine_create(&engine, NULL));
	if (argc == 3) {
		wait_ms = (uint32_t)atoi(argv[1]);
		run(engine, atol(argv[2]) ? atol(argv[2]) : BP_LIMIT_NONE);
	} else {
		unlimited = run(engine, BP_LIMIT_NONE);
		limited = run(engine, 50);
		CHECK(server.most <= 50);
		CHECK(unlimited >= WAIT_MS);
		CHECK(limited >= REQUESTS / 50 * WAIT_MS);
	}
	bp_engine_destroy(engine);
	slow_server_stop(&server);
	return 0;
}
