/* SPDX-License-Identifier: MIT */
/*
 * sim_prog - random programs for the simulated backend
 *
 * A program is plain data: options of an engine and of groups, and scripts of steps. Script 0 is
 * the main thread's; the others are run by tasks, or say what an operation item does. A task may
 * start only scripts with a higher number than its own, so every program ends. Any step may be
 * taken out of a program and it is still one: that is how a failing program is made smaller.
 */
#ifndef BATCHPROC_TESTS_SIM_PROG_H
#define BATCHPROC_TESTS_SIM_PROG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "batchproc.h"

#define PROG_GROUPS 6
#define PROG_SCRIPTS 8
#define PROG_STEPS 14
#define PROG_ITEMS 300

enum step_kind {
	STEP_NONE,
	/* anybody */
	STEP_GO, /* a: group, b: script, c: how many; flags: how */
	STEP_CANCEL, /* a: group, c: cause */
	STEP_LIMIT, /* a: group, c: limit */
	STEP_STATS, /* a: group */
	STEP_POST, /* a: group, b: script to be tried, or 0: a cancel, c: cause */
	STEP_ALONE, /* c: which of the items with a handle is cancelled alone */
	/* the main thread */
	STEP_WAIT_UNTIL, /* a: group, c: ns from now */
	STEP_JOIN, /* c: which of the items with a handle */
	/* a task */
	STEP_NOP,
	STEP_YIELD,
	STEP_SLEEP, /* c: ns */
	STEP_OFFLOAD,
	STEP_FILE, /* a: which file, b: shared or not, c: bytes */
	STEP_SEND, /* a: which stream, c: bytes */
	STEP_RECV, /* a: which stream, c: bytes */
	STEP_SEND_ZC, /* likewise */
	STEP_CONNECT, /* c: bytes to exchange */
	STEP_ACCEPT,
	STEP_POLL, /* a: which stream */
	STEP_SHIELD, /* begins one, or ends the innermost if b */
	STEP_TIMEOUT, /* begins a scope of c ns, or ends the innermost if b */
	STEP_NEST, /* a: options of the group, b: script, c: how many; flags */
	STEP_RETURN, /* c: result */
	STEP_KINDS,
};

enum step_flags {
	GO_TRY = 1 << 0,
	GO_COPY = 1 << 1,
	GO_OP = 1 << 2,
	GO_HEAVY = 1 << 3, /* it takes more than one place */
	GO_HANDLE = 1 << 4,
	GO_PINNED = 1 << 5, /* to one loop */
	/* of STEP_NEST */
	NEST_OF_OWN = 1 << 3, /* the group's parent is the task's */
	NEST_DESTROY = 1 << 4, /* without a wait */
	NEST_UNTIL = 1 << 5, /* a bp_wait_until() first */
};

/* Groups of a step: a number of the main thread's groups, or one of these. */
#define GROUP_OWN (-1) /* the one that the item runs in */

struct step {
	unsigned char kind, flags;
	signed char a, b;
	int64_t c;
};

struct script {
	struct step step[PROG_STEPS];
};

struct prog_group {
	int parent; /* -1: none */
	long limit;
	unsigned int failures, successes;
	uint64_t deadline_ns; /* from its creation; 0: none */
	uint64_t item_timeout_ns;
};

struct prog {
	uint64_t seed;
	unsigned int loops, depth;
	unsigned int quiet; /* bits: which kinds of misfortune are switched off */
	unsigned int groups; /* the main thread's */
	int destroyed; /* the group that is destroyed without a wait, or -1 */
	bool parents_first; /* the order of the waits */
	struct prog_group group[PROG_GROUPS];
	struct script script[PROG_SCRIPTS];
};

/** The program of a seed. */
void prog_make(struct prog *prog, uint64_t seed);
void prog_print(FILE *out, const struct prog *prog);

/** Makes a program smaller in the @n-th way. Return: false when there are no more ways. */
bool prog_shrink(struct prog *prog, unsigned int n);

/* Options of engines that are kept for many seeds. */
extern const unsigned int prog_depths[7];
#define PROG_LOOPS_MAX 4

/* sim_run.c */

struct sim_outcome {
	uint64_t hash; /* of everything that happened */
	uint64_t events;
	unsigned int items;
};

/**
 * Runs a program and checks every promise; a promise that was not kept is said on stderr and ends
 * the process. With @trace every event is printed.
 */
struct sim_outcome prog_run(const struct prog *prog, bool trace);

/** Ends the engines that were kept. */
void prog_run_end(void);

#endif
