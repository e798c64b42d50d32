/* SPDX-License-Identifier: MIT */
/*
 * cmd_fetch - what a server sends is what the file has, and what went wrong harms nothing
 *
 * The server is one of ours, so that it can be bad in ways that a real one is only now and then.
 */
#include <sys/stat.h>

#include "support/cmd.h"
#include "support/httpd.h"
#include "support/records.h"

static struct httpd httpd;

/* "URL/path", kept until the next eight calls. */
static const char *at(const char *path)
{
	static char urls[8][256];
	static unsigned int next;
	char *url = urls[next++ % 8];

	snprintf(url, sizeof(urls[0]), "%s%s", httpd.url, path);
	return url;
}

static void begin(struct test *t, answer_fn answer)
{
	fresh_dir(t);
	httpd_start(&httpd, answer, NULL);
}

static bool file_has(const char *name, const char *content)
{
	char got[4096] = "";
	FILE *file = fopen(name, "r");
	size_t len = file ? fread(got, 1, sizeof(got) - 1, file) : 0;

	if (file)
		fclose(file);
	return file && len == strlen(content) && !memcmp(got, content, len);
}

#define expect_file(name, content)                                                                 \
	expect_(file_has(name, content), name " is " #content, __FILE__, __LINE__)

/* Nothing but what is named: no temporary file either. */
static void expect_only(size_t files, int line)
{
	struct run *run = SH("find . -type f | wc -l");
	size_t found = strtoul(run->out.data, NULL, 10);

	if (found != files)
		record_failure("line %d: %zu files instead of %zu\n", line, found, files);
}

/* ---------------------------------------------------------------- what goes well */

static void answer_well(struct asked *a, void *ctx)
{
	(void)ctx;
	if (!strcmp(a->path, "/chunked")) {
		say(a, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n");
		say(a, "3;x=\"y\"\r\nllo\r\n0\r\nTrailer: x\r\n\r\n");
	} else if (!strcmp(a->path, "/to-end")) {
		say(a, "HTTP/1.1 200 OK\r\n\r\nhello");
		say_end(a);
	} else if (!strcmp(a->path, "/hints")) {
		say(a, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 102 P\r\n\r\n");
		say_ok(a, "", "hello", 5);
	} else if (!strcmp(a->path, "/empty")) {
		say_ok(a, "", "", 0);
	} else if (!strcmp(a->path, "/none")) {
		say(a, "HTTP/1.1 204 No Content\r\n\r\n");
	} else if (!strcmp(a->path, "/pieces")) {
		const char *text = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

		for (; *text; text++)
			say_bytes(a, text, 1);
	} else {
		say_ok(a, "", "hello", 5);
	}
}

static void bodies_come_in_many_ways(struct test *t)
{
	const struct records *records;
	struct run *run;

	begin(t, answer_well);
	run = BP("fetch", "-P", "d/e", "--json", at("/length"), at("/chunked"), at("/to-end"),
		 at("/hints"), at("/empty"), at("/none"), at("/pieces"), at("/"));
	records = expect_records(run, 8);
	expect_exit(run, 0);
	expect_eq(records->ok, 8);
	expect_file("d/e/length", "hello");
	expect_file("d/e/chunked", "hello");
	expect_file("d/e/to-end", "hello");
	expect_file("d/e/hints", "hello");
	expect_file("d/e/empty", "");
	expect_file("d/e/pieces", "hello");
	expect_file("d/e/index.html", "hello");
	expect_only(7, __LINE__);
	expect(record_of(records, at("/to-end"))->unannounced);
	expect(!record_of(records, at("/chunked"))->unannounced);
	expect_says(run, "of 1 bodies nobody had announced the length");
	httpd_stop(&httpd);
}

static void connections_are_kept(struct test *t)
{
	struct run *run;

	begin(t, answer_well);
	run = BP("fetch", "-j", "1", "--output", "none", at("/1"), at("/2"), at("/3"),
		 at("/chunked"), at("/hints"), at("/none"), at("/4"), at("/5"));
	expect_exit(run, 0);
	expect_eq(atomic_load(&httpd.connections), 1);
	expect_eq(atomic_load(&httpd.requests), 8);
	httpd_stop(&httpd);
}

static void a_body_goes_to_standard_output_or_nowhere(struct test *t)
{
	begin(t, answer_well);
	expect_out(BP("fetch", "-o", "-", at("/a")), "hello");
	expect_out(BP("fetch", "-o", "none", at("/a")), "");
	expect_exit(BP("fetch", "-o", "-", "--json", at("/a")), 2);
	expect_exit(BP("fetch", "-o", "f", at("/a"), at("/b")), 2);
	/* Not mixed. */
	expect_exit(BP("fetch", "-o", "-", at("/a"), at("/b")), 2);
	expect_out(BP("fetch", "-j", "1", "-o", "-", at("/a"), at("/b")), "hellohello");
	expect_only(0, __LINE__);
	expect_exit(BP("fetch", "-o", "f", at("/a")), 0);
	expect_file("f", "hello");
	httpd_stop(&httpd);
}

static void what_a_run_writes_is_no_destination(struct test *t)
{
	begin(t, answer_well);
	expect_exit(BP("fetch", "-o", "j", "--journal", "j", at("/a")), 1);
	expect_exit(SH("grep -q ^batchproc-journal j"), 0);
	expect_exit(BP("fetch", "--failed-to", "f", at("/f"), at("/f")), 1);
	expect_exit(SH("[ $(wc -l <f) = 2 ]"), 0);
	httpd_stop(&httpd);
}

static void what_is_no_file_becomes_none(struct test *t)
{
	begin(t, answer_well);
	expect_exit(SH("mkfifo f"), 0);
	expect_exit(BP("fetch", at("/f")), 1);
	expect_exit(BP("fetch", "-o", "f", at("/a")), 1);
	expect_exit(SH("ln -s f link"), 0);
	expect_exit(BP("fetch", "-o", "link", at("/a")), 1);
	expect_exit(SH("[ -p f ] && [ -L link ] && [ $(ls -A | wc -l) = 2 ]"), 0);
	httpd_stop(&httpd);
}

/* ---------------------------------------------------------------- names */

static void names_never_leave_the_directory(struct test *t)
{
	const struct records *records;
	struct text list = {0};
	struct run *run;

	begin(t, answer_well);
	make_dir("out");
	make_dir("d");
	expect_exit(SH("ln -s ../out d/link"), 0);
	text_printf(&list, "%s/..%%2fa\n%s/%%00\n%s/b%%0ac\n", httpd.url, httpd.url, httpd.url);
	text_printf(&list, "%s/1\t../e\n%s/2\t/tmp/e\n%s/3\tx/../../e\n", httpd.url, httpd.url,
		    httpd.url);
	text_printf(&list, "%s/4\tlink/e\n%s/5\tx/y/z\n%s/6\tx//z\n%s/7\ta/\n", httpd.url,
		    httpd.url, httpd.url, httpd.url);
	make_file("list", list.data);
	run = BP("fetch", "-P", "d", "-T", "list", "--json");
	records = expect_records(run, 10);
	expect_exit(run, 1);
	expect_eq(records->ok, 4);
	expect_file("d/.._a", "hello");
	expect_file("d/_", "hello");
	expect_file("d/b_c", "hello");
	expect_file("d/x/y/z", "hello");
	expect_gone("out/e");
	expect_gone("e");
	expect_only(5, __LINE__);
	text_free(&list);
	httpd_stop(&httpd);
}

static void of_two_items_with_one_path_the_second_fails(struct test *t)
{
	struct run *run;

	begin(t, answer_well);
	run = BP("fetch", "--json", at("/x/a"), at("/y/a"));
	expect_exit(run, 1);
	expect_eq(expect_records(run, 2)->ok, 1);
	expect(strstr(run->out.data, "another item of this run has this path"));
	expect_file("a", "hello");
	httpd_stop(&httpd);
}

static void a_file_takes_the_place_of_a_link_and_not_of_what_it_names(struct test *t)
{
	begin(t, answer_well);
	make_file("precious", "kept");
	expect_exit(SH("ln -s precious a"), 0);
	expect_exit(BP("fetch", at("/a")), 0);
	expect_file("precious", "kept");
	expect_file("a", "hello");
	make_dir("b");
	expect_exit(BP("fetch", at("/b")), 1);
	expect_only(2, __LINE__);
	httpd_stop(&httpd);
}

static void answer_with_a_name(struct asked *a, void *ctx)
{
	(void)ctx;
	say_ok(a,
	       !strcmp(a->path, "/evil") ?
		       "Content-Disposition: attachment; filename=\"../../e\"\r\n" :
		       "Content-Disposition: attachment; filename*=UTF-8''b%20c\r\n",
	       "hello", 5);
}

static void the_server_may_say_the_name(struct test *t)
{
	begin(t, answer_with_a_name);
	make_dir("d");
	expect_exit(BP("fetch", "--content-disposition", "-P", "d", at("/evil"), at("/good")), 0);
	expect_file("d/.._.._e", "hello");
	expect_file("d/b c", "hello");
	expect_only(2, __LINE__);
	httpd_stop(&httpd);
}

/* ---------------------------------------------------------------- what goes wrong */

static void answer_badly(struct asked *a, void *ctx)
{
	(void)ctx;
	if (!strcmp(a->path, "/cut"))
		say(a, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
	else if (!strcmp(a->path, "/cut-chunk"))
		say(a, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
	else if (!strcmp(a->path, "/bad-chunk"))
		say(a,
		    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloXX0\r\n\r\n");
	else if (!strcmp(a->path, "/two-lengths"))
		say(a, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello");
	else if (!strcmp(a->path, "/gzip-chunked"))
		say(a, "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n");
	else if (!strcmp(a->path, "/no-http"))
		say(a, "220 smtp ready\r\n\r\n");
	else if (!strcmp(a->path, "/hint-alone"))
		say(a, "HTTP/1.1 103 Early Hints\r\n\r\n");
	else if (!strcmp(a->path, "/part"))
		say(a,
		    "HTTP/1.1 206 P\r\nContent-Range: bytes 0-4/9\r\nContent-Length: 5\r\n\r\nhello");
	else if (!strcmp(a->path, "/404"))
		say(a, "HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\nno");
	else if (!strcmp(a->path, "/headers"))
		for (int i = 0; i < 100000 && !a->over; i++)
			say(a, i ? "X-Header-%d: y\r\n" : "HTTP/1.1 200 OK\r\n%.0d", i);
	else if (!strcmp(a->path, "/hints"))
		for (int i = 0; i < 100 && !a->over; i++)
			say(a, "HTTP/1.1 103 Early Hints\r\n\r\n");
	if (!strcmp(a->path, "/reset")) {
		say(a, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
		say_reset(a);
	}
	say_end(a);
}

/* What has to be there afterwards is what was there before. */
static void what_went_wrong_leaves_what_was_there(struct test *t)
{
	static const char *const paths[] = {"/cut",	    "/cut-chunk",    "/bad-chunk",
					    "/two-lengths", "/gzip-chunked", "/no-http",
					    "/hint-alone",  "/part",	     "/404",
					    "/headers",	    "/hints",	     "/reset",
					    "/nothing"};

	begin(t, answer_badly);
	for (size_t i = 0; i < COUNT_OF(paths); i++) {
		const struct record *record;
		struct run *run;

		make_file("f", "precious");
		run = BP("fetch", "--json", "-o", "f", at(paths[i]));
		record = expect_records(run, 1)->all;
		if (strcmp(record->status, "failed") != 0 || run->status != 1)
			record_failure("%s is %s, exit %d: %s\n", paths[i], record->status,
				       run->status, record->error);
		expect_file("f", "precious");
		expect_only(1, __LINE__);
	}
	httpd_stop(&httpd);
}

static void answer_slowly(struct asked *a, void *ctx)
{
	(void)ctx;
	if (!strcmp(a->path, "/trickle")) {
		say(a, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n");
		while (!a->over) {
			say(a, "x");
			usleep(20000);
		}
	}
	say_nothing_more(a);
}

static void a_server_that_stalls_is_left(struct test *t)
{
	struct run *run;

	begin(t, answer_slowly);
	run = BP("fetch", "--first-byte-timeout", "100ms", at("/silent"));
	expect_exit(run, 1);
	expect_says(run, "no byte of a response came in time");
	run = BP("fetch", "--low-speed", "1000/200ms", at("/trickle"));
	expect_exit(run, 1);
	run = BP("fetch", "--timeout", "200ms", "--json", at("/trickle"));
	expect_exit(run, 1);
	expect_eq(expect_records(run, 1)->timeout, 1);
	expect_only(0, __LINE__);
	httpd_stop(&httpd);
}

/* Enough comes, but late in the time that is looked at, and then nothing. */
static void answer_and_stall(struct asked *a, void *ctx)
{
	(void)ctx;
	say(a, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
	usleep(200000);
	say(a, "hello");
	say_nothing_more(a);
}

static void a_stall_is_told_by_its_length(struct test *t)
{
	struct run *run;
	uint64_t ms;

	begin(t, answer_and_stall);
	run = BP("fetch", "--low-speed", "1/4s", "--json", at("/f"));
	expect_exit(run, 1);
	expect(strstr(run->out.data, "slower than --low-speed allows"));
	ms = expect_records(run, 1)->all[0].dur_us / 1000;
	if (ms < 4000 || ms > 7500)
		record_failure("ended after %llu ms\n", (unsigned long long)ms);
	httpd_stop(&httpd);
}

/* ---------------------------------------------------------------- again */

static void answer_once_a_connection(struct asked *a, void *ctx)
{
	(void)ctx;
	if (a->nth > 1) {
		/* As if it had been closed just when the request was on its way. */
		say_reset(a);
		return;
	}
	say_ok(a, "", "hello", 5);
}

static void a_request_that_a_kept_connection_lost_goes_again(struct test *t)
{
	const struct records *records;
	struct run *run;

	begin(t, answer_once_a_connection);
	run = BP("fetch", "-j", "1", "--json", at("/a"), at("/b"), at("/c"));
	records = expect_records(run, 3);
	expect_exit(run, 0);
	expect_eq(record_of(records, at("/b"))->attempts, 1);
	expect_eq(atomic_load(&httpd.connections), 3);
	run = BP("fetch", "-j", "1", "-X", "POST", "-d", "x", "-o", "none", at("/d"), at("/e"));
	/* Nobody knows what came of it. */
	expect_exit(run, 1);
	httpd_stop(&httpd);
}

static void answer_at_the_third_time(struct asked *a, void *ctx)
{
	static atomic_uint times;

	(void)ctx;
	if (!strcmp(a->path, "/404"))
		say(a, "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n");
	else if (atomic_fetch_add(&times, 1) % 3 < 2)
		say(a, "HTTP/1.1 503 Busy\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n");
	else
		say_ok(a, "", "hello", 5);
}

static void what_may_pass_is_tried_again(struct test *t)
{
	const struct records *records;
	struct run *run;

	begin(t, answer_at_the_third_time);
	run = BP("fetch", "--retries", "2", "--retry-delay", "1ms", "--json", at("/a"));
	records = expect_records(run, 1);
	expect_exit(run, 0);
	expect_eq(records->all[0].attempts, 3);
	run = BP("fetch", "--retries", "2", "--retry-delay", "1ms", "--json", at("/404"));
	records = expect_records(run, 1);
	expect_exit(run, 1);
	expect_eq(records->all[0].attempts, 1);
	expect_eq(records->all[0].code, 404);
	httpd_stop(&httpd);
}

static const struct test_case cases[] = {
	ONCE(bodies_come_in_many_ways),
	ONCE(connections_are_kept),
	ONCE(a_body_goes_to_standard_output_or_nowhere),
	ONCE(what_a_run_writes_is_no_destination),
	ONCE(what_is_no_file_becomes_none),
	ONCE(names_never_leave_the_directory),
	ONCE(of_two_items_with_one_path_the_second_fails),
	ONCE(a_file_takes_the_place_of_a_link_and_not_of_what_it_names),
	ONCE(the_server_may_say_the_name),
	ONCE(what_went_wrong_leaves_what_was_there),
	ONCE(a_server_that_stalls_is_left),
	ONCE(a_stall_is_told_by_its_length),
	ONCE(a_request_that_a_kept_connection_lost_goes_again),
	ONCE(what_may_pass_is_tried_again),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
