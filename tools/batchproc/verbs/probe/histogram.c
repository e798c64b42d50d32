/* SPDX-License-Identifier: MIT */
/*
 * histogram: see histogram.h. Values below 64 have a bucket each; above, the six bits behind the
 * first one and how far it stands say which.
 */
#include "base/array.h"
#include "verbs/probe/histogram.h"

static size_t bucket_of(uint64_t value)
{
	unsigned int shift;
	size_t index;

	if (value < HISTOGRAM_STEPS)
		return value;
	shift = 63 - (unsigned int)__builtin_clzll(value) - 6;
	index = (size_t)(shift + 1) * HISTOGRAM_STEPS + (value >> shift) - HISTOGRAM_STEPS;
	return index < HISTOGRAM_STEPS * HISTOGRAM_DOUBLINGS ?
		       index :
		       HISTOGRAM_STEPS * HISTOGRAM_DOUBLINGS - 1;
}

/* The middle of what a bucket holds. */
static uint64_t value_of(size_t index)
{
	unsigned int shift;
	uint64_t low;

	if (index < HISTOGRAM_STEPS)
		return index;
	shift = (unsigned int)(index / HISTOGRAM_STEPS) - 1;
	low = (HISTOGRAM_STEPS + index % HISTOGRAM_STEPS) << shift;
	return low + (1ull << shift) / 2;
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
	if (!histogram->count || value < histogram->least)
		histogram->least = value;
	if (value > histogram->most)
		histogram->most = value;
	histogram->count++;
	histogram->bucket[bucket_of(value)]++;
}

void histogram_merge(struct histogram *to, const struct histogram *from)
{
	if (!from->count)
		return;
	if (!to->count || from->least < to->least)
		to->least = from->least;
	if (from->most > to->most)
		to->most = from->most;
	to->count += from->count;
	for (size_t i = 0; i < ARRAY_SIZE(to->bucket); i++)
		to->bucket[i] += from->bucket[i];
}

uint64_t histogram_value(const struct histogram *histogram, double part)
{
	double wanted = part * (double)histogram->count;
	uint64_t seen = 0, value;

	for (size_t i = 0; i < ARRAY_SIZE(histogram->bucket); i++) {
		seen += histogram->bucket[i];
		if (!histogram->bucket[i] || (double)seen < wanted)
			continue;
		value = value_of(i);
		/* The ends are known exactly. */
		if (value < histogram->least)
			return histogram->least;
		return value < histogram->most ? value : histogram->most;
	}
	return histogram->most;
}
