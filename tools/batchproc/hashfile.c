/* SPDX-License-Identifier: MIT */
/*
 * hashfile: the digest of one item's file.
 *
 * A small file is one open, one read and one digest call in a buffer that stays warm. A large one
 * is read ahead (see ahead.c) while this task digests what has come.
 *
 * The name that the user gave is looked at before it is opened, since opening a FIFO or a device
 * does something to it. A file that a walk found was looked at when it was found. Either way what
 * was opened is looked at once more, in case the name means something else by now.
 *
 * Tools (a buffer and a digest state) are kept in one list for each thread: a task stays on its
 * loop, so that no lock is needed, and the one used last is used first.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ahead.h"
#include "hashfile.h"
#include "inputs.h"
#include "job.h"
#include "paths.h"
#include "tree.h"
#include "util.h"

#define BUFFER_BYTES 131072u

/*
 * Buffers of this size from malloc() all begin at the same place within a page and a cache way, so
 * that small files read side by side would push one another out of the cache. Each buffer begins a
 * page and a line further on than the one before (measured: the copy of 8 KiB files out of the page
 * cache costs a third).
 */
#define COLOURS 16u
#define COLOUR_BYTES (4096u + 64u)

struct tool {
	struct tool *next;
	struct tool *all; /* in the list of all tools */
	struct digest *digest;
	unsigned char *memory;
	unsigned char *buffer; /* within memory */
};

static _Thread_local struct tool *idle;

static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static struct tool *all_tools; /* these two under all_lock */
static unsigned int tool_count;

static struct tool *tool_get(void)
{
	struct tool *tool = idle;

	if (tool) {
		idle = tool->next;
		return tool;
	}
	tool = xcalloc(1, sizeof(*tool));
	tool->digest = digest_new();
	tool->memory = xrealloc(NULL, BUFFER_BYTES + COLOURS * COLOUR_BYTES);
	pthread_mutex_lock(&all_lock);
	tool->buffer = tool->memory + tool_count++ % COLOURS * COLOUR_BYTES;
	tool->all = all_tools;
	all_tools = tool;
	pthread_mutex_unlock(&all_lock);
	return tool;
}

static void tool_put(struct tool *tool)
{
	tool->next = idle;
	idle = tool;
}

void hash_file_cleanup(void)
{
	struct tool *tool;

	while ((tool = all_tools)) {
		all_tools = tool->all;
		digest_free(tool->digest);
		free(tool->memory);
		free(tool);
	}
	digest_cleanup();
}

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
	item->missed = !item->dir;
	item->why = odd_mode(mode);
	return 1;
}

static int open_waiting(struct item *item, int dirfd, const char *path, int flags)
{
	unsigned int tries = 0;
	int fd;

	do {
		fd = bp_openat(dirfd, path, flags, 0);
	} while ((fd == -EMFILE || fd == -ENFILE) && job_await_descriptor(item->job, &tries));
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

/* Looks at what was opened; a descriptor of anything but a regular file is closed again. */
static int check_open(struct item *item, int fd, uint64_t *size)
{
	int verdict = judge_fd(item, fd, size);

	/*
	 * O_NONBLOCK was for the open. Kept, it would make io_uring give -EAGAIN where a file
	 * system knows no reads that do not wait (tmpfs, /proc).
	 */
	if (!verdict && fcntl(fd, F_SETFL, 0))
		verdict = -errno;
	if (verdict) {
		bp_close(fd);
		return verdict;
	}
	return 0;
}

static int open_named(struct item *item, int flags)
{
	const char *path = item->name.data;
	int dirfd = AT_FDCWD, opened, err;

	err = path_shorten(&dirfd, &path, 0, &opened);
	if (!err && item->type != DT_REG)
		err = check_name(item, dirfd, path);
	if (!err)
		err = open_waiting(item, dirfd, path, flags);
	if (opened >= 0)
		close(opened);
	return err;
}

/* A descriptor of a regular file, or -errno. A skipped item gives -ENXIO and its status. */
static int open_item(struct item *item, uint64_t *size)
{
	const int flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	int fd, verdict;

	if (item->dir) {
		fd = open_waiting(item, dirnode_fd(item->dir), item->name.data, flags | O_NOFOLLOW);
		if (fd == -ELOOP)
			item->why = "has become a symbolic link";
	} else {
		fd = open_named(item, flags);
	}
	if (fd < 0)
		return fd;
	verdict = check_open(item, fd, size);
	if (verdict)
		return verdict > 0 ? -ENXIO : verdict;
	return fd;
}

/* ---- reading */

static void moved(struct item *item, size_t bytes)
{
	item->bytes += bytes;
	atomic_fetch_add_explicit(&item->job->moved, bytes, memory_order_relaxed);
}

/* From @offset (-1: where the descriptor stands) to the end. */
static int digest_rest(struct item *item, int fd, off_t offset, struct tool *tool)
{
	for (;;) {
		ssize_t n = bp_read(fd, tool->buffer, BUFFER_BYTES, offset);
		int err;

		if (n <= 0)
			return (int)n;
		digest_update(tool->digest, tool->buffer, (size_t)n);
		moved(item, (size_t)n);
		if (offset >= 0)
			offset += n;
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
static int digest_paced(struct item *item, int fd, uint64_t size, struct tool *tool)
{
	const size_t block = job_pace_block(item->job, BUFFER_BYTES);
	const bool seekable = fd != STDIN_FILENO;
	uint64_t done = 0;

	for (;;) {
		uint64_t paid = size <= done ? 0 : size - done < block ? size - done : block;
		int err = job_pace(item->job, paid);
		ssize_t n;

		if (err)
			return err;
		n = bp_read(fd, tool->buffer, block, seekable ? (off_t)done : -1);
		if (n < 0 || (uint64_t)n < paid)
			job_unpace(item->job, n < 0 ? paid : paid - (uint64_t)n);
		if (n <= 0)
			return (int)n;
		if ((uint64_t)n > paid)
			err = job_pace(item->job, (uint64_t)n - paid);
		if (err)
			return err;
		digest_update(tool->digest, tool->buffer, (size_t)n);
		moved(item, (size_t)n);
		done += (uint64_t)n;
	}
}

static int digest_large(struct item *item, int fd, uint64_t size, struct tool *tool)
{
	struct ahead *ahead = ahead_open(item->job, fd, size);
	uint64_t done = 0;
	int err = 0;

	while (ahead) {
		const void *data;
		ssize_t n = ahead_next(ahead, &data);

		if (n <= 0) {
			err = (int)n;
			break;
		}
		digest_update(tool->digest, data, (size_t)n);
		moved(item, (size_t)n);
		done += (uint64_t)n;
	}
	ahead_close(ahead);
	/* What a file that grows has behind its first size, and all where nothing is read ahead. */
	return err ? err : digest_rest(item, fd, (off_t)done, tool);
}

static int digest_regular(struct item *item, int fd, uint64_t size, const struct digest_alg *alg,
			  struct tool *tool, unsigned char *result)
{
	ssize_t n;
	int err;

	if (size > AHEAD_LEAST || pace_bytes_limited(item->job)) {
		digest_begin(tool->digest, alg);
		err = pace_bytes_limited(item->job) ? digest_paced(item, fd, size, tool) :
						      digest_large(item, fd, size, tool);
		if (!err)
			digest_finish(tool->digest, result);
		return err;
	}
	n = bp_read(fd, tool->buffer, BUFFER_BYTES, 0);
	if (n < 0)
		return (int)n;
	moved(item, (size_t)n);
	/*
	 * A read that gives exactly what the file has is the whole of it. Any other may be the
	 * end too, but files of /proc have size 0 and FUSE may give less than there is.
	 */
	if (n == 0 || ((uint64_t)n == size && n < (ssize_t)BUFFER_BYTES)) {
		digest_once(tool->digest, alg, tool->buffer, (size_t)n, result);
		return 0;
	}
	digest_begin(tool->digest, alg);
	digest_update(tool->digest, tool->buffer, (size_t)n);
	err = digest_rest(item, fd, n, tool);
	if (!err)
		digest_finish(tool->digest, result);
	return err;
}

static int digest_stdin(struct item *item, const struct digest_alg *alg, struct tool *tool,
			unsigned char *result)
{
	int err;

	digest_begin(tool->digest, alg);
	err = pace_bytes_limited(item->job) ? digest_paced(item, STDIN_FILENO, 0, tool) :
					      digest_rest(item, STDIN_FILENO, -1, tool);
	if (!err)
		digest_finish(tool->digest, result);
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

int hash_file(struct item *item, const struct digest_alg *alg, bool stdin_name,
	      unsigned char *result)
{
	uint64_t size;
	struct tool *tool;
	int fd, err;

	if (stdin_name && is_stdin(item)) {
		if (!stdin_claim()) {
			item->why = "standard input can be read only once";
			return -EBUSY;
		}
		tool = tool_get();
		err = digest_stdin(item, alg, tool, result);
		tool_put(tool);
		return err;
	}
	fd = open_item(item, &size);
	if (fd < 0)
		return item->status == STATUS_SKIPPED ? 0 : fd;
	tool = tool_get();
	err = digest_regular(item, fd, size, alg, tool, result);
	tool_put(tool);
	bp_close(fd);
	return err;
}
