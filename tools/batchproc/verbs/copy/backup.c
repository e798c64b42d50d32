/* SPDX-License-Identifier: MIT */
/*
 * backup: what is replaced gets another name in its directory, as cp's --backup has it. Plain
 * calls.
 *
 * A numbered one is one more than the highest that is there, and never takes another one's place. A
 * simple one replaces the backup that is there, unless that is the source, or will be the copy of
 * another source. So its name is claimed, as that of a copy is: which of both comes second fails. In
 * a tree, where names need no claim, the directory of the source tells.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/calls.h"
#include "run/job.h"
#include "verbs/copy/claims.h"
#include "verbs/copy/copy.h"
#include "walk/tree.h"
#include "walk/walk.h"

#define NUMBER_DIGITS 19 /* of the largest number that is counted on from */
#define TRIES_MOST 1000

/* The number of a backup of @name: NAME.~N~; 0: it is none. */
static uint64_t number_of(const char *listed, const char *name, size_t len)
{
	const char *digits = listed + len + 2;
	size_t count;

	if (strncmp(listed, name, len) || listed[len] != '.' || listed[len + 1] != '~')
		return 0;
	count = strspn(digits, "0123456789");
	if (!count || count > NUMBER_DIGITS - 1 || *digits == '0' || strcmp(digits + count, "~"))
		return 0;
	return strtoull(digits, NULL, 10);
}

/* The highest number of a backup that is there; 0: none. Returns 0 or -errno. */
static int highest(int dirfd, const char *name, uint64_t *number)
{
	const size_t len = strlen(name);
	int fd = call_openat(dirfd, ".", O_RDONLY | O_DIRECTORY, 0), err;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	*number = 0;
	if (!dir) {
		err = fd < 0 ? fd : -errno;
		if (fd >= 0)
			close(fd);
		return err;
	}
	for (errno = 0; (entry = readdir(dir)); errno = 0) {
		const uint64_t found = number_of(entry->d_name, name, len);

		if (found > *number)
			*number = found;
	}
	err = -errno;
	closedir(dir);
	return err;
}

static int take_number(const struct at_name *to, uint64_t number, char backup[NAME_MAX + 1])
{
	int err = -EEXIST;

	for (int tries = 0; err == -EEXIST && tries < TRIES_MOST; tries++) {
		if (snprintf(backup, NAME_MAX + 1, "%s.~%llu~", to->name,
			     (unsigned long long)++number) > NAME_MAX)
			return -ENAMETOOLONG;
		err = renameat2(to->dirfd, to->name, to->dirfd, backup, RENAME_NOREPLACE) ? -errno :
											    0;
		if (err == -EINVAL || err == -ENOSYS)
			err = faccessat(to->dirfd, backup, F_OK, AT_SYMLINK_NOFOLLOW) ?
				      call_renameat(to->dirfd, to->name, backup) :
				      -EEXIST;
	}
	return err;
}

/* The item has it, or -EEXIST: its copy is there already, or would take the place of the backup. */
static int claim(const struct item *item, const struct stat *st, const char *backup)
{
	const struct copy_settings *set = item->settings;
	const char *name;
	const struct dest *dest = copy_place(item, &name)->data;
	int found;

	if (item->dir && walk_takes(item->dir, backup))
		return -EEXIST;
	/* In another way than its source's copy. Of the attempt before it is the same. */
	found = claims_take(item->job->copy->claims, dest->dev, dest->ino, backup, st, ~set->way);
	return found == CLAIM_OTHER ? -EEXIST : found < 0 ? found : 0;
}

static int take_simple(struct item *item, const struct stat *st, const struct at_name *to,
		       char backup[NAME_MAX + 1])
{
	const struct copy_settings *set = item->settings;
	struct stat there;
	int err;

	if (snprintf(backup, NAME_MAX + 1, "%s%s", to->name, set->suffix) > NAME_MAX)
		return -ENAMETOOLONG;
	if (!fstatat(to->dirfd, backup, &there, AT_SYMLINK_NOFOLLOW) &&
	    there.st_dev == st->st_dev && there.st_ino == st->st_ino) {
		item->why = "the backup of what is there would take the place of the source";
		return -EEXIST;
	}
	err = claim(item, st, backup);
	if (err == -EEXIST)
		item->why = "the backup of what is there would be called as the copy of another "
			    "file (--backup=numbered gives it a name of its own)";
	return err ? err : call_renameat(to->dirfd, to->name, backup);
}

int backup_make(struct item *item, const struct stat *st, const struct at_name *to)
{
	const struct copy_settings *set = item->settings;
	struct copy_item *own = item_priv(item);
	char backup[NAME_MAX + 1];
	uint64_t number = 0;
	int err = 0;

	if (set->backup != BACKUP_SIMPLE)
		err = highest(to->dirfd, to->name, &number);
	if (!err)
		err = set->backup == BACKUP_NUMBERED || number ? take_number(to, number, backup) :
								 take_simple(item, st, to, backup);
	if (err && !item->why)
		item->why = err == -ENAMETOOLONG ? "the name of its backup would be too long" :
						   "what is there cannot be renamed to a backup";
	if (err)
		return err;
	free(own->backup);
	own->backup = xstrdup(backup);
	return 0;
}

void backup_undo(struct item *item, const struct at_name *to)
{
	struct copy_item *own = item_priv(item);

	if (call_rename_new(to->dirfd, own->backup, to->name) == -EINVAL)
		call_renameat(to->dirfd, own->backup, to->name);
	free(own->backup);
	own->backup = NULL;
}
