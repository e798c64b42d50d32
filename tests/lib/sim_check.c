/* SPDX-License-Identifier: MIT */
/*
 * sim_check - the promises, judged from what was seen
 *
 * With one loop the order of all events is known exactly. With several, a thread may be interrupted
 * between an event and its note, so each event is known to lie between two notes, lo and hi; one
 * came before another for sure when its hi is below the other's lo. A promise is called broken only
 * when every order that the notes allow breaks it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/sim_run.h"

/* ---------------------------------------------------------------- was it cancelled? */

static bool policy_may_cancel(const struct ginst *g)
{
	return (g->o->failures && g->failures_returned >= g->o->failures) ||
	       (g->o->successes && g->successes_returned >= g->o->successes);
}

static bool owner_may_stop(const struct ginst *g)
{
	const struct item *owner = g->owner;

	return owner &&
	       (item_may_be_cancelled(owner) || owner->g->o->item_timeout_ns || owner->scopes);
}

bool may_be_cancelled(const struct ginst *g)
{
	for (; g; g = g->parent) {
		if (g->cancels || g->cancels_lost || policy_may_cancel(g) || owner_may_stop(g))
			return true;
		if (g->deadline && g->run->sim->clock >= g->deadline)
			return true;
		/* A group that is closed or destroyed ends its children. */
		if (g->wait_seq || g->gone)
			return true;
	}
	return false;
}

bool item_may_be_cancelled(const struct item *item)
{
	return item->alone || may_be_cancelled(item->g);
}

static bool cancelled_itself(const struct ginst *g)
{
	for (unsigned int i = 0; i < g->cancels; i++)
		if (g->cancel[i].hi != NEVER_SEQ && !g->maybe_closed_seq)
			return true;
	return (g->o->failures && g->ends[BP_END_FAILED] >= g->o->failures) ||
	       (g->o->successes && g->ends[BP_END_SUCCEEDED] >= g->o->successes);
}

bool surely_cancelled(const struct ginst *g)
{
	for (; g; g = g->parent)
		if (cancelled_itself(g))
			return true;
	return false;
}

/* ---------------------------------------------------------------- items */

static void check_places(struct ginst *g, long held, const char *what)
{
	must(g->run, g->cap < 0 || held <= g->cap,
	     "group %d: items with %ld places %s under a limit of %ld", g->id, held, what, g->cap);
}

void check_accepted(struct item *item)
{
	struct ginst *g = item->g;

	if (item->accepted)
		return;
	must(g->run, !item->refused, "item %u was refused, and yet begins or ends", item->id);
	item->accepted = true;
	item->accepted_seq = g->run->seq;
	g->accepted++;
	g->held += item->weight;
	check_places(g, g->held, "are accepted");
}

void check_started(struct item *item)
{
	struct ginst *g = item->g;

	note(g->run, "item %u of group %d begins", item->id, g->id);
	check_accepted(item);
	must(g->run, !item->started, "item %u begins twice", item->id);
	must(g->run, !item->reported, "item %u begins after its end", item->id);
	/* With loops it may have been on its way; an operation may have been waiting for the queue. */
	must(g->run, !item->alone_sure || !g->run->engine->driven || item->flags & GO_OP,
	     "item %u begins although it was cancelled", item->id);
	item->started = true;
	item->started_ns = g->run->sim->clock;
	g->running += item->weight;
	check_places(g, g->running, "run");
	must(g->run, item->loop < 0 || bp_loop_index() == item->loop,
	     "item %u begins on loop %d, not on loop %d", item->id, bp_loop_index(), item->loop);
}

static void check_end_of_started(struct item *item, enum bp_end end, int result)
{
	struct ginst *g = item->g;
	struct run *run = g->run;

	if (item->flags & GO_OP)
		g->running -= item->weight;
	else
		must(run, item->ended, "item %u is reported before it returned", item->id);
	/* An operation that would have gone another round is ended by the cancel or the timeout. */
	if (item->alone && result == item->alone_cause && end == BP_END_STOPPED)
		must(run, !item->ended || item->result == -ECANCELED,
		     "item %u gave %d, and is reported as cancelled alone", item->id, item->result);
	else if (!item->ended || (item->result == -ECANCELED && g->o->item_timeout_ns))
		must(run, result == -ECANCELED || (result == -ETIMEDOUT && g->o->item_timeout_ns),
		     "item %u was ended, and is reported with %d", item->id, result);
	else
		must(run, result == item->result, "item %u gave %d, and is reported with %d",
		     item->id, item->result, result);
	if (result >= 0)
		must(run, end == BP_END_SUCCEEDED, "item %u gave %d and is no success", item->id,
		     result);
	else
		must(run,
		     end == BP_END_FAILED || (end == BP_END_STOPPED &&
					      (result == -ECANCELED ||
					       (item->alone && result == item->alone_cause))),
		     "item %u gave %d and is reported as %d", item->id, result, end);
	if (end == BP_END_STOPPED)
		must(run, item_may_be_cancelled(item), "item %u was stopped, and nobody cancelled",
		     item->id);
	if (end == BP_END_STOPPED && !may_be_cancelled(g))
		must(run, result == item->alone_cause, "item %u was cancelled with %d, not %d",
		     item->id, item->alone_cause, result);
	if (end == BP_END_FAILED && result == -ECANCELED)
		must(run, !item->ended_late, "item %u was stopped by the cancel, and failed",
		     item->id);
}

void check_reported(struct item *item, enum bp_end end, int result)
{
	static const char *const names[] = {"succeeded", "failed", "stopped", "never started"};
	struct ginst *g = item->g;
	struct run *run = g->run;

	note(run, "item %u of group %d: %s, %d", item->id, g->id, names[end], result);
	check_accepted(item);
	must(run, !item->reported, "item %u is reported twice", item->id);
	must(run, !g->gone && !g->closed_seq, "item %u is reported after the wait", item->id);
	if (item->started) {
		check_end_of_started(item, end, result);
	} else {
		must(run,
		     end == BP_END_NEVER_STARTED &&
			     (result == -ECANCELED || (item->alone && result == item->alone_cause)),
		     "item %u never began and is reported as %d, %d", item->id, end, result);
		must(run, item_may_be_cancelled(item), "item %u never began, and nobody cancelled",
		     item->id);
	}
	item->reported = true;
	item->end = end;
	item->reported_result = result;
	item->reported_seq = run->seq;
	if (!item->started)
		item->ended_seq = run->seq;
	g->reported++;
	g->held -= item->weight;
	g->ends[end]++;
	if (g->cap > g->limit && g->limit >= 0 && !g->limit_calls) {
		g->cap -= item->weight;
		if (g->cap < g->limit)
			g->cap = g->limit;
	}
}

static bool caller_may_stop(const struct item *caller, int err)
{
	if (!caller)
		return false;
	if (err == -ECANCELED)
		return item_may_be_cancelled(caller);
	return caller->scopes || caller->g->o->item_timeout_ns;
}

void check_go(struct item *item, struct item *caller, int err, bool sure_cancelled,
	      bool sure_closed)
{
	struct ginst *g = item->g;
	struct run *run = g->run;

	if (err == 0) {
		must(run, !sure_cancelled, "item %u was accepted after the cancel", item->id);
		must(run, !sure_closed, "item %u was accepted after the wait", item->id);
		check_accepted(item);
		return;
	}
	must(run, !item->accepted, "item %u was refused with %d, and ran", item->id, err);
	item->refused = true;
	switch (err) {
	case -ECANCELED:
		must(run, !sure_closed, "item %u: -ECANCELED from a closed group", item->id);
		must(run, may_be_cancelled(g) || caller_may_stop(caller, err),
		     "item %u: -ECANCELED, and nobody cancelled", item->id);
		return;
	case -ETIMEDOUT:
		must(run, !(item->flags & GO_TRY) && caller_may_stop(caller, err),
		     "item %u: bp_go says -ETIMEDOUT", item->id);
		return;
	case -EBADF:
		must(run, g->wait_seq, "item %u: -EBADF, and nobody has waited", item->id);
		return;
	case -EAGAIN:
		must(run, item->flags & GO_TRY, "item %u: -EAGAIN from bp_go", item->id);
		g->rejected++;
		return;
	case -EDEADLK:
		must(run, !(item->flags & GO_TRY), "item %u: -EDEADLK from bp_try_go", item->id);
		/* A task is told a turn later: others that waited may have given up by then. */
		must(run,
		     g->limit_changed || (g->limit >= 0 && (caller || !run->engine->driven ||
							    g->held + item->weight > g->limit)),
		     "item %u: -EDEADLK with %ld of %ld places taken", item->id, g->held, g->limit);
		return;
	case -EINVAL:
		must(run,
		     item->weight > 1 &&
			     (g->limit_changed || (g->limit > 0 && item->weight > g->limit)),
		     "item %u: -EINVAL for %ld places under a limit of %ld", item->id, item->weight,
		     g->limit);
		return;
	default:
		broken(run, "item %u: bp_go says %d", item->id, err);
	}
}

/* ---------------------------------------------------------------- the cause */

enum cand_kind {
	CAND_FAILURE,
	CAND_CANCEL,
	CAND_OUTSIDE, /* the deadline, the parent: without effect once all items have ended */
};

/* Something that may have become the group's cause. */
struct cand {
	enum cand_kind kind;
	int value;
	uint64_t lo, hi;
	bool sure; /* it has happened, between lo and hi */
};

struct cands {
	struct ginst *g;
	unsigned int n;
	struct cand cand[PROG_ITEMS + 200];
};

static void add(struct cands *all, enum cand_kind kind, int value, uint64_t lo, uint64_t hi)
{
	if (all->n < sizeof(all->cand) / sizeof(all->cand[0]))
		all->cand[all->n++] = (struct cand){kind, value, lo, hi, hi != NEVER_SEQ};
}

/** Whether the group still had something to end, or to wait for, after @seq. */
static bool lives_at(const struct ginst *g, uint64_t seq)
{
	const struct run *run = g->run;

	for (unsigned int i = 0; i < run->items; i++) {
		const struct item *item = &run->item[i];

		if (item->g == g && item->accepted && item->accepted_seq < seq &&
		    item->ended_seq > seq)
			return true;
	}
	return false;
}

static void add_own_cancels(struct cands *all, const struct ginst *g, enum cand_kind kind)
{
	for (unsigned int i = 0; i < g->cancels; i++) {
		const struct cancel *c = &g->cancel[i];
		/* One that came when the wait had ended has no effect. */
		bool open =
			c->hi != NEVER_SEQ &&
			((c->hi < g->closing_seq && !g->maybe_closed_seq) || lives_at(g, c->hi));

		if (g->closed_seq && c->lo > g->closed_seq)
			continue;

		add(all, kind, c->cause, c->lo, open ? c->hi : NEVER_SEQ);
	}
	if (g->deadline_seq)
		add(all, CAND_OUTSIDE, -ETIMEDOUT, g->deadline_seq,
		    g->deadline_sure_seq ? g->deadline_sure_seq : NEVER_SEQ);
}

static void add_failures(struct cands *all, const struct ginst *g)
{
	const struct run *run = g->run;

	for (unsigned int i = 0; i < run->items; i++) {
		const struct item *item = &run->item[i];

		if (item->g == g && item->reported && item->end == BP_END_FAILED)
			add(all, CAND_FAILURE, item->reported_result, item->ended_seq,
			    item->reported_seq);
	}
}

/** The failures of a parent, reported or about to be. */
static void add_parents_failures(struct cands *all, const struct ginst *p)
{
	const struct run *run = p->run;
	uint64_t born = all->g->created_seq;

	for (unsigned int i = 0; i < run->items; i++) {
		const struct item *item = &run->item[i];
		uint64_t lo = item->ended_seq > born ? item->ended_seq : born;

		if (item->g != p || !item->started)
			continue;
		if (item->ended && item->result < 0)
			add(all, CAND_OUTSIDE, item->result, lo, NEVER_SEQ);
		if (p->o->item_timeout_ns)
			add(all, CAND_OUTSIDE, -ETIMEDOUT, lo, NEVER_SEQ);
	}
}

/** What an ancestor hands down. */
static void add_parent(struct cands *all, const struct ginst *p)
{
	uint64_t born = all->g->created_seq;
	unsigned int i;

	for (i = all->n, add_own_cancels(all, p, CAND_OUTSIDE); i < all->n; i++)
		if (all->cand[i].lo < born) /* it found the parent cancelled when it was made */
			all->cand[i] = (struct cand){CAND_OUTSIDE, all->cand[i].value, born,
						     NEVER_SEQ, false};
	if (may_be_cancelled(p)) /* its cause may be a failure that did not cancel it */
		add_parents_failures(all, p);
	if ((p->o->successes && p->successes_returned >= p->o->successes) || p->wait_seq || p->gone)
		add(all, CAND_OUTSIDE, -ECANCELED, born, NEVER_SEQ);
	if (owner_may_stop(p)) {
		add(all, CAND_OUTSIDE, -ECANCELED, born, NEVER_SEQ);
		add(all, CAND_OUTSIDE, -ETIMEDOUT, born, NEVER_SEQ);
	}
}

static void collect(struct cands *all, struct ginst *g)
{
	all->g = g;
	all->n = 0;
	add_failures(all, g);
	add_own_cancels(all, g, CAND_CANCEL);
	for (const struct ginst *p = g->parent; p; p = p->parent)
		add_parent(all, p);
	if (owner_may_stop(g)) {
		add(all, CAND_OUTSIDE, -ECANCELED, g->created_seq, NEVER_SEQ);
		add(all, CAND_OUTSIDE, -ETIMEDOUT, g->created_seq, NEVER_SEQ);
	}
}

/** Whether @c became the cause for sure unless something else did before. */
static bool counts(const struct cands *all, const struct cand *c)
{
	if (!c->sure)
		return false;
	return c->kind != CAND_OUTSIDE || lives_at(all->g, c->hi);
}

/** Something that must have become the cause before @lo; or NULL. */
static const struct cand *sure_before(const struct cands *all, uint64_t lo, bool failures)
{
	for (unsigned int i = 0; i < all->n; i++) {
		const struct cand *c = &all->cand[i];

		if (counts(all, c) && c->hi < lo && (failures || c->kind != CAND_FAILURE))
			return c;
	}
	return NULL;
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/** Between which events the @n-th item (from 1) ended so. Return: false when so many did not. */
static bool nth_end(const struct ginst *g, enum bp_end end, unsigned long n, uint64_t *lo,
		    uint64_t *hi)
{
	const struct run *run = g->run;
	uint64_t los[PROG_ITEMS], his[PROG_ITEMS];
	unsigned long count = 0;

	for (unsigned int i = 0; i < run->items; i++) {
		const struct item *item = &run->item[i];

		if (item->g != g || !item->reported || item->end != end)
			continue;
		los[count] = item->ended_seq;
		his[count++] = item->reported_seq;
	}
	if (!n || count < n)
		return false;
	qsort(los, count, sizeof(los[0]), by_number);
	qsort(his, count, sizeof(his[0]), by_number);
	*lo = los[n - 1];
	*hi = his[n - 1];
	return true;
}

/** A wait-for-all, a fail-fast or an error budget: the first cause of all stays. */
static void check_plain_result(const struct cands *all, int result)
{
	const struct ginst *g = all->g;
	const struct cand *first;

	if (result == 0) {
		first = sure_before(all, NEVER_SEQ, true);
		must(g->run, !first, "group %d: bp_wait says 0, but there was %d", g->id,
		     first ? first->value : 0);
		return;
	}
	for (unsigned int i = 0; i < all->n; i++)
		if (all->cand[i].value == result && !sure_before(all, all->cand[i].lo, true))
			return;
	first = sure_before(all, NEVER_SEQ, true);
	broken(g->run, "group %d: bp_wait says %d, which was not the first cause (%d was there)",
	       g->id, result, first ? first->value : 0);
}

/** A race or a quorum. */
static void check_quorum_result(const struct cands *all, int result)
{
	const struct ginst *g = all->g;
	struct run *run = g->run;
	uint64_t win_lo = NEVER_SEQ, win_hi = NEVER_SEQ, lost_lo = NEVER_SEQ, lost_hi = NEVER_SEQ;
	bool won = nth_end(g, BP_END_SUCCEEDED, g->o->successes, &win_lo, &win_hi);
	bool lost = nth_end(g, BP_END_FAILED, g->o->failures, &lost_lo, &lost_hi);

	if (result == 0) {
		must(run, won, "group %d: bp_wait says 0 after %lu of %u successes", g->id,
		     g->ends[BP_END_SUCCEEDED], g->o->successes);
		must(run, !sure_before(all, win_lo, false) && !(lost && lost_hi < win_lo),
		     "group %d: bp_wait says 0, but it was over before", g->id);
		return;
	}
	for (unsigned int i = 0; i < all->n; i++) {
		const struct cand *c = &all->cand[i];
		uint64_t lo = c->kind != CAND_FAILURE ? c->lo : lost ? lost_lo : NEVER_SEQ;

		if (c->value != result || (won && win_hi < lo))
			continue;
		/* The first failure is what is told, whichever brought about the end. */
		if (c->kind == CAND_FAILURE && !sure_before(all, lo, false)) {
			bool earlier = false;

			for (unsigned int k = 0; k < all->n; k++)
				earlier |= all->cand[k].kind == CAND_FAILURE &&
					   all->cand[k].hi < c->lo;
			if (!earlier)
				return;
		}
		if (c->kind != CAND_FAILURE && !sure_before(all, lo, false) &&
		    !(lost && lost_hi < lo))
			return;
	}
	must(run,
	     result == -ENOENT && !won && !g->ends[BP_END_FAILED] &&
		     !sure_before(all, NEVER_SEQ, false),
	     "group %d: bp_wait says %d", g->id, result);
}

void check_result(struct ginst *g, int result)
{
	static struct cands all;
	struct run *run = g->run;

	must(run, g->running == 0, "group %d: bp_wait has returned while %ld items run", g->id,
	     g->running);
	for (unsigned int i = 0; i < run->items; i++) {
		const struct item *item = &run->item[i];

		must(run, item->g != g || !item->accepted || item->reported,
		     "group %d: bp_wait has returned, and item %u has no end", g->id, item->id);
	}
	if (g->cancels_lost)
		return;
	collect(&all, g);
	if (g->o->successes)
		check_quorum_result(&all, result);
	else
		check_plain_result(&all, result);
}
