/* SPDX-License-Identifier: MIT */
/*
 * explore - a user's program under many simulated schedules: bp_sim_run()
 *
 *	run.c		one run of a program, as a plan says; ends with a verdict
 *	children.c	runs in child processes, and what became of them
 *	search.c	many seeds, and the first that fails
 *	shrink.c	the smallest plan that still fails
 *	replay.c	a plan as a string, and back
 *
 * The parent never runs a program itself (but with in_process); it hands plans down by fork(), and reads
 * what came of them in shared memory.
 */
#ifndef BP_EXPLORE_H
#define BP_EXPLORE_H

#include "sim/sim.h"

/* Everything that decides how a run goes, beside the options: the same plan, the same run. */
struct plan {
	uint64_t seed;
	unsigned long size;
	unsigned int off; /* bits: misfortunes that do not strike */
	bool limited; /* @kept counts */
	struct sim_kept kept;
};

/* BP_SIM_HELD and so on, or: */
#define VERDICT_NONE ((enum bp_sim_verdict)(-1)) /* it is not over */

/* What came of a run, or of many in one child; in shared memory. */
struct outcome {
	uint64_t seed; /* that is being played */
	uint64_t runs, events; /* all of them */
	enum bp_sim_verdict verdict;
	int err; /* not the program's: no memory and the like */
	int signal;
	/* of the last run */
	uint64_t hash, decisions;
	uint64_t struck[SIM_MISHAPS];
	char message[BP_SIM_MESSAGE_MAX];
};

/* Events that are told; of a longer run the last ones. */
#define TOLD 80u
#define TOLD_WIDTH 160u

struct told {
	uint64_t count;
	char line[TOLD][TOLD_WIDTH];
};

struct explorer {
	bp_sim_fn program;
	void *arg;
	struct bp_sim_opts opts;
	struct outcome *shared; /* one for each child at a time */
	struct told *told; /* in shared memory: the events of who crashes are told too */
	atomic_ullong *next, *end; /* seeds that nobody has taken; in shared memory too */
	uint64_t shrink_runs;
};

/* ---------------------------------------------------------------- run.c */

/**
 * Plays one run in this process. A failure is noted in @out and ends the process; so do a crash and a
 * deadlock. With @show its events are kept to be told. Return: 0, or -errno: there was none.
 */
int explore_play(const struct explorer *x, const struct plan *plan, struct outcome *out, bool show);

void explore_tell(const struct explorer *x);

/** The end of a child, after what stdio holds: no handler, and no sanitizer that waits for threads. */
__attribute__((noreturn)) void child_quit(void);

/* ---------------------------------------------------------------- children.c */

/** A child that runs @body; -errno: there is none. */
struct child {
	pid_t pid;
	int gone; /* readable once it is gone */
	int words; /* what it said on standard error */
};
int child_start(struct child *child, struct outcome *out, void (*body)(void *), void *arg,
		bool muted);
/** Waits for its end, after which @out has a verdict, or an error. */
void child_end(struct child *child, struct outcome *out);

/** Plays one plan in a child. Return: 0, or -errno. */
int explore_try(struct explorer *x, const struct plan *plan, struct outcome *out, bool show);

/* ---------------------------------------------------------------- search.c */

/** Plays the seeds. @found is of the first that fails. Return: 0: all held, 1, or -errno. */
int explore_search(struct explorer *x, struct outcome *found, struct bp_sim_result *result);

/* ---------------------------------------------------------------- shrink.c */

/**
 * Makes a plan that fails as @last says smaller; @last is of the smallest. Its bits are to be freed.
 * Return: 0 or -errno.
 */
int explore_shrink(struct explorer *x, struct plan *plan, struct outcome *last);

/* ---------------------------------------------------------------- replay.c */

/** Return: whether the plan fits in the room of a result. */
bool replay_print(const struct plan *plan, char text[BP_SIM_REPLAY_MAX]);
/** Return: 0, -EINVAL or -ENOMEM; the plan's bits are to be freed. */
int replay_parse(struct plan *plan, const char *text);
uint64_t kept_count(const struct sim_kept *kept);

/** printf() to a descriptor; nothing where that is -1. */
__attribute__((format(printf, 2, 3))) void tell(int fd, const char *fmt, ...);

#endif /* BP_EXPLORE_H */
