/* SPDX-License-Identifier: MIT */
/*
 * words: a line of shell words, taken apart as a POSIX shell does it. Pure functions.
 *
 * Blanks separate; '...', "...", \c and $'...' quote; a # where a word could begin starts a
 * comment. Nothing is expanded. What a shell would expand or obey (* ? [ { $ ` ~ | & ; < > and
 * brackets) is an error where it is not quoted: who wrote it meant something else than the character.
 */
#ifndef BATCHPROC_WORDS_H
#define BATCHPROC_WORDS_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"

/* Words of a line; begins zeroed, and is used again for the next line. */
struct words {
	struct buf text; /* the words, each with a NUL behind it */
	size_t *starts; /* where in the text each one begins */
	size_t count;
	size_t room;
};

/* False: the line is not in order, and @error says what is wrong with it. */
bool words_split(struct words *words, const char *line, size_t len, struct buf *error);
void words_free(struct words *words);

/* Until the next split. */
static inline char *words_at(const struct words *words, size_t index)
{
	return words->text.data + words->starts[index];
}

#endif
