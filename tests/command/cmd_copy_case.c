/* SPDX-License-Identifier: MIT */
/*
 * cmd_copy_case - copies to a file system that takes names which differ in case for one
 */
#include "support/badmount.h"
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

/* FAT gives long names a short one besides, which only who knows it finds. */
static void a_short_name_of_another_is_met_too(struct test *t)
{
	static const char *const names[][2] = {
		{"longfilename.txt", "LONGFI~1.TXT"},
		{"20241215123456", "202412~1"},
		{"20241215123456.789", "202412~1.789"},
	};
	static const char *const ways[] = {"-v", "-u", "--atomic"};

	fresh_dir(t);
	run_sh("mkdir b m");
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		const char *name = names[i][0], *alias = names[i][1];
		struct badmount *bad = BADMOUNT(t, "b", "m", "fold on", "aliases on");

		for (size_t k = 0; k < COUNT_OF(ways); k++) {
			struct run *run;

			run_sh("rm -rf s x b/*; mkdir -p s/d/$1 s/d/$2 x b/old; echo long >s/$1;"
			       "echo short >s/$2; echo long >s/d/$1/f; echo short >s/d/$2/f;"
			       "echo new >x/$2; echo old >b/old/$1",
			       name, alias);
			run = BP("copy", "-r", ways[k], "--no-target-directory", "s", "m/t");
			/* The short one may have been first: then it is none of the long one's. */
			if (run->status && !expect_exit(run, 1))
				print_error("%s, %s\n", alias, ways[k]);
			expect_between(text_count(&run->err, MEET), run->status, run->status * 2);
			/* Whichever came first is whole, and in its own place. */
			expect_exit(SH("cd b/t && for f in $(find . -type f); do cmp $f ../../s/$f "
				       "|| exit 1; done"),
				    0);
			/* In one run after the other, and by what was named itself. */
			run_sh("rm -r b/t; mkdir b/t");
			expect_exit(SH("\"$BATCHPROC\" copy -j1 --loops 1 $3 s/$1 s/$2 m/t", name,
				       alias, ways[k]),
				    1);
			expect_out(SH("cat b/t/*"), "long\n");
		}
		badmount_end(bad);
	}
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		ONCE(of_two_files_one_is_copied),
		ONCE(of_two_directories_one_is_copied),
		ONCE(sources_that_were_named),
		ONCE(a_source_by_another_name_is_itself),
		ONCE(a_short_name_of_another_is_met_too),
	};

	return RUN_CASES(argc, argv, cases);
}
