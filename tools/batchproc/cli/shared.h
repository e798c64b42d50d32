/* SPDX-License-Identifier: MIT */
/*
 * shared: the table of the options that verbs share. Of options.c; main thread only.
 */
#ifndef BATCHPROC_SHARED_H
#define BATCHPROC_SHARED_H

#include <stdbool.h>
#include <stddef.h>

#include "verb.h"

struct options;

struct shared {
	unsigned int takes; /* the sets that it is in */
	struct opt opt;
	/* Where a reader cannot say it all: takes it. False: *@status is the exit status. */
	bool (*take)(struct options *o, const struct opt *opt, const char *arg, int *status);
};

extern const struct shared shared_options[];
extern const size_t shared_count;

/* The row of an option that verbs share; NULL: it is a verb's own. */
const struct shared *shared_row(const struct opt *opt);

/* --help, which options.c has: it shows both tables. */
bool options_take_help(struct options *o, const struct opt *opt, const char *arg, int *status);

/* A usage error: an argument that is not @wanted. Returns EXIT_USAGE. */
int option_bad(const struct options *o, const struct opt *opt, const char *arg, const char *wanted);

#endif
