/* SPDX-License-Identifier: MIT */
/*
 * sim_items - items with options in a program of sim_prog: heavy, pinned, or with a handle; and
 * functions that are handed to the engine
 */
#include <string.h>

#include "lib/sim_run.h"

/* ---------------------------------------------------------------- bp_go() and its relatives */

static int go_plain(struct item *item)
{
	struct copy copy = {COPY_MAGIC, item, COPY_MAGIC};
	struct bp_group *g = item->g->g;
	bool try = item->flags & GO_TRY;

	if (item->flags & GO_OP)
		return try ? bp_try_go_op(g, &item->op) : bp_go_op(g, &item->op);
	if (item->flags & GO_COPY)
		return try ? bp_try_go_copy(g, run_task_main, &copy, sizeof(copy)) :
			     bp_go_copy(g, run_task_main, &copy, sizeof(copy));
	return try ? bp_try_go(g, run_task_main, item) : bp_go(g, run_task_main, item);
}

/** The end of an item with a handle, as it tells of it itself. */
static void told(void *ctx, void *arg, enum bp_end end, int result)
{
	struct item *item = ctx;

	(void)arg;
	note(item->run, "item %u: its handle tells of its end", item->id);
	must(item->run, item->reported && end == item->end && result == item->reported_result,
	     "item %u: its handle tells of %d, %d", item->id, end, result);
	must(item->run, !item->told++, "item %u: its handle tells of its end twice", item->id);
}

/** Whether the handle of an item is given back at once. */
static bool forgets(const struct item *item)
{
	return item->id % 5 == 0;
}

static int go_with(struct item *item)
{
	struct copy copy = {COPY_MAGIC, item, COPY_MAGIC};
	struct bp_handle *handle = NULL;
	struct bp_go_opts opts = *&BP_GO_OPTS(.weight = (uint64_t)item->weight, .loop = item->loop,
					      .try_now = item->flags & GO_TRY);
	struct run *run = item->run;
	int err;

	if (item->flags & GO_HANDLE)
		opts.handle = &handle;
	if (item->flags & GO_OP) {
		err = bp_go_op_with(item->g->g, &item->op, &opts);
	} else if (item->flags & GO_COPY) {
		opts.copy_size = sizeof(copy);
		err = bp_go_with(item->g->g, run_task_main, &copy, &opts);
	} else {
		err = bp_go_with(item->g->g, run_task_main, item, &opts);
	}
	must(run, !handle == (err || !opts.handle), "item %u: bp_go says %d, with%s a handle",
	     item->id, err, handle ? "" : "out");
	if (!handle)
		return err;
	must(run, !bp_handle_notify(handle, told, item), "item %u: its handle will not tell",
	     item->id);
	if (forgets(item))
		bp_handle_release(handle);
	else
		item->handle = handle;
	return 0;
}

int run_call_go(struct item *item)
{
	return item->flags & (GO_HEAVY | GO_HANDLE | GO_PINNED) ? go_with(item) : go_plain(item);
}

/* ---------------------------------------------------------------- handles */

static struct item *item_with_handle(struct run *run, int64_t which)
{
	for (unsigned int i = 0; i < run->items; i++) {
		struct item *item = &run->item[((uint64_t)which + i) % run->items];

		if (item->handle)
			return item;
	}
	return NULL;
}

void run_alone(struct run *run, const struct step *s)
{
	struct item *item = item_with_handle(run, s->c);
	bool over = item && item->reported;
	int res;

	if (!item)
		return;
	note(run, "item %u: cancelled alone", item->id);
	item->alone++;
	res = bp_handle_cancel(item->handle,
			       item->alone_cause == -ECANCELED ? 0 : item->alone_cause);
	note(run, "item %u: its cancel says %d", item->id, res);
	must(run, res == 0 || res == -ESRCH, "item %u: bp_handle_cancel says %d", item->id, res);
	must(run, res == -ESRCH || !over, "item %u: is cancelled after its end", item->id);
	must(run, res == 0 || item->reported || !run->engine->driven,
	     "item %u: has no end, and none that could be cancelled", item->id);
	if (res == 0)
		item->alone_sure = true;
	else
		item->alone--;
}

void run_join(struct run *run, const struct step *s)
{
	struct item *item = item_with_handle(run, s->c);
	int res, result = 0;

	if (!item)
		return;
	note(run, "item %u: join", item->id);
	res = bp_handle_join(item->handle, &result);
	note(run, "item %u: join says %d, %d", item->id, res, result);
	if (res == 0)
		must(run, item->reported && result == item->reported_result,
		     "item %u: was joined with %d", item->id, result);
	else
		must(run, res == -EDEADLK && !item->reported, "item %u: bp_handle_join says %d",
		     item->id, res);
}

void run_end_handles(struct run *run)
{
	for (unsigned int i = 0; i < run->items; i++) {
		struct item *item = &run->item[i];
		enum bp_end end;
		int result;

		must(run, item->told == (item->accepted && item->flags & GO_HANDLE),
		     "item %u: its handle has told of its end %u times", item->id, item->told);
		if (!item->handle)
			continue;
		must(run, !bp_handle_end(item->handle, &end, &result), "item %u: has no end", i);
		must(run, end == item->end && result == item->reported_result,
		     "item %u: its handle says %d, %d", i, end, result);
		bp_handle_release(item->handle);
		item->handle = NULL;
	}
}

/* ---------------------------------------------------------------- bp_post() */

static void posted(void *arg)
{
	struct post *post = arg;
	struct run *run = post->run;
	const struct step *s = post->step;
	struct step go = {.kind = STEP_GO, .flags = GO_TRY, .b = s->b};
	struct ginst *g;

	note(run, "post %u is called", (unsigned int)(post - run->post));
	must(run, post == &run->post[run->called++], "posts are called in another order");
	must(run, !run->posting, "two posts are called at once");
	must(run, bp_loop_index() == 0, "a post is called on loop %d", bp_loop_index());
	run->posting = true;
	g = run_group_of(run, NULL, s->a);
	if (g && !g->dying && s->b)
		run_go(run, NULL, g, &go);
	else if (g && !g->dying)
		run_cancel(run, g, (int)s->c);
	run->posting = false;
}

void run_post(struct run *run, const struct step *s)
{
	struct post *post = &run->post[run->posts];
	int res;

	if (run->posts == RUN_POSTS || s->a < 0)
		return;
	*post = (struct post){run, s};
	note(run, "post %u", run->posts++);
	res = bp_post(run->engine, posted, post);
	must(run, res == 0, "bp_post says %d", res);
}

void run_drain_posts(struct run *run)
{
	for (unsigned int i = 0; i < 10000 && (run->called < run->posts || run->posting); i++) {
		if (run->engine->driven)
			bp_engine_turn(run->engine, NULL);
		else
			sim_threads_settle(run->engine);
	}
	must(run, run->called == run->posts && !run->posting, "%u of %u posts were called",
	     run->called, run->posts);
}
