/* SPDX-License-Identifier: MIT */
/*
 * files: the files of records, opened and looked through once, and journals, which are only looked
 * at. What grows meanwhile is read as far as it went then.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/calls.h"
#include "base/message.h"
#include "base/parse.h"
#include "base/scratch.h"
#include "base/status.h"
#include "journal/file.h"
#include "journal/scan.h"
#include "verbs/merge/merge.h"

#define SHARD "shard="

static bool complain(const char *name, int err)
{
	message("cannot read %s: %s", name, error_text(err));
	return false;
}

/* ---- record files */

/* What cannot be read twice is copied to a file without a name. 0 or -errno. */
static int spool(struct lines *lines)
{
	int fd = scratch_file(NULL), err = 0;
	char block[16384];
	ssize_t n = 0;

	if (fd < 0)
		return fd;
	do {
		lines_wait(lines);
		n = call_read(lines->fd, block, sizeof(block));
		if (n > 0)
			err = call_write_all(fd, block, (size_t)n);
	} while (!err && (n > 0 || n == -EAGAIN));
	if (!err && n < 0)
		err = (int)n;
	if (!err && lseek(fd, 0, SEEK_SET) < 0)
		err = -errno;
	if (lines->fd > STDIN_FILENO)
		close(lines->fd);
	lines->fd = fd;
	lines->regular = true;
	lines->start = 0;
	return err;
}

/* How it begins: "" where it is empty. NULL: it cannot be read, and that is said. */
static const char *beginning(const struct lines *lines, char text[32])
{
	ssize_t n = call_pread(lines->fd, text, 31, lines->start);

	if (n < 0) {
		complain(lines->name, (int)n);
		return NULL;
	}
	text[n] = '\0';
	return text;
}

static bool is_summary(const char *line, size_t len)
{
	static const char word[] = "\"summary\":";

	return memmem(line, len, word, strlen(word));
}

static bool same_parts(struct files *files, const char *name, const struct shard *shard)
{
	if (!shard->parts || !files->parts || shard->parts == files->parts) {
		files->parts = shard->parts ? shard->parts : files->parts;
		return true;
	}
	message("%s is of %llu parts, and others are of %llu: not of one job", name,
		(unsigned long long)shard->parts, (unsigned long long)files->parts);
	return false;
}

/* What a killed run has left may be one line that is cut short, and nothing else. */
static bool ends_whole(const struct lines *lines)
{
	const off_t end = lseek(lines->fd, 0, SEEK_END);
	char last = '\0';

	return end > 0 && call_pread(lines->fd, &last, 1, end - 1) == 1 && last == '\n';
}

/* Counts the lines, and finds out of which part they are. */
static bool look_through(struct files *files, struct file *file)
{
	struct fact fact = {0};
	bool found = false, good = true;
	char *line;
	size_t len;

	while (good && lines_next(&file->lines, NULL, &line, &len)) {
		file->count++;
		if (found && !is_summary(line, len))
			continue;
		fact_parse(&fact, line, len);
		found |= fact.kind != FACT_NONE;
		if (fact.kind != FACT_SUMMARY || !fact.shard.parts)
			continue;
		if (file->shard.parts && file->shard.part != fact.shard.part) {
			message("%s has records of part %llu and of part %llu", file->name,
				(unsigned long long)file->shard.part,
				(unsigned long long)fact.shard.part);
			good = false;
		}
		file->shard = fact.shard;
		good = good && same_parts(files, file->name, &fact.shard);
	}
	fact_free(&fact);
	if (file->lines.err)
		return complain(file->name, file->lines.err);
	if (good && !found && (file->count > 1 || ends_whole(&file->lines))) {
		message("%s is no file of records, as --json writes them", file->name);
		good = false;
	}
	lines_rewind(&file->lines);
	return good;
}

/* ---- journals */

static int take_none(void *ctx, uint64_t hash, uint64_t offset)
{
	(void)ctx;
	(void)hash;
	(void)offset;
	return 0;
}

/* The part stands in front of the options. */
static bool take_part(struct shard *shard, const struct buf *options)
{
	const size_t len = strlen(SHARD);
	char text[48];
	size_t i = 0;

	if (options->len <= len || memcmp(options->data, SHARD, len))
		return true;
	while (len + i < options->len && options->data[len + i] != ' ' && i < sizeof(text) - 1) {
		text[i] = options->data[len + i];
		i++;
	}
	text[i] = '\0';
	return shard_parse(shard, text);
}

static bool take_journal(struct files *files, struct lines *lines)
{
	struct journal_found found = {0};
	struct journal_fact *journal;
	int err = journal_scan(lines->fd, take_none, NULL, &found);
	bool good = false;

	files->journals =
		xrealloc(files->journals, (files->journal_count + 1) * sizeof(*files->journals));
	journal = &files->journals[files->journal_count++];
	*journal = (struct journal_fact){.name = lines->name, .ended = found.ended};
	journal->used = flock(lines->fd, LOCK_SH | LOCK_NB) && errno == EWOULDBLOCK;
	if (err)
		complain(lines->name, err);
	else if (found.foreign || !found.has_header || !take_part(&journal->shard, &found.options))
		message("%s is no journal that this version knows", lines->name);
	else
		good = same_parts(files, lines->name, &journal->shard);
	if (good && found.damaged)
		message("%s: %llu damaged lines, the first is line %llu", lines->name,
			(unsigned long long)found.damaged, (unsigned long long)found.first_damaged);
	journal_found_free(&found);
	return good;
}

/* ---- all of them */

static bool open_one(struct files *files, const char *name, size_t place)
{
	struct file *file = &files->all[files->count];
	int err = lines_open(&file->lines, name, '\n');
	char text[32];

	files->count++;
	file->name = name;
	file->place = place;
	if (!err && !file->lines.regular)
		err = spool(&file->lines);
	if (err)
		return complain(name, err);
	file->name = file->lines.name;
	if (!beginning(&file->lines, text))
		return false;
	if (!strncmp(text, JOURNAL_MAGIC "\t", strlen(JOURNAL_MAGIC) + 1)) {
		bool good = take_journal(files, &file->lines);

		lines_close(&file->lines);
		files->count--;
		return good;
	}
	if (*text && *text != '{') {
		message("%s is neither a file of records, as --json writes them, nor a journal",
			name);
		return false;
	}
	return look_through(files, file);
}

static int compare(const void *a, const void *b)
{
	const struct file *left = a, *right = b;

	if (left->shard.part != right->shard.part)
		return left->shard.part < right->shard.part ? -1 : 1;
	return left->place < right->place ? -1 : 1;
}

bool files_open(struct files *files, char *const *names, size_t count, int *status)
{
	*status = EXIT_USAGE;
	files->all = xcalloc(count + 1, sizeof(*files->all));
	for (size_t i = 0; i < count; i++)
		if (!open_one(files, names[i], i))
			return false;
	qsort(files->all, files->count, sizeof(*files->all), compare);
	for (size_t i = 0; i < files->count; i++) {
		files->all[i].first = files->lines;
		files->lines += files->all[i].count;
	}
	return true;
}

void files_close(struct files *files)
{
	for (size_t i = 0; i < files->count; i++)
		lines_close(&files->all[i].lines);
	free(files->all);
	free(files->journals);
}

struct file *file_of(const struct files *files, uint64_t line)
{
	size_t low = 0, high = files->count;

	/* The last one that does not begin behind it; of some that are empty, the one that is not. */
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (files->all[middle].first <= line)
			low = middle;
		else
			high = middle;
	}
	return &files->all[low];
}
