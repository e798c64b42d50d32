/* SPDX-License-Identifier: MIT */
/*
 * item: one input, from its number to its record, and what a verb tells about its items.
 */
#ifndef BATCHPROC_ITEM_H
#define BATCHPROC_ITEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "batchproc.h"
#include "base/buf.h"
#include "base/source.h"

struct dirnode;
struct item_ops;
struct job;
struct stat;

/* How an item ended, as its record says it. */
enum status {
	STATUS_OK,
	STATUS_FAILED,
	STATUS_TIMEOUT,
	STATUS_CANCELLED,
	STATUS_REJECTED,
	STATUS_NOT_STARTED,
	STATUS_SKIPPED,
	STATUS_COUNT,
};

/* What an item's source is, for the journal. */
struct origin {
	enum {
		ORIGIN_UNKNOWN, /* nobody looked at the file: it is never taken for unchanged */
		ORIGIN_NAME, /* its name is all that it is */
		ORIGIN_FILE,
		ORIGIN_ONCE, /* cannot be had a second time: standard input */
		ORIGIN_GONE, /* it was a file of that size when the work was done */
	} kind;
	uint32_t nsec; /* modification time */
	int64_t sec;
	uint64_t size;
};

struct item {
	struct item *next; /* in the free list */
	struct job *job;
	const struct item_ops *ops; /* of its verb */
	const void *settings; /* of its verb */
	const struct item_class *class; /* that it holds, or NULL: its tree does */
	uint64_t seq;

	/* Its name: relative to a directory of a walk, or as the user gave it. */
	struct dirnode *dir;
	struct buf name; /* ends with a NUL that is not counted */
	unsigned char type; /* DT_x as it was when it was found, DT_UNKNOWN when nobody looked */
	struct dirnode *self; /* of a directory: itself, when all below it has ended */

	enum status status;
	int err; /* -errno; 0 without one */
	const char *why; /* text of the error where it is not errno's */
	bool other_shard; /* of another part of --shard: it ends without a trace */
	bool silent; /* its failure is no line on standard error */
	bool skipped_named; /* skipped, although the user asked for it by name */
	bool below; /* found in a tree, whose root has an item too */
	bool restored; /* skipped, because it was done by an earlier run */
	bool maybe_done; /* an earlier run may have done it without a line in the journal */
	struct origin source; /* as the work found it before it read it; no path: its name */
	uint64_t bytes;
	unsigned int attempts;
	uint64_t start_ns; /* 0: it never started */
	uint64_t end_ns;

	struct buf lines; /* what it writes, one sink's text after the other's */
	size_t ends[4]; /* where each ends */

	_Alignas(max_align_t) unsigned char priv[]; /* the verb's own, job_ops.priv_size bytes */
};

/*
 * What a verb tells about its items. Each is called without locks held; any but work may be NULL.
 * One run may have items of several verbs.
 */
struct item_ops {
	const char *op; /* in records */
	enum source_kind source; /* what the names of its items are */
	size_t priv_size;
	unsigned int descriptors; /* that an item has open at once */
	/*
	 * A root stands for all below it: --failed-to names it alone, and --shard does not divide
	 * a tree.
	 */
	bool roots_cover;
	bool outlives_source; /* what was done stays done when its source is gone */
	/*
	 * A stop leaves the root of a tree undone while anything below it is: --failed-to names it
	 * alone, and not what the stop left undone below it.
	 */
	bool roots_last;
	/*
	 * Its work is one call that seldom waits, and its directories are left: a walker does by
	 * itself what it finds, and spares it a task (walk.c).
	 */
	bool brief;

	/* One attempt, in a task: 0, or -errno. May set bytes, why and STATUS_SKIPPED. */
	int (*work)(struct item *item);
	/* Whether a second attempt would meet this error again, where errno alone does not say so. */
	bool (*permanent)(const struct item *item, int err);
	/* What an ended item prints on standard output without --json. */
	void (*text)(const struct item *item, struct buf *buf);
	/* Further fields of its JSON record, each with a comma in front. */
	void (*json)(const struct item *item, struct buf *buf);
	/*
	 * Adds its destination; NULL: it has none. False: that is the destination as it was given,
	 * or nothing, because it was not found out what the copy would be called.
	 */
	bool (*dst)(const struct item *item, struct buf *buf);
	/* The item as a line that the same command takes back; by default its name. */
	void (*again)(const struct item *item, struct buf *buf);
	/* What it is called there, where that is not its path. */
	void (*list_path)(const struct item *item, struct buf *buf);
	/* What --dry-run prints; by default the name. */
	void (*plan)(const struct item *item, struct buf *buf);
	/* Last word on an item before its memory is used again. */
	void (*release)(struct item *item);

	/*
	 * For the journal. Appended text has no tab, newline or backslash in it, or has gone
	 * through journal_escape() or journal_path().
	 */
	/* The settings that change what the work is, as in a=b c=d; this one may hold anything. */
	void (*journal_options)(const void *settings, struct buf *buf);
	/*
	 * Takes from a journal's options what this run would find otherwise because of what an
	 * earlier one did. Main thread, before the first item.
	 */
	void (*journal_adopt)(void *settings, const char *options);
	/* What the item is besides operation and source, each with a tab in front. */
	void (*journal_key)(const struct item *item, struct buf *buf);
	/* What a successful item has found out, to be had again without the work. */
	void (*journal_result)(const struct item *item, struct buf *buf);
	/*
	 * Puts that back, and looks whether what was done is still so. False: it is to be done
	 * again. Task only.
	 */
	bool (*journal_restore)(struct item *item, const char *result, size_t len);
	/*
	 * It was done, and is passed over without a look. False: it cannot be, and its work says why.
	 * Task only.
	 */
	bool (*journal_pass)(struct item *item);
	/* Whether it is to be done whatever the journal says of it. */
	bool (*journal_always)(const struct item *item);
};

/*
 * A verb's items with the settings that they are made with. Who was given one has it until the call
 * returns; who keeps it longer, and is no item of a tree, which has it, holds it.
 */
struct item_class {
	const struct item_ops *ops;
	const void *settings;
	/* Any thread; NULL: it lives as long as the run. */
	void (*hold)(const struct item_class *class);
	void (*drop)(const struct item_class *class);
};

static inline const struct item_class *item_class_get(const struct item_class *class)
{
	if (class->hold)
		class->hold(class);
	return class;
}

static inline void item_class_put(const struct item_class *class)
{
	if (class->drop)
		class->drop(class);
}

static inline void *item_priv(struct item *item)
{
	return item->priv;
}

static inline const void *item_priv_const(const struct item *item)
{
	return item->priv;
}

/* It has not done what it was there for; a skipped one was not to be done. */
static inline bool item_unsuccessful(const struct item *item)
{
	return item->status != STATUS_OK && item->status != STATUS_SKIPPED;
}

/* It was found done, by a run that was cut short and may not have noted it. */
static inline bool item_found_done(const struct item *item)
{
	return item->restored && item->maybe_done;
}

/* It has done it, now or in an earlier run. */
static inline bool item_done(const struct item *item)
{
	return item->status == STATUS_OK || item->restored;
}

/* ---- the life of an item (item.c) */

/* Whether its name is that of a file. */
static inline bool item_has_path(const struct item *item)
{
	return item->ops->source == SOURCE_PATH;
}

/*
 * A fresh item with the next number, of type DT_UNKNOWN and with its private part zeroed; takes over
 * that @dir is held open. Each one must be given to item_submit() or item_finish(). Waits where output
 * is slow, so that no more stands in memory than what is in flight. One of another part of --shard has
 * no number, and what is done with it does nothing. Main thread or a walker's task.
 */
struct item *item_new(struct job *job, const struct item_class *class, struct dirnode *dir,
		      const char *name, size_t len);

/*
 * The same for what no part of --shard may leave to the others: a directory that has to be walked, a
 * list that has to be read.
 */
struct item *item_new_undivided(struct job *job, const struct item_class *class,
				struct dirnode *dir, const char *name, size_t len);

/* Whether a whole tree is for another part of --shard; then it counts as passed over. Main thread. */
bool item_passes_over(struct job *job, const char *name, size_t len);

/*
 * Starts an item, waiting for a place; ends it at once when the policy, --dry-run or a stop says
 * so. Main thread or task. Returns whether the run still takes items.
 */
bool item_submit(struct item *item);

/* Works an item off at once. In a task of the items' group, whose place in the limit it has. */
void item_perform(struct item *item);

/* Ends an item: counts it and writes its record. Any thread; not under the job's lock. */
void item_finish(struct item *item, enum status status, int err);

/* Reserve memory for the items that can be in flight; and the end of it. */
void items_init(struct job *job);
void items_exit(struct job *job);

/* The report callback of the items' group, with the job as its first argument. */
void items_never_started(void *ctx, void *arg, enum bp_end end, int result);

/* The name as the user knows it, with the directory of the walk in front. */
void item_path(const struct item *item, struct buf *buf);

/* Notes what its source is: a file's size and time. Any thread. */
void item_note_source(struct item *item, const struct stat *st);

#endif
