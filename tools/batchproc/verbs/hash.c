/* SPDX-License-Identifier: MIT */
/*
 * hash: digests of files, in sha256sum's format.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "journal/journal.h"
#include "run/feed.h"
#include "base/alloc.h"
#include "base/array.h"
#include "base/buf.h"
#include "base/calls.h"
#include "base/status.h"
#include "base/device.h"
#include "digest/digest.h"
#include "digest/hashfile.h"
#include "cli/inputs.h"
#include "run/job.h"
#include "output/output.h"
#include "run/steer.h"
#include "cli/options.h"
#include "digest/sumlist.h"
#include "digest/hasher.h"
#include "verb.h"
#include "verbs/hash/hash.h"
#include "walk/tree.h"
#include "walk/walk.h"

static const char *cannot_be_listed(const struct item *item, enum sumformat format)
{
	struct buf path = {0};
	const char *why;

	if (format == SUMFORMAT_LINES)
		return NULL;
	item_path(item, &path);
	why = sumformat_lacks(format, path.data, path.len);
	buf_free(&path);
	return why;
}

/* In one reading. */
static int read_digests(struct item *item)
{
	const struct settings *set = item->settings;
	struct hash_item *own = item_priv(item);
	struct hashfile_want wants[1 + HASH_MORE];

	_Static_assert(HASH_MORE == SUMLINE_MORE && ARRAY_SIZE(wants) <= HASHER_DIGESTS,
		       "a file is read once");
	wants[0] = (struct hashfile_want){set->alg, own->digest};
	for (size_t i = 0; i < set->more_count; i++)
		wants[1 + i] = (struct hashfile_want){set->more[i], own->more[i]};
	return hashfile_digests(item, wants, 1 + set->more_count, true);
}

static void make_room(const struct settings *set, struct hash_item *own)
{
	if (set->more_count && !own->more)
		own->more = xcalloc(set->more_count, sizeof(*own->more));
}

static int hash_work(struct item *item)
{
	const struct settings *set = item->settings;
	struct hash_item *own = item_priv(item);
	int err;

	item->why = set->bag ? hash_bag_refuses(item) : cannot_be_listed(item, set->format);
	if (item->why)
		return -EINVAL;
	err = set->format == SUMFORMAT_MTREE ? hash_mtree_look(item) : 0;
	if (err)
		return err < 0 ? err : 0;
	own->kept = set->known &&
		    hash_update_knows(set->known, item, own->size, &own->facts, own->digest);
	if (own->kept)
		return 0;
	make_room(set, own);
	err = read_digests(item);
	if (!err && set->bag && item->status == STATUS_OK)
		err = hash_bag_add(set->bag_run, item, own->digest, item->bytes);
	if (err == -EISDIR && !set->recursive)
		item->why = "is a directory (-r hashes what is in it)";
	return err;
}

static void add_entry(const struct item *item, const struct buf *path, struct buf *buf)
{
	const struct hash_item *own = item_priv_const(item);
	const struct settings *set = item->settings;
	struct sumline line = {.name = path->data, .len = path->len, .facts = own->facts};

	if (own->facts.type != 'l') {
		line.alg = set->alg;
		memcpy(line.digest, own->digest, set->alg->size);
		for (; line.more_count < set->more_count; line.more_count++) {
			struct sumdigest *more = &line.more[line.more_count];

			more->alg = set->more[line.more_count];
			memcpy(more->bytes, own->more[line.more_count], more->alg->size);
		}
		line.sized = true;
		line.size = own->kept	   ? own->size :
			    item->restored ? item->source.size :
					     item->bytes;
	}
	sumformat_add(buf, set->format, &line);
}

/* The path goes where it is printed: there may be millions of these. */
static void add_line(const struct item *item, const struct digest_alg *alg,
		     const unsigned char *digest, struct buf *buf)
{
	const struct settings *set = item->settings;
	const size_t line = buf->len;
	size_t name;

	sumline_begin(buf, alg, digest, set->style);
	name = buf->len;
	item_path(item, buf);
	sumline_end(buf, line, name, alg, digest, set->style);
}

static void hash_text(const struct item *item, struct buf *buf)
{
	const struct hash_item *own = item_priv_const(item);
	const struct settings *set = item->settings;
	struct buf path = {0};

	if (!item_done(item) || set->bag)
		return;
	if (set->format != SUMFORMAT_LINES) {
		item_path(item, &path);
		add_entry(item, &path, buf);
		buf_free(&path);
		return;
	}
	add_line(item, set->alg, own->digest, buf);
	for (size_t i = 0; i < set->more_count; i++)
		add_line(item, set->more[i], own->more[i], buf);
}

/* Several are an array, as the option is in a job. */
static void hash_json(const struct item *item, struct buf *buf)
{
	const struct hash_item *own = item_priv_const(item);
	const struct settings *set = item->settings;
	const bool several = set->more_count;

	buf_printf(buf, ",\"alg\":%s\"%s\"", several ? "[" : "", set->alg->name);
	for (size_t i = 0; i < set->more_count; i++)
		buf_printf(buf, ",\"%s\"", set->more[i]->name);
	buf_str(buf, several ? "]" : "");
	if (item_done(item) && own->facts.type != 'l') {
		buf_str(buf, several ? ",\"digest\":[\"" : ",\"digest\":\"");
		buf_hex(buf, own->digest, set->alg->size);
		for (size_t i = 0; i < set->more_count; i++) {
			buf_str(buf, "\",\"");
			buf_hex(buf, own->more[i], set->more[i]->size);
		}
		buf_str(buf, several ? "\"]" : "\"");
	}
	if (own->kept)
		buf_str(buf, ",\"kept\":true");
}

static void hash_journal_options(const void *settings, struct buf *buf)
{
	const struct settings *set = settings;

	buf_str(buf, "algorithm=");
	buf_str(buf, set->alg->name);
	for (size_t i = 0; i < set->more_count; i++)
		buf_printf(buf, ",%s", set->more[i]->name);
}

/* The digest, so that a run that goes on prints a whole list. */
static void hash_journal_result(const struct item *item, struct buf *buf)
{
	const struct hash_item *own = item_priv_const(item);
	const struct settings *set = item->settings;

	sumfield_add(buf, set->alg, own->digest);
	for (size_t i = 0; i < set->more_count; i++) {
		buf_char(buf, ',');
		sumfield_add(buf, set->more[i], own->more[i]);
	}
}

static bool take_digests(const struct settings *set, struct hash_item *own, const char *result,
			 size_t len)
{
	const char *end = result + len;

	make_room(set, own);
	for (size_t i = 0; i <= set->more_count; i++) {
		const char *comma = memchr(result, ',', (size_t)(end - result));
		const char *to = comma ? comma : end;

		if (!comma != (i == set->more_count) ||
		    !sumfield_parse(i ? own->more[i - 1] : own->digest,
				    i ? set->more[i - 1] : set->alg, result, (size_t)(to - result)))
			return false;
		result = comma ? comma + 1 : end;
	}
	return true;
}

/* False where it is another algorithm's, under --force-resume. */
static bool hash_journal_restore(struct item *item, const char *result, size_t len)
{
	struct hash_item *own = item_priv(item);
	const struct settings *set = item->settings;

	/* The journal has no permissions. */
	if (set->format == SUMFORMAT_MTREE && hash_mtree_look(item))
		return false;
	if (!take_digests(set, own, result, len))
		return false;
	return !set->bag || (!hash_bag_refuses(item) &&
			     !hash_bag_add(set->bag_run, item, own->digest, item->source.size));
}

static void hash_release(struct item *item)
{
	struct hash_item *own = item_priv(item);

	free(own->text);
	free(own->more);
	own->text = NULL;
	own->more = NULL;
}

static const struct item_ops hash_items = {
	.op = "hash",
	.priv_size = sizeof(struct hash_item),
	.descriptors = 1,
	.work = hash_work,
	.permanent = hashfile_permanent,
	.text = hash_text,
	.json = hash_json,
	.release = hash_release,
	.journal_options = hash_journal_options,
	.journal_result = hash_journal_result,
	.journal_restore = hash_journal_restore,
};

/* One operand: a tree to walk, or an item. */
static void add_one(struct job *job, const struct item_class *class, const char *name)
{
	static const struct tree_ops files = {.follows = true};
	static const struct tree_ops all = {.follows = true,
					    .takes = 1u << DT_LNK,
					    .enter = hash_mtree_enter};
	const struct settings *set = class->settings;
	const bool mtree = set->format == SUMFORMAT_MTREE;
	struct walk_root root = {.class = class, .ops = mtree ? &all : &files, .data = job};
	struct stat st;

	if (mtree)
		hash_mtree_parents(job, name);
	if (!set->recursive || steer_stopping(job) || !strcmp(name, "-") || call_stat(name, &st) ||
	    !S_ISDIR(st.st_mode)) {
		item_submit(item_new(job, class, NULL, name, strlen(name)));
		return;
	}
	job->empty_is_fine = true;
	root.kind = device_kind_of_path(st.st_dev, name);
	walk_add(job->walk, &root, name, strlen(name));
}

static const char *set_up(const struct settings *set, int (*setup)(const struct digest_alg *alg))
{
	if (setup(set->alg))
		return digest_lacks(set->alg);
	for (size_t i = 0; i < set->more_count; i++)
		if (setup(set->more[i]))
			return digest_lacks(set->more[i]);
	return NULL;
}

static const char *hash_check(const struct jobspec *spec)
{
	const struct settings *set = spec->class->settings;
	const char *why = set_up(set, digest_setup);

	if (why)
		return why;

	if (set->bag)
		return "cannot make a bag here";
	if (set->update)
		return "cannot bring a list up to date here";
	/* It has a heading, and what a list of jobs prints is no list of its own. */
	if (set->format == SUMFORMAT_HASHDEEP)
		return "cannot write --format hashdeep here";
	if (set->format == SUMFORMAT_MTREE)
		return "cannot write --format mtree here";
	return spec->count ? NULL : "names no file";
}

static void hash_add(struct job *job, const struct jobspec *spec)
{
	for (size_t i = 0; i < spec->count; i++)
		add_one(job, spec->class, jobspec_next(spec));
}

static const char *read_format(void *to, const char *arg)
{
	enum sumformat *format = to;

	if (!strcmp(arg, "sfv"))
		*format = SUMFORMAT_SFV;
	else if (!strcmp(arg, "hashdeep"))
		*format = SUMFORMAT_HASHDEEP;
	else if (!strcmp(arg, "mtree"))
		*format = SUMFORMAT_MTREE;
	else
		return "one of sfv, hashdeep, mtree";
	return NULL;
}

/* Each once. */
static const char *read_algorithm(void *to, const char *arg)
{
	struct settings *set = to;
	const struct digest_alg *alg;
	const char *wrong = digest_read(&alg, arg);

	if (wrong || alg == set->alg)
		return wrong;
	for (size_t i = 0; i < set->more_count; i++)
		if (set->more[i] == alg)
			return NULL;
	if (!set->alg)
		set->alg = alg;
	else if (set->more_count < HASH_MORE)
		set->more[set->more_count++] = alg;
	else
		return "one of eight at most";
	return NULL;
}

static const char *hash_settle(void *settings, struct common *common)
{
	struct settings *set = settings;
	const char *why;

	(void)common;
	if (set->check)
		return "-c is the command verify";
	if (set->bag &&
	    (set->update || set->format || set->style.tag || set->style.zero || set->style.base64))
		return "--bag writes the manifests of a bag, and no list in another form";
	if (set->more_count && (set->bag || set->update))
		return "--bag and --update are for one algorithm";
	if (set->update && set->format && set->format != SUMFORMAT_MTREE)
		return "--update is for lists of --format mtree";
	if (set->update)
		set->format = SUMFORMAT_MTREE;
	if (!set->alg)
		set->alg = digest_by_name(set->format == SUMFORMAT_SFV ? "crc32" : "sha256");
	why = sumformat_refuses(set->format, set->alg, set->style);
	for (size_t i = 0; i < set->more_count && !why; i++)
		why = sumformat_refuses(set->format, set->more[i], set->style);
	if (!why)
		why = set_up(set, digest_setup_few);
	/* One of two lines without it would be taken for another's. */
	set->style.tag |= set->more_count > 0;
	return why;
}

/* Whether the rest of a word of letters is an argument, so that it has no letter of its own. */
static bool takes_argument(const struct verb *verb, char letter)
{
	const struct opt *opt = option_by_letter(verb, letter);

	return opt && opt->arg;
}

/* Takes the letter c out of a word of letters. *@apart: the argument of the last is the next word. */
static bool lose_letter(char *word, bool *apart)
{
	bool found = false;

	for (char *at = word + 1; *at;) {
		if (*at == 'c') {
			memmove(at, at + 1, strlen(at));
			found = true;
			continue;
		}
		if (takes_argument(&hash_verb, *at) || takes_argument(&verify_verb, *at)) {
			*apart = !at[1];
			break;
		}
		at++;
	}
	return found;
}

/* -c and --check, as sha256sum has them, among the options. */
static const struct verb *hash_stands_for(int *argc, char **argv)
{
	bool check = false, apart = false, ended = false;
	int to = 1;

	for (int i = 1; i < *argc; i++) {
		char *word = argv[i];
		bool ours = false;

		if (ended || apart) {
			apart = false;
		} else if (!strcmp(word, "--")) {
			ended = true;
		} else if (!strcmp(word, "--check")) {
			check = ours = true;
		} else if (word[0] == '-' && word[1] != '-' && lose_letter(word, &apart)) {
			check = true;
			ours = !word[1];
		}
		if (!ours)
			argv[to++] = word;
	}
	if (!check)
		return NULL;
	argv[to] = NULL;
	*argc = to;
	return &verify_verb;
}

static const char *read_text(void *to, const char *arg)
{
	bool *star = to;

	(void)arg;
	*star = false;
	return NULL;
}

static void hash_feed(struct job *job)
{
	const struct settings *set = job->class.settings;
	const struct digest_alg *algs[1 + HASH_MORE] = {set->alg};
	struct buf head = {0};

	memcpy(algs + 1, set->more, sizeof(set->more));

	if (!job->opt->json && !job->opt->dry_run) {
		sumformat_begin(&head, set->format, algs, 1 + set->more_count);
		if (head.len)
			output_add(job->output, SINK_OUT, head.data, head.len);
		buf_free(&head);
	}
	feed_each(job);
}

static int make_bag(const struct options *given, struct settings *set)
{
	const struct job_ops ops = {
		.walk = &walk_hooks,
		.journal = &journal_hooks,
		.expands = true,
		.feed = hash_bag_feed,
		.finish = hash_bag_finish,
	};
	struct options options = *given;
	int status;

	if (given->arg_count != 1 || given->list_count)
		return usage_error(given->verb, "--bag makes a bag of one directory at a time");
	if (given->shard.parts)
		return usage_error(given->verb, "--bag cannot be divided by --shard");
	if (filter_is_set(&given->filter))
		return usage_error(given->verb, "--bag takes all that is in the directory, and "
						"nothing can be left out of it");
	set->bag_run = hash_bag_new(set->alg);
	options.settings = set;
	status = feed_run(&options, &ops);
	hash_bag_free(set->bag_run);
	return status;
}

#define FEW_FILES 4
#define MANY_DESCRIPTORS 64 /* so that one is left for a library when a file is open */

/* Where what starts soon may be better than what is fast: see digest.c. */
static bool are_few(const struct options *given, const struct settings *set)
{
	struct rlimit limit;

	return !set->recursive && !set->bag && !given->list_count &&
	       given->arg_count <= FEW_FILES && !getrlimit(RLIMIT_NOFILE, &limit) &&
	       limit.rlim_cur >= MANY_DESCRIPTORS;
}

static int hash_run(const struct options *given)
{
	struct settings set = *(const struct settings *)given->settings;
	struct options options = *given;
	const struct job_ops ops = {
		.walk = set.recursive ? &walk_hooks : NULL,
		.journal = &journal_hooks,
		.one_each = !set.recursive,
		.feed = hash_feed,
	};
	int status;

	if (!are_few(given, &set)) {
		const char *why = set_up(&set, digest_setup);

		if (why)
			return usage_error(given->verb, "%s", why);
	}
	if (set.bag)
		return make_bag(given, &set);
	if (set.update) {
		set.known = hash_update_read(set.update, set.alg);
		if (!set.known)
			return EXIT_USAGE;
	}
	options.settings = &set;
	status = feed_run(&options, &ops);
	hash_update_free(set.known);
	return status;
}

static bool hash_walks(const void *settings)
{
	return ((const struct settings *)settings)->recursive;
}

static const struct opt hash_options[] = {
	{'a', "algorithm", "ALGORITHM",
	 "instead of sha256, or given again beside the first; one of\n" DIGEST_NAMES("\n"),
	 read_algorithm, OPT_WHOLE},
	{'c', "check", NULL, "check lists of digests instead: batchproc verify",
	 OPT_FLAG(struct settings, check)},
	{'b', "binary", NULL, "an asterisk before each name, as sha256sum -b has it",
	 OPT_FLAG(struct settings, style.star)},
	{'t', "text", NULL, "none (the default); files are read alike", read_text,
	 OPT_AT(struct settings, style.star, bool)},
	{0, "bag", NULL,
	 "make a bag (BagIt) of the directory PATH, in place: what is in it goes\n"
	 "to its data/, and manifests are written",
	 OPT_FLAG(struct settings, bag)},
	{'r', "recursive", NULL,
	 "walk directories; symbolic links in them are passed over, FIFOs,\n"
	 "sockets and devices are skipped with a record",
	 OPT_FLAG(struct settings, recursive)},
	{0, "tag", NULL, "BSD-style lines: SHA256 (NAME) = DIGEST",
	 OPT_FLAG(struct settings, style.tag)},
	{0, "base64", NULL, "digests in base64, as cksum --base64 prints them",
	 OPT_FLAG(struct settings, style.base64)},
	{0, "format", "sfv|hashdeep|mtree",
	 "a list in this form: with crc32; with md5, sha1 or sha256; with type,\n"
	 "mode, size and time, directories and links",
	 read_format, OPT_AT(struct settings, format, enum sumformat)},
	{0, "update", "FILE",
	 "print a list as --format mtree does, and read only those files whose\n"
	 "size or time is another than in FILE, or that it has not",
	 OPT_TEXT(struct settings, update)},
	{'z', "zero", NULL, "end lines with NUL, and escape no names",
	 OPT_FLAG(struct settings, style.zero)},
	OPT_END,
};

const struct verb hash_verb = {
	.name = "hash",
	.synopsis = "[options] PATH...",
	.summary = "Digests of files, in sha256sum's format",
	.details =
		"PATH - is standard input. FIFOs and devices are not read, by whatever name; a\n"
		"PATH that is a symbolic link is followed. Lines come as files are finished; sort\n"
		"them, or use -k. Lines of xxh3, crc32 and the -le algorithms always have their\n"
		"tag, since without it they would be taken for another's.\n",
	.takes = TAKES_RUN | TAKES_ENGINE | TAKES_JSON | TAKES_WALK,
	.options = hash_options,
	.items = &hash_items,
	.settings_size = sizeof(struct settings),
	.settle = hash_settle,
	.stands_for = hash_stands_for,
	.check = hash_check,
	.add = hash_add,
	.walks = hash_walks,
	.run = hash_run,
};
