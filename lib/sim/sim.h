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

/* Misfortunes, in the order of struct sim_odds. */
enum sim_mishap {
	SIM_ERROR,
	SIM_AGAIN,
	SIM_SHORTER,
	SIM_FULL,
	SIM_LATE,
	SIM_HOLD,
	SIM_PREEMPT,
	SIM_WAKE,
	SIM_REORDER,
	SIM_MISHAPS,
};

/* What a seed draws first: how hostile the run is. Chances are of 1000. */
struct sim_odds {
	union {
		struct {
			unsigned int error; /* an operation fails without being carried out */
			unsigned int again; /* -EINTR, and -EAGAIN where the kernel may say it */
			unsigned int shorter; /* a read or write moves fewer bytes than it could */
			unsigned int full; /* submit() or cancel(): no room until the next reap() */
			unsigned int late; /* a cancel does not reach its target */
			unsigned int hold; /* completions that are there are seen a turn later */
			unsigned int preempt; /* a simulated thread is interrupted at the lock */
			unsigned int wake; /* a wait ends for no reason */
			unsigned int reorder; /* an operation takes another time than the average */
		};
		unsigned int of[SIM_MISHAPS];
	};
	uint64_t latency_ns; /* of an operation, on the average; 0: done at once */
	uint64_t turn_ns; /* of a turn of a loop, at most */
};

/*
 * Which decisions the seed takes; all others go the plain way: no misfortune, the average time, loops in
 * turn. Decisions are known by their number in the run, and each uses up one random number. So what may be taken
 * away, a misfortune above all, draws as many when it does not strike: what comes later is the same then.
 */
struct sim_kept {
	const unsigned char *bits; /* of decisions below @count */
	uint64_t count;
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
	uint64_t decisions; /* taken so far */
	unsigned int about; /* the request that one is about, or 0 */
	const struct sim_kept *kept; /* NULL: the seed takes them all */
	unsigned int off; /* bits: misfortunes that do not strike, though they are drawn */
	uint64_t struck[SIM_MISHAPS];
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
	unsigned int turn; /* the loop that went on last */
	bool still; /* no other one may go on at the lock */
	struct stack_pool stacks;

	/*
	 * For tests: told of each event; asked for help when everything waits for ever; called where other
	 * items or loops may go on; told of each decision that is not the plain one.
	 */
	void (*trace)(void *arg, const char *line);
	bool (*stuck)(void *arg);
	void (*step)(void *arg);
	void (*decided)(void *arg, uint64_t number, const char *what, uint64_t value,
			uint64_t plain);
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

/** A decision: a number below @n, or @plain where the seed does not take it. @what it is about. */
uint64_t sim_choose(struct sim *sim, const char *what, uint64_t n, uint64_t plain);

/** A decision between what may happen, so often of 1000, and nothing. */
bool sim_chance(struct sim *sim, const char *what, unsigned int of_1000);

/** Whether a misfortune strikes. */
bool sim_mishap(struct sim *sim, enum sim_mishap kind);
extern const char *const sim_mishap_names[SIM_MISHAPS];

static inline void sim_step(struct sim *sim)
{
	if (sim->step)
		sim->step(sim->arg);
}

#define SIM_COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define SIM_PICK(sim, what, table) ((table)[sim_choose(sim, what, SIM_COUNT(table), 0)])

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
