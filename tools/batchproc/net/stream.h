/* SPDX-License-Identifier: MIT */
/*
 * stream: bytes to and from a connected socket, plain or through TLS, behind one struct.
 *
 * A stream belongs to one task at a time, and may be handed to a task of another loop between two
 * calls. Every call may be given a time of its own; an item's timeout and the scopes around it
 * count as well.
 */
#ifndef BATCHPROC_STREAM_H
#define BATCHPROC_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct bp_engine;
struct tls;

/*
 * --bwlimit: asked before bytes are moved. Like pace_bytes(), pace_give_back() and pace_block(),
 * which it is made of where there is a job.
 */
struct stream_pace {
	int (*pay)(void *ctx, uint64_t bytes); /* waits; 0, or -ECANCELED, -ETIMEDOUT */
	void (*unpay)(void *ctx, uint64_t bytes);
	size_t (*block)(void *ctx, size_t most); /* how much to move at once */
	void *ctx;
};

/* --low-speed: less than @bytes in @ns ends the transfer; 0: no such limit. */
struct stream_low {
	uint64_t bytes;
	uint64_t ns;
};

struct stream {
	int fd; /* -1: closed */
	struct bp_engine *engine;
	struct tls *tls; /* NULL: plain */
	const char *why; /* of the last error, where it is not errno's text; constant text */
	bool asked; /* something was sent, and nothing read since */
	bool ended; /* the other side has ended it */
	bool cut; /* and did so without a close_notify, so that its last body may be cut short */

	const struct stream_pace *pace; /* NULL: none */
	struct stream_low low;
	uint64_t low_waited_ns; /* for so many bytes as it asks for */
	uint64_t low_bytes; /* that came in that time */
	uint64_t received; /* of content, so far */
	uint64_t sent;
};

/* Takes over @fd. */
void stream_init(struct stream *stream, struct bp_engine *engine, int fd);

/*
 * Reads what there is, at most @len, and waits for the first byte at most @timeout_ns (0: as long
 * as it takes). Returns the bytes, 0 at the end of the stream, or -errno: -ETIMEDOUT also when the
 * transfer is slower than --low-speed allows (why says so), -ECONNRESET. Task only.
 */
ssize_t stream_read(struct stream *stream, void *buf, size_t len, uint64_t timeout_ns);

/*
 * Writes all, in at most @timeout_ns (0: as long as it takes). Returns 0, or -errno; how much went
 * out is in sent. No SIGPIPE. Task only.
 */
int stream_write(struct stream *stream, const void *buf, size_t len, uint64_t timeout_ns);

/* Begins the time that --low-speed looks at: at the first byte of a body. */
void stream_low_begin(struct stream *stream, struct stream_low low);

/*
 * Whether a stream that nobody used meanwhile can take a request: it is open, nothing came in, and
 * the other side has not ended it. Never waits. Any thread that holds it.
 */
bool stream_idle(struct stream *stream);

/*
 * Closes it, with a close_notify where that can be sent at once. Task or any thread; never waits.
 */
void stream_close(struct stream *stream);

#endif
