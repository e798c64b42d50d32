/* SPDX-License-Identifier: MIT */
/*
 * copyfile: the copy of one regular file.
 *
 *	begin --> [ block, block ... ] --> finish        all plain calls, see blocking.h
 *	  '----------------'--------------> abandon      removes what was made
 *
 * A file that was not there is made in place, with O_EXCL and without any permission until it is
 * whole: mode 0 is how a later run knows one that was never finished. One that is there is replaced:
 * a temporary file beside it, then rename. A small file goes from begin to end in one call; a
 * large one in blocks, so that a cancel waits for a block at most.
 *
 * Measured on a fresh ext4, Linux 6.18, 2 cores, 50,000 files of 8 KiB: see the figures in blocking.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "batchproc.h"
#include "blocking.h"
#include "calls.h"
#include "copy.h"
#include "job.h"
#include "tool.h"
#include "tree.h"
#include "util.h"

#define SMALL_BYTES TOOL_BYTES /* one read, one write */
#define STEP_BYTES 16777216u /* of a large file, between two looks for a cancel */
#define HOLE_BYTES 268435456 /* of a hole, digested likewise */

struct copying {
	struct item *item;
	const struct copy_settings *set;
	struct tool *tool;
	struct spot from, to;
	const struct dest *dest;
	int src, dst;
	struct stat st; /* of the source when it was opened */
	struct stat old; /* of what is replaced */
	int old_fd; /* with O_PATH; -1: nothing is replaced */
	bool made; /* there is something to remove */
	bool first_link; /* other names of the source wait for this copy */
	bool digests;
	bool paced; /* --bwlimit: nothing is read that has not been paid for */
	bool sparse;
	bool no_range; /* copy_file_range() does not work here */
	char temp[NAME_MAX + 1]; /* "": it is made in place */
	uint64_t pos; /* so much is copied */
	uint64_t step; /* of it at a time */
	uint64_t data_end; /* where the next hole begins */
	uint64_t written; /* where the copy ends */
	unsigned char digest[DIGEST_SIZE_MAX];
};

/* What begin() and block() give when there is more to do. */
enum {
	DONE = 0,
	MORE = 1,
	IS_LINKED = 2,
};

static int fail(struct copying *c, int err, const char *why)
{
	c->item->why = why;
	return err;
}

static void moved(struct copying *c, size_t bytes)
{
	c->item->bytes += bytes;
	atomic_fetch_add_explicit(&c->item->job->moved, bytes, memory_order_relaxed);
}

/* What is digested for the reader, or to be compared with what is read back. */
static const struct digest_alg *algorithm(const struct copy_settings *set)
{
	return set->alg ? set->alg : digest_by_name("xxh128");
}

/* ---- source and destination */

static int open_source(struct copying *c)
{
	int flags = O_RDONLY | O_NONBLOCK | O_NOCTTY;

	if (c->item->dir || c->set->recursive)
		flags |= O_NOFOLLOW;
	c->src = call_openat(c->from.dirfd, c->from.name, flags, 0);
	if (c->src == -ELOOP)
		return fail(c, c->src, "has become a symbolic link");
	if (c->src < 0)
		return c->src;
	if (fstat(c->src, &c->st))
		return -errno;
	if (S_ISDIR(c->st.st_mode))
		return -EISDIR;
	if (!S_ISREG(c->st.st_mode))
		return fail(c, -EINVAL, "is not a regular file any more");
	c->sparse = (uint64_t)c->st.st_blocks * 512 < (uint64_t)c->st.st_size;
	return 0;
}

bool copy_needless(struct item *item, const struct stat *st, const struct stat *old)
{
	const struct copy_settings *set = item->settings;

	if (!set->update && !set->ignore_existing)
		return false;
	/* Never finished, by a run that was killed. */
	if (S_ISREG(old->st_mode) && !(old->st_mode & 07777) && old->st_uid == geteuid())
		return false;
	if (set->update && !set->ignore_existing &&
	    (st->st_mtim.tv_sec > old->st_mtim.tv_sec ||
	     (st->st_mtim.tv_sec == old->st_mtim.tv_sec &&
	      st->st_mtim.tv_nsec > old->st_mtim.tv_nsec)))
		return false;
	item->status = STATUS_SKIPPED;
	item->why = set->ignore_existing ? "the destination is there" :
					   "the destination is not older";
	return true;
}

int copy_may_replace(struct item *item, const struct stat *st, const struct stat *old)
{
	if (old->st_dev == st->st_dev && old->st_ino == st->st_ino) {
		item->why = "source and destination are the same file";
		return -EINVAL;
	}
	if (S_ISDIR(old->st_mode)) {
		item->why = "the destination is a directory";
		return -EISDIR;
	}
	if (!S_ISREG(st->st_mode) || S_ISREG(old->st_mode))
		return 0;
	if (S_ISLNK(old->st_mode)) {
		item->why = "the destination is a symbolic link, which is not followed";
		return -EEXIST;
	}
	item->why = "the destination is a FIFO, a socket or a device";
	return -EEXIST;
}

/* Something is there: may it be replaced? 0: yes, or it has gone again. DONE + 1: it need not be. */
static int look_at_old(struct copying *c)
{
	bool unfinished;
	int err;

	c->old_fd = call_openat(c->to.dirfd, c->to.name, O_PATH | O_NOFOLLOW, 0);
	if (c->old_fd == -ENOENT)
		return 0;
	if (c->old_fd < 0)
		return c->old_fd;
	if (fstat(c->old_fd, &c->old))
		return -errno;
	err = copy_may_replace(c->item, &c->st, &c->old);
	if (err)
		return err;
	if (copy_needless(c->item, &c->st, &c->old))
		return 1;
	/* What may not be written is not replaced either, as with cp. */
	unfinished = !(c->old.st_mode & 07777) && c->old.st_uid == geteuid();
	if (!unfinished && faccessat(c->old_fd, "", W_OK, AT_EMPTY_PATH | AT_EACCESS))
		return errno == EINVAL || errno == ENOSYS ? 0 : -errno;
	/* It has nothing to keep. */
	if (unfinished) {
		close(c->old_fd);
		c->old_fd = -1;
	}
	return 0;
}

static int destination_flags(const struct copying *c)
{
	return c->set->verify || c->set->alg ? O_RDWR : O_WRONLY;
}

static int make_temporary(struct copying *c)
{
	mode_t mode = c->dest->default_acl ? meta_mode(c->set, &c->st, NULL) : S_IRUSR | S_IWUSR;

	temp_name(c->to.name, c->temp);
	c->dst = temp_create(c->to.dirfd, c->temp, destination_flags(c), mode);
	if (c->dst == -EBUSY)
		return fail(c, c->dst, "another run is writing it");
	return c->dst < 0 ? c->dst : 0;
}

/* Return: 0, 1: the copy is needless, or -errno. */
static int make_destination(struct copying *c)
{
	int err;

	if (!c->set->atomic && !c->dest->default_acl) {
		c->dst = call_openat(c->to.dirfd, c->to.name,
				     destination_flags(c) | O_CREAT | O_EXCL | O_NOFOLLOW, 0);
		c->made = c->dst >= 0;
		if (c->made)
			return 0;
		if (c->dst != -EEXIST)
			return c->dst;
	}
	err = look_at_old(c);
	if (!err)
		err = make_temporary(c);
	c->made = !err;
	return err;
}

/* ---- data */

static _Thread_local struct {
	dev_t from, to;
	bool refused;
} last_clone;

/* Return: 0: all of it is there; 1: it has to be copied; or -errno. */
static int try_clone(struct copying *c)
{
	int err;

	if (c->set->reflink == REFLINK_NEVER || !c->st.st_size)
		return 1;
	if (c->set->reflink == REFLINK_AUTO && last_clone.refused &&
	    last_clone.from == c->st.st_dev && last_clone.to == c->dest->dev)
		return 1;
	err = call_clone(c->dst, c->src);
	if (!err) {
		c->pos = c->written = (uint64_t)c->st.st_size;
		moved(c, (size_t)c->st.st_size);
		return 0;
	}
	if (c->set->reflink == REFLINK_ALWAYS)
		return fail(c, err, "cannot be cloned (--reflink always)");
	/* It may be this file only: with -EINVAL others can be tried. */
	if (err == -EOPNOTSUPP || err == -EXDEV || err == -ENOTTY) {
		last_clone.from = c->st.st_dev;
		last_clone.to = c->dest->dev;
		last_clone.refused = true;
	}
	return 1;
}

static int write_all(struct copying *c, const unsigned char *data, size_t len, uint64_t pos)
{
	while (len) {
		ssize_t n = call_pwrite(c->dst, data, len, (off_t)pos);

		if (n < 0)
			return (int)n;
		data += n;
		len -= (size_t)n;
		pos += (uint64_t)n;
	}
	if (pos > c->written)
		c->written = pos;
	return 0;
}

static int changed(struct copying *c)
{
	return fail(c, -ESTALE, "changed while it was copied");
}

/* A block of zeros that need not be written. */
static void digest_hole(struct copying *c, uint64_t len)
{
	memset(c->tool->buffer, 0, TOOL_BYTES);
	while (len) {
		size_t part = len < TOOL_BYTES ? (size_t)len : TOOL_BYTES;

		digest_update(c->tool->digest, c->tool->buffer, part);
		len -= part;
	}
}

/* Goes over holes to the next data; data_end is where that ends. */
static int seek_data(struct copying *c)
{
	uint64_t size = (uint64_t)c->st.st_size, next = size;
	off_t at;

	c->data_end = size;
	if (!c->sparse)
		return 0;
	at = lseek(c->src, (off_t)c->pos, SEEK_DATA);
	if (at < 0 && errno != ENXIO) {
		/* No such thing here: all is data. */
		c->sparse = false;
		return errno == EINVAL || errno == EOPNOTSUPP ? 0 : -errno;
	}
	if (at >= 0 && (uint64_t)at < size)
		next = (uint64_t)at;
	if (c->digests && next > c->pos) {
		/* The digest of a long hole must not hold up a cancel. */
		if (next - c->pos > HOLE_BYTES)
			next = c->pos + HOLE_BYTES;
		digest_hole(c, next - c->pos);
		c->data_end = next;
	} else if (next < size) {
		at = lseek(c->src, (off_t)next, SEEK_HOLE);
		if (at >= 0 && (uint64_t)at < size)
			c->data_end = (uint64_t)at;
	}
	c->pos = next;
	return 0;
}

/* Return: how many bytes, 0: it is not to be had here, or -errno. */
static ssize_t copy_range(struct copying *c, size_t len)
{
	ssize_t n;

	if (c->digests || c->no_range || c->set->reflink == REFLINK_NEVER)
		return 0;
	n = call_copy_range(c->src, c->dst, (off_t)c->pos, len);
	switch (n) {
	case -EXDEV:
	case -EINVAL:
	case -EPERM:
	case -EOPNOTSUPP:
	case -ENOSYS:
	case -ETXTBSY:
	case -EBADF:
		n = 0;
		break;
	default:
		break;
	}
	/* 0 before the end: some file systems say so of files that can be read all the same. */
	if (!n)
		c->no_range = true;
	return n;
}

static ssize_t copy_buffer(struct copying *c, size_t len)
{
	ssize_t n = call_pread(c->src, c->tool->buffer, len < TOOL_BYTES ? len : TOOL_BYTES,
			       (off_t)c->pos);
	int err;

	if (n < 0)
		return n;
	if (!n)
		return changed(c);
	if (c->digests)
		digest_update(c->tool->digest, c->tool->buffer, (size_t)n);
	err = write_all(c, c->tool->buffer, (size_t)n, c->pos);
	return err ? err : n;
}

/* A part of a large file. Return: MORE, DONE, or -errno. */
static int block(void *arg)
{
	struct copying *c = arg;
	uint64_t done = 0;

	while (done < c->step && c->pos < (uint64_t)c->st.st_size) {
		size_t len;
		ssize_t n;

		if (c->pos >= c->data_end) {
			int err = seek_data(c);

			if (err)
				return err;
			if (c->pos >= c->data_end) {
				done += c->digests ? c->step : 0;
				continue;
			}
		}
		len = (size_t)(c->data_end - c->pos);
		if (len > c->step - done)
			len = (size_t)(c->step - done);
		n = copy_range(c, len);
		if (!n)
			n = copy_buffer(c, len);
		if (n < 0)
			return (int)n;
		c->pos += (uint64_t)n;
		if (c->pos > c->written)
			c->written = c->pos;
		done += (uint64_t)n;
		moved(c, (size_t)n);
	}
	return c->pos < (uint64_t)c->st.st_size ? MORE : DONE;
}

/* All of a file that fits into the buffer. */
static int copy_small(struct copying *c)
{
	size_t size = (size_t)c->st.st_size, got = 0;
	int err;

	/* One byte more than there should be shows whether it grew. */
	while (got < SMALL_BYTES) {
		ssize_t n =
			call_pread(c->src, c->tool->buffer + got, SMALL_BYTES - got, (off_t)got);

		if (n < 0)
			return (int)n;
		got += (size_t)n;
		if (!n || got == size)
			break;
	}
	/* Files of /proc and the like say that they are empty. */
	if (got != size && size)
		return changed(c);
	if (!size && got == SMALL_BYTES)
		return fail(c, -EFBIG, "has no size, and more than can be read at once");
	if (c->digests)
		digest_once(c->tool->digest, algorithm(c->set), c->tool->buffer, got, c->digest);
	err = write_all(c, c->tool->buffer, got, 0);
	if (err)
		return err;
	c->pos = got;
	moved(c, got);
	return 0;
}

/* ---- the end */

/* Reads the copy, from the device where that can be had; for a digest of it. */
static int digest_copy(struct copying *c, const struct digest_alg *alg, unsigned char *digest)
{
	off_t pos = 0;
	ssize_t n;

	digest_begin(c->tool->digest, alg);
	while ((n = call_pread(c->dst, c->tool->buffer, TOOL_BYTES, pos)) > 0) {
		digest_update(c->tool->digest, c->tool->buffer, (size_t)n);
		pos += n;
	}
	digest_finish(c->tool->digest, digest);
	if (!n && (uint64_t)pos != c->pos)
		n = -EIO;
	return (int)n;
}

static int verify(struct copying *c)
{
	unsigned char digest[DIGEST_SIZE_MAX];
	const struct digest_alg *alg = algorithm(c->set);
	int err = call_fsync(c->dst);

	if (err)
		return err;
	posix_fadvise(c->dst, 0, 0, POSIX_FADV_DONTNEED);
	err = digest_copy(c, alg, digest);
	if (err)
		return fail(c, err, "the copy cannot be read back");
	if (memcmp(digest, c->digest, alg->size))
		return fail(c, -EIO, "the copy is not what was read (--verify)");
	return 0;
}

/* The source is what it was when it was opened: what was read is all of one file. */
static int check_source(struct copying *c)
{
	struct stat now;

	if (fstat(c->src, &now))
		return -errno;
	if (now.st_size != c->st.st_size || now.st_mtim.tv_sec != c->st.st_mtim.tv_sec ||
	    now.st_mtim.tv_nsec != c->st.st_mtim.tv_nsec)
		return changed(c);
	return 0;
}

static int set_metadata(struct copying *c)
{
	bool replaces = c->old_fd >= 0;
	mode_t mode = meta_mode(c->set, &c->st, replaces ? &c->old : NULL);
	int err = 0;

	if (replaces && !c->set->keep_owner)
		err = meta_keep(c->old_fd, &c->old, c->dst);
	/* With an ACL to inherit, a new file has got its mode when it was made. */
	if (c->dest->default_acl && !replaces && !c->set->keep_mode)
		mode = (mode_t)-1;
	return err ? err : meta_set(c->set, c->src, &c->st, c->dst, mode, c->dest->default_acl);
}

static int finish(void *arg)
{
	struct copying *c = arg;
	int err = check_source(c), fd;

	if (!err && c->written < (uint64_t)c->st.st_size)
		err = call_ftruncate(c->dst, c->st.st_size);
	if (!err && c->set->verify)
		err = verify(c);
	if (!err)
		err = set_metadata(c);
	if (!err && c->set->sync)
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
		err = call_renameat(c->to.dirfd, c->temp, c->to.name);
	if (err)
		return err;
	c->made = false;
	return c->set->sync && !c->item->dir ? call_fsync(c->to.dirfd) : 0;
}

static int abandon(void *arg)
{
	struct copying *c = arg;

	unlinkat(c->to.dirfd, c->temp[0] ? c->temp : c->to.name, 0);
	c->made = false;
	return 0;
}

static int make_and_copy(struct copying *c)
{
	int err = make_destination(c);

	if (err)
		return err > 0 ? DONE : err;
	c->digests = c->set->alg || c->set->verify;
	err = try_clone(c);
	if (err < 0)
		return err;
	if (!err) {
		if (c->digests)
			err = digest_copy(c, algorithm(c->set), c->digest);
		return err ? err : finish(c);
	}
	if ((uint64_t)c->st.st_size < SMALL_BYTES && !c->sparse && (!c->paced || !c->st.st_size)) {
		err = copy_small(c);
		return err ? err : finish(c);
	}
	if (c->digests)
		digest_begin(c->tool->digest, algorithm(c->set));
	posix_fadvise(c->src, 0, 0, POSIX_FADV_SEQUENTIAL);
	return MORE;
}

static int begin(void *arg)
{
	struct copying *c = arg;
	int err = c->src >= 0 ? 0 : open_source(c);

	if (err)
		return err;
	if (c->set->keep_links && c->st.st_nlink > 1 && !c->first_link)
		return IS_LINKED;
	return make_and_copy(c);
}

/* ---- in the task */

/* The next block, under --bwlimit paid for before it is read. */
static int next_block(struct copying *c)
{
	struct job *job = c->item->job;
	uint64_t left = (uint64_t)c->st.st_size - c->pos;
	uint64_t paid = left < c->step ? left : c->step, before = c->item->bytes, bytes;
	int err;

	if (!c->paced)
		return blocking_long(block, c);
	err = job_pace(job, paid);
	if (err)
		return err;
	err = blocking_long(block, c);
	bytes = c->item->bytes - before;
	if (bytes < paid)
		job_unpace(job, paid - bytes);
	return err;
}

static int copy_blocks(struct copying *c)
{
	int err;

	c->step = c->paced ? job_pace_block(c->item->job, STEP_BYTES) : STEP_BYTES;
	while ((err = next_block(c)) == MORE)
		;
	if (!err && c->digests)
		digest_finish(c->tool->digest, c->digest);
	return err ? err : blocking_long(finish, c);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* No descriptor was left in the middle of it: as if it had not begun, but for the source. */
static void start_over(struct copying *c)
{
	if (c->made)
		abandon(c);
	close_fd(&c->dst);
	close_fd(&c->old_fd);
	c->temp[0] = '\0';
}

static int run_begin(struct copying *c)
{
	unsigned int tries = 0;
	int err;

	do {
		err = bp_cancelled() ? bp_yield() : blocking(begin, c);
		if (err == -EMFILE || err == -ENFILE)
			start_over(c);
	} while ((err == -EMFILE || err == -ENFILE) && job_await_descriptor(c->item->job, &tries));
	return err;
}

static void clean_up(struct copying *c)
{
	if (c->made) {
		bp_shield_begin();
		blocking(abandon, c);
		bp_shield_end();
	}
	close_fd(&c->dst);
	close_fd(&c->src);
	close_fd(&c->old_fd);
}

static int copy_linked(struct copying *c)
{
	struct dirnode *dir;
	const char *name;
	int err;

	for (;;) {
		enum link_turn turn = link_turn(&c->st);

		if (turn == LINK_THERE)
			return link_to(c->item, &c->st, &c->to);
		if (turn == LINK_FIRST)
			break;
		err = bp_sleep(LINK_NAP_NS);
		if (err)
			return err;
	}
	c->first_link = true;
	err = run_begin(c);
	if (err == MORE)
		err = copy_blocks(c);
	dir = copy_place(c->item, &name);
	link_done(&c->st, dir, name, !err && c->item->status == STATUS_OK);
	return err;
}

int copy_file(struct item *item, const struct spot *from, const struct spot *to,
	      const struct dest *dest)
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
		.tool = tool_get(),
		.paced = pace_bytes_limited(item->job),
	};
	int err = run_begin(&c);

	if (err == IS_LINKED)
		err = copy_linked(&c);
	else if (err == MORE)
		err = copy_blocks(&c);
	clean_up(&c);
	if (!err && item->status == STATUS_OK && c.set->alg && c.digests) {
		memcpy(own->digest, c.digest, c.set->alg->size);
		own->has_digest = true;
	}
	tool_put(c.tool);
	return err;
}
