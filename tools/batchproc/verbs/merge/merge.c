/* SPDX-License-Identifier: MIT */
/*
 * merge: the records of shards as one: one summary, one list of what did not succeed, one exit
 * status. Files may hold several runs, one behind the other, with lines that a kill has cut.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/array.h"
#include "base/calls.h"
#include "base/message.h"
#include "base/parse.h"
#include "base/status.h"
#include "cli/options.h"
#include "run/ownfiles.h"
#include "verb.h"
#include "verbs/merge/merge.h"

#define WRITE_BYTES 65536u
#define PARTS_NAMED 20 /* in a message; the summary has all */

struct settings {
	uint64_t parts; /* 0: as the records say */
	const char *failed_to;
	bool null;
	bool quiet;
	bool verbose;
};

struct merge {
	const struct settings *set;
	struct files files;
	struct table *table;
	struct total total;
	struct fact fact; /* of the line that is read */
	int64_t first_ms, last_ms;
	bool incomplete; /* something was not done, or nobody knows what became of it */
	bool mixed; /* commands */
	char first_op[OP_BYTES]; /* of the first record, where no summary says what the command was */
	int status; /* the worst one that a run had */
	int fd; /* of --failed-to; -1: none */
	struct buf failed; /* what is to be written there */
};

/* ---- the first reading */

static void take_op(struct merge *m, const char *op)
{
	char *own = m->total.op;

	if (!*own)
		op_copy(own, op);
	else if (strcmp(own, op))
		m->mixed = true;
}

static void take_times(struct merge *m, const struct fact *fact)
{
	if (!fact->start_ms)
		return;
	if (!m->first_ms || fact->start_ms < m->first_ms)
		m->first_ms = fact->start_ms;
	if (fact->end_ms > m->last_ms)
		m->last_ms = fact->end_ms;
}

static void take_record(struct merge *m, struct file *file, uint64_t line)
{
	const struct fact *fact = &m->fact;
	enum fact_status old;

	if (!*m->first_op)
		op_copy(m->first_op, fact->op);
	if (file->ended)
		file->records = 0;
	file->ended = false;
	file->records++;
	take_times(m, fact);
	switch (table_take(m->table, fact, line, &old)) {
	case TAKEN_NOT:
		m->total.replaced++;
		return;
	case TAKEN_INSTEAD:
		m->total.replaced++;
		m->total.of[old]--;
		break;
	case TAKEN_FIRST:
		break;
	}
	m->total.of[fact->status]++;
	m->total.bytes += fact->bytes;
}

static void take_summary(struct merge *m, struct file *file)
{
	if (file->ended)
		file->records = 0;
	file->ended = true;
	file->items = m->fact.items;
	file->bad = m->fact.bad;
	file->exit = m->fact.exit;
	take_op(m, m->fact.op);
}

/* Calls @take for each line of each file. False: one is not what it was. */
static bool each_line(struct merge *m, void (*take)(struct merge *m, struct file *file,
						    uint64_t line, const char *text, size_t len))
{
	for (size_t i = 0; i < m->files.count; i++) {
		struct file *file = &m->files.all[i];
		char *text;
		size_t len;

		lines_rewind(&file->lines);
		for (uint64_t k = 0; k < file->count; k++) {
			if (!lines_next(&file->lines, NULL, &text, &len)) {
				message("%s has become shorter while it was read", file->name);
				return false;
			}
			take(m, file, file->first + k, text, len);
		}
	}
	return true;
}

static void count_line(struct merge *m, struct file *file, uint64_t line, const char *text,
		       size_t len)
{
	fact_parse(&m->fact, text, len);
	m->total.damaged += m->fact.torn || m->fact.kind == FACT_NONE;
	if (m->fact.kind == FACT_SUMMARY)
		take_summary(m, file);
	else if (m->fact.kind == FACT_RECORD)
		take_record(m, file, line);
}

/* ---- the second one */

static void flush_failed(struct merge *m, size_t least)
{
	int err;

	if (m->fd < 0 || m->failed.len <= least)
		return;
	err = call_write_all(m->fd, m->failed.data, m->failed.len);
	m->failed.len = 0;
	if (!err)
		return;
	message("cannot write %s: %s", m->set->failed_to, error_text(err));
	m->status = EXIT_TROUBLE;
	close(m->fd);
	m->fd = -1;
}

static void say(const struct fact *fact, const char *before, const char *what)
{
	struct buf line = {0};

	buf_visible(&line, fact->name.data, fact->name.len);
	buf_char(&line, '\0');
	message("%s: %s%s", line.data, before, what);
	buf_free(&line);
}

/* As the run itself said it. */
static bool is_worth_a_line(const struct merge *m, enum fact_status status)
{
	if (m->set->quiet)
		return false;
	return status == FACT_FAILED || status == FACT_TIMEOUT || m->set->verbose;
}

static void look_at_line(struct merge *m, struct file *file, uint64_t line, const char *text,
			 size_t len)
{
	const enum look look = table_look(m->table, line);
	const struct fact *fact = &m->fact;
	const char *why = NULL;
	enum again_form form;

	(void)file;
	if (look == LOOK_NOT)
		return;
	fact_parse(&m->fact, text, len);
	if (look == LOOK_REPLACED) {
		m->total.bytes -= fact->bytes < m->total.bytes ? fact->bytes : m->total.bytes;
		return;
	}
	if (is_worth_a_line(m, fact->status))
		say(fact, "", fact->error ? fact->error : fact_names[fact->status]);
	if (m->fd < 0)
		return;
	form = m->mixed ? AGAIN_JOBS : again_form_of(m->total.op);
	if (!again_add(&m->failed, fact, form, m->set->null, &why))
		say(fact, "not written to --failed-to: ", why);
	flush_failed(m, WRITE_BYTES);
}

/* ---- what became of the runs */

/* The larger, the worse. */
static int badness(int status)
{
	switch (status) {
	case EXIT_OK:
		return 0;
	case EXIT_SOME_FAILED:
		return 1;
	case EXIT_USAGE:
		return 2;
	case EXIT_HALTED:
		return 3;
	case EXIT_DEADLINE:
		return 4;
	case EXIT_TROUBLE:
		return 6;
	default:
		return 5; /* a signal */
	}
}

static void take_status(struct merge *m, int status)
{
	if (badness(status) > badness(m->status))
		m->status = status;
}

/* The run that is the last word on a part, or on a file without one. */
static bool is_last_word(const struct merge *m, size_t i)
{
	const struct shard *shard = &m->files.all[i].shard;

	return !shard->parts || i + 1 == m->files.count ||
	       m->files.all[i + 1].shard.part != shard->part;
}

static void judge_file(struct merge *m, const struct file *file)
{
	if (!file->ended) {
		message("%s: its last run has not come to its end", file->name);
		/* Which part it was is not known; whether one is missing is asked elsewhere. */
		m->incomplete |= file->shard.parts || !m->files.parts;
		return;
	}
	if (file->records < file->items) {
		message("%s: its last run had %llu items, and %llu records are there", file->name,
			(unsigned long long)file->items, (unsigned long long)file->records);
		m->incomplete = true;
		return;
	}
	if (!file->shard.parts || !m->files.parts)
		m->total.ended += !m->files.parts;
	/* What failed may have succeeded since: the items say so. */
	if (file->exit != EXIT_SOME_FAILED || !file->bad)
		take_status(m, file->exit);
}

static void judge_journal(struct merge *m, const struct journal_fact *journal)
{
	if (journal->ended)
		return;
	message("%s: %s", journal->name,
		journal->used ? "its run is still at work" : "its run has not come to its end");
	m->incomplete = true;
}

/* Which parts have no end. */
static void judge_parts(struct merge *m)
{
	struct buf named = {0};
	uint64_t part = 1, missing = 0;

	for (size_t i = 0; i <= m->files.count && m->files.parts; i++) {
		const struct file *file = i < m->files.count ? &m->files.all[i] : NULL;
		const uint64_t next = file ? file->shard.part : m->files.parts + 1;

		if (file && (!file->shard.parts || !is_last_word(m, i)))
			continue;
		for (; part < next; part++) {
			buf_printf(&m->total.missing, "%s%llu/%llu", missing ? "," : "",
				   (unsigned long long)part, (unsigned long long)m->files.parts);
			if (missing++ < PARTS_NAMED)
				buf_printf(&named, " %llu/%llu", (unsigned long long)part,
					   (unsigned long long)m->files.parts);
		}
		part = next + 1;
		m->total.ended += file && file->ended;
	}
	if (missing) {
		buf_printf(&named, "%s%c", missing > PARTS_NAMED ? " ..." : "", '\0');
		message("no end of %llu part%s:%s", (unsigned long long)missing,
			missing > 1 ? "s" : "", named.data);
		m->incomplete = true;
	}
	buf_free(&named);
}

static void judge(struct merge *m)
{
	for (size_t i = 0; i < m->files.count; i++)
		if (is_last_word(m, i))
			judge_file(m, &m->files.all[i]);
	for (size_t i = 0; i < m->files.journal_count; i++)
		judge_journal(m, &m->files.journals[i]);
	judge_parts(m);
	for (int i = 0; i < FACT_STATUSES; i++)
		if (fact_is_bad((enum fact_status)i) && m->total.of[i])
			take_status(m, EXIT_SOME_FAILED);
	if (m->incomplete)
		take_status(m, EXIT_TROUBLE);
}

/* ---- the verb */

static bool open_failed(struct merge *m, const char *name)
{
	/* Only of paths nobody minds who reads them. */
	const struct verb *verb = verb_by_name(m->total.op);
	const bool open_to_all = !m->mixed && verb && verb->items &&
				 verb->items->source == SOURCE_PATH;
	const int standard = own_file_standard(name);

	m->fd = standard >= 0 ? fcntl(standard, F_DUPFD_CLOEXEC, STDERR_FILENO + 1) :
				open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
				     open_to_all ? 0666 : 0600);
	if (m->fd < 0)
		message("cannot write %s: %s", name, error_text(errno));
	return m->fd >= 0;
}

static int print(struct merge *m, bool json)
{
	struct buf text = {0};
	int err;

	if (json)
		total_json(&m->total, &text);
	else
		total_text(&m->total, &text);
	err = call_write_all(STDOUT_FILENO, text.data, text.len);
	buf_free(&text);
	if (err)
		message("cannot write standard output: %s", error_text(err));
	return err ? EXIT_TROUBLE : m->total.exit;
}

static int work(struct merge *m, const struct options *options)
{
	m->table = table_new(&m->files, m->files.lines);
	if (!each_line(m, count_line))
		return EXIT_TROUBLE;
	if (!*m->total.op)
		take_op(m, m->first_op);
	if (m->set->failed_to && !open_failed(m, m->set->failed_to))
		return EXIT_USAGE;
	if (table_looks(m->table) && !each_line(m, look_at_line))
		return EXIT_TROUBLE;
	flush_failed(m, 0);
	judge(m);
	if (m->mixed || !*m->total.op)
		strcpy(m->total.op, "merge");
	m->total.wall_us = (uint64_t)(m->last_ms - m->first_ms) * 1000;
	m->total.files = m->files.count;
	m->total.parts = m->files.parts;
	m->total.exit = m->status;
	return print(m, options->json);
}

static int merge_run(const struct options *options)
{
	struct merge m = {.set = options->settings, .fd = -1};
	struct options own = *options;
	int status;

	m.files.parts = m.set->parts;
	own.failed_to = m.set->failed_to;
	if (!options->arg_count && !m.set->parts)
		return usage_error(options->verb, "names no file of records");
	if (!own_files_check(&own, &status))
		return status;
	if (files_open(&m.files, options->args, options->arg_count, &status))
		status = work(&m, options);
	if (m.fd >= 0 && close(m.fd) && status != EXIT_TROUBLE) {
		message("cannot write %s: %s", m.set->failed_to, error_text(errno));
		status = EXIT_TROUBLE;
	}
	table_free(m.table);
	files_close(&m.files);
	fact_free(&m.fact);
	total_free(&m.total);
	buf_free(&m.failed);
	return status;
}

static const char *read_parts(void *to, const char *arg)
{
	return parse_count(arg, 1, 1000000000, to) ? NULL : "a number of parts, 1 or more";
}

static const struct opt merge_options[] = {
	{0, "parts", "N", "the job has so many; by default as the records say, where any does",
	 read_parts, OPT_AT(struct settings, parts, uint64_t)},
	{0, "failed-to", "FILE", "write what did not succeed, in a form that can be done again",
	 OPT_TEXT(struct settings, failed_to)},
	{'0', "null", NULL, "NUL-separated: --failed-to", OPT_FLAG(struct settings, null)},
	{'q', "quiet", NULL, "no messages about single items", OPT_FLAG(struct settings, quiet)},
	{'v', "verbose", NULL, "say more: what was cancelled or not started, too",
	 OPT_FLAG(struct settings, verbose)},
	OPT_END,
};

const struct verb merge_verb = {
	.name = "merge",
	.synopsis = "[options] RECORDS...",
	.summary = "One summary and one exit status of the shards of a job",
	.details =
		"RECORDS are what the shards printed with --json, and may hold several runs, one\n"
		"behind the other: of each item the last record counts. Journals among them are\n"
		"looked at for whether their runs have ended; '-' is standard input.\n"
		"--failed-to has names for the command itself, of verify lines with digests, of\n"
		"copy, fetch and run jobs for 'batchproc run'.\n"
		"A part without an end, or without all of its records, is exit status 125.\n",
	.takes = TAKES_JSON,
	.options = merge_options,
	.settings_size = sizeof(struct settings),
	.run = merge_run,
};
