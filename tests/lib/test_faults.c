/* SPDX-License-Identifier: MIT */
/*
 * test_faults - the faults that are injected are honest
 *
 * Given a backend with faults around it, an operation that is said to have failed was not carried
 * out, one that is said to be short moved so much and no more, a close closes whatever it says, and
 * whatever is delayed or lost on the way a group ends with every item counted.
 */
#include "backend/fault.h"
#include "support/harness.h"
#include "sim/sim.h"

#define SIZE 5000

/** An engine of the test's row with faults around its backend. */
static void faulty_engine(struct test *t, const char *spec)
{
	bp_faults = spec;
	engine_with(t, .depth = 16);
	bp_faults = NULL;
}

struct scene {
	struct test *t;
	char path[128];
	int made; /* descriptors */
};

/** Where the tasks' files are: on the simulated backend in its own tree. */
static const char *place(struct test *t)
{
	return sim_of(t->engine) ? "" : temp_dir(t);
}

static int run(struct test *t, bp_task_fn fn, struct scene *s)
{
	struct bp_group *g = group_with(t, .limit = 1);
	int err;

	s->t = t;
	snprintf(s->path, sizeof(s->path), "%s/file", place(t));
	expect_eq(bp_go(g, fn, s), 0);
	err = bp_wait(g);
	expect_balanced(g);
	bp_group_destroy(g);
	return err;
}

static int creates(void *arg)
{
	struct scene *s = arg;

	return bp_openat(AT_FDCWD, s->path, O_RDWR | O_CREAT | O_EXCL, 0600);
}

static int looks(void *arg)
{
	struct scene *s = arg;
	struct statx stx;

	return bp_statx(AT_FDCWD, s->path, 0, STATX_SIZE, &stx);
}

static void what_failed_was_not_done(struct test *t)
{
	struct scene s;

	faulty_engine(t, "seed=3,eio=100");
	expect_eq(run(t, creates, &s), -EIO);
	/* Without faults one sees that there is no file. */
	bp_engine_destroy(t->engine);
	t->engine = NULL;
	engine_with(t, .depth = 16);
	if (!sim_of(t->engine))
		expect_eq(run(t, looks, &s), -ENOENT);
}

static int opens_and_closes(void *arg)
{
	struct scene *s = arg;
	int fd;

	do
		fd = bp_openat(AT_FDCWD, s->path, O_RDWR | O_CREAT, 0600);
	while (fd == -EIO);
	if (fd < 0)
		return fd;
	s->made++;
	/* Whatever it says, the descriptor is gone: the harness counts what is left. */
	return bp_close(fd) == -EIO ? 0 : 1;
}

static void a_close_that_fails_has_closed(struct test *t)
{
	struct scene s = {0};

	faulty_engine(t, "seed=5,eio=50");
	for (int i = 0; i < 40; i++)
		expect(run(t, opens_and_closes, &s) >= 0);
	expect_eq(s.made, 40);
	expect(faults_injected(t->engine) > 20);
}

/** Writes and reads back in as many steps as it takes. */
static int writes_and_reads(void *arg)
{
	struct scene *s = arg;
	static char out[SIZE], in[SIZE];
	size_t put = 0, got = 0;
	ssize_t n = 0;
	int fd;

	for (size_t i = 0; i < SIZE; i++)
		out[i] = (char)file_byte(i);
	memset(in, 0, sizeof(in));
	fd = bp_openat(AT_FDCWD, s->path, O_RDWR | O_CREAT, 0600);
	if (fd < 0)
		return fd;
	while (put < SIZE && (n = bp_write(fd, out + put, SIZE - put, (off_t)put)) > 0)
		put += (size_t)n;
	while (n > 0 && got < SIZE && (n = bp_read(fd, in + got, SIZE - got, (off_t)got)) > 0)
		got += (size_t)n;
	expect(n > 0);
	expect(!memcmp(in, out, SIZE));
	return bp_close(fd);
}

static void short_transfers_move_what_they_say(struct test *t)
{
	struct scene s;

	faulty_engine(t, "seed=7,short=90,eintr=20,eagain=5,delay=30,reorder=50");
	for (int i = 0; i < 10; i++)
		expect_eq(run(t, writes_and_reads, &s), 0);
	expect(faults_injected(t->engine) > 10);
}

static void cancels_that_lose_are_sent_again(struct test *t)
{
	struct bp_group *g;
	struct crowd_op op[8];
	struct crowd crowd;

	faulty_engine(t, "seed=9,lose_cancel=70,delay=30,reorder=50");
	g = group_with(t, .limit = BP_LIMIT_NONE);
	crowd_init(&crowd);
	for (unsigned int i = 0; i < 8; i++) {
		crowd_op_init(&op[i], &crowd);
		expect_eq(bp_go_op(g, &op[i].op), 0);
	}
	until_in_flight(t, 8);
	bp_cancel(g, -EINTR);
	expect_eq(bp_wait(g), -EINTR);
	expect_balanced(g);
	bp_group_destroy(g);
	crowd_free(&crowd);
}

static int parse_error(const char *spec)
{
	struct bp_engine *engine;
	int err;

	bp_faults = spec;
	err = bp_engine_create(&engine, &BP_ENGINE_OPTS(.backend = BP_BACKEND_SIM));
	bp_faults = NULL;
	if (!err)
		bp_engine_destroy(engine);
	return err;
}

static void a_spec_is_understood_or_refused(struct test *t)
{
	(void)t;
	expect_eq(parse_error(""), 0);
	expect_eq(parse_error("seed=1"), 0);
	expect_eq(parse_error("seed=18446744073709551615,short=100,lose_cancel=1"), 0);
	expect_eq(parse_error("short"), -EINVAL);
	expect_eq(parse_error("short=101"), -EINVAL);
	expect_eq(parse_error("short=1x"), -EINVAL);
	expect_eq(parse_error("sort=1"), -EINVAL);
	expect_eq(parse_error("short="), -EINVAL);
}

static const struct test_case cases[] = {
	EACH_ROW(what_failed_was_not_done),	      EACH_ROW(a_close_that_fails_has_closed),
	EACH_ROW(short_transfers_move_what_they_say), EACH_ROW(cancels_that_lose_are_sent_again),
	ONCE(a_spec_is_understood_or_refused),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
