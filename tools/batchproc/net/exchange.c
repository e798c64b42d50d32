/* SPDX-License-Identifier: MIT */
/*
 * exchange: one request and its response, on a connection that is had for it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "batchproc.h"
#include "net/exchange.h"
#include "net/proxy.h"
#include "net/request.h"
#include "net/url.h"

#define REQUEST_USUAL 512u /* enough for most heads */
#define INTERIM_MOST 32u /* responses 1xx in a row */
#define CONTINUE_NS 1000000000ull /* how long 100 is waited for */
#define DRAIN_MOST 65536u /* of a body nobody wants, to keep its connection */

/* ---- sending */

static bool is_idempotent(const char *method)
{
	return strcmp(method, "POST") != 0 && strcmp(method, "PATCH") != 0;
}

static int send_body(struct exchange *x)
{
	x->sent_body = true;
	if (!x->request->has_body)
		return 0;
	return stream_write(&x->conn->stream, x->body, (size_t)x->request->body_len, 0);
}

static int send_request(struct exchange *x)
{
	struct request *r = x->request;
	struct buf text = {0};
	int err;

	buf_room(&text, REQUEST_USUAL);
	r->whole_url = x->conn->proxy && !r->url->tls;
	r->proxy_authorization = r->whole_url ? x->conn->proxy->authorization : NULL;
	request_add(&text, r);
	/* A small body goes with the head: one packet instead of two. */
	x->sent_body = !r->expect_continue;
	if (x->sent_body && r->has_body && r->body_len <= EXCHANGE_FIRST)
		buf_add(&text, x->body, (size_t)r->body_len);
	else if (x->sent_body)
		x->sent_body = !r->has_body;
	err = stream_write(&x->conn->stream, text.data, text.len, 0);
	explicit_bzero(text.data, text.len);
	buf_free(&text);
	if (!err && !x->sent_body && !r->expect_continue)
		err = send_body(x);
	return err;
}

/* ---- receiving */

/* Room behind what is there; what was taken is no longer needed. */
static bool make_room(struct exchange *x)
{
	if (x->at) {
		memmove(x->buffer, x->buffer + x->at, x->len - x->at);
		x->len -= x->at;
		x->at = 0;
	}
	if (x->len < x->size)
		return true;
	if (x->large)
		return false;
	x->large = xcalloc(1, HEAD_SIZE_MAX);
	memcpy(x->large, x->buffer, x->len);
	x->buffer = x->large;
	x->size = HEAD_SIZE_MAX;
	return true;
}

/* Reads more of a head. */
static int read_more(struct exchange *x, uint64_t timeout_ns)
{
	ssize_t n;

	if (!make_room(x)) {
		x->why = "the response's head is larger than 64 KiB";
		return -EPROTO;
	}
	n = stream_read(&x->conn->stream, x->buffer + x->len, x->size - x->len, timeout_ns);
	if (n > 0) {
		x->len += (size_t)n;
		x->heard = true;
		return 0;
	}
	x->why = x->conn->stream.why;
	if (n == -ETIMEDOUT && !x->heard && !bp_cancelled())
		x->why = "no byte of a response came in time";
	if (n)
		return (int)n;
	x->why = x->heard ? "the connection ended within the response's head" :
			    "the connection ended before a response";
	return -ECONNRESET;
}

/* One head, final or not; it is taken from the buffer. */
static int read_head(struct exchange *x, uint64_t first_ns)
{
	size_t searched = 0, len;
	const char *wrong;
	int err;

	while (!(len = head_length(x->buffer + x->at, x->len - x->at, &searched))) {
		/* Behind what is no response there may be no end of a line, ever. */
		err = read_more(x, first_ns);
		if (err)
			return err;
	}
	wrong = head_read(&x->head, x->buffer + x->at, len, !strcmp(x->request->method, "HEAD"));
	x->at += len;
	if (!wrong)
		return 0;
	x->why = wrong;
	return -EPROTO;
}

/* Waits for leave to send the body, or for a final response. 1: neither came. */
static int await_continue(struct exchange *x)
{
	int err = read_more(x, CONTINUE_NS);

	if (err == -ETIMEDOUT && !x->heard && !bp_cancelled()) {
		x->why = NULL;
		return 1;
	}
	return err;
}

static int read_heads(struct exchange *x)
{
	int err, interim = 0;

	if (!x->sent_body) {
		err = await_continue(x);
		if (err == 1)
			err = send_body(x);
		if (err)
			return err;
	}
	for (unsigned int i = 0; i < INTERIM_MOST; i++) {
		err = read_head(x, x->conf->first_byte_ns);
		if (err == -ECONNRESET && interim) {
			x->why = "the connection ended after an interim response (1xx)";
			return err;
		}
		if (err || head_is_final(&x->head))
			return err;
		interim = x->head.status;
		if (interim == 101) {
			x->why = "the server changed to another protocol";
			return -EPROTO;
		}
		if (!x->sent_body) {
			err = send_body(x);
			if (err)
				return err;
		}
	}
	x->why = "the server sends one interim response (1xx) after the other";
	return -EPROTO;
}

static void begin_body(struct exchange *x)
{
	x->done = x->head.body == BODY_NONE;
	x->left = x->head.body == BODY_LENGTH ? x->head.length : 0;
	x->done = x->done || (x->head.body == BODY_LENGTH && !x->left);
	x->unannounced = x->head.body == BODY_TO_END;
	memset(&x->chunked, 0, sizeof(x->chunked));
	x->received = 0;
	stream_low_begin(&x->conn->stream, x->conf->low);
}

static int connect_to(struct exchange *x, bool fresh)
{
	const struct url *url = x->request->url;
	const struct target target = {.host = url->host, .port = url->port, .tls = url->tls};
	int err = conn_get(x->net, x->conf->net, &target, fresh, &x->conn, &x->dialed);

	if (x->conn)
		x->conn->stream.pace = x->pace;
	x->why = x->dialed.why;
	return err;
}

static void drop_conn(struct exchange *x, bool keep)
{
	if (x->conn)
		conn_put(x->conn, keep);
	x->conn = NULL;
}

static int try_once(struct exchange *x, bool fresh)
{
	uint64_t sent;
	int err = connect_to(x, fresh);

	if (err)
		return err;
	x->at = x->len = 0;
	x->heard = false;
	x->why = NULL;
	err = send_request(x);
	if (err)
		x->why = x->conn->stream.why;
	sent = bp_now(x->conn->stream.engine);
	/* Who refuses a body may have said why before it ended the connection. */
	if (!err || ((err == -EPIPE || err == -ECONNRESET) && x->request->has_body)) {
		int read = read_heads(x);

		err = err && read ? err : read;
	}
	x->first_byte_ns = bp_now(x->conn->stream.engine) - sent;
	return err;
}

/*
 * Whether a kept connection was closed before the request reached it, and so nothing has come of
 * that.
 */
static bool was_lost(const struct exchange *x, int err)
{
	if (!x->conn || !x->conn->reused || !is_idempotent(x->request->method) || bp_cancelled())
		return false;
	if (!x->heard)
		return err == -ECONNRESET || err == -EPIPE || err == -ECONNABORTED ||
		       err == -EPROTO;
	/* What some say to a connection that they found unused for too long. */
	return !err && x->head.status == 408 && !x->head.keep;
}

int exchange_begin(struct exchange *x)
{
	int err;

	x->buffer = x->memory;
	x->size = EXCHANGE_FIRST;
	err = try_once(x, x->conf->alone);
	if (was_lost(x, err)) {
		drop_conn(x, false);
		err = try_once(x, true);
	}
	if (!err)
		begin_body(x);
	return err;
}

/* ---- the body */

void exchange_grow(struct exchange *x, char *buffer, size_t size)
{
	size_t have = x->len - x->at;

	if (size <= have || size <= x->size)
		return;
	memcpy(buffer, x->buffer + x->at, have);
	x->buffer = buffer;
	x->size = size;
	x->at = 0;
	x->len = have;
}

bool exchange_is_whole(const struct exchange *x)
{
	return x->done || (x->head.body == BODY_LENGTH && x->len - x->at >= x->left);
}

/* The connection has ended. */
static ssize_t end_of_stream(struct exchange *x)
{
	if (x->head.body == BODY_TO_END && !x->conn->stream.cut) {
		x->done = true;
		return 0;
	}
	x->why = x->head.body == BODY_TO_END ?
			 "the connection ended without a close_notify: the body may be cut short" :
			 "the body was cut short";
	return -EPIPE;
}

static ssize_t fill(struct exchange *x)
{
	ssize_t n;

	x->at = x->len = 0;
	n = stream_read(&x->conn->stream, x->buffer, x->size, 0);
	if (n > 0)
		x->len = (size_t)n;
	else if (n < 0)
		x->why = x->conn->stream.why;
	return n ? n : end_of_stream(x);
}

/* A piece of what is in the buffer, which may be none. */
static ssize_t take_piece(struct exchange *x, const char **piece)
{
	const char *data = x->buffer + x->at;
	size_t len = x->len - x->at;
	enum chunk_found found;

	if (x->head.body == BODY_CHUNKED) {
		found = chunked_next(&x->chunked, &data, x->buffer + x->len, &len);
		x->at = (size_t)(data - x->buffer);
		if (found == CHUNK_BAD) {
			x->why = "the body's chunks make no sense";
			return -EPROTO;
		}
		x->done = found == CHUNK_END;
		if (found != CHUNK_DATA)
			return 0;
		*piece = data - len;
		return (ssize_t)len;
	}
	if (x->head.body == BODY_LENGTH) {
		len = len < x->left ? len : (size_t)x->left;
		x->left -= len;
		x->done = !x->left;
	}
	x->at += len;
	*piece = data;
	return (ssize_t)len;
}

ssize_t exchange_body(struct exchange *x, const char **piece)
{
	ssize_t n;

	while (!x->done) {
		if (x->at == x->len) {
			n = fill(x);
			if (n <= 0)
				return n;
		}
		n = take_piece(x, piece);
		if (n > 0)
			x->received += (uint64_t)n;
		if (n)
			return n;
	}
	return 0;
}

/* Whether little is left of the body; then it is read, so that the connection can stay. */
static void drain(struct exchange *x)
{
	const char *piece;
	uint64_t most = x->received + DRAIN_MOST;

	if (x->head.body == BODY_LENGTH && x->left > DRAIN_MOST)
		return;
	while (x->received < most && exchange_body(x, &piece) > 0)
		;
}

void exchange_end(struct exchange *x)
{
	const char *why = x->why;
	bool keep = x->conn && x->head.status && x->head.keep && !x->conf->alone;

	if (keep && !x->done)
		drain(x);
	/* Bytes behind the end belong to no response that was asked for. */
	drop_conn(x, keep && x->done && x->at == x->len);
	free(x->large);
	x->large = NULL;
	head_free(&x->head);
	x->why = why;
}
