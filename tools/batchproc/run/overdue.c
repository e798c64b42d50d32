/* SPDX-License-Identifier: MIT */
/*
 * overdue: calls that nobody can end.
 *
 *	item_finish()     phase -> ITEM_ENDED    by whoever comes first
 *	write_off()  ----------^
 *
 * The record of an item that is written off is made from a copy, since the thread that works on the
 * item has it still. All of this happens in the thread that waits for signals, and for the end of
 * the run in one more, so that further signals are heard.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "output/output.h"
#include "run/job.h"
#include "run/overdue.h"
#include "run/steer.h"

#define GRACE_NS 1000000000ull /* for what was cancelled, to end by itself */

/*
 * The places of items that were written off are for others. A limit that is found stays what it is as
 * long as there are any: it would count them as in flight. Under the lock.
 */
static void make_places(struct job *job)
{
	struct bp_group_stats stats = {.sz = sizeof(stats)};
	long limit = job->limit;

	if (job->finds_limit) {
		if (!job->overdue.limit) {
			bp_group_stats(job->group, &stats);
			job->overdue.limit = stats.limit;
		}
		limit = job->overdue.limit;
	}
	queue_set_places(job, limit + (long)job->overdue.count);
	if (job->finds_limit && !job->overdue.count) {
		job->overdue.limit = 0;
		bp_group_set_limit(job->group, BP_LIMIT_AUTO);
	}
}

/* Writes the record of an item that has none yet. False: it has, or is nobody's. */
static bool write_off(struct item *item, enum status working, const char *why)
{
	struct job *job = item->job;
	int phase = atomic_load(&item->phase);
	struct item *copy;
	struct buf name = {0};

	if ((phase != ITEM_WAITING && phase != ITEM_WORKING) || item->other_shard)
		return false;
	pthread_mutex_lock(&job->overdue.lock);
	if (!atomic_compare_exchange_strong(&item->phase, &phase, ITEM_ENDED)) {
		pthread_mutex_unlock(&job->overdue.lock);
		return false;
	}
	copy = item_copy(item);
	buf_add(&name, item->name.data, item->name.len + 1);
	name.len--;
	copy->name = name;
	copy->lines = (struct buf){0};
	copy->why = why;
	item_written_off(copy, phase == ITEM_WORKING ? working : STATUS_NOT_STARTED,
			 working == STATUS_TIMEOUT ? -ETIMEDOUT : 0);
	job->overdue.count++;
	/* Its place is for another one. */
	make_places(job);
	pthread_mutex_unlock(&job->overdue.lock);
	queue_fill(job);
	return true;
}

void overdue_ended(struct item *item)
{
	struct job *job = item->job;

	pthread_mutex_lock(&job->overdue.lock);
	job->overdue.count--;
	make_places(job);
	pthread_mutex_unlock(&job->overdue.lock);
}

static bool is_late(const struct item *item, uint64_t timeout_ns, uint64_t now)
{
	return timeout_ns && atomic_load(&item->phase) == ITEM_WORKING &&
	       now > item->began_ns + timeout_ns + GRACE_NS;
}

static void write_off_late(struct item *item, void *arg)
{
	struct job *job = item->job;
	const uint64_t *now = arg;

	if (is_late(item, job->opt->timeout_ns, *now))
		write_off(item, STATUS_TIMEOUT,
			  "took longer than --timeout allows, and does not end");
}

static void write_off_any(struct item *item, void *arg)
{
	const uint64_t *now = arg;
	const uint64_t timeout_ns = item->job->opt->timeout_ns;
	bool was_open;

	if (timeout_ns && *now > item->began_ns + timeout_ns)
		was_open = write_off(item, STATUS_TIMEOUT, "took longer than --timeout allows");
	else
		was_open = write_off(item, STATUS_CANCELLED, NULL);
	/* It has its directory until it ends, which it has not. */
	if (was_open && item->dir)
		item->job->ops->walk->write_off_above(item->job->walk, item->dir);
}

/* ---- the end of a run that does not end */

static void *end_run(void *arg)
{
	struct job *job = arg;
	uint64_t now = bp_now(job->engine);

	if (steer_stopped(job)) {
		/* Nobody reads on in what the main thread stands in. */
		job->watch.cut |= !atomic_load(&job->fed);
		if (job->walk)
			job->ops->walk->give_up(job->walk);
		items_each(job, write_off_any, &now);
	}
	job_end_at_once(job);
	return NULL;
}

static void begin_end(struct job *job)
{
	pthread_t thread;

	/* The main thread may be at its own end by now. */
	if (atomic_exchange(&job->ending, true))
		return;
	if (pthread_create(&thread, NULL, end_run, job))
		end_run(job);
}

/* Whether nothing runs any more but what was written off, and all was given. */
static bool only_overdue_left(struct job *job)
{
	struct bp_group_stats stats = {.sz = sizeof(stats)};
	uint64_t count;

	pthread_mutex_lock(&job->overdue.lock);
	count = job->overdue.count;
	pthread_mutex_unlock(&job->overdue.lock);
	if (!count || !atomic_load(&job->fed))
		return false;
	bp_group_stats(job->group, &stats);
	return stats.running <= count && !stats.waiting;
}

/* Whether nothing has ended for a while, though all was cancelled; a slow reader is no reason. */
static bool stands_still(const struct job *job, uint64_t cancelled, uint64_t now)
{
	uint64_t since = cancelled > job->overdue.still_ns ? cancelled : job->overdue.still_ns;

	return now > since + GRACE_NS && !output_full(job->output);
}

void overdue_look(struct job *job)
{
	uint64_t now = bp_now(job->engine), cancelled;

	if (atomic_load(&job->ending))
		return;
	pthread_mutex_lock(&job->lock);
	if (job->overdue.ended != job->counts.ended)
		job->overdue.still_ns = now;
	job->overdue.ended = job->counts.ended;
	pthread_mutex_unlock(&job->lock);
	/* Whoever would notice the deadline may stand in a call. */
	steer_stopping(job);
	cancelled = atomic_load(&job->cancelled_ns);
	if (job->opt->timeout_ns)
		items_each(job, write_off_late, &now);
	if (only_overdue_left(job) || (cancelled && stands_still(job, cancelled, now)))
		begin_end(job);
}
