/* SPDX-License-Identifier: MIT */
/*
 * two_loops.c - an engine with threads of its own, fed by several threads of the program
 *
 * With loops = 2 items run on two threads, and any thread may call the group's functions. What
 * tasks share must then be atomic or locked; the limit holds over both loops together.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "example.h"

#define FEEDERS 3
#define EACH 500

static atomic_int running, most, ended;

static int item(void *arg)
{
	int now = atomic_fetch_add(&running, 1) + 1, seen = atomic_load(&most), err;

	(void)arg;
	while (now > seen && !atomic_compare_exchange_weak(&most, &seen, now))
		;
	err = bp_sleep(MS / 10);
	atomic_fetch_sub(&running, 1);
	atomic_fetch_add(&ended, 1);
	return err;
}

static void *feed(void *arg)
{
	int i;

	for (i = 0; i < EACH; i++)
		CHECK(!bp_go(arg, item, NULL));
	return NULL;
}

int main(void)
{
	struct bp_engine *engine;
	struct bp_group *group;
	pthread_t thread[FEEDERS];
	int i;

	CHECK(!bp_engine_create(&engine, &BP_ENGINE_OPTS(.loops = 2)));
	CHECK(!bp_group_create(&group, engine, &BP_GROUP_OPTS(.limit = 20)));
	for (i = 0; i < FEEDERS; i++)
		CHECK(!pthread_create(&thread[i], NULL, feed, group));
	for (i = 0; i < FEEDERS; i++)
		pthread_join(thread[i], NULL);
	CHECK(!bp_wait(group)); /* after the feeders: it closes the group */
	printf("%d items, at most %d at once\n", ended, most);
	CHECK(ended == FEEDERS * EACH && most <= 20);
	bp_group_destroy(group);
	bp_engine_destroy(engine);
	return 0;
}
