/* SPDX-License-Identifier: MIT */
/*
 * verbs: the table of commands. A new verb is a file, or a folder, in verbs/ and an entry here.
 */
#include <string.h>

#include "base/array.h"
#include "run/job.h"
#include "verb.h"

const struct verb *const verbs[] = {&hash_verb,	 &verify_verb, &copy_verb, &rm_verb,
				    &fetch_verb, &run_verb,    &info_verb};
const size_t verb_count = ARRAY_SIZE(verbs);

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
