/* SPDX-License-Identifier: MIT */
/*
 * verbs: some that do nothing, for tests of what reads jobs for them. They have options of all
 * kinds: with and without a letter, with and without an argument, names that begin alike.
 */
#include "base/array.h"
#include "verb.h"

static const struct opt hash_options[] = {
	{'a', "algorithm", "NAME", "", NULL, OPT_WHOLE},
	{'r', "recursive", NULL, "", NULL, OPT_WHOLE},
	{0, "tag", NULL, "", NULL, OPT_WHOLE},
	{0, "header", "TEXT", "", NULL, OPT_WHOLE},
	OPT_END,
};

static const struct opt copy_options[] = {
	{'a', "archive", NULL, "", NULL, OPT_WHOLE},
	{'r', "recursive", NULL, "", NULL, OPT_WHOLE},
	{'R', "recursive", NULL, "", NULL, OPT_WHOLE},
	{'u', "update", NULL, "", NULL, OPT_WHOLE},
	{0, "hash", "NAME", "", NULL, OPT_WHOLE},
	{0, "reflink", "WHEN", "", NULL, OPT_WHOLE},
	OPT_END,
};

static void add_nothing(struct job *job, const struct jobspec *spec)
{
	(void)job;
	(void)spec;
}

static const struct verb hash = {
	.name = "hash",
	.takes = TAKES_RUN | TAKES_ENGINE | TAKES_JSON,
	.options = hash_options,
	.add = add_nothing,
};

static const struct verb copy = {
	.name = "copy",
	.has_dst = true,
	.takes = TAKES_RUN | TAKES_ENGINE | TAKES_JSON,
	.options = copy_options,
	.add = add_nothing,
};

static const struct item_ops urls = {.op = "fetch", .source = SOURCE_URL};

static const struct verb fetch = {
	.name = "fetch",
	.has_dst = true,
	.takes = TAKES_RUN | TAKES_ENGINE | TAKES_JSON,
	.options = hash_options,
	.items = &urls,
	.add = add_nothing,
};

/* One that is no operation of a manifest. */
static const struct verb info = {.name = "info"};

__attribute__((constructor)) static void begin(void)
{
	static const struct verb *const verbs[] = {&hash, &copy, &fetch, &info};

	verbs_set(verbs, ARRAY_SIZE(verbs));
}
