/* SPDX-License-Identifier: MIT */
/*
 * file: the copy of one regular file.
 *
 *	begin --> [ block, block ... ] --> finish        all plain calls, see blocking.h
 *	  '----------------'--------------> abandon      removes what was made
 *
 * A file that was not there is made in place, with O_EXCL and without any permission until it is
 * whole, and its owner and times are right: mode 01000, which nobody gives a file, is how a later
 * run knows one that was never finished. One that is there is replaced: a temporary file beside it,
 * then rename. So is one that gets attributes or an ACL made, since these need or change the mode.
 * A small file goes from begin to end in one call; a large one in blocks, so that a cancel waits
 * for a block at most.
 *
 * Who makes the calls was measured: see blocking.c.
 */
#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "batchproc.h"
#include "base/blocking.h"
#include "base/calls.h"
#include "base/device.h"
#include "verbs/copy/attributes.h"
#include "verbs/copy/file.h"
#include "verbs/copy/leftovers.h"
#include "verbs/copy/marks.h"
#include "verbs/copy/names.h"
#include "run/job.h"
#include "run/steer.h"
#include "journal/journal.h"
#include "run/ownfiles.h"
#include "digest/hasher.h"
#include "walk/tree.h"

#define STEP_BYTES 16777216u /* of a large file, between two looks for a cancel */

/* ---- the source */

/* Whether its size says little: what is below an overlay may be of any kind, so one read tells. */
static bool is_unsized(const struct copying *c)
{
	const off_t size = c->st.st_size;
	char last[2];

	switch (device_kind_waiting(c->st.st_dev, c->src)) {
	case DEVICE_TRUSTED:
		return false;
	case DEVICE_STACKED:
		return call_pread(c->src, last, sizeof(last), size ? size - 1 : 0) != (size != 0);
	default:
		return true;
	}
}

/* It is read to its end, and looks like a file to all else. */
static int begin_stream(struct copying *c)
{
	c->from_stream = c->to_end = true;
	c->sparse = false;
	c->st.st_mode = S_IFREG | (c->st.st_mode & 07777);
	c->st.st_size = 0;
	c->item->source.kind = ORIGIN_ONCE;
	return fcntl(c->src, F_SETFL, 0) ? -errno : 0;
}

static int open_source(struct copying *c)
{
	int flags = O_RDONLY | O_NONBLOCK | O_NOCTTY;

	if (!copy_follows(c->set, !c->item->dir))
		flags |= O_NOFOLLOW;
	if (c->src < 0)
		c->src = call_openat(c->from.dirfd, c->from.name, flags, 0);
	if (c->src == -ELOOP)
		return copy_fail(c, c->src, "has become a symbolic link");
	if (c->src < 0)
		return c->src;
	if (fstat(c->src, &c->st))
		return -errno;
	c->looked = true;
	if (S_ISDIR(c->st.st_mode))
		return -EISDIR;
	if (c->set->contents && !S_ISREG(c->st.st_mode) && !S_ISSOCK(c->st.st_mode))
		return begin_stream(c);
	if (!S_ISREG(c->st.st_mode))
		return copy_fail(c, -EINVAL, "is not a regular file any more");
	c->to_end = is_unsized(c);
	item_note_source(c->item, &c->st);
	c->sparse = c->set->sparse != SPARSE_NEVER &&
		    (uint64_t)c->st.st_blocks * 512 < (uint64_t)c->st.st_size;
	return 0;
}

/* ---- the end */

static int verify(struct copying *c)
{
	unsigned char digest[DIGEST_SIZE_MAX];
	const struct digest_alg *alg = copy_algorithm(c->set);
	int err = call_fsync(c->dst);

	if (err)
		return err;
	posix_fadvise(c->dst, 0, 0, POSIX_FADV_DONTNEED);
	err = copy_read_back(c, alg, digest);
	if (err)
		return copy_fail(c, err, "the copy cannot be read back");
	if (memcmp(digest, c->digest, alg->size))
		return copy_fail(c, -EIO, "the copy is not what was read (--verify)");
	return 0;
}

/* The source is what it was when it was opened: what was read is all of one file. */
static int check_source(struct copying *c)
{
	struct stat now;

	if (c->from_stream)
		return 0;
	if (fstat(c->src, &now))
		return -errno;
	/* A server may learn the size while the file is read. */
	if ((now.st_size != c->st.st_size && !(c->to_end && now.st_size == (off_t)c->pos)) ||
	    now.st_mtim.tv_sec != c->st.st_mtim.tv_sec ||
	    now.st_mtim.tv_nsec != c->st.st_mtim.tv_nsec)
		return copy_changed(c);
	return 0;
}

static int set_metadata(struct copying *c)
{
	const bool replaces = c->old_fd >= 0 && !c->anew;
	mode_t mode = meta_mode(c->set, &c->st, replaces ? &c->old : NULL);
	const struct meta m = {
		.set = c->set,
		.from = c->src,
		.st = &c->st,
		.to = c->dst,
		.bare = !c->attributes,
		.marked = c->mark != MARK_NONE && !c->over,
		/* What is written into has what it had. */
		.inherits = c->dest->default_acl || c->over,
		.lost = &((struct copy_item *)item_priv(c->item))->lost,
	};

	if (c->over && !c->set->keep_mode)
		mode = (mode_t)-1;
	else if (replaces && !c->over)
		meta_keep(&m, c->old_fd, &c->to, &c->old, &mode);
	return meta_set(&m, copy_inherits_mode(c) ? (mode_t)-1 : mode);
}

/* Where there is no such call: looks and renames as one, among the items of this run. */
static int rename_if_new(struct copying *c)
{
	pthread_mutex_t *lock = &c->item->job->copy->lock;
	struct stat st;
	int err = -EEXIST;

	pthread_mutex_lock(lock);
	if (fstatat(c->to.dirfd, c->to.name, &st, AT_SYMLINK_NOFOLLOW))
		err = call_renameat(c->to.dirfd, c->temp, c->to.name);
	pthread_mutex_unlock(lock);
	return err;
}

/* Where nothing was there, another item may have come by a name that is the same here. */
static int give_name(struct copying *c)
{
	bool backs_up = c->set->backup && c->old_fd >= 0;
	struct stat st;
	int err;

	if (c->old_fd < 0) {
		err = call_rename_new(c->to.dirfd, c->temp, c->to.name);
		if (err == -EINVAL || err == -ENOSYS || err == -EPERM)
			err = rename_if_new(c);
		if (err != -EEXIST)
			return err;
		if (!fstatat(c->to.dirfd, c->to.name, &st, AT_SYMLINK_NOFOLLOW)) {
			if (copy_meets_other(c, &st))
				return -EEXIST;
			backs_up = c->set->backup && !S_ISDIR(st.st_mode);
		}
	}
	if (backs_up) {
		err = backup_make(c->item, &c->st, &c->to);
		if (err)
			return err;
	}
	err = call_renameat(c->to.dirfd, c->temp, c->to.name);
	if (backs_up) {
		if (err)
			backup_undo(c->item, &c->to);
		return err;
	}
	if (c->old_fd >= 0)
		copy_tell_of_inplace(c, err);
	return err;
}

/* Of a file that ends with a hole. */
static int set_length(struct copying *c)
{
	int err = call_ftruncate(c->dst, (off_t)c->pos);

	return err == -ESPIPE || err == -EPERM || err == -ENOSYS || err == -EOPNOTSUPP ?
		       copy_fill(c, c->pos) :
		       err;
}

static int finish(void *arg)
{
	struct copying *c = arg;
	int err = check_source(c), fd;

	/* Another run that took it for a leftover has removed it. */
	if (!err && !c->over && c->pos >= SMALL_BYTES &&
	    !dest_is_named(c->to.dirfd, c->temp[0] ? c->temp : c->to.name, c->dst)) {
		err = copy_fail(c, -ESTALE, "another run has taken the place of its copy");
		c->beaten = true;
	}
	if (!err && c->written < c->pos && !c->into_stream)
		err = set_length(c);
	if (!err && c->set->verify)
		err = c->into_stream ?
			      copy_fail(c, -EINVAL, "what is no file cannot be read back") :
			      verify(c);
	if (!err && !c->into_stream)
		err = set_metadata(c);
	if (!err && c->set->sync && !c->into_stream)
		err = call_fsync(c->dst);
	if (err)
		return err;
	/*
	 * Some file systems tell only at a close that they could not write. The lock of a temporary
	 * file has to outlast its name, so that a second descriptor is closed for that.
	 */
	fd = c->temp[0] ? dup(c->dst) : c->dst;
	if (fd < 0)
		return -errno;
	if (!c->temp[0])
		c->dst = -1;
	err = call_close(fd);
	if (!err && c->temp[0])
		err = give_name(c);
	if (err)
		return err;
	c->made = false;
	return c->set->sync && !c->item->dir ? dest_sync(c->to.dirfd) : 0;
}

static int make_and_copy(struct copying *c)
{
	bool needless = false;
	int err = copy_make(c, &needless);

	if (err || needless)
		return err;
	if (c->set->attributes_only)
		return finish(c);
	err = copy_clone(c);
	if (err < 0)
		return err;
	if (!err) {
		if (c->digests)
			err = copy_read_back(c, copy_algorithm(c->set), c->digest);
		return err ? err : finish(c);
	}
	if ((uint64_t)c->st.st_size < SMALL_BYTES && !c->sparse && !c->to_end && !c->into_stream &&
	    (!c->paced || !c->st.st_size)) {
		err = copy_small(c);
		return err ? err : finish(c);
	}
	if (c->digests)
		digest_begin(c->hasher->digest, copy_algorithm(c->set));
	/* Who reads a FIFO may take his time. */
	if (c->into_stream)
		c->sparse = false;
	else if (c->to_end && !c->sparse && !c->paced) {
		err = copy_first(c);
		if (err != COPY_MORE)
			return err ? err : finish(c);
	}
	posix_fadvise(c->src, 0, 0, POSIX_FADV_SEQUENTIAL);
	return COPY_MORE;
}

static int begin(void *arg)
{
	struct copying *c = arg;
	int err = c->src >= 0 && c->looked ? 0 : open_source(c);
	bool skip = false;

	if (!err && own_file_skips(c->item, &c->st))
		return COPY_DONE;
	if (!err)
		err = copy_claim(c->item, &c->st, &skip);
	if (err || skip)
		return err;
	c->digests = c->set->alg || c->set->verify;
	c->attributes = (c->set->keep_mode || c->set->keep_xattrs) &&
			attributes_any_wanted(c->set, c->src);
	/* A file of /sys has another time once somebody has asked for its attributes. */
	if (c->to_end && !c->from_stream && c->set->keep_mode && fstat(c->src, &c->st))
		return -errno;
	if (copy_is_linked(c->set, &c->st) && !c->first_link)
		return COPY_LINKED;
	return make_and_copy(c);
}

/* ---- in the task */

/* The next block, under --bwlimit paid for before it is read. */
static int next_block(struct copying *c)
{
	struct job *job = c->item->job;
	uint64_t left = c->to_end ? c->step : (uint64_t)c->st.st_size - c->pos;
	uint64_t paid = left < c->step ? left : c->step, before = c->item->bytes, bytes;
	int err;

	if (!c->paced)
		return blocking_long(copy_block, c);
	err = pace_bytes(job, paid);
	if (err)
		return err;
	err = blocking_long(copy_block, c);
	bytes = c->item->bytes - before;
	if (bytes < paid)
		pace_give_back(job, paid - bytes);
	return err;
}

static int copy_blocks(struct copying *c)
{
	int err;

	c->step = c->paced ? pace_block(c->item->job, STEP_BYTES) : STEP_BYTES;
	while ((err = next_block(c)) == COPY_MORE)
		;
	if (!err && c->digests)
		digest_finish(c->hasher->digest, c->digest);
	return err ? err : blocking_long(finish, c);
}

/*
 * As if nothing had been done yet: the source is opened anew, for it may be one that cannot go
 * back.
 */
static void forget_progress(struct copying *c)
{
	copy_close(&c->src);
	c->temp[0] = '\0';
	c->over = c->anew = c->into_stream = c->in_order = false;
	c->no_range = c->is_there = c->ended = false;
	c->pos = c->data_end = c->written = 0;
	c->item->bytes = 0;
}

/* Whether a server may be asked, as far as is known before the source is open. */
static bool may_take_long(const struct copying *c)
{
	return c->item->type != DT_REG || c->kind == DEVICE_OTHER;
}

static int run_begin(struct copying *c)
{
	int (*const call)(int (*fn)(void *arg), void *arg) = may_take_long(c) ? blocking_long :
										blocking;
	unsigned int tries = 0;
	int err;

	do {
		err = bp_cancelled() ? bp_yield() : call(begin, c);
		if (lacks_descriptor(err)) {
			copy_start_over(c);
			forget_progress(c);
		}
	} while (steer_await_descriptor(c->item->job, err, &tries));
	return err;
}

static void close_slowly(int *fd)
{
	if (*fd >= 0)
		device_close(DEVICE_OTHER, *fd);
	*fd = -1;
}

static void clean_up(struct copying *c)
{
	if (c->made) {
		bp_shield_begin();
		device_call(c->kind, copy_abandon, c);
		bp_shield_end();
	}
	/* A server is told of a close, and waited for. */
	if (c->kind == DEVICE_OTHER || c->to_end) {
		close_slowly(&c->dst);
		close_slowly(&c->src);
	}
	copy_close(&c->dst);
	copy_close(&c->src);
	copy_close(&c->old_fd);
}

/* Not here, or not so many of them: then it is a copy of its own. */
static bool no_links(const struct item *item, int err)
{
	return err < 0 && !item->why && err != -ECANCELED && err != -ETIMEDOUT && err != -EMFILE &&
	       err != -ENFILE;
}

static int become_link(struct copying *c, struct hardlink_copy *copy)
{
	struct copy_item *own = item_priv(c->item);
	int err = special_link(c->item, copy, &c->to, c->dest);

	if (!err)
		hardlink_done(c->item, &c->st, HARDLINK_JOINED, NULL);
	if (no_links(c->item, err)) {
		hardlink_copy_free(copy);
		lost_add(&own->lost, err, "link to another name of it");
		c->first_link = true;
		err = run_begin(c);
		return err == COPY_MORE ? copy_blocks(c) : err;
	}
	memcpy(c->digest, copy->digest, sizeof(c->digest));
	c->digests = copy->has_digest;
	hardlink_copy_free(copy);
	return err;
}

static int copy_linked(struct copying *c)
{
	struct hardlink_copy copy = {0};
	bool there, made;
	int err;

	err = hardlink_await(c->item, &c->st, &copy, &there);
	if (err)
		return err;
	if (there)
		return become_link(c, &copy);
	c->first_link = true;
	err = run_begin(c);
	if (err == COPY_MORE)
		err = copy_blocks(c);
	made = c->is_there || (!err && c->item->status == STATUS_OK);
	hardlink_done(c->item, &c->st,
		      err  ? HARDLINK_FAILED :
		      made ? HARDLINK_MADE :
			     HARDLINK_PASSED,
		      c->is_there || !c->digests ? NULL : c->digest);
	return err;
}

/* Waits for a writer, in a way that a cancel ends. It stays open: what was written is lost else. */
static int await_writer(struct copying *c)
{
	int events;

	if (c->src < 0)
		c->src = call_openat(c->from.dirfd, c->from.name, O_RDONLY | O_NONBLOCK | O_NOCTTY,
				     0);
	events = c->src < 0 ? c->src : bp_poll(c->src, POLLIN);
	return events < 0 ? events : 0;
}

static int copy_whole(struct copying *c)
{
	int err = c->item->type == DT_FIFO ? await_writer(c) : 0;

	if (!err)
		err = run_begin(c);

	if (err == COPY_LINKED)
		return copy_linked(c);
	return err == COPY_MORE ? copy_blocks(c) : err;
}

static int make_room(void *arg)
{
	struct copying *c = arg;

	leftovers_give_way(c->item, c->to.dirfd);
	forget_progress(c);
	c->first_link = false;
	return 0;
}

int copy_file(struct item *item, const struct at_name *from, const struct at_name *to,
	      struct dest *dest)
{
	struct copy_item *own = item_priv(item);
	struct copying c = {
		.item = item,
		.set = item->settings,
		.from = *from,
		.to = *to,
		.dest = dest,
		.src = -1,
		.dst = -1,
		.old_fd = -1,
		.hasher = hasher_get(),
		.kind = copy_kind(item, dest, to->dirfd),
		.paced = pace_bytes_limited(item->job),
	};
	int err = copy_whole(&c);

	if (err == -ENOSPC || err == -EDQUOT) {
		clean_up(&c);
		blocking_long(make_room, &c);
		err = copy_whole(&c);
	}
	/* Both are to be whole, and have their name in turn: see temp.c. */
	if (err == -ESTALE && c.beaten && !c.from_stream) {
		clean_up(&c);
		forget_progress(&c);
		c.first_link = false;
		item->why = NULL;
		err = copy_whole(&c);
	}
	clean_up(&c);
	if (!err && item->status == STATUS_OK && c.set->alg && c.digests) {
		memcpy(own->digest, c.digest, c.set->alg->size);
		own->has_digest = true;
	}
	hasher_put(c.hasher);
	return err;
}
