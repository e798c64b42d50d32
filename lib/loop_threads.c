/* SPDX-License-Identifier: MIT */
/*
 * The loops of an engine, made and ended: a thread for each, or none where the caller drives the one or the
 * backend plays them. Each ring is made and taken down by its loop's own thread.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "loop.h"

struct loop_start {
	struct bp_engine *engine;
	unsigned int index;
	int err;
	bool done;
	pthread_cond_t *cond;
};

static void *loop_thread(void *arg)
{
	struct loop_start *start = arg;
	struct bp_engine *engine = start->engine;
	struct bp_loop *loop = engine->loops[start->index];
	int err = loop_init(loop, engine, start->index);

	bp_this_loop = loop;
	engine_lock(engine);
	start->err = err;
	start->done = true;
	pthread_cond_signal(start->cond);
	engine_unlock(engine);
	if (err)
		return NULL;
	while (!atomic_load(&engine->stopping))
		loop_turn(loop, BP_NEVER);
	/* Not before stop_threads() has done with this loop's wake-up. */
	engine_lock(engine);
	engine_unlock(engine);
	loop_exit(loop);
	return NULL;
}

/** Starts one loop's thread and waits until its ring stands. */
static int start_thread(struct bp_engine *engine, unsigned int index)
{
	pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
	struct loop_start start = {.engine = engine, .index = index, .cond = &cond};
	sigset_t old;
	int err;

	/* The program's signal handlers run in the program's own threads. */
	signals_keep_out(&old);
	err = pthread_create(&engine->threads[index], NULL, loop_thread, &start);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err) {
		snprintf(engine->reason, sizeof(engine->reason),
			 "a thread cannot be made here (clone3()): %s", strerror(err));
		return -EAGAIN;
	}
	engine_lock(engine);
	while (!start.done)
		engine_cond_wait(engine, &cond, BP_NEVER);
	engine_unlock(engine);
	pthread_cond_destroy(&cond);
	if (start.err) {
		pthread_join(engine->threads[index], NULL);
		return start.err;
	}
	engine->nthreads++;
	return 0;
}

static void stop_threads(struct bp_engine *engine)
{
	unsigned int i;

	engine_lock(engine);
	atomic_store(&engine->stopping, true);
	for (i = 0; i < engine->nthreads; i++) {
		/* Not loop_wake(): a loop on its way to sleep must find the wake-up too. */
		atomic_store(&engine->loops[i]->sleeping, false);
		engine->backend->wake(engine->loops[i]);
	}
	engine_unlock(engine);
	for (i = 0; i < engine->nthreads; i++)
		pthread_join(engine->threads[i], NULL);
}

int loops_start(struct bp_engine *engine)
{
	unsigned int i;
	int err = 0;

	if (engine->driven)
		return loop_init(engine->loops[0], engine, 0);
	if (!engine->threaded) {
		err = engine->backend->start(engine);
		engine->preempt = err ? NULL : engine->backend->preempt;
		engine->locks = engine->preempt;
		return err;
	}
	for (i = 0; i < engine->nloops && !err; i++)
		err = start_thread(engine, i);
	if (err)
		stop_threads(engine);
	return err;
}

void loops_stop(struct bp_engine *engine)
{
	if (engine->driven) {
		loop_exit(engine->loops[0]);
	} else if (engine->threaded) {
		stop_threads(engine);
	} else {
		engine->preempt = NULL;
		engine->locks = false;
		engine->backend->stop(engine);
	}
}
