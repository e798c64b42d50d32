/* SPDX-License-Identifier: MIT */
/*
 * bp_sim_run(): search, make smaller, tell. See explore.h.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "explore/explore.h"

static bool is_percent(int percent)
{
	return percent == BP_SIM_DRAWN || (percent >= 0 && percent <= 100);
}

static int check_opts(const struct bp_sim_opts *opts)
{
	const int chances[] = {opts->errors,	       opts->again,
			       opts->short_io,	       opts->lost_cancels,
			       opts->late_completions, opts->full_queues,
			       opts->preempt,	       opts->reorder};

	for (unsigned int i = 0; i < SIM_COUNT(chances); i++)
		if (!is_percent(chances[i]))
			return -EINVAL;
	/* The counter of seeds must not come round. */
	if (!opts->seeds || opts->seeds > UINT64_MAX / 4 || opts->seed > UINT64_MAX / 2)
		return -EINVAL;
	if (!opts->size || !opts->jobs || opts->jobs > BP_SIM_JOBS_MAX || !opts->timeout_s ||
	    !opts->max_events || opts->report_fd < -1)
		return -EINVAL;
	if (opts->latency_ns < BP_SIM_DRAWN || opts->latency_ns > (int64_t)NSEC_PER_SEC)
		return -EINVAL;
	return 0;
}

/* ---------------------------------------------------------------- telling */

static const char *const manners[] = {
	[BP_SIM_HELD] = "holds",
	[BP_SIM_FAILED] = "fails",
	[BP_SIM_DEADLOCK] = "ends in a deadlock",
	[BP_SIM_ENDLESS] = "has no end",
	[BP_SIM_CRASHED] = "crashes",
	[BP_SIM_UNSTEADY] = "is not steady",
};

static void tell_smallest(const struct explorer *x, const struct plan *plan,
			  const struct bp_sim_result *result)
{
	int fd = x->opts.report_fd;
	const char *sep = ": ";

	tell(fd,
	     "batchproc: sim: made smaller in %" PRIu64 " runs: size %lu of %lu, %" PRIu64
	     " of %" PRIu64 " decisions\n",
	     x->shrink_runs, plan->size, x->opts.size, result->decisions, result->of_decisions);
	if (!plan->off)
		return;
	tell(fd, "batchproc: sim: it does without these misfortunes");
	for (unsigned int i = 0; i < SIM_MISHAPS; i++) {
		if (!(plan->off & (1u << i)))
			continue;
		tell(fd, "%s%s", sep, sim_mishap_names[i]);
		sep = ", ";
	}
	tell(fd, "\n");
}

/* ---------------------------------------------------------------- one and all */

static void note_smallest(struct explorer *x, const struct plan *plan, const struct outcome *out,
			  struct bp_sim_result *result)
{
	struct plan prefix = *plan;

	result->verdict = out->verdict;
	result->signal = out->signal;
	result->shrink_runs = x->shrink_runs;
	result->seed = plan->seed;
	result->size = plan->size;
	result->decisions = plan->limited ? kept_count(&plan->kept) : out->decisions;
	result->trace = out->hash;
	memcpy(result->message, out->message, sizeof(result->message));
	if (replay_print(plan, result->replay))
		return;
	/* Too many pieces for the room: the seed takes them all. */
	prefix.limited = false;
	replay_print(&prefix, result->replay);
}

static int play_failure(struct explorer *x, struct outcome *found, struct bp_sim_result *result)
{
	struct plan plan = {.seed = found->seed, .size = x->opts.size};
	int fd = x->opts.report_fd, err;
	struct outcome again;

	result->found = found->seed;
	tell(fd, "batchproc: sim: seed %" PRIu64 " %s: %s\n", found->seed, manners[found->verdict],
	     found->message);
	err = explore_try(x, &plan, &again, false);
	if (err)
		return err;
	if (again.verdict != found->verdict && found->verdict != BP_SIM_UNSTEADY) {
		found->verdict = BP_SIM_UNSTEADY;
		snprintf(found->message, sizeof(found->message),
			 "the seed fails only after others: a run leaves something to the next");
	}
	/* What a crash notes is nothing, so this is where its decisions are counted. */
	result->of_decisions = again.decisions;
	if (found->verdict == BP_SIM_UNSTEADY) {
		tell(fd, "batchproc: sim: not steady: %s\n", found->message);
		note_smallest(x, &plan, found, result);
		return 0;
	}
	*found = again;
	err = explore_shrink(x, &plan, found);
	note_smallest(x, &plan, found, result);
	if (!err && fd >= 0) {
		tell_smallest(x, &plan, result);
		err = explore_try(x, &plan, &again, true);
		tell(fd, "batchproc: sim: %s: %s\nbatchproc: sim: to play it again: %s\n",
		     manners[again.verdict], again.message, result->replay);
	}
	free((void *)(uintptr_t)plan.kept.bits);
	return err;
}

/** Plays the run of opts.replay, and tells it. */
static int play_again(struct explorer *x, struct bp_sim_result *result)
{
	struct plan plan = {.size = x->opts.size};
	struct outcome *out = &x->shared[0], copy, shown;
	int err = replay_parse(&plan, x->opts.replay);

	if (err)
		return err;
	memset(out, 0, sizeof(*out));
	if (x->opts.in_process) {
		err = explore_play(x, &plan, out, true);
		copy = *out;
		if (!err)
			explore_tell(x);
	} else {
		err = explore_try(x, &plan, &copy, false);
		if (!err && x->opts.report_fd >= 0)
			err = explore_try(x, &plan, &shown, true);
	}
	if (!err) {
		result->runs = 1;
		result->events = copy.events;
		result->found = plan.seed;
		result->of_decisions = copy.decisions;
		note_smallest(x, &plan, &copy, result);
		tell(x->opts.report_fd, "batchproc: sim: %s%s%s\n", manners[copy.verdict],
		     copy.message[0] ? ": " : "", copy.message);
	}
	free((void *)(uintptr_t)plan.kept.bits);
	return err ? err : copy.verdict != BP_SIM_HELD;
}

static int play_all(struct explorer *x, struct bp_sim_result *result)
{
	struct outcome found;
	int status, err;

	status = explore_search(x, &found, result);
	if (status < 0)
		return status;
	if (!status) {
		result->seed = found.seed;
		result->size = x->opts.size;
		result->trace = found.hash;
		return 0;
	}
	err = play_failure(x, &found, result);
	return err ? err : 1;
}

/* What parent and children share. */
struct common {
	atomic_ullong next, end;
	struct told told;
	struct outcome outcomes[];
};

int bp_sim_run(bp_sim_fn program, void *arg, const struct bp_sim_opts *user,
	       struct bp_sim_result *result)
{
	struct explorer x = {.program = program, .arg = arg, .opts = bp_sim_opts_default()};
	struct bp_sim_result own = BP_SIM_RESULT();
	struct common *common;
	size_t size, room = result ? result->sz : 0;
	int err, saved = errno;

	if (bp_this_loop)
		bp_fatal("%s: called in a task or a callback", __func__);
	if (!program || (result && (room < sizeof(size_t) || room > sizeof(own))))
		return -EINVAL;
	err = opts_copy(&x.opts, sizeof(x.opts), user);
	if (!err)
		err = check_opts(&x.opts);
	if (err)
		return err;
	size = sizeof(*common) + x.opts.jobs * sizeof(common->outcomes[0]);
	common = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (common == MAP_FAILED) {
		errno = saved;
		return -ENOMEM;
	}
	x.next = &common->next;
	x.end = &common->end;
	x.told = &common->told;
	x.shared = common->outcomes;
	err = x.opts.replay ? play_again(&x, &own) : play_all(&x, &own);
	munmap(common, size);
	if (result) {
		own.sz = room;
		memcpy(result, &own, room);
	}
	errno = saved;
	return err;
}
