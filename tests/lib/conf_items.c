/* SPDX-License-Identifier: MIT */
/*
 * conf_items - items with a handle, or a loop of their own
 */
#include <stdlib.h>
#include <string.h>

#include "group.h"
#include "support/harness.h"

/* ---------------------------------------------------------------- handles */

static void one_item_is_cancelled_alone(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = BP_LIMIT_NONE);
	struct bp_handle *one, *other;
	struct crowd crowd;
	enum bp_end end;
	int result = 1;

	crowd_init(&crowd);
	expect_eq(bp_go_handle(g, &one, crowd_task, &crowd), 0);
	expect_eq(bp_go_handle(g, &other, crowd_task, &crowd), 0);
	until_count(t, &crowd.started, 2);
	expect_eq(bp_handle_end(one, &end, &result), -EAGAIN);
	expect_eq(bp_handle_cancel(one, -EINTR), 0);
	expect_eq(bp_handle_join(one, &result), 0);
	expect_eq(result, -EINTR);
	expect_eq(bp_handle_end(one, &end, &result), 0);
	expect_eq(end, BP_END_STOPPED);
	expect_eq(bp_handle_cancel(one, 0), -ESRCH);
	expect_eq(bp_handle_end(other, NULL, NULL), -EAGAIN);
	expect_eq(crowd.cancelled, 1);
	/* The group is as it was. */
	expect_eq(stats_of(g).cause, 0);
	gate_open(&crowd.gate);
	expect_eq(bp_wait(g), 0);
	bp_group_destroy(g);
	/* And handles are good after it is gone. */
	expect_eq(bp_handle_join(other, &result), 0);
	expect_eq(result, 0);
	bp_handle_release(one);
	bp_handle_release(other);
	bp_handle_release(NULL);
	crowd_free(&crowd);
}

static void an_operation_item_is_cancelled_alone(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = BP_LIMIT_NONE);
	struct bp_handle *handle = NULL;
	struct crowd_op op;
	struct crowd crowd;
	int result = 1;

	crowd_init(&crowd);
	for (int i = 0; i < 2; i++) {
		crowd_op_init(&op, &crowd);
		expect_eq(bp_go_op_with(g, &op.op, &BP_GO_OPTS(.handle = &handle)), 0);
		until_in_flight(t, 1);
		expect_eq(bp_handle_cancel(handle, 0), 0);
		expect_eq(bp_handle_join(handle, &result), 0);
		expect_eq(result, -ECANCELED);
		expect_eq(op.res, -ECANCELED);
		bp_handle_release(handle);
	}
	expect_eq(bp_wait(g), 0);
	expect_eq(stats_of(g).stopped, 2);
	bp_group_destroy(g);
	crowd_free(&crowd);
}

static void one_that_has_not_started_never_does(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = BP_LIMIT_NONE);
	struct bp_handle *handle;
	struct crowd crowd;
	enum bp_end end;
	int result = 1;

	crowd_init(&crowd);
	expect_eq(bp_go_handle(g, &handle, crowd_task, &crowd), 0);
	/* Nothing runs before somebody drives the loop. */
	expect_eq(bp_handle_cancel(handle, -EIO), 0);
	expect_eq(bp_handle_join(handle, &result), 0);
	expect_eq(result, -EIO);
	expect_eq(bp_handle_end(handle, &end, NULL), 0);
	expect_eq(end, BP_END_NEVER_STARTED);
	expect_eq(crowd.started, 0);
	expect_eq(bp_wait(g), 0);
	expect_eq(stats_of(g).never_started, 1);
	bp_handle_release(handle);
	bp_group_destroy(g);
	crowd_free(&crowd);
}

struct joiner {
	struct bp_handle *handle, *own;
	atomic_ulong told;
	int err, result;
};

static int join(void *arg)
{
	struct joiner *j = arg;

	j->err = bp_handle_join(j->handle, &j->result);
	return j->err;
}

struct again {
	struct bp_op op;
	struct bp_group *group;
	struct bp_handle **second;
	bool frees;
};

static void nop_prep(struct bp_op *op, struct io_uring_sqe *sqe)
{
	(void)op;
	io_uring_prep_nop(sqe);
}

static int nop_done(struct bp_op *op, int res)
{
	(void)op;
	return res;
}

/* The operation is the caller's: it goes, or is added once more. */
static void uses_it_anew(void *ctx, void *item, enum bp_end end, int result)
{
	struct again *a = item;

	(void)ctx, (void)end, (void)result;
	if (a->frees) {
		memset(a, 0xff, sizeof(*a));
		free(a);
		return;
	}
	a->frees = true;
	expect_eq(bp_go_op_with(a->group, &a->op,
				&BP_GO_OPTS(.try_now = true, .weight = 2, .handle = a->second)),
		  0);
}

static void the_report_has_the_operation_for_itself(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = BP_LIMIT_NONE, .report = uses_it_anew);
	struct bp_handle *first, *second = NULL;
	struct again *a = calloc(1, sizeof(*a));
	int result = 1;

	a->op = (struct bp_op)BP_OP_INIT(nop_prep, nop_done);
	a->group = g;
	a->second = &second;
	expect_eq(bp_go_op_with(g, &a->op, &BP_GO_OPTS(.weight = 3, .handle = &first)), 0);
	expect_eq(bp_handle_join(first, &result), 0);
	expect_eq(result, 0);
	expect_eq(bp_handle_join(second, &result), 0);
	expect_eq(result, 0);
	expect_eq(bp_wait(g), 0);
	expect_eq(stats_of(g).places, 0);
	bp_group_destroy(g);
	bp_handle_release(first);
	bp_handle_release(second);
}

static void joins_are_cancelled_with_their_group(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = BP_LIMIT_NONE);
	struct bp_group *joiners = group_with(t, .limit = BP_LIMIT_NONE);
	struct bp_group *others = group_with(t, .limit = BP_LIMIT_NONE);
	struct joiner a = {.err = 1}, b = {.err = 1, .result = 1};
	struct bp_handle *handle;
	struct crowd crowd;

	crowd_init(&crowd);
	expect_eq(bp_go_handle(g, &handle, crowd_task, &crowd), 0);
	a.handle = b.handle = handle;
	expect_eq(bp_go(joiners, join, &a), 0);
	until_in_queue(t, &handle->joiners, 1);
	expect_eq(bp_go(others, join, &b), 0);
	until_in_queue(t, &handle->joiners, 2);
	bp_cancel(joiners, 0);
	expect_eq(bp_wait(joiners), -ECANCELED);
	expect_eq(a.err, -ECANCELED);
	gate_open(&crowd.gate);
	expect_eq(bp_wait(others), 0);
	expect_eq(b.err, 0);
	expect_eq(b.result, 0);
	expect_eq(bp_wait(g), 0);
	bp_handle_release(handle);
	bp_group_destroy(joiners);
	bp_group_destroy(others);
	bp_group_destroy(g);
	crowd_free(&crowd);
}

static void told(void *arg, void *item, enum bp_end end, int result)
{
	struct joiner *j = arg;

	expect(item == NULL || item == arg);
	expect_eq(end, BP_END_FAILED);
	expect_eq(result, -EPROTO);
	j->told++;
}

static int fail_late(void *unused)
{
	int err = bp_yield();

	(void)unused;
	return err ? err : -EPROTO;
}

static void one_is_told_of_the_end(struct test *t)
{
	struct bp_group *g = group_with(t, .stop_after_failures = 0);
	struct bp_handle *handle[2];
	struct joiner j = {.told = 0};

	for (int i = 0; i < 2; i++)
		expect_eq(bp_go_handle(g, &handle[i], fail_late, NULL), 0);
	expect_eq(bp_handle_notify(handle[0], NULL, &j), -EINVAL);
	expect_eq(bp_handle_notify(handle[0], told, &j), 0);
	expect_eq(bp_handle_notify(handle[0], told, &j), -EBUSY);
	/* It is told although the handle is given back. */
	bp_handle_release(handle[0]);
	expect_eq(bp_wait(g), -EPROTO);
	expect_eq(j.told, 1);
	/* And at once of an end that was. */
	expect_eq(bp_handle_notify(handle[1], told, &j), 0);
	expect_eq(j.told, 2);
	bp_handle_release(handle[1]);
	bp_group_destroy(g);
}

static int join_oneself(void *arg)
{
	struct joiner *j = arg;

	expect_eq(bp_handle_join(j->own, NULL), -EDEADLK);
	/* Cancelled by itself: from here on, but for a shield. */
	expect_eq(bp_handle_cancel(j->own, -ENODATA), 0);
	while (!bp_cancelled())
		bp_yield();
	expect_eq(bp_sleep(1), -ECANCELED);
	bp_shield_begin();
	expect_eq(bp_sleep(1), 0);
	bp_shield_end();
	return -ECANCELED;
}

static void an_item_may_use_its_own_handle(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = BP_LIMIT_NONE);
	struct joiner j = {.err = 0};
	int result = 0;

	expect_eq(bp_go_handle(g, &j.own, join_oneself, &j), 0);
	expect_eq(bp_wait(g), 0);
	expect_eq(bp_handle_join(j.own, &result), 0);
	expect_eq(result, -ENODATA);
	bp_handle_release(j.own);
	bp_group_destroy(g);
}

static void a_handle_is_null_where_nothing_was_added(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = 1);
	struct bp_handle *handle = (struct bp_handle *)1;
	struct crowd crowd;

	crowd_init(&crowd);
	expect_eq(bp_go_handle(g, NULL, succeed, NULL), -EINVAL);
	expect_eq(bp_go_handle(g, &handle, NULL, NULL), -EINVAL);
	expect(!handle);
	expect_eq(bp_go(g, crowd_task, &crowd), 0);
	handle = (struct bp_handle *)1;
	expect_eq(bp_go_with(g, succeed, NULL, &BP_GO_OPTS(.handle = &handle, .try_now = true)),
		  -EAGAIN);
	expect(!handle);
	bp_cancel(g, 0);
	expect_eq(bp_go_handle(g, &handle, succeed, NULL), -ECANCELED);
	expect(!handle);
	expect_eq(bp_wait(g), -ECANCELED);
	expect_eq(bp_go_handle(g, &handle, succeed, NULL), -EBADF);
	bp_group_destroy(g);
	crowd_free(&crowd);
}

static int keep_a_handle(void *unused)
{
	struct bp_handle *handle;
	struct bp_engine *engine;
	struct bp_group *g;

	(void)unused;
	if (bp_engine_create(&engine, &BP_ENGINE_OPTS(.backend = BP_BACKEND_THREADS)) ||
	    bp_group_create(&g, engine, NULL) || bp_go_handle(g, &handle, succeed, NULL) ||
	    bp_wait(g))
		return 1;
	bp_group_destroy(g);
	bp_engine_destroy(engine);
	return 0;
}

static void an_engine_with_handles_is_not_destroyed(struct test *t)
{
	(void)t;
	expect_abort(keep_a_handle, NULL, "1 handle(s)");
}

/* ---------------------------------------------------------------- a loop of their own */

struct place {
	int loop;
	atomic_ulong *ran;
	struct crowd *crowd;
};

static int note_loop(void *arg)
{
	struct place *p = arg;

	for (int i = 0; i < 3; i++) {
		int err = bp_yield();

		expect_eq(bp_loop_index(), p->loop);
		if (err)
			return err;
	}
	++*p->ran;
	return 0;
}

static void pinned_items_run_on_their_loop(struct test *t)
{
	int loops = driven(t) ? 1 : 2;
	struct bp_group *g = group_with(t, .limit = 20);
	atomic_ulong ran = 0;
	struct place p[100];

	expect_eq(bp_loop_index(), -1);
	for (int i = 0; i < 100; i++) {
		p[i] = (struct place){.loop = i % loops, .ran = &ran};
		expect_eq(bp_go_on(g, (unsigned int)p[i].loop, note_loop, &p[i]), 0);
	}
	expect_eq(bp_go_on(g, 2, note_loop, &p[0]), -EINVAL);
	expect_eq(bp_go_on(g, BP_LOOPS_MAX, note_loop, &p[0]), -EINVAL);
	expect_eq(bp_go_with(g, note_loop, &p[0], &BP_GO_OPTS(.loop = -2)), -EINVAL);
	expect_eq(bp_wait(g), 0);
	expect_eq(ran, 100);
	expect_balanced(g);
	bp_group_destroy(g);
}

static void pinned_items_are_cancelled_with_their_group(struct test *t)
{
	unsigned int last = driven(t) ? 0 : 1;
	struct tally tally = {0};
	struct bp_group *g = group_with(t, .limit = BP_LIMIT_NONE, REPORT_TO(&tally));
	struct crowd crowd;

	crowd_init(&crowd);
	for (int i = 0; i < 40; i++)
		expect_eq(bp_go_on(g, last, crowd_task, &crowd), 0);
	until_count(t, &crowd.started, 1);
	for (int i = 0; i < 40; i++)
		expect_eq(bp_go_on(g, last, crowd_task, &crowd), 0);
	bp_cancel(g, -EINTR);
	expect_eq(bp_wait(g), -EINTR);
	expect_eq(stats_of(g).stopped + stats_of(g).never_started, 80);
	expect_tally(&tally, g);
	expect_balanced(g);
	bp_group_destroy(g);
	crowd_free(&crowd);
}

static int all_at_once(void *arg)
{
	struct place *p = arg;

	expect(p->loop == 7);
	expect_eq(bp_loop_index(), 0);
	++*p->ran;
	return 0;
}

static void all_options_together(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = 5);
	atomic_ulong ran = 0;
	struct bp_handle *handle;
	struct place p = {.loop = 7, .ran = &ran};
	int result = 1;

	expect_eq(bp_go_with(g, all_at_once, &p,
			     &BP_GO_OPTS(.weight = 3, .loop = 0, .handle = &handle,
					 .copy_size = sizeof(p))),
		  0);
	p.loop = 8;
	expect_eq(bp_handle_join(handle, &result), 0);
	expect_eq(result, 0);
	bp_handle_release(handle);
	p.loop = 7;
	expect_eq(bp_go_with(g, succeed, NULL, NULL), 0);
	expect_eq(bp_go_with(g, succeed, NULL, &BP_GO_OPTS(.copy_size = 3)), -EINVAL);
	expect_eq(bp_go_with(g, NULL, NULL, NULL), -EINVAL);
	expect_eq(bp_go_op_with(g, NULL, NULL), -EINVAL);
	expect_eq(bp_wait(g), 0);
	expect_eq(ran, 1);
	bp_group_destroy(g);
}

static const struct test_case cases[] = {
	EACH_ROW(one_item_is_cancelled_alone),
	EACH_ROW(an_operation_item_is_cancelled_alone),
	DRIVEN_ROWS(one_that_has_not_started_never_does),
	EACH_ROW(the_report_has_the_operation_for_itself),
	EACH_ROW(joins_are_cancelled_with_their_group),
	EACH_ROW(one_is_told_of_the_end),
	EACH_ROW(an_item_may_use_its_own_handle),
	EACH_ROW(a_handle_is_null_where_nothing_was_added),
	ONCE(an_engine_with_handles_is_not_destroyed),
	EACH_ROW(pinned_items_run_on_their_loop),
	EACH_ROW(pinned_items_are_cancelled_with_their_group),
	EACH_ROW(all_options_together),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
