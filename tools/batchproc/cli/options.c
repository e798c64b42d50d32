/* SPDX-License-Identifier: MIT */
/*
 * options: the options of a command line, their parsing and their help. Main thread only.
 *
 * One table holds the options that verbs share (shared.c); getopt_long()'s tables and the help are
 * made from it and from the verb's own table, so that an option stands in one place. Its row also
 * says what reads it, and into which field.
 */
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/buf.h"
#include "cli/options.h"
#include "cli/shared.h"
#include "base/alloc.h"
#include "base/message.h"
#include "base/status.h"
#include "verb.h"

#define OPTIONS_MAX 128

/* What getopt_long() calls an option without a letter: its place in the table, from here. */
#define LONG_ONLY 256

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
	for (size_t i = 0; i < shared_count; i++)
		if (shared_options[i].takes & verb->takes || shared_options[i].takes == ~0u)
			table->opts[table->count++] = &shared_options[i].opt;
}

bool option_is_shared(const struct opt *opt)
{
	return shared_row(opt);
}

const struct opt *option_by_letter(const struct verb *verb, char letter)
{
	struct table table;

	collect(&table, verb);
	for (size_t i = 0; i < table.count; i++)
		if (letter && table.opts[i]->letter == letter)
			return table.opts[i];
	return NULL;
}

/*
 * Words that are options of the tools that people know, and short for nothing here: cp --force does
 * something else than --force-resume.
 */
static bool may_be_short(const char *name, size_t len)
{
	static const char *const whole[] = {
		"compress", "dir", "fail",  "force", "group", "ignore", "interactive", "keep",
		"link",	    "max", "owner", "perms", "retry", "time",	"times",
	};

	for (size_t i = 0; i < ARRAY_SIZE(whole); i++)
		if (strlen(whole[i]) == len && !memcmp(whole[i], name, len))
			return false;
	return true;
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
		if (!may_be_short(name, len))
			continue;
		*ambiguous |= found && strcmp(found->name, opt->name);
		found = opt;
	}
	return *ambiguous ? NULL : found;
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

const struct opt *option_at(const struct verb *verb, size_t i)
{
	struct table table;

	collect(&table, verb);
	return i < table.count ? table.opts[i] : NULL;
}

int options_print_help(const struct verb *verb)
{
	struct table table;

	collect(&table, verb);
	printf("Usage: batchproc %s %s\n%s.\n\nOptions:\n", verb->name, verb->synopsis,
	       verb->summary);
	for (size_t i = 0; i < table.count; i++) {
		const struct opt *opt = table.opts[i];
		const char *help = opt->help;
		char left[96];
		int len = snprintf(left, sizeof(left), "  %c%c%s --%s%s%s", opt->letter ? '-' : ' ',
				   opt->letter ? opt->letter : ' ', opt->letter ? "," : " ",
				   opt->name, opt->arg && !opt_is_optional(opt) ? " " : "",
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

bool options_take_help(struct options *o, const struct opt *opt, const char *arg, int *status)
{
	(void)opt;
	(void)arg;
	*status = options_print_help(o->verb);
	return false;
}

static int id_of(const struct table *table, size_t i)
{
	char letter = table->opts[i]->letter;

	return letter ? (unsigned char)letter : LONG_ONLY + (int)i;
}

/* Another row, with another letter, has its name too. */
static bool is_named_before(const struct table *table, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (!strcmp(table->opts[j]->name, table->opts[i]->name))
			return true;
	return false;
}

static void make_getopt(const struct table *table, char *letters, struct option *longs)
{
	*letters++ = ':'; /* a missing argument is told apart from an unknown option */
	for (size_t i = 0; i < table->count; i++) {
		const struct opt *opt = table->opts[i];

		/* For getopt_long() what is short for both would be short for two. */
		if (!is_named_before(table, i))
			*longs++ = (struct option){opt->name,
						   opt_is_optional(opt) ? optional_argument :
						   opt->arg		? required_argument :
									  no_argument,
						   NULL, id_of(table, i)};
		if (opt->letter) {
			*letters++ = opt->letter;
			if (opt->arg)
				*letters++ = ':';
		}
	}
	*letters = '\0';
	*longs = (struct option){0};
}

/* The options that a name is short for; false where it is for none. */
static bool add_meanings(struct buf *buf, const struct verb *verb, const char *name, size_t len)
{
	const char *comma = " is short for several: ";
	struct table table;

	collect(&table, verb);
	for (size_t i = 0; i < table.count && may_be_short(name, len); i++) {
		const struct opt *opt = table.opts[i];

		if (strncmp(opt->name, name, len) || is_named_before(&table, i))
			continue;
		buf_printf(buf, "%s--%s", comma, opt->name);
		comma = ", ";
	}
	return *comma == ',';
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
		const size_t len = strcspn(word, "=");

		buf_visible(&shown, word, len);
		if (id != ':' && !optopt && add_meanings(&shown, verb, word + 2, len - 2))
			text = "";
	} else {
		buf_char(&shown, '-');
		buf_visible(&shown, &(char){(char)optopt}, 1);
	}
	buf_char(&shown, '\0');
	status = usage_error(verb, "option %s%s%s", shown.data, *text ? " " : "", text);
	buf_free(&shown);
	return status;
}

/* The word that getopt_long() took an option from, which may stand before its argument. */
static const char *word_of(const struct opt *opt, char **argv)
{
	const bool apart = opt->arg && !opt_is_optional(opt) && optarg == argv[optind - 1];

	return argv[optind - (apart ? 2 : 1)];
}

/* A long option that it took for a longer one, which that is not short for. */
static bool is_another(const struct opt *opt, const char *word)
{
	const size_t len = strcspn(word, "=");

	return !strncmp(word, "--", 2) && len < strlen(opt->name) + 2 &&
	       !may_be_short(word + 2, len - 2);
}

static bool take_option(struct options *o, const struct opt *opt, const char *arg, int *status)
{
	const struct shared *row = shared_row(opt);
	const char *wanted;

	if (row && row->take)
		return row->take(o, opt, arg, status);
	wanted = opt_read(opt, row ? o : o->settings, arg);
	if (wanted)
		*status = option_bad(o, opt, arg, wanted);
	return !wanted;
}

/* What the options are together. NULL, or what is wrong. */
static const char *clash(const struct options *o)
{
	const char *wrong = filter_clash(&o->filter);

	if (wrong)
		return wrong;
	if (!o->journal && o->resume)
		return "--resume needs --journal";
	if (!o->journal && o->retry_failed)
		return "--retry-failed needs --journal";
	if (!o->journal && o->force_resume)
		return "--force-resume needs --journal";
	if (o->resume && o->retry_failed)
		return "--resume and --retry-failed exclude each other";
	return NULL;
}

static bool settle(struct options *o, int *status)
{
	const char *wrong = o->verb->settle ? o->verb->settle(o->settings, o->common) : NULL;

	if (!wrong)
		wrong = clash(o);
	if (wrong)
		*status = usage_error(o->verb, "%s", wrong);
	o->resume |= o->force_resume && !o->retry_failed;
	return !wrong;
}

static bool take_id(struct options *o, const struct table *table, int id, char **argv, int *status)
{
	const struct opt *opt;
	const char *word;
	size_t i = 0;

	while (i < table->count && id_of(table, i) != id)
		i++;
	if (i == table->count)
		abort(); /* getopt_long() knows none but these */
	opt = table->opts[i];
	word = word_of(opt, argv);
	if (is_another(opt, word)) {
		*status = usage_error(o->verb, "option %.*s is not known, and not short for --%s",
				      (int)strcspn(word, "="), word, opt->name);
		return false;
	}
	return take_option(o, opt, optarg, status);
}

bool options_parse(struct options *options, const struct verb *verb, int argc, char **argv,
		   int *status)
{
	struct option longs[OPTIONS_MAX + 1];
	char letters[2 * OPTIONS_MAX + 2];
	struct table table;
	int id;

	*options = (struct options){.verb = verb, .retry_delay_ns = 200000000};
	options->common = xcalloc(1, sizeof(*options->common));
	if (verb->settings_size)
		options->settings = xcalloc(1, verb->settings_size);
	collect(&table, verb);
	make_getopt(&table, letters, longs);
	opterr = 0;
	optind = 1;
	while ((id = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		if (id == '?' || id == ':') {
			*status = getopt_complaint(verb, argv, id);
			return false;
		}
		if (!take_id(options, &table, id, argv, status))
			return false;
	}
	options->args = argv + optind;
	options->arg_count = (size_t)(argc - optind);
	return settle(options, status);
}

void options_free(struct options *options)
{
	const struct verb *verb;

	for (size_t i = 0; (verb = verb_at(i)); i++)
		if (verb->unshare)
			verb->unshare(options->common);
	free(options->common);
	options->common = NULL;
	if (options->settings && options->verb->drop)
		options->verb->drop(options->settings);
	free(options->settings);
	options->settings = NULL;
	filter_free(&options->filter);
	free(options->lists);
	options->lists = NULL;
}
