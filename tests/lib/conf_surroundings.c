/* SPDX-License-Identifier: MIT */
/*
 * conf_surroundings - a group among what else a program does: fork(), signals, threads, misuse
 */
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "support/harness.h"

/* ---------------------------------------------------------------- fork, stacks */

static void fork_one(bool exec, pid_t *pid)
{
	*pid = fork();
	if (*pid == 0) {
		if (exec)
			execl("/bin/true", "true", (char *)NULL);
		_exit(0);
	}
}

/* fork() in the program: children may exec or exit; the parent's batch goes on unharmed. */
static void children_of_fork_do_not_harm_the_batch(struct test *t)
{
	enum {
		CHILDREN = 8
	};
	unsigned long n = live_tasks(500);
	struct bp_group *g = group_with(t, .limit = BP_LIMIT_NONE);
	struct crowd crowd;
	pid_t pid[CHILDREN];

	crowd_init(&crowd);
	for (unsigned long i = 0; i < n; i++) {
		expect_eq(bp_go(g, crowd_task, &crowd), 0);
		if (i % (n / CHILDREN) == 0 && i / (n / CHILDREN) < CHILDREN)
			fork_one(i / (n / CHILDREN) % 2, &pid[i / (n / CHILDREN)]);
	}
	for (int i = 0; i < CHILDREN; i++) {
		int status = -1;

		expect(pid[i] > 0);
		expect_eq(waitpid(pid[i], &status, 0), pid[i]);
		expect_eq(status, 0);
	}
	until_count(t, &crowd.started, n);
	gate_open(&crowd.gate);
	expect_eq(bp_wait(g), 0);
	expect_eq(crowd.passed, n);
	bp_group_destroy(g);
	crowd_free(&crowd);
}

/* What the neighbours of the stack that overflows hold, for the handler to look at. */
#define NEIGHBOURS 16
static volatile unsigned char *neighbour[NEIGHBOURS];
static atomic_int neighbours;

static int stand_beside(void *arg)
{
	volatile unsigned char mine[1024];

	for (size_t i = 0; i < sizeof(mine); i++)
		mine[i] = 0x5a;
	neighbour[atomic_fetch_add(&neighbours, 1)] = mine;
	return gate_wait(&((struct crowd *)arg)->gate);
}

static void look_at_the_neighbours(int sig)
{
	bool intact = neighbours == NEIGHBOURS;

	for (int n = 0; n < neighbours; n++) {
		for (int i = 0; i < 1024; i++)
			intact &= neighbour[n][i] == 0x5a;
	}
	if (intact && write(STDERR_FILENO, "intact\n", 7) == 7)
		signal(sig, SIG_DFL);
	else
		_exit(3);
	/* Returning runs into the guard once more, now to die of it. */
}

__attribute__((noinline)) static int recurse(volatile char *outer, unsigned long depth)
{
	volatile char frame[256];

	frame[0] = *outer;
	if (depth == 0)
		return frame[0];
	return recurse(frame, depth - 1) + frame[0];
}

static int overflows(void *unused)
{
	volatile char zero = 0;

	(void)unused;
	while (atomic_load(&neighbours) < NEIGHBOURS)
		bp_yield();
	return recurse(&zero, 10000000);
}

static int overflow_a_stack(void *arg)
{
	struct sigaction action = {.sa_handler = look_at_the_neighbours, .sa_flags = SA_ONSTACK};
	struct test *t = arg;
	struct bp_group *g = group_with(t, .limit = BP_LIMIT_NONE);
	struct crowd crowd;
	stack_t stack = {.ss_size = 65536, .ss_sp = malloc(65536)};

	sigaltstack(&stack, NULL);
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	crowd_init(&crowd);
	for (int i = 0; i < NEIGHBOURS + 1; i++)
		bp_go(g, i == NEIGHBOURS / 2 ? overflows : stand_beside, &crowd);
	bp_wait(g);
	return 0;
}

/* A stack overflow in a task hits the guard and dies there, not in a neighbour's stack. */
static void a_stack_overflow_dies_at_the_guard(struct test *t)
{
	struct child_result child;
	struct bp_engine *probe = engine_with(t, .depth = 0);
	bool guarded = strcmp(bp_engine_info(probe)->stack_guard, "canary") != 0;

	if (UNDER_ASAN || UNDER_TSAN || under_valgrind())
		skip_because(t, "sanitizers and valgrind end an overflow in their own way");
	bp_engine_destroy(probe);
	t->engine = NULL;
	child = in_child(overflow_a_stack, t);
	expect(WIFSIGNALED(child.status));
	if (guarded) {
		expect_eq(WTERMSIG(child.status), SIGSEGV);
		expect(strstr(child.err, "intact"));
	}
}

/* ---------------------------------------------------------------- misuse */

static int destroy_engine_with_live_group(void *arg)
{
	struct test *t = arg;

	group_with(t, .limit = 1);
	bp_engine_destroy(t->engine);
	return 0;
}

static void destroying_an_engine_with_a_live_group_aborts(struct test *t)
{
	expect_abort(destroy_engine_with_live_group, t, "bp_engine_destroy");
}

static void *go_from_here(void *g)
{
	bp_go(g, succeed, NULL);
	return NULL;
}

static int go_from_a_foreign_thread(void *arg)
{
	pthread_t thread;

	pthread_create(&thread, NULL, go_from_here, group_with((struct test *)arg, .limit = 1));
	pthread_join(thread, NULL);
	return 0;
}

/* loops = 0: a call from a foreign thread. */
static void a_foreign_thread_on_a_caller_driven_engine_aborts(struct test *t)
{
	expect_abort(go_from_a_foreign_thread, t, "bp_go");
}

/*
 * ---------------------------------------------------------------- polling, signals, cancellation
 */

static int sleeps_a_while(void *unused)
{
	(void)unused;
	return bp_sleep(3 * MS);
}

/* To poll is a way to wait: the engine gets on meanwhile. */
static void polling_comes_to_an_end(struct test *t)
{
	struct bp_group *g = group_with(t);

	for (int i = 0; i < 3; i++)
		expect_eq(bp_go(g, sleeps_a_while, NULL), 0);
	while (bp_wait_until(g, 0) == -ETIMEDOUT)
		;
	expect_eq(bp_wait(g), 0);
	bp_group_destroy(g);
}

/* Who looks at a group before anything was added leaves it open; bp_wait() closes it. */
static void a_look_at_an_empty_group_leaves_it_open(struct test *t)
{
	struct bp_group *g = group_with(t);

	expect_eq(bp_wait_until(g, 0), 0);
	expect_eq(bp_wait_until(g, bp_now(t->engine) + SECOND), 0);
	expect_eq(bp_go(g, succeed, NULL), 0);
	expect_eq(bp_wait(g), 0);
	expect_eq(bp_go(g, succeed, NULL), -EBADF);
	bp_group_destroy(g);
	g = group_with(t);
	expect_eq(bp_wait(g), 0);
	expect_eq(bp_go(g, succeed, NULL), -EBADF);
	bp_group_destroy(g);
}

static int looks_at_signals(void *unused)
{
	static const int open[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGSYS, SIGTRAP};
	sigset_t set;

	(void)unused;
	pthread_sigmask(SIG_SETMASK, NULL, &set);
	for (size_t i = 0; i < COUNT_OF(open); i++)
		expect(!sigismember(&set, open[i]));
	expect(sigismember(&set, SIGTERM));
	expect(sigismember(&set, SIGUSR1));
	return 0;
}

static int looks_on_a_loop_and_on_a_helper(void *unused)
{
	looks_at_signals(NULL);
	return bp_offload(looks_at_signals, unused);
}

/* A program's own handlers run in its own threads; those of crashes run where the crash is. */
static void loop_threads_block_what_is_not_their_own(struct test *t)
{
	engine_with(t);
	expect_eq(run_task(t, looks_on_a_loop_and_on_a_helper, NULL), 0);
}

static int sends_to_nobody(void *arg)
{
	int *fd = arg;
	struct iovec iov = {.iov_base = (char *)"x", .iov_len = 1};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	expect_eq(bp_send(fd[0], "x", 1, 0), -EPIPE);
	expect_eq(bp_sendmsg(fd[0], &msg, 0), -EPIPE);
	return 0;
}

/* SIGPIPE would end this program. */
static void a_send_never_raises_sigpipe(struct test *t)
{
	int fd[2];

	engine_with(t);
	expect_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	close(fd[1]);
	expect_eq(run_task(t, sends_to_nobody, fd), 0);
	close(fd[0]);
}

static void *waits_in_a_thread(void *group)
{
	bp_wait(group);
	/* Here it ends. */
	pthread_testcancel();
	return NULL;
}

/* A thread that is cancelled in bp_wait() takes no lock with it. */
static void cancelling_a_waiting_thread_leaves_no_lock_behind(struct test *t)
{
	struct bp_group *g = group_with(t);
	struct crowd crowd;
	pthread_t thread;
	void *result;

	crowd_init(&crowd);
	expect_eq(bp_go(g, crowd_task, &crowd), 0);
	until_count(t, &crowd.started, 1);
	assert_int_equal(pthread_create(&thread, NULL, waits_in_a_thread, g), 0);
	for (int i = 0; i < 1000; i++)
		stats_of(g);
	pthread_cancel(thread);
	expect_eq(stats_of(g).running, 1);
	gate_open(&crowd.gate);
	pthread_join(thread, &result);
	expect(result == PTHREAD_CANCELED);
	expect_eq(bp_wait(g), 0);
	bp_group_destroy(g);
	crowd_free(&crowd);
}

static const struct test_case cases[] = {
	EACH_ROW(polling_comes_to_an_end),
	EACH_ROW(a_look_at_an_empty_group_leaves_it_open),
	THREADED_REAL_ROWS(loop_threads_block_what_is_not_their_own),
	EACH_REAL_ROW(a_send_never_raises_sigpipe),
	THREADED_REAL_ROWS(cancelling_a_waiting_thread_leaves_no_lock_behind),
	EACH_ROW(children_of_fork_do_not_harm_the_batch),
	DRIVEN_ROWS(a_stack_overflow_dies_at_the_guard),
	EACH_ROW(destroying_an_engine_with_a_live_group_aborts),
	DRIVEN_ROWS(a_foreign_thread_on_a_caller_driven_engine_aborts),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
