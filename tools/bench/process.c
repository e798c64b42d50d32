/* SPDX-License-Identifier: MIT */
/*
 * process.c - commands as contestants: whole processes, from their start to their end
 *
 * Their CPU time is that of all their children. What they print goes to a file, so that nobody
 * waits for a reader, and what was printed can be looked at afterwards.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

static double cpu_of_children(void)
{
	struct rusage ru;

	getrusage(RUSAGE_CHILDREN, &ru);
	return (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
	       (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6;
}

static int spawn(const struct process *p)
{
	int status, fd;
	pid_t pid;

	fd = open(p->out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	pid = fork();
	if (!pid) {
		dup2(fd, STDOUT_FILENO);
		execl("/bin/sh", "sh", "-c", p->command, (char *)NULL);
		_exit(127);
	}
	close(fd);
	if (pid < 0)
		return -errno;
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return 0;
	fprintf(stderr, "bench: failed: %s\n", p->command);
	return interrupted() ? -EINTR : -EIO;
}

int process_run(const struct process *p, struct measure *out)
{
	double cpu = cpu_of_children();
	struct stopwatch w;
	int err;

	watch_start(&w);
	err = spawn(p);
	*out = watch_stop(&w, 1e9); /* seconds */
	out->cpu = cpu_of_children() - cpu;
	return err;
}

int process_choice(const struct process *p, struct choice *choice)
{
	char *line = NULL, *backend = NULL, *loops = NULL, *limit = NULL;
	size_t room = 0;
	FILE *f;
	int err;

	err = spawn(p);
	f = err ? NULL : fopen(p->out, "r");
	if (!f)
		return err ? err : -errno;
	while (getline(&line, &room, f) > 0 && !strstr(line, "\"summary\":true"))
		;
	fclose(f);
	if (line) {
		backend = strstr(line, "\"backend\":\"");
		loops = strstr(line, "\"loops\":");
		limit = strstr(line, "\"limit\":");
	}
	err = backend && loops && limit &&
			      sscanf(backend, "\"backend\":\"%15[a-z]", choice->backend) == 1 &&
			      sscanf(loops, "\"loops\":%u", &choice->loops) == 1 &&
			      sscanf(limit, "\"limit\":%ld", &choice->limit) == 1 ?
		      0 :
		      -EBADMSG;
	free(line);
	return err;
}
