/* SPDX-License-Identifier: MIT */
/*
 * inputs: the arguments and the lists of -T, one after the other, in constant memory.
 *
 * The main thread reads lists with ordinary calls: it is no loop, so that a slow pipe holds up
 * nobody. It waits for data and for the run's stop descriptor at once.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/calls.h"
#include "base/clock.h"
#include "cli/inputs.h"
#include "cli/options.h"
#include "base/alloc.h"
#include "base/message.h"
#include "base/status.h"

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
		/* A FIFO that nobody writes yet is waited for where it is read. */
		lines->fd = open(name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
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

void lines_wait(const struct lines *lines)
{
	struct pollfd fd = {.fd = lines->fd, .events = POLLIN};

	while (poll(&fd, 1, -1) < 0 && errno == EINTR)
		;
}

/* Milliseconds until the deadline of the run, so that a silent list does not outlast it. */
static int deadline_ms(const struct lines_watch *watch)
{
	uint64_t now = clock_now_ns();

	if (!watch->deadline_ns)
		return -1;
	if (now >= watch->deadline_ns)
		return 0;
	now = (watch->deadline_ns - now) / 1000000 + 1;
	return now > 1000000 ? 1000000 : (int)now;
}

/* How much longer a silent list is listened to after a stop: it may have been silent for long. */
static int patience_ms(const struct lines *lines, const struct lines_watch *watch)
{
	uint64_t since = lines->heard_ns ? lines->heard_ns : watch->start_ns;
	uint64_t silent = (clock_now_ns() - since) / 1000000;

	return silent < IDLE_MS ? (int)(IDLE_MS - silent) : 0;
}

/* Waits until a read will not block. False: the run has stopped and nobody writes any more. */
static bool await_data(struct lines *lines, struct lines_watch *watch)
{
	struct pollfd fds[] = {{.fd = lines->fd, .events = POLLIN},
			       {.fd = watch ? watch->stop_fd : -1, .events = POLLIN}};

	if (lines->regular)
		return true;
	if (!watch) {
		lines_wait(lines);
		return true;
	}
	while (!watch->stopping(watch->ctx)) {
		if (poll(fds, 2, deadline_ms(watch)) > 0 && fds[0].revents)
			return true;
	}
	if (!lines->cut_ns)
		lines->cut_ns = clock_now_ns() + CUT_NS;
	if (clock_now_ns() < lines->cut_ns && poll(fds, 1, patience_ms(lines, watch)) > 0)
		return true;
	watch->cut = true;
	return false;
}

static bool fill(struct lines *lines, struct lines_watch *watch)
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
		if (!await_data(lines, watch)) {
			/* Half a name is no input. */
			lines->buf.len = 0;
			return false;
		}
		n = call_read_list(lines->fd, buf_room(&lines->buf, READ_BYTES), READ_BYTES);
	} while (n == -EAGAIN);
	if (n < 0)
		lines->err = (int)n;
	if (n < 0 && watch)
		watch->failed(watch->ctx, lines->name, lines->err);
	if (n > 0)
		lines->buf.len += (size_t)n;
	if (!lines->regular)
		lines->heard_ns = clock_now_ns();
	return n > 0;
}

bool lines_next(struct lines *lines, struct lines_watch *watch, char **line, size_t *len)
{
	size_t seen = 0;

	for (;;) {
		size_t have = lines->buf.len - lines->at;
		char *from = have ? lines->buf.data + lines->at : NULL;
		char *end = have > seen ? memchr(from + seen, lines->separator, have - seen) : NULL;

		if (!end && !lines->ended) {
			seen = have;
			lines->ended = !fill(lines, watch);
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

bool inputs_open(struct inputs *inputs, int *status)
{
	const struct options *options = inputs->opt;
	int err;

	*status = EXIT_USAGE;
	if (!options->list_count && !options->arg_count && !options->allow_empty) {
		usage_error(options->verb, "nothing to do: no items were given");
		return false;
	}
	if (!options->list_count)
		return true;
	inputs->lists = xcalloc(options->list_count, sizeof(*inputs->lists));
	for (size_t i = 0; i < options->list_count; i++)
		inputs->lists[i].fd = -1;
	for (size_t i = 0; i < options->list_count; i++) {
		err = lines_open(&inputs->lists[i], options->lists[i], options->null ? '\0' : '\n');
		if (err) {
			message("cannot read the list %s: %s", options->lists[i], error_text(err));
			return false;
		}
	}
	return true;
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

unsigned int inputs_most(struct inputs *inputs, struct lines_watch *watch, unsigned int most,
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
		while (found < most && !watch->stopping(watch->ctx) &&
		       lines_next(lines, NULL, &line, &len)) {
			one = judge(line, true);
			found = one > found ? one : found;
		}
		lines_rewind(lines);
	}
	return found;
}

bool inputs_next(struct inputs *inputs, struct lines_watch *watch, const char **name, size_t *len)
{
	char *line;

	if (inputs->next_arg < inputs->opt->arg_count) {
		*name = inputs->opt->args[inputs->next_arg++];
		*len = strlen(*name);
		return true;
	}
	while (inputs->next_list < inputs->opt->list_count) {
		if (!lines_next(&inputs->lists[inputs->next_list], watch, &line, len)) {
			inputs->next_list++;
		} else if (*len) {
			*name = line;
			return true;
		}
	}
	return false;
}
