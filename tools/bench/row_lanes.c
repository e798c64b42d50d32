/* SPDX-License-Identifier: MIT */
/*
 * row_lanes.c - which lane is cheapest for which operation: what the table of lib/lane.c is set
 * from
 *
 * Files of 8 KiB are opened, asked for their status (by path, and by descriptor), read and closed,
 * and others that were just written are unlinked, in batches, one kind of operation at a time, so
 * that each kind is timed alone. The lanes:
 *
 *	inline		the plain call on the loop's thread
 *	try+ring	a call that refuses to block (RESOLVE_CACHED, RWF_NOWAIT), the ring if it does
 *	ring		through io_uring, 64 in flight
 *	io-wq		the same with IOSQE_ASYNC: what it costs once the kernel needs a worker
 *	pool-N		handed to N threads of our own, 64 in flight
 *
 * "CPU" counts all threads of the process, kernel workers included. Cold runs drop the caches
 * before each pass; they need root and slow down everything else on the machine meanwhile.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "bench.h"

#define IN_FLIGHT 64u
#define BATCH 500u

enum kind {
	KIND_OPEN,
	KIND_STATX_PATH,
	KIND_STATX_FD,
	KIND_READ,
	KIND_CLOSE,
	KIND_UNLINK,
	KINDS,
};

static const char *const kind_name[KINDS] = {
	[KIND_OPEN] = "open",	 [KIND_STATX_PATH] = "statx path", [KIND_STATX_FD] = "statx fd",
	[KIND_READ] = "read 8K", [KIND_CLOSE] = "close",	   [KIND_UNLINK] = "unlink",
};

/* One file and what was last done to it. */
struct job {
	struct handoff_job handoff;
	enum kind kind;
	int dirfd;
	int fd;
	int res;
	char name[16];
	char *buf;
	size_t len;
	struct statx stx;
};

struct lane {
	const char *name;
	int (*phase)(struct lane *lane, enum kind kind, struct job *jobs, unsigned int n);
	unsigned char sqe_flags;
	unsigned int threads;
	struct io_uring ring;
	struct handoff *pool;
	/* What a pass works on. */
	const struct tree *tree;
	struct job *jobs;
	bool cold;
};

/* ---------------------------------------------------------------- the calls */

static int plain_call(struct job *job)
{
	long res = -1;

	switch (job->kind) {
	case KIND_OPEN:
		res = openat(job->dirfd, job->name, O_RDONLY | O_CLOEXEC);
		break;
	case KIND_STATX_PATH:
		res = statx(job->dirfd, job->name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS,
			    &job->stx);
		break;
	case KIND_STATX_FD:
		res = statx(job->fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &job->stx);
		break;
	case KIND_READ:
		res = pread(job->fd, job->buf, job->len, 0);
		break;
	case KIND_CLOSE:
		res = close(job->fd);
		break;
	case KIND_UNLINK:
		res = unlinkat(job->dirfd, job->name, 0);
		break;
	case KINDS:
		break;
	}
	return res < 0 ? -errno : (int)res;
}

/*
 * The same where the kernel can be asked not to block; -EAGAIN when it would have, or cannot say.
 */
static int cached_call(struct job *job)
{
	struct open_how how = {.flags = O_RDONLY | O_CLOEXEC, .resolve = RESOLVE_CACHED};
	struct iovec iov = {.iov_base = job->buf, .iov_len = job->len};
	long res;

	switch (job->kind) {
	case KIND_OPEN:
		res = syscall(SYS_openat2, job->dirfd, job->name, &how, sizeof(how));
		return res < 0 ? -errno : (int)res;
	case KIND_READ:
		res = preadv2(job->fd, &iov, 1, 0, RWF_NOWAIT);
		if (res < 0)
			return errno == EOPNOTSUPP ? -EAGAIN : -errno;
		return (int)res;
	default:
		return plain_call(job);
	}
}

static void prepare(struct io_uring_sqe *sqe, struct job *job)
{
	switch (job->kind) {
	case KIND_OPEN:
		io_uring_prep_openat(sqe, job->dirfd, job->name, O_RDONLY | O_CLOEXEC, 0);
		break;
	case KIND_STATX_PATH:
		io_uring_prep_statx(sqe, job->dirfd, job->name, AT_SYMLINK_NOFOLLOW,
				    STATX_BASIC_STATS, &job->stx);
		break;
	case KIND_STATX_FD:
		io_uring_prep_statx(sqe, job->fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &job->stx);
		break;
	case KIND_READ:
		io_uring_prep_read(sqe, job->fd, job->buf, (unsigned int)job->len, 0);
		break;
	case KIND_CLOSE:
		io_uring_prep_close(sqe, job->fd);
		break;
	case KIND_UNLINK:
		io_uring_prep_unlinkat(sqe, job->dirfd, job->name, 0);
		break;
	case KINDS:
		break;
	}
}

/* Takes the result in; true if the operation did what it should. */
static bool finish(struct job *job, int res)
{
	job->res = res;
	if (job->kind == KIND_OPEN)
		job->fd = res;
	if (job->kind == KIND_READ)
		return res == (int)job->len;
	return res >= 0;
}

/* ---------------------------------------------------------------- the lanes */

static int phase_inline(struct lane *lane, enum kind kind, struct job *jobs, unsigned int n)
{
	unsigned int i;

	(void)lane;
	for (i = 0; i < n; i++) {
		jobs[i].kind = kind;
		if (!finish(&jobs[i], plain_call(&jobs[i])))
			return -EIO;
	}
	return 0;
}

static int reap_ring(struct lane *lane, unsigned int *reaped)
{
	struct io_uring_cqe *cqe;
	unsigned int head, n = 0;
	int err = 0;

	io_uring_for_each_cqe(&lane->ring, head, cqe)
	{
		struct job *job = io_uring_cqe_get_data(cqe);

		if (!finish(job, cqe->res))
			err = -EIO;
		n++;
	}
	io_uring_cq_advance(&lane->ring, n);
	*reaped = n;
	return err;
}

/* @try_first: the call that refuses to block comes first, and the ring gets what it refused. */
static int drive_ring(struct lane *lane, enum kind kind, struct job *jobs, unsigned int n,
		      bool try_first)
{
	unsigned int next = 0, in_flight = 0, reaped;
	int err = 0, res;

	while (next < n || in_flight) {
		while (next < n && in_flight < IN_FLIGHT && !err) {
			struct job *job = &jobs[next++];
			struct io_uring_sqe *sqe;

			job->kind = kind;
			res = try_first ? cached_call(job) : -EAGAIN;
			if (res != -EAGAIN) {
				err = finish(job, res) ? 0 : -EIO;
				continue;
			}
			sqe = io_uring_get_sqe(&lane->ring);
			prepare(sqe, job);
			sqe->flags |= lane->sqe_flags;
			io_uring_sqe_set_data(sqe, job);
			in_flight++;
		}
		if (err)
			next = n;
		if (!in_flight)
			continue;
		io_uring_submit_and_wait(&lane->ring, 1);
		res = reap_ring(lane, &reaped);
		in_flight -= reaped;
		err = err ? err : res;
	}
	return err;
}

static int phase_ring(struct lane *lane, enum kind kind, struct job *jobs, unsigned int n)
{
	return drive_ring(lane, kind, jobs, n, false);
}

static int phase_try_ring(struct lane *lane, enum kind kind, struct job *jobs, unsigned int n)
{
	return drive_ring(lane, kind, jobs, n, true);
}

static void call_in_pool(struct handoff_job *handoff)
{
	struct job *job = (struct job *)handoff; /* its first member */

	job->res = plain_call(job);
}

static int phase_pool(struct lane *lane, enum kind kind, struct job *jobs, unsigned int n)
{
	unsigned int next = 0, in_flight = 0;
	struct handoff_job *list;
	int err = 0;

	while (next < n || in_flight) {
		while (next < n && in_flight < IN_FLIGHT) {
			struct job *job = &jobs[next++];

			job->kind = kind;
			job->handoff.call = call_in_pool;
			handoff_submit(lane->pool, &job->handoff);
			in_flight++;
		}
		for (list = handoff_reap(lane->pool); list; list = list->next) {
			struct job *job = (struct job *)list;

			if (!finish(job, job->res))
				err = -EIO;
			in_flight--;
		}
	}
	return err;
}

/* ---------------------------------------------------------------- a pass over the tree */

static void add(struct measure *sum, struct measure part)
{
	sum->wall += part.wall;
	sum->cpu += part.cpu;
}

/* Writes what is then unlinked, beside the tree's own files. */
static int make_victims(struct job *jobs, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		int fd, err = 0;

		jobs[i].name[0] = 'u';
		fd = openat(jobs[i].dirfd, jobs[i].name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
		if (fd < 0)
			return -errno;
		if (write(fd, jobs[i].buf, jobs[i].len) != (ssize_t)jobs[i].len)
			err = -EIO;
		close(fd);
		if (err)
			return err;
	}
	return 0;
}

/* All kinds over one directory; @only_statx: by path alone, for a cold pass of its own. */
static int pass_dir(struct lane *lane, unsigned int dir, bool only_statx, struct measure *sum)
{
	const struct tree *t = lane->tree;
	char path[sizeof(t->root) + 32];
	unsigned int i, kind;
	int dirfd, err = 0;

	snprintf(path, sizeof(path), "%s/d%03u", t->root, dir);
	dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return -errno;
	for (i = 0; i < t->files_per_dir; i++) {
		lane->jobs[i].dirfd = dirfd;
		snprintf(lane->jobs[i].name, sizeof(lane->jobs[i].name), "f%05u", i);
	}
	for (kind = 0; kind < KINDS && !err; kind++) {
		struct stopwatch w;

		if (lane->cold && (kind == KIND_STATX_PATH) != only_statx)
			continue;
		if (kind == KIND_UNLINK) {
			/* What was just written is never cold. */
			err = lane->cold ? 0 : make_victims(lane->jobs, t->files_per_dir);
			if (err || lane->cold)
				continue;
		}
		watch_start(&w);
		err = lane->phase(lane, (enum kind)kind, lane->jobs, t->files_per_dir);
		add(&sum[kind], watch_stop(&w, (double)t->dirs * t->files_per_dir));
	}
	close(dirfd);
	return err;
}

static int pass(void *arg, struct measure *out)
{
	struct lane *lane = arg;
	unsigned int dir, half;
	int err = 0;

	memset(out, 0, KINDS * sizeof(*out));
	for (half = 0; half < (lane->cold ? 2u : 1u); half++) {
		if (lane->cold) {
			err = tree_drop_caches(lane->tree);
			if (err)
				return err;
		}
		for (dir = 0; dir < lane->tree->dirs && !err; dir++)
			err = pass_dir(lane, dir, half == 1, out);
	}
	return err;
}

/* ---------------------------------------------------------------- the row */

static struct lane lanes[] = {
	{.name = "inline", .phase = phase_inline},
	{.name = "try+ring", .phase = phase_try_ring},
	{.name = "ring", .phase = phase_ring},
	{.name = "io-wq", .phase = phase_ring, .sqe_flags = IOSQE_ASYNC},
	{.name = "pool-2", .phase = phase_pool, .threads = 2},
	{.name = "pool-64", .phase = phase_pool, .threads = 64},
};

#define LANES (sizeof(lanes) / sizeof(lanes[0]))

static struct contestant sides[LANES];

static int open_lane(struct lane *lane, const struct tree *tree, struct job *jobs, bool cold)
{
	lane->tree = tree;
	lane->jobs = jobs;
	lane->cold = cold;
	if (lane->threads) {
		lane->pool = handoff_create(lane->threads);
		return lane->pool ? 0 : -EAGAIN;
	}
	return bare_ring(&lane->ring, IN_FLIGHT);
}

static void close_lane(struct lane *lane)
{
	if (lane->threads)
		handoff_destroy(lane->pool);
	else
		io_uring_queue_exit(&lane->ring);
}

static void report_lanes(const struct bench *b, const struct tree *tree, bool cold)
{
	unsigned int kind;
	size_t i;

	for (kind = 0; kind < (cold ? KIND_UNLINK : KINDS); kind++) {
		for (i = 0; i < LANES; i++) {
			char what[64];
			struct result r = {
				.row = cold ? "lanes-cold" : "lanes",
				.what = what,
				.unit = "ns",
				.measure = kind,
				.backend = "none",
				.limit = lanes[i].phase == phase_inline ? 1 : (long)IN_FLIGHT,
				.note = tree->fs,
			};

			snprintf(what, sizeof(what), "%s, %s", kind_name[kind], lanes[i].name);
			report_pair(b, &r, &sides[i], &sides[0]);
		}
	}
}

static int run_lanes(const struct bench *b, const struct tree *tree, struct job *jobs, bool cold)
{
	struct contestant *order[LANES];
	size_t i, opened;
	int err = 0;

	for (opened = 0; opened < LANES && !err; opened++) {
		err = open_lane(&lanes[opened], tree, jobs, cold);
		if (err)
			break;
		sides[opened].name = lanes[opened].name;
		sides[opened].run = pass;
		sides[opened].arg = &lanes[opened];
		order[opened] = &sides[opened];
	}
	if (!err)
		err = interleave(order, LANES, b->runs);
	for (i = 0; i < opened; i++)
		close_lane(&lanes[i]);
	if (!err)
		report_lanes(b, tree, cold);
	return err;
}

static struct job *make_jobs(size_t len)
{
	struct job *jobs = calloc(BATCH, sizeof(*jobs));
	/* Page-aligned: malloc()'s page + 16 makes the kernel's copy three times slower. */
	char *bufs = aligned_alloc(4096, BATCH * len);
	unsigned int i;

	if (!jobs || !bufs) {
		free(jobs);
		free(bufs);
		return NULL;
	}
	for (i = 0; i < BATCH; i++) {
		jobs[i].buf = bufs + i * len;
		jobs[i].len = len;
	}
	return jobs;
}

int row_lanes(const struct bench *b)
{
	struct tree tree;
	struct job *jobs;
	struct rlimit nofile;
	int err;

	if (!getrlimit(RLIMIT_NOFILE, &nofile)) {
		nofile.rlim_cur = nofile.rlim_max; /* a batch stays open at once */
		setrlimit(RLIMIT_NOFILE, &nofile);
	}
	err = tree_create(&tree, b, b->smoke ? 64 : 8000, 500, 8192);
	if (err)
		return err;
	err = tree_warm(&tree);
	jobs = make_jobs(tree.file_size);
	if (!jobs && !err)
		err = -ENOMEM;
	if (!err)
		err = run_lanes(b, &tree, jobs, false);
	if (!err && b->cold)
		err = run_lanes(b, &tree, jobs, true);
	if (jobs)
		free(jobs[0].buf);
	free(jobs);
	tree_remove(&tree);
	return err;
}
