/* SPDX-License-Identifier: MIT */
/*
 * cmd - processes: starting, feeding, signalling, ending; and what their output must be
 *
 * Output goes through pipes that are emptied whenever the test waits for something. A run that
 * never ends is ended by the harness's watchdog; the children die with the test program.
 */
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "support/cmd.h"
#include "support/watch.h"

#define STATUS_SECONDS 9 /* a run that lasts less has not said how far it is unless it was asked */

static struct run *all_runs;

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * SECOND + (uint64_t)ts.tv_nsec;
}

/* ---------------------------------------------------------------- text */

void text_add(struct text *text, const void *data, size_t len)
{
	if (text->len + len + 1 > text->cap) {
		text->cap = 2 * (text->len + len + 1);
		text->data = realloc(text->data, text->cap);
		assert_non_null(text->data);
	}
	if (len)
		memcpy(text->data + text->len, data, len);
	text->len += len;
	text->data[text->len] = '\0';
}

void text_printf(struct text *text, const char *format, ...)
{
	char *line;
	va_list args;
	int len;

	va_start(args, format);
	len = vasprintf(&line, format, args);
	va_end(args);
	assert_true(len >= 0);
	text_add(text, line, (size_t)len);
	free(line);
}

void text_free(struct text *text)
{
	free(text->data);
	*text = (struct text){0};
}

bool text_is(const struct text *text, const char *expected)
{
	return text->len == strlen(expected) && !memcmp(text->data, expected, text->len);
}

size_t text_count(const struct text *text, const char *word)
{
	size_t len = strlen(word), count = 0;
	const char *at = text->data, *end = text->data + text->len;

	while (len && (at = memmem(at, (size_t)(end - at), word, len))) {
		at += len;
		count++;
	}
	return count;
}

/* ---------------------------------------------------------------- starting */

void runs_end(void)
{
	for (struct run *run = all_runs; run; run = run->next) {
		if (run->ended || run->pid <= 0)
			continue;
		kill(run->pid, SIGKILL);
		run_feed_end(run);
		waitpid(run->pid, NULL, 0);
		for (int i = 0; i < 2; i++)
			if (run->fd[i] >= 0)
				close(run->fd[i]);
		run->ended = true;
	}
}

void runs_forget(void)
{
	struct run *run;

	while ((run = all_runs)) {
		all_runs = run->next;
		text_free(&run->out);
		text_free(&run->err);
		free(run);
	}
}

static void set_environment(const char *const *env)
{
	for (; env && *env; env++) {
		if (strchr(*env, '='))
			putenv((char *)*env);
		else
			unsetenv(*env);
	}
}

/* By a library that the loader brings in: see deny_late.c. */
static void deny_from_main_on(const struct denied *denied)
{
	char path[PATH_MAX];
	struct text text = {0};

	helper_path(path, "deny.so");
	setenv("LD_PRELOAD", path, 1);
	for (; denied->err; denied++)
		text_printf(&text, "%ld %d %u %u %u;", denied->call, denied->err, denied->when,
			    denied->arg, denied->value);
	setenv("BATCHPROC_TESTS_DENY", text.data ? text.data : "", 1);
	text_free(&text);
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* What is run there may remove it: nothing is, unless it is the one that was made for it. */
static void enter_root(const char *root)
{
	struct stat usual, wanted, now;

	if (stat("/", &usual) || stat(root, &wanted) || is_same(&usual, &wanted))
		_exit(126);
	if (geteuid() && unshare(CLONE_NEWUSER))
		_exit(126);
	if (chroot(root) || chdir("/") || stat("/", &now) || !is_same(&now, &wanted) ||
	    access("/" ROOT_MARK, F_OK))
		_exit(126);
}

static void set_limits(const struct how *how)
{
	struct rlimit files = {how->nofile, how->nofile};

	if (how->nofile && setrlimit(RLIMIT_NOFILE, &files))
		_exit(126);
	if (how->uid &&
	    (setresgid(how->uid, how->uid, how->uid) || setresuid(how->uid, how->uid, how->uid)))
		_exit(126);
}

/* In the child. The program is opened first: the new user may not be able to reach it. */
static void become(const struct how *how, const char *const *args, const int fd[3], int watch)
{
	const char *path = getenv("BATCHPROC");
	static const int usual[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGUSR1, SIGXFSZ};
	const char *argv[64] = {how->program ? how->program : "batchproc"};
	sigset_t none;
	int program = how->program ? -1 : open(path, O_PATH | O_CLOEXEC);

	for (size_t i = 0; i + 2 < COUNT_OF(argv) && args[i]; i++)
		argv[i + 1] = args[i];
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int i = 0; i < 3; i++)
		if (dup2(fd[i], i) < 0)
			_exit(126);
	/* Out of the way of a small limit, which counts numbers. */
	if (program > 3)
		program = dup3(program, 3, O_CLOEXEC);
	for (int i = 0; i < 3; i++)
		if (how->closed & 1u << i)
			close(i);
	/* Whatever who runs the tests ignores or blocks: a shell's & and nohup leave it so. */
	for (size_t i = 0; i < COUNT_OF(usual); i++)
		signal(usual[i], SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (how->ignored)
		signal(how->ignored, SIG_IGN);
	if (how->root)
		enter_root(how->root);
	set_environment(how->env);
	if (how->denied_late)
		deny_from_main_on(how->denied_late);
	if (how->denied && deny_calls(how->denied))
		_exit(126);
	if (how->no_uring && refuse_uring(EPERM))
		_exit(126);
	if (how->killed_at && die_at(how->killed_at))
		_exit(126);
	if (how->watched)
		watch_calls(how->watched, watch);
	set_limits(how);
	if (how->program)
		execvp(how->program, (char *const *)argv);
	else
		execveat(program, "", (char *const *)argv, environ, AT_EMPTY_PATH);
	_exit(127);
}

static int input_file(const struct how *how)
{
	size_t len = how->input_len ? how->input_len : strlen(how->input);
	int fd = memfd_create("input", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, how->input, len), len);
	lseek(fd, 0, SEEK_SET);
	return fd;
}

static void name_run(struct run *run, const struct how *how, const char *const *args)
{
	size_t at = (size_t)snprintf(run->line, sizeof(run->line), "%s",
				     how->program ? how->program : "batchproc");

	for (; *args && at < sizeof(run->line); args++)
		at += (size_t)snprintf(run->line + at, sizeof(run->line) - at, " %s", *args);
}

struct run *run_start(const struct how *how, const char *const *args)
{
	struct run *run = calloc(1, sizeof(*run));
	int pipes[3][2], given[3] = {how->in, how->out, how->err}, fd[3], watch[2] = {-1, -1};

	assert_non_null(run);
	assert_non_null(getenv("BATCHPROC"));
	run->next = all_runs;
	all_runs = run;
	name_run(run, how, args);
	text_add(&run->out, "", 0);
	text_add(&run->err, "", 0);

	for (int i = 0; i < 3; i++) {
		pipes[i][0] = pipes[i][1] = -1;
		if (!given[i] && (i || how->feed))
			assert_int_equal(pipe2(pipes[i], O_CLOEXEC), 0);
		fd[i] = given[i] ? given[i] : i ? pipes[i][1] : pipes[i][0];
	}
	if (fd[0] < 0)
		fd[0] = pipes[0][0] = how->input ? input_file(how) :
						   open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (how->watched)
		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, watch), 0);
	run->start_ns = now_ns();
	run->pid = fork();
	assert_true(run->pid >= 0);
	if (!run->pid)
		become(how, args, fd, watch[1]);
	run->watch = how->watched ? take_watch(watch) : -1;
	if (pipes[0][0] >= 0)
		close(pipes[0][0]);
	run->in = pipes[0][1];
	for (int i = 1; i < 3; i++) {
		if (pipes[i][1] >= 0)
			close(pipes[i][1]);
		run->fd[i - 1] = pipes[i][0];
	}
	return run;
}

/* ---------------------------------------------------------------- while it runs */

/*
 * Takes what a run has printed, waiting for something if there is nothing. False: all at its end.
 */
static bool take_output(struct run *run)
{
	struct pollfd fds[2] = {{.fd = run->fd[0], .events = POLLIN},
				{.fd = run->fd[1], .events = POLLIN}};
	char block[65536];

	if (run->fd[0] < 0 && run->fd[1] < 0)
		return false;
	if (poll(fds, 2, -1) < 0)
		return true;
	for (int i = 0; i < 2; i++) {
		ssize_t n;

		if (!fds[i].revents)
			continue;
		n = read(run->fd[i], block, sizeof(block));
		if (n > 0) {
			text_add(i ? &run->err : &run->out, block, (size_t)n);
		} else if (n == 0 || errno != EINTR) {
			close(run->fd[i]);
			run->fd[i] = -1;
		}
	}
	return true;
}

bool until_printed(struct run *run, int fd, const char *word, size_t times)
{
	const struct text *text = fd == 1 ? &run->out : &run->err;

	while (text_count(text, word) < times) {
		if (!take_output(run)) {
			record_failure("%s: ended without printing '%s' %zu times", run->line, word,
				       times);
			return false;
		}
	}
	return true;
}

void run_feed(struct run *run, const void *data, size_t len)
{
	assert_int_equal(write(run->in, data, len), len);
}

void run_feed_end(struct run *run)
{
	if (run->in >= 0)
		close(run->in);
	run->in = -1;
}

static bool is_over(const struct run *run)
{
	siginfo_t info = {0};

	return !waitid(P_PID, (id_t)run->pid, &info, WEXITED | WNOHANG | WNOWAIT) && info.si_pid;
}

/* The kernel tells nobody of these, so they are looked at again and again. */
static void look_again(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
}

void until_drained(struct run *run)
{
	int left = 1;

	while (!ioctl(run->in, FIONREAD, &left) && left && !is_over(run))
		look_again();
	expect_eq(left, 0);
}

static bool is_pending(const struct run *run, int sig)
{
	unsigned long long set = 0;
	char path[64], line[200];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)run->pid);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "ShdPnd: %llx", &set) == 1)
			break;
	if (file)
		fclose(file);
	return set >> (sig - 1) & 1;
}

void run_kill(struct run *run, int sig)
{
	kill(run->pid, sig);
	while (is_pending(run, sig) && !is_over(run))
		look_again();
}

void run_signal(struct run *run, int sig)
{
	size_t lines = text_count(&run->err, " in flight, ");

	run_kill(run, sig);
	if (sig == SIGUSR1) {
		run->asked = true;
		until_printed(run, 2, " in flight, ", lines + 1);
	} else if (!is_over(run)) {
		/* One thread takes all signals: when it answers, it is done with the other. */
		kill(run->pid, SIGUSR1);
		while (text_count(&run->err, " in flight, ") <= lines && take_output(run))
			;
	}
}

/*
 * Takes away what a run that takes long says every ten seconds: on a slow machine any does.
 */
static void drop_status_lines(struct text *text)
{
	char *to = text->data, *line = to, *end;

	for (; line && *line; line = end) {
		unsigned long items;
		int at = 0;

		end = line + strcspn(line, "\n");
		end += *end == '\n';
		sscanf(line, "batchproc: %*[a-z]: %lu items, %n", &items, &at);
		if (at && memmem(line, (size_t)(end - line), " in flight, ", 12))
			continue;
		memmove(to, line, (size_t)(end - line));
		to += end - line;
	}
	if (to) {
		*to = '\0';
		text->len = (size_t)(to - text->data);
	}
}

struct run *run_end(struct run *run)
{
	int status;

	while (take_output(run))
		;
	assert_int_equal(wait4(run->pid, &status, 0, &run->usage), run->pid);
	run->seconds = (double)(now_ns() - run->start_ns) / 1e9;
	run->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	run->ended = true;
	if (run->seconds >= STATUS_SECONDS && !run->asked && !strstr(run->line, "progress"))
		drop_status_lines(&run->err);
	run_feed_end(run);
	if (run->watch >= 0)
		close(run->watch);
	run->watch = -1;
	/* What is expected of a run shows some of this only. */
	if (strstr(run->err.data, "Sanitizer"))
		fprintf(stderr, "%s\n", run->err.data);
	return run;
}

/* ---------------------------------------------------------------- expectations */

bool expect_exit_(const struct run *run, int code, const char *file, int line)
{
	if (run->ended && run->status == code)
		return true;
	record_failure("%s:%d: %s: exit status %d, not %d; out: %.100s; err: %.150s", file, line,
		       run->line, run->ended ? run->status : -1, code, run->out.data,
		       run->err.data);
	return false;
}

bool expect_printed_(const struct run *run, int fd, const char *expected, const char *file,
		     int line)
{
	const struct text *text = fd == 1 ? &run->out : &run->err;

	if (text_is(text, expected))
		return true;
	record_failure("%s:%d: %s: printed '%.150s' on %d, not '%.100s'", file, line, run->line,
		       text->data, fd, expected);
	return false;
}

bool expect_says_(const struct run *run, const char *word, const char *file, int line)
{
	if (strstr(run->err.data, word))
		return true;
	record_failure("%s:%d: %s: says '%.200s', nothing of '%s'", file, line, run->line,
		       run->err.data, word);
	return false;
}

struct line {
	const char *data;
	size_t len;
};

static int compare_lines(const void *a, const void *b)
{
	const struct line *x = a, *y = b;
	int order = memcmp(x->data, y->data, x->len < y->len ? x->len : y->len);

	return order ? order : x->len < y->len ? -1 : x->len > y->len;
}

static struct line *sorted_lines(const struct text *text, char separator, size_t *count)
{
	const char *at = text->data, *end = at + text->len;
	struct line *lines = NULL;
	size_t room = 0;

	for (*count = 0; at < end; (*count)++) {
		const char *stop = memchr(at, separator, (size_t)(end - at));

		if (*count == room)
			lines = realloc(lines, (room = 2 * room + 64) * sizeof(*lines));
		assert_non_null(lines);
		if (!stop)
			stop = end;
		lines[*count] = (struct line){at, (size_t)(stop - at)};
		at = stop + 1;
	}
	if (*count)
		qsort(lines, *count, sizeof(*lines), compare_lines);
	return lines;
}

bool expect_same_(const struct run *a, const struct run *b, char separator, const char *file,
		  int line)
{
	size_t na, nb, i = 0;
	struct line *la = sorted_lines(&a->out, separator, &na);
	struct line *lb = sorted_lines(&b->out, separator, &nb);

	while (i < na && i < nb && !compare_lines(&la[i], &lb[i]))
		i++;
	if (i < na || i < nb)
		record_failure("%s:%d: %zu and %zu lines; they differ in '%.*s' and '%.*s'", file,
			       line, na, nb, i < na ? (int)la[i].len : 0, i < na ? la[i].data : "",
			       i < nb ? (int)lb[i].len : 0, i < nb ? lb[i].data : "");
	free(la);
	free(lb);
	return i == na && i == nb;
}
