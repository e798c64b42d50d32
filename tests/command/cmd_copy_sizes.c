/* SPDX-License-Identifier: MIT */
/*
 * cmd_copy_sizes - copies of files whose size says little: the end is what an ordinary read says
 */
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "support/badmount.h"
#include "support/cmd.h"
#include "support/copies.h"

/* With what takes other ways through a file. */
static const char *const ways[] = {"-q",	   "--atomic",	      "--verify", "--hash=md5",
				   "--bwlimit=1G", "--reflink=never", "-p"};

static void copied_as_it_is(const char *name, const char *original)
{
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		run_sh("rm -rf dst; mkdir dst");
		expect_exit(BP("copy", ways[i], name, "dst/f"), 0);
		if (SH("cmp \"$1\" dst/f", original)->status)
			record_failure("%s of %s is not the same", ways[i], name);
		expect_exit(BP("copy", "-u", ways[i], name, "dst/f"), 0);
		expect_out(SH("ls -A dst"), "f\n");
	}
}

static void sizes_that_a_server_makes_up(struct test *t)
{
	static const char *const sizes[] = {"size zero", "size half", "size rounded",
					    "size unknown"};
	static const size_t lengths[] = {0, 1, 100000, 400000, 3000000};
	struct badmount *bad;

	fresh_dir(t);
	make_dir("b");
	make_dir("m");
	bad = BADMOUNT(t, "b", "m", "direct on");
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		badmount_say(bad, "%s", sizes[i]);
		for (size_t j = 0; j < COUNT_OF(lengths); j++) {
			make_pattern("b/f", lengths[j]);
			copied_as_it_is("m/f", "b/f");
		}
	}
	badmount_end(bad);
}

static void what_cannot_seek(struct test *t)
{
	struct badmount *bad;

	fresh_dir(t);
	make_dir("b");
	make_dir("m");
	make_pattern("b/f", 3000000);
	bad = BADMOUNT(t, "b", "m", "nonseekable on");
	copied_as_it_is("m/f", "b/f");
	badmount_end(bad);
}

/* Nor can what is made there be written elsewhere than behind what it has. */
static void copies_that_cannot_seek(struct test *t)
{
	struct badmount *bad;

	fresh_dir(t);
	make_dir("b");
	make_dir("m");
	make_pattern("small", 1000);
	make_pattern("large", 3000000);
	make_sparse("hole", 3000000);
	run_sh("cp hole data && printf data | dd of=data bs=1 seek=2000000 conv=notrunc status=none");
	bad = BADMOUNT(t, "b", "m", "nonseekable on");
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		if (!strcmp(ways[i], "--verify"))
			continue;
		run_sh("rm -f m/*");
		expect_exit(BP("copy", ways[i], "small", "large", "hole", "data", "m"), 0);
		expect_exit(SH("for f in small large hole data; do cmp $f b/$f || exit; done"), 0);
	}
	expect_exit(BP("copy", "--verify", "large", "m/verified"), 1);
	expect_out(SH("ls -A m"), "data\nhole\nlarge\nsmall\n");
	badmount_end(bad);
}

/* The descriptor that the run would get next. */
static rlim_t next_descriptor(const struct run *run)
{
	struct stat st;
	char path[64];
	rlim_t fd = 0;

	do
		snprintf(path, sizeof(path), "/proc/%d/fd/%llu", (int)run->pid,
			 (unsigned long long)fd++);
	while (!lstat(path, &st));
	return fd - 1;
}

/* Without a descriptor for its last step a copy is begun anew, with its first byte. */
static void begun_anew_from_its_first_byte(struct test *t)
{
	struct rlimit before, now;
	char path[PATH_MAX];
	struct badmount *bad;
	struct run *run;

	need_watch(t);
	fresh_dir(t);
	make_dir("b");
	make_dir("m");
	make_file("b/f", "content");
	bad = BADMOUNT(t, "b", "m", "size real");
	run = START(HOW(.watched = SYS_dup), "copy", "--atomic", "--json", "m/f", "copy");
	expect(until_called(run, path) && strstr(path, "/.batchproc-"));
	assert_int_equal(prlimit(run->pid, RLIMIT_NOFILE, NULL, &before), 0);
	now = (struct rlimit){next_descriptor(run), before.rlim_max};
	assert_int_equal(prlimit(run->pid, RLIMIT_NOFILE, &now, NULL), 0);
	let_call(run);
	expect(until_called(run, path) && strstr(path, "/.batchproc-"));
	assert_int_equal(prlimit(run->pid, RLIMIT_NOFILE, &before, NULL), 0);
	let_call(run);
	run_end(run);
	expect_exit(run, 0);
	expect(strstr(run->out.data, "\"bytes\":7,"));
	expect_out(SH("cat copy"), "content");
	badmount_end(bad);
}

/* Files of /proc say 0, those of /sys a page, or what they may hold at most. */
static void files_of_the_kernel(struct test *t)
{
	static const char *const files[] = {
		"/proc/version",
		"/proc/self/limits",
		"/proc/kallsyms",
		"/sys/kernel/mm/transparent_hugepage/enabled",
		"/sys/kernel/address_bits",
		"/sys/fs/cgroup/cgroup.controllers",
	};

	fresh_dir(t);
	for (size_t i = 0; i < COUNT_OF(files); i++) {
		if (access(files[i], R_OK))
			continue;
		run_sh("rm -rf now; cat \"$1\" >now", files[i]);
		copied_as_it_is(files[i], "now");
	}
	/* Whole trees, too. */
	if (!access("/sys/kernel/mm/transparent_hugepage", R_OK)) {
		run_sh("rm -rf dst");
		expect_exit(BP("copy", "-r", "/sys/kernel/mm/transparent_hugepage", "dst"), 0);
		expect_out(SH("diff -r /sys/kernel/mm/transparent_hugepage dst"), "");
	}
}

/* Where the size is right, one byte more or less is an error as ever; and holes stay holes. */
static void holes_on_a_server(struct test *t)
{
	struct badmount *bad;

	fresh_dir(t);
	make_dir("b");
	make_dir("m");
	make_sparse("b/f", 50000000);
	run_sh("printf data | dd of=b/f bs=1 seek=20000000 conv=notrunc status=none");
	bad = BADMOUNT(t, "b", "m", "size real");
	copied_as_it_is("m/f", "b/f");
	expect_exit(BP("copy", "m/f", "sparse"), 0);
	expect_out(SH("cmp b/f sparse; [ $(stat -c %b sparse) -lt 2000 ] && echo holes"),
		   "holes\n");
	badmount_end(bad);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		ONCE(sizes_that_a_server_makes_up), ONCE(what_cannot_seek),
		ONCE(copies_that_cannot_seek),	    ONCE(begun_anew_from_its_first_byte),
		ONCE(files_of_the_kernel),	    ONCE(holes_on_a_server),
	};

	return RUN_CASES(argc, argv, cases);
}
