/* SPDX-License-Identifier: MIT */
/*
 * answer: the request of a sample and the response to it. The body is read to its end, or to
 * PROBE_BODY_MOST bytes; it is kept only where somebody wants to look at it, and that is done on a helper
 * thread: a regular expression may take its time, and stack.
 */
#include <errno.h>
#include <string.h>

#include "batchproc.h"
#include "base/blocking.h"
#include "net/chunked.h"
#include "net/head.h"
#include "net/proxy.h"
#include "net/request.h"
#include "run/job.h"
#include "verbs/probe/probe.h"
#include "verbs/probe/target.h"

#define BLOCK 16384u

struct answer {
	struct item *item;
	struct conn *conn;
	struct sample *sample;
	struct buf in; /* what came and was not taken */
	size_t at; /* of it */
	struct head head;
	struct buf body;
	bool keeps_body;
};

static int failed(struct answer *answer, const char *why)
{
	answer->sample->why = why;
	return -EPROTO;
}

/* Reads more behind what is left; 0: the end. */
static ssize_t more(struct answer *answer)
{
	const struct probe_settings *set = answer->item->settings;
	struct stream *stream = &answer->conn->stream;
	ssize_t got;

	memmove(answer->in.data, answer->in.data + answer->at, answer->in.len - answer->at);
	answer->in.len -= answer->at;
	answer->at = 0;
	got = stream_read(stream, buf_room(&answer->in, BLOCK), BLOCK,
			  stream->received ? 0 : set->first_byte_timeout_ns);
	if (got > 0)
		answer->in.len += (size_t)got;
	else if (got == -ETIMEDOUT && !stream->received && !bp_cancelled())
		answer->sample->why = "no byte of an answer within --first-byte-timeout";
	else
		answer->sample->why = stream->why;
	return got;
}

static int send_request(struct answer *answer, const struct probe_target *target)
{
	const struct probe_settings *set = answer->item->settings;
	const struct proxy *proxy = answer->conn->proxy;
	struct request request = {
		.method = set->method,
		.url = &target->url,
		.whole_url = proxy && !target->url.tls,
		.proxy_authorization = proxy && !target->url.tls ? proxy->authorization : NULL,
		.user = target->url.user,
		.password = target->url.password,
		.headers = set->headers,
		.header_count = set->header_count,
		.range_last = UINT64_MAX,
	};
	int err;

	request_add(&answer->in, &request);
	err = stream_write(&answer->conn->stream, answer->in.data, answer->in.len, 0);
	if (err)
		answer->sample->why = answer->conn->stream.why;
	answer->in.len = 0;
	return err;
}

/* The first head that is final: any number of others may stand in front of it, within the bound of one. */
static int read_head(struct answer *answer)
{
	const struct probe_settings *set = answer->item->settings;
	bool bodiless = !strcmp(set->method, "HEAD");
	size_t searched = 0, taken = 0, len;
	const char *wrong;
	ssize_t got;

	for (;;) {
		len = head_length(answer->in.data + answer->at, answer->in.len - answer->at,
				  &searched);
		if (!len && (answer->in.len > HEAD_SIZE_MAX || taken > HEAD_SIZE_MAX))
			return failed(answer, "the head of the response is too long");
		if (!len) {
			got = more(answer);
			if (got < 0)
				return (int)got;
			if (!got)
				return answer->in.len ?
					       failed(answer, "the response ends in its head") :
					       -ECONNRESET;
			continue;
		}
		wrong = head_read(&answer->head, answer->in.data + answer->at, len, bodiless);
		if (wrong)
			return failed(answer, wrong);
		answer->at += len;
		taken += len;
		searched = 0;
		if (head_is_final(&answer->head))
			return 0;
	}
}

/* Takes @len bytes of content; returns whether more is wanted. */
static bool take(struct answer *answer, const char *data, size_t len)
{
	if (answer->keeps_body)
		buf_add(&answer->body, data, len);
	answer->sample->bytes += len;
	return answer->sample->bytes < PROBE_BODY_MOST;
}

static int read_chunks(struct answer *answer)
{
	struct chunked chunked = {0};
	ssize_t got;

	for (;;) {
		const char *data = answer->in.data + answer->at;
		const char *end = answer->in.data + answer->in.len;
		enum chunk_found found;
		size_t piece;

		while ((found = chunked_next(&chunked, &data, end, &piece)) == CHUNK_DATA)
			if (!take(answer, data - piece, piece))
				return 0;
		answer->at = (size_t)(data - answer->in.data);
		if (found == CHUNK_END)
			return 0;
		if (found == CHUNK_BAD)
			return failed(answer, "the body is not in chunks as it should be");
		got = more(answer);
		if (got <= 0)
			return got ? (int)got : failed(answer, "the body was cut short");
	}
}

static int read_body(struct answer *answer)
{
	bool to_end = answer->head.body == BODY_TO_END;
	uint64_t left = to_end ? UINT64_MAX : answer->head.length;
	ssize_t got;

	while (left) {
		size_t here = answer->in.len - answer->at;

		if (here > left)
			here = left;
		if (!take(answer, answer->in.data + answer->at, here))
			return 0;
		answer->at += here;
		left -= here;
		if (!left)
			break;
		got = more(answer);
		if (got < 0)
			return (int)got;
		if (!got)
			return to_end && !answer->conn->stream.cut ?
				       0 :
				       failed(answer, "the body was cut short");
	}
	return 0;
}

static int match(void *arg)
{
	struct answer *answer = arg;
	const struct probe_settings *set = answer->item->settings;
	regmatch_t whole = {.rm_so = 0, .rm_eo = (regoff_t)answer->body.len};

	return regexec(set->body, answer->body.data ? answer->body.data : "", 1, &whole,
		       REG_STARTEND) == 0 ?
		       0 :
		       -EREMOTEIO;
}

static int look_at_body(struct answer *answer)
{
	int err = 0;

	switch (answer->head.body) {
	case BODY_NONE:
		break;
	case BODY_CHUNKED:
		err = read_chunks(answer);
		break;
	case BODY_LENGTH:
	case BODY_TO_END:
		err = read_body(answer);
		break;
	}
	if (err || !answer->keeps_body)
		return err;
	err = blocking_long(match, answer);
	if (err == -EREMOTEIO)
		answer->sample->why = "the body does not match --expect-body";
	return err;
}

int answer_get(struct item *item, const struct probe_target *target, struct conn *conn)
{
	const struct probe_settings *set = item->settings;
	struct probe_item *own = item_priv(item);
	struct bp_engine *engine = item->job->engine;
	struct answer answer = {.item = item,
				.conn = conn,
				.sample = &own->last,
				.keeps_body = set->body};
	uint64_t start = bp_now(engine);
	ssize_t got;
	int err;

	err = send_request(&answer, target);
	if (!err) {
		got = more(&answer);
		if (got > 0)
			own->last.first_byte_ns = bp_now(engine) - start;
		err = got > 0 ? read_head(&answer) : got ? (int)got : -ECONNRESET;
	}
	if (err == -ECONNRESET && !own->last.why)
		own->last.why = "the connection ended without an answer";
	if (!err) {
		own->last.status = answer.head.status;
		err = look_at_body(&answer);
	}
	head_free(&answer.head);
	buf_free(&answer.in);
	buf_free(&answer.body);
	return err;
}
