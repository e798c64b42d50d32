/* SPDX-License-Identifier: MIT */
/*
 * cmd_hangs - calls that do not come back: of a file server that does not answer, or of the kernel
 *
 * Each run has to write its records and to end within two seconds after its time is over. The
 * server lets a call go once its caller is killed: one that does not keeps any process from ending.
 */
#include "support/badmount.h"
#include "support/cmd.h"
#include "support/records.h"

#define ENDS_WITHIN (UNDER_TSAN ? 20.0 : 2.0)
#define TIME "300ms"

static const char *const backends[] = {"auto", "threads"};

static struct badmount *mounted(struct test *t, const char *hanging)
{
	struct badmount *bad;
	char path[16];

	fresh_dir(t);
	make_dir("b");
	make_dir("m");
	make_dir("b/d");
	for (int i = 0; i < 8; i++) {
		snprintf(path, sizeof(path), "b/d/%d", i);
		make_file(path, "hello\n");
	}
	make_file("b/f", "hello\n");
	make_file("good", "hello\n");
	/* A page that is being read keeps the next who opens the file, whom nothing can end. */
	bad = BADMOUNT(t, "b", "m", "interrupts on", "direct on");
	badmount_say(bad, "%s", hanging);
	return bad;
}

static void expect_soon(const struct run *run, double after, int line)
{
	if (run->seconds > after + ENDS_WITHIN)
		record_failure("%s:%d: %s took %.1f s", __FILE__, line, run->line, run->seconds);
}

static void a_read_that_hangs_is_a_timeout(struct test *t)
{
	struct badmount *bad = mounted(t, "hang read f");
	const struct records *records;
	struct run *run;

	for (size_t i = 0; i < COUNT_OF(backends); i++) {
		run = BP("hash", "--json", "--backend", backends[i], "--timeout", TIME, "-j", "1",
			 "--loops", "2", "--failed-to", "again", "--journal", "j", "good", "m/f",
			 "m/d/1", "m/d/2");
		expect_exit(run, 1);
		expect_soon(run, 0.3, __LINE__);
		records = expect_records(run, 4);
		expect_eq(records->timeout, 1);
		expect_eq(records->ok, 3);
		expect_out(SH("cat again; grep -c '^failed' j; rm j"), "m/f\n1\n");
	}
	badmount_end(bad);
}

static void a_read_that_hangs_ends_with_the_run(struct test *t)
{
	struct badmount *bad = mounted(t, "hang read f");
	const struct records *records;
	struct run *run;

	for (size_t i = 0; i < COUNT_OF(backends); i++) {
		run = BP("hash", "--json", "--backend", backends[i], "--deadline", TIME, "good",
			 "m/f");
		expect_exit(run, 124);
		expect_soon(run, 0.3, __LINE__);
		records = expect_records(run, 2);
		expect_eq(records->cancelled, 1);
		expect_eq(records->ok, 1);

		/* In the order of the input: what the first one held up comes behind it. */
		run = BP("hash", "--json", "-k", "--backend", backends[i], "--deadline", TIME,
			 "m/f", "good");
		expect_exit(run, 124);
		records = expect_records(run, 2);
		expect(!strcmp(records->all[0].src.data, "m/f"));
		expect_eq(records->cancelled, 1);
	}
	badmount_end(bad);
}

static void a_second_signal_ends_a_read_that_hangs(struct test *t)
{
	struct badmount *bad = mounted(t, "hang read f");
	const struct records *records;

	for (size_t i = 0; i < COUNT_OF(backends); i++) {
		struct run *run = START(HOW(.feed = false), "hash", "--json", "--backend",
					backends[i], "m/f", "good");

		badmount_say(bad, "await read 1");
		run_signal(run, SIGINT);
		run_signal(run, SIGINT);
		expect_exit(run_end(run), 128 + SIGINT);
		records = expect_records(run, 2);
		expect_eq(records->cancelled, 1);
	}
	badmount_end(bad);
}

static void other_calls_that_hang_end_with_the_run(struct test *t)
{
	static const struct {
		const char *hanging, *args;
		size_t records;
	} calls[] = {
		{"hang open f", "hash m/f good", 2},	 {"hang lookup f", "hash m/f good", 2},
		{"hang readdir", "hash -r m/d good", 2}, {"hang opendir", "hash -r m/d good", 2},
		{"hang read f", "copy m/f copied", 1},	 {"hang create", "copy good m/new", 1},
		{"hang write", "copy good m/new2", 1},	 {"hang unlink f", "rm m/f good", 2},
		{"hang readdir", "rm -r m/d", 1},
	};

	for (size_t i = 0; i < COUNT_OF(calls); i++) {
		for (size_t k = 0; k < COUNT_OF(backends); k++) {
			struct badmount *bad = mounted(t, calls[i].hanging);
			struct run *run = SH("exec \"$BATCHPROC\" $1 --json --deadline " TIME
					     " --backend $2",
					     calls[i].args, backends[k]);

			if (!expect_exit(run, 124))
				print_error("of: %s, %s\n", calls[i].hanging, calls[i].args);
			expect_soon(run, 0.3, __LINE__);
			expect_records(run, calls[i].records);
			badmount_end(bad);
			expect_exit(SH("rm -rf b m good copied"), 0);
		}
	}
}

/* Before there is a run: what it is given is looked at. No record is owed yet. */
static void what_hangs_before_the_run_ends_too(struct test *t)
{
	static const struct {
		const char *hanging, *args;
	} calls[] = {
		{"hang lookup new", "copy good m/new"},
		{"hang lookup d", "copy -r d2 m/d"},
		{"hang lookup f", "hash -T m/f"},
		{"hang open f", "run m/f"},
		{"hang lookup j", "hash --journal m/j good"},
		{"hang create j", "hash --journal m/j good"},
		{"hang create again", "hash --failed-to m/again good"},
	};

	for (size_t i = 0; i < COUNT_OF(calls); i++) {
		struct badmount *bad = mounted(t, calls[i].hanging);
		struct run *run;

		make_dir("d2");
		run = SH("exec \"$BATCHPROC\" $1 --deadline " TIME, calls[i].args);
		if (!expect_exit(run, 124))
			print_error("of: %s, %s\n", calls[i].hanging, calls[i].args);
		expect_soon(run, 0.3, __LINE__);
		expect_says(run, "deadline");
		badmount_end(bad);
		expect_exit(SH("rm -rf b m good d2"), 0);
	}
	/* One that is over at once leaves time for all records. */
	fresh_dir(t);
	make_file("f", "x");
	expect_records(BP("hash", "--json", "--deadline", "1ns", "f", "f"), 2);
}

/* What failed can be given to the command again, and does the rest. */
static void what_a_hanging_call_left_is_listed(struct test *t)
{
	struct badmount *bad = mounted(t, "hang unlink 3");

	expect_exit(BP("rm", "-rq", "--deadline", TIME, "--failed-to", "again", "m/d"), 124);
	expect_out(SH("cat again"), "m/d\n");
	badmount_say(bad, "release unlink 3");
	expect_exit(BP("rm", "-r", "-T", "again"), 0);
	expect_gone("b/d");
	badmount_end(bad);
}

static const struct test_case cases[] = {
	ONCE(a_read_that_hangs_is_a_timeout),	      ONCE(a_read_that_hangs_ends_with_the_run),
	ONCE(a_second_signal_ends_a_read_that_hangs), ONCE(other_calls_that_hang_end_with_the_run),
	ONCE(what_a_hanging_call_left_is_listed),     ONCE(what_hangs_before_the_run_ends_too),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
