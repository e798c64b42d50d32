/* SPDX-License-Identifier: MIT */
/*
 * row_hash.c - digests of a tree: `batchproc hash -r` against what one would use without it, and xxh128
 * against b3sum
 *
 * 50,000 files of 8 KiB in the page cache. Every contestant is a whole process, with start-up,
 * walk and output to a file on the same disk; its CPU time is that of all its children. The pool
 * is pool-hash beside this program, with the number of threads that was best in a first round.
 * After each run its output is compared with ours: a tool that leaves out a file would be fast.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

enum {
	OURS,
	XARGS,
	POOL,
	OURS_XXH, /* a digest that costs nearly nothing ... */
	B3SUM, /* ... against one that is fast */
	SIDES,
};

static struct hashing {
	struct process process;
	struct lines lines;
	unsigned int
		same; /* whose lines it must have: OURS, or its own, where nobody has the digest */
} hashings[SIDES];

static struct {
	const struct bench *bench;
	struct tree tree;
	struct choice choice;
} row;

static int run_hashing(void *arg, struct measure *out)
{
	const struct hashing *h = arg;

	return process_run(&h->process, out);
}

/* As many lines as there are files, and the same that its likes have, or had in the first run. */
static int check_output(void *arg)
{
	struct hashing *h = arg, *other = &hashings[h->same];
	uint64_t files = (uint64_t)row.tree.dirs * row.tree.files_per_dir;
	struct lines lines;
	int err = process_lines(&h->process, &lines);

	if (err)
		return err;
	if (!other->lines.count)
		other->lines = lines;
	if (lines.count == files && lines.sum == other->lines.sum)
		return 0;
	fprintf(stderr, "bench: %llu lines, or other lines than its peers: %s\n",
		(unsigned long long)lines.count, h->process.command);
	return -EBADMSG;
}

static int ask_choice(void)
{
	struct process ask;

	snprintf(ask.command, sizeof(ask.command), "exec '%s' hash -r --json '%s/d000'",
		 row.bench->batchproc, row.tree.root);
	snprintf(ask.out, sizeof(ask.out), "%s", hashings[OURS].process.out);
	return process_choice(&ask, &row.choice);
}

static struct contestant sides[SIDES] = {
	[OURS] = {.name = "batchproc"},
	[XARGS] = {.name = "find | xargs -P2 sha256sum"},
	[OURS_XXH] = {.name = "batchproc -a xxh128"},
	[B3SUM] = {.name = "find | xargs -P2 b3sum"},
};

static void set_pool(const struct bench *b, unsigned int threads)
{
	static char name[32];

	snprintf(name, sizeof(name), "pool of %u thread%s", threads, threads == 1 ? "" : "s");
	sides[POOL].name = name;
	snprintf(hashings[POOL].process.command, sizeof(hashings[POOL].process.command),
		 "exec '%s/pool-hash' -t %u '%s'", b->bindir, threads, row.tree.root);
}

static void set_commands(void)
{
	static const char *const commands[SIDES] = {
		[OURS] = "exec '%2$s' hash -r --progress none '%1$s'",
		[XARGS] = "find '%1$s' -type f -print0 | xargs -0 -P2 -n200 sha256sum",
		[OURS_XXH] = "exec '%2$s' hash -r --progress none -a xxh128 '%1$s'",
		[B3SUM] = "find '%1$s' -type f -print0 | xargs -0 -P2 -n200 b3sum",
	};
	unsigned int i;

	for (i = 0; i < SIDES; i++) {
		struct hashing *h = &hashings[i];

		*h = (struct hashing){.same = i < OURS_XXH ? OURS : i};
		sides[i].run = run_hashing;
		sides[i].check = check_output;
		sides[i].arg = h;
		snprintf(h->process.out, sizeof(h->process.out), "%s.%u", row.tree.root, i);
		if (commands[i])
			snprintf(h->process.command, sizeof(h->process.command), commands[i],
				 row.tree.root, row.bench->batchproc);
	}
}

static void report_against(unsigned int us, unsigned int them, double goal, double cpu_goal)
{
	char note[128];
	struct result r = {
		.row = "hash-tree",
		.what = us == OURS ? "SHA-256" : "xxh128, BLAKE3",
		.unit = "s",
		.speed_up = true,
		.goal = goal,
		.cpu_goal = cpu_goal,
		.backend = row.choice.backend,
		.loops = row.choice.loops,
		.limit = row.choice.limit,
		.items = (double)row.tree.dirs * row.tree.files_per_dir,
		.note = note,
	};

	snprintf(note, sizeof(note), "%u x %zu B, cached, %s",
		 row.tree.dirs * row.tree.files_per_dir, row.tree.file_size, row.tree.fs);
	report_pair(row.bench, &r, &sides[us], &sides[them]);
}

static int run_sides(const struct bench *b)
{
	struct contestant *all[] = {&sides[OURS], &sides[XARGS], &sides[POOL], &sides[OURS_XXH],
				    &sides[B3SUM]};
	bool b3sum = has_program("b3sum");
	int err = ask_choice();

	/* Its lines are what the others' are held against. */
	if (!err)
		err = process_run(&hashings[OURS].process, &(struct measure){0});
	if (!err)
		err = check_output(&hashings[OURS]);
	if (!err)
		err = best_threads(b, &sides[POOL], b->runs < 7 ? 1 : 3, set_pool);
	if (!err)
		err = interleave(all, b3sum ? SIDES : OURS_XXH, b->runs);
	if (err)
		return err;
	report_against(OURS, XARGS, 4.2, 0);
	report_against(OURS, POOL, 1, 1);
	if (b3sum)
		report_against(OURS_XXH, B3SUM, 2.5, 0);
	else
		report_skip(b, "hash-tree", sides[B3SUM].name, "not installed");
	return 0;
}

int row_hash_tree(const struct bench *b)
{
	unsigned int i;
	int err;

	if (access(b->batchproc, X_OK)) {
		report_skip(b, "hash-tree", "all",
			    "batchproc is not there: build it or give --batchproc");
		return 0;
	}
	row.bench = b;
	err = tree_create(&row.tree, b, b->smoke ? 60 : 50000, 500, 8192);
	if (err)
		return err;
	set_commands();
	err = tree_warm(&row.tree);
	if (!err)
		err = run_sides(b);
	for (i = 0; i < SIDES; i++)
		unlink(hashings[i].process.out);
	tree_remove(&row.tree);
	return err;
}
