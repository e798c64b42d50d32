/* SPDX-License-Identifier: MIT */
/*
 * The simulated backend's scheduler: loops as threads would run them, on one thread. See sim.h.
 *
 * Each loop has a stack of its own, on which it runs the same turns as a loop's thread does. It
 * gives way to the others where it waits, and, as the seed wills, wherever it takes or leaves the
 * engine's lock: between two locked regions everything may happen, as between threads. The engine's
 * own thread is one more of them; its stack is the hub to which all others switch back.
 *
 *	RUNNABLE <--> running --> WAITING (in reap) --> RUNNABLE
 *	                 +------> OVER
 */
#include <stdlib.h>

#include "cxx.h"
#include "sim/sim.h"
#include "task.h"

#define THREAD_STACK (256u << 10)

enum sim_thread_state {
	THREAD_RUNNABLE,
	THREAD_WAITING,
	THREAD_OVER,
};

struct sim_thread {
	struct bp_engine *engine;
	struct bp_loop *loop;
	struct bp_loop *this_loop; /* bp_this_loop, as it stood when the thread gave way */
	struct bp_context ctx;
	struct bp_stack *stack;
	enum sim_thread_state state;
	uint64_t until; /* of its wait */
	int err;
};

/** The running simulated thread gives way. */
static void give_way(struct sim *sim, enum sim_thread_state state)
{
	struct sim_thread *t = sim->current;
	struct bp_op *running = t->loop->running;
	struct cxx_state exceptions = cxx_take();

	t->state = state;
	t->this_loop = bp_this_loop;
	/* The sanitizers are told of the stack that it will come back to: a task's, or its own. */
	if (running) {
		const struct bp_context *ctx = &task_of_op(running)->stack->ctx;

		t->ctx.low = ctx->low;
		t->ctx.size = ctx->size;
		t->ctx.tsan_fiber = ctx->tsan_fiber;
	} else {
		t->ctx.low = t->stack->low;
		t->ctx.size = (size_t)((char *)t->stack->sp - (char *)t->stack->low);
		t->ctx.tsan_fiber = t->stack->tsan_fiber;
	}
	context_leave(&t->ctx, &sim->hub, state == THREAD_OVER);
	cxx_give(exceptions);
}

static void thread_entry(void *arg)
{
	struct sim_thread *t = arg;
	struct sim *sim = t->engine->backend_data;

	context_entered(&sim->hub);
	bp_this_loop = t->loop;
	t->err = loop_init(t->loop, t->engine, (unsigned int)(t - sim->threads));
	if (t->err)
		give_way(sim, THREAD_OVER);
	give_way(sim, THREAD_RUNNABLE);
	while (!atomic_load(&t->engine->stopping))
		loop_turn(t->loop, BP_NEVER);
	loop_exit(t->loop);
	give_way(sim, THREAD_OVER);
}

/** Switches to a simulated thread until it gives way. */
static void run_thread(struct sim *sim, struct sim_thread *t)
{
	struct bp_loop *outer = bp_this_loop;
	struct cxx_state exceptions = cxx_take();

	sim->current = t;
	bp_this_loop = t->this_loop;
	context_note_modes(&sim->hub);
	context_enter(&sim->hub, &t->ctx);
	bp_this_loop = outer;
	sim->current = NULL;
	cxx_give(exceptions);
	sim_step(sim);
}

static bool is_runnable(const struct sim *sim, const struct sim_thread *t)
{
	const struct sim_loop *sl = t->loop->backend_data;

	if (t->state != THREAD_WAITING)
		return t->state == THREAD_RUNNABLE;
	return sl->woken || !list_empty(&sl->ready) || t->until <= sim->clock;
}

/** Lets one of the runnable threads go on. Return: false when there is none. */
static bool run_one(struct sim *sim)
{
	unsigned int n = sim->engine->nloops, count = 0, before = 0, pick;

	for (unsigned int i = 0; i < n; i++) {
		count += is_runnable(sim, &sim->threads[i]);
		before = i == sim->turn ? count : before;
	}
	if (!count)
		return false;
	/* In plain order the next one after that which went on last. */
	pick = (unsigned int)sim_choose(sim, "loop that goes on", count, before % count);
	for (unsigned int i = 0; i < n; i++) {
		if (!is_runnable(sim, &sim->threads[i]) || pick--)
			continue;
		sim->turn = i;
		sim_note(sim, 4, i, "loop %u goes on", i);
		run_thread(sim, &sim->threads[i]);
		break;
	}
	return true;
}

void sim_thread_wait(struct sim *sim, struct sim_loop *sl, uint64_t until)
{
	(void)sl;
	if (until == 0) {
		/* One that never waits must not keep the others from going on for ever. */
		if (sim_choose(sim, "loop gives way", 2, 1))
			give_way(sim, THREAD_RUNNABLE);
		return;
	}
	sim->current->until = until;
	give_way(sim, THREAD_WAITING);
}

void sim_preempt(struct bp_engine *engine)
{
	struct sim *sim = engine->backend_data;
	bool here = !sim->current, now;
	uint64_t turns;

	if (!sim->odds.preempt || sim->still)
		return;
	/* Drawn where it is not used too: see sim_kept. */
	now = sim_mishap(sim, SIM_PREEMPT);
	turns = here ? 1 + sim_choose(sim, "turns less one", 4, 0) : 0;
	if (now && !here)
		give_way(sim, THREAD_RUNNABLE);
	while (now && turns-- && run_one(sim))
		;
}

/** All threads wait and nothing is due: should they? Return: whether they got help. */
static bool check_asleep(struct bp_engine *engine)
{
	struct sim *sim = engine->backend_data;
	size_t in_flight = 0;

	for (unsigned int i = 0; i < engine->nloops; i++) {
		struct bp_loop *loop = engine->loops[i];

		if (atomic_load(&loop->inbox))
			bp_fatal("sim: lost wake-up: loop %u sleeps with a message", i);
		if (loop_has_ready(loop))
			bp_fatal("sim: lost wake-up: loop %u sleeps while items are ready", i);
		if (!list_empty(&loop->runnable) || !list_empty(&loop->finished))
			bp_fatal("sim: lost wake-up: loop %u sleeps with a runnable task", i);
		if (!list_empty(&loop->backlog) && loop_in_flight(loop) < loop->depth)
			bp_fatal("sim: loop %u sleeps with room for its backlog", i);
		if (!list_empty(&loop->cancels))
			bp_fatal("sim: loop %u sleeps with a cancel to be sent", i);
		in_flight += loop_in_flight(loop) + loop_patient(loop);
	}
	if (engine->hooks->overlooked(engine))
		bp_fatal("sim: lost wake-up: a bp_go() waits while the queues have room");
	if (in_flight && sim->stuck && sim->stuck(sim->arg))
		return true;
	if (in_flight)
		bp_deadlock("sim: everything waits for ever: %zu operation(s) in flight",
			    in_flight);
	return false;
}

/** When the first of the waiting threads wants to go on. */
static uint64_t first_until(const struct sim *sim)
{
	uint64_t first = BP_NEVER;

	for (unsigned int i = 0; i < sim->engine->nloops; i++)
		if (sim->threads[i].state == THREAD_WAITING && sim->threads[i].until < first)
			first = sim->threads[i].until;
	return first;
}

/** A poll takes its time too, or who polls would keep the clock from ever moving. */
static void poll_takes_time(struct sim *sim)
{
	sim_pass(sim,
		 1 + sim_choose(sim, "poll takes ns", sim->odds.turn_ns, sim->odds.turn_ns / 2));
	if (!run_one(sim) && sim_choose(sim, "clock jumps", 2, 1))
		sim_jump(sim, first_until(sim));
}

bool sim_threads_drive(struct bp_engine *engine, uint64_t until)
{
	struct sim *sim = engine->backend_data;

	if (until <= sim->clock) {
		poll_takes_time(sim);
		return true;
	}
	while (!run_one(sim)) {
		uint64_t first = first_until(sim);

		if (!sim_jump(sim, first < until ? first : until)) {
			return check_asleep(engine);
		}
		if (sim->clock >= until)
			break;
	}
	return true;
}

void sim_threads_settle(struct bp_engine *engine)
{
	struct sim *sim = engine->backend_data;

	while (run_one(sim) || sim_jump(sim, first_until(sim)))
		;
}

int sim_threads_start(struct bp_engine *engine)
{
	struct sim *sim = engine->backend_data;
	int err = 0;

	stack_pool_init(&sim->stacks, THREAD_STACK);
	context_init_self(&sim->hub);
	sim->threads = calloc(engine->nloops, sizeof(*sim->threads));
	if (!sim->threads)
		return -ENOMEM;
	for (unsigned int i = 0; i < engine->nloops; i++) {
		sim->threads[i].engine = engine;
		sim->threads[i].loop = engine->loops[i];
		sim->threads[i].state = THREAD_OVER;
	}
	for (unsigned int i = 0; i < engine->nloops && !err; i++) {
		struct sim_thread *t = &sim->threads[i];

		t->stack = stack_get(&sim->stacks);
		if (!t->stack) {
			err = -ENOMEM;
			break;
		}
		context_init(&t->ctx, t->stack, thread_entry, t, &sim->hub);
		run_thread(sim, t);
		err = t->err;
	}
	if (err)
		sim_threads_stop(engine);
	return err;
}

void sim_threads_stop(struct bp_engine *engine)
{
	struct sim *sim = engine->backend_data;

	atomic_store(&engine->stopping, true);
	for (unsigned int i = 0; i < engine->nloops; i++) {
		struct sim_thread *t = &sim->threads[i];

		while (t->state != THREAD_OVER)
			run_thread(sim, t);
		if (t->stack)
			stack_put(&sim->stacks, t->stack);
	}
	stack_pool_exit(&sim->stacks);
	free(sim->threads);
	sim->threads = NULL;
}
