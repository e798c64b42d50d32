/* SPDX-License-Identifier: MIT */
/*
 * attempts: the work on an item, again where that may help: --retries, --retry-delay, --timeout. In
 * the item's task.
 */
#include <errno.h>
#include <stdint.h>

#include "run/attempts.h"
#include "run/job.h"
#include "run/pace.h"
#include "run/steer.h"
#include "base/array.h"

#define BACKOFF_MOST_NS 60000000000ull

/* What is known of its source before anybody looks: a file may change, a URL is what it is. */
int attempts_origin(const struct item *item)
{
	return item_has_path(item) ? ORIGIN_UNKNOWN : ORIGIN_NAME;
}

/*
 * Errors that a second attempt would meet again: they are about what was asked for. Not those about
 * what others do meanwhile: ENOSPC and EDQUOT (they may free space), ENOTEMPTY, EBUSY, EMFILE, EIO,
 * ESTALE, and all that a network may say.
 */
static bool permanent(const struct item *item, int err)
{
	static const int errors[] = {/* the name, and what it stands for */
				     ENOENT, ENOTDIR, EISDIR, ELOOP, ENAMETOOLONG, EILSEQ, EEXIST,
				     EXDEV, EMLINK, ENXIO, ENODEV,
				     /* permission */
				     EACCES, EPERM, EROFS, ENOKEY,
				     /* what cannot be done to it */
				     EINVAL, EBADF, ENOSYS, EOPNOTSUPP, EOVERFLOW, EFBIG, ESPIPE,
				     ENOTTY, EAFNOSUPPORT, EPROTONOSUPPORT,
				     /* it is damaged */
				     EBADMSG, EUCLEAN};

	for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
		if (-err == errors[i])
			return true;
	return item->ops->permanent && item->ops->permanent(item, err);
}

/* Exponential, with jitter: between a half and the whole of what the attempt's number gives. */
static uint64_t backoff(const struct item *item)
{
	uint64_t delay = item->job->opt->retry_delay_ns;
	uint64_t most = delay > BACKOFF_MOST_NS ? delay : BACKOFF_MOST_NS;
	uint64_t mix = item->seq * 0x9e3779b97f4a7c15ull + bp_now(item->job->engine);

	for (unsigned int i = 1; i < item->attempts && delay < most; i++)
		delay *= 2;
	if (delay > most)
		delay = most;
	mix = (mix ^ mix >> 31) * 0xbf58476d1ce4e5b9ull;
	return delay / 2 + (mix >> 11) % (delay / 2 + 1);
}

static int attempts(struct item *item)
{
	const struct job *job = item->job;
	bool cancelled;
	int err, pause;

	for (;;) {
		item->attempts++;
		item->bytes = 0;
		item->why = NULL;
		item->source.kind = attempts_origin(item);
		err = item->ops->work(item);
		if (err >= 0 || item->attempts > job->opt->retries || permanent(item, err))
			return err;
		/* Where it was the deadline that takes the next attempt away, that is noted. */
		cancelled = bp_cancelled();
		if (steer_stopping(item->job) || cancelled)
			return err;
		pause = pace_nap(item->job, backoff(item));
		if (!pause)
			pause = pace_start(item->job);
		if (pause)
			return pause;
		if (steer_stopping(item->job))
			return err;
	}
}

bool attempts_wait_in_task(const struct job *job)
{
	return job->opt->rate && job->journal && !job->opt->reject;
}

uint64_t items_timeout_ns(const struct job *job)
{
	return attempts_wait_in_task(job) ? 0 : job->opt->timeout_ns;
}

int attempts_timed(struct item *item, bool *over)
{
	const uint64_t timeout_ns = item->job->opt->timeout_ns;
	struct bp_timeout scope;
	int err;

	*over = false;
	if (!timeout_ns || !attempts_wait_in_task(item->job))
		return attempts(item);
	bp_timeout_begin(&scope, timeout_ns);
	err = attempts(item);
	*over = bp_timeout_end(&scope);
	return err;
}
