/* SPDX-License-Identifier: MIT */
/*
 * test_fallback - where io_uring is refused, threads do the work, and it is said why
 *
 * Refused by a seccomp filter as a container has it, by kernel.io_uring_disabled, to one loop of
 * several; and on systems where the calls that the threads backend likes best are missing too. What
 * cannot be taken back happens in a child process.
 */
#include <dlfcn.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "support/harness.h"

/* ---------------------------------------------------------------- io_uring for some loops only */

static atomic_int rings_left = -1; /* that may be made; negative: any number */
static atomic_int rings_made;
static int refusal;

/* Stands before liburing's own. */
int io_uring_queue_init_params(unsigned int entries, struct io_uring *ring,
			       struct io_uring_params *params)
{
	static int (*real)(unsigned int, struct io_uring *, struct io_uring_params *);

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "io_uring_queue_init_params");
	if (atomic_load(&rings_left) == 0)
		return refusal;
	if (atomic_load(&rings_left) > 0)
		atomic_fetch_sub(&rings_left, 1);
	atomic_fetch_add(&rings_made, 1);
	return real(entries, ring, params);
}

static int read_file(void *arg)
{
	char buf[100];
	int fd = bp_openat(AT_FDCWD, arg, O_RDONLY | O_CLOEXEC, 0);

	expect(fd >= 0);
	expect_eq(bp_read(fd, buf, sizeof(buf), 0), sizeof(buf));
	return bp_close(fd);
}

static int through_a_pipe(void *arg)
{
	const int *fd = arg;
	char byte = 0;

	expect_eq(bp_write(fd[1], "x", 1, 0), 1);
	expect_eq(bp_read(fd[0], &byte, 1, 0), 1);
	expect_eq(byte, 'x');
	return 0;
}

/* The engine works: files, pipes, helpers and clocks. */
static void use(struct bp_engine *engine)
{
	struct bp_group *g;
	int fd[2];

	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
	assert_int_equal(bp_group_create(&g, engine, &BP_GROUP_OPTS(.limit = 8)), 0);
	for (int i = 0; i < 50; i++) {
		expect_eq(bp_go(g, read_file, (void *)"/proc/self/exe"), 0);
		expect_eq(bp_go(g, through_a_pipe, fd), 0);
	}
	expect_eq(bp_wait(g), 0);
	bp_group_destroy(g);
	close(fd[0]);
	close(fd[1]);
}

static bool says(const struct bp_engine *engine, const char *word)
{
	return strstr(bp_engine_info(engine)->reason, word);
}

/* The third ring of four is refused: all loops are threads, and no ring is left. */
static void one_refused_ring_makes_threads_of_all_loops(struct test *t)
{
	static const struct {
		int err;
		const char *word;
	} reasons[] = {
		{-EPERM, "EPERM"},
		{-ENOSYS, "ENOSYS"},
		{-ENOMEM, "ENOMEM"},
		{-EMFILE, "EMFILE"},
		{-ENFILE, "ENFILE"},
		{-EACCES, "EACCES"},
		{-EINVAL, "Invalid argument"},
		{-ENOSPC, "No space left"},
		{-EFAULT, "Bad address"},
	};

	for (size_t i = 0; i < COUNT_OF(reasons); i++) {
		const struct bp_engine_info *info;
		int before = open_fds(), made = rings_made;

		refusal = reasons[i].err;
		rings_left = 2;
		assert_int_equal(bp_engine_create(&t->engine, &BP_ENGINE_OPTS(.loops = 4)), 0);
		rings_left = -1;
		if (rings_made == made) {
			skip_because(t, "the machine itself offers no io_uring");
			return;
		}
		info = bp_engine_info(t->engine);
		expect_eq(info->backend, BP_BACKEND_THREADS);
		expect_eq(info->loops, 4);
		expect_eq(info->sq_entries, 0);
		expect_eq(info->cq_entries, 0);
		expect_eq(info->setup_flags, 0);
		expect(says(t->engine, reasons[i].word));
		use(t->engine);
		bp_engine_destroy(t->engine);
		t->engine = NULL;
		expect_eq(open_fds(), before);
	}
}

/* Who asks for io_uring gets it or the error. */
static void io_uring_asked_for_is_never_threads(struct test *t)
{
	refusal = -EPERM;
	rings_left = 0;
	expect_eq(bp_engine_create(&t->engine, &BP_ENGINE_OPTS(.backend = BP_BACKEND_URING)),
		  -EPERM);
	rings_left = -1;
	expect(t->engine == NULL);
	expect(strstr(bp_engine_error(), "kernel.io_uring_disabled"));
}

static void threads_asked_for_say_so(struct test *t)
{
	rings_left = 0;
	assert_int_equal(
		bp_engine_create(&t->engine, &BP_ENGINE_OPTS(.backend = BP_BACKEND_THREADS)), 0);
	rings_left = -1;
	expect(says(t->engine, "asked for"));
	use(t->engine);
}

/* ---------------------------------------------------------------- seccomp */

enum {
	NO_SECCOMP = 77
};

static void expect_clean_exit(struct test *t, const struct child_result *child)
{
	if (WIFEXITED(child->status) && WEXITSTATUS(child->status) == NO_SECCOMP)
		skip_because(t, "no seccomp filter can be set here");
	if (!WIFEXITED(child->status) || WEXITSTATUS(child->status) != 0)
		record_failure("the child ended with 0x%x: %s", child->status, child->err);
}

struct refused {
	int err;
	const char *words[3];
};

static int where_io_uring_is_denied(void *arg)
{
	const struct refused *refused = arg;
	struct bp_engine *engine;

	if (refuse_uring(refused->err))
		return NO_SECCOMP;
	for (unsigned int loops = 0; loops < 4; loops++) {
		int err = bp_engine_create(&engine, &BP_ENGINE_OPTS(.loops = loops));

		if (!expect_eq(err, 0))
			return 1;
		expect_eq(bp_engine_info(engine)->backend, BP_BACKEND_THREADS);
		for (size_t i = 0; i < COUNT_OF(refused->words); i++)
			expect(!refused->words[i] || says(engine, refused->words[i]));
		use(engine);
		bp_engine_destroy(engine);
	}
	return 0;
}

static void a_filter_that_denies_io_uring_names_both_causes(struct test *t)
{
	struct refused refused = {EPERM, {"kernel.io_uring_disabled", "seccomp", "EPERM"}};
	struct child_result child = in_child(where_io_uring_is_denied, &refused);

	expect_clean_exit(t, &child);
}

static void a_filter_that_hides_io_uring_is_named(struct test *t)
{
	struct refused refused = {ENOSYS, {"kernel", "seccomp", "ENOSYS"}};
	struct child_result child = in_child(where_io_uring_is_denied, &refused);

	expect_clean_exit(t, &child);
}

/* ---------------------------------------------------------------- older systems */

static int stream_out(void *arg)
{
	const int *fd = arg;
	char buf[10000] = {0};
	size_t left = 300000;

	while (left) {
		ssize_t n = bp_write(fd[1], buf, left < sizeof(buf) ? left : sizeof(buf), 0);

		if (n <= 0)
			return (int)n;
		left -= (size_t)n;
	}
	return bp_close(fd[1]);
}

static int stream_in(void *arg)
{
	const int *fd = arg;
	char buf[7000];
	size_t got = 0;
	ssize_t n;

	while ((n = bp_read(fd[0], buf, sizeof(buf), 0)) > 0)
		got += (size_t)n;
	expect_eq(got, 300000);
	bp_close(fd[0]);
	return (int)n;
}

static int sleep_a_little(void *engine)
{
	uint64_t begin = bp_now(engine);

	expect_eq(bp_sleep(2 * MS), 0);
	expect(bp_now(engine) - begin >= 2 * MS);
	return 0;
}

static void stream(struct bp_engine *engine, int in, int out)
{
	int fd[2] = {in, out};
	struct bp_group *g;

	assert_int_equal(bp_group_create(&g, engine, NULL), 0);
	expect_eq(bp_go(g, stream_out, fd), 0);
	expect_eq(bp_go(g, stream_in, fd), 0);
	expect_eq(bp_go(g, sleep_a_little, engine), 0);
	expect_eq(bp_wait(g), 0);
	bp_group_destroy(g);
}

static int on_an_older_system(void *arg)
{
	/* RWF_NOWAIT knows neither pipes nor sockets before 6.4, and the others are from 5.x. */
	static const struct denied denied[] = {
		DENY(SYS_io_uring_setup, ENOSYS),
		{SYS_preadv2, EOPNOTSUPP, DENY_ANY_BIT, 5, UINT32_MAX},
		{SYS_pwritev2, EOPNOTSUPP, DENY_ANY_BIT, 5, UINT32_MAX},
		DENY(SYS_epoll_pwait2, ENOSYS),
		DENY(SYS_openat2, ENOSYS),
		DENY_END,
	};
	struct bp_engine *engine;
	int fd[2];

	(void)arg;
	if (deny_calls(denied))
		return NO_SECCOMP;
	for (unsigned int loops = 0; loops < 3; loops += 2) {
		assert_int_equal(bp_engine_create(&engine, &BP_ENGINE_OPTS(.loops = loops)), 0);
		use(engine);
		assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
		stream(engine, fd[0], fd[1]);
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
		stream(engine, fd[0], fd[1]);
		bp_engine_destroy(engine);
	}
	return 0;
}

static void older_kernels_and_filters_will_do(struct test *t)
{
	struct child_result child = in_child(on_an_older_system, NULL);

	expect_clean_exit(t, &child);
}

/* ---------------------------------------------------------------- no threads to be had */

static int returns_7(void *unused)
{
	(void)unused;
	return 7;
}

static int needs_a_helper(void *arg)
{
	struct io_uring_sqe *sqe;
	const int *fd = arg;
	char buf[10];

	sqe = bp_sqe();
	io_uring_prep_read(sqe, *fd, buf, sizeof(buf), 0);
	sqe->flags |= IOSQE_ASYNC;
	expect_eq(bp_await(), sizeof(buf));
	expect_eq(bp_unlinkat(AT_FDCWD, "/nonexistent/file", 0), -ENOENT);
	expect_eq(bp_offload(returns_7, NULL), -EAGAIN);
	return 0;
}

static int where_no_thread_can_be_made(void *arg)
{
	static const struct denied denied[] = {
		DENY(SYS_clone3, EAGAIN),
		DENY(SYS_clone, EAGAIN),
		DENY_END,
	};
	struct bp_engine *engine;
	struct bp_group *g;

	if (bp_engine_create(&engine, &BP_ENGINE_OPTS(.backend = BP_BACKEND_THREADS)))
		return 1;
	if (deny_calls(denied))
		return NO_SECCOMP;
	assert_int_equal(bp_group_create(&g, engine, NULL), 0);
	for (int i = 0; i < 3; i++)
		expect_eq(bp_go(g, needs_a_helper, arg), 0);
	expect_eq(bp_wait(g), 0);
	bp_group_destroy(g);
	bp_engine_destroy(engine);
	return 0;
}

/* Then the loop makes the calls itself: slow, and not wrong. */
static void files_are_read_without_a_helper(struct test *t)
{
	int fd = temp_file(t, "file", 10, O_RDONLY);
	struct child_result child = in_child(where_no_thread_can_be_made, &fd);

	expect_clean_exit(t, &child);
	close(fd);
}

/* ---------------------------------------------------------------- one call refused */

struct sweep {
	const char *name;
	long call;
	int err;
	bool needed; /* by engines with loops of their own, at least */
};

/* With one call refused an engine works all the same, or says which call it was. */
static int with_one_call_refused(void *arg)
{
	const struct sweep *sweep = arg;
	const struct denied denied[] = {DENY(sweep->call, sweep->err), DENY_END};
	static const enum bp_backend backends[] = {BP_BACKEND_AUTO, BP_BACKEND_THREADS};
	struct bp_engine *engine;

	if (deny_calls(denied))
		return NO_SECCOMP;
	for (size_t i = 0; i < COUNT_OF(backends); i++) {
		for (unsigned int loops = 0; loops < 3; loops += 2) {
			int err = bp_engine_create(&engine, &BP_ENGINE_OPTS(.backend = backends[i],
									    .loops = loops));

			if (err) {
				expect(sweep->needed && loops);
				expect(strstr(bp_engine_error(), sweep->name));
				continue;
			}
			use(engine);
			bp_engine_destroy(engine);
		}
	}
	return (int)failures_to(STDERR_FILENO);
}

static void any_one_call_may_be_refused(struct test *t)
{
	static const struct sweep calls[] = {
		{"io_uring_setup", SYS_io_uring_setup, 0, false},
		{"io_uring_enter", SYS_io_uring_enter, 0, false},
		{"io_uring_register", SYS_io_uring_register, 0, false},
		{"eventfd2", SYS_eventfd2, 0, false},
		{"epoll_create1", SYS_epoll_create1, 0, false},
		{"epoll_wait", SYS_epoll_pwait2, 0, false},
#ifdef SYS_epoll_wait
		{"epoll_wait", SYS_epoll_wait, 0, false},
#endif
		{"openat2", SYS_openat2, 0, false},
		{"statx", SYS_statx, 0, false},
		{"sched_getaffinity", SYS_sched_getaffinity, 0, false},
		{"madvise", SYS_madvise, 0, false},
		{"ioctl", SYS_ioctl, 0, false},
		{"clone3", SYS_clone3, 0, true},
	};
	static const int errors[] = {EPERM, EACCES, ENOSYS};

	if (UNDER_ASAN || UNDER_TSAN)
		skip_because(t, "sanitizers make some of these calls themselves");
	for (size_t i = 0; i < COUNT_OF(calls); i++) {
		for (size_t k = 0; k < COUNT_OF(errors); k++) {
			struct sweep sweep = calls[i];
			struct child_result child;

			sweep.err = errors[k];
			child = in_child(with_one_call_refused, &sweep);
			if (WIFEXITED(child.status) && WEXITSTATUS(child.status) == NO_SECCOMP) {
				skip_because(t, "no seccomp filter can be set here");
				return;
			}
			if (!WIFEXITED(child.status) || WEXITSTATUS(child.status))
				record_failure("%s refused with %d: the child ended with 0x%x: %s",
					       sweep.name, sweep.err, child.status, child.err);
		}
	}
}

/*
 * A filter that lets rings be made and not entered: threads, and the reason says which call it was.
 */
static int where_rings_cannot_be_entered(void *arg)
{
	static const struct denied denied[] = {DENY(SYS_io_uring_enter, EPERM), DENY_END};
	struct bp_engine *engine;

	(void)arg;
	if (deny_calls(denied))
		return NO_SECCOMP;
	expect_eq(bp_engine_create(&engine, &BP_ENGINE_OPTS(.backend = BP_BACKEND_URING)), -EPERM);
	expect(strstr(bp_engine_error(), "io_uring_enter"));
	expect_eq(bp_engine_create(&engine, NULL), 0);
	expect_eq(bp_engine_info(engine)->backend, BP_BACKEND_THREADS);
	expect(says(engine, "io_uring_enter"));
	bp_engine_destroy(engine);
	return (int)failures_to(STDERR_FILENO);
}

static void a_filter_that_denies_io_uring_enter_is_named(struct test *t)
{
	struct child_result child = in_child(where_rings_cannot_be_entered, NULL);

	expect_clean_exit(t, &child);
}

/* ---------------------------------------------------------------- kernel.io_uring_disabled */

#define SYSCTL "/proc/sys/kernel/io_uring_disabled"

static char sysctl_read(void)
{
	int fd = open(SYSCTL, O_RDONLY | O_CLOEXEC);
	char value = 0;

	if (fd < 0 || read(fd, &value, 1) != 1)
		value = 0;
	if (fd >= 0)
		close(fd);
	return value;
}

/*
 * Set by who runs the test (test_sysctl.sh): it is the whole machine's, and others make rings
 * meanwhile.
 */
static void kernel_io_uring_disabled_names_both_causes(struct test *t)
{
	struct bp_engine *engine = NULL;

	if (sysctl_read() != '2')
		skip_because(t, "kernel.io_uring_disabled is not 2");
	expect_eq(bp_engine_create(&engine, &BP_ENGINE_OPTS(.backend = BP_BACKEND_URING)), -EPERM);
	assert_int_equal(bp_engine_create(&t->engine, &BP_ENGINE_OPTS(.loops = 2)), 0);
	expect_eq(bp_engine_info(t->engine)->backend, BP_BACKEND_THREADS);
	expect(says(t->engine, "kernel.io_uring_disabled"));
	expect(says(t->engine, "seccomp"));
	use(t->engine);
}

static const struct test_case cases[] = {
	ONCE(one_refused_ring_makes_threads_of_all_loops),
	ONCE(io_uring_asked_for_is_never_threads),
	ONCE(threads_asked_for_say_so),
	ONCE(a_filter_that_denies_io_uring_names_both_causes),
	ONCE(a_filter_that_hides_io_uring_is_named),
	ONCE(older_kernels_and_filters_will_do),
	ONCE(files_are_read_without_a_helper),
	ONCE(any_one_call_may_be_refused),
	ONCE(a_filter_that_denies_io_uring_enter_is_named),
	ONCE(kernel_io_uring_disabled_names_both_causes),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
