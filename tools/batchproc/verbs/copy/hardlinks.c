/* SPDX-License-Identifier: MIT */
/*
 * hardlinks: which files with several names a run has copied, and where to.
 *
 * Such a file is copied once; its further names become links to that copy. An item that finds
 * another one at it waits for its end, which it can: that one runs. The table stands under its
 * lock; an entry goes when all names of its file have been seen. Any thread.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "batchproc.h"
#include "base/buf.h"
#include "base/alloc.h"
#include "run/job.h"
#include "verbs/copy/copy.h"
#include "verbs/copy/hardlinks.h"
#include "walk/tree.h"

#define TABLE_LEAST 256u
#define NAP_NS 2000000u /* between two looks whether the copy is there */

struct linked {
	struct linked *next;
	dev_t dev;
	ino_t ino;
	uint64_t group;
	nlink_t left; /* names that have not been seen yet; the most there is: nobody knows */
	bool busy; /* an item makes the copy now */
	struct hardlink_copy copy; /* dir is NULL: there is none */
};

struct hardlinks {
	pthread_mutex_t lock;
	struct linked **heads;
	size_t size; /* a power of two */
	size_t count;
};

struct hardlinks *hardlinks_new(void)
{
	struct hardlinks *table = xcalloc(1, sizeof(*table));

	pthread_mutex_init(&table->lock, NULL);
	return table;
}

/*
 * In a run of many jobs names belong together where one job has them: source and destination differ
 * in the same way. What another job makes of the file is its own, and may be on another file
 * system.
 */
static uint64_t group_of(const struct item *item)
{
	struct buf src = {0}, dst = {0};
	uint64_t group;

	if (!item->job->ops->mixes)
		return 0;
	item_path(item, &src);
	copy_add_place(item, &dst);
	while (src.len && dst.len && src.data[src.len - 1] == dst.data[dst.len - 1]) {
		src.len--;
		dst.len--;
	}
	group = XXH3_64bits_withSeed(dst.data, dst.len, XXH3_64bits(src.data, src.len));
	buf_free(&src);
	buf_free(&dst);
	return group;
}

static struct linked **find(const struct hardlinks *table, dev_t dev, ino_t ino, uint64_t group)
{
	struct linked **at = &table->heads[((ino ^ group) * 0x9e3779b97f4a7c15ull >> 20 ^ dev) &
					   (table->size - 1)];

	while (*at && ((*at)->ino != ino || (*at)->dev != dev || (*at)->group != group))
		at = &(*at)->next;
	return at;
}

static void resize(struct hardlinks *table, size_t size)
{
	struct linked **old = table->heads, *entry;
	size_t old_size = table->size;

	table->heads = xcalloc(size, sizeof(struct linked *));
	table->size = size;
	for (size_t i = 0; i < old_size; i++) {
		while ((entry = old[i])) {
			struct linked **at = find(table, entry->dev, entry->ino, entry->group);

			old[i] = entry->next;
			entry->next = *at;
			*at = entry;
		}
	}
	free(old);
}

static void forget(struct hardlinks *table, struct linked **at)
{
	struct linked *entry = *at;

	*at = entry->next;
	table->count--;
	hardlink_copy_free(&entry->copy);
	free(entry);
}

/* One name more has been seen. */
static void seen(struct hardlinks *table, struct linked **at)
{
	if (!--(*at)->left)
		forget(table, at);
}

void hardlink_copy_free(struct hardlink_copy *copy)
{
	if (copy->dir)
		dirnode_put(copy->dir);
	free(copy->name);
	*copy = (struct hardlink_copy){0};
}

enum hardlink_turn hardlink_turn(const struct item *item, const struct stat *st,
				 struct hardlink_copy *copy)
{
	struct hardlinks *table = item->job->copy->links;
	const uint64_t group = group_of(item);
	enum hardlink_turn turn = HARDLINK_FIRST;
	struct linked **at;

	pthread_mutex_lock(&table->lock);
	if (table->count >= table->size)
		resize(table, table->size ? 2 * table->size : TABLE_LEAST);
	at = find(table, st->st_dev, st->st_ino, group);
	if (!*at) {
		*at = xcalloc(1, sizeof(**at));
		(*at)->dev = st->st_dev;
		(*at)->ino = st->st_ino;
		(*at)->group = group;
		(*at)->left = ((const struct copy_settings *)item->settings)->follow == FOLLOW_ALL ?
				      (nlink_t)-1 :
				      st->st_nlink;
		table->count++;
	} else if ((*at)->copy.dir) {
		turn = HARDLINK_THERE;
		*copy = (*at)->copy;
		dirnode_get(copy->dir);
		copy->name = xstrdup(copy->name);
	} else if ((*at)->busy) {
		turn = HARDLINK_LATER;
	}
	if (turn == HARDLINK_FIRST)
		(*at)->busy = true;
	pthread_mutex_unlock(&table->lock);
	return turn;
}

int hardlink_await(const struct item *item, const struct stat *st, struct hardlink_copy *copy,
		   bool *there)
{
	enum hardlink_turn turn;
	int err;

	while ((turn = hardlink_turn(item, st, copy)) == HARDLINK_LATER) {
		err = bp_sleep(NAP_NS);
		if (err)
			return err;
	}
	*there = turn == HARDLINK_THERE;
	return 0;
}

void hardlink_done(const struct item *item, const struct stat *st, enum hardlink_end end,
		   const unsigned char *digest)
{
	struct hardlinks *table = item->job->copy->links;
	const uint64_t group = group_of(item);
	struct linked **at, *entry;
	const char *name;
	struct dirnode *dir = copy_place(item, &name);

	pthread_mutex_lock(&table->lock);
	at = find(table, st->st_dev, st->st_ino, group);
	entry = *at;
	if (end == HARDLINK_JOINED) {
		/* More names may have come than the file had when the first one did. */
		if (entry && entry->copy.dir)
			seen(table, at);
		pthread_mutex_unlock(&table->lock);
		return;
	}
	entry->busy = false;
	if (end == HARDLINK_MADE) {
		entry->copy.dir = dirnode_get(dir);
		entry->copy.name = xstrdup(name);
		entry->copy.has_digest = digest != NULL;
		if (digest)
			memcpy(entry->copy.digest, digest, DIGEST_SIZE_MAX);
	}
	/* Who has failed may come again. */
	if (end == HARDLINK_FAILED)
		forget(table, at);
	else
		seen(table, at);
	pthread_mutex_unlock(&table->lock);
}

bool hardlink_restore(const struct item *item, const struct stat *st, const unsigned char *digest)
{
	struct hardlink_copy copy = {0};

	if (hardlink_turn(item, st, &copy) != HARDLINK_FIRST) {
		hardlink_copy_free(&copy);
		return false;
	}
	hardlink_done(item, st, HARDLINK_MADE, digest);
	return true;
}

void hardlinks_free(struct hardlinks *table)
{
	for (size_t i = 0; i < table->size; i++)
		while (table->heads[i])
			forget(table, &table->heads[i]);
	free(table->heads);
	pthread_mutex_destroy(&table->lock);
	free(table);
}
