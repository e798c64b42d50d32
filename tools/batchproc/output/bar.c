/* SPDX-License-Identifier: MIT */
/*
 * bar: the one line of progress that stands below everything else on the terminal.
 *
 * The cursor is left at the beginning of the bar. A terminal that becomes narrower may break the
 * bar into several rows, and moves the cursor with the character that it stood on; from there
 * everything to the end of the screen is the bar's, and is erased, whatever the terminal did.
 *
 * All of it is the process's, as the terminal is.
 *
 * A process in the background leaves the terminal alone: the line there is somebody else's.
 */
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "output/bar.h"
#include "base/buf.h"

#define ERASE "\r\033[J"

#define ABANDON_TRIES 20 /* a millisecond each: a writer that stands still must not delay death */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* held over each write */
static bool shown; /* these two under the lock */
static bool mid_line;

bool bar_possible(void)
{
	const char *term = getenv("TERM");

	return term && *term && strcmp(term, "dumb") && isatty(STDERR_FILENO);
}

size_t bar_width(void)
{
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) || !size.ws_col)
		return 79;
	/* The last column is left free: some terminals wrap as soon as it is written. */
	return size.ws_col - 1u;
}

static bool in_background(void)
{
	pid_t group = tcgetpgrp(STDERR_FILENO);

	/* Otherwise it is not the terminal of this session, and nobody's foreground. */
	return group > 0 && group != getpgrp();
}

static void put(const char *text, size_t len)
{
	/* Half a bar is no loss, and the next one is whole. */
	if (write(STDERR_FILENO, text, len) < 0)
		return;
}

void bar_draw(const char *text, size_t len)
{
	struct buf line = {0};

	pthread_mutex_lock(&lock);
	if (mid_line)
		goto out;
	shown = !in_background();
	if (!shown)
		goto out;
	/* Over the old one, so that it does not flicker. */
	buf_char(&line, '\r');
	buf_add(&line, text, len);
	buf_str(&line, "\033[J\r");
	put(line.data, line.len);
	buf_free(&line);
out:
	pthread_mutex_unlock(&lock);
}

bool bar_erase(void)
{
	bool stood;

	pthread_mutex_lock(&lock);
	stood = shown;
	shown = false;
	if (stood && !in_background())
		put(ERASE, sizeof(ERASE) - 1);
	pthread_mutex_unlock(&lock);
	return stood;
}

void bar_passed(const char *text, size_t len)
{
	if (!len)
		return;
	pthread_mutex_lock(&lock);
	mid_line = text[len - 1] != '\n';
	pthread_mutex_unlock(&lock);
}

void bar_abandon(void)
{
	struct pollfd fd = {.fd = STDERR_FILENO, .events = POLLOUT};
	unsigned int tries = 0;

	/* Kept from here on, so that no other bar comes. */
	while (pthread_mutex_trylock(&lock)) {
		if (++tries > ABANDON_TRIES)
			return;
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
	if (shown && !in_background() && poll(&fd, 1, 0) > 0 && fd.revents & POLLOUT)
		put(ERASE, sizeof(ERASE) - 1);
}
