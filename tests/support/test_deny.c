/* SPDX-License-Identifier: MIT */
/*
 * test_deny - calls that a filter refuses are refused, where it was said and nowhere else
 */
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "support/cmd.h"

static int denied_in_this_process(void *unused)
{
	static const struct denied denied[] = {
		DENY(SYS_getppid, EXFULL),
		{SYS_dup3, EBADE, DENY_EQUAL, 2, O_CLOEXEC},
		{SYS_memfd_create, EUCLEAN, DENY_ANY_BIT, 1, MFD_CLOEXEC},
		DENY_END,
	};

	(void)unused;
	expect_eq(deny_calls(denied), 0);
	expect(syscall(SYS_getppid) < 0 && errno == EXFULL);
	expect(dup3(1, 9, O_CLOEXEC) < 0 && errno == EBADE);
	expect_eq(dup3(1, 9, 0), 9);
	expect(memfd_create("", MFD_CLOEXEC | MFD_ALLOW_SEALING) < 0 && errno == EUCLEAN);
	expect(memfd_create("", MFD_ALLOW_SEALING) >= 0);
	expect(getpid() > 0);
	return 0;
}

static void each_is_refused_as_it_was_said(struct test *t)
{
	struct child_result child;

	need_denial(t);
	child = in_child(denied_in_this_process, NULL);
	if (!expect_eq(child.status, 0))
		record_failure("%s", child.err);
}

static int killed_at_a_call(void *unused)
{
	(void)unused;
	expect_eq(die_at(SYS_getppid), 0);
	getppid();
	return 0;
}

static void who_comes_to_a_call_is_killed(struct test *t)
{
	struct child_result child;

	need_denial(t);
	child = in_child(killed_at_a_call, NULL);
	expect(WIFSIGNALED(child.status) && WTERMSIG(child.status) == SIGSYS);
}

/* From the start the loader too is refused; later the program alone. */
static void a_program_is_refused_from_its_start_or_from_main_on(struct test *t)
{
	static const struct denied openat[] = {DENY(SYS_openat, EXFULL), DENY_END};
	struct run *run;

	need_denial(t);
	fresh_dir(t);
	make_file("f", "hello\n");
	run = RUN(HOW(.program = "cat", .denied = openat), "f");
	expect_exit(run, 127);
	expect_says(run, "loading shared libraries");
	run = RUN(HOW(.program = "cat", .denied_late = openat), "f");
	expect_exit(run, 1);
	expect_says(run, "cat: f: Exchange full");
}

static const struct test_case cases[] = {
	ONCE(each_is_refused_as_it_was_said),
	ONCE(who_comes_to_a_call_is_killed),
	ONCE(a_program_is_refused_from_its_start_or_from_main_on),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
