/* SPDX-License-Identifier: MIT */
/*
 * sample: one look at a target. Each has a connection of its own, since it is that what is measured.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "batchproc.h"
#include "net/tls.h"
#include "run/job.h"
#include "verbs/probe/probe.h"
#include "verbs/probe/target.h"

static bool is_expected(const struct probe_settings *set, int status)
{
	for (size_t i = 0; i < set->expected_count; i++)
		if (status >= set->expected[i].low && status <= set->expected[i].high)
			return true;
	return false;
}

/* What the settings want of an answer that is there. */
static int judge(const struct probe_settings *set, struct probe_item *own)
{
	struct sample *sample = &own->last;

	if (set->has_cert_days && sample->has_expiry && sample->days_left < set->cert_days) {
		snprintf(sample->text, sizeof(sample->text),
			 "the certificate is valid for %lld more days only",
			 (long long)sample->days_left);
		sample->why = sample->text;
		return -EKEYEXPIRED;
	}
	if (sample->status && !is_expected(set, sample->status)) {
		snprintf(sample->text, sizeof(sample->text), "HTTP status %d", sample->status);
		sample->why = sample->text;
		return -EREMOTEIO;
	}
	return 0;
}

static int connect_target(struct item *item, const struct probe_target *target, struct conn **conn)
{
	const struct probe_settings *set = item->settings;
	struct probe_item *own = item_priv(item);
	struct net_conf conf = set->conf;
	struct target where = {
		.host = target->kind == PROBE_UNIX ? "" : target->url.host,
		.port = target->kind == PROBE_UNIX ? 0 : target->url.port,
		.tls = target->kind == PROBE_TLS || (target->kind == PROBE_HTTP && target->url.tls),
		.raw = target->kind != PROBE_HTTP,
	};

	if (target->kind == PROBE_UNIX)
		conf.unix_socket = target->path;
	else if (where.raw)
		conf.unix_socket = NULL;
	if (target->kind == PROBE_TLS)
		conf.tls = (struct tls_conf *)set->tls_offering_h2;
	return conn_get(net_get(item->job->engine), &conf, &where, true, conn, &own->last.dialed);
}

int sample_take(struct item *item, const struct probe_target *target)
{
	const struct probe_settings *set = item->settings;
	struct probe_item *own = item_priv(item);
	struct sample *sample = &own->last;
	struct bp_engine *engine = item->job->engine;
	uint64_t start = bp_now(engine);
	struct conn *conn;
	int err;

	memset(sample, 0, sizeof(*sample));
	own->tls.len = 0;
	err = connect_target(item, target, &conn);
	sample->why = sample->dialed.why;
	if (conn) {
		sample->address = conn->address;
		if (conn->stream.tls)
			report_tls(conn, err ? sample->why : NULL, own);
		if (!err && target->kind == PROBE_HTTP)
			err = answer_get(item, target, conn);
		conn_put(conn, false);
	}
	sample->total_ns = bp_now(engine) - start - sample->dialed.queue_ns;
	if (!err)
		err = judge(set, own);
	item->bytes += sample->bytes;
	return err;
}
