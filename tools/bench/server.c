/* SPDX-License-Identifier: MIT */
/*
 * server.c - see server.h
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server.h"

int server_start(const struct bench *b, struct server *s, const char *ms)
{
	char path[4096 + 32];
	int in[2], out[2];

	snprintf(path, sizeof(path), "%s/slow-server", b->bindir);
	if (pipe2(in, O_CLOEXEC))
		return -errno;
	if (pipe2(out, O_CLOEXEC)) {
		close(in[0]);
		close(in[1]);
		return -errno;
	}
	s->pid = fork();
	if (!s->pid) {
		dup2(in[0], STDIN_FILENO);
		dup2(out[1], STDOUT_FILENO);
		execl(path, path, ms, (char *)NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	s->in = in[1];
	s->out = fdopen(out[0], "r");
	if (s->pid > 0 && fscanf(s->out, "%u", &s->port) == 1)
		return 0;
	fprintf(stderr, "bench: %s does not start\n", path);
	return -EIO;
}

unsigned long server_stop(struct server *s)
{
	unsigned long requests, most = 0;

	close(s->in);
	if (s->out && fscanf(s->out, "%lu requests, %lu", &requests, &most) != 2)
		most = 0;
	if (s->out)
		fclose(s->out);
	if (s->pid > 0)
		waitpid(s->pid, NULL, 0);
	return most;
}
