/* SPDX-License-Identifier: MIT */
/*
 * row_direct.c - random reads of 4 KiB past the page cache, 64 in flight
 *
 * Tasks that read at random places of one file, plain and with its descriptor and the buffers
 * registered, against fio's io_uring engine set up in the same way, and against a thread for each
 * read. fio measures no latencies here (gtod_reduce), since nobody else does. Its own figures count:
 * they leave out how long it takes to start, and its CPU time is that of the job alone.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <batchproc.h>

#include "bench.h"

#define DEPTH 64u
#define BLOCK 4096u
#define PIECE (1u << 20)

struct direct {
	char path[PATH_MAX];
	int fd;
	unsigned long blocks, count; /* of the file; reads of a run */
	bool registered;
	char *bufs; /* a block for each in flight */
};

/* One of those that read one block after the other. */
struct reader {
	struct direct *d;
	unsigned int index;
	unsigned long left;
	uint64_t random;
	int err;
};

static off_t next_place(struct reader *r)
{
	r->random ^= r->random << 13;
	r->random ^= r->random >> 7;
	r->random ^= r->random << 17;
	return (off_t)(r->random % r->d->blocks * BLOCK);
}

static void make_readers(struct direct *d, struct reader readers[DEPTH])
{
	for (unsigned int i = 0; i < DEPTH; i++) {
		readers[i] = (struct reader){
			.d = d,
			.index = i,
			.left = d->count / DEPTH,
			.random = 0x9e3779b97f4a7c15u * (i + 1) + (unsigned long)getpid(),
		};
	}
}

/* ---------------------------------------------------------------- ours */

static int read_in_task(void *arg)
{
	struct reader *r = arg;
	char *buf = r->d->bufs + (size_t)r->index * BLOCK;

	for (; r->left; r->left--) {
		off_t at = next_place(r);
		ssize_t n = r->d->registered ? bp_read_fixed(0, buf, BLOCK, at, 0, BP_FIXED_FILE) :
					       bp_read(r->d->fd, buf, BLOCK, at);

		if (n != BLOCK)
			return n < 0 ? (int)n : -EIO;
	}
	return 0;
}

static int run_tasks(struct direct *d, struct bp_engine *engine, struct measure *out)
{
	struct reader readers[DEPTH];
	struct bp_group *group;
	struct stopwatch w;
	int err = bp_group_create(&group, engine, &BP_GROUP_OPTS(.limit = DEPTH));

	if (err)
		return err;
	make_readers(d, readers);
	watch_start(&w);
	for (unsigned int i = 0; i < DEPTH && !err; i++)
		err = bp_go(group, read_in_task, &readers[i]);
	if (err)
		bp_cancel(group, err);
	err = bp_wait(group);
	*out = watch_stop(&w, (double)d->count);
	bp_group_destroy(group);
	return err;
}

static int run_ours(void *arg, struct measure *out)
{
	struct direct *d = arg;
	struct iovec iov = {d->bufs, (size_t)DEPTH * BLOCK};
	struct bp_engine *engine;
	int err = bp_engine_create(&engine, &BP_ENGINE_OPTS(.backend = BP_BACKEND_URING));

	if (err)
		return err;
	if (d->registered) {
		err = bp_register_files(engine, &d->fd, 1);
		if (err >= 0)
			err = bp_register_buffers(engine, &iov, 1);
	}
	if (err >= 0)
		err = run_tasks(d, engine, out);
	bp_unregister_buffers(engine);
	bp_unregister_files(engine);
	bp_engine_destroy(engine);
	return err;
}

/* ---------------------------------------------------------------- threads */

static void *read_in_thread(void *arg)
{
	struct reader *r = arg;
	char *buf = r->d->bufs + (size_t)r->index * BLOCK;

	for (; r->left && !r->err; r->left--) {
		ssize_t n = pread(r->d->fd, buf, BLOCK, next_place(r));

		if (n != BLOCK)
			r->err = n < 0 ? -errno : -EIO;
	}
	return NULL;
}

static int run_threads(void *arg, struct measure *out)
{
	struct direct *d = arg;
	struct reader readers[DEPTH];
	pthread_t threads[DEPTH];
	struct stopwatch w;
	unsigned int i, n = 0;
	int err = 0;

	make_readers(d, readers);
	watch_start(&w);
	while (n < DEPTH && !err) {
		err = -pthread_create(&threads[n], NULL, read_in_thread, &readers[n]);
		n += !err;
	}
	for (i = 0; i < n; i++) {
		pthread_join(threads[i], NULL);
		err = err ? err : readers[i].err;
	}
	*out = watch_stop(&w, (double)d->count);
	return err;
}

/* ---------------------------------------------------------------- fio */

/* The fields of its terse format, version 3, that count here; from 1. */
enum {
	FIO_ERROR = 5,
	FIO_IOPS = 8,
	FIO_USER = 88,
	FIO_SYSTEM = 89,
};

static double field(const char *line, unsigned int n)
{
	while (--n && line)
		line = (line = strchr(line, ';')) ? line + 1 : NULL;
	return line ? strtod(line, NULL) : -1;
}

static int run_fio(void *arg, struct measure *out)
{
	const struct direct *d = arg;
	char command[PATH_MAX + 512], line[8192] = "";
	double iops;
	FILE *f;
	bool got;

	snprintf(command, sizeof(command),
		 "exec fio --name=direct --filename='%s' --size=%lu --readonly --rw=randread "
		 "--bs=%u --direct=1 --ioengine=io_uring --iodepth=%u --number_ios=%lu "
		 "--norandommap --randrepeat=0 --gtod_reduce=1 %s --minimal --terse-version=3",
		 d->path, d->blocks * BLOCK, BLOCK, DEPTH, d->count,
		 d->registered ? "--fixedbufs=1 --registerfiles=1" : "");
	f = popen(command, "r");
	if (!f)
		return -errno;
	got = fgets(line, sizeof(line), f) != NULL;
	iops = field(line, FIO_IOPS);
	if (pclose(f) || !got || field(line, FIO_ERROR) != 0 || iops <= 0)
		return -EIO;
	out->wall = 1e9 / iops;
	out->cpu = out->wall * (field(line, FIO_USER) + field(line, FIO_SYSTEM)) / 100;
	return 0;
}

static bool has_fio(void)
{
	return !system("fio --enghelp=io_uring >/dev/null 2>&1");
}

/* ---------------------------------------------------------------- the row */

static struct direct plain, registered;
static struct contestant plain_side = {.name = "tasks", .run = run_ours, .arg = &plain};
static struct contestant reg_side = {.name = "registered", .run = run_ours, .arg = &registered};
static struct contestant thread_side = {.name = "64 blocking threads",
					.run = run_threads,
					.arg = &plain};
static struct contestant fio_side = {.name = "fio io_uring", .run = run_fio, .arg = &plain};
static struct contestant fio_reg_side = {.name = "fio io_uring, fixed",
					 .run = run_fio,
					 .arg = &registered};

static void report_reads(const struct bench *b, const char *what, struct contestant *ours,
			 struct contestant *theirs, double cpu_goal)
{
	char note[64];
	struct result r = {
		.row = "direct",
		.what = what,
		.unit = "ns",
		.speed_up = true,
		.goal = theirs == &thread_side ? 0 : 0.98,
		.cpu_goal = cpu_goal,
		.items = 1,
		.backend = "uring",
		.limit = DEPTH,
		.note = note,
	};

	snprintf(note, sizeof(note), "4 KiB of %lu MiB, %s", plain.blocks * BLOCK >> 20,
		 fs_name(plain.path));
	report_pair(b, &r, ours, theirs);
}

static int run_row(const struct bench *b)
{
	struct contestant *all[] = {&plain_side, &reg_side, &thread_side, &fio_side, &fio_reg_side};
	bool fio = has_fio();
	int err = interleave(all, fio ? 5 : 3, b->runs);

	if (err)
		return err;
	report_reads(b, "tasks", &plain_side, &thread_side, 0.6);
	report_reads(b, "tasks, registered", &reg_side, &thread_side, 0.6);
	if (!fio) {
		report_skip(b, "direct", fio_side.name, "no fio with the engine io_uring here");
		return 0;
	}
	report_reads(b, "tasks", &plain_side, &fio_side, 1.1);
	report_reads(b, "tasks, registered", &reg_side, &fio_reg_side, 1.1);
	return 0;
}

/* Written, so that every read goes to the disk, and opened anew past the cache. */
static int make_file(struct direct *d)
{
	char *piece = malloc(PIECE);
	unsigned long at;
	int fd = open(d->path, O_WRONLY | O_CLOEXEC), err = fd < 0 ? -errno : 0;

	if (!piece)
		err = -ENOMEM;
	for (at = 0; at < PIECE && !err; at++)
		piece[at] = (char)(at * 131 >> 3);
	for (at = 0; at < d->blocks * BLOCK && !err; at += PIECE)
		if (pwrite(fd, piece, PIECE, (off_t)at) != PIECE)
			err = -errno;
	if (!err && fsync(fd))
		err = -errno;
	if (fd >= 0)
		close(fd);
	free(piece);
	if (err)
		return err;
	d->fd = open(d->path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	return d->fd < 0 ? -errno : 0;
}

static int prepare(const struct bench *b)
{
	int err;

	plain.blocks = (b->smoke ? PIECE : 1024ul * PIECE) / BLOCK;
	plain.count = b->smoke ? DEPTH : 3125ul * DEPTH;
	plain.bufs = aligned_alloc(BLOCK, (size_t)DEPTH * BLOCK);
	if (!plain.bufs)
		return -ENOMEM;
	memset(plain.bufs, 0, (size_t)DEPTH * BLOCK);
	err = make_file(&plain);
	registered = plain;
	registered.registered = true;
	return err;
}

int row_direct(const struct bench *b)
{
	const char *place = find_place(b);
	int fd, err;

	if (!place)
		return -ENOENT;
	snprintf(plain.path, sizeof(plain.path), "%s/batchproc-bench.XXXXXX", place);
	plain.fd = -1;
	fd = mkostemp(plain.path, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	close(fd);
	err = prepare(b);
	if (err == -EINVAL && plain.fd < 0) {
		report_skip(b, "direct", "all", "no O_DIRECT in this directory");
		err = 0;
	} else if (!err) {
		err = run_row(b);
	}
	if (plain.fd >= 0)
		close(plain.fd);
	unlink(plain.path);
	free(plain.bufs);
	return err;
}
