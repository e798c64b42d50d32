/* SPDX-License-Identifier: MIT */
/*
 * signals: INT and TERM end a run in two steps, USR1 asks for a status line.
 *
 *	first INT or TERM	nothing more is admitted, what runs may end
 *	second			what runs is cancelled
 *	third			the program ends at once, whoever still blocks it
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "bar.h"
#include "job.h"
#include "output.h"
#include "progress.h"
#include "signals.h"

static sigset_t handled;
static pthread_t waiter;
static atomic_bool over; /* the next SIGUSR1 ends the thread */

void signals_block(void)
{
	static const int ending[] = {SIGINT, SIGTERM};
	struct sigaction old;

	sigemptyset(&handled);
	sigaddset(&handled, SIGUSR1);
	for (size_t i = 0; i < sizeof(ending) / sizeof(ending[0]); i++)
		if (!sigaction(ending[i], NULL, &old) && old.sa_handler != SIG_IGN)
			sigaddset(&handled, ending[i]);
	pthread_sigmask(SIG_BLOCK, &handled, NULL);
	/* A file that may not grow any more is an error of the write, as a full disk is. */
	signal(SIGXFSZ, SIG_IGN);
}

static void status_line(struct job *job)
{
	struct buf line = {0};

	progress_status(job, &line);
	output_try_add(SINK_ERR, line.data, line.len);
	buf_free(&line);
}

static void ending_signal(struct job *job, int signal)
{
	unsigned int nth = atomic_fetch_add(&job->signals, 1) + 1;
	int none = 0;

	atomic_compare_exchange_strong(&job->signal, &none, signal);
	if (nth > 2 || (nth == 2 && atomic_load(&job->flushing)))
		signals_die(signal);
	job_stop(job, STOP_SIGNAL, nth == 2);
}

static void *wait_for_signals(void *arg)
{
	struct job *job = arg;
	siginfo_t info;

	for (;;) {
		int signal = sigwaitinfo(&handled, &info);

		if (signal == SIGUSR1 && atomic_load(&over))
			return NULL;
		if (signal == SIGUSR1)
			status_line(job);
		else if (signal > 0)
			ending_signal(job, signal);
	}
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
