/* SPDX-License-Identifier: MIT */
/*
 * settings: the options of copy, which are cp's where cp has them, and what they are together.
 */
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/array.h"
#include "base/parse.h"
#include "cli/options.h"
#include "digest/digest.h"
#include "verb.h"
#include "verbs/copy/copy.h"

/* ---- readers */

static const char *read_archive(void *to, const char *arg)
{
	struct copy_settings *set = to;

	(void)arg;
	set->recursive = set->archive = set->keep_xattrs = set->keep_links = true;
	set->keep_mode = set->keep_owner = set->keep_times = true;
	set->plain_mode = false;
	set->follow = FOLLOW_NEVER;
	return NULL;
}

static void keep_usual(struct copy_settings *set, bool keep)
{
	set->keep_mode = set->keep_owner = set->keep_times = keep;
	set->plain_mode = !keep;
}

static const char *read_keep_usual(void *to, const char *arg)
{
	(void)arg;
	keep_usual(to, true);
	return NULL;
}

/* One word of --preserve and --no-preserve. False: there is no such one. */
static bool keep_word(struct copy_settings *set, const char *word, size_t len, bool keep)
{
	static const struct {
		const char *word;
		bool mode, owner, times, links, xattrs;
	} words[] = {
		{"mode", .mode = true},	       {"ownership", .owner = true},
		{"timestamps", .times = true}, {"links", .links = true},
		{"xattr", .xattrs = true},     {"all", true, true, true, true, true},
	};
	size_t i = 0;

	while (i < ARRAY_SIZE(words) &&
	       (strlen(words[i].word) != len || memcmp(words[i].word, word, len)))
		i++;
	if (i == ARRAY_SIZE(words))
		return false;
	if (words[i].mode) {
		set->keep_mode = keep;
		set->plain_mode = !keep;
	}
	if (words[i].owner)
		set->keep_owner = keep;
	if (words[i].times)
		set->keep_times = keep;
	if (words[i].links)
		set->keep_links = keep;
	if (words[i].xattrs)
		set->keep_xattrs = keep;
	return true;
}

static const char *keep_words(struct copy_settings *set, const char *list, bool keep)
{
	for (size_t len;; list += len + 1) {
		len = strcspn(list, ",");
		if (!keep_word(set, list, len, keep))
			return "a list of mode, ownership, timestamps, links, xattr, all (labels "
			       "of security modules are not kept)";
		if (!list[len])
			return NULL;
	}
}

static const char *read_preserve(void *to, const char *arg)
{
	if (arg)
		return keep_words(to, arg, true);
	keep_usual(to, true);
	return NULL;
}

static const char *read_no_preserve(void *to, const char *arg)
{
	return keep_words(to, arg, false);
}

static const char *read_follow_all(void *to, const char *arg)
{
	enum copy_follow *follow = to;

	(void)arg;
	*follow = FOLLOW_ALL;
	return NULL;
}

static const char *read_follow_named(void *to, const char *arg)
{
	enum copy_follow *follow = to;

	(void)arg;
	*follow = FOLLOW_NAMED;
	return NULL;
}

static const char *read_follow_never(void *to, const char *arg)
{
	enum copy_follow *follow = to;

	(void)arg;
	*follow = FOLLOW_NEVER;
	return NULL;
}

static const char *read_links(void *to, const char *arg)
{
	struct copy_settings *set = to;

	(void)arg;
	set->follow = FOLLOW_NEVER;
	set->keep_links = true;
	return NULL;
}

static const char *read_makes_links(void *to, const char *arg)
{
	struct copy_settings *set = to;

	(void)arg;
	set->hard = true;
	set->makes = MAKES_LINKS;
	return NULL;
}

static const char *read_makes_symlinks(void *to, const char *arg)
{
	struct copy_settings *set = to;

	(void)arg;
	set->soft = true;
	set->makes = MAKES_SYMLINKS;
	return NULL;
}

static const char *read_reflink(void *to, const char *arg)
{
	struct copy_settings *set = to;

	set->reflink = !strcmp(arg, "always") ? REFLINK_ALWAYS :
		       !strcmp(arg, "never")  ? REFLINK_NEVER :
						REFLINK_AUTO;
	return set->reflink || !strcmp(arg, "auto") ? NULL : "auto, always or never";
}

static const char *read_sparse(void *to, const char *arg)
{
	struct copy_settings *set = to;

	set->sparse = !strcmp(arg, "always") ? SPARSE_ALWAYS :
		      !strcmp(arg, "never")  ? SPARSE_NEVER :
					       SPARSE_AUTO;
	return set->sparse || !strcmp(arg, "auto") ? NULL : "auto, always or never";
}

static const char *read_backup(void *to, const char *arg)
{
	static const struct {
		const char *word;
		enum backup means;
	} words[] = {
		{"none", BACKUP_NONE},	       {"off", BACKUP_NONE},
		{"simple", BACKUP_SIMPLE},     {"never", BACKUP_SIMPLE},
		{"existing", BACKUP_EXISTING}, {"nil", BACKUP_EXISTING},
		{"numbered", BACKUP_NUMBERED}, {"t", BACKUP_NUMBERED},
	};
	struct copy_settings *set = to;

	if (!arg)
		arg = getenv("VERSION_CONTROL");
	if (!arg || !*arg)
		arg = "existing";
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (!strcmp(arg, words[i].word)) {
			set->backup = words[i].means;
			return NULL;
		}
	}
	return "none, simple, existing or numbered";
}

static const char *read_suffix(void *to, const char *arg)
{
	struct copy_settings *set = to;

	if (!*arg || strchr(arg, '/'))
		return "a suffix, which has no slash";
	set->suffix = arg;
	return set->backup ? NULL : read_backup(set, NULL);
}

static const char *read_max_delete(void *to, const char *arg)
{
	struct copy_settings *set = to;

	set->has_max_delete = true;
	return parse_count(arg, 0, UINT64_MAX / 2, &set->max_delete) ? NULL : "a number of things";
}

/* ---- what they are together */

/*
 * What an item does that has the same source and destination as another one, as a number: the same
 * for the same options, wherever the settings lie. What only says which destination that is does
 * not count.
 */
static uint64_t way_of(const struct copy_settings *set)
{
	const unsigned char how[] = {
		set->recursive,
		set->archive,
		set->keep_mode,
		set->keep_owner,
		set->keep_times,
		set->keep_xattrs,
		set->keep_links,
		set->plain_mode,
		set->force,
		set->remove_first,
		set->attributes_only,
		set->one_file_system,
		set->contents,
		(unsigned char)set->follow,
		(unsigned char)set->makes,
		(unsigned char)set->sparse,
		(unsigned char)set->backup,
		set->atomic,
		set->sync,
		set->update,
		set->ignore_existing,
		set->verify,
		(unsigned char)set->reflink,
		set->inplace,
	};
	const char *alg = set->alg ? set->alg->name : "";
	const char *suffix = set->suffix ? set->suffix : "";
	uint64_t way = XXH3_64bits(how, sizeof(how));

	way = XXH3_64bits_withSeed(alg, strlen(alg), way);
	return XXH3_64bits_withSeed(suffix, strlen(suffix), way);
}

/* Two options of which one says that the other is not wanted. */
static const char *clash(const struct copy_settings *set)
{
	const bool links = set->makes != MAKES_COPIES;

	if (set->target && set->exact)
		return "-t and --no-target-directory exclude each other";
	if (set->mirror && !set->recursive)
		return "--delete needs -r or -a";
	if (set->has_max_delete && !set->mirror)
		return "--max-delete needs --delete";
	if (set->mirror && set->backup)
		return "--delete and --backup exclude each other: what goes has no backup";
	if (set->mirror && set->parents)
		return "--delete and --parents exclude each other";
	if (set->hard && set->soft)
		return "-l and -s exclude each other";
	if (set->parents && set->exact)
		return "--parents and --no-target-directory exclude each other";
	if (set->atomic && set->inplace)
		return "--atomic and --inplace exclude each other";
	if (set->inplace && set->backup)
		return "--inplace and --backup exclude each other";
	if (set->inplace && set->remove_first)
		return "--inplace and --remove-destination exclude each other";
	if (set->backup && set->ignore_existing)
		return "--backup and --ignore-existing exclude each other";
	if (set->reflink == REFLINK_ALWAYS && set->sparse)
		return "--reflink=always goes with --sparse=auto alone";
	if (links && (set->alg || set->verify))
		return "-l and -s read no file that --hash or --verify could tell of";
	if (links && set->inplace)
		return "-l and -s exclude --inplace";
	if (links && set->attributes_only)
		return "-l and -s exclude --attributes-only";
	if (links && set->reflink == REFLINK_ALWAYS)
		return "-l and -s exclude --reflink=always";
	if (set->attributes_only && (set->alg || set->verify))
		return "--attributes-only reads no file that --hash or --verify could tell of";
	if (set->attributes_only && set->reflink == REFLINK_ALWAYS)
		return "--attributes-only and --reflink=always exclude each other";
	return NULL;
}

const char *copy_settle(void *settings, struct common *common)
{
	struct copy_settings *set = settings;
	const char *wrong = clash(set);

	(void)common;
	if (wrong)
		return wrong;
	set->umask = current_umask();
	if (set->follow == FOLLOW_UNSET)
		set->follow = copy_follow_usual(set);
	if (set->sparse)
		set->reflink = REFLINK_NEVER;
	if (set->backup && !set->suffix)
		set->suffix = getenv("SIMPLE_BACKUP_SUFFIX");
	if (!set->suffix || !*set->suffix || strchr(set->suffix, '/'))
		set->suffix = "~";
	if (set->alg && digest_setup(set->alg))
		return digest_lacks(set->alg);
	set->way = way_of(set);
	return NULL;
}

/* ---- the table */

#define FLAG(field) OPT_FLAG(struct copy_settings, field)
#define FOLLOW OPT_AT(struct copy_settings, follow, enum copy_follow)

const struct opt copy_options[] = {
	{'r', "recursive", NULL,
	 "copy directories; symbolic links are copied as links, FIFOs, sockets\n"
	 "and devices are skipped with a record",
	 FLAG(recursive)},
	{'R', "recursive", NULL, "the same", FLAG(recursive)},
	{'a', "archive", NULL,
	 "-r, and keep everything: -p, extended attributes, ACLs, hard links\n"
	 "between what is copied; FIFOs, sockets and devices are made anew",
	 read_archive, OPT_WHOLE},
	{0, "preserve", "[=mode,ownership,timestamps,links,xattr,all]",
	 "keep these; without a list mode (and ACL), ownership and timestamps", read_preserve,
	 OPT_WHOLE},
	{'p', "preserve", NULL, "keep mode (and ACL), owner and times", read_keep_usual, OPT_WHOLE},
	{0, "no-preserve", "mode,ownership,timestamps,links,xattr,all",
	 "do not keep these; without its mode a new file gets what the umask\n"
	 "leaves",
	 read_no_preserve, OPT_WHOLE},
	{'L', "dereference", NULL, "follow all symbolic links (the default without -r)",
	 read_follow_all, FOLLOW},
	{'H', "dereference-command-line", NULL, "follow those that are named, not those in trees",
	 read_follow_named, FOLLOW},
	{'P', "no-dereference", NULL, "follow none (the default with -r)", read_follow_never,
	 FOLLOW},
	{'d', "as-links", NULL, "-P --preserve=links", read_links, OPT_WHOLE},
	{'x', "one-file-system", NULL,
	 "do not enter directories on another file system: they are made, and\n"
	 "left empty",
	 FLAG(one_file_system)},
	{'l', "link", NULL, "make hard links to the files instead of copies", read_makes_links,
	 OPT_WHOLE},
	{'s', "symbolic-link", NULL, "make symbolic links to the files instead of copies",
	 read_makes_symlinks, OPT_WHOLE},
	{'f', "force", NULL, "replace a file that may not be written, too", FLAG(force)},
	{0, "remove-destination", NULL,
	 "what is there goes, whatever it is but a directory, and nothing of\n"
	 "it stays: neither mode nor owner",
	 FLAG(remove_first)},
	{0, "backup", "[=none|simple|existing|numbered]",
	 "what is replaced gets another name; simple: with a suffix; existing:\n"
	 "numbered where such ones are, else simple",
	 read_backup, OPT_WHOLE},
	{'b', "backup", NULL, "--backup", read_backup, OPT_WHOLE},
	{'S', "suffix", "SUFFIX", "of simple backups, instead of ~; -b", read_suffix, OPT_WHOLE},
	{0, "parents", NULL, "the whole name of a source is its name below the directory",
	 FLAG(parents)},
	{'t', "target-directory", "DIR", "copy all sources into this directory",
	 OPT_TEXT(struct copy_settings, target)},
	{0, "no-target-directory", NULL,
	 "DST is what the copy is called, also where it is a directory (cp -T)", FLAG(exact)},
	{0, "strip-trailing-slashes", NULL, "of each SOURCE: link/ is the link itself",
	 FLAG(strip_slashes)},
	{'u', "update", NULL, "skip a file whose copy is there and not older", FLAG(update)},
	{0, "ignore-existing", NULL, "skip a file whose copy is there", FLAG(ignore_existing)},
	{0, "no-clobber", NULL, "the same (cp -n)", FLAG(ignore_existing)},
	{0, "delete", NULL,
	 "remove from the copy of a directory what that has not, after all is\n"
	 "copied, and if nothing has failed; not with -b",
	 FLAG(mirror)},
	{0, "max-delete", "N", "but not more than so many things", read_max_delete, OPT_WHOLE},
	{0, "reflink", "auto|always|never", "share blocks where the file system can", read_reflink,
	 OPT_WHOLE},
	{0, "sparse", "auto|always|never",
	 "auto: holes stay holes; always: blocks of zeros become some; never", read_sparse,
	 OPT_WHOLE},
	{0, "attributes-only", NULL, "copy no content, only what is to be kept",
	 FLAG(attributes_only)},
	{0, "copy-contents", NULL, "read FIFOs and devices to their end, as if they were files",
	 FLAG(contents)},
	{0, "atomic", NULL, "give every file its name only when it is whole, new ones too",
	 FLAG(atomic)},
	{0, "inplace", NULL,
	 "write into a file that is there, which cannot be replaced: one that is\n"
	 "mounted by itself, or in a directory that may not be written; and into\n"
	 "a FIFO or a device",
	 FLAG(inplace)},
	{0, "sync", NULL, "wait until files and directories are on the device", FLAG(sync)},
	{0, "hash", "ALGORITHM",
	 "print digests of what was copied, with the names of the copies, as\n"
	 "batchproc hash does",
	 digest_read, OPT_AT(struct copy_settings, alg, const struct digest_alg *)},
	{0, "verify", NULL, "read each copy back from the device and compare", FLAG(verify)},
	OPT_END,
};
