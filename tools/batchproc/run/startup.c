/* SPDX-License-Identifier: MIT */
/*
 * startup: ends the program when its deadline passes before it has a run. See startup.h.
 *
 * There is nothing to be written then: no item is known, and no record is owed. The main thread is
 * left where it stands.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <time.h>
#include <unistd.h>

#include "base/message.h"
#include "base/status.h"
#include "run/startup.h"

#define NSEC_PER_SEC 1000000000ull
/* A run that begins late writes the records of all that it does not start. */
#define GRACE_NS NSEC_PER_SEC

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed;
static struct timespec until;
static bool over; /* under the lock */
static pthread_t watcher;
static bool watching; /* the main thread's */

static void *watch(void *arg)
{
	int err = 0;

	(void)arg;
	pthread_mutex_lock(&lock);
	while (!over && err != ETIMEDOUT)
		err = pthread_cond_timedwait(&changed, &lock, &until);
	if (!over) {
		message("the deadline has passed before anything could be started");
		_exit(EXIT_DEADLINE);
	}
	pthread_mutex_unlock(&lock);
	return NULL;
}

void startup_watch(uint64_t deadline_ns)
{
	pthread_condattr_t attr;
	sigset_t all, before;
	uint64_t ns;

	if (!deadline_ns)
		return;
	deadline_ns += GRACE_NS;
	clock_gettime(CLOCK_MONOTONIC, &until);
	ns = (uint64_t)until.tv_nsec + deadline_ns % NSEC_PER_SEC;
	until.tv_sec += (time_t)(deadline_ns / NSEC_PER_SEC + ns / NSEC_PER_SEC);
	until.tv_nsec = (long)(ns % NSEC_PER_SEC);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&changed, &attr);
	pthread_condattr_destroy(&attr);
	/* They are for the main thread, and later for one of their own. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	watching = !pthread_create(&watcher, NULL, watch, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void startup_over(void)
{
	if (!watching)
		return;
	pthread_mutex_lock(&lock);
	over = true;
	pthread_cond_signal(&changed);
	pthread_mutex_unlock(&lock);
	pthread_join(watcher, NULL);
	watching = false;
}
