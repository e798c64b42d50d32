/* SPDX-License-Identifier: MIT */
/*
 * harness - what all test programs share
 *
 * A test is a function of one struct test; the harness runs it once for each row of the backend
 * table and shows the row in its name, as in "first_error_is_the_cause[uring, 2 loops]". A row
 * that the machine cannot offer is skipped by name with the reason; another backend needs one more
 * row and no edit in a test.
 *
 * cmocka's assertions jump out of the function that failed, which a task or a loop's thread must
 * never do. So tests use expect() and its relatives: they may be called from any thread, task
 * or callback, they record and go on, and the harness fails the test at its end. After each test
 * the harness also checks that the engine holds no operation, task, group or waiting item, and that
 * no descriptor was left open. A test that hangs is ended with its name after a generous time.
 *
 * On the simulated backend a test is run under several schedules; there its gates are streams of
 * the simulation, and what needs the kernel itself is left out (CASE_REAL).
 *
 * Nothing here sleeps: tests wait for events, with until_*(), crowds and gates.
 */
#ifndef BATCHPROC_TESTS_HARNESS_H
#define BATCHPROC_TESTS_HARNESS_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "batchproc.h"
#include "support/deny.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define CONTAINER(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#define MS 1000000ull
#define SECOND (1000 * MS)
/* Long enough that reaching it is a failure, short enough to end before the watchdog. */
#define FAR_AWAY (3600 * SECOND)

/* ---------------------------------------------------------------- sanitizers and valgrind */

#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#endif
#endif
#ifndef UNDER_TSAN
#define UNDER_TSAN 0
#endif

#if defined(__SANITIZE_ADDRESS__)
#define UNDER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNDER_ASAN 1
#endif
#endif
#ifndef UNDER_ASAN
#define UNDER_ASAN 0
#endif

/** Whether the environment says VALGRIND=1. */
bool under_valgrind(void);

/**
 * A count of items, made smaller where each costs much more than usual, and to an N-th of that
 * where TEST_SHARE=N is in the environment.
 */
unsigned long scaled(unsigned long n);

/** A number of tasks alive at once, made small enough for ThreadSanitizer and valgrind. */
unsigned long live_tasks(unsigned long n);

/* ---------------------------------------------------------------- rows, cases, running */

struct row {
	const char *name;
	enum bp_backend backend;
	unsigned int loops;
};

struct test {
	const struct row *row;
	uint64_t seed; /* of the simulated backend */
	struct bp_engine *engine;
	char dir[128];
	void (*end)(
		void); /* ends what may go on behind a test that failed, before @dir is removed */
	int fds;
};

enum case_flags {
	CASE_DRIVEN = 1 << 0, /* for engines with loops = 0 only */
	CASE_THREADED = 1 << 1, /* for engines with loops only */
	CASE_ONCE = 1 << 2, /* needs no engine of a row: runs once */
	CASE_REAL = 1 << 3, /* needs the kernel's descriptors, real time, or threads of its own */
};

struct test_case {
	const char *name;
	void (*fn)(struct test *t);
	unsigned int flags;
};

/* clang-format off */
#define CASE(fn, flags) {#fn, fn, flags}
/* clang-format on */
#define EACH_ROW(fn) CASE(fn, 0)
#define DRIVEN_ROWS(fn) CASE(fn, CASE_DRIVEN)
#define THREADED_ROWS(fn) CASE(fn, CASE_THREADED)
#define ONCE(fn) CASE(fn, CASE_ONCE)
/* The same, but for rows of the simulated backend. */
#define EACH_REAL_ROW(fn) CASE(fn, CASE_REAL)
#define DRIVEN_REAL_ROWS(fn) CASE(fn, CASE_DRIVEN | CASE_REAL)
#define THREADED_REAL_ROWS(fn) CASE(fn, CASE_THREADED | CASE_REAL)

/** Runs every case on every row that fits; argv[1], if given, is a filter with * and ?. */
int run_cases(int argc, char **argv, const struct test_case *cases, size_t count,
	      unsigned int all_flags);

#define RUN_CASES(argc, argv, cases) run_cases(argc, argv, cases, COUNT_OF(cases), 0)
/** For cases that are about the kernel and the clock: not on the simulated backend. */
#define RUN_REAL_CASES(argc, argv, cases) run_cases(argc, argv, cases, COUNT_OF(cases), CASE_REAL)

/** Skips the rest of a test and says why; before the test has made a group. */
void skip_because(struct test *t, const char *reason);

/* ---------------------------------------------------------------- expectations */

bool expect_(bool ok, const char *what, const char *file, int line);
bool expect_eq_(intmax_t a, intmax_t b, const char *what_a, const char *what_b, const char *file,
		int line);
bool expect_in_(uintmax_t v, uintmax_t low, uintmax_t high, const char *what, const char *file,
		int line);

void record_failure(const char *format, ...) __attribute__((format(printf, 1, 2)));
/** How many were recorded; writes them to @fd, unless that is -1. */
unsigned int failures_to(int fd);

/* Each may stand in any thread, task or callback; each returns whether it held. */
#define expect(cond) expect_((cond), #cond, __FILE__, __LINE__)
#define expect_eq(a, b) expect_eq_((intmax_t)(a), (intmax_t)(b), #a, #b, __FILE__, __LINE__)
#define expect_between(v, low, high)                                                               \
	expect_in_((uintmax_t)(v), (uintmax_t)(low), (uintmax_t)(high), #v, __FILE__, __LINE__)

/* ---------------------------------------------------------------- engines and groups */

/**
 * bp_engine_create(). An ordinary user's rings count as locked memory, which the kernel gives back
 * some time after the end of an engine: where it says that there is none, it is asked again.
 */
int create_engine(struct bp_engine **engine, const struct bp_engine_opts *opts);
struct bp_engine *make_engine(struct test *t, const struct bp_engine_opts *opts);
struct bp_group *make_group(struct test *t, const struct bp_group_opts *opts);

/** The test's engine, of the row's backend and number of loops; the harness destroys it. */
#define engine_with(t, ...) make_engine(t, &BP_ENGINE_OPTS(__VA_ARGS__))
/** A group of the test's engine, which is made with default options if there is none yet. */
#define group_with(t, ...) make_group(t, &BP_GROUP_OPTS(__VA_ARGS__))

/** Runs one task in a group of its own; what bp_wait() says. */
int run_task(struct test *t, bp_task_fn fn, void *arg);

bool driven(const struct test *t);
/** The test that runs. */
struct test *current_test(void);
struct bp_group_stats stats_of(const struct bp_group *g);

/** The four ends add up to the number accepted, and nothing runs or waits. */
#define expect_balanced(g) expect_balanced_(g, __FILE__, __LINE__)
void expect_balanced_(const struct bp_group *g, const char *file, int line);

/* ---------------------------------------------------------------- waiting for events */

/* Each lets the engine work until the thing is so. From outside only. */
void until_count(struct test *t, atomic_ulong *counter, unsigned long at_least);
void until_in_flight(struct test *t, size_t at_least);
void until_ended(struct test *t, const struct bp_group *g, uint64_t at_least);
void until_running(struct test *t, const struct bp_group *g, uint64_t at_least);
/** So many stand in bp_go() on the group and wait for a place. */
void until_in_line(struct test *t, const struct bp_group *g, uint64_t at_least);
/** So many stand in a queue of the engine's lock. */
void until_in_queue(struct test *t, const struct bp_link_ *queue, uint64_t at_least);
void until_time(struct test *t, uint64_t when);
/** Gives the engine many turns, in which something that must not happen could happen. */
void many_turns(struct test *t);
/**
 * For what only a short time can show: @attempt says whether things came in time for it to say
 * anything. Where the machine was too slow for that it is made again, with twice the time.
 */
void in_time(struct test *t, uint64_t ns, bool (*attempt)(struct test *t, uint64_t ns));

/** A gate is shut until it is opened once, for all who wait at it. */
struct gate {
	int fd[2];
};

void gate_init(struct gate *gate);
/** The simulated backend has its engine: gates that were made before it get their streams. */
void gates_arrive(struct bp_engine *engine);
void gate_open(struct gate *gate);
void gate_free(struct gate *gate);
/** In a task: waits at the gate; 0, or -ECANCELED, -ETIMEDOUT. */
int gate_wait(struct gate *gate);

/** A crowd: items that count themselves and stand at a gate. */
struct crowd {
	struct gate gate;
	atomic_ulong started, passed, cancelled, timed_out;
};

void crowd_init(struct crowd *crowd);
void crowd_free(struct crowd *crowd);
int crowd_task(void *crowd);

/** A task that ends with @result once @after members of a crowd stand at the gate. */
struct trigger {
	struct test *t;
	struct crowd *crowd;
	unsigned long after;
	int result;
};

int trigger_task(void *trigger);

/** A member of a crowd as an operation item. */
struct crowd_op {
	struct bp_op op;
	struct crowd *crowd;
	int res;
	int rounds;
};

void crowd_op_init(struct crowd_op *op, struct crowd *crowd);

/** An operation item that does nothing, and ends with @result. */
struct nop_op {
	struct bp_op op;
	int result;
	int again; /* further rounds */
	atomic_ulong *count;
};

void nop_op_init(struct nop_op *op, int result, atomic_ulong *count);

int succeed(void *unused);
int fail_with(void *result); /* the address of an int */
/** A task that reads where a read gives -EIO, and ends so. */
int read_gives_eio(void *unused);
/** The descriptor for it: own memory, whose address zero is not mapped. */
int open_eio(void);

/* ---------------------------------------------------------------- reports */

/** Counts each end, and the ends of each item by an index in its argument. */
struct tally {
	atomic_ulong end[4];
	atomic_int first_failure;
	atomic_ulong calls;
};

void tally_report(void *tally, void *arg, enum bp_end end, int result);
#define REPORT_TO(tally) .report = tally_report, .report_arg = (tally)
/** The report callback was called once for each accepted item, with the ends of the statistics. */
void expect_tally(const struct tally *tally, const struct bp_group *g);

/* ---------------------------------------------------------------- processes and files */

/**
 * A program or a library that the tests build for themselves, next to this program:
 * O/tests/support/NAME.
 */
void helper_path(char path[PATH_MAX], const char *name);

struct child_result {
	int status; /* as of waitpid() */
	char err[2048];
};

/** Runs @fn in a child process whose stderr is kept; its return value is the exit status. */
struct child_result in_child(int (*fn)(void *arg), void *arg);
/** The child was ended by abort() with one line on stderr that contains @word. */
#define expect_abort(fn, arg, word) expect_abort_(fn, arg, word, #fn, __FILE__, __LINE__)
void expect_abort_(int (*fn)(void *arg), void *arg, const char *word, const char *name,
		   const char *file, int line);

/** A fresh directory that is removed after the test. */
const char *temp_dir(struct test *t);
/** A file in it of @size bytes, where byte i is file_byte(i); returns an open descriptor. */
int temp_file(struct test *t, const char *name, size_t size, int flags);
unsigned char file_byte(size_t offset);
int open_fds(void);
/** Raises the limit of open descriptors as far as it goes; returns it. */
unsigned long raise_nofile(void);

#endif
