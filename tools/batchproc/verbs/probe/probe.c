/* SPDX-License-Identifier: MIT */
/*
 * probe: whether endpoints answer, and how fast. The verb itself, and what an item does: one
 * sample, so many samples, or samples until one succeeds.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/message.h"
#include "cli/options.h"
#include "journal/file.h"
#include "journal/journal.h"
#include "output/output.h"
#include "run/feed.h"
#include "run/job.h"
#include "run/steer.h"
#include "verb.h"
#include "verbs/probe/histogram.h"
#include "verbs/probe/probe.h"
#include "verbs/probe/target.h"

/* What a run has of this verb: job->probe. */
struct probe_run {
	pthread_mutex_t lock; /* covers what follows */
	struct histogram times; /* of all samples of all items */
	bool repeats; /* there were several of one */
};

/* ---- an item */

/* A sample that is taken again where only a descriptor was missing. */
static int take_one(struct item *item, const struct probe_target *target)
{
	struct probe_item *own = item_priv(item);
	unsigned int tries = 0;
	int err;

	do {
		err = sample_take(item, target);
	} while (steer_await_descriptor(item->job, err, &tries));
	own->samples++;
	if (err)
		own->failed++;
	else if (own->times)
		histogram_add(own->times, own->last.total_ns / 1000);
	return err;
}

static bool was_stopped(int err)
{
	return err == -ECANCELED || (err == -ETIMEDOUT && bp_cancelled());
}

/* Waits for the next moment, @interval_ns after @start. Returns 0 to go on. */
static int await_next(struct item *item, uint64_t start, uint64_t interval_ns)
{
	uint64_t took = bp_now(item->job->engine) - start;

	return pace_nap(item->job, took < interval_ns ? interval_ns - took : 1);
}

static int take_many(struct item *item, const struct probe_target *target)
{
	const struct probe_settings *set = item->settings;
	struct probe_item *own = item_priv(item);
	int first = 0, err;
	char why[sizeof(own->last.text)] = "";

	own->times = xcalloc(1, sizeof(*own->times));
	for (uint64_t i = 0; i < set->repeat; i++) {
		uint64_t start = bp_now(item->job->engine);

		err = take_one(item, target);
		if (was_stopped(err))
			return err;
		if (err && !first) {
			first = err;
			snprintf(why, sizeof(why), "%s",
				 own->last.why ? own->last.why : error_text(err));
		}
		if (i + 1 == set->repeat)
			break;
		err = await_next(item, start, set->interval_ns);
		if (err)
			return err;
		/* What was asked for is not there: that is no success. */
		if (steer_stopping(item->job))
			return -ECANCELED;
	}
	if (first) {
		memcpy(own->last.text, why, sizeof(why));
		own->last.why = own->last.text;
	}
	return first;
}

/* *@last is what the last sample met that came to an end. */
static int take_until_up(struct item *item, const struct probe_target *target, int *last)
{
	const struct probe_settings *set = item->settings;
	uint64_t begin = bp_now(item->job->engine);

	for (;;) {
		uint64_t start = bp_now(item->job->engine);
		int err, pause;

		*last = 0;
		err = take_one(item, target);

		if (!err || was_stopped(err) || steer_stopping(item->job))
			return err;
		if (set->until_up_ns &&
		    bp_now(item->job->engine) - begin + set->interval_ns > set->until_up_ns)
			return err;
		*last = err;
		pause = await_next(item, start, set->interval_ns);
		if (pause)
			return pause;
		if (steer_stopping(item->job))
			return err;
	}
}

/* The same with a bound on the last one of them, too. */
static int take_until_time(struct item *item, const struct probe_target *target)
{
	const struct probe_settings *set = item->settings;
	struct probe_item *own = item_priv(item);
	struct bp_timeout scope;
	int err, last;

	if (!set->until_up_ns)
		return take_until_up(item, target, &last);
	bp_timeout_begin(&scope, set->until_up_ns);
	err = take_until_up(item, target, &last);
	if (!bp_timeout_end(&scope) || err != -ETIMEDOUT || bp_cancelled())
		return err;
	if (!last)
		own->last.why = "no answer within --until-up";
	return last ? last : err;
}

static void add_to_all(struct probe_run *all, const struct probe_item *own, int err)
{
	pthread_mutex_lock(&all->lock);
	if (own->times) {
		histogram_merge(&all->times, own->times);
		all->repeats = true;
	} else if (!err) {
		histogram_add(&all->times, own->last.total_ns / 1000);
	}
	pthread_mutex_unlock(&all->lock);
}

static int probe_work(struct item *item)
{
	const struct probe_settings *set = item->settings;
	struct probe_item *own = item_priv(item);
	struct probe_target target;
	const char *text = own->given ? own->given : item->name.data;
	const char *wrong = target_parse(&target, text, strlen(text));
	int err;

	free(own->times);
	own->times = NULL;
	own->samples = own->failed = 0;
	if (wrong) {
		item->why = wrong;
		return -EINVAL;
	}
	err = set->until_up   ? take_until_time(item, &target) :
	      set->repeat > 1 ? take_many(item, &target) :
				take_one(item, &target);
	target_free(&target);
	add_to_all(item->job->probe, own, err);
	item->why = err ? own->last.why : NULL;
	return err;
}

/* A second look would see the same. */
static bool probe_permanent(const struct item *item, int err)
{
	const struct probe_item *own = item_priv_const(item);
	int status = own->last.status;

	if (err == -EREMOTEIO)
		return status >= 400 && status < 500 && status != 408 && status != 429;
	return err == -EKEYREJECTED || err == -EKEYEXPIRED;
}

static void probe_release(struct item *item)
{
	struct probe_item *own = item_priv(item);

	buf_free(&own->tls);
	free(own->times);
	free(own->given);
}

/* Not what may be a secret, such as headers. */
static void probe_journal_options(const void *settings, struct buf *buf)
{
	const struct probe_settings *set = settings;

	net_journal_options(&set->net, buf);
	buf_str(buf, " expect-status=");
	statuses_text(&set->expected, buf);
	if (set->has_cert_days)
		buf_printf(buf, " cert-days=%lld", (long long)set->cert_days);
	if (set->body_text) {
		buf_str(buf, " expect-body=");
		journal_escape(buf, set->body_text, strlen(set->body_text));
	}
}

static void probe_list_path(const struct item *item, struct buf *buf)
{
	const struct probe_item *own = item_priv_const(item);

	buf_str(buf, own->given ? own->given : item->name.data);
}

static const struct item_ops probe_items = {
	.op = "probe",
	.source = SOURCE_ENDPOINT,
	.priv_size = sizeof(struct probe_item),
	.descriptors = 1, /* more for a race or a place in a line: there it waits for them */
	.work = probe_work,
	.permanent = probe_permanent,
	.text = report_text,
	.json = report_json,
	.list_path = probe_list_path,
	.release = probe_release,
	.journal_options = probe_journal_options,
};

/* ---- the verb */

static const char *probe_check(const struct jobspec *spec)
{
	static char text[128];
	struct probe_target target;

	if (!spec->count)
		return "names no target";
	for (size_t i = 0; i < spec->count; i++) {
		const char *name = jobspec_next(spec);
		const char *wrong = target_parse(&target, name, strlen(name));

		if (wrong) {
			snprintf(text, sizeof(text), "names a target that %s", wrong);
			return text;
		}
		target_free(&target);
	}
	return NULL;
}

static void probe_begin(struct job *job)
{
	net_begin(&job->net, job->engine);
	if (job->probe)
		return;
	job->probe = xcalloc(1, sizeof(*job->probe));
	pthread_mutex_init(&job->probe->lock, NULL);
}

static void probe_add(struct job *job, const struct jobspec *spec)
{
	probe_begin(job);
	for (size_t i = 0; i < spec->count; i++) {
		const char *text = jobspec_next(spec);
		struct buf name = {0};
		bool secret = target_shown(text, strlen(text), &name);
		struct item *item = item_new(job, spec->class, NULL, name.data, name.len);
		struct probe_item *own = item_priv(item);

		if (secret)
			own->given = xstrdup(text);
		buf_free(&name);
		item_submit(item);
	}
}

static void probe_feed(struct job *job)
{
	const struct probe_settings *set = job->class.settings;
	struct buf title = {0};

	if (!job->opt->json && !job->opt->dry_run) {
		report_title(set->repeat > 1, &title);
		output_add(job->output, SINK_OUT, title.data, title.len);
		buf_free(&title);
	}
	feed_each(job);
}

/* Over all samples of all targets. */
static void probe_tell(const struct job *job)
{
	const struct histogram *times = job->probe ? &job->probe->times : NULL;
	struct buf text = {0};

	if (!times || !times->count || !job->probe->repeats)
		return;
	buf_printf(&text, "%llu samples answered: p50 ", (unsigned long long)times->count);
	report_time(&text, 1000 * histogram_value(times, 0.5));
	buf_str(&text, ", p90 ");
	report_time(&text, 1000 * histogram_value(times, 0.9));
	buf_str(&text, ", p99 ");
	report_time(&text, 1000 * histogram_value(times, 0.99));
	buf_str(&text, ", max ");
	report_time(&text, 1000 * times->most);
	buf_char(&text, '\0');
	message("%s", text.data);
	buf_free(&text);
}

static void probe_totals(const struct job *job, struct buf *buf)
{
	if (job->probe && job->probe->times.count) {
		buf_str(buf, ",\"samples_answered\":");
		buf_u64(buf, job->probe->times.count);
		report_percentiles(&job->probe->times, buf);
	}
}

static int probe_run(const struct options *options)
{
	static const struct job_ops ops = {
		.journal = &journal_hooks,
		.one_each = true,
		.finds_limit = true,
		.feed = probe_feed,
	};

	return feed_run(options, &ops);
}

static void probe_cleanup(struct job *job)
{
	net_end(&job->net);
	if (job->probe)
		pthread_mutex_destroy(&job->probe->lock);
	free(job->probe);
	job->probe = NULL;
}

const struct verb probe_verb = {
	.name = "probe",
	.synopsis = "[options] TARGET...",
	.summary = "Whether endpoints answer, and how fast",
	.details =
		"TARGET is tcp://HOST:PORT, tls://HOST[:PORT], unix:PATH, or an http:// or https:// URL.\n"
		"Times are of the last sample: for the name, the connection, the TLS handshake, from the\n"
		"request to the first byte of the answer, and in all; waiting for a place is in none of\n"
		"them. http_proxy, https_proxy and no_proxy count for URLs.\n",
	.takes = TAKES_RUN | TAKES_ENGINE | TAKES_JSON,
	.options = probe_options,
	.items = &probe_items,
	.settings_size = sizeof(struct probe_settings),
	.settle = probe_settle,
	.drop = probe_drop,
	.unshare = probe_unshare,
	.check = probe_check,
	.add = probe_add,
	.tell = probe_tell,
	.totals = probe_totals,
	.cleanup = probe_cleanup,
	.run = probe_run,
};
