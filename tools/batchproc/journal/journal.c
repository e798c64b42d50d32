/* SPDX-License-Identifier: MIT */
/*
 * journal: --journal, --resume, --retry-failed.
 *
 * An item is known by what it is: its operation, its source (the absolute name of a file, a URL or
 * an endpoint as it was given), what its verb adds (a destination), and where the source is a file by its
 * size and modification time. The last line of
 * an item counts.
 *
 * Nothing is synced. A line must not reach the disk before what it speaks of, and neither order nor
 * time is ours where the work itself is not synced; what is lost with the power is done again. See
 * docs/journal.md.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "batchproc.h"
#include "base/buf.h"
#include "run/job.h"
#include "journal/journal.h"
#include "journal/file.h"
#include "journal/index.h"
#include "journal/scan.h"
#include "output/output.h"
#include "run/ownfiles.h"
#include "run/steer.h"
#include "base/path.h"
#include "base/alloc.h"
#include "base/message.h"
#include "base/status.h"
#include "verb.h"

#define LINE_BYTES 512u /* read at first: most lines are shorter */

struct journal {
	const char *name;
	int fd;
	bool writes; /* not --dry-run */
	bool lacks; /* an earlier run may have done what has no line */
	bool same_work; /* the last header is of this run too */
	uint64_t size, body, end; /* of the file, and as journal_scan() found them */
	struct buf cwd; /* what stands before a relative name, with a slash */
	struct buf options; /* those of this run, escaped */
	struct journal_index *index; /* NULL: every item is to be done */
};

/* ---- going on with one */

static struct span span_of(const struct buf *buf)
{
	return (struct span){buf->data, buf->len};
}

static bool begins_as_one(const struct journal *journal)
{
	static const char magic[] = JOURNAL_MAGIC "\t";
	char start[sizeof(magic) - 1];
	ssize_t n = pread(journal->fd, start, sizeof(start), 0);

	/* A shorter one is a first line that was being written when the run ended, or a new file. */
	return n >= 0 && !memcmp(start, magic, (size_t)n);
}

/* Each of these says why the run does not go on, and returns its exit status. */

static int refuse(const struct journal *journal, const char *why)
{
	message("%s %s", journal->name, why);
	return EXIT_USAGE;
}

static int trouble(const struct journal *journal, const char *what, int err)
{
	message("cannot %s %s: %s", what, journal->name, error_text(err));
	return EXIT_TROUBLE;
}

static int cannot_open(const struct journal *journal, const char *what, int err)
{
	trouble(journal, what, err);
	return EXIT_USAGE;
}

static int other_work(const struct job *job, const struct journal_found *found)
{
	const struct journal *journal = job->journal;
	struct buf text = {0};

	buf_str(&text, "is the journal of '");
	buf_visible(&text, found->command.data, found->command.len);
	if (found->options.len) {
		buf_char(&text, ' ');
		buf_visible(&text, found->options.data, found->options.len);
	}
	buf_printf(&text, "', not of '%s", job->opt->verb->name);
	if (journal->options.len) {
		buf_char(&text, ' ');
		buf_visible(&text, journal->options.data, journal->options.len);
	}
	buf_printf(&text, "' (--force-resume goes on all the same)%c", '\0');
	refuse(journal, text.data);
	buf_free(&text);
	return EXIT_USAGE;
}

/* Whether this run may go on with what was found; else *@status is set, and it is said. */
static bool judge(const struct job *job, const struct journal_found *found, bool same_work,
		  int *status)
{
	const struct journal *journal = job->journal;
	const bool forced = job->opt->force_resume;

	*status = EXIT_OK;
	if (found->foreign)
		*status = refuse(journal, "is the journal of another version of batchproc");
	else if (!found->has_header && found->items && !forced)
		*status = refuse(journal, "has a damaged first line (--force-resume goes on all "
					  "the same)");
	else if (!found->has_header && !found->items && (found->lines || !begins_as_one(journal)))
		*status = refuse(journal, "is not a journal");
	else if (found->has_header && !same_work && !forced)
		*status = other_work(job, found);
	if (*status != EXIT_OK)
		return false;
	if (found->damaged)
		message("%s: %llu damaged line%s passed over, the first is line %llu",
			journal->name, (unsigned long long)found->damaged,
			found->damaged == 1 ? "" : "s", (unsigned long long)found->first_damaged);
	return true;
}

/* ---- opening */

/* The text that the options of a verb are for the journal, escaped. */
static void add_options(const struct item_ops *ops, const void *settings, struct buf *buf)
{
	struct buf text = {0};

	if (ops && ops->journal_options)
		ops->journal_options(settings, &text);
	journal_escape(buf, text.data, text.len);
	buf_free(&text);
}

static void find_cwd(struct journal *journal)
{
	char *cwd = getcwd(NULL, 0);

	/* A directory that has been removed, or that cannot be reached, has no name. */
	if (cwd && *cwd == '/') {
		journal_escape(&journal->cwd, cwd, strlen(cwd));
		if (cwd[1])
			buf_char(&journal->cwd, '/');
	}
	free(cwd);
}

static int write_header(const struct job *job)
{
	const struct journal *journal = job->journal;
	struct buf header = {0};
	size_t done = 0;
	int err = 0;

	journal_header(&header, job->opt->verb->name, span_of(&journal->options));
	while (!err && done < header.len) {
		ssize_t n = write(journal->fd, header.data + done, header.len - done);

		err = n < 0 ? -errno : 0;
		done += n < 0 ? 0 : (size_t)n;
	}
	buf_free(&header);
	return err;
}

static bool journal_begin(const struct job *job, int *status)
{
	const struct journal *journal = job->journal;
	int err = 0;

	if (!journal->writes)
		return true;
	if (journal->size > journal->body && ftruncate(journal->fd, (off_t)journal->body))
		err = -errno;
	if (!err && journal->size > journal->end && job->opt->verbose)
		message("%s: its last line was not whole", journal->name);
	if (!err && !journal->same_work)
		err = write_header(job);
	if (err) {
		*status = trouble(journal, "write", err);
		return false;
	}
	output_set_file(SINK_JOURNAL, journal->fd, journal->name);
	return true;
}

static void journal_ended(const struct job *job)
{
	struct buf line = {0};

	if (!job->journal->writes || atomic_load(&job->trouble))
		return;
	journal_end(&line);
	output_add(SINK_JOURNAL, line.data, line.len);
	buf_free(&line);
}

static bool is_same_work(const struct job *job, const struct journal_found *found)
{
	const char *command = job->opt->verb->name;

	return found->has_header && span_is(span_of(&found->command), command) &&
	       span_equal(span_of(&found->options), span_of(&job->journal->options));
}

static void adopt_options(struct job *job, const struct journal_found *found)
{
	const struct item_class *class = &job->class;
	struct buf *own = &job->journal->options, text = {0};

	if (!found->has_header || !class->ops || !class->ops->journal_adopt)
		return;
	if (journal_unescape(&text, span_of(&found->options))) {
		buf_char(&text, '\0');
		class->ops->journal_adopt(job->opt->settings, text.data);
		own->len = 0;
		add_options(class->ops, class->settings, own);
	}
	buf_free(&text);
}

static bool read_journal(struct job *job, uint64_t size, int *status)
{
	struct journal *journal = job->journal;
	struct journal_found found = {0};
	bool good = false;
	int err;

	journal->index = journal_index_new(journal->name);
	err = journal_scan(journal->fd, journal_index_add, journal->index, &found);
	if (!err)
		err = journal_index_ready(journal->index);
	adopt_options(job, &found);
	journal->same_work = is_same_work(job, &found);
	if (err)
		*status = trouble(journal, "read", err);
	else
		good = judge(job, &found, journal->same_work, status);
	journal->size = size;
	journal->body = found.body;
	journal->end = found.end;
	journal->lacks = (found.has_header || found.items) && (!found.ended || found.damaged);
	/* With nothing in it there is nothing to look up. */
	if (!found.items && !job->opt->retry_failed) {
		journal_index_free(journal->index);
		journal->index = NULL;
	}
	journal_found_free(&found);
	return good;
}

/* Opens and locks the file. Returns as journal_open(). */
static bool open_file(struct job *job, struct stat *st, int *status)
{
	struct journal *journal = job->journal;
	const bool must_exist = job->opt->dry_run || job->opt->retry_failed;
	/* Non-blocking, in case it is something else than a file. */
	int flags = O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | (must_exist ? 0 : O_CREAT);

	journal->fd = open(journal->name, flags | (job->opt->dry_run ? O_RDONLY : O_RDWR), 0666);
	if (journal->fd < 0 && errno == ENOENT && job->opt->dry_run && !job->opt->retry_failed)
		return true;
	if (journal->fd < 0 || fstat(journal->fd, st)) {
		*status = cannot_open(journal, "open", errno);
		return false;
	}
	if (!S_ISREG(st->st_mode)) {
		*status = refuse(journal, "is not a regular file");
		return false;
	}
	/*
	 * Bound to this open file, not to the process: a child between fork() and exec() holds it
	 * too, and it goes with the last of them, however that ends.
	 */
	if (flock(journal->fd, (job->opt->dry_run ? LOCK_SH : LOCK_EX) | LOCK_NB)) {
		*status = errno == EWOULDBLOCK ? refuse(journal, "is in use by another process") :
						 cannot_open(journal, "lock", errno);
		return false;
	}
	/* Whoever had the lock before may have written meanwhile. */
	if (fstat(journal->fd, st) || fcntl(journal->fd, F_SETFL, O_APPEND)) {
		*status = cannot_open(journal, "open", errno);
		return false;
	}
	return true;
}

static bool journal_open(struct job *job, int *status)
{
	const struct options *opt = job->opt;
	const bool resumes = opt->resume || opt->retry_failed;
	struct stat st = {0};

	job->journal = xcalloc(1, sizeof(*job->journal));
	job->journal->name = opt->journal;
	job->journal->writes = !opt->dry_run;
	find_cwd(job->journal);
	add_options(job->class.ops, job->class.settings, &job->journal->options);
	if (!open_file(job, &st, status))
		return false;
	if (job->journal->fd < 0)
		return true;
	*status = EXIT_OK;
	if (!opt->force_resume && !begins_as_one(job->journal))
		*status = refuse(job->journal, "is not a journal");
	else if (st.st_size && !resumes)
		*status = refuse(job->journal, "exists already (--resume goes on with it)");
	if (*status != EXIT_OK)
		return false;
	own_file_opened(OWN_JOURNAL, job->journal->fd, opt->journal);
	return read_journal(job, (uint64_t)st.st_size, status);
}

static void journal_close(struct job *job)
{
	struct journal *journal = job->journal;

	/* What is written to is closed by the output. */
	if (!journal->writes && journal->fd >= 0)
		close(journal->fd);
	journal_index_free(journal->index);
	buf_free(&journal->cwd);
	buf_free(&journal->options);
	free(journal);
}

/* ---- items */

void journal_looks(struct item *item, int fd)
{
	struct stat st;

	if (item->job->journal && !fstat(fd, &st))
		item_note_source(item, &st);
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
		add_options(item->ops, item->settings, buf);
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

static void journal_add(const struct item *item, struct buf *buf)
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
 * Looks at the source. By descriptor, as hashfile.c does it: what io_uring is asked by name it gives
 * to a worker thread. Return: 0 or -errno.
 */
static int look(struct item *item)
{
	int flags = O_PATH | O_CLOEXEC | (item->dir ? O_NOFOLLOW : 0);
	int dirfd = item->dir ? item->job->ops->walk->descriptor(item->dir) : AT_FDCWD;
	unsigned int tries = 0;
	int fd;

	do {
		fd = path_open(dirfd, item->name.data, flags);
	} while (steer_await_descriptor(item->job, fd, &tries));
	if (fd < 0)
		return fd;
	journal_looks(item, fd);
	bp_close(fd);
	return 0;
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
	add_options(class->ops, class->settings, &key);
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

static bool journal_skips(struct item *item)
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

const struct journal_hooks journal_hooks = {
	.open = journal_open,
	.begin = journal_begin,
	.ended = journal_ended,
	.close = journal_close,
	.skips = journal_skips,
	.add = journal_add,
};
