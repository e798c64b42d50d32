/* SPDX-License-Identifier: MIT */
/*
 * probes - what tests of probe share: targets, their records, and a server that answers one thing
 * to all
 */
#ifndef BATCHPROC_TESTS_PROBES_H
#define BATCHPROC_TESTS_PROBES_H

#include <pthread.h>

#include "support/cmd.h"
#include "support/sockets.h"

/** "SCHEME127.0.0.1:PORTREST", kept until the next eight calls. */
const char *target(const char *scheme, uint16_t port, const char *rest);

/**
 * The record of a target among what a run printed, until the next call; "", and a failure, without
 * one.
 */
const char *line_of(const struct run *run, const char *name);
/** A number in it; -1: it has none. */
long long number_in(const char *line, const char *key);

#define expect_has(line, word) expect_(strstr(line, word) != NULL, word, __FILE__, __LINE__)
#define expect_lacks(line, word) expect_(!strstr(line, word), "no " word, __FILE__, __LINE__)

/** Takes one connection after the other, reads a request, and sends the answer. */
struct player {
	int listener;
	uint16_t port;
	const char *answer; /* NULL: none, and the connection stays open */
	atomic_bool resets;
	pthread_t thread;
	atomic_ulong requests;
};

void player_start(struct player *player, const char *answer);
void player_stop(struct player *player);

#endif
