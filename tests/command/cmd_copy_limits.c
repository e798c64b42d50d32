/* SPDX-License-Identifier: MIT */
/*
 * cmd_copy_limits - copies where something runs out or changes: what was there stays what it was
 */
#include <sched.h>
#include <sys/stat.h>

#include "support/cmd.h"
#include "support/copies.h"
#include "support/records.h"

/* A destination with something old in it, and sources for it: some small, one large. */
static void make_sources(void)
{
	char name[32];

	make_dir("src");
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "src/small-%d", i);
		make_pattern(name, 8192);
	}
	make_pattern("src/large", 3000000);
}

/* Each is whole or not there, "old" is what it was, and nothing else is there. */
static void expect_whole_or_nothing(const char *dst, const struct records *records)
{
	struct run *run =
		SH("cd \"$1\" && find . -type f ! -name old -exec cmp -- {} ../src/{} \\; 2>&1; "
		   "cat old; find . -name '.*batchproc*'",
		   dst);

	expect_out(run, "old");
	for (size_t i = 0; i < records->count; i++) {
		const struct record *r = &records->all[i];
		bool there = r->dst.len && !access(r->dst.data, F_OK);

		expect_(there == !strcmp(r->status, "ok"), r->src.data, __FILE__, __LINE__);
	}
}

static void a_full_file_system(struct test *t)
{
	const struct records *records;

	need_root(t);
	fresh_dir(t);
	make_sources();
	mount_at(t, "dst", "mount -t tmpfs -o size=1m none dst");
	make_file("dst/old", "old");
	for (int atomic = 0; atomic < 2; atomic++) {
		run_sh("rm -f dst/small* dst/large");
		records = expect_records(
			BP("copy", "-r", "--json", atomic ? "--atomic" : "-k", "src/.", "dst"), 22);
		expect_between(records->failed, 1, 20);
		for (size_t i = 0; i < records->count; i++)
			if (!strcmp(records->all[i].status, "failed"))
				expect_eq(strcmp(records->all[i].error_name, "ENOSPC"), 0);
		expect_whole_or_nothing("dst", records);
	}
	unmount("dst");
}

static void a_file_that_may_not_grow(struct test *t)
{
	const struct records *records;

	fresh_dir(t);
	make_sources();
	make_dir("dst");
	make_file("dst/old", "old");
	records = expect_records(
		SH("ulimit -f 100; exec \"$1\" copy -r --json src/. dst", getenv("BATCHPROC")), 22);
	expect_eq(records->failed, 1);
	expect_eq(strcmp(status_of(records, "src/./large"), "failed"), 0);
	expect_eq(strcmp(record_of(records, "src/./large")->error_name, "EFBIG"), 0);
	expect_whole_or_nothing("dst", records);
}

static void few_descriptors(struct test *t)
{
	fresh_dir(t);
	make_sources();
	run_sh("for i in 1 2 3 4 5 6 7 8 9; do mkdir -p src/$i/$i/$i; echo $i >src/$i/$i/$i/f; done");
	/* On two loops: each has descriptors of its own, however many processors there are. */
	expect_exit(RUN(HOW(.nofile = 48), "copy", "-a", "--loops", "2", "src", "dst"), 0);
	expect_same_trees("src", "dst", SAME_TIMES);
	expect_exit(RUN(HOW(.nofile = 10), "copy", "-a", "--loops", "2", "src", "dst2"), 125);
}

static void a_destination_that_cannot_be_written(struct test *t)
{
	const struct records *records;
	static const struct how nobody = {.uid = NOBODY};

	need_root(t);
	fresh_dir(t);
	make_sources();
	make_dir("closed");
	make_file("closed/old", "old");
	records = expect_records(RUN(&nobody, "copy", "-r", "--json", "src/.", "closed"), 22);
	expect_eq(records->failed, 21);
	expect_eq(strcmp(record_of(records, "src/./large")->error_name, "EACCES"), 0);

	/* What may not be written is not replaced, though its directory would allow it. */
	make_dir("open");
	assert_int_equal(chmod("open", 0777), 0);
	make_file("open/old", "old");
	expect_exit(RUN(&nobody, "copy", "src/small-1", "open/old"), 1);
	expect_out(SH("cat open/old; ls -A open"), "oldold\n");

	mount_at(t, "dst", "mount -t tmpfs none dst");
	make_file("dst/old", "old");
	run_sh("mount -o remount,ro dst");
	records = expect_records(BP("copy", "-r", "--json", "src/.", "dst"), 22);
	expect_eq(strcmp(record_of(records, "src/./large")->error_name, "EROFS"), 0);
	expect_whole_or_nothing("dst", records);
	unmount("dst");
}

/* ---------------------------------------------------------------- while sources change */

#define LONG_SIZE 3000000
#define SHORT_SIZE 1000

static void shrink_and_grow(unsigned long round)
{
	if (truncate("src/f", round % 2 ? SHORT_SIZE : LONG_SIZE))
		abort();
}

static void a_source_that_shrinks_and_grows(struct test *t)
{
	struct unrest unrest;
	struct stat st;

	fresh_dir(t);
	make_dir("src");
	make_pattern("src/f", LONG_SIZE);
	unrest_begin(&unrest, shrink_and_grow);
	for (int i = 0; i < (UNDER_TSAN ? 10 : 40); i++) {
		struct run *run = BP("copy", i % 2 ? "--reflink=never" : "-q", "src/f", "dst");

		if (run->status == 0) {
			assert_int_equal(stat("dst", &st), 0);
			expect_(st.st_size == LONG_SIZE || st.st_size == SHORT_SIZE,
				"the copy is one of both", __FILE__, __LINE__);
		} else {
			expect_exit(run, 1);
			if (i % 2)
				expect_says(run, "changed while it was copied");
			expect_eq(access("dst", F_OK), -1);
		}
		unlink("dst");
	}
	unrest_end(&unrest);
	expect_out(SH("ls -A"), "src\n");
}

static void swap_sources(unsigned long round)
{
	(void)round;
	renameat2(AT_FDCWD, "src/f", AT_FDCWD, "link", RENAME_EXCHANGE);
	if (rename("src/g", "gone") || rename("gone", "src/g"))
		abort();
}

static void a_source_that_vanishes_or_becomes_a_link(struct test *t)
{
	struct unrest unrest;

	fresh_dir(t);
	make_dir("src");
	make_file("src/f", "inside");
	make_file("src/g", "inside");
	make_file("outside", "outside");
	assert_int_equal(symlink("../outside", "link"), 0);
	unrest_begin(&unrest, swap_sources);
	for (int i = 0; i < (UNDER_TSAN ? 10 : 40); i++) {
		struct run *run = BP("copy", "-r", "--json", "src", "dst");
		size_t lines = text_count(&run->out, "\n");

		expect_records(run, lines - 1);
		expect_(run->status == 0 || run->status == 1, "exit status 0 or 1", __FILE__,
			__LINE__);
		expect_out(SH("find dst -type f -exec cat {} + | sed s/inside//g; rm -r dst"), "");
	}
	unrest_end(&unrest);
}

static void swap_destination(unsigned long round)
{
	(void)round;
	renameat2(AT_FDCWD, "dst/src/inside", AT_FDCWD, "link", RENAME_EXCHANGE);
}

static void a_destination_that_becomes_a_link_leads_nowhere(struct test *t)
{
	struct unrest unrest;
	char path[64];

	fresh_dir(t);
	make_dir("src");
	make_dir("src/inside");
	for (int i = 0; i < 40; i++) {
		snprintf(path, sizeof(path), "src/inside/%d", i);
		make_dir(path);
		snprintf(path, sizeof(path), "src/inside/%d/f", i);
		make_file(path, "in");
	}
	make_dir("outside");
	run_sh("mkdir -p dst/src && cp -r src/inside dst/src");
	run_sh("cd outside && for i in 0 1 2 3 4 5 6 7 8 9; do mkdir $i; done");
	assert_int_equal(symlink("../../outside", "link"), 0);
	unrest_begin(&unrest, swap_destination);
	for (int i = 0; i < (UNDER_TSAN ? 5 : 20); i++) {
		struct run *run = BP("copy", "-r", "src", "dst");

		expect_(run->status == 0 || run->status == 1, "exit status 0 or 1", __FILE__,
			__LINE__);
		expect_out(SH("find outside ! -type d"), "");
	}
	unrest_end(&unrest);
}

static void links_in_the_way_are_errors(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	run_sh("mkdir -p src/d dst outside; echo new >src/d/f; echo new >src/g; echo old >outside/g");
	assert_int_equal(symlink("../outside", "dst/d") | symlink("../outside/g", "dst/g"), 0);
	run = BP("copy", "-r", "src/.", "dst");
	expect_exit(run, 1);
	expect_says(run, "src/./d: the destination is a symbolic link, which is not followed");
	expect_says(run, "src/./g: the destination is a symbolic link, which is not followed");
	expect_out(SH("cat outside/g; ls outside"), "old\ng\n");
}

/* ---------------------------------------------------------------- ended in the middle */

static void until_there(const char *pattern)
{
	while (SH("ls $1", pattern)->status)
		sched_yield();
}

static void a_cancel_leaves_nothing_half(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_sparse("large", 8ll << 30);
	make_file("there", "old");
	/* A digest of so many zeros takes a while: it is ended in the middle. */
	for (int i = 0; i < 2; i++) {
		run = BP("copy", "--hash", "sha256", "--timeout", "100ms", "--json", "large",
			 i ? "there" : "new");
		expect_exit(run, 1);
		expect_eq(strcmp(status_of(expect_records(run, 1), "large"), "timeout"), 0);
	}
	expect_out(SH("cat there; ls -A"), "oldlarge\nthere\n");
}

static void leftovers_of_a_killed_run_are_replaced(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_sources();
	expect_exit(BP("copy", "-r", "src", "dst"), 0);
	/* As kill -9 leaves it: a new file without permissions, a directory, a temporary file. */
	run_sh("truncate -s 100 dst/small-1 && chmod 1000 dst/small-1; chmod 5700 dst; rm dst/small-2");
	expect_exit(BP("copy", "-r", "--ignore-existing", "src", "dst"), 0);
	expect_same_trees("src", "dst", 0);

	run = START(HOW(.feed = true), "copy", "--atomic", "--bwlimit", "1000", "src/large",
		    "dst/slow");
	until_there("dst/.batchproc-*");
	/* Another run finds that this one is at it. */
	expect_says(BP("copy", "--atomic", "src/small-1", "dst/slow"), "another run is writing it");
	run_kill(run, SIGKILL);
	run_end(run);
	run_sh("ls dst/.batchproc-*");
	expect_exit(BP("copy", "--atomic", "src/large", "dst/slow"), 0);
	run_sh("cmp src/large dst/slow && rm dst/slow");
	expect_same_trees("src", "dst", 0);
}

/* Of two runs that make one file, the one that is stopped removes its own only. */
static void a_cancel_leaves_what_another_run_made(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_pattern("large", 3000000);
	make_file("small", "small");
	run = START(HOW(.feed = true), "copy", "--bwlimit", "1000", "large", "new");
	until_there("new");
	expect_exit(BP("copy", "small", "new"), 0);
	run_signal(run, SIGINT);
	run_kill(run, SIGINT);
	expect_exit(run_end(run), 130);
	expect_out(SH("cat new; ls -A"), "smalllarge\nnew\nsmall\n");
}

static const struct test_case cases[] = {
	ONCE(a_full_file_system),
	ONCE(a_file_that_may_not_grow),
	ONCE(few_descriptors),
	ONCE(a_destination_that_cannot_be_written),
	ONCE(a_source_that_shrinks_and_grows),
	ONCE(a_source_that_vanishes_or_becomes_a_link),
	ONCE(a_destination_that_becomes_a_link_leads_nowhere),
	ONCE(links_in_the_way_are_errors),
	ONCE(a_cancel_leaves_nothing_half),
	ONCE(leftovers_of_a_killed_run_are_replaced),
	ONCE(a_cancel_leaves_what_another_run_made),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
