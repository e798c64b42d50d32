/* SPDX-License-Identifier: MIT */
/*
 * task_read.c - many small files read through the library: a task for each, on N loops; see reads.h
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <batchproc.h>

#include "reads.h"

static struct reads reads;
static struct bp_group *group;

static int read_one(void *arg)
{
	_Alignas(4096) char buffer[16384];
	char path[READS_PATH];
	struct tally tally = {0};
	ssize_t n;
	int fd;

	(void)arg;
	if (!reads_next(&reads, path))
		return 0;
	fd = bp_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0) {
		reads_complain(path, -fd);
		return fd;
	}
	n = bp_read(fd, buffer, reads.size, 0);
	if (n < 0)
		reads_complain(path, (int)-n);
	else
		tally_add(&tally, buffer, (size_t)n);
	bp_close(fd);
	tally_count(&tally);
	return n < 0 ? (int)n : 0;
}

/* A share of the files, started from a loop's own thread: from outside each would be a hand-over. */
static int feed(void *arg)
{
	unsigned int i, files = reads.dirs * reads.files_per_dir;
	int err = 0;

	for (i = *(unsigned int *)arg; i < files && !err; i += reads.n)
		err = bp_go(group, read_one, NULL);
	return err;
}

static int read_all(struct bp_engine *engine)
{
	unsigned int i;
	int err, wait_err;

	/* The feeders have places of their own. */
	err = bp_group_create(&group, engine,
			      &BP_GROUP_OPTS(.limit = (READS_IN_FLIGHT + 1) * reads.n));
	if (err)
		return err;
	for (i = 0; i < reads.n && !err; i++)
		err = bp_go_copy(group, feed, &i, sizeof(i));
	wait_err = bp_wait(group);
	bp_group_destroy(group);
	return err ? err : wait_err;
}

int main(int argc, char **argv)
{
	struct bp_engine *engine;
	int err;

	if (!reads_parse(&reads, argc, argv))
		return 2;
	if (reads.size > 16384) {
		fputs("task-read: at most 16384 bytes a file\n", stderr);
		return 2;
	}
	err = bp_engine_create(&engine, &BP_ENGINE_OPTS(.loops = reads.n));
	if (!err) {
		err = read_all(engine);
		bp_engine_destroy(engine);
	}
	if (err)
		fprintf(stderr, "task-read: %s\n", strerror(-err));
	return reads_end() || err;
}
