/* SPDX-License-Identifier: MIT */
/*
 * conf_weights - items that take several places of the limit: fair, never more than there are
 */
#include "support/harness.h"

struct load {
	struct gate gate;
	atomic_ulong inside, most, started, done;
};

struct heavy {
	struct load *load;
	uint64_t weight;
	int err;
};

static void load_init(struct load *load)
{
	memset(load, 0, sizeof(*load));
	gate_init(&load->gate);
}

static int carry(void *arg)
{
	struct heavy *h = arg;
	struct load *load = h->load;
	unsigned long now = atomic_fetch_add(&load->inside, h->weight) + h->weight;
	int err;

	if (now > load->most)
		load->most = now;
	load->started++;
	err = bp_yield();
	if (!err)
		err = gate_wait(&load->gate);
	load->inside -= h->weight;
	load->done++;
	return err;
}

static int carry_briefly(void *arg)
{
	struct heavy *h = arg;
	struct load *load = h->load;
	int err;

	expect_between(atomic_fetch_add(&load->inside, h->weight) + h->weight, 1, 10);
	err = bp_yield();
	load->inside -= h->weight;
	load->done++;
	return err;
}

static void the_weights_of_what_runs_are_never_more_than_the_limit(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = 10);
	struct heavy h[60];
	struct load load;

	load_init(&load);
	for (int i = 0; i < 60; i++) {
		h[i] = (struct heavy){.load = &load, .weight = 1 + (uint64_t)i * 7 % 10};
		expect_eq(bp_go_weighted(g, h[i].weight, carry_briefly, &h[i]), 0);
		expect_between(stats_of(g).places, 0, 10);
	}
	expect_eq(bp_wait(g), 0);
	expect_eq(load.done, 60);
	expect_eq(stats_of(g).places, 0);
	expect_balanced(g);
	bp_group_destroy(g);
	gate_free(&load.gate);
}

static int feed(void *arg)
{
	struct heavy *h = arg;

	h->err = bp_go_weighted((struct bp_group *)(uintptr_t)h[1].weight, h->weight, carry, &h[0]);
	return h->err;
}

/* Offers @weight to @g from a task of @feeders; h[1] says to which group. */
static void offer(struct bp_group *feeders, struct bp_group *g, struct heavy h[2],
		  struct load *load, uint64_t weight)
{
	h[0] = (struct heavy){.load = load, .weight = weight, .err = 1};
	h[1].weight = (uintptr_t)g;
	expect_eq(bp_go(feeders, feed, h), 0);
}

static void a_heavy_item_is_not_overtaken(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = 4);
	struct bp_group *feeders = group_with(t, .stop_after_failures = 0);
	struct heavy first = {.weight = 2}, heavy[2], light[2][2];
	struct load load, rest;

	load_init(&load);
	load_init(&rest);
	first.load = &load;
	expect_eq(bp_go_weighted(g, 2, carry, &first), 0);
	offer(feeders, g, heavy, &rest, 4);
	until_in_line(t, g, 1);
	for (int i = 0; i < 2; i++) {
		offer(feeders, g, light[i], &rest, 1);
		until_in_line(t, g, (uint64_t)i + 2);
	}
	/* There are two places, but not for those who came later. */
	expect_eq(bp_try_go(g, succeed, NULL), -EAGAIN);
	many_turns(t);
	expect_eq(rest.started, 0);
	gate_open(&load.gate);
	until_count(t, &rest.started, 1);
	many_turns(t);
	expect_eq(rest.started, 1);
	gate_open(&rest.gate);
	expect_eq(bp_wait(feeders), 0);
	/* Its feeder may go on later than it does, on another loop. */
	expect_eq(heavy[0].err, 0);
	expect_eq(bp_wait(g), 0);
	expect_eq(rest.done, 3);
	bp_group_destroy(feeders);
	bp_group_destroy(g);
	gate_free(&load.gate);
	gate_free(&rest.gate);
}

static void who_waits_behind_a_heavy_one_that_is_cancelled_goes_on(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = 4);
	struct bp_group *feeders = group_with(t, .limit = BP_LIMIT_NONE);
	struct bp_group *others = group_with(t, .limit = BP_LIMIT_NONE);
	struct heavy first = {.weight = 2}, heavy[2], light[2];
	struct load load;

	load_init(&load);
	first.load = &load;
	expect_eq(bp_go_weighted(g, 2, carry, &first), 0);
	until_count(t, &load.started, 1);
	offer(feeders, g, heavy, &load, 4);
	until_in_line(t, g, 1);
	offer(others, g, light, &load, 2);
	until_in_line(t, g, 2);
	bp_cancel(feeders, 0);
	expect_eq(bp_wait(feeders), -ECANCELED);
	expect_eq(heavy[0].err, -ECANCELED);
	until_count(t, &load.started, 2);
	gate_open(&load.gate);
	expect_eq(bp_wait(others), 0);
	expect_eq(bp_wait(g), 0);
	bp_group_destroy(feeders);
	bp_group_destroy(others);
	bp_group_destroy(g);
	gate_free(&load.gate);
}

/* Whether the group has had a heavy item already, or one waits as the first of them, is no matter. */
static void never_fits(struct test *t, uint64_t first_weight)
{
	struct bp_group *g = group_with(t, .limit = 4);
	struct bp_group *feeders = group_with(t, .stop_after_failures = 0);
	struct heavy first = {.weight = first_weight}, heavy[2];
	struct load load;

	load_init(&load);
	first.load = &load;
	expect_eq(bp_go_weighted(g, 5, carry, &first), -EINVAL);
	expect_eq(bp_go_weighted(g, BP_WEIGHT_MAX + 1, carry, &first), -EINVAL);
	expect_eq(stats_of(g).accepted, 0);
	expect_eq(bp_go_weighted(g, first_weight, carry, &first), 0);
	offer(feeders, g, heavy, &load, 4);
	until_in_line(t, g, 1);
	/* One that waits learns it when the limit falls; paused, it goes on to wait. */
	expect_eq(bp_group_set_limit(g, 0), 0);
	many_turns(t);
	expect_eq(heavy[0].err, 1);
	expect_eq(bp_group_set_limit(g, 3), 0);
	expect_eq(bp_wait(feeders), -EINVAL);
	expect_eq(heavy[0].err, -EINVAL);
	gate_open(&load.gate);
	expect_eq(bp_wait(g), 0);
	expect_eq(load.done, 1);
	bp_group_destroy(feeders);
	bp_group_destroy(g);
	gate_free(&load.gate);
}

static void what_never_can_fit_is_refused(struct test *t)
{
	never_fits(t, 2);
}

static void the_first_heavy_one_is_refused_in_line_too(struct test *t)
{
	never_fits(t, 1);
}

struct own {
	struct bp_group *g;
	struct gate gate;
	atomic_ulong ready;
	int err;
};

static int go_heavy_on_own_group(void *arg)
{
	struct own *own = arg;

	own->err = bp_go_weighted(own->g, 2, succeed, NULL);
	return 0;
}

/* It holds two of three places itself, and waits for two: that can never be. */
static void a_wait_for_places_that_the_waiter_holds_is_edeadlk(struct test *t)
{
	struct own own = {.err = 1};

	own.g = group_with(t, .limit = 3);
	expect_eq(bp_go_weighted(own.g, 2, go_heavy_on_own_group, &own), 0);
	expect_eq(bp_wait(own.g), 0);
	expect_eq(own.err, -EDEADLK);
	bp_group_destroy(own.g);
}

static void operation_items_have_weights_too(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = 6);
	struct crowd crowd;
	struct crowd_op op[3];

	crowd_init(&crowd);
	for (int i = 0; i < 3; i++)
		crowd_op_init(&op[i], &crowd);
	for (int i = 0; i < 2; i++)
		expect_eq(bp_go_op_with(g, &op[i].op, &BP_GO_OPTS(.weight = 3)), 0);
	expect_eq(bp_go_op_with(g, &op[2].op, &BP_GO_OPTS(.weight = 1, .try_now = true)), -EAGAIN);
	expect_eq(stats_of(g).places, 6);
	expect_eq(stats_of(g).running, 2);
	gate_open(&crowd.gate);
	expect_eq(bp_go_op_with(g, &op[2].op, &BP_GO_OPTS(.weight = 6)), 0);
	expect_eq(bp_wait(g), 0);
	expect_eq(crowd.passed, 3);
	expect_eq(stats_of(g).places, 0);
	bp_group_destroy(g);
	crowd_free(&crowd);
}

struct asks {
	struct bp_group *g;
	uint64_t weight;
	int err;
};

static int asks_for_places(void *arg)
{
	struct asks *a = arg;

	a->err = bp_go_weighted(a->g, a->weight, succeed, NULL);
	return 0;
}

static int waits_for_the_event(void *event)
{
	return bp_event_wait(event);
}

/* Where nothing goes on, the first in line gives up, and those behind it have places enough. */
static void gives_up(struct test *t, bool heavy_before)
{
	struct bp_group *g = group_with(t, .limit = 4), *others = group_with(t);
	struct asks heavy = {g, 4, 1}, light = {g, 1, 1};
	struct bp_event event;

	bp_event_init(&event, t->engine);
	if (heavy_before) {
		expect_eq(bp_go_weighted(g, 2, waits_for_the_event, &event), 0);
	} else {
		expect_eq(bp_go(g, waits_for_the_event, &event), 0);
		expect_eq(bp_go(g, waits_for_the_event, &event), 0);
	}
	expect_eq(bp_go(others, asks_for_places, &heavy), 0);
	until_in_line(t, g, 1);
	expect_eq(bp_go(others, asks_for_places, &light), 0);
	until_in_line(t, g, 2);
	expect_eq(bp_wait(others), 0);
	expect_eq(heavy.err, -EDEADLK);
	expect_eq(light.err, 0);
	bp_event_set(&event);
	expect_eq(bp_wait(g), 0);
	bp_group_destroy(others);
	bp_group_destroy(g);
}

static void who_stood_behind_one_that_gave_up_goes_on(struct test *t)
{
	gives_up(t, true);
}

static void who_stood_behind_the_first_heavy_one_goes_on(struct test *t)
{
	gives_up(t, false);
}

static const struct test_case cases[] = {
	DRIVEN_ROWS(who_stood_behind_one_that_gave_up_goes_on),
	DRIVEN_ROWS(who_stood_behind_the_first_heavy_one_goes_on),
	EACH_ROW(the_weights_of_what_runs_are_never_more_than_the_limit),
	EACH_ROW(a_heavy_item_is_not_overtaken),
	EACH_ROW(who_waits_behind_a_heavy_one_that_is_cancelled_goes_on),
	EACH_ROW(what_never_can_fit_is_refused),
	EACH_ROW(the_first_heavy_one_is_refused_in_line_too),
	EACH_ROW(a_wait_for_places_that_the_waiter_holds_is_edeadlk),
	EACH_ROW(operation_items_have_weights_too),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
