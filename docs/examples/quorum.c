/* SPDX-License-Identifier: MIT */
/*
 * quorum.c - k of n replicas must agree to a write
 *
 * Successes wanted: k. Failures that make k impossible: n - k + 1. The group ends as soon as
 * either is certain, and cancels whoever is still asked.
 */
#include "slow_server.h"

static struct slow_server server;

struct replica {
	uint32_t wait_ms;
	int32_t answer;
	int result;
};

static int write_replica(void *arg)
{
	struct replica *r = arg;

	r->result = ask(&server, r->wait_ms, r->answer);
	return r->result;
}

static int write_quorum(struct bp_engine *engine, struct replica *replicas, unsigned int n,
			unsigned int k)
{
	struct bp_group *group;
	unsigned int i;
	int err;

	err = bp_group_create(&group, engine, &BP_GROUP_OPTS(BP_QUORUM(k, n)));
	if (err)
		return err;
	for (i = 0; i < n && !err; i++)
		err = bp_go(group, write_replica, &replicas[i]);
	if (err)
		bp_cancel(group, err);
	err = bp_wait(group);
	bp_group_destroy(group);
	return err;
}

int main(void)
{
	/* Two are enough: nobody waits for the third, which hangs. */
	struct replica reached[] = {{.wait_ms = 20}, {.wait_ms = 5000}, {.wait_ms = 10}};
	/* Two are down: it is certain that no two can agree, whatever the third does. */
	struct replica lost[] = {
		{.wait_ms = 5, .answer = -EIO},
		{.wait_ms = 5000},
		{.wait_ms = 20, .answer = -ENOSPC},
	};
	struct bp_engine *engine;
	uint64_t start;
	int err;

	slow_server_start(&server);
	CHECK(!bp_engine_create(&engine, NULL));
	start = bp_now(engine);

	CHECK(!write_quorum(engine, reached, 3, 2));
	CHECK(reached[1].result == -ECANCELED);
	printf("2 of 3 reached after %.0f ms\n", ms_since(engine, start));

	start = bp_now(engine);
	err = write_quorum(engine, lost, 3, 2);
	printf("2 of 3 lost after %.0f ms: %s\n", ms_since(engine, start), strerror(-err));
	CHECK(err == -EIO); /* the first failure is the cause */
	CHECK(lost[1].result == -ECANCELED);
	CHECK(ms_since(engine, start) < 4000);

	bp_engine_destroy(engine);
	slow_server_stop(&server);
	return 0;
}
