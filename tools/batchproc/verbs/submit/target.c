/* SPDX-License-Identifier: MIT */
/*
 * target: the command that is to be divided. It is parsed as it will be on the nodes, so that what is
 * wrong is said before anything is submitted.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "cli/options.h"
#include "base/array.h"
#include "base/buf.h"
#include "base/status.h"
#include "run/item.h"
#include "verb.h"
#include "verbs/submit/submit.h"

static const char not_known[] = "'%s' is not a command that can be divided; there are%s";

/* What a part is given by the scripts, or makes no sense for one. */
static const char *unwanted(const struct options *o)
{
	return o->shard.parts		    ? "--shard" :
	       o->journal		    ? "--journal" :
	       o->json			    ? "--json" :
	       o->failed_to		    ? "--failed-to" :
	       o->dry_run		    ? "--dry-run" :
	       o->progress != PROGRESS_AUTO ? "--progress" :
					      NULL;
}

static bool wrong_list(const struct verb *verb, const char *name, int *status)
{
	struct stat st;

	if (!strcmp(name, "-"))
		*status = usage_error(verb, "each part reads all lists, and only one could read "
					    "standard input");
	else if (stat(name, &st))
		*status = usage_error(verb, "cannot read %s on this machine", name);
	else if (!S_ISREG(st.st_mode))
		*status = usage_error(verb, "each part reads all lists, and %s is no regular file",
				      name);
	else
		return false;
	return true;
}

/* Manifests and lists of digests are lists too, and - is standard input everywhere. */
static bool wrong_inputs(const struct verb *self, const struct verb *verb, const struct options *o,
			 int *status)
{
	const bool lists = verb == &run_verb || verb == &verify_verb;

	for (size_t i = 0; i < o->list_count; i++)
		if (wrong_list(self, o->lists[i], status))
			return true;
	for (size_t i = 0; i < o->arg_count; i++)
		if ((lists || !strcmp(o->args[i], "-")) && wrong_list(self, o->args[i], status))
			return true;
	if (o->arg_count || o->list_count)
		return false;
	*status = usage_error(self, "%s is given no items", verb->name);
	return true;
}

/* The operands, one after the other. */
struct operands {
	char **at;
};

static const char *next_operand(void *from)
{
	struct operands *operands = from;

	return *operands->at++;
}

static const char *undivided(const struct verb *verb, const struct options *o)
{
	const struct item_class class = {.ops = verb->items, .settings = o->settings};
	struct operands operands = {o->arg_count ? o->args : (char **)o->lists};
	/* What is in lists is looked at by the parts. */
	const size_t count = o->arg_count ? o->arg_count : 1;

	if (verb->divide)
		return verb->divide(o);
	if (!verb->check || (!o->arg_count && verb->items->source == SOURCE_ENDPOINT))
		return NULL;
	return verb->check(&(struct jobspec){.class = &class,
					     .count = count,
					     .next = next_operand,
					     .from = &operands});
}

/* None of its options is wrong, nor all of them together. */
static bool good_options(const struct verb *self, const struct verb *verb, const struct options *o,
			 int *status)
{
	const char *wrong = unwanted(o);

	if (wrong)
		*status = usage_error(self, "%s cannot be given: each part has its own", wrong);
	else if (o->policy.option)
		*status = usage_error(self,
				      "%s cannot be given: a part would stop itself, and "
				      "none of the others",
				      o->policy.option);
	else if (wrong_inputs(self, verb, o, status))
		return false;
	else if ((wrong = undivided(verb, o)))
		*status = usage_error(self, "%s: %s", verb->name, wrong);
	else
		return true;
	return false;
}

static bool can_be_divided(const struct verb *verb)
{
	return verb && (verb->items || verb == &run_verb) && verb != &list_verb;
}

static int unknown(const struct verb *self, const char *name)
{
	struct buf names = {0}, shown = {0};
	int status;

	for (size_t i = 0; verb_at(i); i++)
		if (can_be_divided(verb_at(i)))
			buf_printf(&names, " %s", verb_at(i)->name);
	buf_char(&names, '\0');
	buf_visible(&shown, name, strlen(name));
	buf_char(&shown, '\0');
	status = usage_error(self, not_known, shown.data, names.data);
	buf_free(&names);
	buf_free(&shown);
	return status;
}

/* Its words, without what says that it stands for another command. */
static void take_words(struct target *target, const struct options *options)
{
	const struct verb *verb = verb_by_name(options->args[0]), *other;
	int count = (int)options->arg_count;

	target->own = xcalloc(options->arg_count + 1, sizeof(*target->own));
	target->words = target->own;
	memcpy(target->words, options->args, options->arg_count * sizeof(*target->words));
	other = verb->stands_for ? verb->stands_for(&count, target->words) : NULL;
	target->verb = other ? other : verb;
	target->count = (size_t)count;
}

bool target_check(struct target *target, const struct options *options, int *status)
{
	struct options own;
	char **words;
	bool good;

	if (!can_be_divided(verb_by_name(options->args[0]))) {
		*status = unknown(options->verb, options->args[0]);
		return false;
	}
	take_words(target, options);
	/* Parsing brings them into another order. */
	words = xcalloc(target->count + 1, sizeof(*words));
	memcpy(words, target->words, target->count * sizeof(*words));
	good = options_parse(&own, target->verb, (int)target->count, words, status) &&
	       good_options(options->verb, target->verb, &own, status);
	options_free(&own);
	free(words);
	return good;
}

void target_drop(struct target *target)
{
	free(target->own);
}
