/* SPDX-License-Identifier: MIT */
/*
 * manifest: one line of a manifest, taken apart into a job for a verb. Pure functions on the
 * caller's memory; JSON is read by jansson.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cli/manifest.h"
#include "cli/options.h"
#include "base/array.h"
#include "base/chars.h"
#include "verb.h"

#define KEEP_BYTES 65536u /* longer ones are not kept for the next line */
#define SHOWN_MOST 60u /* bytes of the line in a message about it */

/* ---- what is wrong */

static bool wrong(struct manifest_job *job, const char *text)
{
	buf_str(&job->error, text);
	return false;
}

/* A part of the line, and what is wrong with it. */
static bool wrong_part(struct manifest_job *job, const char *part, size_t len, const char *text)
{
	buf_char(&job->error, '\'');
	buf_visible(&job->error, part, len < SHOWN_MOST ? len : SHOWN_MOST);
	if (len > SHOWN_MOST)
		buf_str(&job->error, "...");
	buf_str(&job->error, "' ");
	return wrong(job, text);
}

static bool wrong_key(struct manifest_job *job, const char *key, const char *text)
{
	return wrong_part(job, key, strlen(key), text);
}

/* ---- the parts of a job */

static bool set_verb(struct manifest_job *job, const char *name)
{
	const char *comma = "is not an operation; there are ";
	const struct verb *verb;

	job->verb = verb_by_name(name);
	if (job->verb && job->verb->add)
		return true;
	wrong_part(job, name, strlen(name), "");
	for (size_t i = 0; (verb = verb_at(i)); i++) {
		if (!verb->add)
			continue;
		buf_str(&job->error, comma);
		buf_str(&job->error, verb->name);
		comma = ", ";
	}
	return false;
}

static bool add_operand(struct manifest_job *job, const char *arg)
{
	if (!*arg)
		return wrong(job, "an empty name");
	job->count++;
	if (job->verb->has_dst) {
		job->last.len = 0;
		buf_add(&job->last, arg, strlen(arg) + 1);
	}
	return true;
}

static bool add_option(struct manifest_job *job, const struct opt *opt, const char *arg)
{
	if (job->option_count == ARRAY_SIZE(job->options))
		return wrong(job, "more options than any job needs");
	job->options[job->option_count++] = (struct manifest_option){opt, arg};
	return true;
}

static const struct opt *own_letter(struct manifest_job *job, const char *letter)
{
	const struct opt *opt = option_by_letter(job->verb, *letter);
	char shown[2] = {'-', *letter};

	if (opt && !option_is_shared(opt))
		return opt;
	wrong_part(job, shown, 2, opt ? "is an option for the whole run" : "is not an option of ");
	if (!opt)
		wrong(job, job->verb->name);
	return NULL;
}

/* By its long name; @dashes stand in front of it in the line, and @exact ones are not shortened. */
static const struct opt *own_name(struct manifest_job *job, const char *name, size_t len,
				  size_t dashes, bool exact)
{
	bool ambiguous;
	const struct opt *opt = option_by_name(job->verb, name, len, &ambiguous);

	if (opt && exact && opt->name[len])
		opt = NULL;
	if (opt && !option_is_shared(opt))
		return opt;
	wrong_part(job, name - dashes, dashes + len,
		   opt		       ? "is an option for the whole run" :
		   ambiguous && !exact ? "is short for more than one option of " :
					 "is not an option of ");
	if (!opt)
		wrong(job, job->verb->name);
	return NULL;
}

/* ---- words */

/*
 * Words are read one after the other, and twice: for the options and the number of the operands,
 * and then for these. So a line may have any number of them.
 */
enum part {
	PART_END,
	PART_OPERAND,
	PART_OPTIONS,
	PART_BAD,
};

/* With an argument that is kept: there is room for all that the line may have. */
static bool add_word_option(struct manifest_job *job, const struct opt *opt, const char *arg)
{
	size_t from = job->text.len;

	/* The second time they are there already. */
	if (job->given)
		return true;
	if (arg)
		buf_add(&job->text, arg, strlen(arg) + 1);
	return add_option(job, opt, arg ? job->text.data + from : NULL);
}

/* The next word is the argument of the option that ends the word before it. */
static bool add_option_and_word(struct manifest_job *job, const struct opt *opt)
{
	char before[SHOWN_MOST + 2];

	/* For the message; it stands where the argument comes to stand. */
	snprintf(before, sizeof(before), "%s", job->words.word.data);
	if (words_next(&job->words, &job->error) == WORDS_WORD)
		return add_word_option(job, opt, job->words.word.data);
	return job->error.len ? false : wrong_key(job, before, "needs an argument");
}

/* --name, --name=argument, --name argument. */
static bool take_long(struct manifest_job *job)
{
	const char *word = job->words.word.data;
	const char *name = word + 2;
	size_t len = strcspn(name, "=");
	const struct opt *opt = own_name(job, name, len, 2, false);

	if (!opt)
		return false;
	if (!opt->arg && name[len])
		return wrong_part(job, word, 2 + len, "takes no argument");
	if (opt->arg && !name[len] && !opt_is_optional(opt))
		return add_option_and_word(job, opt);
	return add_word_option(job, opt, name[len] ? name + len + 1 : NULL);
}

/* -a, -ab, -aargument, -a argument. */
static bool take_letters(struct manifest_job *job)
{
	const char *letter = job->words.word.data + 1;

	for (; *letter; letter++) {
		const struct opt *opt = own_letter(job, letter);

		if (!opt)
			return false;
		if (opt->arg && letter[1])
			return add_word_option(job, opt, letter + 1);
		if (opt->arg)
			return add_option_and_word(job, opt);
		if (!add_word_option(job, opt, NULL))
			return false;
	}
	return true;
}

/* The next part of the line: an operand, in job->words.word, or one word of options. */
static enum part next_part(struct manifest_job *job)
{
	const char *word;
	bool good;

	for (;;) {
		switch (words_next(&job->words, &job->error)) {
		case WORDS_END:
			return PART_END;
		case WORDS_BAD:
			return PART_BAD;
		case WORDS_WORD:
			break;
		}
		word = job->words.word.data;
		if (job->options_end || word[0] != '-' || !word[1])
			return PART_OPERAND;
		if (strcmp(word, "--"))
			break;
		job->options_end = true;
	}
	good = word[1] == '-' ? take_long(job) : take_letters(job);
	return good ? PART_OPTIONS : PART_BAD;
}

static enum manifest_line take_words(struct manifest_job *job)
{
	enum words_found found = words_next(&job->words, &job->error);
	enum part part;

	if (found != WORDS_WORD)
		return found == WORDS_END ? MANIFEST_NOTHING : MANIFEST_BAD;
	if (!set_verb(job, job->words.word.data))
		return MANIFEST_BAD;
	do {
		part = next_part(job);
		if (part == PART_OPERAND && !add_operand(job, job->words.word.data))
			part = PART_BAD;
	} while (part == PART_OPERAND || part == PART_OPTIONS);
	return part == PART_END ? MANIFEST_JOB : MANIFEST_BAD;
}

/* ---- JSON */

static const char *take_base64(struct manifest_job *job, const char *key, const json_t *value)
{
	const json_t *text = json_object_get(value, "base64");
	size_t from = job->text.len;

	if (json_object_size(value) != 1 || !json_is_string(text)) {
		wrong_key(job, key, "is neither text nor {\"base64\":\"...\"}");
		return NULL;
	}
	if (!buf_unbase64(&job->text, json_string_value(text), json_string_length(text))) {
		wrong_key(job, key, "is not in base64");
		return NULL;
	}
	if (job->text.len > from && memchr(job->text.data + from, '\0', job->text.len - from)) {
		wrong_key(job, key, "has a NUL");
		return NULL;
	}
	buf_char(&job->text, '\0');
	return job->text.data + from;
}

static const char *take_text(struct manifest_job *job, const char *key, const json_t *value)
{
	if (json_is_string(value))
		return json_string_value(value);
	if (json_is_object(value))
		return take_base64(job, key, value);
	wrong_key(job, key, "is neither text nor {\"base64\":\"...\"}");
	return NULL;
}

/* The argument of an option may be a number too. */
static const char *take_argument(struct manifest_job *job, const char *key, const json_t *value)
{
	size_t from = job->text.len;

	if (!json_is_integer(value))
		return take_text(job, key, value);
	buf_printf(&job->text, "%" JSON_INTEGER_FORMAT "%c", json_integer_value(value), '\0');
	return job->text.data + from;
}

/* An option that takes no argument is true or false; one that may be given again, an array. */
static bool take_option(struct manifest_job *job, const char *key, const json_t *value, bool exact)
{
	const struct opt *opt = own_name(job, key, strlen(key), 0, exact);
	const bool many = json_is_array(value);

	if (!opt)
		return false;
	if (!opt->arg || (opt_is_optional(opt) && json_is_boolean(value))) {
		if (!json_is_boolean(value))
			return wrong_key(job, key, "is neither true nor false");
		return json_is_false(value) || add_option(job, opt, NULL);
	}
	for (size_t i = 0; i < (many ? json_array_size(value) : 1); i++) {
		const char *arg = take_argument(job, key, many ? json_array_get(value, i) : value);

		if (!arg || !add_option(job, opt, arg))
			return false;
	}
	return true;
}

/*
 * Whether a member is no part of the job. A record has fields about how it went, and the verb's own
 * ones; those that are named as an option is (or as it may be shortened) say how it was done.
 */
static bool is_result(const struct manifest_job *job, const char *key)
{
	static const char *const keys[] = {"v",	    "seq",	"status", "errno", "error",
					   "bytes", "attempts", "start",  "dur_us"};
	const struct opt *opt;
	bool ambiguous;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (!strcmp(key, keys[i]))
			return true;
	opt = option_by_name(job->verb, key, strlen(key), &ambiguous);
	return !opt || option_is_shared(opt);
}

static bool take_name(struct manifest_job *job, const char *key)
{
	const json_t *value = json_object_get(job->json, key);
	const char *name;

	if (!value)
		return wrong_key(job, key, "is missing");
	name = take_text(job, key, value);
	if (!name || !add_operand(job, name))
		return false;
	job->names[job->count - 1] = name;
	return true;
}

static bool take_members(struct manifest_job *job)
{
	const json_t *op = json_object_get(job->json, "op");
	const bool record = json_object_get(job->json, "status");
	const char *key, *src;
	json_t *value;

	if (!json_is_string(op))
		return wrong(job, "no \"op\": what is to be done?");
	if (!set_verb(job, json_string_value(op)))
		return false;
	src = source_key(verb_source(job->verb));
	if (!take_name(job, src))
		return false;
	if (job->verb->has_dst && json_object_get(job->json, "dst") && !take_name(job, "dst"))
		return false;
	job->exact = record;
	json_object_foreach(job->json, key, value)
	{
		if (!strcmp(key, "op") || !strcmp(key, src) ||
		    (job->verb->has_dst && !strcmp(key, "dst")) || (record && is_result(job, key)))
			continue;
		if (!take_option(job, key, value, !record))
			return false;
	}
	return true;
}

static enum manifest_line take_json(struct manifest_job *job, const char *line, size_t len)
{
	json_error_t error;

	job->json = json_loadb(line, len, JSON_REJECT_DUPLICATES, &error);
	if (!job->json) {
		buf_str(&job->error, "not JSON: ");
		buf_visible(&job->error, error.text, strlen(error.text));
		buf_printf(&job->error, " (column %d)", error.column);
		return MANIFEST_BAD;
	}
	if (json_is_true(json_object_get(job->json, "summary")))
		return MANIFEST_NOTHING;
	return take_members(job) ? MANIFEST_JOB : MANIFEST_BAD;
}

/* ---- lines */

static enum manifest_line parse(struct manifest_job *job, const char *line, size_t len)
{
	size_t blanks = 0;

	if (memchr(line, '\0', len)) {
		wrong(job, "has a NUL (-0 reads manifests whose jobs are separated by them)");
		return MANIFEST_BAD;
	}
	while (blanks < len && is_blank(line[blanks]))
		blanks++;
	/* No string is longer here than it was in the line, so that none moves the others. */
	buf_room(&job->text, len + 1);
	if (blanks < len && line[blanks] == '{')
		return take_json(job, line, len);
	words_begin(&job->words, line, len);
	return take_words(job);
}

/* What a long line has left. */
static void trim(struct buf *buf)
{
	if (buf->cap > KEEP_BYTES)
		buf_free(buf);
}

void manifest_setup(void)
{
	json_object_size(NULL);
}

enum manifest_line manifest_parse(struct manifest_job *job, const char *line, size_t len)
{
	enum manifest_line kind;

	json_decref(job->json);
	job->json = NULL;
	job->verb = NULL;
	job->exact = false;
	job->options_end = false;
	job->count = 0;
	job->given = 0;
	job->option_count = 0;
	job->text.len = 0;
	job->error.len = 0;
	trim(&job->text);
	trim(&job->last);
	kind = parse(job, line, len);
	buf_char(&job->error, '\0');
	job->error.len--;
	return kind;
}

const char *manifest_next(struct manifest_job *job)
{
	if (job->given == job->count)
		return NULL;
	if (job->json)
		return job->names[job->given++];
	if (!job->given++) {
		/* Once more from the beginning; what was good the first time is so again. */
		words_begin(&job->words, job->words.start,
			    (size_t)(job->words.end - job->words.start));
		words_next(&job->words, &job->error);
		job->options_end = false;
	}
	while (next_part(job) != PART_OPERAND)
		;
	return job->words.word.data;
}

void manifest_rewind(struct manifest_job *job)
{
	job->given = 0;
}

void manifest_free(struct manifest_job *job)
{
	json_decref(job->json);
	words_free(&job->words);
	buf_free(&job->text);
	buf_free(&job->last);
	buf_free(&job->error);
	*job = (struct manifest_job){0};
}

/* Two letters may stand for one option: -r and -R. */
static bool is_same(const struct opt *a, const struct opt *b)
{
	return !strcmp(a->name, b->name);
}

/* Whether an option stood in the line before. */
static bool is_repeated(const struct manifest_job *job, size_t index)
{
	for (size_t i = 0; i < index; i++)
		if (is_same(job->options[i].opt, job->options[index].opt))
			return true;
	return false;
}

/* The arguments that it was given; without any it is a flag. */
static void add_arguments(const struct manifest_job *job, const struct opt *opt, struct buf *buf)
{
	size_t from = buf->len, count = 0;

	for (size_t i = 0; i < job->option_count; i++) {
		const char *arg = job->options[i].arg;

		if (!arg || !is_same(job->options[i].opt, opt))
			continue;
		buf_char(buf, count++ ? ',' : '[');
		buf_json(buf, arg, strlen(arg));
	}
	if (!count)
		buf_str(buf, "true");
	else if (count > 1)
		buf_char(buf, ']');
	else
		memmove(buf->data + from, buf->data + from + 1, --buf->len - from);
}

void manifest_add_options(const struct manifest_job *job, struct buf *buf)
{
	for (size_t i = 0; i < job->option_count; i++) {
		const struct opt *opt = job->options[i].opt;

		if (is_repeated(job, i))
			continue;
		buf_printf(buf, ",\"%s\":", opt->name);
		add_arguments(job, opt, buf);
	}
}
