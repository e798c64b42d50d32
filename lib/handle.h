/* SPDX-License-Identifier: MIT */
/*
 * Items that are more than ordinary: with a handle, a weight, a loop of their own.
 *
 * What an item has of these stands in its op->extra_: 0 is an ordinary item, an odd number says how
 * many places more than one it takes, and an even one is its handle, in which that stands too. It is
 * looked at only in groups that have ever had such an item (head.special).
 *
 * A handle is counted: it lives until its item has ended, its holder has released it, and no
 * message is on its way to a loop. Under the engine's lock.
 */
#ifndef BP_HANDLE_H
#define BP_HANDLE_H

#include "group.h"

/** A handle for an item of this argument that is not accepted yet, or NULL. Not under the lock. */
struct bp_handle *handle_make(struct bp_engine *engine, void *arg);

/** The item was not accepted. Not under the lock. */
void handle_unmake(struct bp_handle *handle);

/* All that follow: under the lock. */

/** The item has ended so: who waits for that is woken. The lock is free meanwhile. */
void handle_ended(struct bp_handle *handle, enum bp_end end, int result);

#endif /* BP_HANDLE_H */
