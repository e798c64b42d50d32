/* SPDX-License-Identifier: MIT */
/*
 * What every file of the library stands on: assertions that stay on in release, the one way to end
 * the program on misuse, time, structs of options, and circular doubly linked lists of struct
 * bp_link_. It keeps no state, so any thread may use it.
 */
#ifndef BP_BASE_H
#define BP_BASE_H

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "public.h"

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#define NSEC_PER_SEC 1000000000ull
#define BP_NEVER UINT64_MAX

/** Ends the program with one line on stderr: misuse, or a state from which nothing is safe. */
__attribute__((noreturn, cold, format(printf, 1, 2))) void bp_fatal(const char *fmt, ...);

/** Likewise: nothing can go on any more. */
__attribute__((noreturn, cold, format(printf, 1, 2))) void bp_deadlock(const char *fmt, ...);

/*
 * Who takes what the thread's bp_fatal() and bp_deadlock() would say, instead of standard error; if he
 * returns, the program ends all the same. NULL: nobody.
 */
extern __thread void (*base_last_words)(bool deadlock, const char *line);

#define bp_assert(cond)                                                                            \
	do {                                                                                       \
		if (unlikely(!(cond)))                                                             \
			bp_fatal("%s:%d: assertion failed: %s", __FILE__, __LINE__, #cond);        \
	} while (0)

/** Ends the program where @call was given NULL as its @what. */
static inline void bp_need(const void *object, const char *call, const char *what)
{
	if (unlikely(!object))
		bp_fatal("%s: the %s is NULL", call, what);
}

/** Copies an options struct that starts with its size. Return: 0 or -EINVAL. */
int opts_copy(void *to, size_t known, const void *from);

/** Puts a sentence into a @size of room, cut where it does not fit. Return: @err. */
__attribute__((format(printf, 4, 5))) int say_why(char *room, size_t size, int err, const char *fmt,
						  ...);

/**
 * Blocks the signals that a program handles in threads of its own, for the threads that the library
 * makes. What a thread brings upon itself (SIGSEGV and its like) stays as it is.
 */
void signals_keep_out(sigset_t *old);

/*
 * A thread's own variable that is read in each operation. Where it can be laid out when the library is
 * loaded, no function has to be called to find it; musl does not do that for a library that is opened
 * later.
 */
#ifdef __GLIBC__
#define BP_THREAD_LOCAL __thread __attribute__((tls_model("initial-exec")))
#else
#define BP_THREAD_LOCAL __thread
#endif

/*
 * How often this process has come out of a fork() since base_watch_forks(). An engine of another
 * number is the parent's.
 */
extern unsigned int base_forks;

/*
 * The calling thread's number, given by base_thread(): no other thread of this process has it, nor had,
 * and a forked child's thread has none.
 */
extern BP_THREAD_LOCAL uint64_t base_this_thread;

/** Gives the calling thread its number, where it has none. Return: that. */
uint64_t base_thread(void);

/** From here on base_forks counts; @in_child is called in each child. Any number of times. */
void base_watch_forks(void (*in_child)(void));

/** Nanoseconds on CLOCK_MONOTONIC. */
uint64_t time_now(void);

/**
 * A point in time @ns after @now: the last one that still fires where that is past the clock's end.
 */
static inline uint64_t time_after(uint64_t now, uint64_t ns)
{
	return ns < BP_NEVER - now ? now + ns : BP_NEVER - 1;
}

static inline void list_init(struct bp_link_ *list)
{
	list->next = list->prev = list;
}

static inline bool list_empty(const struct bp_link_ *list)
{
	return list->next == list;
}

/** Whether a node that was zeroed, or taken out with list_del(), stands in a list. */
static inline bool list_linked(const struct bp_link_ *node)
{
	return node->next != NULL;
}

static inline void list_add_tail(struct bp_link_ *list, struct bp_link_ *node)
{
	node->prev = list->prev;
	node->next = list;
	list->prev->next = node;
	list->prev = node;
}

static inline void list_add_head(struct bp_link_ *list, struct bp_link_ *node)
{
	list_add_tail(list->next, node);
}

static inline void list_del(struct bp_link_ *node)
{
	node->next->prev = node->prev;
	node->prev->next = node->next;
	node->next = NULL;
}

static inline struct bp_link_ *list_pop(struct bp_link_ *list)
{
	struct bp_link_ *node = list->next;

	if (node == list)
		return NULL;
	list_del(node);
	return node;
}

/** Moves all of @from to the end of @to. */
static inline void list_splice_tail(struct bp_link_ *to, struct bp_link_ *from)
{
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	from->prev->next = to;
	to->prev->next = from->next;
	to->prev = from->prev;
	list_init(from);
}

#endif /* BP_BASE_H */
