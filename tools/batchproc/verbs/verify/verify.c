/* SPDX-License-Identifier: MIT */
/*
 * verify: checks lists of digests, as sha256sum -c does.
 *
 * Each line of a list is an item (lists.c). The counts for the warnings at the end are atomic,
 * since items end on every loop.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "journal/journal.h"
#include "run/feed.h"
#include "base/buf.h"
#include "digest/digest.h"
#include "digest/hashfile.h"
#include "cli/inputs.h"
#include "run/job.h"
#include "cli/options.h"
#include "digest/sumlist.h"
#include "digest/hasher.h"
#include "base/alloc.h"
#include "base/array.h"
#include "base/message.h"
#include "verb.h"
#include "verbs/verify/unlisted.h"
#include "verbs/verify/verify.h"
#include "walk/walk.h"

static const char *const verdict_names[] = {
	[UNREADABLE] = "unreadable", [UNCHANGED] = "unchanged", [CHANGED] = "changed",
	[MISSING] = "missing",	     [UNCHECKED] = "unchecked", [UNLISTED] = "unlisted",
};

static struct verify_run *run_of(const struct item *item)
{
	const struct settings *set = item->settings;

	return set->run;
}

static bool is_stdin(const struct item *item)
{
	return !strcmp(item->name.data, "-");
}

/* ---- items */

#define GUESSES 3u /* for a list */
#define GUESS_MOST (64u << 20) /* bytes of a file */

/*
 * A digest without a tag may be one of another algorithm than its length has most often. That is
 * looked for at the first files of a list that do not match, unless they are large.
 */
static const char *guess(struct item *item)
{
	const struct verify_item *own = item_priv_const(item);
	const struct digest_alg *other = NULL;
	const uint64_t bytes = item->bytes;
	unsigned char digest[DIGEST_SIZE_MAX];
	const char *found = NULL;

	if (own->tagged || bytes > GUESS_MOST || is_stdin(item) ||
	    atomic_fetch_add(&own->list->guesses, 1) >= GUESSES)
		return NULL;
	while (!found && (other = digest_of_size(other, own->alg->size)))
		if (other != own->alg && digest_is_ready(other) &&
		    !hashfile_digest(item, other, true, digest) && item->status != STATUS_SKIPPED &&
		    !memcmp(digest, own->expected, other->size))
			found = other->hint;
	item->bytes = bytes;
	return found;
}

static int mismatch(struct item *item)
{
	const char *hint = guess(item);

	item->why = hint ? hint : "the digest does not match";
	item->silent = !hint || run_of(item)->set->status;
	return -EBADMSG;
}

/* All digests of the entry, in one reading. */
static int read_digests(struct item *item)
{
	struct verify_item *own = item_priv(item);
	struct further *further = own->further;
	struct hashfile_want wants[1 + SUMLINE_MORE] = {{own->alg, own->digest}};
	size_t count = 1;

	_Static_assert(ARRAY_SIZE(wants) <= HASHER_DIGESTS, "a file is read once");
	for (size_t i = 0; further && i < further->more_count; i++)
		wants[count++] = (struct hashfile_want){further->more[i].alg, further->digests[i]};
	return hashfile_digests(item, wants, count, true);
}

/* The further digests of a list that has several. */
static int check_more(struct item *item)
{
	struct verify_item *own = item_priv(item);
	struct further *further = own->further;

	for (size_t i = 0; further && i < further->more_count; i++) {
		const struct sumdigest *more = &further->more[i];

		if (memcmp(further->digests[i], more->bytes, more->alg->size)) {
			further->differs = more;
			item->why = "another digest of its line does not match";
			item->silent = true;
			return -EBADMSG;
		}
	}
	return 0;
}

static int compare(struct item *item)
{
	struct verify_item *own = item_priv(item);

	own->compared = true;
	atomic_store(&own->list->verified, true);
	if (memcmp(own->digest, own->expected, own->alg->size))
		return mismatch(item);
	if (own->sized && run_of(item)->set->keys & KEY_SIZE && item->bytes != own->size) {
		item->why = "its size is not that of the list";
		item->silent = true;
		return -EBADMSG;
	}
	return check_more(item);
}

static bool may_be_missing(const struct item *item)
{
	const struct verify_item *own = item_priv_const(item);

	return run_of(item)->set->ignore_missing || (own->further && own->further->facts.optional);
}

static int verify_work(struct item *item)
{
	struct verify_item *own = item_priv(item);
	int err;

	own->verdict = UNREADABLE;
	own->compared = false;
	if (own->further)
		own->further->differs = NULL;
	err = own->further && own->further->facts.given ? verify_facts(item) : 0;
	if (!err) {
		err = read_digests(item);
		if (!err && item->status == STATUS_SKIPPED) {
			/* A file of the list that cannot be read is a failure. */
			item->status = STATUS_OK;
			item->skipped_named = false;
			return -EINVAL;
		}
		err = err ? err : compare(item);
	}
	if (err == -ENOENT) {
		own->verdict = MISSING;
		if (own->fetchable)
			item->why = "is missing; fetch.txt says from where it is to be had";
		if (may_be_missing(item)) {
			item->status = STATUS_SKIPPED;
			item->why = "is missing";
			return 0;
		}
		return err;
	}
	own->verdict = err >= 0 ? UNCHANGED : err == -EBADMSG ? CHANGED : UNREADABLE;
	return err < 0 ? err : 0;
}

static const char *verdict_text(const struct item *item)
{
	const struct verify_item *own = item_priv_const(item);

	if (item_done(item))
		return "OK";
	switch (own->verdict) {
	case CHANGED:
		return "FAILED";
	case UNCHECKED:
		return "FAILED not checked";
	case UNLISTED:
		return "FAILED not listed";
	default:
		return "FAILED open or read";
	}
}

static void verify_text(const struct item *item, struct buf *buf)
{
	const struct verify_item *own = item_priv_const(item);
	bool escape;

	if (run_of(item)->set->status || !own->list)
		return;
	if (item_done(item) ? item->job->opt->quiet :
			      item->status != STATUS_FAILED && item->status != STATUS_TIMEOUT)
		return;
	/* As sha256sum: escaped only where the line would break. */
	escape = memchr(item->name.data, '\n', item->name.len);
	if (escape)
		buf_char(buf, '\\');
	for (size_t i = 0; i < item->name.len; i++) {
		char c = item->name.data[i];

		if (escape && (c == '\n' || c == '\\'))
			buf_str(buf, c == '\n' ? "\\n" : "\\\\");
		else
			buf_char(buf, c);
	}
	buf_str(buf, ": ");
	buf_str(buf, verdict_text(item));
	buf_char(buf, '\n');
}

static void add_digests(struct buf *buf, const struct digest_alg *alg,
			const unsigned char *expected, const unsigned char *digest)
{
	buf_str(buf, ",\"alg\":\"");
	buf_str(buf, alg->name);
	buf_str(buf, "\",\"expected\":\"");
	buf_hex(buf, expected, alg->size);
	buf_char(buf, '"');
	if (!digest)
		return;
	buf_str(buf, ",\"digest\":\"");
	buf_hex(buf, digest, alg->size);
	buf_char(buf, '"');
}

/* Of several digests, the one that does not match. */
static void verify_json(const struct item *item, struct buf *buf)
{
	const struct verify_item *own = item_priv_const(item);
	const struct further *further = own->further;
	const struct sumdigest *differs = further ? further->differs : NULL;

	if (!own->list)
		return;
	if (item->status == STATUS_OK || item->status == STATUS_FAILED || own->verdict == MISSING)
		buf_printf(buf, ",\"verdict\":\"%s\"", verdict_names[own->verdict]);
	if (differs)
		add_digests(buf, differs->alg, differs->bytes,
			    further->digests[differs - further->more]);
	else if (own->alg)
		add_digests(buf, own->alg, own->expected, own->compared ? own->digest : NULL);
}

/*
 * With its tag, which says which of two algorithms of the same length it is; a line for each digest.
 * What else a list says of a file only mtree's lines can say again.
 */
static void verify_again(const struct item *item, struct buf *buf)
{
	const struct verify_item *own = item_priv_const(item);
	const struct further *further = own->further;
	const struct sumstyle style = {.tag = true, .zero = run_of(item)->set->zero};

	if (own->line) {
		buf_str(buf, own->line);
		buf_char(buf, style.zero ? '\0' : '\n');
	} else if (own->sized || (own->further && own->further->facts.given)) {
		verify_facts_again(item, buf);
	} else if (own->alg) {
		sumline_add(buf, own->alg, own->expected, item->name.data, item->name.len, style);
		for (size_t i = 0; further && i < further->more_count; i++)
			sumline_add(buf, further->more[i].alg, further->more[i].bytes,
				    item->name.data, item->name.len, style);
	}
}

/* What is expected: with other digests, or another size, it is another item. */
static void verify_journal_key(const struct item *item, struct buf *buf)
{
	const struct verify_item *own = item_priv_const(item);
	const struct further *further = own->further;

	buf_char(buf, '\t');
	if (own->alg)
		sumfield_add(buf, own->alg, own->expected);
	for (size_t i = 0; further && i < further->more_count; i++) {
		buf_char(buf, ',');
		sumfield_add(buf, further->more[i].alg, further->more[i].bytes);
	}
	if (own->sized) {
		buf_char(buf, '\t');
		buf_u64(buf, own->size);
	}
	verify_facts_key(item, buf);
}

static bool verify_journal_restore(struct item *item, const char *result, size_t len)
{
	struct verify_item *own = item_priv(item);

	(void)result;
	(void)len;
	memcpy(own->digest, own->expected, sizeof(own->digest));
	own->compared = own->alg != NULL;
	own->verdict = UNCHANGED;
	atomic_store(&own->list->verified, true);
	return true;
}

static _Atomic uint64_t *count_of(struct verify_run *run, enum outcome verdict)
{
	switch (verdict) {
	case UNCHECKED:
		return &run->unchecked;
	case CHANGED:
		return &run->mismatched;
	case UNLISTED:
		return &run->unlisted;
	default:
		return &run->unreadable;
	}
}

static void verify_release(struct item *item)
{
	struct verify_item *own = item_priv(item);
	struct verify_run *run = run_of(item);

	if (own->list && (item->status == STATUS_FAILED || item->status == STATUS_TIMEOUT))
		atomic_fetch_add(count_of(run, own->verdict), 1);
	verify_list_put(own->list);
	own->list = NULL;
	free(own->line);
	free(own->why);
	free(own->further);
	own->further = NULL;
	own->line = NULL;
	own->why = NULL;
}

static void warn_count(uint64_t count, const char *one, const char *many)
{
	if (count)
		message("WARNING: %llu %s", (unsigned long long)count, count == 1 ? one : many);
}

static bool verify_finish(struct job *job)
{
	const struct settings *set = job->class.settings;
	const struct verify_run *run = set->run;
	uint64_t bad_lines = atomic_load(&run->malformed);

	if (!set->status) {
		warn_count(bad_lines, "line is improperly formatted",
			   "lines are improperly formatted");
		warn_count(atomic_load(&run->unreadable), "listed file could not be read",
			   "listed files could not be read");
		warn_count(atomic_load(&run->unchecked), "listed file could not be checked",
			   "listed files could not be checked");
		warn_count(atomic_load(&run->unlisted), "file is in no list",
			   "files are in no list");
		warn_count(atomic_load(&run->bare),
			   "listed file has no digest, and its content was not read",
			   "listed files have no digest, and their content was not read");
		warn_count(atomic_load(&run->mismatched), "computed checksum did NOT match",
			   "computed checksums did NOT match");
	}
	return atomic_load(&run->wrong) || (set->strict && bad_lines);
}

/* ---- the verb */

static const struct item_ops verify_items = {
	.op = "verify",
	.priv_size = sizeof(struct verify_item),
	.descriptors = 1,
	.work = verify_work,
	.permanent = hashfile_permanent,
	.text = verify_text,
	.json = verify_json,
	.again = verify_again,
	.release = verify_release,
	.journal_key = verify_journal_key,
	.journal_restore = verify_journal_restore,
};

static int verify_run(const struct options *given)
{
	static char *standard_input[] = {"-"};
	struct options options = *given;
	struct settings set = *(const struct settings *)given->settings;
	const struct job_ops ops = {
		.walk = set.unlisted_count ? &walk_hooks : NULL,
		.journal = &journal_hooks,
		.expands = true,
		.quiet_is_own = true,
		.feed = verify_feed,
		.finish = verify_finish,
	};
	struct verify_run run = {.set = &set};
	int status;

	digest_load();
	if (!set.keys_given)
		set.keys = KEY_ALL;
	set.run = &run;
	options.settings = &set;
	if (set.bag && set.unlisted_count)
		return usage_error(given->verb, "--bag looks for such files by itself: --unlisted "
						"is for lists");
	if (!set.unlisted_count && filter_is_set(&given->filter))
		return usage_error(given->verb, "--exclude and its like say what of a directory is "
						"left out: they need --unlisted");
	/* As sha256sum -c has it: no list is the one on standard input. */
	if (!set.bag && !options.arg_count && !options.list_count) {
		options.args = standard_input;
		options.arg_count = 1;
	}
	status = feed_run(&options, &ops);
	verify_unlisted_end(&run);
	return status;
}

/* size,type,link,mode or none */
static const char *read_keys(void *to, const char *arg)
{
	static const char *const words[] = {"size", "type", "link", "mode"};
	struct settings *set = to;

	set->keys_given = true;
	set->keys = 0;
	if (!strcmp(arg, "none"))
		return NULL;
	for (;;) {
		size_t len = strcspn(arg, ","), i = 0;

		while (i < ARRAY_SIZE(words) &&
		       (strlen(words[i]) != len || memcmp(words[i], arg, len)))
			i++;
		if (i == ARRAY_SIZE(words))
			return "none, or some of size,type,link,mode";
		set->keys |= 1u << i;
		if (!arg[len])
			return NULL;
		arg += len + 1;
	}
}

static const char *read_unlisted(void *to, const char *arg)
{
	struct settings *set = to;

	if (!*arg || set->unlisted_count == UNLISTED_MOST)
		return "one of 16 directories at most";
	set->unlisted[set->unlisted_count++] = arg;
	return NULL;
}

static const struct opt verify_options[] = {
	{'a', "algorithm", "ALGORITHM",
	 "the only algorithm to accept; without it the tag or the length of\n"
	 "the digest says which (8: xxh32, 16: xxh64, 32: md5, 40: sha1,\n"
	 "56: sha224, 64: sha256, 96: sha384, 128: sha512)",
	 digest_read, OPT_AT(struct settings, alg, const struct digest_alg *)},
	{0, "bag", NULL, "each LIST is the directory of a bag (BagIt), all of which is checked",
	 OPT_FLAG(struct settings, bag)},
	{0, "ignore-missing", NULL, "pass over files that are not there",
	 OPT_FLAG(struct settings, ignore_missing)},
	{0, "keys", "size,type,link,mode|none",
	 "what is compared of an mtree list's entries beside digests; all of\n"
	 "these by default",
	 read_keys, OPT_WHOLE},
	{0, "status", NULL, "print nothing; the exit status tells",
	 OPT_FLAG(struct settings, status)},
	{0, "strict", NULL, "exit with 1 when a line is not properly formatted",
	 OPT_FLAG(struct settings, strict)},
	{0, "unlisted", "DIR",
	 "files in DIR, or below it, that no list names are failures; may be\n"
	 "given several times",
	 read_unlisted, OPT_WHOLE},
	{'w', "warn", NULL, "name each line that is not properly formatted",
	 OPT_FLAG(struct settings, warn)},
	{'z', "zero", NULL, "lines end with NUL and names are not escaped (hash -z)",
	 OPT_FLAG(struct settings, zero)},
	OPT_END,
};

const struct verb verify_verb = {
	.name = "verify",
	.synopsis = "[options] [LIST...]",
	.summary = "Checks lists of digests, as sha256sum -c does",
	.details = "LIST - is standard input, and so is no LIST at all. --quiet prints no line\n"
		   "for a file that is as it should be.\n"
		   "--failed-to gets the lines of the files that are not.\n",
	.takes = TAKES_RUN | TAKES_ENGINE | TAKES_JSON | TAKES_WALK,
	.options = verify_options,
	.items = &verify_items,
	.settings_size = sizeof(struct settings),
	.run = verify_run,
};
