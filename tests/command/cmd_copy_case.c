/* SPDX-License-Identifier: MIT */
/*
 * cmd_copy_case - copies to a file system that takes names which differ in case for one
 */
#include "support/cmd.h"
#include "support/copies.h"

#define MEET "by a name that is the same to this file system"

static void mount_folding(struct test *t)
{
	fresh_dir(t);
	mount_at(t, "fs",
		 "truncate -s 64M image && mkfs.exfat image && loop=$(losetup -f --show image) && "
		 "{ mount.exfat-fuse $loop fs; status=$?; losetup -d $loop; exit $status; }");
}

/* The first to come is copied, and the other one an error, in each run anew. */
static void of_two_files_one_is_copied(struct test *t)
{
	static const char *const ways[] = {"-v", "-u", "--atomic", "-v"};
	struct run *run;

	mount_folding(t);
	run_sh("mkdir src; echo upper >src/README; echo lower >src/readme; echo x >src/other; "
	       "printf '\\303\\211' >src/$(printf '\\303\\211'); "
	       "printf '\\303\\251' >src/$(printf '\\303\\251')");
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		run = BP("copy", "-r", ways[i], "--no-target-directory", "src", "fs/dst");
		expect_exit(run, 1);
		expect_eq(text_count(&run->err, MEET), 2);
		/* Each name that is there has its own content. */
		expect_out(SH("ls fs/dst | while read f; do cmp fs/dst/\"$f\" src/\"$f\"; done; "
			      "ls -A fs/dst | wc -l"),
			   "3\n");
	}
	unmount("fs");
}

static void of_two_directories_one_is_copied(struct test *t)
{
	struct run *run;

	mount_folding(t);
	run_sh("mkdir -p src/Dir src/dir; echo upper >src/Dir/f; echo lower >src/dir/f");
	for (size_t i = 0; i < 2; i++) {
		run = BP("copy", "-r", "--no-target-directory", "src", "fs/dst");
		expect_exit(run, 1);
		expect_eq(text_count(&run->err, MEET), 1);
		expect_out(SH("d=$(ls fs/dst) && cmp fs/dst/$d/f src/$d/f && ls fs/dst | wc -l"),
			   "1\n");
	}
	unmount("fs");
}

static void sources_that_were_named(struct test *t)
{
	struct run *run;

	mount_folding(t);
	run_sh("mkdir a b; echo upper >a/README; echo lower >b/readme");
	run = BP("copy", "a/README", "b/readme", "fs");
	expect_exit(run, 1);
	expect_eq(text_count(&run->err, MEET), 1);
	/* What was there before is replaced, as by cp. */
	run_sh("rm fs/*; echo old >fs/ReadMe");
	expect_exit(BP("copy", "a/README", "fs"), 0);
	expect_out(SH("cat fs/*; ls fs | wc -l"), "upper\n1\n");
	unmount("fs");
}

/* Each name has an inode of its own there: cp empties the file. */
static void a_source_by_another_name_is_itself(struct test *t)
{
	static const char *const ways[] = {"-v", "-a", "--atomic", "--inplace", "--verify", "-b"};

	mount_folding(t);
	run_sh("echo precious >fs/name; mkdir fs/dir; echo too >fs/dir/f;");
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		struct run *run = BP("copy", ways[i], "fs/name", "fs/NAME");

		expect_exit(run, 1);
		expect_says(run, "source and destination are the same file");
		expect_exit(BP("copy", "-r", ways[i], "fs/name", "fs/dir", "fs/"), 1);
		expect_out(SH("ls fs; cat fs/name fs/dir/f"), "dir\nname\nprecious\ntoo\n");
	}
	unmount("fs");
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		ONCE(of_two_files_one_is_copied),
		ONCE(of_two_directories_one_is_copied),
		ONCE(sources_that_were_named),
		ONCE(a_source_by_another_name_is_itself),
	};

	return RUN_CASES(argc, argv, cases);
}
