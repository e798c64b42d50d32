/* SPDX-License-Identifier: MIT */
/*
 * cmd_limits - few descriptors, closed ones, output that cannot be written, each backend
 */
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "support/cmd.h"
#include "support/deny.h"
#include "support/records.h"

#define HELLO_SHA256 "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"

static void make_tree(unsigned int dirs, unsigned int files)
{
	char path[64];

	make_dir("d");
	for (unsigned int i = 0; i < dirs; i++) {
		snprintf(path, sizeof(path), "d/%u", i);
		make_dir(path);
		for (unsigned int k = 0; k < files; k++) {
			snprintf(path, sizeof(path), "d/%u/%u", i, k);
			make_file(path, path);
		}
	}
}

static void few_descriptors_lose_no_file(struct test *t)
{
	static const struct how few = {.nofile = 32};
	struct run *expected, *run;

	fresh_dir(t);
	make_tree(40, 50);
	expected = SH("find d -type f -print0 | xargs -0 sha256sum");

	/* Each loop has descriptors of its own, however many processors there are. */
	run = RUN(&few, "hash", "-j", "1000", "-r", "d", "--loops", "2");
	expect_exit(run, 0);
	expect_same(run, expected);
	run = RUN(&few, "hash", "-j", "1000", "-r", "d", "--loops", "4");
	expect_exit(run, 0);
	expect_same(run, expected);
	run = RUN(&few, "hash", "-j", "1000", "-rk", "d", "--backend", "threads", "--loops", "2");
	expect_exit(run, 0);
	expect_same(run, expected);
	run = SH("find d -type f >list; ulimit -n 32; "
		 "exec \"$BATCHPROC\" hash -j 1000 --loops 2 -T list");
	expect_exit(run, 0);
	expect_same(run, expected);
	run = RUN(&few, "hash", "-v", "-j", "1000", "--loops", "2", "d/0/0");
	expect_exit(run, 0);
	expect_says(run, "the limit of open files");
}

/* Down to what cannot work: then that is said, and no file is lost in silence. */
static void hardly_any_descriptors_work_or_say_why(struct test *t)
{
	struct run *expected;

	fresh_dir(t);
	make_tree(5, 10);
	expected = SH("find d -type f -print0 | xargs -0 sha256sum");
	for (rlim_t nofile = 24; nofile >= 5; nofile -= nofile > 14 ? 5 : 1) {
		struct run *run = RUN(HOW(.nofile = nofile), "hash", "-r", "d", "--loops", "2");

		if (run->status == 0) {
			expect_same(run, expected);
			continue;
		}
		expect_exit(run, 125);
		expect_(strstr(run->err.data, "Too many open files") ||
				strstr(run->err.data, "limit of open files"),
			"it says why", __FILE__, __LINE__);
	}
}

static void every_backend_and_number_of_loops_gives_the_same(struct test *t)
{
	static const char *const backends[] = {"auto", "uring", "threads"};
	static const char *const loops[] = {"1", "2", "3", "4"};
	struct run *expected;

	fresh_dir(t);
	make_tree(10, 20);
	make_pattern("d/big", 3000000);
	expected = SH("find d -type f -print0 | xargs -0 sha256sum");
	for (size_t b = 0; b < COUNT_OF(backends); b++) {
		struct run *info = BP("info", "--backend", backends[b]);

		if (info->status) {
			print_message("%s is not tried: %s", backends[b],
				      strstr(info->out.data, "reason"));
			continue;
		}
		for (size_t i = 0; i < COUNT_OF(loops); i++) {
			struct run *run = BP("hash", "-r", "--backend", backends[b], "--loops",
					     loops[i], "d");

			expect_exit(run, 0);
			expect_same(run, expected);
			run = BP("hash", "-rk", "-j1", "--backend", backends[b], "--loops",
				 loops[i], "d", "nosuch");
			expect_exit(run, 1);
			expect_same(run, expected);
		}
	}
}

/* As in a container with the usual profile. */
static void without_io_uring_it_works_on_threads(struct test *t)
{
	static const struct how refused = {.no_uring = true};
	const struct records *records;
	struct run *run;

	fresh_dir(t);
	make_tree(10, 20);
	make_pattern("d/big", 3000000);
	run = RUN(&refused, "info");
	expect_exit(run, 0);
	expect_eq(text_count(&run->out, "\nbackend             threads\n"), 1);
	run = RUN(&refused, "hash", "-r", "d");
	expect_exit(run, 0);
	expect_same(run, SH("find d -type f -print0 | xargs -0 sha256sum"));
	records = expect_records(RUN(&refused, "hash", "--json", "-r", "d", "nosuch"), 202);
	expect_eq(strcmp(records->backend, "threads"), 0);
	/* Both possible causes are named. */
	expect(strstr(records->reason, "kernel.io_uring_disabled") &&
	       strstr(records->reason, "seccomp"));
	expect_eq(records->failed, 1);

	run = RUN(&refused, "hash", "--backend", "uring", "d/big");
	expect_exit(run, 125);
	expect_says(run,
		    "cannot start: io_uring is forbidden here (EPERM): kernel.io_uring_disabled is "
		    "set, or a seccomp filter, such as a container's default profile, denies it");
	expect_exit(RUN(&refused, "info", "--backend", "uring"), 1);

	/* The deadline and the cancel work there too. */
	make_sparse("huge", (off_t)1 << 40);
	run = RUN(&refused, "hash", "--json", "--deadline", "50ms", "huge", "huge");
	expect_records(run, 2);
	expect_exit(run, 124);
	run = RUN(HOW(.no_uring = true, .feed = true), "hash", "--json", "--race", "-j2", "-",
		  "d/big");
	expect_records(run, 2);
	expect_exit(run, 0);
}

/* ---------------------------------------------------------------- standard descriptors */

static void closed_descriptors_are_not_taken_for_files(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_file("a", "hello");
	for (unsigned int closed = 0; closed < 8; closed++) {
		run = RUN(HOW(.closed = closed), "hash", "a", "nosuch");
		/* Without standard output there is nowhere to write to. */
		expect_exit(run, closed & 2 ? 125 : 1);
		if (!(closed & 2))
			expect_out(run, HELLO_SHA256 "  a\n");
		expect_out(SH("cat a"), "hello");
	}
	run = RUN(HOW(.closed = 1), "hash", "-");
	expect_exit(run, 1);
	expect_says(run, "-: Bad file descriptor");
	run = RUN(HOW(.closed = 1), "hash", "-T", "-");
	expect_between(run->status, 2, 125);
	run = RUN(HOW(.closed = 2), "hash", "a");
	expect_says(run, "cannot write standard output");
	expect_exit(RUN(HOW(.closed = 2), "--help"), 125);
}

static void output_that_cannot_be_written_is_125(struct test *t)
{
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	struct run *run;

	fresh_dir(t);
	make_tree(10, 20);
	if (full < 0)
		skip_because(t, "there is no /dev/full here");
	run = RUN(HOW(.out = full), "hash", "d/0/0");
	expect_exit(run, 125);
	expect_says(run, "cannot write standard output: No space left on device");
	expect_eq(text_count(&run->err, "\n"), 1 + (text_count(&run->err, "stopped: ") > 0));
	expect_exit(RUN(HOW(.out = full), "hash", "--json", "-r", "d"), 125);
	expect_exit(RUN(HOW(.out = full), "hash", "--json", "-r", "d", "nosuch"), 125);
	expect_exit(RUN(HOW(.out = full), "hash", "-rk", "d"), 125);
	expect_exit(RUN(HOW(.out = full), "info"), 125);
	expect_exit(RUN(HOW(.out = full), "hash", "--help"), 125);
	/* Messages are another matter: the data was written. */
	run = RUN(HOW(.err = full), "hash", "d/0/0", "nosuch");
	expect_exit(run, 1);
	expect_eq(text_count(&run->out, "\n"), 1);
	close(full);
}

static void a_reader_that_goes_away_ends_it(struct test *t)
{
	struct run *run;
	int out[2];

	fresh_dir(t);
	make_tree(10, 20);
	run = SH("\"$BATCHPROC\" hash -r d | head -n 1 >/dev/null; yes d/0/0 |"
		 "{ \"$BATCHPROC\" hash -T -; echo $? >&2; } | head -n 1 | cut -c 65-");
	expect_out(run, "  d/0/0\n");
	expect_err(run, "141\n");

	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	close(out[0]);
	run = RUN(HOW(.out = out[1]), "hash", "d/0/0");
	expect_exit(run, 128 + SIGPIPE);
	/* Where the signal is ignored the error must not be. */
	run = RUN(HOW(.out = out[1], .ignored = SIGPIPE), "hash", "d/0/0");
	expect_exit(run, 125);
	expect_says(run, "cannot write standard output: Broken pipe");
	close(out[1]);
}

/* A reader that is slow holds the feed up: what waits for it stays within bounds. */
static void slow_readers_cost_no_memory(struct test *t)
{
	const unsigned long count = scaled(200000);
	struct text list = {0};
	struct run *run;
	int waiting = 0, before;

	fresh_dir(t);
	make_file("a", "hello");
	for (unsigned long i = 0; i < count; i++)
		text_printf(&list, "a\n");
	run = START(HOW(.input = list.data), "hash", "--json", "-a", "xxh3", "--loops", "2", "-T",
		    "-");
	/* Until the pipe is full and stays so. */
	do {
		before = waiting;
		poll(NULL, 0, 20);
		ioctl(run->fd[0], FIONREAD, &waiting);
	} while (waiting != before || waiting < 16384);
	run_end(run);
	expect_exit(run, 0);
	expect_eq(text_count(&run->out, "\"status\":\"ok\""), count);
	/* All records together are more than it may take. */
	expect_between(run->out.len, count * 160, SIZE_MAX);
	if (!UNDER_ASAN && !UNDER_TSAN)
		expect_between(run->usage.ru_maxrss, 0, 20000);
	text_free(&list);
}

static void order_is_kept_in_bounded_memory(struct test *t)
{
	const unsigned long count = scaled(200000);
	struct text list = {0};
	struct run *run;

	fresh_dir(t);
	make_file("a", "hello");
	for (unsigned long i = 0; i < count; i++)
		text_printf(&list, "a\n");
	make_bytes("list", list.data, list.len);
	run = START(HOW(.feed = true), "hash", "-k", "-a", "xxh3", "--loops", "2", "-", "-T",
		    "list");
	/* The first item is open; all behind it would wait for it. */
	run_feed(run, "x", 1);
	until_drained(run);
	for (int i = 0; i < 5; i++)
		run_signal(run, SIGUSR1);
	expect_eq(run->out.len, 0);
	run_feed_end(run);
	run_end(run);
	expect_exit(run, 0);
	expect_eq(text_count(&run->out, "XXH3 (a) = "), count);
	if (!UNDER_ASAN && !UNDER_TSAN)
		expect_between(run->usage.ru_maxrss, 0, 20000);
	text_free(&list);
}

/* However long the name is, what is wrong with it stands behind it. */
static void a_message_is_as_long_as_it_has_to_be(struct test *t)
{
	char name[6000];
	struct run *run;

	fresh_dir(t);
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	run = BP("hash", "-T", name);
	expect_exit(run, 2);
	expect_says(run, "xxx: File name too long\n");
	run = BP("hash", "-a", name);
	expect_exit(run, 2);
	expect_says(run, "xxx' is not ");
}

/* ---------------------------------------------------------------- surroundings */

static void surroundings_do_not_matter(struct test *t)
{
	static const char *const bare[] = {"TERM", "HOME", "PATH", "LANG", "LC_ALL=C", NULL};
	static const char *const odd[] = {"TERM=",  "LC_ALL=xx_YY.nonsense", "NO_COLOR=1",
					  "TZ=:/x", "POSIXLY_CORRECT=1",     "OPENSSL_CONF=/nosuch",
					  NULL};
	struct run *expected;

	fresh_dir(t);
	make_file("a", "hello");
	make_file("\xc3\xa9\xff", "hello");
	expected = SH("sha256sum a \"$1\"", "\xc3\xa9\xff");
	expect_same(RUN(HOW(.env = bare), "hash", "a", "\xc3\xa9\xff"), expected);
	expect_same(RUN(HOW(.env = odd), "hash", "a", "\xc3\xa9\xff"), expected);
	expect_eq(text_count(&RUN(HOW(.env = odd), "hash", "--json", "a")->out,
			     "\"status\":\"ok\""),
		  1);
}

static void the_working_directory_need_not_be_writable(struct test *t)
{
	struct run *run;

	need_root(t);
	fresh_dir(t);
	make_file("a", "hello");
	assert_int_equal(chmod(".", 0555), 0);
	expect_out(RUN(HOW(.uid = NOBODY), "hash", "-r", "."), HELLO_SHA256 "  ./a\n");
	run = RUN(HOW(.uid = NOBODY), "hash", "a", "--failed-to", "failed");
	expect_exit(run, 2);
	expect_says(run, "cannot write failed: Permission denied");
	assert_int_equal(chmod(".", 0755), 0);
}

static void a_working_directory_that_is_gone(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_dir("gone");
	run = SH("cd gone && rmdir ../gone && exec \"$BATCHPROC\" hash -r . a");
	expect_exit(run, 1);
	expect_eq(run->out.len, 0);
}

static void a_ring_without_memory_is_not_put_down_to_a_limit_that_is_none(struct test *t)
{
	static const struct denied none[] = {DENY(SYS_io_uring_setup, ENOMEM), DENY_END};
	struct run *run;

	need_root(t);
	fresh_dir(t);
	run = RUN(HOW(.denied = none), "info");
	expect_exit(run, 0);
	expect_eq(text_count(&run->out, "io_uring got no memory (ENOMEM)"), 1);
	/* Where rings count as locked memory, root's do not. */
	expect_eq(text_count(&run->out, "RLIMIT_MEMLOCK"), 0);
}

/* Some user that has no processes, so that only the command's own threads count. */
#define LONELY (1000000000u + (uid_t)getpid())

/*
 * With one thread more than the command begins with, or none, the kernel has no worker for files that
 * are not read at once: they are read all the same.
 */
static void where_no_further_thread_can_be_made(struct test *t)
{
	static const char *const jobs[] = {"hash --json large small", "copy --json large small out",
					   "verify --json list", "rm --json -r out"};
	unsigned int started = 0;

	fresh_dir(t);
	if (geteuid())
		skip_because(t, "only root can be another user");
	if (UNDER_ASAN)
		skip_because(t, "LeakSanitizer needs a thread of its own");
	make_pattern("large", 20 << 20);
	make_pattern("small", 1000);
	/* A copy: nobody else may be able to come to where it was built. */
	expect_exit(SH("sha256sum large small >list && chmod 777 . && cp \"$BATCHPROC\" command"),
		    0);
	for (int threads = 1; threads < 10 && started < 3; threads++) {
		bool starts = true;

		for (size_t i = 0; i < COUNT_OF(jobs) && starts; i++) {
			char script[200];
			struct run *run;

			snprintf(script, sizeof(script),
				 "mkdir -p out; ulimit -u %d; exec ./command %s --loops 1", threads,
				 jobs[i]);
			run = RUN(HOW(.program = "bash", .uid = LONELY), "-c", script);
			starts = run->status != 125 || !strstr(run->err.data, "cannot start");
			if (starts && !expect_exit(run, 0))
				print_error("%d threads: %s\n", threads, jobs[i]);
		}
		started += starts;
	}
	expect_eq(started, 3);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		ONCE(few_descriptors_lose_no_file),
		ONCE(hardly_any_descriptors_work_or_say_why),
		ONCE(every_backend_and_number_of_loops_gives_the_same),
		ONCE(without_io_uring_it_works_on_threads),
		ONCE(closed_descriptors_are_not_taken_for_files),
		ONCE(output_that_cannot_be_written_is_125),
		ONCE(a_reader_that_goes_away_ends_it),
		ONCE(slow_readers_cost_no_memory),
		ONCE(order_is_kept_in_bounded_memory),
		ONCE(a_message_is_as_long_as_it_has_to_be),
		ONCE(surroundings_do_not_matter),
		ONCE(the_working_directory_need_not_be_writable),
		ONCE(a_working_directory_that_is_gone),
		ONCE(where_no_further_thread_can_be_made),
		ONCE(a_ring_without_memory_is_not_put_down_to_a_limit_that_is_none),
	};

	return RUN_CASES(argc, argv, cases);
}
