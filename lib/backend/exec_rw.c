/* SPDX-License-Identifier: MIT */
/*
 * read, write and splice with ordinary calls; see exec.h.
 *
 * What a descriptor is decides how it may be waited for, and only the slow path asks. A read or
 * write is first tried with RWF_NOWAIT, which takes what the page cache or a pipe has. Where that
 * says EAGAIN or is not supported, files go to a helper thread, and everything else is waited for
 * in epoll. As in io_uring, a transfer with a file is completed before it is reported, while pipes,
 * terminals and sockets give what they have.
 */
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "backend/exec.h"
#include "compat.h"

/* Transfers that RWF_NOWAIT would still make wait for the disk. */
#define WAITING_FLAGS (O_DIRECT | O_DSYNC | O_SYNC)

/* The most that one call moves, as in read(2). */
#define MOVE_MAX 0x7ffff000u

/* A file read without waiting can only stop short at a boundary of this, or at the end. */
#define PAGE_MIN 4096u

static inline bool is_vector(const struct io_uring_sqe *sqe)
{
	return sqe->opcode == IORING_OP_READV || sqe->opcode == IORING_OP_WRITEV;
}

unsigned int exec_advance(struct iovec *rest, const struct iovec *iov, unsigned int count,
			  size_t done, size_t most)
{
	unsigned int n = 0;

	for (; count && most; iov++, count--) {
		if (done >= iov->iov_len) {
			done -= iov->iov_len;
			continue;
		}
		rest[n].iov_base = (char *)iov->iov_base + done;
		rest[n].iov_len = iov->iov_len - done;
		if (rest[n].iov_len > most)
			rest[n].iov_len = most;
		most -= rest[n].iov_len;
		done = 0;
		n++;
	}
	return n;
}

/** One preadv2() or pwritev2() of what is left, of @most bytes at most. */
static long move(const struct exec *x, bool write, int flags, size_t most)
{
	const struct io_uring_sqe *sqe = &x->sqe;
	struct iovec rest[IOV_MAX], *iov = rest;
	unsigned int count = 1;
	off_t off = (off_t)sqe->off;

	if (!is_vector(sqe)) {
		rest[0].iov_base = (char *)exec_addr(sqe->addr) + x->done;
		rest[0].iov_len = sqe->len - x->done < most ? sqe->len - x->done : most;
	} else {
		iov = exec_addr(sqe->addr);
		count = sqe->len;
		if ((x->done || most < MOVE_MAX) && count <= IOV_MAX) {
			count = exec_advance(rest, iov, count, x->done, most);
			iov = rest;
		}
	}
	if (off != -1)
		off += x->done;
	if (write)
		return exec_sys(pwritev2(sqe->fd, iov, (int)count, off, flags));
	return exec_sys(preadv2(sqe->fd, iov, (int)count, off, flags));
}

/** The same for a socket, on kernels where RWF_NOWAIT does not know sockets (before 6.4). */
static long move_socket(const struct exec *x, bool write)
{
	const struct io_uring_sqe *sqe = &x->sqe;
	struct iovec flat = {.iov_base = exec_addr(sqe->addr), .iov_len = sqe->len};
	struct msghdr msg = {.msg_iov = &flat, .msg_iovlen = 1};

	if (is_vector(sqe)) {
		msg.msg_iov = exec_addr(sqe->addr);
		msg.msg_iovlen = sqe->len;
	}
	if (write)
		return exec_sys(sendmsg(sqe->fd, &msg, MSG_DONTWAIT));
	return exec_sys(recvmsg(sqe->fd, &msg, MSG_DONTWAIT));
}

/** Bytes that the operation is to move. */
static size_t wanted(const struct exec *x)
{
	const struct iovec *iov = exec_addr(x->sqe.addr);
	size_t len = 0;
	unsigned int i;

	if (!is_vector(&x->sqe))
		len = x->sqe.len;
	else
		for (i = 0; i < x->sqe.len; i++)
			len += iov[i].iov_len;
	return len < MOVE_MAX ? len : MOVE_MAX;
}

/** Finds out whether the descriptor is a file, which is always ready. Return: 0 or -errno. */
static int look_at_type(struct exec *x)
{
	struct stat st;

	if (fstat(x->sqe.fd, &st))
		return -errno;
	x->regular = S_ISREG(st.st_mode) || S_ISBLK(st.st_mode) || S_ISDIR(st.st_mode);
	x->socket = S_ISSOCK(st.st_mode);
	return 0;
}

/** RWF_NOWAIT did not do: a helper thread, or a wait for readiness. */
static enum exec_verdict slow(struct exec *x, bool write, bool supported)
{
	unsigned int events = write ? POLLOUT : POLLIN;
	int err = look_at_type(x);
	long n;

	if (err)
		return exec_done(x, err);
	if (x->regular)
		return supported ? EXEC_LONG : EXEC_BRIEF;
	if (x->done)
		return exec_done(x, x->done);
	if (!supported && x->socket) {
		n = move_socket(x, write);
		return n == -EAGAIN ? exec_wait(x, x->sqe.fd, events) : exec_done(x, n);
	}
	/* Ready as far as can be told, and still there is no call that cannot wait. */
	if (!supported && (x->ready || x->unpollable))
		return EXEC_LONG;
	return exec_wait(x, x->sqe.fd, events);
}

/** Whether a transfer that stopped short is to go on: with files alone. */
static bool goes_on(struct exec *x, bool write)
{
	if (x->done >= wanted(x))
		return false;
	if (x->sqe.off == UINT64_MAX)
		return !look_at_type(x) && x->regular;
	return write || (x->sqe.off + x->done) % PAGE_MIN == 0;
}

/** Whether the file's flags let RWF_NOWAIT keep its promise. */
static int look_at_flags(struct exec *x)
{
	int flags = fcntl(x->sqe.fd, F_GETFL);

	if (flags < 0)
		return -errno;
	x->plain = !(flags & WAITING_FLAGS);
	return 0;
}

/**
 * ESPIPE: as in io_uring, what never has a position takes any offset: pipes, sockets, terminals. A
 * file that cannot seek has one, which several reads at a time would share: there the offset is
 * refused.
 */
static bool has_no_position(struct exec *x)
{
	return x->sqe.off != UINT64_MAX && !look_at_type(x) && !x->regular;
}

static enum exec_verdict rw_try(struct exec *x, bool write)
{
	struct io_uring_sqe *sqe = &x->sqe;
	bool nowait = (int)sqe->rw_flags & RWF_NOWAIT;
	int err;
	long n;

	if (!nowait) {
		err = x->plain ? 0 : look_at_flags(x);
		if (err)
			return exec_done(x, err);
		if (!x->plain || (write && (sqe->rw_flags & (RWF_DSYNC | RWF_SYNC))))
			return EXEC_LONG;
	}
	for (;;) {
		n = move(x, write, (int)sqe->rw_flags | RWF_NOWAIT, MOVE_MAX);
		if (n == -ESPIPE && has_no_position(x)) {
			sqe->off = UINT64_MAX;
			continue;
		}
		if (n == -EAGAIN || n == -EOPNOTSUPP)
			return nowait ? exec_done(x, exec_ended(x, (int)n)) :
					slow(x, write, n == -EAGAIN);
		if (n < 0)
			return exec_done(x, exec_ended(x, (int)n));
		x->done += (unsigned int)n;
		if (n == 0 || nowait || !goes_on(x, write))
			return exec_done(x, x->done);
	}
}

static enum exec_verdict rw_block(struct exec *x, bool write)
{
	unsigned int events = write ? POLLOUT : POLLIN;
	size_t most = MOVE_MAX;
	long n = x->regular ? 0 : look_at_type(x);

	if (n < 0)
		return exec_done(x, n);
	if (!x->regular && !x->unpollable) {
		n = exec_poll(x->sqe.fd, events);
		if (n < 0)
			return exec_done(x, n);
		if (n == 0)
			return exec_wait(x, x->sqe.fd, events);
		/* A pipe that says it can be written to has room for this much at least. */
		if (write)
			most = PIPE_BUF;
	}
	n = move(x, write, (int)x->sqe.rw_flags, most);
	if (n == -ESPIPE && has_no_position(x)) {
		x->sqe.off = UINT64_MAX;
		n = move(x, write, (int)x->sqe.rw_flags, most);
	}
	if (n == -EAGAIN && !x->regular && !x->unpollable)
		return exec_wait(x, x->sqe.fd, events);
	if (n < 0)
		return exec_done(x, exec_ended(x, (int)n));
	x->done += (unsigned int)n;
	return exec_done(x, x->done);
}

/* ---------------------------------------------------------------- splice and tee */

static long splice_once(const struct io_uring_sqe *sqe, unsigned int flags)
{
	off_t in = (off_t)sqe->splice_off_in, out = (off_t)sqe->off;

	if (sqe->opcode == IORING_OP_TEE)
		return exec_sys(tee(sqe->splice_fd_in, sqe->fd, sqe->len, flags));
	return exec_sys(splice(sqe->splice_fd_in, in == -1 ? NULL : &in, sqe->fd,
			       out == -1 ? NULL : &out, sqe->len, flags));
}

/*
 * Between pipes and sockets it is tried without waiting, and the side that is not ready is waited
 * for. A file at one end may make it wait for the disk all the same, hence the helper thread.
 */
enum exec_verdict exec_splice_block(struct exec *x)
{
	const struct io_uring_sqe *sqe = &x->sqe;
	long n;

	if (sqe->splice_flags & SPLICE_F_FD_IN_FIXED)
		return exec_done(x, -EOPNOTSUPP);
	n = splice_once(sqe, sqe->splice_flags | SPLICE_F_NONBLOCK);
	if (n != -EAGAIN || (sqe->splice_flags & SPLICE_F_NONBLOCK))
		return exec_done(x, n);
	if (exec_poll(sqe->splice_fd_in, POLLIN) == 0)
		return exec_wait(x, sqe->splice_fd_in, POLLIN);
	if (exec_poll(sqe->fd, POLLOUT) == 0)
		return exec_wait(x, sqe->fd, POLLOUT);
	return exec_done(x, splice_once(sqe, sqe->splice_flags));
}

enum exec_verdict exec_read_try(struct exec *x)
{
	return rw_try(x, false);
}

enum exec_verdict exec_write_try(struct exec *x)
{
	return rw_try(x, true);
}

enum exec_verdict exec_read_block(struct exec *x)
{
	return rw_block(x, false);
}

enum exec_verdict exec_write_block(struct exec *x)
{
	return rw_block(x, true);
}
