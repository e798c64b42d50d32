/* SPDX-License-Identifier: MIT */
/*
 * cmd_list - what a walk finds, as find has it, and what others make of it
 */
#include "support/cmd.h"
#include "support/copies.h"

static void make_tree(void)
{
	run_sh("mkdir -p d/a/b d/.h && echo 1 >d/f && echo 2 >d/a/g && echo 3 >d/a/b/h && ln -s f d/l && "
	       "ln -s a d/la && mkfifo d/p && echo 4 >d/.h/i");
}

static void the_same_as_find(struct test *t)
{
	fresh_dir(t);
	make_tree();
	expect_same(BP("list", "-r", "d"), SH("find d ! -type d"));
	expect_same(BP("list", "-r", "--type=f", "d"), SH("find d -type f"));
	expect_same(BP("list", "-r", "--type", "d", "d"), SH("find d -type d"));
	expect_same(BP("list", "-r", "--type", "f,d,l,p", "d"), SH("find d"));
	expect_same(BP("list", "-r", "--type=fl", "--no-hidden", "d"),
		    SH("find d -name '.*' -prune -o -type f -print -o -type l -print"));
	expect_same(BP("list", "-r", "--type=f", "--exclude=/a", "d"),
		    SH("find d -path d/a -prune -o -type f -print"));
	expect_same_z(BP("list", "-r0", "d"), SH("find d ! -type d -print0"));
	expect_same(BP("list", "d/f", "d/l"), SH("printf 'd/f\\nd/l\\n'"));
	expect_same(SH("for i in 1 2 3; do $BATCHPROC list -r --shard $i/3 d; done"),
		    SH("find d ! -type d"));
}

static void what_cannot_be_listed(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	run_sh("mkdir d && touch \"d/a\nb\" d/c");
	run = BP("list", "-r", "d");
	expect_exit(run, 1);
	expect_out(run, "d/c\n");
	expect_says(run, "has a newline in its name (-0 ends names with NUL)");
	expect_exit(BP("list", "-r0", "d"), 0);
	run = BP("list", "d");
	expect_exit(run, 1);
	expect_says(run, "is a directory (-r lists what is in it)");
	expect_exit(BP("list", "nosuch"), 1);
	expect_exit(BP("list", "--type=x", "d"), 2);
	run = BP("list", "--manifest=verify", "d");
	expect_exit(run, 2);
	expect_says(run, "--manifest: 'verify' is not a command whose jobs are about one path");
	run = BP("list", "--manifest=copy", "d");
	expect_exit(run, 2);
	expect_says(run, "--manifest copy needs --to");
	expect_exit(BP("list", "--manifest=hash", "--to=x", "d"), 2);
	expect_exit(BP("list", "--to=x", "d"), 2);
	expect_exit(BP("list", "--manifest=copy", "--to=", "d"), 2);
	expect_exit(BP("list", "--manifest=copy", "--to=x", "--type=d", "d"), 2);
	expect_exit(BP("list", "--manifest=hash", "--json", "d"), 2);
}

static void records_and_manifests(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_tree();
	run = BP("list", "-r", "--json", "--type=f", "d");
	expect_exit(run, 0);
	expect_eq(text_count(&run->out, "\"type\":\"file\""), 4);
	run_sh("touch \"d/a\nb\" 'd/q\"uote'");
	expect_same(SH("$BATCHPROC list -r --type f --manifest hash d | $BATCHPROC run -"),
		    BP("hash", "-r", "d"));
	expect_exit(SH("$BATCHPROC list -r --type f --manifest rm d >jobs && $BATCHPROC run jobs"),
		    0);
	expect_out(SH("find d -type f"), "");
	make_file("d/x", "x");
	expect_same(SH("$BATCHPROC list -r0 --type f d | $BATCHPROC hash -0 -T -"),
		    SH("sha256sum d/x"));
}

/* Names of every kind go through each form to each command that takes it. */
static void what_is_listed_can_be_taken(struct test *t)
{
	static const char make[] =
		"rm -rf d && mkdir -p d/a/b && cd d && for n in 'a\nb' 'q\"uote' \"s'q\" -dash ' lead' "
		"'trail ' 'tab\t' '\377\376' 'back\\\\slash' '#hash' '~t' '*star' '$x' 'a,b' "
		"'{\"op\":1}' - 'cr\r'; do f=$(printf \"${n}x\"); f=${f%x}; printf '%s' \"$f\" >\"$f\"; "
		"cp -- \"./$f\" \"a/b/$f\"; done; ln -s 'q\"uote' link; ln -s a/b there";
	static const char *const lists[] = {
		"$BATCHPROC list -r d --type ${2-f,l} --exclude='*[\n\r]*' | $BATCHPROC $1 -T -",
		"$BATCHPROC list -r0 d --type ${2-f,l} | $BATCHPROC $1 -0 -T -",
	};
	static const char *const jobs[] = {
		"$BATCHPROC list -r $1 d | $BATCHPROC run -",
		"$BATCHPROC list -r0 $1 d | $BATCHPROC run -0 -",
	};

	fresh_dir(t);
	for (size_t i = 0; i < COUNT_OF(lists); i++) {
		expect_exit(SH(make), 0);
		expect_exit(SH(lists[i], "copy -P --parents -t o"), 2);
		run_sh("mkdir o");
		expect_exit(SH(lists[i], "copy -P --parents -t o"), 0);
		/* What a line cannot hold is not there. */
		expect_exit(SH("test $1 = 1 || find d -name '*[\n\r]*' -delete; "
			       "diff -r --no-dereference d o/d",
			       i ? "1" : "0"),
			    0);
		expect_same(SH(lists[i], "hash", "f"), BP("hash", "-r", "d"));
		run_sh("rm -r o");
		expect_exit(SH(lists[i], "rm"), 0);
		expect_out(SH("find d ! -type d"), "");
	}
	for (size_t i = 0; i < COUNT_OF(jobs); i++) {
		expect_exit(SH(make), 0);
		run_sh("mkdir o");
		expect_exit(SH(jobs[i], "--manifest copy --to o"), 0);
		expect_exit(SH("diff -r --no-dereference d o/d"), 0);
		expect_same(SH(jobs[i], "--type f --manifest hash"), BP("hash", "-r", "d"));
		expect_exit(SH(jobs[i], "--manifest rm"), 0);
		expect_out(SH("find d ! -type d"), "");
		run_sh("rm -r o");
	}
	/* What would be standard input. */
	make_file("-", "dash");
	expect_out(BP("list", "--", "-"), "./-\n");
	expect_out(BP("list", "--manifest=hash", "-"), "{\"op\":\"hash\",\"src\":\"./-\"}\n");
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		ONCE(the_same_as_find),
		ONCE(what_cannot_be_listed),
		ONCE(records_and_manifests),
		ONCE(what_is_listed_can_be_taken),
	};

	return RUN_CASES(argc, argv, cases);
}
