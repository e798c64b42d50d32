/* SPDX-License-Identifier: MIT */
/*
 * options: the options that verbs share, their parsing and their help. Main thread only.
 *
 * One table holds the shared options; getopt_long()'s tables and the help are made from it and
 * from the verb's own table, so that an option stands in one place.
 */
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "cli/options.h"
#include "base/parse.h"
#include "base/alloc.h"
#include "base/array.h"
#include "base/message.h"
#include "base/status.h"
#include "verb.h"

#define OPTIONS_MAX 64

enum {
	OPT_HALT = 256,
	OPT_RACE,
	OPT_QUORUM,
	OPT_ON_FULL,
	OPT_TIMEOUT,
	OPT_DEADLINE,
	OPT_RETRIES,
	OPT_RETRY_DELAY,
	OPT_RATE,
	OPT_BWLIMIT,
	OPT_SHARD,
	OPT_ALLOW_EMPTY,
	OPT_JSON,
	OPT_FAILED_TO,
	OPT_JOURNAL,
	OPT_RESUME,
	OPT_RETRY_FAILED,
	OPT_FORCE_RESUME,
	OPT_PROGRESS,
	OPT_BACKEND,
	OPT_LOOPS,
	OPT_HELP,
};

static const struct {
	unsigned int takes;
	struct opt opt;
} shared[] = {
	{TAKES_RUN,
	 {'j', "jobs", "N|auto", "items in flight; auto (the default) is 64 for each loop"}},
	{TAKES_RUN,
	 {OPT_ON_FULL, "on-full", "wait|reject",
	  "what happens to an item when that many are in flight; a rejected\n"
	  "one gets its record and goes to --failed-to"}},
	{TAKES_RUN, {'e', "fail-fast", NULL, "first failure cancels the rest: --halt now,fail=1"}},
	{TAKES_RUN,
	 {OPT_RACE, "race", NULL, "first success cancels the rest: --halt now,success=1"}},
	{TAKES_RUN, {OPT_QUORUM, "quorum", "K", "end when K succeeded, or when K no longer can"}},
	{TAKES_RUN,
	 {OPT_HALT, "halt", "WHEN,WHY",
	  "never, or soon|now,fail|success|done=N|N%: stop starting items\n"
	  "(soon), or cancel the running ones too (now)"}},
	{TAKES_RUN,
	 {OPT_TIMEOUT, "timeout", "T",
	  "end an item that takes longer, all its attempts together\n"
	  "(1.5s, 200ms, 2m, 1h; a bare number is seconds)"}},
	{TAKES_RUN, {OPT_DEADLINE, "deadline", "T", "end the whole run after this time"}},
	{TAKES_RUN,
	 {OPT_RETRIES, "retries", "N",
	  "further attempts after the first; permanent errors, such as\n"
	  "ENOENT and EACCES, are not tried again"}},
	{TAKES_RUN,
	 {OPT_RETRY_DELAY, "retry-delay", "T",
	  "pause before the second attempt, doubled each time, with jitter\n"
	  "(default 200ms)"}},
	{TAKES_RUN,
	 {OPT_RATE, "rate", "N/s",
	  "items started in a second (N/m, N/h: a minute, an hour), evenly,\n"
	  "each attempt counted; fractions are fine"}},
	{TAKES_RUN,
	 {OPT_BWLIMIT, "bwlimit", "BYTES",
	  "bytes moved in a second, by all items together (500K, 10M, 1.5G;\n"
	  "K is 1024, KB is 1000)"}},
	{TAKES_RUN,
	 {OPT_SHARD, "shard", "I/N|auto",
	  "do the I-th of N parts of the items, divided by name; auto: as\n"
	  "the array job says (Slurm, Kubernetes, Grid Engine and others)"}},
	{TAKES_RUN,
	 {'T', "files-from", "FILE",
	  "more items, one a line, from a file or - for standard input;\n"
	  "empty lines are passed over"}},
	{TAKES_RUN, {'0', "null", NULL, "lists are NUL-separated: -T and --failed-to"}},
	{TAKES_RUN,
	 {OPT_ALLOW_EMPTY, "allow-empty", NULL, "no items at all is a success, not an error"}},
	{TAKES_JSON, {OPT_JSON, "json", NULL, "records as JSON on standard output, one a line"}},
	{TAKES_RUN,
	 {OPT_FAILED_TO, "failed-to", "FILE",
	  "write the items that did not succeed, in a form that this\n"
	  "command takes as input"}},
	{TAKES_RUN,
	 {OPT_JOURNAL, "journal", "FILE",
	  "note each finished item in this file, which must be new; it\n"
	  "survives whatever ends the run"}},
	{TAKES_RUN,
	 {OPT_RESUME, "resume", NULL,
	  "go on with the journal, if there is one: pass over what is done and\n"
	  "unchanged"}},
	{TAKES_RUN,
	 {OPT_RETRY_FAILED, "retry-failed", NULL,
	  "go on with the journal: take those items only that failed"}},
	{TAKES_RUN,
	 {OPT_FORCE_RESUME, "force-resume", NULL,
	  "--resume, even if another command or other options made it"}},
	{TAKES_RUN, {'k', "keep-order", NULL, "output in the order of the input"}},
	{TAKES_RUN,
	 {OPT_PROGRESS, "progress", "HOW",
	  "auto, bar, plain, json or none, on standard error; auto is a bar\n"
	  "on a terminal and plain, a line every ten seconds, elsewhere"}},
	{TAKES_ENGINE, {OPT_BACKEND, "backend", "NAME", "auto, uring or threads"}},
	{TAKES_ENGINE,
	 {OPT_LOOPS, "loops", "N", "loop threads; one for each usable CPU by default"}},
	{TAKES_RUN, {'n', "dry-run", NULL, "list what would be done, do nothing"}},
	{TAKES_RUN, {'q', "quiet", NULL, "no messages about single items"}},
	{TAKES_RUN, {'v', "verbose", NULL, "say more: a summary, limits, what was skipped"}},
	{~0u, {OPT_HELP, "help", NULL, "this text"}},
};

/* Both tables in one, those options only that the verb takes. */
struct table {
	const struct opt *opts[OPTIONS_MAX];
	size_t count;
};

static void collect(struct table *table, const struct verb *verb)
{
	table->count = 0;
	for (const struct opt *opt = verb->options; opt && opt->name; opt++)
		table->opts[table->count++] = opt;
	for (size_t i = 0; i < ARRAY_SIZE(shared); i++)
		if (shared[i].takes & verb->takes || shared[i].takes == ~0u)
			table->opts[table->count++] = &shared[i].opt;
}

bool option_is_shared(const struct opt *opt)
{
	for (size_t i = 0; i < ARRAY_SIZE(shared); i++)
		if (opt == &shared[i].opt)
			return true;
	return false;
}

const struct opt *option_by_letter(const struct verb *verb, char letter)
{
	struct table table;

	collect(&table, verb);
	for (size_t i = 0; i < table.count; i++)
		if (table.opts[i]->id == (unsigned char)letter)
			return table.opts[i];
	return NULL;
}

const struct opt *option_by_name(const struct verb *verb, const char *name, size_t len,
				 bool *ambiguous)
{
	const struct opt *found = NULL;
	struct table table;

	*ambiguous = false;
	collect(&table, verb);
	for (size_t i = 0; i < table.count; i++) {
		const struct opt *opt = table.opts[i];

		if (strncmp(opt->name, name, len))
			continue;
		if (!opt->name[len]) {
			*ambiguous = false;
			return opt;
		}
		*ambiguous |= found && strcmp(found->name, opt->name);
		found = opt;
	}
	return *ambiguous ? NULL : found;
}

void option_unknown(int id)
{
	message("no one takes the option %d", id);
	abort();
}

int usage_error(const struct verb *verb, const char *format, ...)
{
	struct buf text = {0};
	va_list args;

	va_start(args, format);
	buf_vprintf(&text, format, args);
	va_end(args);
	buf_char(&text, '\0');
	message("%s", text.data);
	buf_free(&text);
	fprintf(stderr, "Try 'batchproc %s%s--help'.\n", verb ? verb->name : "", verb ? " " : "");
	return EXIT_USAGE;
}

static int bad(const struct options *o, const char *option, const char *arg, const char *wanted)
{
	struct buf shown = {0};
	int status;

	buf_visible(&shown, arg, strlen(arg));
	buf_char(&shown, '\0');
	status = usage_error(o->verb, "%s: '%s' is not %s", option, shown.data, wanted);
	buf_free(&shown);
	return status;
}

static int set_policy(struct options *o, struct policy policy)
{
	if (o->policy.option && strcmp(o->policy.option, policy.option))
		return usage_error(o->verb, "%s and %s exclude each other", o->policy.option,
				   policy.option);
	o->policy = policy;
	return -1;
}

static int set_time(struct options *o, const char *option, const char *arg, uint64_t *ns)
{
	return parse_time(arg, ns) ? -1 : bad(o, option, arg, "a time such as 1.5s, 200ms or 2m");
}

static int choose(struct options *o, const char *option, const char *arg, const char *const *words,
		  int *chosen)
{
	struct buf wanted = {0};
	int status = -1;

	for (int i = 0; words[i]; i++) {
		if (!strcmp(arg, words[i])) {
			*chosen = i;
			buf_free(&wanted);
			return -1;
		}
		buf_str(&wanted, !i ? "" : words[i + 1] ? ", " : " or ");
		buf_str(&wanted, words[i]);
	}
	buf_char(&wanted, '\0');
	status = bad(o, option, arg, wanted.data);
	buf_free(&wanted);
	return status;
}

static int set_shard(struct options *o, const char *arg)
{
	struct buf why = {0};
	int status = -1;

	if (strcmp(arg, "auto"))
		return shard_parse(&o->shard, arg) ?
			       -1 :
			       bad(o, "--shard", arg, "I/N with I from 1 to N, or auto");
	if (!shard_from_environment(&o->shard, &why))
		status = usage_error(o->verb, "--shard auto: %s", why.data);
	buf_free(&why);
	return status;
}

static int set_quorum(struct options *o, const char *arg)
{
	struct policy policy = {.what = HALT_QUORUM, .now = true, .option = "--quorum"};

	if (!parse_count(arg, 1, UINT64_MAX, &policy.count))
		return bad(o, policy.option, arg, "a number of items, 1 or more");
	return set_policy(o, policy);
}

static int set_halt(struct options *o, const char *arg)
{
	struct policy policy = {.now = true};

	if (!policy_parse(&policy, arg))
		return bad(o, "--halt", arg, "never, or soon|now,fail|success|done=N or N%");
	return set_policy(o, policy);
}

static int shared_with_argument(struct options *o, int id, const char *arg)
{
	static const char *const on_full[] = {"wait", "reject", NULL};
	static const char *const progress[] = {"auto", "bar", "plain", "json", "none", NULL};
	static const char *const backends[] = {"auto", "uring", "threads", NULL};
	uint64_t number;
	int status, chosen = 0;

	switch (id) {
	case 'j':
		if (!strcmp(arg, "auto"))
			o->jobs = 0;
		else if (!parse_count(arg, 1, 1000000000, &o->jobs))
			return bad(o, "-j", arg, "a number of items, 1 or more, or auto");
		return -1;
	case OPT_ON_FULL:
		status = choose(o, "--on-full", arg, on_full, &chosen);
		o->reject = chosen;
		return status;
	case OPT_QUORUM:
		return set_quorum(o, arg);
	case OPT_HALT:
		return set_halt(o, arg);
	case OPT_TIMEOUT:
		return set_time(o, "--timeout", arg, &o->timeout_ns);
	case OPT_DEADLINE:
		return set_time(o, "--deadline", arg, &o->deadline_ns);
	case OPT_RETRY_DELAY:
		return set_time(o, "--retry-delay", arg, &o->retry_delay_ns);
	case OPT_RETRIES:
		if (!parse_count(arg, 0, 1000000, &o->retries))
			return bad(o, "--retries", arg, "a number from 0 to 1000000");
		return -1;
	case OPT_RATE:
		if (!parse_rate(arg, &o->rate))
			return bad(o, "--rate", arg, "a rate such as 100/s, 0.5/s or 30/m");
		return -1;
	case OPT_BWLIMIT:
		if (!parse_bytes(arg, &o->bwlimit))
			return bad(o, "--bwlimit", arg, "a number of bytes such as 500K or 10M");
		return -1;
	case OPT_SHARD:
		return set_shard(o, arg);
	case 'T':
		o->lists = xrealloc(o->lists, (o->list_count + 1) * sizeof(*o->lists));
		o->lists[o->list_count++] = arg;
		return -1;
	case OPT_FAILED_TO:
		o->failed_to = arg;
		return -1;
	case OPT_JOURNAL:
		o->journal = arg;
		return -1;
	case OPT_PROGRESS:
		status = choose(o, "--progress", arg, progress, &chosen);
		o->progress = (enum progress_mode)chosen;
		return status;
	case OPT_BACKEND:
		status = choose(o, "--backend", arg, backends, &chosen);
		o->backend = (enum bp_backend)chosen;
		return status;
	case OPT_LOOPS:
		if (!parse_count(arg, 1, BP_LOOPS_MAX, &number))
			return bad(o, "--loops", arg, "a number from 1 to 256");
		o->loops = (unsigned int)number;
		return -1;
	default:
		option_unknown(id);
	}
}

static int shared_flag(struct options *o, int id)
{
	struct policy policy = {.now = true, .count = 1};

	switch (id) {
	case 'e':
		policy.what = HALT_FAIL;
		policy.option = "--fail-fast";
		return set_policy(o, policy);
	case OPT_RACE:
		policy.what = HALT_SUCCESS;
		policy.option = "--race";
		return set_policy(o, policy);
	case OPT_ALLOW_EMPTY:
		o->allow_empty = true;
		break;
	case OPT_JSON:
		o->json = true;
		break;
	case OPT_RESUME:
		o->resume = true;
		break;
	case OPT_RETRY_FAILED:
		o->retry_failed = true;
		break;
	case OPT_FORCE_RESUME:
		o->force_resume = true;
		break;
	case '0':
		o->null = true;
		break;
	case 'k':
		o->keep_order = true;
		break;
	case 'n':
		o->dry_run = true;
		break;
	case 'q':
		o->quiet = true;
		break;
	case 'v':
		o->verbose = true;
		break;
	default:
		option_unknown(id);
	}
	return -1;
}

static int print_help(const struct verb *verb, const struct table *table)
{
	printf("Usage: batchproc %s %s\n%s.\n\nOptions:\n", verb->name, verb->synopsis,
	       verb->summary);
	for (size_t i = 0; i < table->count; i++) {
		const struct opt *opt = table->opts[i];
		const char *help = opt->help;
		char left[64];
		int len = snprintf(left, sizeof(left), "  %c%c%s --%s%s%s",
				   opt->id < 256 ? '-' : ' ', opt->id < 256 ? opt->id : ' ',
				   opt->id < 256 ? "," : " ", opt->name,
				   opt->arg && !opt_is_optional(opt) ? " " : "",
				   opt->arg ? opt->arg : "");

		printf("%-29s", left);
		if (len > 28)
			printf("\n%29s", "");
		for (; *help; help++) {
			putchar(*help);
			if (*help == '\n')
				printf("%29s", "");
		}
		putchar('\n');
	}
	if (verb->details)
		printf("\n%s", verb->details);
	return flush_stdout();
}

static void make_getopt(const struct table *table, char *letters, struct option *longs)
{
	*letters++ = ':'; /* a missing argument is told apart from an unknown option */
	for (size_t i = 0; i < table->count; i++) {
		const struct opt *opt = table->opts[i];

		longs[i] = (struct option){opt->name,
					   opt_is_optional(opt) ? optional_argument :
					   opt->arg		? required_argument :
								  no_argument,
					   NULL, opt->id};
		if (opt->id < 256) {
			*letters++ = (char)opt->id;
			if (opt->arg)
				*letters++ = ':';
		}
	}
	*letters = '\0';
	longs[table->count] = (struct option){0};
}

static int getopt_complaint(const struct verb *verb, char **argv, int id)
{
	/*
	 * A letter is in optopt. A long option is the word before optind; optopt is 0 where it is
	 * not known, or is short for several.
	 */
	const char *word = argv[optind - 1];
	bool is_long = !strncmp(word, "--", 2);
	const char *text = id == ':'	       ? "needs an argument" :
			   !is_long || !optopt ? "is not known" :
						 "takes no argument";
	struct buf shown = {0};
	int status;

	if (is_long) {
		buf_visible(&shown, word, strcspn(word, "="));
	} else {
		buf_char(&shown, '-');
		buf_visible(&shown, &(char){(char)optopt}, 1);
	}
	buf_char(&shown, '\0');
	status = usage_error(verb, "option %s %s", shown.data, text);
	buf_free(&shown);
	return status;
}

static int own_option(struct options *o, const struct opt *opt, const char *arg)
{
	const char *wanted = o->verb->option(o->settings, opt->id, arg);
	char name[64];

	if (!wanted)
		return -1;
	if (opt->id < 256)
		snprintf(name, sizeof(name), "-%c", opt->id);
	else
		snprintf(name, sizeof(name), "--%s", opt->name);
	return bad(o, name, arg, wanted);
}

static int take_option(struct options *o, const struct opt *opt, const char *arg)
{
	if (!option_is_shared(opt))
		return own_option(o, opt, arg);
	return opt->arg ? shared_with_argument(o, opt->id, arg) : shared_flag(o, opt->id);
}

/* What the options are together. */
static int settle(struct options *o)
{
	const char *wrong = o->verb->settle ? o->verb->settle(o->settings) : NULL;
	const char *resumes = o->resume	      ? "--resume" :
			      o->retry_failed ? "--retry-failed" :
			      o->force_resume ? "--force-resume" :
						NULL;

	if (wrong)
		return usage_error(o->verb, "%s", wrong);
	if (resumes && !o->journal)
		return usage_error(o->verb, "%s needs --journal", resumes);
	if (o->resume && o->retry_failed)
		return usage_error(o->verb, "--resume and --retry-failed exclude each other");
	o->resume |= o->force_resume && !o->retry_failed;
	return -1;
}

int options_parse(struct options *options, const struct verb *verb, int argc, char **argv)
{
	struct option longs[OPTIONS_MAX + 1];
	char letters[2 * OPTIONS_MAX + 2];
	struct table table;
	int id, status = -1;

	*options = (struct options){.verb = verb, .retry_delay_ns = 200000000};
	if (verb->settings_size)
		options->settings = xcalloc(1, verb->settings_size);
	collect(&table, verb);
	make_getopt(&table, letters, longs);
	opterr = 0;
	optind = 1;
	while (status < 0 && (id = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		if (id == OPT_HELP)
			return print_help(verb, &table);
		if (id == '?' || id == ':')
			return getopt_complaint(verb, argv, id);
		for (size_t i = 0; i < table.count; i++)
			if (table.opts[i]->id == id)
				status = take_option(options, table.opts[i], optarg);
	}
	options->args = argv + optind;
	options->arg_count = (size_t)(argc - optind);
	return status < 0 ? settle(options) : status;
}

void options_free(struct options *options)
{
	free(options->settings);
	options->settings = NULL;
	free(options->lists);
	options->lists = NULL;
}
