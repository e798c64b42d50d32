/* SPDX-License-Identifier: MIT */
/*
 * try_go.c - a flash sale: when all places are taken the customer hears "busy", at once
 *
 * bp_try_go() never waits and queues nothing: -EAGAIN, and the fallback runs.
 */
#include "slow_server.h"

#define PLACES 10
#define CUSTOMERS 1000

static struct slow_server server;

static int order(void *arg)
{
	int *orders = arg;
	int err = ask(&server, 20, 0);

	if (!err)
		(*orders)++;
	return err;
}

int main(void)
{
	struct bp_group_stats stats = {.sz = sizeof(stats)};
	int i, err, orders = 0, busy = 0;
	struct bp_engine *engine;
	struct bp_group *group;
	uint64_t start;
	double us;

	slow_server_start(&server);
	CHECK(!bp_engine_create(&engine, NULL));
	CHECK(!bp_group_create(&group, engine, &BP_GROUP_OPTS(.limit = PLACES)));

	start = bp_now(engine);
	for (i = 0; i < CUSTOMERS; i++) {
		err = bp_try_go(group, order, &orders);
		if (err == -EAGAIN)
			busy++; /* the fallback */
		else
			CHECK(!err);
	}
	us = ms_since(engine, start) * 1000 / CUSTOMERS;
	CHECK(!bp_wait(group));

	bp_group_stats(group, &stats);
	printf("%d orders, %d heard \"busy\", after %.2f us each\n", orders, busy, us);
	CHECK(orders == PLACES && busy == CUSTOMERS - PLACES);
	CHECK(stats.accepted == PLACES && stats.rejected == (uint64_t)busy);
	CHECK(server.served == PLACES);

	bp_group_destroy(group);
	bp_engine_destroy(engine);
	slow_server_stop(&server);
	return 0;
}
