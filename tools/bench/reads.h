/* SPDX-License-Identifier: MIT */
/*
 * reads.h - what the programs of the row `read` share: which files there are, and what was in them
 *
 * usage of each of them: PROGRAM N ROOT DIRS FILES_PER_DIR SIZE
 *
 * N is what the program has many of: threads, rings, loops. The files are ROOT/dNNN/fNNNNN, as tree.c
 * makes them, so that nobody walks. Each is opened, read into a buffer of SIZE and closed. What was
 * read is counted and added up, so that nobody can leave anything out, and printed at the end.
 */
#ifndef READS_H
#define READS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define READS_PATH 4200
#define READS_IN_FLIGHT 64u

struct reads {
	unsigned int n;
	const char *root;
	unsigned int dirs, files_per_dir;
	size_t size;
};

/* Return: false: the arguments are none, which has been said. */
bool reads_parse(struct reads *r, int argc, char **argv);

/* The next file, for whoever asks; false: there is none any more. */
bool reads_next(const struct reads *r, char path[READS_PATH]);

/* What one thread has read. */
struct tally {
	uint64_t files, bytes, sum;
};

void tally_add(struct tally *t, const void *data, size_t len);

/* Of one thread, at its end; from any. */
void tally_count(const struct tally *t);

/* What went wrong with a file: the exit status is 1 then. */
void reads_complain(const char *path, int err);

/* Prints what all have read. Return: the exit status. */
int reads_end(void);

/* Page-aligned: malloc()'s page + 16 makes the kernel's copy three times slower. */
void *reads_buffer(const struct reads *r, unsigned int count);

#endif /* READS_H */
