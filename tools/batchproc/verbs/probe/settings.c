/* SPDX-License-Identifier: MIT */
/*
 * settings: the options of probe. Main thread; what settings point to, a pattern and the proxies of
 * the environment, is shared by all of a run and lives until probe_unshare().
 */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/parse.h"
#include "cli/options.h"
#include "net/shared.h"
#include "net/tls.h"
#include "verb.h"
#include "verbs/probe/probe.h"

#define TIMEOUT_NS 10000000000ull
#define INTERVAL_NS 1000000000ull

/* Of --expect-body. */
struct probe_pattern {
	struct probe_pattern *next;
	regex_t regex;
	char text[];
};

/* False, and nothing to free: it is none. */
static bool compile(regex_t *regex, const char *text)
{
	return !regcomp(regex, text, REG_EXTENDED | REG_NEWLINE);
}

static const char *read_body(void *to, const char *arg)
{
	struct probe_settings *set = to;
	regex_t regex;

	if (!compile(&regex, arg))
		return "an extended regular expression, as grep -E has it";
	regfree(&regex);
	set->body_text = arg;
	return NULL;
}

/* The same pattern is compiled once for all settings. */
static void settle_body(struct probe_settings *set, struct probe_pattern **patterns)
{
	struct probe_pattern *pattern = *patterns;
	size_t size = strlen(set->body_text) + 1;

	while (pattern && strcmp(pattern->text, set->body_text))
		pattern = pattern->next;
	if (!pattern) {
		pattern = xcalloc(1, sizeof(*pattern) + size);
		memcpy(pattern->text, set->body_text, size);
		if (!compile(&pattern->regex, pattern->text))
			out_of_memory();
		pattern->next = *patterns;
		*patterns = pattern;
	}
	set->body = &pattern->regex;
}

static const char *read_time(void *to, const char *arg)
{
	uint64_t *ns = to;

	return parse_time(arg, ns) && *ns ? NULL : "a time such as 1.5s, 200ms or 2m";
}

static const char *read_number(void *to, const char *arg)
{
	return parse_count(arg, 1, 1000000000, to) ? NULL : "a number, 1 or more";
}

static const char *read_statuses(void *to, const char *arg)
{
	return statuses_parse(to, arg);
}

static const char *read_cert_days(void *to, const char *arg)
{
	struct probe_settings *set = to;
	uint64_t number;

	if (!parse_count(arg, 0, 100000, &number))
		return "a number of days";
	set->has_cert_days = true;
	set->cert_days = (int64_t)number;
	return NULL;
}

static const char *read_interval(void *to, const char *arg)
{
	struct probe_settings *set = to;

	set->interval_given = true;
	return strcmp(arg, "0") ? read_time(&set->interval_ns, arg) : NULL;
}

static const char *read_until_up(void *to, const char *arg)
{
	struct probe_settings *set = to;

	set->until_up = true;
	return arg ? read_time(&set->until_up_ns, arg) : NULL;
}

static const char *settle_net(struct probe_settings *set, struct net_shared **shared)
{
	struct tls_settings tls;
	const char *wrong;

	set->net.tls.inspect = !set->net.tls.insecure;
	wrong = net_settle(&set->net, shared, TIMEOUT_NS, TIMEOUT_NS);
	if (wrong)
		return wrong;
	set->net.exchange.alone = true;
	tls = set->net.tls;
	tls.offer_h2 = true;
	set->tls_offering_h2 = tls_conf_get((*shared)->tls, &tls);
	return NULL;
}

const char *probe_settle(void *settings, struct common *common)
{
	struct probe_settings *set = settings;

	if (set->until_up && set->repeat)
		return "--until-up and --repeat exclude each other";
	if (set->interval_given && !set->until_up && !set->repeat)
		return "--interval needs --repeat or --until-up";
	if (!set->repeat)
		set->repeat = 1;
	if (!set->interval_given)
		set->interval_ns = INTERVAL_NS;
	if (!set->expected.count)
		statuses_parse(&set->expected, "200-399");
	if (set->body_text)
		settle_body(set, &common->patterns);
	return settle_net(set, &common->net);
}

void probe_drop(void *settings)
{
	net_options_free(&((struct probe_settings *)settings)->net);
}

void probe_unshare(struct common *common)
{
	struct probe_pattern *next;

	for (struct probe_pattern *pattern = common->patterns; pattern; pattern = next) {
		next = pattern->next;
		regfree(&pattern->regex);
		free(pattern);
	}
	common->patterns = NULL;
	net_unshare(&common->net);
}

#define AT(field, is) OPT_AT(struct probe_settings, field, is)

const struct opt probe_options[] = {
	{0, "expect-status", "LIST",
	 "HTTP statuses that are a success, such as 200,204 or 2xx or\n"
	 "200-399, which is the default",
	 read_statuses, AT(expected, struct statuses)},
	{0, "expect-body", "REGEX",
	 "what the body has to match, as grep -E has it, in its first MiB", read_body, OPT_WHOLE},
	{0, "compressed", NULL, "ask for gzip and deflate, and look at what they hold",
	 OPT_FLAG(struct probe_settings, compressed)},
	{0, "cert-days", "N", "fail where the certificate is valid for less than N more days",
	 read_cert_days, OPT_WHOLE},
	{0, "repeat", "N",
	 "N samples of each target, each on a connection of its own; the\n"
	 "target fails if one of them does",
	 read_number, AT(repeat, uint64_t)},
	{0, "interval", "T", "from the start of a sample to the start of the next (default 1s)",
	 read_interval, OPT_WHOLE},
	{0, "until-up", "[=T]",
	 "try each target again, every --interval, until it answers, at\n"
	 "most for T",
	 read_until_up, OPT_WHOLE},
	NET_OPTIONS(struct probe_settings, net, "10s", "10s"),
	OPT_END,
};
