/* SPDX-License-Identifier: MIT */
/*
 * verify: what its two halves share: lists are read in lists.c, items are checked in verify.c.
 */
#ifndef BATCHPROC_VERIFY_H
#define BATCHPROC_VERIFY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "digest/digest.h"
#include "digest/sumline.h"

struct job;

/* A list that is read, or has items in flight. */
struct list {
	atomic_uint refs;
	struct verify_run *run;
	atomic_bool verified; /* at least one file */
	atomic_uint guesses; /* how often it was looked which algorithm a digest is of */
	char name[];
};

/* What became of the file of an entry. */
enum outcome {
	UNREADABLE, /* until its digest is known */
	UNCHANGED,
	CHANGED,
	MISSING,
	UNCHECKED, /* it cannot be checked: its line is at fault, or this OpenSSL */
};

struct verify_item {
	const struct digest_alg *alg; /* NULL: unchecked, or no entry at all */
	unsigned char expected[DIGEST_SIZE_MAX];
	unsigned char digest[DIGEST_SIZE_MAX];
	struct list *list; /* NULL: the item is a list that cannot be read */
	char *line; /* the whole of it, where it cannot be checked, */
	char *why; /* and the reason */
	enum outcome verdict;
	bool compared;
	bool tagged; /* the list itself said which algorithm it is */
	bool sized;
	uint64_t size;
	size_t more_count;
	struct sumdigest more[SUMLINE_MORE];
};

struct settings {
	const struct digest_alg *alg;
	bool status;
	bool ignore_missing;
	bool strict;
	bool warn;
	bool zero;
	struct verify_run *run; /* what the items of a run come to */
};

struct verify_run {
	const struct settings *set;
	const struct digest_alg *readied; /* the last one to be compared with others; the feed's */
	_Atomic uint64_t malformed;
	_Atomic uint64_t unreadable;
	_Atomic uint64_t mismatched;
	_Atomic uint64_t unchecked;
	atomic_bool wrong; /* a list without a single line, or without a file verified */
};

/* Feeds the lines of all lists that the job is given, in the main thread. */
void verify_feed(struct job *job);

/* Gives up an item's hold of its list, which may be NULL; the last one says what it came to. */
void verify_list_put(struct list *list);

#endif
