/* SPDX-License-Identifier: MIT */
/*
 * walk: turns directory trees into items, concurrently and in flat memory.
 *
 *	walk_add() --> stack of pending directories --pop--> walker tasks --> item_submit()
 *	                        ^------ subdirectories ---------'   ^
 *	               directories to be left -------pop------------'
 *	                        ^------ nothing is left below them (tree.h)
 *
 * Walkers are tasks in a group of their own, so that one that waits for a place among the items
 * never takes the place that it waits for. They start when there is work and end when there is
 * none. The stack is last in, first out: depth first, which keeps it short. The roots of further
 * trees wait in a queue beside it until it is empty.
 *
 * Where the work on an item is one short call, as with rm, walkers work: each does by itself what
 * it finds, and is a task of the items' group with one item in flight. So a directory is one
 * thread's, for threads that unlink in one directory wait for each other in the kernel (two of them
 * do 1.5 times the work of one on ext4, and 2.0 times in a directory each), and no task is started
 * for each file.
 *
 * Memory. A pending directory is its name and its parent. When the stack is long, a walker leaves
 * the rest of the directory that it reads below the subdirectories found so far, as a pending one
 * that goes on at a position, so that a million subdirectories never stand in memory at once.
 *
 * The stack, what is to be left and the number of walkers stand under walk->lock. What is done with
 * one directory is in walkdir.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "run/job.h"
#include "run/steer.h"
#include "walk/tree.h"
#include "base/alloc.h"
#include "walk/walk.h"
#include "walk/walkdir.h"

#define STACK_LONG 65536u /* pending directories from which on reading is put off */
#define ROOTS_MANY 65536u /* of trees that are not begun, before more are taken in */
#define WORKERS_PER_LOOP 2u /* one works while the other opens a directory, or waits */

/* ---- the stack */

static int walker(void *arg);

/* Under the lock: whether there should be one more walker, which then counts already. */
static bool wants_walker(struct walk *walk)
{
	bool wants = walk->active < walk->most && !steer_stopped(walk->job);

	walk->active += wants;
	return wants;
}

static void walk_never_started(struct walk *walk)
{
	/* As in nothing_below(): there may be nobody else to notice the deadline. */
	steer_stopping(walk->job);
	pthread_mutex_lock(&walk->lock);
	walk->active--;
	pthread_cond_broadcast(&walk->changed);
	pthread_mutex_unlock(&walk->lock);
}

static void start_walker(struct walk *walk)
{
	/* One that has a place among the items must not wait for another: it goes on alone. */
	const bool waits = !walk->works || pthread_equal(pthread_self(), walk->job->main_thread);
	int err = (waits ? bp_go : bp_try_go)(walk->group, walker, walk);

	if (!err)
		return;
	walk_never_started(walk);
	if (err != -ECANCELED && (waits || err != -EAGAIN))
		steer_trouble(walk->job, "cannot walk a directory", err);
}

/* Puts a chain of directories on the stack, and starts a walker if there should be one more. */
void walk_push(struct walk *walk, struct pending *chain)
{
	bool start;

	pthread_mutex_lock(&walk->lock);
	while (chain) {
		struct pending *p = chain;

		chain = p->next;
		p->next = walk->stack;
		walk->stack = p;
		walk->depth++;
	}
	start = wants_walker(walk);
	pthread_mutex_unlock(&walk->lock);
	if (start)
		start_walker(walk);
}

/* dirs->ended: nothing is left below @dir. */
static bool nothing_below(struct dirnode *dir)
{
	struct walk *walk = dir->tree->walk;
	bool start;

	if (!dir->tree->ops->leaves)
		return true;
	/* A group whose deadline passed ends its items before anybody else may have noticed. */
	steer_stopping(walk->job);
	pthread_mutex_lock(&walk->lock);
	if (dir->recorded) {
		if (--walk->live == 0)
			pthread_cond_broadcast(&walk->changed);
		pthread_mutex_unlock(&walk->lock);
		return true;
	}
	dir->next = walk->leaving;
	walk->leaving = dir;
	start = wants_walker(walk);
	/* Whoever is active comes by here, or says that he has ended. */
	if (!walk->active)
		pthread_cond_broadcast(&walk->changed);
	pthread_mutex_unlock(&walk->lock);
	if (start)
		start_walker(walk);
	return false;
}

/* A directory that was left lets go of its parent, which may be the next to be left. */
static void left(struct walk *walk, struct dirnode *dir)
{
	dirnode_free(dir);
	pthread_mutex_lock(&walk->lock);
	if (--walk->live == 0)
		pthread_cond_broadcast(&walk->changed);
	pthread_mutex_unlock(&walk->lock);
}

static void walk_item_ended(struct dirnode *dir, struct dirnode *self, bool well)
{
	/* A directory is left after its last item. */
	if (dir && !well)
		atomic_store(&dir->failed, true);
	dirnode_put_open(dir);
	if (self)
		left(self->tree->walk, self);
}

/* Under the lock. */
static bool has_pending(const struct walk *walk)
{
	return walk->stack || walk->roots;
}

/* Under the lock. */
static struct pending *pop_pending(struct walk *walk)
{
	struct pending *p = walk->stack;

	if (p) {
		walk->stack = p->next;
		walk->depth--;
	} else if (walk->roots) {
		p = walk->roots;
		walk->roots = p->next;
		if (!walk->roots)
			walk->roots_end = &walk->roots;
		if (--walk->queued == ROOTS_MANY - 1)
			pthread_cond_broadcast(&walk->changed);
	}
	if (p)
		p->next = NULL;
	return p;
}

/* Under the lock. */
static struct dirnode *pop_leaving(struct walk *walk)
{
	struct dirnode *dir = walk->leaving;

	if (dir)
		walk->leaving = dir->next;
	return dir;
}

/* What is to be done next: one of the two. False: nothing, and the walker that asks has ended. */
static bool pop(struct walk *walk, struct pending **p, struct dirnode **dir)
{
	bool start = false;

	*p = NULL;
	*dir = NULL;
	pthread_mutex_lock(&walk->lock);
	if (!steer_stopped(walk->job)) {
		*dir = pop_leaving(walk);
		if (!*dir)
			*p = pop_pending(walk);
	}
	if (!*dir && !*p) {
		walk->active--;
		pthread_cond_broadcast(&walk->changed);
	} else if (walk->works && has_pending(walk)) {
		/* Each one is busy for long, so there cannot be too many too soon. */
		start = wants_walker(walk);
	}
	pthread_mutex_unlock(&walk->lock);
	if (start)
		start_walker(walk);
	return *dir || *p;
}

bool walk_is_deep(struct walk *walk)
{
	bool is_long;

	pthread_mutex_lock(&walk->lock);
	is_long = walk->depth >= STACK_LONG;
	pthread_mutex_unlock(&walk->lock);
	return is_long;
}

/* ---- walkers */

/* What walkers are at is known, for the case that one does not come back. */
static void begin_reading(struct walk *walk, struct pending *p)
{
	pthread_mutex_lock(&walk->lock);
	p->reading = walk->reading;
	walk->reading = p;
	pthread_mutex_unlock(&walk->lock);
}

static void note_open(struct walk *walk, struct pending *p, struct dirnode *dir)
{
	pthread_mutex_lock(&walk->lock);
	p->dir = dir;
	pthread_mutex_unlock(&walk->lock);
}

static void end_reading(struct walk *walk, struct pending *p)
{
	struct pending **at = &walk->reading;

	pthread_mutex_lock(&walk->lock);
	while (*at && *at != p)
		at = &(*at)->reading;
	if (*at)
		*at = p->reading;
	pthread_mutex_unlock(&walk->lock);
}

/* From a directory into its first subdirectory, then into that one's ... */
static void descend(struct walk *walk, struct pending *p, struct block *block)
{
	struct pending *next;

	for (; p; p = next) {
		struct dirnode *dir;

		if (steer_stopping(walk->job)) {
			walk_push(walk, p);
			return;
		}
		begin_reading(walk, p);
		dir = walkdir_open(walk, p);
		next = NULL;
		if (dir) {
			note_open(walk, p, dir);
			next = walkdir_read(walk, dir, p, block);
			dirnode_put_open(dir);
		}
		end_reading(walk, p);
		pending_free(p);
	}
}

/*
 * A task stays on its loop. So that one loop does not keep all walkers that work while another
 * sleeps, each is followed by a new one, which goes to the loop that takes it first.
 */
static bool give_way(struct walk *walk)
{
	return walk->works && !bp_try_go(walk->group, walker, walk);
}

static int walker(void *arg)
{
	struct walk *walk = arg;
	struct block *block = walkdir_block_new(walk);
	struct dirnode *dir;
	struct pending *p;

	while (pop(walk, &p, &dir)) {
		if (dir) {
			walkdir_leave(walk, dir);
			continue;
		}
		descend(walk, p, block);
		if (give_way(walk))
			break;
	}
	walkdir_block_free(block);
	return 0;
}

/* ---- for the job */

static void walker_ended(void *ctx, void *arg, enum bp_end end, int result)
{
	(void)ctx;
	(void)result;
	if (end == BP_END_NEVER_STARTED)
		walk_never_started(arg);
}

/*
 * Whether walkers work, and how many there may be. They do not where an item has to be a task
 * because it is timed, waits before it starts or is tried again, or where directories of other
 * verbs are on the stack.
 */
static void settle(struct walk *walk)
{
	const struct job *job = walk->job;
	const struct options *opt = job->opt;
	unsigned int most = job->walkers;

	/* One walker alone reads in an order that does not depend on time. */
	walk->most = opt->keep_order || job->ops->one_by_one ? 1 : most;
	walk->works = job->class.ops->brief && !job->ops->mixes && !opt->keep_order &&
		      !opt->timeout_ns && !opt->retries && !opt->rate && !opt->reject;
	if (!walk->works || job->ops->one_by_one)
		return;
	if (bp_engine_info(job->engine)->backend == BP_BACKEND_URING &&
	    most > WORKERS_PER_LOOP * job->loops)
		most = WORKERS_PER_LOOP * job->loops;
	/*
	 * One place is for the walker that takes over from another, where there are more than two.
	 */
	if (job->limit <= (long)most)
		most = (unsigned int)(job->limit > 2 ? job->limit - 1 : job->limit);
	walk->most = most;
}

static int walk_create(struct job *job)
{
	struct walk *walk = xcalloc(1, sizeof(*walk));
	int err = 0;

	walk->job = job;
	settle(walk);
	walk->dirs.idle_most = job->idle_dirs;
	walk->held_most = job->idle_dirs;
	walk->roots_end = &walk->roots;
	walk->dirs.ended = nothing_below;
	pthread_mutex_init(&walk->dirs.lock, NULL);
	pthread_mutex_init(&walk->lock, NULL);
	pthread_cond_init(&walk->changed, NULL);
	if (walk->works)
		walk->group = job->group;
	else
		err = bp_group_create(&walk->group, job->engine,
				      &BP_GROUP_OPTS(.stop_after_failures = 0,
						     .deadline_ns = job->deadline_ns,
						     .report = walker_ended));
	job->walk = walk;
	return err;
}

static void walk_destroy(struct walk *walk)
{
	if (!walk->works)
		bp_group_destroy(walk->group);
	pthread_cond_destroy(&walk->changed);
	pthread_mutex_destroy(&walk->lock);
	pthread_mutex_destroy(&walk->dirs.lock);
	free(walk);
}

/* Under the lock: whether a further tree may be added. */
static bool may_add(const struct walk *walk)
{
	if (walk->job->opt->keep_order)
		return !walk->active && !walk->live && !has_pending(walk);
	return walk->queued < ROOTS_MANY;
}

/* Behind the others: as few trees as can be are begun and not ended, for each holds descriptors. */
static void push_root(struct walk *walk, struct pending *p)
{
	bool start;

	pthread_mutex_lock(&walk->lock);
	*walk->roots_end = p;
	walk->roots_end = &p->next;
	walk->queued++;
	start = wants_walker(walk);
	pthread_mutex_unlock(&walk->lock);
	if (start)
		start_walker(walk);
}

/* Whether a further tree may be added; if not, some time later. */
static bool added(struct walk *walk)
{
	bool may;

	pthread_mutex_lock(&walk->lock);
	may = may_add(walk);
	if (!may && !steer_stopped(walk->job))
		pthread_cond_wait(&walk->changed, &walk->lock);
	pthread_mutex_unlock(&walk->lock);
	return may;
}

void walk_add(struct walk *walk, const struct walk_root *root, const char *path, size_t len)
{
	struct tree *tree = xcalloc(1, sizeof(*tree));

	atomic_init(&tree->refs, 1);
	tree->walk = walk;
	tree->class = item_class_get(root->class);
	tree->ops = root->ops;
	tree->above = -1;
	tree->kind = root->kind;
	tree->data = root->data;
	tree->release = root->release;
	push_root(walk, pending_new(tree, NULL, path, len));
	tree_put(tree);

	/* The deadline may have ended all that would wake this thread. */
	while (!steer_stopping(walk->job) && !added(walk))
		;
}

/* After a stop: what was not reached has its record all the same, as input for another run. */
static bool give_up_one(struct walk *walk)
{
	struct pending *p;
	struct dirnode *dir;

	pthread_mutex_lock(&walk->lock);
	p = pop_pending(walk);
	dir = p ? NULL : pop_leaving(walk);
	pthread_mutex_unlock(&walk->lock);
	if (dir)
		item_finish(walkdir_leaving(walk, dir, false), STATUS_NOT_STARTED, 0);
	if (p) {
		walkdir_give_up(walk, p);
		pending_free(p);
	}
	return dir || p;
}

static void walk_wait(struct walk *walk)
{
	for (;;) {
		bool active, over;

		/* The deadline may have ended all that would go on; then the walk has stopped. */
		steer_stopping(walk->job);
		pthread_mutex_lock(&walk->lock);
		over = !walk->live && !has_pending(walk) && !walk->leaving;
		active = walk->active || (!over && !steer_stopped(walk->job));
		if (active || (!over && !has_pending(walk) && !walk->leaving))
			pthread_cond_wait(&walk->changed, &walk->lock);
		pthread_mutex_unlock(&walk->lock);
		if (active)
			continue;
		if (over)
			break;
		give_up_one(walk);
	}
	/* That of the items takes more until all is fed. */
	if (!walk->works)
		bp_wait(walk->group);
}

static void walk_cancel(struct walk *walk)
{
	if (!walk->works)
		bp_cancel(walk->group, 0);
}

static void walk_wake(struct walk *walk)
{
	pthread_mutex_lock(&walk->lock);
	pthread_cond_broadcast(&walk->changed);
	pthread_mutex_unlock(&walk->lock);
}

struct job *walk_tree_job(const struct tree *tree)
{
	return tree->walk->job;
}

struct tree *walk_item_tree(const struct item *item)
{
	const struct dirnode *dir = item->dir ? item->dir : item->self;

	return dir ? dir->tree : NULL;
}

/*
 * Directories that would be left, of which something below will not end. For the thread that ends
 * the run; nothing is let go of, since whoever has not ended has it still.
 */
static void write_off_above(struct walk *walk, struct dirnode *dir)
{
	for (; dir && dir->tree->ops->leaves && !dir->written_off; dir = dir->parent) {
		struct item *item = walkdir_leaving(walk, dir, false);

		dir->written_off = true;
		item->self = NULL;
		item_finish(item, STATUS_NOT_STARTED, 0);
	}
}

static void write_off(struct walk *walk, const struct pending *p)
{
	struct dirnode *dir = p->dir ? p->dir : p->rest;

	/* One that is left when all below it has ended has one record, wherever it is found. */
	if (!dir || !p->tree->ops->leaves)
		walkdir_write_off(walk, p);
	write_off_above(walk, dir ? dir : p->parent);
}

static void walk_give_up(struct walk *walk)
{
	struct pending *p;

	pthread_mutex_lock(&walk->lock);
	p = walk->reading;
	walk->reading = NULL;
	pthread_mutex_unlock(&walk->lock);
	for (; p; p = p->reading)
		write_off(walk, p);
	for (;;) {
		pthread_mutex_lock(&walk->lock);
		p = pop_pending(walk);
		pthread_mutex_unlock(&walk->lock);
		if (!p)
			break;
		write_off(walk, p);
	}
}

const struct walk_hooks walk_hooks = {
	.give_up = walk_give_up,
	.write_off_above = write_off_above,
	.create = walk_create,
	.wait = walk_wait,
	.cancel = walk_cancel,
	.wake = walk_wake,
	.never_started = walk_never_started,
	.destroy = walk_destroy,
	.add_path = dirnode_path,
	.descriptor = dirnode_fd,
	.item_ended = walk_item_ended,
};
