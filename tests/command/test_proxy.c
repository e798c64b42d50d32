/* SPDX-License-Identifier: MIT */
/*
 * test_proxy - what the environment says of proxies, and the way through one
 */
#include <arpa/inet.h>
#include <netinet/in.h>

#include "support/harness.h"
#include "net/proxy.h"
#include "net/stream.h"

static const char *const all_names[] = {"http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY",
					"all_proxy",  "ALL_PROXY",  "no_proxy",	   "NO_PROXY"};

/* NAME, VALUE, ... NULL is the environment. */
static const char *read_with(struct proxies *proxies, const char *const *pairs)
{
	for (unsigned int i = 0; i < COUNT_OF(all_names); i++)
		unsetenv(all_names[i]);
	for (; *pairs; pairs += 2)
		setenv(pairs[0], pairs[1], 1);
	return proxies_read(proxies);
}

#define READ(proxies, ...) read_with(proxies, (const char *const[]){__VA_ARGS__, NULL})

static bool is_proxy(const struct proxy *proxy, const char *host, uint16_t port)
{
	return proxy && !strcmp(proxy->host, host) && proxy->port == port;
}

static void the_environment_names_proxies(struct test *t)
{
	struct proxies p;

	(void)t;
	expect(!READ(&p, "http_proxy", "http://proxy.test:3128", "https_proxy", "other.test"));
	expect(is_proxy(proxy_for(&p, false, "a.test"), "proxy.test", 3128));
	expect(is_proxy(proxy_for(&p, true, "a.test"), "other.test", 1080));
	proxies_free(&p);

	/* HTTP_PROXY is a header of CGI; the others count in both forms, small letters first. */
	expect(!READ(&p, "HTTP_PROXY", "bad.test", "HTTPS_PROXY", "upper.test:1"));
	expect(!proxy_for(&p, false, "a.test"));
	expect(is_proxy(proxy_for(&p, true, "a.test"), "upper.test", 1));
	proxies_free(&p);
	expect(!READ(&p, "https_proxy", "lower.test:2", "HTTPS_PROXY", "upper.test:1"));
	expect(is_proxy(proxy_for(&p, true, "a.test"), "lower.test", 2));
	proxies_free(&p);

	expect(!READ(&p, "ALL_PROXY", "[::1]:8080/", "http_proxy", ""));
	expect(is_proxy(proxy_for(&p, false, "a.test"), "::1", 8080));
	expect(is_proxy(proxy_for(&p, true, "a.test"), "::1", 8080));
	proxies_free(&p);

	expect(!READ(&p, "http_proxy", "HTTP://us%65r:p%40ss@proxy.test:1"));
	expect(is_proxy(proxy_for(&p, false, "a.test"), "proxy.test", 1));
	/* user:p@ss */
	expect(!strcmp(p.http->authorization, "Basic dXNlcjpwQHNz"));
	proxies_free(&p);
}

static void what_is_no_proxy_is_refused_without_its_value(struct test *t)
{
	static const char *const bad[] = {
		"socks5://proxy.test",
		"https://proxy.test",
		"http://",
		"http://a b",
		"proxy.test:0",
		"proxy.test:65536",
		"proxy.test:x",
		"[::1",
		"[::1]x",
		"proxy.test/path",
		"proxy.test?query",
		"u%0d%0a:secret@proxy.test",
		"u%4:secret@proxy.test",
		"http://secret@:1",
	};
	struct proxies p;

	(void)t;
	for (unsigned int i = 0; i < COUNT_OF(bad); i++) {
		const char *wrong = READ(&p, "https_proxy", bad[i]);

		if (!wrong || !strstr(wrong, "https_proxy") || strstr(wrong, "secret"))
			record_failure("%s: %s", bad[i], wrong);
		expect(!p.http && !p.https);
	}
}

static void some_hosts_are_asked_directly(struct test *t)
{
	static const struct {
		const char *list, *host;
		bool exempt;
	} all[] = {
		{"a.test", "a.test", true},
		{"a.test", "A.Test", true},
		{"a.test", "www.a.test", true},
		{".a.test", "a.test", true},
		{".a.test", "www.a.test", true},
		{"a.test", "ba.test", false},
		{"a.test", "a.test.other", false},
		{"a.test.", "a.test", true},
		{"a.test", "a.test.", true},
		{"x.test, a.test", "a.test", true},
		{"x.test a.test,", "a.test", true},
		{"*", "anything", true},
		{"*,x.test", "anything", false},
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "192.0.2.10", false},
		{"192.0.2.0/24", "192.0.2.200", true},
		{"192.0.2.0/25", "192.0.2.200", false},
		{"192.0.2.0/0", "198.51.100.1", true},
		{"192.0.2.0/33", "192.0.2.0", false},
		{"192.0.2.0/x", "192.0.2.0", false},
		{"10.0.0.0/8", "10.test", false},
		{"2.1", "192.0.2.1", false},
		{"[2001:db8::1]", "2001:db8::1", true},
		{"2001:db8::/32", "2001:db8:1::1", true},
		{"2001:db8::/32", "2001:db9::1", false},
		{"::/0", "192.0.2.1", false},
	};

	(void)t;
	for (unsigned int i = 0; i < COUNT_OF(all); i++) {
		struct proxies p;

		expect(!READ(&p, "http_proxy", "proxy.test", "no_proxy", all[i].list));
		if (!proxy_for(&p, false, all[i].host) != all[i].exempt)
			record_failure("%s, %s", all[i].list, all[i].host);
		proxies_free(&p);
	}
}

/* ---------------------------------------------------------------- CONNECT */

struct tunnel {
	struct test *t;
	const char *answer; /* in two parts, if there is a | in it */
	const char *host;
	int expected;
	const char *why;
	int fd[2];
	char request[512];
};

static int play_proxy(void *arg)
{
	struct tunnel *tunnel = arg;
	const char *rest = strchr(tunnel->answer, '|');
	size_t got = 0, first = rest ? (size_t)(rest - tunnel->answer) : strlen(tunnel->answer);

	while (!strstr(tunnel->request, "\r\n\r\n")) {
		ssize_t n = bp_recv(tunnel->fd[1], tunnel->request + got,
				    sizeof(tunnel->request) - 1 - got, 0);

		if (!expect(n > 0))
			return -EIO;
		got += (size_t)n;
	}
	if (first)
		expect_eq(bp_send(tunnel->fd[1], tunnel->answer, first, 0), first);
	if (rest) {
		bp_yield();
		expect_eq(bp_send(tunnel->fd[1], rest + 1, strlen(rest + 1), 0), strlen(rest + 1));
	}
	shutdown(tunnel->fd[1], SHUT_WR);
	return 0;
}

static int go_through(void *arg)
{
	struct tunnel *tunnel = arg;
	struct proxy proxy = {.authorization = (char *)"Basic abc"};
	struct stream stream;

	stream_init(&stream, tunnel->t->engine, tunnel->fd[0]);
	expect_eq(proxy_tunnel(&stream, &proxy, tunnel->host, 443), tunnel->expected);
	if (tunnel->why && (!stream.why || !strstr(stream.why, tunnel->why)))
		record_failure("%s: %s", tunnel->answer, stream.why);
	stream_close(&stream);
	return 0;
}

static void a_way_through_is_asked_for(struct test *t)
{
	static char endless[10000];
	static const struct {
		const char *answer;
		int expected;
		const char *why;
	} all[] = {
		{"HTTP/1.1 200 Connection established\r\n\r\n", 0, NULL},
		{"HTTP/1.0 200 OK\r\nVia: x\r\n\r|\n", 0, NULL},
		{"HTTP/1.1 2|99 \r\n\r\n", 0, NULL},
		{"HTTP/1.1 407 Who?\r\n\r\n", -EACCES, "407"},
		{"HTTP/1.1 407 Who?\r\n\r\na page", -EACCES, "407"},
		{"HTTP/1.1 401 Not you\r\n\r\na page", -EACCES, "401"},
		{"HTTP/1.1 502 Bad\r\n\r\n", -ECONNREFUSED, "5xx"},
		{"HTTP/1.1 403 No\r\n\r\n", -EACCES, "403"},
		{"HTTP/1.1 404 No\r\n\r\n", -ECONNREFUSED, "refused"},
		{"SSH-2.0-OpenSSH\r\n\r\n", -EPROTO, "not HTTP"},
		{"HTTP/1.1 200 OK\r\n\r\nmore", -EPROTO, "more than"},
		{"HTTP/1.1 200 OK\r\n", -ECONNRESET, "ended"},
		{"", -ECONNRESET, "ended"},
		{endless, -EPROTO, "too long"},
	};

	memset(endless, 'x', sizeof(endless) - 1);
	for (unsigned int i = 0; i < COUNT_OF(all); i++) {
		struct bp_group *g = group_with(t);
		struct tunnel tunnel = {t, all[i].answer, i % 2 ? "2001:db8::1" : "a.test",
					all[i].expected, .why = all[i].why};

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, tunnel.fd), 0);
		expect_eq(bp_go(g, play_proxy, &tunnel), 0);
		expect_eq(bp_go(g, go_through, &tunnel), 0);
		expect_eq(bp_wait(g), 0);
		expect(strstr(tunnel.request, i % 2 ? "CONNECT [2001:db8::1]:443 HTTP/1.1\r\n"
						      "Host: [2001:db8::1]:443\r\n" :
						      "CONNECT a.test:443 HTTP/1.1\r\n"
						      "Host: a.test:443\r\n") == tunnel.request);
		expect(strstr(tunnel.request, "\r\nProxy-Authorization: Basic abc\r\n\r\n"));
		close(tunnel.fd[1]);
		bp_group_destroy(g);
	}
}

static const struct test_case cases[] = {
	ONCE(the_environment_names_proxies),
	ONCE(what_is_no_proxy_is_refused_without_its_value),
	ONCE(some_hosts_are_asked_directly),
	EACH_ROW(a_way_through_is_asked_for),
};

int main(int argc, char **argv)
{
	return RUN_REAL_CASES(argc, argv, cases);
}
