/* SPDX-License-Identifier: MIT */
/*
 * together.c - four independent calls: one after another they take the sum, in a group as long
 * as the slowest
 */
#include "slow_server.h"

static struct slow_server server;
static const uint32_t wait_ms[] = {40, 30, 60, 20};

static int call(void *arg)
{
	const uint32_t *wait = arg;

	return ask(&server, *wait, 0);
}

static int one_after_another(void *arg)
{
	int i, err = 0;

	(void)arg;
	for (i = 0; i < 4 && !err; i++)
		err = ask(&server, wait_ms[i], 0);
	return err;
}

static double serial_ms(struct bp_engine *engine)
{
	uint64_t start = bp_now(engine);
	struct bp_group *group;

	CHECK(!bp_group_create(&group, engine, NULL));
	CHECK(!bp_go(group, one_after_another, NULL));
	CHECK(!bp_wait(group));
	bp_group_destroy(group);
	return ms_since(engine, start);
}

static double grouped_ms(struct bp_engine *engine)
{
	uint64_t start = bp_now(engine);
	struct bp_group *group;
	int i;

	CHECK(!bp_group_create(&group, engine, NULL));
	for (i = 0; i < 4; i++)
		CHECK(!bp_go(group, call, (void *)&wait_ms[i]));
	CHECK(!bp_wait(group));
	bp_group_destroy(group);
	return ms_since(engine, start);
}

int main(void)
{
	struct bp_engine *engine;
	double serial, grouped;

	slow_server_start(&server);
	CHECK(!bp_engine_create(&engine, NULL));
	serial = serial_ms(engine);
	grouped = grouped_ms(engine);
	printf("one after another %.0f ms, in a group %.0f ms\n", serial, grouped);
	CHECK(serial >= 150); /* the sum */
	CHECK(grouped >= 60 && grouped < serial); /* the slowest */
	bp_engine_destroy(engine);
	slow_server_stop(&server);
	return 0;
}
