/* SPDX-License-Identifier: MIT */
/*
 * Between tasks: mutexes, semaphores, events. Channels are in channel.c.
 *
 * All of it stands under the engine's lock, and all waits are those of wait.h: in the order of their
 * coming, with what becomes free handed to the first in line before anybody else can see it.
 */
#include "sync.h"

/* ---------------------------------------------------------------- mutex */

struct mutex_waiter {
	struct waiter w;
	const void *self;
};

/** Who calls: a task, or else a thread, of which the address of a variable of its own stands. */
static const void *caller(const struct bp_engine *engine)
{
	if (call_context(engine) == CONTEXT_TASK)
		return task_current();
	return &bp_this_loop;
}

static void own(struct bp_mutex *mutex, const void *self, const struct bp_task *task)
{
	mutex->owner_ = self;
	mutex->task_ = task != NULL;
}

/* How far mutexes are followed in search of a circle. */
#define CIRCLE_MAX 1000

/** Whether the owner waits, through others, for what @self holds. Under the lock. */
static bool circle(const struct bp_mutex *mutex, const void *self)
{
	for (unsigned int i = 0; mutex && mutex->task_ && i < CIRCLE_MAX; i++) {
		const struct bp_task *owner = mutex->owner_;

		if (owner == self)
			return true;
		mutex = owner->wants;
	}
	return false;
}

static int wait_for_mutex(struct bp_mutex *mutex, const void *self)
{
	struct mutex_waiter waiter = {
		.w = {.engine = mutex->engine_, .what = "a mutex"},
		.self = self,
	};
	struct bp_task *task = call_context(mutex->engine_) == CONTEXT_TASK ? task_current() : NULL;
	int err;

	if (task)
		task->wants = mutex;
	err = wait_in_line(&waiter.w, sync_queue(&mutex->waiters_), BP_NEVER);
	if (task)
		task->wants = NULL;
	return err;
}

void bp_mutex_init(struct bp_mutex *mutex, struct bp_engine *engine)
{
	bp_need(mutex, __func__, "mutex");
	bp_need(engine, __func__, "engine");
	*mutex = (struct bp_mutex)BP_MUTEX_INIT(engine);
}

static int mutex_lock(struct bp_mutex *mutex, bool try, const char *call)
{
	struct bp_engine *engine;
	const void *self;
	int err = 0;

	bp_need(mutex, call, "mutex");
	engine = sync_enter(mutex->engine_, call);
	self = caller(engine);
	if (!try)
		err = wait_reason(engine);
	if (!err && mutex->owner_ && try)
		err = -EAGAIN;
	else if (!err && mutex->owner_ && (mutex->owner_ == self || circle(mutex, self)))
		err = -EDEADLK;
	else if (!err && mutex->owner_)
		err = wait_for_mutex(mutex, self);
	else if (!err)
		own(mutex, self, self == &bp_this_loop ? NULL : self);
	if (!err && mutex->task_) {
		task_current()->mutexes++;
		task_current()->owes = true;
	}
	engine_unlock(engine);
	return err;
}

int bp_mutex_lock(struct bp_mutex *mutex)
{
	return mutex_lock(mutex, false, __func__);
}

int bp_mutex_trylock(struct bp_mutex *mutex)
{
	return mutex_lock(mutex, true, __func__);
}

void bp_mutex_unlock(struct bp_mutex *mutex)
{
	struct bp_engine *engine;
	struct mutex_waiter *next;
	struct bp_link_ *queue;

	bp_need(mutex, __func__, "mutex");
	engine = sync_enter(mutex->engine_, __func__);
	if (mutex->owner_ != caller(engine))
		bp_fatal("%s: called by somebody who does not hold the mutex", __func__);
	if (mutex->task_)
		task_current()->mutexes--;
	queue = sync_queue(&mutex->waiters_);
	if (list_empty(queue)) {
		own(mutex, NULL, NULL);
	} else {
		next = container_of(waiter_of_link(queue->next), struct mutex_waiter, w);
		own(mutex, next->self, next->w.task);
		if (next->w.task)
			next->w.task->wants = NULL;
		wait_wake(&next->w, 0);
	}
	engine_unlock(engine);
}

/* ---------------------------------------------------------------- semaphore */

struct semaphore_waiter {
	struct waiter w;
	uint64_t n;
};

/** Serves those in line, as far as there is enough for the first. Under the lock. */
static void serve(struct bp_semaphore *semaphore)
{
	struct bp_link_ *queue = sync_queue(&semaphore->waiters_);

	while (!list_empty(queue)) {
		struct semaphore_waiter *first =
			container_of(waiter_of_link(queue->next), struct semaphore_waiter, w);

		if (first->n > semaphore->free_)
			return;
		semaphore->free_ -= first->n;
		wait_wake(&first->w, 0);
	}
}

void bp_semaphore_init(struct bp_semaphore *semaphore, struct bp_engine *engine, uint64_t n)
{
	bp_need(semaphore, __func__, "semaphore");
	bp_need(engine, __func__, "engine");
	*semaphore = (struct bp_semaphore)BP_SEMAPHORE_INIT(engine, n);
}

static int acquire(struct bp_semaphore *semaphore, uint64_t n, bool try, uint64_t until,
		   const char *call)
{
	struct semaphore_waiter waiter = {.w.what = "a semaphore", .n = n};
	struct bp_engine *engine;
	struct bp_link_ *queue;
	int err = 0;

	bp_need(semaphore, call, "semaphore");
	engine = sync_enter(semaphore->engine_, call);
	queue = sync_queue(&semaphore->waiters_);
	if (!try)
		err = wait_reason(engine);
	if (!err && list_empty(queue) && semaphore->free_ >= n) {
		semaphore->free_ -= n;
	} else if (!err && try) {
		err = -EAGAIN;
	} else if (!err) {
		waiter.w.engine = engine;
		err = wait_in_line(&waiter.w, queue, until);
		/* There may be enough for those who stood behind. */
		if (err)
			serve(semaphore);
	}
	engine_unlock(engine);
	return err;
}

int bp_semaphore_acquire(struct bp_semaphore *semaphore, uint64_t n)
{
	return acquire(semaphore, n, false, BP_NEVER, __func__);
}

int bp_semaphore_acquire_until(struct bp_semaphore *semaphore, uint64_t n, uint64_t deadline_ns)
{
	return acquire(semaphore, n, false, deadline_ns, __func__);
}

int bp_semaphore_try_acquire(struct bp_semaphore *semaphore, uint64_t n)
{
	return acquire(semaphore, n, true, 0, __func__);
}

void bp_semaphore_release(struct bp_semaphore *semaphore, uint64_t n)
{
	struct bp_engine *engine;

	bp_need(semaphore, __func__, "semaphore");
	engine = sync_enter(semaphore->engine_, __func__);
	if (n > UINT64_MAX - semaphore->free_)
		bp_fatal("%s: more is given back than can be counted", __func__);
	semaphore->free_ += n;
	serve(semaphore);
	engine_unlock(engine);
}

/* ---------------------------------------------------------------- event */

void bp_event_init(struct bp_event *event, struct bp_engine *engine)
{
	bp_need(event, __func__, "event");
	bp_need(engine, __func__, "engine");
	*event = (struct bp_event)BP_EVENT_INIT(engine);
}

static struct bp_engine *event_enter(struct bp_event *event, const char *call)
{
	bp_need(event, call, "event");
	return sync_enter(event->engine_, call);
}

void bp_event_set(struct bp_event *event)
{
	struct bp_engine *engine = event_enter(event, __func__);

	event->set_ = true;
	sync_wake_all(&event->waiters_, 0);
	engine_unlock(engine);
}

void bp_event_reset(struct bp_event *event)
{
	struct bp_engine *engine = event_enter(event, __func__);

	event->set_ = false;
	engine_unlock(engine);
}

bool bp_event_is_set(struct bp_event *event)
{
	struct bp_engine *engine = event_enter(event, __func__);
	bool set = event->set_;

	engine_unlock(engine);
	return set;
}

static int event_wait(struct bp_event *event, uint64_t until, const char *call)
{
	struct bp_engine *engine = event_enter(event, call);
	struct waiter waiter = {.engine = engine, .what = "an event"};
	int err = wait_reason(engine);

	if (!err && !event->set_)
		err = wait_in_line(&waiter, sync_queue(&event->waiters_), until);
	engine_unlock(engine);
	return err;
}

int bp_event_wait(struct bp_event *event)
{
	return event_wait(event, BP_NEVER, __func__);
}

int bp_event_wait_until(struct bp_event *event, uint64_t deadline_ns)
{
	return event_wait(event, deadline_ns, __func__);
}
