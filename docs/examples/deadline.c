/* SPDX-License-Identifier: MIT */
/*
 * deadline.c - three ways to run out of time
 *
 * A deadline ends a whole group, and its child groups with it; an item timeout ends one item; a
 * timeout scope ends one stretch of a task, which then goes on.
 */
#include "slow_server.h"

static struct slow_server server;
static struct bp_engine *engine;

static int slow(void *arg)
{
	(void)arg;
	return ask(&server, 5000, 0);
}

/* Asks in a group of its own, which has no deadline but its parent's. */
static int slow_in_child(void *arg)
{
	struct bp_group *child;
	int err;

	CHECK(!bp_group_create(&child, engine, &BP_GROUP_OPTS(.parent = arg)));
	CHECK(!bp_go(child, slow, NULL));
	err = bp_wait(child);
	bp_group_destroy(child);
	CHECK(err == -ETIMEDOUT);
	return err;
}

/* Tries the good answer for 20 ms, then takes the quick one. */
static int fall_back(void *arg)
{
	struct bp_timeout scope;
	int res;

	(void)arg;
	bp_timeout_begin(&scope, 20 * MS);
	res = ask(&server, 5000, 1);
	if (bp_timeout_end(&scope) == -ETIMEDOUT) {
		CHECK(res == -ETIMEDOUT);
		res = ask(&server, 5, 2); /* the scope is over: operations work again */
	}
	CHECK(res == 2);
	return res;
}

static int run(bp_task_fn fn, uint64_t deadline_ns, uint64_t item_timeout_ns,
	       struct bp_group_stats *stats)
{
	struct bp_group *group;
	int err;

	CHECK(!bp_group_create(&group, engine,
			       &BP_GROUP_OPTS(.deadline_ns = deadline_ns,
					      .item_timeout_ns = item_timeout_ns)));
	CHECK(!bp_go(group, fn, group));
	err = bp_wait(group);
	bp_group_stats(group, stats);
	bp_group_destroy(group);
	return err;
}

int main(void)
{
	struct bp_group_stats stats = {.sz = sizeof(stats)};
	uint64_t start;

	slow_server_start(&server);
	CHECK(!bp_engine_create(&engine, NULL));
	start = bp_now(engine);

	/* The deadline stopped the item: the group timed out, the item did not fail. */
	CHECK(run(slow, start + 30 * MS, 0, &stats) == -ETIMEDOUT);
	CHECK(stats.stopped == 1 && stats.failed == 0);
	printf("deadline: after %.0f ms\n", ms_since(engine, start));

	CHECK(run(slow_in_child, bp_now(engine) + 30 * MS, 0, &stats) == -ETIMEDOUT);
	printf("deadline of the parent: after %.0f ms\n", ms_since(engine, start));

	/* The item's own timeout is a failure of that item. */
	CHECK(run(slow, 0, 30 * MS, &stats) == -ETIMEDOUT);
	CHECK(stats.stopped == 0 && stats.failed == 1);
	printf("item timeout: after %.0f ms\n", ms_since(engine, start));

	CHECK(!run(fall_back, 0, 0, &stats));
	printf("fell back after %.0f ms\n", ms_since(engine, start));
	CHECK(ms_since(engine, start) < 4000);

	bp_engine_destroy(engine);
	slow_server_stop(&server);
	return 0;
}
