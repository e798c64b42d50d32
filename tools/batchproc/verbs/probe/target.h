/* SPDX-License-Identifier: MIT */
/*
 * target: what is probed, from its text: tcp://HOST:PORT, tls://HOST[:PORT], unix:PATH, http:// and
 * https:// URLs. Pure functions; a struct belongs to whoever holds it.
 */
#ifndef BATCHPROC_PROBE_TARGET_H
#define BATCHPROC_PROBE_TARGET_H

#include <stdbool.h>
#include <stddef.h>

#include "net/url.h"

struct buf;

struct probe_target {
	enum {
		PROBE_TCP,
		PROBE_TLS,
		PROBE_UNIX,
		PROBE_HTTP, /* and https: url.tls */
	} kind;
	struct url url; /* also of tcp and tls, whose path is / */
	const char *path; /* of unix, in the text that was parsed */
};

/* NULL, or what is wrong with it, and nothing to free. */
const char *target_parse(struct probe_target *target, const char *text, size_t len);
/* Adds what may stand in records of it; whether something may not. */
bool target_shown(const char *text, size_t len, struct buf *name);
void target_free(struct probe_target *target);

#endif
