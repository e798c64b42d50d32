/* SPDX-License-Identifier: MIT */
/*
 * cmd_copy_links - files with several names: what becomes of them where some of the names are there
 */
#include <sys/stat.h>

#include "support/cmd.h"
#include "support/copies.h"
#include "support/records.h"

static const char *const names[] = {"a", "b", "c"};

static struct stat stat_of(const char *dir, const char *name)
{
	struct stat st = {0};
	char path[64];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(lstat(path, &st), 0);
	return st;
}

/* Which of the names in a directory are one file, as in "aab". */
static const char *partition(const char *dir)
{
	static char text[COUNT_OF(names) + 1];

	for (size_t i = 0; i < COUNT_OF(names); i++) {
		size_t j = 0;

		while (stat_of(dir, names[j]).st_ino != stat_of(dir, names[i]).st_ino)
			j++;
		text[i] = *names[j];
	}
	return text;
}

static void make_source(void)
{
	run_sh("rm -rf src; mkdir src; echo f >src/a; touch -d 2001-02-03 src/a; "
	       "ln src/a src/b; ln src/a src/c");
}

/* Ways in which a name can be there: a file like the source, another one, or a link to nowhere. */
static const char *const there[] = {
	"cp -p src/$1 dst/$1",
	"echo other >dst/$1",
	"ln -s nowhere dst/$1",
};

/*
 * It stays what it is, as with cp -n and rsync --ignore-existing, whichever comes first. The others
 * are one file with the source's content.
 */
static void what_is_there_stays_and_the_others_are_one(struct test *t)
{
	static const char *const expected[] = {"abb", "aba", "aac"};
	struct stat before, after;

	fresh_dir(t);
	make_source();
	for (size_t i = 0; i < 2 * COUNT_OF(there); i++) {
		for (size_t j = 0; j < COUNT_OF(names); j++) {
			run_sh("rm -rf dst; mkdir dst");
			run_sh(there[i / 2], names[j]);
			before = stat_of("dst", names[j]);
			expect_exit(BP("copy", "-a", "--ignore-existing",
				       i % 2 ? "-j1" : "--atomic", "src/a", "src/b", "src/c",
				       "dst"),
				    0);
			after = stat_of("dst", names[j]);
			expect(before.st_ino == after.st_ino &&
			       before.st_ctim.tv_sec == after.st_ctim.tv_sec &&
			       before.st_ctim.tv_nsec == after.st_ctim.tv_nsec);
			if (strcmp(partition("dst"), expected[j]))
				record_failure("'%s' of %s: %s", there[i / 2], names[j],
					       partition("dst"));
			expect_out(SH("cat dst/$1 dst/$2", j == 0 ? "b" : "a", j == 2 ? "b" : "c"),
				   "f\nf\n");
		}
	}
	/* All but one are there, and two of them are one file with something else. */
	run_sh("rm -rf dst; mkdir dst; echo other >dst/other; ln dst/other dst/a; ln dst/other dst/b");
	expect_exit(BP("copy", "-a", "--ignore-existing", "src/.", "dst"), 0);
	expect_out(SH("cat dst/a dst/b dst/c; stat -c %h dst/a dst/c"), "other\nother\nf\n3\n1\n");
	/* Where a directory is in the place of a file it stays, and is not the file's copy. */
	run_sh("rm -rf dst; mkdir -p dst/a");
	expect_exit(BP("copy", "-a", "--ignore-existing", "src/.", "dst"), 0);
	expect_out(SH("cat dst/b dst/c; stat -c %h dst/b"), "f\nf\n2\n");
}

/* With -u one that is as it should be is the copy; one that is newer stays by itself. */
static void names_join_one_that_is_as_it_should_be(struct test *t)
{
	static const char *const expected[] = {"abb", "aba", "aac"};
	struct run *run;

	fresh_dir(t);
	make_source();
	for (size_t j = 0; j < COUNT_OF(names); j++) {
		run_sh("rm -rf dst; mkdir dst; cp -p src/$1 dst", names[j]);
		expect_exit(BP("copy", "-a", "-u", "-j1", "src/a", "src/b", "src/c", "dst"), 0);
		expect_eq(strcmp(partition("dst"), "aaa"), 0);
		run_sh("rm -rf dst; mkdir dst; echo other >dst/$1", names[j]);
		expect_exit(BP("copy", "-a", "-u", "-j1", "src/a", "src/b", "src/c", "dst"), 0);
		expect_eq(strcmp(partition("dst"), expected[j]), 0);
		expect_out(SH("cat dst/$1", names[j]), "other\n");
	}
	/* What nobody has read has no digest. */
	run_sh("rm -rf dst; mkdir dst; cp -p src/a dst");
	expect_out(BP("copy", "-a", "-u", "-j1", "--hash", "md5", "src/a", "src/b", "src/c", "dst"),
		   "");
	run_sh("rm dst/b dst/c; echo other >dst/a");
	run = BP("copy", "-a", "-u", "--hash", "md5", "src/a", "src/b", "src/c", "dst");
	expect_same(run, SH("md5sum dst/b dst/c"));
}

/* Each job makes its own: what is done to the copies of one of them is nothing to the other's. */
static void jobs_do_not_share_names(struct test *t)
{
	fresh_dir(t);
	make_source();
	run_sh("ln src/a outside; mkdir into");
	make_file("jobs",
		  "copy -a src one\ncopy -a src two\ncopy -a src into\ncopy -a src/c three\n");
	expect_exit(BP("run", "jobs"), 0);
	expect_out(SH("stat -c %h one/* two/* into/src/* three | sort | uniq -c"),
		   "      1 1\n      9 3\n");
	/* What is given back of a tree is one job for each name, and they are still one file. */
	run_sh("rm -r one two into three; mkdir -p one/a/x one/b/x");
	make_file("jobs", "copy -a src/. one\ncopy -a src/. two\n");
	expect_exit(BP("run", "-q", "--failed-to", "again", "jobs"), 1);
	run_sh("rm -r one/*; cp -p src/a one/c; test $(wc -l <again) = 2");
	expect_exit(BP("run", "again"), 0);
	expect_out(SH("stat -c %h one/* two/*"), "2\n2\n1\n3\n3\n3\n");
}

static void jobs_may_be_for_other_file_systems(struct test *t)
{
	fresh_dir(t);
	make_source();
	run_sh("ln src/a outside");
	mount_at(t, "other", "mount -t tmpfs none other");
	make_file("jobs", "copy -a src other\ncopy -a src here\n");
	expect_exit(BP("run", "jobs"), 0);
	expect_same_trees("src", "here", SAME_TIMES);
	expect_same_trees("src", "other/src", SAME_TIMES);
	unmount("other");
}

static const struct test_case cases[] = {
	ONCE(what_is_there_stays_and_the_others_are_one),
	ONCE(names_join_one_that_is_as_it_should_be),
	ONCE(jobs_do_not_share_names),
	ONCE(jobs_may_be_for_other_file_systems),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
