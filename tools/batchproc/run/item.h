/* SPDX-License-Identifier: MIT */
/*
 * item: one input, from its number to its record, and what a verb tells about its items.
 */
#ifndef BATCHPROC_ITEM_H
#define BATCHPROC_ITEM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "batchproc.h"
#include "base/buf.h"
#include "verb.h"

struct dirnode;
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

/* Where an item is on its way. Whoever brings it to its end writes its record. */
enum item_phase {
	ITEM_FREE,
	ITEM_WAITING,
	ITEM_WORKING,
	ITEM_ENDED,
};

struct item {
	struct item *next; /* in the free list, or of those that wait */
	atomic_int phase; /* enum item_phase */
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
	bool fed; /* by queue_start() */
	bool other_shard; /* of another part of --shard: it ends without a trace */
	bool silent; /* its failure is no line on standard error */
	bool skipped_named; /* skipped, although the user asked for it by name */
	bool below; /* found in a tree, whose root has an item too */
	bool restored; /* skipped, because it was done by an earlier run */
	bool maybe_done; /* an earlier run may have done it without a line in the journal */
	struct origin source; /* as the work found it before it read it; no path: its name */
	uint64_t bytes;
	unsigned int attempts;
	_Atomic uint64_t began_ns; /* where --timeout is given: when its time began */
	uint64_t start_ns; /* 0: it never started */
	uint64_t end_ns;

	struct buf lines; /* what it writes, one sink's text after the other's */
	size_t ends[4]; /* where each ends */

	_Alignas(max_align_t) unsigned char priv[]; /* the verb's own, item_ops.priv_size bytes */
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
 * A fresh item with the next number, of type DT_UNKNOWN and with its private part zeroed; takes
 * over that @dir is held open. Each one must be given to item_submit() or item_finish(). Waits
 * where output is slow, so that no more stands in memory than what is in flight. One of another
 * part of --shard has no number, and what is done with it does nothing. Main thread or a walker's
 * task.
 */
struct item *item_new(struct job *job, const struct item_class *class, struct dirnode *dir,
		      const char *name, size_t len);

/*
 * The same for what no part of --shard may leave to the others: a directory that has to be walked,
 * a list that has to be read.
 */
struct item *item_new_undivided(struct job *job, const struct item_class *class,
				struct dirnode *dir, const char *name, size_t len);

/*
 * Whether a whole tree is for another part of --shard; then it counts as passed over. Main thread.
 */
bool item_passes_over(struct job *job, const char *name, size_t len);

/*
 * Starts an item, waiting for a place; ends it at once when the policy, --dry-run or a stop says
 * so. Main thread or task. Returns whether the run still takes items.
 */
bool item_submit(struct item *item);

/* What is done in an item's task. */
int item_task(void *item);
/* Ends an item that could not be started; false: it was, @err is 0. */
bool item_start_failed(struct item *item, int err);

/* Works an item off at once. In a task of the items' group, whose place in the limit it has. */
void item_perform(struct item *item);

/* Ends an item: counts it and writes its record. Any thread; not under the job's lock. */
void item_finish(struct item *item, enum status status, int err);

/* Calls @fn for each item there is, whatever becomes of it meanwhile. Any thread. */
void items_each(struct job *job, void (*fn)(struct item *item, void *arg), void *arg);

/* A copy of an item, and the record made from it of one that is not waited for: see overdue.h. */
struct item *item_copy(const struct item *item);
void item_written_off(struct item *copy, enum status status, int err);

/* Reserve memory for the items that can be in flight; and the end of it. */
void items_init(struct job *job);
void items_exit(struct job *job);

/* The time limit that the items' group has to keep; 0: none. */
uint64_t items_timeout_ns(const struct job *job);

/* The report callback of the items' group, with the job as its first argument. */
void items_never_started(void *ctx, void *arg, enum bp_end end, int result);

/* The name as the user knows it, with the directory of the walk in front. */
void item_path(const struct item *item, struct buf *buf);

/* Notes what its source is: a file's size and time. Any thread. */
void item_note_source(struct item *item, const struct stat *st);

#endif
