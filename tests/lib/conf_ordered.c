/* SPDX-License-Identifier: MIT */
/*
 * conf_ordered - results in the order of input, in bounded memory, whatever the ends of the items
 */
#include "support/harness.h"

#define ITEMS 300

struct collected {
	struct test *t;
	struct bp_ordered *ordered;
	atomic_ulong delivered, inside, under_way, most, never;
	unsigned int next;
	int arg[ITEMS];
	struct gate gate;
};

static struct collected *shared;

static int square(void *arg, void *result)
{
	int number = *(int *)arg, err = 0;
	unsigned long now = ++shared->under_way;

	if (now > shared->most)
		shared->most = now;
	expect_eq(*(uint64_t *)result, 0);
	/* Those that began first end last. */
	for (int i = 0; i < (ITEMS - number) % 17 && !err; i++)
		err = bp_yield();
	*(uint64_t *)result = (uint64_t)number * (uint64_t)number;
	shared->under_way--;
	return number % 10 == 3 ? -EIO : number;
}

static void deliver(void *ctx, void *arg, enum bp_end end, int res, void *result)
{
	struct collected *c = ctx;
	int number = *(int *)arg;

	expect_eq(++c->inside, 1);
	expect_eq(number, c->next);
	c->next = (unsigned int)number + 1;
	if (end == BP_END_NEVER_STARTED) {
		c->never++;
	} else if (end != BP_END_STOPPED) {
		expect_eq(res, number % 10 == 3 ? -EIO : number);
		expect_eq(end, number % 10 == 3 ? BP_END_FAILED : BP_END_SUCCEEDED);
		expect_eq(*(uint64_t *)result, (uint64_t)number * (uint64_t)number);
	}
	c->delivered++;
	c->inside--;
}

static int make(struct test *t, struct collected *c, const struct bp_group_opts *group,
		size_t window)
{
	struct bp_engine *engine = t->engine ? t->engine : engine_with(t, .loops = 0);
	struct bp_ordered_opts opts = {.sz = sizeof(opts),
				       .group = group,
				       .window = window,
				       .result_size = sizeof(uint64_t),
				       .deliver = deliver,
				       .deliver_arg = c};

	memset(c, 0, sizeof(*c));
	shared = c;
	for (int i = 0; i < ITEMS; i++)
		c->arg[i] = i;
	return bp_ordered_create(&c->ordered, engine, &opts);
}

static void results_come_in_the_order_of_input(struct test *t)
{
	static const size_t windows[] = {1, 7, 0};
	struct collected c;

	for (unsigned int i = 0; i < COUNT_OF(windows); i++) {
		expect_eq(make(t, &c, &BP_GROUP_OPTS(.stop_after_failures = 0), windows[i]), 0);
		for (int k = 0; k < ITEMS; k++)
			expect_eq(bp_ordered_go(c.ordered, square, &c.arg[k]), 0);
		expect_eq(bp_wait(bp_ordered_group(c.ordered)), -EIO);
		expect_eq(c.delivered, ITEMS);
		expect_eq(c.next, ITEMS);
		expect_between(c.most, 1, windows[i] ? windows[i] : BP_WINDOW_DEFAULT);
		bp_ordered_destroy(c.ordered);
	}
}

static int produce(void *arg)
{
	struct collected *c = arg;
	int err = 0;

	for (int k = 0; k < ITEMS && !err; k++)
		err = bp_ordered_go(c->ordered, square, &c->arg[k]);
	return err;
}

static void a_task_may_produce(struct test *t)
{
	struct collected c;

	expect_eq(make(t, &c, &BP_GROUP_OPTS(.stop_after_failures = 0, .limit = 3), 5), 0);
	expect_eq(run_task(t, produce, &c), 0);
	expect_eq(bp_wait(bp_ordered_group(c.ordered)), -EIO);
	expect_eq(c.delivered, ITEMS);
	expect_between(c.most, 1, 3);
	bp_ordered_destroy(c.ordered);
}

static int stand(void *arg, void *result)
{
	(void)arg, (void)result;
	return gate_wait(&shared->gate);
}

/* The window is full of what stands: a cancel ends it all, and each is delivered. */
static void a_cancel_delivers_what_was_accepted(struct test *t)
{
	struct bp_group *producer;
	struct collected c;

	expect_eq(make(t, &c, NULL, 8), 0);
	gate_init(&c.gate);
	for (int k = 0; k < 8; k++)
		expect_eq(bp_ordered_go(c.ordered, stand, &c.arg[k]), 0);
	producer = group_with(t, .limit = 1);
	expect_eq(bp_go(producer, produce, &c), 0);
	many_turns(t);
	expect_eq(c.delivered, 0);
	bp_cancel(bp_ordered_group(c.ordered), -EINTR);
	expect_eq(bp_wait(producer), -ECANCELED);
	expect_eq(bp_wait(bp_ordered_group(c.ordered)), -EINTR);
	expect_eq(c.delivered, 8);
	expect_eq(bp_ordered_go(c.ordered, stand, &c.arg[0]), -EBADF);
	bp_group_destroy(producer);
	bp_ordered_destroy(c.ordered);
	gate_free(&c.gate);
}

static void report(void *ctx, void *arg, enum bp_end end, int result)
{
	(void)ctx, (void)arg, (void)end, (void)result;
}

static void refused_input(struct test *t)
{
	struct bp_engine *engine = engine_with(t, .loops = 0);
	struct bp_ordered_opts opts = {.sz = sizeof(opts), .deliver = deliver};
	struct bp_ordered *o = (struct bp_ordered *)1;
	struct collected c;

	expect_eq(bp_ordered_create(NULL, engine, &opts), -EINVAL);
	expect_eq(bp_ordered_create(&o, engine, NULL), -EINVAL);
	expect(!o);
	opts.window = BP_WINDOW_MAX + 1;
	expect_eq(bp_ordered_create(&o, engine, &opts), -EINVAL);
	opts.window = 4;
	opts.result_size = BP_RESULT_MAX + 1;
	expect_eq(bp_ordered_create(&o, engine, &opts), -EINVAL);
	opts.result_size = 0;
	opts.group = &BP_GROUP_OPTS(.report = report);
	expect_eq(bp_ordered_create(&o, engine, &opts), -EINVAL);
	opts.group = &BP_GROUP_OPTS(.limit = -7);
	expect_eq(bp_ordered_create(&o, engine, &opts), -EINVAL);
	expect_eq(make(t, &c, NULL, 0), 0);
	expect_eq(bp_ordered_go(c.ordered, NULL, NULL), -EINVAL);
	bp_ordered_destroy(c.ordered);
	bp_ordered_destroy(NULL);
}

static const struct test_case cases[] = {
	EACH_ROW(results_come_in_the_order_of_input),
	EACH_ROW(a_task_may_produce),
	EACH_ROW(a_cancel_delivers_what_was_accepted),
	EACH_ROW(refused_input),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
