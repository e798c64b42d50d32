/* SPDX-License-Identifier: MIT */
/*
 * verify --bag: a whole bag of BagIt (RFC 8493): its declaration, the files that its manifests name,
 * each in each algorithm, files of the payload that no manifest names, Payload-Oxum, and what
 * fetch.txt says is elsewhere. Read in the main thread; what is found wrong with the bag itself is
 * an item that has failed.
 *
 * A file is read once, however many manifests name it: an entry of the first manifest takes along
 * the digests that the others have of that name, which are kept in memory. What of the others has
 * not gone along, because it is said twice or the first does not have it, are entries of their own.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/array.h"
#include "base/calls.h"
#include "base/message.h"
#include "cli/inputs.h"
#include "digest/bagline.h"
#include "digest/seen.h"
#include "run/job.h"
#include "run/steer.h"
#include "verbs/verify/unlisted.h"
#include "verbs/verify/verify.h"

#define PAYLOADS_MOST 32u /* manifests of the payload: bits of a word */

/* What manifests say of a name. */
struct named {
	uint32_t bits; /* the manifests of the payload that have it */
	uint32_t kept; /* 1 << i: the i-th of the manifests that are read together has a digest */
	bool fed; /* with the first of them */
	unsigned char digests[];
};

/* The same of all names of manifests that are read together. */
struct names {
	struct seen *seen; /* the place of each in table, from 1 */
	struct buf table;
	size_t each;
};

struct bag {
	struct job *job;
	struct list *list;
	const char *dir;
	bool each_names_all; /* since version 1.0 each payload manifest names all of the payload */
	unsigned int payloads; /* manifests of the payload, */
	uint32_t bits; /* and a bit for each */
	struct names names; /* that they have */
	struct seen *fetched; /* what fetch.txt names */
	bool has_oxum;
	uint64_t oxum_bytes, oxum_count, bytes, count;
	struct buf path, name;
};

static const char *path_in(struct bag *bag, const char *name, size_t len)
{
	struct buf *path = &bag->path;

	path->len = 0;
	buf_str(path, bag->dir);
	if (path->len && path->data[path->len - 1] != '/')
		buf_char(path, '/');
	buf_add(path, name, len);
	buf_char(path, '\0');
	path->len--;
	return path->data;
}

static void fault(struct bag *bag, enum outcome verdict, const char *name, size_t len,
		  const char *why, int err)
{
	path_in(bag, name, len);
	verify_fault(bag->job, bag->list, verdict, bag->path.data, bag->path.len, why, err);
}

/* ---- files of lines */

/*
 * Calls @take for each line. Returns 0, or -errno where it cannot be opened: -EINVAL where it is no
 * regular file, which could have anything to say, or nothing ever.
 */
static int read_lines(struct bag *bag, const char *name,
		      void (*take)(struct bag *bag, void *arg, char *text, size_t len), void *arg)
{
	struct lines lines;
	char *text;
	size_t len;
	int err = lines_open(&lines, path_in(bag, name, strlen(name)), '\n');

	if (!err && !lines.regular)
		err = -EINVAL;
	while (!err && lines_next(&lines, &bag->job->watch, &text, &len)) {
		if (len && text[len - 1] == '\r')
			text[--len] = '\0';
		if (len)
			take(bag, arg, text, len);
	}
	lines_close(&lines);
	return err;
}

/* The same; false where there is no such file, or it cannot be read: said. */
static bool each_line(struct bag *bag, const char *name, bool wanted,
		      void (*take)(struct bag *bag, void *arg, char *text, size_t len), void *arg)
{
	int err = read_lines(bag, name, take, arg);

	if (err && (wanted || err != -ENOENT))
		fault(bag, err == -ENOENT ? MISSING : UNREADABLE, name, strlen(name),
		      err == -ENOENT ? "is missing: this is no bag" :
		      err == -EINVAL ? "is not a regular file" :
				       NULL,
		      err);
	return !err;
}

/* The value of "LABEL: VALUE", or NULL. */
static const char *value_of(const char *text, const char *label)
{
	const size_t len = strlen(label);

	if (strncasecmp(text, label, len) || text[len] != ':')
		return NULL;
	text += len + 1;
	return text + strspn(text, " \t");
}

struct declaration {
	bool version, encoding;
};

static void take_declaration(struct bag *bag, void *arg, char *text, size_t len)
{
	struct declaration *told = arg;
	const char *value;

	(void)len;
	if (!strncmp(text, "\xef\xbb\xbf", 3))
		text += 3;
	value = value_of(text, "BagIt-Version");
	if (value) {
		told->version = strspn(value, "0123456789.") == strlen(value) && *value;
		bag->each_names_all = atoi(value) >= 1;
	}
	value = value_of(text, "Tag-File-Character-Encoding");
	if (value)
		told->encoding = !strcasecmp(value, "UTF-8") || !strcasecmp(value, "US-ASCII");
}

/* BYTES.FILES */
static void take_info(struct bag *bag, void *arg, char *text, size_t len)
{
	const char *value = value_of(text, "Payload-Oxum"), *dot;

	(void)len;
	if (!value)
		return;
	dot = strchr(value, '.');
	bag->has_oxum = dot && sumline_number(&bag->oxum_bytes, value, (size_t)(dot - value)) &&
			sumline_number(&bag->oxum_count, dot + 1, strlen(dot + 1));
	*(bool *)arg = !bag->has_oxum;
}

/* ---- names */

static bool exists(struct bag *bag, const char *name, size_t len)
{
	struct stat st;

	return !call_lstat(path_in(bag, name, len), &st);
}

/*
 * The file that a name of a list is: as it is decoded, or as it stands there where there is no such
 * file and one of that name, as bagit-python writes it. Below ./ it is the same.
 */
static void find_name(struct bag *bag, const char *name, size_t len)
{
	while (len > 2 && name[0] == '.' && name[1] == '/') {
		name += 2;
		len -= 2;
	}
	bag->name.len = 0;
	if (bagline_decode(&bag->name, name, len) && !exists(bag, bag->name.data, bag->name.len) &&
	    exists(bag, name, len)) {
		bag->name.len = 0;
		buf_add(&bag->name, name, len);
	}
}

/* ---- manifests */

struct manifest {
	const struct digest_alg *alg;
	char *name;
	uint32_t bit; /* 0: of tag files */
	bool surplus; /* there is no bit for it */
	uint64_t bad; /* lines */
	struct group *group;
	size_t place; /* in that */
	size_t at; /* where its digests are in a struct named */
};

/* Those whose entries go together: the first, and those whose digests are kept. */
struct group {
	struct manifest *of[1 + SUMLINE_MORE];
	size_t count;
	struct names *names;
};

static struct named *named_at(const struct names *names, uint32_t number)
{
	return (struct named *)(names->table.data + (number - 1) * names->each);
}

/* NULL: no manifest has it. */
static struct named *find_named(const struct names *names, const char *name, size_t len)
{
	const uint32_t *number = seen_find(names->seen, name, len);

	return number ? named_at(names, *number) : NULL;
}

static struct named *add_named(struct names *names, const char *name, size_t len)
{
	static const struct named none;
	uint32_t *number = seen_add(names->seen, name, len);

	if (!*number) {
		buf_add(&names->table, &none, offsetof(struct named, digests));
		for (size_t i = offsetof(struct named, digests); i < names->each; i++)
			buf_char(&names->table, '\0');
		*number = (uint32_t)(names->table.len / names->each);
	}
	return named_at(names, *number);
}

static void names_free(struct names *names)
{
	seen_free(names->seen);
	buf_free(&names->table);
}

/* An entry of the second manifest or a further one: its digest is kept. */
static void keep_entry(struct bag *bag, void *arg, char *text, size_t len)
{
	const struct manifest *manifest = arg;
	struct sumline line;
	struct named *named;

	if (bagline_parse(&line, manifest->alg, text, len) != SUMLINE_ENTRY ||
	    !bagline_is_inside(line.name, line.len, manifest->bit))
		return;
	find_name(bag, line.name, line.len);
	named = add_named(manifest->group->names, bag->name.data, bag->name.len);
	if (named->kept >> manifest->place & 1)
		return;
	named->kept |= UINT32_C(1) << manifest->place;
	memcpy(named->digests + manifest->at, line.digest, manifest->alg->size);
}

/* An entry of the first manifest takes along what the others have. */
static void join_entry(const struct group *group, struct named *named, struct sumline *line)
{
	for (size_t i = 1; i < group->count; i++) {
		const struct manifest *other = group->of[i];
		struct sumdigest *more = &line->more[line->more_count];

		if (!(named->kept >> i & 1))
			continue;
		more->alg = other->alg;
		memcpy(more->bytes, named->digests + other->at, other->alg->size);
		line->more_count++;
	}
	named->fed = true;
}

static bool has_gone_along(const struct manifest *manifest, const struct named *named,
			   const struct sumline *line)
{
	return named->fed && named->kept >> manifest->place & 1 &&
	       !memcmp(named->digests + manifest->at, line->digest, manifest->alg->size);
}

static void take_entry(struct bag *bag, void *arg, char *text, size_t len)
{
	struct manifest *manifest = arg;
	struct named *named;
	struct sumline line;
	struct item *item;

	if (bagline_parse(&line, manifest->alg, text, len) != SUMLINE_ENTRY) {
		manifest->bad++;
		return;
	}
	if (!bagline_is_inside(line.name, line.len, manifest->bit)) {
		fault(bag, UNCHECKED, line.name, line.len,
		      manifest->bit ? "not checked: its manifest is for what is below data/ alone" :
				      "not checked: its manifest is for tag files of the bag alone",
		      -EINVAL);
		return;
	}
	find_name(bag, line.name, line.len);
	named = add_named(manifest->group->names, bag->name.data, bag->name.len);
	named->bits |= manifest->bit;
	if (!manifest->place)
		join_entry(manifest->group, named, &line);
	else if (has_gone_along(manifest, named, &line))
		return;
	path_in(bag, bag->name.data, bag->name.len);
	line.name = bag->path.data;
	line.len = bag->path.len;
	item = verify_entry_new(bag->job, bag->list, &line);
	((struct verify_item *)item_priv(item))->fetchable =
		seen_find(bag->fetched, bag->name.data, bag->name.len);
	verify_entry_submit(item, bag->list, &line);
}

static void feed_manifest(struct bag *bag, struct manifest *manifest)
{
	each_line(bag, manifest->name, true, take_entry, manifest);
	if (manifest->bad)
		fault(bag, UNCHECKED, manifest->name, strlen(manifest->name),
		      "has lines that are none of a manifest", -EINVAL);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct manifest *)a)->name, ((const struct manifest *)b)->name);
}

/* manifest-ALGORITHM.txt, tagmanifest-ALGORITHM.txt */
static bool is_manifest(struct manifest *manifest, const char *name)
{
	static const char tag[] = "tag", head[] = "manifest-", tail[] = ".txt";
	const size_t len = strlen(name);
	const char *at = name;
	bool tags = !strncmp(at, tag, strlen(tag));

	at += tags ? strlen(tag) : 0;
	if (strncmp(at, head, strlen(head)))
		return false;
	at += strlen(head);
	if ((size_t)(name + len - at) <= strlen(tail) || strcmp(name + len - strlen(tail), tail))
		return false;
	*manifest = (struct manifest){
		.name = xstrdup(name),
		.alg = digest_by_spelling(at, (size_t)(name + len - at) - strlen(tail)),
		.bit = !tags,
	};
	return true;
}

static bool is_known(struct bag *bag, const struct manifest *manifest)
{
	if (manifest->surplus) {
		fault(bag, UNCHECKED, manifest->name, strlen(manifest->name),
		      "not checked: of the payload no more than 32 manifests are read", -E2BIG);
		return false;
	}
	if (manifest->alg && !digest_setup(manifest->alg))
		return true;
	fault(bag, UNCHECKED, manifest->name, strlen(manifest->name),
	      manifest->alg ? digest_lacks(manifest->alg) :
			      "not checked: its algorithm is not known",
	      -ENOTSUP);
	return false;
}

/* All manifests of the payload, or all of tag files. */
static void feed_group(struct bag *bag, struct manifest *all, size_t count, bool payload,
		       struct names *names)
{
	struct group group = {.names = names};
	size_t each = offsetof(struct named, digests);

	for (size_t i = 0; i < count; i++) {
		if ((all[i].bit != 0) != payload || !is_known(bag, &all[i]))
			continue;
		bag->bits |= all[i].bit;
		all[i].group = &group;
		all[i].place = group.count;
		all[i].at = each - offsetof(struct named, digests);
		if (group.count == ARRAY_SIZE(group.of))
			continue;
		each += group.count ? all[i].alg->size : 0;
		group.of[group.count++] = &all[i];
	}
	names->each = (each + _Alignof(struct named) - 1) / _Alignof(struct named) *
		      _Alignof(struct named);
	for (size_t i = 1; i < group.count; i++)
		read_lines(bag, group.of[i]->name, keep_entry, group.of[i]);
	for (size_t i = 0; i < count; i++)
		if ((all[i].bit != 0) == payload && all[i].group)
			feed_manifest(bag, &all[i]);
}

/* Those of the directory, in the order of their names. Returns 0 or -errno. */
static int find_manifests(struct bag *bag, struct manifest **all, size_t *count)
{
	const struct dirent *entry;
	DIR *dir = opendir(bag->dir);
	struct manifest one;
	int err;

	if (!dir)
		return -errno;
	for (errno = 0; (entry = readdir(dir)); errno = 0) {
		if (!is_manifest(&one, entry->d_name))
			continue;
		*all = xrealloc(*all, (*count + 1) * sizeof(one));
		(*all)[(*count)++] = one;
	}
	err = -errno;
	closedir(dir);
	if (*count)
		qsort(*all, *count, sizeof(one), by_name);
	return err;
}

static void feed_manifests(struct bag *bag)
{
	struct names of_tags = {.seen = seen_new()};
	struct manifest *all = NULL;
	size_t count = 0;
	int err = find_manifests(bag, &all, &count);

	for (size_t i = 0; i < count; i++) {
		if (!all[i].bit)
			continue;
		all[i].bit = UINT32_C(1) << bag->payloads % PAYLOADS_MOST;
		all[i].surplus = bag->payloads++ >= PAYLOADS_MOST;
	}
	feed_group(bag, all, count, true, &bag->names);
	feed_group(bag, all, count, false, &of_tags);
	for (size_t i = 0; i < count; i++)
		free(all[i].name);
	free(all);
	names_free(&of_tags);
	if (err)
		fault(bag, UNREADABLE, "", 0, "cannot be listed whole", err);
	else if (!bag->payloads)
		fault(bag, MISSING, "manifest-sha256.txt", strlen("manifest-sha256.txt"),
		      "is missing, and so is any other manifest of the payload", -ENOENT);
}

/* ---- fetch.txt, the payload */

static void take_fetch(struct bag *bag, void *arg, char *text, size_t len)
{
	const char *name;
	size_t name_len;

	if (!bagline_fetch(&name, &name_len, text, len) ||
	    !bagline_is_inside(name, name_len, true)) {
		++*(uint64_t *)arg;
		return;
	}
	find_name(bag, name, name_len);
	*seen_add(bag->fetched, bag->name.data, bag->name.len) = 1;
}

/* What it names has to be in the manifests as well. */
static void take_fetch_again(struct bag *bag, void *arg, char *text, size_t len)
{
	const struct named *named;
	const char *name;
	size_t name_len;

	(void)arg;
	if (!bagline_fetch(&name, &name_len, text, len) || !bagline_is_inside(name, name_len, true))
		return;
	find_name(bag, name, name_len);
	named = find_named(&bag->names, bag->name.data, bag->name.len);
	if (!named || !named->bits)
		fault(bag, UNLISTED, bag->name.data, bag->name.len,
		      "is in fetch.txt, and in no manifest", 0);
}

static void take_payload(void *ctx, const struct found *found)
{
	struct bag *bag = ctx;
	const struct named *named;
	struct stat st;

	bag->name.len = 0;
	buf_str(&bag->name, "data/");
	buf_add(&bag->name, found->path, found->len);
	bag->count++;
	if (bag->has_oxum && !call_fstatat(found->dirfd, found->name, &st, 0))
		bag->bytes += (uint64_t)st.st_size;
	named = find_named(&bag->names, bag->name.data, bag->name.len);
	if (!named || !named->bits)
		fault(bag, UNLISTED, bag->name.data, bag->name.len, "is in no manifest", 0);
	else if (bag->each_names_all && named->bits != bag->bits)
		fault(bag, UNLISTED, bag->name.data, bag->name.len,
		      "is not in each manifest of the payload", 0);
}

static void check_payload(struct bag *bag)
{
	struct buf top = {0};
	int err;

	path_in(bag, "data", strlen("data"));
	buf_add(&top, bag->path.data, bag->path.len + 1);
	err = tree_each(bag->job, bag->list, top.data, take_payload, bag);
	buf_free(&top);
	if (err)
		fault(bag, err == -ENOENT ? MISSING : UNREADABLE, "data", strlen("data"), NULL,
		      err);
	else if (bag->has_oxum && !steer_stopping(bag->job) &&
		 (bag->bytes != bag->oxum_bytes || bag->count != bag->oxum_count))
		fault(bag, CHANGED, "bag-info.txt", strlen("bag-info.txt"),
		      "its Payload-Oxum is not the size and number of the files in data/",
		      -EBADMSG);
}

/* ---- the bag */

static void feed(struct bag *bag)
{
	static const char bagit[] = "bagit.txt", info[] = "bag-info.txt", fetch[] = "fetch.txt";
	struct declaration told = {0};
	uint64_t bad = 0;
	bool bad_oxum = false;

	if (!each_line(bag, bagit, true, take_declaration, &told))
		return;
	if (!told.version || !told.encoding)
		fault(bag, UNCHECKED, bagit, strlen(bagit),
		      told.version ? "says no Tag-File-Character-Encoding that is known" :
				     "says no BagIt-Version",
		      -EINVAL);
	each_line(bag, info, false, take_info, &bad_oxum);
	if (bad_oxum)
		fault(bag, UNCHECKED, info, strlen(info), "has a Payload-Oxum that is none",
		      -EINVAL);
	each_line(bag, fetch, false, take_fetch, &bad);
	if (bad)
		fault(bag, UNCHECKED, fetch, strlen(fetch), "has lines that are none of it",
		      -EINVAL);
	feed_manifests(bag);
	each_line(bag, fetch, false, take_fetch_again, NULL);
	check_payload(bag);
}

void verify_feed_bag(struct job *job, const char *dir)
{
	const struct settings *set = job->class.settings;
	struct bag bag = {.job = job, .dir = dir};

	job->empty_is_fine = true;
	bag.list = verify_list_new(set->run, dir);
	bag.names.seen = seen_new();
	bag.fetched = seen_new();
	feed(&bag);
	names_free(&bag.names);
	seen_free(bag.fetched);
	buf_free(&bag.path);
	buf_free(&bag.name);
	verify_list_put(bag.list);
}
