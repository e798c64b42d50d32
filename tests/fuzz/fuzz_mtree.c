/* SPDX-License-Identifier: MIT */
/*
 * fuzz_mtree: a list of mtree(5), line by line. What was read of an entry is read again from the
 * entry that is written of it. The first byte says whether one algorithm alone is asked for.
 *
 * fuzzes: tools/batchproc/digest/mtree.c tools/batchproc/digest/sumline.c
 * fuzzes: tools/batchproc/digest/algs.c tools/batchproc/base/buf.c
 */
#include <string.h>

#include "base/buf.h"
#include "digest/mtree.h"
#include "fuzz.h"

/* As it is written: names are paths from the top. */
static bool same_name(const struct sumline *a, const struct sumline *b)
{
	size_t more = b->len > a->len ? 2 : 0;

	return b->len == a->len + more && !memcmp(b->name, "./", more) &&
	       !memcmp(b->name + more, a->name, a->len);
}

static bool same_facts(const struct sumline *a, const struct sumline *b)
{
	const struct sumfacts *f = &a->facts, *g = &b->facts;

	return f->type == g->type && f->has_mode == g->has_mode && f->mode == g->mode &&
	       f->has_time == g->has_time && f->sec == g->sec && f->nsec == g->nsec &&
	       f->optional == g->optional && f->nochange == g->nochange &&
	       f->link_len == g->link_len && !f->link == !g->link &&
	       (!f->link || !memcmp(f->link, g->link, f->link_len)) && a->sized == b->sized &&
	       (!a->sized || a->size == b->size);
}

static void written_and_read(struct sumline *line)
{
	struct mtree fresh = {0};
	struct sumline again;
	struct buf buf = {0};

	/* What is not said has no value. */
	if (!line->facts.has_mode)
		line->facts.mode = 0;
	if (!line->facts.has_time) {
		line->facts.sec = 0;
		line->facts.nsec = 0;
	}
	mtree_add(&buf, line);
	must(buf.data[buf.len - 1] == '\n' && !memchr(buf.data, '\n', buf.len - 1));
	must(mtree_take(&fresh, &again, NULL, buf.data, buf.len - 1) == SUMLINE_ENTRY);
	must(same_name(line, &again) && same_facts(line, &again));
	must(again.alg == line->alg && again.more_count == line->more_count);
	must(!line->alg || !memcmp(again.digest, line->digest, line->alg->size));
	mtree_free(&fresh);
	buf_free(&buf);
}

static void take(struct mtree *mtree, const struct digest_alg *forced, const uint8_t *data,
		 size_t len, bool first)
{
	struct sumline line;
	/* Of its own, to the byte: reading beyond the end is seen. */
	char *text = malloc(len + !len);

	must(text != NULL);
	memcpy(text, data, len);
	/* It is asked of first lines. */
	if (first)
		mtree_begins(text, len);
	switch (mtree_take(mtree, &line, forced, text, len)) {
	case SUMLINE_ENTRY:
		must(line.len > 0 && !memchr(line.name, '\0', line.len));
		must(!forced || !line.alg || line.alg == forced);
		written_and_read(&line);
		break;
	case SUMLINE_UNCHECKED:
		must(line.len > 0 && !line.alg && line.why);
		break;
	default:
		break;
	}
	must(!memcmp(text, data, len));
	free(text);
}

int fuzz_mtree(const uint8_t *data, size_t size)
{
	const struct digest_alg *forced = size && data[0] & 1 ? digest_by_name("sha256") : NULL;
	struct mtree mtree = {0};

	for (size_t at = 1; at < size;) {
		const uint8_t *end = memchr(data + at, '\n', size - at);
		size_t len = end ? (size_t)(end - data) - at : size - at;

		take(&mtree, forced, data + at, len, at == 1);
		at += len + 1;
	}
	mtree_free(&mtree);
	return 0;
}
