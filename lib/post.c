/* SPDX-License-Identifier: MIT */
/*
 * Functions handed over by other threads and by signal handlers; see post.h.
 *
 * Who puts one in claims a cell by moving head, fills it and marks it as filled. A signal may come in
 * between: its handler claims the next cell, and the loop waits at the first until that is filled. Then
 * the loop is told, once for any number of cells: it takes back that it was told before it looks at
 * them, so that a cell which it does not see filled has a message of its own to come.
 */
#include <stdlib.h>

#include "post.h"

static void run_posted(struct bp_loop *loop, struct bp_message *message)
{
	struct post *post = container_of(message, struct post, message);
	size_t end;

	(void)loop;
	atomic_exchange(&post->told, false);
	/* After that: who claims a cell from here on tells anew. What these post has its turn later. */
	end = atomic_load(&post->head);
	while (post->tail != end) {
		struct post_cell *cell = &post->cells[post->tail % POST_CELLS];
		size_t filled = post->tail / POST_CELLS * 2 + 1;
		void (*fn)(void *arg);
		void *arg;

		if (atomic_load_explicit(&cell->state, memory_order_acquire) != filled)
			return;
		fn = cell->fn;
		arg = cell->arg;
		post->tail++;
		atomic_store_explicit(&cell->state, filled + 1, memory_order_release);
		fn(arg);
	}
}

struct post *post_create(void)
{
	struct post *post = calloc(1, sizeof(*post));

	if (post)
		post->message.handle = run_posted;
	return post;
}

/** Claims a cell. Return: its position, or SIZE_MAX: none is free. */
static size_t claim(struct post *post)
{
	size_t pos = atomic_load_explicit(&post->head, memory_order_relaxed);

	for (;;) {
		size_t state = atomic_load_explicit(&post->cells[pos % POST_CELLS].state,
						    memory_order_acquire);
		size_t unused = pos / POST_CELLS * 2;

		if (state == unused) {
			if (atomic_compare_exchange_weak(&post->head, &pos, pos + 1))
				return pos;
		} else if (state < unused) {
			return SIZE_MAX;
		} else {
			pos = atomic_load_explicit(&post->head, memory_order_relaxed);
		}
	}
}

int bp_post(struct bp_engine *engine, void (*fn)(void *arg), void *arg)
{
	struct post_cell *cell;
	struct post *post;
	size_t pos;

	bp_need(engine, __func__, "engine");
	if (!fn)
		return -EINVAL;
	engine_check_forks(engine, __func__);
	post = engine->post;
	pos = claim(post);
	if (pos == SIZE_MAX)
		return -EAGAIN;
	cell = &post->cells[pos % POST_CELLS];
	cell->fn = fn;
	cell->arg = arg;
	atomic_store_explicit(&cell->state, pos / POST_CELLS * 2 + 1, memory_order_release);
	if (!atomic_exchange(&post->told, true))
		loop_post(engine->loops[0], &post->message);
	return 0;
}
