/* SPDX-License-Identifier: MIT */
/*
 * names: host names and their addresses, for all loops together.
 *
 * A name is looked up by getaddrinfo() on a helper thread, by one task at a time; the others that
 * want it wait for its answer, and no more than NAMES_AT_ONCE lookups run. The answer holds until
 * all of its addresses have failed; that there is none holds for a few seconds.
 */
#ifndef BATCHPROC_NAMES_H
#define BATCHPROC_NAMES_H

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct bp_engine;
struct names;

#define NAMES_AT_ONCE 8u
#define NAMES_LEN_MAX 255u
#define ADDRESSES_MAX 32u

union address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

/* The addresses of a name, families in turn as RFC 8305 has them; shared and constant. */
struct addresses {
	atomic_size_t refs;
	size_t count;
	union address list[];
};

struct names *names_create(struct bp_engine *engine);
void names_destroy(struct names *names);

/*
 * The addresses of @host: a name, or an IPv4 or IPv6 address without brackets. To be given back
 * with addresses_put(). Returns 0, or -errno with the reason in @why where it is not errno's text:
 * -ENOENT there is no such name, -EHOSTUNREACH nobody can say at present, -ECANCELED, -ETIMEDOUT.
 * Task only.
 */
int names_lookup(struct names *names, const char *host, struct addresses **addresses,
		 const char **why);
void addresses_put(struct addresses *addresses);

/* None of these answered: the next who wants @host has it looked up again. Any thread. */
void names_failed(struct names *names, const char *host, const struct addresses *addresses);

/* An address as text: 192.0.2.1:80, [2001:db8::1]:80. */
#define ADDRESS_TEXT_MAX 80
void address_text(const union address *address, char text[ADDRESS_TEXT_MAX]);
bool address_is_loopback(const union address *address);

#endif
