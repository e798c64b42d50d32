/* SPDX-License-Identifier: MIT */
/*
 * chunked: a body in chunks.
 *
 *	SIZE -> DIGITS -> SIZE_LF -> DATA -> DATA_CR -> DATA_LF -> SIZE ...
 *	           |  ^                ^
 *	           v  |                '-- a size of zero: TRAILER -> LAST_LF -> DONE
 *	        EXTENSION <-> QUOTED                       ^ v
 *	                                          TRAILER_LINE -> TRAILER_LF
 */
#include <stdbool.h>

#include "base/chars.h"
#include "net/chunked.h"

static bool is_control(char c)
{
	return ((unsigned char)c < 0x20 && c != '\t') || c == 0x7f;
}

static bool take_digit(struct chunked *c, char byte)
{
	int digit = hex_value(byte);

	if (digit < 0 || c->left > INT64_MAX >> 4)
		return false;
	c->left = c->left << 4 | (uint64_t)digit;
	c->state = CHUNKED_DIGITS;
	return true;
}

/* One byte of a line with a size. */
static bool take_size(struct chunked *c, char byte)
{
	switch (c->state) {
	case CHUNKED_SIZE:
		c->left = 0;
		return take_digit(c, byte);
	case CHUNKED_DIGITS:
		if (hex_value(byte) >= 0)
			return take_digit(c, byte);
		/* Blanks in front of the semicolon, or of the end, are what old servers send. */
		if (byte == ';' || is_blank(byte))
			c->state = CHUNKED_EXTENSION;
		else if (byte == '\r')
			c->state = CHUNKED_SIZE_LF;
		else
			return false;
		return true;
	case CHUNKED_EXTENSION:
		if (byte == '\r')
			c->state = CHUNKED_SIZE_LF;
		else if (byte == '"')
			c->state = CHUNKED_QUOTED;
		return byte == '\r' || !is_control(byte);
	case CHUNKED_QUOTED:
		if (byte == '"')
			c->state = CHUNKED_EXTENSION;
		else if (byte == '\\')
			c->state = CHUNKED_ESCAPED;
		return !is_control(byte);
	case CHUNKED_ESCAPED:
		c->state = CHUNKED_QUOTED;
		return !is_control(byte);
	default: /* CHUNKED_SIZE_LF */
		c->state = c->left ? CHUNKED_DATA : CHUNKED_TRAILER;
		return byte == '\n';
	}
}

/* One byte behind a chunk or behind the last one. */
static bool take_rest(struct chunked *c, char byte)
{
	switch (c->state) {
	case CHUNKED_DATA_CR:
		c->state = CHUNKED_DATA_LF;
		return byte == '\r';
	case CHUNKED_DATA_LF:
		c->state = CHUNKED_SIZE;
		return byte == '\n';
	case CHUNKED_TRAILER:
		c->state = byte == '\r' ? CHUNKED_LAST_LF : CHUNKED_TRAILER_LINE;
		return byte == '\r' || (!is_control(byte) && !is_blank(byte));
	case CHUNKED_TRAILER_LINE:
		if (byte == '\r')
			c->state = CHUNKED_TRAILER_LF;
		return byte == '\r' || !is_control(byte);
	case CHUNKED_TRAILER_LF:
		c->state = CHUNKED_TRAILER;
		return byte == '\n';
	default: /* CHUNKED_LAST_LF */
		c->state = CHUNKED_DONE;
		return byte == '\n';
	}
}

enum chunk_found chunked_next(struct chunked *c, const char **data, const char *end, size_t *piece)
{
	while (c->state != CHUNKED_DONE && *data < end) {
		if (c->state == CHUNKED_DATA) {
			size_t len = (size_t)(end - *data);

			*piece = len < c->left ? len : (size_t)c->left;
			c->left -= *piece;
			c->framing = 0;
			if (!c->left)
				c->state = CHUNKED_DATA_CR;
			*data += *piece;
			return CHUNK_DATA;
		}
		if (++c->framing > CHUNK_FRAMING_MAX)
			return CHUNK_BAD;
		if (!(c->state <= CHUNKED_SIZE_LF ? take_size(c, **data) : take_rest(c, **data)))
			return CHUNK_BAD;
		(*data)++;
	}
	return c->state == CHUNKED_DONE ? CHUNK_END : CHUNK_MORE;
}
