/* SPDX-License-Identifier: MIT */
/*
 * conf_creation - an engine is made whole or not at all
 *
 * Each test plays in a child process: limits of descriptors, of memory and of locked memory, and
 * seccomp filters that refuse io_uring, cannot be taken back. Whatever fails, the error is a clear
 * one, no descriptor is left, and what was made works.
 */
#include <sys/resource.h>
#include <sys/wait.h>

#include "support/harness.h"

struct attempt {
	const struct row *row;
	enum bp_backend backend;
	int deny; /* errno that io_uring_setup() gives, for seccomp */
};

static bool a_clear_error(int err)
{
	return err == -EMFILE || err == -ENFILE || err == -ENOMEM || err == -EAGAIN;
}

/* The lowest number that is free: what the limit is counted from. */
static int lowest_free_fd(void)
{
	int fd = fcntl(STDERR_FILENO, F_DUPFD, 0);

	close(fd);
	return fd;
}

/* As open_fds(), where not one more can be opened. */
static int count_without_a_descriptor(void)
{
	int count = 0;

	for (int fd = 0; fd < 512; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* Makes an engine; if that works it must do a few operations. Returns what creation said. */
static int try_engine(const struct attempt *a)
{
	struct bp_engine_opts opts =
		BP_ENGINE_OPTS(.backend = a->backend, .loops = a->row->loops, .depth = 64);
	struct bp_engine *engine = (struct bp_engine *)&opts;
	struct nop_op op[50];
	struct bp_group *g;
	int before = count_without_a_descriptor();
	int err = bp_engine_create(&engine, &opts);

	if (err) {
		expect(engine == NULL);
		expect_eq(count_without_a_descriptor(), before);
		return err;
	}
	if (expect_eq(bp_group_create(&g, engine, &BP_GROUP_OPTS(.limit = 20)), 0)) {
		for (size_t i = 0; i < COUNT_OF(op); i++) {
			nop_op_init(&op[i], 0, NULL);
			expect_eq(bp_go_op(g, &op[i].op), 0);
		}
		expect_eq(bp_wait(g), 0);
		bp_group_destroy(g);
	}
	bp_engine_destroy(engine);
	expect_eq(count_without_a_descriptor(), before);
	return 0;
}

static int with_few_descriptors(void *arg)
{
	struct attempt *a = arg;
	int base = lowest_free_fd();
	bool failed = false;
	int err = -1;

	for (int more = 1; more < 64; more++) {
		struct rlimit limit;

		getrlimit(RLIMIT_NOFILE, &limit);
		limit.rlim_cur = (rlim_t)(base + more);
		expect_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
		err = try_engine(a);
		failed |= err != 0;
		if (err && !a_clear_error(err))
			expect_eq(err, -EMFILE);
	}
	/* The smallest limit, too small for any ring, and the largest. */
	expect(a->backend == BP_BACKEND_AUTO || failed);
	expect_eq(err, 0);
	return 0;
}

static void expect_clean_exit(const struct child_result *child)
{
	if (!WIFEXITED(child->status) || WEXITSTATUS(child->status) != 0)
		record_failure("the child ended with 0x%x: %s", child->status, child->err);
}

/*
 * RLIMIT_NOFILE, one more descriptor at each attempt, so that each step of the set-up fails once.
 */
static void too_few_descriptors_are_a_clear_error(struct test *t)
{
	struct attempt a = {t->row, t->row->backend, 0};
	struct child_result child;

	if (under_valgrind())
		skip_because(t, "valgrind keeps descriptors of its own within the limit");
	child = in_child(with_few_descriptors, &a);
	expect_clean_exit(&child);
}

static void too_few_descriptors_for_the_automatic_backend_too(struct test *t)
{
	struct attempt a = {t->row, BP_BACKEND_AUTO, 0};
	struct child_result child;

	if (under_valgrind())
		skip_because(t, "valgrind keeps descriptors of its own within the limit");
	child = in_child(with_few_descriptors, &a);
	expect_clean_exit(&child);
}

static unsigned long mapped_bytes(void)
{
	unsigned long pages = 0;
	FILE *file = fopen("/proc/self/statm", "re");

	if (!file || fscanf(file, "%lu", &pages) != 1)
		expect(!"/proc/self/statm can be read");
	if (file)
		fclose(file);
	return pages * (unsigned long)sysconf(_SC_PAGESIZE);
}

static int with_little_memory(void *arg)
{
	struct attempt *a = arg;
	struct rlimit limit;
	int refusals = 0;
	int err = -1;

	getrlimit(RLIMIT_AS, &limit);
	for (unsigned long more = 0; more < 4096; more = more * 5 / 4 + 16) {
		limit.rlim_cur = mapped_bytes() + more * 1024;
		expect_eq(setrlimit(RLIMIT_AS, &limit), 0);
		err = try_engine(a);
		refusals += err != 0;
		if (err && !a_clear_error(err))
			expect_eq(err, -ENOMEM);
	}
	expect(refusals > 0);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_AS, &limit);
	expect_eq(try_engine(a), 0);
	return 0;
}

/* RLIMIT_AS, a little more memory at each attempt. */
static void too_little_memory_is_a_clear_error(struct test *t)
{
	struct attempt a = {t->row, t->row->backend, 0};
	struct child_result child;

	if (UNDER_ASAN || UNDER_TSAN || under_valgrind())
		skip_because(t, "sanitizers and valgrind map terabytes");
	child = in_child(with_little_memory, &a);
	expect_clean_exit(&child);
}

static int with_no_locked_memory(void *arg)
{
	struct rlimit none = {0, 0};
	int err;

	expect_eq(setrlimit(RLIMIT_MEMLOCK, &none), 0);
	/* Many kernels count rings as locked memory, and only for ordinary users. */
	if (geteuid() == 0)
		expect_eq(setresuid(65534, 65534, 65534), 0);
	err = try_engine(arg);
	expect(err == 0 || err == -ENOMEM || err == -EPERM);
	return 0;
}

static void no_locked_memory_is_a_clear_error_or_none(struct test *t)
{
	struct attempt a = {t->row, t->row->backend, 0};
	struct child_result child = in_child(with_no_locked_memory, &a);

	expect_clean_exit(&child);
}

enum {
	NO_SECCOMP = 77
};

static int with_io_uring_denied(void *arg)
{
	struct attempt *a = arg;
	int err;

	if (refuse_uring(a->deny))
		return NO_SECCOMP;
	err = try_engine(a);
	if (a->backend == BP_BACKEND_URING)
		expect_eq(err, -a->deny);
	else
		expect(err == 0 || err == -a->deny);
	return 0;
}

static void deny_and_try(struct test *t, enum bp_backend backend, int deny)
{
	struct attempt a = {t->row, backend, deny};
	struct child_result child = in_child(with_io_uring_denied, &a);

	if (WIFEXITED(child.status) && WEXITSTATUS(child.status) == NO_SECCOMP)
		skip_because(t, "no seccomp filter can be set here");
	expect_clean_exit(&child);
}

/* The uring backend says which error it was. */
static void io_uring_refused_by_seccomp_is_eperm(struct test *t)
{
	deny_and_try(t, BP_BACKEND_URING, EPERM);
}

static void io_uring_that_is_not_there_is_enosys(struct test *t)
{
	deny_and_try(t, BP_BACKEND_URING, ENOSYS);
}

/* The automatic one takes threads where this build has them, or says the same. */
static void automatic_backend_copes_with_io_uring_refused(struct test *t)
{
	deny_and_try(t, BP_BACKEND_AUTO, EPERM);
	deny_and_try(t, BP_BACKEND_AUTO, ENOSYS);
}

/* Other errors of the kernel come through as they are. */
static void other_errors_of_the_set_up_are_clear(struct test *t)
{
	deny_and_try(t, BP_BACKEND_URING, ENOMEM);
	deny_and_try(t, BP_BACKEND_URING, EMFILE);
	deny_and_try(t, BP_BACKEND_URING, ENFILE);
	deny_and_try(t, BP_BACKEND_AUTO, ENOMEM);
	deny_and_try(t, BP_BACKEND_AUTO, EMFILE);
}

static const struct test_case cases[] = {
	EACH_REAL_ROW(too_few_descriptors_are_a_clear_error),
	EACH_ROW(too_few_descriptors_for_the_automatic_backend_too),
	EACH_ROW(too_little_memory_is_a_clear_error),
	EACH_ROW(no_locked_memory_is_a_clear_error_or_none),
	EACH_ROW(io_uring_refused_by_seccomp_is_eperm),
	EACH_ROW(io_uring_that_is_not_there_is_enosys),
	EACH_ROW(automatic_backend_copes_with_io_uring_refused),
	EACH_ROW(other_errors_of_the_set_up_are_clear),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
