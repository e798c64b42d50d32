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

#include "base/device.h"
#include "run/job.h"

/*
 * What takes part in a run. open() reads the journal of the options to go on with it, begin() is
 * where it is written to for the first time: it cuts off a torn line and the line of the last run's
 * end, and says where it is not said yet whose journal it is; both before the output starts.
 * ended(): all items that ended have their lines, and this one is the last. These and close() are
 * the main thread's.
 *
 * skips(), task only, just before the work: whether an item need not be done, according to the
 * journal; then it has the reason, and what the verb gets back of it. add(), any thread: appends
 * the line of an ended item, if it gets one.
 */
extern const struct journal_hooks journal_hooks;

/*
 * Whether a run with many verbs goes on with a journal that has a line, done or failed, for an item
 * with this source and this destination. Main thread.
 */
bool journal_has(struct job *job, const struct item_class *class, const char *src, const char *dst);

/* Appends a path as a part of a key: absolute, so that it says the same everywhere. */
void journal_path(const struct job *job, struct buf *buf, const char *path, size_t len);

/*
 * Notes what the source of an item is, from its open descriptor, on a device of this kind: a file's
 * size and time, where there is a journal to note them in. The work does so before it reads.
 * Returns 0, or why the task ends. Task only.
 */
int journal_looks(struct item *item, int fd, enum device_kind kind);

#endif
