/* SPDX-License-Identifier: MIT */
/*
 * filter: what of that which a walk finds is left out: --exclude, --include, --min-size ...
 *
 * The patterns are rsync's, of rules for files, to the letter: the first that fits decides, and
 * without one a name stays in. They are held against the path below the operand that is walked, as
 * those of "rsync -r OPERAND/ ..." are.
 */
#ifndef BATCHPROC_FILTER_H
#define BATCHPROC_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct filter_rule {
	char *pattern; /* without a slash at its end */
	bool include;
	bool directory; /* it is for these alone */
	bool wild; /* it has one of *?[ */
	size_t slashes;
};

struct filter {
	struct filter_rule *rules;
	size_t count;
	double min_size, max_size; /* of regular files; max_size 0: no limit */
	int64_t newer_ns, older_ns; /* modification times since 1970 */
	bool is_newer, is_older; /* these are set */
	uint64_t max_depth;
	bool has_depth;
	bool no_hidden;
};

/* What is known of something that was found. */
struct filter_look {
	uint64_t size;
	int64_t mtime_ns;
	bool is_file; /* a regular one */
};

/* Readers of options, into a struct filter. */
const char *filter_read_exclude(void *to, const char *arg);
const char *filter_read_include(void *to, const char *arg);
const char *filter_read_exclude_from(void *to, const char *arg);
const char *filter_read_include_from(void *to, const char *arg);
const char *filter_read_min_size(void *to, const char *arg);
const char *filter_read_max_size(void *to, const char *arg);
const char *filter_read_newer(void *to, const char *arg);
const char *filter_read_older(void *to, const char *arg);
const char *filter_read_max_depth(void *to, const char *arg);
const char *filter_read_hidden(void *to, const char *arg);
const char *filter_read_no_hidden(void *to, const char *arg);

/* Whether sizes count. */
static inline bool filter_sizes(const struct filter *filter)
{
	return filter->min_size > 0 || filter->max_size > 0;
}

/* Whether what no directory is has to be looked at. */
static inline bool filter_looks(const struct filter *filter)
{
	return filter_sizes(filter) || filter->is_newer || filter->is_older;
}

/* Whether there is anything that may leave something out. */
static inline bool filter_is_set(const struct filter *filter)
{
	return filter->count || filter->has_depth || filter->no_hidden || filter_looks(filter);
}

/*
 * Whether the name leaves it out: @path, with a NUL, is that below the operand, @depth the number
 * of names in it. Any thread.
 */
bool filter_by_name(const struct filter *filter, const char *path, size_t depth, bool directory);
/* Whether what it looks like leaves it out. */
bool filter_by_look(const struct filter *filter, const struct filter_look *look);

/* What they are together; NULL, or what is wrong. */
const char *filter_clash(const struct filter *filter);
void filter_free(struct filter *filter);

#endif
