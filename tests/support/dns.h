/* SPDX-License-Identifier: MIT */
/*
 * dns - a getaddrinfo() of our own, which tells how often it was asked, and waits where a test
 * wants it to
 */
#ifndef BATCHPROC_TESTS_DNS_H
#define BATCHPROC_TESTS_DNS_H

#include <stdatomic.h>

struct dns {
	atomic_ulong asked, running, most;
	int gate; /* each lookup waits until something can be read there; -1: none waits */
	const char *addresses[4]; /* the answer for every name that does not begin with "absent" */
};

extern struct dns dns;

/** From here on these are the answer, and nothing was asked yet; the second may be NULL. */
void dns_answers(const char *first, const char *second);

#endif
