/* SPDX-License-Identifier: MIT */
/*
 * main.c - the benchmark: which rows there are, what the command line asks for
 *
 * usage: bench [options] [ROW...]
 *
 * A row is a function that measures and reports; the table below is the whole registry. The
 * table goes to stdout, one line a result, complaints to stderr, and all samples to the file of --json.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

struct row {
	const char *name;
	int (*run)(const struct bench *b);
	const char *what;
	/* The peers that something must have been said about, by the beginnings of their names. */
	const char *peers[8];
	bool if_named; /* it is no comparison with others: only when it is asked for */
};

static const struct row rows[] = {
	{
		.name = "nop-op",
		.run = row_nop_op,
		.what = "NOPs as operation items, against a bare liburing loop",
		.peers = {"bare"},
	},
	{
		.name = "nop-task",
		.run = row_nop_task,
		.what = "NOPs in tasks, against a bare liburing loop and Go's errgroup",
		.peers = {"bare", "Go"},
	},
	{
		.name = "read",
		.run = row_read,
		.what = "many small files read, against bare rings, a thread pool and libuv",
		.peers = {"bare", "pool", "libuv"},
	},
	{
		.name = "read-cold",
		.run = row_read_cold,
		.what = "the same with dropped caches (needs root)",
		.peers = {"bare", "pool", "libuv"},
	},
	{
		.name = "hash-tree",
		.run = row_hash_tree,
		.what = "batchproc hash -r, against xargs sha256sum, b3sum and a thread pool",
		.peers = {"find | xargs -P2 sha256sum", "find | xargs -P2 b3sum", "pool"},
	},
	{
		.name = "hash-large",
		.run = row_hash_large,
		.what = "batchproc hash of large files, against sha256sum, xxhsum, b3sum, openssl",
		.peers = {"sha256sum", "xxhsum", "b3sum", "openssl"},
	},
	{
		.name = "copy-large",
		.run = row_copy_large,
		.what = "batchproc copy of large files to a new ext4, against cp",
		.peers = {"cp -r"},
	},
	{
		.name = "copy-tree",
		.run = row_copy_tree,
		.what = "batchproc copy -r to a new ext4 and XFS, against cp -r, rsync and a pool",
		.peers = {"cp -r", "pool", "rsync"},
	},
	{
		.name = "rm-tree",
		.run = row_rm_tree,
		.what = "batchproc rm -r on a new ext4, against rm -rf and a thread pool",
		.peers = {"rm -rf", "pool"},
	},
	{
		.name = "probe",
		.run = row_probe,
		.what = "batchproc probe of ports, against xargs nc and a thread pool",
		.peers = {"xargs", "pool"},
	},
	{
		.name = "in-flight",
		.run = row_in_flight,
		.what = "batchproc probe of a slow server, against a thread for each request",
		.peers = {""},
	},
	{
		.name = "sleeping",
		.run = row_sleeping,
		.what = "100,000 that sleep: memory, start, cancel, against Go's errgroup",
		.peers = {"Go", "start", "cancel"},
	},
	{
		.name = "direct",
		.run = row_direct,
		.what = "random reads past the page cache, against fio and blocking threads",
		.peers = {"fio", "64 blocking"},
	},
	{
		.name = "get",
		.run = row_get,
		.what = "batchproc fetch from nginx, against curl, wget2, wrk, threads, a bare ring",
		.peers = {"curl", "wget2", "wrk", "pool", "bare"},
	},
	{
		.name = "get-tls",
		.run = row_get_tls,
		.what = "the same over TLS, against curl and wrk",
		.peers = {"curl", "wrk"},
	},
	{
		.name = "limits",
		.run = row_limits,
		.what = "throughput against the limit, fixed and auto, and against a pool's threads",
		.peers = {"batchproc", "batchproc -j auto", "pool"},
	},
	{
		.name = "latency",
		.run = row_latency,
		.what = "percentiles of random reads, against as many threads and fio",
		.peers = {"batchproc", "64 threads", "fio"},
	},
	{
		.name = "loops",
		.run = row_loops,
		.what = "batchproc hash on two loops, against one",
		.peers = {"one loop"},
	},
	{
		.name = "items",
		.run = row_items,
		.what = "time and memory of lists from 10,000 to 10,000,000 items",
		.peers = {"batchproc"},
	},
	{
		.name = "start-up",
		.run = row_start_up,
		.what = "the shortest commands there are, against sha256sum of one file",
		.peers = {"sha256sum"},
	},
	{
		.name = "lanes",
		.run = row_lanes,
		.what = "ways to carry out open, statx, read, close (sets lib/lane.c)",
		.peers = {"inline"},
		.if_named = true,
	},
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

static const char usage_text[] =
	"usage: bench [options] [ROW...]\n"
	"Measures batchproc against its peers; without ROW all rows. A peer that is not there is\n"
	"skipped by name; one that fails, or does other work than the others, makes the exit status 1.\n"
	"\n"
	"  -l, --list            the rows\n"
	"  -n, --runs N          measured runs of each side (default 7, at least 5 but for --smoke)\n"
	"      --cold            lanes: also with dropped caches (needs root)\n"
	"      --json FILE       all samples, and the machine, to FILE as one JSON document\n"
	"      --smoke           tiny counts and one run: only shows that it works\n"
	"      --dir DIR         where trees of files are made (default: a disk is looked for)\n"
	"      --batchproc PATH  the command to measure (default: the one of this build)\n"
	"  -h, --help            this\n"
	"\n"
	"copy-tree, copy-large and rm-tree need root, mkfs.ext4 and loop devices for a new file system in each run.\n";

static int list_rows(void)
{
	size_t i;

	for (i = 0; i < ROWS; i++)
		printf("%-10s %s\n", rows[i].name, rows[i].what);
	return 0;
}

static const struct row *find_row(const char *name)
{
	size_t i;

	for (i = 0; i < ROWS; i++) {
		if (!strcmp(rows[i].name, name))
			return &rows[i];
	}
	return NULL;
}

/* Of whom the row said nothing at all that is said here. */
static void look_for_peers(const struct bench *b, const struct row *row, int err)
{
	const char *why = err ? strerror(-err) : "the row says nothing about it";
	size_t i;

	for (i = 0; i < sizeof(row->peers) / sizeof(row->peers[0]) && row->peers[i]; i++) {
		/* The whole row may have been passed over. */
		if (was_reported(row->name, row->peers[i]) || was_reported(row->name, "all"))
			continue;
		report_fail(b, row->name, row->peers[i][0] ? row->peers[i] : "all", why);
	}
}

static void run_row(const struct bench *b, const struct row *row)
{
	time_t begun = time(NULL);
	int err = row->run(b);

	if (err)
		report_fail(b, row->name, "all", strerror(-err));
	look_for_peers(b, row, err);
	report_row_end(b, row->name, (long)(time(NULL) - begun));
}

/* Finds the directory of this program: the helper programs and the command lie beside it. */
static void find_programs(struct bench *b)
{
	static char dir[PATH_MAX], command[PATH_MAX + 32];
	ssize_t n = readlink("/proc/self/exe", dir, sizeof(dir) - 1);
	char *slash;

	dir[n > 0 ? n : 0] = '\0';
	slash = strrchr(dir, '/');
	if (slash)
		*slash = '\0';
	b->bindir = dir;
	snprintf(command, sizeof(command), "%s/batchproc", dir);
	if (!b->batchproc)
		b->batchproc = command;
}

enum {
	OPT_COLD = 256,
	OPT_JSON,
	OPT_SMOKE,
	OPT_DIR,
	OPT_BATCHPROC
};

static const struct option options[] = {
	{"list", no_argument, NULL, 'l'},
	{"runs", required_argument, NULL, 'n'},
	{"cold", no_argument, NULL, OPT_COLD},
	{"json", required_argument, NULL, OPT_JSON},
	{"smoke", no_argument, NULL, OPT_SMOKE},
	{"dir", required_argument, NULL, OPT_DIR},
	{"batchproc", required_argument, NULL, OPT_BATCHPROC},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

/* Return: -1 to go on, otherwise the exit status. */
static int parse(struct bench *b, int argc, char **argv)
{
	int opt;

	while ((opt = getopt_long(argc, argv, "ln:h", options, NULL)) != -1) {
		switch (opt) {
		case 'l':
			return list_rows();
		case 'n':
			b->runs = (unsigned int)strtoul(optarg, NULL, 10);
			break;
		case OPT_COLD:
			b->cold = true;
			break;
		case OPT_JSON:
			b->json = optarg;
			break;
		case OPT_SMOKE:
			b->smoke = true;
			break;
		case OPT_DIR:
			b->dir = optarg;
			break;
		case OPT_BATCHPROC:
			b->batchproc = optarg;
			break;
		case 'h':
			fputs(usage_text, stdout);
			return 0;
		default:
			fputs("Try: bench --help\n", stderr);
			return 2;
		}
	}
	if (b->smoke)
		b->runs = 1;
	else if (b->runs < 5 || b->runs > RUNS_MAX) {
		fprintf(stderr, "bench: -n takes 5 to %d\n", RUNS_MAX);
		return 2;
	}
	return -1;
}

/* The command line as it could be typed again, for what has no quotes in it. */
static const char *command_line(int argc, char **argv)
{
	static char line[1024] = "bench";
	int i;

	for (i = 1; i < argc; i++) {
		strncat(line, " ", sizeof(line) - strlen(line) - 1);
		strncat(line, argv[i], sizeof(line) - strlen(line) - 1);
	}
	return line;
}

int main(int argc, char **argv)
{
	struct bench b = {.runs = 7, .began = time(NULL)};
	int status;
	size_t i;

	b.command = command_line(argc, argv);
	if (getloadavg(&b.load, 1) != 1)
		b.load = 0;
	status = parse(&b, argc, argv);
	if (status >= 0)
		return status;
	for (i = (size_t)optind; i < (size_t)argc; i++) {
		if (!find_row(argv[i])) {
			fprintf(stderr, "bench: no row %s; bench --list shows them\n", argv[i]);
			return 2;
		}
	}
	find_programs(&b);
	interrupted(); /* from here on a signal ends the rows, which then clean up */
	report_begin(&b);
	for (i = 0; i < ROWS && optind == argc && !interrupted(); i++) {
		if (!rows[i].if_named)
			run_row(&b, &rows[i]);
	}
	for (i = (size_t)optind; i < (size_t)argc && !interrupted(); i++)
		run_row(&b, find_row(argv[i]));
	status = report_end(&b) > 0;
	return interrupted() ? 130 : status;
}
