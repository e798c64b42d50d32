/* SPDX-License-Identifier: MIT */
/*
 * wild: patterns with *, ? and brackets. See wild.h.
 *
 * Where a star has to give back what it took, only the last one of each kind can matter: a single
 * star stops at a slash, and then a double one before it takes more. So there is no recursion, and
 * no pattern takes longer than the product of both lengths (squared with both kinds of stars).
 */
#include <ctype.h>
#include <stddef.h>
#include <string.h>

#include "base/array.h"
#include "base/wild.h"

/* A class by its name, such as alpha in [[:alpha:]]: whether @c is in it; -1: there is none. */
static int in_class(const char *name, size_t len, unsigned char c)
{
	static const struct {
		const char *name;
		int (*is)(int c);
	} classes[] = {
		{"alnum", isalnum}, {"alpha", isalpha}, {"blank", isblank}, {"cntrl", iscntrl},
		{"digit", isdigit}, {"graph", isgraph}, {"lower", islower}, {"print", isprint},
		{"punct", ispunct}, {"space", isspace}, {"upper", isupper}, {"xdigit", isxdigit},
	};

	for (size_t i = 0; i < ARRAY_SIZE(classes); i++)
		if (strlen(classes[i].name) == len && !memcmp(classes[i].name, name, len))
			return classes[i].is(c) != 0;
	return -1;
}

/* The end of what may be a class, which the next ] is; NULL: it has no colon, and is none. */
static const char *class_end(const char *at)
{
	const char *end = at[0] == '[' && at[1] == ':' ? at + 2 + strcspn(at + 2, "]") : NULL;

	return end && (!*end || (end > at + 2 && end[-1] == ':')) ? end : NULL;
}

/* One end of a range; moves behind it. '\0': the bracket has no end. */
static unsigned char bracket_char(const char **at)
{
	if (**at == '\\' && (*at)[1])
		(*at)++;
	return **at ? (unsigned char)*(*at)++ : '\0';
}

/*
 * The bracket at *@pattern, which is moved behind it. Returns whether @c is in it; one without an
 * end, or with a class that there is not, matches nothing. The first of a range is always in it, as
 * rsync has it.
 */
static bool in_bracket(const char **pattern, unsigned char c)
{
	const char *at = *pattern + 1, *end;
	bool negated = *at == '!' || *at == '^', found = false;
	const char *first = at + negated;
	unsigned char low, high;

	for (at = first; *at && (*at != ']' || at == first);) {
		end = class_end(at);
		if (end) {
			int in = *end ? in_class(at + 2, (size_t)(end - at - 3), c) : -1;

			if (in < 0)
				return false;
			found |= in;
			at = end + 1;
			continue;
		}
		low = high = bracket_char(&at);
		if (*at == '-' && at[1] && at[1] != ']') {
			at++;
			high = bracket_char(&at);
		}
		found |= c == low || (c >= low && c <= high);
	}
	if (!*at)
		return false;
	*pattern = at + 1;
	return found != negated && c != '/';
}

/* One character of the text; moves *@pattern behind what stands for it. */
static bool match_one(const char **pattern, unsigned char c)
{
	switch (**pattern) {
	case '?':
		(*pattern)++;
		return c != '/';
	case '[':
		return in_bracket(pattern, c);
	case '\\':
		if ((*pattern)[1])
			(*pattern)++;
		break;
	default:
		break;
	}
	return (unsigned char)*(*pattern)++ == c;
}

/* Where a star stands: what is behind it, and how far it has taken the text. */
struct star {
	const char *behind, *text;
};

bool wild_match(const char *pattern, const char *text)
{
	struct star one = {NULL, NULL}, two = {NULL, NULL};

	for (;;) {
		if (*pattern == '*') {
			const bool is_two = pattern[1] == '*';

			while (*pattern == '*')
				pattern++;
			if (is_two) {
				two = (struct star){pattern, text};
				one.behind = NULL;
			} else {
				one = (struct star){pattern, text};
			}
			continue;
		}
		if (!*text && !*pattern)
			return true;
		if (*text && *pattern && match_one(&pattern, (unsigned char)*text)) {
			text++;
			continue;
		}
		/* The nearest star takes one character more. */
		if (one.behind && *one.text && *one.text != '/') {
			text = ++one.text;
			pattern = one.behind;
		} else if (two.behind && *two.text) {
			text = ++two.text;
			pattern = two.behind;
			one.behind = NULL;
		} else {
			return false;
		}
	}
}
