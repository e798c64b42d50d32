// SPDX-License-Identifier: MIT
/*
 * cmd_journal - what is noted about a run, and how another goes on with it
 *
 *	run, ended anyhow --> journal, damaged anyhow --resume--> the output of an undisturbed run
 *
 * The work is hash, whose digests a resumed run prints again.
 */
#include <sys/stat.h>
#include <sys/wait.h>

#include "cmd.h"
#include "records.h"

#define HELLO_SHA256 "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
#define WORLD_SHA256 "486ea46224d1bb4fb680f34f7c9ad96a8f24ec88be73ea8e5a6c65260e9cb8a7"

#define HASH_D "hash", "-r", "--journal", "J", "d"
#define RESUME_D "hash", "-r", "--journal", "J", "--resume", "d"

/* A tree of @count small files, no two of them alike. */
static void make_tree(unsigned int count)
{
	char path[64];

	make_dir("d");
	for (unsigned int i = 0; i < count; i++) {
		if (i % 50 == 0) {
			snprintf(path, sizeof(path), "d/%u", i / 50);
			make_dir(path);
		}
		snprintf(path, sizeof(path), "d/%u/f%u", i / 50, i);
		make_file(path, path);
	}
}

static struct text read_all(const char *name)
{
	struct text text = {0};
	char block[4096];
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	text_add(&text, "", 0);
	while ((n = read(fd, block, sizeof(block))) > 0)
		text_add(&text, block, (size_t)n);
	close(fd);
	return text;
}

static void expect_file(const char *name, const struct text *expected)
{
	struct text now = read_all(name);

	expect_(now.len == expected->len && !memcmp(now.data, expected->data, now.len),
		"the file is as it was", __FILE__, __LINE__);
	text_free(&now);
}

static uint64_t random_step(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return *state >> 33;
}

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
	make_tree(200);
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
	make_tree(10);
	make_file("a", "hello");
	expect_exit(BP("rm", "-r", "--journal", "J", "d", "a"), 0);
	/* Without the journal it is an error that they are not there. */
	expect_exit(BP("rm", "-r", "d", "a"), 1);
	run = BP("rm", "-r", "--journal", "J", "--resume", "--json", "d", "a");
	expect_exit(run, 0);
	expect_eq(expect_records(run, 2)->skipped, 2);

	make_tree(10);
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

/* ---------------------------------------------------------------- disasters */

/* What the journal says is done has been printed. */
static void expect_printed_what_is_done(const struct run *run)
{
	struct text journal = read_all("J"), line = {0};
	const char *at = journal.data, *end;

	for (; (end = strchr(at, '\n')); at = end + 1) {
		char digest[65] = "", name[300] = "";
		const char *d;

		if (sscanf(at, "ok\t%*s\t%*s\tsha256:%64s\thash\t%299[^\t\n]", digest, name) != 2)
			continue;
		d = strstr(name, "/d/");
		line.len = 0;
		text_printf(&line, "%s  %s\n", digest, d ? d + 1 : name);
		if (text_count(&run->out, line.data) != 1)
			record_failure("done, but not printed: %s", line.data);
	}
	text_free(&line);
	text_free(&journal);
}

/*
 * Killed when some lines are there, somewhere in what it does next: reading, printing, noting. Each
 * run goes on with the journal of the one before until one ends. A run takes a tenth of a second, or
 * most would have ended before the signal comes.
 */
static void killed_at_any_moment_nothing_is_lost(struct test *t)
{
	const unsigned int count = (unsigned int)scaled(1000);
	struct run *whole, *run, *last;
	unsigned int killed = 0;
	uint64_t state = 1;
	char rate[32];

	fresh_dir(t);
	make_tree(count);
	snprintf(rate, sizeof(rate), "%u/s", 10 * count);
	whole = BP("hash", "-r", "d");
	for (unsigned int i = 0; i < 50; i++) {
		/* The journal goes on for a while, then another begins. */
		if (i % 5 == 0)
			unlink("J");
		run = START(HOW(.feed = false), "hash", "--rate", rate, "-r", "--journal", "J",
			    "--resume", "d");
		until_printed(run, 1, "\n", random_step(&state) % count);
		/* From none to a fraction of the run's time. */
		for (uint64_t spin = random_step(&state) % 20000; spin; spin--)
			__asm__ volatile("");
		kill(run->pid, SIGKILL);
		run_end(run);
		killed += run->status == 128 + SIGKILL;
		if (i % 5 == 0)
			expect_printed_what_is_done(run);
		if (i % 5 == 4) {
			last = BP(RESUME_D);
			expect_exit(last, 0);
			expect_eq(last->err.len, 0);
			expect_same(whole, last);
		}
	}
	expect_between(killed, 25, 50);
}

/* The journal of a run over the tree, and what that printed. */
static struct run *journal_of_tree(unsigned int count, struct text *journal)
{
	struct run *run;

	make_tree(count);
	run = BP(HASH_D);
	expect_exit(run, 0);
	*journal = read_all("J");
	return run;
}

static void cut_at_any_byte_it_goes_on(struct test *t)
{
	struct run *whole, *again;
	struct text journal;
	uint64_t state = 2;

	fresh_dir(t);
	whole = journal_of_tree(20, &journal);
	for (size_t i = 0; i < 120; i++) {
		/* Each byte of the first line, then any. */
		size_t cut = i < 65 ? i : random_step(&state) % journal.len;
		struct text now;

		make_bytes("J", journal.data, cut);
		again = BP(RESUME_D);
		expect_exit(again, 0);
		expect_eq(again->err.len, 0);
		expect_same(whole, again);
		/* The torn line is gone, not glued to the next one. */
		now = read_all("J");
		expect_eq(now.len, journal.len);
		text_free(&now);
	}
	text_free(&journal);
}

static void a_damaged_line_is_passed_over_and_said(struct test *t)
{
	struct run *whole, *again;
	struct text journal;
	uint64_t state = 3;
	size_t header;

	fresh_dir(t);
	whole = journal_of_tree(20, &journal);
	header = (size_t)(strchr(journal.data, '\n') - journal.data) + 1;
	for (size_t i = 0; i < scaled(100); i++) {
		size_t at = header + random_step(&state) % (journal.len - header - 1);
		char flip = (char)(1u << random_step(&state) % 8);

		journal.data[at] ^= flip;
		make_bytes("J", journal.data, journal.len);
		again = BP(RESUME_D);
		expect_exit(again, 0);
		expect_same(whole, again);
		expect_says(again, "passed over, the first is line ");
		journal.data[at] ^= flip;
	}
	text_free(&journal);
}

static void a_damaged_first_line_needs_force(struct test *t)
{
	struct run *whole, *again;
	struct text journal, damaged;
	size_t header;

	fresh_dir(t);
	whole = journal_of_tree(20, &journal);
	header = (size_t)(strchr(journal.data, '\n') - journal.data);
	for (size_t at = 0; at < header; at += 3) {
		journal.data[at] ^= 4;
		make_bytes("J", journal.data, journal.len);
		damaged = read_all("J");
		again = BP(RESUME_D);
		expect_exit(again, 2);
		expect_file("J", &damaged);
		again = BP("hash", "-r", "--journal", "J", "--force-resume", "-v", "d");
		expect_exit(again, 0);
		expect_same(whole, again);
		expect_says(again, "0 ok, 20 skipped");
		journal.data[at] ^= 4;
		text_free(&damaged);
	}
	text_free(&journal);
}

/* Zeros where the file system had room but no data, a line of megabytes, lines of nothing. */
static void any_rubbish_is_passed_over(struct test *t)
{
	struct text journal, rubbish = {0};
	struct run *whole, *again;

	fresh_dir(t);
	whole = journal_of_tree(20, &journal);
	text_add(&rubbish, journal.data, journal.len);
	text_printf(&rubbish, "\n\n\t\n");
	for (size_t i = 0; i < 40; i++) {
		char zeros[65536] = "";

		/* Part of it zeros, part letters; together more than a line may have. */
		memset(zeros, i % 2 ? 'x' : 0, sizeof(zeros));
		for (int j = 0; j < 8; j++)
			text_add(&rubbish, zeros, sizeof(zeros));
	}
	text_printf(&rubbish, "\n");
	text_add(&rubbish, strchr(journal.data, '\n') + 1, 4096 < journal.len ? 2000 : 100);
	make_bytes("J", rubbish.data, rubbish.len);
	again = BP("hash", "-r", "--journal", "J", "--resume", "-v", "d");
	expect_exit(again, 0);
	expect_same(whole, again);
	expect_says(again, "4 damaged lines passed over");
	expect_says(again, "its last line was not whole");
	expect_says(again, "0 ok, 20 skipped");
	text_free(&rubbish);
	text_free(&journal);
}

static void a_journal_that_cannot_grow_ends_the_run(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_tree(100);
	run = SH("ulimit -f 4; exec \"$1\" hash -r --journal J d", getenv("BATCHPROC"));
	expect_exit(run, 125);
	expect_says(run, "cannot write J: File too large");
	expect_printed_what_is_done(run);
	run = BP(RESUME_D);
	expect_exit(run, 0);
	expect_same(run, BP("hash", "-r", "d"));

	/* Not even the first line. ThreadSanitizer's own start writes a file, and dies of it. */
	if (UNDER_TSAN)
		return;
	run = SH("ulimit -f 0; exec \"$1\" hash -r --journal K d", getenv("BATCHPROC"));
	expect_exit(run, 125);
	expect_says(run, "cannot write K: File too large");
	expect_out(run, "");
}

static void a_full_disk_ends_the_run(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_tree(200);
	make_dir("m");
	run = SH("unshare -m sh -c 'mount -t tmpfs -o size=16k none m'");
	if (run->status)
		skip_because(t, "this user cannot mount a small file system");
	run = SH("unshare -m sh -c 'mount -t tmpfs -o size=16k none m; "
		 "\"$0\" hash -r --journal m/J d >out; status=$?; cat m/J >J; exit $status' \"$1\"",
		 getenv("BATCHPROC"));
	expect_exit(run, 125);
	expect_says(run, "cannot write m/J: No space left on device");
	run = BP(RESUME_D);
	expect_exit(run, 0);
	expect_same(run, BP("hash", "-r", "d"));
}

/* Lost output is no success, and the journal knows nothing of what could not be printed. */
static void what_could_not_be_printed_is_not_done(struct test *t)
{
	struct text journal;
	struct run *run;
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

	fresh_dir(t);
	make_tree(100);
	run = RUN(HOW(.out = full), HASH_D);
	expect_exit(run, 125);
	close(full);
	journal = read_all("J");
	expect_eq(text_count(&journal, "\n"), 1);
	text_free(&journal);
	run = BP(RESUME_D);
	expect_exit(run, 0);
	expect_same(run, BP("hash", "-r", "d"));
}

/* The first signal lets end what runs, and that is noted; what did not start is done later. */
static void an_interrupted_run_is_completed(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_file("a", "hello");
	make_file("b", "world");
	run = START(HOW(.feed = true), "hash", "-j1", "--journal", "J", "a", "-", "b");
	run_feed(run, "x", 1);
	until_drained(run);
	run_signal(run, SIGINT);
	run_feed_end(run);
	run_end(run);
	expect_exit(run, 128 + SIGINT);
	run = RUN(HOW(.input = "hello"), "hash", "-k", "--journal", "J", "--resume", "-v", "a", "-",
		  "b");
	expect_exit(run, 0);
	expect_out(run, HELLO_SHA256 "  a\n" HELLO_SHA256 "  -\n" WORLD_SHA256 "  b\n");
	expect_says(run, "2 ok, 1 skipped");
}

int main(int argc, char **argv)
{
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
		ONCE(killed_at_any_moment_nothing_is_lost),
		ONCE(cut_at_any_byte_it_goes_on),
		ONCE(a_damaged_line_is_passed_over_and_said),
		ONCE(a_damaged_first_line_needs_force),
		ONCE(any_rubbish_is_passed_over),
		ONCE(a_journal_that_cannot_grow_ends_the_run),
		ONCE(a_full_disk_ends_the_run),
		ONCE(what_could_not_be_printed_is_not_done),
		ONCE(an_interrupted_run_is_completed),
	};

	return RUN_CASES(argc, argv, cases);
}
