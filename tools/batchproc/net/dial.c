/* SPDX-License-Identifier: MIT */
/*
 * dial: see dial.h. One address, or those of this machine, which answer at once, are tried by the
 * task itself, one after the other. Several are a race of the library: each attempt is a task, and
 * one more starts the next of them every 250 ms.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "batchproc.h"
#include "net/dial.h"

static socklen_t address_size(const union address *address)
{
	return address->any.sa_family == AF_INET ? sizeof(address->in) : sizeof(address->in6);
}

static int connect_socket(int family, const struct sockaddr *addr, socklen_t size)
{
	int fd = bp_socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int err;

	if (fd < 0)
		return fd;
	err = bp_connect(fd, addr, size);
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

static void set_port(union address *address, uint16_t port)
{
	if (address->any.sa_family == AF_INET)
		address->in.sin_port = htons(port);
	else
		address->in6.sin6_port = htons(port);
}

static int connect_address(const union address *address)
{
	return connect_socket(address->any.sa_family, &address->any, address_size(address));
}

static int dial_in_turn(const struct addresses *addresses, uint16_t port, union address *used)
{
	int first = -ENOENT;

	for (size_t i = 0; i < addresses->count; i++) {
		int fd;

		*used = addresses->list[i];
		set_port(used, port);
		fd = connect_address(used);
		if (fd >= 0 || fd == -ECANCELED || fd == -ETIMEDOUT)
			return fd;
		if (!i)
			first = fd;
	}
	return first;
}

/* ---- the race */

struct race;

struct attempt {
	struct race *race;
	union address address;
	int fd; /* -1: not connected */
};

struct race {
	struct bp_group *group;
	size_t count;
	atomic_size_t next;
	atomic_size_t failed;
	atomic_int first; /* error of the first one that failed */
	struct attempt attempt[ADDRESSES_MAX];
};

static int attempt_task(void *arg);

/* Starts the next one; false: there is none. Any task of the group, on any loop. */
static bool start_next(struct race *race)
{
	size_t i = atomic_fetch_add(&race->next, 1);

	return i < race->count && !bp_go(race->group, attempt_task, &race->attempt[i]);
}

static int attempt_task(void *arg)
{
	struct attempt *attempt = arg;
	struct race *race = attempt->race;
	int fd = connect_address(&attempt->address);
	int none = 0;

	if (fd >= 0) {
		attempt->fd = fd;
		return 0;
	}
	atomic_compare_exchange_strong(&race->first, &none, fd);
	start_next(race);
	/* Nobody is left for whom the pacer would wait. */
	if (atomic_fetch_add(&race->failed, 1) + 1 == race->count)
		bp_cancel(race->group, fd);
	return fd;
}

static int pacer_task(void *arg)
{
	struct race *race = arg;

	while (atomic_load(&race->next) < race->count) {
		int err = bp_sleep(DIAL_NEXT_NS);

		if (err)
			return err;
		start_next(race);
	}
	return -ENOENT; /* a success would end the race */
}

/* The winner's descriptor, or why there is none; @err is what the wait said. */
static int race_end(struct race *race, int err, union address *used)
{
	int first = atomic_load(&race->first);
	const struct attempt *winner = bp_group_winner(race->group);
	int fd = -1;

	for (size_t i = 0; i < race->count; i++) {
		struct attempt *one = &race->attempt[i];

		if (one == winner) {
			fd = one->fd;
			*used = one->address;
		} else if (one->fd >= 0) {
			close(one->fd);
		}
	}
	if (fd >= 0)
		return fd;
	/* The task was ended itself, or no address was reached. */
	return bp_cancelled() || !first ? err : first;
}

static int dial_race(struct bp_engine *engine, const struct addresses *addresses, uint16_t port,
		     union address *used)
{
	struct race race = {.count = addresses->count};
	int err = bp_group_create(&race.group, engine,
				  &BP_GROUP_OPTS(.stop_after_failures = 0,
						 .stop_after_successes = 1));

	if (err)
		return err;
	for (size_t i = 0; i < race.count; i++) {
		race.attempt[i] = (struct attempt){&race, addresses->list[i], -1};
		set_port(&race.attempt[i].address, port);
	}
	start_next(&race);
	bp_go(race.group, pacer_task, &race);
	err = bp_wait(race.group);
	err = race_end(&race, err, used);
	bp_group_destroy(race.group);
	return err;
}

int dial(struct bp_engine *engine, const struct addresses *addresses, uint16_t port,
	 union address *used)
{
	if (addresses->count == 1 || address_is_loopback(&addresses->list[0]))
		return dial_in_turn(addresses, port, used);
	return dial_race(engine, addresses, port, used);
}

int dial_unix(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	size_t len = strlen(path);

	if (!len || len >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	memcpy(addr.sun_path, path, len);
	if (path[0] == '@') {
		addr.sun_path[0] = '\0';
		return connect_socket(AF_UNIX, (struct sockaddr *)&addr,
				      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
	}
	return connect_socket(AF_UNIX, (struct sockaddr *)&addr, sizeof(addr));
}
