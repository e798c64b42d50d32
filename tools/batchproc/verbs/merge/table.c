/* SPDX-License-Identifier: MIT */
/*
 * table: which of an item's records counts: 16 bytes a line, of which 80 bits are a hash of what the
 * item is, so that among a thousand million items two are taken for one in one run of two million.
 *
 * Of one part of a job the last record counts, since that part was run again. One that says that
 * nothing was done leaves standing that it was done before. Of two parts the worse one counts:
 * directories are made by each part that has something in them, and a failure of any is one. Files
 * are read in the order of their parts, so that a part has had its last word when the next begins.
 */
#include <stdlib.h>

#include "base/alloc.h"
#include "verbs/merge/merge.h"

#define LINE_BITS 44
#define STATUS_BITS 4
#define LINE_MASK ((UINT64_C(1) << LINE_BITS) - 1)
#define HASH_MASK (UINT64_MAX << (LINE_BITS + STATUS_BITS))

struct entry {
	uint64_t hash;
	uint64_t rest; /* 16 bits more of it, the status, the line from 1; 0: there is none */
};

struct table {
	const struct files *files;
	struct entry *entries;
	uint64_t room;
	unsigned char *looks; /* two bits a line */
	uint64_t look_count;
	bool lacking; /* something has failed before it knew its destination */
};

struct table *table_new(const struct files *files, uint64_t lines)
{
	struct table *table = xcalloc(1, sizeof(*table));

	table->files = files;
	table->room = lines + lines / 3 + 2;
	table->entries = xcalloc(table->room, sizeof(*table->entries));
	table->looks = xcalloc(lines / 4 + 1, 1);
	return table;
}

void table_free(struct table *table)
{
	if (!table)
		return;
	free(table->entries);
	free(table->looks);
	free(table);
}

static uint64_t line_of(const struct entry *entry)
{
	return (entry->rest & LINE_MASK) - 1;
}

static enum fact_status status_of(const struct entry *entry)
{
	return (enum fact_status)(entry->rest >> LINE_BITS & ((1u << STATUS_BITS) - 1));
}

/* Where the item is, or would be. */
static struct entry *find(const struct table *table, const uint64_t key[2])
{
	uint64_t at = (uint64_t)((unsigned __int128)key[0] * table->room >> 64);

	while (table->entries[at].rest && (table->entries[at].hash != key[0] ||
					   (table->entries[at].rest ^ key[1]) & HASH_MASK))
		at = at + 1 == table->room ? 0 : at + 1;
	return &table->entries[at];
}

enum look table_look(const struct table *table, uint64_t line)
{
	return (enum look)(table->looks[line / 4] >> line % 4 * 2 & 3);
}

static void set_look(struct table *table, uint64_t line, enum look look)
{
	const unsigned int shift = line % 4 * 2;

	if (look != LOOK_NOT && table_look(table, line) == LOOK_NOT)
		table->look_count++;
	table->looks[line / 4] =
		(unsigned char)((table->looks[line / 4] & ~(3u << shift)) | look << shift);
}

bool table_looks(const struct table *table)
{
	return table->look_count;
}

static void put(struct table *table, struct entry *entry, const struct fact *fact, uint64_t line)
{
	entry->hash = fact->key[0];
	entry->rest = (fact->key[1] & HASH_MASK) | (uint64_t)fact->status << LINE_BITS | (line + 1);
	if (fact_is_bad(fact->status))
		set_look(table, line, LOOK_BAD);
}

/* Nothing was done, so that what was done before still is. */
static bool was_left(enum fact_status status)
{
	return status == FACT_SKIPPED || status == FACT_NOT_STARTED || status == FACT_REJECTED;
}

static int rank(enum fact_status status)
{
	return fact_is_bad(status) ? 2 : status == FACT_OK;
}

static bool wins(const struct table *table, const struct entry *old, const struct fact *fact,
		 uint64_t line)
{
	const struct shard *a = &file_of(table->files, line_of(old))->shard;
	const struct shard *b = &file_of(table->files, line)->shard;

	if (!a->parts || !b->parts || a->part == b->part)
		return status_of(old) != FACT_OK || !was_left(fact->status);
	return rank(fact->status) > rank(status_of(old));
}

/* What failed when it was not known yet where it would go is the same item. */
static bool has_lacking(const struct table *table, const struct fact *fact, struct entry **entry)
{
	if (!table->lacking || !fact->has_dst)
		return false;
	*entry = find(table, fact->key_without);
	return (*entry)->rest && fact_is_bad(status_of(*entry)) &&
	       table_look(table, line_of(*entry)) == LOOK_BAD;
}

enum taken table_take(struct table *table, const struct fact *fact, uint64_t line,
		      enum fact_status *old)
{
	struct entry *entry = find(table, fact->key);

	if (!entry->rest) {
		struct entry *lacking;

		put(table, entry, fact, line);
		if (!has_lacking(table, fact, &lacking)) {
			table->lacking |= !fact->has_dst && fact_is_bad(fact->status);
			return TAKEN_FIRST;
		}
		*old = status_of(lacking);
		set_look(table, line_of(lacking), LOOK_REPLACED);
		return TAKEN_INSTEAD;
	}
	*old = status_of(entry);
	if (!wins(table, entry, fact, line))
		return TAKEN_NOT;
	set_look(table, line_of(entry), LOOK_REPLACED);
	put(table, entry, fact, line);
	return TAKEN_INSTEAD;
}
