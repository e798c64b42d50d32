/* SPDX-License-Identifier: MIT */
/*
 * cmd_fetch_mirrors - of several servers the first that answers is taken, and the others are let go
 */
#include "support/cmd.h"
#include "support/httpd.h"
#include "support/records.h"

static struct httpd one, two;
static atomic_uint cuts;

static void answer(struct asked *a, void *ctx)
{
	const char *text = ctx;

	if (!strcmp(a->path, "/hang")) {
		say_nothing_more(a);
	} else if (!strcmp(a->path, "/404")) {
		say(a, "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n");
	} else if (!strcmp(a->path, "/cut")) {
		say(a, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nno");
		say_end(a);
	} else if (!strcmp(a->path, "/cut-once") && !atomic_fetch_add(&cuts, 1)) {
		say(a, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nno");
		say_end(a);
	} else if (!strcmp(a->path, "/late")) {
		usleep(300000);
		say_ok(a, "", text, strlen(text));
	} else if (!strcmp(a->path, "/reset")) {
		say_reset(a);
	} else {
		say_ok(a, "", text, strlen(text));
	}
}

static void begin(struct test *t)
{
	fresh_dir(t);
	httpd_start(&one, answer, "one");
	httpd_start(&two, answer, "two");
}

static void end(void)
{
	httpd_stop(&one);
	httpd_stop(&two);
}

static const char *line(const char *of_one, const char *of_two)
{
	static char text[512];

	snprintf(text, sizeof(text), "%s%s|%s%s\tf", one.url, of_one, two.url, of_two);
	return text;
}

static void whoever_answers_first_is_taken(struct test *t)
{
	begin(t);
	expect_exit(BP("fetch", line("/hang", "/f")), 0);
	expect_out(SH("cat f"), "two");
	expect_exit(BP("fetch", line("/f", "/hang")), 0);
	expect_out(SH("cat f"), "one");
	/* Who failed has not answered. */
	expect_exit(BP("fetch", line("/404", "/f")), 0);
	expect_out(SH("cat f"), "two");
	expect_exit(BP("fetch", line("/reset", "/f")), 0);
	expect_out(SH("cat f; ls -A | wc -l"), "two1\n");
	end();
}

static void the_next_is_asked_when_nobody_has_answered_for_long(struct test *t)
{
	struct run *run;

	begin(t);
	/* It is not needed. */
	run = BP("fetch", "--hedge", "1h", line("/f", "/f"));
	expect_exit(run, 0);
	expect_eq(atomic_load(&two.requests), 0);
	run = BP("fetch", "--hedge", "10ms", line("/hang", "/f"));
	expect_exit(run, 0);
	expect_out(SH("cat f"), "two");
	/* Nobody waits for one that has failed. */
	run = BP("fetch", "--hedge", "1h", line("/404", "/f"));
	expect_exit(run, 0);
	expect_out(SH("cat f"), "two");
	end();
}

static void who_has_cut_a_body_short_is_not_asked_first_again(struct test *t)
{
	begin(t);
	expect_exit(BP("fetch", "--hedge", "1h", "--retries", "1", "--retry-delay", "1ms",
		       line("/cut", "/f")),
		    0);
	expect_out(SH("cat f; ls -A | wc -l"), "two1\n");
	end();
}

/* All are asked at once, and the bad one is the quickest each time; but not of those that are left. */
static void who_has_cut_a_body_short_does_not_win_again(struct test *t)
{
	struct run *run;

	begin(t);
	run = BP("fetch", "--json", "--retries", "1", "--retry-delay", "1ms",
		 line("/cut", "/late"));
	expect_exit(run, 0);
	expect_eq(expect_records(run, 1)->all[0].attempts, 2);
	expect_out(SH("cat f; ls -A | wc -l"), "two1\n");
	expect_eq(atomic_load(&one.requests), 1);
	/* It is better than none. */
	run = BP("fetch", "--json", "--retries", "2", "--retry-delay", "1ms",
		 line("/cut-once", "/404"));
	expect_exit(run, 0);
	expect_out(SH("cat f; ls -A | wc -l"), "one1\n");
	end();
}

static void a_bar_in_a_password_shows_none_of_it(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	run = BP("fetch", "--json", "http://me:sec|ret@127.0.0.1:1/x");
	expect_exit(run, 1);
	expect(!strstr(run->out.data, ":sec") && !strstr(run->err.data, ":sec"));
	expect(!strstr(run->out.data, "ret") && !strstr(run->err.data, "ret@"));
}

static void when_all_fail_the_item_does(struct test *t)
{
	const struct records *records;
	struct run *run;

	begin(t);
	make_file("f", "precious");
	run = BP("fetch", "--json", line("/404", "/reset"));
	records = expect_records(run, 1);
	expect_exit(run, 1);
	expect_eq(records->all[0].code, 404);
	run = BP("fetch", "--json", "--timeout", "100ms", line("/hang", "/hang"));
	expect_exit(run, 1);
	expect_eq(expect_records(run, 1)->timeout, 1);
	expect_out(SH("cat f; ls -A | wc -l"), "precious1\n");
	end();
}

static const struct test_case cases[] = {
	ONCE(whoever_answers_first_is_taken),
	ONCE(the_next_is_asked_when_nobody_has_answered_for_long),
	ONCE(who_has_cut_a_body_short_is_not_asked_first_again),
	ONCE(who_has_cut_a_body_short_does_not_win_again),
	ONCE(a_bar_in_a_password_shows_none_of_it),
	ONCE(when_all_fail_the_item_does),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
