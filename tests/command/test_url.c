/* SPDX-License-Identifier: MIT */
/*
 * test_url - URLs are read as RFC 3986 and the WHATWG's standard both read them, or refused by name
 */
#include "support/harness.h"
#include "base/buf.h"
#include "net/url.h"

/* The pieces of an URL, "scheme user:password host port target"; or what is wrong with it. */
static const char *pieces(const struct url *url, const char *wrong)
{
	static struct buf shown;

	shown.len = 0;
	if (wrong) {
		buf_str(&shown, wrong);
	} else {
		buf_str(&shown, url->tls ? "https " : "http ");
		if (url->user)
			buf_printf(&shown, "%s:%s ", url->user,
				   url->password ? url->password : "-");
		buf_printf(&shown, "%s %u %s", url->host, url->port, url->target);
	}
	buf_char(&shown, '\0');
	return shown.data;
}

struct url_row {
	const char *text, *expected;
};

static void expect_rows(const struct url_row *rows, size_t count)
{
	struct url url;

	for (size_t i = 0; i < count; i++) {
		const char *wrong = url_parse(&url, rows[i].text, strlen(rows[i].text));
		const char *got = pieces(&url, wrong);

		if (strcmp(got, rows[i].expected))
			record_failure("%s became '%s' instead of '%s'\n", rows[i].text, got,
				       rows[i].expected);
		url_free(&url);
	}
}

static void an_url_is_taken_to_pieces(struct test *t)
{
	static const struct url_row rows[] = {
		{"http://a", "http a 80 /"},
		{"https://a/", "https a 443 /"},
		{"HTTP://Ex-Am_ple.ORG./", "http ex-am_ple.org. 80 /"},
		{"http://a:8080/b?c#d", "http a 8080 /b?c"},
		{"http://a:/", "http a 80 /"},
		{"http://a:00443/", "http a 443 /"},
		{"http://a?b/c?d", "http a 80 /?b/c?d"},
		{"http://a#b", "http a 80 /"},
		{"http://a/?", "http a 80 /?"},
		{"http://127.0.0.1/", "http 127.0.0.1 80 /"},
		{"http://[::1]:81/", "http ::1 81 /"},
		{"http://[0:0:0:0:0:0:0:1]", "http ::1 80 /"},
		{"http://[::FFFF:1.2.3.4]/", "http ::ffff:1.2.3.4 80 /"},
		{"http://u:p@a/", "http u:p a 80 /"},
		{"http://u@a/", "http u:- a 80 /"},
		{"http://u:@a/", "http u: a 80 /"},
		{"http://%40%2f:%3a:%25@a/", "http @/:::% a 80 /"},
		{"http://a//b//", "http a 80 //b//"},
		{"http://a/b/../c", "http a 80 /c"},
		{"http://a/b/./c/.", "http a 80 /b/c/"},
		{"http://a/b/..", "http a 80 /"},
		{"http://a/../../b", "http a 80 /b"},
		{"http://a/b//../c", "http a 80 /b/c"},
		{"http://a/...", "http a 80 /..."},
		{"http://a/%2e%2E.", "http a 80 /%2e%2E."},
		{"http://a/%41%ff", "http a 80 /%41%ff"},
		{"http://a/\xc3\xa9?\xe2\x82\xac", "http a 80 /%C3%A9?%E2%82%AC"},
		{"http://a/-._~!$&'()*+,;=:@", "http a 80 /-._~!$&'()*+,;=:@"},
		{"http://1.a/", "http 1.a 80 /"},
		{"http://0xg/", "http 0xg 80 /"},
		{"http://xn--bcher-kva.example/", "http xn--bcher-kva.example 80 /"},
	};

	(void)t;
	expect_rows(rows, COUNT_OF(rows));
}

static const char wrong_port[] = "has a port that is no number up to 65535";
static const char wrong_ipv4[] = "has a host that some read as an IPv4 address";
static const char wrong_ipv6[] = "has no IPv6 address between its brackets";
static const char wrong_chars[] = "has characters that must be percent-encoded";
static const char wrong_host[] = "has a host with characters that cannot stand there";
static const char wrong_dots[] = "has percent-encoded dots for a step in its path";
static const char wrong_none[] = "does not begin with http:// or https://";
static const struct url_row refused[] = {
	{"", "is empty"},
	{"a", wrong_none},
	{"//a/b", wrong_none},
	{"/a", wrong_none},
	{"mailto:a", wrong_none},
	{"ftp://a/", "has another scheme than http and https"},
	{"httpss://a/", "has another scheme than http and https"},
	{"http:a", "lacks the // behind its scheme"},
	{"http:/a", "lacks the // behind its scheme"},
	{"http://", "has no host"},
	{"http:///a", "has no host"},
	{"http://:80/", "has no host"},
	{"http://u@/", "has no host"},
	{" http://a/", "has a blank"},
	{"http://a/b c", "has a blank"},
	{"http://a/\tb", "has a blank"},
	{"http://a/\r\nX: y", "has a control character"},
	{"http://a/\x7f", "has a control character"},
	{"http:\\\\a\\b", "has a backslash"},
	{"http://a/\xff", "is not UTF-8"},
	{"http://a/\xed\xa0\x80", "is not UTF-8"},
	{"http://a:b/", wrong_port},
	{"http://a:65536/", wrong_port},
	{"http://a:-1/", wrong_port},
	{"http://a:000080/", wrong_port},
	{"http://a:80:80/", wrong_port},
	{"http://a:0/", "has port 0"},
	{"http://a@b@c/", "has two @ in front of its path"},
	{"http://@a/", "has an empty user name"},
	{"http://:p@a/", "has an empty user name"},
	{"http://u%3av@a/", "has a user name with a colon"},
	{"http://u%0a@a/", "has a user name with characters that cannot stand there"},
	{"http://u:%00@a/", "has a password with characters that cannot stand there"},
	{"http://u:%4@a/", "has a password with characters that cannot stand there"},
	{"http://127.1/", wrong_ipv4},
	{"http://0x7f000001/", wrong_ipv4},
	{"http://0X7F.1/", wrong_ipv4},
	{"http://2130706433/", wrong_ipv4},
	{"http://127.0.0.01/", wrong_ipv4},
	{"http://127.0.0.1./", wrong_ipv4},
	{"http://256.1.1.1/", wrong_ipv4},
	{"http://a.0x/", wrong_ipv4},
	{"http://[::1/", wrong_ipv6},
	{"http://[::1]a/", wrong_ipv6},
	{"http://[]/", wrong_ipv6},
	{"http://[v1.a]/", wrong_ipv6},
	{"http://[::1::]/", wrong_ipv6},
	{"http://[fe80::1%25eth0]/", "has an IPv6 address with a zone"},
	{"http://a..b/", "has a host with an empty label"},
	{"http://.a/", "has a host with an empty label"},
	{"http://./", "has a host with an empty label"},
	{"http://%61/", "has a percent-encoded host"},
	{"http://a!b/", wrong_host},
	{"http://a]/", wrong_host},
	{"http://a|b/", wrong_host},
	{"http://a/%", "has a % without two hexadecimal digits behind it"},
	{"http://a/?%0g", "has a % without two hexadecimal digits behind it"},
	{"http://a/%2e", wrong_dots},
	{"http://a/b/%2E%2e/c", wrong_dots},
	{"http://a/.%2e", wrong_dots},
	{"http://a/[b]", wrong_chars},
	{"http://a/?<b>", wrong_chars},
	{"http://a/?^", wrong_chars},
	{"http://a/\"", wrong_chars},
	{"http://a/b|http://c/d", wrong_chars},
};

static void what_is_read_in_two_ways_is_refused_by_name(struct test *t)
{
	(void)t;
	expect_rows(refused, COUNT_OF(refused));
}

static void lengths_are_bounded(struct test *t)
{
	static char text[URL_LENGTH_MAX + 2];
	struct url url;

	(void)t;
	memset(text, 'a', sizeof(text));
	memcpy(text, "http://", 7);
	text[7 + 63] = '/';
	expect(!url_parse(&url, text, URL_LENGTH_MAX));
	expect(strlen(url.host) == 63 && strlen(url.target) == URL_LENGTH_MAX - 7 - 63);
	url_free(&url);
	expect(url_parse(&url, text, URL_LENGTH_MAX + 1));
	text[7 + 63] = 'a';
	text[7 + 64] = '/';
	expect(!strcmp(url_parse(&url, text, 80), "has a host with a label of more than 63 bytes"));
	text[7 + 64] = 'a';
	for (size_t i = 7 + 63; i < sizeof(text); i += 64)
		text[i] = '.';
	text[7 + 63 + 64] = '/';
	expect(!url_parse(&url, text, 500));
	url_free(&url);
	expect(!strcmp(url_parse(&url, text, 7) ?: "", "has no host"));
	text[7 + 63 + 64] = '.';
	expect(!strcmp(url_parse(&url, text, 500), "has a host of more than 253 bytes"));
}

static void international_names_become_ascii(struct test *t)
{
#ifdef BP_HAVE_IDN2
	static const struct url_row rows[] = {
		{"http://B\xc3\xbc"
		 "cher.example/",
		 "http xn--bcher-kva.example 80 /"},
		{"http://stra\xc3\x9f"
		 "e.example/",
		 "http xn--strae-oqa.example 80 /"},
		{"http://a\xe3\x80\x82"
		 "b/",
		 "http a.b 80 /"},
		{"http://\xe2\x84\x80/", "has a host with characters that cannot stand there"},
		/* Digits of full width spell an address. */
		{"http://\xef\xbc\x91\xef\xbc\x92/",
		 "has a host that some read as an IPv4 address"},
		/* A soft hyphen alone is nothing. */
		{"http://\xc2\xad/", "has a host with an empty label"},
	};
#else
	static const struct url_row rows[] = {
		{"http://B\xc3\xbc"
		 "cher.example/",
		 "has an international domain name, for which this batchproc was not built "
		 "(libidn2)"},
	};
#endif

	(void)t;
	expect_rows(rows, COUNT_OF(rows));
}

static void a_reference_is_resolved_against_where_it_came_from(struct test *t)
{
	static const char base_text[] = "http://u:p@a:81/b/c/d?q";
	static const struct url_row rows[] = {
		{"", "http a 81 /b/c/d?q"},
		{"#x", "http a 81 /b/c/d?q"},
		{"?y", "http a 81 /b/c/d?y"},
		{"g", "http a 81 /b/c/g"},
		{"./g", "http a 81 /b/c/g"},
		{"g/", "http a 81 /b/c/g/"},
		{"/g", "http a 81 /g"},
		{"//g", "http g 80 /"},
		{"//g:82?h i", "http g 82 /?h%20i"},
		{"g?y#s", "http a 81 /b/c/g?y"},
		{";x", "http a 81 /b/c/;x"},
		{".", "http a 81 /b/c/"},
		{"..", "http a 81 /b/"},
		{"../../../g", "http a 81 /g"},
		{"https://h/i", "https h 443 /i"},
		{"HTTPS://h", "https h 443 /"},
		{"  g h ", "http a 81 /b/c/g%20h"},
		{"/\xc3\xa9\xff?<\"a\">[]^`{|}",
		 "http a 81 /%C3%A9%FF?%3C%22a%22%3E%5B%5D%5E%60%7B%7C%7D"},
		{"http:g", "lacks the // behind its scheme"},
		{"ftp://g/", "has another scheme than http and https"},
		{"javascript:alert(1)", "does not begin with http:// or https://"},
		{"///g", "has no host"},
		{"/\\g", "has a backslash"},
		{"/%g", "has a % without two hexadecimal digits behind it"},
		{"/a\nb", "has a control character"},
		{"//h\xff/", "is not UTF-8"},
	};
	struct url base, url;

	(void)t;
	expect(!url_parse(&base, base_text, strlen(base_text)));
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const char *wrong = url_resolve(&url, &base, rows[i].text, strlen(rows[i].text));
		const char *got = pieces(&url, wrong);

		if (strcmp(got, rows[i].expected))
			record_failure("%s became '%s' instead of '%s'\n", rows[i].text, got,
				       rows[i].expected);
		url_free(&url);
	}
	url_free(&base);
}

static void text_has_no_credentials(struct test *t)
{
	static const char text[] = "HTTPS://user:secret@[::1]:8443/a?b#c";
	struct buf buf = {0};
	struct url url;

	(void)t;
	expect(!url_parse(&url, text, strlen(text)));
	url_text(&url, &buf);
	buf_char(&buf, '\0');
	expect(!strcmp(buf.data, "https://[::1]:8443/a?b"));
	buf.len = 0;
	url_decode(&buf, "a%20b%", 6);
	expect(buf.len == 4 && !memcmp(buf.data, "a b%", 4));
	buf_free(&buf);
	url_free(&url);
}

static const struct test_case cases[] = {
	ONCE(an_url_is_taken_to_pieces),
	ONCE(what_is_read_in_two_ways_is_refused_by_name),
	ONCE(lengths_are_bounded),
	ONCE(international_names_become_ascii),
	ONCE(a_reference_is_resolved_against_where_it_came_from),
	ONCE(text_has_no_credentials),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
