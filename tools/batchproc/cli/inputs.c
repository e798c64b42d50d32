/* SPDX-License-Identifier: MIT */
/*
 * inputs: the arguments and the lists of -T, one after the other, in constant memory.
 *
 * The main thread reads lists with ordinary calls: it is no loop, so that a slow pipe holds up
 * nobody. It waits for data and for the job's stop descriptor at once.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/calls.h"
#include "cli/inputs.h"
#include "run/job.h"
#include "run/ownfiles.h"
#include "base/alloc.h"
#include "base/message.h"
#include "base/status.h"
#include "verb.h"

#define READ_BYTES 65536u
#define KEEP_BYTES (4 * READ_BYTES) /* a larger buffer is not kept for the next lines */
#define COUNT_BYTES 268435456 /* of a list that is read once more to count what is in it */
#define IDLE_MS 250 /* after a stop: a writer that has said nothing for so long, ... */
#define CUT_NS 5000000000ull /* ... or that goes on for so long, is not heard to its end */

bool stdin_claim(void)
{
	static atomic_flag claimed = ATOMIC_FLAG_INIT;

	return !atomic_flag_test_and_set(&claimed);
}

int lines_open(struct lines *lines, const char *name, char separator)
{
	struct stat st;

	*lines = (struct lines){.fd = -1, .name = name, .separator = separator};
	if (strcmp(name, "-")) {
		lines->fd = open(name, O_RDONLY | O_CLOEXEC);
	} else if (stdin_claim()) {
		lines->fd = STDIN_FILENO;
		lines->name = "standard input";
	} else {
		return -EBUSY;
	}
	if (lines->fd < 0)
		return -errno;
	if (fstat(lines->fd, &st))
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	lines->regular = S_ISREG(st.st_mode);
	lines->start = lines->regular ? lseek(lines->fd, 0, SEEK_CUR) : 0;
	return 0;
}

void lines_close(struct lines *lines)
{
	if (lines->fd > STDIN_FILENO)
		close(lines->fd);
	lines->fd = -1;
	buf_free(&lines->buf);
}

void lines_rewind(struct lines *lines)
{
	if (lseek(lines->fd, lines->start, SEEK_SET) < 0)
		/* Cannot be: it was read, and is a file. */
		abort();
	lines->buf.len = 0;
	lines->at = 0;
	lines->ended = false;
	lines->err = 0;
}

/* Milliseconds until the deadline of the run, so that a silent list does not outlast it. */
static int deadline_ms(const struct job *job)
{
	uint64_t now = bp_now(job->engine);

	if (!job->deadline_ns)
		return -1;
	if (now >= job->deadline_ns)
		return 0;
	now = (job->deadline_ns - now) / 1000000 + 1;
	return now > 1000000 ? 1000000 : (int)now;
}

/* How much longer a silent list is listened to after a stop: it may have been silent for long. */
static int patience_ms(const struct lines *lines, const struct job *job)
{
	uint64_t since = lines->heard_ns ? lines->heard_ns : job->start_ns;
	uint64_t silent = (bp_now(job->engine) - since) / 1000000;

	return silent < IDLE_MS ? (int)(IDLE_MS - silent) : 0;
}

/* Waits until a read will not block. False: the run has stopped and nobody writes any more. */
static bool await_data(struct lines *lines, struct job *job)
{
	struct pollfd fds[] = {{.fd = lines->fd, .events = POLLIN},
			       {.fd = job ? job->stop_fd : -1, .events = POLLIN}};

	if (lines->regular)
		return true;
	while (!steer_stopping(job)) {
		if (poll(fds, 2, deadline_ms(job)) > 0 && fds[0].revents)
			return true;
	}
	if (!lines->cut_ns)
		lines->cut_ns = bp_now(job->engine) + CUT_NS;
	if (bp_now(job->engine) < lines->cut_ns && poll(fds, 1, patience_ms(lines, job)) > 0)
		return true;
	job->inputs_cut = true;
	return false;
}

static bool fill(struct lines *lines, struct job *job)
{
	ssize_t n;

	if (lines->at) {
		lines->buf.len -= lines->at;
		memmove(lines->buf.data, lines->buf.data + lines->at, lines->buf.len);
		lines->at = 0;
		/* What a long line has left. */
		if (lines->buf.cap > KEEP_BYTES && lines->buf.len <= READ_BYTES) {
			lines->buf.data = xrealloc(lines->buf.data, KEEP_BYTES);
			lines->buf.cap = KEEP_BYTES;
		}
	}
	do {
		if (!await_data(lines, job)) {
			/* Half a name is no input. */
			lines->buf.len = 0;
			return false;
		}
		n = call_read_list(lines->fd, buf_room(&lines->buf, READ_BYTES), READ_BYTES);
	} while (n == -EAGAIN);
	if (n < 0)
		lines->err = (int)n;
	if (n < 0 && job)
		steer_trouble(job, lines->name, lines->err);
	if (n > 0)
		lines->buf.len += (size_t)n;
	if (!lines->regular)
		lines->heard_ns = bp_now(job->engine);
	return n > 0;
}

bool lines_next(struct lines *lines, struct job *job, char **line, size_t *len)
{
	size_t seen = 0;

	for (;;) {
		size_t have = lines->buf.len - lines->at;
		char *from = have ? lines->buf.data + lines->at : NULL;
		char *end = have > seen ? memchr(from + seen, lines->separator, have - seen) : NULL;

		if (!end && !lines->ended) {
			seen = have;
			lines->ended = !fill(lines, job);
			continue;
		}
		if (!end) {
			if (!have)
				return false;
			/* The last line has no separator; there is room for a NUL behind it. */
			buf_room(&lines->buf, 1);
			from = lines->buf.data + lines->at;
			end = from + have;
			lines->at += have;
		} else {
			lines->at += (size_t)(end - from) + 1;
		}
		*end = '\0';
		*line = from;
		*len = (size_t)(end - from);
		return true;
	}
}

int inputs_open(struct inputs *inputs, const struct options *options)
{
	int err;

	*inputs = (struct inputs){.opt = options};
	if (!options->list_count && !options->arg_count && !options->allow_empty)
		return usage_error(options->verb, "nothing to do: no items were given");
	err = own_files_check(options);
	if (err >= 0)
		return err;
	if (!options->list_count)
		return -1;
	inputs->lists = xcalloc(options->list_count, sizeof(*inputs->lists));
	for (size_t i = 0; i < options->list_count; i++)
		inputs->lists[i].fd = -1;
	for (size_t i = 0; i < options->list_count; i++) {
		err = lines_open(&inputs->lists[i], options->lists[i], options->null ? '\0' : '\n');
		if (err) {
			message("cannot read the list %s: %s", options->lists[i], error_text(err));
			inputs_close(inputs);
			return EXIT_USAGE;
		}
	}
	return -1;
}

void inputs_close(struct inputs *inputs)
{
	for (size_t i = 0; inputs->lists && i < inputs->opt->list_count; i++)
		lines_close(&inputs->lists[i]);
	free(inputs->lists);
	inputs->lists = NULL;
}

/* Lines that are not empty, of a list that is a file. False: it is none, or too long. */
static bool count_lines(const struct lines *lines, uint64_t *count)
{
	char block[16384], before = lines->separator;
	off_t at = lines->start;
	ssize_t n;

	if (!lines->regular)
		return false;
	while ((n = pread(lines->fd, block, sizeof(block), at)) > 0) {
		for (ssize_t i = 0; i < n; before = block[i++])
			*count += before == lines->separator && block[i] != lines->separator;
		at += n;
		if (at - lines->start > COUNT_BYTES)
			return false;
	}
	return !n;
}

uint64_t inputs_count(const struct inputs *inputs)
{
	uint64_t count = inputs->opt->arg_count;

	for (size_t i = 0; i < inputs->opt->list_count; i++)
		if (!count_lines(&inputs->lists[i], &count))
			return 0;
	return count;
}

unsigned int inputs_most(struct inputs *inputs, const struct job *job, unsigned int most,
			 unsigned int (*judge)(const char *name, bool from_list))
{
	unsigned int found = 0, one;

	for (size_t i = 0; i < inputs->opt->arg_count; i++) {
		one = judge(inputs->opt->args[i], false);
		found = one > found ? one : found;
	}
	for (size_t i = 0; i < inputs->opt->list_count && found < most; i++) {
		struct lines *lines = &inputs->lists[i];
		char *line;
		size_t len;

		if (!lines->regular)
			return most;
		while (found < most && !steer_stopped(job) &&
		       lines_next(lines, NULL, &line, &len)) {
			one = judge(line, true);
			found = one > found ? one : found;
		}
		lines_rewind(lines);
	}
	return found;
}

/* For the kernel a name ends at a NUL: what is before it could be another file. */
static void refuse_nul(struct job *job, const char *line, size_t len)
{
	struct item *item = item_new(job, &job->class, NULL, line, len);

	item->why = "has a NUL in its name (-0 reads lists that are NUL-separated)";
	item_finish(item, STATUS_FAILED, -EINVAL);
}

bool inputs_next(struct inputs *inputs, struct job *job, const char **name, size_t *len)
{
	char *line;

	if (inputs->next_arg < inputs->opt->arg_count) {
		*name = inputs->opt->args[inputs->next_arg++];
		*len = strlen(*name);
		return true;
	}
	while (inputs->next_list < inputs->opt->list_count) {
		if (!lines_next(&inputs->lists[inputs->next_list], job, &line, len)) {
			inputs->next_list++;
		} else if (memchr(line, '\0', *len)) {
			refuse_nul(job, line, *len);
		} else if (*len) {
			*name = line;
			return true;
		}
	}
	return false;
}

static const char *only_operand(void *name)
{
	return name;
}

void inputs_feed(struct job *job)
{
	const char *name;
	size_t len;

	while (inputs_next(job->inputs, job, &name, &len))
		job->opt->verb->add(job, &(struct jobspec){.class = &job->class,
							   .count = 1,
							   .next = only_operand,
							   .from = (void *)name});
}

int inputs_run(const struct options *options, const struct job_ops *ops)
{
	struct inputs inputs;
	int status = inputs_open(&inputs, options);

	if (status < 0)
		status = job_run(options, ops, &inputs);
	inputs_close(&inputs);
	return status;
}
