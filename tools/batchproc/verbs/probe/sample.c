/* SPDX-License-Identifier: MIT */
/*
 * sample: one look at a target. Each has a connection of its own, since it is that what is
 * measured.
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
	if (sample->status && !statuses_have(&set->expected, sample->status)) {
		snprintf(sample->text, sizeof(sample->text), "HTTP status %d", sample->status);
		sample->why = sample->text;
		return -EREMOTEIO;
	}
	return 0;
}

/* A connection alone. */
static int connect_target(struct item *item, const struct probe_target *target)
{
	const struct probe_settings *set = item->settings;
	struct probe_item *own = item_priv(item);
	struct net_conf conf = set->net.conf;
	struct target where = {.host = "", .raw = true, .tls = target->kind == PROBE_TLS};
	struct conn *conn;
	int err;

	conf.unix_socket = target->kind == PROBE_UNIX ? target->path : NULL;
	conf.tls = (struct tls_conf *)set->tls_offering_h2;
	if (target->kind != PROBE_UNIX) {
		where.host = target->url.host;
		where.port = target->url.port;
	}
	err = conn_get(item->job->net, &conf, &where, true, &conn, &own->last.dialed);
	own->last.why = own->last.dialed.why;
	if (conn) {
		report_conn(conn, err ? own->last.why : NULL, own);
		conn_put(conn, false);
	}
	return err;
}

int sample_take(struct item *item, const struct probe_target *target)
{
	const struct probe_settings *set = item->settings;
	struct probe_item *own = item_priv(item);
	struct sample *sample = &own->last;
	struct bp_engine *engine = item->job->engine;
	uint64_t start = bp_now(engine);
	int err;

	memset(sample, 0, sizeof(*sample));
	own->tls.len = 0;
	err = target->kind == PROBE_HTTP ? answer_get(item, target) : connect_target(item, target);
	sample->total_ns = bp_now(engine) - start - sample->dialed.queue_ns;
	if (!err)
		err = judge(set, own);
	item->bytes += sample->bytes;
	return err;
}
