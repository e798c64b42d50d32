/* SPDX-License-Identifier: MIT */
/*
 * conf_limit - the limit holds, may be changed at any time, and its queue is fair
 */
#include "support/harness.h"

/** A task of another group that stands in bp_go() on @to. */
struct feeder {
	struct bp_group *to;
	bp_task_fn fn;
	void *arg;
	int err;
};

static int feed(void *arg)
{
	struct feeder *f = arg;

	f->err = bp_go(f->to, f->fn, f->arg);
	return 0;
}

/* Limit 0: trying is always -EAGAIN; bp_go() waits until the limit is raised. */
static void limit_zero_admits_nothing_until_it_is_raised(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = 0);
	struct bp_group *feeders = group_with(t, .limit = BP_LIMIT_NONE);
	struct feeder f[3];
	struct crowd crowd;

	crowd_init(&crowd);
	for (int i = 0; i < 3; i++) {
		f[i] = (struct feeder){g, crowd_task, &crowd, 1};
		expect_eq(bp_go(feeders, feed, &f[i]), 0);
	}
	until_in_line(t, g, 3);
	expect_eq(crowd.started, 0);
	expect_eq(bp_try_go(g, crowd_task, &crowd), -EAGAIN);
	expect_eq(stats_of(g).accepted, 0);
	expect_eq(bp_group_set_limit(g, 2), 0);
	until_count(t, &crowd.started, 2);
	many_turns(t);
	expect_eq(crowd.started, 2);
	gate_open(&crowd.gate);
	expect_eq(bp_wait(feeders), 0);
	expect_eq(bp_wait(g), 0);
	for (int i = 0; i < 3; i++)
		expect_eq(f[i].err, 0);
	expect_eq(crowd.passed, 3);
	expect_eq(stats_of(g).peak, 2);
	bp_group_destroy(feeders);
	bp_group_destroy(g);
	crowd_free(&crowd);
}

/* Limit 0: bp_go() waits until the group ends. */
static void go_at_limit_zero_ends_with_the_group(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = 0);
	struct bp_group *feeders = group_with(t, .limit = BP_LIMIT_NONE);
	struct feeder f = {g, succeed, NULL, 1};

	expect_eq(bp_go(feeders, feed, &f), 0);
	until_in_line(t, g, 1);
	bp_cancel(g, -EINTR);
	expect_eq(bp_wait(feeders), 0);
	expect_eq(f.err, -ECANCELED);
	expect_eq(bp_wait(g), -EINTR);
	expect_eq(stats_of(g).accepted, 0);
	bp_group_destroy(feeders);
	bp_group_destroy(g);
}

/* Nothing runs that could ever raise the limit: the one thread is told instead of hanging. */
static void go_at_limit_zero_with_nobody_to_raise_it_is_edeadlk(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = 0);

	expect_eq(bp_go(g, succeed, NULL), -EDEADLK);
	expect_eq(stats_of(g).accepted, 0);
	expect_eq(bp_wait(g), 0);
	bp_group_destroy(g);
}

/*
 * Ten run, the limit falls to three: none is cancelled, none admitted until fewer than three run.
 */
static void lowering_the_limit_cancels_nobody_and_admits_nobody(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = 10);
	struct bp_group *feeders = group_with(t, .limit = BP_LIMIT_NONE);
	struct crowd one_by_one[10], later;
	struct feeder f;

	crowd_init(&later);
	for (int i = 0; i < 10; i++) {
		crowd_init(&one_by_one[i]);
		expect_eq(bp_go(g, crowd_task, &one_by_one[i]), 0);
	}
	for (int i = 0; i < 10; i++)
		until_count(t, &one_by_one[i].started, 1);
	expect_eq(bp_group_set_limit(g, 3), 0);
	expect_eq(stats_of(g).limit, 3);
	f = (struct feeder){g, crowd_task, &later, 1};
	expect_eq(bp_go(feeders, feed, &f), 0);
	until_in_line(t, g, 1);
	for (int i = 0; i < 7; i++) {
		gate_open(&one_by_one[i].gate);
		until_ended(t, g, (uint64_t)i + 1);
		expect_eq(bp_try_go(g, crowd_task, &later), -EAGAIN);
	}
	many_turns(t);
	expect_eq(later.started, 0);
	expect_eq(stats_of(g).running, 3);
	gate_open(&one_by_one[7].gate);
	until_count(t, &later.started, 1);
	gate_open(&one_by_one[8].gate);
	gate_open(&one_by_one[9].gate);
	gate_open(&later.gate);
	expect_eq(bp_wait(feeders), 0);
	expect_eq(bp_wait(g), 0);
	expect_eq(f.err, 0);
	expect_eq(stats_of(g).succeeded, 11);
	expect_eq(stats_of(g).stopped, 0);
	expect_eq(stats_of(g).peak, 10);
	for (int i = 0; i < 10; i++)
		crowd_free(&one_by_one[i]);
	bp_group_destroy(feeders);
	bp_group_destroy(g);
	crowd_free(&later);
}

/* Two run, eight wait; the limit is raised by k: exactly k wake. */
static void raising_the_limit_wakes_exactly_the_difference(struct test *t)
{
	enum {
		WAITING = 8
	};
	struct bp_group *g = group_with(t, .limit = 2);
	struct bp_group *feeders = group_with(t, .limit = BP_LIMIT_NONE);
	struct feeder f[WAITING];
	struct crowd crowd;

	crowd_init(&crowd);
	expect_eq(bp_go(g, crowd_task, &crowd), 0);
	expect_eq(bp_go(g, crowd_task, &crowd), 0);
	for (int i = 0; i < WAITING; i++) {
		f[i] = (struct feeder){g, crowd_task, &crowd, 1};
		expect_eq(bp_go(feeders, feed, &f[i]), 0);
	}
	until_in_line(t, g, WAITING);
	for (long limit = 3; limit <= 9; limit += 3) {
		expect_eq(bp_group_set_limit(g, limit), 0);
		until_count(t, &crowd.started, (unsigned long)limit);
		many_turns(t);
		expect_eq(crowd.started, limit);
	}
	gate_open(&crowd.gate);
	expect_eq(bp_wait(feeders), 0);
	expect_eq(bp_wait(g), 0);
	expect_eq(crowd.passed, WAITING + 2);
	expect_eq(stats_of(g).peak, 9);
	bp_group_destroy(feeders);
	bp_group_destroy(g);
	crowd_free(&crowd);
}

/* Unlimited, ten run, then limit three: bp_wait() ends as ever. */
static void from_unlimited_to_three_while_ten_run_still_ends(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = BP_LIMIT_NONE);
	struct crowd crowd;

	crowd_init(&crowd);
	for (int i = 0; i < 10; i++)
		expect_eq(bp_go(g, crowd_task, &crowd), 0);
	until_count(t, &crowd.started, 10);
	expect_eq(bp_group_set_limit(g, 3), 0);
	expect_eq(bp_try_go(g, crowd_task, &crowd), -EAGAIN);
	gate_open(&crowd.gate);
	expect_eq(bp_wait(g), 0);
	expect_eq(crowd.passed, 10);
	expect_eq(stats_of(g).limit, 3);
	expect_balanced(g);
	bp_group_destroy(g);
	crowd_free(&crowd);
}

/* And from three to unlimited all who wait are let in. */
static void from_three_to_unlimited_lets_all_in(struct test *t)
{
	enum {
		WAITING = 6
	};
	struct bp_group *g = group_with(t, .limit = 3);
	struct bp_group *feeders = group_with(t, .limit = BP_LIMIT_NONE);
	struct feeder f[WAITING];
	struct crowd crowd;

	crowd_init(&crowd);
	for (int i = 0; i < 3; i++)
		expect_eq(bp_go(g, crowd_task, &crowd), 0);
	for (int i = 0; i < WAITING; i++) {
		f[i] = (struct feeder){g, crowd_task, &crowd, 1};
		expect_eq(bp_go(feeders, feed, &f[i]), 0);
	}
	until_in_line(t, g, WAITING);
	expect_eq(bp_group_set_limit(g, BP_LIMIT_NONE), 0);
	until_count(t, &crowd.started, WAITING + 3);
	gate_open(&crowd.gate);
	expect_eq(bp_wait(feeders), 0);
	expect_eq(bp_wait(g), 0);
	expect_eq(stats_of(g).peak, WAITING + 3);
	bp_group_destroy(feeders);
	bp_group_destroy(g);
	crowd_free(&crowd);
}

static int set_limit_of(void *arg)
{
	return bp_group_set_limit(*(struct bp_group **)arg, 5);
}

/* The limit may be changed from a task of the group itself. */
static void a_task_may_change_the_limit_of_its_own_group(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = 1);

	expect_eq(bp_go(g, set_limit_of, &g), 0);
	expect_eq(bp_wait(g), 0);
	expect_eq(stats_of(g).limit, 5);
	bp_group_destroy(g);
}

static void limits_out_of_range_are_refused(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = 4);

	expect_eq(bp_group_set_limit(g, -3), -EINVAL);
	expect_eq(stats_of(g).limit, 4);
	expect_eq(bp_wait(g), 0);
	bp_group_destroy(g);
}

/* ---------------------------------------------------------------- at every instant */

struct counted {
	long limit;
	atomic_long running, worst;
	atomic_ulong done;
};

static void note_arrival(struct counted *c)
{
	long now = atomic_fetch_add(&c->running, 1) + 1;
	long worst = atomic_load(&c->worst);

	while (now > worst && !atomic_compare_exchange_weak(&c->worst, &worst, now))
		;
}

struct counted_op {
	struct bp_op op;
	struct counted *counted;
};

static void counted_prep(struct bp_op *op, struct io_uring_sqe *sqe)
{
	note_arrival(CONTAINER(op, struct counted_op, op)->counted);
	io_uring_prep_nop(sqe);
}

static int counted_done(struct bp_op *op, int res)
{
	struct counted *c = CONTAINER(op, struct counted_op, op)->counted;

	atomic_fetch_sub(&c->running, 1);
	atomic_fetch_add(&c->done, 1);
	return res;
}

static int counted_task(void *arg)
{
	struct counted *c = arg;
	int err;

	note_arrival(c);
	err = bp_yield();
	atomic_fetch_sub(&c->running, 1);
	atomic_fetch_add(&c->done, 1);
	return err;
}

static void run_counted(struct test *t, struct counted *c, unsigned long n, bool tasks)
{
	enum {
		AT_ONCE = 4096
	};
	struct counted_op *op = calloc(AT_ONCE, sizeof(*op));
	unsigned long left = n;

	assert_non_null(op);
	while (left) {
		struct bp_group *g = group_with(t, .limit = c->limit);
		unsigned long batch = left < AT_ONCE ? left : AT_ONCE;

		for (unsigned long i = 0; i < batch; i++) {
			op[i] = (struct counted_op){.op = BP_OP_INIT(counted_prep, counted_done),
						    .counted = c};
			if (tasks)
				expect_eq(bp_go(g, counted_task, c), 0);
			else
				expect_eq(bp_go_op(g, &op[i].op), 0);
		}
		expect_eq(bp_wait(g), 0);
		expect(stats_of(g).peak <= (uint64_t)c->limit);
		expect_balanced(g);
		bp_group_destroy(g);
		left -= batch;
	}
	expect_eq(c->done, n);
	expect_eq(c->running, 0);
	expect_between(c->worst, 1, c->limit);
	free(op);
}

/* At no instant do more than limit items run: counted inside a million of them, on four loops. */
static void at_no_instant_do_more_items_run_than_the_limit(struct test *t)
{
	struct counted c = {.limit = 7};

	if (!driven(t))
		engine_with(t, .loops = 4);
	run_counted(t, &c, scaled(1000000), false);
}

static void at_no_instant_do_more_tasks_run_than_the_limit(struct test *t)
{
	struct counted c = {.limit = 5};

	if (!driven(t))
		engine_with(t, .loops = 4);
	run_counted(t, &c, scaled(300000), true);
}

struct shaker {
	struct bp_group *g;
	struct counted *counted;
	atomic_bool stop;
};

static int shake(void *arg)
{
	struct shaker *s = arg;
	int err = 0;

	for (long i = 0; !err && !atomic_load(&s->stop); i++) {
		expect_eq(bp_group_set_limit(s->g, 1 + i % s->counted->limit), 0);
		err = bp_yield();
	}
	return err;
}

/* Nor while the limit goes up and down all the time. */
static void the_highest_limit_holds_while_the_limit_is_changed_all_the_time(struct test *t)
{
	unsigned long n = scaled(50000);
	struct counted c = {.limit = 6};
	struct bp_group *g = group_with(t, .limit = 6);
	struct bp_group *other = group_with(t, .limit = 1);
	struct shaker s = {.g = g, .counted = &c};

	expect_eq(bp_go(other, shake, &s), 0);
	for (unsigned long i = 0; i < n; i++)
		expect_eq(bp_go(g, counted_task, &c), 0);
	expect_eq(bp_wait(g), 0);
	atomic_store(&s.stop, true);
	expect_eq(bp_wait(other), 0);
	expect_eq(c.done, n);
	expect_between(c.worst, 1, 6);
	expect_balanced(g);
	bp_group_destroy(g);
	bp_group_destroy(other);
}

/* ---------------------------------------------------------------- fairness */

struct pusher {
	struct bp_group *g;
	struct crowd *first;
	atomic_ulong *waiting_started;
	atomic_ulong pushed;
	bool pushed_in_front;
};

static int pushed_in(void *arg)
{
	struct pusher *p = arg;

	atomic_fetch_add(&p->pushed, 1);
	if (!atomic_load(p->waiting_started))
		p->pushed_in_front = true;
	return 0;
}

/* Tries all the time, before, while and after the place becomes free. */
static int push(void *arg)
{
	struct pusher *p = arg;

	for (int i = 0; i < 5000 && !atomic_load(p->waiting_started); i++) {
		int err = bp_try_go(p->g, pushed_in, p);

		expect(err == 0 || err == -EAGAIN);
		if (i == 100)
			gate_open(&p->first->gate);
		if (i % 16 == 15 && bp_yield())
			break;
	}
	return 0;
}

static int note_start(void *started)
{
	atomic_fetch_add((atomic_ulong *)started, 1);
	return 0;
}

/*
 * A bp_go() that waits is not starved by a stream of bp_try_go(): the place that becomes free is
 * its. Fair as trio's CapacityLimiter.
 */
static void waiting_go_is_not_starved_by_a_stream_of_try_go(struct test *t)
{
	atomic_ulong waiting_started = 0;
	struct bp_group *g = group_with(t, .limit = 1);
	struct bp_group *others = group_with(t, .limit = BP_LIMIT_NONE);
	struct feeder f = {g, note_start, &waiting_started, 1};
	struct crowd crowd;
	struct pusher p = {.g = g, .first = &crowd, .waiting_started = &waiting_started};

	crowd_init(&crowd);
	expect_eq(bp_go(g, crowd_task, &crowd), 0);
	expect_eq(bp_go(others, feed, &f), 0);
	until_in_line(t, g, 1);
	expect_eq(bp_go(others, push, &p), 0);
	expect_eq(bp_wait(others), 0);
	expect_eq(bp_wait(g), 0);
	expect_eq(f.err, 0);
	expect_eq(waiting_started, 1);
	expect(!p.pushed_in_front);
	bp_group_destroy(others);
	bp_group_destroy(g);
	crowd_free(&crowd);
}

struct place_in_line {
	atomic_ulong *next;
	unsigned long mine;
};

static int note_place(void *arg)
{
	struct place_in_line *p = arg;

	p->mine = atomic_fetch_add(p->next, 1);
	return 0;
}

/* Those who wait are served in their order. */
static void waiting_gos_are_served_in_their_order(struct test *t)
{
	enum {
		WAITING = 20
	};
	atomic_ulong next = 0;
	struct bp_group *g = group_with(t, .limit = 1);
	struct bp_group *feeders = group_with(t, .limit = BP_LIMIT_NONE);
	struct place_in_line place[WAITING];
	struct feeder f[WAITING];
	struct crowd crowd;

	crowd_init(&crowd);
	expect_eq(bp_go(g, crowd_task, &crowd), 0);
	for (unsigned long i = 0; i < WAITING; i++) {
		place[i] = (struct place_in_line){&next, 0};
		f[i] = (struct feeder){g, note_place, &place[i], 1};
		expect_eq(bp_go(feeders, feed, &f[i]), 0);
		/* The next one comes when this one stands in the line. */
		until_in_line(t, g, i + 1);
	}
	gate_open(&crowd.gate);
	expect_eq(bp_wait(feeders), 0);
	expect_eq(bp_wait(g), 0);
	for (unsigned long i = 0; i < WAITING; i++)
		expect_eq(place[i].mine, i);
	bp_group_destroy(feeders);
	bp_group_destroy(g);
	crowd_free(&crowd);
}

static const struct test_case cases[] = {
	EACH_ROW(limit_zero_admits_nothing_until_it_is_raised),
	EACH_ROW(go_at_limit_zero_ends_with_the_group),
	DRIVEN_ROWS(go_at_limit_zero_with_nobody_to_raise_it_is_edeadlk),
	EACH_ROW(lowering_the_limit_cancels_nobody_and_admits_nobody),
	EACH_ROW(raising_the_limit_wakes_exactly_the_difference),
	EACH_ROW(from_unlimited_to_three_while_ten_run_still_ends),
	EACH_ROW(from_three_to_unlimited_lets_all_in),
	EACH_ROW(a_task_may_change_the_limit_of_its_own_group),
	EACH_ROW(limits_out_of_range_are_refused),
	EACH_ROW(at_no_instant_do_more_items_run_than_the_limit),
	EACH_ROW(at_no_instant_do_more_tasks_run_than_the_limit),
	EACH_ROW(the_highest_limit_holds_while_the_limit_is_changed_all_the_time),
	EACH_ROW(waiting_go_is_not_starved_by_a_stream_of_try_go),
	EACH_ROW(waiting_gos_are_served_in_their_order),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
