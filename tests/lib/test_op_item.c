/* SPDX-License-Identifier: MIT */
/*
 * test_op_item - operation items: prep, done, rounds, several CQEs, use after the end
 */
#include <sys/eventfd.h>

#include "support/harness.h"

/* prep without done, or the other way round, is refused and nothing is accepted. */
static void an_operation_without_its_functions_is_refused(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = 2);
	struct nop_op op;

	nop_op_init(&op, 0, NULL);
	op.op.prep = NULL;
	expect_eq(bp_go_op(g, &op.op), -EINVAL);
	expect_eq(bp_try_go_op(g, &op.op), -EINVAL);
	nop_op_init(&op, 0, NULL);
	op.op.done = NULL;
	expect_eq(bp_go_op(g, &op.op), -EINVAL);
	expect_eq(bp_try_go_op(g, &op.op), -EINVAL);
	expect_eq(bp_wait(g), 0);
	expect_eq(stats_of(g).accepted, 0);
	bp_group_destroy(g);
}

/* The value of done is the item's end and what the report callback is told. */
static void the_value_of_done_is_the_end(struct test *t)
{
	struct tally tally = {0};
	struct bp_group *g = group_with(t, .stop_after_failures = 0, REPORT_TO(&tally));
	struct nop_op op[3];

	nop_op_init(&op[0], 0, NULL);
	nop_op_init(&op[1], 12345, NULL);
	nop_op_init(&op[2], -EDOM, NULL);
	for (int i = 0; i < 3; i++)
		expect_eq(bp_go_op(g, &op[i].op), 0);
	expect_eq(bp_wait(g), -EDOM);
	expect_eq(stats_of(g).succeeded, 2);
	expect_eq(stats_of(g).failed, 1);
	expect_eq(tally.first_failure, -EDOM);
	expect_tally(&tally, g);
	bp_group_destroy(g);
}

static void fills_nothing(struct bp_op *op, struct io_uring_sqe *sqe)
{
	(void)op;
	(void)sqe;
}

/* A prep() that fills nothing is refused; an earlier operation of that SQE is not done again. */
static void a_prep_that_fills_nothing_is_refused(struct test *t)
{
	struct bp_group *g = group_with(t, .stop_after_failures = 0);
	struct nop_op op;

	nop_op_init(&op, 0, NULL);
	op.op.prep = fills_nothing;
	expect_eq(bp_go_op(g, &op.op), 0);
	expect(bp_wait(g) < 0);
	expect_eq(stats_of(g).failed, 1);
	bp_group_destroy(g);
}

/* BP_OP_AGAIN: prep is called once more, and the item keeps its place meanwhile. */
static void rounds_keep_the_place(struct test *t)
{
	atomic_ulong count = 0;
	struct bp_group *g = group_with(t, .limit = 2);
	struct nop_op op[10];

	for (int i = 0; i < 10; i++) {
		nop_op_init(&op[i], 0, &count);
		op[i].again = 99;
		expect_eq(bp_go_op(g, &op[i].op), 0);
	}
	expect_eq(bp_wait(g), 0);
	expect_eq(count, 1000);
	expect_eq(stats_of(g).accepted, 10);
	expect(stats_of(g).peak <= 2);
	expect_balanced(g);
	bp_group_destroy(g);
}

/* A file is read in rounds of one operation each. */
struct reader {
	struct bp_op op;
	int fd;
	size_t offset, size;
	bool as_written;
	unsigned char buf[1000];
};

static void reader_prep(struct bp_op *op, struct io_uring_sqe *sqe)
{
	struct reader *r = CONTAINER(op, struct reader, op);

	io_uring_prep_read(sqe, r->fd, r->buf, sizeof(r->buf), r->offset);
}

static int reader_done(struct bp_op *op, int res)
{
	struct reader *r = CONTAINER(op, struct reader, op);

	if (res <= 0)
		return res;
	for (int i = 0; i < res; i++)
		r->as_written &= r->buf[i] == file_byte(r->offset + (size_t)i);
	r->offset += (size_t)res;
	return BP_OP_AGAIN;
}

static void a_file_is_read_in_rounds(struct test *t)
{
	enum {
		SIZE = 123456
	};
	struct bp_group *g = group_with(t, .limit = 4);
	struct reader r = {.op = BP_OP_INIT(reader_prep, reader_done),
			   .fd = temp_file(t, "rounds", SIZE, O_RDONLY),
			   .as_written = true};

	expect_eq(bp_go_op(g, &r.op), 0);
	expect_eq(bp_wait(g), 0);
	expect_eq(r.offset, SIZE);
	expect(r.as_written);
	bp_group_destroy(g);
	close(r.fd);
}

/* done sees the kernel's own result: nothing is tried again for it. */
struct raw {
	struct bp_op op;
	int fd, res, calls;
	char byte;
};

static void raw_prep(struct bp_op *op, struct io_uring_sqe *sqe)
{
	struct raw *r = CONTAINER(op, struct raw, op);

	io_uring_prep_recv(sqe, r->fd, &r->byte, 1, MSG_DONTWAIT);
}

static int raw_done(struct bp_op *op, int res)
{
	struct raw *r = CONTAINER(op, struct raw, op);

	r->calls++;
	r->res = res;
	return 0;
}

static void done_sees_eagain_as_it_is(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = 4);
	struct raw r = {.op = BP_OP_INIT(raw_prep, raw_done)};
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	r.fd = pair[0];
	expect_eq(bp_go_op(g, &r.op), 0);
	expect_eq(bp_wait(g), 0);
	expect_eq(r.calls, 1);
	expect_eq(r.res, -EAGAIN);
	bp_group_destroy(g);
	close(pair[0]);
	close(pair[1]);
}

/* The item's timeout ends the operation, and done sees -ETIMEDOUT, also in a later round. */
static int again_for_ever(struct bp_op *op, int res)
{
	struct crowd_op *c = CONTAINER(op, struct crowd_op, op);

	c->res = res;
	return res < 0 ? res : BP_OP_AGAIN;
}

static bool times_out_in_a_later_round(struct test *t, uint64_t ns)
{
	struct bp_group *g = group_with(t, .item_timeout_ns = ns, .stop_after_failures = 0);
	struct crowd_op standing;
	struct crowd crowd, open;
	struct crowd_op turning;

	crowd_init(&crowd);
	crowd_init(&open);
	gate_open(&open.gate);
	crowd_op_init(&standing, &crowd);
	crowd_op_init(&turning, &open);
	turning.op.done = again_for_ever;
	expect_eq(bp_go_op(g, &standing.op), 0);
	expect_eq(bp_go_op(g, &turning.op), 0);
	expect_eq(bp_wait(g), -ETIMEDOUT);
	expect_eq(standing.res, -ETIMEDOUT);
	expect_eq(stats_of(g).failed, 2);
	expect_eq(stats_of(g).stopped, 0);
	expect_balanced(g);
	bp_group_destroy(g);
	crowd_free(&crowd);
	crowd_free(&open);
	return turning.rounds > 1;
}

static void item_timeout_covers_all_rounds(struct test *t)
{
	in_time(t, 20 * MS, times_out_in_a_later_round);
}

/* After the cancel another round is not granted: the item ends as stopped. */
struct canceller {
	struct nop_op nop;
	struct bp_group *group;
	int calls;
};

static int cancel_and_ask_again(struct bp_op *op, int res)
{
	struct canceller *c = CONTAINER(op, struct canceller, nop.op);

	expect_eq(res, 0);
	c->calls++;
	bp_cancel(c->group, -EINTR);
	return BP_OP_AGAIN;
}

static void no_further_round_after_the_cancel(struct test *t)
{
	struct tally tally = {0};
	struct bp_group *g = group_with(t, REPORT_TO(&tally));
	struct canceller c = {.group = g};

	nop_op_init(&c.nop, 0, NULL);
	c.nop.op.done = cancel_and_ask_again;
	expect_eq(bp_go_op(g, &c.nop.op), 0);
	expect_eq(bp_wait(g), -EINTR);
	expect_eq(c.calls, 1);
	expect_eq(stats_of(g).stopped, 1);
	expect_tally(&tally, g);
	bp_group_destroy(g);
}

/* A success that came all the same stays one, though done cancelled the group meanwhile. */
static int cancel_and_succeed(struct bp_op *op, int res)
{
	struct canceller *c = CONTAINER(op, struct canceller, nop.op);

	bp_cancel(c->group, -EINTR);
	return res;
}

static void a_success_stays_one_after_the_cancel(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = 1);
	struct canceller c = {.group = g};

	nop_op_init(&c.nop, 0, NULL);
	c.nop.op.done = cancel_and_succeed;
	expect_eq(bp_go_op(g, &c.nop.op), 0);
	expect_eq(bp_wait(g), -EINTR);
	expect_eq(stats_of(g).succeeded, 1);
	expect_balanced(g);
	bp_group_destroy(g);
}

/* Multishot poll: done is called for each CQE; the first negative value ends the item. */
struct multishot {
	struct bp_op op;
	int fd;
	int shots, wanted, end;
};

static void multishot_prep(struct bp_op *op, struct io_uring_sqe *sqe)
{
	io_uring_prep_poll_multishot(sqe, CONTAINER(op, struct multishot, op)->fd, POLLIN);
}

static int multishot_done(struct bp_op *op, int res)
{
	struct multishot *m = CONTAINER(op, struct multishot, op);
	uint64_t one = 1;

	if (!(op->cqe_flags & IORING_CQE_F_MORE))
		return res;
	expect(res & POLLIN);
	m->shots++;
	expect_eq(read(m->fd, &one, sizeof(one)), sizeof(one));
	if (m->shots == m->wanted)
		return m->end;
	/* The next shot. */
	expect_eq(write(m->fd, &one, sizeof(one)), sizeof(one));
	return 0;
}

static void needs_multishot(struct test *t)
{
	if (t->row->backend == BP_BACKEND_THREADS)
		skip_because(t, "the threads backend has no multishot operations");
}

static void multishot_ends_at_the_first_negative_value(struct test *t)
{
	struct tally tally = {0};
	struct multishot m = {.op = BP_OP_INIT(multishot_prep, multishot_done),
			      .wanted = 5,
			      .end = -EDOM};
	struct bp_group *g;

	needs_multishot(t);
	g = group_with(t, .limit = 4, REPORT_TO(&tally));
	m.fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	expect_eq(bp_go_op(g, &m.op), 0);
	expect_eq(bp_wait(g), -EDOM);
	expect_eq(m.shots, 5);
	expect_eq(stats_of(g).failed, 1);
	expect_eq(tally.first_failure, -EDOM);
	expect_tally(&tally, g);
	bp_group_destroy(g);
	close(m.fd);
}

/* A cancelled multishot ends with its last CQE as stopped. */
static void a_cancelled_multishot_is_stopped(struct test *t)
{
	struct multishot m = {.op = BP_OP_INIT(multishot_prep, multishot_done)};
	struct bp_group *g;

	needs_multishot(t);
	g = group_with(t, .limit = 4);
	m.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	expect_eq(bp_go_op(g, &m.op), 0);
	until_in_flight(t, 1);
	bp_cancel(g, -EINTR);
	expect_eq(bp_wait(g), -EINTR);
	expect_eq(m.shots, 0);
	expect_eq(stats_of(g).stopped, 1);
	expect_balanced(g);
	bp_group_destroy(g);
	close(m.fd);
}

/* From the report callback on, the operation may be used again or freed. */
struct relay {
	struct bp_group *g;
	atomic_ulong *left;
};

static void use_again(void *ctx, void *arg, enum bp_end end, int result)
{
	struct relay *relay = ctx;
	struct bp_op *op = arg;

	expect_eq(end, BP_END_SUCCEEDED);
	expect_eq(result, 0);
	if (atomic_fetch_sub(relay->left, 1) <= 1) {
		free(CONTAINER(op, struct nop_op, op));
		return;
	}
	nop_op_init(CONTAINER(op, struct nop_op, op), 0, NULL);
	expect_eq(bp_try_go_op(relay->g, op), 0);
}

static void an_operation_is_used_again_in_its_report(struct test *t)
{
	unsigned long n = scaled(20000);
	atomic_ulong left = n;
	struct relay relay = {.left = &left};
	struct nop_op *op = malloc(sizeof(*op));

	assert_non_null(op);
	relay.g = group_with(t, .report = use_again, .report_arg = &relay);
	nop_op_init(op, 0, NULL);
	expect_eq(bp_go_op(relay.g, &op->op), 0);
	expect_eq(bp_wait(relay.g), 0);
	expect_eq(left, 0);
	expect_eq(stats_of(relay.g).accepted, n);
	expect_balanced(relay.g);
	bp_group_destroy(relay.g);
}

/* An operation whose prep() adds the next one to the group, and a task. */
struct link {
	struct nop_op nop;
	struct bp_group *g;
	struct link *next;
	bool try;
};

static void prep_and_add(struct bp_op *op, struct io_uring_sqe *sqe)
{
	struct link *link = CONTAINER(CONTAINER(op, struct nop_op, op), struct link, nop);
	struct bp_op *next = link->next ? &link->next->nop.op : NULL;

	io_uring_prep_nop(sqe);
	if (next)
		expect_eq(link->try ? bp_try_go_op(link->g, next) : bp_go_op(link->g, next), 0);
	expect_eq(bp_go(link->g, succeed, NULL), 0);
}

/*
 * A prep() is a callback: what it adds is accepted, and has its own prep() called in its turn, not
 * inside of this one, however long the chain is and although the ring has few places.
 */
static void prep_adds_items(struct test *t)
{
	unsigned long n = scaled(20000);
	struct link *links = calloc(n, sizeof(*links));
	atomic_ulong count = 0;
	struct bp_group *g;

	assert_non_null(links);
	engine_with(t, .depth = 64);
	g = group_with(t, .limit = BP_LIMIT_NONE);
	for (unsigned long i = 0; i < n; i++) {
		nop_op_init(&links[i].nop, 0, &count);
		links[i].nop.op.prep = prep_and_add;
		links[i].g = g;
		links[i].next = i + 1 < n ? &links[i + 1] : NULL;
		links[i].try = i % 2;
	}
	expect_eq(bp_go_op(g, &links[0].nop.op), 0);
	expect_eq(bp_wait(g), 0);
	expect_eq(count, n);
	expect_eq(stats_of(g).succeeded, 2 * n);
	bp_group_destroy(g);
	free(links);
}

/* Items of both kinds share one limit. */
static void tasks_and_operations_share_the_limit(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = 4);
	struct crowd crowd;
	struct crowd_op op[3];

	crowd_init(&crowd);
	expect_eq(bp_try_go(g, crowd_task, &crowd), 0);
	expect_eq(bp_try_go(g, crowd_task, &crowd), 0);
	for (int i = 0; i < 3; i++)
		crowd_op_init(&op[i], &crowd);
	expect_eq(bp_try_go_op(g, &op[0].op), 0);
	expect_eq(bp_try_go_op(g, &op[1].op), 0);
	expect_eq(bp_try_go_op(g, &op[2].op), -EAGAIN);
	expect_eq(bp_try_go(g, crowd_task, &crowd), -EAGAIN);
	gate_open(&crowd.gate);
	expect_eq(bp_wait(g), 0);
	expect_eq(crowd.passed, 4);
	expect_eq(stats_of(g).peak, 4);
	bp_group_destroy(g);
	crowd_free(&crowd);
}

/* A million items in flight are memory of the caller alone: a struct and an SQE's pass each. */
static void many_items_use_no_stacks(struct test *t)
{
	unsigned long n = scaled(30000);
	struct crowd_op *op = calloc(n, sizeof(*op));
	struct bp_group *g;
	struct crowd crowd;
	size_t stacks;

	assert_non_null(op);
	crowd_init(&crowd);
	engine_with(t, .depth = 65000);
	g = group_with(t, .limit = BP_LIMIT_NONE);
	stacks = bp_engine_info(t->engine)->stacks;
	for (unsigned long i = 0; i < n; i++) {
		crowd_op_init(&op[i], &crowd);
		if (!expect_eq(bp_go_op(g, &op[i].op), 0))
			break;
	}
	expect_eq(bp_engine_info(t->engine)->stacks, stacks);
	expect_eq(bp_engine_info(t->engine)->live_tasks, 0);
	gate_open(&crowd.gate);
	expect_eq(bp_wait(g), 0);
	expect_eq(crowd.passed, n);
	bp_group_destroy(g);
	crowd_free(&crowd);
	free(op);
}

static const struct test_case cases[] = {
	EACH_ROW(an_operation_without_its_functions_is_refused),
	EACH_ROW(the_value_of_done_is_the_end),
	EACH_ROW(a_prep_that_fills_nothing_is_refused),
	EACH_ROW(rounds_keep_the_place),
	EACH_ROW(a_file_is_read_in_rounds),
	EACH_ROW(done_sees_eagain_as_it_is),
	EACH_ROW(item_timeout_covers_all_rounds),
	EACH_ROW(no_further_round_after_the_cancel),
	EACH_ROW(a_success_stays_one_after_the_cancel),
	EACH_ROW(multishot_ends_at_the_first_negative_value),
	EACH_ROW(a_cancelled_multishot_is_stopped),
	EACH_ROW(an_operation_is_used_again_in_its_report),
	EACH_ROW(prep_adds_items),
	EACH_ROW(tasks_and_operations_share_the_limit),
	EACH_ROW(many_items_use_no_stacks),
};

int main(int argc, char **argv)
{
	return RUN_REAL_CASES(argc, argv, cases);
}
