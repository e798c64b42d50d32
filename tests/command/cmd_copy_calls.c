/* SPDX-License-Identifier: MIT */
/*
 * cmd_copy_calls - copies that stand still at one of their system calls, where another run is
 * quicker
 */
#include <sys/stat.h>
#include <sys/syscall.h>

#include "support/cmd.h"
#include "support/copies.h"

#define WATCHED(call) HOW(.watched = SYS_##call)

/*
 * The second run takes the first one's temporary file, which has no lock yet, for a leftover:
 *
 *	A  makes it                                   locks what has no name any more: gives up
 *	B             opens, locks, removes it, makes its own, | locks it, writes, renames it
 *
 * Without a look at the name, A would give B's file, with nothing in it yet, the name of the copy.
 */
static void who_is_late_with_the_lock_gives_up(struct test *t)
{
	char path[PATH_MAX];
	struct run *a, *b;

	need_watch(t);
	fresh_dir(t);
	make_file("one", "one");
	make_file("two", "two");
	make_file("copy", "old");
	a = START(WATCHED(flock), "copy", "one", "copy");
	expect(until_called(a, path) && strstr(path, "/.batchproc-"));
	b = START(WATCHED(flock), "copy", "two", "copy");
	expect(until_called(b, path) && strstr(path, "/.batchproc-"));
	let_call(b);
	expect(until_called(b, path) && strstr(path, "/.batchproc-"));

	let_call(a);
	run_end(a);
	expect_exit(a, 1);
	expect_says(a, "one: another run is writing it");
	expect_out(SH("cat copy"), "old");
	let_call(b);
	run_end(b);
	expect_exit(b, 0);
	expect_out(SH("cat copy; ls -A"), "twocopy\none\ntwo\n");
}

/* The same while B has the lock of the file that it is about to remove. */
static void who_finds_it_locked_gives_up(struct test *t)
{
	char path[PATH_MAX];
	struct run *a, *b;

	need_watch(t);
	fresh_dir(t);
	make_file("one", "one");
	make_file("two", "two");
	make_file("copy", "old");
	a = START(WATCHED(flock), "copy", "one", "copy");
	expect(until_called(a, path));
	b = START(WATCHED(unlinkat), "copy", "two", "copy");
	expect(until_called(b, path));
	let_call(a);
	run_end(a);
	expect_exit(a, 1);
	expect_says(a, "one: another run is writing it");
	let_call(b);
	run_end(b);
	expect_exit(b, 0);
	expect_out(SH("cat copy; ls -A"), "twocopy\none\ntwo\n");
}

/* ---------------------------------------------------------------- what is synced */

/* The run, to its end; a line in its output for each fsync, with the path from here. */
static struct run *synced(struct run *run)
{
	char path[PATH_MAX], here[PATH_MAX];
	struct text list = {0};
	size_t len;

	assert_non_null(getcwd(here, sizeof(here)));
	len = strlen(here);
	while (until_called(run, path)) {
		char *temp = strstr(path, ".batchproc-");

		/* Of a temporary name, what is the same for all. */
		if (temp)
			strcpy(temp, ".temp");
		if (strncmp(path, here, len))
			record_failure("%s: fsync of %s", run->line, path);
		else
			text_printf(&list, "%s\n", path[len] ? path + len + 1 : ".");
		let_call(run);
	}
	run_end(run);
	expect_exit(run, 0);
	text_add(&run->out, list.data ? list.data : "", list.len);
	text_free(&list);
	return run;
}

#define SYNCED(...)                                                                                \
	synced(START(WATCHED(fsync), "copy", "--sync", "-j1", "--loops", "1", __VA_ARGS__))

/* A file, then the directory that has its name; with what is in it, each directory at last. */
static void names_are_on_the_device_too(struct test *t)
{
	struct run *run;

	need_watch(t);
	fresh_dir(t);
	run_sh("mkdir -p src/d dst; echo f >src/f; echo g >src/d/g; ln -s f src/link");
	expect_out(SYNCED("src/f", "dst/new"), "dst/new\ndst\n");
	expect_out(SYNCED("src/f", "dst/new"), "dst/.temp\ndst\n");
	expect_out(SYNCED("--atomic", "src/f", "g"), ".temp\n.\n");
	expect_out(SYNCED("-r", "src/link", "dst"), "dst\n");
	run_sh("rm -r dst/*");
	run = SYNCED("-r", "src", "dst/new");
	expect_same(run, SH("printf '%s\n' dst/new/f dst/new/d/g dst/new/d dst/new dst"));
	expect(strstr(run->out.data, "/d/g\n") < strstr(run->out.data, "/d\n"));
	expect(strstr(run->out.data, "\ndst/new\ndst\n"));
	expect_out(SYNCED("-r", "--ignore-existing", "src/d", "dst/new/d"),
		   "dst/new/d/d/g\ndst/new/d/d\ndst/new/d\n");
	/* And what a name in a list has in front of it. */
	make_file("list", "src/./d/g\n");
	expect_out(SYNCED("-T", "list", "dst"), "dst\ndst/d/g\ndst/d\n");
}

static const struct test_case cases[] = {
	ONCE(who_is_late_with_the_lock_gives_up),
	ONCE(who_finds_it_locked_gives_up),
	ONCE(names_are_on_the_device_too),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
