/* SPDX-License-Identifier: MIT */
/*
 * nested.c - groups in groups: a walk where every directory is a task with a group of its own
 *
 * A task may create groups, wait for them and use their results. A child group ends with its
 * parent: the second walk is cancelled in the middle, and nothing of it is left.
 */
#include <dirent.h>
#include <sys/stat.h>

#include "example.h"

static struct bp_engine *engine;
static unsigned long files;

struct dir {
	struct bp_group *parent;
	char path[512];
};

static int count_file(void *arg)
{
	struct statx stx;
	int err = bp_statx(AT_FDCWD, arg, AT_SYMLINK_NOFOLLOW, STATX_TYPE, &stx);

	if (!err)
		files++; /* a caller-driven engine: one thread */
	return err;
}

static int walk(void *arg)
{
	struct dir *d = arg, sub;
	struct bp_group *group;
	struct dirent *e;
	DIR *dirp;
	int err;

	err = bp_group_create(&group, engine, &BP_GROUP_OPTS(.parent = d->parent, .limit = 16));
	if (err)
		return err;
	dirp = opendir(d->path);
	while (dirp && !err && (e = readdir(dirp))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		sub.parent = group;
		snprintf(sub.path, sizeof(sub.path), "%.200s/%s", d->path, e->d_name);
		err = e->d_type == DT_DIR ?
			      bp_go_copy(group, walk, &sub, sizeof(sub)) :
			      bp_go_copy(group, count_file, sub.path, strlen(sub.path) + 1);
	}
	if (dirp)
		closedir(dirp);
	if (err)
		bp_cancel(group, err);
	err = bp_wait(group);
	bp_group_destroy(group);
	return dirp ? err : -ENOENT;
}

static int cancel_soon(void *arg)
{
	while (files < 10)
		bp_yield();
	bp_cancel(arg, -EINTR);
	return 0;
}

static int run(const char *path, bool cancel)
{
	struct bp_group *group;
	struct dir top;
	int err;

	CHECK(!bp_group_create(&group, engine, NULL));
	top.parent = group;
	snprintf(top.path, sizeof(top.path), "%s", path);
	if (cancel)
		CHECK(!bp_go(group, cancel_soon, group));
	CHECK(!bp_go(group, walk, &top));
	err = bp_wait(group);
	bp_group_destroy(group);
	return err;
}

static void make_tree(char *root)
{
	char path[300];
	int i, j, fd;

	CHECK(mkdtemp(root));
	for (i = 0; i < 5; i++) {
		snprintf(path, sizeof(path), "%s/d%d", root, i);
		CHECK(!mkdir(path, 0755));
		for (j = 0; j < 40; j++) {
			snprintf(path, sizeof(path), "%s/d%d/f%d", root, i, j);
			fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
			CHECK(fd >= 0 && !close(fd));
		}
	}
}

static void remove_tree(const char *root)
{
	char path[300];
	int i, j;

	for (i = 0; i < 5; i++) {
		for (j = 0; j < 40; j++) {
			snprintf(path, sizeof(path), "%s/d%d/f%d", root, i, j);
			CHECK(!unlink(path));
		}
		snprintf(path, sizeof(path), "%s/d%d", root, i);
		CHECK(!rmdir(path));
	}
	CHECK(!rmdir(root));
}

int main(void)
{
	char root[] = "/tmp/batchproc-nested.XXXXXX";
	const struct bp_engine_info *info;

	make_tree(root);
	CHECK(!bp_engine_create(&engine, NULL));

	CHECK(!run(root, false));
	printf("%lu files\n", files);
	CHECK(files == 200);

	files = 0;
	CHECK(run(root, true) == -EINTR);
	printf("cancelled after %lu files\n", files);

	info = bp_engine_info(engine);
	CHECK(!info->live_groups && !info->live_tasks && !info->in_flight && !info->waiting);
	bp_engine_destroy(engine);
	remove_tree(root);
	return 0;
}
