/* SPDX-License-Identifier: MIT */
/*
 * cmd_rm_mounts - rm at and below mount points, on what is read-only, and where calls are refused
 */
#include <sys/syscall.h>

#include "support/cmd.h"
#include "support/copies.h"
#include "support/deny.h"

static void what_is_not_there_is_not_there_on_a_read_only_file_system_too(struct test *t)
{
	fresh_dir(t);
	mount_at(t, "m", "mount -t tmpfs none m && mkdir m/d && >m/f && mount -o remount,ro m");
	expect_exit(BP("rm", "-f", "m/none"), 0);
	expect_exit(BP("rm", "-rf", "m/none", "m/d/none"), 0);
	expect_exit(BP("rm", "m/none"), 1);
	expect_says(BP("rm", "m/none"), "No such file or directory");
	expect_exit(BP("rm", "-f", "m/f"), 1);
	expect_says(BP("rm", "-f", "m/f"), "Read-only file system");
	expect_exit(BP("rm", "-rf", "m/d"), 1);
	unmount("m");
}

static void one_file_system_ends_where_anything_is_mounted(struct test *t)
{
	fresh_dir(t);
	run_sh("mkdir -p other/deep t/d/sub && >other/deep/kept && >t/d/f");
	mount_at(t, "t/m", "mount --bind other t/m");
	expect_exit(BP("rm", "-r", "--one-file-system", "t"), 1);
	expect_says(BP("rm", "-r", "--one-file-system", "t"), "mounted from elsewhere");
	expect_there("other/deep/kept");
	expect_gone("t/d");
	/* The operand itself may be one. */
	expect_exit(BP("rm", "-r", "--one-file-system", "t/m/deep"), 0);
	expect_gone("other/deep");
	unmount("t/m");
}

static void trees_go_where_new_calls_are_refused(struct test *t)
{
	static const int errors[] = {ENOSYS, EPERM};

	fresh_dir(t);
	for (size_t i = 0; i < COUNT_OF(errors); i++) {
		const struct denied none[] = {DENY(SYS_openat2, errors[i]),
					      DENY(SYS_statx, errors[i]),
					      DENY(SYS_faccessat2, errors[i]), DENY_END};

		for (int any = 0; any < 2; any++) {
			const char *backend = any ? "auto" : "threads";

			run_sh("mkdir -p t/a/b/c t/d && echo 1 >t/a/f && echo 2 >t/a/b/c/g && "
			       "ln -s .. t/d/up");
			expect_same(RUN(HOW(.denied = none), "hash", "--backend", backend, "-r",
					"t"),
				    SH("find t -type f | xargs sha256sum"));
			expect_exit(RUN(HOW(.denied = none), "rm", "--backend", backend, "-r", "t"),
				    0);
			expect_gone("t");
		}
	}
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		ONCE(what_is_not_there_is_not_there_on_a_read_only_file_system_too),
		ONCE(one_file_system_ends_where_anything_is_mounted),
		ONCE(trees_go_where_new_calls_are_refused),
	};

	return RUN_CASES(argc, argv, cases);
}
