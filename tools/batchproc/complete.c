/* SPDX-License-Identifier: MIT */
/*
 * complete: what may stand where a shell completes a word, for the completion of bash, zsh and fish.
 *
 * `batchproc --complete WORD...` has the words behind the command's name up to the cursor, the last of
 * which is the one to complete and may be empty. Its first line of output is what may stand there:
 * "words", of which the further lines have one each, with a tab and a description where there is one;
 * "files"; "dirs"; or "none". All of it is read from the tables of verbs, options and topics.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/array.h"
#include "base/buf.h"
#include "base/message.h"
#include "cli/options.h"
#include "complete.h"
#include "digest/digest.h"
#include "help.h"
#include "verb.h"

/* A span of text that does not end with a NUL. */
struct span {
	const char *at;
	size_t len;
};

static bool is_text(struct span span, const char *text)
{
	return strlen(text) == span.len && !memcmp(span.at, text, span.len);
}

static bool begins(const char *text, size_t len, const char *with)
{
	const size_t count = strlen(with);

	return count <= len && !memcmp(text, with, count);
}

/* One that may stand there, where it begins as the word does; @help up to the end of its line. */
static void offer(const char *word, const char *name, const char *help)
{
	if (begins(name, strlen(name), word))
		printf("%s%s%.*s\n", name, help ? "\t" : "", help ? (int)strcspn(help, "\n") : 0,
		       help ? help : "");
}

/* ---- arguments of options */

/* What stands for itself in the help of an argument: size, not N, @FILE or I/N. */
static bool is_literal(struct span span)
{
	if (!span.len || span.at[0] < 'a' || span.at[0] > 'z')
		return false;
	for (size_t i = 0; i < span.len; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789-", span.at[i]))
			return false;
	return true;
}

/* Whether it is among those of a list with commas. */
static bool is_listed(struct span span, const char *list, size_t len)
{
	for (const char *end = list + len; list < end;) {
		const size_t count = strcspn(list, ",");

		if (count == span.len && !memcmp(list, span.at, count))
			return true;
		list += count + 1;
	}
	return false;
}

/* The words of one alternative; with commas between them any of these may be given. */
static void offer_literals(struct span words, const char *arg, const char *before)
{
	const bool several = memchr(words.at, ',', words.len);
	const char *last = several ? strrchr(arg, ',') : NULL;
	const size_t kept = last ? (size_t)(last + 1 - arg) : 0;

	for (const char *end = words.at + words.len; words.at < end; words.at += words.len + 1) {
		words.len = strcspn(words.at, ",|]");
		if (is_literal(words) && begins(words.at, words.len, arg + kept) &&
		    !is_listed(words, arg, kept))
			printf("%s%.*s%.*s\n", before, (int)kept, arg, (int)words.len, words.at);
	}
}

static void offer_algorithms(const char *arg, const char *before)
{
	for (size_t i = 0; i < DIGEST_ALGS; i++)
		/* One for each length of BLAKE2b would hide all others. */
		if (begins(digest_algs[i].name, strlen(digest_algs[i].name), arg) &&
		    (!begins(digest_algs[i].name, strlen(digest_algs[i].name), "blake2b-") ||
		     begins(arg, strlen(arg), "blake2b-")))
			printf("%s%s\n", before, digest_algs[i].name);
}

/* What stands for it in the help says what it may be. */
static void complete_argument(const struct opt *opt, const char *arg, const char *before)
{
	struct span words = {opt->arg + (opt_is_optional(opt) ? 2 : 0), 0};
	const struct span all = {words.at, strcspn(words.at, "]")};

	if (is_text(all, "FILE") || is_text(all, "PATH")) {
		puts("files");
	} else if (is_text(all, "DIR")) {
		puts("dirs");
	} else {
		puts("words");
		if (is_text(all, "ALGORITHM"))
			offer_algorithms(arg, before);
		for (const char *end = all.at + all.len; words.at < end;
		     words.at += words.len + 1) {
			words.len = strcspn(words.at, "|]");
			offer_literals(words, arg, before);
		}
	}
}

/* ---- the words of a command line */

/* Another row, with another letter, may have its name too. */
static bool is_first(const struct verb *verb, size_t i)
{
	const char *name = option_at(verb, i)->name;

	while (i > 0)
		if (!strcmp(option_at(verb, --i)->name, name))
			return false;
	return true;
}

static void complete_options(const struct verb *verb, const char *word)
{
	const struct opt *opt;
	char name[64];

	puts("words");
	for (size_t i = 0; (opt = option_at(verb, i)); i++) {
		snprintf(name, sizeof(name), "-%c", opt->letter);
		if (opt->letter && !word[1])
			offer(word, name, opt->help);
		snprintf(name, sizeof(name), "--%s", opt->name);
		if (is_first(verb, i))
			offer(word, name, opt->help);
	}
}

static void complete_command(const char *word)
{
	const struct verb *verb;

	for (size_t i = 0; (verb = verb_at(i)); i++)
		offer(word, verb->name, verb->summary);
}

/* The option whose argument the next word is; NULL: it is none's. */
static const struct opt *awaits(const struct verb *verb, const char *word)
{
	const struct opt *opt = NULL;
	bool ambiguous;

	if (!strncmp(word, "--", 2)) {
		if (!strchr(word, '='))
			opt = option_by_name(verb, word + 2, strlen(word + 2), &ambiguous);
	} else if (word[0] == '-') {
		while (*++word) {
			opt = option_by_letter(verb, *word);
			if (opt && opt->arg)
				break;
		}
		/* What stands behind the letter is its argument. */
		if (*word && word[1])
			opt = NULL;
	}
	return opt && opt->arg && !opt_is_optional(opt) ? opt : NULL;
}

/* How far a command line has come before the word that is completed. */
struct place {
	const struct opt *opt; /* whose argument comes next */
	bool ended; /* there was a -- */
	size_t begin; /* what follows that */
};

static struct place find_place(const struct verb *verb, char **words, size_t count)
{
	struct place place = {0};

	for (size_t i = 1; i + 1 < count && !place.ended; i++) {
		const struct opt *before = place.opt;

		place.opt = before ? NULL : awaits(verb, words[i]);
		place.ended = !before && !strcmp(words[i], "--");
		place.begin = i + 1;
	}
	return place;
}

static void complete_verb(const struct verb *verb, char **words, size_t count);

static void complete_operand(const struct verb *verb, const struct place *place, char **words,
			     size_t count)
{
	static const char *const files[] = {"PATH", "SOURCE", "LIST", "MANIFEST", "RECORDS"};
	const char *word = words[count - 1];

	if (strstr(verb->synopsis, "-- COMMAND")) {
		const bool first = place->begin + 1 == count;
		const struct verb *inner =
			place->ended && !first ? verb_by_name(words[place->begin]) : NULL;

		if (inner) {
			complete_verb(inner, words + place->begin, count - place->begin);
			return;
		}
		puts("words");
		if (place->ended && first)
			complete_command(word);
		else if (!place->ended)
			offer(word, "--", "the command follows");
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		if (strstr(verb->synopsis, files[i])) {
			puts("files");
			return;
		}
	}
	puts("none");
}

/* The verb that the words before the last are for, as main() has it: hash -c is verify. */
static const struct verb *meant(const struct verb *verb, char **words, size_t count)
{
	char **copy = xcalloc(count + 1, sizeof(*copy));
	int argc = (int)count - 1;
	const struct verb *other = NULL;

	for (size_t i = 0; i + 1 < count; i++)
		copy[i] = xstrdup(words[i]);
	if (verb->stands_for) {
		char **args = xcalloc(count + 1, sizeof(*args));

		memcpy(args, copy, count * sizeof(*args));
		other = verb->stands_for(&argc, args);
		free(args);
	}
	for (size_t i = 0; i + 1 < count; i++)
		free(copy[i]);
	free(copy);
	return other ? other : verb;
}

/* words[0] is the verb's name. */
static void complete_verb(const struct verb *verb, char **words, size_t count)
{
	const struct verb *really = meant(verb, words, count);
	const struct place place = find_place(really, words, count);
	char *word = words[count - 1];
	const char *equals = strchr(word, '=');
	const struct opt *opt = NULL;
	bool ambiguous;

	if (place.opt) {
		complete_argument(place.opt, word, "");
	} else if (!place.ended && !strncmp(word, "--", 2) && equals) {
		opt = option_by_name(really, word + 2, (size_t)(equals - word - 2), &ambiguous);
		if (opt && opt->arg) {
			struct buf before = {0};

			buf_add(&before, word, (size_t)(equals + 1 - word));
			buf_char(&before, '\0');
			complete_argument(opt, equals + 1, before.data);
			buf_free(&before);
		} else {
			puts("none");
		}
	} else if (!place.ended && word[0] == '-') {
		complete_options(really, word);
	} else {
		complete_operand(really, &place, words, count);
	}
}

int complete(char **words, size_t count)
{
	const char *word = words[count - 1];
	const struct verb *verb = verb_by_name(words[0]);

	if (count == 1 || (count == 2 && !strcmp(words[0], "help"))) {
		puts("words");
		complete_command(word);
		if (count == 1) {
			offer(word, "help", "What a command or a topic is about");
			offer(word, "--help", "The commands");
			offer(word, "--version", "The version");
		} else {
			help_offer_topics(word, offer);
		}
	} else if (verb) {
		complete_verb(verb, words, count);
	} else {
		puts("none");
	}
	return flush_stdout();
}
