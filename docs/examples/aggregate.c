/* SPDX-License-Identifier: MIT */
/*
 * aggregate.c - one page out of three calls: profile, orders and coupons of one user
 *
 * Three tasks fill one struct. Each writes a field of its own, and bp_wait() stands between their
 * writing and the reading, so no lock is needed. One failure cancels the rest.
 */
#include "slow_server.h"

static struct slow_server server;

struct page {
	int user;
	int profile, orders, coupons;
	int broken; /* what the orders service answers in its place, 0: it works */
};

static int get_profile(void *arg)
{
	struct page *p = arg;

	p->profile = ask(&server, 20, 1000 + p->user);
	return p->profile;
}

static int get_orders(void *arg)
{
	struct page *p = arg;

	p->orders = ask(&server, 30, p->broken ? p->broken : 2000 + p->user);
	return p->orders;
}

static int get_coupons(void *arg)
{
	struct page *p = arg;

	p->coupons = ask(&server, p->broken ? 3000 : 10, 3000 + p->user);
	return p->coupons;
}

static int fill(struct bp_engine *engine, struct page *p)
{
	struct bp_group *group;
	int err;

	err = bp_group_create(&group, engine, NULL);
	if (err)
		return err;
	err = bp_go(group, get_profile, p);
	if (!err)
		err = bp_go(group, get_orders, p);
	if (!err)
		err = bp_go(group, get_coupons, p);
	if (err)
		bp_cancel(group, err); /* no memory, say; a failure before it stays the cause */
	err = bp_wait(group);
	bp_group_destroy(group);
	return err;
}

int main(void)
{
	struct page good = {.user = 7}, bad = {.user = 8, .broken = -EREMOTEIO};
	struct bp_engine *engine;

	slow_server_start(&server);
	CHECK(!bp_engine_create(&engine, NULL));

	CHECK(!fill(engine, &good));
	printf("user 7: profile %d, orders %d, coupons %d\n", good.profile, good.orders,
	       good.coupons);
	CHECK(good.profile == 1007 && good.orders == 2007 && good.coupons == 3007);

	CHECK(fill(engine, &bad) == -EREMOTEIO);
	printf("user 8: %s, so coupons were %s\n", strerror(-bad.orders), strerror(-bad.coupons));
	CHECK(bad.coupons == -ECANCELED);

	bp_engine_destroy(engine);
	slow_server_stop(&server);
	return 0;
}
