/* SPDX-License-Identifier: MIT */
/*
 * conf_auto - a limit that is found is a limit like any other: it holds, may be changed, and goes with
 * policies, nesting, weights and cancels
 *
 * What it finds is test_limit.c's.
 */
#include "support/harness.h"

static int sleep_1ms(void *unused)
{
	(void)unused;
	return bp_sleep(MS);
}

static long limit_of(struct bp_group *g)
{
	return stats_of(g).limit;
}

static void it_begins_with_a_guess_and_says_why(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = BP_LIMIT_AUTO);

	expect_between(limit_of(g), 16, 64);
	expect(!strcmp(stats_of(g).limit_reason, "starting"));
	expect_eq(bp_wait(g), 0);
	bp_group_destroy(g);
	g = group_with(t, .limit = 4);
	expect(stats_of(g).limit_reason == NULL);
	expect_eq(bp_wait(g), 0);
	bp_group_destroy(g);
}

static void an_older_program_sees_the_limit_alone(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = BP_LIMIT_AUTO);
	struct bp_group_stats st = {.sz = offsetof(struct bp_group_stats, limit_reason),
				    .limit_reason = "untouched"};

	bp_group_stats(g, &st);
	expect(st.limit > 0);
	expect(!strcmp(st.limit_reason, "untouched"));
	expect_eq(bp_wait(g), 0);
	bp_group_destroy(g);
}

/* bp_try_go() finds it full, and the limit is no more than it says. */
static void it_holds_for_try_go(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = BP_LIMIT_AUTO);
	long limit = limit_of(g), accepted = 0;
	struct crowd crowd;

	crowd_init(&crowd);
	while (accepted < 1000 && bp_try_go(g, crowd_task, &crowd) == 0)
		accepted++;
	expect_eq(accepted, limit);
	expect_eq(bp_try_go(g, crowd_task, &crowd), -EAGAIN);
	expect_eq(stats_of(g).peak, limit);
	expect_between(stats_of(g).rejected, 2, 3);
	gate_open(&crowd.gate);
	expect_eq(bp_wait(g), 0);
	bp_group_destroy(g);
	crowd_free(&crowd);
}

static void it_may_not_pass_the_most(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = BP_LIMIT_AUTO, .auto_most = 3);

	expect_eq(limit_of(g), 3);
	for (int i = 0; i < 100; i++)
		expect_eq(bp_go(g, sleep_1ms, NULL), 0);
	expect_eq(bp_wait(g), 0);
	expect(stats_of(g).peak <= 3);
	expect_eq(stats_of(g).succeeded, 100);
	bp_group_destroy(g);
}

static void from_fixed_to_found_and_back(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = 5);

	expect_eq(bp_group_set_limit(g, BP_LIMIT_AUTO), 0);
	expect_eq(limit_of(g), 5);
	expect_eq(bp_group_set_limit(g, BP_LIMIT_AUTO), 0);
	for (int i = 0; i < 50; i++)
		expect_eq(bp_go(g, sleep_1ms, NULL), 0);
	expect_eq(bp_group_set_limit(g, 2), 0);
	expect_eq(limit_of(g), 2);
	expect(stats_of(g).limit_reason == NULL);
	for (int i = 0; i < 20; i++)
		expect_eq(bp_go(g, sleep_1ms, NULL), 0);
	expect_eq(limit_of(g), 2);
	expect_eq(bp_group_set_limit(g, BP_LIMIT_NONE), 0);
	expect_eq(bp_group_set_limit(g, BP_LIMIT_AUTO), 0);
	expect(limit_of(g) >= 16);
	expect_eq(bp_wait(g), 0);
	expect_eq(stats_of(g).succeeded, 70);
	bp_group_destroy(g);
}

struct changer {
	struct bp_group *group;
	int turn;
};

static int change_limit(void *arg)
{
	static const long limits[] = {BP_LIMIT_AUTO, 1, BP_LIMIT_NONE, BP_LIMIT_AUTO, 7};
	struct changer *c = arg;

	expect_eq(bp_group_set_limit(c->group, limits[c->turn++ % 5]), 0);
	return bp_sleep(MS / 10);
}

/* Changed by its own items, while others wait for places. */
static void changes_while_items_run(struct test *t)
{
	struct changer c = {group_with(t, .limit = BP_LIMIT_AUTO), 0};
	struct bp_group *g = group_with(t, .limit = 1);

	for (int i = 0; i < 30; i++)
		expect_eq(bp_go(g, change_limit, &c), 0);
	for (int i = 0; i < 200; i++)
		expect_eq(bp_go(c.group, sleep_1ms, NULL), 0);
	expect_eq(bp_wait(g), 0);
	expect_eq(bp_wait(c.group), 0);
	expect_eq(stats_of(c.group).succeeded, 200);
	bp_group_destroy(g);
	bp_group_destroy(c.group);
}

/* An item that weighs more than the limit raises it, and is not refused. */
static void a_heavy_item_raises_it(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = BP_LIMIT_AUTO, .auto_most = 4);

	for (int i = 0; i < 20; i++) {
		expect_eq(bp_go_weighted(g, 1 + (uint64_t)i, sleep_1ms, NULL), 0);
		expect_eq(bp_go(g, sleep_1ms, NULL), 0);
	}
	expect(limit_of(g) >= 20);
	expect_eq(bp_wait(g), 0);
	expect_eq(stats_of(g).succeeded, 40);
	bp_group_destroy(g);
}

struct deep {
	struct bp_group *group;
	atomic_int left;
	atomic_int ended;
};

/* Each adds the next one to its own group, and stays until that was accepted. */
static int add_the_next(void *arg)
{
	struct deep *d = arg;

	if (atomic_fetch_sub(&d->left, 1) > 0)
		expect_eq(bp_go(d->group, add_the_next, d), 0);
	atomic_fetch_add(&d->ended, 1);
	return 0;
}

/* Under a fixed limit of two that is -EDEADLK for one of them; a limit that was found makes none. */
static void items_that_wait_for_places_themselves_get_them(struct test *t)
{
	struct deep d = {.group = group_with(t, .limit = BP_LIMIT_AUTO, .auto_most = 2),
			 .left = 60};

	for (int i = 0; i < 2; i++)
		expect_eq(bp_go(d.group, add_the_next, &d), 0);
	expect_eq(bp_wait(d.group), 0);
	expect_eq(d.ended, 62);
	bp_group_destroy(d.group);
}

enum {
	FULL_MOST = 64
};

struct full {
	struct bp_group *group, *others;
	struct crowd crowd;
	struct crowd_op op[FULL_MOST];
};

static int open_later(void *arg)
{
	struct full *f = arg;
	int err = bp_sleep(20 * MS);

	gate_open(&f->crowd.gate);
	return err;
}

/* Fills the queues, then wants a place beside its own, which is all there is. */
static int wants_one_while_they_are_full(void *arg)
{
	struct full *f = arg;
	unsigned int n = 0;

	/* Again when those that start together with this one have started. */
	for (int round = 0; round < 4; round++) {
		while (n < FULL_MOST && bp_try_go_op(f->others, &f->op[n].op) == 0)
			n++;
		bp_yield();
	}
	expect_eq(bp_go(f->group, succeed, NULL), 0);
	return 0;
}

/* It gets the place when there is room, although nothing of its group ends before. */
static void who_needs_a_place_waits_for_room(struct test *t)
{
	struct full *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	crowd_init(&f->crowd);
	engine_with(t, .depth = 4);
	f->others = group_with(t, .limit = BP_LIMIT_NONE);
	f->group = group_with(t, .limit = BP_LIMIT_AUTO, .auto_most = 1);
	for (int i = 0; i < FULL_MOST; i++)
		crowd_op_init(&f->op[i], &f->crowd);
	expect_eq(bp_go(f->others, open_later, f), 0);
	expect_eq(bp_go(f->group, wants_one_while_they_are_full, f), 0);
	expect_eq(bp_wait(f->group), 0);
	expect_eq(bp_wait(f->others), 0);
	expect_eq(stats_of(f->group).succeeded, 2);
	bp_group_destroy(f->group);
	bp_group_destroy(f->others);
	crowd_free(&f->crowd);
	free(f);
}

struct nest {
	struct test *t;
	struct bp_group *parent;
};

static int with_children(void *arg)
{
	struct nest *n = arg;
	struct bp_group *g;

	expect_eq(bp_group_create(&g, n->t->engine,
				  &BP_GROUP_OPTS(.parent = n->parent, .limit = BP_LIMIT_AUTO)),
		  0);
	for (int i = 0; i < 10; i++)
		expect_eq(bp_go(g, sleep_1ms, NULL), 0);
	expect_eq(bp_wait(g), 0);
	bp_group_destroy(g);
	return 0;
}

static void groups_in_groups_have_one_each(struct test *t)
{
	struct nest n = {t, group_with(t, .limit = BP_LIMIT_AUTO)};

	for (int i = 0; i < 40; i++)
		expect_eq(bp_go(n.parent, with_children, &n), 0);
	expect_eq(bp_wait(n.parent), 0);
	expect_eq(stats_of(n.parent).succeeded, 40);
	bp_group_destroy(n.parent);
}

static void a_cancel_ends_those_that_wait_for_a_place(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = BP_LIMIT_AUTO, .auto_most = 2);
	struct crowd crowd;

	crowd_init(&crowd);
	expect_eq(bp_go(g, crowd_task, &crowd), 0);
	expect_eq(bp_go(g, crowd_task, &crowd), 0);
	until_running(t, g, 2);
	bp_cancel(g, -EINTR);
	expect_eq(bp_go(g, crowd_task, &crowd), -ECANCELED);
	expect_eq(bp_wait(g), -EINTR);
	expect_eq(stats_of(g).stopped + stats_of(g).never_started, 2);
	bp_group_destroy(g);
	crowd_free(&crowd);
}

static int end_with(void *arg)
{
	int err = bp_sleep(MS / 10);

	return err ? err : *(const int *)arg;
}

static void policies_are_what_they_are(struct test *t)
{
	static const int bad = -EIO, good = 0;
	struct bp_group *g = group_with(t, BP_RACE, .limit = BP_LIMIT_AUTO);

	for (int i = 0; i < 5; i++)
		expect_eq(bp_go(g, end_with, (void *)(uintptr_t)&bad), 0);
	expect_eq(bp_go(g, end_with, (void *)(uintptr_t)&good), 0);
	expect_eq(bp_wait(g), 0);
	bp_group_destroy(g);

	g = group_with(t, BP_QUORUM(3, 5), .limit = BP_LIMIT_AUTO);
	for (int i = 0; i < 5; i++)
		expect_eq(bp_go(g, end_with, (void *)(uintptr_t)(i < 2 ? &bad : &good)), 0);
	expect_eq(bp_wait(g), 0);
	bp_group_destroy(g);

	g = group_with(t, .limit = BP_LIMIT_AUTO);
	expect_eq(bp_go(g, end_with, (void *)(uintptr_t)&bad), 0);
	expect_eq(bp_wait(g), -EIO);
	bp_group_destroy(g);
}

/* Very many, on all loops, so that it changes often: every one has its end. */
static void many_items_while_it_changes(struct test *t)
{
	unsigned long n = scaled(t->row->backend == BP_BACKEND_SIM ? 2000 : 20000);
	struct bp_group *g = group_with(t, .limit = BP_LIMIT_AUTO);

	for (unsigned long i = 0; i < n; i++)
		expect_eq(bp_go(g, succeed, NULL), 0);
	expect_eq(bp_wait(g), 0);
	expect_eq(stats_of(g).succeeded, n);
	bp_group_destroy(g);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		EACH_ROW(it_begins_with_a_guess_and_says_why),
		EACH_ROW(an_older_program_sees_the_limit_alone),
		EACH_ROW(it_holds_for_try_go),
		EACH_ROW(it_may_not_pass_the_most),
		EACH_ROW(from_fixed_to_found_and_back),
		EACH_ROW(changes_while_items_run),
		EACH_ROW(a_heavy_item_raises_it),
		EACH_ROW(items_that_wait_for_places_themselves_get_them),
		EACH_ROW(who_needs_a_place_waits_for_room),
		EACH_ROW(groups_in_groups_have_one_each),
		EACH_ROW(a_cancel_ends_those_that_wait_for_a_place),
		EACH_ROW(policies_are_what_they_are),
		EACH_ROW(many_items_while_it_changes),
	};

	return RUN_CASES(argc, argv, cases);
}
