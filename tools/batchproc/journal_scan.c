/* SPDX-License-Identifier: MIT */
/*
 * journal_scan: reads a journal from its first line to its last whole one. Main thread.
 *
 * Memory is a mebibyte and the longest line, whatever the file holds.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "journal_file.h"
#include "journal_index.h"
#include "journal_scan.h"

#define READ_BYTES 1048576u

static void take_header(struct journal_found *found, const struct journal_line *line)
{
	found->has_header = true;
	found->command.len = found->options.len = 0;
	buf_add(&found->command, line->command.data, line->command.len);
	buf_add(&found->options, line->options.data, line->options.len);
}

static int take_line(struct journal_index *index, struct journal_found *found, const char *data,
		     size_t len)
{
	struct journal_line line = {.kind = JOURNAL_DAMAGED};
	uint64_t offset = found->end;

	if (!found->dropped)
		journal_parse(&line, data, len);
	found->end += found->dropped + len + 1;
	found->dropped = 0;
	found->lines++;
	switch (line.kind) {
	case JOURNAL_FOREIGN:
		found->foreign = true;
		return 0;
	case JOURNAL_HEADER:
		take_header(found, &line);
		return 0;
	case JOURNAL_ITEM:
		found->items++;
		return journal_index_add(index, journal_key_hash(line.key), offset);
	default:
		if (!found->damaged++)
			found->first_damaged = found->lines;
		return 0;
	}
}

/* Takes the whole lines out of @buf, @seen bytes of which are known to have no newline. */
static int take_lines(struct journal_index *index, struct journal_found *found, struct buf *buf,
		      size_t seen)
{
	size_t at = 0;
	char *end;
	int err = 0;

	while (!err && (end = memchr(buf->data + at + seen, '\n', buf->len - at - seen))) {
		err = take_line(index, found, buf->data + at, (size_t)(end - buf->data) - at);
		at = (size_t)(end - buf->data) + 1;
		seen = 0;
	}
	buf->len -= at;
	memmove(buf->data, buf->data + at, buf->len);
	/* What is longer than any line can be is damaged, and not kept. */
	if (buf->len >= JOURNAL_LINE_MOST) {
		found->dropped += buf->len;
		buf->len = 0;
	}
	return err;
}

int journal_scan(int fd, struct journal_index *index, struct journal_found *found)
{
	struct buf buf = {0};
	uint64_t at = 0;
	size_t seen = 0;
	ssize_t n;
	int err = 0;

	do {
		n = pread(fd, buf_room(&buf, READ_BYTES), READ_BYTES, (off_t)at);
		if (n < 0) {
			err = errno == EINTR ? 0 : -errno;
			continue;
		}
		at += (uint64_t)n;
		buf.len += (size_t)n;
		err = take_lines(index, found, &buf, seen);
		seen = buf.len;
	} while (n && !err);
	buf_free(&buf);
	return err ? err : journal_index_ready(index);
}

void journal_found_free(struct journal_found *found)
{
	buf_free(&found->command);
	buf_free(&found->options);
}
