/* SPDX-License-Identifier: MIT */
/*
 * Runs in child processes; see explore.h.
 *
 * A child notes in shared memory how its run went. One that did not come to that has crashed: its
 * signal says how, and the last line of what it wrote on standard error, which goes to a file in memory, why.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "explore/explore.h"

/**
 * In the child: no core, no word, and no longer than its parent. Handlers of crashes are the parent's too: one of a
 * test framework would go on there with its next test.
 */
static void settle_in(int words, pid_t parent, bool muted)
{
	static const int own[] = {SIGSEGV, SIGBUS, SIGFPE,  SIGILL,
				  SIGTRAP, SIGSYS, SIGABRT, SIGALRM};
	const struct rlimit none = {0, 0};
	sigset_t set;
	int null;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	setrlimit(RLIMIT_CORE, &none);
	sigemptyset(&set);
	for (unsigned int i = 0; i < SIM_COUNT(own); i++) {
		signal(own[i], SIG_DFL);
		sigaddset(&set, own[i]);
	}
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	if (!muted)
		return;
	null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (null >= 0)
		dup2(null, STDOUT_FILENO);
	if (words >= 0 || null >= 0)
		dup2(words >= 0 ? words : null, STDERR_FILENO);
	if (null > STDERR_FILENO)
		close(null);
}

void child_quit(void)
{
	fflush(NULL);
	syscall(SYS_exit_group, 0);
	abort();
}

int child_start(struct child *child, struct outcome *out, void (*body)(void *), void *arg,
		bool muted)
{
	pid_t parent = getpid();
	int ends[2], err;

	out->verdict = VERDICT_NONE;
	out->err = out->signal = 0;
	out->message[0] = '\0';
	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	/* Without it a crash has no words. */
	child->words = muted ? memfd_create("batchproc-sim", MFD_CLOEXEC) : -1;
	fflush(NULL);
	child->pid = fork();
	if (!child->pid) {
		close(ends[0]);
		settle_in(child->words, parent, muted);
		body(arg);
		child_quit();
	}
	err = child->pid < 0 ? -errno : 0;
	close(ends[1]);
	child->gone = ends[0];
	if (err) {
		close(ends[0]);
		if (child->words >= 0)
			close(child->words);
	}
	return err;
}

/** The line of @text that says most: a sanitizer's summary, or the last. */
static const char *telling_line(char *text)
{
	const char *last = NULL;
	char *line, *rest = text;

	while ((line = strsep(&rest, "\n"))) {
		if (!strncmp(line, "SUMMARY: ", 9))
			return line + 9;
		if (line[strspn(line, " \t=")])
			last = line;
	}
	return last;
}

static void take_words(struct outcome *out, int words)
{
	char text[8192];
	const char *line;
	off_t size = words >= 0 ? lseek(words, 0, SEEK_END) : 0;
	off_t from = size > (off_t)sizeof(text) - 1 ? size - (off_t)sizeof(text) + 1 : 0;
	ssize_t n = size > 0 ? pread(words, text, sizeof(text) - 1, from) : 0;

	text[n > 0 ? n : 0] = '\0';
	line = telling_line(text);
	if (line)
		snprintf(out->message, sizeof(out->message), "%s", line);
	else if (out->signal)
		snprintf(out->message, sizeof(out->message), "ended by signal %d (%s)", out->signal,
			 strsignal(out->signal));
	else
		snprintf(out->message, sizeof(out->message), "the program ended its process");
}

void child_end(struct child *child, struct outcome *out)
{
	struct pollfd pfd = {.fd = child->gone, .events = POLLIN};
	int status = 0;

	while (waitpid(child->pid, &status, 0) < 0)
		if (errno != EINTR) {
			/* The program ignores SIGCHLD, and nobody keeps the status. */
			poll(&pfd, 1, -1);
			break;
		}
	close(child->gone);
	if (out->verdict == VERDICT_NONE && !out->err) {
		out->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
		if (out->signal == SIGALRM) {
			out->verdict = BP_SIM_ENDLESS;
			snprintf(out->message, sizeof(out->message), "no end in the time it has");
		} else {
			out->verdict = BP_SIM_CRASHED;
			take_words(out, child->words);
		}
	}
	if (child->words >= 0)
		close(child->words);
}

struct one {
	struct explorer *x;
	const struct plan *plan;
	struct outcome *out;
	bool show;
};

static void play_one(void *arg)
{
	struct one *one = arg;

	alarm(one->x->opts.timeout_s);
	one->out->err = explore_play(one->x, one->plan, one->out, one->show);
}

int explore_try(struct explorer *x, const struct plan *plan, struct outcome *out, bool show)
{
	struct outcome *shared = &x->shared[0];
	struct one one = {.x = x, .plan = plan, .out = shared, .show = show};
	struct child child;
	int err;

	memset(shared, 0, sizeof(*shared));
	shared->seed = plan->seed;
	err = child_start(&child, shared, play_one, &one, !show);
	if (err)
		return err;
	child_end(&child, shared);
	*out = *shared;
	if (show && !out->err)
		explore_tell(x);
	return out->err;
}
