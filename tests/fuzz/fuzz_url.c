/* SPDX-License-Identifier: MIT */
/*
 * fuzz_url: an URL that is taken reads the same when it is written down and read again; what it is
 * taken to pieces as is what libcurl takes it to pieces as, where that is there; and whatever a
 * server redirects to is an URL or refused.
 *
 * The first line is the URL, the rest a reference.
 *
 * fuzzes: tools/batchproc/net/url.c tools/batchproc/base/buf.c
 */
#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#ifdef BP_HAVE_CURL
#include <curl/curl.h>
#endif

#include "fuzz.h"
#include "base/buf.h"
#include "net/url.h"

static void must_be_clean(const char *text)
{
	must(*text);
	for (; *text; text++)
		must(*text > ' ' && *text < 0x7f);
}

static void check_again(const struct url *url)
{
	struct buf text = {0};
	struct url again;

	must_be_clean(url->host);
	must_be_clean(url->target);
	must(url->target[0] == '/' && url->path_len <= strlen(url->target));
	must(!memchr(url->target, '?', url->path_len) && !strchr(url->target, '#'));
	url_text(url, &text);
	must(!url_parse(&again, text.data, text.len));
	must(url_same_origin(url, &again) && !strcmp(url->target, again.target));
	must(url->path_len == again.path_len && url->literal == again.literal);
	url_free(&again);
	buf_free(&text);
}

#ifdef BP_HAVE_CURL
static char *part(CURLU *handle, CURLUPart which, unsigned int flags)
{
	char *text = NULL;

	curl_url_get(handle, which, &text, flags);
	return text;
}

static void must_equal(char *theirs, const char *ours)
{
	must(!theirs == !ours);
	must(!ours || !strcasecmp(theirs, ours));
	curl_free(theirs);
}

/* libcurl leaves a literal as it was written. */
static void must_be_host(char *theirs, const struct url *url)
{
	struct in6_addr a, b;

	must(theirs);
	if (url->ipv6) {
		size_t len = strlen(theirs);

		must(theirs[0] == '[' && theirs[len - 1] == ']');
		theirs[len - 1] = '\0';
		must(inet_pton(AF_INET6, theirs + 1, &a) == 1);
		must(inet_pton(AF_INET6, url->host, &b) == 1 && !memcmp(&a, &b, sizeof(a)));
	} else {
		must(!strcasecmp(theirs, url->host));
	}
	curl_free(theirs);
}

static void ask_curl(const char *text, size_t len, const struct url *url)
{
	CURLU *handle = curl_url();
	char *query, *theirs;
	struct buf copy = {0};
	char port[8], path[3 * URL_LENGTH_MAX];
	bool ascii = true;

	/* International names it converts by other rules, and only when it connects. */
	for (size_t i = 0; i < len; i++)
		ascii = ascii && !(text[i] & 0x80);
	if (!ascii)
		goto out;
	buf_add(&copy, text, len);
	buf_char(&copy, '\0');
	must(curl_url_set(handle, CURLUPART_URL, copy.data, 0) == CURLUE_OK);
	must_equal(part(handle, CURLUPART_SCHEME, 0), url->tls ? "https" : "http");
	must_equal(part(handle, CURLUPART_USER, CURLU_URLDECODE), url->user);
	must_equal(part(handle, CURLUPART_PASSWORD, CURLU_URLDECODE), url->password);
	must_be_host(part(handle, CURLUPART_HOST, 0), url);
	snprintf(port, sizeof(port), "%u", url->port);
	must_equal(part(handle, CURLUPART_PORT, CURLU_DEFAULT_PORT), port);
	snprintf(path, sizeof(path), "%.*s", (int)url->path_len, url->target);
	must_equal(part(handle, CURLUPART_PATH, 0), path);
	query = strchr(url->target, '?');
	theirs = part(handle, CURLUPART_QUERY, 0);
	/* An empty query is none for some of its versions. */
	must_equal(theirs, query && (query[1] || theirs) ? query + 1 : NULL);
out:
	buf_free(&copy);
	curl_url_cleanup(handle);
}
#else
static void ask_curl(const char *text, size_t len, const struct url *url)
{
	(void)text;
	(void)len;
	(void)url;
}
#endif

int fuzz_url(const uint8_t *data, size_t size)
{
	static const char standby[] = "http://host/a/b?c";
	const char *text = (const char *)data, *rest = memchr(data, '\n', size);
	size_t len = rest ? (size_t)(rest - text) : size;
	struct url url, target;
	const char *wrong = url_parse(&url, text, len);

	if (!wrong) {
		check_again(&url);
		ask_curl(text, len, &url);
	} else {
		must(!url.store);
		must(!url_parse(&url, standby, strlen(standby)));
	}
	if (rest && !url_resolve(&target, &url, rest + 1, size - len - 1)) {
		check_again(&target);
		url_free(&target);
	}
	url_free(&url);
	return 0;
}
