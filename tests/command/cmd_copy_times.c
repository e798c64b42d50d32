/* SPDX-License-Identifier: MIT */
/*
 * cmd_copy_times - times that a file system cuts to its own unit: what was copied is not copied
 * again, and what was changed since is
 */
#include "support/badmount.h"
#include "support/cmd.h"
#include "support/copies.h"
#include "support/records.h"

static void make_source(void)
{
	run_sh("mkdir -p src/d; echo f >src/f; echo g >src/d/g; ln src/f src/h; "
	       "touch -d '2003-04-05 06:07:09.987654321' src/f src/d/g");
}

static void a_second_copy_does_nothing(const char *dst, const char *what)
{
	const struct records *records;
	static const char *const ways[] = {"-u", "--resume"};

	run_sh("rm -rf \"$1\" j", dst);
	BP("copy", "-a", "-u", "--journal", "j", "--no-target-directory", "src", dst);
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		struct run *run = BP("copy", "-a", "-u", "--journal", "j", ways[i],
				     "--force-resume", "--json", "--no-target-directory", "src",
				     dst);

		records = expect_records(run, 5);
		if (!expect_eq(records->bytes, 0))
			print_message("%s, %s: %s\n", what, ways[i], run->out.data);
	}
	/* Two seconds are more than any of them. */
	run_sh("touch -d '2003-04-05 06:07:11.987654321' src/d/g; echo newer >src/d/g; "
	       "touch -d '2003-04-05 06:07:11.987654321' src/d/g");
	BP("copy", "-a", "-u", "--no-target-directory", "src", dst);
	expect_out(SH("cat \"$1\"/d/g", dst), "newer\n");
}

static void whatever_the_unit(struct test *t)
{
	static const unsigned long units[] = {100, 1000, 10000000, 1000000000, 2000000000};
	struct badmount *bad;
	char line[64];

	fresh_dir(t);
	make_dir("b");
	make_dir("m");
	bad = BADMOUNT(t, "b", "m", "size real");
	for (size_t i = 0; i < COUNT_OF(units); i++) {
		run_sh("rm -rf src");
		make_source();
		snprintf(line, sizeof(line), "times %lu", units[i]);
		badmount_say(bad, "%s", line);
		a_second_copy_does_nothing("m/dst", line);
	}
	badmount_end(bad);
}

static void on_real_ones(struct test *t, const char *script)
{
	fresh_dir(t);
	mount_at(t, "fs", script);
	make_source();
	a_second_copy_does_nothing("fs/dst", script);
	unmount("fs");
}

static void small_inodes(struct test *t)
{
	on_real_ones(t, "truncate -s 20M image && mkfs.ext4 -qI 128 image 2>/dev/null && "
			"mount -o loop image fs");
}

static void ntfs(struct test *t)
{
	on_real_ones(t, "truncate -s 64M image && mkntfs -Fq image && ntfs-3g image fs");
}

static void over_fuse2fs(struct test *t)
{
	on_real_ones(t, "truncate -s 64M image && mkfs.ext4 -q image && "
			"fuse2fs -o fakeroot image fs");
}

/* A time that is whole by chance is no sign of a unit. */
static void a_change_within_the_second_is_seen(struct test *t)
{
	fresh_dir(t);
	run_sh("mkdir src; echo old >src/f; touch -d '2003-04-05 06:07:08' src/f");
	expect_exit(BP("copy", "-a", "src", "dst"), 0);
	run_sh("echo new >src/f; touch -d '2003-04-05 06:07:08.5' src/f");
	expect_exit(BP("copy", "-a", "-u", "--no-target-directory", "src", "dst"), 0);
	expect_out(SH("cat dst/f"), "new\n");
}

/* Also where something is made in them when another item has left them. */
static void directories_on_the_way_keep_theirs(struct test *t)
{
	static const char first[] = "src/f\n", second[] = "src/a/b/g\n";
	struct run *run;

	fresh_dir(t);
	run_sh("mkdir -p src/a/b dst && touch src/f src/a/b/g && "
	       "touch -d '2003-04-05 06:07:08' src/a/b src/a src");
	run = START(HOW(.feed = true), "copy", "-av", "--parents", "-t", "dst", "-T", "-");
	run_feed(run, first, sizeof(first) - 1);
	until_printed(run, 1, "src/f' -> ", 1);
	run_feed(run, second, sizeof(second) - 1);
	run_feed_end(run);
	run_end(run);
	expect_exit(run, 0);
	expect_out(
		SH("stat -c %y dst/src dst/src/a dst/src/a/b | cut -c -19 | uniq -c | tr -s ' '"),
		" 3 2003-04-05 06:07:08\n");
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		ONCE(whatever_the_unit),
		ONCE(small_inodes),
		ONCE(ntfs),
		ONCE(over_fuse2fs),
		ONCE(a_change_within_the_second_is_seen),
		ONCE(directories_on_the_way_keep_theirs),
	};

	return RUN_CASES(argc, argv, cases);
}
