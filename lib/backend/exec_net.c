/* SPDX-License-Identifier: MIT */
/*
 * Sockets, poll and timeouts with ordinary calls; see exec.h. All of it waits for readiness, none
 * of it ever needs a helper thread.
 *
 * No call may wait in the loop's thread, whatever the mode of the descriptor. Transfers have
 * MSG_DONTWAIT for that. connect() has nothing alike: O_NONBLOCK is set for the instant of the call
 * and then taken back. Nor has accept(), where another process could take it back between our two
 * calls: O_NONBLOCK is set on a listening socket and stays.
 */
#include <limits.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "backend/exec.h"

/* How long until a connect() to a local socket whose queue is full is tried again. */
#define CONNECT_PAUSE_NS 2000000ull

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

int exec_poll(int fd, unsigned int events)
{
	struct pollfd pfd = {.fd = fd, .events = (short)events};
	int n = poll(&pfd, 1, 0);

	if (n < 0)
		return -errno;
	if (pfd.revents & POLLNVAL)
		return -EBADF;
	return (unsigned short)pfd.revents;
}

/* ---------------------------------------------------------------- recv and send */

/* A message's vector on its way, for what takes several calls. */
struct partial {
	struct msghdr msg;
	struct iovec iov[IOV_MAX];
};

/** The message of the operation, or what is left of it. NULL: it has too many parts. */
static struct msghdr *message_of(const struct exec *x, struct partial *partial)
{
	struct msghdr *msg = exec_addr(x->sqe.addr);

	if (!x->done)
		return msg;
	if (msg->msg_iovlen > IOV_MAX)
		return NULL;
	partial->msg = (struct msghdr){.msg_iov = partial->iov};
	partial->msg.msg_iovlen = exec_advance(partial->iov, msg->msg_iov,
					       (unsigned int)msg->msg_iovlen, x->done, SIZE_MAX);
	return &partial->msg;
}

static long recv_once(const struct exec *x, int flags)
{
	const struct io_uring_sqe *sqe = &x->sqe;
	struct partial partial;
	struct msghdr *msg;

	if (sqe->opcode == IORING_OP_RECV)
		return exec_sys(recv(sqe->fd, (char *)exec_addr(sqe->addr) + x->done,
				     sqe->len - x->done, flags));
	msg = message_of(x, &partial);
	return msg ? exec_sys(recvmsg(sqe->fd, msg, flags)) : -EMSGSIZE;
}

static long send_once(const struct exec *x, int flags)
{
	const struct io_uring_sqe *sqe = &x->sqe;
	struct partial partial;
	struct msghdr *msg;

	/* As io_uring does: EPIPE, and no signal. */
	flags |= MSG_NOSIGNAL;
	if (sqe->opcode == IORING_OP_SEND || sqe->opcode == IORING_OP_SEND_ZC)
		return exec_sys(sendto(sqe->fd, (char *)exec_addr(sqe->addr) + x->done,
				       sqe->len - x->done, flags, exec_addr(sqe->addr2),
				       sqe->addr_len));
	msg = message_of(x, &partial);
	return msg ? exec_sys(sendmsg(sqe->fd, msg, flags)) : -EMSGSIZE;
}

static size_t wanted(const struct io_uring_sqe *sqe)
{
	const struct msghdr *msg;
	size_t len = 0, i;

	if (sqe->opcode == IORING_OP_RECV || sqe->opcode == IORING_OP_SEND ||
	    sqe->opcode == IORING_OP_SEND_ZC)
		return sqe->len;
	msg = exec_addr(sqe->addr);
	for (i = 0; i < (size_t)msg->msg_iovlen; i++)
		len += msg->msg_iov[i].iov_len;
	return len;
}

/** Whether MSG_WAITALL asks for more than has been moved: with streams alone. */
static bool goes_on(const struct exec *x)
{
	const struct io_uring_sqe *sqe = &x->sqe;
	socklen_t len = sizeof(int);
	int type;

	if (!(sqe->msg_flags & MSG_WAITALL) || (sqe->msg_flags & MSG_PEEK))
		return false;
	if (x->done >= wanted(sqe) || x->done > INT_MAX)
		return false;
	if (getsockopt(sqe->fd, SOL_SOCKET, SO_TYPE, &type, &len))
		return false;
	return type == SOCK_STREAM || type == SOCK_SEQPACKET;
}

/** Tries one half of a transfer until it is over or would have to wait. */
static enum exec_verdict transfer(struct exec *x, long (*once)(const struct exec *, int),
				  unsigned int events)
{
	const struct io_uring_sqe *sqe = &x->sqe;
	long n;

	if ((sqe->ioprio & IORING_RECVSEND_POLL_FIRST) && !x->ready && !x->started) {
		x->started = true;
		return exec_wait(x, sqe->fd, events);
	}
	for (;;) {
		n = once(x, (int)sqe->msg_flags | MSG_DONTWAIT);
		if (n == -EAGAIN && !(sqe->msg_flags & MSG_DONTWAIT))
			return exec_wait(x, sqe->fd, events);
		if (n < 0)
			return exec_done(x, exec_ended(x, (int)n));
		x->done += (unsigned int)n;
		if (n == 0 || !goes_on(x))
			return exec_done(x, x->done);
	}
}

/** Into a buffer of a ring, which is taken when there is something to put into it. */
static enum exec_verdict recv_selected(struct exec *x)
{
	uint16_t number = x->bufs ? bufs_pop(x->bufs) : BUFS_NONE;
	enum exec_verdict verdict;

	if (number == BUFS_NONE)
		return exec_done(x, -ENOBUFS);
	x->sqe.addr = (uintptr_t)bufs_at(x->bufs, number);
	if (!x->sqe.len || x->sqe.len > x->bufs->size)
		x->sqe.len = (uint32_t)x->bufs->size;
	verdict = transfer(x, recv_once, POLLIN);
	if (verdict == EXEC_DONE && x->res > 0)
		x->cqe_flags = IORING_CQE_F_BUFFER | (unsigned int)number
							     << IORING_CQE_BUFFER_SHIFT;
	else
		bufs_push(x->bufs, number);
	return verdict;
}

enum exec_verdict exec_recv_try(struct exec *x)
{
	unsigned int flags = x->sqe.msg_flags;

	if (x->sqe.flags & IOSQE_BUFFER_SELECT)
		return recv_selected(x);
	if (x->sqe.opcode == IORING_OP_RECV && (x->sqe.ioprio & IORING_RECV_MULTISHOT))
		return exec_done(x, -EINVAL);
	if (flags & MSG_ERRQUEUE)
		return transfer(x, recv_once, POLLERR);
	return transfer(x, recv_once, flags & MSG_OOB ? POLLPRI : POLLIN);
}

/** The news that the buffer of a zero-copy send is free: it was copied, and is free at once. */
static enum exec_verdict notify(struct exec *x, enum exec_verdict verdict)
{
	if (verdict != EXEC_DONE || x->res < 0)
		return verdict;
	x->two_cqes = true;
	x->second = x->sqe.ioprio & IORING_SEND_ZC_REPORT_USAGE ? IORING_NOTIF_USAGE_ZC_COPIED : 0;
	return verdict;
}

enum exec_verdict exec_send_try(struct exec *x)
{
	enum exec_verdict verdict = transfer(x, send_once, POLLOUT);

	if (x->sqe.opcode == IORING_OP_SEND_ZC || x->sqe.opcode == IORING_OP_SENDMSG_ZC)
		return notify(x, verdict);
	return verdict;
}

/* ---------------------------------------------------------------- accept and connect */

/** Sets O_NONBLOCK. Return: 1 if it was clear before, 0 or -errno. */
static int set_nonblock(int fd)
{
	int flags = fcntl(fd, F_GETFL), on = 1;

	if (flags < 0)
		return -errno;
	if (flags & O_NONBLOCK)
		return 0;
	return ioctl(fd, FIONBIO, &on) ? -errno : 1;
}

enum exec_verdict exec_accept_try(struct exec *x)
{
	const struct io_uring_sqe *sqe = &x->sqe;
	long n = set_nonblock(sqe->fd);

	if (n < 0)
		return exec_done(x, n);
	n = exec_sys(accept4(sqe->fd, exec_addr(sqe->addr), exec_addr(sqe->addr2),
			     (int)sqe->accept_flags));
	if (n == -EAGAIN)
		return exec_wait(x, sqe->fd, POLLIN);
	return exec_done(x, n);
}

static int connect_once(const struct io_uring_sqe *sqe)
{
	int was_blocking = set_nonblock(sqe->fd), off = 0, err;

	if (was_blocking < 0)
		return was_blocking;
	err = (int)exec_sys(connect(sqe->fd, exec_addr(sqe->addr), (socklen_t)sqe->addr2));
	if (was_blocking)
		ioctl(sqe->fd, FIONBIO, &off);
	return err;
}

enum exec_verdict exec_connect_try(struct exec *x)
{
	const struct io_uring_sqe *sqe = &x->sqe;
	const struct sockaddr *addr = exec_addr(sqe->addr);
	int err, ready;

	if (x->started) {
		ready = exec_poll(sqe->fd, POLLOUT);
		if (ready == 0)
			return exec_wait(x, sqe->fd, POLLOUT);
		if (ready < 0)
			return exec_done(x, ready);
		/*
		 * The second call ends the first, as SO_ERROR would not: until then the socket is
		 * on its way.
		 */
		err = connect_once(sqe);
		if (err == -EALREADY || err == -EINPROGRESS)
			return exec_wait(x, sqe->fd, POLLOUT);
		return exec_done(x, err == -EISCONN ? 0 : err);
	}
	err = connect_once(sqe);
	if (err == -EINPROGRESS) {
		x->started = true;
		return exec_wait(x, sqe->fd, POLLOUT);
	}
	if (err == -EAGAIN && addr->sa_family == AF_UNIX) {
		/* The listener's queue is full, and nothing tells when it has room. */
		x->wake_ns = clock_ns(CLOCK_MONOTONIC) + CONNECT_PAUSE_NS;
		return EXEC_SLEEP;
	}
	return exec_done(x, err);
}

/* ---------------------------------------------------------------- poll, epoll, timeouts */

static unsigned int poll_events(const struct io_uring_sqe *sqe)
{
	unsigned int events = sqe->poll32_events;

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	events = events << 16 | events >> 16; /* its halves are stored in little-endian order */
#endif
	/* As in io_uring, the other end's farewell is told of whether it was asked for or not. */
	return POLLRDHUP | (events & (POLLIN | POLLPRI | POLLOUT | POLLRDNORM | POLLRDBAND |
				      POLLWRNORM | POLLWRBAND | POLLMSG | POLLRDHUP));
}

enum exec_verdict exec_poll_try(struct exec *x)
{
	const struct io_uring_sqe *sqe = &x->sqe;
	int n;

	if (sqe->len)
		return exec_done(x, -EOPNOTSUPP);
	n = exec_poll(sqe->fd, poll_events(sqe));
	if (n == 0)
		return exec_wait(x, sqe->fd, poll_events(sqe));
	return exec_done(x, n);
}

enum exec_verdict exec_epoll_wait_try(struct exec *x)
{
	const struct io_uring_sqe *sqe = &x->sqe;
	long n = exec_sys(epoll_wait(sqe->fd, exec_addr(sqe->addr), (int)sqe->len, 0));

	return n == 0 ? exec_wait(x, sqe->fd, POLLIN) : exec_done(x, n);
}

enum exec_verdict exec_timeout_try(struct exec *x)
{
	const struct io_uring_sqe *sqe = &x->sqe;
	const struct __kernel_timespec *ts = exec_addr(sqe->addr);
	unsigned int flags = sqe->timeout_flags;
	clockid_t clock = CLOCK_MONOTONIC;
	uint64_t ns, now;

	if (x->ready)
		return exec_done(x, -ETIME);
	/* A number of other operations to wait for would be counted in the ring. */
	if (sqe->off || (flags & ~(IORING_TIMEOUT_ABS | IORING_TIMEOUT_CLOCK_MASK |
				   IORING_TIMEOUT_ETIME_SUCCESS)))
		return exec_done(x, -EOPNOTSUPP);
	if ((flags & IORING_TIMEOUT_CLOCK_MASK) == IORING_TIMEOUT_CLOCK_MASK || sqe->len != 1 ||
	    ts->tv_sec < 0 || ts->tv_nsec < 0)
		return exec_done(x, -EINVAL);
	if (flags & IORING_TIMEOUT_BOOTTIME)
		clock = CLOCK_BOOTTIME;
	else if (flags & IORING_TIMEOUT_REALTIME)
		clock = CLOCK_REALTIME;
	if ((uint64_t)ts->tv_sec >= BP_NEVER / NSEC_PER_SEC / 2)
		ns = BP_NEVER / 2;
	else
		ns = (uint64_t)ts->tv_sec * NSEC_PER_SEC + (uint64_t)ts->tv_nsec;
	if (flags & IORING_TIMEOUT_ABS) {
		now = clock_ns(clock);
		ns = ns > now ? ns - now : 0;
	}
	x->wake_ns = clock_ns(CLOCK_MONOTONIC) + ns;
	return EXEC_SLEEP;
}
