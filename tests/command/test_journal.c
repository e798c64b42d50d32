/* SPDX-License-Identifier: MIT */
/*
 * test_journal - the lines of a journal to the byte, and the index that finds one among many
 */
#include "base/buf.h"
#include "support/harness.h"
#include "journal/file.h"
#include "journal/index.h"

/* ---------------------------------------------------------------- lines */

static struct buf line_of(const char *payload)
{
	struct buf line = {0};

	buf_str(&line, payload);
	journal_seal(&line, 0);
	return line;
}

/* What is in a file for years must be read for years. */
static void lines_are_what_they_were_in_version_1(struct test *t)
{
	static const char header[] =
		"batchproc-journal\t1\thash\talgorithm=sha256\ta3637e5b17d859a0\n";
	static const char item[] =
		"ok\t2\t1795557300.278179979\tsha256:00ff\thash\t/a\\tb\\nc\\\\d\t7\t4606da060fd73227\n";
	static const char end[] = "ended\tf9bb9fbba026443c\n";
	struct journal_line line;
	struct buf buf = {0};
	uint64_t size;

	(void)t;
	journal_header(&buf, "hash", (struct span){"algorithm=sha256", 16});
	expect(buf.len == strlen(header) && !memcmp(buf.data, header, buf.len));
	expect_eq(journal_parse(&line, header, strlen(header) - 1), JOURNAL_HEADER);
	expect(span_is(line.command, "hash") && span_is(line.options, "algorithm=sha256"));

	buf.len = 0;
	buf_str(&buf, "ok\t");
	journal_stamp(&buf, 2, 1795557300, 278179979);
	buf_str(&buf, "\tsha256:00ff\thash\t");
	journal_escape(&buf, "/a\tb\nc\\d", 8);
	buf_str(&buf, "\t7");
	journal_seal(&buf, 0);
	if (buf.len != strlen(item) || memcmp(buf.data, item, buf.len))
		record_failure("the line has become %.*s", (int)buf.len, buf.data);
	expect_eq(journal_parse(&line, item, strlen(item) - 1), JOURNAL_ITEM);
	expect(line.ok && span_is(line.stamp, "2\t1795557300.278179979"));
	expect(journal_stamp_size(line.stamp, &size) && size == 2);
	expect(span_is(line.result, "sha256:00ff"));
	expect(span_is(line.key, "hash\t/a\\tb\\nc\\\\d\t7"));

	buf.len = 0;
	journal_end(&buf);
	if (buf.len != strlen(end) || memcmp(buf.data, end, buf.len))
		record_failure("the line has become %.*s", (int)buf.len, buf.data);
	expect_eq(journal_parse(&line, end, strlen(end) - 1), JOURNAL_END);
	buf_free(&buf);
}

static void times_before_1970_and_large_sizes_are_told_apart(struct test *t)
{
	struct buf buf = {0};

	(void)t;
	journal_stamp(&buf, UINT64_MAX, -1, 5);
	buf_char(&buf, '|');
	journal_stamp(&buf, 0, INT64_MIN, 999999999);
	buf_char(&buf, '\0');
	expect(!strcmp(buf.data, "18446744073709551615\t-1.000000005|"
				 "0\t-9223372036854775808.999999999"));
	buf_free(&buf);
}

static void what_is_no_size_is_none(struct test *t)
{
	static const char *const stamps[] = {"", "-\t-", "?\t?", "12", "\t1.0", "-1\t1.0"};
	uint64_t size;

	(void)t;
	for (size_t i = 0; i < COUNT_OF(stamps); i++)
		expect(!journal_stamp_size((struct span){stamps[i], strlen(stamps[i])}, &size));
}

static void a_line_of_another_kind_is_damaged(struct test *t)
{
	static const char *const payloads[] = {
		"",
		"ok",
		"ok\t1\t2",
		"ok\t1\t2\t",
		"OK\t1\t2\t\thash\t/a",
		"ended\t",
		"ended\t1\t2\t\thash\t/a",
		"ende",
		"okay\t1\t2\t\thash\t/a",
		"batchproc-journal",
		"batchproc-journal\t1",
		"batchproc-journal\t1\thash",
	};
	struct journal_line line;

	(void)t;
	for (size_t i = 0; i < COUNT_OF(payloads); i++) {
		struct buf buf = line_of(payloads[i]);

		if (journal_parse(&line, buf.data, buf.len - 1) != JOURNAL_DAMAGED)
			record_failure("'%s' is taken for a line", payloads[i]);
		buf_free(&buf);
	}
}

static void another_version_is_known_by_its_first_line(struct test *t)
{
	struct buf buf = line_of("batchproc-journal\t2\tanything");
	struct journal_line line;

	(void)t;
	expect_eq(journal_parse(&line, buf.data, buf.len - 1), JOURNAL_FOREIGN);
	buf_free(&buf);
}

/* Each bit of a line matters, and each byte of its length. */
static void a_line_that_is_not_whole_is_damaged(struct test *t)
{
	struct buf buf = line_of("failed\t-\t-\tENOENT\tcopy\t/a\t/b");
	struct journal_line line;

	(void)t;
	expect_eq(journal_parse(&line, buf.data, buf.len - 1), JOURNAL_ITEM);
	expect(!line.ok && span_is(line.result, "ENOENT"));
	for (size_t len = 0; len < buf.len - 1; len++)
		expect_eq(journal_parse(&line, buf.data, len), JOURNAL_DAMAGED);
	for (size_t bit = 0; bit < 8 * (buf.len - 1); bit++) {
		buf.data[bit / 8] ^= (char)(1 << bit % 8);
		expect_eq(journal_parse(&line, buf.data, buf.len - 1), JOURNAL_DAMAGED);
		buf.data[bit / 8] ^= (char)(1 << bit % 8);
	}
	buf_free(&buf);
}

static void what_is_no_escape_is_refused(struct test *t)
{
	static const char *const fields[] = {"\\", "a\\", "\\x", "\\\\\\", "\\N"};
	struct buf text = {0};

	(void)t;
	for (size_t i = 0; i < COUNT_OF(fields); i++)
		expect(!journal_unescape(&text, (struct span){fields[i], strlen(fields[i])}));
	text.len = 0;
	expect(journal_unescape(&text, (struct span){"\\\\\\t\\n", 6}));
	expect(text.len == 3 && !memcmp(text.data, "\\\t\n", 3));
	buf_free(&text);
}

/* ---------------------------------------------------------------- the index */

static uint64_t hash_of(uint64_t i)
{
	return (i + 1) * 0x9e3779b97f4a7c15ull;
}

struct search {
	const struct journal_index *index;
	uint64_t count;
};

static int find(const struct search *s, uint64_t hash, uint64_t before, uint64_t expected)
{
	uint64_t offset = 0;
	int found = journal_index_find(s->index, hash, before, &offset);

	if (found != (expected != 0) || offset != expected)
		record_failure("found %d, %llu instead of %llu", found, (unsigned long long)offset,
			       (unsigned long long)expected);
	return found;
}

static int search(void *arg)
{
	const struct search *s = arg;
	const uint64_t step = s->count / 1000 + 1;

	/* Each was added twice, at i + 1 and at i + 1 + count. */
	for (uint64_t i = 0; i < s->count; i += step) {
		find(s, hash_of(i), UINT64_MAX, i + 1 + s->count);
		find(s, hash_of(i), i + 1 + s->count, i + 1);
		find(s, hash_of(i), i + 1, 0);
	}
	find(s, hash_of(s->count), UINT64_MAX, 0);
	find(s, 0, UINT64_MAX, 0);
	find(s, UINT64_MAX, UINT64_MAX, 0);
	return 0;
}

static void find_in(struct test *t, struct journal_index *index, int (*fn)(void *), uint64_t count)
{
	struct search s = {index, count};
	struct bp_group *group = make_group(t, NULL);

	assert_int_equal(bp_go(group, fn, &s), 0);
	expect_eq(bp_wait(group), 0);
	bp_group_destroy(group);
	journal_index_free(index);
}

static struct journal_index *index_of(struct test *t, uint64_t count)
{
	char beside[128];
	struct journal_index *index;

	snprintf(beside, sizeof(beside), "%s/journal", temp_dir(t));
	index = journal_index_new(beside);
	for (uint64_t i = 0; i < 2 * count; i++)
		assert_int_equal(journal_index_add(index, hash_of(i % count), i + 1), 0);
	assert_int_equal(journal_index_ready(index), 0);
	return index;
}

static void lines_are_found_in_one_run(struct test *t)
{
	find_in(t, index_of(t, 1), search, 1);
	find_in(t, index_of(t, 64), search, 64);
	find_in(t, index_of(t, 5000), search, 5000);
}

/* More than stand in memory while they are sorted: three runs are merged. */
static void lines_are_found_in_merged_runs(struct test *t)
{
	find_in(t, index_of(t, 600000), search, 600000);
}

/* Many lines of one item, across several blocks: the last first, then back to the first. */
static int search_all_of_one(void *arg)
{
	const struct search *s = arg;
	uint64_t offset = UINT64_MAX;

	for (uint64_t i = s->count; i; i--) {
		int found = journal_index_find(s->index, 7, offset, &offset);

		if (found != 1 || offset != i * 10)
			record_failure("found %d, %llu instead of %llu", found,
				       (unsigned long long)offset, (unsigned long long)i * 10);
	}
	return find(s, 7, offset, 0);
}

static void all_lines_of_one_item_are_found(struct test *t)
{
	char beside[128];
	struct journal_index *index;

	snprintf(beside, sizeof(beside), "%s/journal", temp_dir(t));
	index = journal_index_new(beside);
	for (uint64_t i = 0; i < 1000; i++) {
		assert_int_equal(journal_index_add(index, 7, (i + 1) * 10), 0);
		assert_int_equal(journal_index_add(index, i % 2 ? 6 : 8, 1), 0);
	}
	assert_int_equal(journal_index_ready(index), 0);
	find_in(t, index, search_all_of_one, 1000);
}

static int search_nothing(void *arg)
{
	return find(arg, 1, UINT64_MAX, 0);
}

static void nothing_is_found_in_an_empty_one(struct test *t)
{
	struct journal_index *index = journal_index_new("journal");

	assert_int_equal(journal_index_ready(index), 0);
	find_in(t, index, search_nothing, 0);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		ONCE(lines_are_what_they_were_in_version_1),
		ONCE(times_before_1970_and_large_sizes_are_told_apart),
		ONCE(what_is_no_size_is_none),
		ONCE(a_line_of_another_kind_is_damaged),
		ONCE(another_version_is_known_by_its_first_line),
		ONCE(a_line_that_is_not_whole_is_damaged),
		ONCE(what_is_no_escape_is_refused),
		DRIVEN_REAL_ROWS(lines_are_found_in_one_run),
		DRIVEN_REAL_ROWS(lines_are_found_in_merged_runs),
		DRIVEN_REAL_ROWS(all_lines_of_one_item_are_found),
		DRIVEN_REAL_ROWS(nothing_is_found_in_an_empty_one),
	};

	return RUN_CASES(argc, argv, cases);
}
