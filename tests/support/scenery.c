/* SPDX-License-Identifier: MIT */
/*
 * scenery - what tests act on: gates, crowds, plain items, tallies, child processes and files
 *
 * All of it belongs to the test that made it. Items may touch gates, crowds and tallies from any
 * loop; the rest is for the main thread.
 */
#include <limits.h>
#include <signal.h>
#include <sys/wait.h>

#include "support/harness.h"
#include "sim/sim.h"

/* Gates of a test on the simulated backend that were made before its engine. */
static struct gate *early[16];

static bool simulated(void)
{
	return current_test() && current_test()->row->backend == BP_BACKEND_SIM;
}

void gates_arrive(struct bp_engine *engine)
{
	for (unsigned int i = 0; i < COUNT_OF(early); i++) {
		if (early[i])
			expect_eq(sim_socketpair(engine, early[i]->fd), 0);
		early[i] = NULL;
	}
}

void gate_init(struct gate *gate)
{
	unsigned int i = 0;

	if (!simulated()) {
		assert_int_equal(pipe2(gate->fd, O_CLOEXEC), 0);
	} else if (current_test()->engine) {
		expect_eq(sim_socketpair(current_test()->engine, gate->fd), 0);
	} else {
		while (early[i])
			assert_true(++i < COUNT_OF(early));
		early[i] = gate;
	}
}

void gate_open(struct gate *gate)
{
	if (simulated())
		expect_eq(sim_write(current_test()->engine, gate->fd[1], "", 1), 1);
	else
		expect_eq(write(gate->fd[1], "", 1), 1);
}

void gate_free(struct gate *gate)
{
	for (unsigned int i = 0; i < 2; i++) {
		if (!simulated())
			close(gate->fd[i]);
		else if (current_test()->engine)
			sim_close(current_test()->engine, gate->fd[i]);
	}
}

int gate_wait(struct gate *gate)
{
	int events = bp_poll(gate->fd[0], POLLIN);

	return events < 0 ? events : 0;
}

void crowd_init(struct crowd *crowd)
{
	*crowd = (struct crowd){0};
	gate_init(&crowd->gate);
}

void crowd_free(struct crowd *crowd)
{
	gate_free(&crowd->gate);
}

static void crowd_left(struct crowd *crowd, int res)
{
	if (res >= 0)
		atomic_fetch_add(&crowd->passed, 1);
	else if (res == -ECANCELED)
		atomic_fetch_add(&crowd->cancelled, 1);
	else if (res == -ETIMEDOUT)
		atomic_fetch_add(&crowd->timed_out, 1);
}

int crowd_task(void *arg)
{
	struct crowd *crowd = arg;
	int err;

	atomic_fetch_add(&crowd->started, 1);
	err = gate_wait(&crowd->gate);
	crowd_left(crowd, err);
	return err;
}

int trigger_task(void *arg)
{
	struct trigger *trigger = arg;

	while (atomic_load(&trigger->crowd->started) < trigger->after ||
	       bp_engine_info(trigger->t->engine)->in_flight < trigger->after) {
		int err = bp_yield();

		if (err)
			return err;
	}
	return trigger->result;
}

static void crowd_op_prep(struct bp_op *op, struct io_uring_sqe *sqe)
{
	struct crowd_op *member = CONTAINER(op, struct crowd_op, op);

	atomic_fetch_add(&member->crowd->started, 1);
	member->rounds++;
	io_uring_prep_poll_add(sqe, member->crowd->gate.fd[0], POLLIN);
}

static int crowd_op_done(struct bp_op *op, int res)
{
	struct crowd_op *member = CONTAINER(op, struct crowd_op, op);

	member->res = res;
	crowd_left(member->crowd, res);
	return res;
}

void crowd_op_init(struct crowd_op *op, struct crowd *crowd)
{
	*op = (struct crowd_op){.op = BP_OP_INIT(crowd_op_prep, crowd_op_done), .crowd = crowd};
}

static void nop_prep(struct bp_op *op, struct io_uring_sqe *sqe)
{
	(void)op;
	io_uring_prep_nop(sqe);
}

static int nop_done(struct bp_op *op, int res)
{
	struct nop_op *nop = CONTAINER(op, struct nop_op, op);

	if (res == 0 && nop->count)
		atomic_fetch_add_explicit(nop->count, 1, memory_order_relaxed);
	if (res == 0 && nop->again > 0) {
		nop->again--;
		return BP_OP_AGAIN;
	}
	return res < 0 ? res : nop->result;
}

void nop_op_init(struct nop_op *op, int result, atomic_ulong *count)
{
	*op = (struct nop_op){.op = BP_OP_INIT(nop_prep, nop_done),
			      .result = result,
			      .count = count};
}

int succeed(void *unused)
{
	(void)unused;
	return 0;
}

int fail_with(void *result)
{
	return *(int *)result;
}

int open_eio(void)
{
	int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

int read_gives_eio(void *fd)
{
	char byte;
	int res = (int)bp_read(*(int *)fd, &byte, 1, 0);

	expect_eq(res, -EIO);
	return res;
}

/* ---------------------------------------------------------------- reports */

void tally_report(void *ctx, void *arg, enum bp_end end, int result)
{
	struct tally *tally = ctx;
	int none = 0;

	(void)arg;
	expect_between(end, BP_END_SUCCEEDED, BP_END_NEVER_STARTED);
	atomic_fetch_add(&tally->calls, 1);
	atomic_fetch_add(&tally->end[end], 1);
	if (end == BP_END_SUCCEEDED)
		expect(result >= 0);
	else
		expect(result < 0);
	if (end == BP_END_STOPPED || end == BP_END_NEVER_STARTED)
		expect_eq(result, -ECANCELED);
	if (end == BP_END_FAILED)
		atomic_compare_exchange_strong(&tally->first_failure, &none, result);
}

void expect_tally(const struct tally *tally, const struct bp_group *g)
{
	struct bp_group_stats st = stats_of(g);

	expect_eq(atomic_load(&tally->calls), st.accepted);
	expect_eq(atomic_load(&tally->end[BP_END_SUCCEEDED]), st.succeeded);
	expect_eq(atomic_load(&tally->end[BP_END_FAILED]), st.failed);
	expect_eq(atomic_load(&tally->end[BP_END_STOPPED]), st.stopped);
	expect_eq(atomic_load(&tally->end[BP_END_NEVER_STARTED]), st.never_started);
	expect_balanced(g);
}

/* ---------------------------------------------------------------- processes and files */

void helper_path(char path[PATH_MAX], const char *name)
{
	ssize_t len = readlink("/proc/self/exe", path, PATH_MAX - 1);
	size_t dir;

	assert_true(len > 0);
	path[len] = '\0';
	dir = (size_t)(strrchr(path, '/') - path);
	assert_true(snprintf(path + dir, PATH_MAX - dir, "/../support/%s", name) <
		    (int)(PATH_MAX - dir));
}

struct child_result in_child(int (*fn)(void *arg), void *arg)
{
	struct child_result result = {.status = -1};
	size_t used = 0;
	ssize_t got;
	int err[2];
	pid_t pid;

	assert_int_equal(pipe2(err, O_CLOEXEC), 0);
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		/* cmocka's handlers would jump into the parent's test. */
		for (int sig = 1; sig < 32; sig++)
			signal(sig, SIG_DFL);
		alarm(100);
		dup2(err[1], STDERR_FILENO);
		int status = fn(arg);

		_exit(failures_to(STDERR_FILENO) ? 99 : status);
	}
	close(err[1]);
	while (used < sizeof(result.err) - 1) {
		got = read(err[0], result.err + used, sizeof(result.err) - 1 - used);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		used += (size_t)got;
	}
	close(err[0]);
	while (waitpid(pid, &result.status, 0) < 0 && errno == EINTR)
		;
	return result;
}

void expect_abort_(int (*fn)(void *arg), void *arg, const char *word, const char *name,
		   const char *file, int line)
{
	struct child_result child = in_child(fn, arg);
	char *end = strchr(child.err, '\n');
	bool one_line = end && end[1] == '\0';

	/* Under valgrind its own report stands around the line. */
	if (under_valgrind())
		one_line = true;
	if (!WIFSIGNALED(child.status) || WTERMSIG(child.status) != SIGABRT)
		record_failure("%s:%d: %s was not ended by abort() but with status 0x%x: %s", file,
			       line, name, child.status, child.err);
	else if (!one_line || !strstr(child.err, word))
		record_failure("%s:%d: %s: not one line that says '%s': %s", file, line, name, word,
			       child.err);
}

const char *temp_dir(struct test *t)
{
	const char *base = getenv("TMPDIR");

	if (!t->dir[0]) {
		int len = snprintf(t->dir, sizeof(t->dir), "%s/bp-test-XXXXXX",
				   base && *base ? base : "/tmp");

		if ((size_t)len >= sizeof(t->dir))
			errno = ENAMETOOLONG;
		if ((size_t)len >= sizeof(t->dir) || !mkdtemp(t->dir)) {
			t->dir[0] = '\0';
			fail_msg("no temporary directory: %s", strerror(errno));
		}
	}
	return t->dir;
}

unsigned char file_byte(size_t offset)
{
	return (unsigned char)((offset * 2654435761u) >> 13);
}

int temp_file(struct test *t, const char *name, size_t size, int flags)
{
	unsigned char block[65536];
	char path[200];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", temp_dir(t), name);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	for (size_t done = 0; done < size;) {
		size_t n = size - done < sizeof(block) ? size - done : sizeof(block);

		for (size_t i = 0; i < n; i++)
			block[i] = file_byte(done + i);
		assert_int_equal(write(fd, block, n), n);
		done += n;
	}
	close(fd);
	fd = open(path, flags | O_CLOEXEC);
	if (fd < 0)
		assert_int_equal(errno, EINVAL); /* O_DIRECT on a file system without it */
	return fd;
}
