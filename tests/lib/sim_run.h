/* SPDX-License-Identifier: MIT */
/*
 * sim_run - what is known about a program that runs on the simulated backend
 *
 * The program is watched from outside the library: what its calls returned, when its functions
 * began and ended, what was reported, each with its place in the order of events. From that alone
 * sim_check.c says whether a promise was broken; it never asks the library what it thinks has
 * happened.
 */
#ifndef BATCHPROC_TESTS_SIM_RUN_H
#define BATCHPROC_TESTS_SIM_RUN_H

#include "group.h"
#include "sim/sim.h"
#include "lib/sim_prog.h"

#define RUN_GROUPS 64
#define RUN_CANCELS 24
#define RUN_POSTS 64
#define NEVER_SEQ UINT64_MAX
#define UNTOUCHED 0xee
/* Where STEP_CONNECT connects to. */
#define RUN_ADDRESS "the address"

struct run;
struct ginst;

/* An item, from the bp_go() that offers it on. */
struct item {
	uint64_t magic;
	struct run *run;
	struct ginst *g;
	unsigned int id, script, flags;
	long weight; /* places that it takes */
	int loop; /* that it is pinned to, or -1 */
	struct bp_handle *handle; /* once it was accepted, and until it is released */
	int alone_cause; /* that it is cancelled alone with */
	unsigned int alone; /* how often it may have been */
	bool alone_sure; /* it has been */
	unsigned int told; /* of its end, by its handle */
	bool accepted, refused, started, ended, reported, offloaded;
	bool ended_late; /* when its group had been cancelled for sure */
	int result, reported_result;
	enum bp_end end;
	uint64_t accepted_seq; /* when it was first known to be accepted */
	uint64_t ended_seq; /* when its function returned */
	uint64_t reported_seq;
	uint64_t started_ns;
	unsigned int shield, scopes;
	struct bp_timeout scope[4];
	uint64_t scope_end[4];
	unsigned int scope_shield[4]; /* shields around its begin */
	/* an operation item */
	struct bp_op op;
	unsigned int rounds;
	unsigned char opcode;
	struct __kernel_timespec ts;
	unsigned char buf[64]; /* UNTOUCHED but while an operation uses it */
};

/* What bp_go_copy() copies. */
struct copy {
	uint64_t magic;
	struct item *item;
	uint64_t more_magic;
};

/* A bp_cancel(): it happened between two events. */
struct cancel {
	int cause;
	uint64_t lo, hi;
};

/* A group of the program while it lives. */
struct ginst {
	struct run *run;
	struct bp_group *g;
	const struct prog_group *o;
	int id;
	struct ginst *parent;
	struct item *owner; /* the task that waits for it, or NULL: the main thread */
	uint64_t created_seq;
	uint64_t deadline, deadline_seq, deadline_sure_seq;
	long accepted, reported; /* items */
	long held, running, offers; /* places; offers: of bp_go() that have not returned */
	long limit, cap; /* cap: what may hold places now; -1: not known */
	unsigned int limit_calls;
	bool limit_changed, limit_vague; /* vague: changes have overlapped */
	unsigned long ends[4], failures_returned, successes_returned, rejected;
	struct cancel cancel[RUN_CANCELS];
	unsigned int cancels;
	bool cancels_lost; /* more than fit */
	uint64_t wait_seq; /* when the last wait began; 0: none */
	uint64_t closed_seq, closing_seq; /* when a wait returned, and had begun; 0: none */
	uint64_t maybe_closed_seq; /* when one may have, with -ETIMEDOUT as the cause */
	bool dying, gone; /* bp_group_destroy() was called, has returned */
};

struct run {
	const struct prog *prog;
	struct bp_engine *engine;
	struct sim *sim;
	uint64_t seq;
	unsigned int items, ginsts;
	struct item item[PROG_ITEMS];
	struct ginst ginst[RUN_GROUPS];
	int pair[2][2];
	int listener;
	bool helped; /* everything waited, and was cancelled */
	uint64_t sent, received; /* as the items were told */
	struct post {
		struct run *run;
		const struct step *step;
	} post[RUN_POSTS];
	unsigned int posts, called; /* handed over, begun */
	bool posting; /* one has begun and not ended */
};

#define ITEM_MAGIC 0x6974656d6974656dull
#define COPY_MAGIC 0x636f7079636f7079ull

/** Notes an event, and where in the order it stands. */
#define note(run, fmt, ...)                                                                        \
	(watch_clock(run), sim_note((run)->sim, 1000, 0, fmt, ##__VA_ARGS__), ++(run)->seq)
void watch_clock(struct run *run);

/** Says which promise was broken, and ends the process. */
__attribute__((noreturn, format(printf, 2, 3))) void broken(const struct run *run, const char *fmt,
							    ...);
#define must(run, cond, ...)                                                                       \
	do {                                                                                       \
		if (!(cond))                                                                       \
			broken(run, __VA_ARGS__);                                                  \
	} while (0)

/* When a deadline has passed by so much, its cancel has happened. */
#define SURE_NS 20000000ull

/* sim_run.c: what the main thread and tasks do alike */

/** Offers one item to a group. Return: what bp_go() or its relative said. */
int run_go(struct run *run, struct item *caller, struct ginst *g, const struct step *s);
/** A step that anybody may do. Return: whether it was one. */
bool run_step(struct run *run, struct item *caller, const struct step *s, int *res);
struct ginst *run_make_group(struct run *run, unsigned int options, struct ginst *parent,
			     struct item *owner);
/** Waits; the group is closed when it has returned something else than its time out. */
int run_wait(struct run *run, struct ginst *g, uint64_t until);
void run_wait_for_all(struct run *run, struct item *caller, struct ginst *g);
void run_destroy(struct run *run, struct ginst *g);

void run_cancel(struct run *run, struct ginst *g, int cause);
/** The group that a step means, or NULL. */
struct ginst *run_group_of(struct run *run, struct item *caller, int a);

/* sim_items.c: handles, and functions from elsewhere */

/** bp_go() or its relative for an item. */
int run_call_go(struct item *item);
void run_alone(struct run *run, const struct step *s);
void run_join(struct run *run, const struct step *s);
void run_post(struct run *run, const struct step *s);
/** Lets the engine go on until all that was posted has been called. */
void run_drain_posts(struct run *run);
/** Everything has ended: what handles say of it; they are given back. */
void run_end_handles(struct run *run);

/* sim_task.c */
int run_task_main(void *arg);

/* sim_check.c */

/** Whether the group may have been cancelled by now; whether it has been for sure. */
bool may_be_cancelled(const struct ginst *g);
bool surely_cancelled(const struct ginst *g);
/** Likewise of an item, by its group or alone. */
bool item_may_be_cancelled(const struct item *item);

/** The item holds a place from here on at the latest. */
void check_accepted(struct item *item);
void check_started(struct item *item);
void check_reported(struct item *item, enum bp_end end, int result);
/** What bp_go() and its relatives returned; @sure: of before the call. */
void check_go(struct item *item, struct item *caller, int err, bool sure_cancelled,
	      bool sure_closed);
/** All has ended and @result was returned by a wait. */
void check_result(struct ginst *g, int result);

/* sim_end.c */

void check_stats(struct ginst *g);
void check_winner(struct ginst *g);
/** The whole run is over. */
void check_end(struct run *run);

#endif
