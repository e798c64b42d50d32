/* SPDX-License-Identifier: MIT */
/*
 * stats.c - runs contestants in turn and finds the middle
 *
 * Contestants are interleaved, A B A B ..., so that a machine that grows slower meanwhile slows
 * both; medians keep single disturbed runs out; the ratio is the median of the rounds' ratios.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "bench.h"

static volatile sig_atomic_t stop_signal;

static void on_signal(int sig)
{
	stop_signal = sig;
}

bool interrupted(void)
{
	static bool installed;

	if (!installed) {
		struct sigaction sa = {.sa_handler = on_signal};

		sigaction(SIGINT, &sa, NULL);
		sigaction(SIGTERM, &sa, NULL);
		sigaction(SIGPIPE, &sa, NULL); /* nobody reads the table any more */
		installed = true;
	}
	return stop_signal != 0;
}

/* Once, with the look at what came of it. */
static void run_once(struct contestant *c, struct measure *out)
{
	int err = c->run(c->arg, out);

	if (!err && c->check)
		err = c->check(c->arg);
	c->failed = err;
}

int interleave(struct contestant *all[], unsigned int n, unsigned int runs)
{
	struct measure warm_up[MEASURES_MAX];
	unsigned int i, round;

	for (i = 0; i < n; i++)
		run_once(all[i], warm_up);
	for (round = 0; round < runs; round++) {
		for (i = 0; i < n; i++) {
			if (interrupted())
				return -EINTR;
			if (!all[i]->failed)
				run_once(all[i], all[i]->samples[round]);
		}
	}
	return interrupted() ? -EINTR : 0;
}

int best_threads(const struct bench *b, struct contestant *c, unsigned int runs,
		 void (*set)(const struct bench *b, unsigned int threads))
{
	unsigned int threads, best = 1, run, most = b->smoke ? 2 : 256;
	double best_wall = 0;

	for (threads = 1; threads <= most; threads *= 2) {
		set(b, threads);
		for (run = 0; run < runs; run++) {
			struct measure m[MEASURES_MAX];

			if (interrupted())
				return -EINTR;
			run_once(c, m);
			if (c->failed)
				break;
			if (best_wall > 0 && m->wall >= best_wall)
				continue;
			best_wall = m->wall;
			best = threads;
		}
	}
	set(b, best);
	return 0;
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

struct spread spread_of(double *v, unsigned int n)
{
	qsort(v, n, sizeof(*v), compare_doubles);
	return (struct spread){
		.min = v[0],
		.median = n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2,
		.max = v[n - 1],
	};
}

static double sample_of(const struct contestant *c, unsigned int round, unsigned int measure,
			enum clock clock)
{
	const struct measure *m = &c->samples[round][measure];

	return clock == WALL ? m->wall : m->cpu;
}

struct spread samples_of(const struct contestant *c, unsigned int measure, enum clock clock,
			 unsigned int runs)
{
	double v[RUNS_MAX] = {0};
	unsigned int i;

	for (i = 0; i < runs; i++)
		v[i] = sample_of(c, i, measure, clock);
	return spread_of(v, runs);
}

struct spread ratios_of(const struct contestant *a, const struct contestant *b,
			unsigned int measure, enum clock clock, unsigned int runs)
{
	double v[RUNS_MAX] = {0};
	unsigned int i;

	for (i = 0; i < runs; i++) {
		double under = sample_of(b, i, measure, clock);

		v[i] = under > 0 ? sample_of(a, i, measure, clock) / under : 0;
	}
	return spread_of(v, runs);
}

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void watch_start(struct stopwatch *w)
{
	/* The process clock counts io-wq workers too: they are threads of this process. */
	w->cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	w->wall = clock_ns(CLOCK_MONOTONIC);
}

struct measure watch_stop(const struct stopwatch *w, double count)
{
	uint64_t wall = clock_ns(CLOCK_MONOTONIC);
	uint64_t cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);

	return (struct measure){
		.wall = (double)(wall - w->wall) / count,
		.cpu = (double)(cpu - w->cpu) / count,
	};
}
