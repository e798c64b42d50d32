/* SPDX-License-Identifier: MIT */
/*
 * fuzz_sumline: what was read from a line of digests is read again from the line that is written of
 * it. The first byte says what is asked for: names that end with NUL, one algorithm alone, tags.
 *
 * fuzzes: tools/batchproc/digest/sumline.c tools/batchproc/base/buf.c
 */
#include <string.h>

#include "base/buf.h"
#include "fuzz.h"
#include "digest/sumline.h"

static void written_and_read(const struct sumline *line, bool tag, bool zero)
{
	struct sumline again;
	struct buf buf = {0};

	sumline_add(&buf, line->alg, line->digest, line->name, line->len, tag, zero);
	must(buf.data[buf.len - 1] == (zero ? '\0' : '\n'));
	must(sumline_parse(&again, line->alg, buf.data, buf.len - 1, zero));
	must(again.alg == line->alg && again.len == line->len);
	must(!memcmp(again.digest, line->digest, line->alg->size));
	must(!memcmp(again.name, line->name, line->len));
	buf_free(&buf);
}

int fuzz_sumline(const uint8_t *data, size_t size)
{
	static const char *const names[] = {NULL, "sha256", "md5", "xxh3"};
	const uint8_t how = size ? data[0] : 0;
	const char *name = names[how >> 2 & 3];
	const struct digest_alg *forced = name ? digest_by_name(name) : NULL;
	const bool zero = how & 1, tag = how & 2;
	struct sumline line;
	char *text;

	if (!size)
		return 0;
	/* Of its own, to the byte: reading beyond the end is seen. */
	text = malloc(size);
	must(text != NULL);
	memcpy(text, data + 1, size - 1);
	if (sumline_parse(&line, forced, text, size - 1, zero)) {
		must(line.len > 0 && (!forced || line.alg == forced));
		written_and_read(&line, tag, zero);
	}
	free(text);
	return 0;
}
