/* SPDX-License-Identifier: MIT */
/*
 * row_trees.c - a tree is copied, or removed: `batchproc copy -r` and `batchproc rm -r` against cp,
 * rsync, rm and a thread pool
 *
 * 50,000 files of 8 KiB in 500 directories, in the page cache. Each run has a fresh ext4 in a file,
 * and copies an XFS too (see image.c), onto which the tree is copied, or from which it is removed after pool-tree and a
 * sync have put it there. Every contestant is a whole process. The pool is pool-tree beside this
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
#define SMOKE_SIZE (64ul << 20)
#define SMOKE_XFS_SIZE (320ul << 20) /* it takes 300 MiB at the least */

/* What the commands find in their environment. */
#define FROM "BENCH_FROM" /* the tree */
#define TREE "BENCH_TREE" /* its copy in the image */

enum {
	OURS,
	PEER,
	POOL,
	RSYNC, /* copies alone */
	SIDES,
};

struct operation {
	const char *row;
	const char *what;
	const char *peer;
	bool removes;
	const char *ours; /* behind the command */
	const char *theirs;
	const char *rsync; /* NULL: it is no peer */
	const char *pool; /* behind pool-tree -t N */
	double goal[SIDES]; /* of the speed-up against each */
	double cpu_goal[SIDES];
};

static const struct operation copy_operation = {
	.row = "copy-tree",
	.what = "copy of a tree",
	.peer = "cp -r",
	.ours = "copy -q -r \"$" FROM "\" \"$" TREE "\"",
	.theirs = "exec cp -r \"$" FROM "\" \"$" TREE "\"",
	.rsync = "exec rsync -a \"$" FROM "/\" \"$" TREE "\"",
	.pool = "copy \"$" FROM "\" \"$" TREE "\"",
	.goal = {[PEER] = 2.6, [POOL] = 1.05, [RSYNC] = 5},
	.cpu_goal = {[POOL] = 1.05},
};

static const struct operation rm_operation = {
	.row = "rm-tree",
	.what = "removal of a tree",
	.peer = "rm -rf",
	.removes = true,
	.ours = "rm -q -r \"$" TREE "\"",
	.theirs = "exec rm -rf \"$" TREE "\"",
	.pool = "rm \"$" TREE "\"",
	.goal = {[PEER] = 2, [POOL] = 1},
	.cpu_goal = {[POOL] = 1},
};

/* The row that is run. */
static struct {
	const struct bench *bench;
	const struct operation *op;
	const char *fs; /* of the image */
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

	snprintf(put.command, sizeof(put.command), "exec '%s/pool-tree' -t 4 %s", row.bench->bindir,
		 copy_operation.pool);
	snprintf(put.out, sizeof(put.out), "%s", row.process[OURS].out);
	err = process_run(&put, &m);
	return err ? err : sync_image(image);
}

static bool is_done(const char *tree)
{
	return row.op->removes ? access(tree, F_OK) && errno == ENOENT :
				 tree_is_copied(&row.tree, tree);
}

static size_t smallest(const char *fs)
{
	return strcmp(fs, "xfs") ? SMOKE_SIZE : SMOKE_XFS_SIZE;
}

static int run_process(void *arg, struct measure *out)
{
	const struct process *p = arg;
	struct image image;
	char tree[sizeof(image.mnt) + 8];
	const char *why;
	int err = 0;

	why = image_create_fs(&image, row.bench, row.fs,
			      row.bench->smoke ? smallest(row.fs) : IMAGE_SIZE);
	if (why) {
		fprintf(stderr, "bench: a fresh %s: %s\n", row.fs, why);
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
	[RSYNC] = {.name = "rsync -a", .run = run_process, .arg = &row.process[RSYNC]},
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
	char note[128], what[48];
	struct result r = {
		.row = row.op->row,
		.what = what,
		.unit = "s",
		.speed_up = true,
		.goal = row.op->goal[side],
		.cpu_goal = row.op->cpu_goal[side],
		.backend = row.choice.backend,
		.loops = row.choice.loops,
		.limit = row.choice.limit,
		.items = (double)row.tree.dirs * row.tree.files_per_dir,
		.note = note,
	};

	snprintf(what, sizeof(what), "%s, %s", row.op->what, row.fs);
	snprintf(note, sizeof(note), "%u x %u x %zu B, cached, fresh %s in a file, on %s",
		 row.tree.dirs, row.tree.files_per_dir, row.tree.file_size, row.fs, row.tree.fs);
	report_pair(b, &r, &sides[OURS], &sides[side]);
}

static void set_commands(const struct bench *b)
{
	unsigned int side;

	setenv(FROM, row.tree.root, 1);
	sides[PEER].name = row.op->peer;
	for (side = 0; side < SIDES; side++)
		snprintf(row.process[side].out, sizeof(row.process[side].out), "%s.out",
			 row.tree.root);
	snprintf(row.process[OURS].command, sizeof(row.process[OURS].command), "exec '%s' %s",
		 b->batchproc, row.op->ours);
	snprintf(row.process[PEER].command, sizeof(row.process[PEER].command), "%s",
		 row.op->theirs);
	snprintf(row.process[RSYNC].command, sizeof(row.process[RSYNC].command), "%s",
		 row.op->rsync ? row.op->rsync : "false");
}

static int run_sides(const struct bench *b)
{
	struct contestant *all[] = {&sides[OURS], &sides[PEER], &sides[POOL], &sides[RSYNC]};
	bool rsync = row.op->rsync && !strcmp(row.fs, "ext4") && has_program("rsync");
	int err;

	set_commands(b);
	err = ask_choice(b);
	if (!err)
		err = best_threads(b, &sides[POOL], b->runs < 7 ? 1 : 2, set_pool);
	if (!err)
		err = interleave(all, rsync ? SIDES : SIDES - 1, b->runs);
	if (err)
		return err;
	report_side(b, PEER);
	report_side(b, POOL);
	if (rsync)
		report_side(b, RSYNC);
	else if (row.op->rsync && !strcmp(row.fs, "ext4"))
		report_skip(b, row.op->row, sides[RSYNC].name, "not installed");
	return 0;
}

/* On one kind of file system; that there is none is said. */
static int run_on(const struct bench *b, const char *fs)
{
	struct image image;
	const char *why = image_create_fs(&image, b, fs, smallest(fs));
	char what[48];

	row.fs = fs;
	if (!why) {
		image_remove(&image);
		return run_sides(b);
	}
	snprintf(what, sizeof(what), "a fresh %s on a loop device", fs);
	report_skip(b, row.op->row, strcmp(fs, "ext4") ? what : "all", why);
	return 0;
}

static int run_row(const struct bench *b, const struct operation *op)
{
	int err;

	if (access(b->batchproc, X_OK)) {
		report_skip(b, op->row, "all",
			    "batchproc is not there: build it or give --batchproc");
		return 0;
	}
	row.bench = b;
	row.op = op;
	err = tree_create(&row.tree, b, b->smoke ? 60 : 50000, b->smoke ? 20 : 100, 8192);
	if (err)
		return err;
	err = tree_warm(&row.tree);
	if (!err)
		err = run_on(b, "ext4");
	/* One row with another file system shows whether it is the file system. */
	if (!err && !op->removes)
		err = run_on(b, "xfs");
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
