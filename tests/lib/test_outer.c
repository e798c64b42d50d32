/* SPDX-License-Identifier: MIT */
/*
 * test_outer - a caller-driven engine inside another event loop; functions handed over by bp_post()
 *
 * The other loop here is poll(2) on bp_engine_fd(), and never more than that: whatever the engine has to do,
 * the descriptor or the time that a turn gave must have said so.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

#include "support/harness.h"

/* ---------------------------------------------------------------- the other loop */

struct outer {
	struct bp_engine *engine;
	int fd;
	uint64_t wait;
	unsigned long turns;
};

static struct outer outer_of(struct test *t)
{
	struct outer o = {.engine = t->engine ? t->engine : engine_with(t, .loops = 0)};

	o.fd = bp_engine_fd(o.engine);
	expect(o.fd >= 0);
	expect_eq(bp_engine_fd(o.engine), o.fd);
	return o;
}

static int turn(struct outer *o)
{
	int res = bp_engine_turn(o->engine, &o->wait);

	o->turns++;
	expect(res == 0 || res == 1);
	return res;
}

/* Waits for the descriptor, @most nanoseconds if it does not say anything. Return: whether it does. */
static bool readable(struct outer *o, uint64_t most)
{
	struct pollfd p = {.fd = o->fd, .events = POLLIN};
	struct timespec ts = {.tv_sec = (time_t)(most / SECOND), .tv_nsec = (long)(most % SECOND)};
	int n;

	do {
		n = ppoll(&p, 1, most == UINT64_MAX ? NULL : &ts, NULL);
	} while (n < 0 && errno == EINTR);
	return n > 0;
}

static void until_done(struct outer *o, struct bp_group *g)
{
	turn(o);
	while (stats_of(g).running) {
		readable(o, o->wait);
		turn(o);
	}
}

/* ---------------------------------------------------------------- turns */

struct work {
	struct test *t;
	int in, out;
	char path[160];
	unsigned long steps;
};

static int helps(void *unused)
{
	(void)unused;
	return 5;
}

static int does_a_bit_of_all(void *arg)
{
	struct work *w = arg;
	char buf[100];
	int fd;

	expect_eq(bp_sleep(2 * MS), 0);
	expect_eq(bp_write(w->out, "ping", 4, -1), 4);
	expect_eq(bp_read(w->in, buf, sizeof(buf), -1), 4);
	fd = bp_openat(AT_FDCWD, w->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	expect(fd >= 0);
	expect_eq(bp_write(fd, buf, 4, 0), 4);
	expect_eq(bp_fsync(fd, 0), 0);
	expect_eq(bp_close(fd), 0);
	expect_eq(bp_offload(helps, NULL), 5);
	expect_eq(bp_unlinkat(AT_FDCWD, w->path, 0), 0);
	expect_eq(bp_yield(), 0);
	w->steps++;
	return 0;
}

/* Timers, sockets, files, helper threads and yields, by turns alone. */
static void turns_do_what_a_wait_does(struct test *t)
{
	struct work work[10];
	struct bp_group *g;
	struct outer o;

	o = outer_of(t);
	g = group_with(t, .limit = 4);
	for (size_t i = 0; i < COUNT_OF(work); i++) {
		int fd[2];

		expect_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
		work[i] = (struct work){.t = t, .in = fd[0], .out = fd[1]};
		snprintf(work[i].path, sizeof(work[i].path), "%s/%zu", temp_dir(t), i);
	}
	for (size_t i = 0; i < COUNT_OF(work); i++)
		while (bp_try_go(g, does_a_bit_of_all, &work[i]) == -EAGAIN) {
			readable(&o, o.wait);
			turn(&o);
		}
	until_done(&o, g);
	expect_eq(bp_wait(g), 0);
	expect_balanced(g);
	bp_group_destroy(g);
	for (size_t i = 0; i < COUNT_OF(work); i++) {
		expect_eq(work[i].steps, 1);
		close(work[i].in);
		close(work[i].out);
	}
}

static int reads_a_byte(void *arg)
{
	char byte;

	return (int)bp_read(*(int *)arg, &byte, 1, -1) == 1 ? 0 : -EPROTO;
}

/* Where nothing happens nothing is readable, and no turn is asked for; where something does, it is. */
static void the_descriptor_tells_of_work_and_of_no_more(struct test *t)
{
	struct outer o = outer_of(t);
	struct bp_group *g = group_with(t);
	int fd[2], busy = 0;

	expect_eq(turn(&o), 0);
	expect(o.wait == UINT64_MAX);
	expect(!readable(&o, 0));
	expect_eq(pipe2(fd, O_CLOEXEC), 0);
	expect_eq(bp_go(g, reads_a_byte, fd), 0);
	expect(readable(&o, 0));
	expect_eq(turn(&o), 1);
	expect(o.wait == UINT64_MAX);
	/* What the kernel still had to say of the submission is said soon. */
	while (readable(&o, 20 * MS) && busy++ < 20)
		expect_eq(turn(&o), 1);
	expect(busy < 20);
	expect_eq(write(fd[1], "x", 1), 1);
	expect(readable(&o, UINT64_MAX));
	until_done(&o, g);
	expect_eq(bp_wait(g), 0);
	bp_group_destroy(g);
	close(fd[0]);
	close(fd[1]);
}

static int sleeps_long(void *unused)
{
	(void)unused;
	return bp_sleep(FAR_AWAY);
}

/* A turn says how long the timers leave: a sleep's, and a group's deadline. */
static void a_turn_says_when_the_next_is_due(struct test *t)
{
	struct outer o = outer_of(t);
	struct bp_group *g = group_with(t);

	expect_eq(bp_go(g, sleeps_long, NULL), 0);
	expect_eq(turn(&o), 1);
	expect_between(o.wait, 1, FAR_AWAY);
	expect(o.wait > FAR_AWAY / 2);
	bp_cancel(g, -EINTR);
	expect(readable(&o, 0));
	until_done(&o, g);
	expect_eq(bp_wait(g), -EINTR);
	bp_group_destroy(g);

	g = group_with(t, .deadline_ns = bp_now(t->engine) + 20 * MS);
	expect_eq(bp_go(g, sleeps_long, NULL), 0);
	turn(&o);
	expect_between(o.wait, 0, 20 * MS);
	until_done(&o, g);
	expect_eq(bp_wait(g), -ETIMEDOUT);
	bp_group_destroy(g);
	expect_eq(turn(&o), 0);
}

static int yields_for_ever(void *unused)
{
	int err;

	(void)unused;
	do {
		err = bp_yield();
	} while (!err);
	return err;
}

/* A turn ends although the engine would never: the thread has other things to do. */
static void a_turn_comes_back(struct test *t)
{
	struct outer o = outer_of(t);
	struct bp_group *g = group_with(t);

	expect_eq(bp_go(g, yields_for_ever, NULL), 0);
	for (int i = 0; i < 20; i++) {
		expect_eq(turn(&o), 1);
		expect_eq(o.wait, 0);
	}
	bp_cancel(g, -EINTR);
	until_done(&o, g);
	expect_eq(bp_wait(g), -EINTR);
	bp_group_destroy(g);
}

static int wants_a_second_place(void *arg)
{
	return bp_go(arg, succeed, NULL);
}

/* What is changed between two turns makes the descriptor readable, and comes true in the next. */
static void what_is_done_between_turns_is_noticed(struct test *t)
{
	struct outer o = outer_of(t);
	struct bp_group *g = group_with(t, .limit = 1), *other = group_with(t);
	struct crowd crowd;
	struct nop_op nop;

	crowd_init(&crowd);
	expect_eq(bp_go(g, crowd_task, &crowd), 0);
	expect_eq(bp_go(other, wants_a_second_place, g), 0);
	until_in_line(t, g, 1);
	while (turn(&o), readable(&o, 20 * MS))
		;
	expect_eq(bp_group_set_limit(g, 2), 0);
	expect(readable(&o, 0));
	until_done(&o, other);
	nop_op_init(&nop, 0, NULL);
	expect_eq(bp_go_op(other, &nop.op), 0);
	expect(readable(&o, 0));
	until_done(&o, other);
	/* With options, too. */
	expect_eq(bp_go_weighted(other, 2, succeed, NULL), 0);
	expect(readable(&o, 0));
	until_done(&o, other);
	gate_open(&crowd.gate);
	until_done(&o, g);
	expect_eq(bp_wait(g), 0);
	expect_eq(bp_wait(other), 0);
	bp_group_destroy(g);
	bp_group_destroy(other);
	crowd_free(&crowd);
}

static int sleeps_a_little(void *unused)
{
	(void)unused;
	return bp_sleep(5 * MS);
}

/* A wait inside of the other loop begins what that knows nothing of: it is told to take a turn. */
static void a_wait_in_between_is_noticed(struct test *t)
{
	struct outer o = outer_of(t);
	struct bp_group *g = group_with(t), *other;

	turn(&o);
	expect(o.wait == UINT64_MAX);
	expect_eq(bp_go(g, sleeps_a_little, NULL), 0);
	turn(&o);
	other = group_with(t);
	expect_eq(bp_go(other, sleeps_long, NULL), 0);
	expect_eq(bp_wait(g), 0);
	expect(readable(&o, 0));
	turn(&o);
	expect_between(o.wait, 1, FAR_AWAY);
	bp_cancel(other, -EINTR);
	until_done(&o, other);
	expect_eq(bp_wait(other), -EINTR);
	bp_group_destroy(g);
	bp_group_destroy(other);
}

/* ---------------------------------------------------------------- bp_post() */

struct order {
	unsigned long count, wrong;
};

static void counts(void *arg)
{
	++*(unsigned long *)arg;
}

struct numbered {
	struct order *order;
	unsigned long number;
};

static void in_order(void *arg)
{
	const struct numbered *n = arg;

	n->order->wrong += n->order->count != n->number;
	/* The thread that posts looks at it. */
	__atomic_fetch_add(&n->order->count, 1, __ATOMIC_RELEASE);
}

/* As many as there is room for, in their order, and not one more. */
static void posted_functions_run_in_their_order(struct test *t)
{
	static struct numbered n[BP_POST_MAX];
	struct order order = {0};
	struct bp_engine *engine = engine_with(t);

	for (int round = 0; round < 3; round++) {
		order = (struct order){0};
		for (unsigned long i = 0; i < BP_POST_MAX; i++) {
			n[i] = (struct numbered){&order, i};
			expect_eq(bp_post(engine, in_order, &n[i]), 0);
		}
		if (driven(t))
			expect_eq(bp_post(engine, counts, &order.wrong), -EAGAIN);
		while (__atomic_load_n(&order.count, __ATOMIC_ACQUIRE) < BP_POST_MAX)
			many_turns(t);
		expect_eq(order.wrong, 0);
	}
	expect_eq(bp_post(engine, NULL, NULL), -EINVAL);
}

struct poster {
	struct bp_engine *engine;
	atomic_ulong *sum;
	unsigned long n;
};

static void adds(void *sum)
{
	atomic_fetch_add((atomic_ulong *)sum, 1);
}

static void *posts(void *arg)
{
	const struct poster *p = arg;

	for (unsigned long i = 0; i < p->n; i++)
		while (bp_post(p->engine, adds, p->sum) == -EAGAIN)
			sched_yield();
	return NULL;
}

/* Each is called once, however many threads hand them over, and wakes who waits. */
static void threads_post_at_once(struct test *t)
{
	struct bp_engine *engine = engine_with(t);
	atomic_ulong sum = 0;
	struct poster p = {engine, &sum, scaled(20000)};
	pthread_t thread[4];

	for (size_t i = 0; i < COUNT_OF(thread); i++)
		expect_eq(pthread_create(&thread[i], NULL, posts, &p), 0);
	until_count(t, &sum, COUNT_OF(thread) * p.n);
	for (size_t i = 0; i < COUNT_OF(thread); i++)
		pthread_join(thread[i], NULL);
	many_turns(t);
	expect_eq(sum, COUNT_OF(thread) * p.n);
}

static void cancels(void *group)
{
	bp_cancel(group, -EINTR);
}

static void *posts_a_cancel(void *arg)
{
	void **what = arg;

	usleep(20000);
	expect_eq(bp_post(what[0], cancels, what[1]), 0);
	return NULL;
}

/* The engine's thread waits in poll(), or in bp_wait(): either is ended. */
static void a_post_ends_the_wait(struct test *t)
{
	struct outer o = outer_of(t);
	pthread_t thread;

	for (int by_turns = 0; by_turns < 2; by_turns++) {
		struct bp_group *g = group_with(t);
		void *what[] = {t->engine, g};

		expect_eq(bp_go(g, sleeps_long, NULL), 0);
		expect_eq(pthread_create(&thread, NULL, posts_a_cancel, what), 0);
		if (by_turns)
			until_done(&o, g);
		expect_eq(bp_wait(g), -EINTR);
		pthread_join(thread, NULL);
		bp_group_destroy(g);
	}
}

static void admits(void *group)
{
	expect_eq(bp_group_set_limit(group, 1), 0);
}

static void *posts_a_place(void *arg)
{
	void **what = arg;

	usleep(20000);
	expect_eq(bp_post(what[0], admits, what[1]), 0);
	return NULL;
}

/* Where only a post can go on, the wait is no deadlock once there is a descriptor. */
static void a_wait_for_a_post_is_no_deadlock(struct test *t)
{
	struct outer o = outer_of(t);
	struct bp_group *g = group_with(t, .limit = 0);
	void *what[] = {o.engine, g};
	pthread_t thread;

	expect_eq(pthread_create(&thread, NULL, posts_a_place, what), 0);
	expect_eq(bp_go(g, succeed, NULL), 0);
	pthread_join(thread, NULL);
	expect_eq(bp_wait(g), 0);
	bp_group_destroy(g);
}

static struct bp_engine *signalled;
static struct bp_group *signalled_group;
static atomic_ulong handled;

static void on_signal(int sig)
{
	const int err = errno;

	(void)sig;
	errno = 77;
	bp_post(signalled, cancels, signalled_group);
	atomic_fetch_add(&handled, errno == 77);
	errno = err;
}

static void *signals(void *thread)
{
	usleep(20000);
	pthread_kill(*(pthread_t *)thread, SIGUSR1);
	return NULL;
}

/* A handler runs in the thread that waits, and reaches the engine that it waits for. */
static void a_signal_handler_posts(struct test *t)
{
	struct sigaction action = {.sa_handler = on_signal}, old;
	pthread_t self = pthread_self(), thread;

	signalled = engine_with(t);
	signalled_group = group_with(t);
	handled = 0;
	sigaction(SIGUSR1, &action, &old);
	expect_eq(bp_go(signalled_group, sleeps_long, NULL), 0);
	expect_eq(pthread_create(&thread, NULL, signals, &self), 0);
	expect_eq(bp_wait(signalled_group), -EINTR);
	pthread_join(thread, NULL);
	expect_eq(handled, 1);
	sigaction(SIGUSR1, &old, NULL);
	bp_group_destroy(signalled_group);
}

static struct {
	struct bp_engine *engine;
	unsigned long left, calls;
} chain;

static void posts_the_next(void *unused)
{
	(void)unused;
	chain.calls++;
	if (--chain.left)
		expect_eq(bp_post(chain.engine, posts_the_next, NULL), 0);
}

/* One that posts the next does not keep the engine from all else. */
static void a_posted_function_may_post(struct test *t)
{
	chain.engine = engine_with(t, .loops = 0);
	chain.left = 3000;
	chain.calls = 0;
	expect_eq(bp_post(chain.engine, posts_the_next, NULL), 0);
	for (int i = 0; i < 3000 && chain.left; i++)
		expect_eq(run_task(t, succeed, NULL), 0);
	while (chain.left)
		many_turns(t);
	expect_eq(chain.calls, 3000);
}

/* ---------------------------------------------------------------- where it cannot be */

static void engines_with_threads_have_none(struct test *t)
{
	uint64_t wait = 5;

	engine_with(t, .loops = 2);
	expect_eq(bp_engine_fd(t->engine), -EOPNOTSUPP);
	expect_eq(bp_engine_turn(t->engine, &wait), -EOPNOTSUPP);
	expect_eq(wait, 5);
}

/* No descriptor tells of virtual time, but turns can be taken. */
static void the_simulation_takes_turns(struct test *t)
{
	struct bp_group *g;
	unsigned long turns = 0;

	expect_eq(create_engine(&t->engine, &BP_ENGINE_OPTS(.backend = BP_BACKEND_SIM, .seed = 7)),
		  0);
	g = group_with(t);
	expect_eq(bp_engine_fd(t->engine), -EOPNOTSUPP);
	for (int i = 0; i < 20; i++)
		expect_eq(bp_go(g, i % 2 ? succeed : yields_for_ever, NULL), 0);
	while (stats_of(g).succeeded < 10 && turns++ < 10000)
		expect(bp_engine_turn(t->engine, NULL) >= 0);
	bp_cancel(g, -EINTR);
	while (stats_of(g).running && turns++ < 10000)
		expect(bp_engine_turn(t->engine, NULL) >= 0);
	expect_eq(stats_of(g).running, 0);
	expect_eq(bp_wait(g), -EINTR);
	bp_group_destroy(g);
}

static int takes_a_turn(void *engine)
{
	return bp_engine_turn(engine, NULL);
}

static int a_turn_in_a_task(void *arg)
{
	struct bp_engine *engine = engine_with((struct test *)arg, .loops = 0);

	return run_task(arg, takes_a_turn, engine);
}

static void *takes_a_turn_elsewhere(void *engine)
{
	bp_engine_turn(engine, NULL);
	return NULL;
}

static int a_turn_of_a_foreign_thread(void *arg)
{
	struct bp_engine *engine = engine_with((struct test *)arg, .loops = 0);
	pthread_t thread;

	pthread_create(&thread, NULL, takes_a_turn_elsewhere, engine);
	pthread_join(thread, NULL);
	return 0;
}

static void turns_are_taken_outside_and_at_home(struct test *t)
{
	expect_abort(a_turn_in_a_task, t, "bp_engine_turn");
	expect_abort(a_turn_of_a_foreign_thread, t, "bp_engine_turn");
}

static const struct test_case cases[] = {
	DRIVEN_REAL_ROWS(turns_do_what_a_wait_does),
	DRIVEN_REAL_ROWS(the_descriptor_tells_of_work_and_of_no_more),
	DRIVEN_REAL_ROWS(a_turn_says_when_the_next_is_due),
	DRIVEN_REAL_ROWS(a_turn_comes_back),
	DRIVEN_REAL_ROWS(what_is_done_between_turns_is_noticed),
	DRIVEN_REAL_ROWS(a_wait_in_between_is_noticed),
	EACH_ROW(posted_functions_run_in_their_order),
	EACH_REAL_ROW(threads_post_at_once),
	DRIVEN_REAL_ROWS(a_post_ends_the_wait),
	DRIVEN_REAL_ROWS(a_wait_for_a_post_is_no_deadlock),
	EACH_REAL_ROW(a_signal_handler_posts),
	DRIVEN_ROWS(a_posted_function_may_post),
	THREADED_ROWS(engines_with_threads_have_none),
	ONCE(the_simulation_takes_turns),
	DRIVEN_ROWS(turns_are_taken_outside_and_at_home),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
