/* SPDX-License-Identifier: MIT */
/*
 * Buffers of one loop; see bufs.h.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "bufs.h"

int bufs_init(struct bufs *bufs, unsigned short group, unsigned int count, size_t size)
{
	unsigned int entries = 1, i;

	while (entries < count)
		entries *= 2;
	memset(bufs, 0, sizeof(*bufs));
	list_init(&bufs->waiters);
	bufs->group = group;
	bufs->count = count;
	bufs->size = size;
	bufs->mask = entries - 1;
	bufs->ring_size = entries * sizeof(struct io_uring_buf);
	bufs->free = calloc(count, sizeof(*bufs->free));
	bufs->notes = calloc(count, sizeof(*bufs->notes));
	bufs->memory = mmap(NULL, count * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			    -1, 0);
	bufs->ring = mmap(NULL, bufs->ring_size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!bufs->free || !bufs->notes || bufs->memory == MAP_FAILED || bufs->ring == MAP_FAILED) {
		bufs_exit(bufs);
		return -ENOMEM;
	}
	for (i = count; i > 0; i--)
		bufs_push(bufs, (uint16_t)(i - 1));
	return 0;
}

void bufs_exit(struct bufs *bufs)
{
	if (bufs->ring && bufs->ring != MAP_FAILED)
		munmap(bufs->ring, bufs->ring_size);
	if (bufs->memory && bufs->memory != MAP_FAILED)
		munmap(bufs->memory, bufs->count * bufs->size);
	free(bufs->notes);
	free(bufs->free);
	bufs->ring = NULL;
	bufs->memory = NULL;
	bufs->notes = NULL;
	bufs->free = NULL;
}

void bufs_fill_ring(struct bufs *bufs)
{
	uint16_t number;

	io_uring_buf_ring_init(bufs->ring);
	bufs->kernel = true;
	while ((number = bufs_pop(bufs)) != BUFS_NONE)
		bufs_return(bufs, number);
}

uint16_t bufs_pop(struct bufs *bufs)
{
	return bufs->nfree ? bufs->free[--bufs->nfree] : BUFS_NONE;
}

void bufs_push(struct bufs *bufs, uint16_t number)
{
	bp_assert(bufs->nfree < bufs->count);
	bufs->free[bufs->nfree++] = number;
}

void bufs_return(struct bufs *bufs, uint16_t number)
{
	if (!bufs->kernel) {
		bufs_push(bufs, number);
		return;
	}
	io_uring_buf_ring_add(bufs->ring, bufs_at(bufs, number), (unsigned int)bufs->size, number,
			      (int)bufs->mask, 0);
	io_uring_buf_ring_advance(bufs->ring, 1);
}

struct bufs *bufs_find(struct bufs *list, unsigned short group)
{
	while (list && list->group != group)
		list = list->next;
	return list;
}
