/* SPDX-License-Identifier: MIT */
/*
 * journal: what the journal is told of a copy, and whether what it says was done is still there.
 *
 * Directories have no lines: what is made in one changes its times, so that each run leaves it
 * anew. But roots have one in a run of many verbs, for was_new() in place.c. Of a file with several
 * names, where these are kept, the first to come that is noted and still there stands for the copy
 * that the others become links to.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "batchproc.h"
#include "base/buf.h"
#include "base/device.h"
#include "verbs/copy/copy.h"
#include "verbs/copy/hardlinks.h"
#include "verbs/copy/replace.h"
#include "run/job.h"
#include "journal/journal.h"
#include "digest/sumline.h"
#include "walk/tree.h"

/* In the header: DST did not exist, and was the name of the only source. */
#define NEW_NAME "destination=new"

/* What -a or -p keep has a word; anything else is said by letters. */
static void add_kept(const struct copy_settings *set, struct buf *buf)
{
	const bool usual = set->keep_mode && set->keep_owner && set->keep_times;
	const bool none = !set->keep_mode && !set->keep_owner && !set->keep_times;
	const bool all = set->keep_links && set->keep_xattrs;
	const bool neither = !set->keep_links && !set->keep_xattrs;

	if (set->archive ? usual && all : usual && neither) {
		buf_str(buf, set->archive ? "" : " preserve");
		return;
	}
	if (!set->archive && none && neither && !set->plain_mode)
		return;
	buf_printf(buf, " keep=%s%s%s%s%s%s", set->keep_mode ? "m" : "", set->plain_mode ? "u" : "",
		   set->keep_owner ? "o" : "", set->keep_times ? "t" : "",
		   set->keep_links ? "l" : "", set->keep_xattrs ? "x" : "");
}

/* Options without which there would be something else in the destination. */
static void add_ways(const struct copy_settings *set, struct buf *buf)
{
	static const char *const backups[] = {"", " backup=simple", " backup=existing",
					      " backup=numbered"};
	static const char *const makes[] = {"", " link", " symbolic-link"};
	static const char *const follows[] = {"", " -P", " -H", " -L"};

	if (set->follow != copy_follow_usual(set))
		buf_str(buf, follows[set->follow]);
	buf_str(buf, makes[set->makes]);
	buf_str(buf, backups[set->backup]);
	if (set->one_file_system)
		buf_str(buf, " one-file-system");
	if (set->parents)
		buf_str(buf, " parents");
	if (set->attributes_only)
		buf_str(buf, " attributes-only");
	if (set->contents)
		buf_str(buf, " copy-contents");
}

void copy_journal_options(const void *settings, struct buf *buf)
{
	const struct copy_settings *set = settings;

	buf_str(buf, set->archive ? "archive" : set->recursive ? "recursive" : "files");
	add_kept(set, buf);
	add_ways(set, buf);
	if (set->update)
		buf_str(buf, " update");
	if (set->ignore_existing)
		buf_str(buf, " ignore-existing");
	if (set->alg) {
		buf_str(buf, " hash=");
		buf_str(buf, set->alg->name);
	}
	if (set->new_name)
		buf_str(buf, " " NEW_NAME);
}

static bool has_word(const char *text, const char *word)
{
	const char *at = strstr(text, word);

	return at && (at == text || at[-1] == ' ') && strchr(" ", at[strlen(word)]);
}

/* What an earlier run has made under a new name is there now, and still is that name. */
void copy_journal_adopt(void *settings, const char *options)
{
	struct copy_settings *set = settings;

	if (set->into_or_as && has_word(options, NEW_NAME))
		set->new_name = set->exact = true;
}

void copy_journal_key(const struct item *item, struct buf *buf)
{
	struct buf path = {0};

	copy_add_place(item, &path);
	buf_char(buf, '\t');
	journal_path(item->job, buf, path.data, path.len);
	buf_free(&path);
}

void copy_journal_result(const struct item *item, struct buf *buf)
{
	const struct copy_item *own = item_priv_const(item);
	const struct copy_settings *set = item->settings;

	if (own->has_digest)
		sumfield_add(buf, set->alg, own->digest);
}

bool copy_journal_always(const struct item *item)
{
	return item->self != NULL;
}

struct looking {
	const struct item *item;
	struct at_name from, to;
	struct stat st; /* of the source */
	struct dest *dest; /* of @to */
	bool is_linked; /* with other names that are copied too */
};

static bool same_target(const struct looking *l)
{
	char a[PATH_MAX], b[PATH_MAX];
	ssize_t len = readlinkat(l->from.dirfd, l->from.name, a, sizeof(a));

	return len >= 0 && readlinkat(l->to.dirfd, l->to.name, b, sizeof(b)) == len &&
	       !memcmp(a, b, (size_t)len);
}

static bool leads_to_source(const struct looking *l)
{
	struct buf path = {0};
	char target[PATH_MAX];
	ssize_t len = readlinkat(l->to.dirfd, l->to.name, target, sizeof(target));
	bool leads;

	item_path(l->item, &path);
	leads = len >= 0 && (size_t)len == path.len && !memcmp(target, path.data, path.len);
	buf_free(&path);
	return leads;
}

/* With --hash a file's line has the digest, and it is printed again. */
static bool has_what_is_printed(const struct item *item)
{
	const struct copy_settings *set = item->settings;
	const struct copy_item *own = item_priv_const(item);

	return !set->alg || own->has_digest;
}

/*
 * The source is not there any more: what the journal says it was. What was in a directory nobody
 * knows.
 */
static bool is_what_was_noted(const struct item *item, const struct at_name *to,
			      const struct stat *copy)
{
	if (item->source.kind == ORIGIN_GONE)
		return S_ISREG(copy->st_mode) && has_what_is_printed(item) &&
		       (uint64_t)copy->st_size == item->source.size &&
		       !replace_unfinished(to, copy, copy); /* whoever owned the source */
	return !S_ISREG(copy->st_mode) && !S_ISDIR(copy->st_mode);
}

/* Return: 1: the copy is there as it was made. */
static int look(void *arg)
{
	struct looking *l = arg;
	const struct copy_settings *set = l->item->settings;
	int flags = copy_follows(set, !l->item->dir) ? 0 : AT_SYMLINK_NOFOLLOW;
	struct stat copy;
	int err = 0;

	if (fstatat(l->from.dirfd, l->from.name, &l->st, flags))
		err = errno;
	if ((err && err != ENOENT) || fstatat(l->to.dirfd, l->to.name, &copy, AT_SYMLINK_NOFOLLOW))
		return 0;
	if (err)
		return is_what_was_noted(l->item, &l->to, &copy);
	if (set->makes == MAKES_LINKS)
		return l->st.st_dev == copy.st_dev && l->st.st_ino == copy.st_ino;
	/* It is made anew unless it leads where it should. */
	if (set->makes == MAKES_SYMLINKS)
		return S_ISLNK(copy.st_mode) && leads_to_source(l);
	if ((l->st.st_mode & S_IFMT) != (copy.st_mode & S_IFMT))
		return 0;
	l->is_linked = !S_ISDIR(l->st.st_mode) && copy_is_linked(set, &l->st);
	if (S_ISLNK(l->st.st_mode))
		return same_target(l);
	if (!S_ISREG(l->st.st_mode))
		return 1;
	if (!has_what_is_printed(l->item))
		return 0;
	/* It may have been about to become a link to another name's copy. */
	if (l->is_linked)
		temp_remove(l->dest, l->to.dirfd, l->to.name);
	return l->st.st_size == copy.st_size && !replace_unfinished(&l->to, &copy, &l->st);
}

bool copy_journal_restore(struct item *item, const char *result, size_t len)
{
	struct looking l = {.item = item, .from = {AT_FDCWD, item->name.data}};
	struct copy_item *own = item_priv(item);
	const struct copy_settings *set = item->settings;
	struct dirnode *dir = copy_place(item, &l.to.name);
	bool skip, there;

	/* What is no file has none; what it is may not be known before it is looked at. */
	own->has_digest = set->alg && len && sumfield_parse(own->digest, set->alg, result, len);
	if (dirnode_open(dir))
		return false;
	l.to.dirfd = dirnode_fd(dir);
	l.dest = dir->data;
	if (item->dir)
		l.from.dirfd = dirnode_fd(item->dir);
	there = device_call(copy_kind(item, l.dest, l.to.dirfd), look, &l) > 0 &&
		!copy_claim(item, &l.st, &skip) &&
		(!l.is_linked || hardlink_restore(item, &l.st, own->digest));
	dirnode_put_open(dir);
	return there;
}

static int look_at_source(void *arg)
{
	struct looking *l = arg;
	const struct copy_settings *set = l->item->settings;

	return fstatat(l->from.dirfd, l->from.name, &l->st,
		       copy_follows(set, !l->item->dir) ? 0 : AT_SYMLINK_NOFOLLOW) ?
		       -errno :
		       0;
}

/* What was copied keeps its place: another source that failed at that must not have it now. */
bool copy_journal_pass(struct item *item)
{
	struct looking l = {.item = item, .from = {AT_FDCWD, item->name.data}};
	bool skip;

	if (!copy_needs_claim(item))
		return true;
	if (item->dir)
		l.from.dirfd = dirnode_fd(item->dir);
	device_call(copy_source_kind(item), look_at_source, &l);
	return !copy_claim(item, &l.st, &skip);
}
