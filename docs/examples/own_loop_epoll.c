/* SPDX-License-Identifier: MIT */
/*
 * An engine inside a program's own epoll loop: the loop has a clock of its own to serve, and goes on
 * serving it while tasks talk over a socket and sleep.
 */
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <batchproc.h>

#define ROUNDS 5
#define MS 1000000ull

struct talk {
	int fd;
	int said;
};

static int speaks(void *arg)
{
	struct talk *t = arg;
	int err = 0;

	for (t->said = 0; t->said < ROUNDS && err >= 0; t->said++) {
		err = bp_sleep(10 * MS);
		if (!err)
			err = (int)bp_send(t->fd, "word", 4, 0);
	}
	bp_shutdown(t->fd, SHUT_WR);
	return err < 0 ? err : 0;
}

static int listens(void *arg)
{
	struct talk *t = arg;
	char word[4];
	ssize_t n;

	while ((n = bp_recv(t->fd, word, sizeof(word), MSG_WAITALL)) > 0)
		t->said++;
	return (int)n;
}

/* The program's own work, which has nothing to do with the engine. */
static int ticks(int clock)
{
	uint64_t count;

	return read(clock, &count, sizeof(count)) == sizeof(count) ? (int)count : 0;
}

static void watch(int epoll, int fd)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};

	epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev);
}

/* epoll_wait() counts in milliseconds; to wait longer than needed would be late. */
static int milliseconds(uint64_t ns)
{
	return ns / MS > 60000 ? 60000 : (int)((ns + MS - 1) / MS);
}

int main(void)
{
	struct itimerspec every = {{0, 5 * MS}, {0, 5 * MS}};
	struct talk speaker = {0}, listener = {0};
	struct bp_engine *engine;
	struct bp_group *group;
	int pair[2], epoll, clock, ticked = 0, err;
	uint64_t wait_ns;

	err = bp_engine_create(&engine, NULL);
	if (err) {
		fprintf(stderr, "no engine: %s\n", bp_engine_error());
		return 1;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) ||
	    bp_group_create(&group, engine, NULL))
		return 1;
	speaker.fd = pair[0];
	listener.fd = pair[1];

	epoll = epoll_create1(EPOLL_CLOEXEC);
	clock = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	timerfd_settime(clock, 0, &every, NULL);
	watch(epoll, clock);
	watch(epoll, bp_engine_fd(engine));

	bp_go(group, speaks, &speaker);
	bp_go(group, listens, &listener);
	while (bp_engine_turn(engine, &wait_ns) > 0) {
		struct epoll_event ev;

		/* The engine's own descriptor asks for the next turn, which is taken anyway. */
		if (epoll_wait(epoll, &ev, 1, milliseconds(wait_ns)) == 1 && ev.data.fd == clock)
			ticked += ticks(clock);
	}
	err = bp_wait(group); /* nothing is left to wait for: what did it come to? */
	printf("%d words said, %d heard; the clock went on: %s\n", speaker.said, listener.said,
	       ticked ? "yes" : "no");
	bp_group_destroy(group);
	bp_engine_destroy(engine);
	close(clock);
	close(epoll);
	close(pair[0]);
	close(pair[1]);
	return err || listener.said != ROUNDS || !ticked;
}
