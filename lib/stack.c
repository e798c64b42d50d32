/* SPDX-License-Identifier: MIT */
/*
 * The pool of guarded stacks and the book-keeping around a switch; see stack.h.
 *
 *	slab:  | guard | stack 0 ... bp_stack, room | guard | stack 1 ... bp_stack, room | ...
 *
 * The bp_stack of neighbouring stacks stands at different offsets from the page boundary: with all
 * of them at the same one, the hot top frames of many tasks would share a few sets of the L1 cache.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "compat.h"
#include "stack.h"

#ifdef BP_HAVE_VALGRIND
#include <valgrind/valgrind.h>
#endif

#if defined(__SANITIZE_ADDRESS__)
#define BP_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define BP_ASAN 1
#endif
#endif

#if defined(__SANITIZE_THREAD__)
#define BP_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define BP_TSAN 1
#endif
#endif

#ifdef BP_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef BP_TSAN
#include <sanitizer/tsan_interface.h>
#endif

#define SLAB_BYTES (4u << 20)
#define COLOURS 8

/* What free stacks may keep of their memory: this many, and not more than so much. */
#define WARM_STACKS 256
#define WARM_BYTES (16u << 20)
#define COLOUR_BYTES 192

struct stack_slab {
	struct stack_slab *next;
	char *map;
	size_t bytes;
	unsigned int count, used;
	unsigned int guarded; /* of those behind used too */
};

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

void stack_pool_init(struct stack_pool *pool, size_t size)
{
	size_t page = page_size();

	memset(pool, 0, sizeof(*pool));
	pool->first = pool;
	pool->size = (size + page - 1) / page * page;
	pool->warm = WARM_BYTES / pool->size;
	if (pool->warm > WARM_STACKS)
		pool->warm = WARM_STACKS;
}

struct stack_pool *stack_pool_of(struct stack_pool *first, size_t size)
{
	size_t page = page_size(), rounded = STACK_SIZE_MIN > page ? STACK_SIZE_MIN : page;
	struct stack_pool *pool;

	while (rounded < size)
		rounded *= 2;
	for (pool = first; pool; pool = pool->others)
		if (pool->size == rounded)
			return pool;
	pool = malloc(sizeof(*pool));
	if (!pool)
		return NULL;
	stack_pool_init(pool, rounded);
	pool->first = first;
	pool->others = first->others;
	first->others = pool;
	return pool;
}

static void stack_forget(struct bp_stack *stack)
{
#ifdef BP_TSAN
	__tsan_destroy_fiber(stack->tsan_fiber);
#endif
#ifdef BP_HAVE_VALGRIND
	VALGRIND_STACK_DEREGISTER(stack->valgrind_id);
#endif
	(void)stack;
}

static void pool_clear(struct stack_pool *pool)
{
	struct bp_stack *stack;

	while ((stack = pool->free)) {
		pool->free = stack_next(stack);
		stack_forget(stack);
	}
	while (pool->slabs) {
		struct stack_slab *slab = pool->slabs;

		pool->slabs = slab->next;
		munmap(slab->map, slab->bytes);
		free(slab);
	}
}

void stack_pool_exit(struct stack_pool *pool)
{
	struct stack_pool *other;

	while ((other = pool->others)) {
		pool->others = other->others;
		pool_clear(other);
		free(other);
	}
	pool_clear(pool);
}

/** Maps @count stacks. Return: whether it could. */
static bool slab_map(struct stack_slab *slab, unsigned int count, size_t each)
{
	slab->count = count;
	slab->used = slab->guarded = 0;
	slab->bytes = count * each;
	slab->map = mmap(NULL, slab->bytes, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
	return slab->map != MAP_FAILED;
}

static struct stack_slab *slab_create(struct stack_pool *pool)
{
	size_t page = page_size(), each = pool->size + page;
	struct stack_slab *slab = malloc(sizeof(*slab));
	unsigned int count = (unsigned int)(SLAB_BYTES / each);

	if (!slab)
		return NULL;
	/* Where there is no room for many there may be some for one. */
	if (!slab_map(slab, count < 4 ? 4 : count, each) && !slab_map(slab, 1, each)) {
		free(slab);
		return NULL;
	}
	/* A huge page would make the first touch of one stack pay for thirty. */
	madvise(slab->map, slab->bytes, MADV_NOHUGEPAGE);
	slab->next = pool->slabs;
	pool->slabs = slab;
	return slab;
}

static enum stack_guard guard_install(char *page, enum stack_guard weakest)
{
	size_t len = page_size();

	if (weakest == STACK_GUARD_MADVISE && madvise(page, len, MADV_GUARD_INSTALL) == 0)
		return STACK_GUARD_MADVISE;
	if (weakest <= STACK_GUARD_MPROTECT && mprotect(page, len, PROT_NONE) == 0)
		return STACK_GUARD_MPROTECT;
	return STACK_GUARD_CANARY;
}

/*
 * Guards of many stacks in one call, of Linux 6.14: where there are many already, and the first ones
 * could be made. In a small program only what is used is touched.
 */
#define GUARDS_AHEAD 16u

/** Makes the next few guards of a slab at once. Return: whether it could. */
static bool guard_ahead(struct stack_slab *slab, size_t each)
{
	struct iovec guards[GUARDS_AHEAD];
	unsigned int n = slab->count - slab->used, i;
	int saved = errno;
	bool done;

	if (n > GUARDS_AHEAD)
		n = GUARDS_AHEAD;
	for (i = 0; i < n; i++)
		guards[i] = (struct iovec){slab->map + (slab->used + i) * each, page_size()};
	done = syscall(SYS_process_madvise, BP_PIDFD_SELF, guards, n, MADV_GUARD_INSTALL, 0) ==
	       (long)(n * page_size());
	errno = saved;
	if (done)
		slab->guarded = slab->used + n;
	return done;
}

static enum stack_guard guard_next(struct stack_pool *pool, struct stack_slab *slab, size_t each)
{
	struct stack_pool *first = pool->first;

	if (slab->used < slab->guarded)
		return STACK_GUARD_MADVISE;
	if (first->guard == STACK_GUARD_MADVISE && first->all_mapped >= GUARDS_AHEAD &&
	    !first->one_by_one) {
		if (guard_ahead(slab, each))
			return STACK_GUARD_MADVISE;
		first->one_by_one = true;
	}
	return guard_install(slab->map + slab->used * each, first->guard);
}

struct bp_stack *stack_cut(struct stack_pool *pool)
{
	size_t page = page_size(), each = pool->size + page;
	struct stack_slab *slab = pool->slabs;
	struct bp_stack *stack;
	enum stack_guard guard;
	char *map, *top;

	if (!slab || slab->used == slab->count) {
		slab = slab_create(pool);
		if (!slab)
			return NULL;
	}
	map = slab->map + slab->used * each;
	guard = guard_next(pool, slab, each);
	/* Those that were made ahead may be better than what was to be had since. */
	if (guard > pool->first->guard)
		pool->first->guard = guard;
	slab->used++;

	top = map + each - (pool->mapped % COLOURS) * COLOUR_BYTES;
	stack = (struct bp_stack *)((uintptr_t)(top - sizeof(*stack) - STACK_ROOM) &
				    ~(uintptr_t)63);
	memset(stack, 0, sizeof(*stack));
	stack->pool = pool;
	stack->guard = guard;
	stack->low = map + page;
	stack->sp = stack;
	stack->ctx.low = stack->low;
	stack->ctx.size = (size_t)((char *)stack->sp - (char *)stack->low);
	if (stack->guard == STACK_GUARD_CANARY) {
		stack->ctx.canary = stack->low;
		*stack->ctx.canary = STACK_CANARY;
	}
#ifdef BP_TSAN
	stack->tsan_fiber = __tsan_create_fiber(0);
#endif
#ifdef BP_HAVE_VALGRIND
	stack->valgrind_id = VALGRIND_STACK_REGISTER(stack->low, stack->sp);
#endif
	pool->mapped++;
	pool->first->all_mapped++;
	if (pool->mapped > 2 * pool->warm)
		pool->first->many = true;
	return stack;
}

/* Tasks that one of ThreadSanitizer's fibers serves before it is made anew. */
#define TSAN_USES_MAX 1000u

#ifdef BP_TELL_SANITIZERS
/** What ran on a stack has ended. */
void stack_quit(struct bp_stack *stack)
{
#ifdef BP_ASAN
	ASAN_UNPOISON_MEMORY_REGION(stack->low, (size_t)((char *)stack->sp - (char *)stack->low));
#endif
#ifdef BP_TSAN
	/*
	 * Each task leaves the frames of a function that never returns: the fiber's stack of them
	 * is finite.
	 */
	if (++stack->tsan_uses == TSAN_USES_MAX) {
		__tsan_destroy_fiber(stack->tsan_fiber);
		stack->tsan_fiber = __tsan_create_fiber(0);
		stack->tsan_uses = 0;
	}
#endif
	(void)stack;
}
#endif

#define GIVEN_BACK 64u

/**
 * Gives stretches of memory back: many in one call where the kernel can (6.14; since 6.16 it tells the
 * other CPUs once for all of them, and not once for each).
 */
static void give_back(struct stack_pool *pool, const struct iovec *parts, unsigned int n)
{
	struct stack_pool *first = pool->first;
	size_t all = 0;
	unsigned int i;

	for (i = 0; i < n; i++)
		all += parts[i].iov_len;
	if (n > 1 && !first->one_by_one &&
	    syscall(SYS_process_madvise, BP_PIDFD_SELF, parts, n, MADV_DONTNEED, 0) == (long)all)
		return;
	first->one_by_one |= n > 1;
	for (i = 0; i < n; i++)
		madvise(parts[i].iov_base, parts[i].iov_len, MADV_DONTNEED);
}

static bool trim_pool(struct stack_pool *pool)
{
	struct iovec parts[GIVEN_BACK];
	unsigned int n = 0;
	uintptr_t mask = page_size() - 1;
	size_t unused = 0, keep;
	struct bp_stack *stack;
	bool some = false;

	for (stack = pool->free; stack; stack = stack_next(stack))
		unused++;
	keep = pool->warm + pool->mapped - unused;
	for (stack = pool->free; stack; stack = stack_next(stack)) {
		/* The last page stays: the stack's own struct is there. A canary stays as well. */
		uintptr_t end = (uintptr_t)stack & ~mask;
		uintptr_t low = ((uintptr_t)stack->low + mask) & ~mask;

		if (keep) {
			keep--;
			continue;
		}
		if (stack->guard == STACK_GUARD_CANARY)
			low += mask + 1;
		if ((stack->next & STACK_EMPTY) || low >= end)
			continue;
		parts[n++] = (struct iovec){(void *)low, end - low};
		if (n == GIVEN_BACK) {
			give_back(pool, parts, n);
			n = 0;
		}
		stack->next |= STACK_EMPTY;
		some = true;
	}
	give_back(pool, parts, n);
	return some;
}

bool stack_trim(struct stack_pool *first)
{
	struct stack_pool *pool;
	bool some = false;

	for (pool = first; pool; pool = pool->others)
		if (pool->mapped > 2 * pool->warm)
			some |= trim_pool(pool);
	return some;
}

void context_init(struct bp_context *ctx, struct bp_stack *stack, void (*entry)(void *), void *arg,
		  const struct bp_context *self)
{
	ctx->canary = stack->guard == STACK_GUARD_CANARY ? stack->low : NULL;
	ctx->low = stack->low;
	ctx->size = (size_t)((char *)stack->sp - (char *)stack->low);
#ifdef BP_TELL_SANITIZERS
	ctx->fake_stack = NULL;
	ctx->tsan_fiber = stack->tsan_fiber;
#endif
	bp_regs_prepare(&ctx->regs, stack->sp, entry, arg, &self->regs);
}

void context_init_self(struct bp_context *ctx)
{
	memset(ctx, 0, sizeof(*ctx));
	context_note_modes(ctx);
#ifdef BP_TSAN
	ctx->tsan_fiber = __tsan_get_current_fiber();
#endif
}

#ifdef BP_TELL_SANITIZERS
void context_leaving(struct bp_context *from, struct bp_context *to, bool last)
{
#ifdef BP_ASAN
	__sanitizer_start_switch_fiber(last ? NULL : &from->fake_stack, to->low, to->size);
#endif
#ifdef BP_TSAN
	__tsan_switch_to_fiber(to->tsan_fiber, 0);
#endif
	(void)from, (void)to, (void)last;
}

void context_resumed(struct bp_context *ctx)
{
#ifdef BP_ASAN
	__sanitizer_finish_switch_fiber(ctx->fake_stack, NULL, NULL);
#endif
	(void)ctx;
}

void context_entered(struct bp_context *from)
{
#ifdef BP_ASAN
	/* The loop may be driven from any depth of its own stack: its bounds are asked for anew. */
	__sanitizer_finish_switch_fiber(NULL, &from->low, &from->size);
#endif
	(void)from;
}
#endif
