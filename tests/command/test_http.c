/* SPDX-License-Identifier: MIT */
/*
 * test_http - responses, valid and malformed, are read the same by every parser that the build can
 * choose; values of headers mean what RFC 9110 says; and a request is what was asked for and
 * nothing else
 */
#include "support/harness.h"
#include "base/buf.h"
#include "net/chunked.h"
#include "net/fields.h"
#include "net/head.h"
#include "net/netrc.h"
#include "net/parser.h"
#include "net/request.h"
#include "net/url.h"

/* ---------------------------------------------------------------- heads */

/* "status kind length keep", or what is wrong. */
static const char *head_text(const struct head *head, const char *wrong)
{
	static const char *const kinds[] = {"none", "length", "chunked", "to-end"};
	static char text[256];
	int len;

	if (wrong)
		return wrong;
	len = snprintf(text, sizeof(text), "%d %s", head->status, kinds[head->body]);
	if (head->body == BODY_LENGTH)
		len += snprintf(text + len, sizeof(text) - (size_t)len, " %llu",
				(unsigned long long)head->length);
	snprintf(text + len, sizeof(text) - (size_t)len, head->keep ? " keep" : " close");
	return text;
}

#define OK1 "HTTP/1.1 200 OK\r\n"

static void a_table_of_responses_is_read_alike(struct test *t)
{
	static const struct {
		const char *text, *expected;
		bool bodiless;
	} rows[] = {
		{OK1 "\r\n", "200 to-end close", false},
		{OK1 "Content-Length: 5\r\n\r\n", "200 length 5 keep", false},
		{OK1 "content-length:5\r\n\r\n", "200 length 5 keep", false},
		{OK1 "Content-Length:   5  \r\n\r\n", "200 length 5 keep", false},
		{OK1 "Content-Length: 0\r\n\r\n", "200 length 0 keep", false},
		{OK1 "Content-Length: 5\r\nConnection: close\r\n\r\n", "200 length 5 close", false},
		{OK1 "Content-Length: 5\r\nConnection: x , Close ,y\r\n\r\n", "200 length 5 close",
		 false},
		{OK1 "Content-Length: 5\r\nConnection: closed\r\n\r\n", "200 length 5 keep", false},
		{"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", "200 length 5 close", false},
		{"HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: Keep-Alive\r\n\r\n",
		 "200 length 5 keep", false},
		{"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\n", "200 length 5 keep", false},
		{"HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\n", "200 length 5 keep", false},
		{"HTTP/1.1 200 \xc3\xa4 \xff\r\nContent-Length: 5\r\n\r\n", "200 length 5 keep",
		 false},
		{OK1 "X: \xc3\xa4\xff\r\nContent-Length: 5\r\n\r\n", "200 length 5 keep", false},
		{OK1 "X:\r\nContent-Length: 5\r\n\r\n", "200 length 5 keep", false},
		{OK1 "Transfer-Encoding: chunked\r\n\r\n", "200 chunked keep", false},
		{OK1 "TRANSFER-ENCODING:Chunked \r\n\r\n", "200 chunked keep", false},
		/* No body whatever the length says. */
		{"HTTP/1.1 304 x\r\nContent-Length: 5\r\n\r\n", "304 none keep", false},
		{"HTTP/1.1 304 x\r\nTransfer-Encoding: chunked\r\n\r\n", "304 none keep", false},
		{"HTTP/1.1 304 x\r\n\r\n", "304 none keep", false},
		{"HTTP/1.1 204 x\r\nContent-Length: 5\r\n\r\n", "204 none keep", false},
		{OK1 "Content-Length: 5\r\n\r\n", "200 none keep", true},
		{OK1 "Transfer-Encoding: gzip, chunked\r\n\r\n", "200 none keep", true},
		{OK1 "\r\n", "200 none keep", true},
		/* Messages of their own. */
		{"HTTP/1.1 100 Continue\r\n\r\n", "100 none keep", false},
		{"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", "103 none keep", false},
		{"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
		 "101 none close", false},
		{"HTTP/1.1 416 x\r\nContent-Range: bytes */5\r\nContent-Length: 0\r\n\r\n",
		 "416 length 0 keep", false},
	};
	struct head head = {0};

	(void)t;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		size_t len = strlen(rows[i].text), at = 0;
		const char *wrong = head_read(&head, rows[i].text, len, rows[i].bodiless);
		const char *got = head_text(&head, wrong);

		if (strcmp(got, rows[i].expected) != 0)
			record_failure("%s (%s): got '%s' instead of '%s'\n", rows[i].text,
				       parser_name(), got, rows[i].expected);
		expect_eq(head_length(rows[i].text, len, &at), len);
	}
	head_free(&head);
}

static void a_table_of_malformed_responses_is_refused_alike(struct test *t)
{
	static const char *const rows[] = {
		OK1 "Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
		OK1 "Content-Length: 5, 5\r\n\r\n",
		OK1 "Content-Length: +5\r\n\r\n",
		OK1 "Content-Length: -5\r\n\r\n",
		OK1 "Content-Length: 0x5\r\n\r\n",
		OK1 "Content-Length: 5 5\r\n\r\n",
		OK1 "Content-Length:\r\n\r\n",
		OK1 "Content-Length: 99999999999999999999\r\n\r\n",
		OK1 "Content-Length: 9223372036854775808\r\n\r\n",
		OK1 "Transfer-Encoding: gzip, chunked\r\n\r\n",
		OK1 "Transfer-Encoding: gzip\r\n\r\n",
		OK1 "Transfer-Encoding: identity\r\n\r\n",
		OK1 "Transfer-Encoding: chunked, chunked\r\n\r\n",
		OK1 "Transfer-Encoding: xchunked\r\n\r\n",
		OK1 "Transfer-Encoding: \"chunked\"\r\n\r\n",
		OK1 "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
		OK1 "Transfer-Encoding:\r\n\r\n",
		OK1 "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
		OK1 "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		OK1 "A b: c\r\n\r\n",
		OK1 "A : c\r\n\r\n",
		OK1 ": c\r\n\r\n",
		OK1 "A\r\n\r\n",
		OK1 "A: b\r\n c\r\n\r\n",
		OK1 " A: b\r\n\r\n",
		OK1 "A: b\n\r\n",
		OK1 "A: b\rc: d\r\n\r\n",
		OK1 "A: b\x01\r\n\r\n",
		"HTTP/1.1 200 OK\nA: b\n\n",
		"HTTP/2.0 200 OK\r\n\r\n",
		"HTTP/0.9 200 OK\r\n\r\n",
		"HTTP/1.2 200 OK\r\n\r\n",
		"HTTP/1.1 20 OK\r\n\r\n",
		"HTTP/1.1 2000 OK\r\n\r\n",
		"HTTP/1.1 099 OK\r\n\r\n",
		"HTTP/1.1 OK\r\n\r\n",
		"HTTP/1.1 -1 OK\r\n\r\n",
		"HTTP/1.1  200 OK\r\n\r\n",
		"http/1.1 200 OK\r\n\r\n",
		"ICY 200 OK\r\n\r\n",
		"GET / HTTP/1.1\r\n\r\n",
		"SSH-2.0-x\r\n\r\n",
		"\r\n" OK1 "\r\n",
	};
	struct head head = {0};

	(void)t;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (!head_read(&head, rows[i], strlen(rows[i]), false))
			record_failure("%s (%s) is taken for a response\n", rows[i], parser_name());
	head_free(&head);
}

/* Whatever piece comes first, the end is found where it is. */
static void the_end_of_a_head_is_found_in_pieces(struct test *t)
{
	static const char text[] = OK1 "A: b\r\nContent-Length: 3\r\n\r\nabc";
	const size_t end = sizeof(text) - 1 - 3;
	size_t at;

	(void)t;
	for (size_t first = 0; first < end; first++) {
		at = 0;
		expect_eq(head_length(text, first, &at), 0);
		expect_eq(head_length(text, sizeof(text) - 1, &at), end);
	}
}

static void headers_are_found_whatever_their_case(struct test *t)
{
	static const char text[] = OK1 "ETag: \"a\"\r\nX: 1\r\nx: 2 \r\nVary: a, B ,c\r\n\r\n";
	struct head head = {0};

	(void)t;
	expect(!head_read(&head, text, sizeof(text) - 1, false));
	expect(!strcmp(head_value(&head, "etag"), "\"a\""));
	expect(!strcmp(head_value(&head, "X"), "1"));
	expect(!head_value(&head, "Y"));
	expect(head_has_token(&head, "vary", "b") && head_has_token(&head, "x", "2"));
	expect(!head_has_token(&head, "vary", "ab"));
	head_free(&head);
}

static void headers_are_bounded(struct test *t)
{
	struct head head = {0};
	struct buf text = {0};
	const char *wrong;

	(void)t;
	buf_str(&text, OK1);
	for (int i = 0; i < HEAD_COUNT_MAX; i++)
		buf_str(&text, "A: b\r\n");
	buf_str(&text, "\r\n");
	expect(!head_read(&head, text.data, text.len, false));
	expect_eq(head.count, HEAD_COUNT_MAX);
	text.len -= 2;
	buf_str(&text, "A: b\r\n\r\n");
	wrong = head_read(&head, text.data, text.len, false);
	expect(wrong && strstr(wrong, "more than 200 headers"));
	buf_free(&text);
	head_free(&head);
}

/* ---------------------------------------------------------------- chunks */

/*
 * The content in pieces of at most @step bytes, and how it ended: "." at its end, "!" bad, "..."
 * cut.
 */
static const char *unchunk(const char *text, size_t len, size_t step)
{
	static struct buf out;
	struct chunked chunked = {0};
	enum chunk_found found = CHUNK_MORE;
	size_t piece, left = 0;

	out.len = 0;
	for (size_t at = 0; at < len && found == CHUNK_MORE; at += step) {
		const char *data = text + at;
		const char *end = len - at < step ? text + len : data + step;

		while ((found = chunked_next(&chunked, &data, end, &piece)) == CHUNK_DATA)
			buf_add(&out, data - piece, piece);
		left = (size_t)(text + len - data);
	}
	buf_str(&out, found == CHUNK_END ? "." : found == CHUNK_BAD ? "!" : "...");
	if (found == CHUNK_END && left)
		buf_printf(&out, "+%zu", left);
	buf_char(&out, '\0');
	return out.data;
}

static void chunks_are_put_together_or_refused(struct test *t)
{
	static const struct {
		const char *text, *expected;
	} rows[] = {
		{"5\r\nhello\r\n0\r\n\r\n", "hello."},
		{"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", "hello."},
		{"0\r\n\r\n", "."},
		{"0\r\n\r\nmore", ".+4"},
		{"000005\r\nhello\r\n00\r\n\r\n", "hello."},
		{"A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789."},
		{"5;a=b\r\nhello\r\n0;c\r\n\r\n", "hello."},
		{"5 ; a=\"\\\"b;c\"\r\nhello\r\n0\r\n\r\n", "hello."},
		{"5  \r\nhello\r\n0\r\n\r\n", "hello."},
		{"5\r\nhello\r\n0\r\nA: b\r\nC: d\r\n\r\n", "hello."},
		{"5\r\nhel", "hel..."},
		{"5\r\nhello\r\n", "hello..."},
		{"5\r\nhello\r\n0\r\n", "hello..."},
		{"5\r\nhello\r\n0\r\nA: b\r\n", "hello..."},
		{"", "..."},
		{"5\r\nhelloXX0\r\n\r\n", "hello!"},
		{"5\r\nhello\n0\r\n\r\n", "hello!"},
		{"5\rXhello\r\n0\r\n\r\n", "!"},
		{"5\nhello\r\n0\r\n\r\n", "!"},
		{"\r\n", "!"},
		{" 5\r\nhello\r\n0\r\n\r\n", "!"},
		{"-5\r\nhello\r\n0\r\n\r\n", "!"},
		{"+5\r\nhello\r\n0\r\n\r\n", "!"},
		{"0x5\r\nhello\r\n0\r\n\r\n", "!"},
		{"g\r\n", "!"},
		{"10000000000000000\r\n", "!"},
		{"5;\x01\r\n", "!"},
		{"0\r\n\rX", "!"},
		{"0\r\nA: b\n\r\n", "!"},
	};

	(void)t;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		for (size_t step = 1; step < 40; step++) {
			const char *got = unchunk(rows[i].text, strlen(rows[i].text), step);

			if (strcmp(got, rows[i].expected) != 0)
				record_failure("%s in steps of %zu became '%s', not '%s'\n",
					       rows[i].text, step, got, rows[i].expected);
		}
}

static void endless_framing_is_refused(struct test *t)
{
	struct buf text = {0};

	(void)t;
	buf_str(&text, "5;");
	for (unsigned int i = 0; i < CHUNK_FRAMING_MAX; i++)
		buf_char(&text, 'a');
	expect(!strcmp(unchunk(text.data, text.len, 4096), "!"));
	buf_free(&text);
}

/* ---------------------------------------------------------------- values */

static void dates_have_three_forms(struct test *t)
{
	static const char *const good[] = {"Sun, 06 Nov 1994 08:49:37 GMT",
					   "Sunday, 06-Nov-94 08:49:37 GMT",
					   "Sun Nov  6 08:49:37 1994"};
	static const char *const bad[] = {"",
					  "Sun, 06 Nov 1994 08:49:37",
					  "Sun, 06 Nov 1994 08:49:37 CET",
					  "Sun, 6 Nov 1994 08:49:37 GMT  ",
					  "Sun, 06 Nix 1994 08:49:37 GMT",
					  "Sun, 06 Nov 1994 24:49:37 GMT",
					  "Sun, 00 Nov 1994 08:49:37 GMT",
					  "1994-11-06T08:49:37Z and more",
					  "Sun Nov  6 08:49:37 19945"};
	struct buf buf = {0};
	int64_t seconds;

	(void)t;
	for (size_t i = 0; i < COUNT_OF(good); i++)
		expect(http_date_parse(good[i], &seconds) && seconds == 784111777);
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		if (http_date_parse(bad[i], &seconds))
			record_failure("'%s' is taken for a date\n", bad[i]);
	http_date_add(&buf, 784111777);
	buf_char(&buf, '\0');
	expect(!strcmp(buf.data, good[0]));
	buf_free(&buf);
}

static void retry_after_is_seconds_or_a_date(struct test *t)
{
	uint64_t ns;

	(void)t;
	expect(retry_after_parse("120", 0, &ns) && ns == 120000000000);
	expect(retry_after_parse("0", 0, &ns) && ns == 0);
	expect(retry_after_parse("Sun, 06 Nov 1994 08:49:37 GMT", 784111770, &ns) &&
	       ns == 7000000000);
	expect(retry_after_parse("Sun, 06 Nov 1994 08:49:37 GMT", 784111780, &ns) && ns == 0);
	expect(retry_after_parse("999999999999999", 0, &ns) && ns <= INT64_MAX);
	expect(!retry_after_parse("-1", 0, &ns) && !retry_after_parse("1.5", 0, &ns));
	expect(!retry_after_parse("soon", 0, &ns) && !retry_after_parse("", 0, &ns));
}

static void content_ranges_add_up(struct test *t)
{
	static const char *const bad[] = {"",
					  "bytes",
					  "bytes 2-1/5",
					  "bytes 0-5/5",
					  "bytes -1-2/5",
					  "items 0-1/5",
					  "bytes 0-1/5 ",
					  "bytes 0-1",
					  "bytes */*",
					  "bytes 0-1/5,2-3/5",
					  "bytes=0-1/5"};
	struct content_range range;

	(void)t;
	expect(content_range_parse("bytes 0-4/5", &range));
	expect(range.first == 0 && range.last == 4 && range.total == 5 && !range.unsatisfied);
	expect(content_range_parse("Bytes  7-9/*", &range) && range.total == UINT64_MAX);
	expect(content_range_parse("bytes */5", &range) && range.unsatisfied && range.total == 5);
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		if (content_range_parse(bad[i], &range))
			record_failure("'%s' is taken for a range\n", bad[i]);
}

static void weak_validators_are_told_from_strong_ones(struct test *t)
{
	(void)t;
	expect(etag_is_strong("\"a\"") && etag_is_strong("\"\""));
	expect(!etag_is_strong("W/\"a\"") && etag_is_valid("W/\"a\""));
	expect(!etag_is_valid("a") && !etag_is_valid("\"a") && !etag_is_valid("\"a\"b\""));
	expect(!etag_is_valid("\"") && !etag_is_valid("w/\"a\"") && !etag_is_valid(""));
	expect(etag_matches("\"a\"", "\"a\"") && !etag_matches("\"a\"", "\"b\""));
	expect(!etag_matches("W/\"a\"", "W/\"a\"") && !etag_matches("W/\"a\"", "\"a\""));
}

static void a_disposition_names_a_file(struct test *t)
{
	static const struct {
		const char *text, *expected;
	} rows[] = {
		{"attachment; filename=a.txt", "a.txt"},
		{"attachment;FileName=\"a b;c\\\"d\"", "a b;c\"d"},
		{"attachment; filename=\"a\"; filename*=UTF-8''%c3%a9%20b", "\xc3\xa9 b"},
		{"attachment; filename*=utf-8'en'b; filename=\"a\"", "b"},
		{"attachment; filename*=iso-8859-1''b; filename=a", "a"},
		{"attachment; x=\"; filename=no\"; filename=yes", "yes"},
		{"inline", NULL},
		{"attachment; filename", NULL},
		{"attachment; filenames=a", NULL},
		{"attachment; filename = a", "a"},
	};
	struct buf name = {0};

	(void)t;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		bool found;

		name.len = 0;
		found = disposition_name(rows[i].text, &name);
		buf_char(&name, '\0');
		if (found != !!rows[i].expected ||
		    (found && strcmp(name.data, rows[i].expected) != 0))
			record_failure("%s became '%s'\n", rows[i].text,
				       found ? name.data : "none");
	}
	buf_free(&name);
}

/* ---------------------------------------------------------------- requests */

static void a_request_is_what_was_asked_for(struct test *t)
{
	static const char text[] = "https://[::1]:8443/a?b";
	static const char *const headers[] = {"X: y", "user-agent:",	  "Accept: z",
					      "E;",   "Authorization: a", "Cookie: b"};
	struct request r = {.method = "GET", .range_last = UINT64_MAX};
	struct buf buf = {0};
	struct url url;

	(void)t;
	expect(!url_parse(&url, text, strlen(text)));
	r.url = &url;
	r.headers = headers;
	r.header_count = COUNT_OF(headers);
	request_add(&buf, &r);
	buf_char(&buf, '\0');
	expect(!strcmp(buf.data,
		       "GET /a?b HTTP/1.1\r\nHost: [::1]:8443\r\n"
		       "Accept-Encoding: identity\r\n"
		       "X: y\r\nAccept: z\r\nE: \r\nAuthorization: a\r\nCookie: b\r\n\r\n"));
	buf.len = 0;
	r = (struct request){.method = "POST",
			     .url = &url,
			     .whole_url = true,
			     .proxy_authorization = "Basic x",
			     .user = "Aladdin",
			     .password = "open sesame",
			     .headers = headers,
			     .header_count = COUNT_OF(headers),
			     .foreign_host = true,
			     .range_first = 5,
			     .range_last = UINT64_MAX,
			     .if_range = "\"v\"",
			     .has_body = true,
			     .body_len = 7,
			     .form = true};
	request_add(&buf, &r);
	buf_char(&buf, '\0');
	expect(!strcmp(buf.data,
		       "POST https://[::1]:8443/a?b HTTP/1.1\r\nHost: [::1]:8443\r\n"
		       "Proxy-Authorization: Basic x\r\n"
		       "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"
		       "Accept-Encoding: identity\r\nRange: bytes=5-\r\nIf-Range: \"v\"\r\n"
		       "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 7\r\n"
		       "X: y\r\nAccept: z\r\nE: \r\n\r\n"));
	buf_free(&buf);
	url_free(&url);
}

static void a_header_cannot_begin_another_one(struct test *t)
{
	static const char *const bad[] = {"",
					  "A",
					  "A b: c",
					  ": b",
					  "A: b\r\nC: d",
					  "A: b\n",
					  "A: \x01",
					  "A; b",
					  "Host: a",
					  "content-length: 1",
					  "Range: bytes=0-"};
	static const char *const good[] = {"A: b", "A:", "A;", "A:b\tc", "A: \xc3\xa9"};

	(void)t;
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		if (!header_check(bad[i]))
			record_failure("'%s' is taken for a header\n", bad[i]);
	for (size_t i = 0; i < COUNT_OF(good); i++)
		if (header_check(good[i]))
			record_failure("'%s' is not taken for a header\n", good[i]);
	expect(!method_check("GET") && !method_check("M-SEARCH"));
	expect(method_check("") && method_check("GET /") && method_check("G\r\n"));
	expect(method_check("connect") && method_check("TRACE"));
}

static void netrc_has_users_by_host(struct test *t)
{
	static const char text[] = "# machine no login no\n"
				   "machine a.example login u password p # rest\n"
				   "machine b.example\n\tlogin \"u v\"\n\tpassword \"p\\\"q\"\n"
				   "macdef init\ncd /pub\nmachine no\n\n"
				   "default login anonymous password me@\n";
	struct netrc netrc;
	const struct netrc_entry *entry;

	(void)t;
	expect(!netrc_parse(&netrc, text, strlen(text)));
	entry = netrc_find(&netrc, "A.EXAMPLE");
	expect(entry && !strcmp(entry->user, "u") && !strcmp(entry->password, "p"));
	entry = netrc_find(&netrc, "b.example");
	expect(entry && !strcmp(entry->user, "u v") && !strcmp(entry->password, "p\"q"));
	entry = netrc_find(&netrc, "no");
	expect(entry && !strcmp(entry->user, "anonymous"));
	netrc_free(&netrc);
	expect(netrc_parse(&netrc, "machine", 7) && netrc_parse(&netrc, "login a", 7));
	expect(netrc_parse(&netrc, "machine \"a", 10) && netrc_parse(&netrc, "machine a\0b", 11));
	expect(!netrc_parse(&netrc, "", 0) && !netrc_find(&netrc, "a"));
}

static const struct test_case cases[] = {
	ONCE(a_table_of_responses_is_read_alike),
	ONCE(a_table_of_malformed_responses_is_refused_alike),
	ONCE(the_end_of_a_head_is_found_in_pieces),
	ONCE(headers_are_found_whatever_their_case),
	ONCE(headers_are_bounded),
	ONCE(chunks_are_put_together_or_refused),
	ONCE(endless_framing_is_refused),
	ONCE(dates_have_three_forms),
	ONCE(retry_after_is_seconds_or_a_date),
	ONCE(content_ranges_add_up),
	ONCE(weak_validators_are_told_from_strong_ones),
	ONCE(a_disposition_names_a_file),
	ONCE(a_request_is_what_was_asked_for),
	ONCE(a_header_cannot_begin_another_one),
	ONCE(netrc_has_users_by_host),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
