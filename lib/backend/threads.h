/* SPDX-License-Identifier: MIT */
/*
 * The threads backend: operations carried out with ordinary calls, where io_uring is blocked.
 *
 * What the calls are and which of them can wait stands in exec.h. What happens around them is in
 * two files: threads.c has the requests and their ways, threads_epoll.c the descriptors that are
 * waited for. Each loop has an epoll instance for all that waits for readiness, so that waiting
 * takes no thread, and an eventfd in it that ends its sleep. Files go to the engine's helper
 * threads.
 *
 *	submit() --> QUEUED --+--> WAITING ---------------+   in epoll; then tried again
 *	                      +--> ASLEEP ----------------+   among the loop's timers; likewise
 *	                      +--> STAGED --> POOLED -----+   for, and with, a helper thread
 *	                      |                           |
 *	                      +--> DONE <-----------------+   until reap() hands it over
 *
 * As many requests as depth says are allocated when the loop is made, and more when more of them
 * wait for a peer. Everything belongs to the loop's thread, but for a request that is POOLED and
 * not taken back: its struct exec is the helper's until the loop has the message that it is over.
 */
#ifndef BP_THREADS_H
#define BP_THREADS_H

#include <sys/epoll.h>

#include "backend/exec.h"
#include "backend/wake.h"
#include "pool.h"

#define THREADS_EVENTS 256

/* Descriptors whose struct watched is allocated together. */
#define THREADS_CHUNK 256

#define THREADS_WAITS 256

#define THREADS_WAKE_DATA UINT64_MAX

enum request_state {
	REQ_FREE,
	REQ_QUEUED,
	REQ_WAITING,
	REQ_ASLEEP,
	REQ_STAGED,
	REQ_POOLED,
	REQ_DONE,
	REQ_LAST, /* one CQE of two has been handed over */
};

struct request {
	struct bp_link_ link; /* in the queue of its state */
	struct bp_link_ answer_link;
	struct bp_op *op;
	uint64_t extra; /* what op->extra_ is when it does not name this */
	enum request_state state;
	bool armed; /* epoll has looked after it since it waits */
	bool cancelled; /* while a helper was at it */
	int answer; /* to its cancel */
	unsigned int asked; /* close: the loop that is to end its waits on the descriptor */
	enum exec_verdict verdict; /* of the helper */
	struct bp_timer_ timer;
	struct pool_job job;
	struct exec x;
};

#define THREADS_MORE 256

/* Requests beyond the depth: those that wait for a peer take none of it. */
struct request_slab {
	struct request_slab *next;
	struct request requests[THREADS_MORE];
};

/* What is known of a descriptor. */
struct watched {
	struct bp_link_ waiters;
	struct bp_link_ dirty; /* epoll has to be told of new waiters */
	unsigned char futile;
	unsigned int armed; /* events that epoll will tell of, once */
	bool registered; /* epoll knew it the last time; it may have been closed since */
	bool plain; /* struct exec.plain; likewise */
};

struct threads {
	int epoll_fd;
	struct wake wake;
	bool no_wait; /* epoll_wait() is forbidden, and epoll_pwait() is not */
	bool outer; /* the epoll instance is polled: wake-ups have to be taken out at all times */
	bool no_pwait2; /* epoll_pwait2() is missing: kernels before 5.11, older seccomp profiles */
	unsigned int fresh; /* requests from here on were never used */
	unsigned int waiting;
	struct request_slab *more;
	struct bp_link_ free, queued, done, answers;
	struct bp_link_ jobs; /* for the pool, handed over together */
	struct bp_link_ dirty;
	struct watched **chunks;
	unsigned int nchunks;
	/* Waits by the descriptor's low bits; other loops look here before they close one. */
	_Atomic unsigned int waits[THREADS_WAITS];
	struct epoll_event events[THREADS_EVENTS];
	struct request requests[];
};

/** Sends a request where it has to go next. */
void threads_settle(struct bp_loop *loop, struct request *r, enum exec_verdict verdict);

/** Ends a request, which is in no queue. */
void threads_finish(struct threads *t, struct request *r, int res);

/** Has a request, which is in no queue, tried again at a time. */
void threads_sleep(struct bp_loop *loop, struct request *r, uint64_t when);

/* ---------------------------------------------------------------- threads_epoll.c */

/**
 * Makes the epoll instance that watches the wake-ups. Return: 0 or -errno with nothing left behind.
 */
int threads_epoll_init(struct bp_engine *engine, struct threads *t);

/** What is known of @fd, or NULL when nothing is and there is no memory to change that. */
struct watched *threads_watched(struct threads *t, int fd);

/** The same where it must not cost memory. */
static inline struct watched *threads_peek(const struct threads *t, int fd)
{
	unsigned int chunk = (unsigned int)fd / THREADS_CHUNK;

	if (fd < 0 || chunk >= t->nchunks || !t->chunks[chunk])
		return NULL;
	return &t->chunks[chunk][fd % THREADS_CHUNK];
}

/** Has a request wait for its descriptor; epoll is told of it later, by threads_arm(). */
void threads_wait(struct threads *t, struct request *r);

/** Whether a loop may have somebody who waits for @fd. Any loop's thread. */
static inline bool threads_may_wait(struct threads *t, int fd)
{
	return atomic_load_explicit(&t->waits[(unsigned int)fd % THREADS_WAITS],
				    memory_order_relaxed);
}

/** Takes a request out that waits. */
void threads_stop_waiting(struct threads *t, struct request *r);

/** Lets epoll watch for all that came with threads_wait(). */
void threads_arm(struct bp_loop *loop);

/** A descriptor is about to be closed: ends those who wait for it, and forgets it. */
void threads_before_close(struct threads *t, int fd);

/** Waits in epoll until @until, 0 or BP_NEVER at most, and lets those who can go on do so. */
void threads_run_events(struct bp_loop *loop, uint64_t until);

#endif /* BP_THREADS_H */
