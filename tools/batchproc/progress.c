/* SPDX-License-Identifier: MIT */
/*
 * progress: how far a run is, on standard error.
 *
 * The bar is made of parts in the order of their worth, and a part that does not fit the width of
 * the terminal is left out with all that follow, so that a line never wraps and can always be
 * erased. It appears only after half a second: a short run shows nothing.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "job.h"
#include "progress.h"
#include "util.h"

#define BAR_FIRST_NS 500000000ull
#define BAR_EVERY_NS 100000000ull
#define LINE_EVERY_NS 10000000000ull
#define JSON_EVERY_NS 1000000000ull

struct view {
	struct counts counts;
	uint64_t total;
	uint64_t running;
	uint64_t bytes;
	uint64_t failures;
	double seconds;
	double rate; /* bytes in a second */
	double items_rate;
};

static void look(struct job *job, struct view *view)
{
	struct bp_group_stats stats = {.sz = sizeof(stats)};

	bp_group_stats(job->group, &stats);
	pthread_mutex_lock(&job->lock);
	view->counts = job->counts;
	view->total = job->view.total;
	pthread_mutex_unlock(&job->lock);
	view->running = stats.running;
	view->bytes = atomic_load(&job->moved);
	view->failures = view->counts.of[STATUS_FAILED] + view->counts.of[STATUS_TIMEOUT];
	view->seconds = (double)(bp_now(job->engine) - job->start_ns) / 1e9;
	if (view->seconds < 1e-6)
		view->seconds = 1e-6;
	view->rate = (double)view->bytes / view->seconds;
	view->items_rate = (double)view->counts.ended / view->seconds;
}

static void add_ended(const struct view *view, struct buf *buf)
{
	buf_u64(buf, view->counts.ended);
	if (view->total) {
		buf_char(buf, '/');
		buf_u64(buf, view->total);
	}
}

static void add_line(const struct view *view, struct buf *line)
{
	add_message_prefix(line);
	add_ended(view, line);
	buf_str(line, " items, ");
	buf_bytes(line, (double)view->bytes);
	buf_str(line, ", ");
	buf_bytes(line, view->rate);
	buf_printf(line, "/s, %llu in flight, %llu failed, %.1f s\n",
		   (unsigned long long)view->running, (unsigned long long)view->failures,
		   view->seconds);
}

void progress_status(struct job *job, struct buf *line)
{
	struct view view;

	look(job, &view);
	add_line(&view, line);
}

static void add_json_line(const struct view *view, struct buf *line)
{
	buf_printf(line,
		   "{\"v\":1,\"progress\":true,\"ended\":%llu,\"total\":%llu,\"bytes\":%llu,"
		   "\"in_flight\":%llu,\"failed\":%llu,\"bytes_per_s\":%.0f,\"items_per_s\":%.0f,"
		   "\"elapsed_us\":%.0f}\n",
		   (unsigned long long)view->counts.ended, (unsigned long long)view->total,
		   (unsigned long long)view->bytes, (unsigned long long)view->running,
		   (unsigned long long)view->failures, view->rate, view->items_rate,
		   view->seconds * 1e6);
}

static size_t terminal_width(void)
{
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) || size.ws_col < 2)
		return 79;
	/* The last column is left free: some terminals wrap as soon as it is written. */
	return size.ws_col - 1u;
}

/* Appends a part if the line stays within the width; colours take no column. */
static bool fit(struct buf *line, size_t *left, struct buf *part, const char *colour)
{
	bool fits = part->len <= *left;

	if (fits) {
		*left -= part->len;
		if (colour)
			buf_str(line, colour);
		buf_add(line, part->data, part->len);
		if (colour)
			buf_str(line, "\033[0m");
	}
	part->len = 0;
	return fits;
}

static void add_gauge(const struct view *view, struct buf *part)
{
	const size_t cells = 20;
	size_t full = (size_t)(view->counts.ended * cells / view->total);

	buf_str(part, " [");
	for (size_t i = 0; i < cells; i++)
		buf_char(part, i < full ? '=' : i == full ? '>' : ' ');
	buf_char(part, ']');
}

static void add_bar(const struct view *view, struct buf *line)
{
	const char *no_color = getenv("NO_COLOR");
	const char *red = view->failures && !(no_color && *no_color) ? "\033[31m" : NULL;
	size_t left = terminal_width();
	struct buf part = {0};

	buf_char(line, '\r');
	if (view->total)
		buf_printf(&part, "%3llu%% ",
			   (unsigned long long)(view->counts.ended * 100 / view->total));
	add_ended(view, &part);
	if (!fit(line, &left, &part, NULL))
		goto out;
	if (view->failures) {
		buf_printf(&part, " %llu failed", (unsigned long long)view->failures);
		if (!fit(line, &left, &part, red))
			goto out;
	}
	buf_char(&part, ' ');
	buf_bytes(&part, view->rate);
	buf_str(&part, "B/s");
	if (!fit(line, &left, &part, NULL))
		goto out;
	buf_char(&part, ' ');
	buf_bytes(&part, (double)view->bytes);
	buf_char(&part, 'B');
	if (!fit(line, &left, &part, NULL))
		goto out;
	buf_printf(&part, " %llu in flight", (unsigned long long)view->running);
	if (!fit(line, &left, &part, NULL))
		goto out;
	if (view->total) {
		add_gauge(view, &part);
		fit(line, &left, &part, NULL);
	}
out:
	buf_str(line, "\033[K");
	buf_free(&part);
}

static enum progress_mode mode_of(const struct job *job)
{
	const char *term = getenv("TERM");

	if (job->opt->progress != PROGRESS_AUTO)
		return job->opt->progress;
	if (job->opt->quiet)
		return PROGRESS_NONE;
	if (isatty(STDERR_FILENO) && term && strcmp(term, "dumb"))
		return PROGRESS_BAR;
	return PROGRESS_PLAIN;
}

uint64_t progress_tick(void *ctx, struct buf *line, bool *bar)
{
	struct job *job = ctx;
	enum progress_mode mode = mode_of(job);
	uint64_t first, every;
	struct view view;

	if (mode == PROGRESS_NONE)
		return 0;
	first = mode == PROGRESS_BAR  ? BAR_FIRST_NS :
		mode == PROGRESS_JSON ? JSON_EVERY_NS :
					LINE_EVERY_NS;
	every = mode == PROGRESS_BAR ? BAR_EVERY_NS : first;
	look(job, &view);
	if (view.seconds * 1e9 < (double)first)
		return first - (uint64_t)(view.seconds * 1e9);

	*bar = mode == PROGRESS_BAR;
	if (mode == PROGRESS_BAR)
		add_bar(&view, line);
	else if (mode == PROGRESS_JSON)
		add_json_line(&view, line);
	else
		add_line(&view, line);
	return every;
}
