/* SPDX-License-Identifier: MIT */
/*
 * row_limits.c - throughput against the limit: the same work with fixed limits, with the one that
 * batchproc takes when nobody gives one, and by a pool with as many threads
 *
 * hash: digests of a tree in the page cache, where more than the cores in flight gains little, and,
 * as root, with the cache dropped before each run. requests: a server that takes 10 ms, where the
 * limit is all there is. What comes out is compared after each run.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "server.h"

#define LIMITS_MAX 12u

/* One contestant: a limit, or a number of threads. */
struct limited {
	struct contestant c;
	struct process process;
	unsigned int limit; /* 0: that of batchproc's own */
	unsigned long items;
	bool pool;
};

static struct {
	const struct bench *bench;
	const char *what, *side, *pool_side, *unit;
	unsigned int limits[LIMITS_MAX], count;
	struct limited side_of[2 * LIMITS_MAX + 1]; /* ours, ours by itself, the pool */
	unsigned int sides;
	struct tree tree;
	bool drops; /* the page cache, before each run */
	bool digests; /* are what comes out */
	struct lines wanted; /* of these */
} row;

static int run_limited(void *arg, struct measure *out)
{
	const struct limited *l = arg;
	int err = row.drops ? tree_drop_caches(&row.tree) : 0;

	if (!err)
		err = process_run(&l->process, out);
	out->wall /= (double)l->items;
	out->cpu /= (double)l->items;
	return err;
}

/* All items, and digests are the first one's, whatever their order. */
static int check_limited(void *arg)
{
	const struct limited *l = arg;
	struct lines lines;
	int err;

	if (!row.digests)
		return process_lines_with(&l->process, "ok ") == l->items ? 0 : -EBADMSG;
	err = process_lines(&l->process, &lines);
	if (err)
		return err;
	if (!row.wanted.count)
		row.wanted = lines;
	return lines.count == l->items && lines.sum == row.wanted.sum ? 0 : -EBADMSG;
}

static void begin(const struct bench *b, const char *what, unsigned int least, unsigned int most,
		  unsigned int step)
{
	row.bench = b;
	row.what = what;
	row.count = row.sides = 0;
	row.drops = row.digests = false;
	row.wanted = (struct lines){0};
	for (unsigned int limit = least; limit <= most && row.count < LIMITS_MAX; limit *= step)
		row.limits[row.count++] = limit;
}

static struct limited *add(unsigned int limit, unsigned long items, bool pool)
{
	struct limited *l = &row.side_of[row.sides++];

	l->limit = limit;
	l->items = items;
	l->pool = pool;
	l->c.name = pool ? row.pool_side : row.side;
	l->c.run = run_limited;
	l->c.check = check_limited;
	l->c.arg = l;
	l->c.failed = 0;
	return l;
}

static void report_limited(struct limited *l)
{
	struct choice choice = {.limit = 0};
	char side[64], note[64];
	struct point p = {
		.row = "limits",
		.what = row.what,
		.side = l->c.name,
		.of = l->limit ? "limit" : "auto",
		.x = l->limit,
		.unit = row.unit,
		.rate = true,
	};

	if (!l->limit) {
		struct process ask = l->process;

		/* It has its last record in the output of one more run. */
		strcat(ask.command, " --json");
		snprintf(side, sizeof(side), "%s -j auto", row.side);
		p.side = side;
		if (!process_choice(&ask, &choice)) {
			p.x = (double)choice.limit;
			snprintf(note, sizeof(note), "the limit that it took: %ld", choice.limit);
			p.note = note;
		}
	}
	report_point(row.bench, &p, &l->c);
}

static int run_all(void)
{
	struct contestant *all[2 * LIMITS_MAX + 1];
	int err;

	for (unsigned int i = 0; i < row.sides; i++)
		all[i] = &row.side_of[i].c;
	err = interleave(all, row.sides, row.bench->runs);
	for (unsigned int i = 0; i < row.sides && !err; i++)
		report_limited(&row.side_of[i]);
	return err;
}

/* ---------------------------------------------------------------- digests */

static void set_hash(struct limited *l)
{
	char jobs[24] = "auto";

	if (l->limit)
		snprintf(jobs, sizeof(jobs), "%u", l->limit);
	if (l->pool)
		snprintf(l->process.command, sizeof(l->process.command),
			 "exec '%s/pool-hash' -t %u '%s'", row.bench->bindir, l->limit,
			 row.tree.root);
	else
		snprintf(l->process.command, sizeof(l->process.command),
			 "exec '%s' hash -r --progress none -j %s '%s'", row.bench->batchproc, jobs,
			 row.tree.root);
	snprintf(l->process.out, sizeof(l->process.out), "%s.out", row.tree.root);
}

static int run_hash(const struct bench *b, bool cold)
{
	unsigned int most = b->smoke ? 2 : 256, step = b->smoke ? 2 : 4;

	begin(b, cold ? "digests of a tree, cold" : "digests of a tree, cached", 1, most, step);
	row.side = "batchproc";
	row.pool_side = "pool of threads";
	row.unit = "files/s";
	row.drops = cold && !b->smoke;
	row.digests = true;
	for (unsigned int i = 0; i < row.count; i++) {
		set_hash(add(row.limits[i], (unsigned long)row.tree.dirs * row.tree.files_per_dir,
			     false));
		set_hash(add(row.limits[i], (unsigned long)row.tree.dirs * row.tree.files_per_dir,
			     true));
	}
	set_hash(add(0, (unsigned long)row.tree.dirs * row.tree.files_per_dir, false));
	return run_all();
}

static int hash_limits(const struct bench *b, unsigned int files, bool cold)
{
	int err = tree_create(&row.tree, b, b->smoke ? 60 : files, b->smoke ? 20 : 100, 8192);

	if (err)
		return err;
	err = tree_warm(&row.tree);
	if (!err)
		err = run_hash(b, cold);
	unlink(row.side_of[0].process.out);
	tree_remove(&row.tree);
	return err;
}

/* ---------------------------------------------------------------- requests */

static int write_requests(const char *path, const struct limited *l, unsigned int port)
{
	FILE *f = fopen(path, "w");

	if (!f)
		return -errno;
	for (unsigned long i = 0; i < l->items; i++) {
		if (l->pool)
			fprintf(f, "127.0.0.1:%u\n", port);
		else
			fprintf(f, "http://127.0.0.1:%u/%lu\n", port, i);
	}
	return fclose(f) ? -EIO : 0;
}

/* So many requests that each limit has as many rounds: @limit is what they are for. */
static int set_requests(struct limited *l, unsigned int port)
{
	char list[sizeof(row.tree.root) + 32];

	snprintf(list, sizeof(list), "%s/list-%u-%d", row.tree.root, l->limit, l->pool);
	snprintf(l->process.out, sizeof(l->process.out), "%s/out", row.tree.root);
	if (l->pool)
		snprintf(l->process.command, sizeof(l->process.command),
			 "exec '%s/pool-net' -t %u get '%s'", row.bench->bindir, l->limit, list);
	else if (l->limit)
		snprintf(l->process.command, sizeof(l->process.command),
			 "exec '%s' probe --progress none --loops 1 -j %u -T '%s'",
			 row.bench->batchproc, l->limit, list);
	else
		snprintf(l->process.command, sizeof(l->process.command),
			 "exec '%s' probe --progress none --loops 1 -j auto -T '%s'",
			 row.bench->batchproc, list);
	return write_requests(list, l, port);
}

static int request_limits(const struct bench *b)
{
	unsigned int rounds = b->smoke ? 2 : 25;
	struct server server;
	int err = tree_create(&row.tree, b, 1, 1, 16); /* a directory for the lists */

	if (err)
		return err;
	begin(b, "requests to a server that takes 10 ms", b->smoke ? 4 : 1, b->smoke ? 8 : 1024,
	      b->smoke ? 2 : 4);
	row.side = "batchproc";
	row.pool_side = "pool of threads";
	row.unit = "requests/s";
	err = server_start(b, &server, "10");
	for (unsigned int i = 0; i < row.count && !err; i++) {
		err = set_requests(add(row.limits[i], (unsigned long)row.limits[i] * rounds, false),
				   server.port);
		/* More threads than these are another row: in-flight. */
		if (!err && row.limits[i] <= 512)
			err = set_requests(add(row.limits[i], (unsigned long)row.limits[i] * rounds,
					       true),
					   server.port);
	}
	if (!err)
		err = set_requests(add(0, b->smoke ? 20 : 3000, false), server.port);
	if (!err)
		err = run_all();
	server_stop(&server);
	tree_remove(&row.tree);
	return err;
}

int row_limits(const struct bench *b)
{
	int err = hash_limits(b, 20000, false);

	if (!err && !geteuid())
		err = hash_limits(b, 8000, true);
	else if (!err)
		report_skip(b, "limits", "digests, cold", "only root can drop the page cache");
	return err ? err : request_limits(b);
}
