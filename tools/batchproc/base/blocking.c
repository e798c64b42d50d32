/* SPDX-License-Identifier: MIT */
/*
 * blocking: short functions of plain system calls, made from a task. See blocking.h.
 *
 * Measured with 20,000 files of 8 KiB that were opened, read, created, written, given their mode
 * and closed, 2 loops, 128 tasks, a fresh ext4 in memory, Linux 6.18, 2 cores; CPU time (user +
 * system) in seconds, medians of five, since the machine was busy:
 *
 *	plain calls on the loop		0.83
 *	one call of bp_offload() each	0.83
 *	operations of the ring		0.88	(kernel workers create and write)
 *	cp -r				1.00
 *
 * So the lanes differ little while nothing waits. On the loop there is no other thread to wake and
 * to hold the directory's lock meanwhile; once calls wait, only helper threads go on.
 */
#include <errno.h>
#include <stdint.h>
#include <sys/resource.h>
#include <time.h>

#include "batchproc.h"
#include "base/blocking.h"

#define SLOW_NS 250000 /* on the average: it waits */
#define SHARE 16 /* of a new measurement in the average */
#define TRY_AGAIN 64 /* while it is slow, each of so many is measured */
#define SUSPECTS 32 /* after one that was slow so many are looked at more closely */

/* How long such functions took on this loop's thread, lately. */
static _Thread_local struct {
	int64_t average_ns;
	unsigned int offloaded;
	unsigned int suspects; /* that are still to come */
} own;

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ll + now.tv_nsec;
}

/* How often this thread has waited for something. */
static long waits(void)
{
	struct rusage ru = {0};

	getrusage(RUSAGE_THREAD, &ru);
	return ru.ru_nvcsw;
}

static int here(int (*fn)(void *arg), void *arg)
{
	long before = own.suspects ? waits() : 0;
	int64_t start = now_ns(), took;
	int res = fn(arg);

	took = now_ns() - start;
	/*
	 * On a busy machine it may have been the scheduler, who gave the CPU to somebody else. Whether
	 * it is that is seen by the next ones, so that the others need not be looked at.
	 */
	if (own.suspects) {
		own.suspects--;
		if (took > SLOW_NS && waits() == before)
			return res;
	} else if (took > SLOW_NS) {
		own.suspects = SUSPECTS;
		return res;
	}
	/* One that was held up by who has a lock must not count for many. */
	if (took > 4 * SLOW_NS)
		took = 4 * SLOW_NS;
	own.average_ns += (took - own.average_ns) / SHARE;
	return res;
}

int blocking_long(int (*fn)(void *arg), void *arg)
{
	int res = bp_offload(fn, arg);

	/* Without any helper thread the loop does it; slow is better than not at all. */
	return res == -EAGAIN ? fn(arg) : res;
}

int blocking(int (*fn)(void *arg), void *arg)
{
	if (own.average_ns < SLOW_NS || ++own.offloaded % TRY_AGAIN == 0)
		return here(fn, arg);
	return blocking_long(fn, arg);
}
