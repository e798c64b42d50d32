/* SPDX-License-Identifier: MIT */
/*
 * The pairing heap behind timer.h. A node's children form a doubly linked list through next and
 * prev, where the first child's prev is its parent; the root's prev is itself, so that a non-NULL
 * prev says "armed".
 */
#include "timer.h"

static struct bp_timer_ *meld(struct bp_timer_ *a, struct bp_timer_ *b)
{
	if (!a)
		return b;
	if (!b)
		return a;
	if (b->when < a->when) {
		struct bp_timer_ *t = a;

		a = b;
		b = t;
	}
	b->next = a->child;
	if (b->next)
		b->next->prev = b;
	b->prev = a;
	a->child = b;
	return a;
}

static void set_root(struct timer_heap *heap, struct bp_timer_ *root)
{
	heap->root = root;
	if (root) {
		root->prev = root;
		root->next = NULL;
	}
}

/** Melds a list of siblings into one heap: in pairs from left to right, then right to left. */
static struct bp_timer_ *meld_siblings(struct bp_timer_ *first)
{
	struct bp_timer_ *pairs = NULL, *heap = NULL;

	while (first) {
		struct bp_timer_ *a = first, *b = a->next, *pair;

		first = b ? b->next : NULL;
		a->next = NULL;
		if (b)
			b->next = NULL;
		pair = meld(a, b);
		pair->next = pairs;
		pairs = pair;
	}
	while (pairs) {
		struct bp_timer_ *next = pairs->next;

		pairs->next = NULL;
		heap = meld(heap, pairs);
		pairs = next;
	}
	return heap;
}

void timer_add(struct timer_heap *heap, struct bp_timer_ *timer)
{
	bp_assert(!timer_armed(timer));
	timer->child = timer->next = NULL;
	set_root(heap, meld(heap->root, timer));
}

void timer_del(struct timer_heap *heap, struct bp_timer_ *timer)
{
	struct bp_timer_ *rest;

	if (!timer_armed(timer))
		return;
	if (heap->root == timer) {
		set_root(heap, meld_siblings(timer->child));
	} else {
		if (timer->prev->child == timer)
			timer->prev->child = timer->next;
		else
			timer->prev->next = timer->next;
		if (timer->next)
			timer->next->prev = timer->prev;
		rest = meld_siblings(timer->child);
		set_root(heap, meld(heap->root, rest));
	}
	timer->child = timer->next = timer->prev = NULL;
}

struct bp_timer_ *timer_pop(struct timer_heap *heap, uint64_t now)
{
	struct bp_timer_ *first = heap->root;

	if (!first || first->when > now)
		return NULL;
	timer_del(heap, first);
	return first;
}
