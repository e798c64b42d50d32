/* SPDX-License-Identifier: MIT */
/*
 * conf_context - the time that is left, values of groups and tasks, a cause in words
 */
#include "support/harness.h"

/* ---------------------------------------------------------------- the time that is left */

struct time_case {
	uint64_t deadline, item, least, most;
	atomic_ulong done;
};

static int look_at_time(void *arg)
{
	struct time_case *c = arg;
	struct bp_timeout outer, inner;

	expect_between(bp_time_left(), c->least, c->most);
	bp_timeout_begin(&outer, 30 * SECOND);
	expect_between(bp_time_left(), 1, 30 * SECOND);
	bp_timeout_begin(&inner, 7200 * SECOND);
	expect_between(bp_time_left(), 1, 30 * SECOND);
	bp_shield_begin();
	/* What was begun outside of the shield ends nothing in it. */
	expect_eq(bp_time_left(), BP_TIME_NONE);
	expect_eq(bp_timeout_end(&inner), 0);
	bp_timeout_begin(&inner, 20 * SECOND);
	expect_between(bp_time_left(), 1, 20 * SECOND);
	expect_eq(bp_timeout_end(&inner), 0);
	bp_shield_end();
	expect_eq(bp_timeout_end(&outer), 0);
	expect_between(bp_time_left(), c->least, c->most);
	c->done++;
	return 0;
}

static void what_comes_first_is_what_is_left(struct test *t)
{
	struct bp_engine *engine = engine_with(t, .loops = 0);
	struct time_case c[] = {
		{.least = BP_TIME_NONE, .most = BP_TIME_NONE},
		{.deadline = 900 * SECOND, .least = 1, .most = 900 * SECOND},
		{.item = 800 * SECOND, .least = 1, .most = 800 * SECOND},
		{.deadline = 700 * SECOND, .item = 3000 * SECOND, .least = 1, .most = 700 * SECOND},
	};

	for (unsigned int i = 0; i < COUNT_OF(c); i++) {
		uint64_t deadline = c[i].deadline ? bp_now(engine) + c[i].deadline : 0;
		struct bp_group *g =
			group_with(t, .deadline_ns = deadline, .item_timeout_ns = c[i].item);
		struct bp_group *child = group_with(t, .parent = g);

		expect_eq(bp_go(g, look_at_time, &c[i]), 0);
		/* A child is bounded by its parent's deadline, not by its item timeout. */
		if (!c[i].item)
			expect_eq(bp_go(child, look_at_time, &c[i]), 0);
		expect_eq(bp_wait(child), 0);
		expect_eq(bp_wait(g), 0);
		expect_eq(c[i].done, c[i].item ? 1 : 2);
		bp_group_destroy(child);
		bp_group_destroy(g);
	}
}

static int look_after_the_end(void *arg)
{
	struct gate *gate = arg;

	expect_eq(gate_wait(gate), -ECANCELED);
	expect_eq(bp_time_left(), 0);
	return -ECANCELED;
}

static void nothing_is_left_after_a_cancel(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = 1);
	struct gate gate;

	gate_init(&gate);
	expect_eq(bp_go(g, look_after_the_end, &gate), 0);
	until_in_flight(t, 1);
	bp_cancel(g, 0);
	expect_eq(bp_wait(g), -ECANCELED);
	bp_group_destroy(g);
	gate_free(&gate);
}

/* ---------------------------------------------------------------- values */

static const char user_key, other_key;

static int look_at_value(void *arg)
{
	expect(bp_group_value(bp_task_group(), &user_key) == arg);
	expect(!bp_group_value(bp_task_group(), &other_key));
	return 0;
}

static void groups_carry_values_and_children_see_them(struct test *t)
{
	struct bp_group *top = group_with(t, .limit = 4);
	struct bp_group *middle = group_with(t, .parent = top);
	struct bp_group *low = group_with(t, .parent = middle);
	int a = 1, b = 2;

	expect(!bp_group_value(low, &user_key));
	expect_eq(bp_group_set_value(top, &user_key, &a), 0);
	expect_eq(bp_group_set_value(top, NULL, &a), -EINVAL);
	expect(bp_group_value(low, &user_key) == &a);
	expect_eq(bp_go(low, look_at_value, &a), 0);
	expect_eq(bp_wait(low), 0);
	expect_eq(bp_group_set_value(middle, &user_key, &b), 0);
	expect(bp_group_value(low, &user_key) == &b);
	expect(bp_group_value(top, &user_key) == &a);
	expect_eq(bp_group_set_value(top, &user_key, NULL), 0);
	expect(!bp_group_value(top, &user_key));
	bp_group_destroy(low);
	bp_group_destroy(middle);
	bp_group_destroy(top);
}

static atomic_ulong destroyed;

static void count_and_suspend(void *value)
{
	/* Still in the task, so that what it does may take its time. */
	expect_eq(bp_sleep(1), 0);
	destroyed += *(int *)value;
}

static const struct bp_local_key count_key = {count_and_suspend}, plain_key = {NULL};

static int keep_locals(void *arg)
{
	int *own = arg, err;

	expect(!bp_local_get(&count_key));
	expect_eq(bp_local_set(NULL, own), -EINVAL);
	expect_eq(bp_local_set(&count_key, own), 0);
	expect_eq(bp_local_set(&plain_key, &destroyed), 0);
	err = bp_yield();
	expect(bp_local_get(&count_key) == own);
	expect(bp_local_get(&plain_key) == &destroyed);
	expect_eq(bp_local_set(&plain_key, NULL), 0);
	expect(!bp_local_get(&plain_key));
	return err ? err : 7;
}

static void each_task_has_values_of_its_own(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = 10);
	int own[50];

	destroyed = 0;
	for (int i = 0; i < 50; i++) {
		own[i] = i;
		expect_eq(bp_go(g, keep_locals, &own[i]), 0);
	}
	expect_eq(bp_wait(g), 0);
	expect_eq(destroyed, 49 * 50 / 2);
	bp_group_destroy(g);
}

static void plain_destroy(void *value)
{
	(void)value;
	destroyed++;
}

static const struct bp_local_key cancelled_key = {plain_destroy};

static int keep_and_wait(void *arg)
{
	expect_eq(bp_local_set(&cancelled_key, arg), 0);
	return gate_wait(arg);
}

static void values_of_a_cancelled_task_are_destroyed(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = 10);
	struct gate gate;

	destroyed = 0;
	gate_init(&gate);
	for (int i = 0; i < 4; i++)
		expect_eq(bp_go(g, keep_and_wait, &gate), 0);
	until_in_flight(t, 4);
	bp_cancel(g, 0);
	expect_eq(bp_wait(g), -ECANCELED);
	expect_eq(destroyed, 4);
	bp_group_destroy(g);
	gate_free(&gate);
}

/* ---------------------------------------------------------------- a cause in words */

static int cancel_own_group(void *arg)
{
	expect_eq(bp_cancel_text(bp_task_group(), -EPROTO, arg), 0);
	return -ECANCELED;
}

static void a_cause_has_words(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = 4);
	struct bp_group *child = group_with(t, .parent = g);
	struct bp_group *late;
	char buf[64], small[5];

	expect_eq(bp_cause_text(g, buf, sizeof(buf)), 0);
	expect_eq(buf[0], '\0');
	expect_eq(bp_go(g, cancel_own_group, "line 7: no such thing"), 0);
	expect_eq(bp_wait(g), -EPROTO);
	expect_eq(bp_cause_text(g, buf, sizeof(buf)), 21);
	expect(!strcmp(buf, "line 7: no such thing"));
	expect_eq(bp_cause_text(g, small, sizeof(small)), 21);
	expect(!strcmp(small, "line"));
	expect_eq(bp_cause_text(g, NULL, 0), 21);
	/* The child was cancelled for it, and the first cause stays. */
	bp_cause_text(child, buf, sizeof(buf));
	expect(!strcmp(buf, "line 7: no such thing"));
	expect_eq(bp_cancel_text(child, -EIO, "something else"), 0);
	bp_group_destroy(g);
	bp_cause_text(child, buf, sizeof(buf));
	expect(!strcmp(buf, "line 7: no such thing"));
	bp_group_destroy(child);
	late = group_with(t, .limit = 4);
	bp_cancel(late, -EIO);
	expect_eq(bp_cancel_text(late, -EPROTO, "too late"), 0);
	bp_cause_text(late, buf, sizeof(buf));
	expect(!strcmp(buf, "Input/output error"));
	bp_group_destroy(late);
}

static const struct test_case cases[] = {
	EACH_ROW(what_comes_first_is_what_is_left),
	EACH_ROW(nothing_is_left_after_a_cancel),
	EACH_ROW(groups_carry_values_and_children_see_them),
	EACH_ROW(each_task_has_values_of_its_own),
	EACH_ROW(values_of_a_cancelled_task_are_destroyed),
	EACH_ROW(a_cause_has_words),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
