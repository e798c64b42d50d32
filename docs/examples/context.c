/* SPDX-License-Identifier: MIT */
/*
 * context.c - what a request carries: the time that is left, its name, and words for its failure
 *
 * A request is a group with a deadline and a name. Its steps, in a child group, find both without
 * having been told: the time that is left goes to a server with its question, the name into a log.
 * A step that fails says why in words, which who waits for the request reads back. Each task has a
 * scratch buffer of its own that is freed at its end.
 */
#include "example.h"

static const char name_key; /* its address is the key */
static const struct bp_local_key scratch_key = {free};
static char asked[64];

static char *scratch(void)
{
	char *buf = bp_local_get(&scratch_key);

	if (!buf) {
		buf = malloc(64);
		CHECK(buf && !bp_local_set(&scratch_key, buf));
	}
	return buf;
}

static int ask_server(void *arg)
{
	const char *name = bp_group_value(bp_task_group(), &name_key);
	uint64_t left = bp_time_left();
	char *buf = scratch(), *again;

	(void)arg;
	CHECK(left != BP_TIME_NONE && left <= 5000 * MS);
	/* Less than is left, so that there is time to say what has happened. */
	snprintf(buf, 64, "%s: answer within %d ms", name, left > 4000 * MS ? 4000 : 1);
	snprintf(asked, sizeof(asked), "%s", buf);
	again = scratch();
	CHECK(again == buf);
	bp_sleep(MS);
	CHECK(!bp_cancel_text(bp_task_group(), -EPROTO, "the server speaks another language"));
	return -ECANCELED;
}

static int handle(void *arg)
{
	struct bp_engine *engine = arg;
	struct bp_group *steps;
	char why[80];
	int err;

	CHECK(!bp_group_create(&steps, engine, &BP_GROUP_OPTS(.parent = bp_task_group())));
	CHECK(!bp_go(steps, ask_server, NULL));
	err = bp_wait(steps);
	bp_cause_text(steps, why, sizeof(why));
	bp_group_destroy(steps);
	bp_cancel_text(bp_task_group(), err, why);
	return err;
}

int main(void)
{
	static char name[] = "request 17";
	struct bp_engine *engine;
	struct bp_group *request;
	char why[80];

	CHECK(!bp_engine_create(&engine, NULL));
	CHECK(!bp_group_create(&request, engine,
			       &BP_GROUP_OPTS(.deadline_ns = bp_now(engine) + 5000 * MS)));
	CHECK(!bp_group_set_value(request, &name_key, name));
	CHECK(!bp_go(request, handle, engine));
	CHECK(bp_wait(request) == -EPROTO);
	bp_cause_text(request, why, sizeof(why));
	printf("asked: %s\nfailed: %s\n", asked, why);
	CHECK(!strncmp(asked, name, strlen(name)));
	CHECK(!strcmp(why, "the server speaks another language"));
	bp_group_destroy(request);
	bp_engine_destroy(engine);
	return 0;
}
