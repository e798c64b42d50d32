/* SPDX-License-Identifier: MIT */
/*
 * test_explore - bp_sim_run(): programs under many schedules, and what it says of them
 *
 * The programs are small, and each has the fault that its name says, or none. What the options of misfortune do is
 * looked at from inside, by programs that are played in the test's own process. test_explore_ends.c has the
 * ways in which a run can end.
 */
#include "support/harness.h"

#include "batchproc_sim.h"
#include "core.h"
#include "sim/sim.h"

/* Nothing is told, as long as a test does not look at it. */
#define QUIET(...) BP_SIM_OPTS(.report_fd = -1, ##__VA_ARGS__)

/** Runs a number of tasks in a group of their own; what bp_wait() says. */
static int all_of(struct bp_engine *engine, bp_task_fn fn, void *arg, unsigned long n)
{
	struct bp_group *g;
	int err = bp_group_create(&g, engine, NULL);

	if (err)
		return err;
	for (unsigned long i = 0; i < n && !err; i++)
		err = bp_go(g, fn, arg);
	if (!err)
		err = bp_wait(g);
	bp_group_destroy(g);
	return err;
}

/* ---------------------------------------------------------------- a race */

struct counter {
	int fd;
	int value, wanted;
	bool careful;
	struct bp_mutex mutex;
	unsigned long calls; /* of the invariant */
	struct bp_group *group;
};

/* Reads, is suspended, and writes what it has read before. */
static int add_one(void *arg)
{
	struct counter *c = arg;
	int value, fd;

	if (c->careful && bp_mutex_lock(&c->mutex))
		return -ECANCELED;
	c->wanted++;
	value = c->value;
	fd = bp_openat(AT_FDCWD, "file", O_RDWR | O_CREAT, 0600);
	c->value = value + 1;
	if (c->careful)
		bp_mutex_unlock(&c->mutex);
	return fd < 0 ? fd : bp_close(fd);
}

static int waits_and_adds(void *arg)
{
	struct counter *c = arg;
	int err = bp_sleep(100000 * (uint64_t)c->calls++);

	return err ? err : add_one(c);
}

static int counts(struct bp_engine *engine, void *arg)
{
	struct counter *c = arg;
	int err;

	c->value = c->wanted = 0;
	c->calls = 0;
	bp_mutex_init(&c->mutex, engine);
	err = all_of(engine, waits_and_adds, c, bp_sim_size());
	if (c->value != c->wanted)
		bp_sim_fail("%d, not %d", c->value, c->wanted);
	return err;
}

#define COUNTING .size = 6, .latency_ns = 10000, .seeds = scaled(3000)

static void a_race_is_found_made_smaller_and_played_again(struct test *t)
{
	struct bp_sim_result found = BP_SIM_RESULT(), again = BP_SIM_RESULT();
	struct counter c = {.careful = false};

	(void)t;
	expect_eq(bp_sim_run(counts, &c, &QUIET(COUNTING), &found), 1);
	expect_eq(found.verdict, BP_SIM_FAILED);
	expect_eq(found.size, 2);
	expect(!strcmp(found.message, "1, not 2"));
	expect(found.runs == found.found + 1);
	/* The one that matters is that an operation takes long. */
	expect_between(found.decisions, 1, 3);
	expect(found.of_decisions > found.decisions);
	expect_between(found.shrink_runs, 1, BP_SIM_SHRINK_DEFAULT);

	expect_eq(bp_sim_run(counts, &c, &QUIET(COUNTING, .replay = found.replay), &again), 1);
	expect_eq(again.trace, found.trace);
	expect_eq(again.decisions, found.decisions);
	expect(!strcmp(again.message, found.message));
	expect(!strcmp(again.replay, found.replay));

	c.careful = true;
	expect_eq(bp_sim_run(counts, &c, &QUIET(COUNTING), &again), 0);
	expect_eq(again.verdict, BP_SIM_HELD);
	expect_eq(again.runs, scaled(3000));
	expect_eq(bp_sim_run(counts, &c, &QUIET(COUNTING, .replay = found.replay), &again), 0);
}

static void more_processes_find_the_same_seed(struct test *t)
{
	struct bp_sim_result one = BP_SIM_RESULT(), four = BP_SIM_RESULT();
	struct counter c = {.careful = false};

	(void)t;
	expect_eq(bp_sim_run(counts, &c, &QUIET(COUNTING), &one), 1);
	expect_eq(bp_sim_run(counts, &c, &QUIET(COUNTING, .jobs = 4), &four), 1);
	expect_eq(four.found, one.found);
	expect_eq(four.trace, one.trace);
	expect(!strcmp(four.replay, one.replay));
}

static void without_runs_for_it_nothing_is_made_smaller(struct test *t)
{
	struct bp_sim_result found = BP_SIM_RESULT();
	struct counter c = {.careful = false};
	char replay[64];

	(void)t;
	expect_eq(bp_sim_run(counts, &c, &QUIET(COUNTING, .shrink_runs = 0), &found), 1);
	expect_eq(found.shrink_runs, 0);
	expect_eq(found.size, 6);
	expect_eq(found.seed, found.found);
	expect_eq(found.decisions, found.of_decisions);
	snprintf(replay, sizeof(replay), "seed=%llu,size=6", (unsigned long long)found.seed);
	expect(!strcmp(found.replay, replay));
}

static void the_same_seed_is_the_same_run(struct test *t)
{
	struct bp_sim_result a = BP_SIM_RESULT(), b = BP_SIM_RESULT(), other = BP_SIM_RESULT();
	struct counter c = {.careful = true};

	(void)t;
	for (unsigned int loops = 0; loops < 3; loops++) {
		struct bp_sim_opts opts = QUIET(.seed = 77, .seeds = 1, .size = 5, .loops = loops);

		expect_eq(bp_sim_run(counts, &c, &opts, &a), 0);
		expect_eq(bp_sim_run(counts, &c, &opts, &b), 0);
		expect_eq(a.trace, b.trace);
		expect_eq(a.events, b.events);
		opts.in_process = true;
		expect_eq(bp_sim_run(counts, &c, &opts, &b), 0);
		expect_eq(a.trace, b.trace);
		opts.seed = 78;
		expect_eq(bp_sim_run(counts, &c, &opts, &other), 0);
		expect(a.trace != other.trace);
	}
}

/* ---------------------------------------------------------------- the invariant */

static void value_is_small(void *arg)
{
	struct counter *c = arg;

	c->calls++;
	bp_sim_check(!c->group || stats_of(c->group).running <= 5);
	bp_sim_check(c->value < 3);
}

static int counts_to(struct bp_engine *engine, void *arg)
{
	struct counter *c = arg;
	int err;

	c->calls = 0;
	c->value = c->wanted = 0;
	bp_mutex_init(&c->mutex, engine);
	err = bp_group_create(&c->group, engine, NULL);
	for (unsigned long i = 0; i < bp_sim_size() && !err; i++)
		err = bp_go(c->group, add_one, c);
	if (!err)
		err = bp_wait(c->group);
	bp_group_destroy(c->group);
	c->group = NULL;
	/* It was too much for a moment only. */
	c->value = 0;
	return err;
}

static void the_invariant_holds_at_each_step(struct test *t)
{
	struct bp_sim_result found = BP_SIM_RESULT();
	struct counter c = {.careful = true};

	(void)t;
	expect_eq(bp_sim_run(counts_to, &c,
			     &QUIET(.invariant = value_is_small, .size = 5, .seeds = 50), &found),
		  1);
	expect_eq(found.verdict, BP_SIM_FAILED);
	expect(strstr(found.message, "not so: c->value < 3"));
	expect_eq(found.size, 3);
	/* In the plain order too. */
	expect_eq(found.decisions, 0);
	expect(strstr(found.replay, "decisions=none"));
	for (unsigned int loops = 0; loops < 3; loops++) {
		expect_eq(bp_sim_run(counts_to, &c,
				     &QUIET(.invariant = value_is_small, .size = 2, .seeds = 50,
					    .loops = loops, .in_process = true),
				     &found),
			  0);
		/* At each of two opens and closes, at the least. */
		expect(c.calls > 8);
	}
}

/* ---------------------------------------------------------------- loops */

struct lost {
	int value;
};

static int loses_updates(void *arg)
{
	struct lost *l = arg;
	int value = l->value;

	bp_sim_point();
	l->value = value + 1;
	return 0;
}

static int updates(struct bp_engine *engine, void *arg)
{
	struct lost *l = arg;
	int err;

	l->value = 0;
	err = all_of(engine, loses_updates, l, 2);
	bp_sim_check(l->value == 2);
	return err;
}

static void loops_interleave_where_they_are_told(struct test *t)
{
	struct bp_sim_result found = BP_SIM_RESULT();
	struct lost l;

	(void)t;
	expect_eq(bp_sim_run(updates, &l, &QUIET(.seeds = scaled(500)), &found), 0);
	expect_eq(bp_sim_run(updates, &l, &QUIET(.seeds = scaled(500), .loops = 2, .preempt = 0),
			     &found),
		  0);
	expect_eq(bp_sim_run(updates, &l, &QUIET(.seeds = 500, .loops = 2), &found), 1);
	expect_eq(bp_sim_run(updates, &l, &QUIET(.loops = 2, .replay = found.replay), &found), 1);
}

/* ---------------------------------------------------------------- cancels */

static int reads_for_ever(void *arg)
{
	char byte;

	return (int)bp_read(*(int *)arg, &byte, 1, -1);
}

static int waits_until_cancelled(void *arg)
{
	struct bp_group *g;
	int fds[2], err = bp_pipe(fds, 0);

	if (err)
		return err;
	err = bp_group_create(&g, arg, NULL);
	for (int i = 0; i < 3 && !err; i++)
		err = bp_go(g, reads_for_ever, &fds[0]);
	bp_sleep(1000000);
	bp_cancel(g, -ESHUTDOWN);
	bp_sim_check(bp_wait(g) == -ESHUTDOWN);
	bp_group_destroy(g);
	bp_close(fds[0]);
	bp_close(fds[1]);
	return err;
}

static int cancels(struct bp_engine *engine, void *arg)
{
	int err = all_of(engine, waits_until_cancelled, engine, 2);

	(void)arg;
	bp_sim_check(bp_sim_open_fds() == 0);
	return err;
}

static void cancels_reach_what_waits_under_every_schedule(struct test *t)
{
	(void)t;
	for (unsigned int loops = 0; loops < 4; loops++)
		expect_eq(bp_sim_run(cancels, NULL, &QUIET(.seeds = scaled(500), .loops = loops),
				     NULL),
			  0);
}

/* ---------------------------------------------------------------- misfortunes */

struct struck {
	uint64_t of[SIM_MISHAPS];
	unsigned long errors, again, shorter, slow;
};

static int one_file(void *arg)
{
	struct struck *s = arg;
	struct bp_timeout scope;
	char text[100] = "";
	int fd, fds[2], i, res;

	for (i = 0; i < 5; i++) {
		fd = bp_openat(AT_FDCWD, "file", O_RDWR | O_CREAT, 0600);
		if (fd >= 0) {
			ssize_t n = bp_write(fd, text, sizeof(text), 0);

			s->shorter += n > 0 && n < (ssize_t)sizeof(text);
			bp_close(fd);
		}
		io_uring_prep_nop(bp_sqe());
		res = bp_await();
		s->again += res == -EINTR || res == -EAGAIN;
		s->errors += fd == -EIO || fd == -ENOSPC || fd == -EMFILE || fd == -ENOMEM;
	}
	if (bp_pipe(fds, 0))
		return 0;
	bp_timeout_begin(&scope, 1000);
	bp_read(fds[0], text, 1, -1);
	bp_timeout_end(&scope);
	bp_close(fds[0]);
	bp_close(fds[1]);
	return 0;
}

static int meets(struct bp_engine *engine, void *arg)
{
	struct struck *s = arg;
	const struct sim *sim = sim_of(engine);
	int err = all_of(engine, one_file, s, 3);

	for (unsigned int i = 0; i < SIM_MISHAPS; i++)
		s->of[i] += sim->struck[i];
	return err;
}

static struct struck struck_with(struct bp_sim_opts opts)
{
	struct struck s;

	memset(&s, 0, sizeof(s));
	opts.in_process = true;
	opts.seeds = 40;
	expect_eq(bp_sim_run(meets, &s, &opts, NULL), 0);
	return s;
}

/* All off: nothing strikes. */
#define CALM                                                                                       \
	.short_io = 0, .lost_cancels = 0, .late_completions = 0, .full_queues = 0, .preempt = 0,   \
	.reorder = 0, .loops = 2

static void misfortunes_strike_as_often_as_the_options_say(struct test *t)
{
	struct struck s = struck_with(QUIET(CALM));

	(void)t;
	for (unsigned int i = 0; i < SIM_MISHAPS; i++)
		expect(i == SIM_WAKE || s.of[i] == 0);
	expect_eq(s.errors + s.again + s.shorter, 0);
	s = struck_with(QUIET(CALM, .errors = 100));
	expect_eq(s.errors, 5 * 3 * 43); /* three seeds of the forty are played twice */
	s = struck_with(QUIET(CALM, .again = 50));
	expect_between(s.again, 100, 600);
	expect(s.of[SIM_AGAIN] > 0 && s.errors == 0);
	s = struck_with(QUIET(CALM, .short_io = 90));
	expect(s.shorter > 300);
	s = struck_with(QUIET(CALM, .lost_cancels = 50));
	expect(s.of[SIM_LATE] > 20 && s.of[SIM_HOLD] == 0);
	s = struck_with(QUIET(CALM, .late_completions = 50));
	expect(s.of[SIM_HOLD] > 20 && s.of[SIM_LATE] == 0);
	s = struck_with(QUIET(CALM, .full_queues = 50));
	expect(s.of[SIM_FULL] > 100);
	s = struck_with(QUIET(CALM, .preempt = 50));
	expect(s.of[SIM_PREEMPT] > 100);
	s = struck_with(QUIET(CALM, .reorder = 50, .latency_ns = 1000));
	expect(s.of[SIM_REORDER] > 100);
	s = struck_with(QUIET());
	for (unsigned int i = 0; i < SIM_MISHAPS; i++)
		expect((s.of[i] > 0) == (i != SIM_ERROR && i != SIM_AGAIN && i != SIM_PREEMPT));
}

static int needs_luck(struct bp_engine *engine, void *arg)
{
	struct struck s = {.shorter = 0};
	int err = all_of(engine, one_file, &s, 1);

	(void)arg;
	bp_sim_check(!s.shorter);
	return err;
}

static void what_did_not_matter_is_taken_away(struct test *t)
{
	struct bp_sim_result found = BP_SIM_RESULT();

	(void)t;
	expect_eq(bp_sim_run(needs_luck, NULL, &QUIET(.seeds = 500), &found), 1);
	/* That it is short, and no more. */
	expect_between(found.decisions, 1, 2);
	expect_eq(bp_sim_run(needs_luck, NULL, &QUIET(.replay = "seed=0,decisions=none"), NULL), 0);
	expect_eq(bp_sim_run(needs_luck, NULL, &QUIET(.seeds = scaled(200), .short_io = 0), NULL),
		  0);
}

/* ---------------------------------------------------------------- bad options */

static int holds(struct bp_engine *engine, void *arg)
{
	(void)engine, (void)arg;
	return 0;
}

static void what_is_out_of_range_is_refused(struct test *t)
{
	static const char *const replays[] = {
		"",
		"seed",
		"seed=",
		"seed=x",
		"seed=1,",
		"size=2",
		"seed=1,size=0",
		"seed=1,off=",
		"seed=1,off=rain",
		"seed=1,decisions=",
		"seed=1 ",
		"seed=-1",
		"seed=1,bogus=2",
		"seed=1,decisions=3-2",
		"seed=1,decisions=1,decisions=2",
		"seed=1,decisions=99999999999",
		"seed=99999999999999999999",
		"seed=1,off=late+",
		"seed=1,decisions=1.",
	};
	struct bp_sim_opts bad[] = {
		QUIET(.seeds = 0),
		QUIET(.seeds = UINT64_MAX),
		QUIET(.seed = UINT64_MAX),
		QUIET(.size = 0),
		QUIET(.jobs = 0),
		QUIET(.jobs = 65),
		QUIET(.timeout_s = 0),
		QUIET(.max_events = 0),
		QUIET(.errors = 101),
		QUIET(.again = -2),
		QUIET(.short_io = 1000),
		QUIET(.lost_cancels = -7),
		QUIET(.late_completions = 200),
		QUIET(.full_queues = 101),
		QUIET(.preempt = 101),
		QUIET(.reorder = 101),
		QUIET(.latency_ns = -2),
		QUIET(.latency_ns = INT64_MAX),
		QUIET(.loops = 1000),
		QUIET(.stack_size = 5),
		QUIET(.sz = 0),
		QUIET(.depth = 1u << 30),
		QUIET(.sz = 5000),
	};
	struct {
		struct bp_sim_opts opts;
		char more[8];
	} newer = {.opts = QUIET(.sz = sizeof(newer)), .more = ""};
	struct bp_sim_result result = {.sz = 0}, small = {.sz = sizeof(size_t) + sizeof(int)};

	(void)t;
	for (unsigned int i = 0; i < COUNT_OF(bad); i++)
		if (!expect_eq(bp_sim_run(holds, NULL, &bad[i], NULL), -EINVAL))
			record_failure("options %u", i);
	for (unsigned int i = 0; i < COUNT_OF(replays); i++)
		if (!expect_eq(bp_sim_run(holds, NULL, &QUIET(.replay = replays[i]), NULL),
			       -EINVAL))
			record_failure("replay %s", replays[i]);
	expect_eq(bp_sim_run(NULL, NULL, NULL, NULL), -EINVAL);
	expect_eq(bp_sim_run(holds, NULL, NULL, &result), -EINVAL);
	small.runs = 5;
	expect_eq(bp_sim_run(holds, NULL, &QUIET(.seeds = 3), &small), 0);
	expect_eq(small.runs, 5);
	expect_eq(bp_sim_run(holds, NULL, &newer.opts, NULL), 0);
	newer.more[0] = 1;
	expect_eq(bp_sim_run(holds, NULL, &newer.opts, NULL), -EINVAL);
}

static const struct test_case cases[] = {
	ONCE(a_race_is_found_made_smaller_and_played_again),
	ONCE(more_processes_find_the_same_seed),
	ONCE(without_runs_for_it_nothing_is_made_smaller),
	ONCE(the_same_seed_is_the_same_run),
	ONCE(the_invariant_holds_at_each_step),
	ONCE(loops_interleave_where_they_are_told),
	ONCE(cancels_reach_what_waits_under_every_schedule),
	ONCE(misfortunes_strike_as_often_as_the_options_say),
	ONCE(what_did_not_matter_is_taken_away),
	ONCE(what_is_out_of_range_is_refused),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
