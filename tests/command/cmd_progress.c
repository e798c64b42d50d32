/* SPDX-License-Identifier: MIT */
/*
 * cmd_progress - the bar on a terminal of any width, its other forms, and where there is none
 *
 * What arrives at the terminal is played on a small one (screen.h), and looked at whenever a bar
 * was drawn or erased: above it are whole lines, it is one row, below it is nothing. Nothing is
 * shown before half a second, so each test holds its run open until something is.
 */
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "support/cmd.h"
#include "support/records.h"
#include "support/screen.h"

#define HELD HOW(.feed = true)

static const char *const xterm[] = {"TERM=xterm", "NO_COLOR", NULL};
static const char *const no_color[] = {"TERM=xterm", "NO_COLOR=1", NULL};
static const char *const dumb[] = {"TERM=dumb", NULL};
static const char *const no_term[] = {"TERM", NULL};

/* ---------------------------------------------------------------- terminals */

static int open_terminal(unsigned int columns, int *slave)
{
	struct winsize size = {.ws_row = 24, .ws_col = (unsigned short)columns};
	int master;

	assert_int_equal(openpty(&master, slave, NULL, NULL, &size), 0);
	fcntl(master, F_SETFD, FD_CLOEXEC);
	fcntl(*slave, F_SETFD, FD_CLOEXEC);
	return master;
}

/* A run whose standard error is a terminal of so many columns; its output too, if @both. */
static struct run *on_terminal(unsigned int columns, bool both, const char *const *env,
			       const char *const *args)
{
	struct run *run;
	int slave, master = open_terminal(columns, &slave);

	run = run_start(HOW(.feed = true, .out = both ? slave : 0, .err = slave, .env = env), args);
	close(slave);
	run->fd[1] = master;
	return run;
}

#define ON_TERMINAL(columns, env, ...) on_terminal(columns, false, env, ARGS(__VA_ARGS__))
#define BOTH_ON_TERMINAL(columns, env, ...) on_terminal(columns, true, env, ARGS(__VA_ARGS__))

/* Looks at a run's terminal, as far as it has been played. */
struct viewer {
	struct run *run;
	struct screen screen;
	size_t played;
	unsigned int bars; /* that were seen */
	const char *wanted; /* how the bars begin of which the widest is kept */
	char widest[SCREEN_COLUMNS + 1];
};

static void viewer_init(struct viewer *viewer, struct run *run, unsigned int columns)
{
	*viewer = (struct viewer){.run = run};
	screen_init(&viewer->screen, columns);
}

/* What stands above a bar: a digest, a message, and nothing of a bar. */
static bool is_whole_line(const char *row)
{
	size_t digits = strspn(row, "0123456789abcdef");

	return (digits == 16 && !strncmp(row + 16, "  ", 2)) ||
	       !strncmp(row, "batchproc: hash: ", 17);
}

static void look(struct viewer *viewer)
{
	const struct screen *screen = &viewer->screen;
	const char *bar = screen_row(screen, screen->y);

	for (unsigned int y = 0; y < screen->y; y++)
		if (!is_whole_line(screen_row(screen, y)))
			record_failure("%s: row %u is '%s'", viewer->run->line, y,
				       screen_row(screen, y));
	if (*bar && !strchr("0123456789", *bar))
		record_failure("%s: the bar is '%s'", viewer->run->line, bar);
	expect_between(screen_height(screen), 0, screen->y + 1);
	expect_eq(screen->x, 0);
	expect_between(strlen(bar), 0, screen->columns - 1);
	viewer->bars += *bar != '\0';
	if (viewer->wanted && !strncmp(bar, viewer->wanted, strlen(viewer->wanted)) &&
	    strlen(bar) >= strlen(viewer->widest))
		strcpy(viewer->widest, bar);
}

/* Plays what has arrived, and looks after each bar. */
static void play(struct viewer *viewer)
{
	const struct text *text = &viewer->run->err;

	for (; viewer->played < text->len; viewer->played++) {
		size_t end = viewer->played + 1;

		screen_feed(&viewer->screen, text->data + viewer->played, 1);
		if (end >= 4 && !memcmp(text->data + end - 4, "\033[J\r", 4))
			look(viewer);
	}
}

static void until_bars(struct viewer *viewer, size_t times)
{
	until_printed(viewer->run, 2, "\033[J\r", times);
	play(viewer);
}

/* The end of a run: the screen has these rows and no trace of a bar. */
static void expect_left(struct viewer *viewer, unsigned int rows)
{
	const struct screen *screen = &viewer->screen;

	if (!viewer->run->ended)
		run_end(viewer->run);
	play(viewer);
	expect_eq(screen_height(screen), rows);
	for (unsigned int y = 0; y < rows; y++)
		if (!is_whole_line(screen_row(screen, y)))
			record_failure("%s: in the end row %u is '%s'", viewer->run->line, y,
				       screen_row(screen, y));
	expect_eq(screen->x, 0);
	expect_eq(screen->y, rows);
	screen_free(&viewer->screen);
}

static void expect_row(const struct viewer *viewer, const char *word)
{
	if (!strstr(viewer->widest, word))
		record_failure("%s: '%s' is not in '%s'", viewer->run->line, word, viewer->widest);
}

/* Holds the test until a run could have shown something: the JSON form does so after a second. */
static void until_something_would_be_shown(void)
{
	struct run *run = START(HELD, "hash", "--progress", "json", "-");

	until_printed(run, 2, "\n", 1);
	run_feed_end(run);
	run_end(run);
}

/* ---------------------------------------------------------------- the bar */

static void the_bar_is_one_row_of_any_width(struct test *t)
{
	static const unsigned int widths[] = {5, 10, 20, 40, 80, 132};
	static char block[60000];
	struct viewer viewers[COUNT_OF(widths)];

	fresh_dir(t);
	make_file("a", "hello");
	/* All at once, since each waits for its half second. */
	for (size_t i = 0; i < COUNT_OF(widths); i++) {
		viewer_init(&viewers[i],
			    ON_TERMINAL(widths[i], xterm, "hash", "-q", "--progress", "bar", "a",
					"-", "nosuch", "nosuch", "a"),
			    widths[i]);
		/* All but the open one: there may be bars before that, and one of all. */
		viewers[i].wanted = "80%";
	}
	for (size_t i = 0; i < COUNT_OF(widths); i++) {
		for (size_t k = 1; k <= 4; k++) {
			until_printed(viewers[i].run, 2, "80%", k);
			run_feed(viewers[i].run, block, sizeof(block));
		}
		run_feed_end(viewers[i].run);
		expect_left(&viewers[i], 0);
		expect_exit(viewers[i].run, 1);
	}
	/* What fits is shown. */
	expect_eq(strcmp(viewers[0].widest, "80%"), 0);
	expect_eq(strcmp(viewers[1].widest, "80% 4/5"), 0);
	expect_row(&viewers[2], "80% 4/5 2 failed");
	expect_row(&viewers[4], "80% 4/5 2 failed");
	expect_row(&viewers[4], " left ");
	expect_row(&viewers[4], "/s ");
	expect_row(&viewers[5], "B/s ");
	expect_row(&viewers[5], " 1 in flight [================>   ]");
	expect_eq(text_count(&viewers[5].run->err, "\033[31m 2 failed\033[0m") > 0, true);
}

static void a_terminal_too_narrow_shows_nothing(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	run = ON_TERMINAL(2, xterm, "hash", "--progress", "bar", "nosuch", "-");
	until_something_would_be_shown();
	run_feed_end(run);
	run_end(run);
	expect_err(run, "batchproc: hash: nosuch: No such file or directory\r\n");
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

/* Data and messages stand on lines of their own above the bar, which comes back below them. */
static void data_messages_and_the_bar_share_a_terminal(struct test *t)
{
	static const unsigned int widths[] = {20, 120};
	static const char *const last[] = {"a", "nosuch"};
	struct text list = {0};

#ifdef BP_DEBUG
	skip_because(t, "a debug build writes much more when it gets SIGUSR1");
	return;
#endif
	fresh_dir(t);
	make_file("a", "hello");
	make_file("b", "hello");
	for (int i = 0; i < 60; i++)
		text_printf(&list, "%s\n", i % 3 ? "a" : "b");
	for (size_t i = 0; i < COUNT_OF(widths); i++) {
		struct viewer viewer;
		struct run *run = BOTH_ON_TERMINAL(widths[i], xterm, "hash", "-a", "xxh64",
						   "--rate", "60/s", "-T", "-");

		viewer_init(&viewer, run, widths[i]);
		run_feed(run, list.data, list.len);
		run_feed(run, last[i], strlen(last[i]));
		run_feed(run, "\n", 1);
		until_bars(&viewer, 3);
		/* The line of status is longer than 20 columns, and so is the message. */
		if (i)
			run_signal(run, SIGUSR1);
		until_bars(&viewer, 6);
		run_feed_end(run);
		expect_left(&viewer, i ? 62 : 61);
		expect_exit(run, i ? 1 : 0);
	}
	text_free(&list);
}

/* Where a line is not ended by a newline the bar would stand in it, and take it away. */
static void half_a_line_is_left_alone(struct test *t)
{
	struct screen screen;
	struct run *run;

	fresh_dir(t);
	make_file("a", "hello");
	run = BOTH_ON_TERMINAL(80, xterm, "hash", "-z", "-a", "xxh64", "a", "-");
	until_something_would_be_shown();
	run_feed_end(run);
	run_end(run);
	screen_init(&screen, 80);
	screen_feed(&screen, run->err.data, run->err.len);
	expect_eq(strcmp(screen_row(&screen, 0), "26c7827d889f6da3  aef46db3751d8e999  -"), 0);
	screen_free(&screen);
}

/* How many columns the bars take that have arrived and were not played; their colours take none. */
static size_t columns_to_come(const struct viewer *viewer)
{
	const char *at = viewer->run->err.data + viewer->played;
	size_t columns = 0, most = 0;

	for (; *at; at++) {
		if (*at == '\033')
			at += strcspn(at, "mJ");
		else
			columns = *at == '\r' ? 0 : columns + 1;
		most = columns > most ? columns : most;
	}
	return most;
}

/*
 * Changes the width just after a bar, since the next one is a while away. False: the test was held
 * up, and that one had been drawn for the old width already, which leaves a trace on any terminal.
 */
static bool change_width(struct viewer *viewer, unsigned int columns, bool reflow)
{
	struct winsize size = {.ws_row = 24, .ws_col = (unsigned short)columns};
	struct run *run = viewer->run;

	until_bars(viewer, text_count(&run->err, "\033[J\r") + 1);
	assert_int_equal(ioctl(run->fd[1], TIOCSWINSZ, &size), 0);
	screen_resize(&viewer->screen, columns, reflow);
	until_printed(run, 2, "\033[J\r", text_count(&run->err, "\033[J\r") + 1);
	return columns_to_come(viewer) < columns;
}

static bool changes_its_width(bool reflow)
{
	static const unsigned int widths[] = {30, 100, 20, 80};
	struct run *run = BOTH_ON_TERMINAL(80, xterm, "hash", "-a", "xxh64", "-q", "--progress",
					   "bar", "a", "a", "nosuch", "-");
	struct viewer viewer;
	bool in_time = true;

	viewer_init(&viewer, run, 80);
	/* No line that stands above the bar is too long for any width. */
	until_printed(run, 2, "\n", 2);
	for (size_t i = 0; in_time && i < COUNT_OF(widths); i++)
		in_time = change_width(&viewer, widths[i], reflow);
	run_feed_end(run);
	if (in_time) {
		expect_left(&viewer, 3);
	} else {
		run_end(run);
		screen_free(&viewer.screen);
	}
	expect_exit(run, 1);
	return in_time;
}

/* The bar that stands there was drawn for another width. Once of many times is proof. */
static void a_terminal_may_change_its_width(struct test *t)
{
	fresh_dir(t);
	make_file("a", "hello");
	for (int reflow = 0; reflow < 2; reflow++) {
		bool in_time = false;

		for (int i = 0; i < 20 && !in_time; i++)
			in_time = changes_its_width(reflow);
		expect(in_time);
	}
}

/* ---------------------------------------------------------------- a clean end */

static void the_bar_goes_when_a_signal_ends_the_run(struct test *t)
{
	static const int signals[] = {SIGINT, SIGINT, SIGINT};

	fresh_dir(t);
	for (size_t last = 1; last <= COUNT_OF(signals); last++) {
		struct run *run = ON_TERMINAL(80, xterm, "hash", "-q", "--progress", "bar", "-");
		struct viewer viewer;

		viewer_init(&viewer, run, 80);
		until_bars(&viewer, 1);
		for (size_t i = 0; i < last; i++)
			run_kill(run, signals[i]);
		run_feed_end(run);
		expect_left(&viewer, 0);
		expect_exit(run, 128 + SIGINT);
	}
}

static void the_bar_goes_when_the_reader_does(struct test *t)
{
	struct viewer viewer;
	struct run *run;
	int slave, master, out[2];

	fresh_dir(t);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	master = open_terminal(80, &slave);
	run = START(HOW(.feed = true, .out = out[1], .err = slave, .env = xterm), "hash", "-");
	close(slave);
	close(out[0]);
	close(out[1]);
	run->fd[1] = master;
	viewer_init(&viewer, run, 80);
	until_bars(&viewer, 1);
	run_feed_end(run);
	expect_left(&viewer, 0);
	expect_exit(run, 128 + SIGPIPE);
}

/* ---------------------------------------------------------------- where there is none */

static void only_a_terminal_gets_a_bar(struct test *t)
{
	struct run *asked, *piped, *quiet, *plain, *dumb_bar, *none;

	fresh_dir(t);
	piped = START(HELD, "hash", "-");
	asked = START(HELD, "hash", "--progress", "bar", "-");
	none = ON_TERMINAL(80, xterm, "hash", "--progress", "none", "-");
	quiet = ON_TERMINAL(80, xterm, "hash", "-q", "-");
	plain = ON_TERMINAL(80, dumb, "hash", "-");
	dumb_bar = ON_TERMINAL(80, no_term, "hash", "--progress", "bar", "-");
	until_something_would_be_shown();

	for (size_t i = 0; i < 6; i++) {
		struct run *run = (struct run *[]){piped, asked, none, quiet, plain, dumb_bar}[i];

		run_feed_end(run);
		expect_err(run_end(run), "");
		expect_exit(run, 0);
	}
}

/* The line there is the shell's, where somebody may be typing. */
static void a_process_in_the_background_shows_no_bar(struct test *t)
{
	struct run *run;
	int slave, master;

	fresh_dir(t);
	if (!have_program("setsid"))
		skip_because(t, "there is no setsid to give a process a terminal of its own");
	assert_int_equal(mkfifo("fifo", 0600), 0);
	master = open_terminal(80, &slave);
	run = START(HOW(.program = "setsid", .in = slave, .out = slave, .err = slave, .env = xterm),
		    "--ctty", "--wait", "sh", "-c",
		    "set -m; \"$BATCHPROC\" hash --progress bar - <fifo >out & exec 3>fifo; "
		    "echo started; read line; exec 3>&-; wait");
	close(slave);
	run->fd[1] = master;
	until_printed(run, 2, "started\r\n", 1);
	until_something_would_be_shown();
	expect_eq(text_count(&run->err, "\033["), 0);
	/* Somebody types a line. */
	assert_int_equal(write(master, "\n", 1), 1);
	run_end(run);
	expect_exit(run, 0);
	expect_eq(text_count(&run->err, "\033["), 0);
}

static void a_short_run_shows_nothing(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_file("a", "hello");
	run = run_end(ON_TERMINAL(80, no_term, "hash", "a"));
	expect_exit(run, 0);
	expect_err(run, "");
	/* On a busy machine not every run is a short one. */
	for (int i = 0; i < 20; i++) {
		run = run_end(ON_TERMINAL(80, xterm, "hash", "a"));
		if (run->seconds < 0.4)
			expect_err(run, "");
	}
}

/* ---------------------------------------------------------------- for programs */

static void progress_as_json_ends_with_the_last_state(struct test *t)
{
	struct run *run;
	const char *line;

	fresh_dir(t);
	make_file("a", "hello");
	run = START(HELD, "hash", "--progress", "json", "a", "-", "nosuch", "-q");
	until_printed(run, 2,
		      "\"progress\":true,\"ended\":2,\"total\":3,\"bytes\":5,\"in_flight\":1,"
		      "\"failed\":1,",
		      1);
	run_feed_end(run);
	run_end(run);
	expect_exit(run, 1);
	for (line = run->err.data; *line; line += strcspn(line, "\n") + 1)
		expect_(is_json(line, strcspn(line, "\n")), "progress is JSON", __FILE__, __LINE__);
	expect_says(run, "\"progress\":true,\"ended\":3,\"total\":3,\"bytes\":5,\"in_flight\":0,"
			 "\"failed\":1,");
	expect_says(run, ",\"left_us\":0}\n");
	/* However short it was. */
	run = BP("hash", "--progress", "json", "a");
	expect_eq(text_count(&run->err, "\"progress\":true,\"ended\":1,\"total\":1,"), 1);
}

/* Long before the last one was given: here all wait for the first. */
static void the_number_of_items_is_known_early(struct test *t)
{
	static const char nul[] = "a\0\0a\nb\0a";
	static char many[2 * 1000 + 1];
	static const char *const said[] = {"\"ended\":0,\"total\":5,", "\"ended\":0,\"total\":4,",
					   "\"ended\":0,\"total\":0,", "\"ended\":0,\"total\":0,",
					   "\"ended\":1,\"total\":0,"};
	struct run *runs[5];

	fresh_dir(t);
	make_file("a", "hello");
	make_file("list", "\n\na\na\n\na");
	make_bytes("nul", nul, sizeof(nul) - 1);
	/* More than are read before a place is free for them. */
	for (size_t i = 0; i < 1000; i++)
		memcpy(many + 2 * i, "a\n", 2);
	make_file("many", many);
	runs[0] = START(HELD, "hash", "-j1", "--progress", "json", "-", "-T", "list", "a");
	runs[1] = START(HELD, "hash", "-j1", "--progress", "json", "-", "-0", "-T", "nul");
	/* These cannot say it: a tree, a part, a pipe. */
	runs[2] = START(HELD, "hash", "-j1", "--progress", "json", "-", "-T", "list", "-r");
	runs[3] = START(HELD, "hash", "-j1", "--progress", "json", "--shard", "1/1", "-", "-T",
			"many");
	runs[4] = START(HELD, "hash", "-j1", "--progress", "json", "a", "-T", "-");
	for (size_t i = 0; i < COUNT_OF(runs); i++)
		until_printed(runs[i], 2, said[i], 1);
	for (size_t i = 0; i < COUNT_OF(runs); i++) {
		run_feed_end(runs[i]);
		run_end(runs[i]);
		expect_exit(runs[i], i == 1);
	}
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		ONCE(the_bar_is_one_row_of_any_width),
		ONCE(a_terminal_too_narrow_shows_nothing),
		ONCE(no_color_is_honoured),
		ONCE(data_messages_and_the_bar_share_a_terminal),
		ONCE(half_a_line_is_left_alone),
		ONCE(a_terminal_may_change_its_width),
		ONCE(the_bar_goes_when_a_signal_ends_the_run),
		ONCE(the_bar_goes_when_the_reader_does),
		ONCE(only_a_terminal_gets_a_bar),
		ONCE(a_process_in_the_background_shows_no_bar),
		ONCE(a_short_run_shows_nothing),
		ONCE(progress_as_json_ends_with_the_last_state),
		ONCE(the_number_of_items_is_known_early),
	};

	return RUN_CASES(argc, argv, cases);
}
