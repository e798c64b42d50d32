/* SPDX-License-Identifier: MIT */
/*
 * policy: when a run stops early. Pure functions of the counts, called under the run's lock.
 *
 *	-e		now,fail=1		--race		now,success=1
 *	--halt		never | (soon|now),(fail|success|done)=(N|N%)
 *	--quorum K	now, when K succeeded or K no longer can
 *
 * The grammar is GNU parallel's. A percentage is of all items where their number is known, else
 * of those that have ended so far (of what is done it waits then), and never acts before three
 * items have met the condition.
 */
#ifndef BATCHPROC_POLICY_H
#define BATCHPROC_POLICY_H

#include <stdbool.h>
#include <stdint.h>

enum halt_what {
	HALT_NEVER,
	HALT_FAIL,
	HALT_SUCCESS,
	HALT_DONE,
	HALT_QUORUM
};

struct policy {
	enum halt_what what;
	bool now; /* cancel what runs, not only admit nothing more */
	bool percent;
	uint64_t count; /* or the percentage */
	const char *option; /* how it was asked for, for messages; NULL by default */
};

struct policy_view {
	uint64_t succeeded;
	uint64_t failed; /* failed and timed out */
	uint64_t ended; /* every input that has its record */
	uint64_t total; /* all inputs; 0 while that is not known */
	uint64_t expected; /* before they are given: how many there will be; 0: nobody knows */
};

enum verdict {
	VERDICT_GO,
	VERDICT_REACHED, /* the successes that were asked for are there */
	VERDICT_HALT,
};

/* Parses the argument of --halt; false where it is none. */
bool policy_parse(struct policy *policy, const char *text);

enum verdict policy_judge(const struct policy *policy, const struct policy_view *view);

/* Whether the successes that the policy waits for are an exit status of 0. */
bool policy_wants_success(const struct policy *policy);

#endif
