/* SPDX-License-Identifier: MIT */
/*
 * row_large.c - large files: `batchproc hash` and `batchproc copy -r` of one of 2 GiB, and of 32 of
 * 64 MiB, from the page cache
 *
 * hash-large: against the program that is there for each digest, as many at a time as there are
 * cores, and against the rate at which OpenSSL makes the digest of memory on one core, which is what
 * one file can at most have. copy-large: to a fresh ext4 for each run, against cp.
 *
 * Digests are compared after each run, and so are the bytes of copies.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

#define SIZE (2048ul << 20)
#define SMOKE_SIZE (64ul << 10)
#define MANY 32u

/* The files of one case. */
static struct {
	const struct bench *bench;
	const char *what;
	struct tree tree;
	struct choice choice;
	unsigned int cores;
} row;

static double all_bytes(void)
{
	return (double)row.tree.file_size * row.tree.files_per_dir;
}

static int make_files(const struct bench *b, unsigned int count)
{
	size_t size = b->smoke ? SMOKE_SIZE : SIZE;
	int err;

	row.bench = b;
	row.cores = (unsigned int)sysconf(_SC_NPROCESSORS_ONLN);
	row.what = count == 1 ? "one file of 2 GiB" : "32 files of 64 MiB";
	err = tree_create(&row.tree, b, count, count, size / count);
	return err ? err : tree_warm(&row.tree);
}

/* ---------------------------------------------------------------- hash-large */

static const struct digest {
	const char *name, *program; /* of ours, and who makes the same lines */
	double goal;
	bool has_rate; /* OpenSSL can say how fast it is */
} digests[] = {
	{"sha256", "sha256sum", 1, true},
	{"xxh128", "xxhsum -q -H2", 0.95, false},
	{"blake3", "b3sum", 0.9, false},
};

#define DIGESTS (sizeof(digests) / sizeof(digests[0]))

/* Ours and the program for each digest. */
static struct hashing {
	const struct digest *digest;
	struct process process;
	struct lines lines;
} hashings[DIGESTS][2];

static struct contestant hash_sides[DIGESTS][2];

static int run_hashing(void *arg, struct measure *out)
{
	return process_run(&((const struct hashing *)arg)->process, out);
}

static int check_hashing(void *arg)
{
	struct hashing *h = arg;
	const struct hashing *ours = &hashings[h->digest - digests][0];
	int err = process_lines(&h->process, &h->lines);

	if (err)
		return err;
	if (h->lines.count == row.tree.files_per_dir &&
	    (h == ours || h->lines.sum == ours->lines.sum))
		return 0;
	fprintf(stderr, "bench: other digests: %s\n", h->process.command);
	return -EBADMSG;
}

/* The rate of the digest of memory, on one core: as the time that all the bytes would take. */
static int run_rate(void *arg, struct measure *out)
{
	const struct digest *d = arg;
	char command[160], line[256];
	double rate = 0;
	FILE *f;

	snprintf(command, sizeof(command),
		 "openssl speed -mr -seconds %d -bytes 131072 -evp %s 2>/dev/null", 1, d->name);
	f = popen(command, "r");
	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "+F:%*d:%*[^:]:%lf", &rate);
	if (f)
		pclose(f);
	*out = (struct measure){.wall = rate > 0 ? all_bytes() / rate : 0};
	return rate > 0 ? 0 : -EBADMSG;
}

static struct contestant rate_side = {.name = "openssl speed, one core",
				      .run = run_rate,
				      .arg = (void *)&digests[0]};

static void set_hashing(size_t i, bool is_ours)
{
	const struct digest *d = &digests[i];
	struct hashing *h = &hashings[i][!is_ours];
	struct contestant *c = &hash_sides[i][!is_ours];

	h->digest = d;
	if (is_ours)
		snprintf(h->process.command, sizeof(h->process.command),
			 "exec '%s' hash -r --progress none -a %s '%s'", row.bench->batchproc,
			 d->name, row.tree.root);
	else if (row.tree.files_per_dir == 1)
		snprintf(h->process.command, sizeof(h->process.command), "exec %s '%s/d000/f00000'",
			 d->program, row.tree.root);
	else
		snprintf(h->process.command, sizeof(h->process.command),
			 "find '%s' -type f -print0 | xargs -0 -P%u -n1 %s", row.tree.root,
			 row.cores, d->program);
	snprintf(h->process.out, sizeof(h->process.out), "%s.%s", row.tree.root, d->program);
	h->process.out[strcspn(h->process.out, " ")] = '\0';
	if (is_ours)
		snprintf(h->process.out, sizeof(h->process.out), "%s.ours", row.tree.root);
	*c = (struct contestant){.name = is_ours ? "batchproc" : d->program,
				 .run = run_hashing,
				 .check = check_hashing,
				 .arg = h};
}

/* A digest that this build does not have, or whose peer is not here, is passed over by name. */
static bool take_digest(size_t i)
{
	char command[4096 + 64], name[32];

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(digests[i].program, " "),
		 digests[i].program);
	if (!has_program(name)) {
		report_skip(row.bench, "hash-large", digests[i].program, "not installed");
		return false;
	}
	snprintf(command, sizeof(command), "'%s' hash -a %s /dev/null >/dev/null 2>&1",
		 row.bench->batchproc, digests[i].name);
	if (!strcmp(digests[i].name, "blake3") && system(command)) {
		report_skip(row.bench, "hash-large", digests[i].program,
			    "this build of batchproc has no BLAKE3");
		return false;
	}
	return true;
}

static void report_hashing(const struct contestant *ours, const struct contestant *theirs,
			   const char *digest, double goal)
{
	char what[64];
	struct result r = {
		.row = "hash-large",
		.what = what,
		.unit = "s",
		.speed_up = true,
		.goal = goal,
		.backend = row.choice.backend,
		.loops = row.choice.loops,
		.limit = row.choice.limit,
		.note = "from the page cache; as many at a time as there are cores",
	};

	snprintf(what, sizeof(what), "%s, %s", digest, row.what);
	report_pair(row.bench, &r, ours, theirs);
}

static int ask_hash_choice(void)
{
	struct process ask;

	snprintf(ask.command, sizeof(ask.command), "exec '%s' hash -r --json -a xxh3 '%s'",
		 row.bench->batchproc, row.tree.root);
	snprintf(ask.out, sizeof(ask.out), "%s", hashings[0][0].process.out);
	return process_choice(&ask, &row.choice);
}

static int hash_case(const struct bench *b, unsigned int count)
{
	struct contestant *all[2 * DIGESTS + 1];
	bool taken[DIGESTS], rate = count == 1 && has_program("openssl");
	unsigned int n = 0;
	size_t i;
	int err = make_files(b, count);

	if (err)
		return err;
	for (i = 0; i < DIGESTS; i++) {
		taken[i] = take_digest(i);
		for (unsigned int k = 0; k < 2; k++) {
			set_hashing(i, !k);
			if (taken[i])
				all[n++] = &hash_sides[i][k];
		}
	}
	if (rate)
		all[n++] = &rate_side;
	err = ask_hash_choice();
	if (!err)
		err = interleave(all, n, b->runs);
	for (i = 0; i < DIGESTS && !err; i++) {
		if (taken[i])
			report_hashing(&hash_sides[i][0], &hash_sides[i][1], digests[i].name,
				       digests[i].goal);
	}
	if (!err && rate && taken[0])
		report_hashing(&hash_sides[0][0], &rate_side, digests[0].name, 0.95);
	else if (!err && count == 1)
		report_skip(b, "hash-large", rate_side.name, "needs openssl and sha256sum");
	for (i = 0; i < DIGESTS; i++) {
		unlink(hashings[i][0].process.out);
		unlink(hashings[i][1].process.out);
	}
	tree_remove(&row.tree);
	return err;
}

int row_hash_large(const struct bench *b)
{
	int err = hash_case(b, 1);

	return err ? err : hash_case(b, MANY);
}

/* ---------------------------------------------------------------- copy-large */

static struct process copies[2];
static struct image image;
static char copied[sizeof(image.mnt) + 8];

static int run_copy(void *arg, struct measure *out)
{
	const char *why =
		image_create(&image, row.bench, row.bench->smoke ? 64ul << 20 : SIZE + (1ul << 30));
	int err;

	if (why) {
		fprintf(stderr, "bench: a fresh ext4: %s\n", why);
		return -EIO;
	}
	snprintf(copied, sizeof(copied), "%s/tree", image.mnt);
	setenv("BENCH_TREE", copied, 1);
	err = process_run(arg, out);
	if (!err && !tree_is_copied(&row.tree, copied)) {
		fprintf(stderr, "bench: not the same files: %s\n",
			((const struct process *)arg)->command);
		err = -EBADMSG;
	}
	image_remove(&image);
	return err;
}

static struct contestant copy_sides[] = {
	{.name = "batchproc", .run = run_copy, .arg = &copies[0]},
	{.name = "cp -r", .run = run_copy, .arg = &copies[1]},
};

static int ask_copy_choice(void)
{
	struct process ask;

	snprintf(ask.command, sizeof(ask.command), "exec '%s' copy -n --json -r '%s' '%s.copy'",
		 row.bench->batchproc, row.tree.root, row.tree.root);
	snprintf(ask.out, sizeof(ask.out), "%s", copies[0].out);
	return process_choice(&ask, &row.choice);
}

static int copy_case(const struct bench *b, unsigned int count)
{
	struct contestant *all[] = {&copy_sides[0], &copy_sides[1]};
	char note[128];
	struct result r = {.row = "copy-large",
			   .unit = "s",
			   .speed_up = true,
			   .goal = 1,
			   .note = note};
	int err = make_files(b, count);

	if (err)
		return err;
	snprintf(copies[0].command, sizeof(copies[0].command),
		 "exec '%s' copy -q -r '%s' \"$BENCH_TREE\"", b->batchproc, row.tree.root);
	snprintf(copies[1].command, sizeof(copies[1].command), "exec cp -r '%s' \"$BENCH_TREE\"",
		 row.tree.root);
	for (unsigned int i = 0; i < 2; i++)
		snprintf(copies[i].out, sizeof(copies[i].out), "%s.out", row.tree.root);
	err = ask_copy_choice();
	if (!err)
		err = interleave(all, 2, b->runs);
	if (!err) {
		r.what = row.what;
		r.backend = row.choice.backend;
		r.loops = row.choice.loops;
		r.limit = row.choice.limit;
		snprintf(note, sizeof(note), "cached, to a fresh ext4 in a file, on %s",
			 row.tree.fs);
		report_pair(b, &r, &copy_sides[0], &copy_sides[1]);
	}
	unlink(copies[0].out);
	tree_remove(&row.tree);
	return err;
}

int row_copy_large(const struct bench *b)
{
	const char *why = image_create(&image, b, 64ul << 20);
	int err;

	image_remove(&image);
	if (why) {
		report_skip(b, "copy-large", "all", why);
		return 0;
	}
	err = copy_case(b, 1);
	return err ? err : copy_case(b, MANY);
}
