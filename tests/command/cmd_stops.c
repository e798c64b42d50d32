/* SPDX-License-Identifier: MIT */
/*
 * cmd_stops - runs that end early: by policy, by time, by the limit
 *
 * The item - reads a pipe that the test holds open: a run that should have ended it and did not
 * hangs, and the harness says so.
 */
#include "support/cmd.h"
#include "support/records.h"

#define HELLO_SHA256 "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"

#define HELD HOW(.feed = true)

static void make_ab(void)
{
	make_file("a", "hello");
	make_file("b", "world");
}

/* Cancelled where it ran already, else never begun. */
static void expect_ended_early(const struct records *records, const char *src, int line)
{
	const char *status = status_of(records, src);

	if (strcmp(status, "cancelled") && strcmp(status, "not_started"))
		record_failure("%s:%d: %s is %s", __FILE__, line, src, status);
}

static void the_first_failure_ends_all(struct test *t)
{
	const struct records *records;
	struct run *run;

	fresh_dir(t);
	make_ab();
	run = RUN(HELD, "hash", "--json", "-e", "-j2", "-", "nosuch", "a", "b");
	records = expect_records(run, 4);
	expect_exit(run, 3);
	expect_status(records, "nosuch", "failed");
	expect_ended_early(records, "-", __LINE__);
	expect_says(run, "stopped by --fail-fast: ");
	expect_eq(strcmp(records->stopped, "halt"), 0);

	/* Nothing fails: nothing ends. */
	expect_exit(BP("hash", "-e", "a", "b"), 0);
}

static void a_long_list_ends_at_once_and_every_item_has_a_record(struct test *t)
{
	const unsigned long count = scaled(100000);
	struct text list = {0};
	const struct records *records;
	struct run *run;

	fresh_dir(t);
	make_ab();
	for (unsigned long i = 0; i < count; i++)
		text_printf(&list, "%s\n", i == count / 100 ? "nosuch" : "a");
	make_bytes("list", list.data, list.len);
	/*
	 * On one loop, so that none goes on while the one with the failure is kept from its work.
	 * The first does not end by itself, however quickly the others are done.
	 */
	run = RUN(HELD, "hash", "-e", "--json", "--loops", "1", "-", "-T", "list");
	records = expect_records(run, count + 1);
	expect_exit(run, 3);
	expect_eq(records->failed, 1);
	expect_between(records->not_started, count - 20000 < count ? count - 20000 : 0, count);
	text_free(&list);
}

static void the_first_success_wins_a_race(struct test *t)
{
	const struct records *records;
	struct run *run;

	fresh_dir(t);
	make_ab();
	run = RUN(HELD, "hash", "--json", "--race", "-j3", "-", "nosuch", "a");
	records = expect_records(run, 3);
	expect_exit(run, 0);
	expect_status(records, "a", "ok");
	expect_ended_early(records, "-", __LINE__);
	expect_eq(strcmp(records->stopped, "reached"), 0);
	run = RUN(HELD, "hash", "-q", "--race", "-j3", "-", "nosuch", "a");
	expect_out(run, HELLO_SHA256 "  a\n");
	/* A race that was won is nothing to complain about. */
	expect_err(run, "");

	expect_exit(BP("hash", "--race", "nosuch", "nosuch2"), 1);
}

static void a_quorum_ends_as_soon_as_it_is_certain(struct test *t)
{
	const struct records *records;
	struct run *run;

	fresh_dir(t);
	make_ab();
	run = RUN(HELD, "hash", "--json", "--quorum", "2", "-j3", "-", "a", "b");
	records = expect_records(run, 3);
	expect_exit(run, 0);
	expect_eq(records->ok, 2);
	expect_ended_early(records, "-", __LINE__);

	/* Three of three are out of reach after one failure. */
	run = RUN(HELD, "hash", "--json", "--quorum", "3", "-j3", "-", "a", "nosuch");
	records = expect_records(run, 3);
	expect_exit(run, 3);
	expect_ended_early(records, "-", __LINE__);
	expect_exit(RUN(HELD, "hash", "--quorum", "4", "-", "b"), 3);
	expect_exit(BP("hash", "--quorum", "2", "a", "nosuch", "b"), 0);
}

/* As the same items end without a policy, where it has kept none of them from its end. */
static void a_policy_that_the_last_item_meets_has_stopped_nothing(struct test *t)
{
	static const struct {
		const char *halt, *last;
		int exit, with_more;
	} runs[] = {
		{"soon,done=2", "b", 0, 3},	 {"now,done=2", "b", 0, 3},
		{"soon,done=2", "nosuch", 1, 3}, {"now,done=2", "nosuch", 1, 3},
		{"soon,fail=1", "nosuch", 1, 3}, {"now,fail=1", "nosuch", 1, 3},
		{"soon,success=2", "b", 0, 0},	 {"now,success=2", "b", 0, 0},
	};
	struct run *run;
	char path[16];

	fresh_dir(t);
	make_ab();
	for (size_t i = 0; i < COUNT_OF(runs); i++) {
		const struct records *records;

		run = BP("hash", "--json", "-v", "-j1", "--halt", runs[i].halt, "a", runs[i].last);
		expect_exit(run, runs[i].exit);
		expect_eq(text_count(&run->err, "stopped by"), 0);
		records = expect_records(run, 2);
		expect_eq(records->ok + records->failed, 2);
		expect(strcmp(records->stopped, "halt"));
		/* One more item, and it has. */
		run = BP("hash", "--json", "-j1", "--halt", runs[i].halt, "a", runs[i].last, "a");
		expect_exit(run, runs[i].with_more);
		expect_eq(expect_records(run, 3)->not_started, 1);
	}
	expect_exit(BP("hash", "-e", "-j1", "a", "nosuch"), 1);
	expect_exit(BP("hash", "--halt", "now,done=100%", "a", "b", "a"), 0);
	/* A quorum that was missed by all is like a race that was lost. */
	run = BP("hash", "--quorum", "2", "-j1", "a", "nosuch");
	expect_exit(run, 1);
	expect_says(run, "--quorum was not met: 1 ok, 1 failed\n");
	/* A tree, of which the last file is the fourth item. */
	make_dir("d");
	for (int i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "d/%d", i);
		make_file(path, "x");
	}
	expect_exit(BP("hash", "-r", "--halt", "soon,done=4", "d"), 0);
}

/* Soon: what runs may end. */
static void soon_waits_for_what_runs(struct test *t)
{
	const struct records *records;
	struct run *run;

	fresh_dir(t);
	make_ab();
	run = START(HELD, "hash", "--json", "--loops", "1", "-j2", "--halt", "soon,fail=1", "-",
		    "nosuch", "a", "b");
	until_printed(run, 1, "\"failed\"", 1);
	run_feed(run, "hello", 5);
	run_end((run_feed_end(run), run));
	records = expect_records(run, 4);
	expect_exit(run, 3);
	expect_status(records, "-", "ok");
	expect_status(records, "a", "not_started");
	expect_status(records, "b", "not_started");
}

static void counts_and_percentages(struct test *t)
{
	const struct records *records;
	struct text list = {0};

	fresh_dir(t);
	make_ab();
	records = expect_records(BP("hash", "--json", "-j1", "--halt", "soon,success=2", "a",
				    "nosuch", "b", "a"),
				 4);
	expect_eq(records->exit, 0);
	expect_eq(records->ok, 2);
	expect_eq(records->failed, 1);
	records = expect_records(BP("hash", "--json", "-j1", "--halt", "soon,done=3", "a", "nosuch",
				    "b", "a", "a"),
				 5);
	expect_eq(records->exit, 3);
	expect_eq(records->not_started, 2);
	records = expect_records(BP("hash", "--json", "-j1", "--halt", "now,fail=2", "nosuch", "a",
				    "nosuch1", "a"),
				 4);
	expect_eq(records->exit, 3);
	expect_eq(records->not_started, 1);

	/* Every tenth fails, one after the other: 5 % is soon too many, 50 % never. */
	for (int i = 0; i < 1000; i++)
		text_printf(&list, "%s\n", i % 10 ? "a" : "nosuch");
	records = expect_records(RUN(HOW(.input = list.data), "hash", "--json", "-j1", "--halt",
				     "now,fail=5%", "-T", "-"),
				 1000);
	expect_eq(records->exit, 3);
	expect_between(records->failed, 3, 100);
	records = expect_records(RUN(HOW(.input = list.data), "hash", "--json", "-j1", "--halt",
				     "now,fail=50%", "-T", "-"),
				 1000);
	expect_eq(records->exit, 1);
	expect_eq(records->failed, 100);
	text_free(&list);
}

static void an_item_that_takes_too_long_is_ended_alone(struct test *t)
{
	/* The longer ones where the machine takes too long even for a. */
	static const char *const timeouts[] = {"300ms", "3s", "30s"};
	const struct records *records;
	struct run *run;
	size_t i = 0;

	fresh_dir(t);
	make_ab();
	do {
		run = RUN(HELD, "hash", "--json", "--timeout", timeouts[i], "-", "a");
		records = expect_records(run, 2);
	} while (records->ok == 0 && ++i < COUNT_OF(timeouts));
	expect_exit(run, 1);
	expect_status(records, "-", "timeout");
	expect_status(records, "a", "ok");
	if (record_of(records, "-")) {
		expect_between(record_of(records, "-")->dur_us, 200000, 60000000);
		expect_eq(strcmp(record_of(records, "-")->error_name, "ETIMEDOUT"), 0);
	}
	run = RUN(HELD, "hash", "--timeout", "10ms", "-", "--failed-to", "failed");
	expect_says(run, "-: took longer than --timeout allows");
	expect_out(SH("cat failed"), "-\n");

	/* A file is read in pieces, between which time can run out. */
	make_sparse("huge", (off_t)1 << 40);
	run = RUN(HOW(.feed = false), "hash", "--json", "--timeout", "50ms", "huge");
	expect_status(expect_records(run, 1), "huge", "timeout");
}

static void a_failure_counts_to_the_policy_when_it_is_a_timeout(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_sparse("huge", (off_t)1 << 40);
	run = RUN(HELD, "hash", "--json", "-e", "--timeout", "50ms", "-j1", "huge", "-");
	expect_records(run, 2);
	expect_exit(run, 3);
}

/* Whoever opens a FIFO waits for the other end: not longer than for anything else. */
static void a_fifo_without_another_end_holds_up_nobody(struct test *t)
{
	static const char *const all[][3] = {
		{"verify", "p"},
		{"hash", "-Tp"},
		{"run", "-Tp"},
		{"hash", "--failed-to=p", "a"},
	};
	struct run *run;

	fresh_dir(t);
	make_ab();
	assert_int_equal(mkfifo("p", 0600), 0);
	for (size_t i = 0; i < COUNT_OF(all); i++) {
		run = BP(all[i][0], "--deadline=50ms", all[i][1], all[i][2]);
		expect_exit(run, 124);
		run = START(HOW(.feed = false), all[i][0], all[i][1], all[i][2]);
		usleep(200000);
		kill(run->pid, SIGTERM);
		expect_exit(run_end(run), 128 + SIGTERM);
	}
	/* One that comes late is waited for. */
	run = SH("(sleep 0.3; $BATCHPROC hash a) >p & exec $BATCHPROC verify p");
	expect_exit(run, 0);
	expect_out(run, "a: OK\n");
	run = SH("(sleep 0.3; exec cat p) & $BATCHPROC hash -q --failed-to p nosuch; wait");
	expect_exit(run, 0);
	expect_out(run, "nosuch\n");
}

static void the_deadline_ends_whatever_is_going_on(struct test *t)
{
	const struct records *records;
	struct run *run;

	fresh_dir(t);
	make_ab();
	make_sparse("huge", (off_t)1 << 40);

	/* an item that waits for data, and one that waits for its place */
	run = RUN(HELD, "hash", "--json", "--deadline", "50ms", "-j1", "-", "a");
	records = expect_records(run, 2);
	expect_exit(run, 124);
	expect_ended_early(records, "-", __LINE__);
	expect_status(records, "a", "not_started");
	expect_eq(strcmp(records->stopped, "deadline"), 0);
	expect_says(run, "stopped by --deadline: ");

	/* items that compute */
	run = BP("hash", "--json", "--deadline", "50ms", "huge", "huge");
	expect_records(run, 2);
	expect_exit(run, 124);

	/* a list that says nothing */
	run = RUN(HELD, "hash", "--json", "--deadline", "50ms", "-T", "-");
	expect_records(run, 0);
	expect_exit(run, 124);
	expect_says(run, "the list was not read to its end");

	/* a list of digests likewise */
	expect_exit(RUN(HELD, "verify", "--deadline", "50ms", "-"), 124);

	/* a pause between attempts */
	run = BP("hash", "--json", "--deadline", "50ms", "--retries", "9", "--retry-delay", "1h",
		 "/proc/self/mem");
	expect_records(run, 1);
	expect_exit(run, 124);

	/* nothing, because it comes first */
	expect_exit(BP("hash", "--deadline", "1h", "a"), 0);
	run = BP("hash", "--json", "--deadline", "1ns", "a", "b");
	expect_eq(expect_records(run, 2)->not_started, 2);
	expect_exit(run, 124);
}

/* Its writer has been silent for long: nothing is to be waited for. Once of many times is proof. */
static void the_deadline_is_not_late_for_a_silent_list(struct test *t)
{
	uint64_t least = UINT64_MAX;

	fresh_dir(t);
	for (int i = 0; i < 20 && least > 600000; i++) {
		struct run *run = RUN(HELD, "hash", "--json", "--deadline", "400ms", "-T", "-");
		const struct records *records = expect_records(run, 0);

		expect_exit(run, 124);
		expect_says(run, "the list was not read to its end");
		if (records->wall_us < least)
			least = records->wall_us;
	}
	expect_between(least, 400000, 600000);
}

static void the_deadline_ends_a_walk(struct test *t)
{
	const struct records *records;
	char path[64];
	struct run *run;

	fresh_dir(t);
	make_dir("d");
	for (int i = 0; i < 20; i++) {
		snprintf(path, sizeof(path), "d/%d", i);
		make_dir(path);
		snprintf(path, sizeof(path), "d/%d/huge", i);
		make_sparse(path, (off_t)1 << 40);
	}
	run = BP("hash", "-r", "--json", "--deadline", "100ms", "-j2", "d");
	records = expect_records(run, text_count(&run->out, "\n") - 1);
	expect_exit(run, 124);
	expect_eq(records->ok + records->failed, 0);
	/* What was not reached is not forgotten: its directory has a record. */
	run = BP("hash", "-r", "--deadline", "100ms", "-j2", "d", "--failed-to", "failed");
	expect_exit(run, 124);
	run = SH("xargs -I{} find {} -type f <failed | sort -u | wc -l");
	expect_out(run, "20\n");
}

static void what_finds_no_place_is_rejected(struct test *t)
{
	const struct records *records;
	struct run *run;

	fresh_dir(t);
	make_ab();
	run = START(HELD, "hash", "--json", "--on-full", "reject", "-j1", "--failed-to", "failed",
		    "-", "a", "b");
	until_printed(run, 1, "\"rejected\"", 2);
	run_feed(run, "hello", 5);
	run_end((run_feed_end(run), run));
	records = expect_records(run, 3);
	expect_exit(run, 1);
	expect_status(records, "-", "ok");
	expect_status(records, "a", "rejected");
	expect_status(records, "b", "rejected");
	/* The fallback. */
	expect_out(SH("cat failed"), "a\nb\n");
	expect_exit(BP("hash", "-T", "failed"), 0);
	/* With places enough nothing is rejected. */
	expect_exit(BP("hash", "--on-full", "reject", "-j3", "a", "b", "a"), 0);
}

static void what_waits_for_a_place_is_done_or_has_its_record(struct test *t)
{
	const struct records *records;
	struct text list = {0};

	fresh_dir(t);
	make_ab();
	/* More than are read before there is a place for them. */
	text_printf(&list, "-\n");
	for (int i = 0; i < 500; i++)
		text_printf(&list, "a\n");
	make_bytes("list", list.data, list.len);

	/* The first has the only place, and gives it to the next when its time is over. */
	records = expect_records(
		RUN(HELD, "hash", "--json", "-j1", "--timeout", "100ms", "-T", "list"), 501);
	expect_status(records, "-", "timeout");
	expect_eq(records->ok, 500);
	expect_eq(records->peak, 1);
	/* It has it until the end. */
	records = expect_records(
		RUN(HELD, "hash", "--json", "-j1", "--deadline", "200ms", "-T", "list"), 501);
	expect_ended_early(records, "-", __LINE__);
	expect_eq(records->ok, 0);
	expect_between(records->not_started, 500, 501);
	/* It stops when one of those that have another one fails. */
	text_printf(&list, "nosuch\n");
	for (int i = 0; i < 500; i++)
		text_printf(&list, "a\n");
	make_bytes("list", list.data, list.len);
	records = expect_records(
		RUN(HELD, "hash", "--json", "-e", "-j2", "--loops", "1", "-T", "list"), 1002);
	expect_ended_early(records, "-", __LINE__);
	expect_eq(records->failed, 1);
	expect_between(records->ok, 500, 502);
	expect_between(records->peak, 1, 2);
	text_free(&list);
}

static void the_limit_holds(struct test *t)
{
	struct text list = {0};
	static const char *const limits[] = {"1", "2", "7", "100000"};

	fresh_dir(t);
	make_ab();
	for (int i = 0; i < 2000; i++)
		text_printf(&list, "a\n");
	for (size_t i = 0; i < COUNT_OF(limits); i++) {
		/* expect_records() holds the peak against the limit. */
		const struct records *records =
			expect_records(RUN(HOW(.input = list.data), "hash", "--json", "-j",
					   limits[i], "--loops", "3", "-T", "-"),
				       2000);

		expect_eq(records->ok, 2000);
		expect_between(records->limit, 1, strtoul(limits[i], NULL, 10));
		expect_between(records->peak, 1, records->limit);
	}
	text_free(&list);
}

/* As the manual has it, and GNU parallel: not of those that have ended so far. */
static void percentages_are_of_all_items_where_their_number_is_known(struct test *t)
{
	static const char *const scripts[] = {
		"\"$BATCHPROC\" hash --json -j1 --loops 1 --halt soon,$1 $(seq 200)",
		"seq 200 >list; \"$BATCHPROC\" hash --json -j1 --loops 1 --halt soon,$1 -T list",
		"seq 200 >list; \"$BATCHPROC\" hash --json -j1 --loops 1 --halt soon,$1 -T - <list",
		"seq -f 'hash %g' 200 >jobs; \"$BATCHPROC\" run --json -j1 --loops 1 --halt soon,$1 jobs",
		("seq 60 | sed 's/.*/rm & &.1/' >jobs; seq 40 | sed 's/.*/copy & &.1 d/' >more; mkdir -p d;"
		 "\"$BATCHPROC\" run --json -j1 --loops 1 --halt soon,$1 jobs more"),
	};

	fresh_dir(t);
	for (size_t i = 0; i < COUNT_OF(scripts); i++) {
		const struct records *records = expect_records(SH(scripts[i], "fail=10%"), 200);

		/* One more may have been started meanwhile. */
		expect_between(records->failed, 20, 21);
		expect(!strcmp(records->stopped, "halt"));
		records = expect_records(SH(scripts[i], "done=10%"), 200);
		expect_between(records->failed, 20, 21);
	}
}

/* Of a tree and of a stream: of the items that have ended, three at least; of what is done it waits. */
static void percentages_where_the_number_is_not_known(struct test *t)
{
	static const char *const scripts[] = {
		"seq 200 | \"$BATCHPROC\" hash --json -j1 --loops 1 --halt soon,$1 -T -",
		"seq -f 'hash %g' 200 | \"$BATCHPROC\" run --json -j1 --loops 1 --halt soon,$1",
		("{ seq -f 'hash %g' 199; echo 'hash -r d'; } >jobs; mkdir -p d; echo x >d/f;"
		 "\"$BATCHPROC\" run --json -j1 --loops 1 --halt soon,$1 jobs"),
	};
	const struct records *records;

	fresh_dir(t);
	for (size_t i = 0; i < COUNT_OF(scripts); i++) {
		/* Perhaps all of them were found by then, and it is of all. */
		records = expect_records(SH(scripts[i], "fail=10%"), 200);
		expect_between(records->failed, 3, 21);
		expect(!strcmp(records->stopped, "halt"));
		records = expect_records(SH(scripts[i], "done=100%"), 200);
		expect_eq(records->not_started, 0);
	}
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		ONCE(the_first_failure_ends_all),
		ONCE(a_long_list_ends_at_once_and_every_item_has_a_record),
		ONCE(the_first_success_wins_a_race),
		ONCE(a_quorum_ends_as_soon_as_it_is_certain),
		ONCE(a_policy_that_the_last_item_meets_has_stopped_nothing),
		ONCE(soon_waits_for_what_runs),
		ONCE(counts_and_percentages),
		ONCE(an_item_that_takes_too_long_is_ended_alone),
		ONCE(a_failure_counts_to_the_policy_when_it_is_a_timeout),
		ONCE(the_deadline_ends_whatever_is_going_on),
		ONCE(a_fifo_without_another_end_holds_up_nobody),
		ONCE(the_deadline_is_not_late_for_a_silent_list),
		ONCE(the_deadline_ends_a_walk),
		ONCE(what_finds_no_place_is_rejected),
		ONCE(what_waits_for_a_place_is_done_or_has_its_record),
		ONCE(the_limit_holds),
		ONCE(percentages_are_of_all_items_where_their_number_is_known),
		ONCE(percentages_where_the_number_is_not_known),
	};

	return RUN_CASES(argc, argv, cases);
}
