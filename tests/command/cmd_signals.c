/* SPDX-License-Identifier: MIT */
/*
 * cmd_signals - INT, TERM, USR1 and KILL while items run, wait and are printed
 *
 *	1st INT, TERM	-j1: [ - reads ] a b		nothing more starts, - may end
 *	2nd		     [ - reads ]		is cancelled
 *	3rd		     [ output nobody reads ]	the program dies
 */
#include <sys/stat.h>

#include "support/cmd.h"
#include "support/records.h"

#define HELLO_SHA256 "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"

#define HELD HOW(.feed = true)

static void make_ab(void)
{
	make_file("a", "hello");
	make_file("b", "world");
}

/* One item reads what the test writes, two wait for its place. */
static struct run *start_held(void)
{
	struct run *run = START(HELD, "hash", "--json", "-j1", "-", "a", "b");

	run_feed(run, "hel", 3);
	until_drained(run);
	return run;
}

static void lets_running_items_end(struct test *t, int sig)
{
	const struct records *records;
	struct run *run;

	fresh_dir(t);
	make_ab();
	run = start_held();
	run_signal(run, sig);
	expect_eq(text_count(&run->out, "\"ok\""), 0);
	run_feed(run, "lo", 2);
	run_feed_end(run);
	run_end(run);
	records = expect_records(run, 3);
	expect_exit(run, 128 + sig);
	expect_status(records, "-", "ok");
	expect_status(records, "a", "not_started");
	expect_status(records, "b", "not_started");
	expect_eq(strcmp(records->stopped, "signal"), 0);
	expect_eq(text_count(&run->out, HELLO_SHA256), 1);
	expect_says(run, sig == SIGINT ? "stopped by signal 2 (SIGINT): 1 ok, 2 not started" :
					 "stopped by signal 15 (SIGTERM): 1 ok, 2 not started");
}

static void the_first_int_lets_running_items_end(struct test *t)
{
	lets_running_items_end(t, SIGINT);
}

static void the_first_term_lets_running_items_end(struct test *t)
{
	lets_running_items_end(t, SIGTERM);
}

static void cancels_running_items(struct test *t, int first, int second)
{
	const struct records *records;
	struct run *run;

	fresh_dir(t);
	make_ab();
	run = start_held();
	run_signal(run, first);
	kill(run->pid, second);
	run_end(run);
	records = expect_records(run, 3);
	/* The first says how it ends. */
	expect_exit(run, 128 + first);
	expect_status(records, "-", "cancelled");
	expect_status(records, "a", "not_started");
}

static void the_second_signal_cancels_running_items(struct test *t)
{
	cancels_running_items(t, SIGINT, SIGINT);
	cancels_running_items(t, SIGTERM, SIGTERM);
	cancels_running_items(t, SIGTERM, SIGINT);
}

static void the_second_signal_cancels_items_that_compute(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_sparse("huge", (off_t)1 << 40);
	make_ab();
	run = START(HOW(.feed = false), "hash", "--json", "huge", "huge", "huge", "a");
	until_printed(run, 1, "\"ok\"", 1);
	run_signal(run, SIGINT);
	kill(run->pid, SIGINT);
	run_end(run);
	expect_records(run, 4);
	expect_exit(run, 128 + SIGINT);
}

/* As many records as a pipe and the buffers behind it do not hold. */
static void make_long_list(unsigned long count)
{
	struct text list = {0};

	make_ab();
	for (unsigned long i = 0; i < count; i++)
		text_printf(&list, "a\n");
	make_bytes("list", list.data, list.len);
	text_free(&list);
}

/* Hashes the list into a pipe that is full now, and gets some signals: what is left waits. */
static struct run *stopped_before_a_reader(int out[2], int signals)
{
	struct run *run;

	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	run = START(HOW(.out = out[1]), "hash", "--json", "-T", "list");
	close(out[1]);
	poll(&(struct pollfd){.fd = out[0], .events = POLLIN}, 1, -1);
	for (int i = 0; i < signals; i++)
		run_kill(run, SIGINT);
	return run;
}

/* Output that nobody takes holds up the program's end, but not against a third signal. */
static void the_third_signal_ends_it_at_once(struct test *t)
{
	struct run *run;
	int out[2];

	fresh_dir(t);
	make_long_list(30000);
	run = stopped_before_a_reader(out, 2);
	run_kill(run, SIGINT);
	run_end(run);
	expect_exit(run, 128 + SIGINT);
	close(out[0]);
}

/* ... and nor for ever against a second one. */
static void after_the_second_signal_a_reader_has_some_seconds(struct test *t)
{
	struct run *run;
	int out[2];

	fresh_dir(t);
	make_long_list(30000);
	run = stopped_before_a_reader(out, 2);
	run_end(run);
	expect_exit(run, 128 + SIGINT);
	close(out[0]);
}

static void the_second_signal_loses_no_record(struct test *t)
{
	const size_t count = 30000;
	char block[65536];
	size_t lines = 0;
	struct run *run;
	int out[2];
	ssize_t n;

	fresh_dir(t);
	make_long_list(count);
	run = stopped_before_a_reader(out, 2);
	usleep(200000);
	while ((n = read(out[0], block, sizeof(block))) > 0)
		for (ssize_t i = 0; i < n; i++)
			lines += block[i] == '\n';
	run_end(run);
	expect_exit(run, 128 + SIGINT);
	/* The last is the summary. */
	expect_eq(lines, count + 1);
	close(out[0]);
}

static void a_list_that_never_ends_is_cut(struct test *t)
{
	const struct records *records;
	struct run *run;

	fresh_dir(t);
	make_ab();
	run = START(HELD, "hash", "--json", "-T", "-");
	run_feed(run, "a\nb\n", 4);
	until_printed(run, 1, "\"ok\"", 2);
	kill(run->pid, SIGTERM);
	run_end(run);
	records = expect_records(run, 2);
	expect_eq(records->ok, 2);
	expect_exit(run, 128 + SIGTERM);
	expect_says(run, "the list was not read to its end");
	expect_eq(text_count(&run->out, "\"inputs_cut\":true"), 1);
}

static void a_list_in_a_file_is_read_to_its_end(struct test *t)
{
	const unsigned long count = scaled(20000);
	struct text list = {0};
	struct run *run;

	fresh_dir(t);
	make_ab();
	for (unsigned long i = 0; i < count; i++)
		text_printf(&list, "a\n");
	make_bytes("list", list.data, list.len);
	run = START(HELD, "hash", "--json", "-j1", "-", "-T", "list");
	run_feed(run, "x", 1);
	until_drained(run);
	run_signal(run, SIGINT);
	run_feed_end(run);
	run_end(run);
	expect_eq(expect_records(run, count + 1)->not_started, count);
	text_free(&list);
}

/* What was not reached can be done later: nothing of a tree is lost. */
static void an_interrupted_walk_can_be_completed(struct test *t)
{
	struct run *run, *rest, *all;
	char path[64];

	fresh_dir(t);
	make_dir("d");
	for (int i = 0; i < 300; i++) {
		snprintf(path, sizeof(path), "d/%d", i);
		if (i % 10 == 0)
			make_dir(path);
		snprintf(path, sizeof(path), "d/%d/f%d", i / 10 * 10, i);
		make_file(path, path);
	}
	run = START(HELD, "hash", "-r", "-j1", "--failed-to", "failed", "-", "d");
	run_feed(run, "x", 1);
	until_drained(run);
	run_signal(run, SIGINT);
	run_feed_end(run);
	run_end(run);
	expect_exit(run, 128 + SIGINT);
	rest = BP("hash", "-r", "-T", "failed");
	expect_exit(rest, 0);
	/* A directory that was read in part is read again as a whole. */
	text_add(&rest->out, run->out.data, run->out.len);
	make_bytes("both", rest->out.data, rest->out.len);
	all = SH("find d -type f -print0 | xargs -0 sha256sum; printf x | sha256sum");
	expect_same(SH("sort -u both"), all);
}

static const char *last_line(const struct text *text)
{
	const char *before = text->len ? memrchr(text->data, '\n', text->len - 1) : NULL;

	return before ? before + 1 : text->data;
}

static void usr1_asks_how_far_it_is(struct test *t)
{
	struct run *run;
	size_t asked = 0;

	fresh_dir(t);
	make_ab();
	run = START(HELD, "hash", "-j2", "a", "-", "b");
	until_printed(run, 1, "  b\n", 1);
	run_feed(run, "x", 1);
	until_drained(run);
	/* What is printed has ended; that it counts as ended may be a moment later. */
	do {
		run_signal(run, SIGUSR1);
		asked++;
	} while (!strstr(last_line(&run->err), "1 in flight, 0 failed"));
	expect_(strstr(last_line(&run->err), ": 2/3 items, "), "2 of 3", __FILE__, __LINE__);
	run_signal(run, SIGUSR1);
	run_feed_end(run);
	run_end(run);
	expect_exit(run, 0);
	expect_eq(text_count(&run->err, "/3 items, "), asked + 1);
	/* A debug build also says what lives in the engine. */
#ifdef BP_DEBUG
	expect_eq(text_count(&run->err, "engine 0x"), asked + 1);
#else
	expect_eq(text_count(&run->err, "engine 0x"), 0);
#endif
}

/* As nohup and a shell's & leave it. */
static void a_signal_that_was_ignored_stays_so(struct test *t)
{
	struct run *run;

	fresh_dir(t);
	make_ab();
	run = START(HOW(.feed = true, .ignored = SIGINT), "hash", "-j1", "-", "a");
	run_feed(run, "x", 1);
	until_drained(run);
	kill(run->pid, SIGINT);
	run_signal(run, SIGUSR1);
	run_feed_end(run);
	run_end(run);
	expect_exit(run, 0);
	expect_eq(text_count(&run->out, "\n"), 2);
}

static void kill_leaves_nothing_behind(struct test *t)
{
	struct run *run, *before;

	fresh_dir(t);
	make_ab();
	before = SH("ls -lA --time-style=full-iso");
	run = start_held();
	kill(run->pid, SIGKILL);
	run_end(run);
	expect_exit(run, 128 + SIGKILL);
	expect_out(SH("ls -lA --time-style=full-iso"), before->out.data);
}

/* At any moment of its life, the first as the last. */
static void a_signal_may_come_at_any_time(struct test *t)
{
	fresh_dir(t);
	make_ab();
	for (int i = 0; i < 60; i++) {
		struct run *run = START(HOW(.feed = false), "hash", "-r", "--json", ".", "a", "b");

		for (int k = 0; k < i * 40000; k++)
			atomic_signal_fence(memory_order_seq_cst);
		kill(run->pid, i % 3 ? SIGINT : SIGTERM);
		if (i % 2)
			kill(run->pid, SIGTERM);
		run_end(run);
		if (run->status != 0)
			expect_between(run->status, 128 + SIGINT, 128 + SIGTERM);
		if (run->out.len)
			expect_eq(run->out.data[run->out.len - 1], '\n');
	}
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		ONCE(the_first_int_lets_running_items_end),
		ONCE(the_first_term_lets_running_items_end),
		ONCE(the_second_signal_cancels_running_items),
		ONCE(the_second_signal_cancels_items_that_compute),
		ONCE(the_third_signal_ends_it_at_once),
		ONCE(after_the_second_signal_a_reader_has_some_seconds),
		ONCE(the_second_signal_loses_no_record),
		ONCE(a_list_that_never_ends_is_cut),
		ONCE(a_list_in_a_file_is_read_to_its_end),
		ONCE(an_interrupted_walk_can_be_completed),
		ONCE(usr1_asks_how_far_it_is),
		ONCE(a_signal_that_was_ignored_stays_so),
		ONCE(kill_leaves_nothing_behind),
		ONCE(a_signal_may_come_at_any_time),
	};

	return RUN_CASES(argc, argv, cases);
}
