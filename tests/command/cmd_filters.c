/* SPDX-License-Identifier: MIT */
/*
 * cmd_filters - what walks leave out: rsync's patterns, sizes, times, depth
 *
 * Each set of rules is given to rsync too, over the same tree with a slash behind it: both take the
 * same names.
 */
#include "support/badmount.h"
#include "support/cmd.h"
#include "support/copies.h"
#include "support/records.h"

static const char tree[] =
	"mkdir -p d/a/b/c d/.hid d/foo/bar d/foo/baz/foo d/x/foo/y d/build/sub 'd/[odd]' && cd d && "
	"touch f.c f.o a/f.c a/f.o a/b/f.o a/b/c/deep.c .hid/f .dot foo/bar/f foo/baz/foo/g x/foo/y/z "
	"foo.txt a/foo.txt build/sub/keep build/core a/core 'star*' '[odd]/f' 'q?' 'back\\slash' b1 b2 "
	"b-3 bZ a/build";

/* Names that a copy takes, and names that rsync takes. */
static void same_as_rsync(const char *rules)
{
	struct run *run = SH("set -f; eval \"set -- $1\"; set +f; rm -rf r b; mkdir r b; "
			     "rsync -a \"$@\" d/ r && $BATCHPROC copy -a \"$@\" d/. b || exit 9; "
			     "(cd r && find . | sort) >r.out; (cd b && find . | sort) >b.out; "
			     "diff -U0 r.out b.out",
			     rules);

	if (run->out.len || run->status)
		record_failure("%s (- rsync, + batchproc):\n%s%s", rules, run->out.data,
			       run->err.data);
}

static const char *const rules[] = {
	"--exclude='*.o'",
	"--exclude=core",
	"--exclude=/core --exclude=/f.c",
	"--exclude=/a",
	"--exclude=build/",
	"--exclude=a/",
	"--exclude=foo/bar",
	"--exclude=/foo/bar",
	"--exclude=foo/",
	"--exclude=foo",
	"--exclude='foo*'",
	"--exclude='a/*.o'",
	"--exclude='a/**.o'",
	"--exclude='a/**'",
	"--exclude='**/foo'",
	"--exclude='**foo'",
	"--exclude='/**/foo'",
	"--exclude='foo/***'",
	"--exclude='/foo/***'",
	"--exclude='**/b/***'",
	"--exclude='x**z'",
	"--exclude='b?'",
	"--exclude='b[0-9]'",
	"--exclude='b[!0-9]'",
	"--exclude='b[^0-9]'",
	"--exclude='b[[:digit:]]'",
	"--exclude='b[[:upper:]-]*'",
	"--exclude='[a-'",
	"--exclude='[]]'",
	"--exclude='[[]odd]'",
	"--exclude='[odd]'",
	"--exclude='\\[odd\\]'",
	"--exclude='star\\*'",
	"--exclude='q\\?'",
	"--exclude='back\\slash'",
	"--exclude='back\\\\*'",
	"--exclude='.*'",
	"--include='*.c' --exclude='*'",
	"--include='*/' --include='*.c' --exclude='*'",
	"--include=/foo --include='/foo/bar/***' --exclude='*'",
	"--include=core --exclude=core",
	"--exclude=core --include=core",
	"--exclude='+ *.c' --exclude='*.*'",
	"--include='- *.c'",
	"--exclude='*.c' --exclude='!' --exclude='*.o'",
	"--exclude='*/b'",
	"--exclude='*/*/b'",
	"--exclude='?/b'",
	"--exclude='/*/*.o'",
	"--exclude='/*'",
	"--exclude='*'",
	"--exclude='**'",
	"--exclude='a/b/'",
	"--exclude='/a/b/c/*'",
	"--exclude-from=rules",
	"--include-from=rules --exclude='*'",
	"--exclude=sub/keep",
	"--exclude='*b*/s*b'",
	"--exclude='x/**/z'",
	"--exclude='x/**/y/z'",
	"--exclude='foo/**/g'",
	"--exclude=foo/baz/foo/g --exclude=''f.c",
	"--min-size=1",
	"--max-size=1k",
};

static void patterns_are_those_of_rsync(struct test *t)
{
	fresh_dir(t);
	if (!have_program("rsync"))
		skip_because(t, "no rsync");
	run_sh(tree);
	run_sh("printf '# no\\n; no\\n\\n*.o\\r\\n+ core\\n/a/b\\n- *.txt\\n' >rules; "
	       "echo content >d/f.c; head -c 5000 /dev/zero >d/f.o");
	for (size_t i = 0; i < COUNT_OF(rules); i++)
		same_as_rsync(rules[i]);
}

/* Rules of a few signs, some of them odd, over a few names, each set by both. */
static void many_patterns(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	if (!have_program("rsync"))
		skip_because(t, "no rsync");
	run_sh("mkdir -p r d/a/b/a d/b/ab d/ab/b d/'[ab]'/x d/b-a && touch d/a/b/a/ab d/b/ab/a d/ab/b/a "
	       "d/a/a d/b/b d/ba 'd/[ab]/x/a' 'd/b-a/]' 'd/a*b' d/- d/b/^ 'd/!a' 'd/a:]'");
	make_file(
		"signs",
		"a b a b a b / / * ** ? *** /*/ [ab] [!a] [^b] [a-b] [[:alpha:]] [ - ] ! ^ [] "
		"[]] [\\]] [a- \\* \\ [[:x:]] [![:x:]] [[:a] [[:alpha:]-z] :] [! [[: [b-a] [b-a-c] "
		"[\\a-b] [a-\\b] []-a] [^[:alpha:]b] [::] [[::]] [[:]");
	run = SH(
		"LC_ALL=C awk '{ srand(7); for (i = 0; i < 200; i++) { p = \"\"; k = 1 + int(rand() * 5); "
		"for (j = 0; j < k; j++) p = p $(1 + int(rand() * NF)); print p } }' signs >patterns; "
		"last=x; while read -r p; do "
		"rsync -rn --out-format=%n --exclude=\"$p\" --include=\"$last\" --exclude='?\?' d/ r | "
		"sed 's|/$||; /^\\.$/d' | sort >r.out; "
		"$BATCHPROC list -r --allow-empty --type=f,d --exclude=\"$p\" --include=\"$last\" "
		"--exclude='?\?' d | sed '/^d$/d; s|^d/||' | sort >b.out; "
		"cmp -s r.out b.out || { echo \"$p $last\"; diff -U0 r.out b.out; }; last=$p; "
		"done <patterns");
	expect_out(run, "");
}

static void sizes_times_and_depth(struct test *t)
{
	fresh_dir(t);
	run_sh("mkdir -p d/s/t && head -c 100 /dev/zero >d/small && head -c 5000 /dev/zero >d/s/large && "
	       ": >d/s/t/empty && touch -d '3 days ago' d/s/large && touch -d 2001-01-01 d/small");
	expect_same(BP("hash", "-r", "--min-size=100", "d"), SH("sha256sum d/small d/s/large"));
	expect_same(BP("hash", "-r", "--min-size=101", "d"), SH("sha256sum d/s/large"));
	expect_same(BP("hash", "-r", "--max-size=100", "d"), SH("sha256sum d/small d/s/t/empty"));
	expect_same(BP("hash", "-r", "--max-size=4K", "--min-size=1", "d"),
		    SH("sha256sum d/small"));
	expect_same(BP("hash", "-r", "--newer=2d", "d"), SH("sha256sum d/s/t/empty"));
	expect_same(BP("hash", "-r", "--older", "2d", "d"), SH("sha256sum d/small d/s/large"));
	expect_same(BP("hash", "-r", "--older", "2001-01-02", "d"), SH("sha256sum d/small"));
	expect_same(BP("hash", "-r", "--newer", "2001-01-02T00:00", "d"),
		    SH("sha256sum d/s/large d/s/t/empty"));
	expect_same(BP("hash", "-r", "--newer", "d/s/large", "d"),
		    SH("find d -type f -newer d/s/large -exec sha256sum {} +"));
	expect_same(BP("hash", "-r", "--older", "@1000000000", "d"), SH("sha256sum d/small"));
	expect_same(BP("hash", "-r", "--max-depth=1", "d"),
		    SH("find d -maxdepth 1 -type f -exec sha256sum {} +"));
	expect_same(BP("hash", "-r", "--max-depth=2", "d"),
		    SH("find d -maxdepth 2 -type f -exec sha256sum {} +"));
	expect_out(BP("hash", "-r", "--max-depth=0", "d"), "");
}

static void hidden_files_are_taken(struct test *t)
{
	fresh_dir(t);
	run_sh("mkdir -p .d/.h && echo a >.d/a && echo b >.d/.b && echo c >.d/.h/c");
	expect_same(BP("hash", "-r", ".d"), SH("sha256sum .d/a .d/.b .d/.h/c"));
	expect_same(BP("hash", "-r", "--hidden", ".d"), SH("sha256sum .d/a .d/.b .d/.h/c"));
	/* What is named is taken. */
	expect_same(BP("hash", "-r", "--no-hidden", ".d", ".d/.b"), SH("sha256sum .d/a .d/.b"));
	expect_same(BP("hash", "-r", "--no-hidden", "--hidden", ".d"),
		    SH("sha256sum .d/a .d/.b .d/.h/c"));
}

static void what_was_left_out_is_counted(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	run_sh("mkdir -p d/no/deeper && touch d/no/f d/a.o d/b.o d/c");
	run = BP("hash", "-r", "--json", "--exclude=*.o", "--exclude=no/", "d");
	expect_exit(run, 0);
	expect_(strstr(run->out.data, "\"excluded\":3"), "3 are counted", __FILE__, __LINE__);
	expect_says(BP("hash", "-rv", "--exclude=*.o", "--exclude=no/", "d"), ", 3 excluded");
	run = BP("hash", "-r", "--json", "d");
	expect_(!strstr(run->out.data, "\"excluded\""), "none are told", __FILE__, __LINE__);
}

static void what_is_left_out_is_not_removed(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	run_sh("mkdir -p d/a/b d/c d/e && touch d/a/b/keep d/a/b/go d/c/go d/a/go");
	run = BP("rm", "-r", "--json", "--exclude=keep", "d");
	expect_exit(run, 0);
	expect_out(SH("find d | sort"), "d\nd/a\nd/a/b\nd/a/b/keep\n");
	expect_eq(text_count(&run->out, "\"status\":\"skipped\""), 3);
	expect_exit(BP("rm", "-r", "d"), 0);
	/* By one that works and by one that waits. */
	run_sh("mkdir -p d/a/b d/c && touch d/a/b/keep d/a/b/go d/c/go");
	expect_exit(BP("rm", "-rk", "--retries=1", "--exclude=keep", "d"), 0);
	expect_out(SH("find d | sort"), "d\nd/a\nd/a/b\nd/a/b/keep\n");
	expect_exit(BP("rm", "-r", "--older=1h", "d"), 0);
	expect_there("d/a/b/keep");
	/* In the jobs of a manifest, too. */
	run = SH("echo 'rm -r d' | $BATCHPROC run --exclude=keep -");
	expect_exit(run, 0);
	expect_there("d/a/b/keep");
}

/* Of what a filter by size or time is for, and of a directory, what was there before stays. */
static void what_no_filter_chose_is_not_removed(struct test *t)
{
	static const char full[] =
		"rm -rf d o && mkdir -p d/empty d/m/n d/gone d/x && head -c 2000 /dev/zero | "
		"tee d/gone/l >d/large && echo s >d/x/small && ln -s large d/m/link && mkfifo d/m/n/p";
	static const char *const ways[] = {"", "-k --retries=1"};
	struct run *run;

	fresh_dir(t);
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		run = SH("eval \"$1\"; $BATCHPROC rm -r $2 --min-size=1K d && find d | sort", full,
			 ways[i]);
		expect_exit(run, 0);
		expect_out(run, "d\nd/empty\nd/m\nd/m/link\nd/m/n\nd/m/n/p\nd/x\nd/x/small\n");
		/* A link has a time of its own. */
		run = SH("eval \"$1\"; touch -hd 2001-01-01 d/m/link d/x/small; "
			 "$BATCHPROC rm -r $2 --older=30d d && find d | sort",
			 full, ways[i]);
		expect_out(run, "d\nd/empty\nd/gone\nd/gone/l\nd/large\nd/m\nd/m/n\nd/m/n/p\n");
		run = SH(
			"mkdir -p o/a/b; $BATCHPROC rm -r $1 --json --older=30d o && find o | sort",
			ways[i]);
		expect_exit(run, 0);
		expect_eq(text_count(&run->out, "not removed: it was empty before"), 1);
		expect_there("o/a/b");
	}
	/* By name alone nothing is judged by what it is. */
	expect_exit(BP("rm", "-r", "--exclude=large", "d"), 0);
	expect_out(SH("find d | sort"), "d\nd/large\n");
	run = SH("eval \"$1\"; $BATCHPROC list -r --min-size=1 d | sort", full);
	expect_out(run, "d/gone/l\nd/large\nd/x/small\n");
}

/* What cannot be looked at is in nobody's choice: it fails, and stays. */
static void what_cannot_be_judged_is_not_removed(struct test *t)
{
	static const char *const all[] = {"--min-size=1", "--max-size=1M", "--older=1970-01-02",
					  "--newer=1970-01-02"};
	struct badmount *bad;
	struct run *run;

	fresh_dir(t);
	make_dir("b");
	make_dir("m");
	run_sh("mkdir b/d && echo f >b/d/f && echo g >b/d/g");
	bad = BADMOUNT(t, "b", "m", "error getattr 5 f");
	for (size_t i = 0; i < COUNT_OF(all); i++) {
		run = BP("rm", "-rf", all[i], "m/d");
		expect_exit(run, 1);
		expect_says(run, "m/d/f: Input/output error");
		expect_there("b/d/f");
		expect_exit(BP("hash", "-r", all[i], "m/d"), 1);
	}
	expect_gone("b/d/g");
	badmount_end(bad);
	/* Nor is what cannot be looked into. */
	need_root(t);
	run_sh("mkdir -p d/x && chmod 0 d/x && chown -R 65534 d");
	run = RUN(HOW(.uid = NOBODY), "rm", "-r", "--older=1h", "d");
	expect_exit(run, 1);
	expect_says(run, "d/x: Permission denied");
	expect_there("d/x");
}

/* What writes them may be slow, or come later. */
static void patterns_come_through_a_pipe(struct test *t)
{
	static const char *const all[] = {
		"(echo '*.o'; sleep 0.2; echo 'x*') | $BATCHPROC list -r --exclude-from - d",
		"(sleep 0.2; echo '*.o'; echo 'x*') >p & $BATCHPROC list -r --exclude-from=p d",
		"echo '*.c' | $BATCHPROC list -r --include-from - --exclude='*' d",
	};

	fresh_dir(t);
	run_sh("mkdir d && touch d/a.c d/a.o d/xx && mkfifo p");
	for (size_t i = 0; i < COUNT_OF(all); i++) {
		struct run *run = SH(all[i]);

		expect_exit(run, 0);
		expect_out(run, "d/a.c\n");
	}
}

static void values_that_are_none(struct test *t)
{
	static const char *const all[][2] = {
		{"--min-size=x", "--min-size: 'x' is not a number of bytes"},
		{"--max-size=-1", "--max-size: '-1' is not a number of bytes"},
		{"--newer=nosuch", "--newer: 'nosuch' is not a time such as 2d"},
		{"--older=2026-13-01", "--older: '2026-13-01' is not a time"},
		{"--max-depth=x", "--max-depth: 'x' is not a number"},
		{"--exclude=", "--exclude: '' is not a pattern"},
		{"--exclude-from=nosuch", "--exclude-from: 'nosuch' is not a file of patterns"},
		{"--min-size=2K --max-size=1K", "--min-size is more than --max-size"},
		{"--newer=1d --older=2d", "nothing is both --newer and --older"},
	};
	struct run *run;

	fresh_dir(t);
	make_dir("d");
	for (size_t i = 0; i < COUNT_OF(all); i++) {
		run = SH("$BATCHPROC hash -r $1 d", all[i][0]);
		expect_exit(run, 2);
		expect_says(run, all[i][1]);
	}
	expect_exit(BP("fetch", "--exclude=x", "http://127.0.0.1:9/"), 2);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		ONCE(patterns_are_those_of_rsync),
		ONCE(many_patterns),
		ONCE(sizes_times_and_depth),
		ONCE(hidden_files_are_taken),
		ONCE(what_was_left_out_is_counted),
		ONCE(what_is_left_out_is_not_removed),
		ONCE(patterns_come_through_a_pipe),
		ONCE(values_that_are_none),
		ONCE(what_no_filter_chose_is_not_removed),
		ONCE(what_cannot_be_judged_is_not_removed),
	};

	return RUN_CASES(argc, argv, cases);
}
