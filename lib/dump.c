/* SPDX-License-Identifier: MIT */
/*
 * bp_engine_dump(): a picture in text of what lives in an engine, for people who look for a hang.
 *
 * It is made under the engine's lock, where groups stand still and no item can end, and written
 * after that. What loops change without the lock (the state of an operation, say) is read as one
 * piece, and may be over by the time that somebody reads it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "compat.h"
#include "group.h"
#include "opcode.h"

/* Items of a group that are written one by one; the rest is counted. */
#define ITEMS_MAX 1000u

static double seconds_since(uint64_t then, uint64_t now)
{
	return now > then ? (double)(now - then) / 1e9 : 0;
}

static void dump_loop(FILE *out, struct bp_loop *loop)
{
	fprintf(out,
		"  loop %u: %u in flight and %u that wait for a peer, %u starting, %u tasks alive, %zu stacks, %s\n",
		loop->index, loop_in_flight(loop), loop_patient(loop),
		atomic_load_explicit(&loop->starting, memory_order_relaxed),
		atomic_load_explicit(&loop->live_tasks, memory_order_relaxed),
		atomic_load_explicit(&loop->stacks_mapped, memory_order_relaxed),
		atomic_load_explicit(&loop->sleeping, memory_order_relaxed) ? "waiting" : "busy");
}

/** What a task stands in line for, or NULL. Under the lock. */
static const struct waiter *waiter_of(const struct bp_op *op)
{
	return container_of(op, const struct bp_task, op)->waiter;
}

static void dump_item(FILE *out, const struct bp_op *op, unsigned int loop, uint64_t now)
{
	unsigned int state = __atomic_load_n(&op->state_, __ATOMIC_ACQUIRE);
	unsigned int opcode = __atomic_load_n(&op->opcode_, __ATOMIC_RELAXED);
	uint64_t start = __atomic_load_n(&op->start_ns_, __ATOMIC_RELAXED);

	fprintf(out, "    %s %p on loop %u: %s", op->kind_ == OP_KIND_TASK ? "task" : "operation",
		(const void *)op, loop, op_state_names[state]);
	if (state == OP_IN_FLIGHT && opcode_name(opcode)[0])
		fprintf(out, ": %s", opcode_name(opcode));
	else if (state == OP_IN_FLIGHT)
		fprintf(out, ": opcode %u", opcode);
	else if (op->kind_ == OP_KIND_TASK && waiter_of(op))
		fprintf(out, " for %s", waiter_of(op)->what);
	/* One that its loop has taken just now has no start yet. */
	if (state != OP_READY)
		fprintf(out, ", started %.3f s ago", seconds_since(start, now));
	fputc('\n', out);
}

static unsigned int list_length(const struct bp_link_ *list)
{
	const struct bp_link_ *link;
	unsigned int n = 0;

	for (link = list->next; link != list; link = link->next)
		n++;
	return n;
}

static void dump_group(FILE *out, const struct bp_group *group, uint64_t now)
{
	static const char *const states[] = {"open", "cancelled", "closed"};
	const struct bp_engine *engine = group->engine;
	unsigned int i, items = 0, total = 0;

	fprintf(out, "  group %p: %s, made %.3f s ago, ", (const void *)group,
		states[group_closed(group) ? 2 : group_cancelled(group)],
		seconds_since(group->created_ns, now));
	if (group->limit < 0)
		fprintf(out, "no limit");
	else
		fprintf(out, "limit %ld", group->limit);
	if (group->parent)
		fprintf(out, ", parent %p", (const void *)group->parent);
	if (group->cause_set)
		fprintf(out, ", cause %d (%s)", group->cause,
			group->text ? group->text->words : strerrordesc_np(-group->cause));
	fprintf(out,
		"\n    accepted %" PRIu64 ": %" PRIu64 " succeeded, %" PRIu64 " failed, %" PRIu64
		" stopped, %" PRIu64 " never started, %" PRIu64 " hold a place, %" PRIu64
		" of them wait for their turn\n",
		group->accepted, group->succeeded, group->failed, group->stopped,
		group->never_started, group->running, group->nready);
	fprintf(out, "    %u wait in bp_go(), %u in bp_wait()\n", list_length(&group->go_waiters),
		list_length(&group->wait_waiters));
	for (i = 0; i < engine->nloops; i++) {
		const struct group_member *member = &group->members[i];
		const struct bp_link_ *link;

		total += list_length(&member->items);
		for (link = member->items.next; link != &member->items && items < ITEMS_MAX;
		     link = link->next, items++)
			dump_item(out, container_of(link, struct bp_op, member_), i, now);
	}
	if (total > items)
		fprintf(out, "    and %u more\n", total - items);
}

static void dump(FILE *out, struct bp_engine *engine)
{
	uint64_t now = engine->backend->now(engine);
	const struct bp_link_ *link;
	unsigned int i;

	engine_assert_locked(engine);
	fprintf(out, "engine %p: %s (%s), %u loop(s) of depth %u%s, %zu group(s)%s\n",
		(const void *)engine, engine->backend->name, engine->reason, engine->nloops,
		engine->depth, engine->driven ? ", caller-driven" : "", engine->ngroups,
		loops_full(engine) ? ", FULL: as many operations in flight as depth allows" : "");
	for (i = 0; i < engine->nloops; i++)
		dump_loop(out, engine->loops[i]);
	for (link = engine->groups.next; link != &engine->groups; link = link->next)
		dump_group(out, container_of(link, struct bp_group, engine_link), now);
}

static int write_all(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			text += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

int bp_engine_dump(struct bp_engine *engine, int fd)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out;
	int err;

	bp_need(engine, __func__, "engine");
	engine_check_thread(engine, __func__);
	out = open_memstream(&text, &len);
	if (!out)
		return -ENOMEM;
	engine_lock(engine);
	dump(out, engine);
	engine_unlock(engine);
	err = fclose(out) ? -ENOMEM : write_all(fd, text, len);
	free(text);
	return err;
}
