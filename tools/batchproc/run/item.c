/* SPDX-License-Identifier: MIT */
/*
 * item: the life of one input, from its number to its record.
 *
 *	item_new() --> item_submit() --bp_go()--> item_task() --> item_finish() --> free list
 *	                   |  stop, dry run, limit reached             ^
 *	                   '-------------------------------------------'
 *
 * Items come from a free list and keep their buffers, so that in the long run nothing is
 * allocated for one. The list and the counts stand under the job's lock, which is taken twice in
 * an item's life and never held over a call that may wait.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "run/attempts.h"
#include "run/job.h"
#include "output/output.h"
#include "run/overdue.h"
#include "run/record.h"
#include "run/steer.h"
#include "base/alloc.h"
#include "base/array.h"

#define SLAB_ITEMS 64u
#define KEEP_BYTES 4096u /* a longer buffer is not kept for the next item */
#define BULK_LEAST 32 /* items in flight from which on the feed starts many at once */
#define BULK_NAP_LEAST_NS 50000
#define BULK_NAP_MOST_NS 1000000
#define ROOM_NAP_NS 1000000ull /* how soon a walker notices that output moves again */

struct item_slab {
	struct item_slab *next;
	_Alignas(max_align_t) unsigned char items[];
};

static size_t item_size(const struct job *job)
{
	size_t align = _Alignof(max_align_t);

	return (sizeof(struct item) + job->priv_size + align - 1) / align * align;
}

void items_init(struct job *job)
{
	job->next_seq = 1;
	if (job->opt->keep_order)
		order_init(&job->order, job->limit);
}

void items_exit(struct job *job)
{
	struct item_slab *slab;

	for (struct item *item = job->free; item; item = item->next) {
		buf_free(&item->name);
		buf_free(&item->lines);
	}
	while ((slab = job->slabs)) {
		job->slabs = slab->next;
		free(slab);
	}
	order_exit(&job->order);
}

void items_each(struct job *job, void (*fn)(struct item *item, void *arg), void *arg)
{
	const size_t size = item_size(job);
	struct item_slab *slab;

	pthread_mutex_lock(&job->lock);
	slab = job->slabs;
	pthread_mutex_unlock(&job->lock);
	/* Slabs stay, and are added in front. */
	for (; slab; slab = slab->next)
		for (size_t i = 0; i < SLAB_ITEMS; i++)
			fn((struct item *)(slab->items + i * size), arg);
}

static void add_slab(struct job *job)
{
	size_t size = item_size(job);
	struct item_slab *slab = xcalloc(1, sizeof(*slab) + SLAB_ITEMS * size);

	slab->next = job->slabs;
	job->slabs = slab;
	for (size_t i = 0; i < SLAB_ITEMS; i++) {
		struct item *item = (struct item *)(slab->items + i * size);

		item->job = job;
		item->next = job->free;
		job->free = item;
	}
}

static bool has_room(struct job *job)
{
	bool room;

	if (output_full(job->output))
		return false;
	if (!job->opt->keep_order)
		return true;
	pthread_mutex_lock(&job->lock);
	room = order_room(&job->order);
	pthread_mutex_unlock(&job->lock);
	return room;
}

static void await_room(struct job *job)
{
	/* Nobody waits any more, and it may be a thread of none of the two kinds. */
	if (atomic_load_explicit(&job->ending, memory_order_relaxed))
		return;
	if (!pthread_equal(pthread_self(), job->main_thread)) {
		/* A walker must not block its loop. Once it is cancelled it has little to add. */
		while (!has_room(job) && !bp_sleep(ROOM_NAP_NS))
			;
		return;
	}
	output_wait(job->output);
	if (!job->opt->keep_order)
		return;
	pthread_mutex_lock(&job->lock);
	order_wait(&job->order, &job->lock);
	pthread_mutex_unlock(&job->lock);
}

static struct item *take_item(struct job *job, const struct item_class *class, struct dirnode *dir,
			      const char *name, size_t len, bool other_shard)
{
	struct item *item;

	await_room(job);
	pthread_mutex_lock(&job->lock);
	if (!job->free)
		add_slab(job);
	item = job->free;
	job->free = item->next;
	item->seq = other_shard ? 0 : job->next_seq++;
	job->other_shards += other_shard;
	pthread_mutex_unlock(&job->lock);

	item->ops = class->ops;
	item->settings = class->settings;
	item->class = dir ? NULL : item_class_get(class);
	item->dir = dir;
	item->self = NULL;
	item->type = DT_UNKNOWN;
	item->name.len = 0;
	buf_add(&item->name, name, len);
	buf_char(&item->name, '\0');
	item->name.len = len;
	item->status = STATUS_OK;
	item->err = 0;
	item->why = NULL;
	item->other_shard = other_shard;
	item->fed = false;
	item->silent = false;
	item->skipped_named = false;
	item->below = dir != NULL;
	item->restored = false;
	item->maybe_done = false;
	item->source.kind = attempts_origin(item);
	item->bytes = 0;
	item->attempts = 0;
	item->start_ns = 0;
	item->end_ns = 0;
	memset(item->priv, 0, job->priv_size);
	atomic_store_explicit(&item->phase, ITEM_WAITING, memory_order_release);
	return item;
}

static bool is_of_other_shard(const struct job *job, const struct dirnode *dir, const char *name,
			      size_t len)
{
	struct buf path = {0};
	bool owned;

	if (!job->opt->shard.parts)
		return false;
	if (dir)
		job->ops->walk->add_path(dir, &path);
	buf_add(&path, name, len);
	owned = shard_owns(&job->opt->shard, path.data, path.len);
	buf_free(&path);
	return !owned;
}

struct item *item_new(struct job *job, const struct item_class *class, struct dirnode *dir,
		      const char *name, size_t len)
{
	/* What its root covers is where the root is. */
	bool other_shard = job->opt->shard.parts && !(dir && class->ops->roots_cover) &&
			   is_of_other_shard(job, dir, name, len);

	return take_item(job, class, dir, name, len, other_shard);
}

bool item_passes_over(struct job *job, const char *name, size_t len)
{
	if (!is_of_other_shard(job, NULL, name, len))
		return false;
	pthread_mutex_lock(&job->lock);
	job->other_shards++;
	pthread_mutex_unlock(&job->lock);
	return true;
}

struct item *item_new_undivided(struct job *job, const struct item_class *class,
				struct dirnode *dir, const char *name, size_t len)
{
	return take_item(job, class, dir, name, len, false);
}

static void trim(struct buf *buf)
{
	if (buf->cap > KEEP_BYTES)
		buf_free(buf);
}

/* Gives an item's memory back, under the job's lock. */
static void put(struct item *item)
{
	atomic_store_explicit(&item->phase, ITEM_FREE, memory_order_relaxed);
	trim(&item->name);
	trim(&item->lines);
	item->next = item->job->free;
	item->job->free = item;
}

void item_path(const struct item *item, struct buf *buf)
{
	if (item->dir)
		item->job->ops->walk->add_path(item->dir, buf);
	buf_add(buf, item->name.data, item->name.len);
}

void item_note_source(struct item *item, const struct stat *st)
{
	item->source = (struct origin){
		.kind = S_ISREG(st->st_mode) ? ORIGIN_FILE : ORIGIN_NAME,
		.size = (uint64_t)st->st_size,
		.sec = st->st_mtim.tv_sec,
		.nsec = (uint32_t)st->st_mtim.tv_nsec,
	};
}

/* Hands an item's lines to the output. */
static void emit(const struct item *item)
{
	_Static_assert(ARRAY_SIZE(item->ends) == SINK_COUNT, "an end for each sink");
	if (item->ends[SINK_COUNT - 1])
		output_add_all(item->job->output, item->lines.data, item->ends);
}

static enum verdict count(struct job *job, const struct item *item)
{
	job->counts.of[item->status]++;
	job->counts.ended++;
	/* Clones of files with holes may add up to more than there is. */
	if (__builtin_add_overflow(job->counts.bytes, item->bytes, &job->counts.bytes))
		job->counts.bytes = UINT64_MAX;
	job->counts.skipped_named += item->status == STATUS_SKIPPED && item->skipped_named;
	job->counts.restored += item->restored;
	job->view.ended = job->counts.ended;
	job->view.succeeded = job->counts.of[STATUS_OK] + job->counts.restored;
	job->view.failed = job->counts.of[STATUS_FAILED] + job->counts.of[STATUS_TIMEOUT];
	return policy_judge(&job->opt->policy, &job->view);
}

/* The last word on it: from here on it is its lines and its counts. */
static void release(struct item *item)
{
	if (item->ops->release)
		item->ops->release(item);
	if (item->class)
		item_class_put(item->class);
}

/* Another process does it, and has its record. */
static void forget(struct item *item)
{
	struct job *job = item->job;
	struct dirnode *dir = item->dir, *self = item->self;

	release(item);
	pthread_mutex_lock(&job->lock);
	put(item);
	pthread_mutex_unlock(&job->lock);
	if (dir || self)
		job->ops->walk->item_ended(dir, self, true);
}

/* Writes what --keep-order lets go of, under the job's lock, so that nobody comes between. */
static void put_in_order(struct job *job, struct item *item)
{
	struct item *next;

	for (item = order_put(&job->order, item); item; item = next) {
		next = item->next;
		emit(item);
		put(item);
	}
}

struct item *item_copy(const struct item *item)
{
	const size_t size = item_size(item->job);

	return memcpy(xcalloc(1, size), item, size);
}

void item_written_off(struct item *copy, enum status status, int err)
{
	struct job *job = copy->job;
	enum verdict verdict;

	copy->status = status;
	copy->err = err;
	if (copy->start_ns && job->opt->json)
		copy->end_ns = bp_now(job->engine);
	record_item(copy);
	if (!job->opt->keep_order)
		emit(copy);
	pthread_mutex_lock(&job->lock);
	verdict = count(job, copy);
	if (job->opt->keep_order)
		put_in_order(job, copy);
	pthread_mutex_unlock(&job->lock);
	if (verdict != VERDICT_GO)
		steer_verdict(job, verdict);
}

void item_finish(struct item *item, enum status status, int err)
{
	struct job *job = item->job;
	struct dirnode *dir = item->dir, *self = item->self;
	enum verdict verdict;
	bool well;

	if (item->other_shard) {
		forget(item);
		return;
	}
	if (atomic_exchange(&item->phase, ITEM_ENDED) == ITEM_ENDED) {
		overdue_ended(item);
		forget(item);
		return;
	}
	item->status = status;
	item->err = err;
	if (item->start_ns && job->opt->json)
		item->end_ns = bp_now(job->engine);
	record_item(item);

	/* A directory is left after its last item. */
	release(item);
	well = !item_unsuccessful(item);
	if (!job->opt->keep_order)
		emit(item);

	pthread_mutex_lock(&job->lock);
	verdict = count(job, item);
	if (job->opt->keep_order)
		put_in_order(job, item);
	else
		put(item);
	pthread_mutex_unlock(&job->lock);
	if (dir || self)
		job->ops->walk->item_ended(dir, self, well);

	if (verdict != VERDICT_GO)
		steer_verdict(job, verdict);
}

/* The group was cancelled, or this item's time ran out: the next operation says which. */
static int end_cancelled(struct item *item, bool over)
{
	struct job *job = item->job;
	int err = over ? -ETIMEDOUT : bp_yield();

	if (err == -ETIMEDOUT) {
		item->why = "took longer than --timeout allows";
		item_finish(item, STATUS_TIMEOUT, err);
		return err;
	}
	/* Without another reason it was the deadline; steer_stopping() notes that. */
	steer_stopping(job);
	item->why = NULL;
	item_finish(item, STATUS_CANCELLED, 0);
	return -ECANCELED;
}

/* From here on only the work brings it to its end, or the end of all patience. */
static void begin(struct item *item)
{
	int waiting = ITEM_WAITING;

	atomic_compare_exchange_strong(&item->phase, &waiting, ITEM_WORKING);
}

static int perform(struct item *item)
{
	struct job *job = item->job;
	bool over;
	int err;

	if (item->other_shard) {
		forget(item);
		return !steer_stopping(job);
	}
	if (steer_stopping(job)) {
		item_finish(item, STATUS_NOT_STARTED, 0);
		return -ECANCELED;
	}
	if ((job->journal && job->ops->journal->skips(item)) || job->opt->dry_run) {
		item_finish(item, STATUS_SKIPPED, 0);
		return 0;
	}
	if (attempts_wait_in_task(job) && (pace_start(job) || steer_stopping(job))) {
		steer_stopping(job);
		item_finish(item, STATUS_NOT_STARTED, 0);
		return -ECANCELED;
	}
	/* Only a record tells it; for small files two looks at the clock are a hundredth of all. */
	item->start_ns = job->opt->json ? bp_now(job->engine) : job->start_ns;
	if (job->opt->timeout_ns)
		item->began_ns = bp_now(job->engine);
	begin(item);
	err = attempts_timed(item, &over);
	if (err >= 0) {
		item_finish(item, item->status, item->err);
		return 0;
	}
	/* The second: who takes samples, say, ends early where no more of them are wanted. */
	if (((over || bp_cancelled()) && (err == -ECANCELED || err == -ETIMEDOUT)) ||
	    (err == -ECANCELED && steer_stopped(job)))
		return end_cancelled(item, over);
	item_finish(item, STATUS_FAILED, err);
	return err;
}

int item_task(void *item)
{
	struct job *job = ((struct item *)item)->job;
	bool fed = ((struct item *)item)->fed;
	int err = perform(item);

	if (fed)
		queue_ended(job);
	return err;
}

void item_perform(struct item *item)
{
	perform(item);
}

static long limit_now(const struct job *job)
{
	struct bp_group_stats stats = {.sz = sizeof(stats)};

	if (!job->finds_limit)
		return job->limit;
	bp_group_stats(job->group, &stats);
	return stats.limit;
}

/*
 * Starts an item from the main thread where walkers start some too. With fast items a loop would wake this thread for each
 * place that becomes free, at more cost than the item's own; so once it had to wait it lets some
 * more become free, for as long as an eighth of them takes by what was seen. Where so few are in
 * flight that they could run out meanwhile it does not.
 */
static int start_from_outside(struct item *item)
{
	struct job *job = item->job;
	int err = bp_try_go(job->group, item_task, item);
	long wanted;

	job->started_at_once++;
	if (err != -EAGAIN)
		return err;
	err = bp_go(job->group, item_task, item);
	wanted = limit_now(job) / 8;
	if (wanted < BULK_LEAST / 8)
		return err;
	if (job->started_at_once < wanted && job->bulk_nap_ns < BULK_NAP_MOST_NS)
		job->bulk_nap_ns += job->bulk_nap_ns / 4;
	else if (job->started_at_once > 2 * wanted && job->bulk_nap_ns > BULK_NAP_LEAST_NS)
		job->bulk_nap_ns -= job->bulk_nap_ns / 4;
	job->started_at_once = 0;
	nanosleep(&(struct timespec){.tv_nsec = job->bulk_nap_ns}, NULL);
	return err;
}

static int start_item(struct item *item)
{
	struct job *job = item->job;

	if (job->opt->rate && !attempts_wait_in_task(job) &&
	    (pace_start(job) || steer_stopping(job)))
		return -ECANCELED;
	/* What is left now was not offered, but entered. */
	if (job->opt->reject && !item->self)
		return bp_try_go(job->group, item_task, item);
	if (pthread_equal(pthread_self(), job->main_thread))
		return job->queue.used ? queue_start(item) : start_from_outside(item);
	return bp_go(job->group, item_task, item);
}

bool item_start_failed(struct item *item, int err)
{
	if (!err)
		return false;
	if (err != -ECANCELED)
		steer_trouble(item->job, "cannot start an item", err);
	steer_stopping(item->job);
	item_finish(item, STATUS_NOT_STARTED, 0);
	return true;
}

bool item_submit(struct item *item)
{
	struct job *job = item->job;
	int err;

	if (item->other_shard) {
		forget(item);
		return !steer_stopping(job);
	}
	if (steer_stopping(job)) {
		item_finish(item, STATUS_NOT_STARTED, 0);
		return false;
	}
	/* With a journal only a task can tell whether it would be done. */
	if (job->opt->dry_run && !job->journal) {
		item_finish(item, STATUS_SKIPPED, 0);
		return true;
	}
	err = start_item(item);
	if (err == -EAGAIN && job->opt->reject) {
		item_finish(item, STATUS_REJECTED, 0);
		return true;
	}
	return !item_start_failed(item, err);
}

void items_never_started(void *ctx, void *arg, enum bp_end end, int result)
{
	struct job *job = ctx;
	struct item *item = arg;
	bool fed;

	(void)result;
	/* Any other end was written by the task itself, and its item is another one's by now. */
	if (end != BP_END_NEVER_STARTED)
		return;
	if (arg == job->walk) {
		job->ops->walk->never_started(job->walk);
		return;
	}
	fed = item->fed;
	item_finish(item, STATUS_NOT_STARTED, 0);
	if (fed)
		queue_ended(job);
}
