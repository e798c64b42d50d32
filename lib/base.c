/* SPDX-License-Identifier: MIT */
/*
 * The end of the program on misuse, the version, options structs, the clock; see base.h.
 */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base.h"

__thread void (*base_last_words)(bool deadlock, const char *line);

static void say_last(bool deadlock, const char *fmt, va_list ap)
{
	void (*last_words)(bool, const char *) = base_last_words;
	char line[512] = "batchproc: ";
	size_t len = strlen(line);
	int n;

	n = vsnprintf(line + len, sizeof(line) - len - 1, fmt, ap);
	if (last_words) {
		base_last_words = NULL;
		last_words(deadlock, line + len);
	}
	if (n > 0)
		len += (size_t)n < sizeof(line) - len - 1 ? (size_t)n : sizeof(line) - len - 2;
	line[len++] = '\n';
	if (write(STDERR_FILENO, line, len) < 0)
		abort();
}

void bp_fatal(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say_last(false, fmt, ap);
	va_end(ap);
	abort();
}

void bp_deadlock(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say_last(true, fmt, ap);
	va_end(ap);
	abort();
}

const char *bp_version(void)
{
	return BP_VERSION_STRING;
}

#define OPTS_MAX 4096u

int opts_copy(void *to, size_t known, const void *from)
{
	size_t given, i;

	if (!from)
		return 0;
	given = *(const size_t *)from;
	/* A size that was not set is anything, and no struct of options will ever be that large. */
	if (given < sizeof(size_t) || given > OPTS_MAX)
		return -EINVAL;
	/* A caller built against a newer header may only leave unset what is not known here. */
	for (i = known; i < given; i++)
		if (((const char *)from)[i])
			return -EINVAL;
	memcpy(to, from, given < known ? given : known);
	return 0;
}

int say_why(char *room, size_t size, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(room, size, fmt, ap);
	va_end(ap);
	return err;
}

void signals_keep_out(sigset_t *old)
{
	static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};
	sigset_t set;
	size_t i;

	sigfillset(&set);
	for (i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		sigdelset(&set, own[i]);
	pthread_sigmask(SIG_SETMASK, &set, old);
}

unsigned int base_forks;
BP_THREAD_LOCAL uint64_t base_this_thread;

uint64_t base_thread(void)
{
	static _Atomic uint64_t threads;

	if (!base_this_thread)
		base_this_thread = atomic_fetch_add(&threads, 1) + 1;
	return base_this_thread;
}

static void (*after_fork)(void);

static void forked(void)
{
	base_forks++;
	base_this_thread = 0;
	after_fork();
}

static void watch(void)
{
	pthread_atfork(NULL, NULL, forked);
}

void base_watch_forks(void (*in_child)(void))
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	after_fork = in_child;
	pthread_once(&once, watch);
}

uint64_t time_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}
