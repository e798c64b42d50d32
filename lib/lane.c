/* SPDX-License-Identifier: MIT */
/*
 * Which lane serves which operation; see lane.h.
 *
 * Measured with `bench lanes` (tools/bench) on Linux 6.18, ext4, 2 cores, 64 in flight, 8,000 files
 * of 8 KiB, ns per operation (cached; "cold" after dropping the caches, in an earlier run on a busy
 * machine, with read buffers 16 bytes behind a page boundary):
 *
 *			inline	ring	io-wq	2 threads	cold inline	cold ring
 *	openat		 2,953	 2,130	 3,370	 4,074		13,280		10,650
 *	read 8 KiB	 2,354	 2,113	 3,646	 3,562	       139,100		21,820
 *	statx, path	 1,918	 2,349	 2,091	 2,995		12,370		 9,655
 *	statx, fd	   871	 1,749	 1,546	 2,035		 1,038		 1,711
 *	close		 1,089	   666	 1,761	 2,155		 1,559		 1,161
 *
 * The ring shares one system call among many operations, so it is ahead of the plain call wherever
 * the kernel carries the operation out at once, and far ahead where it has to wait for the disk.
 * The exception is statx, which the kernel always gives to a worker: by descriptor it costs less
 * than half as a plain call and never waits. By path it may wait for the disk and would hold up the
 * loop.
 *
 * A read by the ring ends before its task runs again, with what the others read in between. Who
 * uses the bytes at once gains from a plain preadv2() with RWF_NOWAIT: `batchproc hash -r` of
 * 50,000 such files takes 0.54 s of CPU so, and 0.59 s with reads by the ring and statx and fcntl
 * for each (in turn, 9 runs).
 *
 * unlinkat, files of 8 KiB just written, on a fresh ext4 in a file, medians of 5; CPU time in
 * brackets:
 *
 *			inline		 ring		 io-wq		 2 threads
 *	unlink		17,500 (16,300)	 23,090 (30,560) 23,740 (33,170) 30,010 (37,000)
 *
 * The kernel gives each one to a worker, which nearly doubles its CPU time. The plain call may wait
 * for the disk; all the same `batchproc rm` of 50,000 such files just after a mount took 0.94 s
 * with it and 1.09 s with the ring (medians of 3). What it holds its loop up for is one file's
 * truncation: a tenth of a second for each GiB of it that is in the page cache.
 */
#include "backend/exec.h"
#include "lane.h"

/* Inline calls in one turn of the loop before the caller steps back. */
#define INLINE_MAX 64

/* clang-format off */
enum lane lane_table[LANE_OPS] = {
	[LANE_OPEN] = LANE_RING,
	[LANE_READ] = LANE_RING,
	[LANE_STATX_PATH] = LANE_RING,
	[LANE_STATX_FD] = LANE_INLINE,
	[LANE_CLOSE] = LANE_RING,
	[LANE_UNLINK] = LANE_INLINE,
};
/* clang-format on */

/** On the loop's own thread. Return: whether the operation is over, with its result in x->res. */
static bool inline_call(struct bp_task *task, struct exec *x, bool always)
{
	struct bp_loop *loop = task->op.loop_;
	enum exec_verdict verdict;
	int saved;

	/* After many calls in one turn the loop's other tasks and completions have theirs. */
	if (++loop->inline_calls < INLINE_MAX)
		x->res = task_reason(task);
	else
		x->res = bp_yield();
	if (x->res && !always)
		return true;
	saved = *loop_errno(loop);
	verdict = exec_try(x);
	/*
	 * What the threads backend would give to a helper is in the table because it need not be.
	 */
	if (verdict == EXEC_BRIEF)
		verdict = exec_block(x);
	*loop_errno(loop) = saved;
	return verdict == EXEC_DONE;
}

static int block(void *arg)
{
	struct exec *x = arg;

	return exec_block(x) != EXEC_DONE;
}

/** On a helper thread. Return: as inline_call(). */
static bool pool_call(struct bp_task *task, struct exec *x)
{
	int res = task_offload(task, block, x);

	if (res < 0)
		x->res = res;
	return res <= 0;
}

bool lane_call(struct bp_task *task, enum lane_op op, int *res)
{
	enum lane lane = lane_table[op];
	bool always = op == LANE_CLOSE, over;
	struct exec x;

	if (likely(lane == LANE_RING) || !task->op.loop_->backend->kernel_files)
		return false;
	PROBE3(submit, task->op.group_, &task->op, task->sqe.opcode);
	x.sqe = task->sqe;
	exec_init(&x);
	over = lane == LANE_INLINE || always ? inline_call(task, &x, always) : pool_call(task, &x);
	*res = x.res;
	if (over)
		PROBE5(complete, task->op.group_, &task->op, x.sqe.opcode, x.res, 0u);
	return over;
}
