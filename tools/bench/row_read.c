/* SPDX-License-Identifier: MIT */
/*
 * row_read.c - many small files are opened, read and closed: tasks of the library against bare rings,
 * the best pool of threads, and libuv with its best number of threads
 *
 * 50,000 files of 8 KiB, without a walk and without a digest. Each side is a whole process of its
 * own, which adds up what it has read (see reads.h), and prints it; that is compared after each run.
 * read-cold drops the page cache before each run, and has 20,000 of them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "reads.h"

enum {
	OURS,
	RING,
	POOL,
	UV,
	SIDES,
};

static const char *const programs[SIDES] =
	{[OURS] = "task-read", [RING] = "ring-read", [POOL] = "pool-read", [UV] = "uv-read"};

static struct {
	const struct bench *bench;
	const char *name;
	bool cold;
	bool drops; /* the page cache, before each run */
	struct tree tree;
	char expected[128];
	unsigned int loops;
	struct process process[SIDES];
} row;

static int run_reading(void *arg, struct measure *out)
{
	int err = row.drops ? tree_drop_caches(&row.tree) : 0;

	return err ? err : process_run(arg, out);
}

/* The line that each of them has to print. */
static int expect(void)
{
	struct reads r = {
		.root = row.tree.root,
		.dirs = row.tree.dirs,
		.files_per_dir = row.tree.files_per_dir,
		.size = row.tree.file_size,
	};
	char path[READS_PATH], *buffer = reads_buffer(&r, 1);
	struct tally tally = {0};
	int err = 0;

	for (unsigned int i = 0; i < r.dirs * r.files_per_dir && !err; i++) {
		FILE *f;

		snprintf(path, sizeof(path), "%s/d%03u/f%05u", r.root, i / r.files_per_dir,
			 i % r.files_per_dir);
		f = fopen(path, "r");
		if (!f || fread(buffer, 1, r.size, f) != r.size)
			err = -EIO;
		tally_add(&tally, buffer, r.size);
		if (f)
			fclose(f);
	}
	free(buffer);
	snprintf(row.expected, sizeof(row.expected), "%llu files, %llu bytes, sum %016llx\n",
		 (unsigned long long)tally.files, (unsigned long long)tally.bytes,
		 (unsigned long long)tally.sum);
	return err;
}

static int check(void *arg)
{
	const struct process *p = arg;
	FILE *f = fopen(p->out, "r");
	char line[256] = "";
	bool same = f && fgets(line, sizeof(line), f) && !strcmp(line, row.expected);

	if (f)
		fclose(f);
	if (same)
		return 0;
	fprintf(stderr, "bench: not what is in the files: %s", line);
	return -EBADMSG;
}

static struct contestant sides[SIDES] = {
	[OURS] = {.name = "batchproc",
		  .run = run_reading,
		  .check = check,
		  .arg = &row.process[OURS]},
	[RING] = {.run = run_reading, .check = check, .arg = &row.process[RING]},
	[POOL] = {.run = run_reading, .check = check, .arg = &row.process[POOL]},
	[UV] = {.run = run_reading, .check = check, .arg = &row.process[UV]},
};

static void set_command(unsigned int side, unsigned int n)
{
	struct process *p = &row.process[side];

	snprintf(p->command, sizeof(p->command), "exec '%s/%s' %u '%s' %u %u %zu",
		 row.bench->bindir, programs[side], n, row.tree.root, row.tree.dirs,
		 row.tree.files_per_dir, row.tree.file_size);
	snprintf(p->out, sizeof(p->out), "%s.out", row.tree.root);
}

static void set_pool(const struct bench *b, unsigned int threads)
{
	static char name[48];

	(void)b;
	snprintf(name, sizeof(name), "pool of %u thread%s", threads, threads == 1 ? "" : "s");
	sides[POOL].name = name;
	set_command(POOL, threads);
}

static void set_uv(const struct bench *b, unsigned int threads)
{
	static char name[48];

	(void)b;
	snprintf(name, sizeof(name), "libuv with %u thread%s", threads, threads == 1 ? "" : "s");
	sides[UV].name = name;
	set_command(UV, threads);
}

static void report_against(unsigned int side, double goal, double cpu_goal)
{
	char note[128];
	struct result r = {
		.row = row.name,
		.what = row.cold ? "cold" : "cached",
		.unit = "s",
		.speed_up = true,
		.goal = goal,
		.cpu_goal = cpu_goal,
		.backend = "uring",
		.loops = row.loops,
		.limit = (long)(READS_IN_FLIGHT * row.loops),
		.items = (double)row.tree.dirs * row.tree.files_per_dir,
		.note = note,
	};

	snprintf(note, sizeof(note), "%u x %zu B on %s; bare rings: one for each core",
		 row.tree.dirs * row.tree.files_per_dir, row.tree.file_size, row.tree.fs);
	report_pair(row.bench, &r, &sides[OURS], &sides[side]);
}

static bool has_uv(void)
{
	char path[4096 + 32];

	snprintf(path, sizeof(path), "%s/%s", row.bench->bindir, programs[UV]);
	return !access(path, X_OK);
}

static int run_sides(void)
{
	struct contestant *all[] = {&sides[OURS], &sides[POOL], &sides[RING], &sides[UV]};
	bool uv = has_uv();
	int err = expect();

	set_command(OURS, row.loops);
	set_command(RING, row.loops);
	sides[RING].name = row.loops == 1 ? "bare ring" : "bare rings";
	if (!err)
		err = best_threads(row.bench, &sides[POOL], row.cold ? 1 : 2, set_pool);
	if (!err && uv)
		err = best_threads(row.bench, &sides[UV], 1, set_uv);
	if (!err)
		err = interleave(all, uv ? 4 : 3, row.bench->runs);
	if (err)
		return err;
	report_against(RING, row.cold ? 0 : 0.95, 0);
	report_against(POOL, row.cold ? 1.2 : 1.1, row.cold ? 0.85 : 0);
	if (uv)
		report_against(UV, row.cold ? 0 : 2, 0);
	else
		report_skip(row.bench, row.name, "libuv", "was not there at build time");
	return 0;
}

static int run_row(const struct bench *b, const char *name, bool cold)
{
	int err;

	row.bench = b;
	row.name = name;
	row.cold = cold;
	row.drops = cold && !b->smoke; /* tests do not make the whole machine's cache cold */
	row.loops = (unsigned int)sysconf(_SC_NPROCESSORS_ONLN);
	err = tree_create(&row.tree, b,
			  b->smoke ? 60 :
			  cold	   ? 20000 :
				     50000,
			  b->smoke ? 20 : 100, 8192);
	if (err)
		return err;
	err = tree_warm(&row.tree);
	if (!err)
		err = run_sides();
	unlink(row.process[OURS].out);
	tree_remove(&row.tree);
	return err;
}

int row_read(const struct bench *b)
{
	return run_row(b, "read", false);
}

int row_read_cold(const struct bench *b)
{
	if (geteuid()) {
		report_skip(b, "read-cold", "all", "only root can drop the page cache");
		return 0;
	}
	return run_row(b, "read-cold", true);
}
