/* SPDX-License-Identifier: MIT */
/*
 * item_options.c - items that take memory for places, one that is given up alone, and pinned ones
 *
 * The limit is 1 MiB of buffers: each job takes as many places as it needs bytes, so that many
 * small ones or a few large ones run at a time. A job that nobody wants any more is cancelled through its
 * handle, and the rest goes on. Tasks of one loop share a table without a lock.
 */
#include "example.h"

#define LIMIT (1024L * 1024)
#define JOBS 40

struct job {
	size_t size;
	size_t *in_use, *most;
};

static int work(void *arg)
{
	struct job *job = arg;
	char *buf = malloc(job->size);
	int err;

	if (!buf)
		return -ENOMEM;
	*job->in_use += job->size;
	if (*job->in_use > *job->most)
		*job->most = *job->in_use;
	memset(buf, 1, job->size);
	err = bp_sleep(MS / 10);
	*job->in_use -= job->size;
	free(buf);
	return err;
}

static void limit_in_bytes(struct bp_engine *engine)
{
	size_t in_use = 0, most = 0;
	struct bp_group *group;
	struct job job[JOBS];
	int i;

	CHECK(!bp_group_create(&group, engine, &BP_GROUP_OPTS(.limit = LIMIT)));
	for (i = 0; i < JOBS; i++) {
		job[i].size = i % 10 ? 50000 + 1000 * (size_t)i : 1000000;
		job[i].in_use = &in_use;
		job[i].most = &most;
		CHECK(!bp_go_weighted(group, job[i].size, work, &job[i]));
	}
	/* One that never could have so many is refused at once. */
	CHECK(bp_go_weighted(group, LIMIT + 1, work, &job[0]) == -EINVAL);
	CHECK(!bp_wait(group));
	printf("%d jobs, %zu bytes at most\n", JOBS, most);
	CHECK(most <= (size_t)LIMIT);
	bp_group_destroy(group);
}

static int wait_long(void *arg)
{
	(void)arg;
	return bp_sleep(3600000 * MS);
}

static int wait_briefly(void *arg)
{
	(void)arg;
	return bp_sleep(MS) ? -EIO : 42;
}

static void told(void *arg, void *item, enum bp_end end, int result)
{
	(void)item;
	CHECK(end == BP_END_STOPPED && result == -ECONNABORTED);
	++*(int *)arg;
}

static void one_alone(struct bp_engine *engine)
{
	struct bp_handle *slow, *quick;
	struct bp_group *group;
	int result, calls = 0;

	CHECK(!bp_group_create(&group, engine, NULL));
	CHECK(!bp_go_handle(group, &slow, wait_long, NULL));
	CHECK(!bp_go_handle(group, &quick, wait_briefly, NULL));
	CHECK(!bp_handle_notify(slow, told, &calls));
	CHECK(!bp_handle_join(quick, &result) && result == 42);
	CHECK(!bp_handle_cancel(slow, -ECONNABORTED));
	CHECK(!bp_handle_join(slow, &result) && result == -ECONNABORTED);
	CHECK(!bp_wait(group)); /* it was no failure */
	CHECK(calls == 1);
	bp_group_destroy(group);
	bp_handle_release(slow);
	bp_handle_release(quick);
	printf("one was given up, and the group succeeded\n");
}

static int count(void *arg)
{
	long *table = arg;
	long seen = *table;
	int i;

	/* No operation in between, so no other task of this loop. */
	for (i = 0; i < 1000; i++)
		seen++;
	*table = seen;
	return bp_yield();
}

static void pinned(void)
{
	struct bp_engine *engine;
	struct bp_group *group;
	long table[2] = {0, 0};
	unsigned int i;

	CHECK(!bp_engine_create(&engine, &BP_ENGINE_OPTS(.loops = 2)));
	CHECK(!bp_group_create(&group, engine, NULL));
	for (i = 0; i < 100; i++)
		CHECK(!bp_go_on(group, i % 2, count, &table[i % 2]));
	CHECK(!bp_wait(group));
	CHECK(table[0] == 50000 && table[1] == 50000);
	bp_group_destroy(group);
	bp_engine_destroy(engine);
	printf("two loops counted, each its own\n");
}

int main(void)
{
	struct bp_engine *engine;

	CHECK(!bp_engine_create(&engine, NULL));
	limit_in_bytes(engine);
	one_alone(engine);
	bp_engine_destroy(engine);
	pinned();
	return 0;
}
