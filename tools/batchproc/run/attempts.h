/* SPDX-License-Identifier: MIT */
/*
 * attempts: the work on an item, again where that may help. See items_timeout_ns() in item.h too.
 */
#ifndef BATCHPROC_ATTEMPTS_H
#define BATCHPROC_ATTEMPTS_H

#include <stdbool.h>

struct item;
struct job;

/* What is known of an item's source before its work. */
int attempts_origin(const struct item *item);

/*
 * --rate is about what is started. Whether an item of a journal is, only its task knows: there it
 * waits, and its time begins afterwards.
 */
bool attempts_wait_in_task(const struct job *job);

/* All attempts, with the time that they have together. *@over: it ran out. In the item's task. */
int attempts_timed(struct item *item, bool *over);

#endif
