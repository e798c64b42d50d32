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
		installed = true;
	}
	return stop_signal != 0;
}

int interleave(struct contestant *all[], unsigned int n, unsigned int runs)
{
	struct measure warm_up[MEASURES_MAX];
	unsigned int i, round;
	int err;

	for (i = 0; i < n; i++) {
		err = all[i]->run(all[i]->arg, warm_up);
		if (err)
			return err;
	}
	for (round = 0; round < runs; round++) {
		for (i = 0; i < n; i++) {
			if (interrupted())
				return -EINTR;
			err = all[i]->run(all[i]->arg, all[i]->samples[round]);
			if (err)
				return err;
		}
	}
	return 0;
}

int best_threads(const struct bench *b, struct contestant *c, unsigned int runs,
		 void (*set)(const struct bench *b, unsigned int threads))
{
	unsigned int threads, best = 1, run, most = b->smoke ? 2 : 256;
	double best_wall = 0;

	for (threads = 1; threads <= most; threads *= 2) {
		for (run = 0; run < runs; run++) {
			struct measure m;
			int err;

			set(b, threads);
			err = c->run(c->arg, &m);
			if (err || interrupted())
				return err ? err : -EINTR;
			if (best_wall > 0 && m.wall >= best_wall)
				continue;
			best_wall = m.wall;
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

static double median(double *v, unsigned int n)
{
	qsort(v, n, sizeof(*v), compare_doubles);
	return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

struct measure median_of(const struct contestant *c, unsigned int measure, unsigned int runs)
{
	double wall[RUNS_MAX] = {0}, cpu[RUNS_MAX] = {0};
	unsigned int i;

	for (i = 0; i < runs; i++) {
		wall[i] = c->samples[i][measure].wall;
		cpu[i] = c->samples[i][measure].cpu;
	}
	return (struct measure){.wall = median(wall, runs), .cpu = median(cpu, runs)};
}

double median_ratio(const struct contestant *a, const struct contestant *b, unsigned int measure,
		    unsigned int runs)
{
	double ratio[RUNS_MAX] = {0};
	unsigned int i;

	for (i = 0; i < runs; i++)
		ratio[i] = a->samples[i][measure].wall / b->samples[i][measure].wall;
	return median(ratio, runs);
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
