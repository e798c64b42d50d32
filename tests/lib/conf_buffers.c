/* SPDX-License-Identifier: MIT */
/*
 * conf_buffers - a buffer is the operation's until the operation's own last CQE
 *
 * Whatever a cancel's answer said. A zero-copy send has two CQEs: the result, and later the
 * notification that the kernel is done with the buffer; only the second ends the item.
 */
#include <netinet/in.h>
#include <sys/mman.h>

#include "support/harness.h"

#define BIG_FILE (48u << 20)

struct busy_read {
	struct bp_op op;
	int fd;
	unsigned char sqe_flags;
	unsigned char *buf;
	size_t len;
	atomic_ulong *begun;
	int res;
	int ends;
};

static void busy_read_prep(struct bp_op *op, struct io_uring_sqe *sqe)
{
	struct busy_read *r = CONTAINER(op, struct busy_read, op);

	atomic_fetch_add(r->begun, 1);
	io_uring_prep_read(sqe, r->fd, r->buf, (unsigned int)r->len, 0);
	/* Handed to a kernel worker, where a cancel finds it running: EALREADY. */
	sqe->flags |= r->sqe_flags;
}

static int busy_read_done(struct bp_op *op, int res)
{
	struct busy_read *r = CONTAINER(op, struct busy_read, op);

	r->res = res;
	r->ends++;
	return res;
}

/* What arrived is the file's, and once the group has ended nothing more arrives. */
static void expect_read_is_over(struct test *t, const struct busy_read *r)
{
	expect_eq(r->ends, 1);
	expect(r->res == -ECANCELED || r->res > 0);
	for (int i = 0; i < r->res; i += 4001) {
		if (r->buf[i] != file_byte((size_t)i)) {
			expect(!"the buffer holds what was read");
			break;
		}
	}
	memset(r->buf, 0xaa, r->len);
	many_turns(t);
	for (size_t i = 0; i < r->len; i += 509) {
		if (r->buf[i] != 0xaa) {
			expect(!"nobody wrote to the buffer after the group's end");
			break;
		}
	}
}

static void reads_that_run_while_a_sibling_fails(struct test *t, int fd, unsigned char sqe_flags)
{
	enum {
		READS = 4
	};
	size_t len = under_valgrind() || UNDER_TSAN ? BIG_FILE / 8 : BIG_FILE;
	struct tally tally = {0};
	struct bp_group *g = group_with(t, REPORT_TO(&tally));
	struct busy_read r[READS];
	atomic_ulong begun = 0;
	int eio = -EIO;
	uint64_t kept = 0;

	for (int i = 0; i < READS; i++) {
		r[i] = (struct busy_read){.op = BP_OP_INIT(busy_read_prep, busy_read_done),
					  .fd = fd,
					  .sqe_flags = sqe_flags,
					  .len = len,
					  .begun = &begun};
		r[i].buf =
			mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		assert_true(r[i].buf != MAP_FAILED);
		expect_eq(bp_go_op(g, &r[i].op), 0);
	}
	until_count(t, &begun, READS);
	expect_eq(bp_go(g, fail_with, &eio), 0);
	expect_eq(bp_wait(g), -EIO);
	for (int i = 0; i < READS; i++) {
		expect_read_is_over(t, &r[i]);
		kept += r[i].res > 0;
		munmap(r[i].buf, len);
	}
	/* A read that was faster than the cancel stays a success. */
	expect_eq(stats_of(g).succeeded, kept);
	expect_eq(stats_of(g).stopped, READS - kept);
	expect_eq(stats_of(g).failed, 1);
	expect_tally(&tally, g);
	bp_group_destroy(g);
}

/*
 * Reads that a kernel worker carries out and that no cancel can end are in flight while a sibling
 * fails: bp_wait() returns only after their own CQEs, and a byte count that won is kept.
 * Source: Photon#1270, which returned before the CQE: use after free.
 */
static void wait_outlasts_reads_that_cannot_be_cancelled(struct test *t)
{
	int fd = temp_file(t, "big", BIG_FILE, O_RDONLY);

	reads_that_run_while_a_sibling_fails(t, fd, IOSQE_ASYNC);
	close(fd);
}

static void wait_outlasts_direct_reads(struct test *t)
{
	int fd = temp_file(t, "big", BIG_FILE, O_RDONLY | O_DIRECT);

	if (fd < 0)
		skip_because(t, "the temporary directory's file system has no O_DIRECT");
	fsync(fd);
	reads_that_run_while_a_sibling_fails(t, fd, 0);
	close(fd);
}

struct slow_sync {
	int fd;
	atomic_ulong *begun;
	int res;
};

static int sync_in_task(void *arg)
{
	struct slow_sync *s = arg;

	atomic_fetch_add(s->begun, 1);
	s->res = bp_fsync(s->fd, 0);
	return s->res;
}

/* Likewise fsync in a task: its end is its own result, or the cancel's if it had not begun. */
static void wait_outlasts_an_fsync(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = BP_LIMIT_NONE);
	atomic_ulong begun = 0;
	struct slow_sync s = {temp_file(t, "dirty", BIG_FILE / 4, O_RDWR), &begun, 1};
	int eio = -EIO;

	expect_eq(bp_go(g, sync_in_task, &s), 0);
	until_count(t, &begun, 1);
	expect_eq(bp_go(g, fail_with, &eio), 0);
	expect_eq(bp_wait(g), -EIO);
	expect(s.res == 0 || s.res == -ECANCELED);
	expect_eq(stats_of(g).succeeded, s.res == 0);
	expect_balanced(g);
	bp_group_destroy(g);
	close(s.fd);
}

/* ---------------------------------------------------------------- zero-copy send */

#define PAYLOAD 200000

struct zc_send {
	struct bp_op op;
	int fd;
	unsigned char *buf;
	int result;
	int cqes, notifications;
	int ended;
};

static void zc_prep(struct bp_op *op, struct io_uring_sqe *sqe)
{
	struct zc_send *z = CONTAINER(op, struct zc_send, op);

	io_uring_prep_send_zc(sqe, z->fd, z->buf, PAYLOAD, MSG_WAITALL, 0);
}

static int zc_done(struct bp_op *op, int res)
{
	struct zc_send *z = CONTAINER(op, struct zc_send, op);

	z->cqes++;
	expect_eq(z->ended, 0);
	if (op->cqe_flags & IORING_CQE_F_NOTIF) {
		expect(!(op->cqe_flags & IORING_CQE_F_MORE));
		z->notifications++;
		return z->result;
	}
	z->result = res;
	return res;
}

static void zc_reported(void *ctx, void *arg, enum bp_end end, int result)
{
	struct zc_send *z = ctx;

	(void)end;
	(void)result;
	expect(arg == &z->op);
	/* The group's word that the buffer is free. */
	z->ended++;
	memset(z->buf, 0xff, PAYLOAD);
}

/* A pair of connected sockets of TCP on the loopback, where zero-copy is possible. */
static void tcp_pair(int pair[2])
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(addr);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&addr, &len), 0);
	pair[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(pair[0], (struct sockaddr *)&addr, sizeof(addr)), 0);
	pair[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(pair[1] >= 0);
	close(listener);
}

struct receiver {
	int fd;
	size_t got;
	bool as_sent;
};

static int receive_all(void *arg)
{
	struct receiver *r = arg;
	unsigned char buf[4096] = "";

	r->as_sent = true;
	while (r->got < PAYLOAD) {
		ssize_t n = bp_recv(r->fd, buf, sizeof(buf), 0);

		if (n <= 0)
			return n < 0 ? (int)n : -EPIPE;
		for (ssize_t i = 0; i < n; i++)
			r->as_sent &= buf[i] == file_byte(r->got + (size_t)i);
		r->got += (size_t)n;
	}
	return 0;
}

static unsigned char *payload(void)
{
	unsigned char *buf = malloc(PAYLOAD);

	assert_non_null(buf);
	for (size_t i = 0; i < PAYLOAD; i++)
		buf[i] = file_byte(i);
	return buf;
}

static bool has_send_zc(void)
{
	struct io_uring_probe *probe = io_uring_get_probe();
	bool has = probe && io_uring_opcode_supported(probe, IORING_OP_SEND_ZC);

	io_uring_free_probe(probe);
	return has;
}

/*
 * The item ends at its notification; what the receiver gets is what stood in the buffer.
 * Source: liburing#963.
 */
static void zero_copy_item_ends_at_its_notification(struct test *t)
{
	struct receiver receiver = {0};
	struct zc_send z = {.op = BP_OP_INIT(zc_prep, zc_done)};
	struct bp_group *g, *receivers;
	int pair[2];

	if (!has_send_zc())
		skip_because(t, "the kernel has no zero-copy send (6.0)");
	z.buf = payload();
	tcp_pair(pair);
	z.fd = pair[0];
	receiver.fd = pair[1];
	g = group_with(t, .report = zc_reported, .report_arg = &z);
	receivers = group_with(t, .limit = 1);
	expect_eq(bp_go(receivers, receive_all, &receiver), 0);
	expect_eq(bp_go_op(g, &z.op), 0);
	expect_eq(bp_wait(g), 0);
	expect_eq(z.ended, 1);
	expect_eq(z.result, PAYLOAD);
	expect_eq(z.notifications, 1);
	expect_eq(z.cqes, 2);
	expect_eq(bp_wait(receivers), 0);
	expect(receiver.as_sent);
	bp_group_destroy(g);
	bp_group_destroy(receivers);
	free(z.buf);
	close(pair[0]);
	close(pair[1]);
}

/* Cancelled while nobody receives: the buffer is still the kernel's until the last CQE. */
static void cancelled_zero_copy_item_ends_at_its_last_cqe(struct test *t)
{
	struct zc_send z = {.op = BP_OP_INIT(zc_prep, zc_done)};
	int pair[2], small = 4096;
	struct bp_group *g;

	if (!has_send_zc())
		skip_because(t, "the kernel has no zero-copy send (6.0)");
	z.buf = payload();
	tcp_pair(pair);
	setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	z.fd = pair[0];
	g = group_with(t, .report = zc_reported, .report_arg = &z);
	expect_eq(bp_go_op(g, &z.op), 0);
	until_in_flight(t, 1);
	bp_cancel(g, -EINTR);
	/* Data that was queued pins the buffer; it goes away with the connection. */
	close(pair[1]);
	expect_eq(bp_wait(g), -EINTR);
	expect_eq(z.ended, 1);
	expect_between(z.cqes, 1, 2);
	expect_eq(z.cqes, 1 + z.notifications);
	expect_balanced(g);
	bp_group_destroy(g);
	free(z.buf);
	close(pair[0]);
}

struct zc_task {
	int fd;
	unsigned char *buf;
	int res;
};

static int send_zero_copy(void *arg)
{
	struct zc_task *z = arg;

	io_uring_prep_send_zc(bp_sqe(), z->fd, z->buf, PAYLOAD, MSG_WAITALL, 0);
	z->res = bp_await();
	memset(z->buf, 0xff, PAYLOAD);
	return z->res;
}

/* In a task bp_await() returns the send's result, but only when the buffer is free. */
static void awaited_zero_copy_send_returns_when_the_buffer_is_free(struct test *t)
{
	struct receiver receiver = {0};
	struct zc_task z = {0};
	struct bp_group *g;
	int pair[2];

	if (!has_send_zc())
		skip_because(t, "the kernel has no zero-copy send (6.0)");
	z.buf = payload();
	tcp_pair(pair);
	z.fd = pair[0];
	receiver.fd = pair[1];
	g = group_with(t, .limit = 2);
	expect_eq(bp_go(g, send_zero_copy, &z), 0);
	expect_eq(bp_go(g, receive_all, &receiver), 0);
	expect_eq(bp_wait(g), 0);
	expect_eq(z.res, PAYLOAD);
	expect(receiver.as_sent);
	bp_group_destroy(g);
	free(z.buf);
	close(pair[0]);
	close(pair[1]);
}

static const struct test_case cases[] = {
	EACH_REAL_ROW(wait_outlasts_reads_that_cannot_be_cancelled),
	EACH_REAL_ROW(wait_outlasts_direct_reads),
	EACH_REAL_ROW(wait_outlasts_an_fsync),
	EACH_REAL_ROW(zero_copy_item_ends_at_its_notification),
	EACH_REAL_ROW(cancelled_zero_copy_item_ends_at_its_last_cqe),
	EACH_REAL_ROW(awaited_zero_copy_send_returns_when_the_buffer_is_free),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
