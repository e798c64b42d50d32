/* SPDX-License-Identifier: MIT */
/*
 * fuzz_sumline: a list of digests in any form, line by line as verify reads it. What was read from
 * a line is read again from the line that is written of it. The first byte says what is asked for:
 * names that end with NUL, tags, one algorithm alone, base64.
 *
 * fuzzes: tools/batchproc/digest/sumline.c tools/batchproc/digest/sumlist.c
 * fuzzes: tools/batchproc/digest/algs.c tools/batchproc/digest/mtree.c tools/batchproc/base/buf.c
 */
#include <string.h>

#include "base/buf.h"
#include "fuzz.h"
#include "digest/sumlist.h"

static void written_and_read(const struct sumline *line, struct sumstyle style)
{
	struct sumrules rules = {.forced = line->alg, .zero = style.zero};
	struct sumline again;
	struct buf buf = {0};

	sumline_add(&buf, line->alg, line->digest, line->name, line->len, style);
	must(buf.data[buf.len - 1] == (style.zero ? '\0' : '\n'));
	must(sumline_parse(&again, &rules, buf.data, buf.len - 1) == SUMLINE_ENTRY);
	must(again.alg == line->alg && again.len == line->len);
	must(!memcmp(again.digest, line->digest, line->alg->size));
	must(!memcmp(again.name, line->name, line->len));
	buf_free(&buf);
}

static void entry(const struct sumlist *list, const struct sumline *line, struct sumstyle style)
{
	must(line->len > 0 && line->more_count <= SUMLINE_MORE);
	must(line->alg || (line->facts.given && !line->more_count));
	must(!list->rules.forced || !line->alg || line->alg == list->rules.forced);
	for (size_t i = 0; i < line->more_count; i++)
		must(line->more[i].alg->size <= line->alg->size);
	/* Of another form: see fuzz_mtree.c. */
	if (line->facts.given)
		return;
	/* Without a tag a digest of so few bytes is no base64, and no name is told from its gap. */
	if (line->alg->size < 16 || line->name[0] == ' ' || line->name[0] == '*')
		style.tag = true;
	written_and_read(line, style);
}

static void take(struct sumlist *list, const uint8_t *data, size_t len, struct sumstyle style)
{
	struct sumline line;
	/* Of its own, to the byte: reading beyond the end is seen. */
	char *text = malloc(len + !len);

	must(text != NULL);
	memcpy(text, data, len);
	switch (sumlist_take(list, &line, text, len)) {
	case SUMLINE_ENTRY:
		entry(list, &line, style);
		break;
	case SUMLINE_UNCHECKED:
		must(line.len > 0 && !line.alg && line.why);
		must(!memcmp(text, data, len));
		break;
	default:
		break;
	}
	free(text);
}

int fuzz_sumline(const uint8_t *data, size_t size)
{
	static const char *const names[] = {NULL, "sha256", "md5", "xxh3"};
	const uint8_t how = size ? data[0] : 0;
	const char *name = names[how >> 2 & 3];
	const struct sumstyle style = {.tag = how & 2, .zero = how & 1, .base64 = how & 16};
	struct sumlist list = {
		.rules = {.zero = style.zero, .forced = name ? digest_by_name(name) : NULL}};

	for (size_t at = 1; at < size;) {
		const uint8_t *end = memchr(data + at, style.zero ? '\0' : '\n', size - at);
		size_t len = end ? (size_t)(end - data) - at : size - at;

		take(&list, data + at, len, style);
		at += len + 1;
	}
	sumlist_free(&list);
	return 0;
}
