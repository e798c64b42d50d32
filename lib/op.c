/* SPDX-License-Identifier: MIT */
/*
 * The operations of tasks by name: each fills the task's SQE and waits for its CQE.
 *
 * -EINTR is retried. -EAGAIN is retried too: after a wait for readiness where the operation has a
 * descriptor to wait for, after a growing pause where it has none or the wait does not help. What
 * the caller marked as not to wait (MSG_DONTWAIT, RWF_NOWAIT) keeps its -EAGAIN.
 *
 * -ECANCELED of an operation that nobody has cancelled means that the kernel had no thread to carry
 * it out with (RLIMIT_NPROC, a pids cgroup): it is carried out by an ordinary call then.
 */
#include <poll.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "backend/exec.h"
#include "compat.h"
#include "lane.h"
#include "op.h"

#define PAUSE_MIN_NS 100000ull
#define PAUSE_MAX_NS 100000000ull

/* Attempts without a readiness to wait for before -EAGAIN is taken at its word. */
#define AGAIN_MAX 10

uint64_t op_missing;

bool op_known(const struct bp_task *task, unsigned int opcode)
{
	const struct bp_loop *loop = task->op.loop_;

	if (unlikely(opcode < 64 && op_missing >> opcode & 1) && loop->backend->kernel_files)
		return false;
	return !loop->backend->knows || loop->backend->knows(loop, opcode);
}

/** Whether @fd is a regular file: always ready, whatever its file system says to a poll. */
static bool is_file(const struct bp_task *task, int fd)
{
	const struct bp_loop *loop = task->op.loop_;
	int saved = *loop_errno(loop);
	struct stat st;
	bool file = loop->backend->kernel_files && !fstat(fd, &st) && S_ISREG(st.st_mode);

	*loop_errno(loop) = saved;
	return file;
}

/** How long the next attempt waits where nothing tells when it is worth making. */
static uint64_t pause_after(unsigned int attempt)
{
	uint64_t pause = PAUSE_MIN_NS << (attempt < 10 ? attempt : 10);

	return pause < PAUSE_MAX_NS ? pause : PAUSE_MAX_NS;
}

/** As op_wait_ready(); @flags: IOSQE_FIXED_FILE where @fd is the number of a registered file. */
static int wait_ready(struct bp_task *task, int fd, unsigned int events, unsigned int flags)
{
	int res;

	io_uring_prep_poll_add(&task->sqe, fd, events);
	task->sqe.flags |= flags & IOSQE_FIXED_FILE;
	res = task_await(task, false);
	if (res == -ECANCELED || res == -ETIMEDOUT)
		return res;
	return 0;
}

int op_wait_ready(struct bp_task *task, int fd, unsigned int events)
{
	return wait_ready(task, fd, events, 0);
}

/** Whether the operation uses what the ring keeps, which no ordinary call could. */
static bool is_fixed(const struct io_uring_sqe *sqe)
{
	return (sqe->flags & IOSQE_FIXED_FILE) || sqe->opcode == IORING_OP_READ_FIXED ||
	       sqe->opcode == IORING_OP_WRITE_FIXED || sqe->opcode == BP_IORING_OP_READV_FIXED ||
	       sqe->opcode == BP_IORING_OP_WRITEV_FIXED;
}

/* ---------------------------------------------------------------- by ordinary calls */

static int block(void *arg)
{
	struct exec *x = arg;

	return exec_block(x);
}

/** One step: by this thread, or by a helper. Return: 0, or what the task was ended by. */
static int step(struct bp_task *task, struct exec *x, enum exec_verdict *verdict)
{
	int *errno_at = loop_errno(task->op.loop_), saved = *errno_at, err;

	*verdict = exec_try(x);
	*errno_at = saved;
	if (*verdict != EXEC_BRIEF && *verdict != EXEC_LONG)
		return 0;
	err = task_offload(task, block, x);
	if (err == -EAGAIN) {
		/* No helper can be made: better slow than not at all. */
		err = exec_block(x);
		*errno_at = saved;
	}
	if (err < 0)
		return err;
	*verdict = (enum exec_verdict)err;
	return 0;
}

/** Waits for what the step said. Return: 0, or what the task was ended by. */
static int wait_for(struct bp_task *task, struct exec *x, enum exec_verdict verdict,
		    unsigned int attempt)
{
	uint64_t now = bp_now(task->op.loop_->engine);
	int err;

	if (verdict == EXEC_SLEEP)
		return bp_sleep(x->wake_ns > now ? x->wake_ns - now : 0);
	err = op_wait_ready(task, x->wait_fd, x->wait_events);
	/* Ready, and yet not to be had again and again: not a busy loop. */
	if (!err && attempt > 2)
		err = bp_sleep(pause_after(attempt));
	return err;
}

int op_by_calls(struct bp_task *task)
{
	struct exec x = {.sqe = task->sqe};
	enum exec_verdict verdict;
	unsigned int attempt = 0;
	int err = task_reason(task);

	if (!task->op.loop_->backend->kernel_files)
		return -EOPNOTSUPP;
	PROBE3(submit, task->op.group_, &task->op, x.sqe.opcode);
	exec_init(&x);
	while (!err) {
		err = step(task, &x, &verdict);
		if (err || verdict == EXEC_DONE)
			break;
		err = wait_for(task, &x, verdict, attempt++);
		x.ready = true;
	}
	task->sqe = x.sqe;
	err = err ? exec_ended(&x, err) : x.res;
	PROBE5(complete, task->op.group_, &task->op, x.sqe.opcode, err, 0u);
	return err;
}

struct helped {
	long number;
	const long *args;
	long res;
};

static int system_call(void *arg)
{
	struct helped *h = arg;
	const long *a = h->args;

	h->res = exec_sys(syscall(h->number, a[0], a[1], a[2], a[3], a[4], a[5]));
	return 0;
}

long op_by_helper(struct bp_task *task, long number, const long args[6])
{
	struct helped h = {.number = number, .args = args};
	int *errno_at = loop_errno(task->op.loop_), saved = *errno_at, err;

	if (!task->op.loop_->backend->kernel_files)
		return -EOPNOTSUPP;
	do {
		err = task_offload(task, system_call, &h);
		if (err == -EAGAIN) {
			err = system_call(&h);
			*errno_at = saved;
		}
	} while (!err && h.res == -EINTR);
	return err ? err : h.res;
}

/* ---------------------------------------------------------------- attempts */

/** Slow path of op_call(): the operation said -EAGAIN for the @attempt-th time. */
static int again(struct bp_task *task, unsigned int events, unsigned int attempt)
{
	struct io_uring_sqe saved = task->sqe;
	int err;

	if (events && ((saved.flags & IOSQE_FIXED_FILE) || !is_file(task, saved.fd))) {
		err = wait_ready(task, saved.fd, events, saved.flags);
		/* Ready, and yet EAGAIN again and again: not a busy loop. */
		if (!err && attempt > 2)
			err = bp_sleep(pause_after(attempt));
	} else {
		if (attempt >= AGAIN_MAX)
			return -EAGAIN;
		err = bp_sleep(pause_after(attempt));
	}
	task->sqe = saved;
	return err;
}

/**
 * Slow path of op_call(): the kernel ended the operation without a try, or does not know it. Return:
 * its result by other means, or @res.
 */
static int otherwise(struct bp_task *task, int res)
{
	if (!task->op.loop_->backend->kernel_files)
		return res;
	if (res == -ECANCELED ? !task_reason(task) : !op_known(task, task->sqe.opcode))
		return is_fixed(&task->sqe) ? -EAGAIN : op_by_calls(task);
	return res;
}

int op_call(struct bp_task *task, unsigned int events)
{
	unsigned int attempt = 0;
	int res, err;

	for (;;) {
		res = task_await(task, false);
		if (likely(res >= 0))
			return res;
		if (unlikely(res == -ECANCELED || res == -EINVAL))
			res = otherwise(task, res);
		if (res == -EINTR)
			continue;
		if (res != -EAGAIN)
			return res;
		err = again(task, events, attempt++);
		if (err)
			return err;
	}
}

int op_call_new(struct bp_task *task, unsigned int events)
{
	if (unlikely(!op_known(task, task->sqe.opcode)))
		return op_by_calls(task);
	return op_call(task, events);
}

/** As op_call(), for what has a lane to choose. */
static int lane_or_call(struct bp_task *task, enum lane_op op, unsigned int events)
{
	int res;

	return lane_call(task, op, &res) ? res : op_call(task, events);
}

int op_call_unless(struct bp_task *task, unsigned int events, bool nowait)
{
	int res;

	if (likely(!nowait))
		return op_call(task, events);
	do {
		res = task_await(task, false);
	} while (res == -EINTR);
	return res;
}

int bp_openat(int dirfd, const char *path, int flags, mode_t mode)
{
	struct bp_task *task = task_need(__func__);

	io_uring_prep_openat(&task->sqe, dirfd, path, flags, mode);
	return lane_or_call(task, LANE_OPEN, 0);
}

int bp_openat2(int dirfd, const char *path, const struct open_how *how)
{
	struct bp_task *task = task_need(__func__);

	if (!how)
		return -EFAULT;
	io_uring_prep_openat2(&task->sqe, dirfd, path, (struct open_how *)how);
	return op_call_unless(task, 0, how->resolve & RESOLVE_CACHED);
}

ssize_t bp_read(int fd, void *buf, size_t len, off_t offset)
{
	struct bp_task *task = task_need(__func__);

	io_uring_prep_read(&task->sqe, fd, buf, op_len(len), (uint64_t)offset);
	return lane_or_call(task, LANE_READ, POLLIN);
}

ssize_t bp_write(int fd, const void *buf, size_t len, off_t offset)
{
	struct bp_task *task = task_need(__func__);

	io_uring_prep_write(&task->sqe, fd, buf, op_len(len), (uint64_t)offset);
	return op_call(task, POLLOUT);
}

ssize_t bp_readv(int fd, const struct iovec *iov, int iovcnt, off_t offset)
{
	struct bp_task *task = task_need(__func__);

	io_uring_prep_readv(&task->sqe, fd, iov, (unsigned int)iovcnt, (uint64_t)offset);
	return op_call(task, POLLIN);
}

ssize_t bp_writev(int fd, const struct iovec *iov, int iovcnt, off_t offset)
{
	struct bp_task *task = task_need(__func__);

	io_uring_prep_writev(&task->sqe, fd, iov, (unsigned int)iovcnt, (uint64_t)offset);
	return op_call(task, POLLOUT);
}

int bp_close(int fd)
{
	struct bp_task *task = task_need(__func__);
	int res;

	io_uring_prep_close(&task->sqe, fd);
	/* Never twice: after EINTR the descriptor is gone, and may be somebody else's already. */
	return lane_call(task, LANE_CLOSE, &res) ? res : task_await(task, true);
}

int bp_statx(int dirfd, const char *path, int flags, unsigned int mask, struct statx *stx)
{
	static const int by_fd = AT_EMPTY_PATH | AT_STATX_DONT_SYNC;
	struct bp_task *task = task_need(__func__);
	bool fd = (flags & by_fd) == by_fd && dirfd >= 0 && path && !*path;

	io_uring_prep_statx(&task->sqe, dirfd, path, flags, mask, stx);
	return lane_or_call(task, fd ? LANE_STATX_FD : LANE_STATX_PATH, 0);
}

int bp_fsync(int fd, unsigned int flags)
{
	struct bp_task *task = task_need(__func__);

	io_uring_prep_fsync(&task->sqe, fd, flags);
	return op_call(task, 0);
}

int bp_fallocate(int fd, int mode, off_t offset, off_t len)
{
	struct bp_task *task = task_need(__func__);

	io_uring_prep_fallocate(&task->sqe, fd, mode, offset, len);
	return op_call(task, 0);
}

int bp_unlinkat(int dirfd, const char *path, int flags)
{
	struct bp_task *task = task_need(__func__);

	io_uring_prep_unlinkat(&task->sqe, dirfd, path, flags);
	return lane_or_call(task, LANE_UNLINK, 0);
}

int bp_renameat(int olddirfd, const char *oldpath, int newdirfd, const char *newpath,
		unsigned int flags)
{
	struct bp_task *task = task_need(__func__);

	io_uring_prep_renameat(&task->sqe, olddirfd, oldpath, newdirfd, newpath, flags);
	return op_call(task, 0);
}

int bp_linkat(int olddirfd, const char *oldpath, int newdirfd, const char *newpath, int flags)
{
	struct bp_task *task = task_need(__func__);

	io_uring_prep_linkat(&task->sqe, olddirfd, oldpath, newdirfd, newpath, flags);
	return op_call(task, 0);
}

int bp_symlinkat(const char *target, int newdirfd, const char *linkpath)
{
	struct bp_task *task = task_need(__func__);

	io_uring_prep_symlinkat(&task->sqe, target, newdirfd, linkpath);
	return op_call(task, 0);
}

int bp_mkdirat(int dirfd, const char *path, mode_t mode)
{
	struct bp_task *task = task_need(__func__);

	io_uring_prep_mkdirat(&task->sqe, dirfd, path, mode);
	return op_call(task, 0);
}

ssize_t bp_splice(int fd_in, off_t off_in, int fd_out, off_t off_out, size_t len,
		  unsigned int flags)
{
	struct bp_task *task = task_need(__func__);

	io_uring_prep_splice(&task->sqe, fd_in, off_in, fd_out, off_out, op_len(len), flags);
	return op_call_unless(task, 0, flags & SPLICE_F_NONBLOCK);
}

int bp_socket(int domain, int type, int protocol)
{
	struct bp_task *task = task_need(__func__);

	io_uring_prep_socket(&task->sqe, domain, type, protocol, 0);
	return op_call(task, 0);
}

int bp_connect(int fd, const struct sockaddr *addr, socklen_t addrlen)
{
	struct bp_task *task = task_need(__func__);

	io_uring_prep_connect(&task->sqe, fd, addr, addrlen);
	return op_call(task, 0);
}

int bp_accept(int fd, struct sockaddr *addr, socklen_t *addrlen, int flags)
{
	struct bp_task *task = task_need(__func__);

	io_uring_prep_accept(&task->sqe, fd, addr, addrlen, flags);
	return op_call(task, POLLIN);
}

ssize_t bp_send(int fd, const void *buf, size_t len, int flags)
{
	struct bp_task *task = task_need(__func__);

	io_uring_prep_send(&task->sqe, fd, buf, op_len(len), flags);
	return op_call_unless(task, POLLOUT, flags & MSG_DONTWAIT);
}

ssize_t bp_recv(int fd, void *buf, size_t len, int flags)
{
	struct bp_task *task = task_need(__func__);

	io_uring_prep_recv(&task->sqe, fd, buf, op_len(len), flags);
	return op_call_unless(task, POLLIN, flags & MSG_DONTWAIT);
}

ssize_t bp_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	struct bp_task *task = task_need(__func__);

	io_uring_prep_sendmsg(&task->sqe, fd, msg, (unsigned int)flags);
	return op_call_unless(task, POLLOUT, flags & MSG_DONTWAIT);
}

ssize_t bp_recvmsg(int fd, struct msghdr *msg, int flags)
{
	struct bp_task *task = task_need(__func__);

	io_uring_prep_recvmsg(&task->sqe, fd, msg, (unsigned int)flags);
	return op_call_unless(task, POLLIN, flags & MSG_DONTWAIT);
}

int bp_shutdown(int fd, int how)
{
	struct bp_task *task = task_need(__func__);

	io_uring_prep_shutdown(&task->sqe, fd, how);
	return op_call(task, 0);
}

int bp_poll(int fd, unsigned int events)
{
	struct bp_task *task = task_need(__func__);

	io_uring_prep_poll_add(&task->sqe, fd, events);
	return op_call(task, 0);
}
