/* SPDX-License-Identifier: MIT */
/*
 * blocking_calls.c - what has no operation: blocking functions and long computations
 *
 * bp_offload() runs a function on a helper thread while the task is suspended, so that
 * getaddrinfo() does not hold up the loop. A computation that has no operation in it asks
 * bp_cancelled() from time to time, and lets the loop have a turn with bp_yield().
 */
#include <netdb.h>

#include "example.h"

struct lookup {
	const char *host;
	struct addrinfo *found;
};

static int look_up(void *arg)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
	struct lookup *l = arg;

	return getaddrinfo(l->host, "80", &hints, &l->found) ? -ENOENT : 0;
}

static int look_up_task(void *arg)
{
	return bp_offload(look_up, arg);
}

static int compute(void *arg)
{
	unsigned long *rounds = arg;

	while (!bp_cancelled()) {
		if (++*rounds % 1000 == 0)
			bp_yield();
	}
	return -ECANCELED;
}

int main(void)
{
	struct lookup good = {.host = "127.0.0.1"}, bad = {.host = "not an address"};
	struct bp_engine *engine;
	struct bp_group *group;
	unsigned long rounds = 0;

	CHECK(!bp_engine_create(&engine, NULL));

	CHECK(!bp_group_create(&group, engine, &BP_GROUP_OPTS(.stop_after_failures = 0)));
	CHECK(!bp_go(group, look_up_task, &good));
	CHECK(!bp_go(group, look_up_task, &bad));
	CHECK(bp_wait(group) == -ENOENT);
	CHECK(good.found && !bad.found);
	freeaddrinfo(good.found);
	bp_group_destroy(group);

	CHECK(!bp_group_create(&group, engine,
			       &BP_GROUP_OPTS(.deadline_ns = bp_now(engine) + 20 * MS)));
	CHECK(!bp_go(group, compute, &rounds));
	CHECK(bp_wait(group) == -ETIMEDOUT);
	printf("%lu rounds before the deadline\n", rounds);
	CHECK(rounds > 0);
	bp_group_destroy(group);

	bp_engine_destroy(engine);
	return 0;
}
