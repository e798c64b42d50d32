/* SPDX-License-Identifier: MIT */
/*
 * The table between a loop and what carries its operations out.
 *
 * A backend knows loops and operations, and nothing of groups or tasks. All functions but wake() are
 * called by the loop's own thread. The loop keeps at most loop->depth operations submitted, so a
 * backend sizes its queues once, in init().
 *
 * Every operation that submit() took gives one completion without BP_COMPLETION_MORE, and every
 * cancel() that was taken gives one completion with BP_COMPLETION_CANCEL. Their order is free. The
 * memory of an operation is the backend's until both have come.
 */
#ifndef BP_BACKEND_H
#define BP_BACKEND_H

#include "base.h"

struct bp_engine;
struct pool_job;

/* flags of a completion; the low bits are those of the CQE */
#define BP_COMPLETION_MORE IORING_CQE_F_MORE
#define BP_COMPLETION_CANCEL (1u << 31) /* the answer to a cancel, not to the operation */

struct bp_completion {
	struct bp_op *op;
	int res;
	unsigned int flags;
};

struct bp_backend_ops {
	const char *name;
	bool kernel_files; /* descriptors are real, so calls may be made beside the backend */

	/** Makes loop->backend_data. Return: 0 or -errno with nothing left behind. */
	int (*init)(struct bp_loop *loop);
	void (*exit)(struct bp_loop *loop);

	/** Takes an operation whose prep() fills the SQE. Return: 0, or -EAGAIN: after a reap. */
	int (*submit)(struct bp_loop *loop, struct bp_op *op);

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
 * Has an operation fill its SQE. A prep() that fills nothing is refused: what the SQE held before is an
 * earlier operation, and the buffer of that may be gone.
 */
static inline void op_fill(struct bp_op *op, struct io_uring_sqe *sqe)
{
	sqe->opcode = OPCODE_NONE;
	op->prep(op, sqe);
}

#endif /* BP_BACKEND_H */
