/* SPDX-License-Identifier: MIT */
/*
 * cmd_copy_machines - the same copies by two machines at the same time, on a file system without locks
 *
 * That is what a batch system does when a node is cut off from it, and goes on with what was started
 * elsewhere meanwhile. A second machine is one with another boot_id; what is not seen from there
 * is a lock, so that flock() is refused.
 */
#include <stdlib.h>
#include <sys/syscall.h>

#include "support/badmount.h"
#include "support/cmd.h"
#include "support/copies.h"
#include "support/deny.h"

static const struct denied no_locks[] = {DENY(SYS_flock, ENOSYS), DENY_END};

#define ELSEWHERE(...)                                                                             \
	run_end(run_start(HOW(.program = "unshare", .denied = no_locks),                           \
			  ARGS("-m", "sh", "-c",                                                   \
			       "mount --bind boot /proc/sys/kernel/random/boot_id && exec \"$@\"", \
			       "sh", getenv("BATCHPROC"), __VA_ARGS__)))

static void two_machines(struct test *t)
{
	need_root(t);
	need_denial(t);
	need_watch(t);
	fresh_dir(t);
	make_file("boot", "00000000-1111-2222-3333-444444444444\n");
	if (SH("unshare -m mount --bind boot /proc/sys/kernel/random/boot_id")->status)
		skip_because(t, "nothing can be mounted here");
	run_sh("mkdir dst");
}

static void expect_whole(struct run *a, struct run *b)
{
	expect_exit(b, 0);
	while (a->call)
		let_call(a);
	run_end(a);
	expect_exit(a, 0);
	expect_out(SH("cmp src dst/f && ls -A dst"), "f\n");
}

/* Neither writes into the other's temporary file, nor gives it a name before it is whole. */
static void a_file_is_replaced_by_both(struct test *t)
{
	char path[PATH_MAX];
	struct run *a;

	two_machines(t);
	make_pattern("src", 300000);
	make_file("dst/f", "old");
	a = START(HOW(.denied = no_locks, .watched = SYS_dup), "copy", "-v", "src", "dst/f");
	expect(until_called(a, path) && strstr(path, "/.batchproc-"));
	expect_whole(a, ELSEWHERE("copy", "src", "dst/f"));
}

/* What was about to have its name takes the long way then. */
static void a_new_file_is_made_by_both(struct test *t)
{
	char path[PATH_MAX];
	struct run *a, *b;

	two_machines(t);
	make_pattern("src", 20000000);
	a = START(HOW(.denied = no_locks, .watched = SYS_pread64), "copy", "--reflink=never",
		  "--bwlimit", "1G", "--loops", "1", "src", "dst/f");
	for (int i = 0; i < 4; i++) {
		expect(until_called(a, path));
		let_call(a);
	}
	expect(until_called(a, path));
	b = ELSEWHERE("copy", "src", "dst/f");
	expect_exit(b, 0);
	do
		let_call(a);
	while (until_called(a, path));
	expect_whole(a, b);
}

/* The same on one machine: as there is no lock, nobody knows that the other is at it no more. */
static void two_runs_without_locks(struct test *t)
{
	char path[PATH_MAX];
	struct run *a;

	need_denial(t);
	need_watch(t);
	fresh_dir(t);
	run_sh("mkdir dst");
	make_pattern("src", 300000);
	make_file("dst/f", "old");
	a = START(HOW(.denied = no_locks, .watched = SYS_dup), "copy", "src", "dst/f");
	expect(until_called(a, path) && strstr(path, "/.batchproc-"));
	expect_whole(a, RUN(HOW(.denied = no_locks), "copy", "src", "dst/f"));
}

/* What a dead node has left goes when nothing has happened to it for a while, and not before. */
static void what_a_dead_machine_left_goes(struct test *t)
{
	struct badmount *bad;

	fresh_dir(t);
	make_dir("b");
	make_dir("m");
	make_file("f", "f");
	bad = BADMOUNT(t, "b", "m", "size real");
	expect_exit(BP("copy", "--atomic", "f", "m"), 0);
	/* XXH3 of "f", and no machine that there is. */
	make_file("b/.batchproc-33c155909ff3ba9a-00000000", "left");
	make_file("b/.batchproc-33c155909ff3ba9a", "of an older version");
	make_file("b/.batchproc-0123456789abcdef-00000000", "of another file");
	expect_exit(BP("copy", "--atomic", "f", "m"), 0);
	expect_out(SH("ls -A b"), ".batchproc-0123456789abcdef-00000000\n"
				  ".batchproc-33c155909ff3ba9a-00000000\nf\n");
	badmount_end(bad);
	/* Its times are rounded down to a multiple of 11 days. */
	bad = BADMOUNT(t, "b", "m", "size real", "times 1000000000000000");
	expect_exit(BP("copy", "--atomic", "f", "m"), 0);
	expect_out(SH("ls -A b; cat b/f"), ".batchproc-0123456789abcdef-00000000\nf\nf");
	badmount_end(bad);
}

/* What is made there in one call does not take the place of what is being written. */
static void a_link_leaves_a_running_copy_alone(struct test *t)
{
	char path[PATH_MAX];
	struct run *a, *b;

	need_watch(t);
	fresh_dir(t);
	run_sh("mkdir dst; ln -s away link");
	make_pattern("src", 1000);
	make_file("dst/f", "old");
	a = START(HOW(.watched = SYS_dup), "copy", "-v", "src", "dst/f");
	expect(until_called(a, path) && strstr(path, "/.batchproc-"));
	b = BP("copy", "-P", "link", "dst/f");
	expect_exit(b, 1);
	expect_err(b, "batchproc: copy: link: another run is writing it\n");
	expect_whole(a, BP("list", "src"));
}

/* Of a file that may not be read nobody knows whether its owner's run is still at it. */
static void another_users_copy_is_left_alone(struct test *t)
{
	struct run *b;

	need_root(t);
	fresh_dir(t);
	run_sh("chmod 755 .; mkdir -m 777 dst");
	make_file("src", "new");
	make_file("dst/f", "old");
	expect_exit(RUN(HOW(.killed_at = SYS_fchmod), "copy", "src", "dst/f"), 128 + SIGSYS);
	run_sh("chmod 666 dst/f; ls -A dst >before");
	run_sh("cp \"$BATCHPROC\" batchproc && chmod 755 batchproc");
	b = SH("setpriv --reuid 65534 --clear-groups ./batchproc copy src dst/f");
	expect_exit(b, 0);
	expect_out(SH("ls -A dst | cmp - before; cat dst/f"), "new");
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		ONCE(a_file_is_replaced_by_both),
		ONCE(a_new_file_is_made_by_both),
		ONCE(two_runs_without_locks),
		ONCE(what_a_dead_machine_left_goes),
		ONCE(a_link_leaves_a_running_copy_alone),
		ONCE(another_users_copy_is_left_alone),
	};

	return RUN_CASES(argc, argv, cases);
}
