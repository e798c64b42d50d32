/* SPDX-License-Identifier: MIT */
/*
 * The simulated backend: one seed decides everything that a kernel and a scheduler would.
 *
 * Several files share this header. sim.c is the backend: queues and the virtual clock. ops.c is the
 * fate of operations and of their cancels. threads.c is the scheduler: with loops = N each loop
 * runs on a stack of its own, as a thread would, and may be interrupted wherever it takes or leaves
 * the engine's lock. model.c, files.c and streams.c are what the operations act upon: files and
 * sockets.
 *
 * Everything is touched by the thread that made the engine alone. Nothing here sleeps, enters the
 * kernel or reads its clock, and no decision depends on an address, so the same seed gives the same
 * run, event for event.
 */
#ifndef BP_SIM_H
#define BP_SIM_H

#include "pool.h"
#include "sim/model.h"

/* Where the virtual clock starts: 0 means "none" where a deadline is asked for. */
#define SIM_EPOCH NSEC_PER_SEC

/* What a seed draws first: how hostile the run is. Chances are of 1000. */
struct sim_odds {
	unsigned int error; /* an operation fails without being carried out */
	unsigned int again; /* -EINTR, and -EAGAIN where the kernel may say it */
	unsigned int shorter; /* a read or write moves fewer bytes than it could */
	unsigned int full; /* submit() or cancel() has no room until the next reap() */
	unsigned int late; /* a cancel does not reach its target */
	unsigned int hold; /* completions that are there are seen a turn later */
	unsigned int preempt; /* a simulated thread is interrupted at the lock */
	unsigned int wake; /* a wait ends for no reason */
	uint64_t latency_ns; /* of an operation, on the average; 0: done at once */
	uint64_t turn_ns; /* of a turn of a loop, at most */
};

enum sim_req_kind {
	SIM_OP,
	SIM_CANCEL, /* the cancel of an operation, and its answer */
	SIM_MORE, /* a completion that is not the operation's last */
	SIM_JOB, /* a function for bp_offload() */
};

/*
 * State of a request:
 *
 *	QUEUED --> ARMED <--> WORKER --> POSTED --> reaped
 *	   |         waits      is          is a completion
 *	   |         for its    being       (or will be, at its time)
 *	   |         file       done
 *	   +------------------------------> cancels
 */
enum sim_req_state {
	SIM_QUEUED, /* in the submission queue: the kernel has not seen it */
	SIM_ARMED,
	SIM_WORKER,
	SIM_POSTED,
};

struct sim_req {
	struct bp_link_ link; /* free, in the submission queue, armed, or ready */
	struct sim_req *hash_next;
	struct bp_timer_ timer; /* when its next step is due */
	struct sim_loop *loop;
	struct bp_op *op;
	enum sim_req_kind kind;
	enum sim_req_state state;
	bool interrupted; /* a cancel has signalled its worker */
	unsigned int id;
	int res;
	unsigned int flags;
	size_t most; /* bytes that it may move */
	struct pool_job *job;
	struct sim_desc *desc; /* the open file that it acts on, or NULL */
	struct io_uring_sqe sqe;
};

#define SIM_HASH 256

/* A loop as the backend sees it. */
struct sim_loop {
	struct sim *sim;
	struct bp_loop *loop;
	struct bp_link_ queue; /* the submission queue */
	struct bp_link_ ready; /* completions to be reaped */
	unsigned int queued;
	bool full; /* refused until the next reap() */
	bool woken;
	struct sim_req *by_op[SIM_HASH]; /* requests whose completion was not reaped */
};

struct sim_thread;

struct sim {
	struct bp_engine *engine;
	uint64_t random;
	uint64_t clock;
	uint64_t hash; /* of everything that has happened */
	uint64_t events; /* things that have happened */
	struct sim_odds odds;
	struct timer_heap due;
	struct bp_link_ free; /* requests */
	struct sim_slab *slabs;
	unsigned int ids;
	struct bp_link_ jobs; /* of bp_offload(), not begun */
	struct sim_model model;

	/* threads.c */
	struct bp_context hub; /* the engine's own thread */
	struct sim_thread *threads;
	struct sim_thread *current; /* the simulated thread that runs, or NULL: the engine's */
	struct stack_pool stacks;

	/* For tests: told of each event; asked for help when everything waits for ever. */
	void (*trace)(void *arg, const char *line);
	bool (*stuck)(void *arg);
	void *arg;
};

/** The simulation that an engine runs on, or NULL. */
static inline struct sim *sim_of(const struct bp_engine *engine)
{
	return engine->info.backend == BP_BACKEND_SIM ? engine->backend_data : NULL;
}

/**
 * Makes an idle engine as good as new, with another seed: no file but the root directory, no
 * descriptor, the clock at SIM_EPOCH. Tests play many seeds on one engine so.
 */
void sim_reset(struct bp_engine *engine, uint64_t seed);

/** A random number below @n, which must not be 0. */
uint64_t sim_random(struct sim *sim, uint64_t n);

static inline bool sim_chance(struct sim *sim, unsigned int of_1000)
{
	return of_1000 && sim_random(sim, 1000) < of_1000;
}

#define SIM_PICK(sim, table) ((table)[sim_random(sim, sizeof(table) / sizeof((table)[0]))])

/** How long an operation takes. */
uint64_t sim_latency(struct sim *sim);

/** Notes an event in the hash, and in the trace if there is one. */
__attribute__((format(printf, 4, 5))) void sim_note(struct sim *sim, uint64_t a, uint64_t b,
						    const char *fmt, ...);

/** Lets time pass by @ns, and what is due meanwhile happen. */
void sim_pass(struct sim *sim, uint64_t ns);

/** Moves the clock to the next thing that is due, @until at most. Return: false: never. */
bool sim_jump(struct sim *sim, uint64_t until);

/** The file has changed: requests that are armed on it may go on. For the model. */
void sim_file_changed(struct sim *sim, struct sim_file *file);

struct sim_req *sim_req_new(struct sim_loop *sl, struct bp_op *op, enum sim_req_kind kind);
struct sim_req *sim_req_find(struct sim_loop *sl, const struct bp_op *op, enum sim_req_kind kind);
struct sim_req *sim_req_of_timer(struct bp_timer_ *timer);

/** Lets @fire happen to the request in @ns. */
void sim_at(struct sim_req *req, uint64_t ns,
	    void (*fire)(struct bp_loop *loop, struct bp_timer_ *timer));

/* ops.c */

/** The kernel takes a request from the submission queue. */
void sim_issue(struct sim_req *req);

/* threads.c: start, stop, preempt and drive of the backend's table */
int sim_threads_start(struct bp_engine *engine);
void sim_threads_stop(struct bp_engine *engine);

/** Suspends the simulated thread until the loop has something to do, or until @until. */
void sim_thread_wait(struct sim *sim, struct sim_loop *sl, uint64_t until);

/** Another simulated thread, or the engine's own, may go on here. */
void sim_preempt(struct bp_engine *engine);

/** Lets one simulated thread go on. Return: false when none ever can. */
bool sim_threads_drive(struct bp_engine *engine, uint64_t until);

/** Lets all simulated threads go on until each waits with nothing to do. */
void sim_threads_settle(struct bp_engine *engine);

#endif /* BP_SIM_H */
