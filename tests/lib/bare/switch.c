/* SPDX-License-Identifier: MIT */
/*
 * switch - does the context switch keep what the ABI says it keeps?
 *
 * For machines that are only emulated here: needs neither cmocka nor a kernel with io_uring, only
 * lib/stack.c and one lib/switch_*. A thousand contexts pass control around ten times; each holds
 * integers, doubles and a canary array across every switch, on a stack of its own.
 */
#include <fenv.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "stack.h"

#define CONTEXTS 1000
#define ROUNDS 10

static struct bp_context self;
static struct bp_context contexts[CONTEXTS];
static struct bp_stack *stacks[CONTEXTS];
static unsigned int finished;

void bp_fatal(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	abort();
}

#define REQUIRE(cond)                                                                              \
	do {                                                                                       \
		if (!(cond))                                                                       \
			bp_fatal("%s:%d: not so: %s", __FILE__, __LINE__, #cond);                  \
	} while (0)

static void leave(struct bp_context *ctx, bool last)
{
	context_leave(ctx, &self, last);
}

static void entry(void *arg)
{
	struct bp_context *ctx = arg;
	const long n = ctx - contexts;
	const double half = (double)n / 2;
	long a = n, b = n * 3, c = n * 5, d = n * 7, e = n * 11, f = n * 13;
	double p = half, q = half * 3, r = half * 5, s = half * 7;
	volatile unsigned char canary[256];

	context_entered(&self);
	/* The ABI of both machines wants 16. */
	REQUIRE((uintptr_t)__builtin_frame_address(0) % 16 == 0);
	for (size_t i = 0; i < sizeof(canary); i++)
		canary[i] = (unsigned char)(n + (long)i);
	/* The rounding mode belongs to the context. */
	REQUIRE(fegetround() == FE_TONEAREST);
	if (n % 2)
		REQUIRE(fesetround(FE_UPWARD) == 0);

	for (long round = 1; round <= ROUNDS; round++) {
		leave(ctx, false);
		a += n, b += n, c += n, d += n, e += n, f += n;
		p += half, q += half, r += half, s += half;
		REQUIRE(fegetround() == (n % 2 ? FE_UPWARD : FE_TONEAREST));
		REQUIRE(a == n * (1 + round) && b == n * (3 + round) && c == n * (5 + round));
		REQUIRE(d == n * (7 + round) && e == n * (11 + round) && f == n * (13 + round));
		REQUIRE(p == half * (double)(1 + round) && q == half * (double)(3 + round));
		REQUIRE(r == half * (double)(5 + round) && s == half * (double)(7 + round));
	}
	for (size_t i = 0; i < sizeof(canary); i++)
		REQUIRE(canary[i] == (unsigned char)(n + (long)i));
	finished++;
	leave(ctx, true);
}

int main(void)
{
	struct stack_pool pool;

	stack_pool_init(&pool, 16384);
	context_init_self(&self);
	for (int i = 0; i < CONTEXTS; i++) {
		stacks[i] = stack_get(&pool);
		REQUIRE(stacks[i] != NULL);
		context_init(&contexts[i], stacks[i], entry, &contexts[i], &self);
	}
	for (int round = 0; round <= ROUNDS; round++) {
		for (int i = 0; i < CONTEXTS; i++) {
			context_enter(&self, &contexts[i]);
			REQUIRE(fegetround() == FE_TONEAREST);
		}
	}
	REQUIRE(finished == CONTEXTS);
	for (int i = 0; i < CONTEXTS; i++)
		stack_put(&pool, stacks[i]);
	stack_pool_exit(&pool);
	printf("%d contexts, %d switches\n", CONTEXTS, 2 * CONTEXTS * (ROUNDS + 1));
	return 0;
}
