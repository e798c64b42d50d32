/* SPDX-License-Identifier: MIT */
/*
 * chars: kinds of characters, whatever the locale.
 */
#ifndef BATCHPROC_CHARS_H
#define BATCHPROC_CHARS_H

#include <stdbool.h>
#include <stdint.h>

/* Characters of ASCII, a bit each. */
struct char_set {
	uint64_t bits[2];
};

/* The bits of one of them; of letters and digits. */
#define CHAR_LOW(c) ((c) < 64 ? 1ull << ((c)&63) : 0)
#define CHAR_HIGH(c) ((c) < 64 ? 0 : 1ull << ((c)&63))
#define DIGITS_LOW 0x03ff000000000000ull
#define LETTERS_HIGH 0x07fffffe07fffffeull

static inline bool char_is_of(const struct char_set *set, char c)
{
	unsigned char byte = (unsigned char)c;

	return byte < 128 && set->bits[byte / 64] >> byte % 64 & 1;
}

static inline bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* -1 where it is no digit. */
static inline int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

#endif
