/* SPDX-License-Identifier: MIT */
/*
 * row_whole.c - how the command grows, and what it costs to start it at all
 *
 * loops: digests, which are CPU time alone, with two loops against one. items: a list of ten thousand
 * to ten million names, of one small file each time, so that what is measured is what an item costs
 * the command: time and peak memory. start-up: commands that have nothing to do, a hundred of them in
 * a row for one sample, against sha256sum.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

extern char **environ;

static int run_process(void *arg, struct measure *out)
{
	return process_run(arg, out);
}

/* ---------------------------------------------------------------- loops */

static struct process by_loops[2];
static struct tree tree;
static struct lines wanted;

static int check_lines(void *arg)
{
	struct lines lines;
	int err = process_lines(arg, &lines);

	if (err)
		return err;
	if (!wanted.count)
		wanted = lines;
	return lines.count == tree.files_per_dir && lines.sum == wanted.sum ? 0 : -EBADMSG;
}

static int run_loops(const struct bench *b)
{
	static struct contestant two = {.name = "two loops", .arg = &by_loops[0]};
	static struct contestant one = {.name = "one loop", .arg = &by_loops[1]};
	struct contestant *all[] = {&two, &one};
	struct result r = {
		.row = "loops",
		.what = "SHA-256",
		.unit = "s",
		.speed_up = true,
		.goal = 1.85,
		.backend = "uring",
		.loops = 2,
		.limit = 128,
		.note = "256 files of 4 MiB, cached",
	};
	int err;

	for (unsigned int i = 0; i < 2; i++) {
		all[i]->run = run_process;
		all[i]->check = check_lines;
		snprintf(by_loops[i].command, sizeof(by_loops[i].command),
			 "exec '%s' hash -r --progress none --loops %u -j %u '%s'", b->batchproc,
			 2 - i, 64 * (2 - i), tree.root);
		snprintf(by_loops[i].out, sizeof(by_loops[i].out), "%s.out", tree.root);
	}
	wanted = (struct lines){0};
	err = interleave(all, 2, b->runs);
	if (!err)
		report_pair(b, &r, &two, &one);
	unlink(by_loops[0].out);
	return err;
}

int row_loops(const struct bench *b)
{
	int err;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
		report_skip(b, "loops", "all", "one core alone");
		return 0;
	}
	err = tree_create(&tree, b, b->smoke ? 8 : 256, 256, b->smoke ? 4096 : 4ul << 20);
	if (err)
		return err;
	err = tree_warm(&tree);
	if (!err)
		err = run_loops(b);
	tree_remove(&tree);
	return err;
}

/* ---------------------------------------------------------------- items */

static int write_list(const char *list, const char *name, unsigned long count)
{
	FILE *f = fopen(list, "w");
	unsigned long i;

	if (!f)
		return -errno;
	for (i = 0; i < count; i++)
		fprintf(f, "%s\n", name);
	return fclose(f) ? -EIO : 0;
}

/*
 * A list of @count names. What takes a minute is run once: that time and memory grow with the number
 * shows from one length to the next, each of them ten times the one before.
 */
static int measure_items(const struct bench *b, struct contestant *c, unsigned long count,
			 unsigned int runs)
{
	struct bench some = *b;
	struct point p = {
		.row = "items",
		.what = "digests of a list",
		.side = "batchproc hash -T",
		.of = "items",
		.x = (double)count,
		.unit = "s",
		.note = "one file of 16 bytes, named so many times",
	};
	long peak = 0;

	some.runs = runs;
	for (unsigned int i = 0; i < runs && !c->failed; i++) {
		if (interrupted())
			return -EINTR;
		c->failed = c->run(c->arg, c->samples[i]);
		if (process_peak_kib() > peak)
			peak = process_peak_kib();
	}
	p.memory = (double)peak * 1024;
	report_point(&some, &p, c);
	return 0;
}

int row_items(const struct bench *b)
{
	static struct process process;
	static struct contestant ours = {.name = "batchproc", .run = run_process, .arg = &process};
	char list[sizeof(tree.root) + 8], name[sizeof(tree.root) + 16];
	unsigned long count, most = b->smoke ? 1000 : 10000000;
	int err = tree_create(&tree, b, 1, 1, 16);

	if (err)
		return err;
	ours.failed = 0;
	snprintf(list, sizeof(list), "%s.list", tree.root);
	snprintf(name, sizeof(name), "%s/d000/f00000", tree.root);
	/* Exactly as many lines have to come out. */
	snprintf(process.out, sizeof(process.out), "%s.out", tree.root);
	for (count = b->smoke ? 10 : 10000; count <= most && !err; count *= 10) {
		snprintf(process.command, sizeof(process.command),
			 "'%s' hash -a xxh3 --progress none -T '%s' | wc -l | grep -qx %lu",
			 b->batchproc, list, count);
		err = write_list(list, name, count);
		if (!err)
			err = measure_items(b, &ours, count, count < 1000000 ? b->runs : 1);
	}
	unlink(list);
	unlink(process.out);
	tree_remove(&tree);
	return err;
}

/* ---------------------------------------------------------------- start-up */

#define STARTS 100

static struct start {
	const char *argv[5];
	char out[sizeof(tree.root) + 16];
	unsigned int times;
} info, hash, peer;

static int start_once(const struct start *s, posix_spawn_file_actions_t *to)
{
	int status, err;
	pid_t pid;

	err = posix_spawnp(&pid, s->argv[0], to, NULL, (char *const *)s->argv, environ);
	if (err)
		return -err;
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -EIO;
}

static int run_starts(void *arg, struct measure *out)
{
	const struct start *s = arg;
	posix_spawn_file_actions_t to;
	double cpu = cpu_of_children();
	struct stopwatch w;
	int err = 0;

	posix_spawn_file_actions_init(&to);
	posix_spawn_file_actions_addopen(&to, STDOUT_FILENO, s->out, O_WRONLY | O_CREAT | O_TRUNC,
					 0644);
	watch_start(&w);
	for (unsigned int i = 0; i < s->times && !err; i++)
		err = start_once(s, &to);
	*out = watch_stop(&w, 1e6 * s->times);
	out->cpu = (cpu_of_children() - cpu) * 1e3 / s->times;
	posix_spawn_file_actions_destroy(&to);
	return err;
}

/* The last one's output: a digest is the same as the other's, and info says something. */
static int check_start(void *arg)
{
	const struct start *s = arg;
	struct process one, other;
	struct lines lines, others;

	snprintf(one.out, sizeof(one.out), "%s", s->out);
	snprintf(other.out, sizeof(other.out), "%s", peer.out);
	if (process_lines(&one, &lines) || !lines.count)
		return -EBADMSG;
	if (s != &hash)
		return 0;
	return !process_lines(&other, &others) && others.sum == lines.sum ? 0 : -EBADMSG;
}

static int run_start_up(const struct bench *b, const char *file)
{
	static struct contestant sides[] = {
		{.name = "sha256sum, one file",
		 .run = run_starts,
		 .check = check_start,
		 .arg = &peer},
		{.name = "batchproc", .run = run_starts, .check = check_start, .arg = &info},
		{.name = "batchproc", .run = run_starts, .check = check_start, .arg = &hash},
	};
	struct contestant *all[] = {&sides[0], &sides[1], &sides[2]};
	struct result r = {
		.row = "start-up",
		.unit = "ms",
		.goal = 1.3,
		.backend = "uring",
		.loops = (unsigned int)sysconf(_SC_NPROCESSORS_ONLN),
		.items = 1,
		.note = "16 bytes",
	};
	int err;

	info = (struct start){.argv = {b->batchproc, "info"}};
	hash = (struct start){.argv = {b->batchproc, "hash", file}};
	peer = (struct start){.argv = {"sha256sum", file}};
	info.times = hash.times = peer.times = b->smoke ? 2 : STARTS;
	snprintf(info.out, sizeof(info.out), "%s.info", tree.root);
	snprintf(hash.out, sizeof(hash.out), "%s.hash", tree.root);
	snprintf(peer.out, sizeof(peer.out), "%s.peer", tree.root);
	err = interleave(all, 3, b->runs);
	if (!err) {
		r.what = "info";
		report_pair(b, &r, &sides[1], &sides[0]);
		r.what = "hash, one file";
		report_pair(b, &r, &sides[2], &sides[0]);
	}
	unlink(info.out);
	unlink(hash.out);
	unlink(peer.out);
	return err;
}

int row_start_up(const struct bench *b)
{
	char file[sizeof(tree.root) + 16];
	int err;

	if (!has_program("sha256sum")) {
		report_skip(b, "start-up", "sha256sum", "not installed");
		return 0;
	}
	err = tree_create(&tree, b, 1, 1, 16);
	if (err)
		return err;
	snprintf(file, sizeof(file), "%s/d000/f00000", tree.root);
	err = run_start_up(b, file);
	tree_remove(&tree);
	return err;
}
