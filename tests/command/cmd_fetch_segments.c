/* SPDX-License-Identifier: MIT */
/*
 * cmd_fetch_segments - a body over several connections is the body, whatever becomes of one of them
 */
#include <glob.h>
#include <sys/xattr.h>

#include "support/cmd.h"
#include "support/httpd.h"
#include "support/records.h"

#define BODY_BYTES 6000000u

static struct httpd httpd;
static unsigned char *body;

/* How the server of a test treats ranges. */
struct manner {
	bool whole; /* it knows none */
	const char *etag; /* NULL: none */
	const char *etag_later; /* of all but the first part */
	atomic_uint cut; /* the number of a part that breaks off in the middle, from 1 on */
	atomic_bool stall; /* it goes no further then */
	atomic_uint parts, wholes;
	atomic_size_t sent;
};

static void send_part(struct asked *a, struct manner *m, size_t from, size_t to)
{
	unsigned int nth = atomic_fetch_add(&m->parts, 1) + 1;
	size_t len = to - from + 1;

	say(a, "HTTP/1.1 206 P\r\nContent-Range: bytes %zu-%zu/%u\r\n", from, to, BODY_BYTES);
	say(a, "Last-Modified: Fri, 13 Feb 2009 23:31:30 GMT\r\n");
	if (m->etag)
		say(a, "ETag: %s\r\n", nth > 1 && m->etag_later ? m->etag_later : m->etag);
	say(a, "Content-Length: %zu\r\n\r\n", len);
	if (nth != m->cut) {
		say_bytes(a, body + from, len);
		atomic_fetch_add(&m->sent, len);
		return;
	}
	say_bytes(a, body + from, len / 2);
	atomic_fetch_add(&m->sent, len / 2);
	if (m->stall)
		say_nothing_more(a);
	say_end(a);
}

static void answer(struct asked *a, void *ctx)
{
	struct manner *m = ctx;
	const char *range = asked_header(a, "Range");
	size_t from, to;
	int found = range && !m->whole ? sscanf(range, "bytes=%zu-%zu", &from, &to) : 0;

	if (found >= 1) {
		send_part(a, m, from, found == 2 && to < BODY_BYTES ? to : BODY_BYTES - 1);
		return;
	}
	atomic_fetch_add(&m->wholes, 1);
	say_ok(a, m->etag ? "ETag: \"x\"\r\n" : "", body, BODY_BYTES);
}

static const char *begin(struct test *t, struct manner *m)
{
	static char url[64];

	fresh_dir(t);
	make_file("x", "");
	if (setxattr("x", "user.x", "y", 1, 0))
		skip_because(t, "no user attributes on this file system");
	unlink("x");
	if (!body)
		body = malloc(BODY_BYTES);
	for (size_t i = 0; body && i < BODY_BYTES; i++)
		body[i] = body_byte(i);
	httpd_start(&httpd, answer, m);
	snprintf(url, sizeof(url), "%s/f", httpd.url);
	return url;
}

/* The file is the body, and nothing else is left. */
static void expect_body(int line)
{
	unsigned char *got = malloc(BODY_BYTES + 1);
	FILE *file = fopen("f", "r");
	size_t len = file && got ? fread(got, 1, BODY_BYTES + 1, file) : 0;
	struct run *run = SH("find . -type f ! -name j | wc -l");
	char list[256];

	if (file)
		fclose(file);
	if (len != BODY_BYTES || memcmp(got, body, BODY_BYTES) != 0)
		record_failure("line %d: the file is not the body\n", line);
	if (strcmp(run->out.data, "1\n") != 0)
		record_failure("line %d: %s files\n", line, run->out.data);
	if (listxattr("f", list, sizeof(list)) > 0 && !strcmp(list, "user.batchproc.partial"))
		record_failure("line %d: the file is still a part\n", line);
	free(got);
}

static void answer_404(struct asked *a, void *ctx)
{
	(void)ctx;
	say(a, "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n");
}

static void a_body_comes_in_parts(struct test *t)
{
	struct manner m = {.etag = "\"v\""};
	const char *url = begin(t, &m);
	const struct records *records;
	struct run *run = BP("fetch", "--segments", "4", "--json", url);

	records = expect_records(run, 1);
	expect_exit(run, 0);
	expect_eq(records->all[0].bytes, BODY_BYTES);
	expect_body(__LINE__);
	expect_eq(atomic_load(&m.parts), 1 + 4);
	expect_eq(atomic_load(&m.sent), BODY_BYTES);
	httpd_stop(&httpd);
}

/* Of several mirrors one has all parts. */
static void a_mirror_gives_all_parts(struct test *t)
{
	struct manner m = {.etag = "\"v\"", .cut = 3};
	const char *url = begin(t, &m);
	struct httpd other;
	char line[256];
	struct run *run;

	httpd_start(&other, answer_404, NULL);
	snprintf(line, sizeof(line), "%s/f|%s\tf", other.url, url);
	run = BP("fetch", "--segments", "4", "--retries", "1", "--retry-delay", "1ms", "--json",
		 line);
	expect_exit(run, 0);
	expect_body(__LINE__);
	expect(atomic_load(&m.parts) > 4);
	expect_eq(atomic_load(&m.wholes), 0);
	httpd_stop(&other);
	httpd_stop(&httpd);
}

static void what_cannot_be_had_in_parts_comes_as_a_whole(struct test *t)
{
	struct manner none = {.whole = true, .etag = "\"v\""};
	struct manner weak = {.etag = "W/\"v\""}, nothing = {.etag = NULL};
	struct manner changed = {.etag = "\"v\"", .etag_later = "\"w\""};
	struct manner *const all[] = {&none, &weak, &nothing, &changed};

	for (size_t i = 0; i < COUNT_OF(all); i++) {
		const char *url = begin(t, all[i]);
		struct run *run;

		run = BP("fetch", "--segments", "3", "--json", url);
		expect_exit(run, 0);
		/* Nothing is said to have failed. */
		expect(!strstr(run->out.data, "\"error\""));
		expect_body(__LINE__);
		expect_eq(atomic_load(&all[i]->wholes), 1);
		httpd_stop(&httpd);
	}
}

static void only_what_is_missing_is_asked_for_again(struct test *t)
{
	struct manner m = {.etag = "\"v\"", .cut = 3};
	const char *url = begin(t, &m);
	struct run *run = BP("fetch", "-p", "--segments", "4", "--retries", "1", "--retry-delay",
			     "1ms", "--json", url);

	expect_exit(run, 0);
	expect(expect_records(run, 1)->all[0].resumed);
	expect_body(__LINE__);
	expect_out(SH("stat -c %Y f"), "1234567890\n");
	expect_eq(atomic_load(&m.wholes), 0);
	httpd_stop(&httpd);
}

static void a_digest_is_that_of_all_parts(struct test *t)
{
	struct manner m = {.etag = "\"v\""};
	const char *url = begin(t, &m);
	struct run *sum;
	char line[256];

	make_bytes("whole", body, BODY_BYTES);
	sum = SH("sha256sum <whole | cut -d' ' -f1 | tr -d '\\n'; rm whole");
	snprintf(line, sizeof(line), "%s\tf\tsha256:%s", url, sum->out.data);
	expect_exit(BP("fetch", "--segments", "2", line), 0);
	expect_body(__LINE__);
	line[strlen(line) - 1] ^= 1;
	expect_exit(BP("fetch", "--segments", "2", line), 1);
	expect_body(__LINE__);
	httpd_stop(&httpd);
}

static void a_run_that_was_killed_goes_on_by_part(struct test *t)
{
	struct manner m = {.etag = "\"v\"", .cut = 2, .stall = true};
	const char *url = begin(t, &m);
	struct run *run =
		START(HOW(.feed = false), "fetch", "--segments", "3", "--journal", "j", url);

	/* One of them stalls in its middle; the others have ended. */
	while (!run->ended && atomic_load(&m.sent) < BODY_BYTES / 2)
		usleep(1000);
	run_kill(run, SIGKILL);
	run_end(run);
	m.cut = 0;
	run = BP("fetch", "--segments", "3", "--journal", "j", "--resume", "--json", url);
	expect_exit(run, 0);
	expect(expect_records(run, 1)->all[0].resumed);
	expect_body(__LINE__);
	expect_eq(atomic_load(&m.wholes), 0);
	httpd_stop(&httpd);
}

/* Whether a partial file is there, and says of what. */
static bool is_part_there(void)
{
	char attr[1024];
	glob_t found;
	bool there = !glob(".batchproc-*", 0, NULL, &found) &&
		     getxattr(found.gl_pathv[0], "user.batchproc.partial", attr, sizeof(attr)) > 0;

	globfree(&found);
	return there;
}

static void a_run_that_divides_nothing_goes_on_too(struct test *t)
{
	struct manner m = {.etag = "\"v\"", .cut = 1, .stall = true};
	const char *url = begin(t, &m);
	struct run *run =
		START(HOW(.feed = false), "fetch", "--segments", "3", "--journal", "j", url);

	/* All that is missing is one part. */
	while (!run->ended && !is_part_there())
		usleep(1000);
	run_kill(run, SIGKILL);
	run_end(run);
	m.cut = 0;
	run = BP("fetch", "--journal", "j", "--resume", "--json", url);
	expect_exit(run, 0);
	expect_body(__LINE__);
	httpd_stop(&httpd);
}

static const struct test_case cases[] = {
	ONCE(a_body_comes_in_parts),
	ONCE(a_mirror_gives_all_parts),
	ONCE(what_cannot_be_had_in_parts_comes_as_a_whole),
	ONCE(only_what_is_missing_is_asked_for_again),
	ONCE(a_digest_is_that_of_all_parts),
	ONCE(a_run_that_was_killed_goes_on_by_part),
	ONCE(a_run_that_divides_nothing_goes_on_too),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
