/* SPDX-License-Identifier: MIT */
/*
 * verbs: the list of commands. A new verb is a file, or a folder, in verbs/ and an entry here.
 */
#include "base/array.h"
#include "verb.h"

static const struct verb *const verbs[] = {&hash_verb,	 &verify_verb, &copy_verb, &rm_verb,
					   &fetch_verb,	 &probe_verb,  &run_verb,  &list_verb,
					   &submit_verb, &merge_verb,  &info_verb};

void verbs_begin(void)
{
	verbs_set(verbs, ARRAY_SIZE(verbs));
}
