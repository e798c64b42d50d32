/* SPDX-License-Identifier: MIT */
/*
 * filter: what of that which a walk finds is left out. See filter.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/alloc.h"
#include "base/parse.h"
#include "base/wild.h"
#include "cli/filter.h"
#include "cli/inputs.h"

/* ---- rules */

static void clear(struct filter *filter)
{
	while (filter->count)
		free(filter->rules[--filter->count].pattern);
}

/* As rsync has it, "+ " and "- " before a pattern say which rule it is, and ! forgets all. */
static const char *add_rule(struct filter *filter, const char *text, size_t len, bool include)
{
	struct filter_rule rule = {.include = include};

	if (len == 1 && *text == '!') {
		clear(filter);
		return NULL;
	}
	if (len > 1 && (*text == '+' || *text == '-') && text[1] == ' ') {
		rule.include = *text == '+';
		text += 2;
		len -= 2;
	}
	if (!len || memchr(text, '\0', len))
		return "a pattern, which is not empty";
	if (len > 1 && text[len - 1] == '/') {
		rule.directory = true;
		len--;
	}
	rule.pattern = xcalloc(1, len + 1);
	memcpy(rule.pattern, text, len);
	rule.wild = strpbrk(rule.pattern, "*?[");
	for (size_t i = 0; i < len; i++)
		rule.slashes += text[i] == '/';
	filter->rules = xrealloc(filter->rules, (filter->count + 1) * sizeof(rule));
	filter->rules[filter->count++] = rule;
	return NULL;
}

const char *filter_read_exclude(void *to, const char *arg)
{
	return add_rule(to, arg, strlen(arg), false);
}

const char *filter_read_include(void *to, const char *arg)
{
	return add_rule(to, arg, strlen(arg), true);
}

/* A rule a line; empty ones, and those that begin with # or ;, are passed over. */
static const char *read_rules(struct filter *filter, const char *name, bool include)
{
	const char *wrong = NULL;
	struct lines lines;
	char *line;
	size_t len;

	if (lines_open(&lines, name, '\n'))
		return "a file of patterns that can be read";
	while (!wrong && lines_next(&lines, NULL, &line, &len)) {
		while (len && line[len - 1] == '\r')
			len--;
		if (len && *line != '#' && *line != ';')
			wrong = add_rule(filter, line, len, include);
	}
	if (lines.err)
		wrong = "a file of patterns that can be read";
	lines_close(&lines);
	return wrong;
}

const char *filter_read_exclude_from(void *to, const char *arg)
{
	return read_rules(to, arg, false);
}

const char *filter_read_include_from(void *to, const char *arg)
{
	return read_rules(to, arg, true);
}

/* ---- matching */

static const char *last_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* The last @count names of a path; NULL: it has fewer. */
static const char *last_names(const char *path, size_t count)
{
	const char *at = path + strlen(path);

	while (at > path && count)
		if (*--at == '/' && !--count)
			return at + 1;
	return count <= 1 ? path : NULL;
}

/* With ** in it, it may begin behind any slash. */
static bool matches_behind_any(const char *pattern, const char *path)
{
	while (path && !wild_match(pattern, path)) {
		path = strchr(path, '/');
		path = path ? path + 1 : NULL;
	}
	return path;
}

static bool matches_wild(const struct filter_rule *rule, const char *path)
{
	const bool anchored = *rule->pattern == '/';
	const char *pattern = rule->pattern + anchored;
	const char *two = strstr(rule->pattern, "**");

	if (!rule->slashes && !two)
		return wild_match(pattern, last_name(path));
	if (anchored)
		return wild_match(pattern, path);
	if (two == rule->pattern) {
		/* What begins with ** may begin at the slash before the path, too. */
		struct buf whole = {0};
		bool matches;

		buf_char(&whole, '/');
		buf_add(&whole, path, strlen(path) + 1);
		matches = wild_match(pattern, whole.data);
		buf_free(&whole);
		return matches;
	}
	if (two)
		return matches_behind_any(pattern, path);
	path = last_names(path, rule->slashes + 1);
	return path && wild_match(pattern, path);
}

static bool matches_plain(const struct filter_rule *rule, const char *path)
{
	const size_t len = strlen(path), own = strlen(rule->pattern);

	if (*rule->pattern == '/')
		return !strcmp(rule->pattern + 1, path);
	return own <= len && !strcmp(path + len - own, rule->pattern) &&
	       (own == len || path[len - own - 1] == '/');
}

static bool matches(const struct filter_rule *rule, const char *path, bool directory)
{
	const size_t own = strlen(rule->pattern);
	struct buf below = {0};
	bool found;

	if (rule->directory && !directory)
		return false;
	found = rule->wild ? matches_wild(rule, path) : matches_plain(rule, path);
	if (found || !directory || !rule->wild || own < 3 || strcmp(rule->pattern + own - 3, "***"))
		return found;
	/* d/ *** (without the blank) is d and all that is in it. */
	buf_add(&below, path, strlen(path));
	buf_add(&below, "/", 2);
	found = matches_wild(rule, below.data);
	buf_free(&below);
	return found;
}

bool filter_by_name(const struct filter *filter, const char *path, size_t depth, bool directory)
{
	if (filter->has_depth && depth > filter->max_depth)
		return true;
	if (filter->no_hidden && *last_name(path) == '.')
		return true;
	for (size_t i = 0; i < filter->count; i++)
		if (matches(&filter->rules[i], path, directory))
			return !filter->rules[i].include;
	return false;
}

bool filter_by_look(const struct filter *filter, const struct filter_look *look)
{
	if (look->is_file && (double)look->size < filter->min_size)
		return true;
	if (look->is_file && filter->max_size > 0 && (double)look->size > filter->max_size)
		return true;
	if (filter->is_newer && look->mtime_ns <= filter->newer_ns)
		return true;
	return filter->is_older && look->mtime_ns >= filter->older_ns;
}

/* ---- sizes, times, depth */

const char *filter_read_min_size(void *to, const char *arg)
{
	struct filter *filter = to;

	return parse_bytes(arg, &filter->min_size) ? NULL : "a number of bytes such as 500K or 10M";
}

const char *filter_read_max_size(void *to, const char *arg)
{
	struct filter *filter = to;

	return parse_bytes(arg, &filter->max_size) ? NULL : "a number of bytes such as 500K or 10M";
}

static bool parse_date(const char *text, int64_t *ns)
{
	static const char *const forms[] = {"%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S",
					    "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S"};

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		struct tm tm = {.tm_isdst = -1};
		const char *end = strptime(text, forms[i], &tm);

		if (!end || *end)
			continue;
		*ns = (int64_t)mktime(&tm) * 1000000000;
		return true;
	}
	return false;
}

/* A time before now, a date, @seconds, or the time of a file. */
static const char *read_when(const char *arg, int64_t *ns)
{
	struct timespec now;
	uint64_t span;
	struct stat st;

	clock_gettime(CLOCK_REALTIME, &now);
	if (*arg == '@' && parse_count(arg + 1, 0, 9000000000, &span))
		*ns = (int64_t)span * 1000000000;
	else if (parse_time(arg, &span) && arg[strlen(arg) - 1] > '9')
		*ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec - (int64_t)span;
	else if (parse_date(arg, ns))
		return NULL;
	else if (!stat(arg, &st))
		*ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
	else
		return "a time such as 2d, 90m or 2026-01-31, @SECONDS, or a file that is there";
	return NULL;
}

const char *filter_read_newer(void *to, const char *arg)
{
	struct filter *filter = to;

	filter->is_newer = true;
	return read_when(arg, &filter->newer_ns);
}

const char *filter_read_older(void *to, const char *arg)
{
	struct filter *filter = to;

	filter->is_older = true;
	return read_when(arg, &filter->older_ns);
}

const char *filter_read_max_depth(void *to, const char *arg)
{
	struct filter *filter = to;

	filter->has_depth = true;
	return parse_count(arg, 0, 1000000, &filter->max_depth) ? NULL :
								  "a number from 0 to 1000000";
}

const char *filter_read_hidden(void *to, const char *arg)
{
	struct filter *filter = to;

	(void)arg;
	filter->no_hidden = false;
	return NULL;
}

const char *filter_read_no_hidden(void *to, const char *arg)
{
	struct filter *filter = to;

	(void)arg;
	filter->no_hidden = true;
	return NULL;
}

const char *filter_clash(const struct filter *filter)
{
	if (filter->max_size > 0 && filter->min_size > filter->max_size)
		return "--min-size is more than --max-size";
	if (filter->is_newer && filter->is_older && filter->newer_ns >= filter->older_ns)
		return "nothing is both --newer and --older than these times";
	return NULL;
}

void filter_free(struct filter *filter)
{
	clear(filter);
	free(filter->rules);
	filter->rules = NULL;
}
