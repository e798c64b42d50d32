/* SPDX-License-Identifier: MIT */
/*
 * merge: what the files of this folder share. Main thread only.
 *
 *	files.c   record files: opened, looked through for their runs, read line by line; journals
 *	fact.c    one line: a record, a summary, or neither
 *	table.c   which record of an item counts
 *	total.c   what the records add up to, as text and as JSON
 *	again.c   what did not succeed, as --failed-to has it
 *	merge.c   the verb
 *
 * Records are read twice: for the table, and once more for what failed or was replaced, if anything
 * was. A record is known by the number of its line, counted through all files.
 */
#ifndef BATCHPROC_MERGE_H
#define BATCHPROC_MERGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"
#include "cli/inputs.h"
#include "cli/shard.h"

struct verb;

/* How an item ended, by the words of its record. */
enum fact_status {
	FACT_OK,
	FACT_FAILED,
	FACT_TIMEOUT,
	FACT_CANCELLED,
	FACT_REJECTED,
	FACT_NOT_STARTED,
	FACT_SKIPPED,
	FACT_STATUSES
};

extern const char *const fact_names[FACT_STATUSES];

static inline bool fact_is_bad(enum fact_status status)
{
	return status != FACT_OK && status != FACT_SKIPPED;
}

/* ---- fact.c */

enum fact_kind {
	FACT_NONE, /* damaged, or cut short */
	FACT_RECORD,
	FACT_SUMMARY,
};

struct fact {
	enum fact_kind kind;
	const char *text; /* the record in its line, behind what a killed run left there */
	size_t len;
	bool torn; /* there was something before it */
	enum fact_status status;
	uint64_t bytes;
	uint64_t key[2]; /* of what the item is */
	uint64_t key_without[2]; /* the same without its destination */
	bool has_dst;
	int64_t start_ms, end_ms; /* since 1970; 0: it was not begun */
	/* Strings stand in @json. */
	const char *op, *error;
	const char *alg, *expected; /* of verify */
	struct buf name, dst;
	struct buf what; /* that the key is made of */
	/* Of a summary. */
	uint64_t items, bad;
	int exit;
	struct shard shard;

	void *json;
};

/* Takes a line apart. @fact begins zeroed, and is used again for the next line. */
void fact_parse(struct fact *fact, const char *line, size_t len);
void fact_free(struct fact *fact);

/* ---- files.c */

/* A file of records, with one run behind the other. */
struct file {
	const char *name;
	size_t place; /* among the arguments */
	struct lines lines;
	uint64_t count; /* of lines, when it was opened */
	uint64_t first; /* the number of its first line */
	struct shard shard; /* of its runs; no parts: they do not say */
	/* Its last run. */
	bool ended;
	uint64_t records, items; /* that are there, and that it says there are */
	uint64_t bad; /* of those it says that they did not succeed */
	int exit;
};

struct journal_fact {
	const char *name;
	struct shard shard;
	bool ended;
	bool used; /* by a process that is still at work */
};

struct files {
	struct file *all; /* in the order in which they are read: by part */
	size_t count;
	struct journal_fact *journals;
	size_t journal_count;
	uint64_t lines; /* of all files */
	uint64_t parts; /* of which these are shards; 0: of none */
};

/* Opens them all. False: *@status is the exit status, and all is said. */
bool files_open(struct files *files, char *const *names, size_t count, int *status);
void files_close(struct files *files);
/* That of a line. */
struct file *file_of(const struct files *files, uint64_t line);

/* ---- table.c */

struct table;

/* For so many lines. */
struct table *table_new(const struct files *files, uint64_t lines);
void table_free(struct table *table);

/* What becomes of a record whose item has another one already. */
enum taken {
	TAKEN_FIRST, /* it has none */
	TAKEN_INSTEAD, /* it counts now, and *@old no longer does */
	TAKEN_NOT, /* the other one counts */
};

/* The record of a @line. */
enum taken table_take(struct table *table, const struct fact *fact, uint64_t line,
		      enum fact_status *old);

/* What is to be read once more of a line. */
enum look {
	LOOK_NOT,
	LOOK_REPLACED, /* its bytes do not count */
	LOOK_BAD, /* it did not succeed */
};

bool table_looks(const struct table *table);
enum look table_look(const struct table *table, uint64_t line);

/* ---- total.c */

#define OP_BYTES 16

struct total {
	char op[OP_BYTES]; /* "merge": of more than one command */
	uint64_t of[FACT_STATUSES];
	uint64_t bytes, wall_us;
	uint64_t files, parts, ended; /* parts 0: they were no shards; ended counts files then */
	uint64_t replaced, damaged;
	struct buf missing; /* parts without an end, with commas between: 2/4, 3/4 */
	int exit;
};

/* The name of a command, as much of it as any has. */
void op_copy(char op[OP_BYTES], const char *name);

uint64_t total_items(const struct total *total);
void total_text(const struct total *total, struct buf *buf);
void total_json(const struct total *total, struct buf *buf);
/* What total_json() has written; false: it is not that. */
bool total_parse(struct total *total, const char *text, size_t len);
void total_free(struct total *total);

/* ---- again.c */

/* In which form --failed-to has what a command did. */
enum again_form {
	AGAIN_NAMES, /* for the command itself */
	AGAIN_SUMS, /* for verify */
	AGAIN_JOBS, /* for batchproc run */
};

enum again_form again_form_of(const char *op);
/* Appends the item, with its end. False: it cannot be written in this form, and @why is why. */
bool again_add(struct buf *buf, const struct fact *fact, enum again_form form, bool zero,
	       const char **why);

#endif
