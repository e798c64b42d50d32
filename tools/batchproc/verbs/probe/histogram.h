/* SPDX-License-Identifier: MIT */
/*
 * histogram: times in buckets, as HdrHistogram has them: 64 for each doubling, so that whatever is
 * asked for is right within two per cent, in a few kilobytes however many are counted.
 *
 * A struct histogram belongs to whoever holds it.
 */
#ifndef BATCHPROC_HISTOGRAM_H
#define BATCHPROC_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_STEPS 64u /* in each doubling */
#define HISTOGRAM_DOUBLINGS 36u /* up to some 38 hours of microseconds */

struct histogram {
	uint64_t count;
	uint64_t least, most; /* exact */
	uint64_t bucket[HISTOGRAM_STEPS * HISTOGRAM_DOUBLINGS];
};

void histogram_add(struct histogram *histogram, uint64_t value);
void histogram_merge(struct histogram *to, const struct histogram *from);

/* The value that @part (0 to 1) of all do not exceed; 0 where there is none. */
uint64_t histogram_value(const struct histogram *histogram, double part);

#endif
