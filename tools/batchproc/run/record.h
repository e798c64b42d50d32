/* SPDX-License-Identifier: MIT */
/*
 * record: what is written about an item and about a run. Pure functions of ended items; called on
 * any thread, before the item is given to the output.
 */
#ifndef BATCHPROC_RECORD_H
#define BATCHPROC_RECORD_H

struct buf;
struct item;
struct job;

/*
 * What an item is, as members of a JSON object: operation, source, destination. With @again the
 * source is what the item can be had from again, which a record may not show. Returns whether
 * the destination, if there is one, is known to be what the copy is called.
 */
bool record_add_names(struct buf *buf, const struct item *item, bool again);

/* How it ended, as the member "status" with a comma in front. */
void record_add_status(struct buf *buf, const struct item *item);

/* Fills item->lines and item->ends: standard output, standard error, --failed-to. */
void record_item(struct item *item);

/* The record, or with --verbose the line, that ends a run. */
void record_summary(struct job *job, int exit_status);

/* Why a run ended early, or without what its policy wants, as one line on standard error. */
void record_stop(struct job *job, int exit_status);

#endif
