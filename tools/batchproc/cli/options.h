/* SPDX-License-Identifier: MIT */
/*
 * options: the options that verbs share, their parsing and their help. Main thread only; what
 * options_parse() fills in is read-only afterwards.
 */
#ifndef BATCHPROC_OPTIONS_H
#define BATCHPROC_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "batchproc.h"
#include "cli/filter.h"
#include "cli/policy.h"
#include "cli/shard.h"

struct opt;
struct verb;

enum progress_mode {
	PROGRESS_AUTO,
	PROGRESS_BAR,
	PROGRESS_PLAIN,
	PROGRESS_JSON,
	PROGRESS_NONE
};

struct options {
	const struct verb *verb;
	void *settings; /* the verb's own options */
	struct common *common; /* of these, and of all others of its run */
	char **args;
	size_t arg_count;

	uint64_t jobs; /* 0: chosen by the run */
	bool reject; /* --on-full reject */
	struct policy policy;
	uint64_t timeout_ns; /* 0: none; the same for the others */
	uint64_t deadline_ns;
	uint64_t retries;
	uint64_t retry_delay_ns;
	double rate; /* attempts started in a second; 0: no limit; the same for the next */
	double bwlimit; /* bytes moved in a second */
	struct shard shard;
	struct filter filter; /* of walks */
	const char **lists; /* -T */
	size_t list_count;
	bool null;
	bool allow_empty;
	bool json;
	const char *failed_to;
	const char *journal;
	bool resume;
	bool retry_failed;
	bool force_resume;
	bool keep_order;
	enum progress_mode progress;
	enum bp_backend backend;
	unsigned int loops; /* 0: one for each usable CPU */
	bool dry_run;
	bool quiet;
	bool verbose;
};

/*
 * Parses what follows the verb's name (@argv[0] is that name). False: all is said already, help was
 * printed or an error, and *@status is the exit status.
 */
bool options_parse(struct options *options, const struct verb *verb, int argc, char **argv,
		   int *status);
void options_free(struct options *options);

/*
 * An option that a verb takes, its own or one that verbs share, or NULL. As getopt_long() has it, a
 * name may be shortened as long as it can only be one option's.
 */
const struct opt *option_by_letter(const struct verb *verb, char letter);
const struct opt *option_by_name(const struct verb *verb, const char *name, size_t len,
				 bool *ambiguous);
bool option_is_shared(const struct opt *opt);

/* Those that it takes, its own first, by their place from 0; NULL: there are no more. */
const struct opt *option_at(const struct verb *verb, size_t i);

/* What --help prints; returns the exit status. */
int options_print_help(const struct verb *verb);

/* Readers that rows of option tables name: a bool becomes true; a const char * points to @arg. */
const char *opt_flag(void *to, const char *arg);
const char *opt_text(void *to, const char *arg);

/* The end of a row that does so with @field of the settings, a @type. */
#define OPT_FLAG(type, field) opt_flag, OPT_AT(type, field, bool)
#define OPT_TEXT(type, field) opt_text, OPT_AT(type, field, const char *)

/* A usage error: one line, and where to read on. Returns EXIT_USAGE. */
int usage_error(const struct verb *verb, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
