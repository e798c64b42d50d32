/* SPDX-License-Identifier: MIT */
/*
 * The table between a loop and what carries its operations out. All that engines and loops know of
 * a backend stands here; engine.c alone names the tables, where it chooses one.
 *
 * A backend knows loops and operations, and nothing of groups or tasks. What it has to keep is in
 * engine->backend_data for all loops, and in loop->backend_data for each. The functions that take a
 * loop are called by the loop's own thread, but for wake(). The loop keeps at most loop->depth
 * operations submitted, so a backend sizes its queues once, in init().
 *
 * Every operation that submit() took gives one completion without BP_COMPLETION_MORE, and every
 * cancel() that was taken gives one completion with BP_COMPLETION_CANCEL. Their order is free. The
 * memory of an operation is the backend's until both have come.
 */
#ifndef BP_BACKEND_H
#define BP_BACKEND_H

#include "base.h"

struct bp_engine;
struct bufs;
struct pool_job;

/* flags of a completion; the low bits are those of the CQE */
#define BP_COMPLETION_MORE IORING_CQE_F_MORE
#define BP_COMPLETION_CANCEL (1u << 31) /* the answer to a cancel, not to the operation */

struct bp_completion {
	struct bp_op *op;
	int res;
	unsigned int flags;
};

/* What can be known in advance. */
enum enroll {
	ENROLL_BUFFERS, /* of struct iovec */
	ENROLL_FILES, /* of int */
	ENROLL_KINDS,
};

struct bp_backend_ops {
	const char *name;
	bool kernel_files; /* descriptors are real, so calls may be made beside the backend */

	/**
	 * Makes engine->backend_data before any loop is made; NULL: there is none. Return: 0 or
	 * -errno.
	 */
	int (*create)(struct bp_engine *engine);
	/** Frees it after the last loop is gone. */
	void (*destroy)(struct bp_engine *engine);

	/*
	 * How loops = N run on the thread that made the engine, where the backend plays the
	 * scheduler; all NULL: each loop has a thread of its own.
	 */

	/** Makes all loops. Return: 0 or -errno, and none is there. */
	int (*start)(struct bp_engine *engine);
	void (*stop)(struct bp_engine *engine);
	/** Lets one loop go on, until @until at most. Return: false when none ever can. */
	bool (*drive)(struct bp_engine *engine, uint64_t until);
	/** The lock is taken or left: another loop may go on here. */
	void (*preempt)(struct bp_engine *engine);

	/**
	 * Makes loop->backend_data. Return: 0, or -errno with nothing left behind, and with what
	 * was refused in engine->reason.
	 */
	int (*init)(struct bp_loop *loop);
	/** Says what init() has found out about the kernel; NULL: nothing. Any thread. */
	void (*describe)(const struct bp_loop *loop, struct bp_engine_info *info);
	void (*exit)(struct bp_loop *loop);

	/** Whether it carries an opcode out; NULL: what it does not, it refuses itself. */
	bool (*knows)(const struct bp_loop *loop, unsigned int opcode);

	/**
	 * Lets the kernel keep @count buffers or descriptors under their numbers in @table; with a
	 * count of 0 it forgets them. NULL: it cannot. Return: 0 or -errno.
	 */
	int (*enroll)(struct bp_loop *loop, enum enroll what, const void *table,
		      unsigned int count);

	/**
	 * Lets the kernel fill buffers for receives that ask for them, or no more; NULL: where it
	 * cannot. Return: 0 or -errno.
	 */
	int (*buf_ring)(struct bp_loop *loop, struct bufs *bufs, bool add);

	/**
	 * Takes an operation whose prep() fills the SQE. Return: its opcode, or -EAGAIN: after a
	 * reap.
	 */
	int (*submit)(struct bp_loop *loop, struct bp_op *op);

	/**
	 * Hands over the last @n that were submitted before reap() does, so that a device has work
	 * meanwhile; NULL: a submitted operation is on its way already. Return: whether that was of no use,
	 * because most of them were over at once.
	 */
	bool (*hand_over)(struct bp_loop *loop, unsigned int n);

	/** Asks for the end of a submitted operation. Return: 0, or -EAGAIN: after a reap. */
	int (*cancel)(struct bp_loop *loop, struct bp_op *op);

	/**
	 * Hands over what was submitted and copies up to @max completions to @out. Waits until
	 * @until (ns on the engine's clock; 0: not at all, BP_NEVER: for ever) for the first one,
	 * or for wake(). Return: how many.
	 */
	unsigned int (*reap)(struct bp_loop *loop, struct bp_completion *out, unsigned int max,
			     uint64_t until);

	/** Ends the reap() that waits, or the next one that would. Any thread. */
	void (*wake)(struct bp_loop *loop);

	/**
	 * For a loop inside another event loop: a descriptor that is readable, from now on, where reap() would
	 * find a completion or was woken. Return: that, or -errno. NULL: there can be none.
	 */
	int (*fd)(struct bp_loop *loop);
	/** Whether reap() has something to hand over or to copy out that fd() does not tell of. */
	bool (*pending)(const struct bp_loop *loop);

	/** Nanoseconds on the backend's clock. Any thread. */
	uint64_t (*now)(const struct bp_engine *engine);

	/** Where bp_offload() goes; NULL: to the engine's helper threads. As pool_put(). */
	int (*offload)(struct bp_loop *loop, struct pool_job *job);
	/** As pool_take_back(). */
	bool (*take_back)(struct bp_loop *loop, struct pool_job *job);
};

extern const struct bp_backend_ops bp_uring_backend;
extern const struct bp_backend_ops bp_threads_backend;
extern const struct bp_backend_ops bp_sim_backend;

/** No operation of any kernel. */
#define OPCODE_NONE 0xff

/**
 * Has an operation fill its SQE. A prep() that fills nothing is refused: what the SQE held before
 * is an earlier operation, and the buffer of that may be gone. Return: the opcode.
 */
static inline int op_fill(struct bp_op *op, struct io_uring_sqe *sqe)
{
	unsigned char opcode;

	sqe->opcode = OPCODE_NONE;
	op->prep(op, sqe);
	opcode = sqe->opcode;
	__atomic_store_n(&op->opcode_, opcode, __ATOMIC_RELAXED);
	return opcode;
}

#endif /* BP_BACKEND_H */
