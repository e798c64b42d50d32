/* SPDX-License-Identifier: MIT */
/*
 * cmd_bag_make - bags that hash --bag makes in place, also when it is killed on the way; and lists
 * that hash --update brings up to date
 */
#include <limits.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "support/badmount.h"
#include "support/cmd.h"

static void make_content(void)
{
	expect_exit(SH("rm -rf dir"), 0);
	make_dir("dir");
	make_dir("dir/data");
	make_dir("dir/sub");
	make_dir("dir/sub/empty");
	make_file("dir/a", "hello");
	make_file("dir/data/a", "other");
	make_file("dir/data/per%0Acent", "3");
	make_file("dir/sub/new\nline", "4");
	make_file("dir/sub/ blank ", "");
	make_file("dir/.hidden", "6");
}

/* The bag is whole, for us and by its manifest, and has all that was in the directory. */
static void expect_bag(void)
{
	struct run *run = BP("verify", "--quiet", "--bag", "dir");

	expect_exit(run, 0);
	expect_out(run, "");
	expect_exit(
		SH("cd dir && sed 's/%0A/\\n/g' tagmanifest-sha256.txt | exec sha256sum -c --strict --quiet"),
		0);
	expect_exit(
		SH("cd dir && test ! -e .batchproc-bag && test -d data/sub/empty && "
		   "test \"$(find data -type f | wc -l)\" = 7 && "
		   "test \"$(cat data/a data/data/a data/data/per%0Acent data/.hidden)\" = hello"
		   "other36 && grep -q '^Payload-Oxum: 13.6$' bag-info.txt && "
		   "grep -q '  data/data/per%250Acent$' manifest-sha256.txt && "
		   "grep -q '  data/sub/new%0Aline$' manifest-sha256.txt"),
		0);
}

static void a_directory_becomes_a_bag(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_content();
	expect_exit(BP("hash", "--bag", "-n", "dir"), 0);
	expect_gone("dir/.batchproc-bag");
	run = BP("hash", "--bag", "dir/");
	expect_exit(run, 0);
	expect_out(run, "");
	expect_err(run, "");
	expect_bag();
	run = BP("hash", "--bag", "dir");
	expect_exit(run, 1);
	expect_says(run, "dir: is a bag already");
	expect_bag();
	/* Of nothing, in another algorithm. */
	make_dir("nothing");
	expect_exit(BP("hash", "--bag", "-a", "sha512", "nothing"), 0);
	expect_exit(BP("verify", "--bag", "nothing"), 0);
	expect_there("nothing/manifest-sha512.txt");
	expect_there("nothing/data");
	expect_exit(BP("hash", "--bag", "gone"), 1);
	expect_exit(BP("hash", "--bag"), 2);
	expect_exit(BP("hash", "--bag", "a", "b"), 2);
	expect_exit(BP("hash", "--bag", "--tag", "dir"), 2);
}

static void bagit_python_takes_it(struct test *t)
{
	if (SH("python3 -c 'import bagit' 2>/dev/null")->status)
		skip_because(t, "no bagit-python here");
	fresh_dir(t);
	make_content();
	/* That library leaves %25 as it is. */
	assert_int_equal(unlink("dir/data/per%0Acent"), 0);
	expect_exit(BP("hash", "--bag", "dir"), 0);
	expect_exit(SH("python3 -m bagit --validate dir"), 0);
}

/* Wherever it ends, nothing is lost, it is no bag before it is whole, and the next run goes on. */
static void a_run_that_is_killed_goes_on(struct test *t)
{
	static const long calls[] = {SYS_fsync,	    SYS_mkdirat, SYS_renameat2, SYS_unlinkat,
#ifdef SYS_renameat
				     SYS_renameat,
#endif
#ifdef SYS_rename
				     SYS_rename,
#endif
				     SYS_getdents64};

	need_denial(t);
	for (size_t i = 0; i < COUNT_OF(calls); i++) {
		fresh_dir(t);
		make_content();
		RUN(HOW(.killed_at = calls[i]), "hash", "--bag", "dir");
		if (is_there("dir/.batchproc-bag/data"))
			expect_gone("dir/bagit.txt");
		expect_exit(SH("test \"$(find dir -type f -name 'per%0Acent' | wc -l)\" = 1"), 0);
		if (is_there("dir/.batchproc-bag") || !is_there("dir/bagit.txt"))
			expect_exit(BP("hash", "-q", "--bag", "dir"), 0);
		expect_bag();
	}
}

/* As a run leaves it that is killed between two names. */
static void what_was_moved_stays_moved(struct test *t)
{
	struct run *run;

	need_denial(t);
	fresh_dir(t);
	make_content();
	RUN(HOW(.killed_at = SYS_renameat2), "hash", "--bag", "dir");
	if (!is_there("dir/.batchproc-bag/data"))
		skip_because(t, "no renameat2 here");
	expect_exit(SH("mv dir/data dir/.hidden dir/.batchproc-bag/data/"), 0);
	run = BP("hash", "--bag", "-a", "md5", "dir");
	expect_exit(run, 0);
	expect_says(run, "an earlier run has read all files");
	expect_bag();
	expect_exit(
		SH("mkdir dir/.batchproc-bag && mv dir/bagit.txt dir/bag-info.txt dir/.batchproc-bag"),
		0);
	expect_exit(BP("hash", "--bag", "dir"), 0);
	expect_bag();
	/* A name that has come twice is nobody's to choose. */
	expect_exit(SH("rm -r dir"), 0);
	make_content();
	RUN(HOW(.killed_at = SYS_renameat2), "hash", "--bag", "dir");
	expect_exit(SH("cp dir/a dir/.batchproc-bag/data/a"), 0);
	run = BP("hash", "--bag", "dir");
	expect_exit(run, 1);
	expect_says(run, "the same command goes on with it");
	expect_there("dir/a");
	expect_exit(SH("rm dir/.batchproc-bag/data/a"), 0);
	expect_exit(BP("hash", "--bag", "dir"), 0);
	expect_bag();
}

static void what_cannot_be_in_a_bag_leaves_all_as_it_was(struct test *t)
{
	static const char *const bad[] = {"ln -s a dir/link", "mkfifo dir/fifo",
					  ": >\"dir/$(printf 'bad\\377')\""};
	struct run *run;

	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		fresh_dir(t);
		make_content();
		expect_exit(SH(bad[i]), 0);
		run = BP("hash", "--bag", "dir");
		expect_exit(run, 1);
		expect_says(run, "dir: no bag was made");
		expect_gone("dir/.batchproc-bag");
		expect_there("dir/a");
		expect_there("dir/data/a");
	}
	/* Nor what the run itself writes there. */
	fresh_dir(t);
	make_content();
	expect_exit(BP("hash", "--bag", "--journal", "dir/j", "dir"), 1);
	expect_exit(BP("hash", "--bag", "--journal", "j", "dir/sub"), 0);
	expect_there("dir/sub/bagit.txt");
}

/* A bag has all of its directory, or it is none. */
static void nothing_is_left_out_of_a_bag(struct test *t)
{
	static const char *const all[] = {"--exclude=a",  "--include=a",   "--max-depth=1",
					  "--min-size=1", "--max-size=1M", "--no-hidden",
					  "--newer=1h",	  "--older=1h",	   "--exclude-from=rules",
					  "--shard=1/2"};

	fresh_dir(t);
	make_content();
	make_file("rules", "a\n");
	for (size_t i = 0; i < COUNT_OF(all); i++) {
		struct run *run = BP("hash", "--bag", all[i], "dir");

		expect_exit(run, 2);
		expect_says(run, "--bag");
		expect_gone("dir/.batchproc-bag");
		expect_there("dir/a");
	}
}

/* As files come and go after they were read: the run stands still with all of that done. */
static void what_changes_meanwhile_makes_no_bag(struct test *t)
{
	static const char *const changes[][2] = {
		{"echo new >dir/new", "data/new is in no manifest"},
		{"echo new >dir/sub/empty/new", "data/sub/empty/new is in no manifest"},
		{"echo new >dir/bagit.txt", "data/bagit.txt is in no manifest"},
		{"ln -s a dir/data/link", "data/data/link is in no manifest"},
		{"rm dir/a", "data/a is no longer there"},
		{"rm dir/a; ln -s data/a dir/a", "data/a is no longer a regular file"},
		/* As many as before. */
		{"mv dir/a dir/b", "data/b is in no manifest"},
	};
	struct run *run;
	char path[PATH_MAX];

	need_watch(t);
	for (size_t i = 0; i < COUNT_OF(changes); i++) {
		fresh_dir(t);
		make_content();
		run = START(HOW(.watched = SYS_fsync), "hash", "--bag", "dir");
		expect(until_called(run, path));
		expect_exit(SH(changes[i][0]), 0);
		do
			let_call(run);
		while (until_called(run, path));
		expect_exit(run_end(run), 1);
		expect_says(run, changes[i][1]);
		expect_says(run, "the directory is as it was");
		expect_gone("dir/.batchproc-bag");
		expect_gone("dir/manifest-sha256.txt");
		expect_there("dir/data/a");
		/* And after a run that was killed. */
		if (!i)
			continue;
		fresh_dir(t);
		make_content();
		RUN(HOW(.killed_at = SYS_renameat2), "hash", "--bag", "dir");
		if (!is_there("dir/.batchproc-bag/data"))
			continue;
		expect_exit(SH(changes[i][0]), 0);
		run = BP("hash", "--bag", "dir");
		expect_exit(run, 1);
		if (strncmp(changes[i][1], "data/bagit", 10))
			expect_says(run, changes[i][1]);
		expect_gone("dir/manifest-sha256.txt");
		expect_there("dir/data/a");
	}
	/* Some of it was moved: what was read stays so, until that file has gone. */
	fresh_dir(t);
	make_content();
	RUN(HOW(.killed_at = SYS_renameat2), "hash", "--bag", "dir");
	if (!is_there("dir/.batchproc-bag/data"))
		skip_because(t, "no renameat2 here");
	expect_exit(SH("mv dir/data dir/.hidden dir/.batchproc-bag/data/; echo new >dir/new"), 0);
	run = BP("hash", "--bag", "dir");
	expect_exit(run, 1);
	expect_says(run, "data/new is in no manifest");
	expect_says(run, "the same command goes on with it");
	expect_gone("dir/bagit.txt");
	expect_there("dir/.batchproc-bag/data/.hidden");
	expect_exit(SH("rm dir/new"), 0);
	expect_exit(BP("hash", "--bag", "-q", "dir"), 0);
	expect_bag();
}

/* Whatever a run has left that was killed while it read, the next begins anew. */
static void another_algorithm_begins_anew(struct test *t)
{
	struct run *run;

	need_denial(t);
	fresh_dir(t);
	make_content();
	RUN(HOW(.killed_at = SYS_fsync), "hash", "--bag", "-a", "sha512", "dir");
	expect_there("dir/.batchproc-bag/manifest-sha512.txt.part");
	expect_exit(SH("cd dir/.batchproc-bag && touch tagmanifest-md5.txt.part bagit.txt "
		       "manifest-sha1.txt"),
		    0);
	make_file("dir/.batchproc-bag/mine", "x");
	run = BP("hash", "--bag", "dir");
	expect_exit(run, 1);
	expect_says(run, "dir/.batchproc-bag/mine is in the way");
	expect_there("dir/.batchproc-bag/mine");
	expect_there("dir/a");
	assert_int_equal(unlink("dir/.batchproc-bag/mine"), 0);
	expect_exit(BP("hash", "--bag", "dir"), 0);
	expect_bag();
}

/* Not to know what is there is not the same as that nothing is. */
static void a_listing_that_fails_makes_no_bag(struct test *t)
{
	struct badmount *bad;
	struct run *run;

	fresh_dir(t);
	make_content();
	make_dir("m");
	expect_exit(BP("hash", "--bag", "-n", "dir"), 0);
	run = RUN(HOW(.killed_at = SYS_renameat2), "hash", "--bag", "dir");
	bad = BADMOUNT(t, "dir", "m", "error readdir 5");
	run = BP("hash", "--bag", "m");
	expect_exit(run, 1);
	expect_says(run, "Input/output error");
	badmount_end(bad);
	expect_gone("dir/bagit.txt");
	expect_gone("dir/manifest-sha256.txt");
	expect_exit(BP("hash", "-q", "--bag", "dir"), 0);
	expect_bag();
}

/* Some file systems tell only at a close that they could not write. */
static void a_close_that_fails_makes_no_bag(struct test *t)
{
	static const char *const all[] = {"bagit.txt", "bag-info.txt", "manifest-sha256.txt.part",
					  "tagmanifest-sha256.txt.part"};
	struct badmount *bad;
	char rule[64];
	struct run *run;

	fresh_dir(t);
	make_dir("m");
	for (size_t i = 0; i < COUNT_OF(all); i++) {
		make_content();
		snprintf(rule, sizeof(rule), "error flush 28 %s", all[i]);
		bad = BADMOUNT(t, "dir", "m", rule);
		run = BP("hash", "--bag", "m");
		expect_exit(run, 1);
		expect_says(run, "m: no bag was made: No space left on device");
		badmount_end(bad);
		expect_gone("dir/.batchproc-bag");
		expect_gone("dir/bagit.txt");
		expect_exit(BP("hash", "--bag", "dir"), 0);
		expect_bag();
	}
}

/* What the journal has need not be read again. */
static void a_journal_spares_the_reading(struct test *t)
{
	fresh_dir(t);
	make_content();
	assert_int_equal(symlink("x", "dir/link"), 0);
	expect_exit(BP("hash", "--bag", "--journal", "j", "dir"), 1);
	assert_int_equal(unlink("dir/link"), 0);
	expect_exit(SH("\"$BATCHPROC\" hash --bag --journal j --resume --json dir | "
		       "grep -q '\"skipped\":6'"),
		    0);
	expect_bag();
}

/* ---- --update */

static void only_what_has_changed_is_read(struct test *t)
{
	static const char count[] =
		"\"$BATCHPROC\" hash -r --update list --json tree | grep -c '\"kept\":true'";

	fresh_dir(t);
	make_dir("tree");
	make_dir("tree/sub");
	make_file("tree/a", "hello");
	make_file("tree/sub/b\nc", "two");
	make_file("tree/d", "three");
	expect_exit(SH("\"$BATCHPROC\" hash -r --format mtree tree >list; sort list >sorted"), 0);
	expect_out(
		SH("\"$BATCHPROC\" hash -r --update list ./tree | sort | diff sorted - && echo same"),
		"same\n");
	expect_out(SH(count), "3\n");
	/* The time, the size; what is new, what has gone. */
	expect_exit(SH("printf hallo >tree/a; touch -d '2001-01-01' tree/a; touch -r tree/d x; "
		       "printf more >>tree/d; touch -r x tree/d; printf new >tree/new"),
		    0);
	expect_out(SH(count), "1\n");
	expect_exit(SH("rm tree/sub/b*; \"$BATCHPROC\" hash -r --update list tree >new && "
		       "exec \"$BATCHPROC\" verify --strict new"),
		    0);
	expect_exit(SH("grep -q 'tree/sub/b' new"), 1);
	/* A digest is taken from the list, and only one of the same algorithm. */
	expect_exit(
		SH("sed 's/sha256digest=./sha256digest=0/' new >wrong; touch -d '2002-02-02' tree/new; "
		   "\"$BATCHPROC\" hash -r --update wrong tree >newer; "
		   "exec \"$BATCHPROC\" verify --status newer"),
		1);
	expect_exit(SH("\"$BATCHPROC\" hash -a md5 -r --update wrong tree >newer; "
		       "exec \"$BATCHPROC\" verify --strict newer"),
		    0);
	/* bsdtar's lists have all that is asked for. */
	if (have_program("bsdtar"))
		expect_exit(SH("bsdtar --format=mtree --options=mtree:sha256 -cf list tree; "
			       "test \"$(eval \"$1\")\" = 3",
			       count),
			    0);
	/* Of two that differ neither is believed, wherever the right one stands. */
	expect_exit(
		SH("\"$BATCHPROC\" hash -r --format mtree tree >list; grep 'tree/a ' list >one; "
		   "sed 's/sha256digest=..../sha256digest=0000/' one >other; test -s other; "
		   "for l in 'other list' 'list other' 'list other one' 'list one'; do (grep '#mtree' list; cat $l) >two; "
		   "\"$BATCHPROC\" hash --update two tree/a | grep 'tree/a ' | cmp - one && "
		   "\"$BATCHPROC\" hash --update two --json tree/a; done >out; "
		   "test \"$(grep -c '\"kept\":true' out),$(grep -c '\"seq\"' out)\" = 1,4"),
		0);
	make_file("plain", "x\n");
	expect_exit(BP("hash", "--update", "plain", "tree/a"), 2);
	expect_exit(BP("hash", "--update", "gone", "tree/a"), 2);
	expect_exit(BP("hash", "--update", "list", "--format", "sfv", "tree/a"), 2);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		ONCE(a_directory_becomes_a_bag),
		ONCE(bagit_python_takes_it),
		ONCE(a_run_that_is_killed_goes_on),
		ONCE(what_was_moved_stays_moved),
		ONCE(what_cannot_be_in_a_bag_leaves_all_as_it_was),
		ONCE(nothing_is_left_out_of_a_bag),
		ONCE(what_changes_meanwhile_makes_no_bag),
		ONCE(another_algorithm_begins_anew),
		ONCE(a_listing_that_fails_makes_no_bag),
		ONCE(a_close_that_fails_makes_no_bag),
		ONCE(a_journal_spares_the_reading),
		ONCE(only_what_has_changed_is_read),
	};

	return RUN_CASES(argc, argv, cases);
}
