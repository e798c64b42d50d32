/* SPDX-License-Identifier: MIT */
/*
 * lookup: the lines of items in the journal: what they are known by, what is noted of them, and
 * what need not be done because of them. Any thread; what reads the journal is for tasks.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "batchproc.h"
#include "base/blocking.h"
#include "base/buf.h"
#include "base/device.h"
#include "base/path.h"
#include "journal/file.h"
#include "journal/index.h"
#include "journal/journal.h"
#include "journal/own.h"
#include "run/job.h"
#include "run/steer.h"

#define LINE_BYTES 512u /* read at first: most lines are shorter */

void journal_add_options(const struct item_ops *ops, const void *settings, struct buf *buf)
{
	struct buf text = {0};

	if (ops && ops->journal_options)
		ops->journal_options(settings, &text);
	journal_escape(buf, text.data, text.len);
	buf_free(&text);
}

/* ---- items */

struct source {
	struct item *item;
	int fd;
};

static int note(void *arg)
{
	const struct source *source = arg;
	struct stat st;

	if (!fstat(source->fd, &st))
		item_note_source(source->item, &st);
	return 0;
}

int journal_looks(struct item *item, int fd, enum device_kind kind)
{
	struct source source = {item, fd};

	if (!item->job->journal)
		return 0;
	return kind == DEVICE_OTHER ? blocking_long(note, &source) : note(&source);
}

void journal_path(const struct job *job, struct buf *buf, const char *path, size_t len)
{
	if (!len || *path != '/')
		buf_add(buf, job->journal->cwd.data, job->journal->cwd.len);
	journal_escape(buf, path, len);
}

/* Makes the name of a source, which stands behind @from, what it is known as from everywhere. */
static void settle_source(const struct job *job, const struct item_ops *ops, struct buf *buf,
			  size_t from)
{
	const struct buf *cwd = &job->journal->cwd;

	journal_escape_from(buf, from);
	if (ops->source != SOURCE_PATH || (buf->len > from && buf->data[from] == '/'))
		return;
	buf_room(buf, cwd->len);
	memmove(buf->data + from + cwd->len, buf->data + from, buf->len - from);
	memcpy(buf->data + from, cwd->data, cwd->len);
	buf->len += cwd->len;
}

static void add_key(const struct item *item, struct buf *buf)
{
	const struct job *job = item->job;
	size_t from;

	buf_str(buf, item->ops->op);
	buf_char(buf, '\t');
	from = buf->len;
	item_path(item, buf);
	settle_source(job, item->ops, buf, from);
	/* Where the header cannot say it, because each item has its own. */
	if (job->ops->mixes && item->ops->journal_options) {
		buf_char(buf, '\t');
		journal_add_options(item->ops, item->settings, buf);
	}
	if (item->ops->journal_key)
		item->ops->journal_key(item, buf);
}

static const char name_stamp[] = "-\t-";
static const char unknown_stamp[] = "?\t?";

static void add_stamp(const struct item *item, struct buf *buf)
{
	if (item->source.kind == ORIGIN_FILE)
		journal_stamp(buf, item->source.size, item->source.sec, item->source.nsec);
	else
		buf_str(buf, item->source.kind == ORIGIN_NAME ? name_stamp : unknown_stamp);
}

void journal_add(const struct item *item, struct buf *buf)
{
	const struct journal *journal = item->job->journal;
	const bool ok = item->status == STATUS_OK || item_found_done(item);
	const size_t from = buf->len;

	if (!journal->writes || item->source.kind == ORIGIN_ONCE)
		return;
	/* Only what was done, or was tried and failed; all else is still to be done. */
	if (!ok && item->status != STATUS_FAILED && item->status != STATUS_TIMEOUT)
		return;
	buf_str(buf, ok ? "ok\t" : "failed\t");
	add_stamp(item, buf);
	buf_char(buf, '\t');
	if (!ok)
		buf_str(buf, item->err ? strerrorname_np(-item->err) : "");
	else if (item->ops->journal_result)
		item->ops->journal_result(item, buf);
	buf_char(buf, '\t');
	add_key(item, buf);
	journal_seal(buf, from);
	if (buf->len - from > JOURNAL_LINE_MOST)
		buf->len = from;
}

/* ---- what need not be done */

/* Reads the line at @offset into @buf. Return: whether it is an item's; or -errno. */
static int read_line(const struct journal *journal, uint64_t offset, struct buf *buf,
		     struct journal_line *line)
{
	for (size_t want = LINE_BYTES; want <= 2 * JOURNAL_LINE_MOST; want *= 2) {
		ssize_t n;
		const char *end;

		buf->len = 0;
		n = bp_read(journal->fd, buf_room(buf, want), want, (off_t)offset);
		if (n < 0)
			return (int)n;
		end = memchr(buf->data, '\n', (size_t)n);
		if (end)
			return journal_parse(line, buf->data, (size_t)(end - buf->data)) ==
			       JOURNAL_ITEM;
	}
	return 0;
}

/* The last line of an item, as read_line(). */
static int find_line(struct item *item, struct buf *buf, struct journal_line *line)
{
	const struct journal *journal = item->job->journal;
	/* The item's own buffer is free until its record is made. */
	struct buf *key = &item->lines;
	uint64_t hash, offset = UINT64_MAX;
	struct span wanted;
	int found;

	key->len = 0;
	add_key(item, key);
	wanted = (struct span){key->data, key->len};
	hash = journal_key_hash(wanted);
	while ((found = journal_index_find(journal->index, hash, offset, &offset)) > 0) {
		found = read_line(journal, offset, buf, line);
		if (found < 0 || (found && span_equal(line->key, wanted)))
			return found;
	}
	return found;
}

/*
 * Looks at the source. By descriptor, as hashfile.c does it: what io_uring is asked by name it
 * gives to a worker thread; and a server that is asked must not hold up others. Return: 0 or
 * -errno.
 */
static int look(struct item *item)
{
	int flags = O_PATH | O_CLOEXEC | (item->dir ? O_NOFOLLOW : 0);
	int dirfd = item->dir ? item->job->ops->walk->descriptor(item->dir) : AT_FDCWD;
	enum device_kind kind = DEVICE_OTHER;
	unsigned int tries = 0;
	struct device_file file;
	int fd, err;

	do {
		fd = path_open(dirfd, item->name.data, flags);
	} while (steer_await_descriptor(item->job, fd, &tries));
	if (fd < 0)
		return fd;
	if (!device_look(fd, &file))
		kind = device_kind(file.dev, fd);
	err = journal_looks(item, fd, kind);
	bp_close(fd);
	return err;
}

static bool unchanged(struct item *item, struct span stamp)
{
	struct buf now = {0};
	bool is_same;

	if (span_is(stamp, name_stamp))
		return true;
	if (!item_has_path(item))
		return false;
	if (look(item) == -ENOENT && item->ops->outlives_source) {
		item->source.kind = ORIGIN_GONE;
		return journal_stamp_size(stamp, &item->source.size);
	}
	add_stamp(item, &now);
	is_same = item->source.kind == ORIGIN_FILE &&
		  span_equal(stamp, (struct span){now.data, now.len});
	buf_free(&now);
	return is_same;
}

static bool restore(struct item *item, struct span result)
{
	struct buf text = {0};
	bool restored = journal_unescape(&text, result);

	if (restored && item->ops->journal_restore)
		restored = item->ops->journal_restore(item, text.data, text.len);
	buf_free(&text);
	return restored;
}

static bool skips(struct item *item, bool has_line, const struct journal_line *line)
{
	/* What failed because it was not there was not there for the run that is now cut short. */
	item->maybe_done = item->job->journal->lacks &&
			   (!has_line || (!line->ok && !span_is(line->result, "ENOENT")));
	if (item->job->opt->retry_failed) {
		item->why = "has not failed according to the journal";
		return !has_line ||
		       (line->ok && (!item->ops->journal_pass || item->ops->journal_pass(item)));
	}
	item->why = "done according to the journal";
	item->restored = has_line && line->ok && unchanged(item, line->stamp) &&
			 restore(item, line->result);
	return item->restored;
}

struct question {
	const struct journal *journal;
	uint64_t hash;
	int found; /* or -errno */
};

static int answer(void *arg)
{
	struct question *q = arg;
	uint64_t offset;

	q->found = journal_index_find(q->journal->index, q->hash, UINT64_MAX, &offset);
	return 0;
}

bool journal_has(struct job *job, const struct item_class *class, const char *src, const char *dst)
{
	struct question q = {.journal = job->journal};
	struct bp_group *group = NULL;
	struct buf key = {0};
	size_t from;
	int err;

	if (!q.journal || !q.journal->index)
		return false;
	buf_str(&key, class->ops->op);
	buf_char(&key, '\t');
	from = key.len;
	buf_str(&key, src);
	settle_source(job, class->ops, &key, from);
	buf_char(&key, '\t');
	journal_add_options(class->ops, class->settings, &key);
	buf_char(&key, '\t');
	journal_path(job, &key, dst, strlen(dst));
	q.hash = journal_key_hash((struct span){key.data, key.len});
	buf_free(&key);

	/* The index is read in a task; this thread has none of its own. */
	err = bp_group_create(&group, job->engine, NULL);
	if (!err)
		err = bp_go(group, answer, &q);
	if (group)
		bp_wait(group);
	bp_group_destroy(group);
	if (!err && q.found < 0)
		err = q.found;
	if (err)
		steer_trouble(job, q.journal->name, err);
	return !err && q.found > 0;
}

bool journal_skips(struct item *item)
{
	struct job *job = item->job;
	struct journal_line line;
	struct buf buf = {0};
	int found;
	bool skipped;

	item->maybe_done = job->journal->lacks;
	if (!job->journal->index)
		return false;
	if (item->ops->journal_always && item->ops->journal_always(item))
		return false;
	found = find_line(item, &buf, &line);
	/* An item that is cancelled meanwhile notices it in its work. */
	if (found < 0 && !bp_cancelled())
		steer_trouble(job, job->journal->name, found);
	skipped = found >= 0 && skips(item, found, &line);
	if (!skipped)
		item->why = NULL;
	buf_free(&buf);
	return skipped;
}
