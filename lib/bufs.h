/* SPDX-License-Identifier: MIT */
/*
 * The buffers of one bp_buf_ring on one loop: memory, and who has which of them.
 *
 * Buffers are the kernel's to fill where its ring could be registered; else they lie on a stack here, and
 * whoever carries out a receive takes one. Only the loop's own thread touches it.
 */
#ifndef BP_BUFS_H
#define BP_BUFS_H

#include "base.h"

#define BUFS_NONE UINT16_MAX

/* What is noted of a buffer that has come and waits to be looked at. */
struct bufs_note {
	uint32_t len;
	uint16_t next;
	bool lent; /* bp_buf_ring_take() has returned it, to be given back */
};

struct bufs {
	struct bufs *next; /* of the same loop */
	unsigned short group; /* its number in SQEs */
	unsigned int count; /* buffers */
	size_t size; /* bytes of each */
	char *memory;
	unsigned int out; /* with the program */
	struct io_uring_buf_ring *ring;
	size_t ring_size; /* bytes of it */
	unsigned int mask;
	bool kernel; /* it fills them, and one receive takes many */
	unsigned int nfree; /* where it does not: on this stack */
	uint16_t *free;
	struct bufs_note *notes;
	struct bp_link_ waiters; /* who needs a free one */
};

/** Makes @bufs, zeroed, with all buffers on the stack. Return: 0 or -ENOMEM. */
int bufs_init(struct bufs *bufs, unsigned short group, unsigned int count, size_t size);
void bufs_exit(struct bufs *bufs);

/** Puts all buffers into the ring, which the kernel is about to fill. */
void bufs_fill_ring(struct bufs *bufs);

/** The number of a free buffer, or BUFS_NONE. Not where the kernel has them. */
uint16_t bufs_pop(struct bufs *bufs);
void bufs_push(struct bufs *bufs, uint16_t number);

/** Gives a buffer back to the kernel's ring, or to the stack. */
void bufs_return(struct bufs *bufs, uint16_t number);

/** Those of a list with a number, or NULL. */
struct bufs *bufs_find(struct bufs *list, unsigned short group);

static inline void *bufs_at(const struct bufs *bufs, uint16_t number)
{
	return bufs->memory + (size_t)number * bufs->size;
}

/** Whether a receive would find no buffer, as far as can be told. */
static inline bool bufs_empty(const struct bufs *bufs)
{
	return bufs->kernel ? bufs->out == bufs->count : !bufs->nfree;
}

#endif /* BP_BUFS_H */
