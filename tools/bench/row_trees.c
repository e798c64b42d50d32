/* SPDX-License-Identifier: MIT */
/*
 * row_trees.c - a tree is copied, or removed: `batchproc copy -r` and `batchproc rm -r` against cp,
 * rm and a thread pool
 *
 * 50,000 files of 8 KiB in 500 directories, in the page cache. Each run has a fresh ext4 in a file
 * (see image.c), onto which the tree is copied, or from which it is removed after cp -r and a sync
 * have put it there. Every contestant is a whole process. The pool is pool-tree beside this
 * program, with the number of threads that was best in a first round. After each run it is seen
 * whether all was done.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

#define IMAGE_SIZE (3ul << 30)
#define SMOKE_IMAGE_SIZE (64ul << 20)

/* What the commands find in their environment. */
#define FROM "BENCH_FROM" /* the tree */
#define TREE "BENCH_TREE" /* its copy in the image */

enum {
	OURS,
	PEER,
	POOL,
	SIDES,
};

struct operation {
	const char *row;
	const char *what;
	const char *peer;
	bool removes;
	const char *ours; /* behind the command */
	const char *theirs;
	const char *pool; /* behind pool-tree -t N */
	double goal[SIDES]; /* of the speed-up against each */
};

static const struct operation copy_operation = {
	.row = "copy-tree",
	.what = "copy of a tree",
	.peer = "cp -r",
	.ours = "copy -q -r \"$" FROM "\" \"$" TREE "\"",
	.theirs = "exec cp -r \"$" FROM "\" \"$" TREE "\"",
	.pool = "copy \"$" FROM "\" \"$" TREE "\"",
	.goal = {[PEER] = 2.3, [POOL] = 1},
};

static const struct operation rm_operation = {
	.row = "rm-tree",
	.what = "removal of a tree",
	.peer = "rm -rf",
	.removes = true,
	.ours = "rm -q -r \"$" TREE "\"",
	.theirs = "exec rm -rf \"$" TREE "\"",
	.pool = "rm \"$" TREE "\"",
	.goal = {[PEER] = 2.5, [POOL] = 1},
};

/* The row that is run. */
static struct {
	const struct bench *bench;
	const struct operation *op;
	struct tree tree;
	struct process process[SIDES];
	struct choice choice;
} row;

static int sync_image(const struct image *image)
{
	int fd = open(image->mnt, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err;

	if (fd < 0)
		return -errno;
	err = syncfs(fd) ? -errno : 0;
	close(fd);
	return err;
}

static int put_there(const struct image *image)
{
	struct process put;
	struct measure m;
	int err;

	snprintf(put.command, sizeof(put.command), "%s", copy_operation.theirs);
	snprintf(put.out, sizeof(put.out), "%s", row.process[OURS].out);
	err = process_run(&put, &m);
	return err ? err : sync_image(image);
}

static bool is_done(const char *tree)
{
	return row.op->removes ? access(tree, F_OK) && errno == ENOENT :
				 tree_is_copied(&row.tree, tree);
}

static int run_process(void *arg, struct measure *out)
{
	const struct process *p = arg;
	struct image image;
	char tree[sizeof(image.mnt) + 8];
	const char *why;
	int err = 0;

	why = image_create(&image, row.bench, row.bench->smoke ? SMOKE_IMAGE_SIZE : IMAGE_SIZE);
	if (why) {
		fprintf(stderr, "bench: a fresh ext4: %s\n", why);
		return -EIO;
	}
	snprintf(tree, sizeof(tree), "%s/tree", image.mnt);
	setenv(TREE, tree, 1);
	if (row.op->removes)
		err = put_there(&image);
	if (!err)
		err = process_run(p, out);
	if (!err && !is_done(tree)) {
		fprintf(stderr, "bench: something is left to do: %s\n", p->command);
		err = -EBADMSG;
	}
	image_remove(&image);
	return err;
}

static struct contestant sides[SIDES] = {
	[OURS] = {.name = "batchproc", .run = run_process, .arg = &row.process[OURS]},
	[PEER] = {.run = run_process, .arg = &row.process[PEER]},
	[POOL] = {.run = run_process, .arg = &row.process[POOL]},
};

static void set_pool(const struct bench *b, unsigned int threads)
{
	struct process *p = &row.process[POOL];
	static char name[32];

	snprintf(name, sizeof(name), "pool of %u thread%s", threads, threads == 1 ? "" : "s");
	sides[POOL].name = name;
	snprintf(p->command, sizeof(p->command), "exec '%s/pool-tree' -t %u %s", b->bindir, threads,
		 row.op->pool);
}

/* Nothing is done: it is asked how it would be. */
static int ask_choice(const struct bench *b)
{
	struct process ask;

	snprintf(ask.command, sizeof(ask.command), "exec '%s' %s", b->batchproc,
		 row.op->removes ? "rm -n --json -r \"$" FROM "\"" :
				   "copy -n --json -r \"$" FROM "\" \"$" FROM ".copy\"");
	snprintf(ask.out, sizeof(ask.out), "%s", row.process[OURS].out);
	return process_choice(&ask, &row.choice);
}

static void report_side(const struct bench *b, unsigned int side)
{
	char note[128];
	struct result r = {
		.row = row.op->row,
		.what = row.op->what,
		.unit = "s",
		.speed_up = true,
		.goal = row.op->goal[side],
		.backend = row.choice.backend,
		.loops = row.choice.loops,
		.limit = row.choice.limit,
		.items = (double)row.tree.dirs * row.tree.files_per_dir,
		.note = note,
	};

	snprintf(note, sizeof(note), "%u x %u x %zu B, cached, fresh ext4 in a file, on %s",
		 row.tree.dirs, row.tree.files_per_dir, row.tree.file_size, row.tree.fs);
	report_pair(b, &r, &sides[OURS], &sides[side]);
}

static int run_sides(const struct bench *b)
{
	struct contestant *all[] = {&sides[OURS], &sides[PEER], &sides[POOL]};
	unsigned int side;
	int err;

	setenv(FROM, row.tree.root, 1);
	sides[PEER].name = row.op->peer;
	for (side = 0; side < SIDES; side++)
		snprintf(row.process[side].out, sizeof(row.process[side].out), "%s.out",
			 row.tree.root);
	snprintf(row.process[OURS].command, sizeof(row.process[OURS].command), "exec '%s' %s",
		 b->batchproc, row.op->ours);
	snprintf(row.process[PEER].command, sizeof(row.process[PEER].command), "%s",
		 row.op->theirs);
	err = tree_warm(&row.tree);
	if (!err)
		err = ask_choice(b);
	if (!err)
		err = best_threads(b, &sides[POOL], 2, set_pool);
	if (!err)
		err = interleave(all, SIDES, b->runs);
	if (err)
		return err;
	report_side(b, PEER);
	report_side(b, POOL);
	return 0;
}

static int run_row(const struct bench *b, const struct operation *op)
{
	struct image image;
	const char *why;
	int err;

	if (access(b->batchproc, X_OK)) {
		report_skip(b, op->row, b->batchproc, "not there: build it or give --batchproc");
		return 0;
	}
	why = image_create(&image, b, SMOKE_IMAGE_SIZE);
	if (why) {
		report_skip(b, op->row, "a fresh ext4 on a loop device", why);
		return 0;
	}
	image_remove(&image);
	row.bench = b;
	row.op = op;
	err = tree_create(&row.tree, b, b->smoke ? 60 : 50000, b->smoke ? 20 : 100, 8192);
	if (err)
		return err;
	err = run_sides(b);
	unlink(row.process[OURS].out);
	tree_remove(&row.tree);
	return err;
}

int row_copy_tree(const struct bench *b)
{
	return run_row(b, &copy_operation);
}

int row_rm_tree(const struct bench *b)
{
	return run_row(b, &rm_operation);
}
