/* SPDX-License-Identifier: MIT */
/*
 * copy_loop_var.c - the loop variable that all tasks share, and bp_go_copy(), which prevents it
 *
 * bp_go() stores a pointer. A pointer to a variable of the loop shows every task what the
 * variable holds when the task gets to run, which is mostly the last value. bp_go_copy() gives
 * each task its own copy of what the variable held when it was called.
 */
#include "example.h"

#define ITEMS 10

static unsigned long seen; /* bit i: a task was given i */

static int note(void *arg)
{
	const int *i = arg;
	int err = bp_yield(); /* by now the loop has gone on */

	seen |= 1ul << *i;
	return err;
}

int main(void)
{
	struct bp_engine *engine;
	struct bp_group *group;
	int i;

	CHECK(!bp_engine_create(&engine, NULL));

	CHECK(!bp_group_create(&group, engine, NULL));
	for (i = 0; i < ITEMS; i++)
		CHECK(!bp_go(group, note, &i));
	CHECK(!bp_wait(group));
	bp_group_destroy(group);
	printf("shared: %#lx\n", seen);
	CHECK(seen == 1ul << ITEMS); /* the value after the loop, ten times */

	seen = 0;
	CHECK(!bp_group_create(&group, engine, NULL));
	for (i = 0; i < ITEMS; i++)
		CHECK(!bp_go_copy(group, note, &i, sizeof(i)));
	CHECK(!bp_wait(group));
	bp_group_destroy(group);
	printf("copied: %#lx\n", seen);
	CHECK(seen == (1ul << ITEMS) - 1); /* each value once */

	bp_engine_destroy(engine);
	return 0;
}
