// SPDX-License-Identifier: MIT
/*
 * cmd_copy_sizes - copies of files whose size says little: the end is what an ordinary read says
 */
#include <sys/stat.h>

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
		ONCE(sizes_that_a_server_makes_up),
		ONCE(what_cannot_seek),
		ONCE(files_of_the_kernel),
		ONCE(holes_on_a_server),
	};

	return RUN_CASES(argc, argv, cases);
}
