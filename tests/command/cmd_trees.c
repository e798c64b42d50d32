/* SPDX-License-Identifier: MIT */
/*
 * cmd_trees - walks: against find, into any depth, over what cannot be read, and while trees change
 */
#include <sys/stat.h>

#include "support/cmd.h"
#include "support/records.h"

#define HELLO_SHA256 "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
#define FIND_AND_HASH "find \"$1\" -type f -print0 | xargs -0 sha256sum"

static void a_tree_is_what_find_finds(struct test *t)
{
	const char *tree = UNDER_TSAN || UNDER_ASAN ? "/usr/include/linux" : "/usr/include";
	struct run *ours, *theirs;

	fresh_dir(t);
	if (access(tree, R_OK))
		skip_because(t, "there is no /usr/include here");
	ours = BP("hash", "-r", tree);
	expect_exit(ours, 0);
	theirs = SH(FIND_AND_HASH, tree);
	expect_same(ours, theirs);
	expect_same(BP("hash", "-r", "-j", "3", "--loops", "1", tree), theirs);
	make_bytes("list", ours->out.data, ours->out.len);
	expect_exit(BP("verify", "--quiet", "--strict", "list"), 0);
}

static void roots_may_be_named_in_any_way(struct test *t)
{
	fresh_dir(t);
	make_dir("d");
	make_file("d/f", "hello");
	make_dir("d/empty");
	expect_out(BP("hash", "-r", "d/"), HELLO_SHA256 "  d/f\n");
	expect_out(BP("hash", "-r", "d//"), HELLO_SHA256 "  d//f\n");
	expect_out(BP("hash", "-r", "./d"), HELLO_SHA256 "  ./d/f\n");
	expect_out(BP("hash", "-r", "d/../d"), HELLO_SHA256 "  d/../d/f\n");
	expect_out(BP("hash", "-r", "d", "d/f"), HELLO_SHA256 "  d/f\n" HELLO_SHA256 "  d/f\n");
	expect_out(BP("hash", "-r", "d/empty"), "");
	expect_exit(BP("hash", "-r", "d/empty"), 0);
	expect_exit(BP("hash", "-r", ""), 1);
	expect_out(RUN(HOW(.input = "d\n"), "hash", "-r", "-T", "-"), HELLO_SHA256 "  d/f\n");
}

static void trees_deeper_than_a_path_can_say(struct test *t)
{
	struct text expected = {0};
	char *path;

	fresh_dir(t);
	path = make_deep("deep", 60, "hello");
	text_printf(&expected, HELLO_SHA256 "  %s\n", path);
	assert_true(strlen(path) > 2 * PATH_MAX);
	expect_out(BP("hash", "-r", "deep"), expected.data);
	/* The walk's names can be given back. */
	expect_out(RUN(HOW(.input = path), "hash", "-T", "-"), expected.data);
	make_bytes("list", expected.data, expected.len);
	expect_exit(BP("verify", "--status", "list"), 0);

	text_free(&expected);
	free(path);
	remove_deep("deep");
}

/* The operand itself, of which no call of the kernel takes the whole. */
static void a_directory_with_a_long_path_is_one(struct test *t)
{
	struct text expected = {0};
	struct run *run;
	char *path, *dir;

	fresh_dir(t);
	path = make_deep("deep", 30, "hello");
	assert_true(strlen(path) > PATH_MAX + 256);
	dir = strndup(path, strlen(path) - strlen("/bottom"));
	text_printf(&expected, HELLO_SHA256 "  %s\n", path);
	expect_out(BP("hash", "-r", dir), expected.data);
	run = BP("list", "-r", dir);
	expect_exit(run, 0);
	expect(run->out.len == strlen(path) + 1 && !memcmp(run->out.data, path, strlen(path)));
	make_file("list", expected.data);
	expect_exit(BP("verify", "--status", "--unlisted", dir, "list"), 0);
	make_file("list", HELLO_SHA256 "  list\n");
	expect_exit(BP("verify", "--status", "--unlisted", dir, "list"), 1);
	/* What is left out, and what was empty, stays, with -d too. */
	expect_exit(BP("rm", "-rd", "--older=1970-01-02", dir), 0);
	expect_out(BP("hash", "-r", dir), expected.data);
	expect_exit(BP("rm", path), 0);
	run = BP("rm", "-rd", "--json", "--older=1970-01-02", dir);
	expect_exit(run, 0);
	expect(strstr(run->out.data, "it was empty before"));
	expect_exit(BP("rm", "-rd", "--preserve-root=all", dir), 0);
	expect_exit(BP("rm", "-r", dir), 1);
	expect_exit(BP("rm", "-rf", dir), 0);
	text_free(&expected);
	free(path);
	free(dir);
	remove_deep("deep");
}

static void what_nobody_may_read_is_a_failure(struct test *t)
{
	static const struct how nobody = {.uid = NOBODY};
	const struct records *records;
	struct run *run;

	need_root(t);
	fresh_dir(t);
	make_dir("d");
	make_file("d/fine", "hello");
	make_file("d/closed", "x");
	make_dir("d/no-entry");
	make_file("d/no-entry/f", "x");
	make_dir("d/only-names");
	make_file("d/only-names/f", "x");
	make_dir("d/no-names");
	make_file("d/no-names/f", "hello");
	assert_int_equal(chmod("d/closed", 0) | chmod("d/no-entry", 0), 0);
	assert_int_equal(chmod("d/only-names", 0744) | chmod("d/no-names", 0711), 0);

	run = RUN(&nobody, "hash", "-r", "d");
	expect_exit(run, 1);
	expect_out(run, HELLO_SHA256 "  d/fine\n");
	expect_eq(text_count(&run->err, ": Permission denied\n"), 4);
	expect_eq(text_count(&run->err, "\n"), 4);

	records = expect_records(RUN(&nobody, "hash", "-r", "--json", "--retries", "5", "d"), 5);
	expect_eq(records->failed, 4);
	for (size_t i = 0; i < records->count; i++) {
		const struct record *r = &records->all[i];

		if (strcmp(r->status, "failed"))
			continue;
		expect_eq(strcmp(r->error_name, "EACCES"), 0);
		/* It would be denied again. */
		expect_between(r->attempts, 0, 1);
	}
	expect_(!strcmp(status_of(records, "d/no-entry"), "failed"), "the directory failed",
		__FILE__, __LINE__);
	expect_exit(RUN(&nobody, "hash", "d/no-names/f"), 0);
	expect_exit(RUN(&nobody, "hash", "-r", "d/no-entry"), 1);
	/* Root sees it all. */
	expect_exit(BP("hash", "-r", "d"), 0);
	expect_same(BP("hash", "-r", "d"), SH(FIND_AND_HASH, "d"));
}

static long rss_of_entries(const char *dir, unsigned long count)
{
	struct run *run = BP("hash", "-r", "-a", "xxh3", dir);

	expect_exit(run, 0);
	expect_eq(text_count(&run->out, "\n"), count);
	return run->usage.ru_maxrss;
}

static void make_entries(const char *dir, unsigned long count)
{
	char path[64], one[64];

	make_dir(dir);
	for (unsigned long i = 0; i < count; i++) {
		/* Links are made faster than files; ext4 takes 65,000 to one. */
		snprintf(path, sizeof(path), "%s/%07lu", dir, i);
		if (i % 30000 == 0) {
			make_file(path, "x");
			memcpy(one, path, sizeof(one));
		} else {
			assert_int_equal(link(one, path), 0);
		}
	}
}

static void large_directories_take_no_more_memory(struct test *t)
{
	const unsigned long count = scaled(100000);
	long few, many;

	fresh_dir(t);
	make_entries("small", 1000);
	make_entries("large", count);
	few = rss_of_entries("small", 1000);
	many = rss_of_entries("large", count);
	if (!UNDER_ASAN && !UNDER_TSAN)
		expect_between(many, 0, few + 16384);
}

static void many_directories_below_one(struct test *t)
{
	const unsigned long count = scaled(1000);
	char path[64];
	struct run *run;

	fresh_dir(t);
	make_dir("top");
	for (unsigned long i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "top/%lu", i);
		make_dir(path);
		snprintf(path, sizeof(path), "top/%lu/f", i);
		make_file(path, "hello");
	}
	run = BP("hash", "-r", "top");
	expect_exit(run, 0);
	expect_eq(text_count(&run->out, HELLO_SHA256 "  top/"), count);
	expect_eq(text_count(&run->out, "\n"), count);
	/* In the order of the walk, the same each time. */
	run = BP("hash", "-rk", "top");
	expect_out(BP("hash", "-rk", "-j", "200", "--loops", "3", "top"), run->out.data);
}

/* ---------------------------------------------------------------- while trees change */

#define STAYING 400

/* Makes, renames and removes files and a directory among those that stay. */
static void come_and_go(unsigned long round)
{
	char a[64], b[64];

	snprintf(a, sizeof(a), "d/moving-%lu", round % 300);
	snprintf(b, sizeof(b), "d/moved-%lu", round % 300);
	close(open(a, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
	rename(a, b);
	if (round % 2)
		unlink(b);
	if (round % 16 == 0) {
		mkdir("d/dir", 0755);
		close(open("d/dir/f", O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
		rename("d/dir", "d/dir2");
		unlink("d/dir2/f");
		rmdir("d/dir2");
	}
}

static void nothing_that_stays_is_lost_while_others_come_and_go(struct test *t)
{
	struct unrest unrest;
	char path[64];

	fresh_dir(t);
	make_dir("d");
	for (int i = 0; i < STAYING; i++) {
		snprintf(path, sizeof(path), "d/stays-%d", i);
		make_file(path, "hello");
	}
	unrest_begin(&unrest, come_and_go);
	for (int i = 0; i < (UNDER_TSAN ? 4 : 15); i++) {
		struct run *run = BP("hash", "-r", "d");

		expect_(run->status == 0 || run->status == 1, "exit status 0 or 1", __FILE__,
			__LINE__);
		expect_eq(text_count(&run->out, HELLO_SHA256 "  d/stays-"), STAYING);
		run = BP("hash", "-r", "--json", "d");
		expect_records(run, text_count(&run->out, "\n") - 1);
	}
	unrest_end(&unrest);
}

static void swap_for_a_link(unsigned long round)
{
	if (round % 50 == 0)
		renameat2(AT_FDCWD, "d/inside", AT_FDCWD, "link", RENAME_EXCHANGE);
	renameat2(AT_FDCWD, "d/file", AT_FDCWD, "filelink", RENAME_EXCHANGE);
}

/* A file or directory that becomes a link to somewhere else leads nowhere. */
static void a_walk_never_leaves_its_tree(struct test *t)
{
	struct unrest unrest;
	char path[64];

	fresh_dir(t);
	make_dir("d");
	make_dir("d/inside");
	make_dir("outside");
	/* Directories below it are opened by paths that lead through it. */
	for (int i = 0; i < 60; i++) {
		snprintf(path, sizeof(path), "d/inside/%d", i);
		make_dir(path);
		snprintf(path, sizeof(path), "d/inside/%d/f", i);
		make_file(path, "in");
		snprintf(path, sizeof(path), "outside/%d", i);
		make_dir(path);
		snprintf(path, sizeof(path), "outside/%d/f", i);
		make_file(path, "hello");
	}
	make_file("d/file", "in");
	assert_int_equal(symlink("../outside", "link") | symlink("../outside/0/f", "filelink"), 0);
	unrest_begin(&unrest, swap_for_a_link);
	for (int i = 0; i < (UNDER_TSAN ? 10 : 30); i++) {
		struct run *run = BP("hash", "-r", "d");

		expect_(run->status == 0 || run->status == 1, "exit status 0 or 1", __FILE__,
			__LINE__);
		expect_eq(text_count(&run->out, HELLO_SHA256), 0);
	}
	unrest_end(&unrest);
}

static void shrink_and_grow(unsigned long round)
{
	if (truncate("d/f", round % 2 ? 0 : 3000000))
		abort();
}

static void files_that_shrink_and_grow_are_read_to_some_end(struct test *t)
{
	struct unrest unrest;

	fresh_dir(t);
	make_dir("d");
	make_sparse("d/f", 3000000);
	make_file("d/g", "hello");
	unrest_begin(&unrest, shrink_and_grow);
	for (int i = 0; i < (UNDER_TSAN ? 10 : 40); i++) {
		struct run *run = BP("hash", "-rk", "d");

		expect_exit(run, 0);
		expect_eq(text_count(&run->out, HELLO_SHA256 "  d/g\n"), 1);
		expect_eq(text_count(&run->out, "\n"), 2);
	}
	unrest_end(&unrest);
}

/*
 * A directory in the middle of which a run is stopped is read to its end: what is in it was not all
 * done.
 */
static void what_a_stop_left_is_named_once(struct test *t)
{
	const unsigned int files = UNDER_TSAN || UNDER_ASAN || under_valgrind() ? 1000 : 3000;
	char path[128], halt[32];
	struct run *all;

	fresh_dir(t);
	make_dir("d");
	for (unsigned int i = 0; i < files; i++) {
		/* So long that one call does not give them all. */
		snprintf(path, sizeof(path), "d/%080u", i);
		make_file(path, "hello");
		if (i % 100)
			continue;
		snprintf(path, sizeof(path), "d/sub-%u", i);
		make_dir(path);
		snprintf(path, sizeof(path), "d/sub-%u/f", i);
		make_file(path, "hello");
	}
	all = SH(FIND_AND_HASH, "d");
	for (unsigned int done = 1; done < files / 2; done = 3 * done + 1) {
		snprintf(halt, sizeof(halt), "%s,done=%u", done % 2 ? "now" : "soon", done);
		expect_exit(SH("\"$BATCHPROC\" hash -r -q --halt $1 --failed-to list d >one", halt),
			    3);
		expect_exit(SH("\"$BATCHPROC\" hash -r -T list >two"), 0);
		expect_same(SH("cat one two"), all);
	}
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		ONCE(a_tree_is_what_find_finds),
		ONCE(roots_may_be_named_in_any_way),
		ONCE(trees_deeper_than_a_path_can_say),
		ONCE(a_directory_with_a_long_path_is_one),
		ONCE(what_nobody_may_read_is_a_failure),
		ONCE(large_directories_take_no_more_memory),
		ONCE(many_directories_below_one),
		ONCE(nothing_that_stays_is_lost_while_others_come_and_go),
		ONCE(a_walk_never_leaves_its_tree),
		ONCE(files_that_shrink_and_grow_are_read_to_some_end),
		ONCE(what_a_stop_left_is_named_once),
	};

	return RUN_CASES(argc, argv, cases);
}
