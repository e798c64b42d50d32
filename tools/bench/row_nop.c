/* SPDX-License-Identifier: MIT */
/*
 * row_nop.c - what the library itself costs: operations that do nothing
 *
 * The ceiling is a loop on liburing written by hand for this one purpose. Against it stand, with
 * equally many NOPs in flight, operation items and tasks of a caller-driven engine, in both
 * shapes: as many items as there are NOPs, and few items that each go on and on. Each contestant
 * sets up its ring or engine before the clock starts.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <batchproc.h>

#include "bench.h"

/* ---------------------------------------------------------------- the bare loop */

struct bare {
	unsigned long count;
	unsigned int depth;
};

static int run_bare(void *arg, struct measure *out)
{
	const struct bare *b = arg;
	unsigned long submitted = 0, done = 0;
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	struct stopwatch w;
	unsigned int head, n;
	int err;

	err = bare_ring(&ring, b->depth);
	if (err)
		return err;
	watch_start(&w);
	while (done < b->count) {
		while (submitted < b->count && submitted - done < b->depth) {
			io_uring_prep_nop(io_uring_get_sqe(&ring));
			submitted++;
		}
		io_uring_submit_and_wait(&ring, 1);
		n = 0;
		io_uring_for_each_cqe(&ring, head, cqe)
		{
			err |= cqe->res;
			n++;
		}
		io_uring_cq_advance(&ring, n);
		done += n;
	}
	*out = watch_stop(&w, (double)b->count);
	io_uring_queue_exit(&ring);
	return err ? -EIO : 0;
}

/* ---------------------------------------------------------------- ours */

enum shape {
	OP_EACH, /* an operation item for each NOP */
	OP_AGAIN, /* few items, re-armed with BP_OP_AGAIN */
	TASK_EACH, /* a task for each NOP */
	TASK_LOOP, /* few tasks, each with a loop of NOPs */
};

struct nop_op {
	struct bp_op op;
	unsigned long left; /* rounds still to go */
	struct nop_op *next; /* on the list of free ones */
};

struct ours {
	enum shape shape;
	unsigned long count;
	unsigned int depth;
	struct nop_op *ops; /* depth + 1: one is at hand while all others run */
	struct nop_op *free;
};

static void nop_prep(struct bp_op *op, struct io_uring_sqe *sqe)
{
	(void)op;
	io_uring_prep_nop(sqe);
}

static int nop_done(struct bp_op *op, int res)
{
	struct nop_op *n = (struct nop_op *)op; /* its first member */

	if (res < 0 || !--n->left)
		return res;
	return BP_OP_AGAIN;
}

static void nop_free(void *ctx, void *arg, enum bp_end end, int result)
{
	struct ours *o = ctx;
	struct nop_op *n = arg;

	(void)end;
	(void)result;
	n->next = o->free;
	o->free = n;
}

/* Share of the NOPs for the i-th of the long-lived items. */
static unsigned long share(const struct ours *o, unsigned int i)
{
	return o->count / o->depth + (i < o->count % o->depth);
}

static int go_ops(struct ours *o, struct bp_group *group)
{
	unsigned long i, items = o->shape == OP_AGAIN ? o->depth : o->count;
	int err = 0;

	for (i = 0; i < items && !err; i++) {
		struct nop_op *n = o->free;

		o->free = n->next;
		n->left = o->shape == OP_AGAIN ? share(o, (unsigned int)i) : 1;
		err = bp_go_op(group, &n->op);
	}
	return err;
}

static int nop_task(void *arg)
{
	unsigned long left = (unsigned long)(uintptr_t)arg;
	int res;

	do {
		io_uring_prep_nop(bp_sqe());
		res = bp_await();
	} while (res >= 0 && --left);
	return res;
}

static int go_tasks(struct ours *o, struct bp_group *group)
{
	unsigned long i, items = o->shape == TASK_LOOP ? o->depth : o->count;
	int err = 0;

	for (i = 0; i < items && !err; i++) {
		unsigned long left = o->shape == TASK_LOOP ? share(o, (unsigned int)i) : 1;

		err = bp_go(group, nop_task, (void *)(uintptr_t)left);
	}
	return err;
}

static int run_group(struct ours *o, struct bp_engine *engine, struct measure *out)
{
	bool ops = o->shape == OP_EACH || o->shape == OP_AGAIN;
	struct bp_group *group;
	struct stopwatch w;
	unsigned int i;
	int err;

	err = bp_group_create(&group, engine,
			      &BP_GROUP_OPTS(.limit = o->depth, .report = ops ? nop_free : NULL,
					     .report_arg = o));
	if (err)
		return err;
	o->free = NULL;
	for (i = 0; ops && i < o->depth + 1; i++) {
		o->ops[i].op = (struct bp_op)BP_OP_INIT(nop_prep, nop_done);
		nop_free(o, &o->ops[i], BP_END_SUCCEEDED, 0);
	}
	watch_start(&w);
	err = ops ? go_ops(o, group) : go_tasks(o, group);
	if (!err)
		err = bp_wait(group);
	*out = watch_stop(&w, (double)o->count);
	bp_group_destroy(group);
	return err;
}

static int run_ours(void *arg, struct measure *out)
{
	struct ours *o = arg;
	struct bp_engine *engine;
	int err;

	o->ops = calloc(o->depth + 1, sizeof(*o->ops));
	if (!o->ops)
		return -ENOMEM;
	err = bp_engine_create(&engine, &BP_ENGINE_OPTS(.backend = BP_BACKEND_URING));
	if (!err) {
		err = run_group(o, engine, out);
		bp_engine_destroy(engine);
	}
	free(o->ops);
	return err;
}

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

static struct contestant bare_side = {.name = "bare liburing loop", .run = run_bare};
static struct contestant each_side = {.name = "each", .run = run_ours};
static struct contestant loop_side = {.name = "loop", .run = run_ours};
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

static int nop_row(const struct bench *b, const char *row, unsigned int depth, enum shape each,
		   enum shape loop, double each_goal, double loop_goal)
{
	unsigned long count = b->smoke ? 2000 : 2000000;
	bool tasks = each == TASK_EACH;
	struct bare bare = {.count = count, .depth = depth};
	struct ours each_arg = {.shape = each, .count = count, .depth = depth};
	struct ours loop_arg = {.shape = loop, .count = count, .depth = depth};
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
