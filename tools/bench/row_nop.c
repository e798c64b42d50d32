/* SPDX-License-Identifier: MIT */
/*
 * row_nop.c - what the library itself costs: operations that do nothing
 *
 * Who runs against whom stands in nop.c. How many instructions each takes, where time depends on what
 * else the machine does: scripts/bench-instructions.sh.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "nop.h"

/* ---------------------------------------------------------------- Go's errgroup */

struct go_peer {
	unsigned long count;
	unsigned int limit;
	char program[4096];
};

static int run_go_peer(void *arg, struct measure *out)
{
	struct go_peer *g = arg;
	char command[sizeof(g->program) + 64];
	FILE *f;
	int ok;

	snprintf(command, sizeof(command), "'%s' %lu %u", g->program, g->count, g->limit);
	f = popen(command, "r");
	if (!f)
		return -errno;
	ok = fscanf(f, "%lf", &out->wall) == 1;
	out->cpu = 0;
	return pclose(f) || !ok ? -EIO : 0;
}

/* ---------------------------------------------------------------- the rows */

static struct contestant bare_side = {.name = "bare liburing loop", .run = nop_bare};
static struct contestant each_side = {.name = "each", .run = nop_ours};
static struct contestant loop_side = {.name = "loop", .run = nop_ours};
static struct contestant go_side = {.name = "Go errgroup, SetLimit", .run = run_go_peer};

static void report_against(const struct bench *b, struct result *r, const struct contestant *ours,
			   const struct contestant *theirs)
{
	r->unit = "ns";
	r->items = 1;
	r->backend = "uring";
	report_pair(b, r, ours, theirs);
}

static bool find_go_peer(const struct bench *b, struct go_peer *g)
{
	snprintf(g->program, sizeof(g->program), "%s/errgroup-peer", b->bindir);
	return !access(g->program, X_OK);
}

static int nop_row(const struct bench *b, const char *row, unsigned int depth, enum nop_shape each,
		   enum nop_shape loop, double each_goal, double loop_goal)
{
	unsigned long count = b->smoke ? 2000 : 2000000;
	bool tasks = each == TASK_EACH;
	struct nops bare = {.count = count, .depth = depth};
	struct nops each_arg = {.shape = each, .count = count, .depth = depth};
	struct nops loop_arg = {.shape = loop, .count = count, .depth = depth};
	struct go_peer go = {.count = count, .limit = depth};
	struct contestant *all[] = {&bare_side, &each_side, &loop_side, &go_side};
	bool with_go = tasks && find_go_peer(b, &go);
	struct result r = {.row = row, .limit = (long)depth};
	int err;

	bare_side.arg = &bare;
	each_side.arg = &each_arg;
	loop_side.arg = &loop_arg;
	go_side.arg = &go;
	err = interleave(all, with_go ? 4 : 3, b->runs);
	if (err)
		return err;
	r.what = tasks ? "a task for each NOP" : "an item for each NOP";
	r.goal = r.cpu_goal = each_goal;
	report_against(b, &r, &each_side, &bare_side);
	r.what = tasks ? "tasks in a loop" : "items re-armed";
	r.goal = r.cpu_goal = loop_goal;
	report_against(b, &r, &loop_side, &bare_side);
	if (tasks && !with_go)
		report_skip(b, row, go_side.name, "needs go and golang.org/x/sync at build time");
	if (!with_go)
		return 0;
	r.what = "a task for each NOP";
	r.goal = 0.4;
	r.cpu_goal = 0;
	report_against(b, &r, &each_side, &go_side);
	return 0;
}

int row_nop_op(const struct bench *b)
{
	int err = nop_row(b, "nop-op", 64, OP_EACH, OP_AGAIN, 1.2, 1.08);

	return err ? err : nop_row(b, "nop-op", 256, OP_EACH, OP_AGAIN, 1.2, 1.08);
}

int row_nop_task(const struct bench *b)
{
	int err = nop_row(b, "nop-task", 64, TASK_EACH, TASK_LOOP, 1.9, 1.3);

	return err ? err : nop_row(b, "nop-task", 256, TASK_EACH, TASK_LOOP, 1.9, 1.3);
}
