/* SPDX-License-Identifier: MIT */
/*
 * race.c - whoever answers first decides: three mirrors, and two of them hedged
 *
 * With BP_RACE, which is stop_after_successes = 1, the first success ends the group and cancels the
 * others. A failure must not end a race, so stop_after_failures is 0; had all failed, the first
 * failure would be the result.
 */
#include "slow_server.h"

static struct slow_server server;

struct mirror {
	const char *name;
	uint32_t start_after_ms; /* a hedge: nothing is sent before */
	uint32_t wait_ms;
	int32_t answer;
	int result;
};

static int fetch(void *arg)
{
	struct mirror *m = arg;

	m->result = bp_sleep(m->start_after_ms * MS);
	if (!m->result)
		m->result = ask(&server, m->wait_ms, m->answer);
	return m->result;
}

static int race(struct bp_engine *engine, struct mirror *mirrors, int n,
		const struct mirror **winner)
{
	struct bp_group *group;
	int i, err;

	err = bp_group_create(&group, engine, &BP_GROUP_OPTS(BP_RACE));
	if (err)
		return err;
	for (i = 0; i < n && !err; i++)
		err = bp_go(group, fetch, &mirrors[i]);
	if (err)
		bp_cancel(group, err);
	err = bp_wait(group);
	*winner = bp_group_winner(group);
	bp_group_destroy(group);
	return err;
}

int main(void)
{
	struct mirror mirrors[] = {
		{.name = "far", .wait_ms = 5000, .answer = 1},
		{.name = "broken", .wait_ms = 5, .answer = -ECONNRESET},
		{.name = "near", .wait_ms = 30, .answer = 3},
	};
	struct mirror quick[] = {
		{.name = "first", .wait_ms = 10, .answer = 1},
		{.name = "hedge", .start_after_ms = 3000, .answer = 2},
	};
	struct mirror broken[] = {
		{.name = "broken", .wait_ms = 30, .answer = -ECONNRESET},
		{.name = "broken too", .wait_ms = 5, .answer = -EHOSTDOWN},
	};
	const struct mirror *winner;
	struct bp_engine *engine;

	slow_server_start(&server);
	CHECK(!bp_engine_create(&engine, NULL));

	CHECK(!race(engine, mirrors, 3, &winner));
	printf("%s won with %d\n", winner->name, winner->result);
	CHECK(winner == &mirrors[2] && mirrors[0].result == -ECANCELED);

	/* The hedge was never needed: the server saw one request. */
	server.served = 0;
	CHECK(!race(engine, quick, 2, &winner));
	printf("%s won, the hedge was %s\n", winner->name, strerror(-quick[1].result));
	CHECK(winner == &quick[0] && server.served == 1);

	/* All failed: the first failure, and no winner. */
	CHECK(race(engine, broken, 2, &winner) == -EHOSTDOWN);
	CHECK(!winner);

	bp_engine_destroy(engine);
	slow_server_stop(&server);
	return 0;
}
