/* SPDX-License-Identifier: MIT */
/*
 * cmd_pace - --rate, --bwlimit, --retries: how soon things are done
 *
 * A busy machine may always be later than asked for, so what is measured is that nothing came too
 * early; and that waits end when they must: a run whose wait does not end hangs, and the harness
 * says so.
 */
#include <sys/stat.h>

#include "support/cmd.h"
#include "support/records.h"

#define HELD HOW(.feed = true)

static const char *const backends[] = {"auto", "threads"};

/* When a run is to be ended: the later ones where the machine takes too long to begin. */
static const char *const deadlines[] = {"100ms", "2s", "20s"};

static void make_files(unsigned int count, size_t size)
{
	char name[16];

	for (unsigned int i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "d/%u", i);
		make_pattern(name, size);
	}
}

/* It took at least this long. */
static void expect_took(const struct run *run, double least, int line)
{
	if (run->seconds < least)
		record_failure("%s:%d: %s: took %.3f s, not %.3f s", __FILE__, line, run->line,
			       run->seconds, least);
}

/* ---------------------------------------------------------------- rate */

/* The moment of the day at which an item began, in milliseconds. */
static double began_ms(const struct record *record)
{
	int hours, minutes;
	double seconds;

	assert_int_equal(
		sscanf(strchr(record->start, 'T'), "T%d:%d:%lfZ", &hours, &minutes, &seconds), 3);
	return ((hours * 60 + minutes) * 60 + seconds) * 1000;
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* In no stretch of time do more begin than the rate, one, and the small burst allow. */
static void expect_smooth(const struct records *records, double per_ms, double burst, int line)
{
	size_t count = records->count;
	double *began = calloc(count, sizeof(*began));

	assert_non_null(began);
	for (size_t i = 0; i < count; i++) {
		began[i] = began_ms(&records->all[i]);
		/* Midnight. */
		if (began[i] < began_ms(&records->all[0]) - 43200000.0)
			began[i] += 86400000.0;
	}
	qsort(began, count, sizeof(*began), compare_doubles);
	for (size_t i = 0; i < count; i++) {
		for (size_t k = i + 1; k < count; k++) {
			/* One millisecond for what the records round off. */
			double may = (began[k] - began[i] + 1) * per_ms + burst;

			if ((double)(k - i) <= may)
				continue;
			record_failure("%s:%d: %zu items began within %.0f ms", __FILE__, line,
				       k - i, began[k] - began[i]);
			free(began);
			return;
		}
	}
	free(began);
}

static void items_start_at_the_rate_over_all_loops(struct test *t)
{
	const struct records *records;
	struct run *run;

	fresh_dir(t);
	make_dir("d");
	make_files(40, 10);
	for (size_t i = 0; i < COUNT_OF(backends); i++) {
		/* From the main thread, and from walkers on every loop. */
		run = SH("\"$BATCHPROC\" hash --json --rate 100/s --loops 3 --backend $1 d/*",
			 backends[i]);
		records = expect_records(run, 40);
		expect_eq(records->ok, 40);
		expect_took(run, 0.390, __LINE__);
		run = BP("hash", "--json", "--rate", "6000/m", "--loops", "3", "--backend",
			 backends[i], "-r", "d");
		records = expect_records(run, 40);
		expect_took(run, 0.390, __LINE__);
		/*
		 * A task begins a little after it was let go, and how much later differs; the
		 * smoothness of one loop is the stricter test.
		 */
		run = BP("hash", "--json", "--rate", "360000/h", "--loops", "1", "--backend",
			 backends[i], "-j", "100", "-r", "d");
		records = expect_records(run, 40);
		expect_smooth(records, 0.1, 5 + 10, __LINE__);
	}
}

/*
 * What was done before is passed over at once, also where each start is worth a tenth of a second.
 */
static void what_a_journal_passes_over_is_not_paced(struct test *t)
{
	const struct records *records;
	struct run *run;

	fresh_dir(t);
	make_dir("d");
	make_files(100, 10);
	expect_exit(SH("\"$BATCHPROC\" hash -q --journal j d/*"), 0);
	make_file("d/new1", "new");
	make_file("d/new2", "new");
	run = SH("\"$BATCHPROC\" hash --json --journal j --resume --rate 10/s d/*");
	records = expect_records(run, 102);
	expect_eq(records->ok, 2);
	expect_took(run, 0.090, __LINE__);
	if (run->seconds > 5)
		record_failure("100 items that were done before took %.1f s", run->seconds);
}

/* Nor does an item's time pass while it waits for its turn; but once it runs, it does. */
static void the_time_of_an_item_begins_after_its_wait(struct test *t)
{
	const struct records *records;
	struct run *run;

	fresh_dir(t);
	make_dir("d");
	make_files(10, 10);
	run = SH("\"$BATCHPROC\" hash --json --journal j --rate 10/s --timeout 400ms d/*");
	records = expect_records(run, 10);
	expect_eq(records->ok, 10);
	run = START(HOW(.feed = true), "hash", "--json", "--journal", "k", "--rate", "10/s",
		    "--timeout", "100ms", "-");
	records = expect_records(run_end(run), 1);
	expect_eq(records->timeout, 1);
}

/* After a pause of its input a run does not make up for the time that it had nothing to do. */
static void a_pause_is_not_made_up_for(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_dir("d");
	make_files(1, 10);
	run = START(HELD, "hash", "--rate", "10/s", "-T", "-");
	run_feed(run, "d/0\n", 4);
	until_printed(run, 1, "\n", 1);
	poll(NULL, 0, 300);
	run_feed(run, "d/0\nd/0\nd/0\n", 12);
	run_feed_end(run);
	run_end(run);
	expect_exit(run, 0);
	/* The three after the pause take two steps. */
	expect_took(run, 0.300 + 0.199, __LINE__);
}

/* Nor for the time that one item held the only place, while the others waited for theirs. */
static void what_waits_for_a_place_does_not_begin_at_once(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_dir("d");
	make_files(1, 10);
	run = START(HELD, "hash", "--rate", "10/s", "-j", "1", "-", "d/0", "d/0", "d/0", "d/0",
		    "d/0");
	poll(NULL, 0, 1000);
	run_feed_end(run);
	run_end(run);
	expect_exit(run, 0);
	/* Of the five after it one or two have had their turn. */
	expect_took(run, 1.000 + 0.190, __LINE__);
}

/* Of a tree that was left off the rest of a directory may have one record. */
static const struct records *expect_some_records(const struct run *run)
{
	return expect_records(run, text_count(&run->out, "\"seq\":"));
}

static void a_wait_for_the_rate_ends_with_the_run(struct test *t)
{
	const struct records *records;
	struct run *run;

	fresh_dir(t);
	make_dir("d");
	make_files(3, 10);
	/* The main thread waits in the first round, a walker in the second. */
	for (int i = 0; i < 2; i++) {
		const char *tree = i ? "-r" : "d/0", *arg = i ? "d" : "d/0";
		size_t k = 0;

		do {
			run = BP("hash", "--json", "--rate", "1/h", "--deadline", deadlines[k],
				 "d/1", tree, arg);
			records = expect_some_records(run);
		} while (records->ok == 0 && ++k < COUNT_OF(deadlines));
		expect_exit(run, 124);
		expect_eq(records->ok, 1);
		expect_between(records->not_started, 1, 3);

		run = BP("hash", "--json", "--rate", "1/h", "--halt", "soon,fail=1", "nosuch", tree,
			 arg);
		records = expect_some_records(run);
		expect_exit(run, 3);
		expect_between(records->not_started, 1, 3);

		run = START(HELD, "hash", "--json", "--rate", "1/h", "d/1", tree, arg);
		until_printed(run, 1, "\"status\":\"ok\"", 1);
		run_kill(run, SIGINT);
		run_end(run);
		records = expect_some_records(run);
		expect_exit(run, 128 + SIGINT);
		expect_between(records->not_started, 1, 3);
	}
}

static void attempts_count_for_the_rate(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	run = BP("hash", "--json", "--rate", "20/s", "--retries", "4", "--retry-delay", "1ms",
		 "/proc/self/mem");
	expect_eq(expect_records(run, 1)->failed, 1);
	expect_took(run, 0.199, __LINE__);
	/* And such a wait ends with the run, too. */
	run = BP("hash", "-q", "--rate", "1/h", "--retries", "4", "--retry-delay", "1ms",
		 "--deadline", "100ms", "/proc/self/mem");
	expect_exit(run, 124);
}

/* ---------------------------------------------------------------- bandwidth */

static void bytes_move_at_the_limit(struct test *t)
{
	const struct records *records;
	struct run *run;

	fresh_dir(t);
	make_dir("d");
	make_files(100, 1000);
	make_pattern("big", 300000);
	for (size_t i = 0; i < COUNT_OF(backends); i++) {
		/* Many small files, by several loops: nothing is moved before it is paid. */
		run = BP("hash", "--json", "--bwlimit", "300KB", "--loops", "3", "--backend",
			 backends[i], "-r", "d");
		records = expect_records(run, 100);
		expect_eq(records->bytes, 100000);
		expect_took(run, 0.330, __LINE__);
		/* One large file, and several at once. */
		run = BP("hash", "--bwlimit", "1MB", "--backend", backends[i], "big");
		expect_same(run, SH("sha256sum big"));
		expect_took(run, 0.299, __LINE__);
		run = BP("hash", "-a", "md5", "--bwlimit", "3MB", "--backend", backends[i], "big",
			 "big", "big");
		expect_same(run, SH("md5sum big big big"));
		expect_took(run, 0.299, __LINE__);
	}
	/* A pipe, where nobody knows how much will come. */
	run = SH("cat big | \"$BATCHPROC\" hash --bwlimit 1000KB -");
	expect_same(run, SH("sha256sum - <big"));
	expect_took(run, 0.299, __LINE__);
	/* A limit that is far away changes nothing; nor does it for files without a size. */
	expect_same(BP("hash", "--bwlimit", "1T", "big", "d/1", "/proc/version"),
		    SH("sha256sum big d/1 /proc/version"));
	expect_same(BP("hash", "--bwlimit", "10M", "/proc/version"), SH("sha256sum /proc/version"));
}

/* While it lasts, too: the limit is not made up of a rush and a wait. */
static void a_large_file_comes_evenly(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_pattern("big", 3000000);
	run = START(HELD, "hash", "--bwlimit", "500KB", "--progress", "json", "-q", "big");
	/* The first line, after a second: a sixth of it, and what is read at once. */
	until_printed(run, 2, "}\n", 1);
	kill(run->pid, SIGKILL);
	run_end(run);
	if (expect_says(run, "\"bytes\":")) {
		unsigned long bytes = strtoul(strstr(run->err.data, "\"bytes\":") + 8, NULL, 10);
		unsigned long us = strtoul(strstr(run->err.data, "\"elapsed_us\":") + 13, NULL, 10);

		expect_between(bytes, 1, us / 2 + 50000);
	}
}

static void a_wait_for_bytes_ends_with_the_run(struct test *t)
{
	const struct records *records;
	struct run *run;
	size_t k = 0;

	fresh_dir(t);
	make_pattern("big", 100000);
	do {
		run = BP("hash", "--json", "--bwlimit", "100", "--deadline", deadlines[k], "big",
			 "big");
		records = expect_records(run, 2);
	} while (records->not_started && ++k < COUNT_OF(deadlines));
	expect_exit(run, 124);
	expect_eq(records->cancelled, 2);
	run = BP("hash", "--json", "--bwlimit", "100", "--timeout", "100ms", "big", "big");
	records = expect_records(run, 2);
	expect_exit(run, 1);
	expect_eq(records->timeout, 2);
	run = BP("hash", "--json", "--bwlimit", "100", "-e", "-j3", "big", "big", "nosuch");
	expect_records(run, 3);
	expect_exit(run, 3);
	/* The first signal lets what runs end, the second does not. */
	run = START(HELD, "hash", "--json", "--bwlimit", "100", "-", "big");
	run_feed(run, "x", 1);
	until_drained(run);
	run_signal(run, SIGTERM);
	run_kill(run, SIGTERM);
	run_end(run);
	expect_records(run, 2);
	expect_exit(run, 128 + SIGTERM);
}

/* ---------------------------------------------------------------- retries */

static void expect_attempts(const struct records *records, const char *src, const char *name,
			    unsigned int attempts)
{
	const struct record *record = record_of(records, src);

	if (record && (record->attempts != attempts || strcmp(record->error_name, name)))
		record_failure("%s: %s after %u attempts, not %s after %u", src, record->error_name,
			       (unsigned int)record->attempts, name, attempts);
}

static void permanent_errors_are_not_tried_again(struct test *t)
{
	const struct records *records;
	char long_name[301];

	fresh_dir(t);
	make_file("a", "hello");
	make_dir("d");
	memset(long_name, 'x', 300);
	long_name[300] = '\0';
	assert_int_equal(symlink("loop", "loop"), 0);
	/* Its first byte belongs to no mapping: reading gives EIO, again and again. */
	records = expect_records(BP("hash", "--json", "--retries", "3", "--retry-delay", "1ms",
				    "/proc/self/mem", "nosuch", "d", "a/x", "loop", long_name, "a"),
				 7);
	expect_attempts(records, "/proc/self/mem", "EIO", 4);
	expect_attempts(records, "nosuch", "ENOENT", 1);
	expect_attempts(records, "d", "EISDIR", 1);
	expect_attempts(records, "a/x", "ENOTDIR", 1);
	expect_attempts(records, "loop", "ELOOP", 1);
	expect_attempts(records, long_name, "ENAMETOOLONG", 1);
	expect_attempts(records, "a", "", 1);
}

static void who_may_not_read_does_not_try_again(struct test *t)
{
	const struct records *records;

	need_root(t);
	fresh_dir(t);
	make_file("a", "hello");
	assert_int_equal(chmod("a", 0), 0);
	records =
		expect_records(RUN(HOW(.uid = NOBODY), "hash", "--json", "--retries", "3", "a"), 1);
	expect_attempts(records, "a", "EACCES", 1);
}

/* What was read of it is gone: another attempt would take the rest for the whole. */
static void standard_input_is_read_once(struct test *t)
{
	const struct records *records;
	int eio = open_eio();

	fresh_dir(t);
	records = expect_records(RUN(HOW(.in = eio), "hash", "--json", "--retries", "3", "-"), 1);
	expect_attempts(records, "-", "EIO", 1);
	close(eio);
}

static void the_pauses_between_attempts_grow(struct test *t)
{
	const struct records *records;
	const struct record *record;

	fresh_dir(t);
	records = expect_records(BP("hash", "--json", "--retries", "3", "--retry-delay", "40ms",
				    "/proc/self/mem"),
				 1);
	record = record_of(records, "/proc/self/mem");
	/* At least a half of 40, 80 and 160 ms. */
	if (record)
		expect_between(record->dur_us, 140000, 3600000000u);
}

static void a_pause_between_attempts_ends_with_the_run(struct test *t)
{
	struct run *run;
	size_t k = 0;

	fresh_dir(t);
	run = BP("hash", "-q", "--retries", "3", "--retry-delay", "1h", "--deadline", "100ms",
		 "/proc/self/mem");
	expect_exit(run, 124);
	do {
		run = BP("hash", "--retries", "3", "--retry-delay", "1h", "--timeout", deadlines[k],
			 "/proc/self/mem");
	} while (!strstr(run->err.data, "--timeout") && ++k < COUNT_OF(deadlines));
	expect_exit(run, 1);
	expect_says(run, "took longer than --timeout allows");
	/* Already the first signal: the pause is nothing that runs. */
	run = START(HELD, "hash", "--json", "--retries", "3", "--retry-delay", "1h",
		    "/proc/self/mem", "nosuch");
	until_printed(run, 1, "\"failed\"", 1);
	run_kill(run, SIGINT);
	run_end(run);
	expect_records(run, 2);
	expect_exit(run, 128 + SIGINT);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		ONCE(items_start_at_the_rate_over_all_loops),
		ONCE(a_pause_is_not_made_up_for),
		ONCE(what_waits_for_a_place_does_not_begin_at_once),
		ONCE(what_a_journal_passes_over_is_not_paced),
		ONCE(the_time_of_an_item_begins_after_its_wait),
		ONCE(a_wait_for_the_rate_ends_with_the_run),
		ONCE(attempts_count_for_the_rate),
		ONCE(bytes_move_at_the_limit),
		ONCE(a_large_file_comes_evenly),
		ONCE(a_wait_for_bytes_ends_with_the_run),
		ONCE(permanent_errors_are_not_tried_again),
		ONCE(who_may_not_read_does_not_try_again),
		ONCE(standard_input_is_read_once),
		ONCE(the_pauses_between_attempts_grow),
		ONCE(a_pause_between_attempts_ends_with_the_run),
	};

	return RUN_CASES(argc, argv, cases);
}
