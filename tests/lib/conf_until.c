/* SPDX-License-Identifier: MIT */
/*
 * conf_until - waits that give up at a point in time, in tasks and in threads outside
 */
#include "support/harness.h"

struct things {
	struct test *t;
	struct bp_engine *engine;
	struct bp_event event;
	struct bp_semaphore semaphore;
	struct bp_channel full, empty;
	struct bp_handle *handle;
	int memory[2];
	atomic_ulong past; /* what was in vain */
};

static int goes_on(void *arg)
{
	struct things *s = arg;

	return bp_event_wait(&s->event);
}

typedef int (*wait_fn)(struct things *s, uint64_t until);

static int event(struct things *s, uint64_t until)
{
	return bp_event_wait_until(&s->event, until);
}

static int semaphore(struct things *s, uint64_t until)
{
	int err = bp_semaphore_acquire_until(&s->semaphore, 2, until);

	/* As it was, for the next one. */
	if (!err)
		bp_semaphore_release(&s->semaphore, 2);
	return err;
}

static int channel_send(struct things *s, uint64_t until)
{
	return bp_channel_send_until(&s->full, &(int){2}, until);
}

static int channel_recv(struct things *s, uint64_t until)
{
	int item;

	return bp_channel_recv_until(&s->empty, &item, until);
}

static int join(struct things *s, uint64_t until)
{
	return bp_handle_join_until(s->handle, NULL, until);
}

static const wait_fn waits[] = {event, semaphore, channel_send, channel_recv, join};

/* Nothing comes: not before the time, and at once where that is over. */
static int wait_in_vain(void *arg)
{
	struct things *s = arg;

	for (size_t i = 0; i < COUNT_OF(waits); i++) {
		uint64_t until = bp_now(s->engine) + 3 * MS;

		expect_eq(waits[i](s, until), -ETIMEDOUT);
		expect(bp_now(s->engine) >= until);
		expect_eq(waits[i](s, 0), -ETIMEDOUT);
	}
	return 0;
}

/* What waits for its turn comes late enough to be waited for, as a rule, and long before the time. */
static int gives(void *arg)
{
	struct things *s = arg;
	int item;

	expect_eq(bp_sleep(3 * MS), 0);
	bp_event_set(&s->event);
	expect_eq(bp_sleep(3 * MS), 0);
	bp_semaphore_release(&s->semaphore, 1);
	expect_eq(bp_sleep(3 * MS), 0);
	expect_eq(bp_channel_recv(&s->full, &item), 0);
	expect_eq(item, 1);
	expect_eq(bp_sleep(3 * MS), 0);
	return bp_channel_send(&s->empty, &item);
}

static int wait_and_get(void *arg)
{
	struct things *s = arg;

	for (size_t i = 0; i < COUNT_OF(waits); i++)
		expect_eq(waits[i](s, bp_now(s->engine) + FAR_AWAY), 0);
	return 0;
}

static void play(struct test *t, bool in_task)
{
	struct things s = {.t = t, .engine = t->engine ? t->engine : engine_with(t)};
	struct bp_group *g = group_with(t);
	int item = 1;

	bp_event_init(&s.event, s.engine);
	bp_semaphore_init(&s.semaphore, s.engine, 1);
	expect_eq(bp_channel_init(&s.full, s.engine, &s.memory[0], sizeof(int), 1), 0);
	expect_eq(bp_channel_init(&s.empty, s.engine, &s.memory[1], sizeof(int), 1), 0);
	expect_eq(bp_channel_try_send(&s.full, &item), 0);
	expect_eq(bp_go_handle(g, &s.handle, goes_on, &s), 0);
	expect_eq(in_task ? run_task(t, wait_in_vain, &s) : wait_in_vain(&s), 0);
	expect_eq(bp_go(g, gives, &s), 0);
	expect_eq(in_task ? run_task(t, wait_and_get, &s) : wait_and_get(&s), 0);
	expect_eq(bp_wait(g), 0);
	/* Nothing was taken, and nothing was sent, by those that gave up. */
	expect_eq(bp_semaphore_try_acquire(&s.semaphore, 2), 0);
	expect_eq(bp_channel_try_recv(&s.full, &item), 0);
	expect_eq(item, 2);
	expect_eq(bp_channel_try_recv(&s.full, &item), -EAGAIN);
	bp_handle_release(s.handle);
	bp_group_destroy(g);
}

static void threads_outside_give_up_in_time(struct test *t)
{
	play(t, false);
}

static void tasks_give_up_in_time(struct test *t)
{
	play(t, true);
}

static int wants_one(void *arg)
{
	return bp_semaphore_acquire(arg, 1);
}

/* Who stood behind one that gave up is served, if there is enough. */
static void who_stands_behind_goes_on(struct test *t)
{
	struct bp_engine *engine = engine_with(t);
	struct bp_group *g = group_with(t);
	struct bp_semaphore semaphore;
	int err;

	bp_semaphore_init(&semaphore, engine, 1);
	expect_eq(bp_semaphore_acquire_until(&semaphore, 2, 0), -ETIMEDOUT);
	err = bp_go(g, wants_one, &semaphore);
	expect_eq(err, 0);
	err = bp_semaphore_acquire_until(&semaphore, 2, bp_now(engine) + 20 * MS);
	expect_eq(err, -ETIMEDOUT);
	expect_eq(bp_wait(g), 0);
	expect_eq(bp_semaphore_try_acquire(&semaphore, 1), -EAGAIN);
	bp_group_destroy(g);
}

static int waits_in_a_scope(void *arg)
{
	struct things *s = arg;
	struct bp_timeout scope;

	for (size_t i = 0; i < COUNT_OF(waits); i++) {
		bp_timeout_begin(&scope, 2 * MS);
		expect_eq(waits[i](s, bp_now(s->engine) + FAR_AWAY), -ETIMEDOUT);
		expect_eq(bp_timeout_end(&scope), -ETIMEDOUT);
	}
	atomic_fetch_add(&s->past, 1);
	/* The group's cancel comes first here. */
	return bp_event_wait_until(&s->event, bp_now(s->engine) + FAR_AWAY);
}

/* A cancel or a timeout of the task's own that comes before ends the wait as ever. */
static void what_comes_first_counts(struct test *t)
{
	struct things s = {.t = t, .engine = engine_with(t)};
	struct bp_group *g = group_with(t), *other = group_with(t);
	int item = 1;

	bp_event_init(&s.event, s.engine);
	bp_semaphore_init(&s.semaphore, s.engine, 1);
	expect_eq(bp_channel_init(&s.full, s.engine, &s.memory[0], sizeof(int), 1), 0);
	expect_eq(bp_channel_init(&s.empty, s.engine, &s.memory[1], sizeof(int), 1), 0);
	expect_eq(bp_channel_try_send(&s.full, &item), 0);
	expect_eq(bp_go_handle(other, &s.handle, goes_on, &s), 0);
	expect_eq(bp_go(g, waits_in_a_scope, &s), 0);
	until_count(t, &s.past, 1);
	bp_cancel(g, -EINTR);
	expect_eq(bp_wait(g), -EINTR);
	expect_eq(stats_of(g).stopped, 1);
	bp_event_set(&s.event);
	expect_eq(bp_wait(other), 0);
	bp_handle_release(s.handle);
	bp_group_destroy(other);
	bp_group_destroy(g);
}

static const struct test_case cases[] = {
	EACH_ROW(threads_outside_give_up_in_time),
	EACH_ROW(tasks_give_up_in_time),
	EACH_ROW(who_stands_behind_goes_on),
	EACH_ROW(what_comes_first_counts),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
