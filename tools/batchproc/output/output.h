/* SPDX-License-Identifier: MIT */
/*
 * output: everything that the command writes while it runs goes through here.
 *
 * Four sinks: standard output (data), standard error (messages and progress), the file of
 * --failed-to, and the journal. What was added to the journal is written after everything that was
 * added before it, and no more once the others have lost something. A loop must never wait for a
 * reader that is slow, so output_add() only appends to a buffer, and one thread writes. Before
 * output_start() and after output_finish(), output_add() writes at once. Callable from every
 * thread.
 *
 * A run has one of these. Standard output and error, the bar there and where messages go are the
 * process's.
 */
#ifndef BATCHPROC_OUTPUT_H
#define BATCHPROC_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sink_id {
	SINK_OUT,
	SINK_ERR,
	SINK_FAILED,
	SINK_JOURNAL,
	SINK_COUNT
};

struct buf;
struct output;

/*
 * What the writer thread calls back, without any lock of this room held:
 * @failed	a sink cannot be written; what is added to it from now on is dropped
 * @tick	time to show progress: puts a line into @line, or, for a bar, sets *@bar and puts
 *		the text of the bar there; returns nanoseconds until it wants to be called again,
 *		0 for never
 */
struct output_hooks {
	void (*failed)(void *ctx, const char *name, int err);
	uint64_t (*tick)(void *ctx, struct buf *line, bool *bar);
	void *ctx;
};

/* Memory only, and never NULL. */
struct output *output_new(void);

/* Starts the thread, which from here on also writes what message() says. 0 or -errno. */
int output_start(struct output *out, const struct output_hooks *hooks);

/* Names the descriptor of a sink that is a file; output_finish() closes it. */
void output_set_file(struct output *out, enum sink_id id, int fd, const char *name);

void output_add(struct output *out, enum sink_id id, const char *data, size_t len);

/*
 * The same while the writer runs; else nothing. For a thread that must not stand still at the end.
 */
void output_try_add(struct output *out, enum sink_id id, const char *data, size_t len);

/*
 * The same for all sinks at once: what each gets stands in @data behind the one before, up to its
 * end.
 */
void output_add_all(struct output *out, const char *data, const size_t ends[SINK_COUNT]);

/*
 * Whether so much waits for a slow reader that no more items should be started; and a wait until
 * that is over, for a thread that may block.
 */
bool output_full(const struct output *out);
void output_wait(struct output *out);

/*
 * Changes whenever a write begins or ends: odd and the same for long, a reader takes nothing. Any
 * thread.
 */
unsigned long output_calls(const struct output *out);

/* Writes what is left and ends the thread. Returns 0, or the first error of a data sink. */
int output_finish(struct output *out);

/* Nobody adds any more, and no thread runs. Closes the files, if that was not done. */
void output_free(struct output *out);

#endif
