/* SPDX-License-Identifier: MIT */
/*
 * bench.h - what the files of the benchmark share
 *
 * A row measures contestants against each other. stats.c runs them in turn and takes medians,
 * report.c prints what came out, and each row_*.c knows how one family of rows is run. All of it
 * runs on the main thread, apart from the threads that a contestant starts and joins itself.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <liburing.h>

/* ---------------------------------------------------------------- main.c */

/* What the command line asked for. */
struct bench {
	unsigned int runs; /* measured rounds for each contestant, after one warm-up */
	bool smoke; /* tiny counts: does it run, is the output whole? */
	bool json;
	bool cold; /* also the rows that drop the page cache */
	const char *dir; /* where trees of files are made, NULL: a disk is looked for */
	const char *batchproc; /* the command that is measured */
	const char *bindir; /* where the bench's own helper programs are */
};

/* ---------------------------------------------------------------- stats.c */

#define MEASURES_MAX 16
#define RUNS_MAX 101

/* One figure of one run: time for one operation (or for all of it), and CPU time of all threads. */
struct measure {
	double wall;
	double cpu;
};

/* One side of a comparison. @run does the work once and fills @out[0 .. measures). */
struct contestant {
	const char *name;
	int (*run)(void *arg, struct measure *out);
	void *arg;
	struct measure samples[RUNS_MAX][MEASURES_MAX];
};

/* Runs all contestants in turn, once to warm up and then @runs rounds: A B C, A B C, ... */
int interleave(struct contestant *all[], unsigned int n, unsigned int runs);

/*
 * The fair pool has the number of threads that serves it best, out of 1, 2, 4 ... 256, by the best
 * of
 * @runs runs of each. @set prepares the contestant, which is left with that number.
 */
int best_threads(const struct bench *b, struct contestant *c, unsigned int runs,
		 void (*set)(const struct bench *b, unsigned int threads));

/* Median over the rounds of one measure. */
struct measure median_of(const struct contestant *c, unsigned int measure, unsigned int runs);

/* Median of the rounds' own ratios a / b: what drifts during the whole run cancels out. */
double median_ratio(const struct contestant *a, const struct contestant *b, unsigned int measure,
		    unsigned int runs);

/* Start and stop of a stretch of work on all threads of this process. */
struct stopwatch {
	uint64_t wall;
	uint64_t cpu;
};
void watch_start(struct stopwatch *w);
struct measure watch_stop(const struct stopwatch *w, double count);

/* True once SIGINT or SIGTERM arrived: rows end early and clean up. */
bool interrupted(void);

/* ---------------------------------------------------------------- report.c */

/* One comparison, ready to be printed. */
struct result {
	const char *row;
	const char *what; /* which case of the row */
	const char *peer;
	const char *unit; /* of ours and theirs */
	double ours, theirs;
	double ratio; /* ours / theirs, or theirs / ours where more is better */
	const char *ratio_is; /* "ours/theirs" or "speed-up" */
	double goal; /* of the ratio, 0: none */
	double ours_cpu, theirs_cpu; /* in the same unit, 0: not measured */
	const char *backend;
	unsigned int loops;
	long limit;
	const char *note; /* file system, count, and the like; may be NULL */
};

void report_begin(const struct bench *b);
void report(const struct bench *b, const struct result *r);
void report_skip(const struct bench *b, const char *row, const char *peer, const char *why);

/* ---------------------------------------------------------------- ring.c */

/* A bare ring with the flags that the library asks for, fewer where the kernel lacks one. */
int bare_ring(struct io_uring *ring, unsigned int entries);

/* ---------------------------------------------------------------- process.c */

/* A command that is timed as a whole. */
struct process {
	char command[3 * 4096]; /* for sh */
	char out[4096 + 32]; /* where what it prints goes */
};

/* Runs it once; @out is in seconds. */
int process_run(const struct process *p, struct measure *out);

/* How batchproc runs when it is left to choose. */
struct choice {
	char backend[16];
	unsigned int loops;
	long limit;
};

/* Finds it in the record that ends what @p prints, with --json. */
int process_choice(const struct process *p, struct choice *choice);

/* ---------------------------------------------------------------- image.c */

/* A fresh ext4 in a file, mounted. */
struct image {
	char root[4096];
	char mnt[4096 + 8];
};

/* Return: NULL, or why there is none. */
const char *image_create(struct image *image, const struct bench *b, size_t size);
void image_remove(struct image *image);

/* ---------------------------------------------------------------- tree.c */

/* The first directory that is writable and on a disk, where the command line names none. */
const char *find_place(const struct bench *b);

/* A tree of files of one size in a fresh directory on a real disk. */
struct tree {
	char root[4096];
	char fs[64]; /* name of the file system */
	unsigned int dirs, files_per_dir;
	size_t file_size;
};

int tree_create(struct tree *t, const struct bench *b, unsigned int files,
		unsigned int files_per_dir, size_t file_size);
/* Whether a copy of it at @path is whole, as far as the number of files and their sizes tell. */
bool tree_is_copied(const struct tree *t, const char *path);
int tree_warm(const struct tree *t);
int tree_drop_caches(const struct tree *t); /* needs root */
void tree_remove(struct tree *t);

/* ---------------------------------------------------------------- handoff.c */

/* A call handed to a pool of two threads; see handoff.c. */
struct handoff_job {
	struct handoff_job *next;
	void (*call)(struct handoff_job *job);
};

struct handoff;
struct handoff *handoff_create(unsigned int threads);
void handoff_destroy(struct handoff *h);
void handoff_submit(struct handoff *h, struct handoff_job *job);
struct handoff_job *handoff_reap(struct handoff *h); /* waits for at least one; a list */

/* ---------------------------------------------------------------- rows */

/* Each measures and reports its row. Return: 0, or -errno when the row could not be run. */
int row_lanes(const struct bench *b);
int row_nop_op(const struct bench *b);
int row_nop_task(const struct bench *b);
int row_hash_tree(const struct bench *b);
int row_copy_tree(const struct bench *b);
int row_rm_tree(const struct bench *b);
int row_probe(const struct bench *b);
int row_in_flight(const struct bench *b);
int row_get(const struct bench *b);
int row_get_tls(const struct bench *b);

#endif /* BENCH_H */
