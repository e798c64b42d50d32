/* SPDX-License-Identifier: MIT */
/*
 * fuzz_words: words that came out of a line come out again when each is quoted.
 *
 * fuzzes: tools/batchproc/words.c tools/batchproc/buf.c
 */
#include <string.h>

#include "fuzz.h"
#include "words.h"

static void quote(struct buf *line, const char *word)
{
	buf_char(line, '\'');
	for (; *word; word++) {
		if (*word == '\'')
			buf_str(line, "'\\'");
		buf_char(line, *word);
	}
	buf_str(line, "' ");
}

int fuzz_words(const uint8_t *data, size_t size)
{
	struct words words = {0}, again = {0};
	struct buf line = {0}, error = {0};

	if (!words_split(&words, (const char *)data, size, &error)) {
		must(error.len > 0);
	} else {
		buf_char(&line, ' ');
		for (size_t i = 0; i < words.count; i++)
			quote(&line, words_at(&words, i));
		must(words_split(&again, line.data, line.len, &error));
		must(again.count == words.count);
		for (size_t i = 0; i < words.count; i++)
			must(!strcmp(words_at(&words, i), words_at(&again, i)));
		must(error.len == 0);
	}
	buf_free(&line);
	buf_free(&error);
	words_free(&words);
	words_free(&again);
	return 0;
}
