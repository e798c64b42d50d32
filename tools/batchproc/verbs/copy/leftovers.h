/* SPDX-License-Identifier: MIT */
/*
 * leftovers: what runs that were killed have left in the way of new copies. Plain calls, any
 * thread.
 */
#ifndef BATCHPROC_LEFTOVERS_H
#define BATCHPROC_LEFTOVERS_H

struct item;

/*
 * No space is left: gives back what leftovers hold where the item's copy comes to lie, below the
 * root of its tree or in the directory @dirfd; once in a run. The caller may try again.
 */
void leftovers_give_way(struct item *item, int dirfd);

#endif
