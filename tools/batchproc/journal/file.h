/* SPDX-License-Identifier: MIT */
/*
 * journal_file: the lines of a journal, written and read. Pure functions on bytes.
 *
 *	batchproc-journal  1  COMMAND  OPTIONS  SUM
 *	STATUS  SIZE  MTIME  RESULT  OP  SOURCE  [MORE]...  SUM
 *		`- stamp -'	     `------- key -------'
 *	ended  SUM
 *
 * Fields are separated by tabs; a tab, newline or backslash in one is written \t, \n, \\. SUM is
 * the XXH3 of 64 bits over everything before its tab, in 16 hexadecimal digits. A line ends with a
 * newline; one without is torn. See docs/journal.md.
 */
#ifndef BATCHPROC_JOURNAL_FILE_H
#define BATCHPROC_JOURNAL_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define JOURNAL_MAGIC "batchproc-journal"
#define JOURNAL_VERSION "1"
/* A longer line is not written, and is damaged where it stands. */
#define JOURNAL_LINE_MOST 16777216u

struct buf;

/* Bytes within somebody else's memory. */
struct span {
	const char *data;
	size_t len;
};

enum journal_kind {
	JOURNAL_DAMAGED,
	JOURNAL_HEADER,
	JOURNAL_FOREIGN, /* the header of another version */
	JOURNAL_ITEM,
	JOURNAL_END, /* a run came to its end: nothing that it did is without its line */
	JOURNAL_KINDS,
};

/* The spans are as they stand in the line: escaped. */
struct journal_line {
	enum journal_kind kind;
	/* of a header */
	struct span command, options;
	/* of an item */
	bool ok; /* else failed */
	struct span stamp, result, key;
};

/* Takes a line apart, without its newline. Return: @line->kind. */
enum journal_kind journal_parse(struct journal_line *line, const char *data, size_t len);

/*
 * Appends a field, escaped, without a tab; escapes what stands in @buf already from @from on; and
 * the opposite, which refuses what is no escape.
 */
void journal_escape(struct buf *buf, const char *text, size_t len);
void journal_escape_from(struct buf *buf, size_t from);
bool journal_unescape(struct buf *buf, struct span field);

/* Appends "SIZE TAB MTIME" of a file; and the opposite for its size. False: it is of no file. */
void journal_stamp(struct buf *buf, uint64_t size, int64_t sec, uint32_t nsec);
bool journal_stamp_size(struct span stamp, uint64_t *size);

/* Appends what closes the line that begins at @from. */
void journal_seal(struct buf *buf, size_t from);

/* Appends a header, whose @options are escaped already; and the line of a run's end. */
void journal_header(struct buf *buf, const char *command, struct span options);
void journal_end(struct buf *buf);

uint64_t journal_key_hash(struct span key);

static inline bool span_equal(struct span a, struct span b)
{
	return a.len == b.len && (!a.len || !memcmp(a.data, b.data, a.len));
}

static inline bool span_is(struct span span, const char *text)
{
	return span_equal(span, (struct span){text, strlen(text)});
}

#endif
