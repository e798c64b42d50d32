/* SPDX-License-Identifier: MIT */
/*
 * sim_end - what is left when a group, and when a whole run, has ended: figures, the winner, nothing else
 */
#include "lib/sim_run.h"

void check_stats(struct ginst *g)
{
	struct bp_group_stats st = {.sz = sizeof(st)};
	struct run *run = g->run;

	bp_group_stats(g->g, &st);
	must(run, st.accepted == (uint64_t)g->accepted, "group %d: %llu accepted, but %ld were",
	     g->id, (unsigned long long)st.accepted, g->accepted);
	must(run,
	     st.succeeded == g->ends[BP_END_SUCCEEDED] && st.failed == g->ends[BP_END_FAILED] &&
		     st.stopped == g->ends[BP_END_STOPPED] &&
		     st.never_started == g->ends[BP_END_NEVER_STARTED],
	     "group %d: the counts are not those of the reports", g->id);
	must(run, st.accepted == st.succeeded + st.failed + st.stopped + st.never_started,
	     "group %d: the ends do not add up", g->id);
	must(run, st.running == 0 && st.waiting == 0, "group %d: something is left", g->id);
	must(run, st.rejected >= g->rejected && st.rejected <= g->rejected + (uint64_t)g->offers,
	     "group %d: %llu rejected, but %lu were", g->id, (unsigned long long)st.rejected,
	     g->rejected);
	must(run, g->limit_changed || g->limit < 0 || st.peak <= (uint64_t)g->limit,
	     "group %d: a peak of %llu under a limit of %ld", g->id, (unsigned long long)st.peak,
	     g->limit);
}

/** The item that a winner's argument stands for. */
static struct item *item_of(struct run *run, void *arg)
{
	struct copy *copy = arg;

	if ((char *)arg >= (char *)run->item && (char *)arg < (char *)&run->item[PROG_ITEMS])
		return &run->item[(size_t)((char *)arg - (char *)run->item) / sizeof(struct item)];
	must(run, copy->magic == COPY_MAGIC && copy->more_magic == COPY_MAGIC,
	     "the winner's copy is gone");
	return copy->item;
}

void check_winner(struct ginst *g)
{
	void *arg = bp_group_winner(g->g);
	struct run *run = g->run;
	struct item *winner;

	must(run, !arg == !g->ends[BP_END_SUCCEEDED], "group %d: %s winner", g->id,
	     arg ? "a" : "no");
	if (!arg)
		return;
	winner = item_of(run, arg);
	must(run, winner->g == g && winner->reported && winner->end == BP_END_SUCCEEDED,
	     "group %d: item %u is no winner", g->id, winner->id);
	for (unsigned int i = 0; i < run->items; i++) {
		const struct item *item = &run->item[i];

		must(run,
		     item->g != g || item->end != BP_END_SUCCEEDED || !item->reported ||
			     item->reported_seq >= winner->ended_seq,
		     "group %d: item %u won, but item %u was before it", g->id, winner->id, i);
	}
}

static void check_loop(struct run *run, struct bp_loop *loop)
{
	struct bp_stack *stack;
	size_t free = 0;

	for (stack = loop->stacks.free; stack; stack = stack_next(stack))
		free++;
	must(run, free == loop->stacks.mapped, "loop %u: %zu of %zu stacks are lost", loop->index,
	     loop->stacks.mapped - free, loop->stacks.mapped);
	must(run,
	     loop_in_flight(loop) + loop_patient(loop) == 0 && loop->cancels_out == 0 &&
		     loop->pooled == 0,
	     "loop %u: something is in flight", loop->index);
}

void check_end(struct run *run)
{
	const struct bp_engine_info *info = bp_engine_info(run->engine);

	must(run, info->live_groups == 0, "a group is left");
	must(run, info->live_tasks == 0, "%zu tasks are left", info->live_tasks);
	must(run, info->in_flight == 0, "%zu operations are left", info->in_flight);
	must(run, info->waiting == 0, "%zu items are left", info->waiting);
	must(run, run->engine->granted == 0, "a place was given away and never used");
	must(run, list_empty(&run->engine->starved), "a group is starved for ever");
	must(run, sim_open_fds(run->engine) == 0, "%u descriptors are left",
	     sim_open_fds(run->engine));
	must(run, run->sent == run->sim->model.sent, "%llu bytes were sent, and %llu were told of",
	     (unsigned long long)run->sim->model.sent, (unsigned long long)run->sent);
	must(run, run->received == run->sim->model.received,
	     "%llu bytes were received, and %llu were told of",
	     (unsigned long long)run->sim->model.received, (unsigned long long)run->received);
	for (unsigned int i = 0; i < run->items; i++) {
		const struct item *item = &run->item[i];

		must(run, item->accepted == item->reported, "item %u has no end", i);
		for (unsigned int k = 0; k < sizeof(item->buf); k++)
			must(run, item->buf[k] == UNTOUCHED, "item %u: its buffer was used later",
			     i);
	}
	for (unsigned int i = 0; i < run->engine->nloops; i++)
		check_loop(run, run->engine->loops[i]);
}
