/* SPDX-License-Identifier: MIT */
/*
 * test_post - a function that a signal handler hands over at any instruction of a turn is run
 *
 * The processor steps through the turn that runs one posted function, and says so with a signal after
 * each instruction. The handler posts another at one of them, in another turn at the next, and so on,
 * around the place where the loop takes back that it was told: no other message comes for a function
 * that is lost there.
 */
#include <signal.h>
#include <ucontext.h>

#include "post.h"
#include "support/harness.h"

#if defined(__x86_64__) && !UNDER_TSAN

#define BEFORE 100 /* instructions before the loop was told no more */
#define AFTER 40
#define TRAP_FLAG 0x100

static struct {
	struct bp_engine *engine;
	unsigned long runs; /* of the posted function */
	unsigned long at[BEFORE], n; /* while it is told: a ring of addresses */
	unsigned long later[AFTER], nlater;
	unsigned long target; /* where to post; 0: the addresses are noted */
	bool posted;
} step;

static void counts(void *arg)
{
	(void)arg;
	step.runs++;
}

static void note(unsigned long pc)
{
	if (atomic_load(&step.engine->post->told))
		step.at[step.n++ % BEFORE] = pc;
	else if (step.n && step.nlater < AFTER)
		step.later[step.nlater++] = pc;
}

static void on_step(int sig, siginfo_t *info, void *context)
{
	greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
	unsigned long pc = (unsigned long)regs[REG_RIP];

	(void)sig, (void)info;
	if (!step.target) {
		note(pc);
	} else if (pc == step.target) {
		step.posted = !bp_post(step.engine, counts, NULL);
		regs[REG_EFL] &= ~TRAP_FLAG;
	}
}

/* Below the red zone, where the compiler may keep what it likes. */
static void steps_begin(void)
{
	__asm__ volatile("leaq -128(%%rsp), %%rsp\n\t"
			 "pushfq\n\t"
			 "orq %0, (%%rsp)\n\t"
			 "popfq\n\t"
			 "leaq 128(%%rsp), %%rsp" ::"i"(TRAP_FLAG)
			 : "memory", "cc");
}

static void steps_end(void)
{
	__asm__ volatile("leaq -128(%%rsp), %%rsp\n\t"
			 "pushfq\n\t"
			 "andq %0, (%%rsp)\n\t"
			 "popfq\n\t"
			 "leaq 128(%%rsp), %%rsp" ::"i"(~TRAP_FLAG)
			 : "memory", "cc");
}

/* A function is posted and run in a turn, where another is posted at @target. */
static void play(unsigned long target)
{
	step.target = target;
	step.posted = false;
	step.runs = 0;
	expect_eq(bp_post(step.engine, counts, NULL), 0);
	steps_begin();
	bp_engine_turn(step.engine, NULL);
	steps_end();
	for (int i = 0; i < 3; i++)
		bp_engine_turn(step.engine, NULL);
	expect_eq(step.runs, 1 + step.posted);
}

static void a_post_at_any_instruction_is_run(struct test *t)
{
	struct sigaction action = {.sa_sigaction = on_step, .sa_flags = SA_SIGINFO}, old;
	unsigned long posts = 0;

	if (under_valgrind())
		skip_because(t, "valgrind takes no single steps");
	memset(&step, 0, sizeof(step));
	step.engine = engine_with(t);
	sigaction(SIGTRAP, &action, &old);
	/* Once for nothing, since what is called for the first time takes another way. */
	play(0);
	step.n = step.nlater = 0;
	play(0);
	expect(step.n >= BEFORE);
	expect_eq(step.nlater, AFTER);
	for (unsigned long i = 0; i < BEFORE; i++) {
		play(step.at[i]);
		posts += step.posted;
	}
	for (unsigned long i = 0; i < AFTER; i++) {
		play(step.later[i]);
		posts += step.posted;
	}
	/* Nearly: a turn is not quite as another. */
	expect(posts >= (BEFORE + AFTER) / 2);
	sigaction(SIGTRAP, &old, NULL);
}

#else

static void a_post_at_any_instruction_is_run(struct test *t)
{
	skip_because(t, "needs the single steps of an x86-64 processor, and no ThreadSanitizer");
}

#endif

static const struct test_case cases[] = {
	DRIVEN_REAL_ROWS(a_post_at_any_instruction_is_run),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
