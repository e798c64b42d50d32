/* SPDX-License-Identifier: MIT */
/*
 * netrc: names and passwords by host.
 *
 *	machine NAME login USER password "PASS WORD"	# a comment
 *	default login USER password PASSWORD
 *	macdef NAME ... up to an empty line: passed over
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "net/netrc.h"

struct reader {
	const char *at, *end;
	struct buf word; /* ends with a NUL that is counted */
	const char *wrong;
};

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void skip_line(struct reader *r)
{
	while (r->at < r->end && *r->at != '\n')
		r->at++;
}

/* The next word; false at the end, or where a string has none. */
static bool next_word(struct reader *r)
{
	bool quoted;

	r->word.len = 0;
	for (; r->at < r->end && (is_space(*r->at) || *r->at == '#'); r->at++)
		if (*r->at == '#') {
			skip_line(r);
			if (r->at == r->end)
				return false;
		}
	if (r->at == r->end)
		return false;
	quoted = *r->at == '"';
	if (quoted)
		r->at++;
	while (r->at < r->end && !(quoted ? *r->at == '"' : is_space(*r->at))) {
		if (quoted && *r->at == '\\' && r->at + 1 < r->end)
			r->at++;
		buf_char(&r->word, *r->at++);
	}
	if (quoted && r->at == r->end)
		r->wrong = "has a string without an end";
	else if (quoted)
		r->at++;
	buf_char(&r->word, '\0');
	if (strlen(r->word.data) + 1 != r->word.len)
		r->wrong = "has a NUL";
	return !r->wrong;
}

static bool word_is(const struct reader *r, const char *word)
{
	return !strcmp(r->word.data, word);
}

static void skip_macro(struct reader *r)
{
	while (r->at < r->end) {
		skip_line(r);
		if (r->at < r->end)
			r->at++;
		if (r->at < r->end && *r->at == '\n')
			return;
	}
}

/* A word that has to be there. */
static char *value(struct reader *r)
{
	if (next_word(r))
		return xstrdup(r->word.data);
	if (!r->wrong)
		r->wrong = "ends where a value should be";
	return NULL;
}

static struct netrc_entry *new_entry(struct netrc *netrc)
{
	size_t size = (netrc->count + 1) * sizeof(*netrc->entries);

	netrc->entries = xrealloc(netrc->entries, size);
	memset(&netrc->entries[netrc->count], 0, sizeof(*netrc->entries));
	return &netrc->entries[netrc->count++];
}

static void replace(char **field, char *text)
{
	free(*field);
	*field = text;
}

static void take_word(struct netrc *netrc, struct reader *r)
{
	struct netrc_entry *entry = netrc->count ? &netrc->entries[netrc->count - 1] : NULL;

	if (word_is(r, "machine")) {
		entry = new_entry(netrc);
		entry->machine = value(r);
	} else if (word_is(r, "default")) {
		new_entry(netrc);
	} else if (word_is(r, "macdef")) {
		skip_macro(r);
	} else if (entry && word_is(r, "login")) {
		replace(&entry->user, value(r));
	} else if (entry && word_is(r, "password")) {
		replace(&entry->password, value(r));
	} else if (entry && word_is(r, "account")) {
		next_word(r);
	} else {
		r->wrong = "has a word that is neither machine, default, login, password, account "
			   "nor macdef";
	}
}

const char *netrc_parse(struct netrc *netrc, const char *text, size_t len)
{
	struct reader r = {.at = text, .end = text + len};

	memset(netrc, 0, sizeof(*netrc));
	while (!r.wrong && next_word(&r))
		take_word(netrc, &r);
	if (r.word.data)
		explicit_bzero(r.word.data, r.word.cap);
	buf_free(&r.word);
	if (r.wrong)
		netrc_free(netrc);
	return r.wrong;
}

void netrc_free(struct netrc *netrc)
{
	for (size_t i = 0; i < netrc->count; i++) {
		free(netrc->entries[i].machine);
		free(netrc->entries[i].user);
		free(netrc->entries[i].password);
	}
	free(netrc->entries);
	memset(netrc, 0, sizeof(*netrc));
}

const struct netrc_entry *netrc_find(const struct netrc *netrc, const char *host)
{
	for (size_t i = 0; i < netrc->count; i++)
		if (!netrc->entries[i].machine || !strcasecmp(netrc->entries[i].machine, host))
			return &netrc->entries[i];
	return NULL;
}
