/* SPDX-License-Identifier: MIT */
/*
 * hashfile: the digest of one item's file.
 *
 * A small file that is cached is one open through the ring, two plain calls that do not wait, and
 * one digest call while the bytes are warm. Where that does not do, what was opened is looked at
 * and read through the ring; a large file is read ahead (see ahead.c) while this task digests what
 * has come.
 *
 * The name that the user gave is looked at before it is opened, since opening a FIFO or a device
 * does something to it. A file that a walk found was looked at when it was found. The name may
 * mean something else by the time it is opened: O_NONBLOCK keeps the open from waiting for the
 * other end of a FIFO, and nothing is read before it is known what was opened. For most files
 * that is told by their length, see read_whole().
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "digest/ahead.h"
#include "digest/hashfile.h"
#include "cli/inputs.h"
#include "run/job.h"
#include "run/steer.h"
#include "journal/journal.h"
#include "run/ownfiles.h"
#include "base/path.h"
#include "digest/hasher.h"
#include "walk/tree.h"

/* ---- opening */

static const char *odd_mode(unsigned int mode)
{
	if (S_ISFIFO(mode))
		return "is a FIFO; the name - stands for standard input";
	if (S_ISSOCK(mode))
		return "is a socket";
	if (S_ISCHR(mode) || S_ISBLK(mode))
		return "is a device; the name - stands for standard input";
	return "is not a regular file";
}

/* 0: a regular file; 1: the item is skipped; or -errno. */
static int judge_mode(struct item *item, unsigned int mode)
{
	if (S_ISREG(mode))
		return 0;
	if (S_ISDIR(mode))
		return -EISDIR;
	item->status = STATUS_SKIPPED;
	item->skipped_named = !item->dir;
	item->why = odd_mode(mode);
	return 1;
}

static int open_waiting(struct item *item, int dirfd, const char *path, int flags)
{
	unsigned int tries = 0;
	int fd;

	do {
		fd = bp_openat(dirfd, path, flags, 0);
	} while (steer_await_descriptor(item->job, fd, &tries));
	return fd;
}

/* What a descriptor is of: as judge_mode(). */
static int judge_fd(struct item *item, int fd, uint64_t *size)
{
	struct statx stx;

	/* The inode is in memory and nobody is asked to refresh it: this never waits. */
	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_SIZE, &stx))
		return -errno;
	*size = stx.stx_size;
	return judge_mode(item, stx.stx_mode);
}

/*
 * Looks at a name without opening what it stands for. O_PATH and a look at the descriptor, since
 * io_uring gives every statx by name to a worker thread, at several times the cost.
 */
static int check_name(struct item *item, int dirfd, const char *path)
{
	uint64_t size;
	int verdict, fd = open_waiting(item, dirfd, path, O_PATH | O_CLOEXEC);

	if (fd < 0)
		return fd;
	verdict = judge_fd(item, fd, &size);
	bp_close(fd);
	return verdict > 0 ? -ENXIO : verdict;
}

/* Looks at what was opened. Returns 0, 1 where the item is skipped, or -errno. */
static int check_open(struct item *item, int fd, uint64_t *size)
{
	int verdict = judge_fd(item, fd, size);

	/*
	 * O_NONBLOCK was for the open. Kept, it would make io_uring give -EAGAIN where a file
	 * system knows no reads that do not wait (tmpfs, /proc).
	 */
	if (!verdict && fcntl(fd, F_SETFL, 0))
		verdict = -errno;
	return verdict;
}

static int open_named(struct item *item, int flags)
{
	const char *path = item->name.data;
	int dirfd = AT_FDCWD, opened, err;

	err = path_shorten(&dirfd, &path, &opened);
	if (!err && item->type != DT_REG)
		err = check_name(item, dirfd, path);
	if (!err)
		err = open_waiting(item, dirfd, path, flags);
	if (opened >= 0)
		close(opened);
	return err;
}

/*
 * A descriptor of what is most likely a regular file, in the mode that does not wait; or -errno. A
 * skipped item gives -ENXIO and its status.
 */
static int open_item(struct item *item)
{
	const int flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	int fd;

	if (!item->dir)
		return open_named(item, flags);
	fd = open_waiting(item, dirnode_fd(item->dir), item->name.data, flags | O_NOFOLLOW);
	if (fd == -ELOOP)
		item->why = "has become a symbolic link";
	return fd;
}

/* ---- reading */

static void moved(struct item *item, size_t bytes)
{
	item->bytes += bytes;
	atomic_fetch_add_explicit(&item->job->moved, bytes, memory_order_relaxed);
}

/* Injected faults meet the engine's operations alone: under them all reads are such. */
static bool all_through_engine(void)
{
#ifdef BP_DEBUG
	return getenv("BATCHPROC_FAULTS");
#else
	return false;
#endif
}

/* What the page cache has, without waiting for more; or -errno. */
static ssize_t read_cached(int fd, void *buffer, size_t len, off_t offset)
{
	ssize_t n = preadv2(fd, &(struct iovec){buffer, len}, 1, offset, RWF_NOWAIT);

	return n < 0 ? -errno : n;
}

/*
 * Reads a small file whose bytes are all cached; returns its length, or 0 where it is anything
 * else, and nothing is lost.
 *
 * The look at the length is also what keeps others from being read: FIFOs, sockets and terminals
 * have no end to seek to, other character devices say 0, and for disks it is large. (A device of
 * less than a buffer's length is read when root puts it in the place of a file that was listed.)
 */
static size_t read_whole(const struct item *item, int fd, struct hasher *hasher)
{
	off_t size;

	if (all_through_engine())
		return 0;
	size = item->source.kind == ORIGIN_FILE ? (off_t)item->source.size : lseek(fd, 0, SEEK_END);
	if (size <= 0 || size >= (off_t)HASHER_BYTES)
		return 0;
	return read_cached(fd, hasher->buffer, HASHER_BYTES, 0) == size ? (size_t)size : 0;
}

/* What is cached from @*done on, up to the first gap, which may be the end. */
static int digest_cached(struct item *item, int fd, uint64_t *done, struct hasher *hasher)
{
	int err = 0;

	while (!err && !all_through_engine()) {
		ssize_t n = read_cached(fd, hasher->buffer, HASHER_BYTES, (off_t)*done);

		if (n <= 0)
			break;
		digest_update(hasher->digest, hasher->buffer, (size_t)n);
		moved(item, (size_t)n);
		*done += (uint64_t)n;
		err = bp_yield();
	}
	return err;
}

/*
 * From @offset (-1: where the descriptor stands) to the end: where a read gives nothing, or where
 * one that is short of the buffer ends at @size. The latter spares the small file a second read;
 * but files of /proc have size 0, and FUSE may give less than there is.
 */
static int digest_rest(struct item *item, int fd, off_t offset, uint64_t size,
		       struct hasher *hasher)
{
	for (;;) {
		ssize_t n = bp_read(fd, hasher->buffer, HASHER_BYTES, offset);
		int err;

		if (n <= 0)
			return (int)n;
		digest_update(hasher->digest, hasher->buffer, (size_t)n);
		moved(item, (size_t)n);
		if (offset >= 0)
			offset += n;
		if ((uint64_t)offset == size && n < (ssize_t)HASHER_BYTES)
			return 0;
		/* A cached file may never make this task wait; cancels and others need a turn. */
		err = bp_yield();
		if (err)
			return err;
	}
}

/*
 * Under --bwlimit: each block is paid for before it is read, as far as the size tells how long it
 * will be. At most as much as is paid at once, without reading ahead.
 */
static int digest_paced(struct item *item, int fd, uint64_t size, struct hasher *hasher)
{
	const size_t block = pace_block(item->job, HASHER_BYTES);
	const bool seekable = fd != STDIN_FILENO;
	uint64_t done = 0;

	for (;;) {
		uint64_t paid = size <= done ? 0 : size - done < block ? size - done : block;
		int err = pace_bytes(item->job, paid);
		ssize_t n;

		if (err)
			return err;
		n = bp_read(fd, hasher->buffer, block, seekable ? (off_t)done : -1);
		if (n < 0 || (uint64_t)n < paid)
			pace_give_back(item->job, n < 0 ? paid : paid - (uint64_t)n);
		if (n <= 0)
			return (int)n;
		if ((uint64_t)n > paid)
			err = pace_bytes(item->job, (uint64_t)n - paid);
		if (err)
			return err;
		digest_update(hasher->digest, hasher->buffer, (size_t)n);
		moved(item, (size_t)n);
		done += (uint64_t)n;
	}
}

/* Reads ahead from @*done on. */
static int digest_ahead(struct item *item, int fd, uint64_t size, uint64_t *done,
			struct hasher *hasher)
{
	struct ahead *ahead = ahead_open(item->job, fd, *done, size);
	int err = 0;

	while (ahead) {
		const void *data;
		ssize_t n = ahead_next(ahead, &data);

		if (n <= 0) {
			err = (int)n;
			break;
		}
		digest_update(hasher->digest, data, (size_t)n);
		moved(item, (size_t)n);
		*done += (uint64_t)n;
	}
	ahead_close(ahead);
	return err;
}

/*
 * To read ahead lets a worker of the kernel copy a large file while this loop digests. It gains
 * where the digest takes longer than the copy, or where there is a disk to wait for.
 */
static int digest_fast(struct item *item, int fd, uint64_t size, const struct digest_alg *alg,
		       struct hasher *hasher)
{
	uint64_t done = 0;
	int err = 0;

	if (size >= HASHER_BYTES && (size <= AHEAD_LEAST || digest_is_quick(alg)))
		err = digest_cached(item, fd, &done, hasher);
	if (!err && size > done + AHEAD_LEAST)
		err = digest_ahead(item, fd, size, &done, hasher);
	/* The end, what a file that grows has behind its first size, or the whole. */
	return err ? err : digest_rest(item, fd, (off_t)done, size, hasher);
}

static int digest_regular(struct item *item, int fd, const struct digest_alg *alg,
			  struct hasher *hasher, unsigned char *result)
{
	uint64_t size;
	int err = check_open(item, fd, &size);

	if (err)
		return err;
	digest_begin(hasher->digest, alg);
	err = pace_bytes_limited(item->job) ? digest_paced(item, fd, size, hasher) :
					      digest_fast(item, fd, size, alg, hasher);
	if (!err)
		digest_finish(hasher->digest, result);
	return err;
}

static int digest_opened(struct item *item, int fd, const struct digest_alg *alg,
			 struct hasher *hasher, unsigned char *result)
{
	size_t len = pace_bytes_limited(item->job) ? 0 : read_whole(item, fd, hasher);

	if (!len)
		return digest_regular(item, fd, alg, hasher, result);
	moved(item, len);
	digest_once(hasher->digest, alg, hasher->buffer, len, result);
	return 0;
}

static int digest_stdin(struct item *item, const struct digest_alg *alg, struct hasher *hasher,
			unsigned char *result)
{
	int err;

	digest_begin(hasher->digest, alg);
	err = pace_bytes_limited(item->job) ? digest_paced(item, STDIN_FILENO, 0, hasher) :
					      digest_rest(item, STDIN_FILENO, -1, 0, hasher);
	if (!err)
		digest_finish(hasher->digest, result);
	return err;
}

static bool is_stdin(const struct item *item)
{
	return !item->dir && !strcmp(item->name.data, "-");
}

bool hash_file_permanent(const struct item *item, int err)
{
	(void)err;
	return is_stdin(item);
}

/* It is written by this run, so that a digest of it would be one of nothing. */
static bool is_own(struct item *item, int fd)
{
	struct stat st;

	return own_file_called(item->name.data) && !fstat(fd, &st) && own_file_skips(item, &st);
}

int hash_file(struct item *item, const struct digest_alg *alg, bool stdin_name,
	      unsigned char *result)
{
	struct hasher *hasher;
	int fd, err;

	if (stdin_name && is_stdin(item)) {
		item->source.kind = ORIGIN_ONCE;
		if (!stdin_claim()) {
			item->why = "standard input can be read only once";
			return -EBUSY;
		}
		hasher = hasher_get();
		err = digest_stdin(item, alg, hasher, result);
		hasher_put(hasher);
		return err;
	}
	fd = open_item(item);
	if (fd < 0)
		return item->status == STATUS_SKIPPED ? 0 : fd;
	if (is_own(item, fd)) {
		bp_close(fd);
		return 0;
	}
	journal_looks(item, fd);
	hasher = hasher_get();
	err = digest_opened(item, fd, alg, hasher, result);
	hasher_put(hasher);
	bp_close(fd);
	/* Positive: it is skipped. */
	return err < 0 ? err : 0;
}
