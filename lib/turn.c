/* SPDX-License-Identifier: MIT */
/*
 * A caller-driven engine inside another event loop: a descriptor to poll, and turns that do not wait. Called
 * by the engine's own thread, outside of its items.
 *
 * Between two turns the loop is as one that sleeps in a wait of its own: who puts work somewhere finds it
 * sleeping, and wakes it, which makes the descriptor readable.
 */
#include "group.h"

/* Turns taken in one call while there is always more to do: others in the thread want theirs too. */
#define TURNS_MAX 16

/** Ends the program where the caller is inside of an engine. */
static struct bp_loop *driven_loop(struct bp_engine *engine, const char *call)
{
	bp_need(engine, call, "engine");
	engine_check_thread(engine, call);
	if (call_context(engine) != CONTEXT_OUTSIDE)
		bp_fatal("%s: called by one of the engine's own tasks or callbacks", call);
	return engine->driven ? engine->loops[0] : NULL;
}

int bp_engine_fd(struct bp_engine *engine)
{
	struct bp_loop *loop = driven_loop(engine, __func__);
	int fd, saved = errno;

	if (!loop || !loop->backend->fd)
		return -EOPNOTSUPP;
	/* Nobody wakes it while it changes how that is done. */
	atomic_store(&loop->sleeping, false);
	fd = loop->backend->fd(loop);
	errno = saved;
	if (fd < 0)
		return fd;
	engine->outer = true;
	engine->told = true;
	if (!loop_rest(loop))
		loop_wake(loop);
	return fd;
}

int bp_engine_turn(struct bp_engine *engine, uint64_t *wait_ns)
{
	struct bp_loop *loop = driven_loop(engine, __func__);
	unsigned int turns = 0;
	uint64_t until, now;

	if (!loop)
		return -EOPNOTSUPP;
	do {
		loops_drive(engine, 0);
		until = loop_rest(loop);
	} while (!until && ++turns < TURNS_MAX);
	/* There is more to do: the descriptor says so, for who does not ask how long to wait. */
	if (!until)
		loop_wake(loop);
	now = bp_now(engine);
	if (wait_ns && until != BP_NEVER)
		*wait_ns = until > now ? until - now : 0;
	else if (wait_ns)
		*wait_ns = BP_NEVER;
	return !loop_idle(loop);
}
