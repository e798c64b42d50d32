/* SPDX-License-Identifier: MIT */
/*
 * journal: --journal, --resume, --retry-failed: what was done, and what need not be done again.
 *
 *	item_task --> journal_skips() --> skipped, "done according to the journal"
 *	                    '--> work --> record_item() --> journal_add() --> output (SINK_JOURNAL)
 *
 * The line of an item goes the way of its output, behind it: what the journal says is done has been
 * written. The lines themselves are journal_file.c's, where they are is journal_index.c's.
 *
 * It is opened and read before anything starts and is then read-only, but for what the writer
 * thread appends.
 */
#ifndef BATCHPROC_JOURNAL_H
#define BATCHPROC_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>

struct buf;
struct item;
struct job;
struct stat;
struct item_class;

/*
 * Opens the journal of the options, if any, and reads it to go on with it. Returns -1 to go on, or
 * the exit status when all is said. Main thread, before the output starts.
 */
int journal_open(struct job *job);
void journal_close(struct job *job);

/*
 * From here on it is written to: cuts off a torn line and the line of the last run's end, and says
 * where it is not said yet whose journal it is. Returns as journal_open(). Main thread, before the output
 * starts.
 */
int journal_begin(const struct job *job);

/* All items that ended have their lines, and this one is the last. Main thread. */
void journal_ended(const struct job *job);

/*
 * Whether an item need not be done, according to the journal; then it has the reason, and what the
 * verb gets back of it. Task only, just before the work.
 */
bool journal_skips(struct item *item);

/*
 * Whether a run with many verbs goes on with a journal that has a line, done or failed, for an item
 * with this source and this destination. Main thread.
 */
bool journal_has(struct job *job, const struct item_class *class, const char *src, const char *dst);

/* Appends the line of an ended item, if it gets one. Any thread. */
void journal_add(const struct item *item, struct buf *buf);

/* Appends a path as a part of a key: absolute, so that it says the same everywhere. */
void journal_path(const struct job *job, struct buf *buf, const char *path, size_t len);

/*
 * Notes what the source of an item is, from its open descriptor: a file's size and time, where there
 * is a journal to note them in. The work does so before it reads. Never waits. Any thread.
 */
void journal_looks(struct item *item, int fd);
void item_note_source(struct item *item, const struct stat *st);

#endif
