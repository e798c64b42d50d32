/* SPDX-License-Identifier: MIT */
/*
 * answer: the exchange of a sample with an HTTP server. The body is read to its end, or to
 * PROBE_BODY_MOST bytes; it is kept only where somebody wants to look at it, and that is done on a
 * helper thread: a regular expression may take its time, and stack.
 */
#include <errno.h>
#include <string.h>

#include "batchproc.h"
#include "base/blocking.h"
#include "net/decode.h"
#include "net/exchange.h"
#include "net/request.h"
#include "run/job.h"
#include "verbs/probe/probe.h"
#include "verbs/probe/target.h"

struct looking {
	const regex_t *regex; /* or NULL */
	struct buf body;
	uint64_t content; /* bytes */
};

/*
 * The bytes may have NULs among them; one stands behind them for tools that believe that it has to.
 */
static int match(void *arg)
{
	struct looking *looking = arg;
	regmatch_t whole = {.rm_so = 0, .rm_eo = (regoff_t)looking->body.len};

	buf_char(&looking->body, '\0');
	if (regexec(looking->regex, looking->body.data, 1, &whole, REG_STARTEND))
		return -EREMOTEIO;
	return 0;
}

/* Nobody looks at more than the most, however small it was when it came. */
static int take(void *arg, const char *data, size_t len)
{
	struct looking *looking = arg;
	const size_t room = PROBE_BODY_MOST - (size_t)looking->content;

	if (len > room)
		len = room;
	looking->content += len;
	if (looking->regex)
		buf_add(&looking->body, data, len);
	return 0;
}

static int receive(struct exchange *x, struct decoder *decoder, struct looking *looking,
		   struct sample *sample)
{
	const char *piece;
	ssize_t n = 0;
	int err = 0;

	while (!err && looking->content < PROBE_BODY_MOST && sample->bytes < PROBE_BODY_MOST) {
		n = exchange_body(x, &piece);
		if (n <= 0)
			break;
		sample->bytes += (uint64_t)n;
		err = decoder ?
			      decoder_take(decoder, piece, (size_t)n, take, looking, &sample->why) :
			      take(looking, piece, (size_t)n);
	}
	if (n < 0) {
		sample->why = x->why;
		return (int)n;
	}
	if (!err && !n && decoder && sample->bytes && !decoder_ended(decoder)) {
		sample->why = "the compressed body was cut short";
		return -EBADMSG;
	}
	return err;
}

/* Reads the body, and looks at it where that is wanted. */
static int read_body(struct exchange *x, const struct probe_settings *set, struct sample *sample)
{
	struct looking looking = {.regex = set->body};
	struct decoder *decoder = NULL;
	int err = 0;

	sample->why = x->why;
	if (set->compressed)
		err = decoder_begin(&decoder, &x->head, &sample->why);
	if (!err)
		err = receive(x, decoder, &looking, sample);
	decoder_free(decoder);
	if (!err && set->body) {
		err = blocking_long(match, &looking);
		if (err == -EREMOTEIO)
			sample->why = "the body does not match --expect-body";
	}
	buf_free(&looking.body);
	return err;
}

int answer_get(struct item *item, const struct probe_target *target)
{
	const struct probe_settings *set = item->settings;
	struct probe_item *own = item_priv(item);
	struct sample *sample = &own->last;
	struct request request = {
		.method = set->net.method,
		.url = &target->url,
		.headers = set->net.headers,
		.header_count = set->net.header_count,
		.range_last = UINT64_MAX,
		.has_body = set->net.has_data,
		.body_len = set->net.data_len,
		.form = set->net.has_data,
		.compressed = set->compressed,
	};
	char memory[EXCHANGE_FIRST];
	struct exchange x = {.net = item->job->net,
			     .conf = &set->net.exchange,
			     .request = &request,
			     .body = set->net.data,
			     .memory = memory};
	int err;

	request.password = net_credentials(&set->net, &target->url, &request.user);
	err = exchange_begin(&x);
	sample->dialed = x.dialed;
	sample->why = x.why;
	if (x.conn)
		report_conn(x.conn, err == -EKEYREJECTED ? x.why : NULL, own);
	if (x.heard)
		sample->first_byte_ns = x.first_byte_ns;
	if (!err) {
		sample->status = x.head.status;
		err = read_body(&x, set, sample);
	}
	exchange_end(&x);
	return err;
}
