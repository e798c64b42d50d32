/* SPDX-License-Identifier: MIT */
/*
 * settings: the options of probe. Main thread; what settings point to, a pattern and the proxies of the
 * environment, is the process's and lives until probe_settings_free().
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/parse.h"
#include "net/proxy.h"
#include "net/request.h"
#include "net/tls.h"
#include "verb.h"
#include "verbs/probe/probe.h"

#define TIMEOUT_NS 10000000000ull
#define INTERVAL_NS 1000000000ull

enum {
	OPT_EXPECT_STATUS = OPT_VERB,
	OPT_EXPECT_BODY,
	OPT_CERT_DAYS,
	OPT_REPEAT,
	OPT_INTERVAL,
	OPT_UNTIL_UP,
	OPT_CONNECT_TIMEOUT,
	OPT_FIRST_BYTE_TIMEOUT,
	OPT_MAX_PER_HOST,
	OPT_UNIX_SOCKET,
	OPT_CACERT,
	OPT_CERT,
	OPT_KEY,
	OPT_INSECURE,
};

/* What settings point to, until the end of the run. */
static struct {
	pthread_mutex_t lock; /* covers what follows */
	bool proxies_read;
	struct proxies proxies;
	struct pattern {
		struct pattern *next;
		regex_t regex;
		char text[];
	} * patterns;
} shared = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* The same pattern is compiled once, and kept until the end of the run. */
static const char *set_body(struct probe_settings *set, const char *arg)
{
	const char *wanted = NULL;
	struct pattern *pattern;

	pthread_mutex_lock(&shared.lock);
	for (pattern = shared.patterns; pattern && strcmp(pattern->text, arg);
	     pattern = pattern->next)
		;
	if (!pattern) {
		size_t size = strlen(arg) + 1;

		pattern = xcalloc(1, sizeof(*pattern) + size);
		memcpy(pattern->text, arg, size);
		if (regcomp(&pattern->regex, arg, REG_EXTENDED | REG_NEWLINE)) {
			free(pattern);
			pattern = NULL;
			wanted = "an extended regular expression, as grep -E has it";
		} else {
			pattern->next = shared.patterns;
			shared.patterns = pattern;
		}
	}
	pthread_mutex_unlock(&shared.lock);
	if (pattern) {
		set->body = &pattern->regex;
		set->body_text = pattern->text;
	}
	return wanted;
}

static const char *set_time(uint64_t *ns, const char *arg)
{
	return parse_time(arg, ns) && *ns ? NULL : "a time such as 1.5s, 200ms or 2m";
}

static const char *set_number(uint64_t *number, const char *arg)
{
	return parse_count(arg, 1, 1000000000, number) ? NULL : "a number, 1 or more";
}

static const char *add_header(struct probe_settings *set, const char *arg)
{
	const char *wanted = header_check(arg);

	if (wanted)
		return wanted;
	if (set->header_count == PROBE_HEADERS)
		return "one of 32 headers at most";
	set->headers[set->header_count++] = arg;
	return NULL;
}

static const char *connection_option(struct probe_settings *set, int id, const char *arg)
{
	const char *wanted = NULL;
	uint64_t number = 0;

	switch (id) {
	case OPT_CONNECT_TIMEOUT:
		return set_time(&set->conf.connect_timeout_ns, arg);
	case OPT_FIRST_BYTE_TIMEOUT:
		return set_time(&set->exchange.first_byte_ns, arg);
	case OPT_MAX_PER_HOST:
		wanted = set_number(&number, arg);
		set->conf.max_per_host = (unsigned int)number;
		return wanted;
	case OPT_UNIX_SOCKET:
		set->conf.unix_socket = arg;
		return *arg ? NULL : "the path of a socket";
	case OPT_CACERT:
		set->cacert = arg;
		return NULL;
	case OPT_CERT:
		set->cert = arg;
		return NULL;
	case OPT_KEY:
		set->key = arg;
		return NULL;
	default: /* OPT_INSECURE */
		set->insecure = true;
		return NULL;
	}
}

const char *probe_option(void *settings, int id, const char *arg)
{
	struct probe_settings *set = settings;
	uint64_t number = 0;

	switch (id) {
	case OPT_EXPECT_STATUS:
		return statuses_parse(&set->expected, arg);
	case OPT_EXPECT_BODY:
		return set_body(set, arg);
	case OPT_CERT_DAYS:
		set->has_cert_days = true;
		if (!parse_count(arg, 0, 100000, &number))
			return "a number of days";
		set->cert_days = (int64_t)number;
		return NULL;
	case OPT_REPEAT:
		return set_number(&set->repeat, arg);
	case OPT_INTERVAL:
		set->interval_given = true;
		if (!strcmp(arg, "0"))
			return NULL;
		return set_time(&set->interval_ns, arg);
	case OPT_UNTIL_UP:
		set->until_up = true;
		return arg ? set_time(&set->until_up_ns, arg) : NULL;
	case 'H':
		return add_header(set, arg);
	case 'X':
		set->method = arg;
		return method_check(arg);
	default:
		return connection_option(set, id, arg);
	}
}

static const char *read_proxies(struct probe_settings *set)
{
	const char *wrong = NULL;

	pthread_mutex_lock(&shared.lock);
	if (!shared.proxies_read)
		wrong = proxies_read(&shared.proxies);
	shared.proxies_read = !wrong;
	pthread_mutex_unlock(&shared.lock);
	set->conf.proxies = &shared.proxies;
	return wrong;
}

static const char *settle_tls(struct probe_settings *set)
{
	struct tls_settings tls = {.cacert = set->cacert,
				   .cert = set->cert,
				   .key = set->key,
				   .insecure = set->insecure,
				   .inspect = !set->insecure};

	set->conf.tls = tls_conf_get(&tls);
	tls.offer_h2 = true;
	set->tls_offering_h2 = tls_conf_get(&tls);
	/* The system's certificates are read when the first handshake needs them. */
	return set->cacert || set->cert || set->key ? tls_conf_check(set->conf.tls) : NULL;
}

const char *probe_settle(void *settings)
{
	struct probe_settings *set = settings;
	const char *wrong;

	if (set->until_up && set->repeat)
		return "--until-up and --repeat exclude each other";
	if (set->interval_given && !set->until_up && !set->repeat)
		return "--interval needs --repeat or --until-up";
	if (!set->method)
		set->method = "GET";
	if (!set->repeat)
		set->repeat = 1;
	if (!set->interval_given)
		set->interval_ns = INTERVAL_NS;
	if (!set->conf.connect_timeout_ns)
		set->conf.connect_timeout_ns = TIMEOUT_NS;
	if (!set->exchange.first_byte_ns)
		set->exchange.first_byte_ns = TIMEOUT_NS;
	if (!set->expected.count)
		statuses_parse(&set->expected, "200-399");
	set->exchange.net = &set->conf;
	set->exchange.alone = true;
	wrong = read_proxies(set);
	return wrong ? wrong : settle_tls(set);
}

void probe_settings_free(void)
{
	pthread_mutex_lock(&shared.lock);
	while (shared.patterns) {
		struct pattern *next = shared.patterns->next;

		regfree(&shared.patterns->regex);
		free(shared.patterns);
		shared.patterns = next;
	}
	proxies_free(&shared.proxies);
	shared.proxies_read = false;
	pthread_mutex_unlock(&shared.lock);
}

const struct opt probe_options[] = {
	{OPT_EXPECT_STATUS, "expect-status", "LIST",
	 "HTTP statuses that are a success, such as 200,204 or 2xx or\n"
	 "200-399, which is the default"},
	{OPT_EXPECT_BODY, "expect-body", "REGEX",
	 "what the body has to match, as grep -E has it, in its first MiB"},
	{OPT_CERT_DAYS, "cert-days", "N",
	 "fail where the certificate is valid for less than N more days"},
	{OPT_REPEAT, "repeat", "N",
	 "N samples of each target, each on a connection of its own; the\n"
	 "target fails if one of them does"},
	{OPT_INTERVAL, "interval", "T",
	 "from the start of a sample to the start of the next (default 1s)"},
	{OPT_UNTIL_UP, "until-up", "[=T]",
	 "try each target again, every --interval, until it answers, at\n"
	 "most for T"},
	{OPT_CONNECT_TIMEOUT, "connect-timeout", "T",
	 "for name, connection, proxy and TLS together (default 10s)"},
	{OPT_FIRST_BYTE_TIMEOUT, "first-byte-timeout", "T",
	 "from the request to the first byte of the answer (default 10s)"},
	{OPT_MAX_PER_HOST, "max-per-host", "N",
	 "connections at once to a host and port (default 6; as many as are\n"
	 "wanted where it is this machine)"},
	{'X', "request", "METHOD", "method of the request instead of GET, such as HEAD"},
	{'H', "header", "LINE", "a header for the request, \"Name: value\"; may be given again"},
	{OPT_UNIX_SOCKET, "unix-socket", "PATH", "connect to this socket for http and https"},
	{OPT_CACERT, "cacert", "FILE", "trust these certificates (PEM) instead of the system's"},
	{OPT_CERT, "cert", "FILE", "show this certificate (PEM)"},
	{OPT_KEY, "key", "FILE", "its private key (PEM), where that is not in the same file"},
	{OPT_INSECURE, "insecure", NULL, "take certificates that do not verify"},
	OPT_END,
};
