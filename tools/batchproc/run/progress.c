/* SPDX-License-Identifier: MIT */
/*
 * progress: how far a run is, on standard error.
 *
 * The bar is made of parts in the order of their worth, and a part that does not fit the width of
 * the terminal is left out with all that follow. It appears only after half a second: a short run
 * shows nothing.
 *
 * Rates are those of the last seconds, so that they and the time left follow a run that becomes
 * slower; what a status line says to USR1 is of the whole run.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "output/bar.h"
#include "cli/inputs.h"
#include "run/job.h"
#include "output/output.h"
#include "run/progress.h"
#include "base/array.h"
#include "base/message.h"

#define BAR_FIRST_NS 500000000ull
#define BAR_EVERY_NS 100000000ull
#define LINE_EVERY_NS 10000000000ull
#define JSON_EVERY_NS 1000000000ull
#define GAUGE_CELLS 20u
#define SAMPLE_S 1.0 /* between two samples, at least */

struct view {
	struct counts counts;
	uint64_t total;
	uint64_t running;
	uint64_t bytes;
	uint64_t failures;
	double seconds;
	double bytes_rate; /* in a second */
	double items_rate;
	double left_s; /* below 0: not known */
};

/* Once, by the writer thread, and only for a run that lasts. */
static void count_inputs(struct job *job)
{
	struct progress *progress = &job->progress;

	if (!progress->counted && job->ops->one_each && !job->opt->shard.parts)
		atomic_store(&progress->expected, inputs_count(job->inputs));
	progress->counted = true;
}

static void guess_time_left(struct view *view)
{
	uint64_t left = view->total - view->counts.ended;

	view->left_s = -1;
	if (view->total && (!left || view->items_rate > 0))
		view->left_s = left ? (double)left / view->items_rate : 0;
}

static void look(struct job *job, struct view *view)
{
	struct bp_group_stats stats = {.sz = sizeof(stats)};

	bp_group_stats(job->group, &stats);
	pthread_mutex_lock(&job->lock);
	view->counts = job->counts;
	view->total = job->view.total ? job->view.total : atomic_load(&job->progress.expected);
	if (view->total < view->counts.ended)
		view->total = 0;
	pthread_mutex_unlock(&job->lock);
	view->running = stats.running;
	view->bytes = atomic_load(&job->moved);
	view->failures = view->counts.of[STATUS_FAILED] + view->counts.of[STATUS_TIMEOUT];
	view->seconds = (double)(bp_now(job->engine) - job->start_ns) / 1e9;
	if (view->seconds < 1e-6)
		view->seconds = 1e-6;
	view->bytes_rate = (double)view->bytes / view->seconds;
	view->items_rate = (double)view->counts.ended / view->seconds;
	guess_time_left(view);
}

/* Takes a sample when it is time, and the rates since the oldest one there is. */
static void look_back(struct progress *past, struct view *view)
{
	unsigned int count = past->next < PROGRESS_SAMPLES ? past->next : PROGRESS_SAMPLES;
	const struct progress_sample *oldest = &past->ring[(past->next - count) % PROGRESS_SAMPLES];
	double since = count ? view->seconds - oldest->seconds : 0;

	if (since >= SAMPLE_S) {
		view->bytes_rate = (double)(view->bytes - oldest->bytes) / since;
		view->items_rate = (double)(view->counts.ended - oldest->ended) / since;
		guess_time_left(view);
	}
	if (!count ||
	    view->seconds - past->ring[(past->next - 1) % PROGRESS_SAMPLES].seconds >= SAMPLE_S)
		past->ring[past->next++ % PROGRESS_SAMPLES] =
			(struct progress_sample){view->seconds, view->counts.ended, view->bytes};
}

/* ---- parts of a line */

static unsigned int percent(const struct view *view)
{
	return view->total ? (unsigned int)(view->counts.ended * 100 / view->total) : 0;
}

static void add_ended(const struct view *view, struct buf *buf)
{
	buf_u64(buf, view->counts.ended);
	if (view->total) {
		buf_char(buf, '/');
		buf_u64(buf, view->total);
	}
}

static void add_size(struct buf *buf, double bytes)
{
	buf_bytes(buf, bytes);
	if (buf->data[buf->len - 1] != 'B')
		buf_char(buf, 'B');
}

static void add_items_rate(struct buf *buf, const struct view *view)
{
	buf_printf(buf, view->items_rate < 9.95 ? "%.1f/s" : "%.0f/s", view->items_rate);
}

static void add_duration(struct buf *buf, double seconds)
{
	unsigned long long s = seconds < 1e9 ? (unsigned long long)(seconds + 0.5) : 1000000000;

	if (s < 60)
		buf_printf(buf, "%llus", s);
	else if (s < 3600)
		buf_printf(buf, "%llum%02llus", s / 60, s % 60);
	else if (s < 86400)
		buf_printf(buf, "%lluh%02llum", s / 3600, s / 60 % 60);
	else
		buf_printf(buf, "%llud%02lluh", s / 86400, s / 3600 % 24);
}

static void add_line(const struct view *view, struct buf *line)
{
	message_add_prefix(line);
	add_ended(view, line);
	buf_str(line, " items, ");
	add_size(line, (double)view->bytes);
	buf_str(line, ", ");
	add_items_rate(line, view);
	buf_str(line, ", ");
	add_size(line, view->bytes_rate);
	buf_printf(line, "/s, %llu in flight, %llu failed, %.1f s",
		   (unsigned long long)view->running, (unsigned long long)view->failures,
		   view->seconds);
	if (view->left_s >= 0) {
		buf_str(line, ", ");
		add_duration(line, view->left_s);
		buf_str(line, " left");
	}
	buf_char(line, '\n');
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
		   "\"elapsed_us\":%.0f",
		   (unsigned long long)view->counts.ended, (unsigned long long)view->total,
		   (unsigned long long)view->bytes, (unsigned long long)view->running,
		   (unsigned long long)view->failures, view->bytes_rate, view->items_rate,
		   view->seconds * 1e6);
	if (view->left_s >= 0)
		buf_printf(line, ",\"left_us\":%.0f", view->left_s * 1e6);
	buf_str(line, "}\n");
}

/* ---- the bar */

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

/* How much is done, in full or in short. */
static bool fit_ended(const struct view *view, struct buf *line, size_t *left, struct buf *part)
{
	if (view->total)
		buf_printf(part, "%u%% ", percent(view));
	add_ended(view, part);
	if (fit(line, left, part, NULL))
		return true;
	if (view->total)
		buf_printf(part, "%u%%", percent(view));
	else
		add_ended(view, part);
	return fit(line, left, part, NULL);
}

static bool fit_failures(const struct view *view, struct buf *line, size_t *left, struct buf *part)
{
	const char *no_color = getenv("NO_COLOR");
	const char *red = no_color && *no_color ? NULL : "\033[31m";

	if (!view->failures)
		return true;
	buf_printf(part, " %llu failed", (unsigned long long)view->failures);
	if (fit(line, left, part, red))
		return true;
	buf_printf(part, " !%llu", (unsigned long long)view->failures);
	return fit(line, left, part, red);
}

static bool fit_time_left(const struct view *view, struct buf *line, size_t *left, struct buf *part)
{
	if (view->left_s < 0)
		return true;
	buf_char(part, ' ');
	add_duration(part, view->left_s);
	buf_str(part, " left");
	return fit(line, left, part, NULL);
}

static bool fit_rates(const struct view *view, struct buf *line, size_t *left, struct buf *part)
{
	buf_char(part, ' ');
	add_items_rate(part, view);
	if (!fit(line, left, part, NULL))
		return false;
	buf_char(part, ' ');
	add_size(part, view->bytes_rate);
	buf_str(part, "/s");
	if (!fit(line, left, part, NULL))
		return false;
	buf_char(part, ' ');
	add_size(part, (double)view->bytes);
	return fit(line, left, part, NULL);
}

static bool fit_running(const struct view *view, struct buf *line, size_t *left, struct buf *part)
{
	buf_printf(part, " %llu in flight", (unsigned long long)view->running);
	return fit(line, left, part, NULL);
}

static bool fit_gauge(const struct view *view, struct buf *line, size_t *left, struct buf *part)
{
	size_t full = percent(view) * GAUGE_CELLS / 100;

	if (!view->total)
		return true;
	buf_str(part, " [");
	for (size_t i = 0; i < GAUGE_CELLS; i++)
		buf_char(part, i < full ? '=' : i == full ? '>' : ' ');
	buf_char(part, ']');
	return fit(line, left, part, NULL);
}

static void add_bar(const struct view *view, struct buf *line)
{
	static bool (*const parts[])(const struct view *, struct buf *, size_t *, struct buf *) = {
		fit_ended, fit_failures, fit_time_left, fit_rates, fit_running, fit_gauge};
	size_t left = bar_width();
	struct buf part = {0};

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (!parts[i](view, line, &left, &part))
			break;
	buf_free(&part);
}

/* ---- when */

static enum progress_mode mode_of(const struct job *job)
{
	enum progress_mode mode = job->opt->progress;

	if (mode == PROGRESS_AUTO)
		mode = job->opt->quiet ? PROGRESS_NONE : PROGRESS_BAR;
	return mode == PROGRESS_BAR && !bar_possible() ? PROGRESS_PLAIN : mode;
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

	count_inputs(job);
	look(job, &view);
	look_back(&job->progress, &view);
	*bar = mode == PROGRESS_BAR;
	if (mode == PROGRESS_BAR)
		add_bar(&view, line);
	else if (mode == PROGRESS_JSON)
		add_json_line(&view, line);
	else
		add_line(&view, line);
	return every;
}

void progress_end(struct job *job)
{
	struct buf line = {0};
	struct view view;

	if (job->opt->progress != PROGRESS_JSON)
		return;
	look(job, &view);
	add_json_line(&view, &line);
	output_add(job->output, SINK_ERR, line.data, line.len);
	buf_free(&line);
}
