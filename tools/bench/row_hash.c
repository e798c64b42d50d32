// SPDX-License-Identifier: MIT
/*
 * row_hash.c - digests of a tree: `batchproc hash -r` against what one would use without it
 *
 * 50,000 files of 8 KiB in the page cache. Every contestant is a whole process, with start-up,
 * walk and output to a file on the same disk; its CPU time is that of all its children. The pool
 * is pool-hash beside this program, with the number of threads that was best in a first round.
 * Before anything is timed for the table, all outputs are compared: a tool that leaves out a file
 * would be fast.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

struct process {
	const struct tree *tree;
	char command[3 * 4096]; /* for sh: runs as the group of processes that is timed */
	char out[4096 + 32];
	uint64_t lines, sum; /* of the output, whatever its order */
};

static double cpu_of_children(void)
{
	struct rusage ru;

	getrusage(RUSAGE_CHILDREN, &ru);
	return (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
	       (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6;
}

/* Runs the command with its output in @p->out. */
static int spawn(const struct process *p)
{
	int status, fd;
	pid_t pid;

	fd = open(p->out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	pid = fork();
	if (!pid) {
		dup2(fd, STDOUT_FILENO);
		execl("/bin/sh", "sh", "-c", p->command, (char *)NULL);
		_exit(127);
	}
	close(fd);
	if (pid < 0)
		return -errno;
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return 0;
	fprintf(stderr, "bench: failed: %s\n", p->command);
	return interrupted() ? -EINTR : -EIO;
}

static int run_process(void *arg, struct measure *out)
{
	struct process *p = arg;
	double cpu = cpu_of_children();
	struct stopwatch w;
	int err;

	watch_start(&w);
	err = spawn(p);
	*out = watch_stop(&w, 1e9); /* seconds */
	out->cpu = cpu_of_children() - cpu;
	return err;
}

/* Counts the lines of the output and adds up a hash of each, so that order plays no part. */
static int sum_output(struct process *p)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t n, i;
	FILE *f = fopen(p->out, "r");

	if (!f)
		return -errno;
	p->lines = p->sum = 0;
	while ((n = getline(&line, &room, f)) > 0) {
		uint64_t h = 0xcbf29ce484222325u;

		for (i = 0; i < n; i++)
			h = (h ^ (unsigned char)line[i]) * 0x100000001b3u;
		p->lines++;
		p->sum += h;
	}
	free(line);
	fclose(f);
	return 0;
}

static int check_output(struct process *p, const struct process *other)
{
	int err = sum_output(p);

	if (err)
		return err;
	if (p->lines == (uint64_t)p->tree->dirs * p->tree->files_per_dir &&
	    (!other || p->sum == other->sum))
		return 0;
	fprintf(stderr, "bench: %llu lines, or other lines than its peers: %s\n",
		(unsigned long long)p->lines, p->command);
	return -EBADMSG;
}

static struct process ours, xargs, pool;

/* How the command runs when it is left to choose. */
static struct {
	char backend[16];
	unsigned int loops;
	long limit;
} choice;

/* Asks for it: the record that ends a run with --json says so. */
static int ask_choice(const struct bench *b)
{
	struct process ask = {.tree = ours.tree};
	char *line = NULL, *backend = NULL, *loops = NULL, *limit = NULL;
	size_t room = 0;
	FILE *f;
	int err;

	snprintf(ask.command, sizeof(ask.command), "exec '%s' hash -r --json '%s/d000'",
		 b->batchproc, ours.tree->root);
	snprintf(ask.out, sizeof(ask.out), "%s", ours.out);
	err = spawn(&ask);
	f = err ? NULL : fopen(ask.out, "r");
	if (!f)
		return err ? err : -errno;
	while (getline(&line, &room, f) > 0 && !strstr(line, "\"summary\":true"))
		;
	fclose(f);
	if (line) {
		backend = strstr(line, "\"backend\":\"");
		loops = strstr(line, "\"loops\":");
		limit = strstr(line, "\"limit\":");
	}
	err = backend && loops && limit &&
			      sscanf(backend, "\"backend\":\"%15[a-z]", choice.backend) == 1 &&
			      sscanf(loops, "\"loops\":%u", &choice.loops) == 1 &&
			      sscanf(limit, "\"limit\":%ld", &choice.limit) == 1 ?
		      0 :
		      -EBADMSG;
	free(line);
	return err;
}

static struct contestant ours_side = {.name = "batchproc", .run = run_process, .arg = &ours};
static struct contestant xargs_side = {.name = "find | xargs -P2 sha256sum",
				       .run = run_process,
				       .arg = &xargs};
static struct contestant pool_side = {.run = run_process, .arg = &pool};

static void set_pool(const struct bench *b, unsigned int threads)
{
	static char name[32];

	snprintf(name, sizeof(name), "pool of %u threads", threads);
	pool_side.name = name;
	snprintf(pool.command, sizeof(pool.command), "exec '%s/pool-hash' -t %u '%s'", b->bindir,
		 threads, pool.tree->root);
}

/* The fair pool has the number of threads that serves it best: the best of three runs of each. */
static int find_best_pool(const struct bench *b)
{
	unsigned int threads, best = 1, run, most = b->smoke ? 2 : 256;
	double best_wall = 0;

	for (threads = 1; threads <= most; threads *= 2) {
		for (run = 0; run < 3; run++) {
			struct measure m;
			int err;

			set_pool(b, threads);
			err = run_process(&pool, &m);
			if (err || interrupted())
				return err ? err : -EINTR;
			if (best_wall > 0 && m.wall >= best_wall)
				continue;
			best_wall = m.wall;
			best = threads;
		}
	}
	set_pool(b, best);
	return 0;
}

static void prepare(struct process *p, const struct tree *tree, const char *out)
{
	p->tree = tree;
	snprintf(p->out, sizeof(p->out), "%s.%s", tree->root, out);
}

static void report_pair(const struct bench *b, const char *what, const struct contestant *theirs,
			double goal)
{
	struct measure us = median_of(&ours_side, 0, b->runs);
	struct measure them = median_of(theirs, 0, b->runs);
	char note[128];
	struct result r = {
		.row = "hash-tree",
		.what = what,
		.peer = theirs->name,
		.unit = "s",
		.ours = us.wall,
		.theirs = them.wall,
		.ours_cpu = us.cpu,
		.theirs_cpu = them.cpu,
		.ratio = 1 / median_ratio(&ours_side, theirs, 0, b->runs),
		.ratio_is = "speed-up",
		.goal = goal,
		.backend = choice.backend,
		.loops = choice.loops,
		.limit = choice.limit,
		.note = note,
	};

	snprintf(note, sizeof(note), "%llu x %zu B, cached, %s", (unsigned long long)ours.lines,
		 ours.tree->file_size, ours.tree->fs);
	report(b, &r);
}

static int run_row(const struct bench *b)
{
	struct contestant *all[] = {&ours_side, &xargs_side, &pool_side};
	struct measure m;
	unsigned int i;
	int err;

	err = ask_choice(b);
	if (!err)
		err = find_best_pool(b);
	for (i = 0; i < 3 && !err; i++) {
		struct process *p = all[i]->arg;

		err = run_process(p, &m);
		if (!err)
			err = check_output(p, i ? all[0]->arg : NULL);
	}
	if (!err)
		err = interleave(all, 3, b->runs);
	if (err)
		return err;
	report_pair(b, "digests of a tree", &xargs_side, 3);
	report_pair(b, "digests of a tree", &pool_side, 1);
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
	err = tree_create(&tree, b, b->smoke ? 60 : 50000, 8192);
	if (err)
		return err;
	prepare(&ours, &tree, "ours");
	prepare(&xargs, &tree, "xargs");
	prepare(&pool, &tree, "pool");
	snprintf(ours.command, sizeof(ours.command), "exec '%s' hash -r --progress none '%s'",
		 b->batchproc, tree.root);
	snprintf(xargs.command, sizeof(xargs.command),
		 "find '%s' -type f -print0 | xargs -0 -P2 -n200 sha256sum", tree.root);
	err = tree_warm(&tree);
	if (!err)
		err = run_row(b);
	unlink(ours.out);
	unlink(xargs.out);
	unlink(pool.out);
	tree_remove(&tree);
	return err;
}
