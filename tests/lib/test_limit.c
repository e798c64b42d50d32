/* SPDX-License-Identifier: MIT */
/*
 * test_limit - BP_LIMIT_AUTO against the best fixed limit, on ten plants of which it knows nothing
 *
 * A plant is what items do: a server with so many places, or one that becomes slower the more it has. It
 * is made of sleeps and semaphores on the simulated backend, so that time is virtual, nothing is
 * disturbed, and each number is the same on every machine. The best fixed limit is found by trying 1, 2, 4
 * and so on, on the same items. The table is printed, and is the one of docs/limit.md.
 */
#include <math.h>

#include "support/harness.h"

#include "batchproc_sim.h"

#define MOST 512
#define US 1000ull

struct plant {
	const char *name, *what;
	uint64_t run_ns; /* how long; 0: all of @items are waited for */
	unsigned long items;
	unsigned int share; /* of that for a fixed limit, where time changes nothing; 0: all */
	uint64_t (*service)(void);
	uint64_t places; /* of the server; 0: no queue */
	unsigned int cancelled; /* of 100 items */
};

static struct {
	const struct plant *plant;
	struct bp_engine *engine;
	struct bp_group *group, *cancelling;
	struct bp_semaphore places;
	uint64_t begin, next_free, random;
	unsigned long ended, in_service;
	bool over;
	unsigned int variant; /* of chance */
} now;

/* ---------------------------------------------------------------- what items do */

/* 0 to 1, 1 not included: xorshift64*, the same for all limits. */
static double uniform(void)
{
	now.random ^= now.random >> 12;
	now.random ^= now.random << 25;
	now.random ^= now.random >> 27;
	return (double)(now.random * 0x2545f4914f6cdd1dull >> 11) / 9007199254740992.0;
}

static uint64_t since_begin(void)
{
	return bp_now(now.engine) - now.begin;
}

static uint64_t exponential(uint64_t mean)
{
	return (uint64_t)(-log(1 - uniform()) * (double)mean);
}

static uint64_t constant(void)
{
	return 10 * MS;
}

static uint64_t mean_10ms(void)
{
	return exponential(10 * MS);
}

/* From 40 at once on each one more costs all others more than it brings. */
static uint64_t thrashing(void)
{
	double n = (double)now.in_service / 40;

	return (uint64_t)((0.5 + uniform()) * 10 * (double)MS * (n > 1 ? n * n : 1));
}

static uint64_t bimodal(void)
{
	return uniform() < 0.8 ? 2 * MS : 20 * MS;
}

/* The last half of a second of three is an outage: what would end then ends after it. */
static uint64_t with_outages(void)
{
	uint64_t took = exponential(10 * MS), phase = (since_begin() + took) % (3 * SECOND);

	return phase > 2500 * MS ? took + 3 * SECOND - phase : took;
}

static bool is_fast(void)
{
	return since_begin() > 20 * SECOND && since_begin() < 40 * SECOND;
}

static uint64_t slow_fast_slow(void)
{
	return exponential(is_fast() ? 5 * MS : 20 * MS);
}

static uint64_t microseconds(void)
{
	return (uint64_t)((0.5 + uniform()) * 10 * (double)US);
}

/* Takes 20 ms, and begins with one each half of a millisecond. */
static uint64_t rate_limited(void)
{
	uint64_t at = since_begin();

	if (now.next_free < at)
		now.next_free = at;
	at = now.next_free - at;
	now.next_free += MS / 2;
	return at + 20 * MS;
}

static int serve(void *unused)
{
	const struct plant *plant = now.plant;
	int err = 0;

	(void)unused;
	if (plant->places)
		err = bp_semaphore_acquire(&now.places, 1);
	if (err)
		return err;
	now.in_service++;
	err = bp_sleep(plant->service());
	now.in_service--;
	if (plant->places)
		bp_semaphore_release(&now.places, 1);
	if (!err && !now.over)
		now.ended++;
	return err;
}

/* Nobody wants it any more before it has begun. */
static int wait_for_cancel(void *unused)
{
	(void)unused;
	return bp_sleep(FAR_AWAY);
}

static int cancel_soon(void *arg)
{
	struct bp_handle *handle = arg;

	bp_sleep(5 * MS);
	bp_handle_cancel(handle, 0);
	bp_handle_release(handle);
	return 0;
}

/* ---------------------------------------------------------------- a run */

struct outcome {
	double rate; /* in a second */
	uint64_t peak;
	long asked, limit;
	const char *reason;
};

static int add_one(void)
{
	struct bp_handle *handle;
	int err;

	if (!now.plant->cancelled || uniform() * 100 >= now.plant->cancelled)
		return bp_go(now.group, serve, NULL);
	err = bp_go_handle(now.group, &handle, wait_for_cancel, NULL);
	return err ? err : bp_go(now.cancelling, cancel_soon, handle);
}

static int play(struct bp_engine *engine, void *arg)
{
	const struct plant *plant = now.plant;
	struct bp_group_stats st = {.sz = sizeof(st)};
	struct outcome *out = arg;
	unsigned long added = 0;
	uint64_t took, run_ns = plant->run_ns;
	int err;

	now.engine = engine;
	now.ended = now.in_service = 0;
	now.next_free = 0;
	now.random = 88172645463325252ull + now.variant * 7919;
	now.over = false;
	if (out->asked > 0 && plant->share)
		run_ns /= plant->share;
	bp_semaphore_init(&now.places, engine, plant->places);
	err = bp_group_create(&now.group, engine,
			      &BP_GROUP_OPTS(.limit = out->asked, .auto_most = MOST));
	if (!err)
		err = bp_group_create(&now.cancelling, engine, NULL);
	now.begin = bp_now(engine);
	while (!err && (run_ns ? since_begin() < run_ns : added++ < plant->items))
		err = add_one();
	if (!err && !run_ns)
		err = bp_wait(now.group);
	took = since_begin();
	now.over = true;
	bp_group_stats(now.group, &st);
	bp_cancel(now.group, 0);
	bp_wait(now.group);
	bp_wait(now.cancelling);
	bp_group_destroy(now.cancelling);
	bp_group_destroy(now.group);
	out->rate = (double)now.ended * (double)SECOND / (double)took;
	out->peak = st.peak;
	out->limit = st.limit;
	out->reason = st.limit_reason;
	return err;
}

static struct outcome run(const struct plant *plant, long limit)
{
	struct outcome out = {.asked = limit};

	now.plant = plant;
	/* A driven engine, and a schedule without any misfortune. */
	expect_eq(bp_sim_run(play, &out,
			     &BP_SIM_OPTS(.seeds = 1, .in_process = true, .short_io = 0,
					  .lost_cancels = 0, .late_completions = 0,
					  .full_queues = 0, .preempt = 0, .reorder = 0,
					  .latency_ns = 0, .max_events = UINT64_MAX),
			     NULL),
		  0);
	return out;
}

struct found {
	double best; /* rate of the best fixed limit */
	long at, least; /* that limit; the least one with 0.98 of it */
	struct outcome chosen;
};

static struct found try_all(const struct plant *plant)
{
	double rates[16];
	struct found found = {.chosen = run(plant, BP_LIMIT_AUTO)};
	unsigned int n = 0, worse = 0;

	/* After three in a row that are not better, none will be. */
	for (long limit = 1; limit <= MOST && worse < 3; limit *= 2, n++) {
		rates[n] = run(plant, limit).rate;
		worse = rates[n] > found.best * 1.01 ? 0 : worse + 1;
		if (rates[n] > found.best) {
			found.best = rates[n];
			found.at = limit;
		}
	}
	for (found.least = 1;
	     rates[__builtin_ctzl((unsigned long)found.least)] < 0.98 * found.best;)
		found.least *= 2;
	return found;
}

/* ---------------------------------------------------------------- the plants */

static const struct plant plants[] = {
	{"constant", "10 ms each, however many", 8 * SECOND, .share = 4, .service = constant},
	{"queue", "32 places, 10 ms exponential (M/M/32)", 20 * SECOND, .share = 4,
	 .service = mean_10ms, .places = 32},
	{"thrashing", "10 ms, from 40 on times (n/40)²", 20 * SECOND, .share = 4,
	 .service = thrashing},
	{"bimodal", "64 places, 2 ms, and one in five 20 ms", 60 * SECOND, .share = 4,
	 .service = bimodal, .places = 64},
	{"outages", "as queue, and half a second of three nothing", 20 * SECOND,
	 .service = with_outages, .places = 32},
	{"slow-fast-slow", "32 places, 20 ms, between 20 s and 40 s 5 ms", 60 * SECOND,
	 .service = slow_fast_slow, .places = 32},
	{"microseconds", "20 places, 5 to 15 us", 100 * MS, .share = 4, .service = microseconds,
	 .places = 20},
	{"rate", "20 ms, 2000 in a second", 10 * SECOND, .share = 2, .service = rate_limited},
	{"few", "200 items, 16 places, 10 ms exponential", .items = 200, .service = mean_10ms,
	 .places = 16},
	{"cancelled", "as queue, and of ten items eight cancelled", 120 * SECOND, .share = 4,
	 .service = mean_10ms, .places = 32, .cancelled = 80},
};

static struct found found[COUNT_OF(plants)];

/* The lines of the table, as they stand in the page. */
static void print_table(FILE *out)
{
	fprintf(out, "| plant | what an item does | best fixed, a second | least that gives it |"
		     " found, a second | ratio | most at once | at the end | why |\n"
		     "|---|---|---:|---:|---:|---:|---:|---:|---|\n");
	for (size_t i = 0; i < COUNT_OF(plants); i++) {
		const struct found *f = &found[i];

		fprintf(out, "| %s | %s | %.0f | %ld | %.0f | %.2f | %llu | %ld | %s |\n",
			plants[i].name, plants[i].what, f->best, f->least, f->chosen.rate,
			f->chosen.rate / f->best, (unsigned long long)f->chosen.peak,
			f->chosen.limit, f->chosen.reason);
	}
}

static void as_good_as_the_best_fixed_limit(struct test *t)
{
	if (UNDER_TSAN || UNDER_ASAN || under_valgrind())
		skip_because(t, "nothing but arithmetic, and the checkers make it slow");
	for (size_t i = 0; i < COUNT_OF(plants); i++) {
		found[i] = try_all(&plants[i]);
		if (found[i].chosen.rate < 0.92 * found[i].best)
			record_failure("%s: %.3f of the best fixed limit", plants[i].name,
				       found[i].chosen.rate / found[i].best);
	}
	print_table(stdout);
	fflush(stdout);
}

/* Where a server queues, the least that keeps it busy is hardly passed, at any instant. */
static void a_queue_is_hardly_filled(struct test *t)
{
	if (!found[0].best)
		skip_because(t, "the plants were not played");
	for (size_t i = 0; i < COUNT_OF(plants); i++) {
		const struct found *f = &found[i];

		if (!strcmp(plants[i].name, "queue") || !strcmp(plants[i].name, "rate") ||
		    !strcmp(plants[i].name, "outages"))
			expect_((double)f->chosen.peak <= 1.3 * (double)f->least, plants[i].name,
				__FILE__, __LINE__);
	}
}

/* Not only with the numbers that the table is made of. */
static void whatever_the_chance(struct test *t)
{
	const struct plant *queue = &plants[1];
	const double best = run(queue, 32).rate;

	(void)t;
	for (now.variant = 1; now.variant <= 5; now.variant++) {
		struct outcome out = run(queue, BP_LIMIT_AUTO);

		expect(out.rate >= 0.92 * best);
		expect_between(out.peak, 32, 41);
	}
	now.variant = 0;
}

/* After a million items it is where it was. */
static void it_does_not_drift(struct test *t)
{
	struct plant longer = plants[1];
	struct outcome out;

	(void)t;
	longer.run_ns = scaled(300) * SECOND;
	out = run(&longer, BP_LIMIT_AUTO);
	expect_between(out.limit, 26, 41);
	expect(out.peak <= 48);
}

static bool near(double a, double b, double part)
{
	return a >= b * (1 - part) && a <= b * (1 + part);
}

/* A row of the page says what came out, but for what another schedule of the library's changes. */
static bool row_is_so(const char *page, const struct plant *plant, const struct found *f)
{
	double best, rate, ratio;
	long least, peak, end;
	char row[256];
	const char *at;

	snprintf(row, sizeof(row), "\n| %s | %s |", plant->name, plant->what);
	at = strstr(page, row);
	return at &&
	       sscanf(at + strlen(row), "%lf | %ld | %lf | %lf | %ld | %ld |", &best, &least, &rate,
		      &ratio, &peak, &end) == 6 &&
	       near(best, f->best, 0.05) && least == f->least && near(rate, f->chosen.rate, 0.05) &&
	       near(ratio, f->chosen.rate / f->best, 0.05) &&
	       near((double)peak, (double)f->chosen.peak, 0.3) &&
	       near((double)end, (double)f->chosen.limit, 0.5);
}

static void the_page_has_the_table(struct test *t)
{
	FILE *file;
	char *page = NULL;
	size_t length = 0;

	if (!found[0].best)
		skip_because(t, "the plants were not played");
	file = fopen("docs/limit.md", "r");
	assert_non_null(file);
	assert_true(getdelim(&page, &length, '\0', file) > 0);
	fclose(file);
	for (size_t i = 0; i < COUNT_OF(plants); i++)
		if (!row_is_so(page, &plants[i], &found[i]))
			record_failure("docs/limit.md has another row of %s than came out above",
				       plants[i].name);
	free(page);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		ONCE(as_good_as_the_best_fixed_limit),
		ONCE(a_queue_is_hardly_filled),
		ONCE(whatever_the_chance),
		ONCE(it_does_not_drift),
		ONCE(the_page_has_the_table),
	};

	return RUN_CASES(argc, argv, cases);
}
