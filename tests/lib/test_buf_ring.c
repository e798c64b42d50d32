/* SPDX-License-Identifier: MIT */
/*
 * test_buf_ring - many receives from few buffers, in tasks and in operation items
 *
 * What is sent is the numbers of its bytes, so that a piece which is lost, doubled or out of order shows. On
 * io_uring all of it is done with the kernel's rings, and then as on a kernel without them.
 */
#include <netinet/in.h>
#include <sys/socket.h>

#include "op.h"
#include "support/harness.h"

#define NEWER (UINT64_MAX << IORING_OP_SPLICE)
#define CONNECTIONS 12
#define PIECES 40

static void both_ways(struct test *t, void (*fn)(struct test *t))
{
	op_missing = 0;
	fn(t);
	if (t->row->backend == BP_BACKEND_URING) {
		op_missing = NEWER;
		fn(t);
		op_missing = 0;
	}
}

struct scene {
	struct bp_buf_ring *ring;
	struct bp_group *g;
	struct sockaddr_in addr;
	int listener;
	int fds[CONNECTIONS][2];
	bool echo;
	atomic_ulong begun, ended, bytes;
};

/* ---------------------------------------------------------------- connections, made by operations */

static int connect_all(void *arg)
{
	struct scene *s = arg;

	for (int i = 0; i < CONNECTIONS; i++) {
		s->fds[i][0] = bp_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		expect_eq(bp_connect(s->fds[i][0], (struct sockaddr *)&s->addr, sizeof(s->addr)),
			  0);
		s->fds[i][1] = bp_accept(s->listener, NULL, NULL, SOCK_CLOEXEC);
		expect(s->fds[i][1] >= 0);
	}
	return 0;
}

static int listen_again(void *arg)
{
	struct scene *s = arg;
	socklen_t len = sizeof(s->addr);

	if (current_test()->row->backend != BP_BACKEND_SIM)
		s->addr.sin_port = 0;
	s->listener = bp_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	expect_eq(bp_bind(s->listener, (struct sockaddr *)&s->addr, len), 0);
	expect_eq(bp_listen(s->listener, CONNECTIONS), 0);
	if (current_test()->row->backend != BP_BACKEND_SIM)
		expect_eq(getsockname(s->listener, (struct sockaddr *)&s->addr, &len), 0);
	return 0;
}

static int listen_here(void *arg)
{
	expect_eq(listen_again(arg), 0);
	return connect_all(arg);
}

static int close_all(void *arg)
{
	struct scene *s = arg;

	for (int i = 0; i < CONNECTIONS; i++)
		for (int k = 0; k < 2; k++)
			if (s->fds[i][k] >= 0)
				expect_eq(bp_close(s->fds[i][k]), 0);
	return bp_close(s->listener);
}

static void scene_init(struct scene *s, struct test *t, unsigned int buffers, size_t size)
{
	memset(s, 0, sizeof(*s));
	s->addr = (struct sockaddr_in){.sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	if (t->row->backend == BP_BACKEND_SIM)
		s->addr.sin_port = htons(80);
	s->g = group_with(t, .limit = BP_LIMIT_NONE);
	expect_eq(run_task(t, listen_here, s), 0);
	expect_eq(bp_buf_ring_create(&s->ring, t->engine, buffers, size), 0);
}

static void scene_free(struct scene *s, struct test *t)
{
	bp_group_destroy(s->g);
	expect_eq(run_task(t, close_all, s), 0);
	/* Ends the program where a buffer was not given back. */
	bp_buf_ring_destroy(s->ring);
}

/* ---------------------------------------------------------------- both ends */

struct end {
	struct scene *s;
	int number;
};

static int sender(void *arg)
{
	const struct end *e = arg;
	int fd = e->s->fds[e->number][0];
	unsigned char buf[10], back[10] = {0};
	unsigned int at = 0;

	for (int i = 0; i < PIECES; i++) {
		for (size_t k = 0; k < sizeof(buf); k++)
			buf[k] = (unsigned char)at++;
		for (size_t sent = 0; sent < sizeof(buf);) {
			ssize_t n = bp_send(fd, buf + sent, sizeof(buf) - sent, 0);

			if (!expect(n > 0))
				return (int)n;
			sent += (size_t)n;
		}
		for (size_t got = 0; e->s->echo && got < sizeof(back);) {
			ssize_t n = bp_recv(fd, back + got, sizeof(back) - got, 0);

			if (!expect(n > 0))
				return (int)n;
			expect_eq(memcmp(back + got, buf + got, (size_t)n), 0);
			got += (size_t)n;
		}
		if (i % 7 == e->number % 7)
			bp_yield();
	}
	return bp_shutdown(fd, SHUT_WR);
}

static int receiver(void *arg)
{
	const struct end *e = arg;
	int fd = e->s->fds[e->number][1];
	struct bp_recv_multi m;
	unsigned int at = 0;
	void *data;
	ssize_t n;

	expect_eq(bp_recv_multi_begin(&m, fd, e->s->ring, 0), 0);
	while ((n = bp_recv_multi_next(&m, &data)) > 0) {
		const unsigned char *bytes = data;

		for (ssize_t i = 0; i < n; i++)
			if (bytes[i] != (unsigned char)at++)
				return expect(!"out of order"), -EIO;
		/* The piece is ours meanwhile, and others wait for its buffer. */
		if (at % 3 == 0)
			expect_eq(bp_sleep(MS / 10), 0);
		for (ssize_t sent = 0; e->s->echo && sent < n;) {
			ssize_t k = bp_send(fd, bytes + sent, (size_t)(n - sent), 0);

			if (!expect(k > 0))
				break;
			sent += k;
		}
	}
	expect_eq(n, 0);
	expect_eq(bp_recv_multi_next(&m, &data), 0);
	bp_recv_multi_end(&m);
	expect_eq(at, PIECES * 10);
	atomic_fetch_add(&e->s->bytes, at);
	return 0;
}

static void all_talk(struct test *t, bool echo)
{
	struct scene s;

	scene_init(&s, t, 3, 7);
	s.echo = echo;
	for (int i = 0; i < CONNECTIONS; i++) {
		struct end e = {&s, i};

		expect_eq(bp_go_copy(s.g, receiver, &e, sizeof(e)), 0);
		expect_eq(bp_go_copy(s.g, sender, &e, sizeof(e)), 0);
	}
	expect_eq(bp_wait(s.g), 0);
	expect_eq(s.bytes, CONNECTIONS * PIECES * 10);
	scene_free(&s, t);
}

static void streams(struct test *t)
{
	all_talk(t, false);
}

static void echoes(struct test *t)
{
	all_talk(t, true);
}

static void tasks_receive_from_few_buffers(struct test *t)
{
	both_ways(t, streams);
}

static void a_task_sends_while_it_receives(struct test *t)
{
	both_ways(t, echoes);
}

/* ---------------------------------------------------------------- ended early */

static int send_one(void *arg)
{
	const struct end *e = arg;

	return bp_send(e->s->fds[e->number][0], "0123456789", 10, 0) == 10 ? 0 : -EIO;
}

/* The first to come holds the only buffer until it is told to let go. */
static int holds(void *arg)
{
	const struct end *e = arg;
	struct bp_recv_multi m;
	void *data;

	expect_eq(bp_recv_multi_begin(&m, e->s->fds[e->number][1], e->s->ring, 0), 0);
	expect_eq(bp_recv_multi_next(&m, &data), 10);
	e->s->begun++;
	while (e->s->begun < 4)
		expect_eq(bp_sleep(MS / 10), 0);
	bp_recv_multi_end(&m);
	return 0;
}

static int receives_one(void *arg)
{
	const struct end *e = arg;
	struct bp_recv_multi m;
	void *data;
	ssize_t n;

	expect_eq(bp_recv_multi_begin(&m, e->s->fds[e->number][1], e->s->ring, 0), 0);
	e->s->begun++;
	n = bp_recv_multi_next(&m, &data);
	bp_recv_multi_end(&m);
	e->s->ended++;
	return n < 0 ? (int)n : 0;
}

/* The free buffer is not kept from who has something to receive by who stood in front of it. */
static void passed(struct test *t)
{
	struct end end[3];
	struct scene s;

	scene_init(&s, t, 1, 100);
	for (int i = 0; i < 3; i++)
		end[i] = (struct end){&s, i};
	expect_eq(run_task(t, send_one, &end[0]), 0);
	expect_eq(bp_go_on(s.g, 0, holds, &end[0]), 0);
	until_count(t, &s.begun, 1);
	for (int i = 1; i < 3; i++) {
		expect_eq(bp_go_on(s.g, 0, receives_one, &end[i]), 0);
		until_count(t, &s.begun, (unsigned long)i + 1);
		many_turns(t);
	}
	expect_eq(run_task(t, send_one, &end[2]), 0);
	s.begun++;
	until_count(t, &s.ended, 1);
	bp_cancel(s.g, -EPIPE);
	expect_eq(bp_wait(s.g), -EPIPE);
	scene_free(&s, t);
}

static void a_silent_one_does_not_keep_the_buffer(struct test *t)
{
	both_ways(t, passed);
}

/* One holds the only buffer, the others wait for it or for something to come. */
static int hold_or_wait(void *arg)
{
	const struct end *e = arg;
	struct bp_recv_multi m;
	void *data;
	ssize_t n;

	expect_eq(bp_recv_multi_begin(&m, e->s->fds[e->number][1], e->s->ring, 0), 0);
	atomic_fetch_add(&e->s->begun, 1);
	n = bp_recv_multi_next(&m, &data);
	if (n > 0) {
		n = bp_sleep(FAR_AWAY);
		expect_eq(bp_recv_multi_next(&m, &data), -ECANCELED);
	}
	bp_recv_multi_end(&m);
	atomic_fetch_add(&e->s->ended, 1);
	expect_eq(n, -ECANCELED);
	return (int)n;
}

static void cancelled(struct test *t)
{
	struct scene s;

	scene_init(&s, t, 1, 100);
	for (int i = 0; i < CONNECTIONS; i++) {
		struct end e = {&s, i};

		expect_eq(bp_go_copy(s.g, hold_or_wait, &e, sizeof(e)), 0);
	}
	until_count(t, &s.begun, CONNECTIONS);
	for (int i = 0; i < CONNECTIONS / 2; i++) {
		struct end e = {&s, i};

		expect_eq(run_task(t, send_one, &e), 0);
	}
	many_turns(t);
	expect_eq(s.ended, 0);
	bp_cancel(s.g, -EPIPE);
	expect_eq(bp_wait(s.g), -EPIPE);
	expect_eq(s.ended, CONNECTIONS);
	scene_free(&s, t);
}

static void what_receives_is_ended_by_a_cancel(struct test *t)
{
	both_ways(t, cancelled);
}

static int time_out(void *arg)
{
	const struct end *e = arg;
	struct bp_timeout scope;
	struct bp_recv_multi m;
	void *data;

	expect_eq(bp_recv_multi_begin(&m, e->s->fds[0][1], e->s->ring, 0), 0);
	bp_timeout_begin(&scope, MS);
	expect_eq(bp_recv_multi_next(&m, &data), -ETIMEDOUT);
	expect_eq(bp_timeout_end(&scope), -ETIMEDOUT);
	/* It goes on after that. */
	expect_eq(bp_send(e->s->fds[0][0], "abc", 3, 0), 3);
	expect_eq(bp_recv_multi_next(&m, &data), 3);
	expect_eq(memcmp(data, "abc", 3), 0);
	bp_recv_multi_end(&m);
	/* And what had come and was not asked for gives its buffers back. */
	expect_eq(bp_recv_multi_begin(&m, e->s->fds[0][1], e->s->ring, 0), 0);
	expect_eq(bp_send(e->s->fds[0][0], "defghijklmn", 11, 0), 11);
	expect(bp_recv_multi_next(&m, &data) > 0);
	bp_recv_multi_end(&m);
	expect_eq(bp_recv_multi_begin(&m, -1, e->s->ring, 0), 0);
	expect_eq(bp_recv_multi_next(&m, &data), -EBADF);
	bp_recv_multi_end(&m);
	expect_eq(bp_recv_multi_begin(&m, e->s->fds[0][1], e->s->ring, MSG_WAITALL), -EINVAL);
	return 0;
}

static void timed_out(struct test *t)
{
	struct scene s;
	struct end e = {&s, 0};

	scene_init(&s, t, 2, 4);
	expect_eq(run_task(t, time_out, &e), 0);
	scene_free(&s, t);
}

static void a_timeout_ends_a_wait_and_not_the_receive(struct test *t)
{
	both_ways(t, timed_out);
}

/* ---------------------------------------------------------------- operation items */

struct conn {
	struct bp_op op;
	struct scene *s;
	int fd;
	unsigned int at;
};

static void conn_prep(struct bp_op *op, struct io_uring_sqe *sqe)
{
	struct conn *c = CONTAINER(op, struct conn, op);

	bp_buf_ring_recv(c->s->ring, op, sqe, c->fd, 0);
}

static int conn_done(struct bp_op *op, int res)
{
	struct conn *c = CONTAINER(op, struct conn, op);
	unsigned char *bytes = bp_buf_ring_take(c->s->ring, op, res);

	if (bytes) {
		for (int i = 0; i < res; i++)
			expect_eq(bytes[i], (unsigned char)c->at++);
		bp_buf_ring_put(c->s->ring, bytes);
	} else if (res == 0) {
		atomic_fetch_add(&c->s->bytes, c->at);
		return 0;
	} else if (res < 0 && res != -ENOBUFS && res != -ETIME && res != -EAGAIN && res != -EINTR) {
		return res;
	}
	return op->cqe_flags & IORING_CQE_F_MORE ? 0 : BP_OP_AGAIN;
}

static void items(struct test *t)
{
	struct conn conns[CONNECTIONS];
	struct scene s;

	scene_init(&s, t, 2, 7);
	for (int i = 0; i < CONNECTIONS; i++) {
		struct end e = {&s, i};

		conns[i] = (struct conn){.op = BP_OP_INIT(conn_prep, conn_done),
					 .s = &s,
					 .fd = s.fds[i][1]};
		expect_eq(bp_go_op(s.g, &conns[i].op), 0);
		expect_eq(bp_go_copy(s.g, sender, &e, sizeof(e)), 0);
	}
	expect_eq(bp_wait(s.g), 0);
	expect_eq(s.bytes, CONNECTIONS * PIECES * 10);
	scene_free(&s, t);
}

static void operation_items_receive_from_few_buffers(struct test *t)
{
	both_ways(t, items);
}

static void silent_items(struct test *t)
{
	struct conn conns[CONNECTIONS];
	struct scene s;

	scene_init(&s, t, CONNECTIONS, 7);
	for (int i = 0; i < CONNECTIONS; i++) {
		conns[i] = (struct conn){.op = BP_OP_INIT(conn_prep, conn_done),
					 .s = &s,
					 .fd = s.fds[i][1]};
		expect_eq(bp_go_op(s.g, &conns[i].op), 0);
	}
	until_running(t, s.g, CONNECTIONS);
	many_turns(t);
	bp_cancel(s.g, -EPIPE);
	expect_eq(bp_wait(s.g), -EPIPE);
	expect_balanced(s.g);
	scene_free(&s, t);
}

static void silent_operation_items_are_cancelled(struct test *t)
{
	both_ways(t, silent_items);
}

/* ---------------------------------------------------------------- many accepts */

struct accepting {
	struct bp_op op;
	struct scene *s;
	int count;
};

static void accept_prep(struct bp_op *op, struct io_uring_sqe *sqe)
{
	io_uring_prep_multishot_accept(sqe, CONTAINER(op, struct accepting, op)->s->listener, NULL,
				       NULL, SOCK_CLOEXEC);
}

static int accept_done(struct bp_op *op, int res)
{
	struct accepting *a = CONTAINER(op, struct accepting, op);

	if (res < 0 && res != -EAGAIN && res != -EINTR)
		return res;
	if (res >= 0)
		a->s->fds[a->count++][1] = res;
	/* All are there: a negative value ends what would go on. */
	if (a->count == CONNECTIONS)
		return op->cqe_flags & IORING_CQE_F_MORE ? -EALREADY : 0;
	return op->cqe_flags & IORING_CQE_F_MORE ? 0 : BP_OP_AGAIN;
}

static int connect_one(void *arg)
{
	const struct end *e = arg;
	int fd = bp_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	e->s->fds[e->number][0] = fd;
	return bp_connect(fd, (struct sockaddr *)&e->s->addr, sizeof(e->s->addr));
}

static void one_item_accepts_many(struct test *t)
{
	struct accepting a = {.op = BP_OP_INIT(accept_prep, accept_done)};
	struct scene s;

	scene_init(&s, t, 1, 1);
	expect_eq(run_task(t, close_all, &s), 0);
	memset(s.fds, -1, sizeof(s.fds));
	expect_eq(run_task(t, listen_again, &s), 0);
	bp_group_destroy(s.g);
	s.g = group_with(t, .stop_after_failures = 0);
	a.s = &s;
	expect_eq(bp_go_op(s.g, &a.op), 0);
	for (int i = 0; i < CONNECTIONS; i++) {
		struct end e = {&s, i};

		expect_eq(bp_go_copy(s.g, connect_one, &e, sizeof(e)), 0);
	}
	bp_wait(s.g);
	expect_eq(a.count, CONNECTIONS);
	expect_eq(stats_of(s.g).succeeded + stats_of(s.g).failed, CONNECTIONS + 1);
	scene_free(&s, t);
}

/* ---------------------------------------------------------------- misuse */

static void numbers_out_of_range_are_refused(struct test *t)
{
	struct bp_buf_ring *ring = NULL;

	engine_with(t, .seed = t->seed);
	expect_eq(bp_buf_ring_create(NULL, t->engine, 1, 1), -EINVAL);
	expect_eq(bp_buf_ring_create(&ring, t->engine, 0, 1), -EINVAL);
	expect_eq(bp_buf_ring_create(&ring, t->engine, 32769, 1), -EINVAL);
	expect_eq(bp_buf_ring_create(&ring, t->engine, 1, 0), -EINVAL);
	expect_eq(bp_buf_ring_create(&ring, t->engine, 1, ((size_t)1 << 30) + 1), -EINVAL);
	expect(!ring);
	bp_buf_ring_destroy(NULL);
	for (int i = 0; i < 3; i++) {
		struct bp_buf_ring *other;

		expect_eq(bp_buf_ring_create(&ring, t->engine, 5, 100), 0);
		expect_eq(bp_buf_ring_create(&other, t->engine, 32768, 1), 0);
		bp_buf_ring_destroy(ring);
		bp_buf_ring_destroy(other);
	}
}

static int engine_without_its_ring(void *arg)
{
	struct bp_engine *engine;
	struct bp_buf_ring *ring;

	(void)arg;
	if (bp_engine_create(&engine, &BP_ENGINE_OPTS(.backend = BP_BACKEND_THREADS)) ||
	    bp_buf_ring_create(&ring, engine, 1, 1))
		return 1;
	bp_engine_destroy(engine);
	return 0;
}

static int put_outside(void *arg)
{
	struct bp_engine *engine;
	struct bp_buf_ring *ring;

	if (bp_engine_create(&engine, &BP_ENGINE_OPTS(.backend = BP_BACKEND_THREADS)) ||
	    bp_buf_ring_create(&ring, engine, 1, 1))
		return 1;
	bp_buf_ring_put(ring, arg);
	return 0;
}

static void misuse_ends_the_program(struct test *t)
{
	(void)t;
	expect_abort(engine_without_its_ring, NULL, "still alive");
	expect_abort(put_outside, NULL, "outside of the engine's tasks");
}

static const struct test_case cases[] = {
	EACH_ROW(tasks_receive_from_few_buffers),
	EACH_ROW(a_task_sends_while_it_receives),
	EACH_ROW(a_silent_one_does_not_keep_the_buffer),
	EACH_ROW(what_receives_is_ended_by_a_cancel),
	EACH_ROW(a_timeout_ends_a_wait_and_not_the_receive),
	EACH_ROW(operation_items_receive_from_few_buffers),
	EACH_ROW(silent_operation_items_are_cancelled),
	EACH_ROW(one_item_accepts_many),
	EACH_ROW(numbers_out_of_range_are_refused),
	ONCE(misuse_ends_the_program),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
