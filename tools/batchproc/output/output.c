/* SPDX-License-Identifier: MIT */
/*
 * output: one thread that writes standard output, standard error, the --failed-to file, the
 * journal.
 *
 *	output_add() --> sink.fill --swap, under the lock--> sink.busy --> write(2)
 *
 * All of it is in struct output, which a run owns. The lock covers the fill buffers and the flags;
 * the busy buffers and the descriptors are the writer's own. The writer waits a few milliseconds
 * for more before it writes, so that many short lines become one write, but a terminal is served at
 * once.
 *
 * A closed pipe is SIGPIPE, as for every filter; where that is ignored it is an error like a full
 * disk: the run ends with status 125.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "output/bar.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/calls.h"
#include "base/clock.h"
#include "base/message.h"
#include "output/output.h"

#define GATHER_NS 4000000ull /* how long a short line may wait for company */
#define GATHER_BYTES 262144u /* what is worth a write at once */
#define FULL_BYTES 1048576u /* what may wait before the feed has to wait too */
#define WRITE_BYTES                                                                                \
	65536u /* of one write, so that it is seen whether a slow reader takes anything */

struct sink {
	int fd;
	const char *name;
	struct buf fill;
	struct buf busy;
	int err;
	bool tty;
};

struct output {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	pthread_cond_t room;
	pthread_t thread;
	struct output_hooks hooks;
	struct sink sinks[SINK_COUNT];
	atomic_size_t pending; /* bytes in all fill buffers; changed under the lock */
	atomic_ulong calls; /* twice the writes that returned, and 1 while one has not */
	bool running;
	bool asleep; /* the writer waits without a reason to wake by itself */
	bool gathering; /* the writer waits for more to write */
	bool quit;
	bool bar_erased; /* to make room for other text; the writer's own */
};

/* The writer's: output_calls() tells the others how it goes on. */
static int write_watched(struct output *out, int fd, const char *data, size_t len)
{
	int err = 0;

	while (len && !err) {
		size_t n = len < WRITE_BYTES ? len : WRITE_BYTES;

		atomic_fetch_add(&out->calls, 1);
		err = call_write_all(fd, data, n);
		atomic_fetch_add(&out->calls, 1);
		data += n;
		len -= n;
	}
	return err;
}

/* Who wrote into the pipe is ended by the signal, but not before the bar is gone. */
static void broken_pipe(void)
{
	sigset_t set;

	bar_erase();
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	/* It is pending, unless it is ignored. */
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* The journal must not say that something is done whose output was lost. */
static bool is_cut(const struct output *out, const struct sink *sink)
{
	return sink->err || (sink == &out->sinks[SINK_JOURNAL] &&
			     (out->sinks[SINK_OUT].err || out->sinks[SINK_FAILED].err));
}

static void write_sink(struct output *out, struct sink *sink)
{
	int err;

	if (!sink->busy.len)
		return;
	if (sink->tty) {
		out->bar_erased |= bar_erase();
		bar_passed(sink->busy.data, sink->busy.len);
	}
	err = is_cut(out, sink) ? 0 : write_watched(out, sink->fd, sink->busy.data, sink->busy.len);
	sink->busy.len = 0;
	if (!err)
		return;
	if (err == -EPIPE)
		broken_pipe();

	pthread_mutex_lock(&out->lock);
	sink->err = err;
	pthread_mutex_unlock(&out->lock);
	/* A standard error that cannot be written leaves nobody to tell. */
	if (sink != &out->sinks[SINK_ERR])
		out->hooks.failed(out->hooks.ctx, sink->name, err);
}

static void wait_until(struct output *out, uint64_t until)
{
	struct timespec ts = {(time_t)(until / 1000000000u), (long)(until % 1000000000u)};

	pthread_cond_timedwait(&out->wake, &out->lock, &ts);
}

/* Waits for something to write, then a little for more. The lock is held. */
static void wait_for_work(struct output *out, uint64_t tick_at)
{
	uint64_t until;

	while (!out->pending && !out->quit) {
		if (tick_at && clock_now_ns() >= tick_at)
			return;
		out->asleep = true;
		if (tick_at)
			wait_until(out, tick_at);
		else
			pthread_cond_wait(&out->wake, &out->lock);
		out->asleep = false;
	}
	if (out->sinks[SINK_OUT].tty)
		return;
	until = clock_now_ns() + GATHER_NS;
	while (out->pending < GATHER_BYTES && !out->quit && clock_now_ns() < until) {
		out->gathering = true;
		wait_until(out, until);
		out->gathering = false;
	}
}

static void swap_buffers(struct output *out)
{
	for (int i = 0; i < SINK_COUNT; i++) {
		struct buf empty = out->sinks[i].busy;

		out->sinks[i].busy = out->sinks[i].fill;
		out->sinks[i].fill = empty;
	}
	out->pending = 0;
	pthread_cond_broadcast(&out->room);
}

static uint64_t show_progress(struct output *out)
{
	struct buf line = {0};
	bool bar = false;
	uint64_t next = out->hooks.tick(out->hooks.ctx, &line, &bar);

	if (line.len && bar)
		bar_draw(line.data, line.len);
	else if (line.len)
		call_write_all(STDERR_FILENO, line.data, line.len);
	buf_free(&line);
	return next ? clock_now_ns() + next : 0;
}

static void *writer(void *arg)
{
	struct output *out = arg;
	uint64_t tick_at = show_progress(out);
	sigset_t set;
	bool quit;

	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	do {
		pthread_mutex_lock(&out->lock);
		wait_for_work(out, tick_at);
		/* What goes wrong with the last bytes is said before the end. */
		quit = out->quit && !out->pending;
		swap_buffers(out);
		pthread_mutex_unlock(&out->lock);

		out->bar_erased = false;
		for (int i = 0; i < SINK_COUNT; i++)
			write_sink(out, &out->sinks[i]);
		if (tick_at && (out->bar_erased || clock_now_ns() >= tick_at))
			tick_at = show_progress(out);
	} while (!quit);
	bar_erase();
	return NULL;
}

static void add_message(void *ctx, const char *line, size_t len)
{
	output_add(ctx, SINK_ERR, line, len);
}

struct output *output_new(void)
{
	struct output *out = xcalloc(1, sizeof(*out));
	pthread_condattr_t attr;

	out->sinks[SINK_OUT] = (struct sink){.fd = STDOUT_FILENO, .name = "standard output"};
	out->sinks[SINK_ERR] = (struct sink){.fd = STDERR_FILENO, .name = "standard error"};
	out->sinks[SINK_FAILED].fd = -1;
	out->sinks[SINK_JOURNAL].fd = -1;
	pthread_mutex_init(&out->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&out->wake, &attr);
	pthread_condattr_destroy(&attr);
	pthread_cond_init(&out->room, NULL);
	return out;
}

int output_start(struct output *out, const struct output_hooks *hooks)
{
	int err;

	out->hooks = *hooks;
	out->sinks[SINK_OUT].tty = isatty(STDOUT_FILENO);
	out->sinks[SINK_ERR].tty = isatty(STDERR_FILENO);
	err = pthread_create(&out->thread, NULL, writer, out);
	pthread_mutex_lock(&out->lock);
	out->running = !err;
	pthread_mutex_unlock(&out->lock);
	if (!err)
		message_route(add_message, out);
	return -err;
}

void output_set_file(struct output *out, enum sink_id id, int fd, const char *name)
{
	out->sinks[id].fd = fd;
	out->sinks[id].name = name;
}

/* False: the writer has ended. */
static bool hand_over(struct output *out, const char *data, const size_t ends[SINK_COUNT])
{
	bool running, wake = false;
	size_t from = 0;

	pthread_mutex_lock(&out->lock);
	running = out->running;
	for (int i = 0; i < SINK_COUNT && running; from = ends[i++]) {
		if (ends[i] == from || out->sinks[i].err)
			continue;
		buf_add(&out->sinks[i].fill, data + from, ends[i] - from);
		out->pending += ends[i] - from;
		wake = out->asleep || (out->gathering && out->pending >= GATHER_BYTES);
	}
	if (wake)
		out->asleep = false;
	pthread_mutex_unlock(&out->lock);
	if (wake)
		pthread_cond_signal(&out->wake);
	return running;
}

void output_add_all(struct output *out, const char *data, const size_t ends[SINK_COUNT])
{
	size_t from = 0;

	if (hand_over(out, data, ends))
		return;
	for (int i = 0; i < SINK_COUNT; from = ends[i++])
		if (ends[i] != from)
			call_write_all(out->sinks[i].fd, data + from, ends[i] - from);
}

static void put_ends(size_t ends[SINK_COUNT], enum sink_id id, size_t len)
{
	for (int i = 0; i < SINK_COUNT; i++)
		ends[i] = i < (int)id ? 0 : len;
}

void output_add(struct output *out, enum sink_id id, const char *data, size_t len)
{
	size_t ends[SINK_COUNT];

	put_ends(ends, id, len);
	output_add_all(out, data, ends);
}

void output_try_add(struct output *out, enum sink_id id, const char *data, size_t len)
{
	size_t ends[SINK_COUNT];

	put_ends(ends, id, len);
	hand_over(out, data, ends);
}

unsigned long output_calls(const struct output *out)
{
	return atomic_load(&out->calls);
}

bool output_full(const struct output *out)
{
	return atomic_load_explicit(&out->pending, memory_order_relaxed) > FULL_BYTES;
}

void output_wait(struct output *out)
{
	if (!output_full(out))
		return;
	pthread_mutex_lock(&out->lock);
	while (output_full(out))
		pthread_cond_wait(&out->room, &out->lock);
	pthread_mutex_unlock(&out->lock);
}

/* Some file systems tell of a full disk only now. */
static void close_sink(struct sink *sink)
{
	if (sink->fd >= 0 && close(sink->fd) && !sink->err)
		sink->err = -errno;
	sink->fd = -1;
}

int output_finish(struct output *out)
{
	int err = 0;

	pthread_mutex_lock(&out->lock);
	out->quit = true;
	pthread_mutex_unlock(&out->lock);
	pthread_cond_signal(&out->wake);
	pthread_join(out->thread, NULL);
	pthread_mutex_lock(&out->lock);
	out->running = false;
	pthread_mutex_unlock(&out->lock);
	message_route(NULL, NULL);

	for (int i = 0; i < SINK_COUNT; i++) {
		struct sink *sink = &out->sinks[i];

		buf_free(&sink->fill);
		buf_free(&sink->busy);
		if (i == SINK_ERR)
			continue;
		close_sink(sink);
		err = err ? err : sink->err;
	}
	return err;
}

void output_free(struct output *out)
{
	/* Those of a run that ended before its output began. */
	for (int i = SINK_FAILED; i < SINK_COUNT; i++)
		close_sink(&out->sinks[i]);
	pthread_cond_destroy(&out->room);
	pthread_cond_destroy(&out->wake);
	pthread_mutex_destroy(&out->lock);
	free(out);
}
