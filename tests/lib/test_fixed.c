/* SPDX-License-Identifier: MIT */
/*
 * test_fixed - registered buffers and files: kept by the rings or not, the same to a task
 */
#include <sys/mman.h>

#include "op.h"
#include "support/harness.h"

#define SIZE 4096

struct fixed {
	struct test *t;
	char *memory;
	int fds[3]; /* the second is none */
};

static int transfers(void *arg)
{
	struct fixed *f = arg;
	char *a = f->memory, *b = f->memory + SIZE;
	struct iovec out[2] = {{a, 3}, {a + 100, 2}}, in[2] = {{b, 1}, {b + 50, 9}};
	char other[8];

	memcpy(a, "abcdefgh", 8);
	memcpy(a + 100, "XY", 2);
	expect_eq(bp_write_fixed(0, a, 8, 0, 0, BP_FIXED_FILE), 8);
	expect_eq(bp_read_fixed(0, b, 6, 2, 1, BP_FIXED_FILE), 6);
	expect_eq(memcmp(b, "cdefgh", 6), 0);
	expect_eq(bp_writev_fixed(0, out, 2, 10, 0, BP_FIXED_FILE), 5);
	expect_eq(bp_readv_fixed(0, in, 2, 10, 1, BP_FIXED_FILE), 5);
	expect_eq(b[0], 'a');
	expect_eq(memcmp(b + 50, "bcXY", 4), 0);

	/* One without the other. */
	expect_eq(bp_read_fixed(f->fds[2], b + SIZE - 2, 2, 0, 1, 0), 2);
	expect_eq(bp_read_fixed(2, other, sizeof(other), 0, BP_NO_BUFFER, BP_FIXED_FILE), 8);
	expect_eq(bp_read_fixed(f->fds[2], other, 3, 0, BP_NO_BUFFER, 0), 3);
	return 0;
}

static int refusals(void *arg)
{
	struct fixed *f = arg;
	char *a = f->memory, other[8];
	struct iovec mixed[2] = {{a, 3}, {other, 2}};

	expect_eq(bp_read_fixed(0, other, 8, 0, 0, BP_FIXED_FILE), -EFAULT);
	expect_eq(bp_read_fixed(0, a + SIZE - 2, 3, 0, 0, BP_FIXED_FILE), -EFAULT);
	expect_eq(bp_read_fixed(0, a, 3, 0, 1, BP_FIXED_FILE), -EFAULT);
	expect_eq(bp_read_fixed(0, a, 3, 0, 2, BP_FIXED_FILE), -EFAULT);
	expect_eq(bp_read_fixed(0, a, 3, 0, -2, BP_FIXED_FILE), -EFAULT);
	expect_eq(bp_readv_fixed(0, mixed, 2, 0, 0, BP_FIXED_FILE), -EFAULT);
	expect_eq(bp_readv_fixed(0, NULL, 2, 0, 0, BP_FIXED_FILE), -EFAULT);
	expect_eq(bp_readv_fixed(0, mixed, 100000, 0, 0, BP_FIXED_FILE), -EINVAL);
	expect_eq(bp_read_fixed(3, a, 3, 0, 0, BP_FIXED_FILE), -EBADF);
	expect_eq(bp_read_fixed(1, a, 3, 0, 0, BP_FIXED_FILE), -EBADF);
	expect_eq(bp_read_fixed(-1, a, 3, 0, 0, BP_FIXED_FILE), -EBADF);
	expect_eq(bp_read_fixed(-1, a, 3, 0, 0, 0), -EBADF);
	expect_eq(bp_read_fixed(0, a, 3, 0, 0, 6), -EINVAL);
	return 0;
}

static int nothing_there(void *arg)
{
	struct fixed *f = arg;

	expect_eq(bp_read_fixed(0, f->memory, 3, 0, BP_NO_BUFFER, BP_FIXED_FILE), -EBADF);
	expect_eq(bp_read_fixed(f->fds[2], f->memory, 3, 0, 0, 0), -EFAULT);
	return 0;
}

static int open_simulated(void *arg)
{
	struct fixed *f = arg;

	f->fds[0] = bp_openat(AT_FDCWD, "/one", O_RDWR | O_CREAT, 0600);
	f->fds[2] = bp_openat(AT_FDCWD, "/two", O_RDWR | O_CREAT, 0600);
	expect_eq(bp_write(f->fds[2], "01234567", 8, 0), 8);
	return 0;
}

static int close_simulated(void *arg)
{
	struct fixed *f = arg;

	expect_eq(bp_close(f->fds[0]), 0);
	return bp_close(f->fds[2]);
}

static void fixed_init(struct fixed *f, struct test *t)
{
	*f = (struct fixed){.t = t, .fds = {-1, -1, -1}};
	f->memory =
		mmap(NULL, 2 * SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(f->memory != MAP_FAILED);
	if (t->row->backend == BP_BACKEND_SIM) {
		expect_eq(run_task(t, open_simulated, f), 0);
		return;
	}
	temp_dir(t);
	f->fds[0] = temp_file(t, "one", 0, O_RDWR);
	f->fds[2] = temp_file(t, "two", 8, O_RDWR);
}

static void register_all(struct fixed *f)
{
	struct iovec iov[2] = {{f->memory, SIZE}, {f->memory + SIZE, SIZE}};
	bool ring = f->t->row->backend == BP_BACKEND_URING;

	expect_eq(bp_register_buffers(f->t->engine, iov, 2), ring);
	expect_eq(bp_register_files(f->t->engine, f->fds, 3), ring);
	expect_eq(bp_register_buffers(f->t->engine, iov, 2), -EBUSY);
	expect_eq(bp_register_files(f->t->engine, f->fds, 3), -EBUSY);
}

static void fixed_free(struct fixed *f)
{
	if (f->t->row->backend == BP_BACKEND_SIM)
		expect_eq(run_task(f->t, close_simulated, f), 0);
	else if (f->fds[2] >= 0)
		close(f->fds[2]);
	munmap(f->memory, 2 * SIZE);
}

static void registered_buffers_and_files(struct test *t)
{
	struct fixed f;

	engine_with(t, .seed = t->seed);
	fixed_init(&f, t);
	expect_eq(run_task(t, nothing_there, &f), 0);
	register_all(&f);
	/* What is registered stays open. */
	if (t->row->backend != BP_BACKEND_SIM)
		close(f.fds[0]);
	expect_eq(run_task(t, transfers, &f), 0);
	expect_eq(run_task(t, refusals, &f), 0);
	bp_unregister_buffers(t->engine);
	bp_unregister_files(t->engine);
	bp_unregister_files(t->engine);
	expect_eq(run_task(t, nothing_there, &f), 0);
	/* And once more; the engine's end gives them back. */
	if (t->row->backend != BP_BACKEND_SIM)
		f.fds[0] = temp_file(t, "three", 0, O_RDWR);
	register_all(&f);
	op_missing = UINT64_MAX << IORING_OP_SPLICE;
	expect_eq(run_task(t, transfers, &f), 0);
	op_missing = UINT64_MAX;
	expect_eq(run_task(t, transfers, &f), 0);
	op_missing = 0;
	if (t->row->backend != BP_BACKEND_SIM)
		close(f.fds[0]);
	fixed_free(&f);
}

static void what_cannot_be_registered_is_refused(struct test *t)
{
	struct iovec hole = {(void *)(uintptr_t)4096, SIZE};
	int none = 1 << 19;

	engine_with(t, .seed = t->seed);
	expect_eq(bp_register_buffers(t->engine, NULL, 1), -EINVAL);
	expect_eq(bp_register_buffers(t->engine, &hole, 0), -EINVAL);
	expect_eq(bp_register_files(t->engine, NULL, 1), -EINVAL);
	expect_eq(bp_register_files(t->engine, &none, 1), -EBADF);
	if (t->row->backend == BP_BACKEND_URING)
		expect_eq(bp_register_buffers(t->engine, &hole, 1), -EFAULT);
}

static int registers(void *arg)
{
	struct test *t = arg;
	int fd = 0;

	return bp_register_files(t->engine, &fd, 1);
}

static int register_in_a_task(void *arg)
{
	struct test inner = {.engine = NULL};

	(void)arg;
	if (bp_engine_create(&inner.engine, &BP_ENGINE_OPTS(.backend = BP_BACKEND_THREADS)))
		return 1;
	return run_task(&inner, registers, &inner);
}

static void registering_in_a_task_ends_the_program(struct test *t)
{
	(void)t;
	expect_abort(register_in_a_task, NULL, "in a task or a callback");
}

static const struct test_case cases[] = {
	EACH_ROW(registered_buffers_and_files),
	EACH_REAL_ROW(what_cannot_be_registered_is_refused),
	ONCE(registering_in_a_task_ends_the_program),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
