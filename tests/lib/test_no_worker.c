/* SPDX-License-Identifier: MIT */
/*
 * test_no_worker - where the kernel can make no worker thread (RLIMIT_NPROC, a pids cgroup), files
 * are worked on all the same
 *
 * The kernel ends what it has no thread for with ECANCELED; nobody has cancelled, and it is done. In
 * a child process, as another user, since root is not held to the limit.
 */
#include <grp.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "support/harness.h"

#define NO_USER 77

struct place {
	const char *dir;
	bool helper; /* a helper thread is there already, and stays */
	unsigned int loops;
};

/* What io_uring gives to a worker thread of the kernel. */
static int needs_a_worker(void *arg)
{
	const char *dir = arg;
	char path[200], buf[10];
	struct statx stx;
	int fd;

	snprintf(path, sizeof(path), "%s/new", dir);
	fd = bp_openat(AT_FDCWD, path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (!expect(fd >= 0))
		return fd;
	expect_eq(bp_write(fd, "abc", 3, 0), 3);
	expect_eq(bp_fallocate(fd, 0, 0, 10), 0);
	expect_eq(bp_fsync(fd, 0), 0);
	expect_eq(bp_read(fd, buf, sizeof(buf), 0), 10);
	expect_eq(bp_statx(AT_FDCWD, path, 0, STATX_SIZE, &stx), 0);
	expect_eq(stx.stx_size, 10);
	expect_eq(bp_close(fd), 0);
	expect_eq(bp_unlinkat(AT_FDCWD, path, 0), 0);
	snprintf(path, sizeof(path), "%s/newdir", dir);
	expect_eq(bp_mkdirat(AT_FDCWD, path, 0700), 0);
	expect_eq(bp_unlinkat(AT_FDCWD, path, AT_REMOVEDIR), 0);
	return 0;
}

/* ---------------------------------------------------------------- operation items */

enum step {
	STEP_OPEN,
	STEP_WRITE,
	STEP_SYNC,
	STEP_READ,
	STEP_REMOVE,
	STEPS
};

struct work {
	struct bp_op op;
	enum step step;
	char path[200], buf[10];
	int fd, results[STEPS];
};

static void work_prep(struct bp_op *op, struct io_uring_sqe *sqe)
{
	struct work *w = (struct work *)op;

	switch (w->step) {
	case STEP_OPEN:
		io_uring_prep_openat(sqe, AT_FDCWD, w->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		break;
	case STEP_WRITE:
		io_uring_prep_write(sqe, w->fd, "abc", 3, 0);
		break;
	case STEP_SYNC:
		io_uring_prep_fsync(sqe, w->fd, 0);
		break;
	case STEP_READ:
		io_uring_prep_read(sqe, w->fd, w->buf, sizeof(w->buf), 0);
		break;
	default:
		io_uring_prep_unlinkat(sqe, AT_FDCWD, w->path, 0);
	}
	sqe->flags |= IOSQE_ASYNC;
}

static int work_done(struct bp_op *op, int res)
{
	struct work *w = (struct work *)op;

	w->results[w->step] = res;
	if (w->step == STEP_OPEN)
		w->fd = res;
	if (res < 0)
		return res;
	return ++w->step == STEPS ? 0 : BP_OP_AGAIN;
}

#define MANY 20

static int items_in(const char *dir, struct bp_engine *engine)
{
	static const int right[STEPS] = {0, 3, 0, 3, 0};
	static struct work works[MANY];
	struct bp_group *g;

	expect_eq(bp_group_create(&g, engine, NULL), 0);
	for (int i = 0; i < MANY; i++) {
		works[i] = (struct work){.op = BP_OP_INIT(work_prep, work_done)};
		snprintf(works[i].path, sizeof(works[i].path), "%s/item-%d", dir, i);
		expect_eq(bp_go_op(g, &works[i].op), 0);
	}
	expect_eq(bp_wait(g), 0);
	for (int i = 0; i < MANY; i++) {
		expect(works[i].results[STEP_OPEN] >= 0);
		for (int step = STEP_WRITE; step < STEPS; step++)
			expect_eq(works[i].results[step], right[step]);
		expect(!memcmp(works[i].buf, "abc", 3));
		close(works[i].fd);
	}
	bp_group_destroy(g);
	return 0;
}

/* What was cancelled stays so. */
static int silent[2];

static void wait_prep(struct bp_op *op, struct io_uring_sqe *sqe)
{
	(void)op;
	io_uring_prep_poll_add(sqe, silent[0], POLLIN);
}

static int wait_done(struct bp_op *op, int res)
{
	(void)op;
	return res;
}

static int cancelled_in(struct bp_engine *engine)
{
	struct bp_op op = BP_OP_INIT(wait_prep, wait_done);
	struct bp_group *g;

	expect_eq(pipe(silent), 0);
	expect_eq(bp_group_create(&g, engine, NULL), 0);
	expect_eq(bp_go_op(g, &op), 0);
	bp_cancel(g, 0);
	expect_eq(bp_wait(g), -ECANCELED);
	bp_group_destroy(g);
	close(silent[0]);
	close(silent[1]);
	return 0;
}

/* ---------------------------------------------------------------- the child */

static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

static int one_offload(void *arg)
{
	return bp_offload(nothing, arg);
}

/* Return: NULL: no other user can be had. */
static struct bp_engine *engine_without_workers(const struct place *place)
{
	struct rlimit none = {0, 0};
	struct bp_engine *engine;
	struct bp_group *g;

	if (!getuid() && (setgroups(0, NULL) || setresgid(65534, 65534, 65534) ||
			  setresuid(65534, 65534, 65534)))
		return NULL;
	if (bp_engine_create(&engine, &BP_ENGINE_OPTS(.loops = place->loops)))
		return NULL;
	if (place->helper) {
		expect_eq(bp_group_create(&g, engine, NULL), 0);
		expect_eq(bp_go(g, one_offload, NULL), 0);
		expect_eq(bp_wait(g), 0);
		bp_group_destroy(g);
	}
	if (setrlimit(RLIMIT_NPROC, &none))
		return NULL;
	return engine;
}

static int where_nobody_may_be_born(void *arg)
{
	const struct place *place = arg;
	struct bp_engine *engine = engine_without_workers(place);
	struct bp_group *g;

	if (!engine)
		return NO_USER;
	expect_eq(bp_group_create(&g, engine, NULL), 0);
	expect_eq(bp_go(g, needs_a_worker, (void *)(uintptr_t)place->dir), 0);
	expect_eq(bp_wait(g), 0);
	bp_group_destroy(g);
	items_in(place->dir, engine);
	cancelled_in(engine);
	bp_engine_destroy(engine);
	return (int)failures_to(STDERR_FILENO);
}

static void play(struct test *t, bool helper, unsigned int loops)
{
	struct place place = {temp_dir(t), helper, loops};
	struct child_result child;

	chmod(place.dir, 0777);
	child = in_child(where_nobody_may_be_born, &place);
	if (WIFEXITED(child.status) && WEXITSTATUS(child.status) == NO_USER)
		skip_because(t, "no other user can be had here");
	if (!expect(WIFEXITED(child.status) && WEXITSTATUS(child.status) == 0))
		print_error("%s", child.err);
}

static void files_are_worked_on_without_a_kernel_worker(struct test *t)
{
	play(t, false, 1);
}

static void a_caller_that_drives_does_it_too(struct test *t)
{
	play(t, false, 0);
}

static void a_helper_thread_that_is_there_does_it(struct test *t)
{
	play(t, true, 1);
}

static const struct test_case cases[] = {
	ONCE(files_are_worked_on_without_a_kernel_worker),
	ONCE(a_caller_that_drives_does_it_too),
	ONCE(a_helper_thread_that_is_there_does_it),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
