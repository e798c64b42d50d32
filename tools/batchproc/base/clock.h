/* SPDX-License-Identifier: MIT */
/*
 * clock: the monotonic clock, which is the engine's too unless it is simulated.
 */
#ifndef BATCHPROC_CLOCK_H
#define BATCHPROC_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

#endif
