/* SPDX-License-Identifier: MIT */
/*
 * cmd_mtree - lists in the form of mtree(5): what verify compares of them, what hash writes. Which
 * names go from and to the tools themselves is in cmd_lists.
 */
#include <sys/stat.h>

#include "support/cmd.h"

#define HELLO "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"

/* As FreeBSD writes it. */
static const char freebsd[] =
	"#	   user: root\n"
	"# .\n"
	"/set type=file uid=0 gid=0 mode=0644 nlink=1 flags=none\n"
	".               type=dir mode=0755\n"
	"    a\\040b\\#c  size=5 time=1700000000.0 \\\n"
	"                sha256digest=" HELLO "\n"
	"    leads       type=link mode=0777 link=sub/c\\040d\n"
	"\n"
	"# ./sub\n"
	"sub             type=dir mode=0750\n"
	"    c\\040d      mode=0600 size=5 sha256digest=" HELLO "\n"
	"    f           type=fifo\n"
	"# ./sub\n"
	"..\n"
	"    last        size=5 sha1=aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d\n"
	"\n";

static void make_tree(void)
{
	assert_int_equal(chmod(".", 0755), 0);
	make_file("a b#c", "hello");
	make_dir("sub");
	make_file("sub/c d", "hello");
	make_file("last", "hello");
	assert_int_equal(chmod("a b#c", 0644), 0);
	assert_int_equal(chmod("last", 0644), 0);
	assert_int_equal(chmod("sub", 0750), 0);
	assert_int_equal(chmod("sub/c d", 0600), 0);
	assert_int_equal(symlink("sub/c d", "leads"), 0);
	assert_int_equal(mkfifo("sub/f", 0644), 0);
	assert_int_equal(chmod("sub/f", 0644), 0);
}

static void all_that_a_list_of_freebsd_says_is_compared(struct test *t)
{
	static const struct {
		const char *change, *back, *says, *key;
	} changes[] = {
		{"chmod 640 'a b#c'", "chmod 644 'a b#c'", "./a b#c: its permissions", "mode"},
		{"chmod 755 sub", "chmod 750 sub", "./sub: its permissions", "mode"},
		{"ln -sfn elsewhere leads", "ln -sfn 'sub/c d' leads", "./leads: it does not lead",
		 "link"},
		{"printf x >>last", "printf hello >last", "./last: its size", "size"},
		{"rm sub/f; : >sub/f", "rm sub/f; mkfifo -m 644 sub/f", "./sub/f: its type",
		 "type"},
		{"rm leads; printf hello >leads", "rm leads; ln -s 'sub/c d' leads",
		 "./leads: its type", "type"},
	};
	struct run *run;

	fresh_dir(t);
	make_tree();
	make_file("list", freebsd);
	run = BP("verify", "-k", "--strict", "list");
	expect_exit(run, 0);
	expect_out(run, ".: OK\n./a b#c: OK\n./leads: OK\n./sub: OK\n./sub/c d: OK\n./sub/f: OK\n"
			"./last: OK\n");
	expect_err(run, "");
	for (size_t i = 0; i < COUNT_OF(changes); i++) {
		expect_exit(SH(changes[i].change), 0);
		run = BP("verify", "--quiet", "--keys", changes[i].key, "list");
		expect_exit(run, 1);
		expect_says(run, changes[i].says);
		expect_exit(BP("verify", "--quiet", "list"), 1);
		expect_exit(SH(changes[i].back), 0);
	}
	expect_exit(SH("chmod 640 'a b#c' sub"), 0);
	expect_exit(BP("verify", "--keys", "size,type,link", "list"), 0);
	expect_exit(BP("verify", "--keys", "none", "list"), 0);
	make_file("a b#c", "hallo");
	expect_exit(BP("verify", "--keys", "none", "list"), 1);
	expect_exit(BP("verify", "--keys", "size,owner", "list"), 2);
}

static void what_need_not_be_there_or_may_change_does(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_file("a", "hello");
	make_file("list", "#mtree\n/set type=file optional\n./gone size=1\n/unset optional\n"
			  "./a nochange size=7 mode=0000\n");
	run = BP("verify", "-k", "list");
	expect_exit(run, 0);
	expect_out(run, "./a: OK\n");
	make_file("list", "#mtree\n./gone type=file size=1\n");
	expect_out(BP("verify", "list"), "./gone: FAILED open or read\n");
	expect_exit(BP("verify", "--json", "list"), 1);
	expect(strstr(BP("verify", "--json", "list")->out.data, "\"verdict\":\"missing\""));
}

static void what_cannot_be_checked_is_said(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_file("a", "hello");
	make_file("list", "./a type=file snefrudigest=00\n");
	run = BP("verify", "list");
	expect_exit(run, 1);
	expect_out(run, "./a: FAILED not checked\n");
	expect_says(run, "its algorithm is not known: snefrudigest");
	make_file("list", "./a type=file sha256digest=00\n");
	expect_out(BP("verify", "list"), "./a: FAILED not checked\n");
	make_file("list", "./a type=file md5=5d41402abc4b2a76b9719d911017c592\n");
	expect_out(BP("verify", "list"), "./a: OK\n");
	expect_out(BP("verify", "-a", "sha256", "list"), "./a: FAILED not checked\n");
	/* What is compared is what is said. */
	make_file("list", "./a type=file size=5\n");
	run = BP("verify", "list");
	expect_exit(run, 0);
	expect_says(run, "1 listed file has no digest, and its content was not read");
	/* No entries. */
	make_file("list", "#mtree\n..\n./a size=x\n/set sha256=00\n./a (b) = c\n\\000 type=file\n");
	run = BP("verify", "--strict", "list");
	expect_exit(run, 1);
	expect_out(run, "./a: FAILED not checked\n");
	expect_says(run, "4 lines are improperly formatted");
}

/* All digests of an entry. */
static void further_digests_are_compared(struct test *t)
{
	fresh_dir(t);
	make_file("a", "hello");
	make_file("list", "./a md5digest=5d41402abc4b2a76b9719d911017c592 sha256=" HELLO "\n");
	expect_exit(BP("verify", "--strict", "list"), 0);
	make_file("list", "./a md5digest=5d41402abc4b2a76b9719d911017c593 sha256=" HELLO "\n");
	expect_exit(BP("verify", "--strict", "list"), 1);
}

/* Whole trees, with directories and links. */
static void what_hash_writes_is_taken_by_mtree_and_bsdtar(struct test *t)
{
	struct run *run;

	if (!have_program("mtree") || !have_program("bsdtar"))
		skip_because(t, "no mtree or bsdtar here");
	fresh_dir(t);
	make_dir("tree");
	assert_int_equal(chdir("tree"), 0);
	make_tree();
	assert_int_equal(unlink("sub/f"), 0);
	run = SH("\"$BATCHPROC\" hash -r --format mtree . >../list && exec mtree -f ../list -p .");
	expect_exit(run, 0);
	expect_out(run, "");
	expect_exit(BP("verify", "--strict", "../list"), 0);
	run = SH(
		"cd .. && \"$BATCHPROC\" hash -r --format mtree tree >l2 && exec mtree -e -f l2 -p .");
	expect_exit(run, 0);
	expect_out(run, "");
	expect_out(SH("bsdtar -cf - @../list | bsdtar -tf - | LC_ALL=C sort"),
		   "./\n./a b#c\n./last\n./leads\n./sub/\n./sub/c d\n");
	assert_int_equal(chmod("sub", 0700), 0);
	expect_exit(SH("exec mtree -f ../list -p ."), 2);
	expect_exit(BP("verify", "../list"), 1);
	/* Single names: the directories that they are in are said first. */
	run = SH("\"$BATCHPROC\" hash --format mtree 'sub/c d' leads >../list && "
		 "exec mtree -e -f ../list -p .");
	expect_exit(run, 0);
	expect_exit(BP("hash", "--format", "mtree", "/etc/passwd"), 1);
	expect_exit(BP("hash", "--format", "mtree", "../list"), 1);
}

/* --failed-to has what is needed to look again, of lists of whatever form. */
static void failed_entries_are_a_list_again(struct test *t)
{
	fresh_dir(t);
	make_tree();
	make_file("list", freebsd);
	make_file("other", HELLO "  last\n");
	expect_exit(SH("chmod 700 sub; ln -sfn x leads; printf hallo >last"), 0);
	expect_exit(BP("verify", "--failed-to", "failed", "list", "other"), 1);
	expect_exit(SH("test \"$(wc -l <failed)\" = 4"), 0);
	expect_exit(BP("verify", "--strict", "failed"), 1);
	expect_exit(SH("chmod 750 sub; ln -sfn 'sub/c d' leads; printf hello >last"), 0);
	expect_exit(BP("verify", "--strict", "failed"), 0);
}

static void a_journal_tells_entries_apart(struct test *t)
{
	fresh_dir(t);
	make_file("a", "hello");
	assert_int_equal(chmod("a", 0644), 0);
	make_file("list", "./a type=file mode=0644 sha256=" HELLO "\n");
	expect_exit(BP("verify", "--journal", "j", "list"), 0);
	expect(strstr(BP("verify", "--json", "--journal", "j", "--resume", "list")->out.data,
		      "\"status\":\"skipped\""));
	make_file("list", "./a type=file mode=0600 sha256=" HELLO "\n");
	expect_exit(BP("verify", "--journal", "j", "--resume", "list"), 1);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		ONCE(all_that_a_list_of_freebsd_says_is_compared),
		ONCE(what_need_not_be_there_or_may_change_does),
		ONCE(what_cannot_be_checked_is_said),
		ONCE(further_digests_are_compared),
		ONCE(what_hash_writes_is_taken_by_mtree_and_bsdtar),
		ONCE(failed_entries_are_a_list_again),
		ONCE(a_journal_tells_entries_apart),
	};

	return RUN_CASES(argc, argv, cases);
}
