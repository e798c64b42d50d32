/* SPDX-License-Identifier: MIT */
/*
 * What the files of operations share: how a task's filled SQE is awaited, and what is done where the
 * kernel does not know the opcode.
 */
#ifndef BP_OP_H
#define BP_OP_H

#include "task.h"

/** Bytes of one call, as read(2) and its relatives have it: at most so many. */
static inline unsigned int op_len(size_t len)
{
	return len < 0x7ffff000u ? (unsigned int)len : 0x7ffff000u;
}

/** Awaits the task's SQE, retried on -EINTR and -EAGAIN; @events: what to poll its descriptor for. */
int op_call(struct bp_task *task, unsigned int events);

/** As op_call(), but for an -EAGAIN that the caller asked for with @nowait. */
int op_call_unless(struct bp_task *task, unsigned int events, bool nowait);

/** As op_call(), for an opcode that not every kernel has: without it by ordinary calls. */
int op_call_new(struct bp_task *task, unsigned int events);

/** Whether the backend of the task's loop carries @opcode out. */
bool op_known(const struct bp_task *task, unsigned int opcode);

/** Waits until @fd is ready for @events. Return: 0 or what the task was ended by. */
int op_wait_ready(struct bp_task *task, int fd, unsigned int events);

/**
 * Carries the task's SQE out by ordinary calls: of the loop's own thread where they do not wait, else of
 * a helper thread; readiness is waited for through the backend. Where descriptors are not the kernel's:
 * -EOPNOTSUPP.
 */
int op_by_calls(struct bp_task *task);

/** A system call that no operation stands for, on a helper thread. Return: what it returned, or -errno. */
long op_by_helper(struct bp_task *task, long number, const long args[6]);

/** Calls @fn in the thread of each loop in turn, and waits for it. From outside. */
void op_on_each_loop(struct bp_engine *engine, void (*fn)(struct bp_loop *loop, void *arg),
		     void *arg);

/** Ends the program where @call is in a task or a callback of the engine, or in a foreign thread. */
void op_need_outside(const struct bp_engine *engine, const char *call);

/** Frees what is registered, after the loops are gone. */
void op_fixed_exit(struct bp_engine *engine);

/*
 * Opcodes that count as unknown, a bit for each. Not constant, so that a test can see what becomes of
 * operations on an older kernel.
 */
extern uint64_t op_missing;

#endif /* BP_OP_H */
