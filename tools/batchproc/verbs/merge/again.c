/* SPDX-License-Identifier: MIT */
/*
 * again: what did not succeed, in a form that can be done again. Pure functions.
 *
 * Records do not say with which options a command was called. Where its items are names, these are
 * a list for the same command; verify takes lines with digests; of all others the record is a job
 * for `batchproc run`, and that of a fetch is one with the file that it was to be.
 */
#include <string.h>

#include "base/chars.h"
#include "digest/sumline.h"
#include "verb.h"
#include "verbs/merge/merge.h"

enum again_form again_form_of(const char *op)
{
	const struct verb *verb = verb_by_name(op);

	if (!strcmp(op, "verify"))
		return AGAIN_SUMS;
	if (!verb || !verb->items || verb->has_dst || verb->items->source == SOURCE_URL)
		return AGAIN_JOBS;
	return AGAIN_NAMES;
}

static bool add_name(struct buf *buf, const struct fact *fact, bool zero, const char **why)
{
	if (!zero && memchr(fact->name.data, '\n', fact->name.len)) {
		*why = "a newline in a name needs -0";
		return false;
	}
	buf_add(buf, fact->name.data, fact->name.len);
	return true;
}

static bool take_digest(const struct digest_alg *alg, const char *hex,
			unsigned char bytes[DIGEST_SIZE_MAX])
{
	if (!alg || strlen(hex) != 2 * alg->size)
		return false;
	for (size_t i = 0; i < alg->size; i++) {
		const int high = hex_value(hex[2 * i]), low = hex_value(hex[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		bytes[i] = (unsigned char)(high << 4 | low);
	}
	return true;
}

static bool add_sum(struct buf *buf, const struct fact *fact, bool zero, const char **why)
{
	unsigned char bytes[DIGEST_SIZE_MAX];
	const struct digest_alg *alg = fact->alg ? digest_by_name(fact->alg) : NULL;

	if (!fact->expected || !take_digest(alg, fact->expected, bytes)) {
		*why = "its record does not say which digest was expected";
		return false;
	}
	sumline_add(buf, alg, bytes, fact->name.data, fact->name.len,
		    (struct sumstyle){.tag = true, .zero = zero});
	return true;
}

static bool add_job(struct buf *buf, const struct fact *fact, const char **why)
{
	const struct verb *verb = verb_by_name(fact->op);

	if (!verb || !verb->add || !strcmp(fact->op, "verify")) {
		*why = "its record is no job";
		return false;
	}
	if (!verb->items || verb->items->source != SOURCE_URL) {
		buf_add(buf, fact->text, fact->len);
		return true;
	}
	buf_printf(buf, "{\"op\":\"%s\",\"url\":", fact->op);
	buf_json(buf, fact->name.data, fact->name.len);
	if (fact->has_dst) {
		buf_str(buf, ",\"output\":");
		buf_json(buf, fact->dst.data, fact->dst.len);
	}
	buf_char(buf, '}');
	return true;
}

bool again_add(struct buf *buf, const struct fact *fact, enum again_form form, bool zero,
	       const char **why)
{
	switch (form) {
	case AGAIN_SUMS:
		return add_sum(buf, fact, zero, why);
	case AGAIN_JOBS:
		if (!add_job(buf, fact, why))
			return false;
		break;
	case AGAIN_NAMES:
		if (!add_name(buf, fact, zero, why))
			return false;
		break;
	}
	buf_char(buf, zero ? '\0' : '\n');
	return true;
}
