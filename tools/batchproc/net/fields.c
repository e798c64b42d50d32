/* SPDX-License-Identifier: MIT */
/*
 * fields: what values of headers mean.
 */
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/buf.h"
#include "base/chars.h"
#include "net/fields.h"
#include "net/url.h"

/* ---- dates */

static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
static const char days[] = "SunMonTueWedThuFriSat";

/* Exactly @digits digits. */
static bool take_number(const char **at, int digits, int *value)
{
	*value = 0;
	for (; digits; digits--, (*at)++) {
		if (**at < '0' || **at > '9')
			return false;
		*value = *value * 10 + (**at - '0');
	}
	return true;
}

static bool take_text(const char **at, const char *text)
{
	size_t len = strlen(text);

	if (strncmp(*at, text, len))
		return false;
	*at += len;
	return true;
}

static bool take_month(const char **at, int *month)
{
	for (*month = 0; *month < 12; ++*month)
		if (!strncmp(*at, months + 3 * *month, 3)) {
			*at += 3;
			return true;
		}
	return false;
}

static bool take_clock(const char **at, struct tm *tm)
{
	return take_number(at, 2, &tm->tm_hour) && take_text(at, ":") &&
	       take_number(at, 2, &tm->tm_min) && take_text(at, ":") &&
	       take_number(at, 2, &tm->tm_sec) && tm->tm_hour < 24 && tm->tm_min < 60 &&
	       tm->tm_sec <= 60;
}

/* Sun, 06 Nov 1994 08:49:37 GMT, and the old Sunday, 06-Nov-94 08:49:37 GMT. */
static bool take_comma_form(const char *at, struct tm *tm)
{
	bool old;

	while (*at && *at != ',')
		at++;
	if (!take_text(&at, ", ") || !take_number(&at, 2, &tm->tm_mday))
		return false;
	old = *at == '-';
	if (!take_text(&at, old ? "-" : " ") || !take_month(&at, &tm->tm_mon) ||
	    !take_text(&at, old ? "-" : " ") || !take_number(&at, old ? 2 : 4, &tm->tm_year))
		return false;
	/* Of two digits: in this century, or the last one where that would be far off. */
	if (old)
		tm->tm_year += tm->tm_year < 70 ? 2000 : 1900;
	return take_text(&at, " ") && take_clock(&at, tm) && take_text(&at, " GMT") && !*at;
}

/* Sun Nov  6 08:49:37 1994 */
static bool take_asctime(const char *at, struct tm *tm)
{
	at += 3;
	return take_text(&at, " ") && take_month(&at, &tm->tm_mon) && take_text(&at, " ") &&
	       (take_text(&at, " ") ? take_number(&at, 1, &tm->tm_mday) :
				      take_number(&at, 2, &tm->tm_mday)) &&
	       take_text(&at, " ") && take_clock(&at, tm) && take_text(&at, " ") &&
	       take_number(&at, 4, &tm->tm_year) && !*at;
}

bool http_date_parse(const char *text, int64_t *seconds)
{
	struct tm tm = {0};

	if (strlen(text) < 24)
		return false;
	if (!(strchr(text, ',') ? take_comma_form(text, &tm) : take_asctime(text, &tm)))
		return false;
	if (tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_year < 1900)
		return false;
	tm.tm_year -= 1900;
	*seconds = timegm(&tm);
	return true;
}

void http_date_add(struct buf *buf, int64_t seconds)
{
	time_t time = (time_t)seconds;
	struct tm tm;

	gmtime_r(&time, &tm);
	buf_printf(buf, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT", days + 3 * tm.tm_wday,
		   tm.tm_mday, months + 3 * tm.tm_mon, tm.tm_year + 1900, tm.tm_hour, tm.tm_min,
		   tm.tm_sec);
}

/* ---- numbers */

static bool take_u64(const char **at, uint64_t *value)
{
	const char *start = *at;

	for (*value = 0; **at >= '0' && **at <= '9'; (*at)++) {
		if (*value > (INT64_MAX - 9) / 10)
			return false;
		*value = *value * 10 + (uint64_t)(**at - '0');
	}
	return *at > start;
}

bool retry_after_parse(const char *text, int64_t now, uint64_t *ns)
{
	const uint64_t longest = (uint64_t)INT64_MAX / 1000000000;
	const char *at = text;
	uint64_t seconds;
	int64_t date;

	if (take_u64(&at, &seconds) && !*at) {
		*ns = (seconds < longest ? seconds : longest) * 1000000000;
		return true;
	}
	if (!http_date_parse(text, &date))
		return false;
	seconds = date > now ? (uint64_t)(date - now) : 0;
	*ns = (seconds < longest ? seconds : longest) * 1000000000;
	return true;
}

bool content_range_parse(const char *text, struct content_range *range)
{
	const char *at = text;

	memset(range, 0, sizeof(*range));
	range->total = UINT64_MAX;
	if (strncasecmp(at, "bytes", 5) || !is_blank(at[5]))
		return false;
	for (at += 6; is_blank(*at); at++)
		;
	if (*at == '*') {
		at++;
		range->unsatisfied = true;
		return take_text(&at, "/") && take_u64(&at, &range->total) && !*at;
	}
	if (!take_u64(&at, &range->first) || !take_text(&at, "-") || !take_u64(&at, &range->last) ||
	    !take_text(&at, "/") || range->last < range->first)
		return false;
	if (!strcmp(at, "*"))
		return true;
	return take_u64(&at, &range->total) && !*at && range->total > range->last;
}

/* ---- validators */

bool etag_is_valid(const char *text)
{
	size_t len;

	if (!strncmp(text, "W/", 2))
		text += 2;
	len = strlen(text);
	return len >= 2 && text[0] == '"' && strchr(text + 1, '"') == text + len - 1;
}

bool etag_is_strong(const char *text)
{
	return text[0] == '"' && etag_is_valid(text);
}

bool etag_matches(const char *a, const char *b)
{
	return etag_is_strong(a) && !strcmp(a, b);
}

/* ---- Content-Disposition */

/* A parameter's value at @at: a token, or a string whose escapes are taken off. */
static const char *take_parameter(const char *at, struct buf *value)
{
	if (*at != '"') {
		while (*at && *at != ';' && !is_blank(*at))
			buf_char(value, *at++);
		return at;
	}
	for (at++; *at && *at != '"'; at++) {
		if (*at == '\\' && at[1])
			at++;
		buf_char(value, *at);
	}
	return *at ? at + 1 : at;
}

/* UTF-8'en'na%C3%AFve: only this charset, which all who send it use. */
static bool decode_extended(struct buf *value)
{
	static const char charset[] = "utf-8'";
	struct buf decoded = {0};
	const char *text;

	buf_char(value, '\0');
	text = value->data;
	if (strncasecmp(text, charset, strlen(charset)))
		return false;
	text = strchr(text + strlen(charset), '\'');
	if (!text)
		return false;
	url_decode(&decoded, text + 1, strlen(text + 1));
	buf_free(value);
	*value = decoded;
	return true;
}

bool disposition_name(const char *text, struct buf *name)
{
	struct buf value = {0};
	bool found = false;

	while ((text = strchr(text, ';'))) {
		size_t len;
		bool extended;

		for (text++; is_blank(*text); text++)
			;
		len = strcspn(text, "=; \t");
		extended = len == 9 && !strncasecmp(text, "filename*", 9);
		if (!extended && !(len == 8 && !strncasecmp(text, "filename", 8) && !found))
			goto skip;
		for (text += len; is_blank(*text); text++)
			;
		if (*text != '=')
			goto skip;
		for (text++; is_blank(*text); text++)
			;
		value.len = 0;
		text = take_parameter(text, &value);
		if (extended && !decode_extended(&value))
			continue;
		name->len = 0;
		buf_add(name, value.data, value.len);
		found = true;
		if (extended)
			break;
		continue;
skip:
		/* Over a string that may have a semicolon in it. */
		value.len = 0;
		text += strcspn(text, "=;");
		if (*text == '=')
			text = take_parameter(text + 1, &value);
	}
	buf_free(&value);
	return found;
}
