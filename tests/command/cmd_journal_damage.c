/* SPDX-License-Identifier: MIT */
/*
 * cmd_journal_damage - runs that were ended anyhow, journals that were damaged anyhow
 *
 *	run, ended anyhow --> journal, damaged anyhow --resume--> the output of an undisturbed run
 */
#include "support/cmd.h"
#include "support/journals.h"
#include "support/records.h"

static uint64_t random_step(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return *state >> 33;
}

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
 * run goes on with the journal of the one before until one ends. A run takes a tenth of a second,
 * or most would have ended before the signal comes.
 */
static void killed_at_any_moment_nothing_is_lost(struct test *t)
{
	const unsigned int count = (unsigned int)scaled(1000);
	struct run *whole, *run, *last;
	unsigned int killed = 0;
	uint64_t state = 1;
	char rate[32];

	fresh_dir(t);
	make_journal_tree(count);
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

	make_journal_tree(count);
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
	make_journal_tree(100);
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
	make_journal_tree(200);
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
	make_journal_tree(100);
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

static const struct test_case cases[] = {
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

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
