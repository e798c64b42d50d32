/* SPDX-License-Identifier: MIT */
/*
 * conf_semaphore - counting semaphores between tasks: fair, and cancelled with who waits
 */
#include "support/harness.h"

/* What a case shares between its tasks. */
struct shared {
	struct bp_semaphore semaphore;
	atomic_ulong inside, done;
};

/* A task of a case, and what its wait returned. */
struct waiter_task {
	struct shared *s;
	uint64_t want;
	int res;
};

static void shared_init(struct test *t, struct shared *s, uint64_t n)
{
	struct bp_engine *engine = t->engine ? t->engine : engine_with(t, .loops = 0);

	memset(s, 0, sizeof(*s));
	bp_semaphore_init(&s->semaphore, engine, n);
}

static int acquire(void *arg)
{
	struct waiter_task *w = arg;

	w->res = bp_semaphore_acquire(&w->s->semaphore, w->want);
	if (!w->res)
		w->s->done++;
	return w->res;
}

static void who_wants_many_is_not_overtaken(struct test *t)
{
	struct waiter_task heavy, light[2];
	struct bp_group *g;
	struct shared s;

	shared_init(t, &s, 3);
	g = group_with(t, .limit = BP_LIMIT_NONE);
	heavy = (struct waiter_task){.s = &s, .want = 5, .res = 1};
	expect_eq(bp_go(g, acquire, &heavy), 0);
	until_in_queue(t, &s.semaphore.waiters_, 1);
	for (int i = 0; i < 2; i++) {
		light[i] = (struct waiter_task){.s = &s, .want = 1, .res = 1};
		expect_eq(bp_go(g, acquire, &light[i]), 0);
		until_in_queue(t, &s.semaphore.waiters_, (uint64_t)i + 2);
	}
	/* There are three, but not for those who come after the one that wants five. */
	expect_eq(bp_semaphore_try_acquire(&s.semaphore, 1), -EAGAIN);
	many_turns(t);
	expect_eq(s.done, 0);
	bp_semaphore_release(&s.semaphore, 1);
	many_turns(t);
	expect_eq(s.done, 0);
	bp_semaphore_release(&s.semaphore, 2);
	until_count(t, &s.done, 2);
	many_turns(t);
	expect_eq(s.done, 2);
	expect_eq(heavy.res, 0);
	bp_semaphore_release(&s.semaphore, 1);
	expect_eq(bp_wait(g), 0);
	expect_eq(s.done, 3);
	bp_group_destroy(g);
}

static void who_waits_behind_one_that_is_cancelled_goes_on(struct test *t)
{
	struct waiter_task heavy, light;
	struct bp_group *g, *beside;
	struct shared s;

	shared_init(t, &s, 3);
	g = group_with(t, .limit = BP_LIMIT_NONE);
	beside = group_with(t, .limit = BP_LIMIT_NONE);
	heavy = (struct waiter_task){.s = &s, .want = 5, .res = 1};
	light = (struct waiter_task){.s = &s, .want = 2, .res = 1};
	expect_eq(bp_go(g, acquire, &heavy), 0);
	until_in_queue(t, &s.semaphore.waiters_, 1);
	expect_eq(bp_go(beside, acquire, &light), 0);
	until_in_queue(t, &s.semaphore.waiters_, 2);
	bp_cancel(g, 0);
	expect_eq(bp_wait(beside), 0);
	expect_eq(bp_wait(g), -ECANCELED);
	expect_eq(heavy.res, -ECANCELED);
	/* What was not taken is still there. */
	expect_eq(bp_semaphore_try_acquire(&s.semaphore, 2), -EAGAIN);
	expect_eq(bp_semaphore_try_acquire(&s.semaphore, 1), 0);
	bp_group_destroy(g);
	bp_group_destroy(beside);
}

static int inside_at_most_three(void *arg)
{
	struct shared *s = arg;

	for (int i = 0; i < 5; i++) {
		int err = bp_semaphore_acquire(&s->semaphore, 1);

		if (err)
			return err;
		expect_between(++s->inside, 1, 3);
		err = bp_yield();
		s->inside--;
		bp_semaphore_release(&s->semaphore, 1);
		if (err)
			return err;
	}
	return 0;
}

static void a_semaphore_lets_so_many_in(struct test *t)
{
	struct bp_group *g;
	struct shared s;

	shared_init(t, &s, 3);
	g = group_with(t, .limit = BP_LIMIT_NONE);
	for (int i = 0; i < 40; i++)
		expect_eq(bp_go(g, inside_at_most_three, &s), 0);
	expect_eq(bp_wait(g), 0);
	expect_eq(bp_semaphore_try_acquire(&s.semaphore, 3), 0);
	expect_eq(bp_semaphore_try_acquire(&s.semaphore, 1), -EAGAIN);
	expect_eq(bp_semaphore_acquire(&s.semaphore, 0), 0);
	bp_group_destroy(g);
}

static const struct test_case cases[] = {
	EACH_ROW(who_wants_many_is_not_overtaken),
	EACH_ROW(who_waits_behind_one_that_is_cancelled_goes_on),
	EACH_ROW(a_semaphore_lets_so_many_in),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
