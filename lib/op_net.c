/* SPDX-License-Identifier: MIT */
/*
 * Further operations of tasks on sockets and pipes.
 */
#include <poll.h>

#include "compat.h"
#include "op.h"

int bp_pipe(int fds[2], int flags)
{
	struct bp_task *task = task_need(__func__);

	io_uring_prep_rw(BP_IORING_OP_PIPE, &task->sqe, 0, fds, 0, 0);
	task->sqe.rw_flags = flags;
	return op_call_new(task, 0);
}

int bp_bind(int fd, const struct sockaddr *addr, socklen_t addrlen)
{
	struct bp_task *task = task_need(__func__);

	io_uring_prep_rw(BP_IORING_OP_BIND, &task->sqe, fd, addr, 0, addrlen);
	return op_call_new(task, 0);
}

int bp_listen(int fd, int backlog)
{
	struct bp_task *task = task_need(__func__);

	io_uring_prep_rw(BP_IORING_OP_LISTEN, &task->sqe, fd, NULL, (unsigned int)backlog, 0);
	return op_call_new(task, 0);
}

/*
 * The kernel knows the commands from 6.7 on, and of options to be read those of SOL_SOCKET alone; what is no
 * socket takes them for commands of its own. So a refusal is the plain call's to make, which never waits.
 */
static int sock_call(struct bp_task *task)
{
	const struct io_uring_sqe saved = task->sqe;
	int res = op_call(task, 0);

	if (likely(res >= 0) || res == -ECANCELED || res == -ETIMEDOUT)
		return res;
	if (!task->op.loop_->backend->kernel_files)
		return res;
	task->sqe = saved;
	return op_by_calls(task);
}

int bp_getsockopt(int fd, int level, int optname, void *optval, socklen_t *optlen)
{
	struct bp_task *task = task_need(__func__);
	int res;

	if (!optlen)
		return -EFAULT;
	prep_sock_cmd(&task->sqe, BP_SOCKET_URING_OP_GETSOCKOPT, fd,
		      (struct sock_cmd){level, optname, *optlen}, optval);
	res = sock_call(task);
	if (res < 0)
		return res;
	*optlen = (socklen_t)res;
	return 0;
}

int bp_setsockopt(int fd, int level, int optname, const void *optval, socklen_t optlen)
{
	struct bp_task *task = task_need(__func__);

	prep_sock_cmd(&task->sqe, BP_SOCKET_URING_OP_SETSOCKOPT, fd,
		      (struct sock_cmd){level, optname, optlen}, (void *)(uintptr_t)optval);
	return sock_call(task);
}

ssize_t bp_send_zc(int fd, const void *buf, size_t len, int flags, bool *copied)
{
	struct bp_task *task = task_need(__func__);
	int res;

	io_uring_prep_send_zc(&task->sqe, fd, buf, op_len(len), flags,
			      copied ? IORING_SEND_ZC_REPORT_USAGE : 0);
	task->op.cqe_flags = IORING_NOTIF_USAGE_ZC_COPIED;
	if (op_known(task, IORING_OP_SEND_ZC)) {
		res = op_call_unless(task, POLLOUT, flags & MSG_DONTWAIT);
		if (copied)
			*copied = task->op.cqe_flags & IORING_NOTIF_USAGE_ZC_COPIED;
		/* EINVAL: it cannot report yet (before 6.2). EOPNOTSUPP: not on such a socket. */
		if (res != -EOPNOTSUPP && (res != -EINVAL || !copied))
			return res;
	}
	if (copied)
		*copied = true;
	return bp_send(fd, buf, len, flags);
}
