/* SPDX-License-Identifier: MIT */
/*
 * record: what is written about an item and about a run.
 *
 * --json: one object a line for every input, then a summary. Without it the verb's own text goes
 * to standard output and failures to standard error. The fields stand in batchproc(1).
 */
#include <string.h>

#include "run/job.h"
#include "output/output.h"
#include "run/record.h"
#include "base/message.h"
#include "verb.h"

static const char *const status_names[STATUS_COUNT] = {
	[STATUS_OK] = "ok",
	[STATUS_FAILED] = "failed",
	[STATUS_TIMEOUT] = "timeout",
	[STATUS_CANCELLED] = "cancelled",
	[STATUS_REJECTED] = "rejected",
	[STATUS_NOT_STARTED] = "not_started",
	[STATUS_SKIPPED] = "skipped",
};

static const char *item_error(const struct item *item)
{
	if (item->why)
		return item->why;
	return item->err ? error_text(item->err) : NULL;
}

static void add_field(struct buf *buf, const char *name, uint64_t value)
{
	buf_str(buf, ",\"");
	buf_str(buf, name);
	buf_str(buf, "\":");
	buf_u64(buf, value);
}

bool record_add_names(struct buf *buf, const struct item *item, bool again)
{
	struct buf path = {0};
	bool known = true;

	if (again && item->ops->source != SOURCE_PATH && item->ops->list_path)
		item->ops->list_path(item, &path);
	else
		item_path(item, &path);
	buf_printf(buf, "\"op\":\"%s\",\"%s\":", item->ops->op, source_key(item->ops->source));
	buf_json(buf, path.data, path.len);
	path.len = 0;
	if (item->ops->dst)
		known = item->ops->dst(item, &path);
	if (path.len) {
		buf_str(buf, ",\"dst\":");
		buf_json(buf, path.data, path.len);
	}
	buf_free(&path);
	return known;
}

void record_add_status(struct buf *buf, const struct item *item)
{
	buf_printf(buf, ",\"status\":\"%s\"", status_names[item->status]);
}

static void add_json(struct buf *buf, const struct item *item)
{
	const struct job *job = item->job;
	const char *error = item_error(item);
	const char *name = item->err ? strerrorname_np(-item->err) : NULL;

	buf_str(buf, "{\"v\":1,\"seq\":");
	buf_u64(buf, item->seq);
	buf_char(buf, ',');
	record_add_names(buf, item, false);
	record_add_status(buf, item);
	if (name) {
		buf_str(buf, ",\"errno\":\"");
		buf_str(buf, name);
		buf_char(buf, '"');
	}
	if (error) {
		buf_str(buf, ",\"error\":");
		buf_json(buf, error, strlen(error));
	}
	if (item->ops->json)
		item->ops->json(item, buf);
	add_field(buf, "bytes", item->bytes);
	add_field(buf, "attempts", item->attempts);
	if (item->start_ns) {
		buf_str(buf, ",\"start\":\"");
		buf_time(buf, item->start_ns + job->real_offset_ns);
		buf_char(buf, '"');
		add_field(buf, "dur_us", (item->end_ns - item->start_ns) / 1000);
	}
	buf_str(buf, "}\n");
}

/* Passed over, although the user asked for it by name: that is an exit status of 1, too. */
static bool skipped_named(const struct item *item)
{
	return item->status == STATUS_SKIPPED && item->skipped_named;
}

/* Whether an item's end is worth a line on standard error. */
static bool wants_message(const struct item *item)
{
	const struct job *job = item->job;

	if (!job->wants_messages || item->silent)
		return false;
	switch (item->status) {
	case STATUS_OK:
		return false;
	case STATUS_FAILED:
	case STATUS_TIMEOUT:
		return true;
	case STATUS_SKIPPED:
		/*
		 * What the user named is missed; in a walk it is what find -type f leaves out. And
		 * what is only taken for done may have been named wrongly.
		 */
		return item->skipped_named || item_found_done(item) ||
		       (job->opt->verbose && !job->opt->dry_run);
	default:
		/* There may be millions; the last line counts them. */
		return job->opt->verbose;
	}
}

static void add_message(struct buf *buf, const struct item *item)
{
	const char *error = item_error(item);
	struct buf path = {0};

	item_path(item, &path);
	message_add_prefix(buf);
	buf_visible(buf, path.data, path.len);
	buf_str(buf, ": ");
	if (item->status == STATUS_SKIPPED)
		buf_str(buf, "skipped: ");
	buf_str(buf, error ? error : status_names[item->status]);
	buf_char(buf, '\n');
	buf_free(&path);
}

static void add_plan(struct buf *buf, const struct item *item)
{
	struct buf path = {0};

	/* It would not be done, or cannot be. */
	if (item->status != STATUS_SKIPPED || item->why)
		return;
	if (item->ops->plan) {
		item->ops->plan(item, buf);
		return;
	}
	item_path(item, &path);
	buf_str(buf, item->ops->op);
	buf_char(buf, ' ');
	buf_visible(buf, path.data, path.len);
	buf_char(buf, '\n');
	buf_free(&path);
}

/*
 * The item as input of the same command. A name with a newline cannot stand in a list of lines;
 * that is said, so that nobody takes the list for complete.
 */
static void add_again(struct buf *failed, struct buf *message, const struct item *item)
{
	const struct job *job = item->job;
	size_t from = failed->len;

	if (job->ops->again || item->ops->again) {
		(job->ops->again ? job->ops->again : item->ops->again)(item, failed);
		return;
	}
	(item->ops->list_path ? item->ops->list_path : item_path)(item, failed);
	/* Another one stands for it. */
	if (failed->len == from)
		return;
	if (!job->opt->null && memchr(failed->data + from, '\n', failed->len - from)) {
		message_add_prefix(message);
		buf_visible(message, failed->data + from, failed->len - from);
		buf_str(message, ": not written to --failed-to: a newline in a name needs -0\n");
		failed->len = from;
		return;
	}
	buf_char(failed, job->opt->null ? '\0' : '\n');
}

/* Its root is there again when this is to be done, and stands in --failed-to for it. */
static bool is_covered(const struct item *item)
{
	if (!item->below)
		return false;
	return item->ops->roots_cover ||
	       (item->ops->roots_last &&
		(item->status == STATUS_NOT_STARTED || item->status == STATUS_CANCELLED));
}

void record_item(struct item *item)
{
	const struct job *job = item->job;
	struct buf *lines = &item->lines;
	struct buf again = {0};

	lines->len = 0;
	if (job->opt->json)
		add_json(lines, item);
	else if (job->opt->dry_run)
		add_plan(lines, item);
	else if (item->ops->text)
		item->ops->text(item, lines);
	item->ends[SINK_OUT] = lines->len;

	if (wants_message(item))
		add_message(lines, item);
	if (job->opt->failed_to && (item_unsuccessful(item) || skipped_named(item)) &&
	    !is_covered(item))
		add_again(&again, lines, item);
	item->ends[SINK_ERR] = lines->len;

	buf_add(lines, again.data, again.len);
	item->ends[SINK_FAILED] = lines->len;
	if (job->journal)
		job->ops->journal->add(item, lines);
	item->ends[SINK_JOURNAL] = lines->len;
	buf_free(&again);
}

static const char *stop_name(const struct job *job)
{
	static const char *const names[] = {
		[STOP_NONE] = NULL,	      [STOP_SIGNAL] = "signal",
		[STOP_HALT] = "halt",	      [STOP_REACHED] = "reached",
		[STOP_DEADLINE] = "deadline", [STOP_TROUBLE] = "trouble",
	};

	return names[atomic_load(&job->stop)];
}

/* The limit, or the one that was found. */
static long limit_of(const struct job *job, const struct bp_group_stats *stats)
{
	if (!job->finds_limit)
		return job->limit;
	return stats->limit < job->limit ? stats->limit : job->limit;
}

static void summary_json(struct job *job, struct buf *buf, uint64_t wall_ns, int exit_status)
{
	const struct bp_engine_info *info = bp_engine_info(job->engine);
	const uint64_t peak = queue_peak(job), limit = (uint64_t)job->limit;
	struct bp_group_stats stats = {.sz = sizeof(stats)};
	const struct verb *verb;

	bp_group_stats(job->group, &stats);
	buf_str(buf, "{\"v\":1,\"summary\":true,\"op\":\"");
	buf_str(buf, job->opt->verb->name);
	buf_char(buf, '"');
	add_field(buf, "items", job->counts.ended);
	for (int i = 0; i < STATUS_COUNT; i++)
		add_field(buf, status_names[i], job->counts.of[i]);
	add_field(buf, "bytes", job->counts.bytes);
	add_field(buf, "wall_us", wall_ns / 1000);
	buf_printf(buf, ",\"backend\":\"%s\",\"reason\":", info->backend_name);
	buf_json(buf, info->reason, strlen(info->reason));
	add_field(buf, "loops", info->loops);
	add_field(buf, "limit", (uint64_t)limit_of(job, &stats));
	if (job->finds_limit)
		buf_printf(buf, ",\"limit_reason\":\"%s\"",
			   stats.limit_reason ? stats.limit_reason : "held");
	/* What was written off while it ran is not among those in flight. */
	add_field(buf, "peak", peak < limit ? peak : limit);
	if (filter_is_set(&job->opt->filter))
		add_field(buf, "excluded", atomic_load(&job->excluded));
	if (job->opt->shard.parts)
		buf_printf(buf, ",\"shard\":\"%llu/%llu\"",
			   (unsigned long long)job->opt->shard.part,
			   (unsigned long long)job->opt->shard.parts);
	if (stop_name(job))
		buf_printf(buf, ",\"stopped\":\"%s\"", stop_name(job));
	if (job->watch.cut)
		buf_str(buf, ",\"inputs_cut\":true");
	for (size_t i = 0; (verb = verb_at(i)); i++)
		if (verb->totals)
			verb->totals(job, buf);
	add_field(buf, "exit", (uint64_t)exit_status);
	buf_str(buf, "}\n");
}

static void add_counts(const struct job *job, struct buf *buf)
{
	const char *comma = "";

	for (int i = 0; i < STATUS_COUNT; i++) {
		if (!job->counts.of[i] && i != STATUS_OK)
			continue;
		buf_printf(buf, "%s%llu %s", comma, (unsigned long long)job->counts.of[i],
			   i == STATUS_NOT_STARTED ? "not started" : status_names[i]);
		comma = ", ";
	}
}

void record_summary(struct job *job, int exit_status)
{
	uint64_t wall_ns = bp_now(job->engine) - job->start_ns;
	struct bp_group_stats stats = {.sz = sizeof(stats)};
	struct buf line = {0};

	if (job->opt->json) {
		summary_json(job, &line, wall_ns, exit_status);
		output_add(job->output, SINK_OUT, line.data, line.len);
	}
	if (job->opt->verbose) {
		line.len = 0;
		message_add_prefix(&line);
		add_counts(job, &line);
		if (job->opt->shard.parts)
			buf_printf(&line, ", %llu of other parts",
				   (unsigned long long)job->other_shards);
		if (filter_is_set(&job->opt->filter))
			buf_printf(&line, ", %llu excluded",
				   (unsigned long long)atomic_load(&job->excluded));
		buf_str(&line, "; ");
		buf_bytes(&line, (double)job->counts.bytes);
		bp_group_stats(job->group, &stats);
		buf_printf(&line, "%s in %.3f s (%s, limit %ld%s%s)\n",
			   job->counts.bytes < 1000 ? "" : "B", (double)wall_ns / 1e9,
			   bp_engine_info(job->engine)->backend_name, limit_of(job, &stats),
			   job->finds_limit ? ", found: " : "",
			   !job->finds_limit  ? "" :
			   stats.limit_reason ? stats.limit_reason :
						"held");
		output_add(job->output, SINK_ERR, line.data, line.len);
	}
	buf_free(&line);
}

void record_stop(struct job *job, int exit_status)
{
	enum stop stop = atomic_load(&job->stop);
	int signal = atomic_load(&job->signal);
	/* Nothing else may have been said: of two that succeeded, three were to. */
	bool unmet = exit_status && !job->opt->dry_run && policy_wants_success(&job->opt->policy);
	struct buf line = {0};

	if (job->opt->quiet || (stop == STOP_NONE && !signal && !unmet))
		return;
	/* A race that was won is a success; there is nothing to complain about. */
	if (stop == STOP_REACHED && !signal && !job->opt->verbose)
		return;
	message_add_prefix(&line);
	if (signal)
		buf_printf(&line, "stopped by signal %d (SIG%s): ", signal,
			   sigabbrev_np(signal) ? sigabbrev_np(signal) : "?");
	else if (stop == STOP_DEADLINE)
		buf_str(&line, "stopped by --deadline: ");
	else if (stop == STOP_TROUBLE)
		buf_str(&line, "stopped: ");
	else if (stop == STOP_NONE)
		buf_printf(&line, "%s was not met: ", job->opt->policy.option);
	else
		buf_printf(&line, "%s %s: ", stop == STOP_REACHED ? "ended by" : "stopped by",
			   job->opt->policy.option);
	add_counts(job, &line);
	if (job->watch.cut)
		buf_str(&line, "; the list was not read to its end");
	buf_char(&line, '\n');
	output_add(job->output, SINK_ERR, line.data, line.len);
	buf_free(&line);
}
