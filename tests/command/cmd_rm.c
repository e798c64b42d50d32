/* SPDX-License-Identifier: MIT */
/*
 * cmd_rm - removing: what goes, what stays, what is refused, and that nothing else is touched
 *
 * Everything happens in the test's own directory. Where GNU rm has an answer it is asked for it, on
 * a tree of the same kind.
 */
#include <sys/stat.h>

#include "support/cmd.h"
#include "support/records.h"

/* Files, directories, links and a FIFO: nine items. */
static void make_tree(const char *top)
{
	struct run *run = SH("mkdir -p $1/a/b $1/empty; echo x >$1/f; echo x >$1/a/g; chmod 0 $1/f;"
			     "ln -s ../keep $1/link; ln -s nowhere $1/a/dangling; mkfifo $1/fifo",
			     top);

	expect_exit(run, 0);
}

#define TREE_ITEMS 9

static void make_keep(void)
{
	make_dir("keep");
	make_file("keep/f", "hello");
	make_dir("keep/empty");
}

static void expect_kept(int line)
{
	if (!is_there("keep/f") || !is_there("keep/empty"))
		record_failure("%s:%d: what was outside is gone", __FILE__, line);
}

static void a_tree_goes_with_all_that_is_in_it(struct test *t)
{
	const struct records *records;
	struct run *run;

	fresh_dir(t);
	make_keep();
	make_tree("d");
	run = BP("rm", "-r", "--json", "d");
	records = expect_records(run, TREE_ITEMS);
	expect_exit(run, 0);
	expect_eq(records->ok, TREE_ITEMS);
	expect_status(records, "d/a/dangling", "ok");
	expect_status(records, "d", "ok");
	expect_gone("d");
	expect_kept(__LINE__);

	make_tree("d");
	run = BP("rm", "-r", "d");
	expect_out(run, "");
	expect_err(run, "");
	expect_gone("d");
	make_dir("d");
	expect_exit(BP("rm", "-R", "--", "d/"), 0);
	expect_gone("d");
	expect_kept(__LINE__);
}

static void a_line_for_each_when_asked_for(struct test *t)
{
	struct run *ours, *theirs;

	fresh_dir(t);
	make_keep();
	make_tree("d");
	theirs = SH("rm -rfv d");
	make_tree("d");
	ours = BP("rm", "-rv", "d");
	expect_same(ours, theirs);
	/* A directory comes after all that was in it. */
	expect_(strstr(ours->out.data, "'d/a/b'") < strstr(ours->out.data, "'d/a'\n"),
		"d/a/b before d/a", __FILE__, __LINE__);
	expect_(strstr(ours->out.data, "'d/a/g'") < strstr(ours->out.data, "'d/a'\n"),
		"d/a/g before d/a", __FILE__, __LINE__);
}

static void a_dry_run_removes_nothing(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_keep();
	make_tree("d");
	run = BP("rm", "-rn", "d", "keep/f", "nosuch");
	expect_exit(run, 0);
	expect_eq(text_count(&run->out, "rm d"), TREE_ITEMS);
	expect_eq(text_count(&run->out, "\n"), TREE_ITEMS + 2);
	expect_same(SH("find d"), SH("sed -n 's/^rm //p' <<X | grep ^d\n$1\nX", run->out.data));
	expect_kept(__LINE__);
}

static void directories_need_an_option(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_dir("empty");
	make_dir("full");
	make_file("full/f", "x");
	run = BP("rm", "empty", "full");
	expect_exit(run, 1);
	expect_says(run, "full: is a directory (-r ");
	expect_there("empty");
	run = BP("rm", "-d", "empty", "full");
	expect_exit(run, 1);
	expect_says(run, "full: Directory not empty\n");
	expect_gone("empty");
	expect_there("full/f");
}

static void what_is_missing(struct test *t)
{
	const struct records *records;
	struct run *run;

	fresh_dir(t);
	make_file("f", "x");
	run = BP("rm", "f", "nosuch");
	expect_exit(run, 1);
	expect_err(run, "batchproc: rm: nosuch: No such file or directory\n");
	expect_gone("f");

	make_file("f", "x");
	run = BP("rm", "-rf", "nosuch", "f/x", "f");
	expect_exit(run, 0);
	expect_err(run, "");
	expect_gone("f");
	run = BP("rm", "-f", "--json", "nosuch");
	records = expect_records(run, 1);
	expect_status(records, "nosuch", "skipped");

	expect_exit(BP("rm", "-f"), 0);
	expect_exit(BP("rm"), 2);
	expect_exit(BP("rm", "-r", ""), 1);
}

static void what_is_refused(struct test *t)
{
	static const char *const names[] = {"/",     "//",  "///",  "/..",   "/../", "/../..",
					    ".",     "..",  "./",   "../",   "d/.",  "d/..",
					    "d/../", "./.", "d//.", "d/../."};

	fresh_dir(t);
	make_dir("d");
	make_file("d/f", "x");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct run *run = BP("rm", "-rfn", names[i]);

		expect_exit(run, 1);
		expect_out(run, "");
		expect_says(run, i < 3 ? "is the root directory" : "'.' and '..' are never");
	}
	/* Its own name by another path. */
	assert_int_equal(symlink("/", "slash"), 0);
	expect_exit(BP("rm", "-rn", "slash/"), 1);
	expect_exit(BP("rm", "-rn", "slash/tmp/.."), 1);
	/* The link itself is a file like others. */
	expect_exit(BP("rm", "-r", "slash"), 0);
	expect_gone("slash");
	expect_there("d/f");
}

static void links_are_removed_and_not_followed(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_keep();
	assert_int_equal(symlink("keep", "l") | symlink("l", "ll"), 0);
	run = BP("rm", "-r", "l/", "ll/", "keep/f/");
	expect_exit(run, 1);
	expect_eq(text_count(&run->err, "is a symbolic link, "), 2);
	expect_says(run, "keep/f/: Not a directory\n");
	expect_exit(BP("rm", "-rf", "l/"), 1);
	expect_exit(BP("rm", "-d", "l/"), 1);
	expect_there("l");
	expect_kept(__LINE__);
	expect_exit(BP("rm", "-r", "l", "ll"), 0);
	expect_gone("l");
	expect_gone("ll");
	expect_kept(__LINE__);
}

static void lists_are_removed(struct test *t)
{
	fresh_dir(t);
	expect_exit(SH("mkdir d; for i in $(seq 300); do echo >d/$i; done; echo >'d/new\nline'"),
		    0);
	expect_exit(SH("find d -type f -print0 | \"$BATCHPROC\" rm -0 -T -"), 0);
	expect_out(BP("rm", "-dv", "d"), "removed directory 'd'\n");
	expect_exit(RUN(HOW(.input = "\n"), "rm", "-T", "-"), 2);
}

/* What one operand is in may be gone before it is begun. */
static void operands_that_lie_in_each_other(struct test *t)
{
	const struct records *records;

	fresh_dir(t);
	for (int i = 0; i < 2; i++) {
		static const char *const how[] = {"-j128", "-k"};

		make_tree("d");
		expect_exit(SH("find d >list"), 0);
		expect_exit(BP("rm", "-rf", how[i], "-T", "list"), 0);
		expect_gone("d");
		make_tree("d");
		expect_exit(BP("rm", "-rf", how[i], "d", "d"), 0);
		expect_gone("d");
	}
	make_dir("d");
	records = expect_records(BP("rm", "-r", "--json", "-j1", "d", "d"), 2);
	expect_eq(records->ok, 1);
	expect_eq(records->failed, 1);
}

static void in_order_and_under_any_limit(struct test *t)
{
	static const char *const how[] = {"-k",
					  "-j1",
					  "-j2",
					  "-j3",
					  "--backend=threads",
					  "--loops=3",
					  "--retries=1",
					  "--timeout=1h",
					  "--rate=1000000/s"};
	const struct records *records;

	fresh_dir(t);
	for (size_t i = 0; i < sizeof(how) / sizeof(how[0]); i++) {
		make_tree("d");
		records = expect_records(BP("rm", "-r", "--json", how[i], "d"), TREE_ITEMS);
		expect_eq(records->ok, TREE_ITEMS);
		expect_between(records->peak, 1, records->limit);
		expect_gone("d");
	}
	/* Several trees, and files that are named beside them and take places too. */
	for (int i = 1; i < 5; i++) {
		make_tree("d");
		make_tree("e");
		make_file("f", "");
		make_file("g", "");
		expect_exit(SH("\"$BATCHPROC\" rm -r -j $1 f d g e", (char[]){(char)('0' + i), 0}),
			    0);
		expect_out(SH("ls"), "");
	}
	/* What is rejected stays, and the directories that it is in; the list brings it back. */
	expect_exit(SH("mkdir -p d/e; for i in $(seq 2000); do : >d/e/$i; done"), 0);
	records = expect_records(BP("rm", "-r", "--json", "-j1", "--on-full", "reject",
				    "--failed-to", "again", "d"),
				 2002);
	if (records->rejected) {
		expect_there("d/e");
		expect_out(SH("cat again"), "d\n");
		expect_exit(BP("rm", "-r", "-T", "again"), 0);
	}
	expect_gone("d");
}

/* Three processes with the same operands: each tree is one's, as a whole. */
static void trees_are_not_divided(struct test *t)
{
	fresh_dir(t);
	expect_exit(SH("for i in 1 2 3 4 5 6 7 8 9; do mkdir -p $i/a/b; : >$i/f; : >$i/a/b/f; done;"
		       "for k in 1 2 3; do \"$BATCHPROC\" rm -rf --shard $k/3 1 2 3 4 5 6 7 8 9 &"
		       " done; wait"),
		    0);
	expect_out(SH("ls"), "");
}

static void one_question_before_many(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_tree("d");
	run = RUN(HOW(.input = "n\n"), "rm", "-rI", "d");
	expect_exit(run, 0);
	expect_err(run, "batchproc: rm: remove 1 argument recursively? ");
	expect_there("d");
	/* Without an answer it is no. */
	expect_exit(BP("rm", "-rI", "d"), 0);
	expect_there("d");
	expect_exit(RUN(HOW(.input = "y\n"), "rm", "-rI", "d"), 0);
	expect_gone("d");

	expect_exit(SH("touch 1 2 3 4"), 0);
	run = BP("rm", "-I", "1", "2", "3", "4");
	expect_err(run, "batchproc: rm: remove 4 arguments? ");
	expect_there("1");
	expect_err(BP("rm", "-I", "1", "2", "3"), "");
	expect_gone("3");
	/* The last one counts, as with GNU rm. */
	expect_exit(BP("rm", "-I", "-f", "4", "a", "b", "c"), 0);
	expect_gone("4");
	expect_exit(RUN(HOW(.input = "x\n"), "rm", "-I", "-T", "-"), 2);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		ONCE(a_tree_goes_with_all_that_is_in_it),
		ONCE(a_line_for_each_when_asked_for),
		ONCE(a_dry_run_removes_nothing),
		ONCE(directories_need_an_option),
		ONCE(what_is_missing),
		ONCE(what_is_refused),
		ONCE(links_are_removed_and_not_followed),
		ONCE(lists_are_removed),
		ONCE(operands_that_lie_in_each_other),
		ONCE(in_order_and_under_any_limit),
		ONCE(trees_are_not_divided),
		ONCE(one_question_before_many),
	};

	return RUN_CASES(argc, argv, cases);
}
