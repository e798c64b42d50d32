/* SPDX-License-Identifier: MIT */
/*
 * The switch between two stacks for machines without one in assembly: <ucontext.h>.
 *
 * Each switch costs a system call (the signal mask is saved and set), about ten times the assembly.
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

void bp_switch(struct bp_regs *from, struct bp_regs *to)
{
	ucontext_t here;

	from->context = &here;
	if (swapcontext(&here, to->context))
		bp_fatal("swapcontext failed");
}

void bp_regs_prepare(struct bp_regs *regs, void *top, void (*entry)(void *), void *arg,
		     const struct bp_regs *modes)
{
	/* Room for the struct at the top; the stack proper lies below it. */
	struct start *s = (struct start *)(((uintptr_t)top - sizeof(*s)) & ~(uintptr_t)63);
	struct bp_stack *stack = top;

	(void)modes;
	if (getcontext(&s->context))
		bp_fatal("getcontext failed");
	s->entry = entry;
	s->arg = arg;
	s->context.uc_stack.ss_sp = stack->low;
	s->context.uc_stack.ss_size = (size_t)((char *)s - (char *)stack->low);
	s->context.uc_link = NULL;
	makecontext(&s->context, (void (*)(void))start, 2, (unsigned int)((uintptr_t)s >> 16 >> 16),
		    (unsigned int)(uintptr_t)s);
	regs->context = &s->context;
}
