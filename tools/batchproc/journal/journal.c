/* SPDX-License-Identifier: MIT */
/*
 * journal: --journal, --resume, --retry-failed.
 *
 * An item is known by what it is: its operation, its source (the absolute name of a file, a URL or
 * an endpoint as it was given), what its verb adds (a destination), and where the source is a file
 * by its size and modification time. The last line of an item counts. Keys and what is done with
 * the lines of items are lookup.c's.
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
#include "journal/own.h"
#include "journal/scan.h"
#include "output/output.h"
#include "run/ownfiles.h"
#include "run/steer.h"
#include "base/alloc.h"
#include "base/message.h"
#include "base/status.h"
#include "verb.h"

#define SHARD "shard="

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

	/* Reading it to its end says why it cannot be read. */
	if (n < 0)
		return true;
	/*
	 * A shorter one is a first line that was being written when the run ended, or a new file.
	 */
	return !memcmp(start, magic, (size_t)n);
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
	output_set_file(job->output, SINK_JOURNAL, journal->fd, journal->name);
	return true;
}

static void journal_ended(const struct job *job)
{
	struct buf line = {0};

	if (!job->journal->writes || atomic_load(&job->trouble))
		return;
	journal_end(&line);
	output_add(job->output, SINK_JOURNAL, line.data, line.len);
	buf_free(&line);
}

/*
 * What stands in the header: whose share of the items it is, and the options of the verb. Escaped.
 */
static void set_options(struct job *job)
{
	const struct shard *shard = &job->opt->shard;
	struct buf *own = &job->journal->options;

	own->len = 0;
	if (shard->parts > 1)
		buf_printf(own, SHARD "%llu/%llu", (unsigned long long)shard->part,
			   (unsigned long long)shard->parts);
	if (shard->parts > 1 && job->class.ops && job->class.ops->journal_options)
		buf_char(own, ' ');
	journal_add_options(job->class.ops, job->class.settings, own);
}

/* The options of the verb alone. */
static struct span without_shard(struct span options)
{
	const char *end = options.len ? memchr(options.data, ' ', options.len) : NULL;
	size_t len = end ? (size_t)(end - options.data) + 1 : options.len;

	if (options.len < strlen(SHARD) || memcmp(options.data, SHARD, strlen(SHARD)))
		return options;
	return (struct span){options.data + len, options.len - len};
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
	struct buf text = {0};

	if (!found->has_header || !class->ops || !class->ops->journal_adopt)
		return;
	if (journal_unescape(&text, without_shard(span_of(&found->options)))) {
		buf_char(&text, '\0');
		class->ops->journal_adopt(job->opt->settings, text.data);
		set_options(job);
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
	const mode_t mode = own_file_mode(job);
	/* Non-blocking, in case it is something else than a file. */
	int flags = O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC |
		    (job->opt->dry_run ? O_RDONLY : O_RDWR);

	/* Of two runs that begin at once one makes it, whether there are locks or not. */
	journal->fd = must_exist ? -1 : open(journal->name, flags | O_CREAT | O_EXCL, mode);
	journal->made = journal->fd >= 0;
	if (journal->fd < 0 && (must_exist || errno == EEXIST))
		journal->fd = open(journal->name, flags | (must_exist ? 0 : O_CREAT), mode);
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
	journal->locked = !flock(journal->fd, (job->opt->dry_run ? LOCK_SH : LOCK_EX) | LOCK_NB);
	if (!journal->locked) {
		if (errno == EWOULDBLOCK) {
			*status = refuse(journal, "is in use by another process");
			return false;
		}
		/* A file system without locks, or a sandbox. */
		if (!job->opt->dry_run)
			message("%s cannot be locked (%s): another run that writes it too would "
				"not be noticed",
				journal->name, error_text(errno));
	}
	/* Of a regular file it means nothing, so that it may stay where it cannot be taken back. */
	fcntl(journal->fd, F_SETFL, O_APPEND);
	/* Whoever had the lock before may have written meanwhile. */
	if (fstat(journal->fd, st)) {
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
	set_options(job);
	if (!open_file(job, &st, status))
		return false;
	if (job->journal->fd < 0)
		return true;
	*status = EXIT_OK;
	if (!opt->force_resume && !begins_as_one(job->journal))
		*status = refuse(job->journal, "is not a journal");
	else if ((st.st_size || !(job->journal->made || job->journal->locked)) && !resumes)
		*status = refuse(job->journal, "exists already (--resume goes on with it)");
	if (*status != EXIT_OK)
		return false;
	own_file_opened(job->own, OWN_JOURNAL, job->journal->fd, opt->journal);
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

const struct journal_hooks journal_hooks = {
	.open = journal_open,
	.begin = journal_begin,
	.ended = journal_ended,
	.close = journal_close,
	.skips = journal_skips,
	.add = journal_add,
};
