/* SPDX-License-Identifier: MIT */
/*
 * fuzz_words: words that came out of a line come out again when each is quoted.
 *
 * fuzzes: tools/batchproc/cli/words.c tools/batchproc/base/buf.c
 */
#include <string.h>

#include "fuzz.h"
#include "cli/words.h"

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
	enum words_found found;

	buf_char(&line, ' ');
	words_begin(&words, (const char *)data, size);
	while ((found = words_next(&words, &error)) == WORDS_WORD)
		quote(&line, words.word.data);
	must((found == WORDS_BAD) == (error.len > 0));
	words_begin(&words, (const char *)data, size);
	words_begin(&again, line.data, line.len);
	error.len = 0;
	while (words_next(&again, &error) == WORDS_WORD) {
		must(words_next(&words, &error) == WORDS_WORD);
		must(!strcmp(words.word.data, again.word.data));
	}
	must(error.len == 0);
	must(words_next(&words, &error) == found);
	buf_free(&line);
	buf_free(&error);
	words_free(&words);
	words_free(&again);
	return 0;
}
