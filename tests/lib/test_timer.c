/* SPDX-License-Identifier: MIT */
/*
 * test_timer - the timer heap behind lib/timer.h, held against a sorted array
 */
#include "support/harness.h"
#include "timer.h"

#define TIMERS 2000

static struct bp_timer_ timers[TIMERS];

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void an_empty_heap_has_no_time(struct test *t)
{
	struct timer_heap heap = {NULL};
	struct bp_timer_ idle = {.when = 5};

	(void)t;
	expect_eq(timer_next(&heap), BP_NEVER);
	expect(timer_pop(&heap, BP_NEVER) == NULL);
	expect(!timer_armed(&idle));
	timer_del(&heap, &idle);
	expect_eq(timer_next(&heap), BP_NEVER);
}

static void what_is_due_comes_out_and_nothing_else(struct test *t)
{
	struct timer_heap heap = {NULL};
	struct bp_timer_ a = {.when = 10}, b = {.when = 20};

	(void)t;
	timer_add(&heap, &b);
	timer_add(&heap, &a);
	expect(timer_armed(&a) && timer_armed(&b));
	expect_eq(timer_next(&heap), 10);
	expect(timer_pop(&heap, 9) == NULL);
	expect(timer_pop(&heap, 10) == &a);
	expect(!timer_armed(&a));
	expect(timer_pop(&heap, 19) == NULL);
	expect(timer_pop(&heap, 1000) == &b);
	expect_eq(timer_next(&heap), BP_NEVER);
}

/* Any order in, sorted order out, many of the same time among them. */
static void timers_come_out_sorted(struct test *t)
{
	(void)t;
	for (uint64_t seed = 1; seed <= 30; seed++) {
		struct timer_heap heap = {NULL};
		uint64_t state = seed * 0x9e3779b97f4a7c15ull, last = 0;
		struct bp_timer_ *timer;
		int out = 0;

		memset(timers, 0, sizeof(timers));
		for (int i = 0; i < TIMERS; i++) {
			timers[i].when = next_random(&state) % (seed * 50);
			timer_add(&heap, &timers[i]);
		}
		while ((timer = timer_pop(&heap, BP_NEVER))) {
			if (!expect(timer->when >= last))
				return;
			last = timer->when;
			out++;
		}
		expect_eq(out, TIMERS);
	}
}

/* Adding, removing and popping at random; a plain array says what must be first. */
static void additions_and_removals_at_random_agree_with_a_plain_array(struct test *t)
{
	struct timer_heap heap = {NULL};
	uint64_t state = 88172645463325252ull;
	unsigned long rounds = scaled(50000);

	(void)t;
	memset(timers, 0, sizeof(timers));
	for (unsigned long round = 0; round < rounds; round++) {
		struct bp_timer_ *timer = &timers[next_random(&state) % 100];
		uint64_t first = BP_NEVER;

		if (timer_armed(timer)) {
			timer_del(&heap, timer);
			expect(!timer_armed(timer));
		} else {
			timer->when = next_random(&state) % 1000;
			timer_add(&heap, timer);
			expect(timer_armed(timer));
		}
		for (int i = 0; i < 100; i++)
			if (timer_armed(&timers[i]) && timers[i].when < first)
				first = timers[i].when;
		if (!expect_eq(timer_next(&heap), first))
			return;
		if (round % 7 == 0 && first != BP_NEVER) {
			timer = timer_pop(&heap, first);
			if (!expect(timer && timer->when == first))
				return;
		}
	}
}

/* A long chain in order and in reverse: no recursion, no quadratic time. */
static void a_hundred_thousand_timers_in_order_and_in_reverse(struct test *t)
{
	unsigned long n = scaled(100000);
	struct bp_timer_ *many = calloc(n, sizeof(*many));

	(void)t;
	assert_non_null(many);
	for (int reverse = 0; reverse < 2; reverse++) {
		struct timer_heap heap = {NULL};
		uint64_t expected = 0;
		struct bp_timer_ *timer;

		for (unsigned long i = 0; i < n; i++) {
			many[i].when = reverse ? n - 1 - i : i;
			timer_add(&heap, &many[i]);
		}
		/* Half of them are taken out again, from the middle. */
		for (unsigned long i = 0; i < n; i++)
			if (many[i].when % 2)
				timer_del(&heap, &many[i]);
		while ((timer = timer_pop(&heap, BP_NEVER))) {
			if (!expect_eq(timer->when, expected))
				break;
			expected += 2;
		}
		expect_between(expected, n - 1, n + 1);
	}
	free(many);
}

static const struct test_case cases[] = {
	ONCE(an_empty_heap_has_no_time),
	ONCE(what_is_due_comes_out_and_nothing_else),
	ONCE(timers_come_out_sorted),
	ONCE(additions_and_removals_at_random_agree_with_a_plain_array),
	ONCE(a_hundred_thousand_timers_in_order_and_in_reverse),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
