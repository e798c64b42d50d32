/* SPDX-License-Identifier: MIT */
/*
 * pool_read.c - the peer of task-read: N threads with blocking calls; see reads.h
 *
 * They share a counter and nothing else.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "pool.h"
#include "reads.h"

static struct reads reads;

static void *work(void *arg)
{
	char path[READS_PATH], *buffer = reads_buffer(&reads, 1);
	struct tally tally = {0};

	(void)arg;
	while (reads_next(&reads, path)) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		ssize_t n = fd < 0 ? -1 : read(fd, buffer, reads.size);

		if (n < 0)
			reads_complain(path, errno);
		else
			tally_add(&tally, buffer, (size_t)n);
		if (fd >= 0)
			close(fd);
	}
	tally_count(&tally);
	free(buffer);
	return NULL;
}

int main(int argc, char **argv)
{
	if (!reads_parse(&reads, argc, argv))
		return 2;
	pool_run(reads.n, work);
	return reads_end();
}
