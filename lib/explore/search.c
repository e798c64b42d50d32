/* SPDX-License-Identifier: MIT */
/*
 * Many seeds, in one or several children; the first that fails is the same however many there are.
 * See explore.h.
 *
 * Children take seeds in batches from a counter that they share. One that finds a failure lowers the
 * end of the seeds to it, so that the others go on with what is before it alone.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "explore/explore.h"

#define BATCH 64
/* One run in so many is played twice. */
#define TWICE 16

struct worker {
	struct explorer *x;
	struct outcome *out;
};

/** A failure at @seed: what comes after it need not be played. */
static void lower_end(struct explorer *x, uint64_t seed)
{
	unsigned long long end = atomic_load(x->end);

	while (seed < end && !atomic_compare_exchange_weak(x->end, &end, seed))
		;
}

static int play_seed(struct explorer *x, uint64_t seed, struct outcome *out)
{
	struct plan plan = {.seed = seed, .size = x->opts.size};
	uint64_t hash;
	int err;

	err = explore_play(x, &plan, out, false);
	out->runs += !err;
	if (err || seed % TWICE)
		return err;
	hash = out->hash;
	err = explore_play(x, &plan, out, false);
	if (!err && hash != out->hash) {
		out->verdict = BP_SIM_UNSTEADY;
		snprintf(out->message, sizeof(out->message),
			 "the same seed went another way the second time");
	}
	return err;
}

static void work(void *arg)
{
	struct worker *w = arg;
	struct explorer *x = w->x;
	struct outcome *out = w->out;

	while (!out->err && out->verdict != BP_SIM_UNSTEADY) {
		uint64_t seed = atomic_fetch_add(x->next, BATCH), end = seed + BATCH;

		if (seed >= atomic_load(x->end))
			break;
		for (; seed < end && seed < atomic_load(x->end) && !out->err; seed++) {
			out->seed = seed;
			if (!x->opts.in_process)
				alarm(x->opts.timeout_s);
			out->err = play_seed(x, seed, out);
			if (out->err || out->verdict == BP_SIM_UNSTEADY)
				break;
		}
	}
	if (out->verdict == VERDICT_NONE)
		out->verdict = BP_SIM_HELD;
}

/** Waits until one child is gone. Return: which. */
static unsigned int first_gone(const struct child *children, unsigned int n)
{
	struct pollfd pfd[BP_SIM_JOBS_MAX];

	for (unsigned int i = 0; i < n; i++)
		pfd[i] = (struct pollfd){.fd = children[i].pid ? children[i].gone : -1,
					 .events = POLLIN};
	for (;;) {
		if (poll(pfd, n, -1) < 0)
			continue;
		for (unsigned int i = 0; i < n; i++)
			if (pfd[i].revents)
				return i;
	}
}

static int search_here(struct explorer *x)
{
	struct worker w = {.x = x, .out = &x->shared[0]};

	w.out->verdict = VERDICT_NONE;
	work(&w);
	return w.out->err;
}

static int search_in_children(struct explorer *x)
{
	struct child children[BP_SIM_JOBS_MAX] = {{0}};
	struct worker workers[BP_SIM_JOBS_MAX];
	unsigned int jobs = x->opts.jobs, left, started = 0;
	int err = 0;

	for (; started < jobs && !err; started += !err) {
		workers[started] = (struct worker){.x = x, .out = &x->shared[started]};
		err = child_start(&children[started], &x->shared[started], work, &workers[started],
				  true);
		/* Fewer do as well. */
		if (err && started) {
			err = 0;
			break;
		}
	}
	for (left = started; left; left--) {
		unsigned int i = first_gone(children, started);
		struct outcome *out = &x->shared[i];

		child_end(&children[i], out);
		children[i].pid = 0;
		if (out->err)
			err = out->err;
		if (out->err || out->verdict != BP_SIM_HELD)
			lower_end(x, out->seed);
	}
	return err;
}

int explore_search(struct explorer *x, struct outcome *found, struct bp_sim_result *result)
{
	const struct outcome *first = NULL, *last = &x->shared[0];
	int err;

	memset(x->shared, 0, x->opts.jobs * sizeof(x->shared[0]));
	atomic_store(x->next, x->opts.seed);
	atomic_store(x->end, x->opts.seed + x->opts.seeds);
	err = x->opts.in_process ? search_here(x) : search_in_children(x);
	if (err)
		return err;
	for (unsigned int i = 0; i < x->opts.jobs; i++) {
		const struct outcome *out = &x->shared[i];

		result->runs += out->runs;
		result->events += out->events;
		if (out->seed > last->seed)
			last = out;
		/* An outcome that was never used is of a child that could not be had. */
		if (out->verdict != BP_SIM_HELD && (!first || out->seed < first->seed))
			first = out;
	}
	*found = first ? *first : *last;
	result->runs += first != NULL;
	return first != NULL;
}
