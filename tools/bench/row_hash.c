/* SPDX-License-Identifier: MIT */
/*
 * row_hash.c - digests of a tree: `batchproc hash -r` against what one would use without it
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

struct hashing {
	struct process process;
	const struct tree *tree;
	struct lines lines;
};

static int run_hashing(void *arg, struct measure *out)
{
	const struct hashing *h = arg;

	return process_run(&h->process, out);
}

static struct hashing ours, xargs, pool;

/* As many lines as there are files, and the same that ours have been. */
static int check_output(void *arg)
{
	struct hashing *h = arg;
	int err = process_lines(&h->process, &h->lines);

	if (err)
		return err;
	if (h->lines.count == (uint64_t)h->tree->dirs * h->tree->files_per_dir &&
	    (h == &ours || h->lines.sum == ours.lines.sum))
		return 0;
	fprintf(stderr, "bench: %llu lines, or other lines than its peers: %s\n",
		(unsigned long long)h->lines.count, h->process.command);
	return -EBADMSG;
}

static struct choice choice;

static int ask_choice(const struct bench *b)
{
	struct process ask;

	snprintf(ask.command, sizeof(ask.command), "exec '%s' hash -r --json '%s/d000'",
		 b->batchproc, ours.tree->root);
	snprintf(ask.out, sizeof(ask.out), "%s", ours.process.out);
	return process_choice(&ask, &choice);
}

static struct contestant ours_side = {.name = "batchproc",
				      .run = run_hashing,
				      .check = check_output,
				      .arg = &ours};
static struct contestant xargs_side = {.name = "find | xargs -P2 sha256sum",
				       .run = run_hashing,
				       .check = check_output,
				       .arg = &xargs};
static struct contestant pool_side = {.run = run_hashing, .check = check_output, .arg = &pool};

static void set_pool(const struct bench *b, unsigned int threads)
{
	static char name[32];

	snprintf(name, sizeof(name), "pool of %u threads", threads);
	pool_side.name = name;
	snprintf(pool.process.command, sizeof(pool.process.command),
		 "exec '%s/pool-hash' -t %u '%s'", b->bindir, threads, pool.tree->root);
}

static void prepare(struct hashing *h, const struct tree *tree, const char *out)
{
	h->tree = tree;
	snprintf(h->process.out, sizeof(h->process.out), "%s.%s", tree->root, out);
}

static void report_against(const struct bench *b, const char *what, const struct contestant *theirs,
			   double goal)
{
	char note[128];
	struct result r = {
		.row = "hash-tree",
		.what = what,
		.unit = "s",
		.speed_up = true,
		.goal = goal,
		.backend = choice.backend,
		.loops = choice.loops,
		.limit = choice.limit,
		.items = (double)ours.lines.count,
		.note = note,
	};

	snprintf(note, sizeof(note), "%llu x %zu B, cached, %s",
		 (unsigned long long)ours.lines.count, ours.tree->file_size, ours.tree->fs);
	report_pair(b, &r, &ours_side, theirs);
}

static int run_row(const struct bench *b)
{
	struct contestant *all[] = {&ours_side, &xargs_side, &pool_side};
	int err = ask_choice(b);

	/* Its lines are what the others' are held against. */
	if (!err)
		err = process_run(&ours.process, &(struct measure){0});
	if (!err)
		err = check_output(&ours);
	if (!err)
		err = best_threads(b, &pool_side, 3, set_pool);
	if (!err)
		err = interleave(all, 3, b->runs);
	if (err)
		return err;
	report_against(b, "digests of a tree", &xargs_side, 3);
	report_against(b, "digests of a tree", &pool_side, 1);
	return 0;
}

int row_hash_tree(const struct bench *b)
{
	struct tree tree;
	int err;

	if (access(b->batchproc, X_OK)) {
		report_skip(b, "hash-tree", b->batchproc,
			    "not there: build it or give --batchproc");
		return 0;
	}
	err = tree_create(&tree, b, b->smoke ? 60 : 50000, 500, 8192);
	if (err)
		return err;
	prepare(&ours, &tree, "ours");
	prepare(&xargs, &tree, "xargs");
	prepare(&pool, &tree, "pool");
	snprintf(ours.process.command, sizeof(ours.process.command),
		 "exec '%s' hash -r --progress none '%s'", b->batchproc, tree.root);
	snprintf(xargs.process.command, sizeof(xargs.process.command),
		 "find '%s' -type f -print0 | xargs -0 -P2 -n200 sha256sum", tree.root);
	err = tree_warm(&tree);
	if (!err)
		err = run_row(b);
	unlink(ours.process.out);
	unlink(xargs.process.out);
	unlink(pool.process.out);
	tree_remove(&tree);
	return err;
}
