/* SPDX-License-Identifier: MIT */
/*
 * names: whether what is there under a name really has another one.
 *
 * Some file systems and directories take names that differ in case for one (exFAT, FAT, NTFS and
 * SMB as they are mounted mostly, ext4 with casefold). Two files of a tree would become one there,
 * and the first be lost. Whether a directory is like that is asked once, by a name that is there
 * with its case turned round. Then what is found is looked for in the list of the directory: its
 * name as it really is is that of another source, or an old one that is replaced as it would be by
 * cp.
 *
 * The list is kept, as sorted hashes, for as long as the directory is needed; it is made under the
 * lock of the run. A name that is not in it is looked for anew.
 *
 * The same list tells the short names apart that FAT gives to long ones (LONGFI~1.TXT): they lead to
 * a file, and are not in it.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include <wchar.h>
#include <wctype.h>
#include <xxhash.h>

#include "base/alloc.h"
#include "base/calls.h"
#include "run/job.h"
#include "verbs/copy/claims.h"
#include "verbs/copy/copy.h"
#include "verbs/copy/names.h"
#include "verbs/copy/replace.h"

#define LOOKS_MOST 10

struct names_list {
	size_t count;
	uint64_t hashes[];
};

enum {
	FOLDS_UNKNOWN,
	FOLDS_NOT,
	FOLDS,
};

/* Return: whether it has a letter. */
static bool turn_case(const char *name, char turned[NAME_MAX + 1])
{
	bool any = false;
	size_t i;

	for (i = 0; i < NAME_MAX && name[i]; i++) {
		const unsigned char c = (unsigned char)name[i];

		turned[i] = name[i];
		if (c < 0x80 && isalpha(c)) {
			turned[i] = (char)(c ^ 0x20);
			any = true;
		}
	}
	turned[i] = '\0';
	return any;
}

static bool is_ascii(const char *name)
{
	while (*name && (unsigned char)*name < 0x80)
		name++;
	return !*name;
}

/*
 * The same inode may be listed by a name that has nothing in common with it but where it leads: by
 * one with other letters, and by a long one of which it is the short one that FAT gives.
 */
static bool may_be_any(const char *name)
{
	return !is_ascii(name) || strchr(name, '~');
}

/* What is there by both names may be two files; then the list has both. */
static bool folds(struct dest *dest, int dirfd, const char *name)
{
	char turned[NAME_MAX + 1];
	struct stat other;
	int known = atomic_load_explicit(&dest->folds, memory_order_relaxed);

	if (known != FOLDS_UNKNOWN)
		return known == FOLDS;
	/* What has no letters to turn may be folded all the same. */
	if (!turn_case(name, turned))
		return may_be_any(name);
	known = fstatat(dirfd, turned, &other, AT_SYMLINK_NOFOLLOW) ? FOLDS_NOT : FOLDS;
	atomic_store_explicit(&dest->folds, known, memory_order_relaxed);
	return known == FOLDS;
}

/* ---- the list */

static uint64_t hash_of(const char *name)
{
	return XXH3_64bits(name, strlen(name));
}

static int by_value(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static DIR *open_list(int dirfd)
{
	int fd = call_openat(dirfd, ".", O_RDONLY | O_DIRECTORY, 0);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir && fd >= 0)
		close(fd);
	return dir;
}

static struct names_list *read_list(int dirfd)
{
	size_t room = 64;
	struct names_list *list = xcalloc(1, sizeof(*list) + room * sizeof(uint64_t));
	DIR *dir = open_list(dirfd);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		if (list->count == room) {
			room *= 2;
			list = xrealloc(list, sizeof(*list) + room * sizeof(uint64_t));
		}
		list->hashes[list->count++] = hash_of(entry->d_name);
	}
	if (dir)
		closedir(dir);
	qsort(list->hashes, list->count, sizeof(uint64_t), by_value);
	return list;
}

static bool is_listed(const struct job *job, struct dest *dest, int dirfd, const char *name)
{
	const uint64_t hash = hash_of(name);
	bool found;

	pthread_mutex_lock(&job->copy->lock);
	if (!dest->names)
		dest->names = read_list(dirfd);
	found = bsearch(&hash, dest->names->hashes, dest->names->count, sizeof(hash), by_value);
	pthread_mutex_unlock(&job->copy->lock);
	return found;
}

static bool same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

/* To many servers of FUSE each name is an inode of its own. */
static bool is_same(int dirfd, const char *name, const struct stat *st)
{
	struct stat other;

	if (fstatat(dirfd, name, &other, AT_SYMLINK_NOFOLLOW) || other.st_dev != st->st_dev)
		return false;
	return other.st_ino == st->st_ino ||
	       (other.st_size == st->st_size && other.st_mode == st->st_mode &&
		same_time(other.st_mtim, st->st_mtim) && same_time(other.st_ctim, st->st_ctim));
}

static locale_t letters;

static void load_letters(void)
{
	letters = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
}

/* Whether two names are the same but for the case of their letters, in UTF-8. */
static bool differ_in_case(const char *a, const char *b)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	wchar_t x[NAME_MAX + 1], y[NAME_MAX + 1];
	size_t len, other;
	locale_t before;

	pthread_once(&once, load_letters);
	if (!letters)
		return false;
	before = uselocale(letters);
	len = mbstowcs(x, a, NAME_MAX + 1);
	other = mbstowcs(y, b, NAME_MAX + 1);
	uselocale(before);
	if (len == (size_t)-1 || other != len)
		return false;
	for (size_t i = 0; i < len; i++)
		if (x[i] != y[i] &&
		    towlower_l((wint_t)x[i], letters) != towlower_l((wint_t)y[i], letters))
			return false;
	return true;
}

enum found {
	FOUND_NOTHING,
	FOUND_ITSELF,
	FOUND_OTHER,
};

/* The name that @st really has. */
static enum found look_through(int dirfd, const char *name, const struct stat *st,
			       char other[NAME_MAX + 1])
{
	enum found found = FOUND_NOTHING;
	DIR *dir = open_list(dirfd);
	struct dirent *entry;

	while (dir && found != FOUND_ITSELF && (entry = readdir(dir))) {
		const char *listed = entry->d_name;

		if (!strcmp(listed, name)) {
			found = FOUND_ITSELF;
		} else if (!strcasecmp(listed, name) || differ_in_case(listed, name)) {
			strcpy(other, listed);
			found = FOUND_OTHER;
		} else if (found == FOUND_NOTHING && may_be_any(name) && !temp_is_one(listed) &&
			   is_same(dirfd, listed, st)) {
			strcpy(other, listed);
			found = FOUND_OTHER;
		}
	}
	if (dir)
		closedir(dir);
	return found;
}

/* What is replaced meanwhile may be on neither side of the reader: then it is looked for again. */
static bool find_other(int dirfd, const char *name, const struct stat *st, char other[NAME_MAX + 1])
{
	enum found found = FOUND_NOTHING;

	for (int tries = 0; tries < LOOKS_MOST && found == FOUND_NOTHING; tries++)
		found = look_through(dirfd, name, st, other);
	return found == FOUND_OTHER;
}

const char *names_meet(const struct job *job, struct dest *dest, int dirfd, const char *name,
		       const struct stat *st, const struct stat *source, int from)
{
	char other[NAME_MAX + 1];
	struct stat sibling;

	if (!folds(dest, dirfd, name) || is_listed(job, dest, dirfd, name) ||
	    !find_other(dirfd, name, st, other))
		return NULL;
	if (!fstatat(dirfd, other, &sibling, AT_SYMLINK_NOFOLLOW) &&
	    sibling.st_dev == source->st_dev && sibling.st_ino == source->st_ino)
		return replace_same_text;
	if (!claims_taken(job->copy->claims, dest->dev, dest->ino, other) &&
	    (from < 0 || fstatat(from, other, &sibling, AT_SYMLINK_NOFOLLOW)))
		return NULL;
	return "another item of this run has the same destination, by a name that is the same to "
	       "this file system";
}

/* False where that cannot be said. */
static bool has_entry(int dirfd, const char *name)
{
	DIR *dir = open_list(dirfd);
	bool found = false;
	struct dirent *entry;

	while (dir && !found && (entry = readdir(dir)))
		found = !strcmp(entry->d_name, name);
	if (dir)
		closedir(dir);
	return found;
}

/*
 * Whether @other leads to what is listed as @name, and is not listed itself. Where each name is an
 * inode of its own the case of letters is all there is to see.
 */
static bool is_called_too(int dirfd, const char *name, const struct stat *st, const char *other)
{
	const bool alike = !strcasecmp(name, other) ||
			   (!is_ascii(name) && differ_in_case(name, other));
	struct stat there;

	if (!strcmp(other, ".") || !strcmp(other, ".."))
		return false;
	if (alike ? fstatat(dirfd, other, &there, AT_SYMLINK_NOFOLLOW) != 0 :
		    !is_same(dirfd, other, st))
		return false;
	return !has_entry(dirfd, other);
}

bool names_copy_of(int dirfd, const char *name, const struct stat *st, int from)
{
	char turned[NAME_MAX + 1];
	const bool has_letters = turn_case(name, turned);
	bool found = false;
	struct dirent *entry = NULL;
	struct stat other;
	DIR *dir;

	/* What has other letters may be folded, or normalized, all the same. */
	if (is_ascii(name) && (!has_letters || fstatat(dirfd, turned, &other, AT_SYMLINK_NOFOLLOW)))
		return false;
	dir = open_list(from);
	if (!dir)
		return true;
	while (!found && (errno = 0, entry = readdir(dir)))
		found = is_called_too(dirfd, name, st, entry->d_name);
	found |= !entry && errno;
	closedir(dir);
	return found;
}

void names_forget(struct dest *dest)
{
	free(dest->names);
	dest->names = NULL;
}
