/* SPDX-License-Identifier: MIT */
/*
 * soak_rm - what is removed under faults has a record that says so, and all else is there; without
 * faults a second run removes the rest
 *
 *	gone/f0 ... f9		files				named
 *	     t0 ... t2		trees, with links to keep	named
 *	     stays, keep/f, keep/e				not
 */
#include <ftw.h>
#include <sys/stat.h>

#include "command/soak.h"

#define NAMED_FILES 10
#define NAMED_TREES 3
#define STAYING 5 /* gone, and what is not named */

static void add_file(struct soak *s, bool below, const char *path)
{
	make(path, "x");
	thing_add(s, "rm", path, NULL)->below = below;
}

static void add_dir(struct soak *s, bool below, const char *path)
{
	assert_int_equal(mkdir(path, 0700), 0);
	thing_add(s, "rm", path, NULL)->below = below;
}

static void add_link(struct soak *s, const char *to, const char *path)
{
	assert_int_equal(symlink(to, path), 0);
	thing_add(s, "rm", path, NULL)->below = true;
}

static void add_tree(struct soak *s, unsigned int i)
{
	static const char *const dirs[] = {"a", "a/b", "empty"};

	add_dir(s, false, in_dir(s, "gone/t%u", i));
	for (size_t k = 0; k < COUNT_OF(dirs); k++)
		add_dir(s, true, in_dir(s, "gone/t%u/%s", i, dirs[k]));
	for (unsigned int k = 0; k < 4; k++) {
		add_file(s, true, in_dir(s, "gone/t%u/x%u", i, k));
		add_file(s, true, in_dir(s, "gone/t%u/a/x%u", i, k));
		add_file(s, true, in_dir(s, "gone/t%u/a/b/x%u", i, k));
	}
	add_link(s, "../keep", in_dir(s, "gone/t%u/link", i));
	add_link(s, "../../keep", in_dir(s, "gone/t%u/a/link", i));
	add_link(s, "nowhere", in_dir(s, "gone/t%u/a/dangling", i));
}

void trees_make(struct soak *s)
{
	assert_int_equal(mkdir(in_dir(s, "gone"), 0700), 0);
	assert_int_equal(mkdir(in_dir(s, "gone/keep"), 0700), 0);
	assert_int_equal(mkdir(in_dir(s, "gone/keep/e"), 0700), 0);
	make(in_dir(s, "gone/keep/f"), "keep");
	make(in_dir(s, "gone/stays"), "stays");
	for (unsigned int i = 0; i < NAMED_FILES; i++)
		add_file(s, false, in_dir(s, "gone/f%u", i));
	for (unsigned int i = 0; i < NAMED_TREES; i++)
		add_tree(s, i);
}

void trees_args(struct soak *s, void (*add)(struct soak *s, const char *path, bool tree))
{
	for (unsigned int i = 0; i < s->count; i++) {
		const struct thing *thing = &s->things[i];
		struct stat st;

		if (!strcmp(thing->op, "rm") && !thing->below && !lstat(thing->src, &st))
			add(s, thing->src, S_ISDIR(st.st_mode));
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

static bool has(const char *path, const char *text)
{
	char now[16];

	return content(path, now, sizeof(now)) == (ssize_t)strlen(text) &&
	       !memcmp(now, text, strlen(text));
}

void trees_check(const struct soak *s, bool all)
{
	unsigned int left = STAYING;

	for (unsigned int i = 0; i < s->count; i++) {
		const struct thing *thing = &s->things[i];
		bool gone = all || thing->end == END_OK || thing->end == END_SKIPPED;
		struct stat st;
		bool there;

		if (strcmp(thing->op, "rm") || thing->absent)
			continue;
		there = !lstat(thing->src, &st);
		soak_say(s, there == !gone,
			 there ? "still there" : "gone without a record that says so", thing->src);
		left += there;
	}
	counted = 0;
	nftw(in_dir(s, "gone"), count, 16, FTW_PHYS);
	soak_say(s,
		 counted == left && has(in_dir(s, "gone/stays"), "stays") &&
			 has(in_dir(s, "gone/keep/f"), "keep"),
		 "what was not named is not what it was", s->dir);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void trees_remove(struct soak *s)
{
	nftw(in_dir(s, "gone"), remove_one, 16, FTW_PHYS | FTW_DEPTH);
}

static void add_arg(struct soak *s, const char *path, bool tree)
{
	(void)tree;
	soak_arg(s, path);
}

/* With the list of what did not go, or with the journal. */
static void remove_the_rest(struct soak *s, bool by_journal, bool force, const char *failed)
{
	if (by_journal) {
		soak_arg(s, "--resume");
	} else {
		soak_args(s, "rm");
		soak_arg(s, force ? "-rf" : "-r");
		soak_arg(s, "--allow-empty");
		soak_arg(s, "-T");
		soak_arg(s, failed);
	}
	soak_run(s, false);
	soak_check(s, "rm without faults", by_journal ? OPERANDS : SOME);
	trees_check(s, true);
}

void soak_rm(struct soak *s)
{
	const bool by_journal = s->seed / 8 % 2, force = s->seed % 3 == 0;
	char file[PATH_ROOM];

	snprintf(file, sizeof(file), "%s", in_dir(s, "list"));
	things_clear(s);
	trees_make(s);
	soak_args(s, "rm");
	soak_arg(s, force ? "-rf" : "-r");
	soak_arg(s, by_journal ? "--journal" : "--failed-to");
	soak_arg(s, file);
	trees_args(s, add_arg);
	if (force) {
		struct thing *thing = thing_add(s, "rm", in_dir(s, "gone/never-was"), NULL);

		thing->absent = true;
		soak_arg(s, thing->src);
	}
	soak_run(s, true);
	soak_check(s, "rm", ALL);
	trees_check(s, false);
	remove_the_rest(s, by_journal, force, file);
	trees_remove(s);
	unlink(file);
}
