/* SPDX-License-Identifier: MIT */
/*
 * journal_scan: reads a journal from its first line to its last whole one. Main thread.
 *
 * Memory is what the longest line needs, whatever the file holds.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "journal/file.h"
#include "journal/scan.h"

#define READ_BYTES 131072u

struct scan {
	journal_take_fn take;
	void *ctx;
	struct journal_found *found;
	struct buf buf; /* what was read and is no whole line yet */
	uint64_t dropped; /* bytes of that line that were not kept */
};

static void take_header(struct journal_found *found, const struct journal_line *line)
{
	found->has_header = true;
	found->command.len = found->options.len = 0;
	buf_add(&found->command, line->command.data, line->command.len);
	buf_add(&found->options, line->options.data, line->options.len);
}

static int take_line(struct scan *scan, const char *data, size_t len)
{
	struct journal_line line = {.kind = JOURNAL_DAMAGED};
	struct journal_found *found = scan->found;
	uint64_t offset = found->end;

	if (!scan->dropped)
		journal_parse(&line, data, len);
	found->end += scan->dropped + len + 1;
	scan->dropped = 0;
	found->lines++;
	found->ended = line.kind == JOURNAL_END;
	found->body = found->ended ? offset : found->end;
	switch (line.kind) {
	case JOURNAL_FOREIGN:
		found->foreign = true;
		return 0;
	case JOURNAL_HEADER:
		take_header(found, &line);
		return 0;
	case JOURNAL_ITEM:
		found->items++;
		return scan->take(scan->ctx, journal_key_hash(line.key), offset);
	case JOURNAL_END:
		return 0;
	default:
		if (!found->damaged++)
			found->first_damaged = found->lines;
		return 0;
	}
}

/* Takes the whole lines out of the buffer, whose first @seen bytes are known to have no newline. */
static int take_lines(struct scan *scan, size_t seen)
{
	struct buf *buf = &scan->buf;
	size_t at = 0;
	char *end;
	int err = 0;

	while (!err && (end = memchr(buf->data + at + seen, '\n', buf->len - at - seen))) {
		err = take_line(scan, buf->data + at, (size_t)(end - buf->data) - at);
		at = (size_t)(end - buf->data) + 1;
		seen = 0;
	}
	buf->len -= at;
	memmove(buf->data, buf->data + at, buf->len);
	/* What is longer than any line can be is damaged, and not kept. */
	if (buf->len >= JOURNAL_LINE_MOST) {
		scan->dropped += buf->len;
		buf->len = 0;
	}
	return err;
}

int journal_scan(int fd, journal_take_fn take, void *ctx, struct journal_found *found)
{
	struct scan scan = {.take = take, .ctx = ctx, .found = found};
	uint64_t at = 0;
	ssize_t n;
	int err = 0;

	do {
		size_t seen = scan.buf.len;

		n = pread(fd, buf_room(&scan.buf, READ_BYTES), READ_BYTES, (off_t)at);
		if (n < 0) {
			err = errno == EINTR ? 0 : -errno;
			continue;
		}
		at += (uint64_t)n;
		scan.buf.len += (size_t)n;
		err = take_lines(&scan, seen);
	} while (n && !err);
	buf_free(&scan.buf);
	return err;
}

void journal_found_free(struct journal_found *found)
{
	buf_free(&found->command);
	buf_free(&found->options);
}
