/* SPDX-License-Identifier: MIT */
/*
 * The states of operations by name, and in debug builds the ways between them; the picture is in
 * loop.h. No state of its own but whether steps are printed.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loop.h"

const char *const op_state_names[] = {
	[OP_IDLE] = "idle",	  [OP_READY] = "ready",		 [OP_RUNNABLE] = "runnable",
	[OP_RUNNING] = "running", [OP_BACKLOG] = "backlog",	 [OP_IN_FLIGHT] = "in flight",
	[OP_SLEEPING] = "asleep", [OP_POOLED] = "with a helper", [OP_WAITING] = "waiting",
	[OP_ENDED] = "ended",
};

#ifdef BP_DEBUG

#define TO(state) (1u << OP_##state)

/* The picture in loop.h. */
static const unsigned int op_ways[] = {
	[OP_IDLE] = TO(READY),
	[OP_READY] = TO(RUNNING) | TO(BACKLOG) | TO(IN_FLIGHT) | TO(ENDED) | TO(IDLE),
	[OP_RUNNABLE] = TO(RUNNING) | TO(BACKLOG) | TO(IN_FLIGHT) | TO(POOLED) | TO(ENDED),
	[OP_RUNNING] = TO(RUNNABLE) | TO(BACKLOG) | TO(IN_FLIGHT) | TO(SLEEPING) | TO(POOLED) |
		       TO(WAITING) | TO(ENDED),
	[OP_BACKLOG] = TO(IN_FLIGHT) | TO(RUNNABLE),
	[OP_IN_FLIGHT] = TO(RUNNABLE),
	[OP_SLEEPING] = TO(RUNNABLE),
	[OP_POOLED] = TO(RUNNABLE),
	[OP_WAITING] = TO(RUNNABLE),
	[OP_ENDED] = TO(READY),
};

static bool tracing;

static void read_environment(void)
{
	const char *trace = getenv("BATCHPROC_TRACE");

	tracing = trace && !strcmp(trace, "1");
}

void op_check_state(const struct bp_op *op, enum op_state to)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	const char *kind = op->kind_ == OP_KIND_TASK ? "task" : "operation";

	if (op->state_ > OP_ENDED || !(op_ways[op->state_] & (1u << to)))
		bp_fatal("%s %p goes from state %u to %s", kind, (const void *)op, op->state_,
			 op_state_names[to]);
	pthread_once(&once, read_environment);
	if (tracing)
		fprintf(stderr, "batchproc: %s %p: %s -> %s\n", kind, (const void *)op,
			op_state_names[op->state_], op_state_names[to]);
}

#endif /* BP_DEBUG */
