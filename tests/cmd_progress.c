// SPDX-License-Identifier: MIT
/*
 * cmd_progress - the bar on a terminal of any width, its other forms, and where there is none
 *
 * Nothing is shown before half a second, so each test holds its run open until something is.
 */
#include <pty.h>

#include "cmd.h"
#include "records.h"

#define HELD HOW(.feed = true)

/* A run whose standard error is a terminal of so many columns. */
static struct run *on_terminal(unsigned short columns, const char *const *env,
			       const char *const *args)
{
	struct winsize size = {.ws_row = 24, .ws_col = columns};
	struct run *run;
	int master, slave;

	assert_int_equal(openpty(&master, &slave, NULL, NULL, &size), 0);
	fcntl(master, F_SETFD, FD_CLOEXEC);
	fcntl(slave, F_SETFD, FD_CLOEXEC);
	run = run_start(HOW(.feed = true, .err = slave, .env = env), args);
	close(slave);
	run->fd[1] = master;
	return run;
}

#define ON_TERMINAL(columns, env, ...) on_terminal(columns, env, ARGS(__VA_ARGS__))

static const char *const xterm[] = {"TERM=xterm", "NO_COLOR", NULL};
static const char *const no_color[] = {"TERM=xterm", "NO_COLOR=1", NULL};
static const char *const dumb[] = {"TERM=dumb", NULL};
static const char *const no_term[] = {"TERM", NULL};

/* Columns that the terminal's cursor is moved by, at most, from one line's begin to its end. */
static size_t widest_line(const struct text *text)
{
	size_t at = 0, widest = 0;

	for (size_t i = 0; i < text->len; i++) {
		char c = text->data[i];

		if (c == '\033') {
			/* ESC [ parameters letter */
			for (i += 2; i < text->len && strchr("0123456789;", text->data[i]); i++)
				;
		} else if (c == '\r' || c == '\n') {
			at = 0;
		} else if (++at > widest) {
			widest = at;
		}
	}
	return widest;
}

/* Feeds and shows until the bar was drawn a few times, then ends. */
static void play(struct run *run)
{
	static char block[60000];

	for (size_t i = 1; i <= 6; i++) {
		until_printed(run, 2, "\r", 2 * i);
		run_feed(run, block, sizeof(block));
	}
	run_feed_end(run);
	run_end(run);
}

static void the_bar_never_wraps(struct test *t)
{
	static const unsigned short widths[] = {2, 5, 10, 20, 40, 80};
	struct run *runs[COUNT_OF(widths)];

	fresh_dir(t);
	make_file("a", "hello");
	/* All at once, since each waits for its half second. */
	for (size_t i = 0; i < COUNT_OF(widths); i++)
		runs[i] = ON_TERMINAL(widths[i], xterm, "hash", "-q", "--progress", "bar", "a", "-",
				      "nosuch", "nosuch", "a");
	for (size_t i = 0; i < COUNT_OF(widths); i++) {
		play(runs[i]);
		expect_exit(runs[i], 1);
		expect_between(widest_line(&runs[i]->err), 0, widths[i] - 1u);
		/* It is one line, which is gone in the end. */
		expect_eq(text_count(&runs[i]->err, "\n"), 0);
		expect_eq(strcmp(runs[i]->err.data + runs[i]->err.len - 4, "\r\033[K"), 0);
	}
	/* What fits is shown. */
	expect_eq(text_count(&runs[5]->err, " 2 failed") > 0, true);
	expect_eq(text_count(&runs[5]->err, "80% 4/5") > 0, true);
	expect_eq(text_count(&runs[5]->err, "\033[31m") > 0, true);
}

static void no_color_is_honoured(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	run = ON_TERMINAL(80, no_color, "hash", "-q", "--progress", "bar", "-", "nosuch");
	until_printed(run, 2, " 1 failed", 1);
	run_feed_end(run);
	run_end(run);
	expect_eq(text_count(&run->err, "\033[31m"), 0);
	expect_exit(run, 1);
}

/* Messages stand on lines of their own, above the bar. */
static void messages_and_the_bar_share_a_terminal(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_sparse("huge", (off_t)1 << 40);
	run = ON_TERMINAL(80, xterm, "hash", "--timeout", "900ms", "-", "huge");
	run_end(run);
	expect_exit(run, 1);
	expect_eq(text_count(&run->err, " took longer than --timeout allows"), 2);
	expect_between(text_count(&run->err, "\r\033[Kbatchproc: hash: "), 1, 2);
}

/* Held longer than a bar would wait: the JSON form's first line comes after a second. */
static void only_a_terminal_gets_a_bar(struct test *t)
{
	struct run *json, *piped, *quiet, *plain, *none;

	fresh_dir(t);
	piped = START(HELD, "hash", "-");
	none = ON_TERMINAL(80, xterm, "hash", "--progress", "none", "-");
	quiet = ON_TERMINAL(80, xterm, "hash", "-q", "-");
	plain = ON_TERMINAL(80, dumb, "hash", "-");
	json = START(HELD, "hash", "--progress", "json", "-");
	until_printed(json, 2, "\n", 1);

	run_feed_end(piped);
	expect_err(run_end(piped), "");
	run_feed_end(none);
	expect_err(run_end(none), "");
	run_feed_end(quiet);
	expect_err(run_end(quiet), "");
	run_feed_end(plain);
	expect_err(run_end(plain), "");
	run_feed_end(json);
	run_end(json);
	expect_exit(json, 0);
	expect_(is_json(json->err.data, strcspn(json->err.data, "\n")), "progress is JSON",
		__FILE__, __LINE__);
	expect_eq(text_count(&json->err, "\"progress\":true,\"ended\":0,\"total\":1,"), 1);
}

static void a_short_run_shows_nothing(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_file("a", "hello");
	run = run_end(ON_TERMINAL(80, no_term, "hash", "a"));
	expect_exit(run, 0);
	expect_err(run, "");
	run = run_end(ON_TERMINAL(80, xterm, "hash", "a"));
	expect_err(run, "");
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		ONCE(the_bar_never_wraps),
		ONCE(no_color_is_honoured),
		ONCE(messages_and_the_bar_share_a_terminal),
		ONCE(only_a_terminal_gets_a_bar),
		ONCE(a_short_run_shows_nothing),
	};

	return RUN_CASES(argc, argv, cases);
}
