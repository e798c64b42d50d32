/* SPDX-License-Identifier: MIT */
/*
 * fuzz_journal: what a journal says is what was written into it, whatever else stands in it.
 *
 * The input is a journal. Where its first byte is odd, each line of it gets the sum that makes it
 * whole, so that what is behind the sum is reached too. Lines are then parsed one by one, and the
 * file is scanned: both must find the same.
 *
 * fuzzes: tools/batchproc/journal/file.c tools/batchproc/journal/scan.c tools/batchproc/base/buf.c
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buf.h"
#include "fuzz.h"
#include "journal/file.h"
#include "journal/scan.h"

static struct buf journal;

static bool within(struct span span, const char *data, size_t len)
{
	return !span.data || (span.data >= data && span.data + span.len <= data + len);
}

/* What is between two tabs is the same after it was taken out and put back. */
static void out_and_back(struct span field)
{
	struct buf text = {0}, again = {0};

	if (journal_unescape(&text, field)) {
		journal_escape(&again, text.data, text.len);
		must(again.len == field.len &&
		     (!again.len || !memcmp(again.data, field.data, again.len)));
		must(!again.len || !memchr(again.data, '\n', again.len));
		journal_escape_from(&text, 0);
		must(text.len == field.len &&
		     (!text.len || !memcmp(text.data, field.data, text.len)));
	}
	buf_free(&text);
	buf_free(&again);
}

static void expect_same_item(const struct journal_line *line, const char *data, size_t len)
{
	struct buf again = {0};

	buf_str(&again, line->ok ? "ok\t" : "failed\t");
	buf_add(&again, line->stamp.data, line->stamp.len);
	buf_char(&again, '\t');
	buf_add(&again, line->result.data, line->result.len);
	buf_char(&again, '\t');
	buf_add(&again, line->key.data, line->key.len);
	journal_seal(&again, 0);
	must(again.len == len + 1 && !memcmp(again.data, data, len));
	buf_free(&again);
	out_and_back(line->result);
}

static void expect_same_header(const struct journal_line *line, const char *data, size_t len)
{
	struct buf again = {0}, command = {0};

	buf_add(&command, line->command.data, line->command.len);
	buf_char(&command, '\0');
	/* The name of a command has no NUL. */
	if (strlen(command.data) == line->command.len) {
		journal_header(&again, command.data, line->options);
		must(again.len == len + 1 && !memcmp(again.data, data, len));
	}
	buf_free(&command);
	buf_free(&again);
	out_and_back(line->options);
}

static void expect_same_end(const char *data, size_t len)
{
	struct buf again = {0};

	journal_end(&again);
	must(again.len == len + 1 && !memcmp(again.data, data, len));
	buf_free(&again);
}

static enum journal_kind parse(const char *data, size_t len)
{
	struct journal_line line;
	enum journal_kind kind;
	/* Of its own, to the byte: reading beyond the end is seen. */
	char *own = malloc(len + !len);

	must(own != NULL);
	if (len)
		memcpy(own, data, len);
	kind = journal_parse(&line, own, len);
	must(kind == line.kind);
	must(within(line.stamp, own, len) && within(line.result, own, len) &&
	     within(line.key, own, len) && within(line.options, own, len));
	if (kind == JOURNAL_ITEM)
		expect_same_item(&line, own, len);
	if (kind == JOURNAL_HEADER)
		expect_same_header(&line, own, len);
	if (kind == JOURNAL_END)
		expect_same_end(own, len);
	free(own);
	return kind;
}

static int count_item(void *ctx, uint64_t hash, uint64_t offset)
{
	struct journal_line line;
	uint64_t *items = ctx;
	const char *start = journal.data + offset;
	const char *end = memchr(start, '\n', journal.len - offset);

	must(end != NULL);
	must(journal_parse(&line, start, (size_t)(end - start)) == JOURNAL_ITEM);
	must(journal_key_hash(line.key) == hash);
	++*items;
	return 0;
}

static void scan(void)
{
	struct journal_found found = {0};
	uint64_t kinds[JOURNAL_KINDS] = {0}, items = 0, lines = 0;
	enum journal_kind last = JOURNAL_DAMAGED;
	size_t at = 0, from = 0;
	int fd = memfd_create("journal", MFD_CLOEXEC);

	must(fd >= 0 && write(fd, journal.data, journal.len) == (ssize_t)journal.len);
	for (char *end; (end = memchr(journal.data + at, '\n', journal.len - at)); lines++) {
		from = at;
		last = parse(journal.data + at, (size_t)(end - journal.data) - at);
		kinds[last]++;
		at = (size_t)(end - journal.data) + 1;
	}
	parse(journal.data + at, journal.len - at);
	must(!journal_scan(fd, count_item, &items, &found));
	must(found.end == at && found.lines == lines);
	must(found.ended == (last == JOURNAL_END));
	must(found.body == (found.ended ? from : at));
	must(found.items == kinds[JOURNAL_ITEM] && items == found.items);
	must(found.damaged == kinds[JOURNAL_DAMAGED]);
	must(found.foreign == (kinds[JOURNAL_FOREIGN] > 0));
	must(found.has_header == (kinds[JOURNAL_HEADER] > 0));
	must(!found.damaged == !found.first_damaged && found.first_damaged <= lines);
	journal_found_free(&found);
	close(fd);
}

int fuzz_journal(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data + 1;
	size_t left = size ? size - 1 : 0;

	journal.len = 0;
	buf_room(&journal, 1);
	while (left && data[0] & 1) {
		const char *end = memchr(text, '\n', left);
		size_t len = end ? (size_t)(end - text) : left, from = journal.len;

		buf_add(&journal, text, len);
		journal_seal(&journal, from);
		text += len + (end != NULL);
		left -= len + (end != NULL);
	}
	buf_add(&journal, text, left);
	scan();
	return 0;
}
