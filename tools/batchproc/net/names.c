/* SPDX-License-Identifier: MIT */
/*
 * names: see names.h. One lock for all; it is never held while a task waits.
 *
 * A name is idle, with or without an answer, or looked up by one task. A task whose lookup is
 * cancelled leaves it to the first of those that wait. Names that nobody asks for are forgotten,
 * the one that was asked for longest ago first, so that a list of a million hosts takes no more
 * memory than one of a thousand.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batchproc.h"
#include "base/blocking.h"
#include "base/alloc.h"
#include "net/names.h"
#include "net/park.h"

#define NAMES_KEPT 4096u
#define BUCKETS 1024u
#define LOOKS 4 /* for those that can be forgotten, whenever one was asked for */
/* There is no such name; and: nobody could say. */
#define ABSENT_NS 5000000000ull
#define UNKNOWN_NS 1000000000ull

struct name {
	struct name *chain;
	struct name *older, *newer; /* all of them, by when they were asked for */
	struct addresses *addresses; /* the answer, or NULL */
	bool looking;
	unsigned int users; /* tasks that are in names_lookup() with it */
	int err; /* why there is no answer */
	const char *why;
	uint64_t until_ns; /* so long err holds */
	struct line waiting;
	char host[];
};

struct names {
	struct bp_engine *engine;
	pthread_mutex_t lock; /* covers what follows */
	unsigned int running; /* lookups */
	struct line queue; /* for one of them */
	unsigned int count;
	struct name *oldest, *newest;
	struct name *bucket[BUCKETS];
};

struct names *names_create(struct bp_engine *engine)
{
	struct names *names = xcalloc(1, sizeof(*names));

	names->engine = engine;
	pthread_mutex_init(&names->lock, NULL);
	return names;
}

/* ---- addresses */

static struct addresses *addresses_new(size_t most)
{
	struct addresses *addresses =
		xcalloc(1, sizeof(*addresses) + most * sizeof(addresses->list[0]));

	addresses->refs = 1;
	return addresses;
}

void addresses_put(struct addresses *addresses)
{
	if (addresses && atomic_fetch_sub(&addresses->refs, 1) == 1)
		free(addresses);
}

static struct addresses *addresses_get(struct addresses *addresses)
{
	atomic_fetch_add(&addresses->refs, 1);
	return addresses;
}

void address_text(const union address *address, char text[ADDRESS_TEXT_MAX])
{
	char ip[INET6_ADDRSTRLEN] = "";

	switch (address->any.sa_family) {
	case AF_INET:
		inet_ntop(AF_INET, &address->in.sin_addr, ip, sizeof(ip));
		snprintf(text, ADDRESS_TEXT_MAX, "%s:%u", ip, ntohs(address->in.sin_port));
		break;
	case AF_INET6:
		inet_ntop(AF_INET6, &address->in6.sin6_addr, ip, sizeof(ip));
		snprintf(text, ADDRESS_TEXT_MAX, "[%s]:%u", ip, ntohs(address->in6.sin6_port));
		break;
	default:
		text[0] = '\0';
	}
}

bool address_is_loopback(const union address *address)
{
	switch (address->any.sa_family) {
	case AF_INET:
		return ntohl(address->in.sin_addr.s_addr) >> 24 == 127;
	case AF_INET6:
		if (IN6_IS_ADDR_V4MAPPED(&address->in6.sin6_addr))
			return address->in6.sin6_addr.s6_addr[12] == 127;
		return IN6_IS_ADDR_LOOPBACK(&address->in6.sin6_addr);
	default:
		return true;
	}
}

/* Of a host that is an address already; NULL: it is a name. */
static struct addresses *literal(const char *host)
{
	struct addresses *addresses;
	struct in6_addr in6;
	struct in_addr in;

	if (inet_pton(AF_INET, host, &in) == 1) {
		addresses = addresses_new(1);
		addresses->list[0].in.sin_family = AF_INET;
		addresses->list[0].in.sin_addr = in;
	} else if (inet_pton(AF_INET6, host, &in6) == 1) {
		addresses = addresses_new(1);
		addresses->list[0].in6.sin6_family = AF_INET6;
		addresses->list[0].in6.sin6_addr = in6;
	} else {
		return NULL;
	}
	addresses->count = 1;
	return addresses;
}

/* The next of a family behind @from. */
static const struct addrinfo *next_of(const struct addrinfo *from, int family, bool same)
{
	while (from && ((from->ai_family == family) != same ||
			(from->ai_family != AF_INET && from->ai_family != AF_INET6)))
		from = from->ai_next;
	return from;
}

/* The family of the first one and the other one in turn, each in the order of getaddrinfo(). */
static struct addresses *interleave(const struct addrinfo *list)
{
	struct addresses *addresses = addresses_new(ADDRESSES_MAX);
	const struct addrinfo *of[2] = {next_of(list, list->ai_family, true),
					next_of(list, list->ai_family, false)};

	for (unsigned int turn = 0; (of[0] || of[1]) && addresses->count < ADDRESSES_MAX; turn++) {
		const struct addrinfo *one = of[turn % 2];

		if (!one)
			continue;
		memcpy(&addresses->list[addresses->count++], one->ai_addr, one->ai_addrlen);
		of[turn % 2] = next_of(one->ai_next, list->ai_family, turn % 2 == 0);
	}
	return addresses;
}

/* ---- lookups */

struct lookup {
	const char *host;
	struct addresses *addresses;
	int err;
	const char *why;
	bool done;
};

static int lookup_error(int gai, int err)
{
	switch (gai) {
	case EAI_NONAME:
	case EAI_NODATA:
	case EAI_ADDRFAMILY:
		return -ENOENT;
	case EAI_MEMORY:
		return -ENOMEM;
	case EAI_SYSTEM:
		return err == EMFILE || err == ENFILE ? -err : -EHOSTUNREACH;
	default:
		return -EHOSTUNREACH;
	}
}

/* On a helper thread. */
static int look_up(void *arg)
{
	const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct lookup *lookup = arg;
	struct addrinfo *list = NULL;
	int gai = getaddrinfo(lookup->host, NULL, &hints, &list);

	lookup->done = true;
	if (gai) {
		lookup->err = lookup_error(gai, errno);
		lookup->why = gai == EAI_SYSTEM ? NULL : gai_strerror(gai);
		return 0;
	}
	lookup->addresses = interleave(list);
	freeaddrinfo(list);
	if (!lookup->addresses->count) {
		addresses_put(lookup->addresses);
		lookup->addresses = NULL;
		lookup->err = -ENOENT;
		lookup->why = "the name has no address of IPv4 or IPv6";
	}
	return 0;
}

/* Takes the place of a lookup; the lock is held before and behind, as in what follows. */
static int lookup_begin(struct names *names)
{
	if (names->running < NAMES_AT_ONCE) {
		names->running++;
		return 0;
	}
	/* Who is called is given the place of the one that ended. */
	return line_wait(&names->queue, &names->lock);
}

static void lookup_end(struct names *names)
{
	if (!line_call(&names->queue))
		names->running--;
}

/* Finds out; 0 when there is an answer of either kind, or why the task could not look. */
static int answer(struct names *names, struct name *name)
{
	struct lookup lookup = {.host = name->host};
	int err;

	name->looking = true;
	err = lookup_begin(names);
	if (!err) {
		pthread_mutex_unlock(&names->lock);
		err = blocking_long(look_up, &lookup);
		pthread_mutex_lock(&names->lock);
		lookup_end(names);
	}
	name->looking = false;
	if (!lookup.done) {
		/* One of the others does it. */
		line_call(&name->waiting);
		return err ? err : -ECANCELED;
	}
	name->addresses = lookup.addresses;
	name->err = lookup.err;
	name->why = lookup.why;
	name->until_ns = bp_now(names->engine) + (lookup.err == -ENOENT ? ABSENT_NS : UNKNOWN_NS);
	line_call_all(&name->waiting);
	return 0;
}

/* ---- the table */

static struct name **place(struct names *names, const char *host)
{
	uint32_t hash = 2166136261u;
	struct name **at;

	for (const char *c = host; *c; c++)
		hash = (hash ^ (unsigned char)*c) * 16777619u;
	at = &names->bucket[hash % BUCKETS];
	while (*at && strcmp((*at)->host, host))
		at = &(*at)->chain;
	return at;
}

static void unlink_age(struct names *names, struct name *name)
{
	*(name->older ? &name->older->newer : &names->oldest) = name->newer;
	*(name->newer ? &name->newer->older : &names->newest) = name->older;
}

static void link_newest(struct names *names, struct name *name)
{
	name->older = names->newest;
	name->newer = NULL;
	*(name->older ? &name->older->newer : &names->oldest) = name;
	names->newest = name;
}

static void forget(struct names *names, struct name *name)
{
	*place(names, name->host) = name->chain;
	unlink_age(names, name);
	names->count--;
	addresses_put(name->addresses);
	free(name);
}

/*
 * Looks at a few of the oldest; those that are in use count as asked for now, so that others have
 * their turn.
 */
static void forget_old(struct names *names)
{
	for (int i = 0; i < LOOKS && names->count > NAMES_KEPT; i++) {
		struct name *name = names->oldest;

		if (!name->users) {
			forget(names, name);
			continue;
		}
		unlink_age(names, name);
		link_newest(names, name);
	}
}

static struct name *name_get(struct names *names, const char *host)
{
	struct name **at = place(names, host), *name = *at;
	size_t size = strlen(host) + 1;

	if (name) {
		unlink_age(names, name);
	} else {
		name = xcalloc(1, sizeof(*name) + size);
		memcpy(name->host, host, size);
		*at = name;
		names->count++;
	}
	link_newest(names, name);
	name->users++;
	return name;
}

/* Whether the name's answer, of either kind, still holds. */
static bool holds(const struct names *names, const struct name *name)
{
	return name->addresses || (name->err && bp_now(names->engine) < name->until_ns);
}

int names_lookup(struct names *names, const char *host, struct addresses **addresses,
		 const char **why)
{
	struct name *name;
	int err = 0;

	*addresses = literal(host);
	if (*addresses)
		return 0;
	pthread_mutex_lock(&names->lock);
	name = name_get(names, host);
	while (!err && !holds(names, name))
		err = name->looking ? line_wait(&name->waiting, &names->lock) : answer(names, name);
	if (!err && name->addresses) {
		*addresses = addresses_get(name->addresses);
	} else if (!err) {
		err = name->err;
		*why = name->why;
	}
	name->users--;
	forget_old(names);
	pthread_mutex_unlock(&names->lock);
	return err;
}

void names_failed(struct names *names, const char *host, const struct addresses *addresses)
{
	struct name *name;

	pthread_mutex_lock(&names->lock);
	name = *place(names, host);
	if (name && name->addresses == addresses) {
		addresses_put(name->addresses);
		name->addresses = NULL;
	}
	pthread_mutex_unlock(&names->lock);
}

void names_destroy(struct names *names)
{
	if (!names)
		return;
	while (names->oldest)
		forget(names, names->oldest);
	pthread_mutex_destroy(&names->lock);
	free(names);
}
