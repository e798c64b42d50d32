/* SPDX-License-Identifier: MIT */
/*
 * One run of a program under test, and what it may ask about itself; see explore.h.
 *
 * The run is a variable of its thread. How it ends is noted in an outcome, which outlives the process.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "explore/explore.h"

struct run {
	const struct explorer *x;
	const struct plan *plan;
	struct outcome *out;
	struct bp_engine *engine;
	struct sim *sim;
	uint64_t random; /* of bp_sim_random() */
	struct told *told; /* or NULL: nobody wants to know */
	uint64_t steps;
	bool checking; /* inside the invariant */
};

static __thread struct run *run;

/* ---------------------------------------------------------------- what is told */

__attribute__((format(printf, 1, 2))) static void tell_event(const char *fmt, ...)
{
	char *line = run->told->line[run->told->count++ % TOLD];
	va_list ap;
	int n;

	n = snprintf(line, TOLD_WIDTH, "%12llu ns  ",
		     (unsigned long long)(run->sim->clock - SIM_EPOCH));
	va_start(ap, fmt);
	vsnprintf(line + n, TOLD_WIDTH - (size_t)n, fmt, ap);
	va_end(ap);
}

static void on_event(void *unused, const char *line)
{
	(void)unused;
	tell_event("%s", line);
}

static void on_decision(void *unused, uint64_t number, const char *what, uint64_t value,
			uint64_t plain)
{
	char about[24] = "";

	(void)unused;
	if (run->sim->about)
		snprintf(about, sizeof(about), " of op %u", run->sim->about);
	if (value == 1 && plain == 0)
		tell_event("* decision %llu%s: %s", (unsigned long long)number, about, what);
	else
		tell_event("* decision %llu%s: %s: %llu, not %llu", (unsigned long long)number,
			   about, what, (unsigned long long)value, (unsigned long long)plain);
}

void explore_tell(const struct explorer *x)
{
	int fd = x->opts.report_fd;
	const struct told *told = x->told;
	uint64_t first = told->count > TOLD ? told->count - TOLD : 0;

	if (first)
		tell(fd, "    %llu events and decisions before these\n", (unsigned long long)first);
	for (uint64_t i = first; i < told->count; i++)
		tell(fd, "%s\n", told->line[i % TOLD]);
}

/* ---------------------------------------------------------------- its end */

/** Notes how the run went. */
static void note_end(enum bp_sim_verdict verdict)
{
	struct outcome *out = run->out;
	const struct sim *sim = run->sim;

	out->hash = sim->hash;
	out->decisions = sim->decisions;
	memcpy(out->struck, sim->struck, sizeof(out->struck));
	out->events += sim->events;
	out->verdict = verdict;
}

/** The run has failed, as the message says. */
__attribute__((noreturn)) static void end_run(enum bp_sim_verdict verdict)
{
	base_last_words = NULL;
	note_end(verdict);
	if (run->told && verdict == BP_SIM_DEADLOCK) {
		/* Others must not go on while this is written. */
		run->sim->still = true;
		bp_engine_dump(run->engine, run->x->opts.report_fd);
	}
	if (!run->x->opts.in_process)
		child_quit();
	fflush(NULL);
	if (run->told)
		explore_tell(run->x);
	tell(run->x->opts.report_fd, "batchproc: sim: seed %llu fails: %s\n",
	     (unsigned long long)run->plan->seed, run->out->message);
	abort();
}

static void last_words(bool deadlock, const char *line)
{
	snprintf(run->out->message, sizeof(run->out->message), "%s", line);
	end_run(deadlock ? BP_SIM_DEADLOCK : BP_SIM_CRASHED);
}

static void fail(enum bp_sim_verdict verdict, const char *fmt, ...)
	__attribute__((noreturn, format(printf, 2, 3)));

static void fail(enum bp_sim_verdict verdict, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(run->out->message, sizeof(run->out->message), fmt, ap);
	va_end(ap);
	end_run(verdict);
}

/* ---------------------------------------------------------------- on the way */

static void on_step(void *unused)
{
	const struct bp_sim_opts *opts = &run->x->opts;

	(void)unused;
	if (run->checking)
		return;
	/* A crash comes without a word. */
	run->out->decisions = run->sim->decisions;
	memcpy(run->out->struck, run->sim->struck, sizeof(run->out->struck));
	if (run->sim->events + run->steps++ > opts->max_events)
		fail(BP_SIM_ENDLESS, "no end after %llu events and turns",
		     (unsigned long long)opts->max_events);
	if (!opts->invariant)
		return;
	run->checking = true;
	run->sim->still = true;
	opts->invariant(run->x->arg);
	run->sim->still = false;
	run->checking = false;
}

static void set_chance(struct sim *sim, enum sim_mishap kind, int percent)
{
	if (percent != BP_SIM_DRAWN)
		sim->odds.of[kind] = (unsigned int)percent * 10;
}

static void set_odds(struct sim *sim, const struct bp_sim_opts *opts)
{
	set_chance(sim, SIM_ERROR, opts->errors);
	set_chance(sim, SIM_AGAIN, opts->again);
	set_chance(sim, SIM_SHORTER, opts->short_io);
	set_chance(sim, SIM_LATE, opts->lost_cancels);
	set_chance(sim, SIM_HOLD, opts->late_completions);
	set_chance(sim, SIM_FULL, opts->full_queues);
	set_chance(sim, SIM_PREEMPT, opts->preempt);
	set_chance(sim, SIM_REORDER, opts->reorder);
	if (opts->latency_ns != BP_SIM_DRAWN)
		sim->odds.latency_ns = (uint64_t)opts->latency_ns;
}

static void prepare(struct sim *sim)
{
	sim->kept = run->plan->limited ? &run->plan->kept : NULL;
	sim->off = run->plan->off;
	sim->step = on_step;
	if (!run->told)
		return;
	sim->trace = on_event;
	/* Where the seed takes them all, those that are not plain are nearly all. */
	sim->decided = run->plan->limited ? on_decision : NULL;
}

/** The program, from its first line to its last. */
static void play(void)
{
	const struct explorer *x = run->x;
	size_t groups;
	int res;

	res = x->program(run->engine, x->arg);
	if (res < 0)
		fail(BP_SIM_FAILED, "the program returned %d (%s)", res, strerror(-res));
	on_step(NULL);
	groups = bp_engine_info(run->engine)->live_groups;
	if (groups)
		fail(BP_SIM_FAILED, "%zu group(s) were not destroyed", groups);
	sim_note(run->sim, 6, 0, "the end");
	note_end(BP_SIM_HELD);
	run->sim->step = NULL;
	run->sim->trace = NULL;
	run->sim->decided = NULL;
}

int explore_play(const struct explorer *x, const struct plan *plan, struct outcome *out, bool show)
{
	struct run own = {.x = x, .plan = plan, .out = out, .random = plan->seed};
	int err;

	err = bp_engine_create(&own.engine,
			       &BP_ENGINE_OPTS(.backend = BP_BACKEND_SIM, .loops = x->opts.loops,
					       .depth = x->opts.depth,
					       .stack_size = x->opts.stack_size));
	if (err)
		return err;
	own.told = show ? x->told : NULL;
	if (show)
		x->told->count = 0;
	out->verdict = VERDICT_NONE;
	out->seed = plan->seed;
	own.sim = sim_of(own.engine);
	run = &own;
	/* What the start of the loops drew is forgotten. */
	sim_reset(own.engine, plan->seed);
	set_odds(own.sim, &x->opts);
	prepare(own.sim);
	base_last_words = last_words;
	play();
	bp_engine_destroy(own.engine);
	base_last_words = NULL;
	run = NULL;
	return 0;
}

/* ---------------------------------------------------------------- what a program may ask */

void bp_sim_fail(const char *fmt, ...)
{
	char text[BP_SIM_MESSAGE_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!run)
		bp_fatal("%s", text);
	fail(BP_SIM_FAILED, "%s", text);
}

void bp_sim_note(const char *fmt, ...)
{
	char text[TOLD_WIDTH];
	va_list ap;

	if (!run || !run->told)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	tell_event("%s", text);
}

unsigned long bp_sim_size(void)
{
	return run ? run->plan->size : 1;
}

uint64_t bp_sim_random(uint64_t n)
{
	uint64_t x;

	if (!run || !n)
		return 0;
	run->random += 0xd1342543de82ef95ull;
	x = run->random;
	x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93ull;
	x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93ull;
	return (x ^ (x >> 32)) % n;
}

unsigned int bp_sim_open_fds(void)
{
	return run ? run->sim->model.open : 0;
}

void bp_sim_point(void)
{
	if (run && !run->engine->driven)
		sim_preempt(run->engine);
}
