/* SPDX-License-Identifier: MIT */
/*
 * cmd_fetch_again - what was begun is gone on with only where the server proves that it is the same
 * still; where redirections lead, and what they take along
 */
#include <sys/stat.h>

#include "support/bodies.h"
#include "support/cmd.h"
#include "support/httpd.h"
#include "support/records.h"

static struct httpd httpd;

static const char *at(const char *path)
{
	static char urls[8][256];
	static unsigned int next;
	char *url = urls[next++ % 8];

	snprintf(url, sizeof(urls[0]), "%s%s", httpd.url, path);
	return url;
}

static void begin(struct test *t, answer_fn answer, void *ctx)
{
	bodies_begin(t, &httpd, answer, ctx);
}

/* ---------------------------------------------------------------- ranges */

/* How the server of this test treats what asks for the rest. */
struct manner {
	const char *etag; /* of the first response; NULL: none */
	const char *etag_of_rest;
	long shift; /* of what Content-Range says */
	int status; /* of the answer to a range; 0: 206 */
	atomic_uint whole, rest; /* how often it was asked */
};

static void answer_range(struct asked *a, struct manner *m, size_t from)
{
	atomic_fetch_add(&m->rest, 1);
	if (m->status == 200) {
		say_ok(a, "", body, sizeof(body));
		return;
	}
	if (m->status) {
		say(a, "HTTP/1.1 %d x\r\nContent-Length: 0\r\n\r\n", m->status);
		return;
	}
	say(a, "HTTP/1.1 206 Partial\r\nETag: %s\r\nContent-Range: bytes %zu-%u/%u\r\n",
	    m->etag_of_rest, from + (size_t)m->shift, BODY_BYTES - 1, BODY_BYTES);
	say(a, "Content-Length: %zu\r\n\r\n", sizeof(body) - from);
	say_bytes(a, body + from, sizeof(body) - from);
}

/* The first time the body breaks off in the middle. */
static void answer_in_parts(struct asked *a, void *ctx)
{
	struct manner *m = ctx;
	const char *range = asked_header(a, "Range");
	size_t from;

	if (range && sscanf(range, "bytes=%zu-", &from) == 1 && from < sizeof(body)) {
		answer_range(a, m, from);
		return;
	}
	say(a, "HTTP/1.1 200 OK\r\n");
	if (m->etag)
		say(a, "ETag: %s\r\n", m->etag);
	say(a, "Content-Length: %zu\r\n\r\n", sizeof(body));
	if (atomic_fetch_add(&m->whole, 1)) {
		say_bytes(a, body, sizeof(body));
		return;
	}
	say_bytes(a, body, sizeof(body) / 2);
	say_end(a);
}

static void expect_whole_in_the_end(struct test *t, struct manner *m, unsigned int whole,
				    unsigned int rest, int line)
{
	struct run *run;

	begin(t, answer_in_parts, m);
	run = BP("fetch", "--retries", "3", "--retry-delay", "1ms", at("/f"));
	if (run->status || !is_body("f") || files_here() != 1)
		record_failure("line %d: exit %d, %zu files: %s\n", line, run->status, files_here(),
			       run->err.data);
	if (atomic_load(&m->whole) != whole || atomic_load(&m->rest) != rest)
		record_failure("line %d: %u asked for the whole, %u for the rest\n", line,
			       atomic_load(&m->whole), atomic_load(&m->rest));
	httpd_stop(&httpd);
}

#define EXPECT_WHOLE(whole, rest, ...)                                                             \
	expect_whole_in_the_end(t, &(struct manner){__VA_ARGS__}, whole, rest, __LINE__)

static void the_rest_is_taken_where_it_is_of_the_same(struct test *t)
{
	need_attributes(t);
	EXPECT_WHOLE(1, 1, .etag = "\"v\"", .etag_of_rest = "\"v\"");
}

static void what_may_be_of_something_else_begins_anew(struct test *t)
{
	need_attributes(t);
	/* It has changed, and a part comes all the same. */
	EXPECT_WHOLE(2, 1, .etag = "\"v\"", .etag_of_rest = "\"w\"");
	/* Another part. */
	EXPECT_WHOLE(2, 1, .etag = "\"v\"", .etag_of_rest = "\"v\"", .shift = 1);
	/* A weak validator, or none, is not even tried. */
	EXPECT_WHOLE(2, 0, .etag = "W/\"v\"", .etag_of_rest = "W/\"v\"");
	EXPECT_WHOLE(2, 0, .etag = NULL, .etag_of_rest = "\"v\"");
	/* A match that is answered as if it had been a condition, and a range that is none. */
	EXPECT_WHOLE(2, 1, .etag = "\"v\"", .status = 304);
	EXPECT_WHOLE(2, 1, .etag = "\"v\"", .status = 416);
	/* A whole in place of a part. */
	EXPECT_WHOLE(1, 1, .etag = "\"v\"", .status = 200);
}

/* It breaks off before the first byte, and then there is no such thing any more. */
static void answer_once_with_nothing(struct asked *a, void *ctx)
{
	atomic_uint *times = ctx;

	if (atomic_fetch_add(times, 1)) {
		say(a, "HTTP/1.1 404 x\r\nContent-Length: 0\r\n\r\n");
		return;
	}
	say(a, "HTTP/1.1 200 OK\r\nETag: \"v\"\r\nContent-Length: %u\r\n\r\n", BODY_BYTES);
	say_end(a);
}

static void a_part_without_a_byte_does_not_stay(struct test *t)
{
	atomic_uint times = 0;

	need_attributes(t);
	begin(t, answer_once_with_nothing, &times);
	expect_exit(BP("fetch", "--retries", "3", "--retry-delay", "1ms", at("/f")), 1);
	expect_eq(atomic_load(&times), 2);
	expect_eq(files_here(), 0);
	httpd_stop(&httpd);
}

static void answer_full_length(struct asked *a, void *ctx)
{
	(void)ctx;
	if (asked_header(a, "Range"))
		say(a, "HTTP/1.1 416 x\r\nContent-Range: bytes */%u\r\nContent-Length: 0\r\n\r\n",
		    BODY_BYTES);
	else
		say_end(a);
}

/* What a run that was killed just before the rename has left. */
static void a_part_that_is_the_whole_needs_no_more(struct test *t)
{
	struct manner m = {.etag = "\"v\"", .etag_of_rest = "\"v\""};
	struct run *run;

	need_attributes(t);
	begin(t, answer_in_parts, &m);
	expect_exit(BP("fetch", "--journal", "j", at("/f")), 1);
	expect_eq(files_here(), 1);
	httpd.answer = answer_full_length;
	make_bytes("whole", body, sizeof(body));
	run = SH("cat whole >$(find . -name '.*' -type f) && rm whole");
	expect_exit(run, 0);
	run = BP("fetch", "--journal", "j", "--resume", "--json", at("/f"));
	expect_exit(run, 0);
	expect(expect_records(run, 1)->all[0].resumed);
	expect(is_body("f"));
	expect_eq(files_here(), 1);
	httpd_stop(&httpd);
}

/* A digest is that of all, also of what was there. */
static void a_digest_holds_over_both_parts(struct test *t)
{
	struct manner m = {.etag = "\"v\"", .etag_of_rest = "\"v\""};
	char line[512];
	struct run *sum;

	need_attributes(t);
	begin(t, answer_in_parts, &m);
	make_bytes("whole", body, sizeof(body));
	sum = SH("sha256sum <whole | cut -d' ' -f1 | tr -d '\\n'; rm whole");
	snprintf(line, sizeof(line), "%s\tf\tsha256:%s", at("/x"), sum->out.data);
	expect_exit(BP("fetch", "--retries", "1", "--retry-delay", "1ms", line), 0);
	expect(is_body("f"));
	expect_eq(atomic_load(&m.rest), 1);
	line[strlen(line) - 1] ^= 1;
	expect_exit(SH("echo precious >f"), 0);
	expect_exit(BP("fetch", line), 1);
	expect(!is_body("f"));
	expect_eq(files_here(), 1);
	httpd_stop(&httpd);
}

/* ---------------------------------------------------------------- conditions */

static void answer_when_modified(struct asked *a, void *ctx)
{
	atomic_uint *modified = ctx;
	const char *since = asked_header(a, "If-Modified-Since");
	bool same = since && !strcmp(since, "Sun, 06 Nov 1994 08:49:37 GMT");
	const char *match = asked_header(a, "If-None-Match");

	if (match)
		same = !strcmp(match, "\"1\"");
	if (same && !atomic_load(modified))
		say(a, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n");
	else
		say_ok(a, "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\nETag: \"1\"\r\n",
		       atomic_load(modified) ? "later" : "hello", 5);
}

static void only_what_has_changed_is_got(struct test *t)
{
	atomic_uint modified = 0;
	struct stat st;
	struct run *run;

	begin(t, answer_when_modified, &modified);
	expect_exit(BP("fetch", "-u", at("/f")), 0);
	expect(!stat("f", &st) && st.st_mtime == 784111777 && st.st_size == 5);
	run = BP("fetch", "-u", "--json", at("/f"));
	expect_exit(run, 0);
	expect_eq(expect_records(run, 1)->skipped, 1);
	atomic_store(&modified, 1);
	run = BP("fetch", "-u", "--json", at("/f"));
	expect_exit(run, 0);
	expect_eq(expect_records(run, 1)->ok, 1);
	expect_out(SH("cat f"), "later");
	httpd_stop(&httpd);
}

static void answer_not_modified(struct asked *a, void *ctx)
{
	(void)ctx;
	say(a, "HTTP/1.1 304 Not Modified\r\n\r\n");
}

static void a_part_of_what_stays_as_it_is_goes(struct test *t)
{
	struct manner m = {.etag = "\"v\""};

	need_attributes(t);
	begin(t, answer_in_parts, &m);
	make_file("f", "precious");
	expect_exit(BP("fetch", "--journal", "j", at("/f")), 1);
	expect_eq(files_here(), 2);
	httpd.answer = answer_not_modified;
	expect_exit(BP("fetch", "-u", at("/f")), 0);
	expect_out(SH("cat f"), "precious");
	expect_eq(files_here(), 1);
	httpd_stop(&httpd);
}

/* ---------------------------------------------------------------- redirections */

static void answer_elsewhere(struct asked *a, void *ctx)
{
	const char *other = ctx;

	if (!strcmp(a->path, "/circle"))
		say(a, "HTTP/1.1 302 x\r\nLocation: /circle\r\nContent-Length: 2\r\n\r\nno");
	else if (!strcmp(a->path, "/relative"))
		say(a, "HTTP/1.1 301 x\r\nLocation: a b/\xc3\xa9?c\r\nContent-Length: 0\r\n\r\n");
	else if (!strcmp(a->path, "/scheme"))
		say(a,
		    "HTTP/1.1 302 x\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n");
	else if (!strcmp(a->path, "/other"))
		say(a, "HTTP/1.1 307 x\r\nLocation: %s/there\r\nContent-Length: 0\r\n\r\n", other);
	else if (!strcmp(a->path, "/see"))
		say(a, "HTTP/1.1 303 x\r\nLocation: there\r\nContent-Length: 0\r\n\r\n");
	else
		say_ok(a, "", a->head, strlen(a->head));
}

static const char *content(const char *name)
{
	return SH("cat $1", name)->out.data;
}

static void redirections_are_followed_and_bounded(struct test *t)
{
	const struct records *records;
	struct run *run;

	begin(t, answer_elsewhere, NULL);
	run = BP("fetch", "--json", at("/relative"));
	records = expect_records(run, 1);
	expect_exit(run, 0);
	expect_eq(records->all[0].redirects, 1);
	expect(strstr(content("relative"), "GET /a%20b/%C3%A9?c HTTP/1.1\r\n"));
	expect_eq(atomic_load(&httpd.connections), 1);
	run = BP("fetch", "--max-redirs", "3", at("/circle"));
	expect_exit(run, 1);
	expect_says(run, "redirected more often than --max-redirs allows");
	expect_eq(atomic_load(&httpd.requests), 2 + 4);
	run = BP("fetch", at("/scheme"));
	expect_exit(run, 1);
	expect_says(run, "another scheme than http and https");
	expect_exit(BP("fetch", "--max-redirs", "0", at("/relative")), 1);
	/* What was posted is not posted on. */
	expect_exit(BP("fetch", "-d", "x=y", at("/see")), 0);
	expect(strstr(content("see"), "GET /there HTTP/1.1\r\n"));
	expect(!strstr(content("see"), "Content-Length"));
	httpd_stop(&httpd);
}

static void credentials_stay_with_their_host(struct test *t)
{
	struct httpd other;
	char url[256];
	struct run *run;

	fresh_dir(t);
	httpd_start(&other, answer_elsewhere, NULL);
	httpd_start(&httpd, answer_elsewhere, other.url);
	snprintf(url, sizeof(url), "http://me:secret@127.0.0.1:%u/here", httpd.port);
	run = BP("fetch", "--json", "-H", "X-Mine: 1", url);
	expect_exit(run, 0);
	expect(strstr(content("here"), "Authorization: Basic bWU6c2VjcmV0\r\n"));
	/* Not in a record. */
	expect(!strstr(run->out.data, "secret") && !strstr(run->err.data, "secret"));
	snprintf(url, sizeof(url), "http://me:secret@127.0.0.1:%u/other", httpd.port);
	run = BP("fetch", "-H", "X-Mine: 1", "-H", "Cookie: c", url);
	expect_exit(run, 0);
	expect(strstr(content("other"), "X-Mine: 1\r\n"));
	expect(!strstr(content("other"), "Authorization") && !strstr(content("other"), "Cookie"));
	run = BP("fetch", "-H", "Authorization: secret", "-H", "Proxy-Authorization: secret",
		 at("/other"));
	expect_exit(run, 0);
	expect(!strstr(content("other"), "secret"));
	/* Nor where it makes no URL. */
	run = BP("fetch", "--json", "http://me:sec@ret@127.0.0.1/x");
	expect_exit(run, 1);
	expect(!strstr(run->out.data, ":sec") && !strstr(run->err.data, ":sec"));
	/* Nor in a journal; but in what is to be given back. */
	snprintf(url, sizeof(url), "http://me:secret@127.0.0.1:%u/circle", httpd.port);
	run = BP("fetch", "--journal", "j", "--failed-to", "again", "-o", "none", url);
	expect_exit(run, 1);
	expect(!strstr(content("j"), "secret") && !strstr(run->err.data, "secret"));
	expect(strstr(content("again"), "me:secret@"));
	httpd_stop(&httpd);
	httpd_stop(&other);
}

static void a_name_that_begins_with_a_blank_is_done_once(struct test *t)
{
	begin(t, answer_elsewhere, NULL);
	for (int i = 0; i < 2; i++)
		expect_exit(BP("fetch", "--journal", "j", "--resume", at("/%20x")), 0);
	expect_eq(atomic_load(&httpd.requests), 1);
	httpd_stop(&httpd);
}

static void a_journal_tells_what_was_posted(struct test *t)
{
	struct run *run;

	begin(t, answer_elsewhere, NULL);
	expect_exit(BP("fetch", "--journal", "j", "-d", "secret=1", at("/here")), 0);
	expect(!strstr(content("j"), "secret"));
	run = BP("fetch", "--journal", "j", "--resume", "-d", "secret=2", at("/here"));
	expect_exit(run, 2);
	expect_eq(atomic_load(&httpd.requests), 1);
	expect_exit(BP("fetch", "--journal", "j", "--resume", "-d", "secret=1", at("/here")), 0);
	expect_eq(atomic_load(&httpd.requests), 1);
	/* By a digest, and by none that is quick to guess it by: that is SHA-256 of secret=1. */
	expect(strstr(content("j"), "data="));
	expect(!strstr(content("j"), "ecf2848c33e9a349"));
	httpd_stop(&httpd);
}

static void a_journal_tells_who_asked_and_how(struct test *t)
{
	begin(t, answer_elsewhere, NULL);
#define ASK(resume, user, header, token)                                                           \
	BP("fetch", "--journal", "j", resume, "--user", user, "-H", header, "-H", token,           \
	   at("/here"))
	expect_exit(ASK("-q", "me:secret", "X: secret", "Authorization: secret"), 0);
	expect(!strstr(content("j"), "secret"));
	expect_exit(ASK("--resume", "me:secret", "X: secret", "Authorization: fresh"), 0);
	expect_exit(ASK("--resume", "me:changed", "X: secret", "Authorization: fresh"), 0);
	expect_exit(ASK("--resume", "me:secret", "X: sesame", "Authorization: secret"), 2);
	expect_exit(ASK("--resume", "we:secret", "X: secret", "Authorization: secret"), 2);
#undef ASK
	expect_eq(atomic_load(&httpd.requests), 1);
	httpd_stop(&httpd);
}

/* The first time the body breaks off, and after that there is none. */
static void answer_once(struct asked *a, void *ctx)
{
	atomic_uint *asked = ctx;

	if (atomic_fetch_add(asked, 1)) {
		say(a, "HTTP/1.1 404 N\r\nContent-Length: 0\r\n\r\n");
		return;
	}
	say(a, "HTTP/1.1 200 OK\r\nETag: \"v\"\r\nContent-Length: %zu\r\n", sizeof(body));
	say(a, "Content-Disposition: attachment; filename=theirs\r\n\r\n");
	say_bytes(a, body, sizeof(body) / 2);
	say_end(a);
}

/* Another name each time; the first time the body breaks off. */
static void answer_as_another(struct asked *a, void *ctx)
{
	atomic_uint *asked = ctx;
	bool first = !strcmp(a->path, "/changes") && !atomic_fetch_add(asked, 1);

	say(a, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n", strlen(a->path));
	say(a, "Content-Disposition: attachment; filename=%s\r\n\r\n", first ? "own" : "theirs");
	say_bytes(a, a->path, first ? 2 : strlen(a->path));
	if (first)
		say_end(a);
}

static void a_name_that_changes_takes_no_other_files_place(struct test *t)
{
	atomic_uint asked = 0;

	begin(t, answer_as_another, &asked);
	expect_exit(BP("fetch", "-j", "1", "--content-disposition", "--retries", "1",
		       "--retry-delay", "1ms", at("/stays"), at("/changes")),
		    1);
	expect_eq(atomic_load(&asked), 2);
	expect_eq(files_here(), 1);
	expect(!strcmp(content("theirs"), "/stays"));
	httpd_stop(&httpd);
}

static void nothing_is_left_under_a_name_of_the_server(struct test *t)
{
	atomic_uint asked = 0;

	begin(t, answer_once, &asked);
	expect_exit(BP("fetch", "--content-disposition", "--retries", "2", "--retry-delay", "1ms",
		       at("/f")),
		    1);
	expect_eq(atomic_load(&asked), 2);
	expect_eq(files_here(), 0);
	atomic_store(&asked, 0);
	expect_exit(BP("fetch", "--content-disposition", "--journal", "j", at("/f")), 1);
	expect_eq(files_here(), 0);
	httpd_stop(&httpd);
}

static void headers_cannot_be_smuggled(struct test *t)
{
	begin(t, answer_elsewhere, NULL);
	expect_exit(BP("fetch", "-H", "A: b\r\nX: y", at("/a")), 2);
	expect_exit(BP("fetch", "-H", "Transfer-Encoding: chunked", at("/a")), 2);
	expect_exit(BP("fetch", "-X", "GET / HTTP/1.1\r\n", at("/a")), 2);
	expect_exit(BP("fetch", at("/a\r\nX: y")), 1);
	expect_exit(BP("fetch", at("/a b")), 1);
	expect_eq(atomic_load(&httpd.requests), 0);
	httpd_stop(&httpd);
}

/* ---------------------------------------------------------------- kill -9 */

static void answer_by_name(struct asked *a, void *ctx)
{
	(void)ctx;
	say_ok(a, "ETag: \"v\"\r\n", a->path, strlen(a->path));
}

#define MANY 400

/* Whatever it had come to: the next run makes it whole, and leaves nothing else. */
static void a_run_that_was_killed_is_gone_on_with(struct test *t)
{
	struct text list = {0};
	struct run *run;

	begin(t, answer_by_name, NULL);
	for (int i = 0; i < MANY; i++)
		text_printf(&list, "%s/%d\n", httpd.url, i);
	make_file("list", list.data);
	for (unsigned int round = 1; round <= 8; round++) {
		unsigned int before = atomic_load(&httpd.requests);

		run = START(HOW(.feed = false), "fetch", "-P", "d", "--journal", "j", "--resume",
			    "-j", "4", "-T", "list");
		while (!run->ended && atomic_load(&httpd.requests) < before + 20)
			usleep(200);
		run_kill(run, SIGKILL);
		run_end(run);
	}
	run = BP("fetch", "-P", "d", "--journal", "j", "--resume", "-T", "list", "--json");
	expect_exit(run, 0);
	expect_records(run, MANY);
	expect_out(SH("ls -A d | wc -l"), "400\n");
	expect_out(SH("for i in d/*; do [ \"$(cat $i)\" = /${i#d/} ] || echo $i; done"), "");
	/* What was in flight when it was killed, and what the journal had not noted yet. */
	expect(atomic_load(&httpd.requests) < MANY + 8 * 200);
	text_free(&list);
	httpd_stop(&httpd);
}

static const struct test_case cases[] = {
	ONCE(the_rest_is_taken_where_it_is_of_the_same),
	ONCE(what_may_be_of_something_else_begins_anew),
	ONCE(a_part_without_a_byte_does_not_stay),
	ONCE(a_part_that_is_the_whole_needs_no_more),
	ONCE(a_digest_holds_over_both_parts),
	ONCE(only_what_has_changed_is_got),
	ONCE(a_part_of_what_stays_as_it_is_goes),
	ONCE(redirections_are_followed_and_bounded),
	ONCE(credentials_stay_with_their_host),
	ONCE(a_name_that_begins_with_a_blank_is_done_once),
	ONCE(a_journal_tells_what_was_posted),
	ONCE(a_journal_tells_who_asked_and_how),
	ONCE(a_name_that_changes_takes_no_other_files_place),
	ONCE(nothing_is_left_under_a_name_of_the_server),
	ONCE(headers_cannot_be_smuggled),
	ONCE(a_run_that_was_killed_is_gone_on_with),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
