/* SPDX-License-Identifier: MIT */
/*
 * netrc: names and passwords by host, as ~/.netrc has them for ftp, curl and others.
 */
#ifndef BATCHPROC_NETRC_H
#define BATCHPROC_NETRC_H

#include <stddef.h>

struct netrc {
	struct netrc_entry {
		char *machine; /* NULL: default, for all that have no entry */
		char *user, *password; /* NULL: none */
	} * entries;
	size_t count;
};

/* NULL, or what is wrong with the text, and nothing to free. */
const char *netrc_parse(struct netrc *netrc, const char *text, size_t len);
void netrc_free(struct netrc *netrc);

/* The first entry of @host, or the default one; NULL: neither. Any thread. */
const struct netrc_entry *netrc_find(const struct netrc *netrc, const char *host);

#endif
