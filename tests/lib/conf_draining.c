/* SPDX-License-Identifier: MIT */
/*
 * conf_draining - a group ends when its last operation has ended, not before and not never
 *
 * No cancel is lost, however many operations there are; none hits an operation that it was not
 * meant for; nothing is left behind. That buffers stay until then is in conf_buffers.c.
 */
#include "support/harness.h"

struct silent_recv {
	struct bp_op op;
	int fd;
	int res;
	int ends;
	char byte;
};

static void silent_recv_prep(struct bp_op *op, struct io_uring_sqe *sqe)
{
	struct silent_recv *r = CONTAINER(op, struct silent_recv, op);

	io_uring_prep_recv(sqe, r->fd, &r->byte, 1, 0);
}

static int silent_recv_done(struct bp_op *op, int res)
{
	struct silent_recv *r = CONTAINER(op, struct silent_recv, op);

	r->res = res;
	r->ends++;
	return res;
}

/*
 * 3,000 receives on sockets that say nothing; one operation fails: each receive is cancelled, in
 * bounded time, although they are many more than the submission queue holds. Source: zio#623.
 */
static void no_cancel_of_3000_silent_receives_is_lost(struct test *t)
{
	unsigned long n = under_valgrind() ? 300 : 3000;
	unsigned long pairs = (raise_nofile() - 200) / 2;
	struct silent_recv *recv = calloc(n, sizeof(*recv));
	int(*pair)[2] = calloc(n, sizeof(*pair));
	struct bp_group *g;
	struct nop_op failing;

	if (pairs > n)
		pairs = n;
	engine_with(t, .depth = 4096);
	g = group_with(t, .limit = BP_LIMIT_NONE);
	assert_true(recv && pair);
	for (unsigned long i = 0; i < pairs; i++)
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair[i]), 0);
	for (unsigned long i = 0; i < n; i++) {
		recv[i] = (struct silent_recv){.op = BP_OP_INIT(silent_recv_prep, silent_recv_done),
					       .fd = pair[i % pairs][0]};
		expect_eq(bp_go_op(g, &recv[i].op), 0);
	}
	until_in_flight(t, n);
	nop_op_init(&failing, -EIO, NULL);
	expect_eq(bp_go_op(g, &failing.op), 0);
	expect_eq(bp_wait(g), -EIO);
	for (unsigned long i = 0; i < n; i++) {
		if (!expect_eq(recv[i].ends, 1) || !expect_eq(recv[i].res, -ECANCELED))
			break;
	}
	expect_eq(stats_of(g).stopped, n);
	expect_between(stats_of(g).cancel_ns, 1, (under_valgrind() ? 60 : 10) * SECOND);
	expect_balanced(g);
	bp_group_destroy(g);
	for (unsigned long i = 0; i < pairs; i++) {
		close(pair[i][0]);
		close(pair[i][1]);
	}
	free(recv);
	free(pair);
}

static struct __kernel_timespec one_hour = {.tv_sec = 3600};

static void hour_prep(struct bp_op *op, struct io_uring_sqe *sqe)
{
	(void)op;
	io_uring_prep_timeout(sqe, &one_hour, 0, 0);
}

static int hour_done(struct bp_op *op, int res)
{
	(void)op;
	return res;
}

/* 100,000 timers in flight (50,000 on a single loop), cancelled: ends, and the counts add up. */
static void a_hundred_thousand_timers_in_flight_are_cancelled(struct test *t)
{
	unsigned long n = scaled(driven(t) ? 50000 : 100000);
	struct bp_op *op = calloc(n, sizeof(*op));
	struct tally tally = {0};
	struct bp_group *g;

	assert_non_null(op);
	engine_with(t, .depth = 65000);
	g = group_with(t, REPORT_TO(&tally));
	for (unsigned long i = 0; i < n; i++) {
		op[i] = (struct bp_op)BP_OP_INIT(hour_prep, hour_done);
		if (!expect_eq(bp_go_op(g, &op[i]), 0))
			break;
	}
	until_in_flight(t, n);
	bp_cancel(g, -EINTR);
	expect_eq(bp_wait(g), -EINTR);
	expect_eq(stats_of(g).accepted, n);
	expect_eq(stats_of(g).stopped, n);
	expect_eq(stats_of(g).peak, n);
	expect_tally(&tally, g);
	bp_group_destroy(g);
	free(op);
}

static int sleep_far(void *started)
{
	atomic_fetch_add((atomic_ulong *)started, 1);
	return bp_sleep(FAR_AWAY);
}

/* Likewise tasks that sleep. */
static void thousands_of_sleeping_tasks_are_cancelled(struct test *t)
{
	unsigned long n = live_tasks(10000);
	atomic_ulong started = 0;
	struct bp_group *g = group_with(t, .limit = BP_LIMIT_NONE);

	for (unsigned long i = 0; i < n; i++)
		expect_eq(bp_go(g, sleep_far, &started), 0);
	until_count(t, &started, n);
	bp_cancel(g, -EINTR);
	expect_eq(bp_wait(g), -EINTR);
	expect_eq(stats_of(g).stopped, n);
	expect_balanced(g);
	bp_group_destroy(g);
}

/* A write to a pipe of one page, which can only be short. */
struct short_write {
	struct bp_op op;
	struct bp_group *group;
	int fd;
	const char *buf;
	size_t len, written;
	int rounds;
};

static void short_write_prep(struct bp_op *op, struct io_uring_sqe *sqe)
{
	struct short_write *w = CONTAINER(op, struct short_write, op);

	w->rounds++;
	io_uring_prep_write(sqe, w->fd, w->buf + w->written, (unsigned int)(w->len - w->written),
			    0);
}

static int cancel_and_go_on(struct bp_op *op, int res)
{
	struct short_write *w = CONTAINER(op, struct short_write, op);

	if (res < 0)
		return res;
	w->written += (size_t)res;
	bp_cancel(w->group, -EINTR);
	return BP_OP_AGAIN;
}

static int drain(int fd)
{
	char buf[65536];
	int all = 0;
	ssize_t n;

	fcntl(fd, F_SETFL, O_NONBLOCK);
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		all += (int)n;
	return all;
}

struct pipe_read {
	struct bp_op op;
	int fd;
	int res;
	char byte;
};

static void pipe_read_prep(struct bp_op *op, struct io_uring_sqe *sqe)
{
	struct pipe_read *r = CONTAINER(op, struct pipe_read, op);

	io_uring_prep_read(sqe, r->fd, &r->byte, 1, 0);
}

static int pipe_read_done(struct bp_op *op, int res)
{
	struct pipe_read *r = CONTAINER(op, struct pipe_read, op);

	r->res = res;
	return res;
}

/* The same memory, first of a write that is cancelled, then of a read that must not be. */
struct reuse {
	union {
		struct short_write write;
		struct pipe_read read;
	} memory;
	struct bp_group *next;
	size_t written;
	int rounds;
	int answer;
};

static void read_with_the_memory_of_the_write(void *ctx, void *arg, enum bp_end end, int result)
{
	struct reuse *reuse = ctx;

	expect(arg == &reuse->memory.write.op);
	expect_eq(end, BP_END_STOPPED);
	expect_eq(result, -ECANCELED);
	reuse->written = reuse->memory.write.written;
	reuse->rounds = reuse->memory.write.rounds;
	reuse->memory.read = (struct pipe_read){.op = BP_OP_INIT(pipe_read_prep, pipe_read_done),
						.fd = reuse->answer};
	expect_eq(bp_try_go_op(reuse->next, &reuse->memory.read.op), 0);
}

/*
 * A short write is about to be armed again when the group is cancelled: the rest is not submitted.
 * The operation's memory then serves a read of another group at once, many times: no stale cancel
 * hits the read. Source: libxev#233.
 */
static void rest_of_a_short_write_is_not_submitted_and_its_memory_is_free(struct test *t)
{
	static char data[3 * 65536];
	int answer[2];

	assert_int_equal(pipe2(answer, O_CLOEXEC), 0);
	for (unsigned long round = 0; round < scaled(1000); round++) {
		struct bp_group *next = group_with(t, .limit = BP_LIMIT_NONE);
		struct reuse reuse = {.next = next, .answer = answer[0]};
		struct bp_group *g = group_with(t, .report = read_with_the_memory_of_the_write,
						.report_arg = &reuse);
		int pipes[2];

		assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
		reuse.memory.write =
			(struct short_write){.op = BP_OP_INIT(short_write_prep, cancel_and_go_on),
					     .group = g,
					     .fd = pipes[1],
					     .buf = data,
					     .len = sizeof(data)};
		expect_eq(bp_go_op(g, &reuse.memory.write.op), 0);
		expect_eq(bp_wait(g), -EINTR);
		expect_eq(reuse.rounds, 1);
		expect_between(reuse.written, 1, sizeof(data) - 1);
		expect_eq(drain(pipes[0]), reuse.written);
		bp_group_destroy(g);
		expect_eq(write(answer[1], "", 1), 1);
		expect_eq(bp_wait(next), 0);
		expect_eq(reuse.memory.read.res, 1);
		bp_group_destroy(next);
		close(pipes[0]);
		close(pipes[1]);
	}
	close(answer[0]);
	close(answer[1]);
}

struct assembly {
	struct crowd crowd;
	struct bp_group *group;
	atomic_ulong here;
	unsigned long expected;
};

static int yield_until_at_least(atomic_ulong *counter, unsigned long number)
{
	int err = 0;

	while (!err && atomic_load(counter) < number)
		err = bp_yield();
	return err;
}

/*
 * Nobody enters the ring before all are here, for a full ring would start no more of them. The last
 * to come lets the others stand in it, then cancels them and itself.
 */
static int stand_when_all_are_here(void *arg)
{
	struct assembly *assembly = arg;
	bool last = atomic_fetch_add(&assembly->here, 1) + 1 == assembly->expected;
	int err = yield_until_at_least(&assembly->here, assembly->expected);

	if (!err && last) {
		err = yield_until_at_least(&assembly->crowd.started, assembly->expected - 1);
		bp_cancel(assembly->group, -EINTR);
	}
	return err ? err : crowd_task(&assembly->crowd);
}

/* More tasks stand in an operation than the ring has places: those not submitted end as well. */
static void operations_that_wait_for_the_ring_are_cancelled_too(struct test *t)
{
	enum {
		TASKS = 40
	};
	struct assembly assembly = {.expected = TASKS};
	struct tally tally = {0};

	crowd_init(&assembly.crowd);
	engine_with(t, .depth = 4);
	assembly.group = group_with(t, .limit = TASKS, REPORT_TO(&tally));
	for (int i = 0; i < TASKS; i++)
		expect_eq(bp_go(assembly.group, stand_when_all_are_here, &assembly), 0);
	expect_eq(bp_wait(assembly.group), -EINTR);
	expect_eq(assembly.crowd.cancelled, TASKS);
	expect_eq(stats_of(assembly.group).stopped, TASKS);
	expect_tally(&tally, assembly.group);
	bp_group_destroy(assembly.group);
	crowd_free(&assembly.crowd);
}

struct written_task {
	struct bp_group *group;
	int fd;
	size_t written;
};

static int write_all_but_cancel_after_the_first(void *arg)
{
	static char data[3 * 65536];
	struct written_task *w = arg;

	while (w->written < sizeof(data)) {
		ssize_t n = bp_write(w->fd, data + w->written, sizeof(data) - w->written, 0);

		if (n < 0)
			return (int)n;
		w->written += (size_t)n;
		bp_cancel(w->group, -EINTR);
	}
	return 0;
}

/* The same in a task: the second bp_write() is not submitted. */
static void a_task_does_not_write_the_rest_after_the_cancel(struct test *t)
{
	struct written_task w = {.group = group_with(t, .limit = 1)};
	int pipes[2];

	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	w.fd = pipes[1];
	expect_eq(bp_go(w.group, write_all_but_cancel_after_the_first, &w), 0);
	expect_eq(bp_wait(w.group), -EINTR);
	expect_eq(stats_of(w.group).stopped, 1);
	expect_between(w.written, 1, 3 * 65536 - 1);
	expect_eq(drain(pipes[0]), w.written);
	bp_group_destroy(w.group);
	close(pipes[0]);
	close(pipes[1]);
}

static void refused_prep(struct bp_op *op, struct io_uring_sqe *sqe)
{
	(void)op;
	io_uring_prep_nop(sqe);
	sqe->opcode = 255;
}

static int plain_done(struct bp_op *op, int res)
{
	(void)op;
	return res;
}

/*
 * The first operation of a batch is refused inside io_uring_enter(): the later ones of the batch
 * are cancelled, the unsubmitted ones end as never started, nothing hangs.
 */
static void refusal_at_submit_ends_the_whole_batch(struct test *t)
{
	enum {
		MANY = 600
	};
	struct tally tally = {0};
	struct bp_group *g = group_with(t, .limit = 400, REPORT_TO(&tally));
	struct crowd_op *op = calloc(MANY, sizeof(*op));
	struct bp_op refused = BP_OP_INIT(refused_prep, plain_done);
	struct crowd crowd;
	uint64_t accepted = 1;

	assert_non_null(op);
	crowd_init(&crowd);
	expect_eq(bp_go_op(g, &refused), 0);
	for (int i = 0; i < MANY; i++) {
		int err;

		crowd_op_init(&op[i], &crowd);
		err = bp_go_op(g, &op[i].op);
		expect(err == 0 || err == -ECANCELED);
		accepted += err == 0;
	}
	expect_eq(bp_wait(g), -EINVAL);
	expect_eq(crowd.passed, 0);
	expect_eq(stats_of(g).accepted, accepted);
	expect_eq(stats_of(g).failed, 1);
	expect_eq(stats_of(g).stopped + stats_of(g).never_started, accepted - 1);
	expect_tally(&tally, g);
	bp_group_destroy(g);
	crowd_free(&crowd);
	free(op);
}

/* The same where the others never had a chance: a loop that stands still takes nothing. */
static void items_that_no_loop_took_end_as_never_started(struct test *t)
{
	struct tally tally = {0};
	struct bp_group *g = group_with(t, REPORT_TO(&tally));
	struct crowd crowd;

	crowd_init(&crowd);
	for (int i = 0; i < 50; i++)
		expect_eq(bp_go(g, crowd_task, &crowd), 0);
	bp_cancel(g, -EINTR);
	expect_eq(bp_wait(g), -EINTR);
	expect_eq(crowd.passed, 0);
	expect_eq(stats_of(g).stopped + stats_of(g).never_started, 50);
	if (driven(t))
		expect_eq(stats_of(g).never_started, 50 - crowd.started);
	expect_tally(&tally, g);
	bp_group_destroy(g);
	crowd_free(&crowd);
}

static int hold_a_descriptor(void *arg)
{
	struct crowd *crowd = arg;
	int fd = bp_openat(AT_FDCWD, "/dev/null", O_RDONLY | O_CLOEXEC, 0);
	char *buf = malloc(1000);
	int err;

	if (fd < 0)
		return free(buf), fd;
	atomic_fetch_add(&crowd->started, 1);
	err = gate_wait(&crowd->gate);
	free(buf);
	expect_eq(bp_close(fd), 0);
	crowd->cancelled += err == -ECANCELED;
	return err;
}

/* Destroy without a wait: cancelled and drained; no stack, descriptor or buffer is left. */
static void destroy_without_wait_leaves_nothing(struct test *t)
{
	struct tally tally = {0};
	struct bp_group *g = group_with(t, REPORT_TO(&tally));
	struct bp_group *child = group_with(t, .parent = g);
	struct crowd_op op[20];
	struct crowd crowd;

	crowd_init(&crowd);
	for (int i = 0; i < 20; i++) {
		crowd_op_init(&op[i], &crowd);
		expect_eq(bp_go_op(g, &op[i].op), 0);
		expect_eq(bp_go(g, hold_a_descriptor, &crowd), 0);
		expect_eq(bp_go(child, crowd_task, &crowd), 0);
	}
	until_count(t, &crowd.started, 60);
	bp_group_destroy(child);
	bp_group_destroy(g);
	expect_eq(crowd.cancelled, 60);
	expect_eq(crowd.passed, 0);
	expect_eq(tally.calls, 40);
	expect_eq(tally.end[BP_END_STOPPED], 40);
	expect_eq(bp_engine_info(t->engine)->in_flight, 0);
	expect_eq(bp_engine_info(t->engine)->live_tasks, 0);
	crowd_free(&crowd);
}

/* ... and at once, when the items may not have started yet. */
static void destroy_at_once_leaves_nothing(struct test *t)
{
	struct crowd crowd;

	crowd_init(&crowd);
	for (unsigned long round = 0; round < scaled(200); round++) {
		struct tally tally = {0};
		struct bp_group *g = group_with(t, REPORT_TO(&tally));

		for (int i = 0; i < 10; i++)
			expect_eq(bp_go(g, hold_a_descriptor, &crowd), 0);
		bp_group_destroy(g);
		expect_eq(tally.calls, 10);
		expect_eq(tally.end[BP_END_FAILED] + tally.end[BP_END_SUCCEEDED], 0);
	}
	expect_eq(crowd.passed, 0);
	crowd_free(&crowd);
}

static const struct test_case cases[] = {
	EACH_REAL_ROW(no_cancel_of_3000_silent_receives_is_lost),
	EACH_ROW(a_hundred_thousand_timers_in_flight_are_cancelled),
	EACH_ROW(thousands_of_sleeping_tasks_are_cancelled),
	EACH_ROW(operations_that_wait_for_the_ring_are_cancelled_too),
	EACH_REAL_ROW(rest_of_a_short_write_is_not_submitted_and_its_memory_is_free),
	EACH_REAL_ROW(a_task_does_not_write_the_rest_after_the_cancel),
	EACH_REAL_ROW(refusal_at_submit_ends_the_whole_batch),
	EACH_ROW(items_that_no_loop_took_end_as_never_started),
	EACH_REAL_ROW(destroy_without_wait_leaves_nothing),
	EACH_REAL_ROW(destroy_at_once_leaves_nothing),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
