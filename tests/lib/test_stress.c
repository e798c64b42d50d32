/* SPDX-License-Identifier: MIT */
/*
 * test_stress - many groups of random policy with items of random doings, and what must hold always
 *
 * Each round is made by a seed, which is named when an expectation fails; TEST_SEED=N plays that
 * round alone. On real threads the same seed does not give the same schedule, so this finds what
 * many schedules find. Bounded in rounds; nothing in a round lasts longer than a few milliseconds,
 * but items that wait for ever until the round's canceller comes.
 */
#include "support/harness.h"

struct round {
	struct test *t;
	uint64_t seed;
	struct bp_group *g;
	struct crowd silent;
	struct tally tally;
	unsigned long wanted; /* stop_after_successes */
};

struct item {
	struct nop_op op;
	struct round *round;
	uint64_t random;
	atomic_uint reports;
	bool is_op;
};

static uint64_t draw(uint64_t *state, uint64_t below)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state % below;
}

static int short_computation(void *arg)
{
	return *(int *)arg;
}

static int small_item(void *unused)
{
	(void)unused;
	return bp_yield();
}

static int open_and_close(void)
{
	int fd = bp_openat(AT_FDCWD, "/dev/null", O_RDONLY | O_CLOEXEC, 0);

	return fd < 0 ? fd : bp_close(fd);
}

static int in_a_scope(uint64_t ns)
{
	struct bp_timeout scope;
	int err;

	bp_timeout_begin(&scope, ns);
	err = bp_sleep(ns);
	expect(err == 0 || err == -ECANCELED || err == -ETIMEDOUT);
	err = bp_timeout_end(&scope);
	expect(err == 0 || err == -ETIMEDOUT);
	return 0;
}

static int in_a_group_of_its_own(struct item *item)
{
	struct bp_group *g;
	int err = bp_group_create(&g, item->round->t->engine,
				  &BP_GROUP_OPTS(.limit = 2, .parent = item->round->g));

	if (!expect(err == 0 || err == -EINVAL))
		return err;
	if (err)
		return 0;
	for (int i = 0; i < 3 && !err; i++)
		err = bp_go(g, small_item, NULL);
	if (draw(&item->random, 2))
		err = bp_wait(g);
	bp_group_destroy(g);
	return err;
}

/* One step of a task, or the value that ends it. */
static int step(struct item *item)
{
	int value = 0, err;

	switch (draw(&item->random, 12)) {
	case 0:
		return bp_sleep(draw(&item->random, 500000));
	case 1:
		io_uring_prep_nop(bp_sqe());
		return bp_await();
	case 2:
		return open_and_close();
	case 3:
		return bp_offload(short_computation, &value);
	case 4:
		err = bp_try_go(item->round->g, small_item, NULL);
		expect(err == 0 || err == -EAGAIN || err == -ECANCELED);
		return 0;
	case 5:
		bp_shield_begin();
		err = open_and_close();
		bp_shield_end();
		expect_eq(err, 0);
		return 0;
	case 6:
		return in_a_scope(draw(&item->random, 300000));
	case 7:
		return in_a_group_of_its_own(item);
	case 8:
		return bp_cancelled() ? -ECANCELED : 0;
	default:
		return bp_yield();
	}
}

static int wander(void *arg)
{
	struct item *item = arg;
	uint64_t steps = draw(&item->random, 12);
	int err = 0;

	for (uint64_t i = 0; i < steps && !err; i++)
		err = step(item);
	if (err)
		return err;
	return draw(&item->random, 12) ? 0 : -(int)(1 + draw(&item->random, 30));
}

static int stay(void *arg)
{
	struct item *item = arg;

	return gate_wait(&item->round->silent.gate);
}

/* Small items that steps added have no struct item: their argument is NULL. */
static void report(void *ctx, void *arg, enum bp_end end, int result)
{
	struct round *round = ctx;
	struct item *item = arg;

	tally_report(&round->tally, arg, end, result);
	if (item)
		expect_eq(atomic_fetch_add(&item->reports, 1), 0);
}

static int cancel_later(void *arg)
{
	struct round *round = arg;
	uint64_t random = round->seed * 31 + 7;

	bp_sleep(draw(&random, 3000000));
	bp_cancel(round->g, -EINTR);
	return 0;
}

static struct bp_group *random_group(struct round *r, uint64_t *random)
{
	static const long limits[] = {BP_LIMIT_NONE, BP_LIMIT_NONE, 1, 2, 3, 8};
	uint64_t now = bp_now(r->t->engine);

	r->wanted = draw(random, 3) ? 0 : 1 + draw(random, 5);
	return group_with(r->t, .limit = limits[draw(random, COUNT_OF(limits))],
			  .stop_after_failures = draw(random, 4), .stop_after_successes = r->wanted,
			  .deadline_ns = draw(random, 4) ? 0 : now + draw(random, 3000000),
			  .item_timeout_ns = draw(random, 4) ? 0 : 1 + draw(random, 1000000),
			  .report = report, .report_arg = r);
}

static unsigned long add_items(struct round *r, uint64_t *random, struct item *items, int n)
{
	bool silent = draw(random, 2);
	unsigned long accepted = 0;

	for (int i = 0; i < n; i++) {
		int err;

		items[i].round = r;
		items[i].random = draw(random, UINT64_MAX) | 1;
		if (draw(random, 3) == 0) {
			nop_op_init(&items[i].op, draw(random, 10) ? 0 : -EIO, NULL);
			items[i].op.again = (int)draw(random, 5);
			/* The report finds the item by the operation: it is its first member. */
			err = draw(random, 2) ? bp_go_op(r->g, &items[i].op.op) :
						bp_try_go_op(r->g, &items[i].op.op);
		} else {
			bp_task_fn fn = silent && draw(random, 4) == 0 ? stay : wander;

			err = draw(random, 2) ? bp_go(r->g, fn, &items[i]) :
						bp_try_go(r->g, fn, &items[i]);
		}
		expect(err == 0 || err == -EAGAIN || err == -ECANCELED);
		accepted += err == 0;
	}
	return accepted;
}

/* What the result must be, seen from the counts. */
static void check_result(int result, const struct bp_group_stats *st, unsigned long wanted)
{
	if (result == 0 && wanted)
		expect(st->succeeded >= wanted);
	if (result == 0 && !wanted)
		expect_eq(st->failed + st->stopped + st->never_started, 0);
	if (result != 0 && !st->cause)
		expect(st->failed || wanted);
	if (st->cause)
		expect_eq(result, st->cause);
	if (st->failed && !wanted)
		expect(result < 0);
}

static void play(struct test *t, uint64_t seed)
{
	static struct item items[60];
	struct round r = {.t = t, .seed = seed};
	struct bp_group *cancellers = group_with(t, .limit = 1);
	uint64_t random = seed * 0x9e3779b97f4a7c15ull | 1;
	unsigned long accepted, reported = 0;
	int n = 1 + (int)draw(&random, COUNT_OF(items) - 1);
	uint64_t way;

	memset(items, 0, sizeof(items));
	crowd_init(&r.silent);
	r.g = random_group(&r, &random);
	expect_eq(bp_go(cancellers, cancel_later, &r), 0);
	accepted = add_items(&r, &random, items, n);
	way = draw(&random, 3);
	if (way == 0)
		bp_wait_until(r.g, bp_now(t->engine) + draw(&random, 1000000));
	if (way < 2) {
		int result = bp_wait(r.g);
		struct bp_group_stats st = stats_of(r.g);

		expect_eq(bp_wait(r.g), result);
		check_result(result, &st, r.wanted);
		expect_tally(&r.tally, r.g);
		if (st.succeeded == 0)
			expect(bp_group_winner(r.g) == NULL);
		expect(st.accepted >= accepted);
	}
	/* The canceller knows the group, so it goes first; a destroyed group is drained. */
	expect_eq(bp_wait(cancellers), 0);
	bp_group_destroy(cancellers);
	bp_group_destroy(r.g);
	for (int i = 0; i < n; i++)
		reported += items[i].reports;
	expect_eq(reported, accepted);
	crowd_free(&r.silent);
}

static void whatever_happens_the_promises_hold(struct test *t)
{
	const char *given = getenv("TEST_SEED");
	unsigned long rounds = scaled(800);

	engine_with(t, .depth = 64);
	if (given) {
		play(t, strtoull(given, NULL, 0));
		return;
	}
	for (uint64_t seed = 1; seed <= rounds; seed++) {
		unsigned int before = failures_to(-1);

		play(t, seed);
		if (failures_to(-1) != before) {
			record_failure("in the round of seed %lu", (unsigned long)seed);
			return;
		}
	}
}

/* ---------------------------------------------------------------- a lot of one thing */

struct pipe_chain {
	int in, out;
};

static int pass_on(void *arg)
{
	struct pipe_chain *link = arg;
	unsigned int token;

	for (;;) {
		ssize_t n = bp_read(link->in, &token, sizeof(token), -1);

		if (n <= 0) {
			close(link->out);
			return (int)n;
		}
		token++;
		n = bp_write(link->out, &token, sizeof(token), -1);
		if (n < 0)
			return (int)n;
	}
}

/* Tokens run through a long chain of pipes, each link a task. */
static void tokens_run_through_a_chain_of_pipes(struct test *t)
{
	unsigned long links = live_tasks(300), tokens = 50;
	struct pipe_chain *chain = calloc(links, sizeof(*chain));
	struct bp_group *g = group_with(t, .limit = BP_LIMIT_NONE);
	unsigned int token = 0;
	int fd[2], first, last;

	assert_non_null(chain);
	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
	first = fd[1];
	last = fd[0];
	for (unsigned long i = 0; i < links; i++) {
		assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
		chain[i] = (struct pipe_chain){last, fd[1]};
		last = fd[0];
		expect_eq(bp_go(g, pass_on, &chain[i]), 0);
	}
	for (unsigned long i = 0; i < tokens; i++)
		expect_eq(write(first, &token, sizeof(token)), sizeof(token));
	close(first);
	expect_eq(bp_wait(g), 0);
	for (unsigned long i = 0; i < tokens; i++) {
		expect_eq(read(last, &token, sizeof(token)), sizeof(token));
		expect_eq(token, links);
	}
	expect_eq(read(last, &token, sizeof(token)), 0);
	bp_group_destroy(g);
	close(last);
	for (unsigned long i = 0; i < links; i++)
		close(chain[i].in);
	free(chain);
}

/* Groups come and go by the thousand, each with a few items and an early end. */
static void groups_come_and_go(struct test *t)
{
	struct crowd crowd;
	int eio = -EIO;

	crowd_init(&crowd);
	for (unsigned long i = 0; i < scaled(5000); i++) {
		struct bp_group *g = group_with(t, .limit = 1 + (long)(i % 5));

		if (i % 5 > 0)
			expect_eq(bp_try_go(g, crowd_task, &crowd), 0);
		expect(bp_go(g, fail_with, &eio) <= 0);
		expect_eq(bp_wait(g), -EIO);
		expect_balanced(g);
		bp_group_destroy(g);
	}
	crowd_free(&crowd);
}

static const struct test_case cases[] = {
	EACH_ROW(whatever_happens_the_promises_hold),
	EACH_ROW(tokens_run_through_a_chain_of_pipes),
	EACH_ROW(groups_come_and_go),
};

int main(int argc, char **argv)
{
	return RUN_REAL_CASES(argc, argv, cases);
}
