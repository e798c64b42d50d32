/* SPDX-License-Identifier: MIT */
/*
 * reads.c - see reads.h
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reads.h"

static atomic_uint next;
static atomic_bool failed;
static struct {
	_Atomic uint64_t files, bytes, sum;
} all;

bool reads_parse(struct reads *r, int argc, char **argv)
{
	if (argc == 6) {
		*r = (struct reads){
			.n = (unsigned int)strtoul(argv[1], NULL, 10),
			.root = argv[2],
			.dirs = (unsigned int)strtoul(argv[3], NULL, 10),
			.files_per_dir = (unsigned int)strtoul(argv[4], NULL, 10),
			.size = strtoul(argv[5], NULL, 10),
		};
		if (r->n && r->n <= 512 && r->dirs && r->files_per_dir && r->size)
			return true;
	}
	fprintf(stderr, "usage: %s N ROOT DIRS FILES_PER_DIR SIZE\n",
		program_invocation_short_name);
	return false;
}

bool reads_next(const struct reads *r, char path[READS_PATH])
{
	unsigned int i = atomic_fetch_add_explicit(&next, 1, memory_order_relaxed);

	if (i >= r->dirs * r->files_per_dir)
		return false;
	snprintf(path, READS_PATH, "%s/d%03u/f%05u", r->root, i / r->files_per_dir,
		 i % r->files_per_dir);
	return true;
}

void tally_add(struct tally *t, const void *data, size_t len)
{
	const char *at = data;
	uint64_t sum = 0, word;
	size_t i;

	for (i = 0; i + sizeof(word) <= len; i += sizeof(word)) {
		memcpy(&word, at + i, sizeof(word));
		sum += word;
	}
	t->files++;
	t->bytes += len;
	t->sum += sum;
}

void tally_count(const struct tally *t)
{
	atomic_fetch_add_explicit(&all.files, t->files, memory_order_relaxed);
	atomic_fetch_add_explicit(&all.bytes, t->bytes, memory_order_relaxed);
	atomic_fetch_add_explicit(&all.sum, t->sum, memory_order_relaxed);
}

void reads_complain(const char *path, int err)
{
	fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, path, strerror(err));
	failed = true;
}

int reads_end(void)
{
	printf("%llu files, %llu bytes, sum %016llx\n", (unsigned long long)all.files,
	       (unsigned long long)all.bytes, (unsigned long long)all.sum);
	return failed;
}

void *reads_buffer(const struct reads *r, unsigned int count)
{
	void *buffer = aligned_alloc(4096, (r->size * count + 4095) / 4096 * 4096);

	if (!buffer) {
		fprintf(stderr, "%s: out of memory\n", program_invocation_short_name);
		exit(125);
	}
	return buffer;
}
