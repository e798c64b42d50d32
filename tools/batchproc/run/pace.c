/* SPDX-License-Identifier: MIT */
/*
 * pace: --rate and --bwlimit, for all loops together.
 *
 * One bucket for items and one for bytes, each under a lock of its own that is held for a few
 * instructions. Without the options nothing here costs more than a comparison.
 */
#include <poll.h>
#include <time.h>

#include "run/job.h"
#include "run/pace.h"

/*
 * What may be caught up with after a pause, and how much is paid for at once, in time: long enough
 * that a late timer or a busy machine does not lower the rate, short enough to be smooth.
 */
#define BURST_NS 50e6
#define BLOCK_LEAST 4096u /* moving less at once is not worth the calls */
#define WAIT_MOST_NS 1e18

static void bucket_init(struct bucket *bucket, double per_second, double credit, uint64_t now_ns)
{
	bucket->per_ns = per_second / 1e9;
	bucket->burst = bucket->per_ns * BURST_NS;
	if (bucket->burst < 1)
		bucket->burst = 1;
	bucket->credit = credit;
	bucket->at_ns = now_ns;
	pthread_mutex_init(&bucket->lock, NULL);
}

/* Takes @amount; returns for how long the taker has to wait for it, in nanoseconds. */
static uint64_t bucket_take(struct bucket *bucket, double amount, uint64_t now_ns)
{
	double wait;

	pthread_mutex_lock(&bucket->lock);
	/* Another loop may have looked at the clock a little later. */
	if (now_ns > bucket->at_ns) {
		bucket->credit += (double)(now_ns - bucket->at_ns) * bucket->per_ns;
		bucket->at_ns = now_ns;
	}
	if (bucket->credit > bucket->burst)
		bucket->credit = bucket->burst;
	bucket->credit -= amount;
	wait = bucket->credit < 0 ? -bucket->credit / bucket->per_ns : 0;
	pthread_mutex_unlock(&bucket->lock);
	return wait < WAIT_MOST_NS ? (uint64_t)wait : (uint64_t)WAIT_MOST_NS;
}

static void bucket_give(struct bucket *bucket, double amount)
{
	pthread_mutex_lock(&bucket->lock);
	bucket->credit += amount;
	pthread_mutex_unlock(&bucket->lock);
}

void pace_init(struct job *job)
{
	/* The first item starts at once; the first byte is paid for. */
	bucket_init(&job->item_bucket, job->opt->rate, 1, job->start_ns);
	bucket_init(&job->byte_bucket, job->opt->bwlimit, 0, job->start_ns);
}

void pace_exit(struct job *job)
{
	pthread_mutex_destroy(&job->item_bucket.lock);
	pthread_mutex_destroy(&job->byte_bucket.lock);
}

/* ---- items */

static int nap_in_task(struct job *job, uint64_t ns)
{
	struct bp_timeout scope;
	int res, over;

	bp_timeout_begin(&scope, ns);
	res = bp_poll(job->stop_fd, POLLIN);
	over = bp_timeout_end(&scope);
	return res >= 0 || over ? 0 : res;
}

static void nap_in_main(struct job *job, uint64_t ns)
{
	struct pollfd fd = {.fd = job->stop_fd, .events = POLLIN};
	uint64_t now = bp_now(job->engine);

	/* Nobody else looks at the clock when no item runs. */
	if (job->deadline_ns && job->deadline_ns < now + ns)
		ns = job->deadline_ns > now ? job->deadline_ns - now : 0;
	ppoll(&fd, 1, &(struct timespec){(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)},
	      NULL);
}

int pace_nap(struct job *job, uint64_t ns)
{
	if (!ns)
		return 0;
	if (!pthread_equal(pthread_self(), job->main_thread))
		return nap_in_task(job, ns);
	nap_in_main(job, ns);
	return 0;
}

int pace_start(struct job *job)
{
	if (!job->opt->rate)
		return 0;
	return pace_nap(job, bucket_take(&job->item_bucket, 1, bp_now(job->engine)));
}

/* ---- bytes */

bool pace_bytes_limited(const struct job *job)
{
	return job->opt->bwlimit;
}

size_t pace_block(const struct job *job, size_t most)
{
	double block = job->opt->bwlimit ? job->byte_bucket.burst : (double)most;

	if (block < BLOCK_LEAST)
		block = BLOCK_LEAST;
	return block < (double)most ? (size_t)block : most;
}

int pace_bytes(struct job *job, uint64_t bytes)
{
	double left = (double)bytes;

	if (!job->opt->bwlimit)
		return 0;
	/* In parts, so that one who moves much does not go before all who move little. */
	while (left > 0) {
		double part = left < job->byte_bucket.burst ? left : job->byte_bucket.burst;
		uint64_t wait = bucket_take(&job->byte_bucket, part, bp_now(job->engine));
		int err = wait ? bp_sleep(wait) : bp_yield();

		if (err) {
			pace_give_back(job, bytes - (uint64_t)left + (uint64_t)part);
			return err;
		}
		left -= part;
	}
	return 0;
}

void pace_give_back(struct job *job, uint64_t bytes)
{
	if (job->opt->bwlimit)
		bucket_give(&job->byte_bucket, (double)bytes);
}
