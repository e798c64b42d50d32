/* SPDX-License-Identifier: MIT */
/*
 * verb: the table of commands, which is made known at the start and does not change: any thread may
 * read it.
 */
#include <string.h>

#include "verb.h"

static const struct verb *const *verbs;
static size_t verb_count;

void verbs_set(const struct verb *const *table, size_t count)
{
	verbs = table;
	verb_count = count;
}

const struct verb *verb_at(size_t i)
{
	return i < verb_count ? verbs[i] : NULL;
}

const struct verb *verb_by_name(const char *name)
{
	for (size_t i = 0; i < verb_count; i++)
		if (!strcmp(name, verbs[i]->name))
			return verbs[i];
	return NULL;
}

enum source_kind verb_source(const struct verb *verb)
{
	return verb->items ? verb->items->source : SOURCE_PATH;
}
