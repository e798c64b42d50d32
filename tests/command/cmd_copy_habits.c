/* SPDX-License-Identifier: MIT */
/*
 * cmd_copy_habits - links, and what is kept, as cp has it
 *
 * Each line is run by both, on trees of the same kind beside each other: what is there afterwards
 * is the same, and so is the exit status.
 */
#include "support/beside.h"
#include "support/cmd.h"
#include "support/copies.h"

static void links_are_followed_or_not(struct test *t)
{
	static const struct beside all[] = {
		{"true", "-R d new"},
		{"true", "-rL d new"},
		{"true", "-rH d new"},
		{"true", "-rP d new"},
		{"true", "-rH dlink new"},
		{"true", "-rP dlink new"},
		{"true", "-r dlink new"},
		{"true", "-rL dlink new"},
		{"true", "-P plink new"},
		{"true", "plink new"},
		{"true", "-H plink new"},
		{"true", "-d plink new"},
		{"true", "-dr d new"},
		{"true", "-aL d new"},
		{"true", "-La d new"},
		{"true", "-aH dlink new"},
		{"ln -s .. d/up", "-rP d new"},
		{"ln -s nowhere d/x", "-rL d new"},
		{"ln -s nowhere x", "-P x new"},
		{"ln -s nowhere x", "x new"},
		{"mkdir into", "-r --strip-trailing-slashes dlink/ into"},
	};

	beside_cp(t, all, COUNT_OF(all), 0);
}

static void a_link_that_leads_back_is_an_error(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	run_sh("mkdir -p d/e && echo f >d/e/f && ln -s .. d/e/up && ln -s e d/e2");
	run = BP("copy", "-rL", "d", "new");
	expect_exit(run, 1);
	expect_says(run, "d/e/up: leads to a directory that it is in\n");
	expect_out(SH("cat new/e/f new/e2/f"), "f\nf\n");
}

/* With -L a directory is found again that had to be closed meanwhile. */
static void many_links_with_few_descriptors(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	run_sh("mkdir d far && for i in $(seq 200); do mkdir -p far/$i/a/b && echo $i >far/$i/a/b/f && "
	       "ln -s ../far/$i d/$i; done");
	run = RUN(HOW(.nofile = 64), "copy", "-rL", "d", "new");
	expect_exit(run, 0);
	run_sh("cp -rL d cpd && diff -r cpd new");
}

static void what_is_kept(struct test *t)
{
	static const struct beside all[] = {
		{"true", "-r --preserve=timestamps d new"},
		{"true", "-r --preserve=mode d new"},
		{"true", "-r --preserve=links d new"},
		{"true", "-r --preserve=mode,timestamps,ownership d new"},
		{"true", "-r --preserve d new"},
		{"true", "-r -p d new"},
		{"true", "-r --preserve=all d new"},
		{"true", "-a --no-preserve=mode d new"},
		{"true", "-a --no-preserve=ownership,links d new"},
		{"true", "-a --no-preserve=timestamps d new"},
		{"true", "--no-preserve=mode p new"},
		{"true", "--preserve=mode --no-preserve=mode p new"},
		{"true", "-p p new"},
		{"chown 12:34 p d/f && mkdir into", "-r --preserve=ownership d p into"},
		{"setfattr -n user.a -v b p", "--preserve=xattr p new"},
	};

	beside_cp(t, all, COUNT_OF(all), SAME_TIMES);
	fresh_dir(t);
	make_file("f", "x");
	expect_says(BP("copy", "--preserve=context", "f", "i"),
		    "--preserve: 'context' is not a list of mode, ");
	if (!have_program("setfattr"))
		skip_because(t, "no setfattr");
	run_sh("setfattr -n user.a -v b f");
	expect_exit(BP("copy", "--preserve=xattr", "f", "g"), 0);
	expect_exit(BP("copy", "-a", "--no-preserve=xattr", "f", "h"), 0);
	expect_out(SH("getfattr -d f g h | grep -c user.a"), "2\n");
}

static void links_instead_of_copies(struct test *t)
{
	static const struct beside all[] = {
		{"true", "-l p new"},	       {"true", "-l p n"},
		{"true", "-lf p n"},	       {"true", "-l p d/f d/empty"},
		{"true", "-rl d new"},	       {"true", "-al d new"},
		{"true", "-lP plink new"},     {"true", "-lL plink new"},
		{"true", "-s p new"},	       {"true", "-s p n"},
		{"true", "-sf p n"},	       {"true", "-s p d/empty"},
		{"true", "-s $PWD/p d/empty"}, {"true", "-rs $PWD/d new"},
		{"true", "-ls p new"},	       {"true", "-lb p n"},
		{"true", "-sb p n"},	       {"true", "-l --remove-destination p n"},
		{"ln p q", "-l p q"},	       {"true", "-l d new"},
	};

	beside_cp(t, all, COUNT_OF(all), 0);
}

static void other_file_systems_stay_out(struct test *t)
{
	fresh_dir(t);
	run_sh("mkdir -p d/a && echo f >d/f");
	mount_at(t, "d/m", "mount -t tmpfs none d/m");
	run_sh("echo in >d/m/f && chmod 751 d/m");
	expect_exit(BP("copy", "-rx", "d", "bp"), 0);
	expect_exit(SH("cp -rx d cp"), 0);
	expect_same(beside_list("cp"), beside_list("bp"));
	expect_gone("bp/m/f");
	expect_exit(BP("copy", "-r", "d", "all"), 0);
	expect_there("all/m/f");
	unmount("d/m");
}

static void links_are_renewed(struct test *t)
{
	static const struct beside all[] = {
		{"mkdir new && cp -a d new && ln -sfn sub d/link", "-au d new"},
		{"mkdir new && cp -a d new && echo later >d/f", "-au d new"},
		{"mkdir new && cp -a d new && rm new/d/hard && cp -p new/d/f new/d/hard",
		 "-au d new"},
		{"mkdir new && cp -a d new && rm new/d/hard", "-au d new"},
		{"mkdir new && cp -a d new && rm new/d/link && ln -s f new/d/link", "-au d new"},
	};

	beside_cp(t, all, COUNT_OF(all), 0);
	/* Older than its copy, and yet not what that is: as with rsync. */
	if (!have_program("rsync"))
		skip_because(t, "no rsync");
	fresh_dir(t);
	run_sh("mkdir d && echo f >d/f && ln -s f d/a && ln -s f d/b && echo x >d/c && cp -a d new && "
	       "ln -sfn nowhere d/a && rm d/b d/c && echo file >d/b && ln -s f d/c && "
	       "touch -h -d 2001-01-01 d/a d/b d/c && cp -a new rs && rsync -au d/ rs");
	expect_exit(BP("copy", "-au", "d/.", "new"), 0);
	expect_out(SH("readlink new/a && cat new/b && readlink new/c && cat new/f && "
		      "diff -r --no-dereference d new"),
		   "nowhere\nfile\nf\nf\n");
	expect_exit(SH("diff -r --no-dereference rs new"), 0);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		ONCE(links_are_followed_or_not),
		ONCE(a_link_that_leads_back_is_an_error),
		ONCE(many_links_with_few_descriptors),
		ONCE(what_is_kept),
		ONCE(links_instead_of_copies),
		ONCE(other_file_systems_stay_out),
		ONCE(links_are_renewed),
	};

	return RUN_CASES(argc, argv, cases);
}
