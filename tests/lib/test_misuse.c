/* SPDX-License-Identifier: MIT */
/*
 * test_misuse - what would corrupt memory ends the program instead, with one clear line
 *
 * Each test plays in a child process, which must die by abort() with one line on stderr that names
 * the function that was called.
 */
#include <pthread.h>
#include <sys/socket.h>

#include "support/harness.h"

static int outside_read(void *arg)
{
	char byte;

	engine_with((struct test *)arg, .depth = 0);
	bp_read(0, &byte, 1, 0);
	return 0;
}

static int outside_sleep(void *arg)
{
	engine_with((struct test *)arg, .depth = 0);
	bp_sleep(1);
	return 0;
}

static int outside_cancelled(void *arg)
{
	engine_with((struct test *)arg, .depth = 0);
	return bp_cancelled();
}

static void task_functions_outside_a_task_abort(struct test *t)
{
	expect_abort(outside_read, t, "bp_read");
	expect_abort(outside_sleep, t, "bp_sleep");
	expect_abort(outside_cancelled, t, "bp_cancelled");
}

/* Each of these runs as a task of a child process. */
static int misuse_in_task(struct test *t, bp_task_fn fn)
{
	struct bp_group *g = group_with(t, .limit = 2);

	bp_go(g, fn, t);
	bp_wait(g);
	return 0;
}

static int ends_a_shield_that_never_began(void *unused)
{
	(void)unused;
	bp_shield_end();
	return 0;
}

static int ends_scopes_in_the_wrong_order(void *unused)
{
	struct bp_timeout outer, inner;

	(void)unused;
	bp_timeout_begin(&outer, FAR_AWAY);
	bp_timeout_begin(&inner, FAR_AWAY);
	bp_timeout_end(&outer);
	return 0;
}

static int returns_inside_a_scope(void *unused)
{
	static struct bp_timeout scope;

	(void)unused;
	bp_timeout_begin(&scope, FAR_AWAY);
	return 0;
}

static int awaits_nothing(void *unused)
{
	(void)unused;
	return bp_await();
}

/* The SQE of the first must not be carried out again. */
static int awaits_twice(void *unused)
{
	(void)unused;
	io_uring_prep_nop(bp_sqe());
	return bp_await() ? -EPROTO : bp_await();
}

static int destroys_its_engine(void *arg)
{
	bp_engine_destroy(((struct test *)arg)->engine);
	return 0;
}

/* The piece is the receive's own, which gives it back. */
static int puts_a_piece_of_a_receive(void *arg)
{
	struct bp_buf_ring *ring = arg;
	struct bp_recv_multi m;
	void *data = NULL;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) || write(pair[1], "xy", 2) != 2 ||
	    bp_recv_multi_begin(&m, pair[0], ring, 0) || bp_recv_multi_next(&m, &data) != 2)
		return -EPROTO;
	bp_buf_ring_put(ring, data);
	return 0;
}

static int put_of_a_piece(void *arg)
{
	struct test *t = arg;
	struct bp_buf_ring *ring;

	if (bp_buf_ring_create(&ring, engine_with(t), 8, 64))
		return 1;
	return run_task(t, puts_a_piece_of_a_receive, ring);
}

static int unbalanced_shield(void *t)
{
	return misuse_in_task(t, ends_a_shield_that_never_began);
}

static int crossed_scopes(void *t)
{
	return misuse_in_task(t, ends_scopes_in_the_wrong_order);
}

static int open_scope(void *t)
{
	return misuse_in_task(t, returns_inside_a_scope);
}

static int await_of_nothing(void *t)
{
	return misuse_in_task(t, awaits_nothing);
}

static int second_await(void *t)
{
	return misuse_in_task(t, awaits_twice);
}

static int engine_destroyed_by_its_task(void *t)
{
	return misuse_in_task(t, destroys_its_engine);
}

static void misuse_inside_a_task_aborts(struct test *t)
{
	expect_abort(unbalanced_shield, t, "bp_shield_end");
	expect_abort(crossed_scopes, t, "bp_timeout_end");
	expect_abort(open_scope, t, "bp_timeout_begin");
	expect_abort(await_of_nothing, t, "bp_await");
	expect_abort(second_await, t, "bp_await");
	expect_abort(engine_destroyed_by_its_task, t, "bp_engine_destroy");
	/* It has no descriptors of the kernel's. */
	if (t->row->backend != BP_BACKEND_SIM)
		expect_abort(put_of_a_piece, t, "bp_buf_ring_put");
}

static struct bp_group *the_group;

static int waits_for_its_own_group(void *unused)
{
	(void)unused;
	return bp_wait(the_group);
}

static int destroys_its_own_group(void *unused)
{
	(void)unused;
	bp_group_destroy(the_group);
	return 0;
}

static int own_group(struct test *t, bp_task_fn fn)
{
	the_group = group_with(t, .limit = 2);
	bp_go(the_group, fn, NULL);
	bp_wait(the_group);
	return 0;
}

static int wait_for_own(void *t)
{
	return own_group(t, waits_for_its_own_group);
}

static int destroy_own(void *t)
{
	return own_group(t, destroys_its_own_group);
}

/* A task that waits for its own group would wait for itself. */
static void waiting_for_the_own_group_aborts(struct test *t)
{
	expect_abort(wait_for_own, t, "bp_wait");
	expect_abort(destroy_own, t, "bp_group_destroy");
}

static int wait_in_done(struct bp_op *op, int res)
{
	(void)op;
	bp_wait(the_group);
	return res;
}

static int sleep_in_done(struct bp_op *op, int res)
{
	(void)op;
	bp_sleep(1);
	return res;
}

static void wait_in_prep(struct bp_op *op, struct io_uring_sqe *sqe)
{
	(void)op;
	io_uring_prep_nop(sqe);
	bp_wait(the_group);
}

static int in_callback(struct test *t, void (*prep)(struct bp_op *, struct io_uring_sqe *),
		       int (*done)(struct bp_op *, int))
{
	struct bp_group *g = group_with(t, .limit = 2);
	struct crowd crowd;
	struct nop_op op;

	crowd_init(&crowd);
	the_group = group_with(t, .limit = 2);
	bp_go(the_group, crowd_task, &crowd);
	nop_op_init(&op, 0, NULL);
	if (prep)
		op.op.prep = prep;
	if (done)
		op.op.done = done;
	bp_go_op(g, &op.op);
	bp_wait(g);
	return 0;
}

static int wait_in_callback(void *t)
{
	return in_callback(t, NULL, wait_in_done);
}

static int wait_in_the_other_callback(void *t)
{
	return in_callback(t, wait_in_prep, NULL);
}

static int sleep_in_callback(void *t)
{
	return in_callback(t, NULL, sleep_in_done);
}

static void blocking_in_a_callback_aborts(struct test *t)
{
	expect_abort(wait_in_callback, t, "bp_wait");
	expect_abort(wait_in_the_other_callback, t, "bp_wait");
	expect_abort(sleep_in_callback, t, "bp_sleep");
}

static int use_twice(void *t)
{
	struct bp_group *g = group_with((struct test *)t, .limit = 2);
	struct crowd crowd;
	struct crowd_op op;

	crowd_init(&crowd);
	crowd_op_init(&op, &crowd);
	bp_go_op(g, &op.op);
	bp_go_op(g, &op.op);
	return 0;
}

static void using_an_operation_twice_at_once_aborts(struct test *t)
{
	if (UNDER_TSAN && t->row->loops)
		skip_because(t, "the misuse is itself a race, which ThreadSanitizer reports first");
	expect_abort(use_twice, t, "bp_go_op");
}

static int add_at_an_odd_address(void *t)
{
	struct bp_group *g = group_with((struct test *)t, .limit = 2);
	_Alignas(struct bp_op) char memory[sizeof(struct bp_op) + 4] = "";

	/* Its functions are looked at first, and both are there. */
	memset(memory, 1, sizeof(memory));
	bp_go_op(g, (void *)(memory + 4));
	return 0;
}

/* The low bits of its address are the backend's. */
static void an_operation_at_an_odd_address_aborts(struct test *t)
{
	if (UNDER_ASAN)
		skip_because(t, "UBSan reports the address first");
	expect_abort(add_at_an_odd_address, t, "not aligned");
}

struct foreign {
	struct bp_group *g;
	void (*call)(struct bp_group *g);
};

static void foreign_wait(struct bp_group *g)
{
	bp_wait(g);
}

static void foreign_cancel(struct bp_group *g)
{
	bp_cancel(g, 0);
}

static void foreign_limit(struct bp_group *g)
{
	bp_group_set_limit(g, 3);
}

static void foreign_destroy(struct bp_group *g)
{
	bp_group_destroy(g);
}

static void foreign_stats(struct bp_group *g)
{
	stats_of(g);
}

static void *call_it(void *arg)
{
	struct foreign *f = arg;

	f->call(f->g);
	return NULL;
}

static struct {
	struct test *t;
	void (*call)(struct bp_group *g);
} misuse;

static int call_from_a_foreign_thread(void *unused)
{
	struct foreign f = {group_with(misuse.t, .limit = 1), misuse.call};
	pthread_t thread;

	(void)unused;
	pthread_create(&thread, NULL, call_it, &f);
	pthread_join(thread, NULL);
	return 0;
}

/* loops = 0: nothing in it is atomic, so no other thread may touch it. */
static void each_call_from_a_foreign_thread_aborts(struct test *t)
{
	static const struct {
		void (*call)(struct bp_group *g);
		const char *name;
	} calls[] = {
		{foreign_wait, "bp_wait"},
		{foreign_cancel, "bp_cancel"},
		{foreign_limit, "bp_group_set_limit"},
		{foreign_destroy, "bp_group_destroy"},
		{foreign_stats, "bp_group_stats"},
	};

	misuse.t = t;
	for (size_t i = 0; i < COUNT_OF(calls); i++) {
		misuse.call = calls[i].call;
		expect_abort(call_from_a_foreign_thread, NULL, calls[i].name);
	}
}

/* ---------------------------------------------------------------- engines in the wrong place */

static int makes_an_engine(void *unused)
{
	struct bp_engine *engine;

	(void)unused;
	return bp_engine_create(&engine, NULL);
}

static int an_engine_in_a_task(void *arg)
{
	return misuse_in_task(arg, makes_an_engine);
}

static void reports_with_an_engine(void *ctx, void *arg, enum bp_end end, int result)
{
	(void)ctx, (void)arg, (void)end, (void)result;
	makes_an_engine(NULL);
}

static int an_engine_in_a_callback(void *arg)
{
	struct bp_group *g = group_with((struct test *)arg, .report = reports_with_an_engine);

	bp_go(g, succeed, NULL);
	bp_wait(g);
	return 0;
}

static void an_engine_is_made_outside(struct test *t)
{
	expect_abort(an_engine_in_a_task, t, "bp_engine_create");
	expect_abort(an_engine_in_a_callback, t, "bp_engine_create");
}

/*
 * ---------------------------------------------------------------- groups that wait for each other
 */

static struct bp_group *pair[2];
static atomic_int arrived;

static int waits_for_the_other(void *arg)
{
	atomic_fetch_add(&arrived, 1);
	while (atomic_load(&arrived) < 2)
		bp_yield();
	return bp_wait(*(struct bp_group **)arg);
}

static int groups_in_a_circle(void *arg)
{
	struct test *t = arg;

	pair[0] = group_with(t, .stop_after_failures = 1);
	pair[1] = group_with(t, .stop_after_failures = 1);
	bp_go(pair[0], waits_for_the_other, &pair[1]);
	bp_go(pair[1], waits_for_the_other, &pair[0]);
	bp_wait(pair[0]);
	return 0;
}

static void groups_that_wait_for_each_other_abort(struct test *t)
{
	expect_abort(groups_in_a_circle, t, "deadlock");
}

/* ---------------------------------------------------------------- fork() */

static struct bp_engine *parents;
static struct bp_group *parents_group;

static int child_that_waits(void *unused)
{
	(void)unused;
	return bp_wait(parents_group);
}

static int child_that_adds(void *unused)
{
	(void)unused;
	return bp_go(parents_group, succeed, NULL);
}

static int child_that_asks(void *unused)
{
	(void)unused;
	return bp_engine_info(parents)->loops == 0;
}

static int child_that_destroys(void *unused)
{
	(void)unused;
	bp_engine_destroy(parents);
	return 0;
}

static void children_of_fork_are_told(struct test *t)
{
	parents = engine_with(t);
	parents_group = group_with(t);
	expect_abort(child_that_waits, t, "fork");
	expect_abort(child_that_adds, t, "fork");
	expect_abort(child_that_asks, t, "fork");
	expect_abort(child_that_destroys, t, "fork");
	expect_eq(bp_go(parents_group, succeed, NULL), 0);
	expect_eq(bp_wait(parents_group), 0);
	bp_group_destroy(parents_group);
}

static int reads_in_a_child(void *unused)
{
	char byte;

	(void)unused;
	return (int)bp_read(0, &byte, 1, 0);
}

static int forks(void *arg)
{
	expect_abort(reads_in_a_child, arg, "bp_read");
	return 0;
}

/* The same where the fork was made by a task. */
static void children_of_tasks_are_told(struct test *t)
{
	engine_with(t);
	expect_eq(run_task(t, forks, t), 0);
}

static const struct test_case cases[] = {
	EACH_ROW(an_engine_is_made_outside),
	EACH_ROW(groups_that_wait_for_each_other_abort),
	EACH_ROW(children_of_fork_are_told),
	EACH_ROW(children_of_tasks_are_told),
	EACH_ROW(task_functions_outside_a_task_abort),
	EACH_ROW(misuse_inside_a_task_aborts),
	EACH_ROW(waiting_for_the_own_group_aborts),
	EACH_ROW(blocking_in_a_callback_aborts),
	EACH_ROW(using_an_operation_twice_at_once_aborts),
	EACH_ROW(an_operation_at_an_odd_address_aborts),
	DRIVEN_ROWS(each_call_from_a_foreign_thread_aborts),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
