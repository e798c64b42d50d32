/* SPDX-License-Identifier: MIT */
/*
 * SQEs carried out with ordinary calls: what the threads backend is made of.
 *
 * exec.c has the table of operations and those that are one call, exec_rw.c what moves bytes
 * through descriptors, exec_net.c sockets, poll and timeouts. None of them keeps state of its own:
 * all of an operation is in its struct exec, touched by one thread at a time.
 *
 *	exec_try() --+--> EXEC_DONE	x->res is the result
 *	   ^         +--> EXEC_BRIEF --> exec_block() on a helper thread, --> DONE or WAIT
 *	   |         +--> EXEC_LONG  -->   which may take its time
 *	   |         +--> EXEC_WAIT	until x->wait_fd is ready for x->wait_events
 *	   |         +--> EXEC_SLEEP	until the clock shows x->wake_ns
 *	   |                   |
 *	   +-------------------+ again, with x->ready set
 *
 * exec_try() runs on the loop's thread and never waits for anybody; what the page cache has it
 * takes at once. exec_block() may wait for a disk. It does not wait for a peer: it asks whether a
 * pipe or socket is ready, and gives EXEC_WAIT where it is not.
 */
#ifndef BP_EXEC_H
#define BP_EXEC_H

#include "base.h"
#include "bufs.h"
#include "compat.h"

enum exec_verdict {
	EXEC_DONE,
	EXEC_WAIT,
	EXEC_SLEEP,
	EXEC_BRIEF, /* for a helper thread: a call that is expected to compute */
	EXEC_LONG, /* for a helper thread: a call that is expected to wait */
};

struct exec {
	struct io_uring_sqe sqe;
	int res;
	int wait_fd;
	unsigned int wait_events; /* of poll(2), which are those of epoll */
	unsigned int done; /* bytes moved so far */
	uint64_t wake_ns; /* CLOCK_MONOTONIC */
	bool ready; /* what it waited for has come */
	bool unpollable; /* epoll refuses the descriptor: it is always ready */
	bool started; /* a connect() that goes on by itself */
	bool plain; /* read, write: an ordinary call need not wait for the disk; openat: likewise */
	bool regular; /* the descriptor is a file or a block device: always ready */
	bool socket;
	bool two_cqes; /* the result, and then the news that the buffer is free */
	unsigned int second; /* result of the second CQE */
	struct bufs *bufs; /* where it takes its buffer from; NULL: there are none */
	unsigned int cqe_flags; /* which one it was */
};

/** Prepares an operation whose SQE has been filled in. */
static inline void exec_init(struct exec *x)
{
	x->res = 0;
	x->done = 0;
	x->ready = x->unpollable = x->started = x->plain = x->two_cqes = false;
	x->regular = x->socket = false;
	x->bufs = NULL;
	x->cqe_flags = 0;
}

enum exec_verdict exec_try(struct exec *x);
enum exec_verdict exec_block(struct exec *x);

/** Whether ordinary calls can carry @opcode out. */
bool exec_knows(unsigned int opcode);

/** Whether it is a close() of sqe.fd, and nothing that is refused. */
bool exec_closes(const struct exec *x);

/** Whether a helper thread can carry the operation out where readiness cannot be waited for. */
bool exec_can_block(const struct exec *x);

/**
 * The result of an operation that is ended with @err before its time: what it has moved, if any.
 */
static inline int exec_ended(const struct exec *x, int err)
{
	return x->done ? (int)x->done : err;
}

/* ---------------------------------------------------------------- between the exec_*.c files */

struct exec_op {
	/* One call that needs no second attempt: how, and EXEC_DONE (at once) or which helper. */
	int (*call)(const struct io_uring_sqe *sqe);
	enum exec_verdict where;
	/* Or what takes several: NULL means that one goes straight to the other. */
	enum exec_verdict (*try)(struct exec *x);
	enum exec_verdict (*block)(struct exec *x);
	unsigned short ioprio; /* flags in sqe->ioprio that are understood */
	bool any_ioprio; /* it is a priority, which ordinary calls take from the thread */
	bool select; /* it may take its buffer from a ring: IOSQE_BUFFER_SELECT */
	bool no_file_index; /* sqe->file_index would ask for a direct descriptor */
	/* What is there is looked at here, or libc wants it: NULL must not come so far. */
	bool addr, addr2;
};

static inline enum exec_verdict exec_done(struct exec *x, long res)
{
	x->res = (int)res;
	return EXEC_DONE;
}

static inline enum exec_verdict exec_wait(struct exec *x, int fd, unsigned int events)
{
	x->wait_fd = fd;
	x->wait_events = events;
	x->ready = false;
	return EXEC_WAIT;
}

/** What a system call returned, with -errno for an error. */
static inline long exec_sys(long ret)
{
	return ret < 0 ? -errno : ret;
}

static inline void *exec_addr(uint64_t addr)
{
	return (void *)(uintptr_t)addr;
}

/** Whether @fd is ready for @events now: the revents, 0, or -errno. */
int exec_poll(int fd, unsigned int events);

/**
 * What a vector has after @done bytes, @most of it, in @rest of @count entries. Return: entries.
 */
unsigned int exec_advance(struct iovec *rest, const struct iovec *iov, unsigned int count,
			  size_t done, size_t most);

enum exec_verdict exec_read_try(struct exec *x);
enum exec_verdict exec_write_try(struct exec *x);
enum exec_verdict exec_read_block(struct exec *x);
enum exec_verdict exec_write_block(struct exec *x);
enum exec_verdict exec_splice_block(struct exec *x);

enum exec_verdict exec_recv_try(struct exec *x);
enum exec_verdict exec_send_try(struct exec *x);
enum exec_verdict exec_accept_try(struct exec *x);
enum exec_verdict exec_connect_try(struct exec *x);
enum exec_verdict exec_poll_try(struct exec *x);
enum exec_verdict exec_epoll_wait_try(struct exec *x);
enum exec_verdict exec_timeout_try(struct exec *x);

#endif /* BP_EXEC_H */
