/* SPDX-License-Identifier: MIT */
/*
 * verb: the table of commands. A verb is one file that defines one struct verb, named in the
 * table in verbs.c; what verbs share stands in the other folders. Any file may include this.
 */
#ifndef BATCHPROC_VERB_H
#define BATCHPROC_VERB_H

#include <stdbool.h>
#include <stddef.h>

#include "base/source.h"

struct item_ops;
struct job;
struct options;
struct item_class;

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

/* One job for a verb: what its items are, and its operands. */
struct jobspec {
	const struct item_class *class;
	size_t count;
	/* Gives these one after the other, each until the next call. */
	const char *(*next)(void *from);
	void *from;
	const char *last; /* the last one, of a verb that has a destination */
	bool exact; /* it is what the copy is called, never a directory to copy into */
};

static inline const char *jobspec_next(const struct jobspec *spec)
{
	return spec->next(spec->from);
}

/*
 * A verb's own options are kept in a struct of its settings, so that the jobs of one run may have
 * different ones. Settings live as long as an item that was made with them; argument strings too.
 */
struct verb {
	const char *name;
	const char *synopsis; /* what follows the name in "Usage:" */
	const char *summary; /* one line for the list of commands */
	const char *details; /* paragraphs behind the options in --help, or NULL */
	unsigned int takes;
	const struct opt *options;
	const struct item_ops *items; /* NULL: it has none */
	bool has_dst; /* the last operand is a destination, as which it stands in JSON */

	size_t settings_size; /* all zero before the first option */
	/* One of its own options. NULL, or what @arg should have been: "one of a, b". */
	const char *(*option)(void *settings, int id, const char *arg);
	/* After the last option: fills in what was not given. NULL, or what is wrong. May be NULL. */
	const char *(*settle)(void *settings);

	/*
	 * As part of a manifest, both NULL where it cannot be one: whether the operands make sense
	 * (NULL, or what is wrong: "names no file"), and the job itself, in the main thread. Its
	 * items are of the class of @spec; all else of it is gone afterwards.
	 */
	const char *(*check)(const struct jobspec *spec);
	void (*add)(struct job *job, const struct jobspec *spec);

	/* Frees what its items keep from one to the next; after a run. May be NULL. */
	void (*cleanup)(struct job *job);

	/* As a command: does the work; returns the exit status. */
	int (*run)(const struct options *options);
};

extern const struct verb hash_verb, verify_verb, copy_verb, rm_verb, fetch_verb, run_verb,
	info_verb;

/* All verbs, and one by its name, or NULL. */
extern const struct verb *const verbs[];
extern const size_t verb_count;
const struct verb *verb_by_name(const char *name);

/* What the names of its items are. */
enum source_kind verb_source(const struct verb *verb);

#endif
