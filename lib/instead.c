/* SPDX-License-Identifier: MIT */
/*
 * What a ring could not carry out because no worker of the kernel can be made (RLIMIT_NPROC, a pids
 * cgroup) is over with -ECANCELED. Of a task's operation op.c sees to that; an operation item is
 * carried out here, by the loop or a helper thread, and its owner does not notice.
 *
 *	IN_FLIGHT --> RUNNABLE --+--------------------------> done()
 *	               -ECANCELED '--> POOLED --> RUNNABLE -----^
 *
 * Only what is about files: that is what rings have workers for. What waits for a peer is polled, and
 * where it is cancelled, that was somebody.
 */
#include <stdlib.h>

#include "backend/backend.h"
#include "backend/exec.h"
#include "compat.h"
#include "instead.h"
#include "pool.h"

struct instead {
	struct bp_op *op;
	struct exec x;
	struct pool_job job;
};

static bool is_of_files(unsigned int opcode)
{
	switch (opcode) {
	case IORING_OP_READ:
	case IORING_OP_READV:
	case IORING_OP_WRITE:
	case IORING_OP_WRITEV:
	case IORING_OP_FSYNC:
	case IORING_OP_SYNC_FILE_RANGE:
	case IORING_OP_FALLOCATE:
	case IORING_OP_FADVISE:
	case IORING_OP_MADVISE:
	case IORING_OP_OPENAT:
	case IORING_OP_OPENAT2:
	case IORING_OP_CLOSE:
	case IORING_OP_STATX:
	case IORING_OP_UNLINKAT:
	case IORING_OP_RENAMEAT:
	case IORING_OP_MKDIRAT:
	case IORING_OP_SYMLINKAT:
	case IORING_OP_LINKAT:
		return true;
	default:
		return false;
	}
}

static int block(void *arg)
{
	struct instead *in = arg;

	return exec_block(&in->x);
}

/** As done() is told: of what is not ready after all as of any such operation. */
static int result_of(const struct instead *in, enum exec_verdict verdict)
{
	return verdict == EXEC_DONE ? in->x.res : -EAGAIN;
}

static void over(struct bp_loop *loop, struct bp_message *message)
{
	struct pool_job *job = container_of(message, struct pool_job, message);
	struct instead *in = container_of(job, struct instead, job);
	int res = result_of(in, (enum exec_verdict)job->result);
	struct bp_op *op = in->op;

	free(in);
	loop->pooled--;
	op_set_state(op, OP_RUNNABLE);
	loop->hooks->deliver(loop, op, res, 0);
}

/** Return: whether a helper thread has it. */
static bool put(struct bp_loop *loop, struct instead *in, enum exec_verdict verdict)
{
	in->job.fn = block;
	in->job.arg = in;
	in->job.class = verdict == EXEC_BRIEF ? POOL_BRIEF : POOL_LONG;
	in->job.loop = loop;
	in->job.message.handle = over;
	loop->pooled++;
	if (pool_put(loop->engine->pool, &in->job)) {
		loop->pooled--;
		return false;
	}
	op_set_state(in->op, OP_POOLED);
	return true;
}

bool instead_call(struct bp_loop *loop, struct bp_op *op, int *res)
{
	int *errno_at = loop_errno(loop), saved = *errno_at;
	enum exec_verdict verdict;
	struct instead *in;

	if (!loop->backend->kernel_files || !is_of_files(op->opcode_))
		return true;
	in = calloc(1, sizeof(*in));
	if (!in) {
		*res = -ENOMEM;
		return true;
	}
	in->op = op;
	op_fill(op, &in->x.sqe);
	in->x.sqe.flags &= (uint8_t) ~(IOSQE_IO_LINK | IOSQE_IO_HARDLINK | IOSQE_CQE_SKIP_SUCCESS |
				       IOSQE_ASYNC);
	/* What only the ring knows. */
	if (in->x.sqe.flags & IOSQE_FIXED_FILE) {
		*res = -EAGAIN;
		goto out;
	}
	exec_init(&in->x);
	verdict = exec_try(&in->x);
	*errno_at = saved;
	if (verdict == EXEC_BRIEF || verdict == EXEC_LONG) {
		if (put(loop, in, verdict))
			return false;
		/* Nor can a helper be made: better slow than not at all. */
		verdict = exec_block(&in->x);
		*errno_at = saved;
	}
	/* A peer is waited for: it was not for want of a thread. */
	if (verdict == EXEC_DONE)
		*res = in->x.res;
out:
	free(in);
	return true;
}
