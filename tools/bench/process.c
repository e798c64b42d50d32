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
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

static long peak_kib;

double cpu_of_children(void)
{
	struct rusage ru;

	getrusage(RUSAGE_CHILDREN, &ru);
	return (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
	       (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6;
}

/* Nothing here takes so long: who hangs is a failure, and not the end of the others. */
#define SECONDS_MAX 600

static volatile sig_atomic_t too_long;

static void on_alarm(int sig)
{
	(void)sig;
	too_long = 1;
}

/* Waits for the leader of a process group, which is killed when a signal comes or the time is up. */
static int await(pid_t pid, int *status, struct rusage *ru)
{
	struct sigaction sa = {.sa_handler = on_alarm};
	int err = 0;

	sigaction(SIGALRM, &sa, NULL); /* no SA_RESTART: the wait ends */
	too_long = 0;
	alarm(SECONDS_MAX);
	while (wait4(pid, status, 0, ru) < 0) {
		if (errno != EINTR) {
			err = -errno;
			break;
		}
		if (interrupted() || too_long)
			kill(-pid, SIGKILL);
	}
	alarm(0);
	if (too_long)
		err = -ETIMEDOUT;
	return err;
}

static int spawn(const struct process *p)
{
	struct rusage ru = {0};
	int status = 0, fd, err;
	pid_t pid;

	fd = open(p->out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	pid = fork();
	if (!pid) {
		setpgid(0, 0);
		dup2(fd, STDOUT_FILENO);
		execl("/bin/sh", "sh", "-c", p->command, (char *)NULL);
		_exit(127);
	}
	close(fd);
	if (pid < 0)
		return -errno;
	setpgid(pid, pid); /* whoever comes first; the other one fails */
	err = await(pid, &status, &ru);
	peak_kib = ru.ru_maxrss;
	if (!err && WIFEXITED(status) && !WEXITSTATUS(status))
		return 0;
	fprintf(stderr, "bench: failed%s: %s\n", err == -ETIMEDOUT ? " after 10 minutes" : "",
		p->command);
	return interrupted() ? -EINTR : err ? err : -EIO;
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

long process_peak_kib(void)
{
	return peak_kib;
}

int process_lines(const struct process *p, struct lines *lines)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t n, i;
	FILE *f = fopen(p->out, "r");

	if (!f)
		return -errno;
	*lines = (struct lines){0};
	while ((n = getline(&line, &room, f)) > 0) {
		uint64_t sum = 0xcbf29ce484222325u;

		for (i = 0; i < n; i++)
			sum = (sum ^ (unsigned char)line[i]) * 0x100000001b3u;
		lines->count++;
		lines->sum += sum;
	}
	free(line);
	fclose(f);
	return 0;
}

unsigned long process_lines_with(const struct process *p, const char *word)
{
	FILE *f = fopen(p->out, "r");
	unsigned long count = 0;
	char line[512];

	while (f && fgets(line, sizeof(line), f))
		count += !strncmp(line, word, strlen(word));
	if (f)
		fclose(f);
	return count;
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
