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
	const char *json; /* the file for all samples and the machine; NULL: none */
	bool cold; /* also the rows that drop the page cache */
	const char *dir; /* where trees of files are made, NULL: a disk is looked for */
	const char *batchproc; /* the command that is measured */
	const char *bindir; /* where the bench's own helper programs are */
	const char *command; /* how it was called */
	int64_t began; /* seconds since the epoch */
	double load; /* processes that wanted a CPU in the minute before */
};

/* ---------------------------------------------------------------- stats.c */

#define MEASURES_MAX 16
#define RUNS_MAX 101

/* One figure of one run: time for one operation (or for all of it), and CPU time of all threads. */
struct measure {
	double wall;
	double cpu;
};

/*
 * One side of a comparison. @run does the work once and fills @out[0 .. measures). @check then looks,
 * off the clock, whether all of it was done: who leaves something out would be fast.
 */
struct contestant {
	const char *name;
	int (*run)(void *arg, struct measure *out);
	int (*check)(void *arg); /* may be NULL: @run knows by itself */
	void *arg;
	struct measure samples[RUNS_MAX][MEASURES_MAX];
	int failed; /* 0, or -errno of the run that failed: there is no figure then */
};

/*
 * Runs all contestants in turn, once to warm up and then @runs rounds: A B C, A B C, ... One that
 * fails is marked and runs no more, the others go on. Return: 0, or -EINTR.
 */
int interleave(struct contestant *all[], unsigned int n, unsigned int runs);

/*
 * The fair pool has the number of threads that serves it best, out of 1, 2, 4 ... 256, by the best
 * of @runs runs of each; a number with which it fails is passed over. @set prepares the contestant,
 * which is left with the best. Return: 0, or -EINTR.
 */
int best_threads(const struct bench *b, struct contestant *c, unsigned int runs,
		 void (*set)(const struct bench *b, unsigned int threads));

/* The middle of some figures, and how far they lie apart. */
struct spread {
	double min, median, max;
};

/* Of @n figures; they are put in order. */
struct spread spread_of(double *v, unsigned int n);

enum clock {
	WALL,
	CPU,
};

/* Over the rounds of one measure. */
struct spread samples_of(const struct contestant *c, unsigned int measure, enum clock clock,
			 unsigned int runs);

/* Of the rounds' own ratios a / b: what drifts during the whole run cancels out. */
struct spread ratios_of(const struct contestant *a, const struct contestant *b,
			unsigned int measure, enum clock clock, unsigned int runs);

/* Start and stop of a stretch of work on all threads of this process. */
struct stopwatch {
	uint64_t wall;
	uint64_t cpu;
};
void watch_start(struct stopwatch *w);
struct measure watch_stop(const struct stopwatch *w, double count);

/* True once SIGINT, SIGTERM or SIGPIPE arrived: rows end early and clean up. */
bool interrupted(void);

/* ---------------------------------------------------------------- report.c */

/* What a comparison is about. Its figures are the contestants' samples. */
struct result {
	const char *row;
	const char *what; /* which case of the row */
	const char *unit; /* of what is printed */
	double scale; /* from a sample to that unit; 0: 1 */
	unsigned int measure; /* which of the samples' measures */
	bool speed_up; /* the ratio is theirs / ours and more is better; otherwise ours / theirs */
	double goal; /* of the ratio, 0: none */
	double cpu_goal; /* of ours / theirs in CPU time, 0: none */
	const char *backend;
	unsigned int loops;
	long limit;
	double items; /* that one printed figure stands for, 0: that is no use to know */
	double ours_memory, theirs_memory; /* bytes for each item in flight, 0: not measured */
	const char *note; /* file system, count, and the like; may be NULL */
};

/* A figure that stands for itself, such as one of a curve. */
struct point {
	const char *row;
	const char *what; /* which case of the row */
	const char *side; /* which curve */
	const char *of; /* what is on the x axis: "limit", "items", "percentile" ... */
	double x;
	const char *unit; /* of what is printed */
	double scale; /* from a sample to that unit; 0: 1 */
	unsigned int measure;
	bool rate; /* print scale / sample: so many in a second */
	double memory; /* bytes at the peak, 0: not measured */
	const char *note;
};

void report_begin(const struct bench *b);

/* Prints and keeps the comparison, or that one of the two has failed. */
void report_pair(const struct bench *b, const struct result *r, const struct contestant *ours,
		 const struct contestant *theirs);
void report_point(const struct bench *b, const struct point *p, const struct contestant *c);
void report_skip(const struct bench *b, const char *row, const char *peer, const char *why);
void report_fail(const struct bench *b, const char *row, const char *peer, const char *why);

/* The row has been run: what was measured so far is kept, whatever comes. */
void report_row_end(const struct bench *b, const char *row, long seconds);

/* Whether anything was said about a row's peer, by the beginning of its name; NULL: any peer. */
bool was_reported(const char *row, const char *peer);

/* Return: how many failures were reported. */
unsigned int report_end(const struct bench *b);

/* ---------------------------------------------------------------- document.c */

/* The file of --json: what was reported, each sample, and the machine. */
void document_pair(const struct bench *b, const struct result *r, const struct contestant *ours,
		   const struct contestant *theirs);
void document_point(const struct bench *b, const struct point *p, const struct contestant *c);
void document_lack(const char *list, const char *row, const char *peer, const char *why);
void document_row(const char *row, long seconds);
int document_write(const struct bench *b, const char *path);

/* ---------------------------------------------------------------- machine.c */

/* Whether a program can be started by its name. */
bool has_program(const char *name);

struct json_t;
struct json_t *machine_describe(const struct bench *b);
struct json_t *machine_programs(const struct bench *b);

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
/* The most memory that the last one had at a time. */
long process_peak_kib(void);
/* CPU time in seconds of all that has been waited for. */
double cpu_of_children(void);

/* How many lines an output has, and a sum over them whatever their order. */
struct lines {
	uint64_t count, sum;
};
int process_lines(const struct process *p, struct lines *lines);
/* How many of them begin with @word. */
unsigned long process_lines_with(const struct process *p, const char *word);

/* How batchproc runs when it is left to choose. */
struct choice {
	char backend[16];
	unsigned int loops;
	long limit;
};

/* Finds it in the record that ends what @p prints, with --json. */
int process_choice(const struct process *p, struct choice *choice);

/* ---------------------------------------------------------------- image.c */

/* A fresh file system in a file, mounted. */
struct image {
	char root[4096];
	char mnt[4096 + 8];
};

/* An ext4, or an "xfs" too. Return: NULL, or why there is none. */
const char *image_create(struct image *image, const struct bench *b, size_t size);
const char *image_create_fs(struct image *image, const struct bench *b, const char *fs,
			    size_t size);
void image_remove(struct image *image);

/* ---------------------------------------------------------------- tree.c */

/* The first directory that is writable and on a disk, where the command line names none. */
const char *find_place(const struct bench *b);
const char *fs_name(const char *path);

/* A tree of files of one size in a fresh directory on a real disk. */
struct tree {
	char root[4096];
	char fs[64]; /* name of the file system */
	unsigned int dirs, files_per_dir;
	size_t file_size;
};

int tree_create(struct tree *t, const struct bench *b, unsigned int files,
		unsigned int files_per_dir, size_t file_size);
/* Whether a copy of it at @path is whole: as many files, each the same to the byte. */
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
int row_read(const struct bench *b);
int row_read_cold(const struct bench *b);
int row_hash_tree(const struct bench *b);
int row_hash_large(const struct bench *b);
int row_copy_large(const struct bench *b);
int row_loops(const struct bench *b);
int row_items(const struct bench *b);
int row_start_up(const struct bench *b);
int row_limits(const struct bench *b);
int row_latency(const struct bench *b);
int row_copy_tree(const struct bench *b);
int row_rm_tree(const struct bench *b);
int row_probe(const struct bench *b);
int row_in_flight(const struct bench *b);
int row_direct(const struct bench *b);
int row_sleeping(const struct bench *b);
int row_get(const struct bench *b);
int row_get_tls(const struct bench *b);

#endif /* BENCH_H */
