/* SPDX-License-Identifier: MIT */
/*
 * ahead: reads a large file with several reads in flight, and gives the blocks in order.
 *
 *	slot 0 [ block 4, in flight ]
 *	slot 1 [ block 5, in flight ]
 *	slot 2 [ block 2, being digested ]
 *	slot 3 [ block 3, read ]
 *
 * Each read is an operation item in a group of its own, since that is what a task can wait for
 * one by one. The reads are marked IOSQE_ASYNC: a worker of the kernel copies the data while this
 * loop digests, where a cached read would otherwise be done by the loop itself, at its cost.
 *
 * A block that comes back short ends the reading ahead there: the file shrank, or its file system
 * gives less than asked for. The caller goes on with plain reads.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "digest/ahead.h"
#include "run/job.h"
#include "base/alloc.h"

#define SLOTS 4u
#define BLOCK_BYTES 262144u
#define PAGE_BYTES 4096u
#define FILES_PER_LOOP 4u /* that are read ahead at a time: bounds memory */

struct slot {
	struct bp_op op;
	struct ahead *ahead;
	struct bp_group *group; /* NULL: nothing was asked for */
	unsigned char *data;
	uint64_t offset;
	ssize_t got;
};

struct ahead {
	struct job *job;
	int fd;
	bool ended;
	uint64_t size;
	uint64_t next_offset; /* of the next read to start */
	unsigned int next; /* slot whose block comes next */
	bool used; /* the slot before next is with the caller */
	struct slot slots[SLOTS];
	unsigned char *memory;
};

static atomic_uint open_count;

static void prep_read(struct bp_op *op, struct io_uring_sqe *sqe)
{
	struct slot *slot = (struct slot *)op;

	io_uring_prep_read(sqe, slot->ahead->fd, slot->data, BLOCK_BYTES, slot->offset);
	sqe->flags |= IOSQE_ASYNC;
}

static int read_done(struct bp_op *op, int res)
{
	struct slot *slot = (struct slot *)op;

	if (res == -EINTR || res == -EAGAIN)
		return BP_OP_AGAIN;
	slot->got = res;
	return res;
}

static int start_read(struct ahead *ahead, struct slot *slot)
{
	int err;

	if (ahead->next_offset >= ahead->size)
		return 0;
	err = bp_group_create(&slot->group, ahead->job->engine, NULL);
	if (err)
		return err;
	slot->offset = ahead->next_offset;
	slot->got = -ECANCELED;
	memset(&slot->op, 0, sizeof(slot->op));
	slot->op.prep = prep_read;
	slot->op.done = read_done;
	err = bp_go_op(slot->group, &slot->op);
	if (err) {
		bp_group_destroy(slot->group);
		slot->group = NULL;
		return err;
	}
	ahead->next_offset += BLOCK_BYTES;
	return 0;
}

struct ahead *ahead_open(struct job *job, int fd, uint64_t offset, uint64_t size)
{
	struct ahead *ahead;

	if (atomic_fetch_add(&open_count, 1) >= FILES_PER_LOOP * job->loops) {
		atomic_fetch_sub(&open_count, 1);
		return NULL;
	}
	ahead = xcalloc(1, sizeof(*ahead));
	ahead->job = job;
	ahead->fd = fd;
	ahead->next_offset = offset;
	ahead->size = size;
	/* At the start of a page: 16 bytes behind it the kernel's copy takes twice as long. */
	ahead->memory = xaligned(PAGE_BYTES, SLOTS * BLOCK_BYTES);
	for (unsigned int i = 0; i < SLOTS; i++) {
		ahead->slots[i].ahead = ahead;
		ahead->slots[i].data = ahead->memory + i * BLOCK_BYTES;
		/* A read that cannot be started is the end of reading ahead, no more. */
		if (start_read(ahead, &ahead->slots[i]))
			break;
	}
	return ahead;
}

ssize_t ahead_next(struct ahead *ahead, const void **data)
{
	struct slot *slot;
	int err;

	if (ahead->used) {
		/* The caller is done with the block before: its slot reads on. */
		slot = &ahead->slots[(ahead->next + SLOTS - 1) % SLOTS];
		ahead->used = false;
		err = ahead->ended ? 0 : start_read(ahead, slot);
		if (err)
			return err;
	}
	slot = &ahead->slots[ahead->next];
	if (ahead->ended || !slot->group)
		return 0;
	err = bp_wait(slot->group);
	bp_group_destroy(slot->group);
	slot->group = NULL;
	if (err)
		return err;
	ahead->ended = slot->got < (ssize_t)BLOCK_BYTES;
	ahead->next = (ahead->next + 1) % SLOTS;
	ahead->used = true;
	*data = slot->data;
	return slot->got;
}

void ahead_close(struct ahead *ahead)
{
	if (!ahead)
		return;
	for (unsigned int i = 0; i < SLOTS; i++)
		bp_group_destroy(ahead->slots[i].group);
	free(ahead->memory);
	free(ahead);
	atomic_fetch_sub(&open_count, 1);
}
