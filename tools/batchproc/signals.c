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

static void free_line(void *line)
{
	buf_free(line);
}

/* It may stand still where nobody reads it; signals_stop() ends that. */
static void status_line(struct job *job)
{
	struct buf line = {0};

	pthread_cleanup_push(free_line, &line);
	progress_status(job, &line);
	output_add(SINK_ERR, line.data, line.len);
	pthread_cleanup_pop(true);
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

		if (signal == SIGUSR1)
			status_line(job);
		if (signal <= 0 || signal == SIGUSR1)
			continue;
		/* What it wakes is woken by calls that end a cancelled thread, some of them under a lock. */
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
		ending_signal(job, signal);
		pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
	}
	return NULL;
}

int signals_start(struct job *job)
{
	return -pthread_create(&waiter, NULL, wait_for_signals, job);
}

void signals_stop(void)
{
	/* sigwaitinfo() is a cancellation point; a status line that is being written is ended. */
	pthread_cancel(waiter);
	pthread_join(waiter, NULL);
}

void signals_die(int signal)
{
	struct sigaction action = {.sa_handler = SIG_DFL};
	sigset_t set;

	/* Where the run ends by itself meanwhile, this thread goes on to its end. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
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
