// SPDX-License-Identifier: MIT
/*
 * The switch between two stacks for machines without one in assembly: <ucontext.h>.
 *
 * A context is a ucontext_t on the stack that it describes; its address is the "stack pointer" that
 * bp_switch() trades in. Each switch costs a system call (the signal mask is saved and set), about
 * ten times the assembly.
 */
#include <ucontext.h>

#include "stack.h"

struct start {
	ucontext_t context;
	void (*entry)(void *);
	void *arg;
};

static void start(unsigned int high, unsigned int low)
{
	struct start *s = (struct start *)(((uintptr_t)high << 16 << 16) | low);

	s->entry(s->arg);
	bp_fatal("a task's entry returned");
}

void bp_switch(void **from_sp, void *to_sp)
{
	ucontext_t here;

	*from_sp = &here;
	if (swapcontext(&here, to_sp))
		bp_fatal("swapcontext failed");
}

void *bp_switch_prepare(void *top, void (*entry)(void *), void *arg)
{
	/* Room for the struct at the top; the stack proper lies below it. */
	struct start *s = (struct start *)(((uintptr_t)top - sizeof(*s)) & ~(uintptr_t)63);
	struct bp_stack *stack = top;

	if (getcontext(&s->context))
		bp_fatal("getcontext failed");
	s->entry = entry;
	s->arg = arg;
	s->context.uc_stack.ss_sp = stack->low;
	s->context.uc_stack.ss_size = (size_t)((char *)s - (char *)stack->low);
	s->context.uc_link = NULL;
	makecontext(&s->context, (void (*)(void))start, 2, (unsigned int)((uintptr_t)s >> 16 >> 16),
		    (unsigned int)(uintptr_t)s);
	return &s->context;
}
