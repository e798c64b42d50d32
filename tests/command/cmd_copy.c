/* SPDX-License-Identifier: MIT */
/*
 * cmd_copy - copies: against cp, for every kind of file and every way to name a destination
 */
#include <sys/stat.h>
#include <sys/xattr.h>

#include "support/cmd.h"
#include "support/copies.h"
#include "support/records.h"

/* Everything that a tree may hold, with modes and times that are not today's. */
static void make_awkward_tree(const char *top)
{
	static const size_t sizes[] = {0,      1,      8192,   131071,	131072,
				       131073, 262144, 300001, 17000000};
	/* What its owner may not read or write is copied by root alone. */
	const bool root = !geteuid();
	char name[64];

	make_dir(top);
	assert_int_equal(chdir(top), 0);
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		snprintf(name, sizeof(name), "size-%zu", sizes[i]);
		make_pattern(name, sizes[i]);
	}
	make_dir("dir");
	make_dir("dir/empty");
	make_dir("dir/deeper");
	make_file("dir/deeper/f", "f");
	make_file("name with \n newline", "x");
	make_file("\xff\xfe", "not UTF-8");
	assert_int_equal(symlink("dir/deeper/f", "link"), 0);
	assert_int_equal(symlink("nowhere", "dangling"), 0);
	assert_int_equal(symlink("dir", "dirlink"), 0);
	assert_int_equal(link("size-8192", "dir/other-name"), 0);
	assert_int_equal(link("size-8192", "dir/third-name"), 0);
	make_file("executable", "#!/bin/sh\n");
	assert_int_equal(chmod("executable", 0755), 0);
	make_file("closed", "secret");
	assert_int_equal(chmod("closed", root ? 0 : 0600), 0);
	make_file("readonly", "r");
	assert_int_equal(chmod("readonly", root ? 0444 : 0640), 0);
	assert_int_equal(chmod("dir/empty", 0555) | chmod("dir/deeper", 01777), 0);
	assert_int_equal(chdir(".."), 0);
	run_sh("find \"$1\" -exec touch -h -d '2001-02-03 04:05:06.789' {} +", top);
}

static void a_tree_is_what_cp_makes_of_it(struct test *t)
{
	fresh_dir(t);
	make_awkward_tree("src");
	expect_exit(BP("copy", "-r", "src", "ours"), 0);
	run_sh("cp -r src theirs");
	expect_same_trees("ours", "theirs", 0);
}

static void a_tree_with_everything_is_what_cp_makes_of_it(struct test *t)
{
	fresh_dir(t);
	make_awkward_tree("src");
	assert_int_equal(mkfifo("src/fifo", 0640), 0);
	make_file("src/setuid", "s");
	assert_int_equal(chmod("src/setuid", 04711), 0);
	expect_exit(BP("copy", "-a", "src", "ours"), 0);
	run_sh("cp -a src theirs");
	expect_same_trees("ours", "theirs", SAME_TIMES | SAME_LINKS);
	/* A second time, over what is there. */
	expect_exit(BP("copy", "-a", "src/.", "ours"), 0);
	expect_same_trees("ours", "theirs", SAME_TIMES | SAME_LINKS);
	run_sh("cp -a src/. theirs");
	expect_same_trees("ours", "theirs", SAME_TIMES | SAME_LINKS);
}

static void make_things_to_copy(void)
{
	make_file("f", "f");
	make_file("f2", "f2");
	make_file("g", "g");
	make_file("there", "there");
	make_dir("d");
	make_file("d/inside", "d/inside");
	make_dir("dir");
	make_file("dir/f", "dir/f");
	make_dir("dir/d");
	make_dir("e");
	make_file("e/f", "e/f");
	assert_int_equal(link("f", "hard") | symlink("f", "soft"), 0);
	assert_int_equal(symlink("dir", "dirlink") | symlink("there", "outlink"), 0);
	assert_int_equal(symlink("gone", "broken"), 0);
}

static const char *const lines[] = {
	"f new",
	"f there",
	"f dir",
	"f dir/",
	"f dir/new",
	"f new/",
	"f nowhere/x",
	"f there/",
	"f .",
	"-r d new",
	"-r d new/",
	"-r d dir",
	"-r d/ dir",
	"-r d/. dir",
	"-r d/. new",
	"-r d there",
	"f g dir",
	"f g new",
	"f g there",
	"-r f d g dir",
	"-t dir f g",
	"-t new f",
	"d dir",
	"-r d/. d",
	"f f",
	"f hard",
	"f soft",
	"soft new",
	"-r soft new",
	"f dirlink",
	"-r dirlink new",
	"-r dirlink/ new",
	"f outlink",
	"f broken",
	"missing new",
	"f f2 missing dir",
	"dir/f there",
	"-r d dir/f",
	"f dir/d",
	"f e/f dir",
	"--no-target-directory f dir",
	"--no-target-directory -r d dir",
	"--no-target-directory -r d dirlink",
	"--no-target-directory -r d soft",
	"--no-target-directory f dirlink",
	"f nowhere/new",
	"f ''",
	"'' dir",
};

/* Each way to say it makes what cp makes, and is an error where it is one for cp. */
static void destinations_are_named_as_for_cp(struct test *t)
{
	struct text args = {0};

	for (size_t i = 0; i < COUNT_OF(lines); i++) {
		struct run *ours, *theirs;
		bool both;

		fresh_dir(t);
		run_sh("rm -rf ours theirs");
		for (int side = 0; side < 2; side++) {
			make_dir(side ? "theirs" : "ours");
			assert_int_equal(chdir(side ? "theirs" : "ours"), 0);
			make_things_to_copy();
			assert_int_equal(chdir(".."), 0);
		}
		args.len = 0;
		text_printf(&args, "cd ours && exec \"$0\" copy %s", lines[i]);
		ours = RUN(HOW(.program = "sh"), "-c", args.data, getenv("BATCHPROC"));
		args.len = 0;
		text_printf(&args, "cd theirs && exec cp %s", lines[i]);
		theirs = RUN(HOW(.program = "sh"), "-c", args.data);
		both = (ours->status == 0) == (theirs->status == 0);
		if (!both || !expect_same_trees("ours", "theirs", 0))
			record_failure("copy %s: exit %d, cp's %d: %s", lines[i], ours->status,
				       theirs->status, ours->err.len ? ours->err.data : "");
	}
	text_free(&args);
}

static void conflicts_are_errors_and_nothing_is_touched(struct test *t)
{
	const struct records *records;
	struct run *run;

	fresh_dir(t);
	make_file("f", "hello");
	make_dir("d");
	make_file("d/f", "other");
	make_dir("dir");
	assert_int_equal(link("f", "hard") | symlink("f", "soft") | symlink("nowhere", "broken"),
			 0);

	run = BP("copy", "f", "f");
	expect_exit(run, 1);
	expect_err(run, "batchproc: copy: f: source and destination are the same file\n");
	run = BP("copy", "f", "");
	expect_exit(run, 1);
	expect_err(run, "batchproc: copy: f: the destination's name is empty\n");
	run = BP("copy", "f", "missing/f");
	expect_exit(run, 1);
	expect_err(run, "batchproc: copy: f: the directory of the destination is not there\n");
	expect_exit(BP("copy", "f", "./hard"), 1);
	expect_exit(BP("copy", "f", "soft"), 1);
	expect_exit(BP("copy", "f", "broken"), 1);
	expect_exit(BP("copy", "-r", "d", "d/inner"), 1);
	expect_exit(BP("copy", "-r", "d", "d"), 1);
	expect_out(SH("cat f hard soft d/f; ls -A d"), "hellohellohellootherf\n");

	/* A symbolic link is not put in the place of the file that it leads to. */
	run = BP("copy", "-r", "soft", "soft");
	expect_exit(run, 1);
	expect_err(run, "batchproc: copy: soft: source and destination are the same file\n");
	expect_exit(BP("copy", "-a", "soft", "f"), 1);
	expect_exit(BP("copy", "-a", "--atomic", "soft", "hard"), 1);
	run_sh("mkdir links && ln -s ../f links/f");
	expect_exit(BP("copy", "-r", "links/.", "."), 1);
	expect_out(SH("cat f hard soft; stat -c %F f hard"),
		   "hellohellohelloregular file\nregular file\n");

	/* Two sources of one name: the first is copied, the second is an error. */
	records = expect_records(BP("copy", "-k", "--json", "f", "d/f", "dir"), 2);
	expect_eq(strcmp(status_of(records, "f"), "ok"), 0);
	expect_eq(strcmp(status_of(records, "d/f"), "failed"), 0);
	expect_out(SH("cat dir/f"), "hello");
}

/* With --update and --ignore-existing what is there stays, but not what was never finished. */
static void what_is_there_may_stay(struct test *t)
{
	fresh_dir(t);
	make_file("old", "old");
	make_file("new", "new");
	run_sh("touch -d 2001-01-01 old");
	make_file("dst", "dst");
	expect_exit(BP("copy", "-u", "old", "dst"), 0);
	expect_out(SH("cat dst"), "dst");
	run_sh("touch -d 2002-02-02 dst");
	expect_exit(BP("copy", "-u", "new", "dst"), 0);
	expect_out(SH("cat dst"), "new");
	expect_exit(BP("copy", "--ignore-existing", "old", "dst"), 0);
	expect_out(SH("cat dst"), "new");
	make_file("half", "ol");
	assert_int_equal(chmod("half", 01000), 0);
	expect_exit(BP("copy", "--ignore-existing", "old", "half"), 0);
	expect_exit(BP("copy", "-u", "old", "dst"), 0);
	expect_out(SH("cat half dst; stat -c %a half"), "oldnew644\n");
	/* A file that its owner closed to all is not half a copy. */
	make_file("closed", "secret");
	assert_int_equal(chmod("closed", 0), 0);
	expect_exit(BP("copy", "--ignore-existing", "old", "closed"), 0);
	expect_out(SH("stat -c '%a %s' closed"), "0 6\n");
}

/* Two trees, or a tree and a file, whose copies meet below the destination. */
static void sources_that_meet_further_down_are_errors(struct test *t)
{
	static const char *const ways[] = {"a/x b/. dst", "a/x/f b/x/. dst", "b/x/. a/x/f dst"};
	struct run *run;

	fresh_dir(t);
	run_sh("mkdir -p a/x b/x; echo A > a/x/f; echo B > b/x/f");
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		run_sh("rm -rf dst; mkdir -p dst/x");
		run = SH("exec \"$BATCHPROC\" copy -r $1", ways[i]);
		expect_exit(run, 1);
		expect_says(run, "another item of this run has the same destination");
	}
	/* A list may name a directory and what is in it. */
	run_sh("rm -rf dst; mkdir -p dst/x; printf 'a/x\\na/./x/f\\n' > list");
	expect_exit(BP("copy", "-r", "-T", "list", "dst"), 0);
	/* What does not meet is none. */
	run_sh("rm -rf dst; mkdir dst; rm b/x/f");
	expect_exit(BP("copy", "-r", "a/x", "b/x/.", "dst"), 0);
}

static void what_is_replaced_keeps_its_mode(struct test *t)
{
	fresh_dir(t);
	make_file("src", "new");
	make_file("dst", "old");
	assert_int_equal(chmod("src", 0755) | chmod("dst", 0640) | link("dst", "other"), 0);
	expect_exit(BP("copy", "src", "dst"), 0);
	/* Another name of the old file keeps the old content. */
	expect_out(SH("cat dst other; stat -c '%a %h' dst"), "newold640 1\n");
	expect_exit(BP("copy", "-p", "src", "dst"), 0);
	expect_out(SH("stat -c %a dst; ls -A"), "755\ndst\nother\nsrc\n");
}

static void digests_are_of_what_was_copied(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_awkward_tree("src");
	for (size_t i = 0; i < 2; i++) {
		run = BP("copy", "-r", "--hash", i ? "md5" : "sha256", i ? "--verify" : "--sync",
			 "src", i ? "two" : "one");
		expect_exit(run, 0);
		expect_same(run, SH("find \"$1\" -type f -print0 | xargs -0 \"$2\"",
				    i ? "two" : "one", i ? "md5sum" : "sha256sum"));
	}
}

static void sources_may_come_from_a_list(struct test *t)
{
	fresh_dir(t);
	make_awkward_tree("src");
	make_dir("dst");
	expect_exit(RUN(HOW(.input = "src/size-1\nsrc/dir\n"), "copy", "-r", "-T", "-", "dst"), 0);
	expect_out(SH("ls dst"), "dir\nsize-1\n");
	/* What failed in a tree can be given back, and lands where it belongs. */
	expect_exit(BP("copy", "-r", "src", "ours"), 0);
	run_sh("rm -r ours/dir/deeper/f ours/size-1; mkdir ours/dir/deeper/f ours/size-1");
	expect_exit(BP("copy", "-r", "-0", "--failed-to", "list", "src/.", "ours"), 1);
	run_sh("rmdir ours/dir/deeper/f ours/size-1");
	expect_exit(BP("copy", "-r", "-0", "-T", "list", "ours"), 0);
	run_sh("cp -r src theirs");
	expect_same_trees("ours", "theirs", 0);
}

/* Whatever the tree is called in the destination. */
static void what_failed_is_given_back_to_its_place(struct test *t)
{
	static const struct {
		const char *source, *dst, *copy;
	} ways[] = {
		{"top/src", "dst", "dst/src"}, {"./top//src//", "dst", "dst/src"},
		{"top/src", "new", "new"},     {"top/src/.", "dst", "dst"},
		{"src", "dst", "dst/src"},     {"src/", "new", "new"},
	};

	fresh_dir(t);
	make_dir("top");
	run_sh("mkdir -p top/src/d/e top/src/g; echo 1 > top/src/d/f; echo 2 > top/src/d/e/f; "
	       "echo 3 > top/src/f; cp -r top/src src");
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		run_sh("rm -rf dst new; mkdir dst");
		expect_exit(BP("copy", "-r", ways[i].source, ways[i].dst), 0);
		/* A file and a whole directory fail. */
		run_sh("cd \"$1\" && rm -r d/f d/e && mkdir d/f && touch d/e", ways[i].copy);
		expect_exit(BP("copy", strcmp(ways[i].dst, "new") ? "-r" : "--no-target-directory",
			       "-r", "--failed-to", "list", ways[i].source, ways[i].dst),
			    1);
		run_sh("cd \"$1\" && rmdir d/f && rm d/e", ways[i].copy);
		expect_exit(BP("copy", "-r", "-T", "list", ways[i].dst), 0);
		run_sh("test $(wc -l < list) = 2");
		expect_same_trees("src", ways[i].copy, 0);
	}
}

static void a_dry_run_makes_nothing(struct test *t)
{
	fresh_dir(t);
	make_dir("src");
	make_dir("src/d");
	make_file("src/d/f", "x");
	expect_out(BP("copy", "-nk", "-r", "src", "dst"),
		   "copy src/d/f -> dst/d/f\ncopy src/d -> dst/d\ncopy src -> dst\n");
	expect_out(SH("ls"), "src\n");
}

static const struct test_case cases[] = {
	ONCE(a_tree_is_what_cp_makes_of_it),
	ONCE(a_tree_with_everything_is_what_cp_makes_of_it),
	ONCE(destinations_are_named_as_for_cp),
	ONCE(conflicts_are_errors_and_nothing_is_touched),
	ONCE(what_is_there_may_stay),
	ONCE(what_is_replaced_keeps_its_mode),
	ONCE(digests_are_of_what_was_copied),
	ONCE(sources_may_come_from_a_list),
	ONCE(what_failed_is_given_back_to_its_place),
	ONCE(a_dry_run_makes_nothing),
	ONCE(sources_that_meet_further_down_are_errors),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
