/* SPDX-License-Identifier: MIT */
/*
 * latency.c - how long one read takes while many are in flight: what the row `latency` runs
 *
 * usage: latency tasks|threads N MILLISECONDS FILE
 *
 * N tasks of the library on one loop, or N threads with blocking calls, each read 4 KiB at random
 * places of FILE with O_DIRECT, one after the other, for so long. Printed are how many reads there
 * were and percentiles, in microseconds, from the call to its result.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <batchproc.h>

#include "pool.h"

#define BLOCK 4096u
#define SAMPLES_MAX (8u << 20)

static struct {
	int fd;
	uint64_t blocks, end;
	_Atomic unsigned int samples;
	atomic_int err;
	uint32_t *ns;
	char *buffers;
	_Atomic unsigned int readers;
} job;

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* The places of one reader, the same in each run. */
struct reader {
	char *buffer;
	uint64_t x;
};

static struct reader reader_new(void)
{
	unsigned int i = atomic_fetch_add(&job.readers, 1);

	return (struct reader){.buffer = job.buffers + (size_t)i * BLOCK,
			       .x = (i + 1) * 0x9e3779b97f4a7c15u};
}

static off_t next_place(struct reader *r)
{
	r->x ^= r->x << 13;
	r->x ^= r->x >> 7;
	r->x ^= r->x << 17;
	return (off_t)(r->x % job.blocks * BLOCK);
}

/* False: that was the last one. */
static bool took(uint64_t begin, ssize_t res)
{
	uint64_t end = now();
	unsigned int i;

	if (res != BLOCK) {
		job.err = res < 0 ? (int)res : -EIO;
		return false;
	}
	i = atomic_fetch_add_explicit(&job.samples, 1, memory_order_relaxed);
	if (i >= SAMPLES_MAX)
		return false;
	job.ns[i] = end - begin > UINT32_MAX ? UINT32_MAX : (uint32_t)(end - begin);
	return end < job.end;
}

static int read_in_task(void *arg)
{
	struct reader r = reader_new();
	uint64_t begin;

	(void)arg;
	do
		begin = now();
	while (took(begin, bp_read(job.fd, r.buffer, BLOCK, next_place(&r))));
	return job.err;
}

static void *read_in_thread(void *arg)
{
	struct reader r = reader_new();
	uint64_t begin;
	ssize_t n;

	(void)arg;
	do {
		begin = now();
		n = pread(job.fd, r.buffer, BLOCK, next_place(&r));
	} while (took(begin, n < 0 ? -errno : n));
	return NULL;
}

static int run_tasks(unsigned int n)
{
	struct bp_engine *engine;
	struct bp_group *group;
	int err;

	err = bp_engine_create(&engine, &BP_ENGINE_OPTS(.loops = 0));
	if (err)
		return err;
	err = bp_group_create(&group, engine, &BP_GROUP_OPTS(.limit = (long)n));
	if (!err) {
		for (unsigned int i = 0; i < n && !err; i++)
			err = bp_go(group, read_in_task, NULL);
		bp_wait(group);
		bp_group_destroy(group);
	}
	bp_engine_destroy(engine);
	return err;
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static int print_percentiles(void)
{
	static const double percentiles[] = {50, 90, 99, 99.9, 99.99};
	unsigned int n = job.samples < SAMPLES_MAX ? job.samples : SAMPLES_MAX;

	if (job.err || !n) {
		fprintf(stderr, "latency: %s\n", strerror(-job.err));
		return 1;
	}
	qsort(job.ns, n, sizeof(*job.ns), compare);
	printf("%u reads\n", n);
	for (unsigned int i = 0; i < sizeof(percentiles) / sizeof(percentiles[0]); i++)
		printf("%g %.3f\n", percentiles[i],
		       job.ns[(unsigned int)((n - 1) * percentiles[i] / 100)] / 1000.0);
	return 0;
}

int main(int argc, char **argv)
{
	unsigned int n = argc == 5 ? (unsigned int)strtoul(argv[2], NULL, 10) : 0;
	bool tasks = argc == 5 && !strcmp(argv[1], "tasks");
	struct stat st;
	int err = 0;

	if (!n || n > 512 || (!tasks && strcmp(argv[1], "threads"))) {
		fputs("usage: latency tasks|threads N MILLISECONDS FILE\n", stderr);
		return 2;
	}
	job.fd = open(argv[4], O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (job.fd < 0 || fstat(job.fd, &st) || st.st_size < BLOCK) {
		fprintf(stderr, "latency: %s: %s\n", argv[4], strerror(errno));
		return 1;
	}
	job.blocks = (uint64_t)st.st_size / BLOCK;
	job.ns = must(malloc(SAMPLES_MAX * sizeof(*job.ns)));
	job.buffers = must(aligned_alloc(BLOCK, (size_t)n * BLOCK));
	job.end = now() + strtoull(argv[3], NULL, 10) * 1000000u;
	if (tasks)
		err = run_tasks(n);
	else
		pool_run(n, read_in_thread);
	if (err)
		job.err = err;
	return print_percentiles();
}
