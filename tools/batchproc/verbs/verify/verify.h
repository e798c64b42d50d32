/* SPDX-License-Identifier: MIT */
/*
 * verify: what its parts share: lists are read in lists.c, items are checked in verify.c,
 * and what lists say of files beside digests in facts.c; bag.c has whole bags, unlisted.c what no
 * list names.
 */
#ifndef BATCHPROC_VERIFY_H
#define BATCHPROC_VERIFY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "digest/digest.h"
#include "digest/sumline.h"

struct item;
struct job;
struct seen;

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
	UNLISTED, /* it is there, and no list names it */
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
	bool fetchable; /* a bag says from where it is to be had */
	bool sized;
	uint64_t size;
	struct further *further; /* what few lists say, or NULL */
};

/* Of an entry, beside a digest and the size. */
struct further {
	struct sumfacts facts; /* its link is in text */
	size_t more_count;
	struct sumdigest more[SUMLINE_MORE];
	unsigned char digests[SUMLINE_MORE][DIGEST_SIZE_MAX]; /* those that were computed */
	const struct sumdigest *differs; /* the one of them that does not match, or NULL */
	char text[];
};

/* What is compared of an entry of an mtree list, beside its digests. */
enum {
	KEY_SIZE = 1 << 0,
	KEY_TYPE = 1 << 1,
	KEY_LINK = 1 << 2,
	KEY_MODE = 1 << 3,
	KEY_ALL = KEY_SIZE | KEY_TYPE | KEY_LINK | KEY_MODE,
};

#define UNLISTED_MOST 16

struct settings {
	const struct digest_alg *alg;
	bool status;
	bool ignore_missing;
	bool strict;
	bool warn;
	bool zero;
	unsigned int keys; /* KEY_x; of those that an mtree list has */
	bool keys_given;
	bool bag; /* what is named are bags, not lists */
	const char *unlisted[UNLISTED_MOST]; /* directories */
	size_t unlisted_count;
	struct verify_run *run; /* what the items of a run come to */
};

struct verify_run {
	const struct settings *set;
	const struct digest_alg *readied; /* the last one to be compared with others; the feed's */
	_Atomic uint64_t malformed;
	_Atomic uint64_t unreadable;
	_Atomic uint64_t mismatched;
	_Atomic uint64_t unchecked;
	_Atomic uint64_t unlisted;
	_Atomic uint64_t bare; /* files of which a list has no digest */
	atomic_bool wrong; /* a list without a single line, or without a file verified */
	/* These are the feed's: */
	bool unread; /* a list could not be read */
	struct seen *seen; /* the names of all lists, which walkers look at; NULL: not wanted */
	char *here; /* the working directory, or NULL */
	struct buf path;
};

/* Feeds the lines of all lists, or of all bags, that the job is given, in the main thread. */
void verify_feed(struct job *job);
void verify_feed_bag(struct job *job, const char *dir);

/* A list as items hold it; the caller has it too. Main thread. */
struct list *verify_list_new(struct verify_run *run, const char *name);

/* The item is of that list. Any thread that made the item. */
void verify_hold(struct item *item, struct list *list);

/* An entry becomes an item, whatever its digest is. */
struct item *verify_entry_new(struct job *job, struct list *list, const struct sumline *line);
void verify_entry_submit(struct item *item, struct list *list, const struct sumline *line);

/* An item that has failed already, in the main thread or by a walker; @why stays, NULL: the error says it. */
void verify_fault(struct job *job, struct list *list, enum outcome verdict, const char *name,
		  size_t len, const char *why, int err);

/*
 * Whether the file of an item is as its list says, but for its content. 0; 1: and that is all that
 * the list says; or -errno, -EBADMSG where it is not. Task only.
 */
int verify_facts(struct item *item);

/* The item as a line of an mtree list. */
void verify_facts_again(const struct item *item, struct buf *buf);

/* What the journal knows of the facts. */
void verify_facts_key(const struct item *item, struct buf *buf);

/* Gives up an item's hold of its list, which may be NULL; the last one says what it came to. */
void verify_list_put(struct list *list);

#endif
