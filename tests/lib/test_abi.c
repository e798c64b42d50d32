/* SPDX-License-Identifier: MIT */
/*
 * test_abi - a program that was built against 0.1.0's header goes on with this library
 *
 * The structs are written out here as that header had them. Where the program gives the memory, a
 * struct must be of the size that it was, or tell its size; where the library does, what is new
 * stands behind what was there.
 */
#include "support/harness.h"

struct old_engine_opts {
	size_t sz;
	enum bp_backend backend;
	unsigned int loops;
	unsigned int depth;
	size_t stack_size;
	uint64_t seed;
};

struct old_engine_info {
	enum bp_backend backend;
	const char *backend_name;
	const char *reason;
	unsigned int loops;
	bool threaded;
	unsigned int depth;
	unsigned int setup_flags;
	unsigned int features;
	unsigned int sq_entries;
	unsigned int cq_entries;
	unsigned int opcodes;
	const char *stack_guard;
	size_t live_groups;
	size_t live_tasks;
	size_t in_flight;
	size_t waiting;
	size_t stacks;
};

struct old_group_opts {
	size_t sz;
	struct bp_group *parent;
	long limit;
	unsigned long stop_after_failures;
	unsigned long stop_after_successes;
	uint64_t deadline_ns;
	uint64_t item_timeout_ns;
	void (*report)(void *ctx, void *arg, enum bp_end end, int result);
	void *report_arg;
};

struct old_group_stats {
	size_t sz;
	long limit;
	uint64_t accepted, succeeded, failed, stopped, never_started, rejected;
	uint64_t running, waiting, peak;
	int cause;
	uint64_t cancel_ns, compute_ns, wait_ns;
};

struct old_link {
	struct old_link *next, *prev;
};

struct old_timer {
	uint64_t when;
	void (*fire)(void *loop, struct old_timer *timer);
	struct old_timer *child, *next, *prev;
};

struct old_op {
	void (*prep)(struct bp_op *op, struct io_uring_sqe *sqe);
	int (*done)(struct bp_op *op, int res);
	unsigned int cqe_flags;
	unsigned char state, kind, flags, opcode;
	int res, end;
	struct old_link link, member;
	void *group, *loop;
	uint64_t start_ns;
	struct old_timer timer;
	uint64_t spare;
};

struct old_timeout {
	struct old_timer timer;
	struct old_timeout *outer;
	void *task;
	bool fired;
	unsigned int shield;
};

#define SAME_PLACE(old, new, field)                                                                \
	_Static_assert(offsetof(struct old, field) == offsetof(struct new, field),                 \
		       #new "." #field " has moved")

SAME_PLACE(old_engine_opts, bp_engine_opts, backend);
SAME_PLACE(old_engine_opts, bp_engine_opts, loops);
SAME_PLACE(old_engine_opts, bp_engine_opts, depth);
SAME_PLACE(old_engine_opts, bp_engine_opts, stack_size);
SAME_PLACE(old_engine_opts, bp_engine_opts, seed);
SAME_PLACE(old_engine_info, bp_engine_info, backend_name);
SAME_PLACE(old_engine_info, bp_engine_info, threaded);
SAME_PLACE(old_engine_info, bp_engine_info, opcodes);
SAME_PLACE(old_engine_info, bp_engine_info, stack_guard);
SAME_PLACE(old_engine_info, bp_engine_info, in_flight);
SAME_PLACE(old_engine_info, bp_engine_info, stacks);
SAME_PLACE(old_group_opts, bp_group_opts, parent);
SAME_PLACE(old_group_opts, bp_group_opts, limit);
SAME_PLACE(old_group_opts, bp_group_opts, stop_after_failures);
SAME_PLACE(old_group_opts, bp_group_opts, stop_after_successes);
SAME_PLACE(old_group_opts, bp_group_opts, deadline_ns);
SAME_PLACE(old_group_opts, bp_group_opts, item_timeout_ns);
SAME_PLACE(old_group_opts, bp_group_opts, report);
SAME_PLACE(old_group_opts, bp_group_opts, report_arg);
SAME_PLACE(old_group_stats, bp_group_stats, limit);
SAME_PLACE(old_group_stats, bp_group_stats, peak);
SAME_PLACE(old_group_stats, bp_group_stats, cause);
SAME_PLACE(old_group_stats, bp_group_stats, wait_ns);
SAME_PLACE(old_op, bp_op, prep);
SAME_PLACE(old_op, bp_op, done);
SAME_PLACE(old_op, bp_op, cqe_flags);
_Static_assert(sizeof(struct old_op) == sizeof(struct bp_op), "programs embed a struct bp_op");
_Static_assert(_Alignof(struct old_op) == _Alignof(struct bp_op), "likewise");
_Static_assert(sizeof(struct old_group_stats) == offsetof(struct bp_group_stats, places),
	       "a size of 0 stands for what 0.1.0 knew");
_Static_assert(sizeof(struct old_timeout) == offsetof(struct bp_timeout, spare_),
	       "what an older program has of a scope");

/* ---------------------------------------------------------------- and it runs */

#define GUARD 0x5a5a5a5a5a5a5a5aull

struct old_item {
	struct old_op op;
	uint64_t guard[4];
	int rounds;
};

static void old_prep(struct bp_op *op, struct io_uring_sqe *sqe)
{
	(void)op;
	io_uring_prep_nop(sqe);
}

static int old_done(struct bp_op *op, int res)
{
	struct old_item *item = (struct old_item *)op;

	return res < 0 || item->rounds-- == 0 ? res : BP_OP_AGAIN;
}

static bool intact(const uint64_t guard[4])
{
	return guard[0] == GUARD && guard[1] == GUARD && guard[2] == GUARD && guard[3] == GUARD;
}

static int old_scopes(void *unused)
{
	struct {
		struct old_timeout scope;
		uint64_t guard[4];
	} outer = {.guard = {GUARD, GUARD, GUARD, GUARD}}, inner = outer;

	(void)unused;
	bp_timeout_begin((struct bp_timeout *)(void *)&outer.scope, FAR_AWAY);
	bp_timeout_begin((struct bp_timeout *)(void *)&inner.scope, 1);
	expect_eq(bp_sleep(FAR_AWAY), -ETIMEDOUT);
	expect_eq(bp_timeout_end((struct bp_timeout *)(void *)&inner.scope), -ETIMEDOUT);
	expect_eq(bp_timeout_end((struct bp_timeout *)(void *)&outer.scope), 0);
	expect(intact(outer.guard) && intact(inner.guard));
	return 0;
}

static void a_program_of_0_1_runs(struct test *t)
{
	struct old_engine_opts opts = {.sz = sizeof(opts),
				       .backend = t->row->backend,
				       .loops = t->row->loops};
	struct old_group_opts gopts = {.sz = sizeof(gopts),
				       .limit = BP_LIMIT_NONE,
				       .stop_after_failures = 1};
	struct {
		struct old_group_stats st;
		uint64_t guard[4];
	} stats = {.guard = {GUARD, GUARD, GUARD, GUARD}};
	struct old_item item = {.op = {.prep = old_prep, .done = old_done},
				.guard = {GUARD, GUARD, GUARD, GUARD},
				.rounds = 3};
	const struct old_engine_info *info;
	struct bp_group *g;

	opts.seed = t->seed;
	expect_eq(create_engine(&t->engine, (struct bp_engine_opts *)(void *)&opts), 0);
	assert_non_null(t->engine);
	expect_eq(bp_group_create(&g, t->engine, (struct bp_group_opts *)(void *)&gopts), 0);
	expect_eq(bp_go(g, old_scopes, NULL), 0);
	expect_eq(bp_go_op(g, (struct bp_op *)(void *)&item.op), 0);
	expect_eq(bp_wait(g), 0);
	expect(intact(item.guard));
	bp_group_stats(g, (struct bp_group_stats *)(void *)&stats.st);
	expect_eq(stats.st.succeeded, 2);
	expect(intact(stats.guard));
	info = (const struct old_engine_info *)(const void *)bp_engine_info(t->engine);
	expect_eq(info->live_groups, 1);
	expect_eq(info->backend, t->row->backend);
	bp_group_destroy(g);
}

static const struct test_case cases[] = {
	EACH_REAL_ROW(a_program_of_0_1_runs),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
