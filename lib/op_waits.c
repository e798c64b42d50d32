/* SPDX-License-Identifier: MIT */
/*
 * Further operations of tasks that wait: for children, for words of memory, for other epoll instances.
 */
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "backend/exec.h"
#include "compat.h"
#include "op.h"

int bp_epoll_wait(int epfd, struct epoll_event *events, int maxevents)
{
	struct bp_task *task = task_need(__func__);

	io_uring_prep_rw(BP_IORING_OP_EPOLL_WAIT, &task->sqe, epfd, events, (unsigned int)maxevents,
			 0);
	return op_call_new(task, POLLIN);
}

/* ---------------------------------------------------------------- children */

#define CHILD_PAUSE_MIN_NS 100000ull
#define CHILD_PAUSE_MAX_NS 10000000ull

struct child {
	idtype_t idtype;
	id_t id;
	int options;
	siginfo_t *info;
	int fd; /* of ours, or -1 */
	uint64_t pause;
};

/** Looks for it without waiting. Return: 1: found; 0: not yet; or -errno. */
static int look_for_child(const struct bp_task *task, struct child *c)
{
	int *errno_at = loop_errno(task->op.loop_), saved = *errno_at;
	siginfo_t info;
	int err;

	memset(&info, 0, sizeof(info));
	do {
		err = (int)exec_sys(waitid(c->idtype, c->id, &info, c->options | WNOHANG));
	} while (err == -EINTR);
	*errno_at = saved;
	if (err)
		return err;
	if (!info.si_pid && !(c->options & WNOHANG))
		return 0;
	if (c->info)
		*c->info = info;
	return 1;
}

/** Something that becomes readable at its exit, or -1. */
static int child_fd(const struct bp_task *task, struct child *c)
{
	int *errno_at = loop_errno(task->op.loop_), saved = *errno_at;

	if (c->options & (WSTOPPED | WCONTINUED))
		return -1;
#ifdef P_PIDFD
	if (c->idtype == P_PIDFD)
		return (int)c->id;
#endif
	if (c->idtype == P_PID && c->fd < 0) {
		c->fd = (int)syscall(SYS_pidfd_open, c->id, 0);
		*errno_at = saved;
	}
	return c->fd;
}

static int wait_for_child(struct bp_task *task, struct child *c)
{
	bool told = false;
	int res, fd;

	for (;;) {
		res = task_reason(task);
		if (!res)
			res = look_for_child(task, c);
		if (res)
			return res < 0 ? res : 0;
		fd = told ? -1 : child_fd(task, c);
		if (fd >= 0) {
			res = op_wait_ready(task, fd, POLLIN);
			/* Once: what is readable and not to be had yet stays readable. */
			told = true;
		} else {
			res = bp_sleep(c->pause);
			if (c->pause < CHILD_PAUSE_MAX_NS)
				c->pause *= 2;
		}
		if (res)
			return res;
	}
}

int bp_waitid(idtype_t idtype, id_t id, siginfo_t *info, int options)
{
	struct bp_task *task = task_need(__func__);
	struct child c = {idtype, id, options, info, -1, CHILD_PAUSE_MIN_NS};
	int res;

	io_uring_prep_rw(BP_IORING_OP_WAITID, &task->sqe, (int)id, NULL, (unsigned int)idtype,
			 (uint64_t)(uintptr_t)info);
	task->sqe.file_index = (uint32_t)options;
	if (!task->op.loop_->backend->kernel_files || op_known(task, BP_IORING_OP_WAITID))
		return op_call(task, 0);
	res = wait_for_child(task, &c);
	if (c.fd >= 0) {
		int *errno_at = loop_errno(task->op.loop_), saved = *errno_at;

		close(c.fd);
		*errno_at = saved;
	}
	return res;
}

/* ---------------------------------------------------------------- futexes */

/* include/uapi/linux/futex.h, Linux 5.16 and 6.7 */
#define FUTEX_WAKE_ 1
#define FUTEX2_U32 0x02u
#define FUTEX2_PRIVATE_ 128u
#define MASK_ANY 0xffffffffu

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

struct waited_word {
	uint64_t val;
	uint64_t uaddr;
	uint32_t flags;
	uint32_t reserved;
};

struct futex_wait {
	struct waited_word words[2]; /* the caller's, and: */
	_Atomic uint32_t stop;
	int res;
};

static unsigned int futex_flags(unsigned int flags)
{
	return FUTEX2_U32 | (flags & BP_FUTEX_SHARED ? 0 : FUTEX2_PRIVATE_);
}

static int futex_helper(void *arg)
{
	struct futex_wait *w = arg;
	long n;

	do {
		n = exec_sys(syscall(SYS_futex_waitv, w->words, 2, 0, NULL, 0));
	} while (n == -EINTR && !atomic_load(&w->stop));
	if (n == -ENOSYS || n == -EPERM)
		w->res = -EOPNOTSUPP;
	else if (atomic_load(&w->stop) && n != 0)
		w->res = -ECANCELED;
	else
		w->res = n > 0 ? 0 : (int)n;
	return w->res == -ECANCELED ? w->res : 0;
}

/** On the loop's thread, while the helper waits. */
static void futex_stop(void *arg)
{
	struct futex_wait *w = arg;
	int saved = errno;

	atomic_store(&w->stop, 1);
	syscall(SYS_futex, &w->stop, FUTEX_WAKE_ | FUTEX2_PRIVATE_, 1, NULL, NULL, 0);
	errno = saved;
}

static int futex_by_helper(struct bp_task *task, const uint32_t *word, uint32_t expected,
			   unsigned int flags)
{
	struct futex_wait w = {
		.words = {{expected, (uintptr_t)word, futex_flags(flags), 0},
			  {0, (uintptr_t)&w.stop, futex_flags(0), 0}},
	};
	int err;

	task->job.stop = futex_stop;
	err = task_offload(task, futex_helper, &w);
	task->job.stop = NULL;
	/* Without a helper thread it would hold its loop up. */
	return err == -EAGAIN ? -EOPNOTSUPP : err ? err : w.res;
}

int bp_futex_wait(const uint32_t *word, uint32_t expected, unsigned int flags)
{
	struct bp_task *task = task_need(__func__);
	int res;

	if (flags & ~BP_FUTEX_SHARED)
		return -EINVAL;
	io_uring_prep_rw(BP_IORING_OP_FUTEX_WAIT, &task->sqe, (int)futex_flags(flags), word, 0,
			 expected);
	task->sqe.addr3 = MASK_ANY;
	if (task->op.loop_->backend->kernel_files && !op_known(task, BP_IORING_OP_FUTEX_WAIT))
		return futex_by_helper(task, word, expected, flags);
	do {
		res = task_await(task, false);
	} while (res == -EINTR);
	return res;
}

int bp_futex_wake(const uint32_t *word, unsigned int count, unsigned int flags)
{
	struct bp_task *task = task_need(__func__);
	int *errno_at = loop_errno(task->op.loop_), saved = *errno_at, res = task_reason(task);

	if (flags & ~BP_FUTEX_SHARED)
		return -EINVAL;
	if (!task->op.loop_->backend->kernel_files)
		return -EOPNOTSUPP;
	if (res)
		return res;
	/* It never waits, so it needs no ring. */
	if (count > INT32_MAX)
		count = INT32_MAX;
	res = (int)exec_sys(syscall(SYS_futex, word,
				    FUTEX_WAKE_ | (flags & BP_FUTEX_SHARED ? 0 : FUTEX2_PRIVATE_),
				    count, NULL, NULL, 0));
	*errno_at = saved;
	return res;
}
