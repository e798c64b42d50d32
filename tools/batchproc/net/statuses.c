/* SPDX-License-Identifier: MIT */
/*
 * statuses: see statuses.h.
 */
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/parse.h"
#include "net/statuses.h"

static bool add_range(struct statuses *set, const char *text, size_t len)
{
	char first[4] = "", last[4] = "";
	uint64_t from, to;

	if (set->count == STATUSES_MOST)
		return false;
	if (len == 3 && text[0] >= '1' && text[0] <= '9' && !strncmp(text + 1, "xx", 2)) {
		from = (uint64_t)(text[0] - '0') * 100;
		to = from + 99;
	} else {
		if (len != 3 && !(len == 7 && text[3] == '-'))
			return false;
		memcpy(first, text, 3);
		memcpy(last, text + len - 3, 3);
		if (!parse_count(first, 200, 999, &from) || !parse_count(last, from, 999, &to))
			return false;
	}
	set->range[set->count].first = (unsigned short)from;
	set->range[set->count++].last = (unsigned short)to;
	return true;
}

const char *statuses_parse(struct statuses *set, const char *arg)
{
	set->count = 0;
	for (const char *at = arg; at; at = strchr(at, ',')) {
		at += *at == ',';
		if (!add_range(set, at, strcspn(at, ",")))
			return "statuses, such as 200,404 or 2xx or 200-299";
	}
	return NULL;
}

bool statuses_have(const struct statuses *set, int status)
{
	for (size_t i = 0; i < set->count; i++)
		if (status >= set->range[i].first && status <= set->range[i].last)
			return true;
	return false;
}

void statuses_text(const struct statuses *set, struct buf *buf)
{
	for (size_t i = 0; i < set->count; i++)
		buf_printf(buf, "%s%u-%u", i ? "," : "", set->range[i].first, set->range[i].last);
}
