/* SPDX-License-Identifier: MIT */
/*
 * words: a line of shell words, taken apart as a POSIX shell does it. Pure functions.
 *
 * Blanks separate; '...', "...", \c and $'...' quote; a # where a word could begin starts a
 * comment. Nothing is expanded. What a shell would expand or obey (* ? [ { $ ` ~ | & ; < > and
 * brackets) is an error where it is not quoted: who wrote it meant something else than the
 * character.
 */
#ifndef BATCHPROC_WORDS_H
#define BATCHPROC_WORDS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/*
 * A line, of which the words are taken one by one; begins zeroed, and is used again for the next.
 */
struct words {
	const char *start;
	const char *at; /* what is behind it was not looked at yet */
	const char *end;
	struct buf word; /* with a NUL behind it */
};

enum words_found {
	WORDS_END,
	WORDS_WORD, /* it is in words->word, until the next */
	WORDS_BAD, /* the line is not in order, and @error says what is wrong with it */
};

/* @line stays the caller's, as it is. */
void words_begin(struct words *words, const char *line, size_t len);
enum words_found words_next(struct words *words, struct buf *error);
void words_free(struct words *words);

#endif
