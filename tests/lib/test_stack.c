/* SPDX-License-Identifier: MIT */
/*
 * test_stack - stacks, their guards, and the switch between them
 *
 * Looks behind the public header at lib/stack.h. How the guards step down is seen in child
 * processes, where a seccomp filter refuses what the kernel would grant.
 */
#include <fenv.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "support/harness.h"
#include "stack.h"

/* ---------------------------------------------------------------- the pool */

static void stacks_do_not_overlap_and_come_back_warm(struct test *t)
{
	enum {
		STACKS = 200
	};
	struct bp_stack *stack[STACKS], *last;
	struct stack_pool pool;

	(void)t;
	stack_pool_init(&pool, 20000);
	expect(pool.size >= 20000);
	expect_eq(pool.size % (size_t)sysconf(_SC_PAGESIZE), 0);
	for (int i = 0; i < STACKS; i++) {
		stack[i] = stack_get(&pool);
		assert_non_null(stack[i]);
		expect_eq((uintptr_t)stack[i]->sp % 16, 0);
		expect((char *)stack[i]->sp - (char *)stack[i]->low >= 20000 - 4096);
		memset(stack[i]->low, i, (size_t)((char *)stack[i]->sp - (char *)stack[i]->low));
	}
	expect_eq(pool.mapped, STACKS);
	for (int i = 0; i < STACKS; i++) {
		const unsigned char *low = stack[i]->low, *high = stack[i]->sp;

		expect(low[0] == (unsigned char)i && high[-1] == (unsigned char)i);
	}
	for (int i = 0; i < STACKS; i++)
		stack_put(&pool, stack[i]);
	/* The last one freed is the first one used again. */
	last = stack_get(&pool);
	expect(last == stack[STACKS - 1]);
	stack_put(&pool, last);
	expect_eq(pool.mapped, STACKS);
	stack_pool_exit(&pool);
}

/* Whether the byte can be read, as the kernel sees it. */
static bool can_be_read(const void *byte)
{
	char copy;
	struct iovec to = {&copy, 1}, from = {(void *)(uintptr_t)byte, 1};

	return process_vm_readv(getpid(), &to, 1, &from, 1, 0) == 1;
}

/* From the sixteenth on their guards are made many at once, where the kernel can. */
static void each_of_many_stacks_has_its_guard(struct test *t)
{
	enum {
		STACKS = 150
	};
	struct bp_stack *stack[STACKS];
	struct stack_pool pool;

	if (!can_be_read(&pool))
		skip_because(t, "process_vm_readv() is refused here");
	stack_pool_init(&pool, 65536);
	for (int i = 0; i < STACKS; i++) {
		stack[i] = stack_get(&pool);
		assert_non_null(stack[i]);
	}
	for (int i = 0; i < STACKS; i++) {
		expect(can_be_read(stack[i]->low));
		expect(stack[i]->guard == STACK_GUARD_CANARY ||
		       !can_be_read((char *)stack[i]->low - 1));
		stack_put(&pool, stack[i]);
	}
	stack_pool_exit(&pool);
}

/* The weakest in use stays the weakest, whatever was made ahead of it. */
static void a_guard_made_ahead_hides_no_weaker_one(struct test *t)
{
	struct bp_stack *stack[20];
	struct stack_pool pool;

	(void)t;
	stack_pool_init(&pool, 65536);
	for (unsigned int i = 0; i < COUNT_OF(stack); i++) {
		stack[i] = stack_get(&pool);
		assert_non_null(stack[i]);
		/* As a stack of another size was given it. */
		if (i == 17 && pool.guard < STACK_GUARD_MPROTECT)
			pool.guard = STACK_GUARD_MPROTECT;
	}
	expect(pool.guard >= STACK_GUARD_MPROTECT);
	for (unsigned int i = 0; i < COUNT_OF(stack); i++)
		stack_put(&pool, stack[i]);
	stack_pool_exit(&pool);
}

/* ---------------------------------------------------------------- the switch */

struct player {
	struct bp_context mine, *other;
	struct bp_stack *stack;
	struct ping_pong *game;
	int id;
};

struct ping_pong {
	struct bp_context self;
	struct player player[2];
	unsigned long rounds;
	unsigned long sum[2];
};

/* Enough live values that some stand in each register that a switch must keep. */
static void play_ping_pong(void *arg)
{
	struct player *p = arg;
	struct ping_pong *game = p->game;
	unsigned long a = 1, b = 2, c = 3, d = 4, e = 5, f = 6, g = 7;
	double x = 0.5, y = 0.25;

	context_entered(&game->self);
	for (unsigned long i = 0; i < game->rounds; i++) {
		context_leave(&p->mine, &game->self, false);
		a += b + i;
		b ^= c;
		c += d;
		d ^= e + (unsigned long)p->id;
		e += f;
		f ^= g;
		g += a;
		x = x * 0.75 + y;
		y = y * 0.5 + (double)p->id;
	}
	game->sum[p->id] = a + b + c + d + e + f + g + (unsigned long)(x * 1000 + y * 1000);
	context_leave(&p->mine, &game->self, true);
}

static unsigned long expected_sum(unsigned long rounds, int id)
{
	unsigned long a = 1, b = 2, c = 3, d = 4, e = 5, f = 6, g = 7;
	double x = 0.5, y = 0.25;

	for (unsigned long i = 0; i < rounds; i++) {
		a += b + i;
		b ^= c;
		c += d;
		d ^= e + (unsigned long)id;
		e += f;
		f ^= g;
		g += a;
		x = x * 0.75 + y;
		y = y * 0.5 + (double)id;
	}
	return a + b + c + d + e + f + g + (unsigned long)(x * 1000 + y * 1000);
}

/* Two contexts take turns; neither sees the other's registers. */
static void a_switch_keeps_registers(struct test *t)
{
	struct ping_pong game = {.rounds = scaled(100000)};
	struct stack_pool pool;

	(void)t;
	stack_pool_init(&pool, 65536);
	context_init_self(&game.self);
	for (int i = 0; i < 2; i++) {
		struct player *p = &game.player[i];

		p->id = i;
		p->game = &game;
		p->stack = stack_get(&pool);
		assert_non_null(p->stack);
		context_init(&p->mine, p->stack, play_ping_pong, p, &game.self);
	}
	for (unsigned long i = 0; i <= game.rounds; i++)
		for (int k = 0; k < 2; k++)
			context_enter(&game.self, &game.player[k].mine);
	for (int i = 0; i < 2; i++) {
		expect_eq(game.sum[i], expected_sum(game.rounds, i));
		stack_put(&pool, game.player[i].stack);
	}
	stack_pool_exit(&pool);
}

static const int rounding[] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};

static int keeps_its_rounding(void *arg)
{
	int mode = *(const int *)arg;

	expect_eq(fesetround(mode), 0);
	for (int i = 0; i < 100; i++) {
		expect_eq(bp_yield(), 0);
		if (!expect_eq(fegetround(), mode))
			break;
	}
	expect_eq(fesetround(FE_TONEAREST), 0);
	return 0;
}

/* The floating-point modes belong to the task, as they would to a thread. */
static void tasks_keep_their_rounding_modes(struct test *t)
{
	struct bp_group *g;

	if (under_valgrind())
		skip_because(t, "valgrind knows one rounding mode");
	g = group_with(t, .limit = BP_LIMIT_NONE);
	for (int i = 0; i < 40; i++)
		expect_eq(bp_go(g, keeps_its_rounding, (void *)&rounding[i % 4]), 0);
	expect_eq(bp_wait(g), 0);
	expect_eq(fegetround(), FE_TONEAREST);
	bp_group_destroy(g);
}

static int ends_rounding_up(void *unused)
{
	(void)unused;
	expect_eq(fegetround(), FE_TONEAREST);
	expect_eq(fesetround(FE_UPWARD), 0);
	return bp_yield();
}

/* One that ends with another mode than it began with leaves it to nobody. */
static void no_rounding_mode_is_left_behind(struct test *t)
{
	struct bp_group *g;

	if (under_valgrind())
		skip_because(t, "valgrind knows one rounding mode");
	g = group_with(t, .limit = 3);
	for (int i = 0; i < 40; i++)
		expect_eq(bp_go(g, ends_rounding_up, NULL), 0);
	expect_eq(bp_wait(g), 0);
	expect_eq(fegetround(), FE_TONEAREST);
	bp_group_destroy(g);
}

/* Nor does a thread that waits lose the one that it has chosen meanwhile. */
static void a_thread_keeps_its_rounding_mode(struct test *t)
{
	struct bp_group *g;

	if (under_valgrind())
		skip_because(t, "valgrind knows one rounding mode");
	g = group_with(t, .limit = BP_LIMIT_NONE);
	for (int i = 0; i < 4; i++)
		expect_eq(bp_go(g, keeps_its_rounding, (void *)&rounding[i]), 0);
	expect_eq(fesetround(FE_DOWNWARD), 0);
	expect_eq(bp_wait(g), 0);
	expect_eq(fegetround(), FE_DOWNWARD);
	expect_eq(fesetround(FE_TONEAREST), 0);
	bp_group_destroy(g);
}

/* ---------------------------------------------------------------- guards */

enum {
	NO_SECCOMP = 77,
	NO_GUARD = 78,
	MADV_GUARD_INSTALL_ = 102
};

/* Refuses guards by madvise(), and by mprotect() too if @all. */
static int refuse_guards(bool all)
{
	const struct denied denied[] = {
		{SYS_madvise, ENOMEM, DENY_EQUAL, 2, MADV_GUARD_INSTALL_},
		{SYS_mprotect, all ? ENOMEM : 0, DENY_ALWAYS, 0, 0},
		DENY_END,
	};

	return deny_calls(denied);
}

/* Fills a little more than its stack of 16 KiB, less than a guard more. */
static int overflows_by_a_little(void *unused)
{
	volatile char all[16384 + 512];

	(void)unused;
	for (size_t i = sizeof(all); i > 0; i--)
		all[i - 1] = (char)i;
	return bp_yield();
}

struct guarded {
	struct test *t;
	bool all;
	bool overflow;
	const char *guard;
};

static int with_guards_refused(void *arg)
{
	struct guarded *guarded = arg;
	struct bp_group *g;

	if (refuse_guards(guarded->all))
		return NO_SECCOMP;
	engine_with(guarded->t, .stack_size = 16384);
	g = group_with(guarded->t, .limit = BP_LIMIT_NONE);
	expect_eq(strcmp(bp_engine_info(guarded->t->engine)->stack_guard, guarded->guard), 0);
	for (int i = 0; i < 100; i++)
		expect_eq(bp_go(g, guarded->overflow && i == 50 ? overflows_by_a_little : succeed,
				NULL),
			  0);
	expect_eq(bp_wait(g), 0);
	bp_group_destroy(g);
	bp_engine_destroy(guarded->t->engine);
	return 0;
}

static struct child_result guarded_child(struct test *t, bool all, bool overflow, const char *guard)
{
	struct guarded guarded = {t, all, overflow, guard};
	struct child_result child;

	if (UNDER_ASAN || UNDER_TSAN || under_valgrind())
		skip_because(t, "sanitizers and valgrind use the calls that would be refused");
	child = in_child(with_guards_refused, &guarded);
	if (WIFEXITED(child.status) && WEXITSTATUS(child.status) == NO_SECCOMP)
		skip_because(t, "no seccomp filter can be set here");
	return child;
}

/* Without MADV_GUARD_INSTALL it is mprotect(). */
static void guards_step_down_to_mprotect(struct test *t)
{
	struct child_result child = guarded_child(t, false, false, "mprotect");

	if (!expect_eq(child.status, 0))
		record_failure("%s", child.err);
	child = guarded_child(t, false, true, "mprotect");
	expect(WIFSIGNALED(child.status) && WTERMSIG(child.status) == SIGSEGV);
}

/* Without that either, a canary tells of the overflow at the next switch. */
static void guards_step_down_to_a_canary(struct test *t)
{
	struct child_result child = guarded_child(t, true, false, "canary");

	if (!expect_eq(child.status, 0))
		record_failure("%s", child.err);
	child = guarded_child(t, true, true, "canary");
	expect(WIFSIGNALED(child.status) && WTERMSIG(child.status) == SIGABRT);
	expect(strstr(child.err, "overflowed its stack"));
}

/* A frame of several stacks, of which it uses the far end alone, which is somebody else's. */
static int steps_over_its_guard(void *unused)
{
	volatile char all[3 * BP_STACK_DEFAULT];

	(void)unused;
	all[0] = 1;
	__asm__ volatile("" : : "r"(all) : "memory"); /* it has to be there */
	return bp_yield();
}

static int with_a_large_frame(void *arg)
{
	struct test *t = arg;
	struct bp_group *g = group_with(t, .limit = BP_LIMIT_NONE);
	struct crowd crowd;

	crowd_init(&crowd);
	for (int i = 0; i < 40; i++)
		bp_go(g, i == 20 ? steps_over_its_guard : crowd_task, &crowd);
	until_ended(t, g, 1);
	return strcmp(bp_engine_info(t->engine)->stack_guard, "canary") ? 0 : NO_GUARD;
}

static void a_large_frame_meets_the_guard(struct test *t)
{
	struct child_result child;

#ifndef BP_HAVE_STACK_PROBES
	skip_because(t, "this compiler has no -fstack-clash-protection");
#endif
	if (UNDER_ASAN || UNDER_TSAN || under_valgrind())
		skip_because(t, "sanitizers and valgrind look at the frame first");
	child = in_child(with_a_large_frame, t);
	if (WIFEXITED(child.status) && WEXITSTATUS(child.status) == NO_GUARD)
		skip_because(t, "stacks have no guards here");
	expect(WIFSIGNALED(child.status) && WTERMSIG(child.status) == SIGSEGV);
}

/* One stack serves them all, one after the other. */
static void very_many_short_tasks_on_one_stack(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = 1000);

	for (unsigned long i = 0; i < (under_valgrind() ? 1000 : 150000); i++)
		expect_eq(bp_go(g, succeed, NULL), 0);
	expect_eq(bp_wait(g), 0);
	bp_group_destroy(g);
}

/* ---------------------------------------------------------------- memory after a spike */

static size_t resident_kib(void)
{
	char text[100] = "";
	unsigned long size = 0, resident = 0;
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);

	expect(read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	expect_eq(sscanf(text, "%lu %lu", &size, &resident), 2);
	return resident * (size_t)sysconf(_SC_PAGESIZE) / 1024;
}

static int touches_much(void *crowd)
{
	char much[40000];

	/* Its address goes out, or clang makes a few scalars of it. */
	memset(much, 1, sizeof(much));
	__asm__ volatile("" : : "r"(much) : "memory");
	return crowd_task(crowd) + much[0] - 1;
}

static int naps(void *unused)
{
	(void)unused;
	return bp_sleep(MS);
}

/* Many tasks at once need much memory, which the loops give back when they have nothing to do. */
static void memory_of_a_spike_is_given_back(struct test *t)
{
	const unsigned long n = live_tasks(6000);
	size_t before, at_peak, after = 0;
	struct bp_group *g;
	struct crowd crowd;

	if (UNDER_ASAN || UNDER_TSAN || under_valgrind() || n < 6000)
		skip_because(t, "memory is not as it is without a checker");
	g = group_with(t);
	crowd_init(&crowd);
	before = resident_kib();
	for (unsigned long i = 0; i < n; i++)
		expect_eq(bp_go(g, touches_much, &crowd), 0);
	until_count(t, &crowd.started, n);
	at_peak = resident_kib();
	expect(at_peak - before > n * 36);
	gate_open(&crowd.gate);
	expect_eq(bp_wait(g), 0);
	bp_group_destroy(g);
	for (unsigned int i = 0; i < 10000; i++) {
		expect_eq(run_task(t, naps, NULL), 0);
		after = resident_kib();
		if (after <= before + (at_peak - before) / 3)
			break;
	}
	expect(after <= before + (at_peak - before) / 3);
	crowd_free(&crowd);
}

/* ---------------------------------------------------------------- sizes of their own */

#define LARGE (1u << 20)

struct sized {
	struct crowd crowd;
};

static int uses_a_large_stack(void *arg)
{
	struct sized *s = arg;
	char all[LARGE * 3 / 4];

	memset(all, 1, sizeof(all));
	__asm__ volatile("" : : "r"(all) : "memory");
	return crowd_task(&s->crowd) + all[1] - 1;
}

static int uses_a_usual_stack(void *arg)
{
	struct sized *s = arg;
	char all[30000];

	memset(all, 2, sizeof(all));
	__asm__ volatile("" : : "r"(all) : "memory");
	return crowd_task(&s->crowd) + all[1] - 2;
}

/* Groups of large stacks beside those with the engine's, all alive at once; again with warm ones. */
static void a_group_has_stacks_of_its_own_size(struct test *t)
{
	size_t stacks[2] = {0, 0};
	struct bp_group *large, *usual;
	struct sized s;

	for (int round = 0; round < 2; round++) {
		crowd_init(&s.crowd);
		usual = group_with(t);
		large = group_with(t, .stack_size = LARGE - 5000);
		for (int i = 0; i < 20; i++) {
			expect_eq(bp_go(large, uses_a_large_stack, &s), 0);
			expect_eq(bp_go(usual, uses_a_usual_stack, &s), 0);
		}
		until_count(t, &s.crowd.started, 40);
		expect(bp_engine_info(t->engine)->stacks >= 40);
		gate_open(&s.crowd.gate);
		expect_eq(bp_wait(large), 0);
		expect_eq(bp_wait(usual), 0);
		bp_group_destroy(large);
		bp_group_destroy(usual);
		crowd_free(&s.crowd);
		stacks[round] = bp_engine_info(t->engine)->stacks;
	}
	/* Which loop takes which item is not the same each time. */
	expect(stacks[1] <= (driven(t) ? stacks[0] : 3 * stacks[0]));
}

static void tasks_on_large_stacks_are_cancelled(struct test *t)
{
	struct bp_group *g;
	struct sized s;

	crowd_init(&s.crowd);
	g = group_with(t, .stack_size = LARGE);
	for (int i = 0; i < 20; i++)
		expect_eq(bp_go(g, uses_a_large_stack, &s), 0);
	until_count(t, &s.crowd.started, 20);
	bp_cancel(g, -EINTR);
	expect_eq(bp_wait(g), -EINTR);
	expect_eq(s.crowd.cancelled, 20);
	expect_eq(stats_of(g).stopped, 20);
	bp_group_destroy(g);
	crowd_free(&s.crowd);
}

static void sizes_out_of_range_are_refused(struct test *t)
{
	static const size_t wrong[] = {1, 16383, (1u << 30) + 1, SIZE_MAX};
	struct bp_group *g;

	engine_with(t, .depth = 0);
	for (size_t i = 0; i < COUNT_OF(wrong); i++)
		expect_eq(bp_group_create(&g, t->engine, &BP_GROUP_OPTS(.stack_size = wrong[i])),
			  -EINVAL);
	expect_eq(bp_group_create(&g, t->engine, &BP_GROUP_OPTS(.stack_size = 16384)), 0);
	expect_eq(bp_go(g, succeed, NULL), 0);
	expect_eq(bp_wait(g), 0);
	bp_group_destroy(g);
}

static const struct test_case cases[] = {
	EACH_ROW(a_group_has_stacks_of_its_own_size),
	EACH_ROW(tasks_on_large_stacks_are_cancelled),
	EACH_ROW(sizes_out_of_range_are_refused),
	DRIVEN_REAL_ROWS(very_many_short_tasks_on_one_stack),
	EACH_REAL_ROW(memory_of_a_spike_is_given_back),
	ONCE(stacks_do_not_overlap_and_come_back_warm),
	ONCE(each_of_many_stacks_has_its_guard),
	ONCE(a_guard_made_ahead_hides_no_weaker_one),
	ONCE(a_switch_keeps_registers),
	EACH_ROW(tasks_keep_their_rounding_modes),
	EACH_ROW(no_rounding_mode_is_left_behind),
	EACH_ROW(a_thread_keeps_its_rounding_mode),
	ONCE(guards_step_down_to_mprotect),
	ONCE(guards_step_down_to_a_canary),
	EACH_ROW(a_large_frame_meets_the_guard),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
