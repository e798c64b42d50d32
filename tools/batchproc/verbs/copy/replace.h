/* SPDX-License-Identifier: MIT */
/*
 * replace: what happens when a copy meets something of its name. Plain calls, any thread.
 */
#ifndef BATCHPROC_REPLACE_H
#define BATCHPROC_REPLACE_H

#include <stdbool.h>
#include <sys/stat.h>

struct at_name;
struct copy_settings;
struct item;

/* The copy of @st, of the name @to, was never finished, by a run that was killed. */
bool replace_unfinished(const struct at_name *to, const struct stat *copy, const struct stat *st);
/*
 * Whether all that @old, which is called @to, holds is the beginning of what is open as @src: then
 * nothing is lost with it.
 */
bool replace_is_beginning(int src, const struct at_name *to, const struct stat *old);
/* Whether what is there stays, whatever it is, and the words for that. */
bool replace_stays(const struct copy_settings *set, const struct stat *st, const struct stat *old);
const char *replace_stays_why(const struct copy_settings *set);
/* Whether an existing destination, @to, makes the copy needless; then the item says so. */
bool replace_needless(struct item *item, const struct stat *st, const struct at_name *to,
		      const struct stat *old);
/* Whether a link that is there is replaced where the source is not a link to the same. */
bool replace_renews(const struct item *item);
/* Whether @old is what a copy of @st would be, as far as size and time tell. */
bool replace_like(const struct stat *st, const struct stat *old);
extern const char replace_same_text[];
/* Why @old must not be replaced by @st: 0, or -errno and the item's reason. */
int replace_allowed(struct item *item, const struct stat *st, const struct stat *old);

#endif
