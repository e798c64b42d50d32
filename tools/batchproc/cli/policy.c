/* SPDX-License-Identifier: MIT */
/*
 * policy: when a run stops early. No state, no locks.
 */
#include <string.h>

#include "base/parse.h"
#include "cli/policy.h"

/* A percentage of a handful says little; GNU parallel wants three as well. */
#define PERCENT_LEAST 3u

static bool take(const char **text, const char *word)
{
	size_t len = strlen(word);

	if (strncmp(*text, word, len))
		return false;
	*text += len;
	return true;
}

bool policy_parse(struct policy *policy, const char *text)
{
	struct policy parsed = {.option = "--halt"};
	char number[24];
	size_t len;

	if (!strcmp(text, "never")) {
		*policy = parsed;
		return true;
	}
	if (take(&text, "now,"))
		parsed.now = true;
	else if (!take(&text, "soon,"))
		return false;

	if (take(&text, "fail="))
		parsed.what = HALT_FAIL;
	else if (take(&text, "success="))
		parsed.what = HALT_SUCCESS;
	else if (take(&text, "done="))
		parsed.what = HALT_DONE;
	else
		return false;

	len = strlen(text);
	if (len && text[len - 1] == '%') {
		parsed.percent = true;
		len--;
	}
	if (!len || len >= sizeof(number))
		return false;
	memcpy(number, text, len);
	number[len] = '\0';
	if (!parse_count(number, 1, parsed.percent ? 100 : UINT64_MAX, &parsed.count))
		return false;
	*policy = parsed;
	return true;
}

bool policy_wants_success(const struct policy *policy)
{
	return policy->what == HALT_SUCCESS || policy->what == HALT_QUORUM;
}

static bool met(const struct policy *policy, const struct policy_view *view, uint64_t have)
{
	uint64_t of = view->total ? view->total : view->expected;

	if (!policy->percent)
		return have >= policy->count;
	/* Of what has ended, all is done: that percentage waits until the total is known. */
	if (!of && policy->what != HALT_DONE)
		of = view->ended;
	return of && have >= PERCENT_LEAST && have * 100 >= policy->count * of;
}

enum verdict policy_judge(const struct policy *policy, const struct policy_view *view)
{
	switch (policy->what) {
	case HALT_NEVER:
		return VERDICT_GO;
	case HALT_FAIL:
		return met(policy, view, view->failed) ? VERDICT_HALT : VERDICT_GO;
	case HALT_DONE:
		return met(policy, view, view->ended) ? VERDICT_HALT : VERDICT_GO;
	case HALT_SUCCESS:
		return met(policy, view, view->succeeded) ? VERDICT_REACHED : VERDICT_GO;
	case HALT_QUORUM:
		if (view->succeeded >= policy->count)
			return VERDICT_REACHED;
		if (view->total && view->total - (view->ended - view->succeeded) < policy->count)
			return VERDICT_HALT;
		return VERDICT_GO;
	}
	return VERDICT_GO;
}
