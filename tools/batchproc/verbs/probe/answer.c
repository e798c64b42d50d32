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
#include "net/exchange.h"
#include "net/request.h"
#include "run/job.h"
#include "verbs/probe/probe.h"
#include "verbs/probe/target.h"

struct looking {
	const regex_t *regex;
	struct buf body;
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

/* Reads the body, and looks at it where that is wanted. */
static int read_body(struct exchange *x, const regex_t *regex, struct sample *sample)
{
	struct looking looking = {.regex = regex};
	const char *piece;
	ssize_t n = 0;
	int err;

	while (sample->bytes < PROBE_BODY_MOST && (n = exchange_body(x, &piece)) > 0) {
		sample->bytes += (uint64_t)n;
		if (regex)
			buf_add(&looking.body, piece, (size_t)n);
	}
	err = n < 0 ? (int)n : 0;
	sample->why = x->why;
	if (!err && regex) {
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
		err = read_body(&x, set->body, sample);
	}
	exchange_end(&x);
	return err;
}
