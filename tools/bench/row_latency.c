/* SPDX-License-Identifier: MIT */
/*
 * row_latency.c - how long one read takes while 64 are in flight: tasks of the library, as many
 * threads, and fio with its io_uring engine
 *
 * 4 KiB at random places of a file of 1 GiB with O_DIRECT. From each run come the percentiles of all
 * its reads; what the table shows is their spread over the runs.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

#define DEPTH 64

static const double percentiles[] = {50, 90, 99, 99.9, 99.99};

#define PERCENTILES (sizeof(percentiles) / sizeof(percentiles[0]))

static struct process process[3];

static int read_percentiles(const struct process *p, struct measure *out)
{
	FILE *f = fopen(p->out, "r");
	unsigned long reads = 0;
	size_t i = 0;

	if (f && fscanf(f, "%lu reads", &reads) == 1) {
		for (; i < PERCENTILES; i++) {
			double percentile;

			if (fscanf(f, "%lf %lf", &percentile, &out[i].wall) != 2 ||
			    percentile != percentiles[i])
				break;
			out[i].cpu = 0;
		}
	}
	if (f)
		fclose(f);
	return reads && i == PERCENTILES ? 0 : -EBADMSG;
}

/* fio says them in nanoseconds; its keys have six digits. */
static int read_fio(const struct process *p, struct measure *out)
{
	json_t *all = json_load_file(p->out, JSON_DISABLE_EOF_CHECK, NULL);
	json_t *read = json_object_get(json_array_get(json_object_get(all, "jobs"), 0), "read");
	json_t *values = json_object_get(json_object_get(read, "clat_ns"), "percentile");
	int err = 0;

	for (size_t i = 0; i < PERCENTILES; i++) {
		char key[32];

		snprintf(key, sizeof(key), "%.6f", percentiles[i]);
		out[i].wall = json_number_value(json_object_get(values, key)) / 1000;
		out[i].cpu = 0;
		if (!(out[i].wall > 0))
			err = -EBADMSG;
	}
	json_decref(all);
	return err;
}

static int run_reads(void *arg, struct measure *out)
{
	const struct process *p = arg;
	struct measure whole;
	int err = process_run(p, &whole);

	if (err)
		return err;
	return p == &process[2] ? read_fio(p, out) : read_percentiles(p, out);
}

static struct contestant sides[] = {
	{.name = "batchproc, 64 tasks", .run = run_reads, .arg = &process[0]},
	{.name = "64 threads", .run = run_reads, .arg = &process[1]},
	{.name = "fio, io_uring, 64 deep", .run = run_reads, .arg = &process[2]},
};

static void set_commands(const struct bench *b, const char *root, const char *file)
{
	unsigned int ms = b->smoke ? 50 : 1000, i;

	snprintf(process[0].command, sizeof(process[0].command),
		 "exec '%s/latency' tasks %d %u '%s'", b->bindir, DEPTH, ms, file);
	snprintf(process[1].command, sizeof(process[1].command),
		 "exec '%s/latency' threads %d %u '%s'", b->bindir, DEPTH, ms, file);
	snprintf(
		process[2].command, sizeof(process[2].command),
		"exec fio --name=read --eta=never --readonly --ioengine=io_uring --iodepth=%d --direct=1 "
		"--rw=randread --bs=4k --filename='%s' --time_based --runtime=%ums "
		"--percentile_list=50:90:99:99.9:99.99 --output-format=json",
		DEPTH, file, b->smoke ? 200 : ms);
	for (i = 0; i < 3; i++)
		snprintf(process[i].out, sizeof(process[i].out), "%s.%u", root, i);
}

static void report_side(const struct bench *b, const struct contestant *c, const char *note)
{
	for (unsigned int i = 0; i < PERCENTILES; i++) {
		struct point p = {
			.row = "latency",
			.what = "4 KiB random reads, O_DIRECT",
			.side = c->name,
			.of = "percentile",
			.x = percentiles[i],
			.unit = "us",
			.measure = i,
			.note = note,
		};

		report_point(b, &p, c);
		if (c->failed)
			return;
	}
}

static bool is_direct(const char *file)
{
	int fd = open(file, O_RDONLY | O_DIRECT | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

int row_latency(const struct bench *b)
{
	struct contestant *all[] = {&sides[0], &sides[1], &sides[2]};
	char file[4096 + 32], note[96];
	bool fio = has_program("fio");
	struct tree tree;
	int err = tree_create(&tree, b, 1, 1, b->smoke ? 1ul << 20 : 1ul << 30);

	if (err)
		return err;
	snprintf(file, sizeof(file), "%s/d000/f00000", tree.root);
	if (!is_direct(file)) {
		report_skip(b, "latency", "all", "no O_DIRECT on this file system");
		tree_remove(&tree);
		return 0;
	}
	set_commands(b, tree.root, file);
	snprintf(note, sizeof(note), "a file of %zu MiB on %s", tree.file_size >> 20, tree.fs);
	err = interleave(all, fio ? 3 : 2, b->runs);
	for (unsigned int i = 0; i < (fio ? 3u : 2u) && !err; i++)
		report_side(b, &sides[i], note);
	if (!fio)
		report_skip(b, "latency", sides[2].name, "not installed");
	for (unsigned int i = 0; i < 3; i++)
		unlink(process[i].out);
	tree_remove(&tree);
	return err;
}
