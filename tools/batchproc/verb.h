/* SPDX-License-Identifier: MIT */
/*
 * verb: the table of commands. A verb is one file that defines one struct verb, named in the
 * table in main.c; what verbs share stands in the other files.
 */
#ifndef BATCHPROC_VERB_H
#define BATCHPROC_VERB_H

#include <stdbool.h>

struct options;

/* An option: @id is its letter, or a number above 255 where it has only a long name. */
struct opt {
	int id;
	const char *name;
	const char *arg; /* what stands for its argument in the help; NULL: it takes none */
	const char *help;
};

#define OPT_END                                                                                    \
	{                                                                                          \
		0, NULL, NULL, NULL                                                                \
	}

/* Long options without a letter that belong to a verb alone are numbered from here. */
#define OPT_VERB 1000

/* Sets of shared options; a verb takes those that mean something to it. */
enum {
	TAKES_RUN = 1 << 0, /* everything about items: -j, --halt, --retries, records ... */
	TAKES_ENGINE = 1 << 1, /* --backend, --loops */
	TAKES_JSON = 1 << 2,
};

struct verb {
	const char *name;
	const char *synopsis; /* what follows the name in "Usage:" */
	const char *summary; /* one line for the list of commands */
	const char *details; /* paragraphs behind the options in --help, or NULL */
	unsigned int takes;
	const struct opt *options;

	/* One of its own options; false: the argument @arg is not valid, and a message was given. */
	bool (*option)(int id, const char *arg);

	/* Does the work; returns the exit status. */
	int (*run)(const struct options *options);
};

extern const struct verb hash_verb, verify_verb, info_verb;

#endif
