/* SPDX-License-Identifier: MIT */
/*
 * batchproc_sim.h - a program's own tasks under very many schedules
 *
 * bp_sim_run() plays a program, a function of yours that makes groups and starts tasks, again and again on the
 * simulated backend: files and sockets in memory, virtual time, and a schedule that one seed decides. Which
 * operation ends first, how many bytes a read moves, when a cancel arrives, which loop goes on: another
 * seed, another answer, and the same seed the same run, event for event. A seed under which the program fails is
 * made smaller and said.
 *
 *	static int transfer(void *arg) { ... bp_read() ... bp_write() ... }
 *
 *	static int program(struct bp_engine *engine, void *arg)
 *	{
 *		struct bp_group *group;
 *		int err = bp_group_create(&group, engine, NULL);
 *		...
 *		bp_go(group, transfer, arg);
 *		bp_go(group, transfer, arg);
 *		err = bp_wait(group);
 *		bp_group_destroy(group);
 *		bp_sim_check(balance == 200);
 *		return err;
 *	}
 *
 *	int main(int argc, char **argv)
 *	{
 *		return bp_sim_run(program, NULL, &BP_SIM_OPTS(.seeds = 100000, .replay = argv[1]), NULL) != 0;
 *	}
 *
 * The runs are played in child processes, so that one that crashes, or ends in an assertion, is a failure with a seed
 * like any other. What a run needs it must make itself: a variable that keeps its value from one run to the
 * next makes the second another program. Nor may it ask the clock, an address or another thread what to do;
 * bp_sim_random() gives it numbers. Its paths and descriptors are the simulation's: each run starts with an empty tree,
 * and a descriptor of the kernel's is -EBADF.
 *
 * What is not shown: two loops that touch the same memory in the same instant. A loop gives way in the library's
 * functions alone (and at bp_sim_point()); ThreadSanitizer finds the rest.
 */
#ifndef BATCHPROC_SIM_H
#define BATCHPROC_SIM_H

#include "batchproc.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * typedef bp_sim_fn - a program under test
 * @engine:	a fresh engine of BP_BACKEND_SIM, with as many loops as the options say; not its to destroy
 * @arg:	as given to bp_sim_run()
 *
 * Called outside of the engine's items. It has to destroy the groups that it made.
 *
 * Return: 0 or more: it did what it should; negative: it failed
 */
typedef int (*bp_sim_fn)(struct bp_engine *engine, void *arg);

/* For a chance or a time of the options: the seed draws it, for each run another. */
#define BP_SIM_DRAWN (-1)

/**
 * struct bp_sim_opts - how to play; use BP_SIM_OPTS()
 * @sz:		size of this struct as the caller knows it
 * @seed:	the first seed; 0 by default
 * @seeds:	how many seeds, from @seed on; BP_SIM_SEEDS_DEFAULT by default
 * @loops:	loops of the engine, as in its options: 0 (the default): driven by the program
 * @depth:	operations in flight, likewise; a small one makes the queues overflow
 * @stack_size:	bytes of stack for a task, likewise
 * @size:	how large the program is, in whatever it counts; it reads it with bp_sim_size(). 1 by default;
 *		a failure is looked for with smaller ones too
 * @invariant:	called, with the argument of the program, whenever the simulation is entered (an operation is handed
 *		over, a loop takes a turn or goes on) from the program's first such call to its end, and
 *		once after that; calls bp_sim_fail() or bp_sim_check() where something is wrong. It may
 *		read memory and call bp_now(), bp_group_stats(), bp_engine_info() and bp_sim_*(); NULL: none
 * @errors:	percent of operations that fail and are not carried out: EIO, ENOSPC, EMFILE, ENOMEM, ECONNRESET,
 *		ENOBUFS; 0 by default
 * @again:	percent that end with EINTR or EAGAIN, likewise; 0 by default. Operation items and bp_await() see
 *		them; the calls of tasks are tried again by the library
 * @short_io:	percent of reads, writes, sends and receives that move fewer bytes than they could
 * @lost_cancels: percent of cancels that do not reach their operation, and are sent again
 * @late_completions: percent of completions that are seen a turn later
 * @full_queues: percent of submissions that find the queue full
 * @preempt:	percent of the times that a loop takes or leaves a lock at which another goes on; with loops
 * @reorder:	percent of operations that take another time than the average; 100 by default, 0: all end in order
 * @latency_ns:	what an operation takes on the average, in ns of virtual time; 0: at once
 * @jobs:	processes that play, 1 to BP_SIM_JOBS_MAX; 1 by default. The seed that is found is the same
 * @max_events:	events and turns of loops of one run, after which it counts as endless; BP_SIM_EVENTS_DEFAULT by default
 * @timeout_s:	seconds of real time of one run, likewise; 30 by default
 * @shrink_runs: runs that may be spent on making a failure smaller; BP_SIM_SHRINK_DEFAULT by default, 0: none
 * @in_process:	plays in the calling process, for a debugger: a failure is said and ends it by abort(). Nothing is made
 *		smaller, and @jobs and @timeout_s do not count
 * @report_fd:	where a failure is told, in words; 2, standard error, by default, -1: nowhere
 * @replay:	plays one run and tells its events: a string as the report and the result have it. It says
 *		the seed and what was made smaller, and the other options have to be as they were. NULL: none
 *
 * The chances are percent, 0 to 100, or BP_SIM_DRAWN, which is the default where nothing else is said; so is @latency_ns.
 */
struct bp_sim_opts {
	size_t sz;
	uint64_t seed;
	uint64_t seeds;
	unsigned int loops;
	unsigned int depth;
	size_t stack_size;
	unsigned long size;
	void (*invariant)(void *arg);
	int errors;
	int again;
	int short_io;
	int lost_cancels;
	int late_completions;
	int full_queues;
	int preempt;
	int reorder;
	int64_t latency_ns;
	unsigned int jobs;
	unsigned int timeout_s;
	uint64_t max_events;
	unsigned long shrink_runs;
	bool in_process;
	int report_fd;
	const char *replay;
};

#define BP_SIM_SEEDS_DEFAULT 1000u
#define BP_SIM_JOBS_MAX 64u
#define BP_SIM_EVENTS_DEFAULT 1000000u
#define BP_SIM_SHRINK_DEFAULT 5000u

/* clang-format off */
#define BP_SIM_OPTS(...)                                                                           \
	((struct bp_sim_opts[1]){__extension__({                                                   \
		_Pragma("GCC diagnostic push")                                                     \
		_Pragma("GCC diagnostic ignored \"-Woverride-init\"")                              \
		struct bp_sim_opts bp_opts_ = {                                                    \
			.sz = sizeof(struct bp_sim_opts), .seeds = BP_SIM_SEEDS_DEFAULT,           \
			.size = 1, .short_io = BP_SIM_DRAWN, .lost_cancels = BP_SIM_DRAWN,         \
			.late_completions = BP_SIM_DRAWN, .full_queues = BP_SIM_DRAWN,             \
			.preempt = BP_SIM_DRAWN, .reorder = 100, .latency_ns = BP_SIM_DRAWN,       \
			.jobs = 1, .timeout_s = 30, .max_events = BP_SIM_EVENTS_DEFAULT,           \
			.shrink_runs = BP_SIM_SHRINK_DEFAULT, .report_fd = 2, ##__VA_ARGS__};      \
		_Pragma("GCC diagnostic pop")                                                      \
		bp_opts_;                                                                          \
	})}[0])
/* clang-format on */

/**
 * bp_sim_opts_default() - what BP_SIM_OPTS() is with nothing in it, as a value, for C++
 *
 * Context: any.
 */
static inline struct bp_sim_opts bp_sim_opts_default(void)
{
	struct bp_sim_opts opts;

	memset(&opts, 0, sizeof(opts));
	opts.sz = sizeof(opts);
	opts.seeds = BP_SIM_SEEDS_DEFAULT;
	opts.size = 1;
	opts.short_io = opts.lost_cancels = opts.late_completions = BP_SIM_DRAWN;
	opts.full_queues = opts.preempt = BP_SIM_DRAWN;
	opts.reorder = 100;
	opts.latency_ns = BP_SIM_DRAWN;
	opts.jobs = 1;
	opts.timeout_s = 30;
	opts.max_events = BP_SIM_EVENTS_DEFAULT;
	opts.shrink_runs = BP_SIM_SHRINK_DEFAULT;
	opts.report_fd = 2;
	return opts;
}

/**
 * enum bp_sim_verdict - what became of the runs
 * @BP_SIM_HELD:	all of them did what they should
 * @BP_SIM_FAILED:	bp_sim_fail() was called, or the program returned an error, or left a group behind
 * @BP_SIM_DEADLOCK:	everything waited for ever
 * @BP_SIM_ENDLESS:	a run had no end: @max_events or @timeout_s was reached
 * @BP_SIM_CRASHED:	a run ended its process: a signal, an assertion, exit(), one line of the library's
 * @BP_SIM_UNSTEADY:	the same seed went another way the second time: something else than the seed decides
 */
enum bp_sim_verdict {
	BP_SIM_HELD,
	BP_SIM_FAILED,
	BP_SIM_DEADLOCK,
	BP_SIM_ENDLESS,
	BP_SIM_CRASHED,
	BP_SIM_UNSTEADY,
};

#define BP_SIM_MESSAGE_MAX 256
#define BP_SIM_REPLAY_MAX 512

/**
 * struct bp_sim_result - what was found; BP_SIM_RESULT() has its size in it
 * @sz:		size of this struct as the caller knows it
 * @verdict:	what became of the runs
 * @signal:	that ended the run's process, or 0
 * @runs:	runs played until all held or one failed
 * @events:	events in all of them
 * @shrink_runs: runs that were spent on making the failure smaller
 * @found:	the seed that failed, the first of all
 * @seed:	the seed of the smallest failure; another than @found only where the size became smaller
 * @size:	its size
 * @decisions:	how many decisions of its seed make it fail; all others went the plain way: no misfortune, operations
 *		in order, loops in turn
 * @of_decisions: how many there were in the run that was found
 * @trace:	a hash over the events of the smallest failure, or of the last run; the same run has the same
 * @message:	what went wrong there
 * @replay:	plays the smallest failure again, as the option of that name
 */
struct bp_sim_result {
	size_t sz;
	enum bp_sim_verdict verdict;
	int signal;
	uint64_t runs;
	uint64_t events;
	uint64_t shrink_runs;
	uint64_t found;
	uint64_t seed;
	unsigned long size;
	uint64_t decisions;
	uint64_t of_decisions;
	uint64_t trace;
	char message[BP_SIM_MESSAGE_MAX];
	char replay[BP_SIM_REPLAY_MAX];
};

#define BP_SIM_RESULT() ((struct bp_sim_result){.sz = sizeof(struct bp_sim_result)})

/**
 * bp_sim_result_init() - what BP_SIM_RESULT() is, as a value, for C++
 *
 * Context: any.
 */
static inline struct bp_sim_result bp_sim_result_init(void)
{
	struct bp_sim_result result;

	memset(&result, 0, sizeof(result));
	result.sz = sizeof(result);
	return result;
}

/**
 * bp_sim_run() - play a program under many schedules, and look for one under which it fails
 * @program:	the program
 * @arg:	its argument, and that of the invariant
 * @opts:	options, or NULL for the defaults
 * @result:	what was found, or NULL; its size is set
 *
 * The seeds are played in child processes: what they print on standard output and standard error is dropped, until the
 * run that failed is played once more, as small as it became, and told. Made smaller is, one after the other: the
 * size; the misfortunes, kind by kind; the decisions of the seed, at first all after the last that
 * matters, then one by one. Each step is kept only where the program still fails in the same manner.
 *
 * One run in sixteen is played twice, and has to go the same way.
 *
 * Context: outside, of all engines, while the process has no other thread that does anything: it is forked.
 * Return: 0: every run held; 1: one failed; or
 *	-EINVAL		@program is NULL, an option is out of range or unknown, @replay is not understood, or the size of
 *			@result is not set
 *	-ENOMEM, -EAGAIN, -EMFILE, -ENFILE	no memory, processes or descriptors
 */
int bp_sim_run(bp_sim_fn program, void *arg, const struct bp_sim_opts *opts,
	       struct bp_sim_result *result);

/**
 * bp_sim_fail() - the run that is being played has failed
 * @fmt:	why, as in printf(3); up to BP_SIM_MESSAGE_MAX bytes of it are kept
 *
 * Does not return. Outside of a run the program ends with one line on stderr, so code that calls it can be used
 * elsewhere.
 *
 * Context: the program under test: outside, task, callback, in a function of bp_offload(), in the invariant.
 */
void bp_sim_fail(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

/** Fails the run unless @claim is so. */
#define bp_sim_check(claim)                                                                        \
	((claim) ? (void)0 : bp_sim_fail("%s:%d: not so: %s", __FILE__, __LINE__, #claim))

/**
 * bp_sim_note() - a line among the events that a replay tells
 * @fmt:	as in printf(3)
 *
 * It costs little where nobody reads it. Outside of a run it does nothing.
 *
 * Context: as bp_sim_fail().
 */
void bp_sim_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/**
 * bp_sim_size() - how large the program is to be: the option, or what is tried while a failure is made smaller
 *
 * Return: the size, 1 or more; 1 outside of a run.
 *
 * Context: as bp_sim_fail().
 */
unsigned long bp_sim_size(void);

/**
 * bp_sim_random() - a number for the program's own use that the seed decides
 * @n:		bound
 *
 * These numbers are no decisions of the schedule, and stay as they are while a failure is made smaller.
 *
 * Return: 0 to @n - 1; 0 where @n is 0, and outside of a run.
 *
 * Context: as bp_sim_fail().
 */
uint64_t bp_sim_random(uint64_t n);

/**
 * bp_sim_open_fds() - descriptors that are open in the simulation
 *
 * For a program that wants to know at its end whether something leaked.
 *
 * Return: how many; 0 outside of a run.
 *
 * Context: as bp_sim_fail().
 */
unsigned int bp_sim_open_fds(void);

/**
 * bp_sim_point() - another loop may go on here
 *
 * In code without locks and operations that other loops meet, such as an algorithm on atomic variables. Without
 * loops, and outside of a run, it does nothing.
 *
 * Context: as bp_sim_fail(); in the invariant it does nothing.
 */
void bp_sim_point(void);

#ifdef __cplusplus
}
#endif

#endif /* BATCHPROC_SIM_H */
