/* SPDX-License-Identifier: MIT */
/*
 * steer: how a run is stopped. Any thread while the run lasts: loops, the signal thread, the writer
 * thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/message.h"
#include "run/steer.h"

#define NAP_NS 2000000u /* between two looks for a free descriptor ... */
#define NAPS 250u /* ... and how many while nobody could free one */

int steer_init(struct job *job)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC)) {
		int err = -errno;

		message("cannot start: no pipe: %s", error_text(err));
		return err;
	}
	job->stop_fd = ends[0];
	job->stop_end = ends[1];
	return 0;
}

void steer_exit(struct job *job)
{
	if (job->stop_fd < 0)
		return;
	close(job->stop_fd);
	if (job->stop_end >= 0)
		close(job->stop_end);
}

bool steer_stopping(struct job *job)
{
	if (steer_stopped(job))
		return true;
	if (!job->deadline_ns || bp_now(job->engine) < job->deadline_ns)
		return false;
	steer_stop(job, STOP_DEADLINE, true);
	return true;
}

void steer_stop(struct job *job, enum stop why, bool cancel)
{
	static const int causes[] = {
		[STOP_DEADLINE] = -ETIMEDOUT,
		[STOP_TROUBLE] = -EIO,
	};
	int none = STOP_NONE;
	bool first = atomic_compare_exchange_strong(&job->stop, &none, why);

	/* The end of a pipe, so that nothing has to be written. */
	if (first) {
		close(job->stop_end);
		job->stop_end = -1;
	}
	if (cancel) {
		uint64_t never = 0;

		atomic_compare_exchange_strong(&job->cancelled_ns, &never, bp_now(job->engine));
		bp_cancel(job->group, why < STOP_DEADLINE ? 0 : causes[why]);
		if (job->walk)
			job->ops->walk->cancel(job->walk);
	}
	queue_stop(job);
	if (first && job->walk)
		job->ops->walk->wake(job->walk);
}

void steer_trouble(struct job *job, const char *what, int err)
{
	if (!atomic_exchange(&job->trouble, true))
		message("%s: %s", what, error_text(err));
	steer_stop(job, STOP_TROUBLE, true);
}

bool steer_await_one(struct job *job, unsigned int *tries)
{
	struct bp_group_stats stats = {.sz = sizeof(stats)};
	unsigned int starved;
	int err;

	starved = atomic_fetch_add(&job->starved, 1) + 1;
	bp_group_stats(job->group, &stats);
	/* Those that run and are not starved themselves will end and close theirs. */
	*tries = stats.running > starved ? 0 : *tries + 1;
	err = *tries > NAPS ? -EMFILE : bp_sleep(NAP_NS);
	atomic_fetch_sub(&job->starved, 1);
	return !err;
}

void steer_verdict(struct job *job, enum verdict verdict)
{
	steer_stop(job, verdict == VERDICT_REACHED ? STOP_REACHED : STOP_HALT,
		   job->opt->policy.now);
}

/* ---- lists */

static bool lists_stop(void *ctx)
{
	return steer_stopping(ctx);
}

static void list_failed(void *ctx, const char *name, int err)
{
	steer_trouble(ctx, name, err);
}

void steer_watch_lines(struct job *job)
{
	job->watch = (struct lines_watch){
		.stop_fd = job->stop_fd,
		.start_ns = job->start_ns,
		.deadline_ns = job->deadline_ns,
		.stopping = lists_stop,
		.failed = list_failed,
		.ctx = job,
	};
}
