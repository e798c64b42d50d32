/* SPDX-License-Identifier: MIT */
/*
 * buf: a growing byte buffer, and the ways in which names and numbers are written into one.
 *
 * Pure functions on the caller's memory, called from every thread. The writers on the path of an
 * item (JSON strings, numbers, hex, times) do without printf.
 */
#include <endian.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/alloc.h"

void buf_grow(struct buf *buf, size_t more)
{
	size_t need = buf->len + more;
	size_t cap = buf->cap ? buf->cap : 128;

	while (cap < need)
		cap *= 2;
	buf->data = xrealloc(buf->data, cap);
	buf->cap = cap;
}

void buf_free(struct buf *buf)
{
	free(buf->data);
	*buf = (struct buf){0};
}

void buf_u64(struct buf *buf, uint64_t value)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	buf_add(buf, digits + at, sizeof(digits) - at);
}

/* Four bytes at once: a half of each in a byte of its own, and to each what makes it a digit. */
static uint64_t hex_of_four(const unsigned char *bytes)
{
	uint32_t four;
	uint64_t halves, letters;

	memcpy(&four, bytes, sizeof(four));
	halves = le32toh(four);
	halves = (halves | halves << 16) & 0x0000ffff0000ffffu;
	halves = (halves | halves << 8) & 0x00ff00ff00ff00ffu;
	halves = (halves >> 4 | halves << 8) & 0x0f0f0f0f0f0f0f0fu;
	letters = (halves + 0x0606060606060606u) >> 4 & 0x0101010101010101u;
	return htole64(halves + 0x3030303030303030u + letters * ('a' - '9' - 1));
}

void buf_hex(struct buf *buf, const unsigned char *bytes, size_t count)
{
	static const char digits[] = "0123456789abcdef";
	char *to = buf_room(buf, 2 * count);

	buf->len += 2 * count;
	for (; count >= 4; count -= 4, bytes += 4, to += 8) {
		uint64_t eight = hex_of_four(bytes);

		memcpy(to, &eight, sizeof(eight));
	}
	for (; count; count--, bytes++) {
		*to++ = digits[*bytes >> 4];
		*to++ = digits[*bytes & 15];
	}
}

void buf_vprintf(struct buf *buf, const char *format, va_list args)
{
	va_list again;
	int len;

	va_copy(again, args);
	len = vsnprintf(NULL, 0, format, again);
	va_end(again);
	if (len < 0)
		return;

	buf_room(buf, (size_t)len + 1);
	vsnprintf(buf->data + buf->len, (size_t)len + 1, format, args);
	buf->len += (size_t)len;
}

void buf_printf(struct buf *buf, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	buf_vprintf(buf, format, args);
	va_end(args);
}

size_t utf8_length(const unsigned char *s, size_t left)
{
	unsigned char lowest = 0x80, highest = 0xbf;
	size_t len;

	if (s[0] < 0x80)
		return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	len = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	if (left < len)
		return 0;

	/* Overlong forms, surrogates and what lies beyond U+10FFFF show in the second byte. */
	if (s[0] == 0xe0)
		lowest = 0xa0;
	else if (s[0] == 0xed)
		highest = 0x9f;
	else if (s[0] == 0xf0)
		lowest = 0x90;
	else if (s[0] == 0xf4)
		highest = 0x8f;
	if (s[1] < lowest || s[1] > highest)
		return 0;
	for (size_t i = 2; i < len; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

bool utf8_valid(const char *text, size_t len)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t step;

	for (size_t i = 0; i < len; i += step) {
		step = utf8_length(s + i, len - i);
		if (!step)
			return false;
	}
	return true;
}

void buf_visible(struct buf *buf, const char *text, size_t len)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t step;

	for (size_t i = 0; i < len; i += step) {
		step = utf8_length(s + i, len - i);
		/* C1 controls (U+0080 to U+009F) steer some terminals as well. */
		if (step > 1 && !(s[i] == 0xc2 && s[i + 1] < 0xa0)) {
			buf_add(buf, s + i, step);
			continue;
		}
		step = 1;
		if (s[i] == '\n')
			buf_str(buf, "\\n");
		else if (s[i] == '\t')
			buf_str(buf, "\\t");
		else if (s[i] == '\r')
			buf_str(buf, "\\r");
		else if (s[i] == '\\')
			buf_str(buf, "\\\\");
		else if (s[i] < 0x20 || s[i] >= 0x7f)
			buf_printf(buf, "\\%03o", s[i]);
		else
			buf_char(buf, text[i]);
	}
}

void buf_base64(struct buf *buf, const void *bytes, size_t len)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				     "0123456789+/";
	const unsigned char *s = bytes;

	for (size_t i = 0; i < len; i += 3) {
		size_t have = len - i < 3 ? len - i : 3;
		uint32_t bits = (uint32_t)s[i] << 16;
		char four[4];

		if (have > 1)
			bits |= (uint32_t)s[i + 1] << 8;
		if (have > 2)
			bits |= s[i + 2];
		for (int k = 0; k < 4; k++)
			four[k] = (size_t)k <= have ? digits[bits >> (18 - 6 * k) & 63] : '=';
		buf_add(buf, four, 4);
	}
}

static int base64_value(char c)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *digit = c ? strchr(digits, c) : NULL;

	return digit ? (int)(digit - digits) : -1;
}

bool buf_unbase64(struct buf *buf, const char *text, size_t len)
{
	size_t padding = len >= 2 ? (text[len - 1] == '=') + (text[len - 2] == '=') : 0;
	unsigned int bits = 0;

	if (len % 4)
		return false;
	for (size_t i = 0; i < len; i++) {
		int value = i < len - padding ? base64_value(text[i]) : 0;

		if (value < 0)
			return false;
		bits = bits << 6 | (unsigned int)value;
		if (i % 4 != 3)
			continue;
		buf_char(buf, (char)(bits >> 16));
		buf_char(buf, (char)(bits >> 8));
		buf_char(buf, (char)bits);
	}
	buf->len -= padding;
	return true;
}

static void add_json_escape(struct buf *buf, unsigned char c)
{
	static const char digits[] = "0123456789abcdef";
	char unicode[] = "\\u0000";

	switch (c) {
	case '"':
		buf_str(buf, "\\\"");
		return;
	case '\\':
		buf_str(buf, "\\\\");
		return;
	case '\n':
		buf_str(buf, "\\n");
		return;
	case '\t':
		buf_str(buf, "\\t");
		return;
	case '\r':
		buf_str(buf, "\\r");
		return;
	}
	unicode[4] = digits[c >> 4];
	unicode[5] = digits[c & 15];
	buf_add(buf, unicode, 6);
}

void buf_json(struct buf *buf, const char *text, size_t len)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t plain = 0;

	if (!utf8_valid(text, len)) {
		buf_str(buf, "{\"base64\":\"");
		buf_base64(buf, s, len);
		buf_str(buf, "\"}");
		return;
	}
	buf_char(buf, '"');
	for (size_t i = 0; i < len; i++) {
		if (s[i] >= 0x20 && s[i] != '"' && s[i] != '\\' && s[i] != 0x7f)
			continue;
		buf_add(buf, text + plain, i - plain);
		add_json_escape(buf, s[i]);
		plain = i + 1;
	}
	buf_add(buf, text + plain, len - plain);
	buf_char(buf, '"');
}

void buf_bytes(struct buf *buf, double bytes)
{
	static const char units[] = "BKMGTPE";
	size_t unit = 0;

	while (bytes >= 999.5 && unit + 2 < sizeof(units)) {
		bytes /= 1024;
		unit++;
	}
	buf_printf(buf, unit && bytes < 9.95 ? "%.1f%c" : "%.0f%c", bytes, units[unit]);
}

static void add_padded(struct buf *buf, unsigned int value, int width)
{
	char *to = buf_room(buf, (size_t)width);

	for (int i = width - 1; i >= 0; i--, value /= 10)
		to[i] = (char)('0' + value % 10);
	buf->len += (size_t)width;
}

void buf_time(struct buf *buf, uint64_t real_ns)
{
	uint64_t ms = real_ns / 1000000;
	uint64_t days = ms / 86400000;
	unsigned int of_day = (unsigned int)(ms % 86400000);
	/*
	 * The civil date in the proleptic Gregorian calendar, with years that begin in March so
	 * that the leap day is a year's last; gmtime_r() would take glibc's time zone lock.
	 */
	uint64_t shifted = days + 719468; /* days since 1 March of the year 0 */
	uint64_t era = shifted / 146097;
	unsigned int of_era = (unsigned int)(shifted % 146097);
	unsigned int year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	unsigned int of_year = of_era - (365 * year + year / 4 - year / 100);
	unsigned int march = (5 * of_year + 2) / 153;
	unsigned int day = of_year - (153 * march + 2) / 5 + 1;
	unsigned int month = march < 10 ? march + 3 : march - 9;

	add_padded(buf, (unsigned int)(era * 400) + year + (month <= 2), 4);
	buf_char(buf, '-');
	add_padded(buf, month, 2);
	buf_char(buf, '-');
	add_padded(buf, day, 2);
	buf_char(buf, 'T');
	add_padded(buf, of_day / 3600000, 2);
	buf_char(buf, ':');
	add_padded(buf, of_day / 60000 % 60, 2);
	buf_char(buf, ':');
	add_padded(buf, of_day / 1000 % 60, 2);
	buf_char(buf, '.');
	add_padded(buf, of_day % 1000, 3);
	buf_char(buf, 'Z');
}
