/* SPDX-License-Identifier: MIT */
/*
 * hasher: a buffer and a digest state, kept for the next file. See hasher.h.
 */
#include <pthread.h>
#include <stdlib.h>

#include "digest/digest.h"
#include "digest/hasher.h"
#include "base/alloc.h"

/*
 * Buffers that all begin at the same place within a page and a cache way would push one another
 * out of the cache where small files are read side by side. Each begins a page and a line further
 * on than the one before (measured: the copy of 8 KiB files out of the page cache costs a third).
 * None begins 16 bytes behind a page or a line, as malloc() has it: that makes the copy slower yet.
 */
#define PAGE_BYTES 4096u
#define COLOURS 16u
#define COLOUR_BYTES (PAGE_BYTES + 64u)

static _Thread_local struct hasher *idle;

static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static struct hasher *all_hashers; /* these two under all_lock */
static unsigned int hasher_count;

struct hasher *hasher_get(void)
{
	struct hasher *hasher = idle;

	if (hasher) {
		idle = hasher->next;
		return hasher;
	}
	hasher = xcalloc(1, sizeof(*hasher));
	hasher->digest = digest_new();
	hasher->memory = xaligned(PAGE_BYTES, HASHER_BYTES + COLOURS * COLOUR_BYTES);
	pthread_mutex_lock(&all_lock);
	hasher->buffer = hasher->memory + hasher_count++ % COLOURS * COLOUR_BYTES;
	hasher->all = all_hashers;
	all_hashers = hasher;
	pthread_mutex_unlock(&all_lock);
	return hasher;
}

void hasher_put(struct hasher *hasher)
{
	hasher->next = idle;
	idle = hasher;
}

void hasher_free_all(void)
{
	struct hasher *hasher;

	while ((hasher = all_hashers)) {
		all_hashers = hasher->all;
		digest_free(hasher->digest);
		free(hasher->memory);
		free(hasher);
	}
	digest_cleanup();
}
