/* SPDX-License-Identifier: MIT */
/*
 * parse: values of options.
 */
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"
#include "base/array.h"

struct unit {
	const char *name;
	double value;
};

bool parse_count(const char *text, uint64_t least, uint64_t most, uint64_t *value)
{
	uint64_t sum = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9' || __builtin_mul_overflow(sum, 10u, &sum) ||
		    __builtin_add_overflow(sum, (uint64_t)(*text - '0'), &sum))
			return false;
	}
	if (sum < least || sum > most)
		return false;
	*value = sum;
	return true;
}

/* A number, and behind it the name of a unit or nothing; the product of both. */
static bool parse_units(const char *text, const struct unit *units, size_t count, double *value)
{
	char *end;
	double number;

	/* strtod() takes more than we mean: signs, hexadecimal, "inf", leading blanks. */
	if (!strchr("0123456789.", *text) || !*text || text[strspn(text, "0")] == 'x' ||
	    text[strspn(text, "0")] == 'X')
		return false;
	number = strtod(text, &end);
	if (end == text)
		return false;
	for (size_t i = 0; i < count; i++) {
		if (strcmp(end, units[i].name))
			continue;
		*value = number * units[i].value;
		return true;
	}
	return false;
}

bool parse_time(const char *text, uint64_t *ns)
{
	static const struct unit units[] = {{"", 1e9}, {"s", 1e9},  {"ms", 1e6},   {"us", 1e3},
					    {"ns", 1}, {"m", 60e9}, {"h", 3600e9}, {"d", 86400e9}};
	double value;

	/* A century is no deadline; what would not fit must not wrap. */
	if (!parse_units(text, units, ARRAY_SIZE(units), &value) ||
	    !(value >= 1 && value <= 3.2e18))
		return false;
	*ns = (uint64_t)value;
	return true;
}

bool parse_rate(const char *text, double *per_second)
{
	static const struct unit units[] = {{"", 1},
					    {"/s", 1},
					    {"/m", 1.0 / 60},
					    {"/h", 1.0 / 3600},
					    {"/d", 1.0 / 86400}};

	return parse_units(text, units, ARRAY_SIZE(units), per_second) && *per_second >= 1e-6 &&
	       *per_second <= 1e9;
}

bool parse_bytes(const char *text, double *bytes)
{
	static const struct unit units[] = {{"", 1},	     {"B", 1},	      {"K", 0x1p10},
					    {"k", 0x1p10},   {"M", 0x1p20},   {"G", 0x1p30},
					    {"T", 0x1p40},   {"KiB", 0x1p10}, {"MiB", 0x1p20},
					    {"GiB", 0x1p30}, {"TiB", 0x1p40}, {"KB", 1e3},
					    {"kB", 1e3},     {"MB", 1e6},     {"GB", 1e9},
					    {"TB", 1e12}};

	return parse_units(text, units, ARRAY_SIZE(units), bytes) && *bytes >= 1 && *bytes <= 1e15;
}
