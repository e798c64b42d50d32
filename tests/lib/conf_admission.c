/* SPDX-License-Identifier: MIT */
/*
 * conf_admission - who gets a place, and when
 *
 * The limit holds at every instant, over all loops together; who waits is served in turn and is
 * woken by a cancel; trying never blocks and leaves nothing behind.
 */
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>

#include "support/harness.h"

/* ---------------------------------------------------------------- who stands in bp_go() */

/** A task of another group that stands in bp_go() on @to. */
struct feeder {
	struct bp_group *to;
	bp_task_fn fn;
	void *arg;
	atomic_int err;
	atomic_ulong *returned;
};

static int feed(void *arg)
{
	struct feeder *f = arg;

	f->err = bp_go(f->to, f->fn, f->arg);
	atomic_fetch_add(f->returned, 1);
	return 0;
}

/** An item that only counts that it ran. */
static int count_run(void *ran)
{
	atomic_fetch_add((atomic_ulong *)ran, 1);
	return 0;
}

/*
 * The limit is reached and tasks stand in bp_go(); the group is cancelled: bp_go() returns
 * -ECANCELED and the function never runs. Sources: golang/go#27837, golang/go#61611.
 */
static void cancel_wakes_tasks_that_stand_in_go(struct test *t)
{
	atomic_ulong returned = 0, ran = 0;
	struct bp_group *g = group_with(t, .limit = 2);
	struct bp_group *feeders = group_with(t, .limit = BP_LIMIT_NONE);
	struct feeder f[5];
	struct crowd crowd;

	crowd_init(&crowd);
	expect_eq(bp_go(g, crowd_task, &crowd), 0);
	expect_eq(bp_go(g, crowd_task, &crowd), 0);
	for (int i = 0; i < 5; i++) {
		f[i] = (struct feeder){g, count_run, &ran, 1, &returned};
		expect_eq(bp_go(feeders, feed, &f[i]), 0);
	}
	until_in_line(t, g, 5);
	expect_eq(returned, 0);
	bp_cancel(g, -EINTR);
	expect_eq(bp_wait(feeders), 0);
	for (int i = 0; i < 5; i++)
		expect_eq(f[i].err, -ECANCELED);
	expect_eq(bp_wait(g), -EINTR);
	expect_eq(stats_of(g).accepted, 2);
	expect_eq(ran, 0);
	expect_balanced(g);
	bp_group_destroy(feeders);
	bp_group_destroy(g);
	crowd_free(&crowd);
}

struct cancel_later {
	struct bp_group *group;
	struct crowd *crowd;
};

static int cancel_other(void *arg)
{
	struct cancel_later *c = arg;
	int err = 0;

	while (!err && (atomic_load(&c->crowd->started) < 1 || stats_of(c->group).running < 1))
		err = bp_yield();
	bp_cancel(c->group, -EINTR);
	return err;
}

/* The engine's own thread stands in bp_go(), which drives the loop until a task cancels. */
static void cancel_by_a_task_wakes_the_thread_that_drives(struct test *t)
{
	atomic_ulong ran = 0;
	struct bp_group *g = group_with(t, .limit = 1);
	struct bp_group *other = group_with(t, .limit = 1);
	struct crowd crowd;
	struct cancel_later c = {g, &crowd};

	crowd_init(&crowd);
	expect_eq(bp_go(g, crowd_task, &crowd), 0);
	expect_eq(bp_go(other, cancel_other, &c), 0);
	expect_eq(bp_go(g, count_run, &ran), -ECANCELED);
	expect_eq(bp_wait(g), -EINTR);
	expect_eq(ran, 0);
	expect_eq(bp_wait(other), 0);
	bp_group_destroy(g);
	bp_group_destroy(other);
	crowd_free(&crowd);
}

struct go_thread {
	struct bp_group *group;
	bp_task_fn fn;
	void *arg;
	atomic_int tid;
	int err;
};

static void *go_in_thread(void *arg)
{
	struct go_thread *g = arg;

	atomic_store(&g->tid, (int)syscall(SYS_gettid));
	g->err = bp_go(g->group, g->fn, g->arg);
	return NULL;
}

/* Until the kernel says that the thread sleeps. */
static void until_thread_sleeps(struct go_thread *g)
{
	char path[64], stat[512] = "";
	const char *state;
	FILE *file;

	while (!atomic_load(&g->tid))
		sched_yield();
	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", atomic_load(&g->tid));
	do {
		sched_yield();
		file = fopen(path, "re");
		if (!file)
			return;
		if (!fgets(stat, sizeof(stat), file))
			stat[0] = '\0';
		fclose(file);
		state = strrchr(stat, ')');
	} while (!state || state[2] != 'S');
}

/* A thread outside stands in bp_go(); another cancels. */
static void cancel_wakes_a_thread_that_stands_in_go(struct test *t)
{
	atomic_ulong ran = 0;
	struct bp_group *g = group_with(t, .limit = 1);
	struct go_thread go = {.group = g, .fn = count_run, .arg = &ran};
	struct crowd crowd;
	pthread_t thread;

	crowd_init(&crowd);
	expect_eq(bp_go(g, crowd_task, &crowd), 0);
	assert_int_equal(pthread_create(&thread, NULL, go_in_thread, &go), 0);
	until_thread_sleeps(&go);
	bp_cancel(g, -EINTR);
	pthread_join(thread, NULL);
	expect_eq(go.err, -ECANCELED);
	expect_eq(bp_wait(g), -EINTR);
	expect_eq(ran, 0);
	expect_eq(stats_of(g).accepted, 1);
	bp_group_destroy(g);
	crowd_free(&crowd);
}

/* A place that becomes free wakes such a thread too. */
static void a_free_place_wakes_a_thread_that_stands_in_go(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = 1);
	struct crowd crowd;
	struct go_thread go = {.group = g, .fn = crowd_task, .arg = &crowd};
	pthread_t thread;

	crowd_init(&crowd);
	expect_eq(bp_go(g, crowd_task, &crowd), 0);
	assert_int_equal(pthread_create(&thread, NULL, go_in_thread, &go), 0);
	until_thread_sleeps(&go);
	until_count(t, &crowd.started, 1);
	many_turns(t);
	expect_eq(crowd.started, 1);
	gate_open(&crowd.gate);
	pthread_join(thread, NULL);
	expect_eq(go.err, 0);
	expect_eq(bp_wait(g), 0);
	expect_eq(crowd.passed, 2);
	expect_eq(stats_of(g).peak, 1);
	bp_group_destroy(g);
	crowd_free(&crowd);
}

/* ---------------------------------------------------------------- from inside the group */

struct inside {
	struct bp_op op;
	struct bp_group *group;
	atomic_ulong ran;
	atomic_ulong *present; /* of several, those that run */
	int go, try_go;
};

static int goes_on_its_own_group(void *arg)
{
	struct inside *in = arg;

	in->try_go = bp_try_go(in->group, count_run, &in->ran);
	in->go = bp_go(in->group, count_run, &in->ran);
	return 0;
}

/* Limit 1, a task calls bp_go() on its own group: -EDEADLK, never a hang; trying: -EAGAIN. */
static void go_on_the_own_full_group_is_edeadlk(struct test *t)
{
	struct inside in = {.group = group_with(t, .limit = 1)};

	expect_eq(bp_go(in.group, goes_on_its_own_group, &in), 0);
	expect_eq(bp_wait(in.group), 0);
	expect_eq(in.try_go, -EAGAIN);
	expect_eq(in.go, -EDEADLK);
	expect_eq(in.ran, 0);
	expect_eq(stats_of(in.group).accepted, 1);
	bp_group_destroy(in.group);
}

static int go_result_as_end(void *arg)
{
	struct inside *in = arg;
	int err = 0;

	atomic_fetch_add(in->present, 1);
	while (!err && atomic_load(in->present) < 3)
		err = bp_yield();
	in->go = bp_go(in->group, count_run, &in->ran);
	return in->go;
}

/* All of several running items wait in bp_go() on their group: at least the last one is told. */
static void tasks_that_all_wait_for_each_others_places_are_told(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = 3, .stop_after_failures = 0);
	atomic_ulong present = 0;
	struct inside in[3];
	uint64_t told = 0, went = 0;

	for (int i = 0; i < 3; i++) {
		in[i] = (struct inside){.group = g, .present = &present};
		expect_eq(bp_go(g, go_result_as_end, &in[i]), 0);
	}
	expect_eq(bp_wait(g), -EDEADLK);
	for (int i = 0; i < 3; i++) {
		expect(in[i].go == -EDEADLK || in[i].go == 0);
		told += in[i].go == -EDEADLK;
		went += in[i].go == 0;
		expect_eq(in[i].ran, in[i].go == 0);
	}
	expect(told >= 1);
	expect_eq(stats_of(g).accepted, 3 + went);
	expect_balanced(g);
	bp_group_destroy(g);
}

static int go_from_done(struct bp_op *op, int res)
{
	struct inside *in = CONTAINER(op, struct inside, op);

	in->try_go = bp_try_go(in->group, count_run, &in->ran);
	in->go = bp_go(in->group, count_run, &in->ran);
	return res;
}

static void nop_of_inside(struct bp_op *op, struct io_uring_sqe *sqe)
{
	(void)op;
	io_uring_prep_nop(sqe);
}

/* The same in a completion callback, which never waits. */
static void go_in_a_callback_never_waits(struct test *t)
{
	struct inside in = {.op = BP_OP_INIT(nop_of_inside, go_from_done),
			    .group = group_with(t, .limit = 1)};

	expect_eq(bp_go_op(in.group, &in.op), 0);
	expect_eq(bp_wait(in.group), 0);
	expect_eq(in.try_go, -EAGAIN);
	expect_eq(in.go, -EDEADLK);
	expect_eq(in.ran, 0);
	bp_group_destroy(in.group);
}

/* With a place, both are accepted there. */
static void go_in_a_callback_with_a_place_is_accepted(struct test *t)
{
	struct inside in = {.op = BP_OP_INIT(nop_of_inside, go_from_done),
			    .group = group_with(t, .limit = 8)};

	expect_eq(bp_go_op(in.group, &in.op), 0);
	expect_eq(bp_wait(in.group), 0);
	expect_eq(in.try_go, 0);
	expect_eq(in.go, 0);
	expect_eq(in.ran, 2);
	expect_eq(stats_of(in.group).succeeded, 3);
	bp_group_destroy(in.group);
}

struct feed_own {
	struct bp_group *group;
	atomic_ulong *ran;
	int err;
};

static int feeds_its_own_group(void *arg)
{
	struct feed_own *f = arg;

	f->err = bp_go(f->group, count_run, f->ran);
	return 0;
}

/* Limit 2: one waits in bp_go(), the other ends by itself: progress. */
static void go_on_the_own_group_waits_while_a_sibling_can_end(struct test *t)
{
	atomic_ulong ran = 0;
	struct bp_group *g = group_with(t, .limit = 2);
	struct feed_own f = {.group = g, .ran = &ran};
	struct crowd crowd;

	crowd_init(&crowd);
	expect_eq(bp_go(g, crowd_task, &crowd), 0);
	until_in_flight(t, 1);
	expect_eq(bp_go(g, feeds_its_own_group, &f), 0);
	many_turns(t);
	expect_eq(ran, 0);
	gate_open(&crowd.gate);
	expect_eq(bp_wait(g), 0);
	expect_eq(f.err, 0);
	expect_eq(ran, 1);
	expect_eq(stats_of(g).peak, 2);
	bp_group_destroy(g);
	crowd_free(&crowd);
}

/* ---------------------------------------------------------------- trying */

/*
 * Trying succeeds while there are places, also when more entries were asked for than the
 * submission queue holds; at the limit it is -EAGAIN and nothing was queued. Source: pond#103.
 */
static void try_go_succeeds_on_a_full_submission_queue_and_fails_at_the_limit(struct test *t)
{
	struct crowd_op *op;
	struct bp_group *g;
	struct crowd crowd;
	unsigned long n;

	crowd_init(&crowd);
	engine_with(t, .depth = 4096);
	n = bp_engine_info(t->engine)->sq_entries + 100;
	if (n > 3000)
		n = 3000;
	op = calloc(n + 1, sizeof(*op));
	assert_non_null(op);
	g = group_with(t, .limit = (long)n);
	for (unsigned long i = 0; i <= n; i++)
		crowd_op_init(&op[i], &crowd);
	for (unsigned long i = 0; i < n; i++)
		expect_eq(bp_try_go_op(g, &op[i].op), 0);
	for (int i = 0; i < 3; i++)
		expect_eq(bp_try_go_op(g, &op[n].op), -EAGAIN);
	expect_eq(bp_try_go(g, crowd_task, &crowd), -EAGAIN);
	expect_eq(stats_of(g).accepted, n);
	expect_eq(stats_of(g).rejected, 4);
	gate_open(&crowd.gate);
	expect_eq(bp_wait(g), 0);
	expect_eq(crowd.passed, n);
	expect_eq(op[n].rounds, 0);
	expect_eq(stats_of(g).succeeded, n);
	bp_group_destroy(g);
	crowd_free(&crowd);
	free(op);
}

/* Without a limit the rings' capacity bounds: some are taken, then -EAGAIN, never a lost one. */
static void without_a_limit_the_ring_bounds_try_go(struct test *t)
{
	enum {
		MANY = 200,
		DEPTH = 32
	};
	struct crowd_op op[MANY];
	struct bp_group *g;
	struct crowd crowd;
	unsigned long taken = 0, loops;

	crowd_init(&crowd);
	engine_with(t, .depth = DEPTH);
	loops = bp_engine_info(t->engine)->loops;
	g = group_with(t, .limit = BP_LIMIT_NONE);
	for (int i = 0; i < MANY; i++) {
		int err;

		crowd_op_init(&op[i], &crowd);
		err = bp_try_go_op(g, &op[i].op);
		expect(err == 0 || err == -EAGAIN);
		taken += err == 0;
	}
	expect_between(taken, DEPTH, DEPTH * loops);
	expect_eq(stats_of(g).rejected, MANY - taken);
	gate_open(&crowd.gate);
	expect_eq(bp_wait(g), 0);
	expect_eq(crowd.passed, taken);
	expect_eq(stats_of(g).accepted, taken);
	bp_group_destroy(g);
	crowd_free(&crowd);
}

/* bp_go() without a limit waits for the ring instead, and everything runs. */
static void without_a_limit_go_waits_for_the_ring(struct test *t)
{
	unsigned long n = scaled(20000);
	struct nop_op *op = calloc(n, sizeof(*op));
	atomic_ulong count = 0;
	struct bp_group *g;

	assert_non_null(op);
	engine_with(t, .depth = 16);
	g = group_with(t, .limit = BP_LIMIT_NONE);
	for (unsigned long i = 0; i < n; i++) {
		nop_op_init(&op[i], 0, &count);
		if (!expect_eq(bp_go_op(g, &op[i].op), 0))
			break;
	}
	expect_eq(bp_wait(g), 0);
	expect_eq(count, n);
	bp_group_destroy(g);
	free(op);
}

/* A try that finds the group full neither blocks nor counts as accepted, also inside a task. */
static int tries_until_told(void *arg)
{
	struct inside *in = arg;

	for (int i = 0; i < 100; i++) {
		expect_eq(bp_try_go(in->group, count_run, &in->ran), -EAGAIN);
		expect_eq(bp_try_go_copy(in->group, count_run, &i, sizeof(i)), -EAGAIN);
	}
	return 0;
}

static void try_go_in_a_task_at_the_limit_never_suspends(struct test *t)
{
	struct inside in = {.group = group_with(t, .limit = 1)};

	expect_eq(bp_go(in.group, tries_until_told, &in), 0);
	expect_eq(bp_wait(in.group), 0);
	expect_eq(in.ran, 0);
	expect_eq(stats_of(in.group).accepted, 1);
	expect_eq(stats_of(in.group).rejected, 200);
	bp_group_destroy(in.group);
}

/* A million items through rings of four entries: no completion is lost. Source: liburing#1063. */
static void a_million_items_pass_a_ring_of_four(struct test *t)
{
	enum {
		OPS = 1000
	};
	unsigned long rounds = scaled(1000);
	struct nop_op *op = calloc(OPS, sizeof(*op));
	atomic_ulong count = 0;
	struct bp_group *g;

	assert_non_null(op);
	engine_with(t, .depth = 4);
	for (unsigned long round = 0; round < rounds; round++) {
		g = group_with(t, .limit = BP_LIMIT_NONE);
		for (int i = 0; i < OPS; i++) {
			nop_op_init(&op[i], 0, &count);
			if (!expect_eq(bp_go_op(g, &op[i].op), 0))
				break;
		}
		expect_eq(bp_wait(g), 0);
		expect_eq(stats_of(g).succeeded, OPS);
		bp_group_destroy(g);
	}
	expect_eq(count, rounds * OPS);
	free(op);
}

/* ---------------------------------------------------------------- what waits for a peer */

struct silent {
	struct bp_op op;
	int fd;
	char byte;
};

static void prep_silent(struct bp_op *op, struct io_uring_sqe *sqe)
{
	struct silent *s = CONTAINER(op, struct silent, op);

	io_uring_prep_recv(sqe, s->fd, &s->byte, 1, 0);
}

static int silent_done(struct bp_op *op, int res)
{
	(void)op;
	return res;
}

static int reads_a_file(void *path)
{
	char byte;
	int fd = bp_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);

	expect(fd >= 0);
	expect_eq(bp_read(fd, &byte, 1, 0), 1);
	return bp_close(fd);
}

/* More of them than the default depth: files are read all the same, and a cancel ends them all. */
static void silent_receives_starve_nobody(struct test *t)
{
	enum {
		PAIRS = 64
	};
	const unsigned long n = scaled(driven(t) ? 200000 : 30000);
	struct silent *silent = calloc(n, sizeof(*silent));
	struct bp_group *g, *files;
	int fd[PAIRS][2];

	engine_with(t);
	g = group_with(t);
	files = group_with(t, .limit = 8);
	for (int i = 0; i < PAIRS; i++)
		expect_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd[i]), 0);
	for (unsigned long i = 0; i < n; i++) {
		silent[i] = (struct silent){.op = BP_OP_INIT(prep_silent, silent_done),
					    .fd = fd[i % PAIRS][0]};
		expect_eq(bp_go_op(g, &silent[i].op), 0);
	}
	until_in_flight(t, n);
	expect_eq(bp_engine_info(t->engine)->patient, n);
	expect(!bp_engine_info(t->engine)->full);
	for (int i = 0; i < 20; i++)
		expect_eq(bp_go(files, reads_a_file, (void *)"/proc/self/exe"), 0);
	expect_eq(bp_wait(files), 0);
	/* Some hear something, and the rest is ended. */
	for (int i = 0; i < PAIRS; i++)
		expect_eq(write(fd[i][1], "x", 1), 1);
	until_ended(t, g, PAIRS);
	bp_cancel(g, 0);
	expect_eq(bp_wait(g), -ECANCELED);
	expect_balanced(g);
	expect_eq(stats_of(g).succeeded, PAIRS);
	bp_group_destroy(g);
	bp_group_destroy(files);
	for (int i = 0; i < PAIRS; i++) {
		close(fd[i][0]);
		close(fd[i][1]);
	}
	free(silent);
}

static const struct test_case cases[] = {
	EACH_REAL_ROW(silent_receives_starve_nobody),
	EACH_ROW(cancel_wakes_tasks_that_stand_in_go),
	DRIVEN_ROWS(cancel_by_a_task_wakes_the_thread_that_drives),
	THREADED_REAL_ROWS(cancel_wakes_a_thread_that_stands_in_go),
	THREADED_REAL_ROWS(a_free_place_wakes_a_thread_that_stands_in_go),
	EACH_ROW(go_on_the_own_full_group_is_edeadlk),
	EACH_REAL_ROW(tasks_that_all_wait_for_each_others_places_are_told),
	EACH_ROW(go_in_a_callback_never_waits),
	EACH_ROW(go_in_a_callback_with_a_place_is_accepted),
	EACH_ROW(go_on_the_own_group_waits_while_a_sibling_can_end),
	EACH_ROW(try_go_succeeds_on_a_full_submission_queue_and_fails_at_the_limit),
	EACH_REAL_ROW(without_a_limit_the_ring_bounds_try_go),
	EACH_ROW(without_a_limit_go_waits_for_the_ring),
	EACH_ROW(try_go_in_a_task_at_the_limit_never_suspends),
	EACH_ROW(a_million_items_pass_a_ring_of_four),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
