/* SPDX-License-Identifier: MIT */
/*
 * op_items.c - operation items: no stack, no allocation, for very many in flight
 *
 * A file is read in blocks by eight items. Each item is a struct of the caller's with a struct
 * bp_op in it: prep() fills the SQE for its next block, done() takes the result in and asks for
 * another round while blocks are left.
 */
#include <stddef.h>

#include "example.h"

#define BLOCK 4096
#define BLOCKS 1000
#define READERS 8

struct reader {
	struct bp_op op;
	int fd;
	off_t block; /* this one, then block + READERS, ... */
	unsigned long sum;
	unsigned char buf[BLOCK];
};

static struct reader *reader_of(struct bp_op *op)
{
	return (struct reader *)((char *)op - offsetof(struct reader, op));
}

static void prep(struct bp_op *op, struct io_uring_sqe *sqe)
{
	struct reader *r = reader_of(op);

	io_uring_prep_read(sqe, r->fd, r->buf, BLOCK, (uint64_t)r->block * BLOCK);
}

static int done(struct bp_op *op, int res)
{
	struct reader *r = reader_of(op);
	int i;

	if (res < 0)
		return res == -EINTR || res == -EAGAIN ? BP_OP_AGAIN : res;
	if (res != BLOCK)
		return -EIO;
	for (i = 0; i < res; i++)
		r->sum += r->buf[i];
	r->block += READERS;
	return r->block < BLOCKS ? BP_OP_AGAIN : 0;
}

static int make_file(unsigned long *sum)
{
	char path[] = "/tmp/batchproc-op.XXXXXX";
	unsigned char block[BLOCK];
	int fd = mkstemp(path), i, j;

	CHECK(fd >= 0 && !unlink(path));
	for (i = 0; i < BLOCKS; i++) {
		for (j = 0; j < BLOCK; j++) {
			block[j] = (unsigned char)(i * 31 + j);
			*sum += block[j];
		}
		CHECK(write(fd, block, BLOCK) == BLOCK);
	}
	return fd;
}

int main(void)
{
	unsigned long wanted = 0, sum = 0;
	static struct reader readers[READERS];
	struct bp_engine *engine;
	struct bp_group *group;
	int i, fd = make_file(&wanted);

	CHECK(!bp_engine_create(&engine, NULL));
	CHECK(!bp_group_create(&group, engine, NULL));
	for (i = 0; i < READERS; i++) {
		readers[i] = (struct reader){.op = BP_OP_INIT(prep, done), .fd = fd, .block = i};
		CHECK(!bp_go_op(group, &readers[i].op));
	}
	CHECK(!bp_wait(group));
	for (i = 0; i < READERS; i++)
		sum += readers[i].sum;
	printf("%d blocks read by %d items: sum %lu\n", BLOCKS, READERS, sum);
	CHECK(sum == wanted);
	bp_group_destroy(group);
	bp_engine_destroy(engine);
	close(fd);
	return 0;
}
