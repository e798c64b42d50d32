/* SPDX-License-Identifier: MIT */
/*
 * shared: the table of the options that verbs share, and what reads them. Main thread only.
 */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/array.h"
#include "base/buf.h"
#include "base/parse.h"
#include "cli/options.h"
#include "cli/shared.h"

#define AT(field, is) OPT_AT(struct options, field, is)
#define FLAG(field) OPT_FLAG(struct options, field)
#define FILTER AT(filter, struct filter)

int option_bad(const struct options *o, const struct opt *opt, const char *arg, const char *wanted)
{
	struct buf shown = {0};
	char name[64];
	int status;

	if (opt->letter)
		snprintf(name, sizeof(name), "-%c", opt->letter);
	else
		snprintf(name, sizeof(name), "--%s", opt->name);
	buf_visible(&shown, arg, strlen(arg));
	buf_char(&shown, '\0');
	status = usage_error(o->verb, "%s: '%s' is not %s", name, shown.data, wanted);
	buf_free(&shown);
	return status;
}

/* ---- readers, which rows of the table name */

const char *opt_flag(void *to, const char *arg)
{
	bool *flag = to;

	(void)arg;
	*flag = true;
	return NULL;
}

const char *opt_text(void *to, const char *arg)
{
	const char **text = to;

	*text = arg;
	return NULL;
}

static const char *read_jobs(void *to, const char *arg)
{
	uint64_t *jobs = to;

	if (strcmp(arg, "auto"))
		return parse_count(arg, 1, 1000000000, jobs) ?
			       NULL :
			       "a number of items, 1 or more, or auto";
	*jobs = 0;
	return NULL;
}

static const char *read_on_full(void *to, const char *arg)
{
	bool *reject = to;

	*reject = !strcmp(arg, "reject");
	return *reject || !strcmp(arg, "wait") ? NULL : "wait or reject";
}

static const char *read_time(void *to, const char *arg)
{
	return parse_time(arg, to) ? NULL : "a time such as 1.5s, 200ms or 2m";
}

static const char *read_retries(void *to, const char *arg)
{
	return parse_count(arg, 0, 1000000, to) ? NULL : "a number from 0 to 1000000";
}

static const char *read_rate(void *to, const char *arg)
{
	return parse_rate(arg, to) ? NULL : "a rate such as 100/s, 0.5/s or 30/m";
}

static const char *read_bwlimit(void *to, const char *arg)
{
	return parse_bytes(arg, to) ? NULL : "a number of bytes such as 500K or 10M";
}

static const char *read_list(void *to, const char *arg)
{
	struct options *o = to;

	o->lists = xrealloc(o->lists, (o->list_count + 1) * sizeof(*o->lists));
	o->lists[o->list_count++] = arg;
	return NULL;
}

/* The place of a word among some; @count: it is none of them. */
static size_t place_of(const char *word, const char *const *words, size_t count)
{
	size_t i = 0;

	while (i < count && strcmp(word, words[i]))
		i++;
	return i;
}

static const char *read_progress(void *to, const char *arg)
{
	static const char *const words[] = {
		[PROGRESS_AUTO] = "auto", [PROGRESS_BAR] = "bar",   [PROGRESS_PLAIN] = "plain",
		[PROGRESS_JSON] = "json", [PROGRESS_NONE] = "none",
	};
	size_t place = place_of(arg, words, ARRAY_SIZE(words));
	enum progress_mode *mode = to;

	*mode = (enum progress_mode)place;
	return place < ARRAY_SIZE(words) ? NULL : "auto, bar, plain, json or none";
}

static const char *read_backend(void *to, const char *arg)
{
	static const char *const words[] = {
		[BP_BACKEND_AUTO] = "auto",
		[BP_BACKEND_URING] = "uring",
		[BP_BACKEND_THREADS] = "threads",
	};
	size_t place = place_of(arg, words, ARRAY_SIZE(words));
	enum bp_backend *backend = to;

	*backend = (enum bp_backend)place;
	return place < ARRAY_SIZE(words) ? NULL : "auto, uring or threads";
}

static const char *read_loops(void *to, const char *arg)
{
	unsigned int *loops = to;
	uint64_t number;

	if (!parse_count(arg, 1, BP_LOOPS_MAX, &number))
		return "a number from 1 to 256";
	*loops = (unsigned int)number;
	return NULL;
}

/* ---- options that say more than that their argument is wrong */

static bool set_policy(struct options *o, struct policy policy, int *status)
{
	if (o->policy.option && strcmp(o->policy.option, policy.option)) {
		*status = usage_error(o->verb, "%s and %s exclude each other", o->policy.option,
				      policy.option);
		return false;
	}
	o->policy = policy;
	return true;
}

static bool take_fail_fast(struct options *o, const struct opt *opt, const char *arg, int *status)
{
	struct policy policy = {.what = HALT_FAIL, .now = true, .count = 1, .option = "--fail-fast"};

	(void)opt;
	(void)arg;
	return set_policy(o, policy, status);
}

static bool take_race(struct options *o, const struct opt *opt, const char *arg, int *status)
{
	struct policy policy = {.what = HALT_SUCCESS, .now = true, .count = 1, .option = "--race"};

	(void)opt;
	(void)arg;
	return set_policy(o, policy, status);
}

static bool take_quorum(struct options *o, const struct opt *opt, const char *arg, int *status)
{
	struct policy policy = {.what = HALT_QUORUM, .now = true, .option = "--quorum"};

	if (!parse_count(arg, 1, UINT64_MAX, &policy.count)) {
		*status = option_bad(o, opt, arg, "a number of items, 1 or more");
		return false;
	}
	return set_policy(o, policy, status);
}

static bool take_halt(struct options *o, const struct opt *opt, const char *arg, int *status)
{
	struct policy policy = {.now = true};

	if (!policy_parse(&policy, arg)) {
		*status = option_bad(o, opt, arg, "never, or soon|now,fail|success|done=N or N%");
		return false;
	}
	return set_policy(o, policy, status);
}

static bool take_shard(struct options *o, const struct opt *opt, const char *arg, int *status)
{
	struct buf why = {0};
	bool taken;

	if (strcmp(arg, "auto")) {
		taken = shard_parse(&o->shard, arg);
		if (!taken)
			*status = option_bad(o, opt, arg, "I/N with I from 1 to N, or auto");
		return taken;
	}
	taken = shard_from_environment(&o->shard, &why);
	if (!taken)
		*status = usage_error(o->verb, "--shard auto: %s", why.data);
	buf_free(&why);
	return taken;
}

/* ---- the table */

const struct shared shared_options[] = {
	{TAKES_RUN,
	 {'j', "jobs", "N|auto",
	  "items in flight; auto, the default: fetch, probe and run look\n"
	  "for the best number, the others have 64 for each loop",
	  read_jobs, AT(jobs, uint64_t)},
	 NULL},
	{TAKES_RUN,
	 {0, "on-full", "wait|reject",
	  "what happens to an item when that many are in flight; a rejected\n"
	  "one gets its record and goes to --failed-to",
	  read_on_full, AT(reject, bool)},
	 NULL},
	{TAKES_RUN,
	 {'e', "fail-fast", NULL, "first failure cancels the rest: --halt now,fail=1", NULL,
	  OPT_WHOLE},
	 take_fail_fast},
	{TAKES_RUN,
	 {0, "race", NULL, "first success cancels the rest: --halt now,success=1", NULL, OPT_WHOLE},
	 take_race},
	{TAKES_RUN,
	 {0, "quorum", "K", "end when K succeeded, or when K no longer can", NULL, OPT_WHOLE},
	 take_quorum},
	{TAKES_RUN,
	 {0, "halt", "never|WHEN,WHY",
	  "WHEN,WHY is soon|now,fail|success|done=N|N%: stop starting items\n"
	  "(soon), or cancel the running ones too (now)",
	  NULL, OPT_WHOLE},
	 take_halt},
	{TAKES_RUN,
	 {0, "timeout", "T",
	  "end an item that takes longer, all its attempts together\n"
	  "(1.5s, 200ms, 2m, 1h; a bare number is seconds)",
	  read_time, AT(timeout_ns, uint64_t)},
	 NULL},
	{TAKES_RUN,
	 {0, "deadline", "T", "end the whole run after this time", read_time,
	  AT(deadline_ns, uint64_t)},
	 NULL},
	{TAKES_RUN,
	 {0, "retries", "N",
	  "further attempts after the first; permanent errors, such as\n"
	  "ENOENT and EACCES, are not tried again",
	  read_retries, AT(retries, uint64_t)},
	 NULL},
	{TAKES_RUN,
	 {0, "retry-delay", "T",
	  "pause before the second attempt, doubled each time, with jitter\n"
	  "(default 200ms)",
	  read_time, AT(retry_delay_ns, uint64_t)},
	 NULL},
	{TAKES_RUN,
	 {0, "rate", "N/s",
	  "items started in a second (N/m, N/h: a minute, an hour), evenly,\n"
	  "each attempt counted; fractions are fine",
	  read_rate, AT(rate, double)},
	 NULL},
	{TAKES_RUN,
	 {0, "bwlimit", "BYTES",
	  "bytes moved in a second, by all items together (500K, 10M, 1.5G;\n"
	  "K is 1024, KB is 1000)",
	  read_bwlimit, AT(bwlimit, double)},
	 NULL},
	{TAKES_RUN,
	 {0, "shard", "I/N|auto",
	  "do the I-th of N parts of the items, divided by name; auto: as\n"
	  "the array job says (Slurm, Kubernetes, Grid Engine and others)",
	  NULL, OPT_WHOLE},
	 take_shard},
	{TAKES_RUN,
	 {'T', "files-from", "FILE",
	  "more items, one a line, from a file or - for standard input;\n"
	  "empty lines are passed over",
	  read_list, OPT_WHOLE},
	 NULL},
	{TAKES_RUN,
	 {'0', "null", NULL, "lists are NUL-separated: -T and --failed-to", FLAG(null)},
	 NULL},
	{TAKES_RUN,
	 {0, "allow-empty", NULL, "no items at all is a success, not an error", FLAG(allow_empty)},
	 NULL},
	{TAKES_WALK,
	 {0, "exclude", "PATTERN",
	  "leave out of walks what the pattern fits: rsync's, the first that\n"
	  "fits decides; what is named itself is never left out",
	  filter_read_exclude, FILTER},
	 NULL},
	{TAKES_WALK,
	 {0, "include", "PATTERN", "keep what it fits, whatever stands behind it",
	  filter_read_include, FILTER},
	 NULL},
	{TAKES_WALK,
	 {0, "exclude-from", "FILE", "patterns, one a line; # and ; begin comments",
	  filter_read_exclude_from, FILTER},
	 NULL},
	{TAKES_WALK,
	 {0, "include-from", "FILE", "the same of --include", filter_read_include_from, FILTER},
	 NULL},
	{TAKES_WALK,
	 {0, "min-size", "BYTES", "leave out smaller files", filter_read_min_size, FILTER},
	 NULL},
	{TAKES_WALK,
	 {0, "max-size", "BYTES", "leave out larger files", filter_read_max_size, FILTER},
	 NULL},
	{TAKES_WALK,
	 {0, "newer", "WHEN",
	  "leave out what was changed before: 2d (ago), 2026-01-31, @SECONDS,\n"
	  "or a file whose time counts",
	  filter_read_newer, FILTER},
	 NULL},
	{TAKES_WALK,
	 {0, "older", "WHEN", "leave out what was changed since", filter_read_older, FILTER},
	 NULL},
	{TAKES_WALK,
	 {0, "max-depth", "N", "leave out what is more than N names below a PATH",
	  filter_read_max_depth, FILTER},
	 NULL},
	{TAKES_WALK,
	 {0, "no-hidden", NULL, "leave out names that begin with a dot", filter_read_no_hidden,
	  FILTER},
	 NULL},
	{TAKES_WALK,
	 {0, "hidden", NULL, "take them, which is the default", filter_read_hidden, FILTER},
	 NULL},
	{TAKES_JSON,
	 {0, "json", NULL, "records as JSON on standard output, one a line", FLAG(json)},
	 NULL},
	{TAKES_RUN,
	 {0, "failed-to", "FILE",
	  "write the items that did not succeed, in a form that this\n"
	  "command takes as input",
	  OPT_TEXT(struct options, failed_to)},
	 NULL},
	{TAKES_RUN,
	 {0, "journal", "FILE",
	  "note each finished item in this file, which must be new; it\n"
	  "survives whatever ends the run",
	  OPT_TEXT(struct options, journal)},
	 NULL},
	{TAKES_RUN,
	 {0, "resume", NULL,
	  "go on with the journal, if there is one: pass over what is done and\n"
	  "unchanged",
	  FLAG(resume)},
	 NULL},
	{TAKES_RUN,
	 {0, "retry-failed", NULL, "go on with the journal: take those items only that failed",
	  FLAG(retry_failed)},
	 NULL},
	{TAKES_RUN,
	 {0, "force-resume", NULL, "--resume, even if another command or other options made it",
	  FLAG(force_resume)},
	 NULL},
	{TAKES_RUN,
	 {'k', "keep-order", NULL, "output in the order of the input", FLAG(keep_order)},
	 NULL},
	{TAKES_RUN,
	 {0, "progress", "auto|bar|plain|json|none",
	  "on standard error; auto is a bar on a terminal and plain, a line\n"
	  "every ten seconds, elsewhere",
	  read_progress, AT(progress, enum progress_mode)},
	 NULL},
	{TAKES_ENGINE,
	 {0, "backend", "auto|uring|threads", "auto takes io_uring where it is allowed",
	  read_backend, AT(backend, enum bp_backend)},
	 NULL},
	{TAKES_ENGINE,
	 {0, "loops", "N", "loop threads; one for each usable CPU by default", read_loops,
	  AT(loops, unsigned int)},
	 NULL},
	{TAKES_RUN,
	 {'n', "dry-run", NULL, "list what would be done, do nothing", FLAG(dry_run)},
	 NULL},
	{TAKES_RUN, {'q', "quiet", NULL, "no messages about single items", FLAG(quiet)}, NULL},
	{TAKES_RUN,
	 {'v', "verbose", NULL, "say more: a summary, limits, what was skipped", FLAG(verbose)},
	 NULL},
	{~0u, {0, "help", NULL, "this text", NULL, OPT_WHOLE}, options_take_help},
};

const size_t shared_count = ARRAY_SIZE(shared_options);

const struct shared *shared_row(const struct opt *opt)
{
	for (size_t i = 0; i < shared_count; i++)
		if (opt == &shared_options[i].opt)
			return &shared_options[i];
	return NULL;
}
