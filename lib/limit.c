/* SPDX-License-Identifier: MIT */
/*
 * The controller of BP_LIMIT_AUTO.
 *
 * It compares rates: ends in a second under one limit, with those under another one. Not latencies, as
 * TCP Vegas (Brakmo, Peterson 1995) and the gradient limits of Netflix's concurrency-limits do: these
 * need to know what an item takes where nothing queues, which changes with every item that is larger
 * than others. A rate needs no such base, and is what is wanted. As in those, a limit grows only while it
 * is what holds items back, and by parts, not by doubling: under a server with C places the best limit
 * is C, nothing tells C before it is passed, and GROW is how far.
 *
 * Time is cut into windows. A window lasts until all that was in flight has ended once, a millisecond
 * has passed, and the items' times vary too little to make the rate uncertain: a few items where all
 * take the same, up to WINDOW_MOST where they do not. After a change the first ends are left out, since
 * they were let in by the limit before. It begins and ends at the time of an end, so that a burst of
 * ends at one time is in it or not.
 *
 *	base ---> trial up ---> more ends, by TRUST of what is linear: base = what the rate is worth
 *	  ^  \--> trial down -> hardly fewer ends: base = the trial
 *	  '--------- else: back, the other way next time, after some windows of rest
 *
 * That is a pattern search (Hooke, Jeeves 1961) in one dimension. "What the rate is worth": where twelve
 * hundredths more in flight end six hundredths more, the base becomes six hundredths more, which is
 * where a straight line would have ended at that rate. So the base does not pass C, and does not drift
 * upwards by chance; without evidence it goes down.
 *
 * Not believed are: a window in which nothing ended for three times the longest time of an item (an
 * outage; the next one is, since the plant may be slower now); a gain or a loss that is more than linear
 * (the plant has changed: the base is measured anew); one in which the limit was mostly not reached.
 * Items that were cancelled are not told here, and one that failed quicker than half the time of a success
 * is not counted, as when a server refuses all.
 */
#include "limit.h"

#define GROW 1.2 /* a trial up */
#define GROW_FINE 1.16
#define CUT                                                                                        \
	1.1 /* a trial down, but for the first ones: GROW; after two with gain in a row: CUT_FAST */
#define CUT_FAST 1.5
#define TRUST 0.3 /* part of the linear gain that is a gain; part of the linear loss that is none */
#define TRUST_FINE 0.35
#define TRUST_DOWN 0.2
#define ERROR 0.06 /* standard error of a window's rate, of 1, while it grows fast */
#define ERROR_FINE 0.03 /* and once a trial was without gain */
#define FINE_AFTER 2 /* trials without gain end the fast growth */
#define FAST_AFTER 3 /* trials up with gain in a row begin it again */
#define HOLD_MOST 2
#define POOLED_MOST 3 /* windows in the rate of a base */
#define CHANGED 1.25 /* times the rate, up or down: the plant has changed */
#define NOT_LINEAR 1.3
#define STALL 3
#define WINDOW_MOST 2000
#define WINDOW_NS 1000000

static bool fine(const struct limit_control *c)
{
	return c->failures >= FINE_AFTER;
}

/* ---------------------------------------------------------------- windows */

static void begin_window(struct limit_control *c, uint64_t now, uint64_t settle)
{
	c->settle = settle;
	c->start = c->last = now;
	c->count = c->full = 0;
	c->gap = c->longest = 0;
	c->sum = c->squares = 0;
}

/** Whether the rate is known well enough: the variance of the mean, against its square. */
static bool certain(const struct limit_control *c)
{
	const double error = c->failures ? ERROR_FINE : ERROR, n = (double)c->count;
	const double mean = c->sum / n;

	if (c->count >= WINDOW_MOST)
		return true;
	return c->squares / n - mean * mean <= error * error * n * mean * mean;
}

static bool window_complete(const struct limit_control *c)
{
	return c->count >= (c->failures ? 2 * c->limit : c->limit) &&
	       c->last - c->start >= WINDOW_NS && certain(c);
}

/* ---------------------------------------------------------------- base and trial */

static void grow_fast(struct limit_control *c)
{
	c->failures = 0;
	c->hold = c->holding = 0;
}

static uint64_t bounded(const struct limit_control *c, uint64_t limit)
{
	if (limit < c->least)
		return c->least;
	return limit > c->most ? c->most : limit;
}

static uint64_t higher(const struct limit_control *c)
{
	uint64_t limit = (uint64_t)((double)c->base * (fine(c) ? GROW_FINE : GROW));

	return bounded(c, limit > c->base ? limit : c->base + 1);
}

static uint64_t lower(const struct limit_control *c)
{
	double by = fine(c) ? CUT : GROW;
	uint64_t limit;

	if (c->gains >= 2)
		by = CUT_FAST;
	limit = (uint64_t)((double)c->base / by + 0.5);
	return bounded(c, limit < c->base ? limit : c->base - 1);
}

/** Tries the next one, the other way where there is none this way. */
static void try_next(struct limit_control *c, uint64_t now)
{
	uint64_t before = c->limit;

	c->limit = c->up ? higher(c) : lower(c);
	if (c->limit == c->base) {
		c->up = !c->up;
		c->limit = c->up ? higher(c) : lower(c);
	}
	c->trying = c->limit != c->base;
	begin_window(c, now, before);
}

static void back_to_base(struct limit_control *c, uint64_t now)
{
	uint64_t before = c->limit;

	c->trying = false;
	c->limit = c->base;
	begin_window(c, now, before);
}

/** The plant is another one. */
static void measure_anew(struct limit_control *c, uint64_t now)
{
	grow_fast(c);
	c->up = true;
	c->base_rate = 0;
	back_to_base(c, now);
}

/** A window under the base. */
static void note_base(struct limit_control *c, double rate, uint64_t now)
{
	const double times = c->base_rate > 0 ? rate / c->base_rate : 1;

	if (fine(c) && (times > CHANGED || times < 1 / CHANGED)) {
		measure_anew(c, now);
		return;
	}
	if (c->base_rate > 0 && fine(c)) {
		c->base_rate = (c->base_rate * c->rates + rate) / (c->rates + 1);
		c->rates += c->rates < POOLED_MOST;
	} else {
		c->base_rate = rate;
		c->rates = 1;
	}
	if (!c->holding) {
		try_next(c, now);
		return;
	}
	c->holding--;
	begin_window(c, now, 0);
}

static void trial_gained(struct limit_control *c, double rate, uint64_t now)
{
	if (c->up) {
		uint64_t worth = (uint64_t)((double)c->base * rate / c->base_rate + 0.5);

		c->reason = "growing";
		if (worth <= c->base)
			worth = c->base + 1;
		c->base = worth < c->limit ? worth : c->limit;
		c->base_rate = rate;
	} else {
		c->reason = "falling";
		c->base = c->limit;
		/* Not what it lost: many small losses in a row are a large one. */
		if (rate > c->base_rate)
			c->base_rate = rate;
	}
	c->rates = 1;
	c->gains++;
	if (c->gains >= FAST_AFTER && c->up)
		grow_fast(c);
	try_next(c, now);
}

static void trial_failed(struct limit_control *c, uint64_t now)
{
	c->gains = 0;
	if (fine(c)) {
		c->hold += c->hold < HOLD_MOST;
		c->holding = c->hold;
		c->up = !c->up;
	} else if (++c->failures == FINE_AFTER) {
		c->up = !c->up;
	}
	if (fine(c))
		c->reason = c->base == c->most ? "most" : "steady";
	back_to_base(c, now);
}

/** A window under a limit that is tried. */
static void note_trial(struct limit_control *c, double rate, uint64_t now)
{
	const double times = rate / c->base_rate, linear = (double)c->limit / (double)c->base;
	const double trust = fine(c) ? TRUST_FINE : TRUST;

	if (!c->odd && (c->up ? times > linear * NOT_LINEAR : times < linear / NOT_LINEAR)) {
		c->odd = true;
		measure_anew(c, now);
		return;
	}
	c->odd = false;
	/* Up: a gain of that part of the linear one. Down: a loss of less than that part. */
	if (c->up ? times - 1 > trust * (linear - 1) :
		    1 - times < (fine(c) ? TRUST_DOWN : trust) * (1 - linear))
		trial_gained(c, rate, now);
	else
		trial_failed(c, now);
}

/** N = cores x (1 + wait / compute), where that is less than the first guess. */
static void guess_by_compute(struct limit_control *c)
{
	const double share = c->compute_share ? c->compute_share(c->group) : 0;
	const double n = share > 0 ? (double)c->loops / share + 0.5 : 0;

	c->compute_share = NULL;
	c->reason = "growing";
	if (share <= 0 || n >= (double)c->base)
		return;
	c->base = c->limit = bounded(c, (uint64_t)n);
	c->reason = "compute";
}

/** The window ends at the time of the last end. */
static void close_window(struct limit_control *c)
{
	const double rate = (double)c->count / (double)(c->last - c->start);
	const uint64_t now = c->last, before = c->limit;
	bool stalled = c->longest_before && c->gap > STALL * c->longest_before && !c->stalled;

	if (c->full * 2 < c->count) {
		c->reason = "unreached";
		if (c->trying)
			back_to_base(c, now);
		else
			begin_window(c, now, 0);
		return;
	}
	c->stalled = stalled;
	c->longest_before = c->longest;
	c->usual_ns = c->sum / (double)c->count;
	if (stalled) {
		begin_window(c, now, 0);
		return;
	}
	if (c->compute_share)
		guess_by_compute(c);
	if (c->limit != before)
		begin_window(c, now, before);
	else if (c->trying)
		note_trial(c, rate, now);
	else
		note_base(c, rate, now);
}

/* ---------------------------------------------------------------- what is told */

void limit_begin(struct limit_control *c, uint64_t now, uint64_t limit)
{
	if (!limit && (limit = c->loops * LIMIT_START_LOOP) < LIMIT_START_LEAST)
		limit = LIMIT_START_LEAST;
	c->least = 1;
	c->base = c->limit = bounded(c, limit);
	c->up = true;
	c->reason = "starting";
	begin_window(c, now, 0);
}

bool limit_end(struct limit_control *c, uint64_t now, uint64_t took, bool failed, bool full)
{
	const uint64_t before = c->limit;

	if (failed && (double)took * 2 < c->usual_ns)
		return false;
	/* The clocks of loops are read once in a turn. */
	if (now < c->last)
		now = c->last;
	if (!c->settle && now > c->last && window_complete(c))
		close_window(c);
	if (c->settle) {
		if (!--c->settle)
			begin_window(c, now, 0);
		return c->limit != before;
	}
	/* Of ends at one time the first tells: those after it end before a place is taken again. */
	if (now > c->last)
		c->reached = full;
	if (now > c->start) {
		if (now - c->last > c->gap)
			c->gap = now - c->last;
		if (took > c->longest)
			c->longest = took;
		c->count++;
		c->full += c->reached;
		c->sum += (double)took;
		c->squares += (double)took * (double)took;
	}
	c->last = now;
	return c->limit != before;
}

void limit_need(struct limit_control *c, uint64_t now, uint64_t places, bool keep)
{
	if (places > c->most)
		c->most = places;
	if (keep && places > c->least)
		c->least = places;
	if (c->limit >= places)
		return;
	c->base = places;
	c->reason = "needed";
	c->base_rate = 0;
	back_to_base(c, now);
}
