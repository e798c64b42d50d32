/* SPDX-License-Identifier: MIT */
/*
 * stream: see stream.h. One operation for each send and receive. A receive that follows a send is
 * told to poll first: the answer cannot be there yet, and the kernel need not look.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "batchproc.h"
#include "net/stream.h"
#include "net/tls_io.h"

void stream_init(struct stream *stream, struct bp_engine *engine, int fd)
{
	memset(stream, 0, sizeof(*stream));
	stream->engine = engine;
	stream->fd = fd;
}

/* ---- the socket, for tls.c too */

static int recv_polling_first(int fd, void *buf, size_t len)
{
	struct io_uring_sqe *sqe = bp_sqe();

	io_uring_prep_recv(sqe, fd, buf, len, 0);
	sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
	return bp_await();
}

ssize_t socket_read(struct stream *stream, void *buf, size_t len)
{
	ssize_t res;

	if (!stream->asked)
		return bp_recv(stream->fd, buf, len, 0);
	stream->asked = false;
	res = recv_polling_first(stream->fd, buf, len);
	/* bp_await() tells of these where bp_recv() tries again. */
	return res == -EINTR || res == -EAGAIN ? bp_recv(stream->fd, buf, len, 0) : res;
}

int socket_write(struct stream *stream, const void *data, size_t len, size_t *sent)
{
	const char *from = data;

	stream->asked = true;
	while (*sent < len) {
		ssize_t res = bp_send(stream->fd, from + *sent, len - *sent, MSG_NOSIGNAL);

		if (res < 0)
			return (int)res;
		*sent += (size_t)res;
	}
	return 0;
}

/* ---- one side of --low-speed */

void stream_low_begin(struct stream *stream, struct stream_low low)
{
	stream->low = low;
	stream->low_waited_ns = stream->low_bytes = 0;
}

static ssize_t read_once(struct stream *stream, void *buf, size_t len)
{
	return stream->tls ? tls_read(stream, buf, len) : socket_read(stream, buf, len);
}

/*
 * A read that is bounded by the time that is left to --low-speed, which begins anew whenever enough
 * has come: who stalls is left when that time has passed, and not twice. Counted is what is waited
 * for the other side, and not what becomes of the bytes here.
 */
static ssize_t read_not_slowly(struct stream *stream, void *buf, size_t len)
{
	struct bp_timeout scope;
	ssize_t res;
	uint64_t from;
	int over;

	while (stream->low_waited_ns < stream->low.ns) {
		from = bp_now(stream->engine);
		bp_timeout_begin(&scope, stream->low.ns - stream->low_waited_ns);
		res = read_once(stream, buf, len);
		over = bp_timeout_end(&scope);
		stream->low_waited_ns += bp_now(stream->engine) - from;
		if (res > 0)
			stream->low_bytes += (uint64_t)res;
		if (stream->low_bytes >= stream->low.bytes)
			stream->low_bytes = stream->low_waited_ns = 0;
		if (res != -ETIMEDOUT || !over || bp_cancelled())
			return res;
	}
	stream->why = "slower than --low-speed allows";
	return -ETIMEDOUT;
}

static ssize_t read_paced(struct stream *stream, void *buf, size_t len)
{
	const struct stream_pace *pace = stream->pace;
	ssize_t res;

	if (!pace)
		return stream->low.bytes ? read_not_slowly(stream, buf, len) :
					   read_once(stream, buf, len);
	len = pace->block(pace->ctx, len);
	res = pace->pay(pace->ctx, len);
	if (res)
		return res;
	res = stream->low.bytes ? read_not_slowly(stream, buf, len) : read_once(stream, buf, len);
	if (res < 0 || (size_t)res < len)
		pace->unpay(pace->ctx, len - (res > 0 ? (size_t)res : 0));
	return res;
}

/* ---- for all */

ssize_t stream_read(struct stream *stream, void *buf, size_t len, uint64_t timeout_ns)
{
	struct bp_timeout scope;
	ssize_t res;

	stream->why = NULL;
	if (timeout_ns) {
		bp_timeout_begin(&scope, timeout_ns);
		res = read_paced(stream, buf, len);
		bp_timeout_end(&scope);
	} else {
		res = read_paced(stream, buf, len);
	}
	if (res > 0)
		stream->received += (uint64_t)res;
	else if (!res)
		stream->ended = true;
	return res;
}

static int write_paced(struct stream *stream, const char *data, size_t len)
{
	const struct stream_pace *pace = stream->pace;

	for (size_t done = 0; done < len;) {
		size_t part = len - done, sent = 0;
		int err = 0;

		if (pace) {
			part = pace->block(pace->ctx, part);
			err = pace->pay(pace->ctx, part);
			if (err)
				return err;
		}
		err = stream->tls ? tls_write(stream, data + done, part, &sent) :
				    socket_write(stream, data + done, part, &sent);
		stream->sent += sent;
		if (err && pace)
			pace->unpay(pace->ctx, part - sent);
		if (err)
			return err;
		done += part;
	}
	return 0;
}

int stream_write(struct stream *stream, const void *buf, size_t len, uint64_t timeout_ns)
{
	struct bp_timeout scope;
	int err;

	stream->why = NULL;
	if (!timeout_ns)
		return write_paced(stream, buf, len);
	bp_timeout_begin(&scope, timeout_ns);
	err = write_paced(stream, buf, len);
	bp_timeout_end(&scope);
	return err;
}

bool stream_idle(struct stream *stream)
{
	char byte;

	if (stream->fd < 0 || stream->ended)
		return false;
	if (stream->tls)
		return tls_idle(stream);
	return recv(stream->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
	       (errno == EAGAIN || errno == EINTR);
}

void stream_close(struct stream *stream)
{
	if (stream->tls)
		tls_end(stream);
	if (stream->fd >= 0)
		close(stream->fd);
	stream->fd = -1;
}
