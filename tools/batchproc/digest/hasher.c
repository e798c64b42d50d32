/* SPDX-License-Identifier: MIT */
/*
 * hasher: a buffer and a digest state, kept for the next file. See hasher.h.
 */
#include <pthread.h>
#include <stdbool.h>
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

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t at_exit; /* has the hashers of a thread that ends given back */
static bool gives_back;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct hasher *spare; /* of threads that have ended; these two under the lock */
static unsigned int hasher_count;

static void give_back(void *unused)
{
	struct hasher *hasher;

	(void)unused;
	pthread_mutex_lock(&lock);
	while ((hasher = idle)) {
		idle = hasher->next;
		hasher->next = spare;
		spare = hasher;
	}
	pthread_mutex_unlock(&lock);
}

static void prepare(void)
{
	gives_back = !pthread_key_create(&at_exit, give_back);
}

static struct hasher *hasher_new(unsigned int colour)
{
	struct hasher *hasher = xcalloc(1, sizeof(*hasher));

	hasher->digest = digest_new();
	hasher->memory = xaligned(PAGE_BYTES, HASHER_BYTES + COLOURS * COLOUR_BYTES);
	hasher->buffer = hasher->memory + colour % COLOURS * COLOUR_BYTES;
	return hasher;
}

struct hasher *hasher_get(void)
{
	struct hasher *hasher = idle;
	unsigned int colour = 0;

	if (hasher) {
		idle = hasher->next;
		return hasher;
	}
	pthread_once(&once, prepare);
	if (gives_back)
		pthread_setspecific(at_exit, &once); /* anything but NULL */
	pthread_mutex_lock(&lock);
	hasher = spare;
	if (hasher)
		spare = hasher->next;
	else
		colour = hasher_count++;
	pthread_mutex_unlock(&lock);
	return hasher ? hasher : hasher_new(colour);
}

struct digest *hasher_digest(struct hasher *hasher, size_t i)
{
	struct digest **digest = i ? &hasher->further[i - 1] : &hasher->digest;

	if (!*digest)
		*digest = digest_new();
	return *digest;
}

void hasher_put(struct hasher *hasher)
{
	hasher->next = idle;
	idle = hasher;
}
