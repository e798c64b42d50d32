/* SPDX-License-Identifier: MIT */
/*
 * cmd - runs the command as a user does, and looks at what came of it
 *
 * The command is the program that BATCHPROC names. Each test begins with fresh_dir(): a directory
 * of its own, which is the working directory too, so that names in tests are short. Runs and what
 * was read from them are kept until the next test begins. Everything here belongs to the main
 * thread.
 *
 * What must not end yet reads standard input from a pipe that the test holds: an item named - runs
 * exactly as long as the test wants.
 */
#ifndef BATCHPROC_TESTS_CMD_H
#define BATCHPROC_TESTS_CMD_H

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "support/harness.h"

/** Bytes that grow; a NUL that is not counted stands behind them. */
struct text {
	char *data;
	size_t len, cap;
};

void text_add(struct text *text, const void *data, size_t len);
void text_printf(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_free(struct text *text);
bool text_is(const struct text *text, const char *expected);
/** How often @word stands in it. */
size_t text_count(const struct text *text, const char *word);

/** How a program is run; what is zero is as usual. */
struct how {
	const char *program; /* another one than the command, from PATH */
	const void *input; /* standard input, a file with this; /dev/null by default */
	size_t input_len; /* 0: of the string */
	bool feed; /* standard input is a pipe, whose other end is run.in */
	int in, out, err; /* descriptors instead */
	unsigned int closed; /* bit N: standard descriptor N is closed */
	rlim_t nofile;
	uid_t uid; /* and group: who runs it */
	int ignored; /* a signal that is ignored from the start */
	const char *root; /* its root directory, in which ROOT_MARK has to be, and where it begins */
	const struct denied *denied; /* calls that the kernel refuses: see deny.h */
	const struct denied *denied_late; /* likewise, from the command's main() on */
	bool no_uring; /* the kernel refuses io_uring, as Docker's default profile has it */
	long killed_at; /* the number of a system call: whoever begins one is killed, by SIGSYS */
	int watched; /* the number of a system call: see until_called() */
	const char *const *env; /* NAME=VALUE sets, NAME takes away */
};

/** A run, going on or ended. */
struct run {
	struct run *next;
	char line[200]; /* what was run, for messages */
	pid_t pid;
	int in, fd[2]; /* -1: none, or at its end */
	int watch; /* tells of the calls that are watched */
	uint64_t call; /* the one that it stands still at; 0: none */
	struct text out, err;
	bool asked; /* for its state, by a signal */
	bool ended;
	int status; /* as a shell says it: 128 + N for signal N */
	struct rusage usage; /* the largest size is at least the test program's own */
	double seconds;
	uint64_t start_ns;
};

/** Starts a run; args end with NULL and do not include the program's name. */
struct run *run_start(const struct how *how, const char *const *args);
/** Waits for its end and takes all output. */
struct run *run_end(struct run *run);
/** Kills what a test has left running because it failed. */
void runs_end(void);
void runs_forget(void);

#define ROOT_MARK ".root-of-a-test"

#define HOW(...) (&(struct how){__VA_ARGS__})
#define ARGS(...) ((const char *const[]){__VA_ARGS__, NULL})

#define START(how, ...) run_start(how, ARGS(__VA_ARGS__))
#define RUN(how, ...) run_end(START(how, __VA_ARGS__))
/** The command with these arguments. */
#define BP(...) RUN(HOW(.feed = false), __VA_ARGS__)
/** A script for sh; $1, $2 ... are the arguments. */
#define SH(script, ...) RUN(HOW(.program = "sh"), "-c", script, "sh", ##__VA_ARGS__)

/** Gives a run more input, and the end of it. */
void run_feed(struct run *run, const void *data, size_t len);
void run_feed_end(struct run *run);
/** Waits until the run has read all that it was fed: the item - runs. */
void until_drained(struct run *run);
/** Waits until standard output (1) or error (2) has @word at least @times. */
bool until_printed(struct run *run, int fd, const char *word, size_t times);
/** Sends a signal, and waits until the run has taken it. */
void run_kill(struct run *run, int sig);
/**
 * Sends a signal, and waits until the run has acted upon it: another than USR1 is followed by it.
 */
void run_signal(struct run *run, int sig);

/** Skips the test unless calls of a run can be refused. */
void need_denial(struct test *t);
/** Skips the test unless calls of a run can be watched. */
void need_watch(struct test *t);
/**
 * Waits until the run comes to the next call that is watched; it stands still then, before the call
 * is made. @path, of PATH_MAX bytes, is what the call's first argument, a descriptor, is open for.
 * False: the run has ended.
 */
bool until_called(struct run *run, char *path);
/** Lets the call be made. */
void let_call(struct run *run);

/** The exit status is this; otherwise it is a failure that shows the output. */
#define expect_exit(run, code) expect_exit_(run, code, __FILE__, __LINE__)
bool expect_exit_(const struct run *run, int code, const char *file, int line);
/** Standard output, standard error is exactly this. */
#define expect_out(run, expected) expect_printed_(run, 1, expected, __FILE__, __LINE__)
#define expect_err(run, expected) expect_printed_(run, 2, expected, __FILE__, __LINE__)
bool expect_printed_(const struct run *run, int fd, const char *expected, const char *file,
		     int line);
/** Standard error has @word in it. */
#define expect_says(run, word) expect_says_(run, word, __FILE__, __LINE__)
bool expect_says_(const struct run *run, const char *word, const char *file, int line);
/** Both print the same lines, in any order. */
#define expect_same(a, b) expect_same_(a, b, '\n', __FILE__, __LINE__)
#define expect_same_z(a, b) expect_same_(a, b, '\0', __FILE__, __LINE__)
bool expect_same_(const struct run *a, const struct run *b, char separator, const char *file,
		  int line);

/* ---------------------------------------------------------------- files */

/** Makes the test's directory the working directory; others may enter it. Begins a test anew. */
void fresh_dir(struct test *t);
void make_file(const char *name, const char *content);
void make_bytes(const char *name, const void *data, size_t len);
/** A file where byte i is file_byte(i). */
void make_pattern(const char *name, size_t size);
void make_sparse(const char *name, off_t size);
void make_dir(const char *name);
/** Goes down @levels directories of long names and leaves a file there; gives its path. */
char *make_deep(const char *top, unsigned int levels, const char *content);
/** Removes a tree that may be deeper than a path can say. */
void remove_deep(const char *top);
bool is_there(const char *path);
#define expect_gone(path) expect_(!is_there(path), path " is gone", __FILE__, __LINE__)
#define expect_there(path) expect_(is_there(path), path " is there", __FILE__, __LINE__)

/** Changes the test's files meanwhile, again and again, in a thread of its own. */
struct unrest {
	pthread_t thread;
	void (*stir)(unsigned long round);
	atomic_bool stop;
};

void unrest_begin(struct unrest *unrest, void (*stir)(unsigned long round));
void unrest_end(struct unrest *unrest);

bool have_program(const char *name);
/** Skips the test unless it runs as root. */
void need_root(struct test *t);
#define NOBODY 65534

#endif
