/* SPDX-License-Identifier: MIT */
/*
 * The controller of BP_LIMIT_AUTO: how many at once end the most in a second, with the fewest at once.
 *
 * It knows no group and no clock: it is told of each end, and says the limit. What it does stands in
 * limit.c.
 */
#ifndef BP_LIMIT_H
#define BP_LIMIT_H

#include "base.h"

/* What it begins with: for each loop, and at least. */
#define LIMIT_START_LOOP 8u
#define LIMIT_START_LEAST 16u

struct limit_control {
	uint64_t limit; /* now */
	uint64_t base; /* the best so far; the limit is that or one that is tried */
	uint64_t least, most; /* bounds */
	bool trying; /* the limit is one that is tried, against base_rate */
	bool up; /* the next one that is tried is higher */
	bool odd; /* what was tried last was thrown away: the plant had changed */
	bool stalled; /* the window before stood still for a while, and was thrown away */
	unsigned int failures; /* trials without gain, since it last grew fast */
	unsigned int gains; /* trials with gain, in a row */
	unsigned int hold, holding; /* windows between two trials; of these, those to come */
	unsigned int rates; /* windows in base_rate */
	double base_rate; /* ends in a nanosecond under the base; 0: not known */
	double usual_ns; /* what a success took on the average, in the last window; 0: there was none */
	uint64_t longest_before; /* in the last window */
	uint64_t loops;
	/* The part of items' time in which they compute, 0 to 1; asked once. */
	double (*compute_share)(const void *group);
	const void *group;
	const char *reason;

	/* The window: what ended after its start. */
	uint64_t settle; /* ends to wait for until it begins */
	uint64_t start, last; /* times */
	uint64_t count, full; /* ends, and those with the limit reached */
	bool reached; /* when the first of the ends at this time came */
	uint64_t gap, longest; /* between two ends; of an item */
	double sum, squares; /* of the items' times */
};

/** Begins with @limit, or a first guess where that is 0; @loops, @most, @compute_share and @group are set. */
void limit_begin(struct limit_control *control, uint64_t now, uint64_t limit);

/**
 * An item has ended by itself at @now, after @took ns; @full: the limit is what holds others back.
 * Return: whether the limit is another one now.
 */
bool limit_end(struct limit_control *control, uint64_t now, uint64_t took, bool failed, bool full);

/** So many places are needed, or nothing goes on: the limit is that at least, and @keep: from now on. */
void limit_need(struct limit_control *control, uint64_t now, uint64_t places, bool keep);

#endif /* BP_LIMIT_H */
