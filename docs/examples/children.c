/* SPDX-License-Identifier: MIT */
/*
 * children.c - run commands, a few at a time, each with its output and a time limit
 *
 * Twelve commands, four at once. Each task starts a child with a pipe for its output, reads that until
 * its end, and waits for the child; nobody blocks a thread meanwhile. The last command would sleep for a
 * minute: its time limit ends the read, and the child is killed and waited for all the same.
 */
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include "example.h"

#define COMMANDS 12
#define TOO_LONG (COMMANDS - 1)

struct command {
	int number;
	char output[64];
	int status;
};

static pid_t start(const char *line, int output)
{
	char *argv[] = {"sh", "-c", (char *)(size_t)line, NULL}, *env[] = {NULL};
	posix_spawn_file_actions_t files;
	pid_t pid;

	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
	if (posix_spawn(&pid, "/bin/sh", &files, NULL, argv, env))
		pid = -1;
	posix_spawn_file_actions_destroy(&files);
	return pid;
}

static int run(void *arg)
{
	struct command *c = arg;
	siginfo_t info;
	size_t got = 0;
	char line[64];
	int fds[2], err;
	ssize_t n;
	pid_t pid;

	snprintf(line, sizeof(line),
		 c->number == TOO_LONG ? "exec sleep 60" : "echo I am %d; exit %d", c->number,
		 c->number % 3);
	err = bp_pipe(fds, O_CLOEXEC);
	if (err)
		return err;
	pid = start(line, fds[1]);
	bp_close(fds[1]);
	while (pid > 0 &&
	       (n = bp_read(fds[0], c->output + got, sizeof(c->output) - 1 - got, -1)) > 0)
		got += (size_t)n;
	bp_close(fds[0]);
	if (pid < 0)
		return -ENOENT;

	/* Whatever has ended us: no child is left behind. */
	if (bp_cancelled())
		kill(pid, SIGKILL);
	bp_shield_begin();
	err = bp_waitid(P_PID, (id_t)pid, &info, WEXITED);
	bp_shield_end();
	c->status = info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
	return err;
}

int main(void)
{
	struct command commands[COMMANDS];
	struct bp_engine *engine;
	struct bp_group *group;
	int i;

	CHECK(!bp_engine_create(&engine, NULL));
	CHECK(!bp_group_create(&group, engine,
			       &BP_GROUP_OPTS(.limit = 4, .stop_after_failures = 0,
					      .item_timeout_ns = 4000 * MS)));
	for (i = 0; i < COMMANDS; i++) {
		commands[i] = (struct command){.number = i};
		CHECK(!bp_go(group, run, &commands[i]));
	}
	CHECK(!bp_wait(group));
	for (i = 0; i < COMMANDS; i++) {
		char expected[64];

		printf("command %2d: status %d, %s", i, commands[i].status,
		       *commands[i].output ? commands[i].output : "no output\n");
		snprintf(expected, sizeof(expected), "I am %d\n", i);
		if (i == TOO_LONG)
			continue;
		CHECK(commands[i].status == i % 3);
		CHECK(!strcmp(commands[i].output, expected));
	}
	CHECK(commands[TOO_LONG].status == -SIGKILL);
	bp_group_destroy(group);
	bp_engine_destroy(engine);
	return 0;
}
