/* SPDX-License-Identifier: MIT */
/*
 * The smallest plan that still fails; see explore.h.
 *
 * Whatever is taken away is tried by playing the program once more, and comes back where it did not fail in the same
 * manner. First the size, since a smaller program has fewer decisions; it makes another schedule of
 * the same seed, so others are searched with it. Then kinds of misfortune. Then decisions: a prefix of
 * them, found by halving, and of those ever smaller pieces, down to single ones.
 */
#include <stdlib.h>
#include <string.h>

#include "explore/explore.h"

/* Seeds that are tried with a smaller size. */
#define SIZE_SEEDS 500
/* What has no end takes as many events as it may, each time. */
#define ENDLESS_RUNS 100
/* Who crashes may have taken some more decisions than he came to count. */
#define MARGIN 1000

struct shrinking {
	struct explorer *x;
	struct plan *plan; /* the smallest so far */
	struct outcome *last; /* of it */
	int err;
};

/** Whether @plan fails in the same manner; then it is the smallest so far. */
static bool fails(struct shrinking *s, const struct plan *plan)
{
	struct outcome out;

	if (s->err || s->x->shrink_runs >= s->x->opts.shrink_runs)
		return false;
	s->x->shrink_runs++;
	s->err = explore_try(s->x, plan, &out, false);
	if (s->err || out.verdict != s->last->verdict || out.signal != s->last->signal)
		return false;
	*s->plan = *plan;
	*s->last = out;
	return true;
}

/* ---------------------------------------------------------------- size */

static bool fails_at_size(struct shrinking *s, unsigned long size)
{
	struct explorer x = *s->x;
	struct plan plan = {.size = size};
	struct bp_sim_result result = BP_SIM_RESULT();
	uint64_t left = x.opts.shrink_runs - s->x->shrink_runs;
	struct outcome found;
	int status;

	/* Half of what is left stays for the rest. */
	x.opts.size = size;
	x.opts.seed = s->plan->seed;
	x.opts.seeds = left / 2 < SIZE_SEEDS ? left / 2 : SIZE_SEEDS;
	if (s->err || !x.opts.seeds)
		return false;
	status = explore_search(&x, &found, &result);
	s->x->shrink_runs += result.runs;
	if (status < 0)
		s->err = status;
	plan.seed = found.seed;
	return status > 0 && found.verdict == s->last->verdict && fails(s, &plan);
}

static void shrink_size(struct shrinking *s)
{
	unsigned long held = 0; /* the largest that did not fail */

	while (s->plan->size - held > 1) {
		unsigned long size = held + (s->plan->size - held) / 2;

		if (!fails_at_size(s, size))
			held = size;
	}
}

/* ---------------------------------------------------------------- misfortunes */

static void shrink_mishaps(struct shrinking *s)
{
	for (unsigned int i = 0; i < SIM_MISHAPS; i++) {
		struct plan plan = *s->plan;

		if (!s->last->struck[i])
			continue;
		plan.off |= 1u << i;
		fails(s, &plan);
	}
}

/** Those that were taken away may come back where no decision that is left is about them. */
static void all_mishaps(struct shrinking *s)
{
	struct plan plan = *s->plan;

	plan.off = 0;
	if (s->plan->off)
		fails(s, &plan);
}

/* ---------------------------------------------------------------- decisions */

static void clear(unsigned char *bits, uint64_t from, uint64_t to)
{
	for (uint64_t i = from; i < to; i++)
		bits[i / 8] &= (unsigned char)~(1u << i % 8);
}

static bool any(const unsigned char *bits, uint64_t from, uint64_t to)
{
	for (uint64_t i = from; i < to; i++)
		if (bits[i / 8] & (1u << i % 8))
			return true;
	return false;
}

/** The first k decisions of the seed are enough, and k - 1 are not. */
static void shrink_prefix(struct shrinking *s, const unsigned char *bits)
{
	struct plan plan = *s->plan;
	uint64_t held = 0;

	plan.limited = true;
	plan.kept = (struct sim_kept){bits, 0};
	if (fails(s, &plan))
		return;
	plan.kept.count = s->last->decisions + MARGIN;
	if (!fails(s, &plan)) /* there is no budget left, or it is unsteady */
		return;
	while (s->plan->kept.count - held > 1) {
		plan.kept.count = held + (s->plan->kept.count - held) / 2;
		if (!fails(s, &plan))
			held = plan.kept.count;
	}
}

/** Without pieces of @step decisions. Return: whether something could go. */
static bool take_pieces(struct shrinking *s, unsigned char *bits, unsigned char *tried,
			uint64_t step)
{
	uint64_t count = s->plan->kept.count, size = (count + 7) / 8;
	bool smaller = false;

	/* From the end: what comes late depends on what was early. */
	for (uint64_t to = count; to > 0; to -= step < to ? step : to) {
		uint64_t from = step < to ? to - step : 0;
		struct plan plan = *s->plan;

		if (!any(bits, from, to))
			continue;
		memcpy(tried, bits, size);
		clear(tried, from, to);
		plan.kept.bits = tried;
		if (!fails(s, &plan))
			continue;
		memcpy(bits, tried, size);
		smaller = true;
	}
	s->plan->kept.bits = bits;
	return smaller;
}

static void shrink_decisions(struct shrinking *s)
{
	size_t size = (s->last->decisions + MARGIN) / 8 + 1;
	unsigned char *bits = malloc(size), *tried = malloc(size);

	if (!bits || !tried) {
		free(bits);
		free(tried);
		s->err = -ENOMEM;
		return;
	}
	memset(bits, 0xff, size);
	shrink_prefix(s, bits);
	if (s->plan->limited) {
		for (uint64_t step = s->plan->kept.count / 2; step > 1; step /= 2)
			take_pieces(s, bits, tried, step);
		while (take_pieces(s, bits, tried, 1))
			;
		while (s->plan->kept.count &&
		       !any(bits, s->plan->kept.count - 1, s->plan->kept.count))
			s->plan->kept.count--;
	}
	free(tried);
	if (!s->plan->limited)
		free(bits);
}

int explore_shrink(struct explorer *x, struct plan *plan, struct outcome *last)
{
	struct shrinking s = {.x = x, .plan = plan, .last = last};

	/* Each run would take all the time that it has. */
	if (last->verdict == BP_SIM_ENDLESS && last->signal)
		return 0;
	if (last->verdict == BP_SIM_ENDLESS && x->opts.shrink_runs > ENDLESS_RUNS)
		x->opts.shrink_runs = ENDLESS_RUNS;
	shrink_size(&s);
	shrink_mishaps(&s);
	shrink_decisions(&s);
	all_mishaps(&s);
	return s.err;
}
