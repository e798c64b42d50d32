/* SPDX-License-Identifier: MIT */
/*
 * test_dump - bp_engine_dump() says what lives, from wherever it is called
 */
#include <sys/mman.h>

#include "support/harness.h"

static char text[1 << 20];

/** What the dump says, in @text. */
static void take_dump(struct bp_engine *engine)
{
	int fd = memfd_create("dump", MFD_CLOEXEC);
	ssize_t n;

	expect(fd >= 0);
	expect_eq(bp_engine_dump(engine, fd), 0);
	n = pread(fd, text, sizeof(text) - 1, 0);
	expect(n > 0);
	text[n > 0 ? n : 0] = '\0';
	close(fd);
}

static unsigned int times_said(const char *word)
{
	unsigned int n = 0;

	for (const char *at = text; (at = strstr(at, word)); at++)
		n++;
	return n;
}

static void it_tells_of_loops_groups_and_items(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = 7);
	struct crowd crowd;

	crowd_init(&crowd);
	for (int i = 0; i < 3; i++)
		expect_eq(bp_go(g, crowd_task, &crowd), 0);
	until_count(t, &crowd.started, 3);
	until_in_flight(t, 3);
	take_dump(t->engine);
	expect_eq(times_said("\n  loop "), t->row->loops ? t->row->loops : 1);
	expect_eq(times_said("\n  group "), 1);
	expect_eq(times_said(": open, "), 1);
	expect_eq(times_said("limit 7"), 1);
	expect_eq(times_said("accepted 3: 0 succeeded"), 1);
	expect_eq(times_said("3 hold a place"), 1);
	expect_eq(times_said("    task "), 3);
	expect_eq(times_said("in flight: "), 3);
	bp_cancel(g, -EDOM);
	take_dump(t->engine);
	expect_eq(times_said(": cancelled, "), 1);
	expect_eq(times_said("cause -33 ("), 1);
	expect_eq(bp_wait(g), -EDOM);
	take_dump(t->engine);
	expect_eq(times_said(": closed, "), 1);
	expect_eq(times_said("    task "), 0);
	bp_group_destroy(g);
	crowd_free(&crowd);
	take_dump(t->engine);
	expect_eq(times_said("0 group(s)"), 1);
}

/* Many items are not written one by one, but none is left out of the count. */
static void what_is_too_much_is_counted(struct test *t)
{
	struct bp_group *g;
	struct crowd crowd;

	engine_with(t, .depth = 2048);
	g = group_with(t);
	crowd_init(&crowd);
	for (int i = 0; i < 1300; i++)
		expect_eq(bp_go(g, crowd_task, &crowd), 0);
	until_count(t, &crowd.started, 1300);
	take_dump(t->engine);
	expect_eq(times_said("    task "), 1000);
	expect_eq(times_said("and 300 more"), 1);
	gate_open(&crowd.gate);
	expect_eq(bp_wait(g), 0);
	bp_group_destroy(g);
	crowd_free(&crowd);
}

static void full_queues_are_said(struct test *t)
{
	struct bp_group *g;
	struct crowd crowd;

	engine_with(t, .depth = 2);
	g = group_with(t);
	crowd_init(&crowd);
	take_dump(t->engine);
	expect_eq(times_said("FULL"), 0);
	expect(!bp_engine_info(t->engine)->full);
	for (int i = 0; i < 2; i++)
		expect_eq(bp_go(g, crowd_task, &crowd), 0);
	while (bp_engine_info(t->engine)->in_flight < 2)
		expect_eq(bp_wait_until(g, 1), -ETIMEDOUT);
	take_dump(t->engine);
	expect_eq(times_said("FULL"), 1);
	expect(bp_engine_info(t->engine)->full);
	gate_open(&crowd.gate);
	expect_eq(bp_wait(g), 0);
	bp_group_destroy(g);
	crowd_free(&crowd);
}

static int dumps(void *arg)
{
	struct test *t = arg;

	take_dump(t->engine);
	expect_eq(times_said(": running, started"), 1);
	return 0;
}

static void dump_of_report(void *arg, void *item, enum bp_end end, int result)
{
	struct test *t = arg;

	(void)item, (void)end, (void)result;
	take_dump(t->engine);
}

static void a_task_and_a_callback_may_call_it(struct test *t)
{
	struct bp_group *g;

	engine_with(t);
	g = group_with(t, .report = dump_of_report, .report_arg = t);
	expect_eq(bp_go(g, dumps, t), 0);
	expect_eq(bp_wait(g), 0);
	bp_group_destroy(g);
}

/* While items come and go: nothing is read that is gone. */
static void it_may_be_called_while_items_come_and_go(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = 50);
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

	for (unsigned long i = 0; i < scaled(20000); i++) {
		expect_eq(bp_go(g, succeed, NULL), 0);
		if (i % 50 == 0)
			expect_eq(bp_engine_dump(t->engine, fd), 0);
	}
	expect_eq(bp_wait(g), 0);
	bp_group_destroy(g);
	close(fd);
}

static void an_error_of_the_write_is_told(struct test *t)
{
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	engine_with(t);
	expect_eq(bp_engine_dump(t->engine, fd), -ENOSPC);
	expect_eq(bp_engine_dump(t->engine, -1), -EBADF);
	close(fd);
}

static const struct test_case cases[] = {
	EACH_ROW(it_tells_of_loops_groups_and_items),
	EACH_ROW(what_is_too_much_is_counted),
	DRIVEN_ROWS(full_queues_are_said),
	EACH_ROW(a_task_and_a_callback_may_call_it),
	EACH_REAL_ROW(it_may_be_called_while_items_come_and_go),
	DRIVEN_ROWS(an_error_of_the_write_is_told),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
