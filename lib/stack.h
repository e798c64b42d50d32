/* SPDX-License-Identifier: MIT */
/*
 * Stacks for tasks, and the switch between them.
 *
 * A pool belongs to one loop and is touched by its thread alone. Stacks are cut from slabs, one
 * mapping for many, each with a guard below it: MADV_GUARD_INSTALL where the kernel has it, which
 * splits no mapping; else mprotect(), until vm.max_map_count refuses; else a canary that is checked
 * at each switch. The sanitizers and valgrind are told of every stack and every switch.
 */
#ifndef BP_STACK_H
#define BP_STACK_H

#include "switch.h"

enum stack_guard {
	STACK_GUARD_MADVISE,
	STACK_GUARD_MPROTECT,
	STACK_GUARD_CANARY,
};

/* One side of a switch: a task's stack, or the loop's own. */
struct bp_context {
	struct bp_regs regs;
	uint64_t *canary; /* at the low end of a stack without a guard, or NULL */
	const void *low; /* AddressSanitizer's bounds of the stack */
	size_t size;
	void *fake_stack; /* AddressSanitizer's */
	void *tsan_fiber;
};

/* Stands at the top of its own stack, in a page that is touched anyway. */
struct bp_stack {
	/* Its start and end need no more than the first 64 bytes. */
	uintptr_t next; /* in the pool, with STACK_EMPTY; see stack_next() */
	void *sp; /* where a new context starts to push */
	struct bp_context ctx; /* of what runs here */
	void *low; /* lowest usable byte, above the guard */
	enum stack_guard guard;
	void *tsan_fiber;
	unsigned int tsan_uses; /* of that fiber */
	unsigned int valgrind_id;
	struct stack_pool *pool; /* where it belongs */
} __attribute__((aligned(64))); /* so that what is behind it is too */

/* Its memory was given back, and it was not used since. */
#define STACK_EMPTY 1u

/** The next free stack of a pool, or NULL. */
static inline struct bp_stack *stack_next(const struct bp_stack *stack)
{
	return (struct bp_stack *)(stack->next & ~(uintptr_t)STACK_EMPTY);
}

/* What its user may keep of his own above it, at stack_room(). Zeroed when it is cut. */
#define STACK_ROOM 512u

static inline void *stack_room(struct bp_stack *stack)
{
	return stack + 1;
}

struct stack_slab;

struct stack_pool {
	size_t size; /* usable bytes of a stack */
	struct bp_stack *free;
	struct stack_slab *slabs;
	size_t mapped; /* stacks cut so far */
	size_t warm; /* free ones that keep their memory */
	/* Of a loop's first pool, for itself and the others: */
	size_t all_mapped;
	enum stack_guard guard; /* weakest in use */
	bool one_by_one; /* guards cannot be made many in one call */
	bool many; /* more than are kept warm: some may be trimmed */
	struct stack_pool *first, *others; /* those of other sizes, in a list by others */
};

#define STACK_SIZE_MIN (16u << 10)
#define STACK_SIZE_MAX (1u << 30)

void stack_pool_init(struct stack_pool *pool, size_t size);
/** With the other sizes of a loop's first pool. */
void stack_pool_exit(struct stack_pool *pool);

/**
 * The pool of stacks with @size bytes at least, a power of two; made beside @first where it is not there yet.
 * Return: NULL: no memory.
 */
struct stack_pool *stack_pool_of(struct stack_pool *first, size_t size);

/** A new stack, or NULL when there is no memory. */
struct bp_stack *stack_cut(struct stack_pool *pool);

/**
 * Gives the memory of free stacks of all sizes back, but for those that were used last: where many more
 * are free than in use. Return: if any.
 */
bool stack_trim(struct stack_pool *first);

/**
 * Makes @ctx start in entry(arg) on @stack at its first switch, with the floating-point modes of
 * @self. entry must not return.
 */
void context_init(struct bp_context *ctx, struct bp_stack *stack, void (*entry)(void *), void *arg,
		  const struct bp_context *self);

/** Prepares @ctx to stand for the calling thread's own stack. */
void context_init_self(struct bp_context *ctx);

/* The sanitizers' part; nothing in a build without them. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define BP_TELL_SANITIZERS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define BP_TELL_SANITIZERS 1
#endif
#endif

#ifdef BP_TELL_SANITIZERS
/** To be called first in entry(): completes the switch that came here. */
void context_entered(struct bp_context *from);
void context_leaving(struct bp_context *from, struct bp_context *to, bool last);
void context_resumed(struct bp_context *ctx);
void stack_quit(struct bp_stack *stack);
#else
static inline void context_entered(struct bp_context *from)
{
	(void)from;
}

static inline void context_leaving(struct bp_context *from, struct bp_context *to, bool last)
{
	(void)from, (void)to, (void)last;
}

static inline void context_resumed(struct bp_context *ctx)
{
	(void)ctx;
}

static inline void stack_quit(struct bp_stack *stack)
{
	(void)stack;
}
#endif

/** A free stack, or NULL. The last one freed comes first: it is warm. */
static inline struct bp_stack *stack_get_free(struct stack_pool *pool)
{
	struct bp_stack *stack = pool->free;

	if (unlikely(!stack))
		return NULL;
	pool->free = stack_next(stack);
	return stack;
}

/** A stack, or NULL when there is no memory. */
static inline struct bp_stack *stack_get(struct stack_pool *pool)
{
	struct bp_stack *stack = stack_get_free(pool);

	return likely(stack) ? stack : stack_cut(pool);
}

static inline void stack_put(struct stack_pool *pool, struct bp_stack *stack)
{
	stack_quit(stack);
	stack->next = (uintptr_t)pool->free;
	pool->free = stack;
}

/** As context_init() of the stack's own context, where all but that has stood since it was cut. */
static inline void context_begin(struct bp_stack *stack, void (*entry)(void *), void *arg,
				 const struct bp_context *self)
{
#ifdef BP_TELL_SANITIZERS
	stack->ctx.fake_stack = NULL;
	stack->ctx.tsan_fiber = stack->tsan_fiber;
#endif
	bp_regs_prepare(&stack->ctx.regs, stack->sp, entry, arg, &self->regs);
}

#define STACK_CANARY 0x62617463687072ull

/**
 * Goes from the thread's own stack, @self, to @ctx, until context_leave(), which brings back the
 * modes that context_init_self() or context_note_modes() found.
 */
static inline void context_enter(struct bp_context *self, struct bp_context *ctx)
{
	context_leaving(self, ctx, false);
	bp_modes_change(&self->regs, &ctx->regs);
	bp_switch(&self->regs, &ctx->regs);
	context_resumed(self);
	/* Here, since there is no room left to say it on the stack that overflowed. */
	if (unlikely(ctx->canary) && *ctx->canary != STACK_CANARY)
		bp_fatal("a task overflowed its stack of %zu bytes", ctx->size);
}

/** Goes back from @ctx, which runs, to the thread's own stack. @last: it will never run again. */
static inline void context_leave(struct bp_context *ctx, struct bp_context *self, bool last)
{
	bp_modes_note(&ctx->regs);
	context_leaving(ctx, self, last);
	bp_modes_change(&ctx->regs, &self->regs);
	bp_switch(&ctx->regs, &self->regs);
	context_resumed(ctx);
}

/** The calling thread may have changed its floating-point modes since @self was made. */
static inline void context_note_modes(struct bp_context *self)
{
	bp_modes_note(&self->regs);
}

#endif /* BP_STACK_H */
