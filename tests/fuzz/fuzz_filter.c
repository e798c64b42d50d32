/* SPDX-License-Identifier: MIT */
/*
 * fuzz_filter: rules of a walk, a line each up to an empty one, and the paths that they are held
 * against. The first rule that fits decides; a pattern without a bracket is held against another
 * way of matching. (That the patterns are rsync's is held by cmd_filters, with rsync.)
 *
 * fuzzes: tools/batchproc/cli/filter.c tools/batchproc/base/wild.c
 */
#include <string.h>

#include "base/wild.h"
#include "cli/filter.h"
#include "fuzz.h"

#define PATHS_MOST 16
#define WILD_MOST 200u

static char *text_of(const uint8_t *data, size_t len)
{
	char *text = malloc(len + 1);

	must(text != NULL);
	memcpy(text, data, len);
	text[len] = '\0';
	return text;
}

/* Whether a pattern takes the whole text, by what each end of the text has been reached with. */
static bool matches(const char *pattern, const char *text)
{
	const size_t len = strlen(text);
	bool now[WILD_MOST + 1] = {true}, next[WILD_MOST + 1];

	while (*pattern) {
		const bool star = *pattern == '*', two = star && pattern[1] == '*';
		const bool plain = *pattern == '\\' && pattern[1];
		const char c = pattern[plain];

		memset(next, 0, sizeof(next));
		for (size_t i = 0; i <= len; i++) {
			if (star)
				next[i] = now[i] ||
					  (i && next[i - 1] && (two || text[i - 1] != '/'));
			else if (i && now[i - 1])
				next[i] = !plain && c == '?' ? text[i - 1] != '/' :
							       text[i - 1] == c;
		}
		memcpy(now, next, sizeof(now));
		pattern += plain + 1;
		while (star && *pattern == '*')
			pattern++;
	}
	return now[len];
}

static void hold_wild(const char *pattern, const char *path)
{
	if (strlen(path) <= WILD_MOST && !strchr(pattern, '['))
		must(wild_match(pattern, path) == matches(pattern, path));
	else
		wild_match(pattern, path);
}

/* What the first @count rules say. */
static bool left_out(const struct filter *filter, size_t count, const char *path, bool directory)
{
	struct filter part = *filter;

	part.count = count;
	return filter_by_name(&part, path, 1, directory);
}

static void hold(const struct filter *filter, const char *path)
{
	size_t depth = 1;

	for (const char *at = path; *at; at++)
		depth += *at == '/';
	for (int directory = 0; directory < 2; directory++) {
		const bool out = filter_by_name(filter, path, depth, directory);

		/* A rule changes nothing where one before it has decided. */
		for (size_t i = 0; i < filter->count; i++) {
			const struct filter_rule *rule = &filter->rules[i];
			struct filter alone = {.count = 1};
			struct filter_rule other = *rule;
			bool fits;

			other.include = false;
			alone.rules = &other;
			fits = filter_by_name(&alone, path, depth, directory);
			must(!fits || !rule->directory || directory);
			if (fits) {
				must(out == !rule->include);
				must(left_out(filter, i + 1, path, directory) == out);
				break;
			}
			must(!left_out(filter, i + 1, path, directory));
			must(i + 1 < filter->count || !out);
		}
	}
	for (size_t i = 0; i < filter->count; i++)
		hold_wild(filter->rules[i].pattern, path);
}

int fuzz_filter(const uint8_t *data, size_t size)
{
	struct filter filter = {0};
	bool rules = true;
	int paths = 0;

	for (size_t at = 0; at < size && paths < PATHS_MOST;) {
		const uint8_t *end = memchr(data + at, '\n', size - at);
		size_t len = end ? (size_t)(end - data) - at : size - at;
		char *text = text_of(data + at, len);

		at += len + 1;
		if (rules && len) {
			filter_read_exclude(&filter, text);
		} else if (rules) {
			rules = false;
		} else if (*text && *text != '/' && !strstr(text, "//")) {
			hold(&filter, text);
			paths++;
		}
		free(text);
	}
	filter_free(&filter);
	return 0;
}
