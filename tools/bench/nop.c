/* SPDX-License-Identifier: MIT */
/*
 * nop.c - operations that do nothing: the bare loop, and the library in four shapes
 *
 * The ceiling is a loop on liburing written by hand for this one purpose. Against it stand, with
 * equally many NOPs in flight, operation items and tasks of a caller-driven engine, in both
 * shapes: as many items as there are NOPs, and few items that each go on and on. Each sets up its
 * ring or engine before the clock starts.
 */
#include <errno.h>
#include <stdlib.h>

#include <batchproc.h>

#include "nop.h"

/* ---------------------------------------------------------------- the bare loop */

int nop_bare(void *arg, struct measure *out)
{
	const struct nops *b = arg;
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

struct nop_op {
	struct bp_op op;
	unsigned long left; /* rounds still to go */
	struct nop_op *next; /* on the list of free ones */
};

struct ours {
	enum nop_shape shape;
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

int nop_ours(void *arg, struct measure *out)
{
	const struct nops *nops = arg;
	struct ours o = {.shape = nops->shape, .count = nops->count, .depth = nops->depth};
	struct bp_engine *engine;
	int err;

	o.ops = calloc(o.depth + 1, sizeof(*o.ops));
	if (!o.ops)
		return -ENOMEM;
	err = bp_engine_create(&engine, &BP_ENGINE_OPTS(.backend = BP_BACKEND_URING));
	if (!err) {
		err = run_group(&o, engine, out);
		bp_engine_destroy(engine);
	}
	free(o.ops);
	return err;
}
