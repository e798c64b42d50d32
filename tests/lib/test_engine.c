/* SPDX-License-Identifier: MIT */
/*
 * test_engine - options, information, version, engines side by side
 */
#include <pthread.h>
#include <time.h>

#include "support/harness.h"

/* ---------------------------------------------------------------- options */

static int create(struct test *t, const struct bp_engine_opts *opts)
{
	struct bp_engine *engine = (struct bp_engine *)t;
	int err = create_engine(&engine, opts);

	if (err)
		expect(engine == NULL);
	else
		bp_engine_destroy(engine);
	return err;
}

static void options_out_of_range_are_refused(struct test *t)
{
	expect_eq(create(t, &BP_ENGINE_OPTS(.depth = BP_DEPTH_MAX + 1)), -EINVAL);
	expect_eq(create(t, &BP_ENGINE_OPTS(.loops = BP_LOOPS_MAX + 1)), -EINVAL);
	expect_eq(create(t, &BP_ENGINE_OPTS(.backend = (enum bp_backend)99)), -EINVAL);
}

static void options_at_the_ends_of_their_ranges_work(struct test *t)
{
	enum bp_backend backend = t->row->backend;

	expect_eq(create(t, &BP_ENGINE_OPTS(.backend = backend, .depth = 1)), 0);
	expect_eq(create(t, &BP_ENGINE_OPTS(.backend = backend, .depth = BP_DEPTH_MAX)), 0);
	/* valgrind lets no other thread run while a loop stands in io_uring_enter(). */
	if (!under_valgrind())
		expect_eq(create(t, &BP_ENGINE_OPTS(.backend = backend, .loops = 1)), 0);
	expect_eq(create(t, &BP_ENGINE_OPTS(.backend = backend, .stack_size = 1 << 20)), 0);
}

/* NULL is the macro with nothing in it; with the automatic backend something always runs here. */
static void null_options_are_the_defaults(struct test *t)
{
	const struct bp_engine_info *info;

	expect_eq(create_engine(&t->engine, NULL), 0);
	if (!t->engine)
		return;
	info = bp_engine_info(t->engine);
	expect(info->backend == BP_BACKEND_URING || info->backend == BP_BACKEND_THREADS);
	expect_eq(info->loops, 1);
	expect(!info->threaded);
	expect_eq(info->depth, BP_DEPTH_DEFAULT);
}

/* A caller built against an older header: what its struct lacks has its default. */
static void a_smaller_options_struct_means_defaults(struct test *t)
{
	struct bp_engine_opts opts = BP_ENGINE_OPTS(.backend = t->row->backend, .depth = 77);
	struct bp_group *g;
	struct bp_group_opts gopts = BP_GROUP_OPTS(.limit = 3, .stop_after_failures = 9);

	opts.sz = offsetof(struct bp_engine_opts, depth);
	expect_eq(create_engine(&t->engine, &opts), 0);
	if (!t->engine)
		return;
	expect_eq(bp_engine_info(t->engine)->depth, BP_DEPTH_DEFAULT);
	gopts.sz = offsetof(struct bp_group_opts, stop_after_failures);
	expect_eq(bp_group_create(&g, t->engine, &gopts), 0);
	expect_eq(stats_of(g).limit, 3);
	bp_group_destroy(g);
}

/* A newer header: its further fields may be unset, and must not be set. */
static void a_larger_options_struct_must_end_in_zeroes(struct test *t)
{
	struct {
		struct bp_engine_opts opts;
		uint64_t later[2];
	} big = {.opts = BP_ENGINE_OPTS(.backend = t->row->backend, .depth = 77)};
	struct {
		struct bp_group_opts opts;
		uint64_t later[2];
	} group;
	struct bp_group *g = (struct bp_group *)t;

	big.opts.sz = sizeof(big);
	big.later[1] = 1;
	expect_eq(create(t, &big.opts), -EINVAL);
	big.later[1] = 0;
	expect_eq(create_engine(&t->engine, &big.opts), 0);
	if (!t->engine)
		return;
	expect_eq(bp_engine_info(t->engine)->depth, 77);

	memset(&group, 0, sizeof(group));
	group.opts = BP_GROUP_OPTS(.limit = 5);
	group.opts.sz = sizeof(group);
	group.later[0] = 1;
	expect_eq(bp_group_create(&g, t->engine, &group.opts), -EINVAL);
	expect(g == NULL);
	group.later[0] = 0;
	expect_eq(bp_group_create(&g, t->engine, &group.opts), 0);
	expect_eq(stats_of(g).limit, 5);
	bp_group_destroy(g);
}

static void group_options_out_of_range_are_refused(struct test *t)
{
	struct bp_engine *other;
	struct bp_group *g, *foreign;

	engine_with(t, .depth = 0);
	expect_eq(bp_group_create(&g, t->engine, &BP_GROUP_OPTS(.limit = -3)), -EINVAL);
	expect(g == NULL);
	expect_eq(bp_group_create(&g, t->engine, &BP_GROUP_OPTS(.auto_most = BP_WEIGHT_MAX + 1)),
		  -EINVAL);
	expect(g == NULL);
	expect_eq(create_engine(&other, &BP_ENGINE_OPTS(.backend = t->row->backend)), 0);
	expect_eq(bp_group_create(&foreign, other, NULL), 0);
	expect_eq(bp_group_create(&g, t->engine, &BP_GROUP_OPTS(.parent = foreign)), -EINVAL);
	expect(g == NULL);
	bp_group_destroy(foreign);
	bp_engine_destroy(other);
}

/* The macros hold the defaults that the header tells of. */
static void the_macros_hold_the_defaults(struct test *t)
{
	struct bp_engine_opts e = BP_ENGINE_OPTS();
	struct bp_group_opts g = BP_GROUP_OPTS();

	(void)t;
	expect_eq(e.sz, sizeof(e));
	expect_eq(e.backend, BP_BACKEND_AUTO);
	expect_eq(e.loops | e.depth | e.stack_size | e.seed, 0);
	expect_eq(g.sz, sizeof(g));
	expect(g.parent == NULL && g.report == NULL);
	expect_eq(g.limit, BP_LIMIT_NONE);
	expect_eq(g.stop_after_failures, 1);
	expect_eq(g.stop_after_successes | g.deadline_ns | g.item_timeout_ns, 0);
}

/* ---------------------------------------------------------------- information */

static void info_tells_what_runs(struct test *t)
{
	const struct bp_engine_info *info;

	engine_with(t, .depth = 300);
	info = bp_engine_info(t->engine);
	expect_eq(info->backend, t->row->backend);
	expect(info->backend_name && *info->backend_name);
	expect(info->reason && *info->reason);
	expect_eq(info->loops, driven(t) ? 1 : t->row->loops);
	expect_eq(info->threaded, !driven(t));
	expect_eq(info->depth, 300);
	expect(!strcmp(info->stack_guard, "madvise") || !strcmp(info->stack_guard, "mprotect") ||
	       !strcmp(info->stack_guard, "canary"));
	if (info->backend == BP_BACKEND_URING) {
		expect(!strcmp(info->backend_name, "uring"));
		expect(info->sq_entries > 0);
		expect(info->cq_entries > info->depth);
		expect(info->opcodes >= IORING_OP_STATX);
		expect(info->features & IORING_FEAT_NODROP);
	}
	expect_eq(info->live_groups + info->live_tasks + info->in_flight + info->waiting, 0);
}

static void info_counts_what_lives(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = 20);
	const struct bp_engine_info *info;
	struct crowd crowd;
	struct crowd_op op[3];

	crowd_init(&crowd);
	for (int i = 0; i < 5; i++)
		expect_eq(bp_go(g, crowd_task, &crowd), 0);
	for (int i = 0; i < 3; i++) {
		crowd_op_init(&op[i], &crowd);
		expect_eq(bp_go_op(g, &op[i].op), 0);
	}
	until_in_flight(t, 8);
	info = bp_engine_info(t->engine);
	expect_eq(info->live_groups, 1);
	expect_eq(info->live_tasks, 5);
	expect_eq(info->in_flight, 8);
	expect_eq(info->waiting, 0);
	expect(info->stacks >= 5);
	gate_open(&crowd.gate);
	expect_eq(bp_wait(g), 0);
	bp_group_destroy(g);
	crowd_free(&crowd);
}

static void *info_of(void *engine)
{
	return (void *)bp_engine_info(engine);
}

/* What two threads are told at a time are two structs. */
static void info_is_each_threads_own(struct test *t)
{
	struct bp_engine *engine = engine_with(t, .depth = 0);
	const struct bp_engine_info *info = bp_engine_info(engine);
	pthread_t thread;
	void *other;

	assert_int_equal(pthread_create(&thread, NULL, info_of, engine), 0);
	pthread_join(thread, &other);
	expect(other != info);
	expect(bp_engine_info(engine) == info);
}

/* Stacks are used again, not mapped for each task. */
static void stacks_are_pooled(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = 4);
	unsigned long n = scaled(20000);

	for (unsigned long i = 0; i < n; i++)
		expect_eq(bp_go(g, succeed, NULL), 0);
	expect_eq(bp_wait(g), 0);
	expect(bp_engine_info(t->engine)->stacks < 1000);
	bp_group_destroy(g);
}

/* Tasks find the stack that was asked for, and more stacks than vm.max_map_count has mappings. */
static int uses_its_stack(void *arg)
{
	char all[48 * 1024];

	for (size_t i = 0; i < sizeof(all); i += 512)
		all[i] = (char)i;
	__asm__ volatile("" ::"r"(all) : "memory");
	return crowd_task(arg);
}

static void many_stacks_live_at_once(struct test *t)
{
	unsigned long n = live_tasks(UNDER_ASAN ? 5000 : 20000);
	struct bp_group *g;
	struct crowd crowd;

	crowd_init(&crowd);
	engine_with(t, .depth = 65000, .stack_size = UNDER_ASAN || UNDER_TSAN ? 0 : 65536);
	g = group_with(t, .limit = BP_LIMIT_NONE);
	for (unsigned long i = 0; i < n; i++)
		if (!expect_eq(bp_go(g, uses_its_stack, &crowd), 0))
			break;
	until_count(t, &crowd.started, n);
	expect_eq(bp_engine_info(t->engine)->live_tasks, n);
	gate_open(&crowd.gate);
	expect_eq(bp_wait(g), 0);
	bp_group_destroy(g);
	crowd_free(&crowd);
}

static void the_version_is_that_of_the_header(struct test *t)
{
	char version[32];

	(void)t;
	snprintf(version, sizeof(version), "%d.%d.%d", BP_VERSION_MAJOR, BP_VERSION_MINOR,
		 BP_VERSION_PATCH);
	expect_eq(strcmp(version, BP_VERSION_STRING), 0);
	expect_eq(strcmp(version, bp_version()), 0);
}

static void now_is_the_monotonic_clock(struct test *t)
{
	struct bp_engine *engine = engine_with(t, .depth = 0);
	struct timespec ts;
	uint64_t last = bp_now(engine), before, clock;

	for (int i = 0; i < 1000; i++) {
		uint64_t now = bp_now(engine);

		expect(now >= last);
		last = now;
	}
	before = bp_now(engine);
	clock_gettime(CLOCK_MONOTONIC, &ts);
	clock = (uint64_t)ts.tv_sec * SECOND + (uint64_t)ts.tv_nsec;
	expect_between(clock, before, bp_now(engine));
}

/* Several engines live side by side, and come and go. */
static void engines_live_side_by_side(struct test *t)
{
	struct bp_engine *engine[5];
	struct bp_group *g[5];

	for (int i = 0; i < 5; i++) {
		expect_eq(create_engine(&engine[i], &BP_ENGINE_OPTS(.backend = t->row->backend,
								    .loops = t->row->loops)),
			  0);
		expect_eq(bp_group_create(&g[i], engine[i], NULL), 0);
	}
	for (int i = 0; i < 50; i++)
		expect_eq(bp_go(g[i % 5], succeed, NULL), 0);
	for (int i = 0; i < 5; i++) {
		expect_eq(bp_wait(g[i]), 0);
		expect_eq(stats_of(g[i]).succeeded, 10);
		bp_group_destroy(g[i]);
		bp_engine_destroy(engine[i]);
	}
}

static void engines_come_and_go(struct test *t)
{
	for (unsigned long i = 0; i < scaled(200); i++) {
		struct bp_engine *engine;
		struct bp_group *g;

		if (!expect_eq(create_engine(&engine, &BP_ENGINE_OPTS(.backend = t->row->backend,
								      .loops = t->row->loops)),
			       0))
			return;
		expect_eq(bp_group_create(&g, engine, NULL), 0);
		if (i % 2)
			expect_eq(bp_go(g, succeed, NULL), 0);
		bp_group_destroy(g);
		bp_engine_destroy(engine);
	}
}

static void destroying_nothing_does_nothing(struct test *t)
{
	(void)t;
	bp_engine_destroy(NULL);
	bp_group_destroy(NULL);
}

static const struct test_case cases[] = {
	ONCE(options_out_of_range_are_refused),
	EACH_ROW(options_at_the_ends_of_their_ranges_work),
	ONCE(null_options_are_the_defaults),
	DRIVEN_ROWS(a_smaller_options_struct_means_defaults),
	DRIVEN_ROWS(a_larger_options_struct_must_end_in_zeroes),
	EACH_ROW(group_options_out_of_range_are_refused),
	ONCE(the_macros_hold_the_defaults),
	EACH_ROW(info_tells_what_runs),
	EACH_ROW(info_counts_what_lives),
	THREADED_ROWS(info_is_each_threads_own),
	EACH_ROW(stacks_are_pooled),
	EACH_ROW(many_stacks_live_at_once),
	ONCE(the_version_is_that_of_the_header),
	EACH_ROW(now_is_the_monotonic_clock),
	EACH_ROW(engines_live_side_by_side),
	EACH_ROW(engines_come_and_go),
	ONCE(destroying_nothing_does_nothing),
};

int main(int argc, char **argv)
{
	return RUN_REAL_CASES(argc, argv, cases);
}
