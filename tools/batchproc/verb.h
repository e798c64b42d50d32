/* SPDX-License-Identifier: MIT */
/*
 * verb: what a command is, and what it tells about its items; and the table of commands. A verb is
 * a file or a folder in verbs/ that defines one struct verb, named in the table in verbs.c; what
 * verbs share stands in the other folders. Any file may include this.
 */
#ifndef BATCHPROC_VERB_H
#define BATCHPROC_VERB_H

#include <stdbool.h>
#include <stddef.h>

#include "base/source.h"

struct buf;
struct item;
struct job;
struct net_shared;
struct options;
struct item_class;
struct probe_pattern;

/* An option, as a row of a verb's table. */
struct opt {
	char letter; /* 0: it has only a long name */
	const char *name;
	/*
	 * What stands for its argument in the help; in brackets: it may be left out; NULL: it takes
	 * none. Words in small letters stand for themselves, and completion offers them: one of a|b,
	 * or with commas between them some of a,b. It offers files for FILE and PATH, directories for
	 * DIR, digests for ALGORITHM.
	 */
	const char *arg;
	const char *help;
	/*
	 * Reads @arg, NULL where none was given, into the field at @to of the settings. NULL, or
	 * what
	 * @arg should have been: "one of a, b".
	 */
	const char *(*read)(void *to, const char *arg);
	size_t to;
};

/*
 * Where @field stands in the settings, a @type; it has to be of the type that its reader takes it
 * for.
 */
#define OPT_AT(type, field, is)                                                                    \
	(offsetof(type, field) +                                                                   \
	 0 * sizeof(char[__builtin_types_compatible_p(__typeof__(((type *)0)->field), is) ? 1 :    \
											    -1]))

/* The settings as a whole: the reader fills in more than one field. */
#define OPT_WHOLE 0

/* Reads @arg into the settings. */
static inline const char *opt_read(const struct opt *opt, void *settings, const char *arg)
{
	return opt->read((char *)settings + opt->to, arg);
}

/* Whether its argument may be left out: it is then behind a =, and NULL without. */
static inline bool opt_is_optional(const struct opt *opt)
{
	return opt->arg && opt->arg[0] == '[';
}

#define OPT_END                                                                                    \
	{                                                                                          \
		0, NULL, NULL, NULL, NULL, OPT_WHOLE                                               \
	}

/* Sets of shared options; a verb takes those that mean something to it. */
enum {
	TAKES_RUN = 1 << 0, /* everything about items: -j, --halt, --retries, records ... */
	TAKES_ENGINE = 1 << 1, /* --backend, --loops */
	TAKES_JSON = 1 << 2,
	TAKES_WALK = 1 << 3, /* what walks leave out: --exclude ... */
};

/* One job for a verb: what its items are, and its operands. */
struct jobspec {
	const struct item_class *class;
	size_t count;
	/* Gives these one after the other, each until the next call. */
	const char *(*next)(void *from);
	void *from;
	const char *last; /* the last one, of a verb that has a destination */
	bool exact; /* it is what the copy is called, never a directory to copy into */
};

static inline const char *jobspec_next(const struct jobspec *spec)
{
	return spec->next(spec->from);
}

/*
 * What a verb tells about its items. Each is called without locks held; any but work may be NULL.
 * One run may have items of several verbs.
 */
struct item_ops {
	const char *op; /* in records */
	enum source_kind source; /* what the names of its items are */
	size_t priv_size;
	unsigned int descriptors; /* that an item has open at once */
	/*
	 * A root stands for all below it: --failed-to names it alone, and --shard does not divide
	 * a tree.
	 */
	bool roots_cover;
	bool outlives_source; /* what was done stays done when its source is gone */
	/*
	 * A stop leaves the root of a tree undone while anything below it is: --failed-to names it
	 * alone, and not what the stop left undone below it.
	 */
	bool roots_last;
	/*
	 * Its work is one call that seldom waits, and its directories are left: a walker does by
	 * itself what it finds, and spares it a task (walk.c).
	 */
	bool brief;

	/* One attempt, in a task: 0, or -errno. May set bytes, why and STATUS_SKIPPED. */
	int (*work)(struct item *item);
	/*
	 * Whether a second attempt would meet this error again, where errno alone does not say so.
	 */
	bool (*permanent)(const struct item *item, int err);
	/* What an ended item prints on standard output without --json. */
	void (*text)(const struct item *item, struct buf *buf);
	/* Further fields of its JSON record, each with a comma in front. */
	void (*json)(const struct item *item, struct buf *buf);
	/*
	 * Adds its destination; NULL: it has none. False: that is the destination as it was given,
	 * or nothing, because it was not found out what the copy would be called.
	 */
	bool (*dst)(const struct item *item, struct buf *buf);
	/* The item as a line that the same command takes back; by default its name. */
	void (*again)(const struct item *item, struct buf *buf);
	/* What it is called there, where that is not its path; adds nothing: it is in there already. */
	void (*list_path)(const struct item *item, struct buf *buf);
	/* What --dry-run prints; by default the name. */
	void (*plan)(const struct item *item, struct buf *buf);
	/* Last word on an item before its memory is used again. */
	void (*release)(struct item *item);

	/*
	 * For the journal. Appended text has no tab, newline or backslash in it, or has gone
	 * through journal_escape() or journal_path().
	 */
	/* The settings that change what the work is, as in a=b c=d; this one may hold anything. */
	void (*journal_options)(const void *settings, struct buf *buf);
	/*
	 * Takes from a journal's options what this run would find otherwise because of what an
	 * earlier one did. Main thread, before the first item.
	 */
	void (*journal_adopt)(void *settings, const char *options);
	/* What the item is besides operation and source, each with a tab in front. */
	void (*journal_key)(const struct item *item, struct buf *buf);
	/* What a successful item has found out, to be had again without the work. */
	void (*journal_result)(const struct item *item, struct buf *buf);
	/*
	 * Puts that back, and looks whether what was done is still so. False: it is to be done
	 * again. Task only.
	 */
	bool (*journal_restore)(struct item *item, const char *result, size_t len);
	/*
	 * It was done, and is passed over without a look. False: it cannot be, and its work says
	 * why. Task only.
	 */
	bool (*journal_pass)(struct item *item);
	/* Whether it is to be done whatever the journal says of it. */
	bool (*journal_always)(const struct item *item);
};

/*
 * What the settings of one run have in common, and keep from one to the next; all NULL at first.
 * Filled in and freed in the main thread, while no item runs or beside those that look at what is
 * there already.
 */
struct common {
	struct net_shared *net; /* of fetch and probe */
	struct probe_pattern *patterns; /* of probe */
};

/*
 * A verb's own options are kept in a struct of its settings, so that the jobs of one run may have
 * different ones. Settings live as long as an item that was made with them; argument strings too.
 */
struct verb {
	const char *name;
	const char *synopsis; /* what follows the name in "Usage:" */
	const char *summary; /* one line for the list of commands */
	const char *details; /* paragraphs behind the options in --help, or NULL */
	unsigned int takes;
	const struct opt *options;
	/*
	 * The verb that these words are for instead, which they lose what says so to: hash -c is
	 * verify. May be NULL; NULL: it is this one.
	 */
	const struct verb *(*stands_for)(int *argc, char **argv);
	const struct item_ops *items; /* NULL: it has none */
	bool has_dst; /* the last operand is a destination, as which it stands in JSON */

	size_t settings_size; /* all zero before the first option */
	/*
	 * After the last option: fills in what was not given. NULL, or what is wrong. May be NULL.
	 */
	const char *(*settle)(void *settings, struct common *common);
	/* Frees what settings have of their own, also ones that make no sense. May be NULL. */
	void (*drop)(void *settings);
	/* Frees what that put into @common, which may be nothing; after the run. May be NULL. */
	void (*unshare)(struct common *common);

	/*
	 * As part of a manifest, both NULL where it cannot be one: whether the operands make sense
	 * (NULL, or what is wrong: "names no file"), and the job itself, in the main thread. Its
	 * items are of the class of @spec; all else of it is gone afterwards.
	 */
	const char *(*check)(const struct jobspec *spec);
	void (*add)(struct job *job, const struct jobspec *spec);
	/* Whether one operand may be many items, with these settings; NULL: it never is. */
	bool (*walks)(const void *settings);

	/*
	 * After the last item of a run, which may have had none of this verb, both may be NULL: says
	 * on standard error what is to be said of all of them, and adds it to the summary as members
	 * of a JSON object, each with a comma in front.
	 */
	void (*tell)(const struct job *job);
	void (*totals)(const struct job *job, struct buf *buf);

	/* Frees what its items keep from one to the next; after a run. May be NULL. */
	void (*cleanup)(struct job *job);

	/*
	 * Whether a command line can be divided into parts that know nothing of each other: NULL, or
	 * what is wrong with it. May be NULL: any can that is a job of a manifest.
	 */
	const char *(*divide)(const struct options *options);

	/* As a command: does the work; returns the exit status. */
	int (*run)(const struct options *options);
};

extern const struct verb hash_verb, verify_verb, copy_verb, rm_verb, fetch_verb, probe_verb,
	run_verb, list_verb, submit_verb, merge_verb, info_verb;

/* ---- the table (verb.c) */

/* Makes these known, which stay; once, at the start. */
void verbs_set(const struct verb *const *table, size_t count);
/* One by its name, or by its place from 0; NULL: there is none. */
const struct verb *verb_by_name(const char *name);
const struct verb *verb_at(size_t i);

/* What the names of its items are. */
enum source_kind verb_source(const struct verb *verb);

/* Makes those of the command known (verbs.c). */
void verbs_begin(void);

#endif
