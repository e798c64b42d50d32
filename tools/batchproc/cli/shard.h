/* SPDX-License-Identifier: MIT */
/*
 * shard: --shard, one of several processes that divide the same items among themselves.
 *
 * Whose an item is depends on its name alone, as it stands in its record: not on its place, since
 * no two walks need have the same order, nor on time, locale or machine. So the parts of processes
 * that are given the same items, in whatever order, share none of them and leave none out.
 */
#ifndef BATCHPROC_SHARD_H
#define BATCHPROC_SHARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

struct shard {
	uint64_t part; /* 1 to parts */
	uint64_t parts; /* 0: all is this process's */
};

/* I/N; false where @text is not that. */
bool shard_parse(struct shard *shard, const char *text);

/*
 * auto: what the array job says in which this process is a task. Otherwise false, and why not is
 * appended to @why, with a NUL.
 */
bool shard_from_environment(struct shard *shard, struct buf *why);

/* Whether the item of this name is this process's. */
bool shard_owns(const struct shard *shard, const char *name, size_t len);

#endif
