/* SPDX-License-Identifier: MIT */
/*
 * test_nesting - groups in groups, groups made and waited for inside tasks
 */
#include "support/harness.h"

/* ---------------------------------------------------------------- parent and child */

/* The parent's cancel ends children and grandchildren, with the parent's cause. */
static void a_cancel_reaches_grandchildren(struct test *t)
{
	struct bp_group *g[4];
	struct crowd crowd;

	crowd_init(&crowd);
	for (int i = 0; i < 4; i++) {
		g[i] = i ? group_with(t, .parent = g[i - 1]) : group_with(t, .limit = 9);
		expect_eq(bp_go(g[i], crowd_task, &crowd), 0);
	}
	until_count(t, &crowd.started, 4);
	bp_cancel(g[1], -EINTR);
	for (int i = 3; i >= 1; i--) {
		expect_eq(bp_wait(g[i]), -EINTR);
		expect_eq(stats_of(g[i]).stopped, 1);
		bp_group_destroy(g[i]);
	}
	/* Upwards nothing happened. */
	expect_eq(stats_of(g[0]).cause, 0);
	gate_open(&crowd.gate);
	expect_eq(bp_wait(g[0]), 0);
	bp_group_destroy(g[0]);
	crowd_free(&crowd);
}

static int cancels(void *group)
{
	bp_cancel(group, -EINTR);
	return 0;
}

/* However many there are, and on however small a stack: a task cancels the first of a chain. */
static void a_cancel_reaches_the_end_of_a_long_chain(struct test *t)
{
	unsigned long n = scaled(100000);
	struct bp_group **g = calloc(n, sizeof(*g)), *leaf;
	struct crowd crowd;

	assert_non_null(g);
	crowd_init(&crowd);
	for (unsigned long i = 0; i < n; i++)
		g[i] = i ? group_with(t, .parent = g[i - 1]) : group_with(t, .limit = 9);
	/* And one beside the end, which comes after it. */
	leaf = group_with(t, .parent = g[n - 2]);
	expect_eq(bp_go(g[n - 1], crowd_task, &crowd), 0);
	expect_eq(bp_go(leaf, crowd_task, &crowd), 0);
	until_count(t, &crowd.started, 2);
	expect_eq(run_task(t, cancels, g[0]), 0);
	expect_eq(bp_wait(leaf), -EINTR);
	expect_eq(bp_wait(g[n - 1]), -EINTR);
	expect_eq(crowd.cancelled, 2);
	bp_group_destroy(leaf);
	for (unsigned long i = 0; i < n; i++) {
		if (!expect_eq(stats_of(g[i]).cause, -EINTR))
			break;
	}
	for (unsigned long i = 0; i < n; i++)
		bp_group_destroy(g[i]);
	crowd_free(&crowd);
	free(g);
}

/* A failure in the parent is the child's cause. */
static void a_failure_in_the_parent_ends_the_child(struct test *t)
{
	struct bp_group *parent = group_with(t, .limit = 9);
	struct bp_group *child = group_with(t, .parent = parent);
	struct crowd crowd;
	int eio = -EIO;

	crowd_init(&crowd);
	expect_eq(bp_go(child, crowd_task, &crowd), 0);
	until_count(t, &crowd.started, 1);
	expect_eq(bp_go(parent, fail_with, &eio), 0);
	expect_eq(bp_wait(child), -EIO);
	expect_eq(stats_of(child).failed, 0);
	expect_eq(stats_of(child).stopped, 1);
	expect_eq(bp_wait(parent), -EIO);
	bp_group_destroy(child);
	bp_group_destroy(parent);
	crowd_free(&crowd);
}

/* A failure in the child is the child's own affair. */
static void a_failure_in_the_child_leaves_the_parent_alone(struct test *t)
{
	struct bp_group *parent = group_with(t, .limit = 9);
	struct bp_group *child = group_with(t, .parent = parent);
	struct crowd crowd;
	int eio = -EIO;

	crowd_init(&crowd);
	expect_eq(bp_go(parent, crowd_task, &crowd), 0);
	expect_eq(bp_go(child, fail_with, &eio), 0);
	expect_eq(bp_wait(child), -EIO);
	many_turns(t);
	expect_eq(stats_of(parent).running, 1);
	gate_open(&crowd.gate);
	expect_eq(bp_wait(parent), 0);
	bp_group_destroy(child);
	bp_group_destroy(parent);
	crowd_free(&crowd);
}

/* A child of a cancelled parent is born cancelled. */
static void a_child_of_a_cancelled_parent_admits_nothing(struct test *t)
{
	struct bp_group *parent = group_with(t, .limit = 9);
	struct bp_group *child;

	bp_cancel(parent, -EINTR);
	child = group_with(t, .parent = parent);
	expect_eq(bp_go(child, succeed, NULL), -ECANCELED);
	expect_eq(bp_wait(child), -EINTR);
	bp_group_destroy(child);
	expect_eq(bp_wait(parent), -EINTR);
	bp_group_destroy(parent);
}

/* bp_wait() on the parent closes it and cancels its live children, as errgroup its context. */
static void waiting_for_the_parent_cancels_its_live_children(struct test *t)
{
	struct bp_group *parent = group_with(t, .limit = 9);
	struct bp_group *child = group_with(t, .parent = parent);
	struct crowd crowd;

	crowd_init(&crowd);
	expect_eq(bp_go(parent, succeed, NULL), 0);
	expect_eq(bp_go(child, crowd_task, &crowd), 0);
	until_count(t, &crowd.started, 1);
	expect_eq(bp_wait(parent), 0);
	expect(bp_wait(child) < 0);
	expect_eq(crowd.cancelled, 1);
	expect_eq(stats_of(child).stopped, 1);
	bp_group_destroy(child);
	bp_group_destroy(parent);
	crowd_free(&crowd);
}

/* The parent may be destroyed first. */
static void a_child_outlives_its_destroyed_parent(struct test *t)
{
	struct bp_group *parent = group_with(t, .limit = 9);
	struct bp_group *child = group_with(t, .parent = parent);
	struct crowd crowd;

	crowd_init(&crowd);
	expect_eq(bp_go(child, crowd_task, &crowd), 0);
	until_count(t, &crowd.started, 1);
	bp_group_destroy(parent);
	expect(bp_wait(child) < 0);
	expect_eq(crowd.cancelled, 1);
	bp_group_destroy(child);
	crowd_free(&crowd);
}

/* Items of a child take no place of the parent's limit. */
static void limits_of_parent_and_child_are_apart(struct test *t)
{
	struct bp_group *parent = group_with(t, .limit = 1);
	struct bp_group *child = group_with(t, .parent = parent, .limit = 2);
	struct crowd crowd;

	crowd_init(&crowd);
	expect_eq(bp_try_go(parent, crowd_task, &crowd), 0);
	expect_eq(bp_try_go(child, crowd_task, &crowd), 0);
	expect_eq(bp_try_go(child, crowd_task, &crowd), 0);
	expect_eq(bp_try_go(child, crowd_task, &crowd), -EAGAIN);
	expect_eq(bp_try_go(parent, crowd_task, &crowd), -EAGAIN);
	gate_open(&crowd.gate);
	expect_eq(bp_wait(child), 0);
	expect_eq(bp_wait(parent), 0);
	bp_group_destroy(child);
	bp_group_destroy(parent);
	crowd_free(&crowd);
}

/* ---------------------------------------------------------------- inside tasks */

struct tree {
	struct test *t;
	int depth;
	atomic_ulong *leaves;
};

static int grows(void *arg)
{
	struct tree *tree = arg;
	struct tree branch = {tree->t, tree->depth - 1, tree->leaves};
	struct bp_group *g;
	int err;

	if (tree->depth == 0) {
		atomic_fetch_add(tree->leaves, 1);
		return bp_yield();
	}
	err = bp_group_create(&g, tree->t->engine, &BP_GROUP_OPTS(.limit = 2));
	if (!expect_eq(err, 0))
		return err;
	for (int i = 0; i < 4; i++)
		expect_eq(bp_go(g, grows, &branch), 0);
	err = bp_wait(g);
	bp_group_destroy(g);
	return err;
}

/* Each task makes a group, fills it beyond its limit, waits for it and destroys it. */
static void tasks_make_and_wait_for_groups_of_their_own(struct test *t)
{
	atomic_ulong leaves = 0;
	struct tree root = {t, 4, &leaves};

	engine_with(t, .depth = 0);
	expect_eq(run_task(t, grows, &root), 0);
	expect_eq(leaves, 256);
}

struct inner {
	struct test *t;
	struct crowd *crowd;
	struct bp_group_stats stats;
	atomic_int result;
};

static int waits_for_a_crowd(void *arg)
{
	struct inner *in = arg;
	struct bp_group *g;

	if (!expect_eq(bp_group_create(&g, in->t->engine, NULL), 0))
		return -ENOMEM;
	for (int i = 0; i < 3; i++)
		expect_eq(bp_go(g, crowd_task, in->crowd), 0);
	in->result = bp_wait(g);
	in->stats = stats_of(g);
	bp_group_destroy(g);
	return in->result;
}

/* bp_wait() inside a cancelled task cancels the group waited for, and still waits for its items. */
static void a_cancelled_task_cancels_the_group_it_waits_for(struct test *t)
{
	struct bp_group *outer = group_with(t, .limit = 1);
	struct crowd crowd;
	struct inner in = {.t = t, .crowd = &crowd};

	crowd_init(&crowd);
	expect_eq(bp_go(outer, waits_for_a_crowd, &in), 0);
	until_count(t, &crowd.started, 3);
	bp_cancel(outer, -EINTR);
	expect_eq(bp_wait(outer), -EINTR);
	expect_eq(in.result, -ECANCELED);
	expect_eq(in.stats.stopped, 3);
	expect_eq(crowd.cancelled, 3);
	expect_eq(stats_of(outer).stopped, 1);
	bp_group_destroy(outer);
	crowd_free(&crowd);
}

/* Its item's timeout does the same, with its own word. */
static void a_timed_out_task_cancels_the_group_it_waits_for(struct test *t)
{
	struct bp_group *outer = group_with(t, .limit = 1, .item_timeout_ns = 20 * MS);
	struct crowd crowd;
	struct inner in = {.t = t, .crowd = &crowd};

	crowd_init(&crowd);
	expect_eq(bp_go(outer, waits_for_a_crowd, &in), 0);
	expect_eq(bp_wait(outer), -ETIMEDOUT);
	expect(in.result == -ETIMEDOUT || in.result == -ECANCELED);
	expect_eq(in.stats.stopped + in.stats.never_started, 3);
	expect_eq(stats_of(outer).failed, 1);
	bp_group_destroy(outer);
	crowd_free(&crowd);
}

static int waits_until(void *arg)
{
	struct inner *in = arg;
	struct bp_group *g;

	if (!expect_eq(bp_group_create(&g, in->t->engine, NULL), 0))
		return -ENOMEM;
	expect_eq(bp_go(g, crowd_task, in->crowd), 0);
	for (int i = 0; i < 3; i++) {
		uint64_t when = bp_now(in->t->engine) + 1 * MS;

		expect_eq(bp_wait_until(g, when), -ETIMEDOUT);
		expect(bp_now(in->t->engine) >= when);
	}
	expect_eq(stats_of(g).running, 1);
	gate_open(&in->crowd->gate);
	expect_eq(bp_wait(g), 0);
	expect_eq(bp_wait_until(g, 0), 0);
	bp_group_destroy(g);
	return 0;
}

static void a_task_waits_for_a_group_for_a_time(struct test *t)
{
	struct crowd crowd;
	struct inner in = {.t = t, .crowd = &crowd};

	crowd_init(&crowd);
	engine_with(t, .depth = 0);
	expect_eq(run_task(t, waits_until, &in), 0);
	expect_eq(crowd.passed, 1);
	crowd_free(&crowd);
}

static int destroys_without_wait(void *arg)
{
	struct inner *in = arg;
	struct bp_group *g;

	if (!expect_eq(bp_group_create(&g, in->t->engine, NULL), 0))
		return -ENOMEM;
	for (int i = 0; i < 3; i++)
		expect_eq(bp_go(g, crowd_task, in->crowd), 0);
	bp_group_destroy(g);
	return 0;
}

/* bp_group_destroy() inside a task suspends it until the items are gone. */
static void a_task_destroys_a_group_without_a_wait(struct test *t)
{
	struct crowd crowd;
	struct inner in = {.t = t, .crowd = &crowd};

	crowd_init(&crowd);
	engine_with(t, .depth = 0);
	for (unsigned long i = 0; i < scaled(100); i++)
		expect_eq(run_task(t, destroys_without_wait, &in), 0);
	expect_eq(crowd.passed, 0);
	crowd_free(&crowd);
}

/* A group of several tasks that wait for one inner group. */
struct shared_wait {
	struct bp_group *inner;
	atomic_ulong waiting;
};

static int waits_for_the_inner(void *arg)
{
	struct shared_wait *s = arg;

	atomic_fetch_add(&s->waiting, 1);
	return bp_wait(s->inner);
}

static void several_tasks_wait_for_one_group(struct test *t)
{
	struct bp_group *outer = group_with(t, .limit = BP_LIMIT_NONE);
	struct shared_wait s = {.inner = group_with(t, .limit = BP_LIMIT_NONE)};
	struct crowd crowd;

	crowd_init(&crowd);
	expect_eq(bp_go(s.inner, crowd_task, &crowd), 0);
	for (int i = 0; i < 5; i++)
		expect_eq(bp_go(outer, waits_for_the_inner, &s), 0);
	until_count(t, &s.waiting, 5);
	many_turns(t);
	expect_eq(stats_of(outer).running, 5);
	gate_open(&crowd.gate);
	expect_eq(bp_wait(outer), 0);
	expect_eq(stats_of(outer).succeeded, 5);
	bp_group_destroy(outer);
	expect_eq(bp_wait(s.inner), 0);
	bp_group_destroy(s.inner);
	crowd_free(&crowd);
}

static const struct test_case cases[] = {
	EACH_ROW(a_cancel_reaches_grandchildren),
	EACH_ROW(a_cancel_reaches_the_end_of_a_long_chain),
	EACH_ROW(a_failure_in_the_parent_ends_the_child),
	EACH_ROW(a_failure_in_the_child_leaves_the_parent_alone),
	EACH_ROW(a_child_of_a_cancelled_parent_admits_nothing),
	EACH_ROW(waiting_for_the_parent_cancels_its_live_children),
	EACH_ROW(a_child_outlives_its_destroyed_parent),
	EACH_ROW(limits_of_parent_and_child_are_apart),
	EACH_ROW(tasks_make_and_wait_for_groups_of_their_own),
	EACH_ROW(a_cancelled_task_cancels_the_group_it_waits_for),
	EACH_ROW(a_timed_out_task_cancels_the_group_it_waits_for),
	EACH_ROW(a_task_waits_for_a_group_for_a_time),
	EACH_ROW(a_task_destroys_a_group_without_a_wait),
	EACH_ROW(several_tasks_wait_for_one_group),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
