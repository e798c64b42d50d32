/* SPDX-License-Identifier: MIT */
/*
 * verify: lists of digests are read, line by line, in the main thread, and each line is an item.
 * A list lives as long as one of its items, which end on every loop.
 */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/message.h"
#include "cli/inputs.h"
#include "cli/options.h"
#include "digest/sumlist.h"
#include "run/feed.h"
#include "run/job.h"
#include "verbs/verify/unlisted.h"
#include "verbs/verify/verify.h"

void verify_list_put(struct list *list)
{
	const struct settings *set;

	if (!list || atomic_fetch_sub(&list->refs, 1) != 1)
		return;
	set = list->run->set;
	if (set->ignore_missing && !atomic_load(&list->verified)) {
		atomic_store(&list->run->wrong, true);
		if (!set->status)
			message("%s: no file was verified", list->name);
	}
	free(list);
}

struct list *verify_list_new(struct verify_run *run, const char *name)
{
	struct buf shown = {0};
	struct list *list;

	if (!strcmp(name, "-"))
		name = "standard input";
	buf_visible(&shown, name, strlen(name));
	list = xcalloc(1, sizeof(*list) + shown.len + 1);
	memcpy(list->name, shown.data, shown.len);
	buf_free(&shown);
	atomic_init(&list->refs, 1);
	list->run = run;
	return list;
}

/* So that a digest that does not match can be compared with those of other algorithms. */
static void ready_others(struct verify_run *run, const struct digest_alg *alg)
{
	const struct digest_alg *other = NULL;

	if (alg == run->readied)
		return;
	run->readied = alg;
	while ((other = digest_of_size(other, alg->size)))
		digest_setup(other);
}

void verify_hold(struct item *item, struct list *list)
{
	struct verify_item *own = item_priv(item);

	own->list = list;
	atomic_fetch_add(&list->refs, 1);
}

struct item *verify_entry_new(struct job *job, struct list *list, const struct sumline *line)
{
	struct item *item = item_new(job, &job->class, NULL, line->name, line->len);
	struct verify_item *own = item_priv(item);

	own->alg = line->alg;
	own->verdict = UNREADABLE;
	own->compared = false;
	verify_hold(item, list);
	return item;
}

void verify_fault(struct job *job, struct list *list, enum outcome verdict, const char *name,
		  size_t len, const char *why, int err)
{
	const struct sumline line = {.name = (char *)name, .len = len};
	struct item *item = verify_entry_new(job, list, &line);
	struct verify_item *own = item_priv(item);

	own->verdict = verdict;
	item->why = why;
	item_finish(item, STATUS_FAILED, err);
}

/* An entry that cannot be checked is a failure; as input for the next time its line is kept. */
static void feed_unchecked(struct job *job, struct list *list, const struct sumline *line,
			   const char *text)
{
	struct item *item = verify_entry_new(job, list, line);
	struct verify_item *own = item_priv(item);

	struct buf why = {0};

	own->line = xstrdup(text);
	own->verdict = UNCHECKED;
	buf_str(&why, "not checked: ");
	buf_str(&why, line->why);
	if (line->tag) {
		buf_str(&why, ": ");
		buf_visible(&why, line->tag, line->tag_len);
	}
	buf_char(&why, '\0');
	own->why = why.data;
	item->why = own->why;
	item_finish(item, STATUS_FAILED, -ENOTSUP);
}

/* NULL where there is nothing of the kind. */
static struct further *further_new(const struct sumline *line)
{
	const struct sumfacts *facts = &line->facts;
	struct further *further;

	if (!facts->given && !line->more_count)
		return NULL;
	further = xcalloc(1, sizeof(*further) + facts->link_len + 1);
	further->facts = *facts;
	if (facts->link)
		further->facts.link = memcpy(further->text, facts->link, facts->link_len);
	further->more_count = line->more_count;
	memcpy(further->more, line->more, line->more_count * sizeof(line->more[0]));
	return further;
}

static char *not_checked(const char *why)
{
	struct buf text = {0};

	buf_str(&text, "not checked: ");
	buf_str(&text, why);
	buf_char(&text, '\0');
	return text.data;
}

void verify_entry_submit(struct item *item, struct list *list, const struct sumline *line)
{
	struct verify_item *own = item_priv(item);
	const struct digest_alg *lacking = line->alg;
	int err = line->alg ? digest_setup(line->alg) : 0;

	if (line->alg)
		memcpy(own->expected, line->digest, line->alg->size);
	own->tagged = line->tagged;
	own->sized = line->sized;
	own->size = line->size;
	own->further = further_new(line);
	for (size_t i = 0; i < line->more_count && !err; i++) {
		lacking = line->more[i].alg;
		err = digest_setup(lacking);
	}
	if (err) {
		own->verdict = UNCHECKED;
		own->why = not_checked(digest_lacks(lacking));
		item->why = own->why;
		item_finish(item, STATUS_FAILED, err);
		return;
	}
	if (!line->tagged)
		ready_others(list->run, line->alg);
	item_submit(item);
}

static void malformed(const struct list *list, uint64_t number)
{
	const struct settings *set = list->run->set;

	if (set->warn && !set->status)
		message("%s: %llu: improperly formatted %s%schecksum line", list->name,
			(unsigned long long)number, set->alg ? set->alg->tag : "",
			set->alg ? " " : "");
}

/* What a list as a whole has come to, when it was read. */
static void judge_list(struct job *job, struct list *list, const struct sumlist *form,
		       uint64_t good, uint64_t bad)
{
	struct verify_run *run = list->run;

	if (form->is_signed && !run->set->status && !job->opt->quiet)
		message("%s: is signed by PGP; the signature is not checked", list->name);
	if (form->has_nul) {
		message("%s: has NULs in its lines (-z reads lists whose lines end with NUL)",
			list->name);
		atomic_store(&run->wrong, true);
	}
	if (good) {
		atomic_fetch_add(&run->malformed, bad);
		return;
	}
	if (!form->has_nul)
		message("%s: no properly formatted checksum lines found", list->name);
	atomic_store(&run->wrong, true);
	atomic_store(&list->verified, true);
}

/* By its name: such a list may have no comments that tell. */
static bool is_sfv(const char *name, size_t len)
{
	return len > 4 && !strcasecmp(name + len - 4, ".sfv");
}

static void feed_list(struct job *job, const char *name, size_t len)
{
	const struct settings *set = job->class.settings;
	struct sumlist form = {
		.rules = {.forced = set->alg, .zero = set->zero},
		.may_be_sfv = is_sfv(name, len),
	};
	struct list *list;
	struct sumline line;
	struct lines lines;
	uint64_t number = 0, good = 0, bad = 0;
	char *text;
	int err;

	job->empty_is_fine = true;
	err = lines_open(&lines, name, set->zero ? '\0' : '\n');
	if (err) {
		struct item *item = item_new_undivided(job, &job->class, NULL, name, len);

		lines_close(&lines);
		set->run->unread = true;
		item_finish(item, STATUS_FAILED, err);
		return;
	}
	list = verify_list_new(set->run, name);
	verify_seen(job, name, len);
	while (lines_next(&lines, &job->watch, &text, &len)) {
		number++;
		switch (sumlist_take(&form, &line, text, len)) {
		case SUMLINE_SKIPPED:
			break;
		case SUMLINE_NONE:
			malformed(list, number);
			bad++;
			break;
		case SUMLINE_UNCHECKED:
			good++;
			verify_seen(job, line.name, line.len);
			feed_unchecked(job, list, &line, text);
			break;
		case SUMLINE_ENTRY:
			good++;
			verify_seen(job, line.name, line.len);
			verify_entry_submit(verify_entry_new(job, list, &line), list, &line);
			break;
		}
	}
	set->run->unread |= lines.err != 0;
	lines_close(&lines);
	judge_list(job, list, &form, good, bad);
	sumlist_free(&form);
	verify_list_put(list);
}

void verify_feed(struct job *job)
{
	const struct settings *set = job->class.settings;
	struct buf name = {0};
	const char *text;
	size_t len;

	while (feed_next(job, &text, &len)) {
		/* The list has lines of its own, for which the buffer of this name is not. */
		name.len = 0;
		buf_add(&name, text, len);
		buf_char(&name, '\0');
		if (set->bag)
			verify_feed_bag(job, name.data);
		else
			feed_list(job, name.data, len);
	}
	buf_free(&name);
	verify_unlisted(job);
}
