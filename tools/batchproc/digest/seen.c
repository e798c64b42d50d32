/* SPDX-License-Identifier: MIT */
/*
 * seen: which paths there were. See seen.h. A table with open addressing, half full at most.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/alloc.h"
#include "digest/seen.h"

#define SLOTS_LEAST 1024u

struct slot {
	uint64_t low, high; /* both 0: it is free */
	uint32_t number;
};

struct seen {
	struct slot *slots;
	size_t count, size; /* a power of 2 */
};

struct seen *seen_new(void)
{
	struct seen *seen = xcalloc(1, sizeof(*seen));

	seen->size = SLOTS_LEAST;
	seen->slots = xcalloc(seen->size, sizeof(*seen->slots));
	return seen;
}

void seen_free(struct seen *seen)
{
	if (!seen)
		return;
	free(seen->slots);
	free(seen);
}

static bool is_free(const struct slot *slot)
{
	return !slot->low && !slot->high;
}

/* Where a path is, or would be. */
static struct slot *place(struct slot *slots, size_t size, uint64_t low, uint64_t high)
{
	size_t at = low & (size - 1);

	while (!is_free(&slots[at]) && (slots[at].low != low || slots[at].high != high))
		at = (at + 1) & (size - 1);
	return &slots[at];
}

static void grow(struct seen *seen)
{
	size_t size = seen->size * 2;
	struct slot *slots = xcalloc(size, sizeof(*slots));

	for (size_t i = 0; i < seen->size; i++) {
		const struct slot *old = &seen->slots[i];

		if (!is_free(old))
			*place(slots, size, old->low, old->high) = *old;
	}
	free(seen->slots);
	seen->slots = slots;
	seen->size = size;
}

static XXH128_hash_t hash(const char *path, size_t len)
{
	XXH128_hash_t hash = XXH3_128bits(path, len);

	/* Which is what a free place looks like. */
	if (!hash.low64 && !hash.high64)
		hash.low64 = 1;
	return hash;
}

uint32_t *seen_add(struct seen *seen, const char *path, size_t len)
{
	const XXH128_hash_t wanted = hash(path, len);
	struct slot *slot;

	if (2 * (seen->count + 1) > seen->size)
		grow(seen);
	slot = place(seen->slots, seen->size, wanted.low64, wanted.high64);
	if (is_free(slot)) {
		slot->low = wanted.low64;
		slot->high = wanted.high64;
		seen->count++;
	}
	return &slot->number;
}

const uint32_t *seen_find(const struct seen *seen, const char *path, size_t len)
{
	const XXH128_hash_t wanted = hash(path, len);
	const struct slot *slot = place(seen->slots, seen->size, wanted.low64, wanted.high64);

	return is_free(slot) ? NULL : &slot->number;
}
