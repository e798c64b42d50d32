/* SPDX-License-Identifier: MIT */
/*
 * soak_run - a manifest of many jobs under faults: hash, copy and rm, as words and as JSON
 *
 * What each verb promises holds for its jobs; without faults a second run does the rest.
 */
#include <ftw.h>
#include <sys/stat.h>

#include "command/soak.h"

#define JOBS 96
#define TREE_FILES 6

static char jobs[JOBS][3 * PATH_ROOM];
static unsigned int job_count;
static uint64_t chance;

/* One form or the other. Names have nothing that would have to be quoted. */
static void job(const char *op, const char *options, const char *keys, const char *src,
		const char *dst)
{
	char *line = jobs[job_count++];

	assert_true(job_count <= JOBS);
	if (pick(&chance, 2))
		snprintf(line, sizeof(jobs[0]), "%s%s '%s' %s\n", op, options, src, dst ? dst : "");
	else if (dst)
		snprintf(line, sizeof(jobs[0]), "{\"op\":\"%s\",\"src\":\"%s\",\"dst\":\"%s\"%s}\n",
			 op, src, dst, keys);
	else
		snprintf(line, sizeof(jobs[0]), "{\"op\":\"%s\",\"src\":\"%s\"%s}\n", op, src,
			 keys);
}

static void rm_job(struct soak *s, const char *path, bool tree)
{
	(void)s;
	job("rm", tree ? " -r" : "", tree ? ",\"recursive\":true" : "", path, NULL);
}

/* In an order of its own. */
static void write_manifest(const char *path)
{
	static char text[sizeof(jobs)];
	size_t len = 0;

	for (unsigned int i = 0; i < job_count; i++) {
		unsigned int k = i + pick(&chance, job_count - i);

		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s", jobs[k]);
		memcpy(jobs[k], jobs[i], sizeof(jobs[0]));
	}
	make(path, text);
}

/* ---------------------------------------------------------------- a tree that is copied */

static void tree_make(struct soak *s)
{
	static const char *const dirs[] = {"tree", "tree/a", "tree/a/b"};

	for (size_t i = 0; i < COUNT_OF(dirs); i++) {
		assert_int_equal(mkdir(in_dir(s, "%s", dirs[i]), 0700), 0);
		thing_add(s, "copy", in_dir(s, "%s", dirs[i]), NULL)->below = i > 0;
		for (unsigned int k = 0; k < TREE_FILES / COUNT_OF(dirs); k++) {
			make(in_dir(s, "%s/f%u", dirs[i], k), dirs[i]);
			thing_add(s, "copy", in_dir(s, "%s/f%u", dirs[i], k), NULL)->below = true;
		}
	}
}

static unsigned int counted;

static int count(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)path;
	(void)st;
	(void)type;
	(void)ftw;
	counted++;
	return 0;
}

/* Each file is whole or not there, and nothing else is. */
static void tree_check(const struct soak *s, bool all)
{
	const char *tree = in_dir(s, "tree"), *copy = in_dir(s, "tree-copy");
	unsigned int found = 0;

	for (unsigned int i = 0; i < s->count; i++) {
		const char *path = s->things[i].src;
		char there[2 * PATH_ROOM], a[16], b[16];
		ssize_t len;
		struct stat st;

		if (strcmp(s->things[i].op, "copy") || strncmp(path, tree, strlen(tree)))
			continue;
		snprintf(there, sizeof(there), "%s%s", copy, path + strlen(tree));
		if (!soak_say(s, !lstat(there, &st) || !all, "not copied", path) ||
		    lstat(there, &st))
			continue;
		found++;
		len = S_ISREG(st.st_mode) ? content(path, a, sizeof(a)) : 0;
		soak_say(s,
			 S_ISDIR(st.st_mode) || (content(there, b, sizeof(b)) == len &&
						 !memcmp(a, b, (size_t)len)),
			 "not whole", there);
	}
	counted = 0;
	nftw(copy, count, 16, FTW_PHYS);
	soak_say(s, counted == found, "something else is left", copy);
}

/* ---------------------------------------------------------------- the manifest */

static void make_jobs(struct soak *s, const char *dst, bool tree)
{
	things_clear(s);
	trees_make(s);
	trees_args(s, rm_job);
	for (unsigned int i = 0; i < FILES; i++) {
		const bool digest = pick(&chance, 2);

		thing_add(s, "copy", s->path[i], digest ? s->digest[i] : NULL);
		job("copy", digest ? " --hash sha256" : "", digest ? ",\"hash\":\"sha256\"" : "",
		    s->path[i], pick(&chance, 2) ? dst : in_dir(s, "copies/%s", s->name[i]));
		if (pick(&chance, 2))
			continue;
		thing_add(s, "hash", s->path[i], s->digest[i]);
		job("hash", "", "", s->path[i], NULL);
	}
	if (tree) {
		tree_make(s);
		job("copy", " -r", ",\"recursive\":true", in_dir(s, "tree"),
		    in_dir(s, "tree-copy"));
	}
}

/* As a file, or from standard input. */
static void give(struct soak *s, const char *manifest, bool stream)
{
	soak_arg(s, stream ? "-" : manifest);
	snprintf(s->input, sizeof(s->input), "%s", stream ? manifest : "");
}

static void do_the_rest(struct soak *s, bool by_journal, const char *failed)
{
	if (by_journal) {
		soak_arg(s, "--resume");
	} else {
		soak_args(s, "run");
		soak_arg(s, "--allow-empty");
		give(s, failed, s->seed / 4 % 2);
	}
	soak_run(s, false);
	soak_check(s, "run without faults", by_journal ? OPERANDS : SOME);
}

void soak_manifest(struct soak *s)
{
	const bool by_journal = s->seed / 8 % 2, tree = s->seed % 3;
	char manifest[PATH_ROOM], file[PATH_ROOM], dst[PATH_ROOM];

	chance = s->seed;
	job_count = 0;
	snprintf(manifest, sizeof(manifest), "%s", in_dir(s, "jobs"));
	snprintf(file, sizeof(file), "%s", in_dir(s, "list"));
	snprintf(dst, sizeof(dst), "%s", in_dir(s, "copies"));
	copies_make(s, dst);
	make_jobs(s, dst, tree);
	write_manifest(manifest);

	soak_args(s, "run");
	soak_arg(s, by_journal ? "--journal" : "--failed-to");
	soak_arg(s, file);
	give(s, manifest, s->seed / 2 % 2);
	soak_run(s, true);
	soak_check(s, "run", ALL);
	trees_check(s, false);
	copies_check(s, dst, false);
	if (tree)
		tree_check(s, false);
	do_the_rest(s, by_journal, file);
	trees_check(s, true);
	copies_check(s, dst, true);
	if (tree)
		tree_check(s, true);

	trees_remove(s);
	copies_remove(s, dst);
	unlink(manifest);
	unlink(file);
	if (tree) {
		char script[2 * PATH_ROOM];

		snprintf(script, sizeof(script), "cd %s && rm -rf tree tree-copy", s->dir);
		assert_int_equal(system(script), 0);
	}
}
