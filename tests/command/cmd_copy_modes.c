/* SPDX-License-Identifier: MIT */
/*
 * cmd_copy_modes - copies to file systems that keep no modes, or take no new ones
 *
 * What was never finished cannot be told by its mode there, and a mode that was to be set later on
 * is never set. Each test mounts one such file system at fs.
 */
#include <sys/stat.h>
#include <sys/syscall.h>

#include "support/cmd.h"
#include "support/copies.h"

static const char content_is_the_same[] =
	"cd $1 && find . -type f -exec cmp -- {} \"$OLDPWD/$2\"/{} \\; && cd \"$OLDPWD/$2\" && "
	"find . -type f | wc -l";

static void expect_same_content(const char *src, const char *dst, const char *count)
{
	struct run *run = SH(content_is_the_same, src, dst);

	expect_exit(run, 0);
	expect_out(run, count);
}

static void make_source(void)
{
	run_sh("mkdir -p src/d && cd src && head -c 400000 /dev/urandom >large && "
	       "head -c 300000 /dev/urandom >d/large && echo f >d/f && chmod 640 d/f && "
	       "chmod 750 d && echo g >g");
}

/*
 * Killed in the middle of a file, it is gone on with in each of the ways that pass over what is
 * there.
 */
static void gone_on_with(const char *const *way)
{
	const char *args[16] = {"copy", "-r", "--journal", "j"};
	size_t count = 4;

	run_sh("rm -rf fs/dst j");
	expect_exit(RUN(HOW(.killed_at = SYS_copy_file_range), "copy", "-r", "-j1", "--journal",
			"j", "src", "fs/dst"),
		    128 + SIGSYS);
	while (*way)
		args[count++] = *way++;
	args[count++] = "--resume";
	args[count++] = "--force-resume";
	args[count++] = "--no-target-directory";
	args[count++] = "src";
	args[count++] = "fs/dst";
	expect_exit(run_end(run_start(HOW(.feed = false), args)), 0);
	expect_same_content("src", "fs/dst", "4\n");
}

static void what_was_not_finished_is_not_taken_for_whole(void)
{
	static const char *const ways[][4] = {
		{"-u"}, {"--ignore-existing"}, {"-u", "--verify"}, {"--atomic", "-u"}, {"-q"},
	};

	for (size_t i = 0; i < COUNT_OF(ways); i++)
		gone_on_with(ways[i]);
	/* Without a journal, too. */
	for (size_t i = 0; i < 2; i++) {
		run_sh("rm -rf fs/dst");
		expect_exit(RUN(HOW(.killed_at = SYS_copy_file_range), "copy", "-r", "src",
				"fs/dst"),
			    128 + SIGSYS);
		expect_exit(BP("copy", "-r", i ? "-u" : "--ignore-existing",
			       "--no-target-directory", "src", "fs/dst"),
			    0);
		expect_same_content("src", "fs/dst", "4\n");
	}
}

/* As cp has it: the content is there, and can be read by who may read the source. */
static void copies_stand(const char *says)
{
	struct run *run;

	expect_exit(BP("copy", "-r", "src", "fs/plain"), 0);
	expect_same_content("src", "fs/plain", "4\n");
	expect_out(SH("find fs/plain ! -perm -444 ! -perm 640 ! -perm 750 -o -type f -perm -1000"),
		   "");
	run = BP("copy", "-a", "src", "fs/all");
	if (*says) {
		expect_exit(run, 1);
		expect_says(run, says);
	} else {
		expect_exit(run, 0);
	}
	expect_same_content("src", "fs/all", "4\n");
	/* What is there is replaced, also where the mode that it has cannot be kept. */
	run_sh("echo new >src/g");
	expect_exit(BP("copy", "-r", "src/g", "fs/plain/g"), 0);
	expect_out(SH("cat fs/plain/g; stat -c %a fs/plain/g | grep -v '[46]44\\|777'"), "new\n");
	expect_out(SH("find fs -name '*.batchproc-*'"), "");
}

static void on(struct test *t, const char *script, const char *says)
{
	fresh_dir(t);
	mount_at(t, "fs", script);
	make_source();
	what_was_not_finished_is_not_taken_for_whole();
	copies_stand(says);
	unmount("fs");
}

static void a_mode_that_is_ignored(struct test *t)
{
	on(t, "mkdir lower && bindfs --chmod-ignore lower fs", "");
}

static void a_mode_that_is_refused(struct test *t)
{
	on(t, "mkdir lower && bindfs --chmod-deny lower fs", "without its mode");
}

static void one_mode_for_all(struct test *t)
{
	on(t, "mkdir lower && bindfs --perms=0777 lower fs", "without its mode");
}

static void ntfs(struct test *t)
{
	on(t, "truncate -s 64M image && mkntfs -Fq image && ntfs-3g image fs", "without its mode");
}

static void exfat(struct test *t)
{
	on(t,
	   "truncate -s 64M image && mkfs.exfat image && loop=$(losetup -f --show image) && "
	   "{ mount.exfat-fuse $loop fs; status=$?; losetup -d $loop; exit $status; }",
	   "without its mode");
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		ONCE(a_mode_that_is_ignored),
		ONCE(a_mode_that_is_refused),
		ONCE(one_mode_for_all),
		ONCE(ntfs),
		ONCE(exfat),
	};

	return RUN_CASES(argc, argv, cases);
}
