/* SPDX-License-Identifier: MIT */
/*
 * follow: --wait. Slurm is asked which parts run, their files of records what they have done; the
 * last file that the merge writes is the end. A ^C cancels both jobs.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/calls.h"
#include "base/message.h"
#include "base/status.h"
#include "output/bar.h"
#include "verbs/merge/merge.h"
#include "verbs/submit/submit.h"

#define READ_BYTES 65536u
#define ASK_MOST 10 /* seconds from one question to Slurm to the next */
#define PLAIN_EVERY 10 /* seconds from one line to the next */
#define GONE_MOST 30 /* seconds that a file may need to be seen here */
#define DEAF_MOST 600 /* seconds without an answer of Slurm */

/* What one file of records had when it was last looked at. */
struct seen {
	off_t end; /* of its last whole line */
};

struct follow {
	const struct submission *sub;
	struct seen *seen; /* of each part */
	uint64_t done, failed;
	struct slurm_states array, merge;
	bool known; /* these two */
	unsigned int silent; /* seconds since Slurm has answered */
	unsigned int gone; /* seconds since it knows nothing of the jobs */
};

char *submission_path(const struct submission *sub, const char *name)
{
	struct buf path = {0};

	buf_printf(&path, "%s/%s%c", sub->dir, name, '\0');
	return path.data;
}

/* ---- what the parts have done */

static void count_line(struct follow *f, const char *line, size_t len)
{
	static const char ok[] = "\"status\":\"ok\"", bad[] = "\"status\":\"failed\"",
			  late[] = "\"status\":\"timeout\"";

	f->done += memmem(line, len, ok, strlen(ok)) != NULL;
	f->failed += memmem(line, len, bad, strlen(bad)) || memmem(line, len, late, strlen(late));
}

static void read_part(struct follow *f, uint64_t part)
{
	struct seen *seen = &f->seen[part - 1];
	struct buf text = {0};
	char name[32], *path;
	ssize_t n = 0;
	int fd;

	snprintf(name, sizeof(name), "%llu.records", (unsigned long long)part);
	path = submission_path(f->sub, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	free(path);
	if (fd < 0)
		return;
	for (;;) {
		size_t at = 0;
		char *end;

		n = call_pread(fd, buf_room(&text, READ_BYTES), READ_BYTES,
			       seen->end + (off_t)text.len);
		if (n <= 0)
			break;
		text.len += (size_t)n;
		while ((end = memchr(text.data + at, '\n', text.len - at))) {
			count_line(f, text.data + at, (size_t)(end - text.data) - at);
			at = (size_t)(end - text.data) + 1;
		}
		seen->end += (off_t)at;
		text.len -= at;
		memmove(text.data, text.data + at, text.len);
	}
	close(fd);
	buf_free(&text);
}

static void show(struct follow *f, bool bar)
{
	const uint64_t parts = f->sub->set->shards;
	uint64_t open = f->array.running + f->array.waiting;
	struct buf line = {0};

	for (uint64_t part = 1; part <= parts; part++)
		read_part(f, part);
	if (!bar)
		message_add_prefix(&line);
	buf_printf(&line, "job %s: ", f->sub->array);
	if (f->known)
		buf_printf(&line, "of %llu parts %llu ended, %llu running, %llu waiting; ",
			   (unsigned long long)parts,
			   (unsigned long long)(open < parts ? parts - open : 0),
			   (unsigned long long)f->array.running,
			   (unsigned long long)f->array.waiting);
	buf_printf(&line, "%llu items done, %llu failed", (unsigned long long)f->done,
		   (unsigned long long)f->failed);
	if (bar) {
		bar_draw(line.data, line.len < bar_width() ? line.len : bar_width());
	} else {
		buf_char(&line, '\n');
		call_write_all(STDERR_FILENO, line.data, line.len);
	}
	buf_free(&line);
}

/* ---- the end */

/* What a small file has in it. False: it is not there. */
static bool read_file(const struct submission *sub, const char *name, struct buf *text)
{
	char *path = submission_path(sub, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	free(path);
	if (fd < 0)
		return false;
	while ((n = call_read(fd, buf_room(text, READ_BYTES), READ_BYTES)) > 0)
		text->len += (size_t)n;
	close(fd);
	return !n;
}

/* Whether the merge of this submission has ended. */
static bool has_ended(const struct submission *sub, int *status)
{
	struct buf text = {0};
	char array[32];
	bool ended = false;

	if (read_file(sub, "status", &text)) {
		buf_char(&text, '\0');
		ended = sscanf(text.data, "%31s %d", array, status) == 2 &&
			!strcmp(array, sub->array);
	}
	buf_free(&text);
	return ended;
}

static int print_summary(const struct submission *sub, int status)
{
	struct total total = {0};
	struct buf text = {0};
	int err;

	if (!read_file(sub, "summary", &text) || !total_parse(&total, text.data, text.len)) {
		message("%s/summary is no summary; see %s/merge.log", sub->dir, sub->dir);
		buf_free(&text);
		total_free(&total);
		return EXIT_TROUBLE;
	}
	if (total.missing.len) {
		buf_char(&total.missing, '\0');
		message("no end of: %s; %s/I.log says why", total.missing.data, sub->dir);
	}
	if (status)
		message("what did not succeed is in %s/failed", sub->dir);
	if (!sub->json) {
		text.len = 0;
		total_text(&total, &text);
	}
	err = call_write_all(STDOUT_FILENO, text.data, text.len);
	if (err)
		message("cannot write standard output: %s", error_text(err));
	buf_free(&text);
	total_free(&total);
	return err ? EXIT_TROUBLE : status;
}

/* Asks Slurm. False: nothing more will come of it, and that is said. */
static bool ask(struct follow *f, unsigned int seconds)
{
	f->known = slurm_look(f->sub, &f->array, &f->merge);
	f->silent = f->known ? 0 : f->silent + seconds;
	f->gone = !f->known || f->array.running + f->array.waiting + f->merge.running +
					  f->merge.waiting ?
			  0 :
			  f->gone + seconds;
	if (f->silent > DEAF_MOST) {
		message("squeue does not answer; job %s goes on by itself", f->sub->array);
		return false;
	}
	if (f->gone > GONE_MOST) {
		message("job %s is gone, and nothing has merged its parts: 'batchproc merge "
			"%s/*.records' does",
			f->sub->array, f->sub->dir);
		return false;
	}
	return true;
}

/* ---- signals */

static void fill_set(sigset_t *set)
{
	static const int signals[] = {SIGINT, SIGTERM};
	struct sigaction action;

	sigemptyset(set);
	/* What was ignored from the start, as by a shell's background job, stays so. */
	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		if (!sigaction(signals[i], NULL, &action) && action.sa_handler != SIG_IGN)
			sigaddset(set, signals[i]);
}

void follow_begin(void)
{
	sigset_t set;

	fill_set(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

/* Waits a second. The signal that came, or 0. */
static int pause_for_signal(void)
{
	const struct timespec second = {1, 0};
	sigset_t set;
	int sig;

	fill_set(&set);
	sig = sigtimedwait(&set, NULL, &second);
	return sig > 0 ? sig : 0;
}

static int cancel(const struct submission *sub, int sig)
{
	bar_erase();
	slurm_cancel(sub);
	message("job %s is cancelled; the same command goes on where it was", sub->array);
	return 128 + sig;
}

static int wait_for_end(struct follow *f)
{
	const bool bar = !f->sub->set->quiet && bar_possible();
	unsigned int every = 1, since = 0;
	int status, sig;

	for (unsigned int second = 0;; second++) {
		if (has_ended(f->sub, &status)) {
			bar_erase();
			return print_summary(f->sub, status);
		}
		if (since++ >= every || !second) {
			if (!ask(f, since))
				return EXIT_TROUBLE;
			since = 0;
			every = every < ASK_MOST ? every + 1 : every;
		}
		if (bar || (!f->sub->set->quiet && second % PLAIN_EVERY == PLAIN_EVERY - 1))
			show(f, bar);
		sig = pause_for_signal();
		if (sig)
			return cancel(f->sub, sig);
	}
}

int follow(const struct submission *sub)
{
	struct follow f = {.sub = sub};
	int status;

	f.seen = xcalloc(sub->set->shards, sizeof(*f.seen));
	status = wait_for_end(&f);
	bar_erase();
	free(f.seen);
	return status;
}
