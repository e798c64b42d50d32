/* SPDX-License-Identifier: MIT */
/*
 * words: a line of shell words, taken apart as a POSIX shell does it. Pure functions on the
 * caller's memory.
 */
#include <stdlib.h>
#include <string.h>

#include "util.h"
#include "words.h"

/* The line that is read, and what comes of it. */
struct split {
	struct words *words;
	const char *start;
	const char *at;
	const char *end;
	struct buf *error;
};

static bool wrong(struct split *s, const char *at, const char *text)
{
	buf_str(s->error, text);
	buf_printf(s->error, " (column %zu)", (size_t)(at - s->start) + 1);
	return false;
}

/* Unquoted it would not be itself. */
static bool needs_quotes(struct split *s, const char *at)
{
	buf_str(s->error, "unquoted ");
	buf_visible(s->error, at, 1);
	return wrong(s, at, ": nothing is expanded here; quote it to mean the character itself");
}

static bool add(struct split *s, char c)
{
	if (!c)
		return wrong(s, s->at, "a NUL in a word");
	buf_char(&s->words->text, c);
	return true;
}

static bool single_quoted(struct split *s, const char *open)
{
	for (; s->at < s->end; s->at++) {
		if (*s->at == '\'') {
			s->at++;
			return true;
		}
		if (!add(s, *s->at))
			return false;
	}
	return wrong(s, open, "a single quote that is not closed");
}

static bool double_quoted(struct split *s, const char *open)
{
	for (; s->at < s->end; s->at++) {
		char c = *s->at;

		if (c == '"') {
			s->at++;
			return true;
		}
		if (c == '$' || c == '`')
			return needs_quotes(s, s->at);
		if (c == '\\' && s->at + 1 < s->end && memchr("$`\"\\\n", s->at[1], 5)) {
			c = *++s->at;
			if (c == '\n')
				continue;
		}
		if (!add(s, c))
			return false;
	}
	return wrong(s, open, "a double quote that is not closed");
}

/* Up to @most digits of a number in base 8 or 16. */
static bool number(struct split *s, int base, int most)
{
	int value = 0, count = 0;

	for (; count < most && s->at < s->end; count++, s->at++) {
		int digit = hex_value(*s->at);

		if (digit < 0 || digit >= base)
			break;
		value = value * base + digit;
	}
	if (!count)
		return wrong(s, s->at, "\\x without a number");
	if (value > 255)
		return wrong(s, s->at, "an octal number above 377");
	return add(s, (char)value);
}

/* What stands behind a backslash in $'...': the form in which bash prints odd names. */
static bool escaped(struct split *s)
{
	static const char names[] = "abefnrtv\\'\"?", values[] = "\a\b\033\f\n\r\t\v\\'\"?";
	const char *name = *s->at ? strchr(names, *s->at) : NULL;

	if (name) {
		s->at++;
		return add(s, values[name - names]);
	}
	if (*s->at >= '0' && *s->at <= '7')
		return number(s, 8, 3);
	if (*s->at != 'x')
		return wrong(s, s->at, "an escape in $'...' that is not known here");
	s->at++;
	return number(s, 16, 2);
}

static bool dollar_quoted(struct split *s, const char *open)
{
	while (s->at < s->end) {
		char c = *s->at++;

		if (c == '\'')
			return true;
		if (c == '\\' && s->at < s->end ? !escaped(s) : !add(s, c))
			return false;
	}
	return wrong(s, open, "a $'...' that is not closed");
}

/* A backslash outside of quotes. */
static bool escaped_char(struct split *s, const char *from)
{
	if (s->at == s->end)
		return wrong(s, from, "a backslash at the end: a job is one line");
	/* Before a newline, which lines that end with NUL may have, it joins two lines. */
	if (*s->at == '\n')
		s->at++;
	else if (!add(s, *s->at++))
		return false;
	return true;
}

/* A quoted part of a word, or one character of it. */
static bool take_part(struct split *s)
{
	const char *from = s->at++;

	switch (*from) {
	case '\'':
		return single_quoted(s, from);
	case '"':
		return double_quoted(s, from);
	case '\\':
		return escaped_char(s, from);
	case '$':
		if (s->at < s->end && *s->at == '\'') {
			s->at++;
			return dollar_quoted(s, from);
		}
		break;
	}
	if (*from && strchr("*?[{$`|&;<>()\n", *from))
		return needs_quotes(s, from);
	return add(s, *from);
}

static bool take_word(struct split *s)
{
	struct words *words = s->words;

	if (words->count == words->room) {
		words->room = words->room ? 2 * words->room : 16;
		words->starts = xrealloc(words->starts, words->room * sizeof(*words->starts));
	}
	words->starts[words->count++] = words->text.len;
	if (*s->at == '~')
		return needs_quotes(s, s->at);
	while (s->at < s->end && !is_blank(*s->at))
		if (!take_part(s))
			return false;
	buf_char(&words->text, '\0');
	return true;
}

bool words_split(struct words *words, const char *line, size_t len, struct buf *error)
{
	struct split s = {words, line, line, line + len, error};

	words->text.len = 0;
	words->count = 0;
	for (;;) {
		while (s.at < s.end && is_blank(*s.at))
			s.at++;
		if (s.at == s.end || *s.at == '#')
			return true;
		if (!take_word(&s))
			return false;
	}
}

void words_free(struct words *words)
{
	buf_free(&words->text);
	free(words->starts);
	*words = (struct words){0};
}
