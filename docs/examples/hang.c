/* SPDX-License-Identifier: MIT */
/*
 * hang.c - a program that hangs, and what bp_engine_dump() says of it
 *
 * The listener waits for a word that the speaker never says. bp_wait_until() loses patience after a tenth
 * of a second, and the dump names the operation that is waited for.
 */
#include <sys/socket.h>

#include "example.h"

static int pair[2];

static int listens(void *unused)
{
	char word[16];
	ssize_t n = bp_recv(pair[1], word, sizeof(word), 0);

	(void)unused;
	return n < 0 ? (int)n : 0;
}

static int speaks(void *unused)
{
	(void)unused;
	return bp_sleep(MS); /* and forgets what it was about to say */
}

int main(void)
{
	struct bp_engine *engine;
	struct bp_group *group;

	CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	CHECK(!bp_engine_create(&engine, NULL));
	CHECK(!bp_group_create(&group, engine, NULL));
	CHECK(!bp_go(group, listens, NULL));
	CHECK(!bp_go(group, speaks, NULL));
	if (bp_wait_until(group, bp_now(engine) + 100 * MS) == -ETIMEDOUT) {
		CHECK(!bp_engine_dump(engine, STDOUT_FILENO));
		bp_cancel(group, -ETIMEDOUT);
	}
	CHECK(bp_wait(group) == -ETIMEDOUT);
	bp_group_destroy(group);
	bp_engine_destroy(engine);
	close(pair[0]);
	close(pair[1]);
	return 0;
}
