/* SPDX-License-Identifier: MIT */
/*
 * dial: a connected socket. Several addresses are tried as RFC 8305 has it: the next one starts
 * when the one before it failed, or after 250 ms; the first that answers wins and the others are
 * cancelled.
 */
#ifndef BATCHPROC_DIAL_H
#define BATCHPROC_DIAL_H

#include <stdint.h>

#include "net/names.h"

struct bp_engine;

#define DIAL_NEXT_NS 250000000ull

/*
 * Connects to one of @addresses at @port; @used becomes the one that answered. Returns a
 * descriptor, or -errno: the error of the first that failed. Task only.
 */
int dial(struct bp_engine *engine, const struct addresses *addresses, uint16_t port,
	 union address *used);

/*
 * Connects to a socket in the file system; a path that begins with @ is an abstract name. Task
 * only.
 */
int dial_unix(const char *path);

#endif
