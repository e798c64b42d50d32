/* SPDX-License-Identifier: MIT */
/*
 * conf_sync - mutexes and events between tasks, and all waits: fair, and cancelled with who waits
 */
#include <pthread.h>

#include "support/harness.h"

/* What a case shares between its tasks. */
struct shared {
	struct bp_mutex mutex, other;
	struct bp_semaphore semaphore;
	struct bp_event event;
	struct gate gate;
	atomic_ulong inside, most, done, ready;
	unsigned long plain; /* guarded by the mutex */
	int order[16]; /* likewise */
	int n;
};

/* A task of a case, and what its wait returned. */
struct waiter_task {
	struct shared *s;
	int id;
	int res;
};

static void shared_init(struct test *t, struct shared *s, uint64_t n)
{
	struct bp_engine *engine = t->engine ? t->engine : engine_with(t, .loops = 0);

	memset(s, 0, sizeof(*s));
	bp_mutex_init(&s->mutex, engine);
	bp_mutex_init(&s->other, engine);
	bp_semaphore_init(&s->semaphore, engine, n);
	bp_event_init(&s->event, engine);
	gate_init(&s->gate);
}

static void shared_free(struct shared *s)
{
	gate_free(&s->gate);
}

/* ---------------------------------------------------------------- mutex */

static int add_slowly(void *arg)
{
	struct shared *s = arg;

	for (int i = 0; i < 10; i++) {
		unsigned long seen;
		int err = bp_mutex_lock(&s->mutex);

		if (err)
			return err;
		expect_eq(++s->inside, 1);
		seen = s->plain;
		err = bp_yield();
		s->plain = seen + 1;
		s->inside--;
		bp_mutex_unlock(&s->mutex);
		if (err)
			return err;
	}
	return 0;
}

static void a_mutex_is_held_across_operations_by_one_at_a_time(struct test *t)
{
	struct bp_group *g;
	struct shared s;

	shared_init(t, &s, 0);
	g = group_with(t, .limit = BP_LIMIT_NONE);
	for (int i = 0; i < 30; i++)
		expect_eq(bp_go(g, add_slowly, &s), 0);
	expect_eq(bp_wait(g), 0);
	expect_eq(s.plain, 300);
	bp_group_destroy(g);
	shared_free(&s);
}

static int lock_and_note(void *arg)
{
	struct waiter_task *w = arg;
	struct shared *s = w->s;

	w->res = bp_mutex_lock(&s->mutex);
	if (w->res)
		return w->res;
	s->order[s->n++] = w->id;
	bp_mutex_unlock(&s->mutex);
	return 0;
}

static void a_mutex_is_handed_over_in_the_order_of_coming(struct test *t)
{
	struct waiter_task w[6];
	struct bp_group *g;
	struct shared s;

	shared_init(t, &s, 0);
	g = group_with(t, .limit = BP_LIMIT_NONE);
	expect_eq(bp_mutex_lock(&s.mutex), 0);
	for (int i = 0; i < 6; i++) {
		w[i] = (struct waiter_task){.s = &s, .id = i, .res = 1};
		expect_eq(bp_go(g, lock_and_note, &w[i]), 0);
		until_in_queue(t, &s.mutex.waiters_, (uint64_t)i + 1);
	}
	expect_eq(bp_mutex_trylock(&s.mutex), -EAGAIN);
	bp_mutex_unlock(&s.mutex);
	/* It was handed to the first in line: nobody else finds it free before all had it. */
	expect_eq(bp_mutex_lock(&s.mutex), 0);
	expect_eq(s.n, 6);
	for (int i = 0; i < 6; i++)
		expect_eq(s.order[i], i);
	bp_mutex_unlock(&s.mutex);
	expect_eq(bp_wait(g), 0);
	bp_group_destroy(g);
	shared_free(&s);
}

static void who_waits_for_a_mutex_is_cancelled_with_its_group(struct test *t)
{
	struct waiter_task w[3], other;
	struct bp_group *g, *beside;
	struct shared s;

	shared_init(t, &s, 0);
	g = group_with(t, .limit = BP_LIMIT_NONE);
	beside = group_with(t, .limit = BP_LIMIT_NONE);
	expect_eq(bp_mutex_lock(&s.mutex), 0);
	for (int i = 0; i < 3; i++) {
		w[i] = (struct waiter_task){.s = &s, .id = i, .res = 1};
		expect_eq(bp_go(g, lock_and_note, &w[i]), 0);
	}
	until_in_queue(t, &s.mutex.waiters_, 3);
	other = (struct waiter_task){.s = &s, .id = 7, .res = 1};
	expect_eq(bp_go(beside, lock_and_note, &other), 0);
	until_in_queue(t, &s.mutex.waiters_, 4);
	bp_cancel(g, -EINTR);
	expect_eq(bp_wait(g), -EINTR);
	expect_eq(stats_of(g).stopped, 3);
	for (int i = 0; i < 3; i++)
		expect_eq(w[i].res, -ECANCELED);
	bp_mutex_unlock(&s.mutex);
	expect_eq(bp_wait(beside), 0);
	expect_eq(s.n, 1);
	expect_eq(s.order[0], 7);
	bp_group_destroy(g);
	bp_group_destroy(beside);
	shared_free(&s);
}

static int ended_waits(void *arg)
{
	struct shared *s = arg;
	struct bp_timeout scope;

	bp_timeout_begin(&scope, MS);
	expect_eq(bp_mutex_lock(&s->mutex), -ETIMEDOUT);
	expect_eq(bp_semaphore_acquire(&s->semaphore, 1), -ETIMEDOUT);
	expect_eq(bp_event_wait(&s->event), -ETIMEDOUT);
	expect_eq(bp_timeout_end(&scope), -ETIMEDOUT);
	bp_timeout_begin(&scope, MS);
	expect_eq(bp_semaphore_acquire(&s->semaphore, 1), -ETIMEDOUT);
	expect_eq(bp_timeout_end(&scope), -ETIMEDOUT);
	bp_timeout_begin(&scope, MS);
	expect_eq(bp_event_wait(&s->event), -ETIMEDOUT);
	expect_eq(bp_timeout_end(&scope), -ETIMEDOUT);
	return 0;
}

static void waits_end_with_a_timeout_scope(struct test *t)
{
	struct shared s;

	shared_init(t, &s, 0);
	expect_eq(bp_mutex_lock(&s.mutex), 0);
	expect_eq(run_task(t, ended_waits, &s), 0);
	bp_mutex_unlock(&s.mutex);
	expect_eq(bp_mutex_trylock(&s.mutex), 0);
	bp_mutex_unlock(&s.mutex);
	shared_free(&s);
}

static int lock_late(void *arg)
{
	struct shared *s = arg;

	expect_eq(gate_wait(&s->gate), -ECANCELED);
	expect_eq(bp_mutex_lock(&s->mutex), -ECANCELED);
	expect_eq(bp_semaphore_acquire(&s->semaphore, 1), -ECANCELED);
	expect_eq(bp_event_wait(&s->event), -ECANCELED);
	/* What cannot wait works all the same, and all of it inside a shield. */
	expect_eq(bp_mutex_trylock(&s->mutex), 0);
	bp_mutex_unlock(&s->mutex);
	bp_shield_begin();
	expect_eq(bp_mutex_lock(&s->mutex), 0);
	bp_mutex_unlock(&s->mutex);
	expect_eq(bp_semaphore_acquire(&s->semaphore, 1), 0);
	bp_semaphore_release(&s->semaphore, 1);
	bp_event_set(&s->event);
	expect_eq(bp_event_wait(&s->event), 0);
	bp_shield_end();
	return -ECANCELED;
}

static void after_a_cancel_waits_are_refused_but_inside_a_shield(struct test *t)
{
	struct bp_group *g;
	struct shared s;

	shared_init(t, &s, 1);
	g = group_with(t, .limit = BP_LIMIT_NONE);
	expect_eq(bp_go(g, lock_late, &s), 0);
	until_in_flight(t, 1);
	bp_cancel(g, 0);
	expect_eq(bp_wait(g), -ECANCELED);
	bp_group_destroy(g);
	shared_free(&s);
}

static int lock_twice(void *arg)
{
	struct shared *s = arg;

	expect_eq(bp_mutex_lock(&s->mutex), 0);
	expect_eq(bp_mutex_lock(&s->mutex), -EDEADLK);
	expect_eq(bp_mutex_trylock(&s->mutex), -EAGAIN);
	bp_mutex_unlock(&s->mutex);
	return 0;
}

static void a_mutex_is_not_locked_twice(struct test *t)
{
	struct shared s;

	shared_init(t, &s, 0);
	expect_eq(run_task(t, lock_twice, &s), 0);
	expect_eq(bp_mutex_lock(&s.mutex), 0);
	expect_eq(bp_mutex_lock(&s.mutex), -EDEADLK);
	bp_mutex_unlock(&s.mutex);
	shared_free(&s);
}

static int lock_both(void *arg)
{
	struct waiter_task *w = arg;
	struct shared *s = w->s;
	struct bp_mutex *first = w->id ? &s->other : &s->mutex;
	struct bp_mutex *second = w->id ? &s->mutex : &s->other;

	expect_eq(bp_mutex_lock(first), 0);
	s->ready++;
	while (s->ready < 2)
		bp_yield();
	w->res = bp_mutex_lock(second);
	if (!w->res)
		bp_mutex_unlock(second);
	bp_mutex_unlock(first);
	return 0;
}

/* Each holds what the other wants: the one that makes the circle whole is told. */
static void a_circle_of_mutexes_is_told(struct test *t)
{
	struct waiter_task w[2];
	struct bp_group *g;
	struct shared s;

	shared_init(t, &s, 0);
	g = group_with(t, .limit = BP_LIMIT_NONE);
	for (int i = 0; i < 2; i++) {
		w[i] = (struct waiter_task){.s = &s, .id = i, .res = 1};
		expect_eq(bp_go(g, lock_both, &w[i]), 0);
	}
	expect_eq(bp_wait(g), 0);
	expect(w[0].res == -EDEADLK || w[1].res == -EDEADLK);
	expect(w[0].res == 0 || w[1].res == 0);
	bp_group_destroy(g);
	shared_free(&s);
}

/* ---------------------------------------------------------------- event */

static int wait_for_event(void *arg)
{
	struct waiter_task *w = arg;

	w->res = bp_event_wait(&w->s->event);
	w->s->done++;
	return w->res;
}

static void an_event_lets_all_go_and_stays_set(struct test *t)
{
	struct waiter_task w[8];
	struct bp_group *g;
	struct shared s;

	shared_init(t, &s, 0);
	g = group_with(t, .limit = BP_LIMIT_NONE);
	for (int i = 0; i < 8; i++) {
		w[i] = (struct waiter_task){.s = &s, .res = 1};
		if (i == 6) {
			until_in_queue(t, &s.event.waiters_, 6);
			expect(!bp_event_is_set(&s.event));
			bp_event_set(&s.event);
		}
		expect_eq(bp_go(g, wait_for_event, &w[i]), 0);
	}
	expect_eq(bp_wait(g), 0);
	expect_eq(s.done, 8);
	expect(bp_event_is_set(&s.event));
	expect_eq(bp_event_wait(&s.event), 0);
	bp_event_reset(&s.event);
	expect(!bp_event_is_set(&s.event));
	bp_group_destroy(g);
	shared_free(&s);
}

static void who_waits_for_an_event_is_cancelled_with_its_group(struct test *t)
{
	struct waiter_task w = {.res = 1};
	struct bp_group *g;
	struct shared s;

	shared_init(t, &s, 0);
	w.s = &s;
	g = group_with(t, .limit = BP_LIMIT_NONE);
	expect_eq(bp_go(g, wait_for_event, &w), 0);
	until_in_queue(t, &s.event.waiters_, 1);
	bp_cancel(g, 0);
	expect_eq(bp_wait(g), -ECANCELED);
	expect_eq(w.res, -ECANCELED);
	bp_event_set(&s.event);
	bp_group_destroy(g);
	shared_free(&s);
}

/* ---------------------------------------------------------------- outside, and in callbacks */

static int set_and_release(void *arg)
{
	struct shared *s = arg;
	int err = bp_sleep(MS);

	bp_event_set(&s->event);
	bp_semaphore_release(&s->semaphore, 2);
	return err;
}

static void a_thread_outside_waits_too(struct test *t)
{
	struct bp_group *g;
	struct shared s;

	shared_init(t, &s, 0);
	g = group_with(t, .limit = BP_LIMIT_NONE);
	expect_eq(bp_go(g, set_and_release, &s), 0);
	expect_eq(bp_event_wait(&s.event), 0);
	expect_eq(bp_semaphore_acquire(&s.semaphore, 2), 0);
	expect_eq(bp_wait(g), 0);
	bp_group_destroy(g);
	shared_free(&s);
}

/* Nothing runs on the engine that could ever end the wait. */
static void a_wait_that_nobody_can_end_is_edeadlk(struct test *t)
{
	struct shared s;

	shared_init(t, &s, 0);
	expect_eq(bp_event_wait(&s.event), -EDEADLK);
	expect_eq(bp_semaphore_acquire(&s.semaphore, 1), -EDEADLK);
	bp_semaphore_release(&s.semaphore, 1);
	expect_eq(bp_semaphore_acquire(&s.semaphore, 1), 0);
	shared_free(&s);
}

static void *add_from_a_thread(void *arg)
{
	struct shared *s = arg;

	for (int i = 0; i < 100; i++) {
		expect_eq(bp_mutex_lock(&s->mutex), 0);
		s->plain++;
		bp_mutex_unlock(&s->mutex);
	}
	return NULL;
}

static void threads_and_tasks_share_a_mutex(struct test *t)
{
	struct bp_group *g;
	pthread_t thread[2];
	struct shared s;

	shared_init(t, &s, 0);
	g = group_with(t, .limit = BP_LIMIT_NONE);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, add_from_a_thread, &s), 0);
	for (int i = 0; i < 10; i++)
		expect_eq(bp_go(g, add_slowly, &s), 0);
	expect_eq(bp_wait(g), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	expect_eq(s.plain, 300);
	bp_group_destroy(g);
	shared_free(&s);
}

static void lock_in_report(void *arg, void *item, enum bp_end end, int result)
{
	struct shared *s = arg;

	(void)item, (void)end, (void)result;
	expect_eq(bp_mutex_trylock(&s->mutex), -EAGAIN);
	expect_eq(bp_mutex_lock(&s->mutex), -EDEADLK);
	expect_eq(bp_semaphore_acquire(&s->semaphore, 1), -EDEADLK);
	expect_eq(bp_event_wait(&s->event), -EDEADLK);
	bp_event_set(&s->event);
	expect_eq(bp_event_wait(&s->event), 0);
	s->done++;
}

static void a_callback_never_waits(struct test *t)
{
	struct bp_group *g;
	struct shared s;

	shared_init(t, &s, 0);
	g = group_with(t, .report = lock_in_report, .report_arg = &s);
	expect_eq(bp_mutex_lock(&s.mutex), 0);
	expect_eq(bp_go(g, succeed, NULL), 0);
	expect_eq(bp_wait(g), 0);
	expect_eq(s.done, 1);
	bp_mutex_unlock(&s.mutex);
	bp_group_destroy(g);
	shared_free(&s);
}

/* ---------------------------------------------------------------- misuse, and the dump */

static int hold_and_end(void *arg)
{
	return bp_mutex_lock(arg);
}

static int end_with_a_mutex(void *unused)
{
	struct bp_mutex mutex;
	struct bp_engine *engine;
	struct bp_group *g;

	(void)unused;
	if (bp_engine_create(&engine, &BP_ENGINE_OPTS(.backend = BP_BACKEND_THREADS)) ||
	    bp_group_create(&g, engine, NULL))
		return 1;
	bp_mutex_init(&mutex, engine);
	bp_go(g, hold_and_end, &mutex);
	return bp_wait(g);
}

static int unlock_what_is_not_held(void *unused)
{
	struct bp_mutex mutex;
	struct bp_engine *engine;

	(void)unused;
	if (bp_engine_create(&engine, &BP_ENGINE_OPTS(.backend = BP_BACKEND_THREADS)))
		return 1;
	bp_mutex_init(&mutex, engine);
	bp_mutex_unlock(&mutex);
	return 0;
}

static int lock_what_was_never_made(void *unused)
{
	static struct bp_mutex mutex;

	(void)unused;
	return bp_mutex_lock(&mutex);
}

static int release_too_much(void *unused)
{
	struct bp_semaphore semaphore;
	struct bp_engine *engine;

	(void)unused;
	if (bp_engine_create(&engine, &BP_ENGINE_OPTS(.backend = BP_BACKEND_THREADS)))
		return 1;
	bp_semaphore_init(&semaphore, engine, UINT64_MAX);
	bp_semaphore_release(&semaphore, 1);
	return 0;
}

static void misuse_is_one_clear_line(struct test *t)
{
	(void)t;
	expect_abort(end_with_a_mutex, NULL, "holds a mutex");
	expect_abort(unlock_what_is_not_held, NULL, "does not hold");
	expect_abort(lock_what_was_never_made, NULL, "never initialised");
	expect_abort(release_too_much, NULL, "given back");
}

static void the_dump_says_what_is_waited_for(struct test *t)
{
	struct waiter_task w = {.res = 1};
	struct bp_group *g;
	struct shared s;
	char text[4096];
	FILE *file = tmpfile();
	size_t n;

	assert_non_null(file);
	shared_init(t, &s, 0);
	w.s = &s;
	g = group_with(t, .limit = BP_LIMIT_NONE);
	expect_eq(bp_mutex_lock(&s.mutex), 0);
	expect_eq(bp_go(g, lock_and_note, &w), 0);
	until_in_queue(t, &s.mutex.waiters_, 1);
	expect_eq(bp_engine_dump(t->engine, fileno(file)), 0);
	rewind(file);
	n = fread(text, 1, sizeof(text) - 1, file);
	text[n] = '\0';
	expect(strstr(text, " for a mutex"));
	fclose(file);
	bp_mutex_unlock(&s.mutex);
	expect_eq(bp_wait(g), 0);
	bp_group_destroy(g);
	shared_free(&s);
}

static const struct test_case cases[] = {
	EACH_ROW(a_mutex_is_held_across_operations_by_one_at_a_time),
	EACH_ROW(a_mutex_is_handed_over_in_the_order_of_coming),
	EACH_ROW(who_waits_for_a_mutex_is_cancelled_with_its_group),
	EACH_ROW(waits_end_with_a_timeout_scope),
	EACH_ROW(after_a_cancel_waits_are_refused_but_inside_a_shield),
	EACH_ROW(a_mutex_is_not_locked_twice),
	EACH_ROW(a_circle_of_mutexes_is_told),
	EACH_ROW(an_event_lets_all_go_and_stays_set),
	EACH_ROW(who_waits_for_an_event_is_cancelled_with_its_group),
	EACH_ROW(a_thread_outside_waits_too),
	DRIVEN_ROWS(a_wait_that_nobody_can_end_is_edeadlk),
	THREADED_REAL_ROWS(threads_and_tasks_share_a_mutex),
	EACH_ROW(a_callback_never_waits),
	EACH_ROW(the_dump_says_what_is_waited_for),
	ONCE(misuse_is_one_clear_line),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
