/* SPDX-License-Identifier: MIT */
/*
 * hash --update: the digests of an mtree list, for files whose size and modification time are still
 * those of the list.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/message.h"
#include "cli/inputs.h"
#include "digest/seen.h"
#include "run/item.h"
#include "verbs/hash/hash.h"

#define DISPUTED UINT32_MAX

struct known {
	uint64_t size;
	int64_t sec;
	uint32_t nsec;
	unsigned char digest[DIGEST_SIZE_MAX]; /* as many as the algorithm has */
};

struct update {
	const struct digest_alg *alg;
	struct seen *seen; /* the place of each path in known, from 1, or DISPUTED */
	struct buf known;
};

static size_t each(const struct update *update)
{
	return offsetof(struct known, digest) + update->alg->size;
}

static const char *known_at(const struct update *update, uint32_t number)
{
	return update->known.data + (number - 1) * each(update);
}

void hash_update_free(struct update *update)
{
	if (!update)
		return;
	seen_free(update->seen);
	buf_free(&update->known);
	free(update);
}

/* Paths from the top, without the dot that they may begin with. */
static const char *below_top(const char *path, size_t *len)
{
	while (*len > 1 && path[0] == '.' && path[1] == '/') {
		path += 2;
		*len -= 2;
		while (*len && *path == '/') {
			path++;
			--*len;
		}
	}
	return path;
}

/* The digest of that algorithm, or NULL. */
static const unsigned char *digest_of(const struct sumline *line, const struct digest_alg *alg)
{
	if (line->alg == alg)
		return line->digest;
	for (size_t i = 0; i < line->more_count; i++)
		if (line->more[i].alg == alg)
			return line->more[i].bytes;
	return NULL;
}

static void take(struct update *update, const struct sumline *line)
{
	const unsigned char *digest = digest_of(line, update->alg);
	struct known known = {.size = line->size, .sec = line->facts.sec, .nsec = line->facts.nsec};
	size_t len = line->len;
	const char *path = below_top(line->name, &len);
	uint32_t *number;

	if (!digest || !line->sized || !line->facts.has_time)
		return;
	memcpy(known.digest, digest, update->alg->size);
	/* Named twice: the first is as good as the second, unless they differ, and then neither is. */
	number = seen_add(update->seen, path, len);
	if (*number == DISPUTED)
		return;
	if (*number) {
		if (memcmp(known_at(update, *number), &known, each(update)))
			*number = DISPUTED;
		return;
	}
	buf_add(&update->known, &known, each(update));
	*number = (uint32_t)(update->known.len / each(update));
}

struct update *hash_update_read(const char *name, const struct digest_alg *alg)
{
	struct update *update;
	struct sumlist form = {0};
	struct sumline line;
	struct lines lines;
	char *text;
	size_t len;
	int err = lines_open(&lines, name, '\n');

	if (!err && !lines.regular)
		err = -EINVAL;
	if (err) {
		message("cannot read the list %s: %s", name, error_text(err));
		lines_close(&lines);
		return NULL;
	}
	update = xcalloc(1, sizeof(*update));
	update->alg = alg;
	update->seen = seen_new();
	while (lines_next(&lines, NULL, &text, &len))
		if (sumlist_take(&form, &line, text, len) == SUMLINE_ENTRY && line.facts.given)
			take(update, &line);
	err = lines.err;
	lines_close(&lines);
	if (!err && form.form == SUMFORM_MTREE) {
		sumlist_free(&form);
		return update;
	}
	if (err)
		message("cannot read the list %s: %s", name, error_text(err));
	else
		message("%s: is no list with sizes and times, which hash --format mtree writes; "
			"any other is written anew with --journal and --resume",
			name);
	sumlist_free(&form);
	hash_update_free(update);
	return NULL;
}

bool hash_update_knows(const struct update *update, const struct item *item, uint64_t size,
		       const struct sumfacts *facts, unsigned char *digest)
{
	const uint32_t *number;
	struct buf path = {0};
	struct known known;
	const char *below;
	size_t len;

	item_path(item, &path);
	len = path.len;
	below = below_top(path.data, &len);
	number = seen_find(update->seen, below, len);
	buf_free(&path);
	if (!number || *number == DISPUTED)
		return false;
	memcpy(&known, known_at(update, *number), each(update));
	if (known.size != size || known.sec != facts->sec || known.nsec != facts->nsec)
		return false;
	memcpy(digest, known.digest, update->alg->size);
	return true;
}
