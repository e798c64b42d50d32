/* SPDX-License-Identifier: MIT */
/*
 * conf_lifecycle - from creation to end: waiting for a time, closing, threads, shields
 */
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "support/harness.h"

/* ---------------------------------------------------------------- waiting until, closing */

/* bp_wait_until() that times out cancels nothing; a later bp_wait() ends as if nothing had been. */
static void wait_until_that_times_out_cancels_nothing(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = 5);
	struct crowd crowd;

	crowd_init(&crowd);
	for (int i = 0; i < 3; i++)
		expect_eq(bp_go(g, crowd_task, &crowd), 0);
	for (int i = 0; i < 3; i++) {
		uint64_t when = bp_now(t->engine) + 2 * MS;

		expect_eq(bp_wait_until(g, when), -ETIMEDOUT);
		expect(bp_now(t->engine) >= when);
	}
	expect_eq(bp_wait_until(g, 0), -ETIMEDOUT);
	expect_eq(stats_of(g).cause, 0);
	expect_eq(stats_of(g).running, 3);
	/* Not closed either. */
	expect_eq(bp_go(g, crowd_task, &crowd), 0);
	gate_open(&crowd.gate);
	expect_eq(bp_wait(g), 0);
	expect_eq(crowd.passed, 4);
	expect_eq(bp_wait_until(g, 0), 0);
	bp_group_destroy(g);
	crowd_free(&crowd);
}

/* In time it says what bp_wait() says, and closes the group. */
static void wait_until_in_time_says_what_wait_says(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = 5);
	int eio = -EIO;

	expect_eq(bp_go(g, fail_with, &eio), 0);
	expect_eq(bp_wait_until(g, bp_now(t->engine) + FAR_AWAY), -EIO);
	expect_eq(bp_go(g, succeed, NULL), -EBADF);
	expect_eq(bp_wait(g), -EIO);
	bp_group_destroy(g);
}

/* bp_go() after bp_wait(): -EBADF, whatever is added and however. */
static void go_after_wait_is_ebadf(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = 5);
	struct bp_group *child;
	struct nop_op op;

	nop_op_init(&op, 0, NULL);
	expect_eq(bp_go(g, succeed, NULL), 0);
	expect_eq(bp_wait(g), 0);
	expect_eq(bp_go(g, succeed, NULL), -EBADF);
	expect_eq(bp_try_go(g, succeed, NULL), -EBADF);
	expect_eq(bp_go_copy(g, succeed, "", 1), -EBADF);
	expect_eq(bp_try_go_copy(g, succeed, "", 1), -EBADF);
	expect_eq(bp_go_op(g, &op.op), -EBADF);
	expect_eq(bp_try_go_op(g, &op.op), -EBADF);
	expect_eq(bp_group_create(&child, t->engine, &BP_GROUP_OPTS(.parent = g)), -EINVAL);
	expect(child == NULL);
	expect_eq(stats_of(g).accepted, 1);
	expect_eq(bp_wait(g), 0);
	bp_group_destroy(g);
}

/* bp_go() after a cancel: -ECANCELED, and nothing runs. */
static void go_after_cancel_is_ecanceled(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = 5);
	struct nop_op op;

	nop_op_init(&op, 0, NULL);
	bp_cancel(g, -EINTR);
	expect_eq(bp_go(g, succeed, NULL), -ECANCELED);
	expect_eq(bp_try_go(g, succeed, NULL), -ECANCELED);
	expect_eq(bp_go_copy(g, succeed, "", 1), -ECANCELED);
	expect_eq(bp_try_go_copy(g, succeed, "", 1), -ECANCELED);
	expect_eq(bp_go_op(g, &op.op), -ECANCELED);
	expect_eq(bp_try_go_op(g, &op.op), -ECANCELED);
	expect_eq(bp_wait(g), -EINTR);
	expect_eq(stats_of(g).accepted, 0);
	bp_group_destroy(g);
}

struct offer {
	struct bp_group *g, *feeders;
	bool lowers;
	int err;
};

static int offers(void *arg)
{
	struct offer *o = arg;

	o->err = bp_go_weighted(o->g, 2, succeed, NULL);
	return 0;
}

static int ends_the_offer(void *arg)
{
	struct offer *o = arg;
	int err = bp_sleep(20 * MS);

	if (o->lowers)
		return err ? err : bp_group_set_limit(o->g, 1);
	bp_cancel(o->feeders, 0);
	return err;
}

/*
 * bp_wait() on a group in which nothing runs, but that somebody wants to add to: where he does not, since he is
 * cancelled or the item would never fit, that is the end.
 */
static void a_wait_ends_with_the_last_offer(struct test *t)
{
	for (int lowers = 0; lowers < 2; lowers++) {
		struct offer o = {.g = group_with(t, .limit = 0),
				  .feeders = group_with(t, .stop_after_failures = 0),
				  .lowers = lowers,
				  .err = 1};
		struct bp_group *others = group_with(t, .limit = 1);

		expect_eq(bp_go(o.feeders, offers, &o), 0);
		until_in_line(t, o.g, 1);
		expect_eq(bp_go(others, ends_the_offer, &o), 0);
		expect_eq(bp_wait(o.g), 0);
		expect_eq(bp_wait(others), 0);
		bp_wait(o.feeders);
		expect_eq(o.err, lowers ? -EINVAL : -ECANCELED);
		bp_group_destroy(others);
		bp_group_destroy(o.feeders);
		bp_group_destroy(o.g);
	}
}

struct sprout {
	struct bp_group *g;
	atomic_ulong *count;
	int depth;
};

static int sprouts(void *arg)
{
	struct sprout *s = arg;
	struct sprout next = {s->g, s->count, s->depth - 1};

	atomic_fetch_add(s->count, 1);
	for (int i = 0; s->depth > 0 && i < 2; i++) {
		int err = bp_go_copy(s->g, sprouts, &next, sizeof(next));

		if (err)
			return err;
	}
	return 0;
}

/* While one thread stands in bp_wait(), items go on adding items to their group. */
static void items_add_items_while_the_group_is_waited_for(struct test *t)
{
	atomic_ulong count = 0;
	struct bp_group *g = group_with(t, .limit = BP_LIMIT_NONE);
	struct sprout root = {g, &count, 9};

	expect_eq(bp_go(g, sprouts, &root), 0);
	expect_eq(bp_wait(g), 0);
	expect_eq(count, (1 << 10) - 1);
	expect_eq(stats_of(g).accepted, (1 << 10) - 1);
	expect_balanced(g);
	bp_group_destroy(g);
}

/* ---------------------------------------------------------------- threads */

struct adder {
	struct bp_group *g;
	atomic_ulong *count;
	unsigned long n;
	unsigned long refused;
};

static int count_one(void *count)
{
	atomic_fetch_add((atomic_ulong *)count, 1);
	return 0;
}

static void *add_many(void *arg)
{
	struct adder *a = arg;

	for (unsigned long i = 0; i < a->n; i++)
		a->refused += bp_go(a->g, count_one, a->count) != 0;
	return NULL;
}

/* Two threads call bp_go() on one group at once. */
static void two_threads_add_to_one_group(struct test *t)
{
	unsigned long n = scaled(50000);
	atomic_ulong count = 0;
	struct bp_group *g = group_with(t, .limit = 10);
	struct adder a[2] = {{g, &count, n, 0}, {g, &count, n, 0}};
	pthread_t thread[2];

	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, add_many, &a[i]), 0);
	for (int i = 0; i < 2; i++) {
		pthread_join(thread[i], NULL);
		expect_eq(a[i].refused, 0);
	}
	expect_eq(bp_wait(g), 0);
	expect_eq(count, 2 * n);
	expect_eq(stats_of(g).accepted, 2 * n);
	expect(stats_of(g).peak <= 10);
	expect_balanced(g);
	bp_group_destroy(g);
}

/* Two threads wait for one group, and a third cancels it. */
static void *wait_in_thread(void *g)
{
	return (void *)(intptr_t)bp_wait(g);
}

static void two_threads_wait_for_one_group(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = 10);
	struct crowd crowd;
	pthread_t thread[2];

	crowd_init(&crowd);
	expect_eq(bp_go(g, crowd_task, &crowd), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, wait_in_thread, g), 0);
	until_count(t, &crowd.started, 1);
	bp_cancel(g, -EINTR);
	for (int i = 0; i < 2; i++) {
		void *result;

		pthread_join(thread[i], &result);
		expect_eq((intptr_t)result, -EINTR);
	}
	expect_eq(bp_wait(g), -EINTR);
	bp_group_destroy(g);
	crowd_free(&crowd);
}

/* ---------------------------------------------------------------- computing, shields */

struct computing {
	struct bp_group *g;
	atomic_ulong begun;
	atomic_bool told;
};

static int computes_until_cancelled(void *arg)
{
	struct computing *c = arg;

	expect(!bp_cancelled());
	atomic_fetch_add(&c->begun, 1);
	while (!bp_cancelled())
		;
	c->told = true;
	return -ECANCELED;
}

/* A task that computes without operations sees bp_cancelled() turn true. */
static void a_computing_task_is_told_of_the_cancel(struct test *t)
{
	struct computing c = {.g = group_with(t, .limit = 1)};

	expect_eq(bp_go(c.g, computes_until_cancelled, &c), 0);
	while (!atomic_load(&c.begun))
		;
	bp_cancel(c.g, -EINTR);
	expect_eq(bp_wait(c.g), -EINTR);
	expect(c.told);
	expect_eq(stats_of(c.g).stopped, 1);
	bp_group_destroy(c.g);
}

static int cancels_itself(void *arg)
{
	struct computing *c = arg;

	expect(!bp_cancelled());
	bp_cancel(c->g, -EINTR);
	expect(bp_cancelled());
	expect_eq(bp_yield(), -ECANCELED);
	c->told = true;
	return -ECANCELED;
}

/* Also one that cancelled its own group. */
static void a_task_that_cancels_its_group_is_told_at_once(struct test *t)
{
	struct computing c = {.g = group_with(t, .limit = 1)};

	expect_eq(bp_go(c.g, cancels_itself, &c), 0);
	expect_eq(bp_wait(c.g), -EINTR);
	expect(c.told);
	expect_eq(stats_of(c.g).stopped, 1);
	bp_group_destroy(c.g);
}

static int yields_until_cancelled(void *unused)
{
	(void)unused;
	while (!bp_cancelled())
		bp_yield();
	return -ECANCELED;
}

static bool yields_until_the_deadline(struct test *t, uint64_t ns)
{
	struct bp_group *g = group_with(t, .deadline_ns = bp_now(t->engine) + ns);
	uint64_t stopped;

	bp_go(g, yields_until_cancelled, NULL);
	expect_eq(bp_wait(g), -ETIMEDOUT);
	stopped = stats_of(g).stopped;
	bp_group_destroy(g);
	return stopped == 1;
}

/* bp_yield() lets a loop notice the deadline, whoever drives it. */
static void a_yielding_task_is_told_of_the_deadline(struct test *t)
{
	in_time(t, 5 * MS, yields_until_the_deadline);
}

struct partial {
	struct crowd *crowd;
	const char *dir;
	int fd;
	bool undone;
};

static int undo_in_a_shield(void *arg)
{
	struct partial *p = arg;
	char path[200];

	snprintf(path, sizeof(path), "%s/partial", p->dir);
	atomic_fetch_add(&p->crowd->started, 1);
	expect_eq(gate_wait(&p->crowd->gate), -ECANCELED);
	expect_eq(bp_write(p->fd, "x", 1, 0), -ECANCELED);
	bp_shield_begin();
	expect(bp_cancelled());
	expect_eq(bp_write(p->fd, "last", 4, 0), 4);
	bp_shield_begin();
	expect_eq(bp_fsync(p->fd, 0), 0);
	bp_shield_end();
	expect_eq(bp_unlinkat(AT_FDCWD, path, 0), 0);
	expect_eq(bp_sleep(1), 0);
	expect_eq(bp_yield(), 0);
	bp_shield_end();
	expect_eq(bp_fsync(p->fd, 0), -ECANCELED);
	expect_eq(bp_sleep(1), -ECANCELED);
	expect_eq(bp_close(p->fd), 0);
	p->undone = true;
	return -ECANCELED;
}

/*
 * Inside a shield a task may still write, fsync and unlink after the cancel; after the shield it is
 * -ECANCELED again, but for bp_close().
 */
static void a_shield_lets_a_cancelled_task_clean_up(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = 1);
	struct crowd crowd;
	struct partial p = {&crowd, temp_dir(t), temp_file(t, "partial", 10, O_RDWR), false};
	char path[200];

	crowd_init(&crowd);
	expect_eq(bp_go(g, undo_in_a_shield, &p), 0);
	until_in_flight(t, 1);
	bp_cancel(g, -EINTR);
	expect_eq(bp_wait(g), -EINTR);
	expect(p.undone);
	snprintf(path, sizeof(path), "%s/partial", p.dir);
	expect_eq(access(path, F_OK), -1);
	expect_eq(stats_of(g).stopped, 1);
	bp_group_destroy(g);
	crowd_free(&crowd);
}

static int stands_in_a_shield(void *arg)
{
	struct crowd *crowd = arg;
	int err;

	atomic_fetch_add(&crowd->started, 1);
	bp_shield_begin();
	err = gate_wait(&crowd->gate);
	bp_shield_end();
	atomic_fetch_add(&crowd->passed, err == 0);
	return bp_yield();
}

/* An operation that is in flight inside a shield is not cancelled either. */
static void an_operation_inside_a_shield_is_not_cancelled(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = 1);
	struct crowd crowd;

	crowd_init(&crowd);
	expect_eq(bp_go(g, stands_in_a_shield, &crowd), 0);
	until_in_flight(t, 1);
	bp_cancel(g, -EINTR);
	many_turns(t);
	expect_eq(stats_of(g).running, 1);
	gate_open(&crowd.gate);
	expect_eq(bp_wait(g), -EINTR);
	expect_eq(crowd.passed, 1);
	expect_eq(stats_of(g).stopped, 1);
	bp_group_destroy(g);
	crowd_free(&crowd);
}

static const struct test_case cases[] = {
	EACH_ROW(wait_until_that_times_out_cancels_nothing),
	EACH_ROW(wait_until_in_time_says_what_wait_says),
	EACH_ROW(go_after_wait_is_ebadf),
	EACH_ROW(go_after_cancel_is_ecanceled),
	EACH_ROW(items_add_items_while_the_group_is_waited_for),
	EACH_ROW(a_wait_ends_with_the_last_offer),
	THREADED_REAL_ROWS(two_threads_add_to_one_group),
	THREADED_REAL_ROWS(two_threads_wait_for_one_group),
	THREADED_REAL_ROWS(a_computing_task_is_told_of_the_cancel),
	EACH_ROW(a_task_that_cancels_its_group_is_told_at_once),
	EACH_ROW(a_yielding_task_is_told_of_the_deadline),
	EACH_REAL_ROW(a_shield_lets_a_cancelled_task_clean_up),
	EACH_ROW(an_operation_inside_a_shield_is_not_cancelled),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
