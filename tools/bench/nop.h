/* SPDX-License-Identifier: MIT */
/*
 * nop.h - NOPs in five ways, for row_nop.c, which measures time, and for nops.c, which is run under
 * callgrind
 */
#ifndef NOP_H
#define NOP_H

#include "bench.h"

enum nop_shape {
	OP_EACH, /* an operation item for each NOP */
	OP_AGAIN, /* few items, re-armed with BP_OP_AGAIN */
	TASK_EACH, /* a task for each NOP */
	TASK_LOOP, /* few tasks, each with a loop of NOPs */
};

struct nops {
	enum nop_shape shape; /* not of the bare loop */
	unsigned long count;
	unsigned int depth; /* in flight */
};

/* Both take a struct nops and measure one NOP. Return: 0 or -errno. */
int nop_bare(void *arg, struct measure *out);
int nop_ours(void *arg, struct measure *out);

#endif /* NOP_H */
