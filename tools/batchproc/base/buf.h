/* SPDX-License-Identifier: MIT */
/*
 * buf: a growing byte buffer, and the ways in which names and numbers are written into one.
 *
 * A buffer belongs to whoever holds it; nothing here is shared or locked. Memory that cannot be
 * had ends the program with status 125: no caller could do anything better.
 */
#ifndef BATCHPROC_BUF_H
#define BATCHPROC_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct buf {
	char *data;
	size_t len;
	size_t cap;
};

/* Makes room for @more bytes behind the content. */
void buf_grow(struct buf *buf, size_t more);
void buf_free(struct buf *buf);

static inline char *buf_room(struct buf *buf, size_t more)
{
	if (buf->cap - buf->len < more)
		buf_grow(buf, more);
	return buf->data + buf->len;
}

static inline void buf_add(struct buf *buf, const void *data, size_t len)
{
	if (len) {
		memcpy(buf_room(buf, len), data, len);
		buf->len += len;
	}
}

static inline void buf_str(struct buf *buf, const char *str)
{
	buf_add(buf, str, strlen(str));
}

static inline void buf_char(struct buf *buf, char c)
{
	*buf_room(buf, 1) = c;
	buf->len++;
}

void buf_u64(struct buf *buf, uint64_t value);
void buf_hex(struct buf *buf, const unsigned char *bytes, size_t count);
void buf_base64(struct buf *buf, const void *bytes, size_t len);

/* Appends the bytes of RFC 4648 with padding; false where it is not that, and some may be there. */
bool buf_unbase64(struct buf *buf, const char *text, size_t len);
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *buf, const char *format, va_list args)
	__attribute__((format(printf, 2, 0)));

/*
 * For people: control characters and bytes that are not UTF-8 as \n, \t or octal, a backslash
 * doubled, so that no two texts look the same.
 */
void buf_visible(struct buf *buf, const char *text, size_t len);

/* A JSON value: a string, or {"base64":"..."} where the bytes are not UTF-8. */
void buf_json(struct buf *buf, const char *text, size_t len);

/* Bytes as the short form of people: 1.5G. */
void buf_bytes(struct buf *buf, double bytes);

/* Nanoseconds since 1970 as 2026-01-02T03:04:05.678Z. */
void buf_time(struct buf *buf, uint64_t real_ns);

/* Length of the UTF-8 sequence at @s, 0 where there is none; refuses what RFC 3629 refuses. */
size_t utf8_length(const unsigned char *s, size_t left);
bool utf8_valid(const char *text, size_t len);

#endif
