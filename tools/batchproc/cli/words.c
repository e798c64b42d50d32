/* SPDX-License-Identifier: MIT */
/*
 * words: a line of shell words, taken apart as a POSIX shell does it. Pure functions on the
 * caller's memory: of a line of any length no more is held than its longest word.
 */
#include <stdlib.h>
#include <string.h>

#include "base/chars.h"
#include "cli/words.h"

#define KEEP_BYTES 65536u /* a longer word's memory is not kept for the next line */

/*
 * What does not stand for itself: the end of a word, a quote, or what a shell would expand or obey.
 */
static const bool special[256] = {
	['\0'] = true, ['\t'] = true, ['\n'] = true, [' '] = true, ['"'] = true,
	['$'] = true,  ['&'] = true,  ['\''] = true, ['('] = true, [')'] = true,
	['*'] = true,  [';'] = true,  ['<'] = true,  ['>'] = true, ['?'] = true,
	['['] = true,  ['\\'] = true, ['`'] = true,  ['{'] = true, ['|'] = true,
};

/* What is wrong with the line is said once: from here on it is passed on as false. */
static bool wrong(const struct words *s, struct buf *error, const char *at, const char *text)
{
	buf_str(error, text);
	buf_printf(error, " (column %zu)", (size_t)(at - s->start) + 1);
	return false;
}

/* Unquoted it would not be itself. */
static bool needs_quotes(const struct words *s, struct buf *error, const char *at)
{
	buf_str(error, "unquoted ");
	buf_visible(error, at, 1);
	return wrong(s, error, at,
		     ": nothing is expanded here; quote it to mean the character itself");
}

static bool add(struct words *s, struct buf *error, char c)
{
	if (!c)
		return wrong(s, error, s->at, "a NUL in a word");
	buf_char(&s->word, c);
	return true;
}

static bool single_quoted(struct words *s, struct buf *error, const char *open)
{
	for (; s->at < s->end; s->at++) {
		if (*s->at == '\'') {
			s->at++;
			return true;
		}
		if (!add(s, error, *s->at))
			return false;
	}
	return wrong(s, error, open, "a single quote that is not closed");
}

static bool double_quoted(struct words *s, struct buf *error, const char *open)
{
	for (; s->at < s->end; s->at++) {
		char c = *s->at;

		if (c == '"') {
			s->at++;
			return true;
		}
		if (c == '$' || c == '`')
			return needs_quotes(s, error, s->at);
		if (c == '\\' && s->at + 1 < s->end && memchr("$`\"\\\n", s->at[1], 5)) {
			c = *++s->at;
			if (c == '\n')
				continue;
		}
		if (!add(s, error, c))
			return false;
	}
	return wrong(s, error, open, "a double quote that is not closed");
}

/* Up to @most digits of a number in base 8 or 16. */
static bool number(struct words *s, struct buf *error, int base, int most)
{
	int value = 0, count = 0;

	for (; count < most && s->at < s->end; count++, s->at++) {
		int digit = hex_value(*s->at);

		if (digit < 0 || digit >= base)
			break;
		value = value * base + digit;
	}
	if (!count)
		return wrong(s, error, s->at, "\\x without a number");
	if (value > 255)
		return wrong(s, error, s->at, "an octal number above 377");
	return add(s, error, (char)value);
}

/* What stands behind a backslash in $'...': the form in which bash prints odd names. */
static bool escaped(struct words *s, struct buf *error)
{
	static const char names[] = "abeEfnrtv\\'\"?", values[] = "\a\b\033\033\f\n\r\t\v\\'\"?";
	const char *name = *s->at ? strchr(names, *s->at) : NULL;

	if (name) {
		s->at++;
		return add(s, error, values[name - names]);
	}
	if (*s->at >= '0' && *s->at <= '7')
		return number(s, error, 8, 3);
	if (*s->at != 'x')
		return wrong(s, error, s->at, "an escape in $'...' that is not known here");
	s->at++;
	return number(s, error, 16, 2);
}

static bool dollar_quoted(struct words *s, struct buf *error, const char *open)
{
	while (s->at < s->end) {
		char c = *s->at++;

		if (c == '\'')
			return true;
		if (c == '\\' && s->at < s->end ? !escaped(s, error) : !add(s, error, c))
			return false;
	}
	return wrong(s, error, open, "a $'...' that is not closed");
}

/* A backslash outside of quotes. */
static bool escaped_char(struct words *s, struct buf *error, const char *from)
{
	if (s->at == s->end)
		return wrong(s, error, from, "a backslash at the end: a job is one line");
	/* Before a newline, which lines that end with NUL may have, it joins two lines. */
	if (*s->at == '\n')
		s->at++;
	else if (!add(s, error, *s->at++))
		return false;
	return true;
}

/* A quoted part of a word. */
static bool take_part(struct words *s, struct buf *error)
{
	const char *from = s->at++;

	switch (*from) {
	case '\'':
		return single_quoted(s, error, from);
	case '"':
		return double_quoted(s, error, from);
	case '\\':
		return escaped_char(s, error, from);
	case '$':
		if (s->at < s->end && *s->at == '\'') {
			s->at++;
			return dollar_quoted(s, error, from);
		}
		break;
	}
	return *from ? needs_quotes(s, error, from) : wrong(s, error, from, "a NUL in a word");
}

/* As much as stands for itself. */
static void take_plain(struct words *s)
{
	const char *from = s->at;

	while (s->at < s->end && !special[(unsigned char)*s->at])
		s->at++;
	buf_add(&s->word, from, (size_t)(s->at - from));
}

static bool take_word(struct words *s, struct buf *error)
{
	if (*s->at == '~')
		return needs_quotes(s, error, s->at);
	while (s->at < s->end && !is_blank(*s->at)) {
		take_plain(s);
		if (s->at < s->end && !is_blank(*s->at) && !take_part(s, error))
			return false;
	}
	buf_char(&s->word, '\0');
	return true;
}

/*
 * To the end of the line; more than one has it where somebody wrote lines and said that NULs end
 * them.
 */
static bool take_comment(const struct words *s, struct buf *error)
{
	const char *newline = memchr(s->at, '\n', (size_t)(s->end - s->at));

	return !newline || wrong(s, error, newline, "a newline in a comment");
}

void words_begin(struct words *words, const char *line, size_t len)
{
	if (words->word.cap > KEEP_BYTES)
		buf_free(&words->word);
	words->start = words->at = line;
	words->end = line + len;
}

enum words_found words_next(struct words *words, struct buf *error)
{
	words->word.len = 0;
	while (words->at < words->end && is_blank(*words->at))
		words->at++;
	if (words->at == words->end)
		return WORDS_END;
	if (*words->at == '#')
		return take_comment(words, error) ? WORDS_END : WORDS_BAD;
	return take_word(words, error) ? WORDS_WORD : WORDS_BAD;
}

void words_free(struct words *words)
{
	buf_free(&words->word);
	*words = (struct words){0};
}
