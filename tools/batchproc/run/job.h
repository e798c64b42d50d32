/* SPDX-License-Identifier: MIT */
/*
 * job: one run of a verb over many items, on one engine, under the policy of the options.
 *
 *	feed (main thread) --> item_new() --> item_submit() --> task: work, retries --> item_finish()
 *	     walk (tasks) ---^                     '--> rejected, not started, skipped --^
 *
 * Every input becomes exactly one item, and item_finish() is called exactly once for it: there it
 * is counted, its record is written, and the policy decides whether the run goes on.
 *
 * Threads. The feed runs in the main thread, outside the engine; work runs in tasks on the loops;
 * a thread waits for signals; the writer thread of output.c writes and shows progress.
 */
#ifndef BATCHPROC_JOB_H
#define BATCHPROC_JOB_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "batchproc.h"
#include "cli/inputs.h"
#include "cli/options.h"
#include "run/queue.h"
#include "run/item.h"
#include "run/order.h"
#include "run/pace.h"
#include "run/progress.h"

struct copy_run;
struct dirnode;
struct fetch_run;
struct journal;
struct net;
struct output;
struct own_files;
struct probe_run;
struct walk;

/* Why a run stopped before its end; the first reason stays. */
enum stop {
	STOP_NONE,
	STOP_SIGNAL,
	STOP_HALT, /* --halt and its relatives */
	STOP_REACHED, /* the successes asked for are there */
	STOP_DEADLINE,
	STOP_TROUBLE, /* output cannot be written, no memory */
};

/*
 * What stands above a run and takes part in it: its journal, if it has one. A verb names
 * journal.c's. Of the first three each says whether the run goes on; if not, *@status is its exit
 * status and all is said. What they promise stands in journal.h.
 */
struct journal_hooks {
	bool (*open)(struct job *job, int *status);
	bool (*begin)(const struct job *job, int *status);
	void (*ended)(const struct job *job);
	void (*close)(struct job *job);
	bool (*skips)(struct item *item);
	void (*add)(const struct item *item, struct buf *buf);
};

/* Likewise the walk of its trees, which is walk.c's. */
struct walk_hooks {
	/* Sets job->walk. 0 or -errno. */
	int (*create)(struct job *job);
	/* Waits for the end of all trees. Main thread. */
	void (*wait)(struct walk *walk);
	/* Ends the walkers; wakes a main thread that waits. Any thread. */
	void (*cancel)(struct walk *walk);
	void (*wake)(struct walk *walk);
	/*
	 * A walker that stood among the items, with the walk as its argument, will not be started.
	 */
	void (*never_started)(struct walk *walk);
	void (*destroy)(struct walk *walk);
	/*
	 * Writes the records of directories that nobody will read to their end. Before the program
	 * ends.
	 */
	void (*give_up)(struct walk *walk);
	void (*write_off_above)(struct walk *walk, struct dirnode *dir);

	/* The directory that an item was found in: its path with a slash, and its descriptor. */
	void (*add_path)(const struct dirnode *dir, struct buf *buf);
	int (*descriptor)(const struct dirnode *dir);
	/*
	 * An item that was found in @dir, or whose directory itself is @self, has ended, well or
	 * not. Any thread, and after the last look at the item.
	 */
	void (*item_ended)(struct dirnode *dir, struct dirnode *self, bool well);
};

/* What a run is as a whole. */
struct job_ops {
	const struct walk_hooks *walk; /* NULL: there are no trees */
	const struct journal_hooks *journal;
	bool mixes; /* there may be items of every verb */
	bool expands; /* an argument may be many items without it */
	bool one_by_one; /* nothing begins before what was found before it has ended: it asks */
	bool one_each; /* each input is one item, so that their number can be known early */
	bool quiet_is_own; /* -q is not about messages on standard error */
	bool finds_limit; /* -j auto is found while it runs: what items wait for is not of this machine */

	/* An item as a line that the command takes back, where that is not its verb's. */
	void (*again)(const struct item *item, struct buf *buf);
	/* Gives the items, in the main thread. */
	void (*feed)(struct job *job);
	/* More items, when all that was fed has ended; may be NULL. Main thread. */
	void (*then)(struct job *job);
	/* After the last item: messages, and whether the verb itself found something wrong. */
	bool (*finish)(struct job *job);
};

struct counts {
	uint64_t of[STATUS_COUNT];
	uint64_t ended;
	uint64_t bytes;
	uint64_t skipped_named; /* skipped, although the user asked for it by name */
	uint64_t restored; /* skipped, because the journal has it as done */
};

struct job {
	const struct options *opt;
	const struct job_ops *ops;
	struct item_class class; /* of the verb that was called */
	struct inputs *inputs;
	struct lines_watch watch; /* over the reading of lists */
	struct output *output;
	struct own_files *own; /* what it writes besides */
	struct journal *journal; /* NULL: none */
	size_t priv_size; /* the most that any of its items needs */
	unsigned int descriptors; /* likewise */
	struct bp_engine *engine;
	struct bp_group *group; /* of the items */
	struct walk *walk; /* NULL for a verb that does not walk */
	struct copy_run *copy; /* what copy keeps for the run; NULL: nothing yet */
	struct fetch_run *fetch; /* likewise */
	struct probe_run *probe;
	struct net *net; /* of all that use the network */
	unsigned int loops;
	unsigned int walkers; /* at most */
	unsigned int idle_dirs; /* directories that may stay open without need */
	long limit; /* items in flight; -j after what descriptors allow */
	bool finds_limit; /* that is the most, and BP_LIMIT_AUTO chooses */
	uint64_t start_ns;
	uint64_t deadline_ns; /* 0: none */
	uint64_t real_offset_ns; /* from the engine's clock to the time of day */
	bool wants_messages; /* failures as lines on standard error */
	pthread_t main_thread;
	struct bucket item_bucket; /* --rate */
	struct bucket byte_bucket; /* --bwlimit */
	struct progress progress;
	struct queue queue;

	atomic_int stop; /* enum stop */
	_Atomic uint64_t cancelled_ns; /* when what runs was cancelled; 0: not */
	long started_at_once; /* by the main thread, since it last had to wait; as the next, its own */
	long bulk_nap_ns; /* how long it lets places become free then */
	atomic_bool fed; /* the main thread waits for the last items */
	atomic_bool ending; /* somebody sees to the end of the run */
	atomic_int signal; /* the first one that came, 0 for none */
	atomic_uint signals; /* how many */
	atomic_uint starved; /* items that wait for a descriptor */
	_Atomic uint64_t moved; /* bytes, while items run, for the progress display */
	_Atomic uint64_t excluded; /* by filters of walks */
	atomic_bool trouble; /* the program itself could not go on */
	int stop_fd; /* readable once the run stops ... */
	int stop_end; /* ... which is brought about here */
	bool empty_is_fine; /* something was given, though no item came of it */

	struct {
		pthread_mutex_t lock;
		uint64_t count; /* of items that have their record, and have not ended */
		long limit; /* that was found before there were any; 0: there are none */
		uint64_t ended, still_ns; /* what was counted when last looked at, and since when */
	} overdue; /* see overdue.c */

	pthread_mutex_t lock; /* covers what follows */
	struct counts counts;
	struct policy_view view;
	uint64_t next_seq;
	uint64_t other_shards; /* items of other parts of --shard */
	struct item *free;
	struct item_slab *slabs;
	struct order order;
};

/* Ends the program as the run would end it, without those that cannot end. Not the main thread. */
void job_end_at_once(struct job *job);

/* Walkers of a walk where descriptors are plenty. */
#define WALKERS_MOST 16

/* Runs a verb; returns the exit status, or ends by the signal that ended the run. */
int job_run(const struct options *options, const struct job_ops *ops, struct inputs *inputs);

#endif
