/* SPDX-License-Identifier: MIT */
/*
 * main.c - the benchmark: which rows there are, what the command line asks for
 *
 * usage: bench [options] [ROW...]
 *
 * A row is a function that measures and reports; the table below is the whole registry. Everything
 * is printed on stdout, one line a result; complaints go to stderr.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

struct row {
	const char *name;
	int (*run)(const struct bench *b);
	const char *what;
};

static const struct row rows[] = {
	{"nop-op", row_nop_op, "NOPs as operation items, against a bare liburing loop"},
	{"nop-task", row_nop_task, "NOPs in tasks, against a bare liburing loop and Go's errgroup"},
	{"hash-tree", row_hash_tree,
	 "batchproc hash -r, against xargs sha256sum and a thread pool"},
	{"copy-tree", row_copy_tree,
	 "batchproc copy -r to a new ext4, against cp -r and a thread pool"},
	{"rm-tree", row_rm_tree, "batchproc rm -r on a new ext4, against rm -rf and a thread pool"},
	{"probe", row_probe, "batchproc probe of ports, against xargs nc and a thread pool"},
	{"in-flight", row_in_flight,
	 "batchproc probe of a slow server, against a thread for each request"},
	{"get", row_get,
	 "batchproc fetch from nginx, against curl, wget2, wrk, threads, a bare ring"},
	{"get-tls", row_get_tls, "the same over TLS, against curl and wrk"},
	{"lanes", row_lanes, "ways to carry out open, statx, read, close (sets lib/lane.c)"},
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

static const char usage_text[] =
	"usage: bench [options] [ROW...]\n"
	"Measures batchproc against its peers; without ROW all rows.\n"
	"\n"
	"  -l, --list            the rows\n"
	"  -n, --runs N          measured runs of each side (default 7, at least 5 but for --smoke)\n"
	"      --cold            lanes: also with dropped caches (needs root)\n"
	"      --json            one JSON object a line\n"
	"      --smoke           tiny counts and one run: only shows that it works\n"
	"      --dir DIR         where trees of files are made (default: a disk is looked for)\n"
	"      --batchproc PATH  the command to measure (default: the one of this build)\n"
	"  -h, --help            this\n"
	"\n"
	"copy-tree and rm-tree need root, mkfs.ext4 and loop devices for a new file system in each run.\n";

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

static int run_row(const struct bench *b, const struct row *row)
{
	int err = row->run(b);

	if (err)
		fprintf(stderr, "bench: %s: %s\n", row->name, strerror(-err));
	return err;
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
	{"json", no_argument, NULL, OPT_JSON},
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
			b->json = true;
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

int main(int argc, char **argv)
{
	struct bench b = {.runs = 7};
	int status = parse(&b, argc, argv);
	bool failed = false;
	size_t i;

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
	if (optind == argc) {
		for (i = 0; i < ROWS && !interrupted(); i++)
			failed |= run_row(&b, &rows[i]) != 0;
	}
	for (i = (size_t)optind; i < (size_t)argc && !interrupted(); i++)
		failed |= run_row(&b, find_row(argv[i])) != 0;
	return interrupted() ? 130 : failed;
}
