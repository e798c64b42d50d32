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
	run = BP("list", "--manifest=copy", "d");
	expect_exit(run, 2);
	expect_says(run, "--manifest: 'copy' is not a command that takes a path and nothing else");
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

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		ONCE(the_same_as_find),
		ONCE(what_cannot_be_listed),
		ONCE(records_and_manifests),
	};

	return RUN_CASES(argc, argv, cases);
}
