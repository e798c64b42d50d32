/* SPDX-License-Identifier: MIT */
/*
 * fuzz_bagline: lines of a bag's manifest and of its fetch.txt. What was read of an entry is read
 * again from the line that is written of it.
 *
 * fuzzes: tools/batchproc/digest/bagline.c tools/batchproc/digest/sumline.c
 * fuzzes: tools/batchproc/digest/algs.c tools/batchproc/base/buf.c
 */
#include <string.h>

#include "base/buf.h"
#include "digest/bagline.h"
#include "fuzz.h"

static void written_and_read(const struct sumline *line)
{
	struct buf name = {0}, text = {0}, again = {0};
	struct sumline second;

	bagline_decode(&name, line->name, line->len);
	bagline_add(&text, line->alg, line->digest, name.data, name.len);
	must(text.data[text.len - 1] == '\n' && !memchr(text.data, '\n', text.len - 1));
	/* The reader takes blanks in front of a name, and a star, for the gap. */
	if (!strchr(" \t*", name.data[0])) {
		must(bagline_parse(&second, line->alg, text.data, text.len - 1) == SUMLINE_ENTRY);
		bagline_decode(&again, second.name, second.len);
		must(again.len == name.len && !memcmp(again.data, name.data, name.len));
		must(!memcmp(second.digest, line->digest, line->alg->size));
	}
	buf_free(&name);
	buf_free(&text);
	buf_free(&again);
}

/* A name that is inside leads nowhere else. */
static void inside(const char *name, size_t len)
{
	const bool payload = bagline_is_inside(name, len, true);

	if (!payload && !bagline_is_inside(name, len, false))
		return;
	must(len && name[0] != '/' && !(payload && bagline_is_inside(name, len, false)));
	must(!(len == 2 && !memcmp(name, "..", 2)) && !memmem(name, len, "/../", 4));
	must(len < 3 || (memcmp(name, "../", 3) && memcmp(name + len - 3, "/..", 3)));
}

static void take(const struct digest_alg *alg, const uint8_t *data, size_t len)
{
	const char *name;
	struct sumline line;
	size_t name_len;
	/* Of its own, to the byte: reading beyond the end is seen. */
	char *text = malloc(len + !len);

	must(text != NULL);
	memcpy(text, data, len);
	if (bagline_fetch(&name, &name_len, text, len)) {
		must(name_len > 0 && name + name_len == text + len);
		inside(name, name_len);
	}
	if (bagline_parse(&line, alg, text, len) == SUMLINE_ENTRY) {
		must(line.len > 0 && !memchr(line.name, '\0', line.len));
		inside(line.name, line.len);
		written_and_read(&line);
	}
	free(text);
}

int fuzz_bagline(const uint8_t *data, size_t size)
{
	const struct digest_alg *alg = digest_by_name(size && data[0] & 1 ? "md5" : "sha256");

	for (size_t at = 1; at < size;) {
		const uint8_t *end = memchr(data + at, '\n', size - at);
		size_t len = end ? (size_t)(end - data) - at : size - at;

		take(alg, data + at, len);
		at += len + 1;
	}
	return 0;
}
