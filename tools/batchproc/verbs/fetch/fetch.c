/* SPDX-License-Identifier: MIT */
/*
 * fetch: gets URLs.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/calls.h"
#include "base/message.h"
#include "base/parse.h"
#include "cli/options.h"
#include "digest/hasher.h"
#include "digest/sumline.h"
#include "journal/journal.h"
#include "net/request.h"
#include "net/shared.h"
#include "net/tls.h"
#include "run/feed.h"
#include "run/job.h"
#include "run/pace.h"
#include "run/steer.h"
#include "verb.h"
#include "verbs/fetch/fetch.h"

#define CONNECT_NS 60000000000ull
#define FIRST_BYTE_NS 300000000000ull
#define STALL_NS 300000000000ull /* without a byte of a body */
#define REDIRS 20

/* ---- bandwidth */

static int pay(void *ctx, uint64_t bytes)
{
	return pace_bytes_limited(ctx) ? pace_bytes(ctx, bytes) : 0;
}

static void unpay(void *ctx, uint64_t bytes)
{
	if (pace_bytes_limited(ctx))
		pace_give_back(ctx, bytes);
}

static size_t block(void *ctx, size_t most)
{
	return pace_bytes_limited(ctx) ? pace_block(ctx, most) : most;
}

/* ---- items */

static int fetch_work(struct item *item)
{
	struct fetch_item *own = item_priv(item);
	unsigned int tries = 0;
	int err;

	do
		err = fetch_get(item);
	while (steer_await_descriptor(item->job, err, &tries));
	if (!err && own->unannounced)
		atomic_fetch_add_explicit(&item->job->fetch->unannounced, 1, memory_order_relaxed);
	return err;
}

/* An answer that will be the same. */
static bool fetch_permanent(const struct item *item, int err)
{
	const struct fetch_item *own = item_priv_const(item);
	int code = own->code;

	if (own->written || err == -EKEYREJECTED)
		return true;
	if (code >= 400 && code < 500)
		return code != 408 && code != 421 && code != 425 && code != 429;
	return code == 501 || code == 505;
}

static void fetch_json(const struct item *item, struct buf *buf)
{
	const struct fetch_item *own = item_priv_const(item);

	if (own->dst) {
		buf_str(buf, ",\"dst\":");
		buf_json(buf, own->dst, strlen(own->dst));
	}
	if (own->code)
		buf_printf(buf, ",\"code\":%d", own->code);
	if (own->redirects)
		buf_printf(buf, ",\"redirects\":%u", own->redirects);
	if (own->resumed)
		buf_str(buf, ",\"resumed\":true");
	if (own->unannounced)
		buf_str(buf, ",\"unannounced\":true");
	if (own->alg) {
		buf_printf(buf, ",\"alg\":\"%s\",\"digest\":\"", own->alg->name);
		buf_hex(buf, own->expected, own->alg->size);
		buf_char(buf, '"');
	}
}

static void fetch_list_path(const struct item *item, struct buf *buf)
{
	const struct fetch_item *own = item_priv_const(item);

	if (own->line)
		buf_str(buf, own->line);
	else
		buf_add(buf, item->name.data, item->name.len);
}

/* What an attempt left for one that does not come. */
static void fetch_release(struct item *item)
{
	struct fetch_item *own = item_priv(item);

	if (own->repeats && item->status != STATUS_OK && !item->job->opt->journal)
		place_discard(item);
	url_free(&own->url);
	free(own->line);
	free(own->path);
	free(own->dst);
}

static const struct item_ops fetch_items = {
	.op = "fetch",
	.source = SOURCE_URL,
	.priv_size = sizeof(struct fetch_item),
	.descriptors = 2,
	.work = fetch_work,
	.permanent = fetch_permanent,
	.json = fetch_json,
	.list_path = fetch_list_path,
	.release = fetch_release,
	.journal_options = fetch_journal_options,
	.journal_key = fetch_journal_key,
	.journal_result = fetch_journal_result,
	.journal_restore = fetch_journal_restore,
};

static void add_one(struct job *job, const struct item_class *class, const char *line)
{
	struct fetch_item parsed = {0}, *own;
	struct buf name = {0};
	const char *wrong = line_parse(&parsed, line, strlen(line), &name);
	struct item *item = item_new(job, class, NULL, name.data, name.len);

	own = item_priv(item);
	*own = parsed;
	buf_free(&name);
	if (!wrong) {
		item_submit(item);
		return;
	}
	snprintf(own->why, sizeof(own->why), "%s%s", strncmp(wrong, "the ", 4) ? "the URL " : "",
		 wrong);
	item->why = own->why;
	item_finish(item, STATUS_FAILED, -EINVAL);
}

static const char *fetch_check(const struct jobspec *spec)
{
	const struct fetch_settings *set = spec->class->settings;

	if (!spec->count)
		return "names no URL";
	if (set->to_stdout)
		return "cannot write to standard output, where what other jobs print would be "
		       "mixed with it";
	return set->output && spec->count > 1 ? "has one file of -o for more than one URL" : NULL;
}

static void fetch_begin(struct job *job)
{
	net_begin(&job->net, job->engine);
	if (job->fetch)
		return;
	job->fetch = xcalloc(1, sizeof(*job->fetch));
	job->fetch->pace =
		(struct stream_pace){.pay = pay, .unpay = unpay, .block = block, .ctx = job};
	job->fetch->places = places_new();
}

static void fetch_add(struct job *job, const struct jobspec *spec)
{
	fetch_begin(job);
	for (size_t i = 0; i < spec->count; i++)
		add_one(job, spec->class, jobspec_next(spec));
}

/* ---- options */

/* LIMIT/T: bytes in a time. */
static const char *read_low_speed(void *to, const char *arg)
{
	struct fetch_settings *set = to;
	const char *slash = strchr(arg, '/');
	char bytes[32];
	double limit;

	if (!slash || (size_t)(slash - arg) >= sizeof(bytes))
		return "bytes in a time, such as 10K/30s";
	memcpy(bytes, arg, (size_t)(slash - arg));
	bytes[slash - arg] = '\0';
	if (!parse_bytes(bytes, &limit) || !parse_time(slash + 1, &set->net.exchange.low.ns) ||
	    !set->net.exchange.low.ns)
		return "bytes in a time, such as 10K/30s";
	set->net.exchange.low.bytes = (uint64_t)limit;
	set->low_given = true;
	return NULL;
}

static const char *read_time(void *to, const char *arg)
{
	return parse_time(arg, to) ? NULL : "a time such as 500ms, 30s, 2m; 0 for none";
}

static const char *read_count(const char *arg, uint64_t least, uint64_t *value)
{
	return parse_count(arg, least, 1000000, value) ? NULL : "a number up to 1000000";
}

static const char *read_max_redirs(void *to, const char *arg)
{
	struct fetch_settings *set = to;

	set->redirs_given = true;
	return read_count(arg, 0, &set->max_redirs);
}

static const char *read_segments(void *to, const char *arg)
{
	size_t *segments = to;
	uint64_t count;

	if (!parse_count(arg, 1, SEGMENTS_MOST, &count))
		return "a number from 1 to 16";
	*segments = count;
	return NULL;
}

static const char *read_max_size(void *to, const char *arg)
{
	uint64_t *most = to;
	double bytes;

	if (!parse_bytes(arg, &bytes))
		return "bytes, such as 500M or 2G";
	*most = (uint64_t)bytes;
	return NULL;
}

static const char *read_directory(void *to, const char *arg)
{
	const char **dir = to;

	*dir = arg;
	return *arg ? NULL : "a directory";
}

static const char *read_output(void *to, const char *arg)
{
	struct fetch_settings *set = to;

	set->drop = !strcmp(arg, "none") || !strcmp(arg, "/dev/null");
	set->to_stdout = !strcmp(arg, "-") || !strcmp(arg, "/dev/stdout");
	set->output = set->drop || set->to_stdout ? NULL : arg;
	return *arg ? NULL : "a file, - for standard output, or none";
}

static const char *read_statuses(void *to, const char *arg)
{
	return statuses_parse(to, arg);
}

static const char *check_together(const struct fetch_settings *set)
{
	bool nowhere = set->drop || set->to_stdout;

	if ((set->output || nowhere) && (set->dir || set->by_disposition))
		return "-o says where it goes to; -P and --content-disposition do not go with it";
	if (nowhere && (set->update || set->keep_time))
		return "-u and -p need a file";
	if (set->update && set->by_disposition)
		return "-u needs a name before the server says one";
	return NULL;
}

static const char *fetch_settle(void *settings, struct common *common)
{
	struct fetch_settings *set = settings;
	const char *wrong = check_together(set);

	if (wrong)
		return wrong;
	wrong = net_settle(&set->net, &common->net, CONNECT_NS, FIRST_BYTE_NS);
	if (wrong)
		return wrong;
	if (!set->max_size)
		set->max_size = UINT64_MAX;
	if (!set->redirs_given)
		set->max_redirs = REDIRS;
	if (!set->low_given)
		set->net.exchange.low = (struct stream_low){.bytes = 1, .ns = STALL_NS};
	return NULL;
}

static void fetch_drop(void *settings)
{
	net_options_free(&((struct fetch_settings *)settings)->net);
}

static unsigned long long count_unannounced(const struct job *job)
{
	return job->fetch ? atomic_load(&job->fetch->unannounced) : 0;
}

static void fetch_tell(const struct job *job)
{
	unsigned long long count = count_unannounced(job);

	if (count)
		message("of %llu bodies nobody had announced the length: a cut one is not told "
			"from a whole one",
			count);
}

static void fetch_totals(const struct job *job, struct buf *buf)
{
	unsigned long long count = count_unannounced(job);

	if (count)
		buf_printf(buf, ",\"unannounced\":%llu", count);
}

/* USER:PASSWORD, which is no URL. */
static bool is_who_asks(const char *arg)
{
	const char *colon = strchr(arg, ':');

	return colon && strncmp(colon, "://", 3) != 0 && !strchr(arg, '/');
}

static int fetch_run(const struct options *options)
{
	static const struct job_ops ops = {
		.journal = &journal_hooks,
		.one_each = true,
		.finds_limit = true,
		.feed = feed_each,
	};
	const struct fetch_settings *set = options->settings;

	/* As curl has it: what may be a password is neither asked for nor shown. */
	if (set->update && options->arg_count && is_who_asks(options->args[0]))
		return usage_error(options->verb, "-u is --update, and takes no argument: who asks "
						  "is said with --user USER:PASSWORD");
	if (set->output && (options->list_count || options->arg_count > 1))
		return usage_error(options->verb, "-o is for one URL; -P DIR is for many");
	if (set->to_stdout && options->jobs != 1 && (options->list_count || options->arg_count > 1))
		return usage_error(options->verb,
				   "bodies would be mixed on standard output: -j 1 puts one "
				   "behind the other");
	if (set->to_stdout && options->json)
		return usage_error(options->verb, "--json and -o - both want standard output");
	return feed_run(options, &ops);
}

static void fetch_cleanup(struct job *job)
{
	net_end(&job->net);
	if (job->fetch)
		places_free(job->fetch->places);
	free(job->fetch);
	job->fetch = NULL;
}

static void fetch_unshare(struct common *common)
{
	net_unshare(&common->net);
}

#define AT(field, is) OPT_AT(struct fetch_settings, field, is)
#define FLAG(field) OPT_FLAG(struct fetch_settings, field)
#define TEXT(field) OPT_TEXT(struct fetch_settings, field)

static const struct opt fetch_options[] = {
	{'P', "directory-prefix", "DIR", "put files in DIR, and nowhere else", read_directory,
	 AT(dir, const char *)},
	{'o', "output", "FILE", "of one URL; - is standard output, none drops what comes",
	 read_output, OPT_WHOLE},
	{0, "content-disposition", NULL, "names as the servers give them", FLAG(by_disposition)},
	{'u', "update", NULL, "ask only for what is newer than the file that is there",
	 FLAG(update)},
	{'p', "preserve-time", NULL, "give files the time that the server says", FLAG(keep_time)},
	NET_OPTIONS(struct fetch_settings, net, "60s", "5m"),
	{0, "low-speed", "BYTES/T", "end a body that comes slower (1/5m)", read_low_speed,
	 OPT_WHOLE},
	{0, "segments", "N", "split a large body over up to N connections, by ranges",
	 read_segments, AT(segments, size_t)},
	{0, "hedge", "T", "ask the next of several mirrors only after T without an answer",
	 read_time, AT(hedge_ns, uint64_t)},
	{0, "max-redirs", "N", "redirections that are followed for an item (20)", read_max_redirs,
	 OPT_WHOLE},
	{0, "max-size", "BYTES", "refuse what is larger", read_max_size, AT(max_size, uint64_t)},
	{0, "compressed", NULL, "ask for gzip and deflate, and decompress", FLAG(compressed)},
	{0, "expect-status", "LIST", "such as 200,404 or 2xx (200-299)", read_statuses,
	 AT(expected, struct statuses)},
	OPT_END,
};

const struct verb fetch_verb = {
	.name = "fetch",
	.synopsis = "[options] [-P DIR | -o FILE] URL...",
	.summary = "Gets URLs",
	.details =
		"A line of a list is URL, URL TAB path, or URL TAB path TAB ALGORITHM:DIGEST. URL|URL\n"
		"are mirrors of one file, of which the first that answers is taken. Without\n"
		"a path the name is the last step of the URL's. A path never leaves -P DIR and goes\n"
		"through no symbolic link. A file gets its name when it is complete; what was there\n"
		"before is replaced then, and not touched otherwise.\n"
		"http_proxy, https_proxy, all_proxy and no_proxy are heeded as curl does.\n",
	.takes = TAKES_RUN | TAKES_ENGINE | TAKES_JSON,
	.options = fetch_options,
	.items = &fetch_items,
	.settings_size = sizeof(struct fetch_settings),
	.settle = fetch_settle,
	.drop = fetch_drop,
	.unshare = fetch_unshare,
	.check = fetch_check,
	.add = fetch_add,
	.tell = fetch_tell,
	.totals = fetch_totals,
	.cleanup = fetch_cleanup,
	.run = fetch_run,
};
