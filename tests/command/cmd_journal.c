/* SPDX-License-Identifier: MIT */
/*
 * cmd_journal - what is noted about a run, how another goes on with it, and what is refused
 *
 * The work is hash, whose digests a resumed run prints again.
 */
#include <sys/stat.h>
#include <sys/syscall.h>

#include "support/cmd.h"
#include "support/deny.h"
#include "support/journals.h"
#include "support/records.h"

/* Another time than the one it has, whatever the clock's steps are. */
static void change_time(const char *name)
{
	const struct timespec times[2] = {{1000000000, 5}, {1000000000, 6}};

	assert_int_equal(utimensat(AT_FDCWD, name, times, 0), 0);
}

/* ---------------------------------------------------------------- going on */

static void a_resumed_run_does_only_what_is_missing_or_changed(struct test *t)
{
	const struct records *records;
	struct run *first, *again;

	fresh_dir(t);
	make_journal_tree(200);
	first = BP(HASH_D);
	expect_exit(first, 0);
	again = BP(RESUME_D);
	expect_exit(again, 0);
	expect_same(first, again);
	expect_eq(again->err.len, 0);

	/* Another size, another time, a new one, one that is gone. */
	make_file("d/0/f1", "and so on and on");
	change_time("d/1/f51");
	make_file("d/3/new", "new");
	assert_int_equal(unlink("d/2/f100"), 0);
	again = BP("hash", "-r", "--journal", "J", "--resume", "--json", "d");
	records = expect_records(again, 200);
	expect_exit(again, 0);
	expect_eq(records->ok, 3);
	expect_eq(records->skipped, 197);
	expect_(!strcmp(status_of(records, "d/0/f1"), "ok"), "size", __FILE__, __LINE__);
	expect_(!strcmp(status_of(records, "d/1/f51"), "ok"), "time", __FILE__, __LINE__);
	expect_(!strcmp(status_of(records, "d/3/new"), "ok"), "new", __FILE__, __LINE__);
	expect_eq(text_count(&again->out, "\"error\":\"done according to the journal\""), 197);
	expect_eq(text_count(&again->out, "\"digest\":\""), 200);

	expect_same(BP(RESUME_D), BP("hash", "-r", "d"));
	expect_eq(expect_records(BP("hash", "-r", "--journal", "J", "--resume", "--json", "d"), 200)
			  ->skipped,
		  200);
}

static void one_command_line_is_run_again_and_again(struct test *t)
{
	fresh_dir(t);
	make_file("a", "hello");
	for (int i = 0; i < 3; i++) {
		struct run *run = BP("hash", "--journal", "J", "--resume", "a");

		expect_exit(run, 0);
		expect_out(run, HELLO_SHA256 "  a\n");
	}
	/* An empty file is none yet: mktemp makes such. */
	make_file("empty", "");
	expect_exit(BP("hash", "--journal", "empty", "a"), 0);
	expect_out(BP("hash", "--journal", "empty", "--resume", "a"), HELLO_SHA256 "  a\n");
}

static void what_failed_is_done_again(struct test *t)
{
	const struct records *records;
	struct run *run;

	fresh_dir(t);
	make_file("a", "hello");
	make_file("b", "world");
	expect_exit(BP("hash", "--journal", "J", "a", "c"), 1);
	make_file("c", "hello");

	/* Of all, what failed: what was never there is not taken either. */
	run = BP("hash", "--journal", "J", "--retry-failed", "--json", "a", "b", "c");
	records = expect_records(run, 3);
	expect_exit(run, 0);
	expect_(!strcmp(status_of(records, "a"), "skipped"), "a", __FILE__, __LINE__);
	expect_(!strcmp(status_of(records, "b"), "skipped"), "b", __FILE__, __LINE__);
	expect_(!strcmp(status_of(records, "c"), "ok"), "c", __FILE__, __LINE__);
	expect_eq(text_count(&run->out, "\"error\":\"has not failed according to the journal\""),
		  2);

	/* The last line of an item counts. */
	run = BP("hash", "--journal", "J", "--retry-failed", "a", "b", "c");
	expect_exit(run, 0);
	expect_out(run, "");
	run = BP("hash", "--journal", "J", "--resume", "-k", "a", "b", "c");
	expect_out(run, HELLO_SHA256 "  a\n" WORLD_SHA256 "  b\n" HELLO_SHA256 "  c\n");
	assert_int_equal(unlink("c"), 0);
	expect_exit(BP("hash", "--journal", "J", "--resume", "a", "b", "c"), 1);
	make_file("c", "hello");
	run = BP("hash", "--journal", "J", "--retry-failed", "a", "b", "c");
	expect_out(run, HELLO_SHA256 "  c\n");
}

static void names_of_any_bytes_are_found_again(struct test *t)
{
	struct run *first, *again;
	char name[3] = "";

	fresh_dir(t);
	make_dir("d");
	for (int c = 1; c < 256; c++) {
		if (c == '/')
			continue;
		snprintf(name, sizeof(name), "x%c", c);
		assert_int_equal(chdir("d"), 0);
		make_file(name, name);
		/* One that would be the other's escape. */
		if (c == '\t')
			make_file("x\\t", "other");
		assert_int_equal(chdir(".."), 0);
	}
	first = BP("hash", "-z", "-r", "--journal", "J", "d");
	expect_exit(first, 0);
	again = BP("hash", "-z", "-r", "--journal", "J", "--resume", "-v", "d");
	expect_same_z(first, again);
	expect_says(again, "0 ok, 255 skipped");
}

static void a_path_longer_than_the_kernel_takes_is_found_again(struct test *t)
{
	struct run *run;
	char *path;

	fresh_dir(t);
	path = make_deep("top", 30, "hello");
	expect_exit(BP("hash", "-r", "--journal", "J", "top"), 0);
	run = BP("hash", "-r", "--journal", "J", "--resume", "-v", "top");
	expect_says(run, "0 ok, 1 skipped");
	expect_eq(text_count(&run->out, HELLO_SHA256), 1);
	run = BP("hash", "--journal", "J", "--resume", "-v", path);
	expect_says(run, "0 ok, 1 skipped");
	free(path);
	remove_deep("top");
}

/* A relative name means another file elsewhere. */
static void the_working_directory_is_a_part_of_a_name(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_dir("x");
	make_dir("y");
	make_file("x/a", "hello");
	make_file("y/a", "world");
	change_time("x/a");
	change_time("y/a");
	assert_int_equal(chdir("x"), 0);
	expect_exit(BP("hash", "--journal", "../J", "a"), 0);
	assert_int_equal(chdir("../y"), 0);
	expect_out(BP("hash", "--journal", "../J", "--resume", "a"), WORLD_SHA256 "  a\n");
	assert_int_equal(chdir(".."), 0);
	run = SH("cd x && exec \"$1\" hash --journal ../J --resume -v \"$2/x/a\"",
		 getenv("BATCHPROC"), t->dir);
	expect_says(run, "0 ok, 1 skipped");
}

static void standard_input_is_never_done(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	expect_exit(RUN(HOW(.input = "hello"), "hash", "--journal", "J", "-"), 0);
	run = RUN(HOW(.input = "world"), "hash", "--journal", "J", "--resume", "-");
	expect_out(run, WORLD_SHA256 "  -\n");
}

static void a_dry_run_tells_what_would_be_done(struct test *t)
{
	struct text journal;
	struct run *run;

	fresh_dir(t);
	make_file("a", "hello");
	make_file("b", "world");
	run = BP("hash", "--journal", "J", "--resume", "-n", "a");
	expect_out(run, "hash a\n");
	expect_eq(access("J", F_OK), -1);

	expect_exit(BP("hash", "--journal", "J", "a", "c"), 1);
	journal = read_all("J");
	expect_out(BP("hash", "--journal", "J", "--resume", "-n", "a", "b"), "hash b\n");
	expect_out(BP("hash", "--journal", "J", "--retry-failed", "-n", "a", "b", "c"), "hash c\n");
	expect_file("J", &journal);
	text_free(&journal);
}

static void what_is_done_counts_for_a_quorum(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_file("a", "hello");
	expect_exit(BP("hash", "--journal", "J", "a"), 0);
	run = BP("hash", "--journal", "J", "--resume", "--quorum", "2", "a", "a", "nothing");
	expect_exit(run, 0);
	expect_exit(BP("hash", "--journal", "J", "--resume", "--race", "a"), 0);
}

static void a_verified_file_is_verified_again_when_its_digest_is_another(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_file("a", "hello");
	make_file("b", "hello");
	make_file("list", HELLO_SHA256 "  a\n" WORLD_SHA256 "  b\n");
	run = BP("verify", "--journal", "J", "-k", "list");
	expect_exit(run, 1);
	expect_out(run, "a: OK\nb: FAILED\n");
	run = BP("verify", "--journal", "J", "--resume", "-k", "-v", "list");
	expect_exit(run, 1);
	expect_out(run, "a: OK\nb: FAILED\n");
	expect_says(run, "0 ok, 1 failed, 1 skipped");
	run = BP("verify", "--journal", "J", "--resume", "--ignore-missing", "--quiet", "list");
	expect_out(run, "b: FAILED\n");

	/* The list is right now, then wrong about what was right. */
	make_file("list", HELLO_SHA256 "  a\n" HELLO_SHA256 "  b\n");
	run = BP("verify", "--journal", "J", "--retry-failed", "-k", "list");
	expect_exit(run, 0);
	make_file("list", WORLD_SHA256 "  a\n" HELLO_SHA256 "  b\n");
	run = BP("verify", "--journal", "J", "--resume", "-k", "list");
	expect_exit(run, 1);
	expect_out(run, "a: FAILED\nb: OK\n");
}

static void what_was_removed_and_is_there_again_is_removed_again(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_journal_tree(10);
	make_file("a", "hello");
	expect_exit(BP("rm", "-r", "--journal", "J", "d", "a"), 0);
	/* Without the journal it is an error that they are not there. */
	expect_exit(BP("rm", "-r", "d", "a"), 1);
	run = BP("rm", "-r", "--journal", "J", "--resume", "--json", "d", "a");
	expect_exit(run, 0);
	expect_eq(expect_records(run, 2)->skipped, 2);

	make_journal_tree(10);
	make_file("a", "hello");
	run = BP("rm", "-r", "--journal", "J", "--resume", "--json", "d", "a");
	expect_exit(run, 0);
	expect_eq(expect_records(run, 13)->ok, 13);
	expect_eq(access("d", F_OK) + access("a", F_OK), -2);
}

/* ---------------------------------------------------------------- refusals */

static void expect_refused(const struct run *run, const char *why)
{
	expect_exit(run, 2);
	expect_out(run, "");
	expect_says(run, why);
}

static void a_journal_is_not_taken_for_another(struct test *t)
{
	struct text journal;
	struct run *run;

	fresh_dir(t);
	make_file("a", "hello");
	expect_exit(BP("hash", "--journal", "J", "a"), 0);
	journal = read_all("J");
	expect_refused(BP("hash", "--journal", "J", "a"), "J exists already");
	expect_refused(BP("hash", "-a", "md5", "--journal", "J", "--resume", "a"),
		       "J is the journal of 'hash algorithm=sha256', not of 'hash algorithm=md5'");
	expect_refused(BP("verify", "--journal", "J", "--resume", "a"), "not of 'verify'");
	expect_refused(BP("hash", "--journal", "J", "--resume", "--failed-to", "J", "a"),
		       "--failed-to J is the journal");
	expect_file("J", &journal);

	/* Options that change only how the result is shown are no other work. */
	run = BP("hash", "--tag", "-j1", "--journal", "J", "--resume", "-v", "a");
	expect_says(run, "1 skipped");

	/* By force; and a digest of the other algorithm is not taken for one of this. */
	run = BP("hash", "-a", "md5", "--journal", "J", "--force-resume", "-v", "a");
	expect_out(run, "5d41402abc4b2a76b9719d911017c592  a\n");
	expect_says(run, ": 1 ok;");
	run = BP("hash", "-a", "md5", "--journal", "J", "--resume", "-v", "a");
	expect_out(run, "5d41402abc4b2a76b9719d911017c592  a\n");
	expect_says(run, "0 ok, 1 skipped");
	text_free(&journal);
}

static void what_is_no_journal_is_left_alone(struct test *t)
{
	struct text precious;

	fresh_dir(t);
	make_file("a", "hello");
	make_file("precious", "My life's work, without a newline");
	precious = read_all("precious");
	expect_refused(BP("hash", "--journal", "precious", "a"), "is not a journal");
	expect_refused(BP("hash", "--journal", "precious", "--resume", "a"), "is not a journal");
	expect_refused(BP("hash", "--journal", "precious", "--force-resume", "a"),
		       "is not a journal");
	expect_refused(BP("hash", "--journal", "precious", "--retry-failed", "a"),
		       "is not a journal");
	expect_file("precious", &precious);
	text_free(&precious);

	make_dir("dir");
	assert_int_equal(mkfifo("fifo", 0644), 0);
	expect_refused(BP("hash", "--journal", "dir", "a"), "cannot open dir: Is a directory");
	expect_refused(BP("hash", "--journal", "fifo", "a"), "fifo is not a regular file");
	expect_refused(BP("hash", "--journal", "fifo", "--resume", "a"), "is not a regular file");
	expect_refused(BP("hash", "--journal", "/dev/full", "a"),
		       "/dev/full is not a regular file");
	expect_refused(BP("hash", "--journal", "no/where", "a"), "cannot open no/where");
	expect_refused(BP("hash", "--journal", "none", "--retry-failed", "a"),
		       "cannot open none: No such file");
}

static void going_on_needs_a_journal(struct test *t)
{
	fresh_dir(t);
	expect_refused(BP("hash", "--resume", "a"), "--resume needs --journal");
	expect_refused(BP("hash", "--retry-failed", "a"), "--retry-failed needs --journal");
	expect_refused(BP("hash", "--force-resume", "a"), "--force-resume needs --journal");
	expect_refused(BP("hash", "--journal", "J", "--resume", "--retry-failed", "a"),
		       "exclude each other");
	expect_eq(access("J", F_OK), -1);
}

static void a_second_process_is_refused(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_file("a", "hello");
	run = START(HOW(.feed = true), "hash", "--journal", "J", "-");
	run_feed(run, "x", 1);
	until_drained(run);
	expect_refused(BP("hash", "--journal", "J", "--resume", "a"),
		       "J is in use by another process");
	expect_refused(BP("hash", "--journal", "J", "--resume", "-n", "a"), "is in use");
	kill(run->pid, SIGKILL);
	run_end(run);
	expect_exit(run, 128 + SIGKILL);
	expect_exit(BP("hash", "--journal", "J", "--resume", "a"), 0);
}

/* On a file system without locks, or in a sandbox that refuses them. */
static void without_locks_a_journal_works_and_says_so(struct test *t)
{
	static const int errors[] = {ENOSYS, EPERM, ENOLCK, EOPNOTSUPP};
	struct run *run;

	fresh_dir(t);
	make_file("a", "hello");
	for (size_t i = 0; i < COUNT_OF(errors); i++) {
		const struct denied no_locks[] = {DENY(SYS_flock, errors[i]), DENY_END};

		unlink("J");
		run = RUN(HOW(.denied = no_locks), "hash", "--journal", "J", "a");
		expect_exit(run, 0);
		expect_says(run, "J cannot be locked (");
		expect_says(run, "another run that writes it too would not be noticed\n");
		run = RUN(HOW(.denied = no_locks), "hash", "-v", "--journal", "J", "--resume", "a");
		expect_exit(run, 0);
		expect_says(run, "1 skipped");
		/* Whoever comes later is told apart all the same: who made it was first. */
		expect_exit(RUN(HOW(.denied = no_locks), "hash", "--journal", "J", "a"), 2);
		make_file("J", "");
		run = RUN(HOW(.denied = no_locks), "hash", "--journal", "J", "a");
		expect_exit(run, 2);
		expect_says(run, "J exists already");
	}
}

static const struct test_case cases[] = {
	ONCE(a_resumed_run_does_only_what_is_missing_or_changed),
	ONCE(one_command_line_is_run_again_and_again),
	ONCE(what_failed_is_done_again),
	ONCE(names_of_any_bytes_are_found_again),
	ONCE(a_path_longer_than_the_kernel_takes_is_found_again),
	ONCE(the_working_directory_is_a_part_of_a_name),
	ONCE(standard_input_is_never_done),
	ONCE(a_dry_run_tells_what_would_be_done),
	ONCE(what_is_done_counts_for_a_quorum),
	ONCE(a_verified_file_is_verified_again_when_its_digest_is_another),
	ONCE(what_was_removed_and_is_there_again_is_removed_again),
	ONCE(a_journal_is_not_taken_for_another),
	ONCE(what_is_no_journal_is_left_alone),
	ONCE(going_on_needs_a_journal),
	ONCE(a_second_process_is_refused),
	ONCE(without_locks_a_journal_works_and_says_so),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
