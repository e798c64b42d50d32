/* SPDX-License-Identifier: MIT */
/*
 * batchproc - structured groups of operations on io_uring
 *
 * Go's errgroup for Linux and C. A group runs many items under a limit, records the first cause
 * of failure, cancels every sibling with IORING_OP_ASYNC_CANCEL, and waits until all have ended.
 *
 *	engine		a set of loops and one backend; made once, torn down last
 *	loop		one thread that owns one ring
 *	operation	one io_uring SQE and its CQE
 *	task		a C function on a small stack of its own; it suspends at each operation
 *	item		what a group counts: a task, or an operation with callbacks and no stack
 *	group		admits items under a limit, records the cause, cancels, waits for all
 *
 * The shortest useful program:
 *
 *	static int one(void *path)
 *	{
 *		int fd = bp_openat(AT_FDCWD, path, O_RDONLY, 0);
 *		return fd < 0 ? fd : bp_close(fd);
 *	}
 *
 *	struct bp_engine *engine;
 *	struct bp_group *group;
 *	int err = bp_engine_create(&engine, NULL);
 *	if (err)
 *		return err;
 *	err = bp_group_create(&group, engine, &BP_GROUP_OPTS(.limit = 64));
 *	...
 *	for (int i = 0; i < n && !err; i++)
 *		err = bp_go(group, one, path[i]);
 *	if (err)
 *		bp_cancel(group, err);	// no memory, say
 *	err = bp_wait(group);		// the first failure, once every item has ended
 *	bp_group_destroy(group);
 *	bp_engine_destroy(engine);
 *
 * Conventions. Functions return 0, a count or a descriptor, or -errno. Times are nanoseconds in
 * uint64_t; points in time are on the engine's monotonic clock, bp_now(). Options structs start
 * with their size and are made by a macro that fills in the defaults; NULL means that macro with
 * nothing in it.
 *
 * NULL elsewhere. Without the function that it is to run, the operation, the bytes to copy or the
 * place for what it makes, a function returns -EINVAL. NULL for an engine, a group, a timeout scope
 * or the place for statistics ends the program with one line on stderr; only the two destroy
 * functions take it, and do nothing.
 *
 * Threads. "Caller-driven" is an engine with loops = 0: the thread that created it is its only
 * thread; its items make progress while that thread is in bp_go(), bp_wait() or another call that
 * waits, and nothing in it is atomic. "Threaded" is an engine with loops = N: N threads run the
 * items, and the group functions may be called by any thread. Each function says which contexts
 * may call it:
 *
 *	outside		a thread of the program, not on a loop
 *	task		inside a bp_task_fn
 *	callback	inside prep, done or report; these must not block, and leave the
 *			floating-point modes as they found them
 *
 * A call from a context that the function forbids ends the program with one line on stderr.
 *
 * Signals. The threads that the library makes leave every signal to the program's own, but for what
 * a thread brings upon itself (SIGSEGV and its like). Sends never raise SIGPIPE; a bp_write() to a
 * pipe or socket without a reader may, on a caller-driven engine, as write(2) does. A signal ends no
 * wait in here: its handler runs, and the wait goes on. So ^C ends the program, unless it has a handler,
 * which may bp_post() a function that calls bp_cancel(). Of this header bp_post() and bp_version() alone
 * may be called in a signal handler.
 *
 * fork(). A child may exec or exit; what it calls on its parent's engine ends it with one line. A
 * thread that waits in here cannot be cancelled with pthread_cancel() until it comes out again.
 * Neither longjmp() nor a C++ exception may leave a task or a callback, or cross a call that
 * suspends. A task may suspend inside a catch: its exceptions are its own.
 *
 * In the strict modes of a C compiler (-std=c11) liburing.h wants _GNU_SOURCE to be defined. struct
 * statx wants it in every mode, and struct open_how is in <linux/openat2.h>.
 */
#ifndef BATCHPROC_H
#define BATCHPROC_H

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#if !defined(__GLIBC__) && !defined(STATX_TYPE)
#include <linux/stat.h> /* struct statx, which musl has since 1.2.4 */
#endif

#include <liburing.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One place for the version: the Makefile and the command read it here. */
#define BP_VERSION_MAJOR 0
#define BP_VERSION_MINOR 2
#define BP_VERSION_PATCH 0
#define BP_VERSION_STRING "0.2.0"

struct bp_engine;
struct bp_group;
struct bp_loop;

/**
 * bp_version() - version of the library that is loaded, such as "0.2.0"
 *
 * Context: any.
 */
const char *bp_version(void);

/* ---------------------------------------------------------------- engine */

/**
 * enum bp_backend - what carries operations out
 * @BP_BACKEND_AUTO:	io_uring, or threads where it cannot be had, for whatever reason
 * @BP_BACKEND_URING:	io_uring, or an error
 * @BP_BACKEND_THREADS:	ordinary calls: epoll for what waits for readiness, a pool for files
 * @BP_BACKEND_SIM:	virtual time and a seeded schedule, for tests
 */
enum bp_backend {
	BP_BACKEND_AUTO,
	BP_BACKEND_URING,
	BP_BACKEND_THREADS,
	BP_BACKEND_SIM,
};

/**
 * struct bp_engine_opts - how to make an engine; use BP_ENGINE_OPTS()
 * @sz:		size of this struct as the caller knows it
 * @backend:	which backend; BP_BACKEND_AUTO by default
 * @loops:	loop threads, up to BP_LOOPS_MAX; 0 (the default): the calling thread drives the
 *		one loop itself
 * @depth:	operations in flight per loop, 1 to BP_DEPTH_MAX. 0 means BP_DEPTH_DEFAULT of those that
 *		end by themselves, and any number that wait for a peer: receive, accept, poll, timeout
 * @stack_size:	bytes of stack for a task, 16 KiB to 1 GiB, rounded up to pages; 0 means
 *		BP_STACK_DEFAULT
 * @seed:	what decides the schedule of BP_BACKEND_SIM
 * @offload:	functions of bp_offload() that run at a time, 1 to BP_OFFLOAD_MAX; 0 means
 *		BP_OFFLOAD_DEFAULT. Each takes a thread, made when it is needed; the rest waits
 */
struct bp_engine_opts {
	size_t sz;
	enum bp_backend backend;
	unsigned int loops;
	unsigned int depth;
	size_t stack_size;
	uint64_t seed;
	unsigned int offload;
};

#define BP_ENGINE_OPTS(...)                                                                        \
	((struct bp_engine_opts){.sz = sizeof(struct bp_engine_opts), ##__VA_ARGS__})

/**
 * bp_engine_opts_default() - what BP_ENGINE_OPTS() is with nothing in it, as a value, for C++
 *
 * Context: any.
 */
static inline struct bp_engine_opts bp_engine_opts_default(void)
{
	struct bp_engine_opts opts;

	memset(&opts, 0, sizeof(opts));
	opts.sz = sizeof(opts);
	return opts;
}

#define BP_DEPTH_DEFAULT 4096u
#define BP_DEPTH_MAX 65000u /* the kernel's largest completion queue is 65536 entries */
#define BP_STACK_DEFAULT 65536u
#define BP_LOOPS_MAX 256u
#define BP_OFFLOAD_DEFAULT 56u
#define BP_OFFLOAD_MAX 4096u

/**
 * struct bp_engine_info - what runs, why, and how much of it is alive
 * @backend:	the backend that runs, never BP_BACKEND_AUTO
 * @backend_name: its name: "uring", "threads" or "sim"
 * @reason:	one sentence: why this backend, and what was refused
 * @loops:	loops; 1 for a caller-driven engine
 * @threaded:	false when the caller's own thread drives the loop
 * @depth:	operations in flight per loop that the engine allows
 * @setup_flags: IORING_SETUP_* flags that the kernel accepted; 0 without a ring
 * @features:	IORING_FEAT_* bits of the kernel; 0 without a ring
 * @sq_entries:	entries of a loop's submission queue; 0 without a ring
 * @cq_entries:	entries of a loop's completion queue; 0 without a ring
 * @opcodes:	highest IORING_OP_* that the kernel knows; 0 without a ring
 * @stack_guard: how stacks are guarded: "madvise", "mprotect" or "canary"
 * @live_groups: groups that were created and not yet destroyed
 * @live_tasks:	tasks that started and have not ended
 * @in_flight:	operations handed to the backend that have not completed
 * @waiting:	items that were accepted and have not started
 * @stacks:	stacks mapped, in use or kept for reuse
 * @full:	as many operations are in flight as @depth allows, on all loops: bp_go() waits, bp_try_go()
 *		gives -EAGAIN, and further operations wait, until one ends
 * @patient:	of @in_flight, those that wait for a peer and take nothing of @depth
 */
struct bp_engine_info {
	enum bp_backend backend;
	const char *backend_name;
	const char *reason;
	unsigned int loops;
	bool threaded;
	unsigned int depth;
	unsigned int setup_flags;
	unsigned int features;
	unsigned int sq_entries;
	unsigned int cq_entries;
	unsigned int opcodes;
	const char *stack_guard;
	size_t live_groups;
	size_t live_tasks;
	size_t in_flight;
	size_t waiting;
	size_t stacks;
	bool full;
	size_t patient;
};

/**
 * bp_engine_create() - make an engine
 * @engine:	where to put it; set to NULL on error
 * @opts:	options, or NULL for the defaults
 *
 * Either the whole engine is made or nothing is left behind. With loops = 0 the calling thread
 * becomes the engine's only thread.
 *
 * Context: outside.
 * Return: 0, or
 *	-EINVAL		an option is out of range, or a field unknown to this version is set, or
 *			@engine is NULL
 *	-ENOTSUP	the backend asked for is not part of this build
 *	-EPERM		io_uring is forbidden here: kernel.io_uring_disabled, or a seccomp filter
 *			(a container's default profile)
 *	-ENOSYS		the kernel, or a seccomp filter, offers no io_uring
 *	-ENOMEM, -EMFILE, -ENFILE, -EAGAIN	no memory (or locked memory), descriptors or threads
 *	or what else a call that it needs was refused with; bp_engine_error() names it
 */
int bp_engine_create(struct bp_engine **engine, const struct bp_engine_opts *opts);

/**
 * bp_engine_error() - why the calling thread's last bp_engine_create() failed
 *
 * Return: a part of a sentence that names what was refused, valid until that thread's next
 * bp_engine_create(); "" where none has failed.
 *
 * Context: any.
 */
const char *bp_engine_error(void);

/**
 * bp_engine_destroy() - tear an engine down
 * @engine:	the engine, or NULL
 *
 * Every group must have been destroyed before; a live group is a clear abort.
 *
 * Context: outside; with loops = 0 the engine's thread.
 */
void bp_engine_destroy(struct bp_engine *engine);

/**
 * bp_engine_info() - which backend runs, and why, and what is alive now
 * @engine:	the engine
 *
 * Return: a struct of the calling thread, valid until that thread's next call.
 *
 * Context: outside, task, callback.
 */
const struct bp_engine_info *bp_engine_info(const struct bp_engine *engine);

/**
 * bp_engine_dump() - write what lives in an engine, in words
 * @engine:	the engine
 * @fd:		where to write it
 *
 * For people who look for a hang: the loops, the groups with their limit, counts, cause and age,
 * and the items that run, with what each waits for and for how long. The text is for reading; its
 * form may change with any version.
 *
 * Context: outside, task, callback; not in a signal handler. With loops = 0 the engine's thread.
 * Return: 0, or -ENOMEM, or the error of the write.
 */
int bp_engine_dump(struct bp_engine *engine, int fd);

/**
 * bp_now() - nanoseconds on the engine's monotonic clock
 * @engine:	the engine
 *
 * CLOCK_MONOTONIC, or the virtual clock of BP_BACKEND_SIM.
 *
 * Context: outside, task, callback.
 */
uint64_t bp_now(const struct bp_engine *engine);

/* ---------------------------------------------------------------- one's own event loop */

/**
 * bp_engine_fd() - a descriptor by which another event loop knows when to take a turn
 * @engine:	a caller-driven engine
 *
 * It is readable, for poll(), epoll and what stands on them, when bp_engine_turn() has something to do. It is
 * also readable after what is called outside of a turn: bp_go() and its relatives, bp_cancel(), bp_post(). It
 * does not tell of timers; bp_engine_turn() says how long they leave. It belongs to the engine: only poll it, and
 * forget it before bp_engine_destroy().
 *
 * From the first call on, the engine may be woken from outside at any time, by bp_post(): what waits in it
 * for ever is not taken for a deadlock any more.
 *
 * Context: outside; the engine's thread.
 * Return: the descriptor, the same each time, or
 *	-EOPNOTSUPP	the engine's loops have threads of their own, or its backend is the simulation, whose
 *			time no descriptor can tell
 *	-EMFILE, -ENFILE, -ENOMEM, or what else the call for it was refused with
 */
int bp_engine_fd(struct bp_engine *engine);

/**
 * bp_engine_turn() - let a caller-driven engine do what there is to do, without waiting
 * @engine:	a caller-driven engine
 * @wait_ns:	set to how long, in nanoseconds, the caller may wait for bp_engine_fd() before the next turn: 0: not at
 *		all, UINT64_MAX: until it is readable. Or NULL
 *
 * Tasks and callbacks run inside of it. A turn too many does no harm. Where there is always something to do it
 * returns after a while with 0 in @wait_ns. On the simulation a turn is an event of the schedule, and time passes.
 *
 * Context: outside; the engine's thread.
 * Return: 1 while the engine has something that goes on by itself, operations in flight or timers, say; 0 when
 * all that it has left, if anything, waits for the program; or
 *	-EOPNOTSUPP	the engine's loops have threads of their own, which take the turns
 */
int bp_engine_turn(struct bp_engine *engine, uint64_t *wait_ns);

/** Functions of bp_post() that may wait at a time. */
#define BP_POST_MAX 1024u

/**
 * bp_post() - hand a function to an engine, from another thread or a signal handler
 * @engine:	the engine
 * @fn:		called as a callback on the engine's first loop; on a caller-driven engine by its thread, in
 *		whatever waits there or in bp_engine_turn()
 * @arg:	its argument
 *
 * This is how who may not call anything else of a caller-driven engine reaches it: @fn may call bp_cancel(),
 * bp_try_go(), bp_group_set_limit(). Functions are called in the order in which they were handed over. Those that
 * have not been called when the engine is destroyed never are. errno is left alone.
 *
 * A caller-driven engine in which nothing but such a function can go on must have been asked for its
 * bp_engine_fd() before: else its wait is taken for a deadlock, and ends the program.
 *
 * Context: any, also in signal handlers. Not after or during bp_engine_destroy(). On the simulation the engine's
 * thread alone.
 * Return: 0, or
 *	-EAGAIN		BP_POST_MAX functions wait already
 *	-EINVAL		@fn is NULL
 */
int bp_post(struct bp_engine *engine, void (*fn)(void *arg), void *arg);

/* ---------------------------------------------------------------- group */

/**
 * enum bp_end - how an item ended; every accepted item has exactly one of these
 * @BP_END_SUCCEEDED:	it returned 0 or more
 * @BP_END_FAILED:	it returned a negative errno
 * @BP_END_STOPPED:	the group was cancelled while it ran, and it returned -ECANCELED
 * @BP_END_NEVER_STARTED: the group was cancelled before its turn came
 */
enum bp_end {
	BP_END_SUCCEEDED,
	BP_END_FAILED,
	BP_END_STOPPED,
	BP_END_NEVER_STARTED,
};

/**
 * typedef bp_report_fn - told of each item's end
 * @ctx:	report_arg of the group's options
 * @arg:	the item's argument; the struct bp_op for an operation item
 * @end:	how it ended
 * @result:	what it returned; -ECANCELED for one that never started
 *
 * Called once for each accepted item, on the loop that ended it, before bp_wait() returns.
 */
typedef void (*bp_report_fn)(void *ctx, void *arg, enum bp_end end, int result);

#define BP_LIMIT_NONE (-1L)
#define BP_LIMIT_AUTO (-2L)

/**
 * struct bp_group_opts - how to make a group; use BP_GROUP_OPTS()
 * @sz:		size of this struct as the caller knows it
 * @parent:	a group of the same engine whose end is this one's end too, or NULL
 * @limit:	items running at once; BP_LIMIT_NONE (the default): no limit but the ring's
 *		capacity; 0 admits nothing; BP_LIMIT_AUTO: found while items run, see
 *		bp_group_set_limit()
 * @stop_after_failures: failures that cancel the rest; 1 by default, 0 for never
 * @stop_after_successes: successes that cancel the rest and make bp_wait() return 0;
 *		0 (the default) for never
 * @deadline_ns: point on bp_now()'s clock at which the group is cancelled with -ETIMEDOUT; 0 for
 *		none. An earlier deadline of the parent counts.
 * @item_timeout_ns: how long one item may run before it is ended with -ETIMEDOUT; 0 for ever
 * @report:	told of each item's end, or NULL
 * @report_arg:	first argument of @report
 * @stack_size:	bytes of stack for a task of this group, 16 KiB to 1 GiB, rounded up to a power of
 *		two; 0 (the default): as the engine's options say
 * @auto_most:	the most that BP_LIMIT_AUTO may choose, 1 to BP_WEIGHT_MAX; 0 (the default): as many operations
 *		as the engine has room for, its depth times its loops
 *
 * The two stop numbers, failures and successes, make every policy:
 *
 *	0, 0		wait for all
 *	1, 0		fail fast: the default
 *	N, 0		an error budget
 *	0, 1		a race: BP_RACE
 *	n - k + 1, k	a quorum of k out of n: BP_QUORUM(k, n)
 *
 * A stop_after_successes of 1 alone is no race: the first failure would end it too.
 */
struct bp_group_opts {
	size_t sz;
	struct bp_group *parent;
	long limit;
	unsigned long stop_after_failures;
	unsigned long stop_after_successes;
	uint64_t deadline_ns;
	uint64_t item_timeout_ns;
	bp_report_fn report;
	void *report_arg;
	size_t stack_size;
	uint64_t auto_most;
};

/*
 * A field given twice, default first and then the caller's, is what is meant here, so the
 * compilers' warning of it is off inside; the array of one makes it an lvalue with the life of a
 * compound literal.
 */
#define BP_GROUP_OPTS(...)                                                                         \
	((struct bp_group_opts[1]){__extension__({                                                 \
		_Pragma("GCC diagnostic push")                                                     \
			_Pragma("GCC diagnostic ignored \"-Woverride-init\"") struct bp_group_opts \
				bp_opts_ = {.sz = sizeof(struct bp_group_opts),                    \
					    .limit = BP_LIMIT_NONE,                                \
					    .stop_after_failures = 1,                              \
					    ##__VA_ARGS__};                                        \
		_Pragma("GCC diagnostic pop") bp_opts_;                                            \
	})}[0])

/**
 * BP_GROUP_OPTS_INIT() - initializer of a struct bp_group_opts with static storage
 * @limit_:	its limit
 * @failures_:	its stop_after_failures
 *
 *	static const struct bp_group_opts opts = BP_GROUP_OPTS_INIT(64, 1, .stack_size = 1 << 20);
 *
 * BP_GROUP_OPTS() is an expression of functions alone. The two fields whose default is not 0 are given in
 * order, and the others, if any, by name. In C, and in C++ from 20 on.
 */
#define BP_GROUP_OPTS_INIT(limit_, failures_, ...)                                                 \
	{                                                                                          \
		.sz = sizeof(struct bp_group_opts), .limit = (limit_),                             \
		.stop_after_failures = (failures_), ##__VA_ARGS__                                  \
	}

/* For BP_GROUP_OPTS(), among the other fields: BP_GROUP_OPTS(BP_RACE, .limit = 3). */
#define BP_RACE .stop_after_failures = 0, .stop_after_successes = 1
#define BP_QUORUM(k, n)                                                                            \
	.stop_after_failures = (unsigned long)(n) - (k) + 1, .stop_after_successes = (k)

/**
 * bp_group_opts_default() - what BP_GROUP_OPTS() is with nothing in it, as a value
 *
 * For C++, where BP_GROUP_OPTS() and BP_ENGINE_OPTS() do not compile: change the fields of the copy, and
 * hand over its address.
 *
 * Context: any.
 */
static inline struct bp_group_opts bp_group_opts_default(void)
{
	struct bp_group_opts opts;

	memset(&opts, 0, sizeof(opts));
	opts.sz = sizeof(opts);
	opts.limit = BP_LIMIT_NONE;
	opts.stop_after_failures = 1;
	return opts;
}

/**
 * struct bp_group_stats - what a group has done and is doing
 * @sz:		set by the caller to sizeof(struct bp_group_stats); 0: as far as @wait_ns
 * @limit:	the limit now; of BP_LIMIT_AUTO that which was found
 * @accepted:	items that bp_go() and its relatives took; the four ends add up to it
 * @succeeded:	items that ended with 0 or more
 * @failed:	items that ended with a negative errno of their own
 * @stopped:	items that the cancel ended while they ran
 * @never_started: items that the cancel removed before their turn
 * @rejected:	bp_try_go() calls that found the group or the ring full
 * @running:	items that hold a place of the limit, or several, now
 * @waiting:	items accepted and not started now
 * @peak:	most items that ran at one instant
 * @cause:	the cause so far, 0 for none
 * @cancel_ns:	time from the recording of the cause to the end of the last item; 0 without cancel
 * @compute_ns:	estimated time that items spent computing on their loops (of short ones
 *		one in 64 is measured)
 * @wait_ns:	time that ended items were started and not computing
 * @places:	places of the limit that are held now: more than @running where items have weights
 * @limit_reason: why the limit of BP_LIMIT_AUTO is what it is, a constant string; NULL with another limit:
 *		"starting"	nothing is measured yet
 *		"compute"	loops x (1 + wait / compute), of the first items: more would wait for
 *				the CPU
 *		"growing"	each step up has ended more items in a second
 *		"steady"	neither a step up nor one down is better
 *		"falling"	fewer at once end as many in a second
 *		"unreached"	fewer run than it allows: it is not what holds them back
 *		"most"		it would grow, and must not
 *		"needed"	the weight of an item, or items that wait for places themselves, left
 *				no choice
 */
struct bp_group_stats {
	size_t sz;
	long limit;
	uint64_t accepted;
	uint64_t succeeded;
	uint64_t failed;
	uint64_t stopped;
	uint64_t never_started;
	uint64_t rejected;
	uint64_t running;
	uint64_t waiting;
	uint64_t peak;
	int cause;
	uint64_t cancel_ns;
	uint64_t compute_ns;
	uint64_t wait_ns;
	uint64_t places;
	const char *limit_reason;
};

/**
 * bp_group_create() - make a group
 * @group:	where to put it; set to NULL on error
 * @engine:	the engine whose loops run its items
 * @opts:	options, or NULL for the defaults
 *
 * Context: outside, task, callback.
 * Return: 0, or
 *	-EINVAL		an option is out of range, the parent is of another engine or closed, or
 *			@group is NULL
 *	-ENOMEM		no memory
 */
int bp_group_create(struct bp_group **group, struct bp_engine *engine,
		    const struct bp_group_opts *opts);

/**
 * bp_group_destroy() - end a group and free it
 * @group:	the group, or NULL
 *
 * Without a bp_wait() before: cancels what runs, waits until it has ended, then frees. Inside a
 * task it suspends the task meanwhile. Nobody else may use the group from here on.
 *
 * Context: outside, task; callback only when no item is left.
 */
void bp_group_destroy(struct bp_group *group);

/**
 * typedef bp_task_fn - what a task runs
 * @arg:	the argument given to bp_go()
 *
 * Return: negative: the item failed with that errno; anything else is a success.
 */
typedef int (*bp_task_fn)(void *arg);

/**
 * bp_go() - add a task, waiting for a place
 * @group:	the group
 * @fn:		the task
 * @arg:	its argument; must live until the task has ended
 *
 * Returns when the task was accepted: it has a place under the limit and will have exactly one
 * end. Outside, the call blocks for a place (caller-driven: it drives the loop meanwhile);
 * inside a task it suspends that task. Waiting calls are served in their order, before any
 * bp_try_go(). Semantics after Go's errgroup.Group.Go.
 *
 * Context: outside, task; callback (which never waits: without a place it gets -EDEADLK).
 * Return: 0, or
 *	-ECANCELED	the group was cancelled; the function never runs. Or the calling task
 *			itself was cancelled while it waited
 *	-EBADF		bp_wait() on this group has returned
 *	-ETIMEDOUT	the item's timeout, or a timeout scope, of the calling task ended the wait
 *	-EDEADLK	no place can ever become free: every running item of the group waits in
 *			bp_go() on it, or through bp_go() and bp_wait() on other groups for the
 *			calling task (with weights, and under a limit that was lowered: items that
 *			do so hold too many places, whatever the others give back); or nothing
 *			that runs could raise the limit
 *	-EINVAL		@fn is NULL
 *	-ENOMEM		no memory
 */
int bp_go(struct bp_group *group, bp_task_fn fn, void *arg);

/**
 * bp_try_go() - add a task if there is a place now
 * @group:	the group
 * @fn:		the task
 * @arg:	its argument; must live until the task has ended
 *
 * Never blocks, queues nothing that was not accepted. Semantics after errgroup.Group.TryGo.
 *
 * Context: outside, task, callback.
 * Return: 0, or
 *	-EAGAIN		as many items run as the limit allows, or somebody waits in bp_go(), or
 *			the completion queues have no place left
 *	-ECANCELED, -EBADF, -EINVAL, -ENOMEM	as bp_go()
 */
int bp_try_go(struct bp_group *group, bp_task_fn fn, void *arg);

/**
 * bp_go_copy() - add a task with an argument of its own, waiting for a place
 * @group:	the group
 * @fn:		the task
 * @arg:	what to copy
 * @size:	bytes of it
 *
 * As bp_go(), but the task gets a copy, so that a loop variable is not shared. The copy lives as
 * long as its task, the winner's (bp_group_winner()) as long as the group.
 *
 * Context and return: as bp_go(), and -EINVAL where @arg is NULL and @size is not 0.
 */
int bp_go_copy(struct bp_group *group, bp_task_fn fn, const void *arg, size_t size);

/**
 * bp_try_go_copy() - bp_try_go() with an argument of its own
 * @group:	the group
 * @fn:		the task
 * @arg:	what to copy
 * @size:	bytes of it
 *
 * Context and return: as bp_try_go(), and -EINVAL as bp_go_copy().
 */
int bp_try_go_copy(struct bp_group *group, bp_task_fn fn, const void *arg, size_t size);

/* ---------------------------------------------------------------- operation items */

/* Links and timers that the library keeps inside structs of the caller: not to be touched. */
struct bp_link_ {
	struct bp_link_ *next, *prev;
};

struct bp_timer_ {
	uint64_t when;
	void (*fire)(struct bp_loop *loop, struct bp_timer_ *timer);
	struct bp_timer_ *child, *next, *prev;
};

/** What bp_op.done returns to ask for another round of prep. */
#define BP_OP_AGAIN 0x7fffffff /* no operation moves so many bytes */

/**
 * struct bp_op - an operation item: no stack, no allocation; owned by the caller until its end
 * @prep:	fills the whole SQE, as liburing's helpers do; user_data, IOSQE_IO_LINK,
 *		IOSQE_IO_HARDLINK and IOSQE_CQE_SKIP_SUCCESS are the library's
 * @done:	told of each CQE. Returns BP_OP_AGAIN for another round (prep is called again),
 *		otherwise the item's end: negative failed, 0 or more succeeded.
 * @cqe_flags:	flags of the CQE that @done is told of
 *
 * Embed it in a struct of your own and use BP_OP_INIT(). It may be used again, or freed, once
 * it has ended: from the group's report callback on, or after bp_wait(); never in @done.
 *
 * An operation with several CQEs (multishot, zero-copy send) has @done called for each. While
 * IORING_CQE_F_MORE is set in @cqe_flags, only a negative return counts: the first one cancels
 * the rest of the operation and becomes the item's end.
 *
 * An operation that is cancelled while it waits for room was never prepared: @done is told -ECANCELED
 * without a call of @prep before. One that never started has neither called.
 *
 * @done sees the kernel's result as it is: -EINTR and -EAGAIN are not retried for operation
 * items. But an operation on a file that the kernel had no thread for (RLIMIT_NPROC, a pids cgroup),
 * which it ends with -ECANCELED, is carried out by an ordinary call: @prep is called once more
 * for that. -ECANCELED that the item's timeout brought about is shown as -ETIMEDOUT. After the group
 * was cancelled, BP_OP_AGAIN ends the item as stopped.
 */
struct bp_op {
	void (*prep)(struct bp_op *op, struct io_uring_sqe *sqe);
	int (*done)(struct bp_op *op, int res);
	unsigned int cqe_flags;

	/* The rest is the library's own. */
	unsigned char state_, kind_, flags_, opcode_;
	int res_, end_;
	struct bp_link_ link_; /* in the queue of its state */
	struct bp_link_ member_; /* among the items of its group on its loop */
	struct bp_group *group_;
	struct bp_loop *loop_;
	uint64_t start_ns_;
	struct bp_timer_ timer_; /* of the item's timeout */
	uint64_t extra_; /* 0, or what the item has beyond others; the backend's in flight */
};

#ifndef __cplusplus
#define BP_OP_INIT(prep_fn, done_fn)                                                               \
	{                                                                                          \
		.prep = (prep_fn), .done = (done_fn)                                               \
	}
#else
#define BP_OP_INIT(prep_fn, done_fn) bp_op_value(prep_fn, done_fn)
#endif

/**
 * bp_op_value() - what BP_OP_INIT() makes, as a value: for C++, where it stands for that macro
 * @prep:	as of struct bp_op
 * @done:	as of struct bp_op
 *
 * Context: any.
 */
static inline struct bp_op bp_op_value(void (*prep)(struct bp_op *op, struct io_uring_sqe *sqe),
				       int (*done)(struct bp_op *op, int res))
{
	struct bp_op op;

	memset(&op, 0, sizeof(op));
	op.prep = prep;
	op.done = done;
	return op;
}

/**
 * bp_go_op() - add an operation item, waiting for a place
 * @group:	the group
 * @op:		the operation, zeroed but for prep and done; the library's until its end
 *
 * Context and return: as bp_go(), and -EINVAL without an operation, its prep or its done.
 */
int bp_go_op(struct bp_group *group, struct bp_op *op);

/**
 * bp_try_go_op() - add an operation item if there is a place now
 * @group:	the group
 * @op:		the operation, as for bp_go_op()
 *
 * Context and return: as bp_try_go(), and -EINVAL as bp_go_op().
 */
int bp_try_go_op(struct bp_group *group, struct bp_op *op);

/* ---------------------------------------------------------------- steering and waiting */

/**
 * bp_group_set_limit() - change the limit, also while items run
 * @group:	the group
 * @limit:	new limit; BP_LIMIT_NONE for none, 0 admits nothing, BP_LIMIT_AUTO for one that is found
 *
 * Raising it by k wakes exactly k waiting bp_go(); lowering it cancels nobody and admits nobody
 * until fewer than @limit run.
 *
 * BP_LIMIT_AUTO looks for the least number of items in flight that ends the most of them in a second,
 * and follows that number when it changes. It begins with the limit that is now, or without one with
 * 8 for each loop, at least 16; falls at once to loops x (1 + wait / compute) where
 * the first items show that the loops would have too much to compute; and goes on by trials of a fifth
 * more and a tenth less, of which it keeps what ends more, or as many with fewer. It grows only while
 * the limit is what holds items back. It learns from items that end: hundreds of them where all take the same
 * time, thousands where they do not; a run of fewer has the first guess. Items that are cancelled,
 * and those that fail in less than half the time of a success, teach it nothing. What it chose,
 * and why, is in bp_group_stats().
 *
 * Under BP_LIMIT_AUTO an item of more weight than the limit, and one whose bp_go() would otherwise
 * be -EDEADLK since all that run wait for places, raise it instead.
 *
 * Context: outside, task, callback.
 * Return: 0, or -EINVAL for a limit below BP_LIMIT_NONE that is not BP_LIMIT_AUTO, -ENOMEM for
 * BP_LIMIT_AUTO without memory: the limit stays as it was.
 */
int bp_group_set_limit(struct bp_group *group, long limit);

/**
 * bp_cancel() - end all items of a group
 * @group:	the group
 * @cause:	negative errno that bp_wait() shall return unless a cause stands already;
 *		0 stands for -ECANCELED
 *
 * Every operation in flight gets an IORING_OP_ASYNC_CANCEL on its own loop; what has not started
 * never starts; child groups are cancelled too. Does not wait.
 *
 * Context: outside, task, callback; not in a signal handler.
 */
void bp_cancel(struct bp_group *group, int cause);

/**
 * bp_wait() - wait until every item has ended, and say why
 * @group:	the group
 *
 * Items may go on adding items meanwhile. When it returns the group is closed and its live child
 * groups are cancelled (as errgroup cancels its context); it may be called again and says the same.
 * In a task that is cancelled, or whose timeout has come, the wait cancels @group too and still
 * waits for its items. A task must not wait for a group that it runs in, nor for a parent of it,
 * nor for one whose items wait for the task's own group: it would never end, and ends the program
 * with one line. Where one in such a circle stands in bp_go(), that one gets -EDEADLK instead.
 *
 * Context: outside, task.
 * Return: 0: all succeeded, or as many as stop_after_successes asked for. Otherwise the cause:
 *	an item's error	the first failure in order of completion
 *	the cause given to bp_cancel(), or the parent's
 *	-ETIMEDOUT	the deadline passed
 *	-ENOENT		successes were asked for, and there were neither enough nor a failure
 */
int bp_wait(struct bp_group *group);

/**
 * bp_wait_until() - bp_wait() that gives up at a point in time
 * @group:	the group
 * @deadline_ns: point on bp_now()'s clock
 *
 * Context: outside, task. With a time that has passed it is a poll: a caller-driven engine takes
 * one turn without waiting. A group to which nothing was added yet stays open. As with bp_wait(),
 * in a task that is cancelled, or whose timeout scope has come to its end, the group is cancelled.
 *
 * Return: as bp_wait(), or -ETIMEDOUT when items still run at that time: nothing is cancelled
 * or closed then. (Where the group's own cause is -ETIMEDOUT, bp_group_stats() tells them apart.)
 */
int bp_wait_until(struct bp_group *group, uint64_t deadline_ns);

/**
 * bp_group_stats() - counts and times of a group
 * @group:	the group
 * @stats:	filled up to @stats->sz bytes (0: as far as @wait_ns, as in 0.1.0)
 *
 * Context: outside, task, callback.
 */
void bp_group_stats(const struct bp_group *group, struct bp_group_stats *stats);

/**
 * bp_group_winner() - the argument of the first success
 * @group:	the group
 *
 * Return: the item's argument (bp_go_copy(): its copy; an operation item: its struct bp_op), or
 * NULL when nothing has succeeded.
 *
 * Context: outside, task, callback.
 */
void *bp_group_winner(const struct bp_group *group);

/* ---------------------------------------------------------------- inside a task */

/*
 * Named after the calls that they stand for, and returning what those return, with -errno for an
 * error. All of them suspend the task until the operation is over. Besides the call's own errors:
 *
 *	-ECANCELED	the task's group was cancelled; after that each further operation gives
 *			it at once without being submitted, except bp_close() and what stands
 *			between bp_shield_begin() and bp_shield_end()
 *	-ETIMEDOUT	the item's timeout or a timeout scope ended it; likewise from then on
 *
 * An operation that completed although a cancel was on its way returns its own result. -EINTR and,
 * where the descriptor can be waited for, -EAGAIN are retried; MSG_DONTWAIT and RWF_NOWAIT keep
 * their -EAGAIN. Offsets of -1 mean the file position, as in io_uring. NULL for what is to be read
 * or written is -EFAULT; other bad addresses too are with io_uring alone, since the other backends
 * look at some of what is there themselves.
 *
 * Context: task only.
 */
struct open_how;
struct statx;

int bp_openat(int dirfd, const char *path, int flags, mode_t mode);
int bp_openat2(int dirfd, const char *path, const struct open_how *how);
ssize_t bp_read(int fd, void *buf, size_t len, off_t offset);
ssize_t bp_write(int fd, const void *buf, size_t len, off_t offset);
ssize_t bp_readv(int fd, const struct iovec *iov, int iovcnt, off_t offset);
ssize_t bp_writev(int fd, const struct iovec *iov, int iovcnt, off_t offset);
int bp_close(int fd);
int bp_statx(int dirfd, const char *path, int flags, unsigned int mask, struct statx *stx);
int bp_fsync(int fd, unsigned int flags); /* flags: 0 or IORING_FSYNC_DATASYNC */
int bp_fallocate(int fd, int mode, off_t offset, off_t len);
int bp_unlinkat(int dirfd, const char *path, int flags);
int bp_renameat(int olddirfd, const char *oldpath, int newdirfd, const char *newpath,
		unsigned int flags); /* flags: renameat2()'s */
int bp_linkat(int olddirfd, const char *oldpath, int newdirfd, const char *newpath, int flags);
int bp_symlinkat(const char *target, int newdirfd, const char *linkpath);
int bp_mkdirat(int dirfd, const char *path, mode_t mode);
ssize_t bp_splice(int fd_in, off_t off_in, int fd_out, off_t off_out, size_t len,
		  unsigned int flags);
int bp_socket(int domain, int type, int protocol);
int bp_connect(int fd, const struct sockaddr *addr, socklen_t addrlen);
int bp_accept(int fd, struct sockaddr *addr, socklen_t *addrlen, int flags);
ssize_t bp_send(int fd, const void *buf, size_t len, int flags);
ssize_t bp_recv(int fd, void *buf, size_t len, int flags);
ssize_t bp_sendmsg(int fd, const struct msghdr *msg, int flags);
ssize_t bp_recvmsg(int fd, struct msghdr *msg, int flags);
int bp_shutdown(int fd, int how);
int bp_poll(int fd, unsigned int events); /* returns the revents */

/* ---------------------------------------------------------------- further operations */

/*
 * As those above: named after their calls, returning what these return or -errno, for tasks alone. Not
 * every kernel has an operation of io_uring for each of them. Without one it is an ordinary call, of a
 * helper thread where that may take its time; where there is no such way either, -EOPNOTSUPP.
 *
 * "Helper thread" means that io_uring has no such operation at all: always a call by one of the threads of
 * bp_offload(), which is waited for once it has begun, also after a cancel. "Not simulated":
 * -EOPNOTSUPP on BP_BACKEND_SIM.
 */
struct epoll_event;

int bp_ftruncate(int fd, off_t len);
int bp_fadvise(int fd, off_t offset, off_t len, int advice);
int bp_madvise(void *addr, size_t len, int advice);

/* Extended attributes; a size of 0 asks for the size. list and remove: helper thread. Not simulated. */
ssize_t bp_getxattr(const char *path, const char *name, void *value, size_t size);
ssize_t bp_fgetxattr(int fd, const char *name, void *value, size_t size);
int bp_setxattr(const char *path, const char *name, const void *value, size_t size, int flags);
int bp_fsetxattr(int fd, const char *name, const void *value, size_t size, int flags);
ssize_t bp_listxattr(const char *path, char *list, size_t size);
ssize_t bp_flistxattr(int fd, char *list, size_t size);
int bp_removexattr(const char *path, const char *name);
int bp_fremovexattr(int fd, const char *name);

/**
 * bp_copy_file_range() - copy bytes from file to file inside the kernel
 * @fd_in:	from where
 * @off_in:	where to start there; -1 means the file position, which moves on
 * @fd_out:	to where
 * @off_out:	as @off_in
 * @len:	bytes; no more than BP_COPY_MAX are copied in one call, so that a cancel is not kept waiting
 * @flags:	0
 *
 * Helper thread. Not simulated.
 *
 * Return: bytes copied, 0 at the end of @fd_in, or -errno.
 */
ssize_t bp_copy_file_range(int fd_in, off_t off_in, int fd_out, off_t off_out, size_t len,
			   unsigned int flags);

#define BP_COPY_MAX (128u << 20)

/**
 * bp_getdents() - the next entries of a directory
 * @fd:		the directory
 * @buf:	for entries as getdents64(2) writes them: struct dirent64 of <dirent.h>, each
 *		d_reclen bytes long, aligned as that struct
 * @len:	bytes of it
 *
 * Helper thread. Not simulated.
 *
 * Return: bytes written to @buf, 0 after the last entry, or -errno.
 */
ssize_t bp_getdents(int fd, void *buf, size_t len);

int bp_pipe(int fds[2], int flags); /* flags: pipe2()'s */
int bp_bind(int fd, const struct sockaddr *addr, socklen_t addrlen);
int bp_listen(int fd, int backlog);
int bp_getsockopt(int fd, int level, int optname, void *optval, socklen_t *optlen);
int bp_setsockopt(int fd, int level, int optname, const void *optval, socklen_t optlen);

/**
 * bp_send_zc() - bp_send() that lends the buffer to the kernel instead of copying it
 * @fd:		a connected socket
 * @buf:	the bytes; when the call returns the kernel has done with them
 * @len:	bytes
 * @flags:	as for send(2)
 * @copied:	NULL, or set to whether the kernel copied the bytes after all
 *
 * It suspends until the bytes are sent *and* the buffer is free again, with TCP when the other end has them.
 * Pays off for buffers of many kilobytes over a network card, not over loopback. Where the kernel or the
 * socket cannot do it, it is bp_send(), with @copied true. To learn of both ends apart, use an operation
 * item: its done() is told of the result with IORING_CQE_F_MORE, of the buffer with IORING_CQE_F_NOTIF.
 *
 * Return: bytes sent, or -errno.
 */
ssize_t bp_send_zc(int fd, const void *buf, size_t len, int flags, bool *copied);

/**
 * bp_waitid() - wait for a child process to change its state
 * @idtype:	P_PID, P_PIDFD, P_PGID, P_ALL
 * @id:		which
 * @info:	filled in, or NULL
 * @options:	as for waitid(2): WEXITED and others
 *
 * Kernels before 6.7, and BP_BACKEND_THREADS: a pidfd is waited for; where that does not do (P_PGID, P_ALL,
 * WSTOPPED, WCONTINUED) it is looked for every 10 ms at the latest. Not simulated.
 *
 * Return: 0, or -errno: -ECHILD where there is none to wait for.
 */
int bp_waitid(idtype_t idtype, id_t id, siginfo_t *info, int options);

#define BP_FUTEX_SHARED 1u /* the word is in memory that processes share */

/**
 * bp_futex_wait() - wait until somebody wakes those who wait for a word
 * @word:	the word, aligned to 4 bytes
 * @expected:	what must be there for it to wait
 * @flags:	0 or BP_FUTEX_SHARED; those who wake must use the same
 *
 * As futex(2): whoever changes the word wakes with bp_futex_wake(), or with the system call in any
 * thread, and who is woken looks at the word again, since a wake-up may be for no reason.
 * Kernels before 6.7, and BP_BACKEND_THREADS: each wait holds one of the threads of bp_offload()
 * (futex_waitv(2) of Linux 5.16; without it -EOPNOTSUPP). Not simulated.
 *
 * Return: 0: woken; -EAGAIN: something else than @expected was there; or -errno.
 */
int bp_futex_wait(const uint32_t *word, uint32_t expected, unsigned int flags);

/**
 * bp_futex_wake() - wake those who wait for a word
 * @word:	the word
 * @count:	how many at most
 * @flags:	0 or BP_FUTEX_SHARED
 *
 * Not simulated.
 *
 * Return: how many were woken, or -errno.
 */
int bp_futex_wake(const uint32_t *word, unsigned int count, unsigned int flags);

/**
 * bp_epoll_wait() - wait for events of an epoll instance
 * @epfd:	the instance
 * @events:	for what came
 * @maxevents:	room there
 *
 * Without a timeout of its own: see bp_timeout_begin(). Not simulated.
 *
 * Return: how many came, 1 at least, or -errno.
 */
int bp_epoll_wait(int epfd, struct epoll_event *events, int maxevents);

/* ---------------------------------------------------------------- registered buffers and files */

/**
 * bp_register_buffers() - let the rings know buffers in advance
 * @engine:	the engine
 * @iov:	the buffers, which must stay until they are unregistered or the engine is gone; up to 1 GiB each
 * @count:	how many, 16,384 at most in the kernel
 *
 * The kernel then need not look up their pages at each transfer: for O_DIRECT, and for many small
 * transfers. Each ring pins them, so that an ordinary user needs RLIMIT_MEMLOCK for them once for each
 * loop. Where a kernel will not, or on another backend, the operations that use them are plain ones.
 *
 * Context: outside; with loops = 0 the engine's thread. It waits for each loop to take it up.
 * Return: 1: every ring keeps them; 0: at least one does not, and all works the same; or
 *	-EBUSY		there are some already
 *	-EFAULT		no memory is there
 *	-EINVAL		@iov is NULL, or @count 0
 *	-ENOMEM		no memory
 */
int bp_register_buffers(struct bp_engine *engine, const struct iovec *iov, unsigned int count);

/**
 * bp_unregister_buffers() - end bp_register_buffers()
 * @engine:	the engine
 *
 * No operation that uses them may be in flight. Without any it does nothing.
 *
 * Context: as bp_register_buffers().
 */
void bp_unregister_buffers(struct bp_engine *engine);

/**
 * bp_register_files() - let the rings know descriptors in advance
 * @engine:	the engine
 * @fds:	the descriptors; -1 leaves a number free. They may be closed afterwards: what is registered
 *		stays open
 * @count:	how many
 *
 * Spares the kernel a look-up and a reference at each operation.
 *
 * Context and return: as bp_register_buffers(), with -EBADF for what is no descriptor, and -EMFILE where
 * it takes descriptors of the engine's own and there are none. In the simulation the descriptors must stay open.
 */
int bp_register_files(struct bp_engine *engine, const int *fds, unsigned int count);

/**
 * bp_unregister_files() - end bp_register_files()
 * @engine:	the engine
 *
 * Context: as bp_unregister_buffers().
 */
void bp_unregister_files(struct bp_engine *engine);

#define BP_NO_BUFFER (-1)
#define BP_FIXED_FILE 1u

/*
 * bp_read() and its relatives at registered files and buffers, for tasks.
 *
 * file		a descriptor; with BP_FIXED_FILE in flags the number of a registered file
 * buffer	the number of the registered buffer that all the bytes lie in, or BP_NO_BUFFER
 * flags	0 or BP_FIXED_FILE
 *
 * Besides the errors of bp_read() and bp_write(): -EFAULT where there is no such buffer or the bytes do not
 * lie in it, -EBADF where there is no such file, -EINVAL for other flags.
 */
ssize_t bp_read_fixed(int file, void *buf, size_t len, off_t offset, int buffer,
		      unsigned int flags);
ssize_t bp_write_fixed(int file, const void *buf, size_t len, off_t offset, int buffer,
		       unsigned int flags);
ssize_t bp_readv_fixed(int file, const struct iovec *iov, int iovcnt, off_t offset, int buffer,
		       unsigned int flags);
ssize_t bp_writev_fixed(int file, const struct iovec *iov, int iovcnt, off_t offset, int buffer,
			unsigned int flags);

/* ---------------------------------------------------------------- many receives */

struct bp_buf_ring;

/**
 * bp_buf_ring_create() - buffers for receives, a ring of them for each loop
 * @ring:	where to put it; NULL on error
 * @engine:	the engine
 * @count:	buffers for each loop, 1 to 32,768
 * @size:	bytes of each, up to 1 GiB
 *
 * A connection that is silent needs no buffer: one is taken from the ring of its loop when there is
 * something to put into it. On io_uring one receive stays in flight for many pieces (multishot, Linux 6.0), and
 * the kernel takes the buffers; elsewhere the library does.
 *
 * Context: outside; with loops = 0 the engine's thread. It waits for each loop to take it up.
 * Return: 0, -EINVAL for numbers out of range or without @ring, -ENOMEM.
 */
int bp_buf_ring_create(struct bp_buf_ring **ring, struct bp_engine *engine, unsigned int count,
		       size_t size);

/**
 * bp_buf_ring_destroy() - free a ring of buffers
 * @ring:	the ring, or NULL; before its engine, when nothing receives from it and every buffer was given
 *		back, or the program is ended with one line
 *
 * Context: as bp_buf_ring_create().
 */
void bp_buf_ring_destroy(struct bp_buf_ring *ring);

/**
 * struct bp_recv_multi - receives of one task from one socket, between begin and end
 *
 * Its fields are the library's own.
 */
struct bp_recv_multi {
	struct bp_op op_;
	void *own_[16];
};

/**
 * bp_recv_multi_begin() - begin to receive from a stream socket, piece by piece
 * @m:		the receives; on the task's stack until bp_recv_multi_end()
 * @fd:		the socket
 * @ring:	where buffers come from
 * @flags:	as for recv(2), but none of MSG_WAITALL, MSG_PEEK, MSG_DONTWAIT, MSG_OOB, MSG_ERRQUEUE
 *
 *	struct bp_recv_multi m;
 *	void *data;
 *	ssize_t n;
 *
 *	bp_recv_multi_begin(&m, fd, ring, 0);
 *	while ((n = bp_recv_multi_next(&m, &data)) > 0)
 *		...
 *	bp_recv_multi_end(&m);
 *
 * Between the calls the task may do other operations, also send on the same socket. What comes meanwhile is
 * kept, as long as there are buffers.
 *
 * Context: task only.
 * Return: 0, or -EINVAL for other flags: then there is nothing to end.
 */
int bp_recv_multi_begin(struct bp_recv_multi *m, int fd, struct bp_buf_ring *ring, int flags);

/**
 * bp_recv_multi_next() - wait for the next piece
 * @m:		the receives
 * @data:	set to the bytes, which may be read and written until the next call
 *
 * Gives the buffer of the piece before back to its ring. Where all buffers are taken it waits until one has
 * been given back.
 *
 * Context: the task that began.
 * Return: bytes, 0 at the end, or -errno: the socket's, or -ECANCELED, -ETIMEDOUT as for every operation.
 */
ssize_t bp_recv_multi_next(struct bp_recv_multi *m, void **data);

/**
 * bp_recv_multi_end() - end to receive
 * @m:		the receives
 *
 * Ends what is in flight and gives all buffers back; what had come and was not asked for is lost. To be called
 * before the task returns, also after an error and after a cancel.
 *
 * Context: the task that began.
 */
void bp_recv_multi_end(struct bp_recv_multi *m);

/**
 * bp_buf_ring_recv() - for prep() of an operation item: a receive into buffers of a ring
 * @ring:	the ring
 * @op:		the operation
 * @sqe:	what prep() is to fill
 * @fd:		the socket
 * @flags:	as for bp_recv_multi_begin()
 *
 * done() is told of each piece, and calls bp_buf_ring_take() first. Where IORING_CQE_F_MORE is not set the
 * receive is over, and BP_OP_AGAIN goes on with another: after any piece, and where nothing has come yet. The
 * end is 0 without a buffer. After -ETIME, which says that no buffer was free, a millisecond has passed, so that
 * it is no busy loop.
 *
 * Context: callback.
 */
void bp_buf_ring_recv(struct bp_buf_ring *ring, struct bp_op *op, struct io_uring_sqe *sqe, int fd,
		      int flags);

/**
 * bp_buf_ring_take() - the buffer that done() is told of
 * @ring:	the ring
 * @op:		the operation
 * @res:	what done() was told
 *
 * To be called once for each result, whatever it is. A buffer that it returns has @res bytes and is given back
 * with bp_buf_ring_put().
 *
 * Context: callback, of this very operation's done().
 * Return: the buffer, or NULL: nothing has come with this result. With a positive one, and with -ENOBUFS, -ETIME,
 * -EAGAIN and -EINTR, it may still come; other errors are the socket's, and 0 is the end.
 */
void *bp_buf_ring_take(struct bp_buf_ring *ring, struct bp_op *op, int res);

/**
 * bp_buf_ring_put() - give a buffer back
 * @ring:	the ring
 * @buf:	what bp_buf_ring_take() gave
 *
 * Context: callback, task; on the loop that it was taken on.
 */
void bp_buf_ring_put(struct bp_buf_ring *ring, void *buf);

/**
 * bp_sqe() - an SQE for any operation that liburing can prepare
 *
 *	io_uring_prep_madvise(bp_sqe(), addr, len, MADV_WILLNEED);
 *	int res = bp_await();
 *
 * Return: the task's own SQE, cleared, submitted by the next bp_await(); never NULL. user_data,
 * IOSQE_IO_LINK, IOSQE_IO_HARDLINK and IOSQE_CQE_SKIP_SUCCESS are the library's.
 *
 * Context: task only.
 */
struct io_uring_sqe *bp_sqe(void);

/**
 * bp_await() - submit what bp_sqe() gave and suspend until it is over
 *
 * Each takes a bp_sqe() of its own, with no other operation of the task between the two.
 * An operation with several CQEs is over at its last one (zero-copy send: when the buffer is
 * free again); the result is that of the first. Multishot operations belong in operation items.
 * Not retried on -EINTR or -EAGAIN.
 *
 * Context: task only.
 * Return: the CQE's result, or -ECANCELED, -ETIMEDOUT as above.
 */
int bp_await(void);

/**
 * bp_sleep() - suspend the task for a time
 * @ns:		nanoseconds
 *
 * Context: task only.
 * Return: 0, or -ECANCELED, -ETIMEDOUT as above.
 */
int bp_sleep(uint64_t ns);

/**
 * bp_yield() - let the loop's other tasks and completions have a turn
 *
 * Context: task only.
 * Return: 0, or -ECANCELED, -ETIMEDOUT as above.
 */
int bp_yield(void);

/**
 * bp_offload() - run a blocking function on a helper thread while the task is suspended
 * @fn:		the function; it must not call functions of this header that need a task
 * @arg:	its argument
 *
 * A function that has begun is always waited for; one still queued when the cancel comes is
 * dropped. As many run at a time as the engine's options say, 56 by default.
 *
 * Context: task only.
 * Return: what @fn returned, or -ECANCELED, -ETIMEDOUT when it did not run (after a cancel also for
 * a function that returned -ECANCELED or -EINTR itself); -EAGAIN when no
 * helper thread could be made at all; -EINVAL without a function.
 */
int bp_offload(int (*fn)(void *arg), void *arg);

/**
 * bp_cancelled() - whether the task has been asked to end
 *
 * For code that computes for long without operations. It looks at the clock, so that a deadline,
 * the item's timeout and timeout scopes are noticed although the task keeps its loop busy.
 *
 * Context: task only. Return: true after a cancel or timeout, also inside a shield.
 */
bool bp_cancelled(void);

/**
 * bp_shield_begin() - operations from here on run although the task was cancelled
 *
 * For what must be completed or undone: a last write, an unlink of a partial file. An operation
 * inside a shield is not cancelled either. Shields nest. A timeout scope that is begun inside a
 * shield counts there, so that what is undone takes no longer than it may.
 *
 * Context: task only.
 */
void bp_shield_begin(void);

/**
 * bp_shield_end() - end of the innermost shield
 *
 * Context: task only.
 */
void bp_shield_end(void);

/**
 * struct bp_timeout - a timeout scope; lives on the task's stack between its begin and end
 *
 * Its fields are the library's own. What is spare may be of any value.
 */
struct bp_timeout {
	struct bp_timer_ timer_;
	struct bp_timeout *outer_;
	void *task_;
	bool fired_;
	unsigned int shield_;
	uint64_t spare_[4];
};

/**
 * bp_timeout_begin() - operations from here on end with -ETIMEDOUT after a time
 * @scope:	the scope
 * @ns:		nanoseconds from now for all operations of the scope together
 *
 * Scopes nest; they must be ended in reverse order, by the same task, and not begun again before.
 * After trio's move_on_after.
 *
 * Context: task only.
 */
void bp_timeout_begin(struct bp_timeout *scope, uint64_t ns);

/**
 * bp_timeout_end() - end of a timeout scope
 * @scope:	the scope given to bp_timeout_begin()
 *
 * Context: task only.
 * Return: -ETIMEDOUT if its time had run out, else 0. The last operation may have succeeded all the
 * same: what it returned has to be looked at too.
 */
int bp_timeout_end(struct bp_timeout *scope);

/* ---------------------------------------------------------------- between tasks */

/*
 * Mutexes, semaphores, events and channels for the tasks of one engine, on whichever of its loops
 * they run, and for threads outside. Each is a struct of the caller's that is initialised with its
 * engine, allocates nothing, and needs no destroying; its fields are the library's own, and it must
 * not be copied. All stand in line: first come, first served, and nobody overtakes.
 *
 * A task that waits is suspended, and ended as in any other operation: -ECANCELED when its group is
 * cancelled, -ETIMEDOUT by the item's timeout or a timeout scope; likewise at once in a task that
 * has been ended already, but for what stands inside a shield. What it was given before that it
 * has: a return of 0 always counts. A thread outside waits as long as it takes (caller-driven: it
 * drives the loop, and gets -EDEADLK when nothing runs that could end the wait), or by the functions
 * whose names end in _until as long as they are told. A callback never
 * waits: it gets -EDEADLK instead. A function of bp_offload() is a thread outside, so on a
 * caller-driven engine it must not use these.
 *
 * With loops = N they order memory as those of pthreads do: what was written before a release, a set
 * or a send is seen after the acquire, wait or receive that it let through.
 */

/**
 * struct bp_mutex - a mutex that tasks may hold across operations
 *
 * Initialised by bp_mutex_init() or with BP_MUTEX_INIT(engine).
 */
struct bp_mutex {
	struct bp_engine *engine_;
	struct bp_link_ waiters_;
	const void *owner_;
	bool task_;
	uint64_t spare_[2];
};

#define BP_MUTEX_INIT(engine)                                                                      \
	{                                                                                          \
		(engine), {NULL, NULL}, NULL, false,                                               \
		{                                                                                  \
			0, 0                                                                       \
		}                                                                                  \
	}

/**
 * bp_mutex_init() - make a mutex that nobody holds
 * @mutex:	the mutex
 * @engine:	the engine whose tasks use it
 *
 * Context: any.
 */
void bp_mutex_init(struct bp_mutex *mutex, struct bp_engine *engine);

/**
 * bp_mutex_lock() - take a mutex, waiting for it
 * @mutex:	the mutex
 *
 * Context: outside, task, callback.
 * Return: 0: the caller holds it, or
 *	-ECANCELED, -ETIMEDOUT	the calling task was ended; it does not hold the mutex
 *	-EDEADLK	the caller holds it already, or holds one that its owner waits for, directly
 *			or through others; or as said above
 */
int bp_mutex_lock(struct bp_mutex *mutex);

/**
 * bp_mutex_trylock() - take a mutex if nobody holds it
 * @mutex:	the mutex
 *
 * Context: outside, task, callback.
 * Return: 0, or -EAGAIN.
 */
int bp_mutex_trylock(struct bp_mutex *mutex);

/**
 * bp_mutex_unlock() - give a mutex to the first in line, or back
 * @mutex:	the mutex
 *
 * Only who has locked it may: another task or thread, and a task that ends while it holds a mutex,
 * end the program with one line.
 *
 * Context: outside, task, callback.
 */
void bp_mutex_unlock(struct bp_mutex *mutex);

/**
 * struct bp_semaphore - a number of things that can be taken and given back
 *
 * Initialised by bp_semaphore_init() or with BP_SEMAPHORE_INIT(engine, n).
 */
struct bp_semaphore {
	struct bp_engine *engine_;
	struct bp_link_ waiters_;
	uint64_t free_;
	uint64_t spare_[2];
};

#define BP_SEMAPHORE_INIT(engine, n)                                                               \
	{                                                                                          \
		(engine), {NULL, NULL}, (n),                                                       \
		{                                                                                  \
			0, 0                                                                       \
		}                                                                                  \
	}

/**
 * bp_semaphore_init() - make a semaphore
 * @semaphore:	the semaphore
 * @engine:	the engine whose tasks use it
 * @n:		how many can be taken now
 *
 * Context: any.
 */
void bp_semaphore_init(struct bp_semaphore *semaphore, struct bp_engine *engine, uint64_t n);

/**
 * bp_semaphore_acquire() - take @n at once, waiting until they are there
 * @semaphore:	the semaphore
 * @n:		how many; 0 waits for nothing but those in line
 *
 * Who wants many is not overtaken by those who want few.
 *
 * Context: outside, task, callback.
 * Return: 0, or -ECANCELED, -ETIMEDOUT, -EDEADLK as said above: nothing was taken.
 */
int bp_semaphore_acquire(struct bp_semaphore *semaphore, uint64_t n);

/**
 * bp_semaphore_acquire_until() - bp_semaphore_acquire() that gives up at a point in time
 * @semaphore:	the semaphore
 * @n:		how many
 * @deadline_ns: point on bp_now()'s clock
 *
 * Context and return: as bp_semaphore_acquire(), and -ETIMEDOUT at that time.
 */
int bp_semaphore_acquire_until(struct bp_semaphore *semaphore, uint64_t n, uint64_t deadline_ns);

/**
 * bp_semaphore_try_acquire() - take @n if they are there and nobody stands in line
 * @semaphore:	the semaphore
 * @n:		how many
 *
 * Context: outside, task, callback.
 * Return: 0, or -EAGAIN.
 */
int bp_semaphore_try_acquire(struct bp_semaphore *semaphore, uint64_t n);

/**
 * bp_semaphore_release() - give @n back, or add them
 * @semaphore:	the semaphore
 * @n:		how many
 *
 * Anybody may, also who took nothing: a semaphore that begins with 0 counts signals. More than
 * UINT64_MAX in all ends the program with one line.
 *
 * Context: outside, task, callback.
 */
void bp_semaphore_release(struct bp_semaphore *semaphore, uint64_t n);

/**
 * struct bp_event - something that has happened or not, and can be waited for
 *
 * Initialised by bp_event_init() or with BP_EVENT_INIT(engine): not set.
 */
struct bp_event {
	struct bp_engine *engine_;
	struct bp_link_ waiters_;
	bool set_;
	uint64_t spare_[2];
};

#define BP_EVENT_INIT(engine)                                                                      \
	{                                                                                          \
		(engine), {NULL, NULL}, false,                                                     \
		{                                                                                  \
			0, 0                                                                       \
		}                                                                                  \
	}

/**
 * bp_event_init() - make an event that is not set
 * @event:	the event
 * @engine:	the engine whose tasks use it
 *
 * Context: any.
 */
void bp_event_init(struct bp_event *event, struct bp_engine *engine);

/**
 * bp_event_set() - it has happened: all who wait go on, in the order of their coming
 * @event:	the event
 *
 * It stays set until bp_event_reset().
 *
 * Context: outside, task, callback.
 */
void bp_event_set(struct bp_event *event);

/**
 * bp_event_reset() - it has not happened any more: who waits from here on waits for the next set
 * @event:	the event
 *
 * Context: outside, task, callback.
 */
void bp_event_reset(struct bp_event *event);

/**
 * bp_event_is_set() - whether it has happened
 * @event:	the event
 *
 * Context: outside, task, callback.
 */
bool bp_event_is_set(struct bp_event *event);

/**
 * bp_event_wait() - wait until it has happened
 * @event:	the event
 *
 * Context: outside, task, callback.
 * Return: 0: it was set, though it may have been reset since; or -ECANCELED, -ETIMEDOUT, -EDEADLK
 * as said above.
 */
int bp_event_wait(struct bp_event *event);

/**
 * bp_event_wait_until() - bp_event_wait() that gives up at a point in time
 * @event:	the event
 * @deadline_ns: point on bp_now()'s clock
 *
 * Context and return: as bp_event_wait(), and -ETIMEDOUT at that time.
 */
int bp_event_wait_until(struct bp_event *event, uint64_t deadline_ns);

/** Bytes of a message of a channel at most; larger things are sent by their address. */
#define BP_CHANNEL_ITEM_MAX 4096u

/**
 * struct bp_channel - a queue of messages of one size, with room for so many
 *
 * Initialised by bp_channel_init().
 */
struct bp_channel {
	struct bp_engine *engine_;
	struct bp_link_ senders_, receivers_;
	char *memory_;
	size_t item_size_, capacity_, first_, count_;
	bool closed_;
	uint64_t spare_[2];
};

/**
 * bp_channel_init() - make an empty channel
 * @channel:	the channel
 * @engine:	the engine whose tasks use it
 * @memory:	room for the messages, @item_size * @capacity bytes, the channel's as long as it is
 *		used; NULL with a capacity of 0
 * @item_size:	bytes of a message, 1 to BP_CHANNEL_ITEM_MAX
 * @capacity:	messages that are kept; with 0 a send waits for its receiver
 *
 * Context: any.
 * Return: 0, or -EINVAL for a size or capacity out of range, or no memory.
 */
int bp_channel_init(struct bp_channel *channel, struct bp_engine *engine, void *memory,
		    size_t item_size, size_t capacity);

/**
 * bp_channel_send() - put a copy of a message into a channel, waiting for room
 * @channel:	the channel
 * @item:	the message
 *
 * Messages arrive in the order in which they were sent.
 *
 * Context: outside, task, callback.
 * Return: 0, or, where it was not sent,
 *	-EPIPE		the channel is closed
 *	-EINVAL		@item is NULL
 *	-ECANCELED, -ETIMEDOUT, -EDEADLK	as said above
 */
int bp_channel_send(struct bp_channel *channel, const void *item);

/**
 * bp_channel_send_until() - bp_channel_send() that gives up at a point in time
 * @channel:	the channel
 * @item:	the message
 * @deadline_ns: point on bp_now()'s clock
 *
 * Context and return: as bp_channel_send(), and -ETIMEDOUT at that time: it was not sent.
 */
int bp_channel_send_until(struct bp_channel *channel, const void *item, uint64_t deadline_ns);

/**
 * bp_channel_try_send() - send if there is room, or somebody who waits for it
 * @channel:	the channel
 * @item:	the message
 *
 * Context: outside, task, callback.
 * Return: 0, or -EAGAIN, -EPIPE, -EINVAL.
 */
int bp_channel_try_send(struct bp_channel *channel, const void *item);

/**
 * bp_channel_recv() - take the oldest message out of a channel, waiting for one
 * @channel:	the channel
 * @item:	where to put it
 *
 * Context: outside, task, callback.
 * Return: 0, or
 *	-EPIPE		the channel is closed, and nothing is left in it
 *	-EINVAL		@item is NULL
 *	-ECANCELED, -ETIMEDOUT, -EDEADLK	as said above; @item is untouched
 */
int bp_channel_recv(struct bp_channel *channel, void *item);

/**
 * bp_channel_recv_until() - bp_channel_recv() that gives up at a point in time
 * @channel:	the channel
 * @item:	where to put it
 * @deadline_ns: point on bp_now()'s clock
 *
 * Context and return: as bp_channel_recv(), and -ETIMEDOUT at that time.
 */
int bp_channel_recv_until(struct bp_channel *channel, void *item, uint64_t deadline_ns);

/**
 * bp_channel_try_recv() - take the oldest message if there is one
 * @channel:	the channel
 * @item:	where to put it
 *
 * Context: outside, task, callback.
 * Return: 0, or -EAGAIN, -EPIPE, -EINVAL.
 */
int bp_channel_try_recv(struct bp_channel *channel, void *item);

/**
 * bp_channel_close() - nothing more will be sent
 * @channel:	the channel
 *
 * What is in it can be received; who waits to send, or to receive what will not come, gets -EPIPE.
 * Closing it again does nothing.
 *
 * Context: outside, task, callback.
 */
void bp_channel_close(struct bp_channel *channel);

/* ---------------------------------------------------------------- items with options */

struct bp_handle;

#define BP_LOOP_ANY (-1)
#define BP_WEIGHT_MAX (1ull << 40)

/**
 * struct bp_go_opts - how to add an item; use BP_GO_OPTS()
 * @sz:		size of this struct as the caller knows it
 * @weight:	places of the group's limit that the item takes, up to BP_WEIGHT_MAX; 0 (the default)
 *		means 1. With bytes for places a limit is one of memory
 * @loop:	the number of the loop that shall run it, from 0; BP_LOOP_ANY by default
 * @try_now:	-EAGAIN instead of a wait, as bp_try_go()
 * @handle:	where to put a handle of the item, or NULL; set before the item can begin, and to NULL
 *		on error
 * @copy_size:	where not 0 the task gets a copy of so many bytes at its argument, as bp_go_copy()
 */
struct bp_go_opts {
	size_t sz;
	uint64_t weight;
	int loop;
	bool try_now;
	struct bp_handle **handle;
	size_t copy_size;
};

#define BP_GO_OPTS(...)                                                                            \
	((struct bp_go_opts[1]){__extension__({                                                    \
		_Pragma("GCC diagnostic push") _Pragma(                                            \
			"GCC diagnostic ignored \"-Woverride-init\"") struct bp_go_opts bp_opts_ = \
			{.sz = sizeof(struct bp_go_opts), .loop = BP_LOOP_ANY, ##__VA_ARGS__};     \
		_Pragma("GCC diagnostic pop") bp_opts_;                                            \
	})}[0])

/**
 * bp_go_opts_default() - what BP_GO_OPTS() is with nothing in it, as a value, for C++
 *
 * Context: any.
 */
static inline struct bp_go_opts bp_go_opts_default(void)
{
	struct bp_go_opts opts;

	memset(&opts, 0, sizeof(opts));
	opts.sz = sizeof(opts);
	opts.loop = BP_LOOP_ANY;
	return opts;
}

/**
 * bp_go_with() - add a task with options
 * @group:	the group
 * @fn:		the task
 * @arg:	its argument
 * @opts:	options, or NULL for none: then it is bp_go()
 *
 * A heavy item stands in line with the others, and is not overtaken by lighter ones; so it waits no
 * longer than those before it take, and those behind it wait for it. A limit of 0 lets it wait; one
 * that is more than 0 and less than its weight never will have enough places: then it is -EINVAL at
 * once, also for one that waits when the limit is lowered so far.
 *
 * Context: as bp_go().
 * Return: as bp_go(), with @try_now as bp_try_go(); and
 *	-EINVAL		an option is out of range, such a weight, or @copy_size without an argument
 */
int bp_go_with(struct bp_group *group, bp_task_fn fn, void *arg, const struct bp_go_opts *opts);

/**
 * bp_go_op_with() - add an operation item with options
 * @group:	the group
 * @op:		the operation, as for bp_go_op()
 * @opts:	options, or NULL for none; copy_size must be 0
 *
 * Context and return: as bp_go_with(), and -EINVAL as bp_go_op().
 */
int bp_go_op_with(struct bp_group *group, struct bp_op *op, const struct bp_go_opts *opts);

/**
 * bp_go_weighted() - bp_go_with() a weight: add a task that takes several places
 * @group:	the group
 * @weight:	places, 1 to BP_WEIGHT_MAX
 * @fn:		the task
 * @arg:	its argument
 *
 * Context and return: as bp_go_with().
 */
int bp_go_weighted(struct bp_group *group, uint64_t weight, bp_task_fn fn, void *arg);

/**
 * bp_go_handle() - bp_go_with() a handle: add a task that can be cancelled alone, and joined
 * @group:	the group
 * @handle:	where to put the handle; NULL is -EINVAL
 * @fn:		the task
 * @arg:	its argument
 *
 * Context and return: as bp_go_with().
 */
int bp_go_handle(struct bp_group *group, struct bp_handle **handle, bp_task_fn fn, void *arg);

/**
 * bp_go_on() - bp_go_with() a loop: add a task that runs on one loop
 * @group:	the group
 * @loop:	the number of the loop; -EINVAL where there is none
 * @fn:		the task
 * @arg:	its argument
 *
 * Tasks of one loop never run at the same time, so what they share between their operations needs
 * no lock.
 *
 * Context and return: as bp_go_with().
 */
int bp_go_on(struct bp_group *group, unsigned int loop, bp_task_fn fn, void *arg);

/**
 * bp_loop_index() - the number of the loop on which the caller runs
 *
 * Context: any.
 * Return: its number from 0, or -1 outside.
 */
int bp_loop_index(void);

/*
 * A handle stands for one item. It may be used and released at any time, before and after the item's
 * end, after its group's too; it must be released before its engine is destroyed.
 */

/**
 * bp_handle_cancel() - end one item, and leave its group alone
 * @handle:	the handle
 * @cause:	negative errno that is to be its result; 0 stands for -ECANCELED
 *
 * What happens to the item is what bp_cancel() does to it: its operations give -ECANCELED, and what
 * has not started never will. An item that returns -ECANCELED then counts as stopped, never as a
 * failure of the group; its result, for the report too, is @cause. The first cancel counts. Does not
 * wait.
 *
 * Context: outside, task, callback.
 * Return: 0, or -ESRCH: it has ended.
 */
int bp_handle_cancel(struct bp_handle *handle, int cause);

/**
 * bp_handle_join() - wait for the end of one item
 * @handle:	the handle
 * @result:	set to what it returned, or to the cause of its own cancel; or NULL
 *
 * Context: outside, task, callback.
 * Return: 0: it has ended, or
 *	-ECANCELED, -ETIMEDOUT	the calling task was ended; the item goes on
 *	-EDEADLK	it is the calling task's own, or as bp_mutex_lock() for callbacks and threads
 */
int bp_handle_join(struct bp_handle *handle, int *result);

/**
 * bp_handle_join_until() - bp_handle_join() that gives up at a point in time
 * @handle:	the handle
 * @result:	as of bp_handle_join()
 * @deadline_ns: point on bp_now()'s clock
 *
 * Context and return: as bp_handle_join(), and -ETIMEDOUT at that time: the item goes on.
 */
int bp_handle_join_until(struct bp_handle *handle, int *result, uint64_t deadline_ns);

/**
 * bp_handle_end() - whether and how one item has ended
 * @handle:	the handle
 * @end:	set to how, or NULL
 * @result:	set to its result, or NULL
 *
 * Context: outside, task, callback.
 * Return: 0, or -EAGAIN: it has not.
 */
int bp_handle_end(const struct bp_handle *handle, enum bp_end *end, int *result);

/**
 * bp_handle_notify() - be told of the end of one item
 * @handle:	the handle
 * @fn:		called once, with @arg, the item's argument and its end
 * @arg:	first argument of @fn
 *
 * As the report of a group: on the loop that ended the item, as a callback. If it has ended already,
 * @fn is called before this returns (an argument that was copied is gone by then).
 *
 * Context: outside, task, callback.
 * Return: 0, -EINVAL without @fn, or -EBUSY: somebody is to be told already.
 */
int bp_handle_notify(struct bp_handle *handle, bp_report_fn fn, void *arg);

/**
 * bp_handle_release() - give a handle back
 * @handle:	the handle, or NULL
 *
 * The item goes on. Who has asked to be told of its end is.
 *
 * Context: outside, task, callback.
 */
void bp_handle_release(struct bp_handle *handle);

/* ---------------------------------------------------------------- what tasks and groups carry */

#define BP_TIME_NONE UINT64_MAX

/**
 * bp_time_left() - how long the calling task may still go on
 *
 * What ends it first counts: the deadline of its group and of the groups above, the item's timeout,
 * timeout scopes; inside a shield only scopes that were begun there. For a time that is to be handed on,
 * to a server or to a call with a timeout of its own.
 *
 * Context: task only.
 * Return: nanoseconds; 0 when it was ended already; BP_TIME_NONE when nothing will end it.
 */
uint64_t bp_time_left(void);

/**
 * bp_task_group() - the group that the calling task is an item of
 *
 * As .parent of a group of its own, say.
 *
 * Context: task only.
 */
struct bp_group *bp_task_group(void);

/**
 * bp_group_set_value() - have a group carry a value
 * @group:	the group
 * @key:	the address of something of the caller's, so that no two keys are the same
 * @value:	the value; what it points at must live as long as the group
 *
 * Groups below see it too, unless they have a value of their own for @key. After Go's
 * context.WithValue: for what belongs to a request, not for parameters.
 *
 * Context: outside, task, callback.
 * Return: 0, -EINVAL without a key, or -ENOMEM.
 */
int bp_group_set_value(struct bp_group *group, const void *key, void *value);

/**
 * bp_group_value() - the value that a group, or the nearest group above it, has for a key
 * @group:	the group; in a task bp_task_group() is its own
 * @key:	the key
 *
 * Context: outside, task, callback.
 * Return: the value, or NULL.
 */
void *bp_group_value(const struct bp_group *group, const void *key);

/**
 * bp_cancel_text() - bp_cancel() with a cause in words
 * @group:	the group
 * @cause:	as for bp_cancel()
 * @text:	why, for people; copied, 4,095 bytes at most; or NULL
 *
 * Where another cause stands already, that one and its words stay. Groups below get the words with
 * the cause. bp_engine_dump() shows them.
 *
 * Context: as bp_cancel().
 * Return: 0, or -ENOMEM: the group was cancelled without the words.
 */
int bp_cancel_text(struct bp_group *group, int cause, const char *text);

/**
 * bp_cause_text() - the cause so far, in words
 * @group:	the group
 * @buf:	where to put them, ended by a NUL and cut where they do not fit; or NULL
 * @size:	bytes of @buf
 *
 * The words of bp_cancel_text(), or else the description of the error; "" without a cause.
 *
 * Context: outside, task, callback.
 * Return: the length of the whole text, as snprintf().
 */
size_t bp_cause_text(const struct bp_group *group, char *buf, size_t size);

/**
 * struct bp_local_key - names a value of each task; its address is the key
 * @destroy:	called with the value when its task ends, unless that is NULL; or NULL
 */
struct bp_local_key {
	void (*destroy)(void *value);
};

/**
 * bp_local_set() - set a value of the calling task's own
 * @key:	the key, which must live as long as the task
 * @value:	the value; one that was there before is not destroyed
 *
 * When the task's function has returned its values are destroyed, the one whose key was set last
 * first, still in the task: what does it may call anything that a task may.
 *
 * Context: task only.
 * Return: 0, -EINVAL without a key, or -ENOMEM.
 */
int bp_local_set(const struct bp_local_key *key, void *value);

/**
 * bp_local_get() - a value of the calling task's own
 * @key:	the key
 *
 * Context: task only.
 * Return: the value, or NULL where none was set.
 */
void *bp_local_get(const struct bp_local_key *key);

/* ---------------------------------------------------------------- results in order */

struct bp_ordered;

#define BP_WINDOW_DEFAULT 64u
#define BP_WINDOW_MAX (1u << 20)
#define BP_RESULT_MAX (1u << 20)

/**
 * typedef bp_map_fn - what a task of a collector runs
 * @arg:	its argument
 * @result:	result_size bytes of zeros, for its result
 *
 * Return: as bp_task_fn.
 */
typedef int (*bp_map_fn)(void *arg, void *result);

/**
 * typedef bp_deliver_fn - takes the results in the order of input
 * @ctx:	deliver_arg of the options
 * @arg:	the argument of the task
 * @end:	how it ended
 * @res:	what it returned; -ECANCELED for one that never started
 * @result:	its result, valid until this returns
 *
 * A callback, which must not block, on whichever loop; never two at a time.
 */
typedef void (*bp_deliver_fn)(void *ctx, void *arg, enum bp_end end, int res, void *result);

/**
 * struct bp_ordered_opts - how to make a collector; zeros but for sz and deliver are good
 * @sz:		size of this struct as the caller knows it
 * @group:	options of its group, or NULL for the defaults; the report is the collector's own
 * @window:	results that are kept or worked on at a time, up to BP_WINDOW_MAX; 0 means
 *		BP_WINDOW_DEFAULT
 * @result_size: bytes of a result, up to BP_RESULT_MAX
 * @deliver:	takes them
 * @deliver_arg: its first argument
 */
struct bp_ordered_opts {
	size_t sz;
	const struct bp_group_opts *group;
	size_t window;
	size_t result_size;
	bp_deliver_fn deliver;
	void *deliver_arg;
};

/** Default options, with fields of the caller's own: &BP_ORDERED_OPTS(.deliver = print). */
#define BP_ORDERED_OPTS(...)                                                                       \
	((struct bp_ordered_opts){.sz = sizeof(struct bp_ordered_opts), ##__VA_ARGS__})

/**
 * bp_ordered_opts_default() - what BP_ORDERED_OPTS() is with nothing in it, as a value, for C++
 *
 * Context: any.
 */
static inline struct bp_ordered_opts bp_ordered_opts_default(void)
{
	struct bp_ordered_opts opts;

	memset(&opts, 0, sizeof(opts));
	opts.sz = sizeof(opts);
	return opts;
}

/**
 * bp_ordered_create() - make a collector: a group whose results are delivered in the order of input
 * @ordered:	where to put it; set to NULL on error
 * @engine:	the engine whose loops run its items
 * @opts:	options
 *
 * All its memory is taken here: window * result_size bytes and a little. After conc's ResultPool.
 *
 * Context: outside, task, callback.
 * Return: 0, or
 *	-EINVAL		an option is out of range, there is no @deliver, the group has a report, or
 *			as bp_group_create()
 *	-ENOMEM		no memory
 */
int bp_ordered_create(struct bp_ordered **ordered, struct bp_engine *engine,
		      const struct bp_ordered_opts *opts);

/**
 * bp_ordered_go() - add a task, waiting for a place in the window and then for one in the group
 * @ordered:	the collector
 * @fn:		the task
 * @arg:	its argument
 *
 * Each task that was accepted is delivered once, whatever its end, before bp_wait() on the group
 * returns.
 *
 * Context and return: as bp_go(). A wait for the window ends as one for a semaphore.
 */
int bp_ordered_go(struct bp_ordered *ordered, bp_map_fn fn, void *arg);

/**
 * bp_ordered_group() - the collector's group: to wait for it, to cancel it, for its figures
 * @ordered:	the collector
 *
 * Context: any.
 */
struct bp_group *bp_ordered_group(struct bp_ordered *ordered);

/**
 * bp_ordered_destroy() - end a collector and its group, as bp_group_destroy()
 * @ordered:	the collector, or NULL
 *
 * Context: as bp_group_destroy().
 */
void bp_ordered_destroy(struct bp_ordered *ordered);

#ifdef __cplusplus
}
#endif

#endif /* BATCHPROC_H */
