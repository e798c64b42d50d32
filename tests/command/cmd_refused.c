/* SPDX-License-Identifier: MIT */
/*
 * cmd_refused - each system call of a plain run refused in turn, as a sandbox would
 *
 * Then the results are right, or what could not be done is said in lines that are true, with an
 * exit status of its own: items that failed (1), a journal that cannot be had (2), or 125. Never a
 * signal, a wrong result, success without it, or a run that does not end.
 */
#include <sys/syscall.h>

#include "support/cmd.h"
#include "support/deny.h"

/*
 * Those that strace shows of the runs below, but for what the C library itself cannot be without:
 * memory, futex, rseq, exit.
 */
/* clang-format off */
#define CALLS(X) \
	X(clone3) X(close) X(copy_file_range) X(dup) X(epoll_create1) X(epoll_ctl) X(epoll_wait) \
	X(eventfd2) X(faccessat2) X(fadvise64) X(fchmod) X(fchown) X(fcntl) X(fgetxattr) X(flistxattr) \
	X(flock) X(fstatfs) X(getcwd) X(getdents64) X(geteuid) X(getpid) X(getrandom) X(io_uring_enter) \
	X(io_uring_register) X(io_uring_setup) X(ioctl) X(lseek) X(mkdirat) X(newfstatat) X(openat) \
	X(openat2) X(pipe2) X(ppoll) X(pread64) X(preadv2) X(prlimit64) X(pwrite64) X(read) X(readlink) \
	X(renameat) X(rt_sigaction) X(rt_sigprocmask) X(rt_sigtimedwait) X(sched_getaffinity) \
	X(set_robust_list) X(signalfd4) X(statfs) X(statx) X(tgkill) X(unlinkat) X(utimensat) \
	X(write)
/* clang-format on */

static const struct {
	long number;
	const char *name;
} calls[] = {
/* clang-format off */
#define CALL_OF(name) {SYS_##name, #name},
	CALLS(CALL_OF)
#undef CALL_OF
	/* clang-format on */
};

static const char *const backends[] = {"auto", "threads"};

static void make_tree(void)
{
	make_dir("d");
	make_dir("d/e");
	make_file("d/a", "hello");
	make_file("d/e/b", "world");
	make_pattern("d/large", 300000);
}

/* @right: whether what it was to do is done. */
static void expect_honest(const struct run *run, bool right, const char *name, int err)
{
	bool fine = run->status == 0 ?
			    right :
			    (run->status == 1 || run->status == 2 || run->status == 125) &&
				    text_count(&run->err, "batchproc: ") > 0;

	/* One line is enough for what concerns all. */
	if (run->status == 125 && text_count(&run->err, "\n") != 1 && strcmp(name, "close"))
		fine = false;
	if (!fine)
		record_failure("without %s (%s): %s: exit status %d, %s; says '%s'\n", name,
			       strerrorname_np(err), run->line, run->status,
			       right ? "right" : "not right", run->err.data ? run->err.data : "");
}

/* From main() on is done by a library that is loaded before, where sanitizers must be the first. */
static void needs_plain_build(struct test *t)
{
	if (UNDER_ASAN || UNDER_TSAN)
		skip_because(t, "sanitizers make calls of their own, and must be loaded first");
}

static void refuse_in_turn(struct test *t, int err)
{
	const struct run *sums;

	needs_plain_build(t);
	fresh_dir(t);
	make_tree();
	sums = SH("find d -type f | xargs sha256sum | sort >sums");
	expect_exit(sums, 0);
	for (size_t i = 0; i < COUNT_OF(calls) * COUNT_OF(backends); i++) {
		const struct denied denied[] = {DENY(calls[i / 2].number, err), DENY_END};
		const struct how *how = HOW(.denied_late = denied);
		const char *name = calls[i / 2].name, *backend = backends[i % 2];
		struct run *run =
			RUN(how, "hash", "--journal", "j", "--backend", backend, "-r", "d");

		make_bytes("out", run->out.data, run->out.len);
		expect_honest(run, SH("sort out | cmp - sums")->status == 0, name, err);
		run = RUN(how, "copy", "-r", "--backend", backend, "d", "c");
		expect_honest(run, SH("diff -r d c")->status == 0, name, err);
		expect_exit(SH("rm -rf c j; cp -r d c"), 0);
		run = RUN(how, "rm", "-r", "--backend", backend, "c");
		expect_honest(run, !is_there("c"), name, err);
		expect_exit(SH("rm -rf c"), 0);
		runs_forget();
	}
}

static void what_is_not_permitted_is_gone_round_or_said(struct test *t)
{
	refuse_in_turn(t, EPERM);
}

static void what_is_not_there_is_gone_round_or_said(struct test *t)
{
	refuse_in_turn(t, ENOSYS);
}

/* Nobody hears a signal sooner than the program itself where it cannot wait for one. */
static void signals_are_heard_without_the_call_that_waits_for_them(struct test *t)
{
	static const struct denied denied[] = {DENY(SYS_rt_sigtimedwait, ENOSYS), DENY_END};
	struct run *run;

	needs_plain_build(t);
	fresh_dir(t);
	run = START(HOW(.feed = true, .denied_late = denied), "hash", "-");
	run_feed(run, "x", 1);
	until_drained(run);
	run_kill(run, SIGUSR1);
	expect(until_printed(run, 2, " in flight, ", 1));
	run_kill(run, SIGTERM);
	run_feed_end(run);
	expect_exit(run_end(run), 128 + SIGTERM);
	expect_says(run, "stopped by signal 15 (SIGTERM): 1 ok\n");
}

static const struct test_case cases[] = {
	ONCE(what_is_not_permitted_is_gone_round_or_said),
	ONCE(what_is_not_there_is_gone_round_or_said),
	ONCE(signals_are_heard_without_the_call_that_waits_for_them),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
