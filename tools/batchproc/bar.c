/* SPDX-License-Identifier: MIT */
/*
 * bar: the one line of progress that stands below everything else on the terminal.
 *
 * The cursor is left at the beginning of the bar. A terminal that becomes narrower may break the bar
 * into several rows, and moves the cursor with the character that it stood on; from there everything
 * to the end of the screen is the bar's, and is erased, whatever the terminal did.
 *
 * A process in the background leaves the terminal alone: the line there is somebody else's.
 */
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "bar.h"
#include "buf.h"

#define ERASE "\r\033[J"

static atomic_bool shown;
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

	if (in_background()) {
		atomic_store(&shown, false);
		return;
	}
	if (mid_line)
		return;
	/* Over the old one, so that it does not flicker. */
	buf_char(&line, '\r');
	buf_add(&line, text, len);
	buf_str(&line, "\033[J\r");
	put(line.data, line.len);
	buf_free(&line);
	atomic_store(&shown, true);
}

bool bar_erase(void)
{
	bool stood = atomic_exchange(&shown, false);

	if (stood && !in_background())
		put(ERASE, sizeof(ERASE) - 1);
	return stood;
}

void bar_passed(const char *text, size_t len)
{
	if (len)
		mid_line = text[len - 1] != '\n';
}

void bar_abandon(void)
{
	struct pollfd fd = {.fd = STDERR_FILENO, .events = POLLOUT};

	if (atomic_load(&shown) && !in_background() && poll(&fd, 1, 0) > 0 && fd.revents & POLLOUT)
		put(ERASE, sizeof(ERASE) - 1);
}
