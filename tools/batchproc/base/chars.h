/* SPDX-License-Identifier: MIT */
/*
 * chars: kinds of characters, whatever the locale.
 */
#ifndef BATCHPROC_CHARS_H
#define BATCHPROC_CHARS_H

#include <stdbool.h>

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
