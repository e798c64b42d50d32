/* SPDX-License-Identifier: MIT */
/*
 * replace: what happens when a copy meets something of its name: it is needless, it may replace that, or
 * it must not. Plain calls, any thread.
 *
 * A file that was never finished is known by its mode: see marks.h.
 */
#include <errno.h>
#include <unistd.h>

#include "run/job.h"
#include "run/ownfiles.h"
#include "verbs/copy/copy.h"
#include "verbs/copy/marks.h"
#include "verbs/copy/replace.h"

bool replace_unfinished(const struct stat *copy, const struct stat *st)
{
	return mark_is_file(copy) && (copy->st_uid == geteuid() || copy->st_uid == st->st_uid);
}

bool replace_needless(struct item *item, const struct stat *st, const struct stat *old)
{
	const struct copy_settings *set = item->settings;

	if (!set->update && !set->ignore_existing)
		return false;
	if (replace_unfinished(old, st))
		return false;
	/* A run that was killed may have left it, where that cannot be told by its mode. */
	if (item->maybe_done && S_ISREG(st->st_mode) && S_ISREG(old->st_mode) &&
	    st->st_size != old->st_size)
		return false;
	if (set->update && !set->ignore_existing &&
	    (st->st_mtim.tv_sec > old->st_mtim.tv_sec ||
	     (st->st_mtim.tv_sec == old->st_mtim.tv_sec &&
	      st->st_mtim.tv_nsec > old->st_mtim.tv_nsec)))
		return false;
	item->status = STATUS_SKIPPED;
	item->why = set->ignore_existing ? "the destination is there" :
					   "the destination is not older";
	return true;
}

bool replace_like(const struct stat *st, const struct stat *old)
{
	return S_ISREG(old->st_mode) && st->st_size == old->st_size &&
	       st->st_mtim.tv_sec == old->st_mtim.tv_sec &&
	       st->st_mtim.tv_nsec == old->st_mtim.tv_nsec;
}

const char replace_same_text[] = "source and destination are the same file";

int replace_allowed(struct item *item, const struct stat *st, const struct stat *old)
{
	const struct copy_settings *set = item->settings;

	if (old->st_dev == st->st_dev && old->st_ino == st->st_ino) {
		item->why = replace_same_text;
		return -EINVAL;
	}
	if (S_ISDIR(old->st_mode)) {
		item->why = "the destination is a directory";
		return -EISDIR;
	}
	item->why = own_file_as_destination(old);
	if (item->why)
		return -EINVAL;
	/* What stays whatever it is need not be fit to be replaced. */
	if (!S_ISREG(st->st_mode) || S_ISREG(old->st_mode) || set->ignore_existing)
		return 0;
	if (S_ISLNK(old->st_mode)) {
		item->why = "the destination is a symbolic link, which is not followed";
		return -EEXIST;
	}
	item->why = "the destination is a FIFO, a socket or a device";
	return -EEXIST;
}
