/* SPDX-License-Identifier: MIT */
/*
 * signals: INT and TERM end a run in two steps, USR1 asks for a status line, and in a debug build
 * also for what lives in the engine.
 *
 *	first INT or TERM	nothing more is admitted, what runs may end
 *	second			what runs is cancelled; a reader who then takes none of the records
 *				for some seconds is not waited for
 *	third			the program ends at once, whoever still blocks it
 *
 * Signals are the process's, and so is what waits for them here: of its runs one can hear them.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "output/bar.h"
#include "run/job.h"
#include "run/overdue.h"
#include "run/steer.h"
#include "output/output.h"
#include "run/progress.h"
#include "run/signals.h"

#define TICK_NS OVERDUE_TICK_NS
#define PATIENCE 20u /* ticks after a second signal in which the reader may take nothing */

static sigset_t handled;
static pthread_t waiter;
static atomic_bool over; /* the next SIGUSR1 ends the thread */

int signals_block(void)
{
	static const int ending[] = {SIGINT, SIGTERM};
	struct sigaction old;

	sigemptyset(&handled);
	sigaddset(&handled, SIGUSR1);
	for (size_t i = 0; i < sizeof(ending) / sizeof(ending[0]); i++)
		if (!sigaction(ending[i], NULL, &old) && old.sa_handler != SIG_IGN)
			sigaddset(&handled, ending[i]);
	/* A file that may not grow any more is an error of the write, as a full disk is. */
	signal(SIGXFSZ, SIG_IGN);
	return -pthread_sigmask(SIG_BLOCK, &handled, NULL);
}

int signals_pending(void)
{
	sigset_t pending;

	if (sigpending(&pending))
		return 0;
	if (sigismember(&handled, SIGINT) && sigismember(&pending, SIGINT))
		return SIGINT;
	return sigismember(&handled, SIGTERM) && sigismember(&pending, SIGTERM) ? SIGTERM : 0;
}

static void status_line(struct job *job)
{
	struct buf line = {0};

	progress_status(job, &line);
#ifdef BP_DEBUG
	bp_engine_dump(job->engine, STDERR_FILENO);
#endif
	output_try_add(job->output, SINK_ERR, line.data, line.len);
	buf_free(&line);
}

static void ending_signal(struct job *job, int signal)
{
	unsigned int nth = atomic_fetch_add(&job->signals, 1) + 1;
	int none = 0;

	atomic_compare_exchange_strong(&job->signal, &none, signal);
	if (nth > 2)
		signals_die(signal);
	steer_stop(job, STOP_SIGNAL, nth == 2);
}

/* By a descriptor, where the call that waits for them is refused. @fd: -1 at first. */
static int next_from(int *fd)
{
	struct signalfd_siginfo info;
	struct pollfd poll_fd;

	if (*fd < 0)
		*fd = signalfd(-1, &handled, SFD_CLOEXEC | SFD_NONBLOCK);
	/* Then they do what they do to every program. */
	if (*fd < 0)
		pthread_sigmask(SIG_UNBLOCK, &handled, NULL);
	poll_fd = (struct pollfd){.fd = *fd, .events = POLLIN};
	poll(&poll_fd, 1, TICK_NS / 1000000);
	if (*fd >= 0 && read(*fd, &info, sizeof(info)) == sizeof(info))
		return (int)info.ssi_signo;
	errno = EAGAIN;
	return -1;
}

/* The next signal, or -1 after a tick. */
static int next_signal(int *fd)
{
	static const struct timespec tick = {.tv_nsec = TICK_NS};
	int signal = *fd < 0 ? sigtimedwait(&handled, NULL, &tick) : -1;

	if (*fd >= 0 || (signal < 0 && errno != EAGAIN && errno != EINTR))
		return next_from(fd);
	return signal;
}

/* How many ticks one and the same write has taken by now. */
static unsigned int stuck(const struct job *job, unsigned int before, unsigned long *seen)
{
	unsigned long calls = output_calls(job->output);
	bool same = calls == *seen && calls % 2;

	*seen = calls;
	return same ? before + 1 : 0;
}

static void *wait_for_signals(void *arg)
{
	struct job *job = arg;
	unsigned int ticks = 0;
	unsigned long seen = 0;
	int fd = -1;

	for (;;) {
		int signal = next_signal(&fd);

		if (signal < 0 && errno == EAGAIN && atomic_load(&job->signals) >= 2)
			ticks = stuck(job, ticks, &seen);
		overdue_look(job);
		if (ticks > PATIENCE)
			signals_die(atomic_load(&job->signal));
		/* Also after a tick: the signal may be refused. */
		if ((signal == SIGUSR1 || signal < 0) && atomic_load(&over))
			break;
		if (signal == SIGUSR1)
			status_line(job);
		else if (signal > 0)
			ending_signal(job, signal);
	}
	if (fd >= 0)
		close(fd);
	return NULL;
}

int signals_start(struct job *job)
{
	return -pthread_create(&waiter, NULL, wait_for_signals, job);
}

void signals_stop(void)
{
	/* Not pthread_cancel(): that would end it in the midst of what it does about a signal. */
	atomic_store(&over, true);
	pthread_kill(waiter, SIGUSR1);
	pthread_join(waiter, NULL);
}

void signals_die(int signal)
{
	struct sigaction action = {.sa_handler = SIG_DFL};
	sigset_t set;

	bar_abandon();
	sigemptyset(&action.sa_mask);
	sigaction(signal, &action, NULL);
	sigemptyset(&set);
	sigaddset(&set, signal);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	raise(signal);
	/* Still here: process 1 of a container is spared by default actions. */
	_exit(128 + signal);
}
