/* SPDX-License-Identifier: MIT */
/*
 * row_sleeping.c - what 100,000 that sleep take: memory, start, cancel
 *
 * Programs of their own, sleepers.c and errgroup_peer.go, so that nothing else is in the figures of
 * their memory: tasks that call bp_sleep() on a caller-driven engine, and goroutines that wait for a
 * timer or the end of their context. Then tasks alone, from 10,000 to 1,000,000 of them.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

/* The measures of a run. */
enum {
	START,
	CANCEL,
	MEMORY,
};

struct sleeping {
	char command[4096 + 64];
};

static int run_sleeping(void *arg, struct measure *out)
{
	const struct sleeping *s = arg;
	double rss, tables;
	FILE *f = popen(s->command, "r");
	bool whole;

	if (!f)
		return -errno;
	whole = fscanf(f, "%lf %lf %lf %lf %lf %lf", &rss, &tables, &out[START].wall,
		       &out[START].cpu, &out[CANCEL].wall, &out[CANCEL].cpu) == 6;
	out[MEMORY] = (struct measure){.wall = rss + tables};
	return pclose(f) || !whole ? -EIO : 0;
}

static struct sleeping ours, theirs;
static struct contestant our_side = {.name = "tasks", .run = run_sleeping, .arg = &ours};
static struct contestant go_side = {.name = "Go errgroup, WithContext",
				    .run = run_sleeping,
				    .arg = &theirs};

static void report_one(const struct bench *b, const char *what, unsigned int measure,
		       const char *unit, double goal)
{
	struct result r = {
		.row = "sleeping",
		.what = what,
		.unit = unit,
		.measure = measure,
		.goal = goal,
		.items = measure == MEMORY ? 0 : 1,
		.backend = "uring",
		.limit = -1,
		.note = b->smoke ? "100 asleep" : "100,000 asleep; for each of them",
	};

	if (!our_side.failed && !go_side.failed) {
		r.ours_memory = samples_of(&our_side, MEMORY, WALL, b->runs).median;
		r.theirs_memory = samples_of(&go_side, MEMORY, WALL, b->runs).median;
	}
	report_pair(b, &r, &our_side, &go_side);
}

static int against_go(const struct bench *b)
{
	struct contestant *all[] = {&our_side, &go_side};
	unsigned int count = b->smoke ? 100 : 100000;
	char program[4096 + 32];
	int err;

	snprintf(program, sizeof(program), "%s/errgroup-peer", b->bindir);
	if (access(program, X_OK)) {
		report_skip(b, "sleeping", go_side.name,
			    "needs go and golang.org/x/sync at build time");
		return 0;
	}
	snprintf(ours.command, sizeof(ours.command), "'%s/sleepers' tasks %u 0", b->bindir, count);
	snprintf(theirs.command, sizeof(theirs.command), "'%s' sleep %u", program, count);
	err = interleave(all, 2, b->runs);
	if (err)
		return err;
	report_one(b, "start until all sleep", START, "ns", 0.5);
	report_one(b, "cancel of all", CANCEL, "ns", 0.4);
	report_one(b, "memory", MEMORY, "bytes", 0);
	return 0;
}

/* One figure for each number of tasks, as a curve. */
static int alone(const struct bench *b)
{
	static const unsigned int counts[] = {10000, 100000, 1000000};
	struct contestant *all[] = {&our_side};

	for (unsigned int i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		unsigned int count = b->smoke ? counts[i] / 1000 : counts[i];
		struct point p = {
			.row = "sleeping",
			.what = "tasks",
			.side = "start",
			.of = "items",
			.x = count,
			.unit = "ns",
			.measure = START,
			.note = "for each of them",
		};
		int err;

		snprintf(ours.command, sizeof(ours.command), "'%s/sleepers' tasks %u 0", b->bindir,
			 count);
		err = interleave(all, 1, b->runs);
		if (err)
			return err;
		report_point(b, &p, &our_side);
		p.side = "cancel";
		p.measure = CANCEL;
		report_point(b, &p, &our_side);
	}
	return 0;
}

int row_sleeping(const struct bench *b)
{
	int err = against_go(b);

	return err ? err : alone(b);
}
