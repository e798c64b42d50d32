/* SPDX-License-Identifier: MIT */
/*
 * test_ops_further - the further operations: what waits is woken, and ended by a cancel or a timeout
 *
 * What each gives on good and bad input is in test_same. Here each way to carry out those that wait is
 * tried: by the ring, and as on a kernel that does not know the opcode.
 */
#include <dirent.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/syscall.h>

#include "op.h"
#include "support/harness.h"

/* The opcodes that not every kernel since 5.6 has. */
#define NEWER (UINT64_MAX << IORING_OP_SPLICE)

/** Runs a test as it is, and then without the opcodes. */
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

/* ---------------------------------------------------------------- what is simulated too */

static int pipes_and_sizes(void *arg)
{
	char buf[16] = "";
	int fds[2], fd = bp_openat(AT_FDCWD, arg, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	expect(fd >= 0);
	expect_eq(bp_write(fd, "0123456789", 10, 0), 10);
	expect_eq(bp_ftruncate(fd, 4), 0);
	expect_eq(bp_read(fd, buf, sizeof(buf), 0), 4);
	expect_eq(bp_ftruncate(fd, 6), 0);
	expect_eq(bp_read(fd, buf, sizeof(buf), 0), 6);
	expect_eq(memcmp(buf, "0123\0\0", 6), 0);
	expect_eq(bp_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	expect_eq(bp_close(fd), 0);

	expect_eq(bp_pipe(fds, O_CLOEXEC), 0);
	expect_eq(bp_write(fds[1], "abc", 3, -1), 3);
	expect_eq(bp_read(fds[0], buf, sizeof(buf), -1), 3);
	expect_eq(bp_write(fds[0], "abc", 3, -1), -EBADF);
	expect_eq(bp_fadvise(fds[0], 0, 0, POSIX_FADV_NORMAL), -ESPIPE);
	expect_eq(bp_send(fds[1], "abc", 3, 0), -ENOTSOCK);
	expect_eq(bp_close(fds[1]), 0);
	expect_eq(bp_read(fds[0], buf, sizeof(buf), -1), 0);
	return bp_close(fds[0]);
}

static void pipes_and_truncated_files(struct test *t)
{
	char path[200] = "/file";

	if (t->row->backend != BP_BACKEND_SIM)
		snprintf(path, sizeof(path), "%s/file", temp_dir(t));
	expect_eq(run_task(t, pipes_and_sizes, path), 0);
}

/* A server made of operations alone. */
struct serving {
	struct sockaddr_in addr;
	struct gate ready;
};

static int serve_one(void *arg)
{
	struct serving *s = arg;
	int fd = bp_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1, peer;
	bool copied = false;
	socklen_t len;
	char buf[8];

	expect_eq(bp_setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
	expect_eq(bp_bind(fd, (struct sockaddr *)&s->addr, sizeof(s->addr)), 0);
	expect_eq(bp_listen(fd, 8), 0);
	len = sizeof(on);
	expect_eq(bp_getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &len), 0);
	expect_eq(on, 1);
	expect_eq(len, sizeof(on));
	len = sizeof(s->addr);
	if (current_test()->row->backend != BP_BACKEND_SIM)
		expect_eq(getsockname(fd, (struct sockaddr *)&s->addr, &len), 0);
	gate_open(&s->ready);
	peer = bp_accept(fd, NULL, NULL, SOCK_CLOEXEC);
	expect(peer >= 0);
	expect_eq(bp_send_zc(peer, "hello", 5, 0, &copied), 5);
	expect_eq(bp_recv(peer, buf, sizeof(buf), 0), 0);
	expect_eq(bp_close(peer), 0);
	return bp_close(fd);
}

static int ask_once(void *arg)
{
	struct serving *s = arg;
	char buf[8] = "";
	int fd;

	expect_eq(gate_wait(&s->ready), 0);
	fd = bp_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	expect_eq(bp_connect(fd, (struct sockaddr *)&s->addr, sizeof(s->addr)), 0);
	expect_eq(bp_recv(fd, buf, 5, MSG_WAITALL), 5);
	expect_eq(strcmp(buf, "hello"), 0);
	return bp_close(fd);
}

static void server_of_operations(struct test *t)
{
	struct serving s = {
		.addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
	struct bp_group *g;

	gate_init(&s.ready);
	g = group_with(t, .limit = BP_LIMIT_NONE);
	if (t->row->backend == BP_BACKEND_SIM)
		s.addr.sin_port = htons(80);
	expect_eq(bp_go(g, serve_one, &s), 0);
	expect_eq(bp_go(g, ask_once, &s), 0);
	expect_eq(bp_wait(g), 0);
	bp_group_destroy(g);
	gate_free(&s.ready);
}

static void a_server_is_made_of_operations(struct test *t)
{
	both_ways(t, server_of_operations);
}

static int not_simulated(void *arg)
{
	uint32_t word = 1;
	char buf[8];

	(void)arg;
	expect_eq(bp_futex_wait(&word, 1, 0), -EOPNOTSUPP);
	expect_eq(bp_futex_wake(&word, 1, 0), -EOPNOTSUPP);
	expect_eq(bp_waitid(P_ALL, 0, NULL, WEXITED), -EOPNOTSUPP);
	expect_eq(bp_epoll_wait(1 << 20, (struct epoll_event *)(void *)buf, 1), -EOPNOTSUPP);
	expect_eq(bp_getxattr("/", "user.a", buf, 8), -EOPNOTSUPP);
	expect_eq(bp_listxattr("/", buf, 8), -EOPNOTSUPP);
	expect_eq(bp_removexattr("/", "user.a"), -EOPNOTSUPP);
	expect_eq(bp_copy_file_range(1 << 20, 0, 1 << 20, 0, 1, 0), -EOPNOTSUPP);
	expect_eq(bp_getdents(1 << 20, buf, 8), -EOPNOTSUPP);
	return 0;
}

static void what_is_not_simulated_says_so(struct test *t)
{
	if (t->row->backend != BP_BACKEND_SIM) {
		skip_because(t, "it is carried out");
		return;
	}
	expect_eq(run_task(t, not_simulated, NULL), 0);
}

/* ---------------------------------------------------------------- woken */

struct waiting {
	uint32_t word;
	int epoll, pipe[2];
	pid_t child;
	int (*wait)(struct waiting *w);
	atomic_ulong begun, ended;
	int expected;
};

static int wait_for_word(struct waiting *w)
{
	return bp_futex_wait(&w->word, 0, 0);
}

static int wait_for_shared_word(struct waiting *w)
{
	return bp_futex_wait(&w->word, 0, BP_FUTEX_SHARED);
}

static int wait_for_child(struct waiting *w)
{
	siginfo_t info;
	int res = bp_waitid(P_PID, (id_t)w->child, &info, WEXITED);

	if (!res)
		expect_eq(info.si_status, SIGKILL);
	return res;
}

static int wait_for_any_child(struct waiting *w)
{
	(void)w;
	return bp_waitid(P_ALL, 0, NULL, WEXITED);
}

static int wait_for_event(struct waiting *w)
{
	struct epoll_event event;
	int n = bp_epoll_wait(w->epoll, &event, 1);

	if (n == 1)
		expect_eq(event.data.u32, 7);
	return n < 0 ? n : n - 1;
}

static int (*const waits[])(struct waiting *w) = {
	wait_for_word, wait_for_shared_word, wait_for_child, wait_for_any_child, wait_for_event,
};

static void waiting_init(struct waiting *w, int (*wait)(struct waiting *w))
{
	*w = (struct waiting){.wait = wait};
	expect_eq(pipe2(w->pipe, O_CLOEXEC), 0);
	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	expect_eq(epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->pipe[0],
			    &(struct epoll_event){.events = EPOLLIN, .data.u32 = 7}),
		  0);
	w->child = fork();
	if (w->child == 0)
		for (;;)
			pause();
}

static void waiting_free(struct waiting *w)
{
	close(w->pipe[0]);
	close(w->pipe[1]);
	close(w->epoll);
	kill(w->child, SIGKILL);
	waitpid(w->child, NULL, 0);
}

static int wait_task(void *arg)
{
	struct waiting *w = arg;
	int saved = errno = 1234, res;

	atomic_fetch_add(&w->begun, 1);
	res = w->wait(w);
	expect_eq(errno, saved);
	expect_eq(res, w->expected);
	atomic_fetch_add(&w->ended, 1);
	return res;
}

static void wake(struct test *t, struct waiting *w)
{
	int op = w->wait == wait_for_word ? FUTEX_WAKE_PRIVATE : FUTEX_WAKE;

	kill(w->child, SIGKILL);
	expect_eq(write(w->pipe[1], "x", 1), 1);
	if (w->wait != wait_for_word && w->wait != wait_for_shared_word)
		until_count(t, &w->ended, 1);
	/* The word stays as it is, and a helper thread may not be there yet: until one was woken. */
	while (!atomic_load(&w->ended)) {
		syscall(SYS_futex, &w->word, op, 1, NULL, NULL, 0);
		many_turns(t);
	}
}

/** Valgrind 3.19 knows neither futex_waitv() nor the newer opcodes. */
static bool no_waits_here(struct test *t)
{
	if (under_valgrind())
		skip_because(t, "valgrind does not know the calls that wait");
	return under_valgrind();
}

static void each_is_woken(struct test *t)
{
	for (size_t i = 0; i < COUNT_OF(waits); i++) {
		struct bp_group *g = group_with(t, .limit = BP_LIMIT_NONE);
		struct waiting w;

		waiting_init(&w, waits[i]);
		expect_eq(bp_go(g, wait_task, &w), 0);
		until_count(t, &w.begun, 1);
		many_turns(t);
		expect_eq(w.ended, 0);
		wake(t, &w);
		expect_eq(bp_wait(g), 0);
		bp_group_destroy(g);
		waiting_free(&w);
	}
}

static void what_waits_is_woken(struct test *t)
{
	if (no_waits_here(t))
		return;
	both_ways(t, each_is_woken);
}

static void each_is_cancelled(struct test *t)
{
	for (size_t i = 0; i < COUNT_OF(waits); i++) {
		struct bp_group *g = group_with(t, .limit = BP_LIMIT_NONE);
		struct waiting w;

		waiting_init(&w, waits[i]);
		w.expected = -ECANCELED;
		expect_eq(bp_go(g, wait_task, &w), 0);
		expect_eq(bp_go(g, wait_task, &w), 0);
		until_count(t, &w.begun, 2);
		many_turns(t);
		expect_eq(w.ended, 0);
		bp_cancel(g, -EPIPE);
		expect_eq(bp_wait(g), -EPIPE);
		expect_eq(stats_of(g).stopped, 2);
		bp_group_destroy(g);
		waiting_free(&w);
	}
}

static void what_waits_is_ended_by_a_cancel(struct test *t)
{
	if (no_waits_here(t))
		return;
	both_ways(t, each_is_cancelled);
}

static int wait_a_while(void *arg)
{
	struct bp_timeout scope;
	int res;

	bp_timeout_begin(&scope, 5 * MS);
	res = wait_task(arg);
	expect_eq(bp_timeout_end(&scope), -ETIMEDOUT);
	return res == -ETIMEDOUT ? 0 : -EIO;
}

static void each_times_out(struct test *t)
{
	for (size_t i = 0; i < COUNT_OF(waits); i++) {
		struct waiting w;

		waiting_init(&w, waits[i]);
		w.expected = -ETIMEDOUT;
		expect_eq(run_task(t, wait_a_while, &w), 0);
		waiting_free(&w);
	}
}

static void what_waits_is_ended_by_its_timeout(struct test *t)
{
	if (no_waits_here(t))
		return;
	both_ways(t, each_times_out);
}

static int wake_by_task(void *arg)
{
	struct waiting *w = arg;

	/* Not before it waits: it is told apart by being woken. */
	while (bp_futex_wake(&w->word, 1, 0) == 0)
		expect_eq(bp_sleep(MS), 0);
	return 0;
}

static void a_task_is_woken_by_a_task(struct test *t)
{
	struct waiting w = {.wait = wait_for_word};
	struct bp_group *g;

	if (no_waits_here(t))
		return;
	g = group_with(t, .limit = BP_LIMIT_NONE);
	expect_eq(bp_go(g, wait_task, &w), 0);
	expect_eq(bp_go(g, wake_by_task, &w), 0);
	expect_eq(bp_wait(g), 0);
	bp_group_destroy(g);
}

/* ---------------------------------------------------------------- zero-copy sends */

#define LARGE ((size_t)1 << 20)

static int send_large(void *arg)
{
	int fd = *(int *)arg;
	char *buf = malloc(LARGE);
	size_t sent = 0;
	bool copied;

	for (size_t i = 0; i < LARGE; i++)
		buf[i] = (char)(i % 251);
	while (sent < LARGE) {
		size_t len = LARGE - sent < 100000 ? LARGE - sent : 100000;
		ssize_t n = bp_send_zc(fd, buf + sent, len, 0, &copied);

		if (!expect(n > 0))
			break;
		/* The buffer is ours again: whatever is written there is not sent. */
		memset(buf + sent, 'x', (size_t)n);
		sent += (size_t)n;
	}
	free(buf);
	return bp_shutdown(fd, SHUT_WR);
}

static int receive_large(void *arg)
{
	int fd = *(int *)arg;
	size_t got = 0;
	char buf[4096];
	ssize_t n;

	while ((n = bp_recv(fd, buf, sizeof(buf), 0)) > 0)
		for (ssize_t i = 0; i < n; i++, got++)
			if (buf[i] != (char)(got % 251))
				return expect(false), -EIO;
	expect_eq(n, 0);
	expect_eq(got, LARGE);
	return 0;
}

static void large_sends(struct test *t)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), from, to;
	struct bp_group *g = group_with(t, .limit = BP_LIMIT_NONE);
	socklen_t len = sizeof(addr);

	expect_eq(bind(listener, (struct sockaddr *)&addr, len), 0);
	expect_eq(listen(listener, 1), 0);
	expect_eq(getsockname(listener, (struct sockaddr *)&addr, &len), 0);
	from = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	expect_eq(connect(from, (struct sockaddr *)&addr, len), 0);
	to = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	expect_eq(bp_go(g, send_large, &from), 0);
	expect_eq(bp_go(g, receive_large, &to), 0);
	expect_eq(bp_wait(g), 0);
	bp_group_destroy(g);
	close(from);
	close(to);
	close(listener);
}

static void a_zero_copy_send_returns_when_its_buffer_is_free(struct test *t)
{
	both_ways(t, large_sends);
}

/* ---------------------------------------------------------------- files */

#define ENTRIES 300

static int list_and_copy(void *arg)
{
	int dir = bp_openat(AT_FDCWD, arg, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0), seen = 0, fd;
	_Alignas(struct dirent64) char buf[1024];
	ssize_t n;

	for (int i = 0; i < ENTRIES; i++) {
		snprintf(buf, sizeof(buf), "name-%d", i);
		fd = bp_openat(dir, buf, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		if (i == 0) {
			expect_eq(bp_write(fd, "0123456789", 10, 0), 10);
			expect_eq(bp_copy_file_range(fd, 2, fd, 100, 5, 0), 5);
			expect_eq(bp_read(fd, buf, sizeof(buf), 100), 5);
			expect_eq(memcmp(buf, "23456", 5), 0);
		}
		expect_eq(bp_close(fd), 0);
	}
	while ((n = bp_getdents(dir, buf, sizeof(buf))) > 0)
		for (ssize_t at = 0; at < n;) {
			const struct dirent64 *d = (struct dirent64 *)(void *)(buf + at);

			seen += !strncmp(d->d_name, "name-", 5);
			at += d->d_reclen;
		}
	expect_eq(n, 0);
	expect_eq(seen, ENTRIES);
	return bp_close(dir);
}

static void directories_are_listed_and_files_copied(struct test *t)
{
	expect_eq(run_task(t, list_and_copy, (void *)(uintptr_t)temp_dir(t)), 0);
}

static const struct test_case cases[] = {
	EACH_ROW(pipes_and_truncated_files),
	EACH_ROW(a_server_is_made_of_operations),
	EACH_ROW(what_is_not_simulated_says_so),
	EACH_REAL_ROW(what_waits_is_woken),
	EACH_REAL_ROW(what_waits_is_ended_by_a_cancel),
	EACH_REAL_ROW(what_waits_is_ended_by_its_timeout),
	EACH_REAL_ROW(a_task_is_woken_by_a_task),
	EACH_REAL_ROW(a_zero_copy_send_returns_when_its_buffer_is_free),
	EACH_REAL_ROW(directories_are_listed_and_files_copied),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
