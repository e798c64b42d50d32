/* SPDX-License-Identifier: MIT */
/*
 * slurm: its commands, called as a user does; what they print is read as they document it. Each
 * has a process group of its own, so that a ^C is for this program.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/calls.h"
#include "base/message.h"
#include "base/status.h"
#include "verb.h"
#include "verbs/submit/submit.h"

extern char **environ;

/* ---- any command */

void command_add(struct command *command, const char *word)
{
	command->words = xrealloc(command->words, (command->count + 2) * sizeof(*command->words));
	command->words[command->count++] = word;
	command->words[command->count] = NULL;
}

void command_printf(struct command *command, const char *format, ...)
{
	struct buf text = {0};
	va_list args;

	va_start(args, format);
	buf_vprintf(&text, format, args);
	va_end(args);
	buf_char(&text, '\0');
	command->own = xrealloc(command->own, (command->own_count + 1) * sizeof(*command->own));
	command->own[command->own_count++] = text.data;
	command_add(command, text.data);
}

void command_free(struct command *command)
{
	for (size_t i = 0; i < command->own_count; i++)
		free(command->own[i]);
	free(command->own);
	free(command->words);
	*command = (struct command){0};
}

/* 0 or an errno, as posix_spawn() has it. */
static int spawn(const struct command *command, bool quiet, int out, pid_t *pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none;
	int err;

	sigemptyset(&none);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
	if (quiet)
		posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	err = posix_spawnp(pid, command->words[0], &actions, &attr, (char *const *)command->words,
			   environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	return err;
}

int command_run(const struct command *command, bool quiet, struct buf *out)
{
	int fd[2], status = 0, err;
	char block[4096];
	ssize_t n;
	pid_t pid;

	if (pipe2(fd, O_CLOEXEC))
		return -errno;
	err = spawn(command, quiet, fd[1], &pid);
	close(fd[1]);
	while (!err && (n = call_read(fd[0], block, sizeof(block))) > 0)
		buf_add(out, block, (size_t)n);
	close(fd[0]);
	if (err)
		return -err;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* ---- sbatch */

static void add_common(struct command *command, const struct submission *sub)
{
	const struct submit_settings *set = sub->set;

	command_add(command, "sbatch");
	command_add(command, "--parsable");
	command_add(command, "--requeue");
	command_add(command, "--open-mode=append");
	command_add(command, "--output=/dev/null");
	command_add(command, "--ntasks=1");
	command_printf(command, "--chdir=%s", sub->cwd);
	if (set->time)
		command_printf(command, "--time=%s", set->time);
	if (set->partition)
		command_printf(command, "--partition=%s", set->partition);
}

void slurm_array(struct command *command, const struct submission *sub)
{
	const struct submit_settings *set = sub->set;
	const unsigned long long parts = set->shards,
				 at_once = set->nodes ? set->nodes : set->at_once;

	add_common(command, sub);
	command_printf(command, "--job-name=batchproc-%s", sub->target.verb->name);
	if (at_once)
		command_printf(command, "--array=1-%llu%%%llu", parts, at_once);
	else
		command_printf(command, "--array=1-%llu", parts);
	command_printf(command, "--signal=B:USR2@%llu",
		       (unsigned long long)(set->grace_ns / 1000000000));
	if (set->nodes)
		command_add(command, "--exclusive");
	for (size_t i = 0; i < set->extra_count; i++)
		command_add(command, set->extra[i]);
	command_printf(command, "%s/part.sh", sub->dir);
}

void slurm_merge(struct command *command, const struct submission *sub, const char *after)
{
	add_common(command, sub);
	command_add(command, "--job-name=batchproc-merge");
	for (size_t i = 0; i < sub->set->extra_count; i++)
		command_add(command, sub->set->extra[i]);
	command_printf(command, "--dependency=afterany:%s", after);
	command_printf(command, "%s/merge.sh", sub->dir);
	command_printf(command, "%s", after);
}

/* NUMBER or NUMBER;CLUSTER, and a newline. */
static bool take_number(const struct buf *out, char number[32])
{
	size_t len = 0;

	while (len < out->len && out->data[len] >= '0' && out->data[len] <= '9')
		len++;
	if (!len || len > 31 || (len < out->len && !strchr(";\n", out->data[len])))
		return false;
	memcpy(number, out->data, len);
	number[len] = '\0';
	return true;
}

int slurm_submit(const struct command *command, char number[32])
{
	struct buf out = {0};
	int status = command_run(command, false, &out);

	if (status < 0)
		message("cannot run sbatch: %s", error_text(status));
	else if (status)
		message("sbatch ended with status %d", status);
	else if (!take_number(&out, number))
		message("sbatch does not say which job it made");
	else
		number = NULL;
	buf_free(&out);
	return number ? EXIT_TROUBLE : EXIT_OK;
}

/* ---- squeue, scancel */

/* A line for each task: the number of its job, and its state. */
static void count_states(const char *number, struct slurm_states *states, const struct buf *out)
{
	const size_t digits = strlen(number);

	*states = (struct slurm_states){0};
	for (size_t at = 0, len; at < out->len; at += len + 1) {
		const char *line = out->data + at;
		const char *end = memchr(line, '\n', out->len - at);

		len = end ? (size_t)(end - line) : out->len - at;
		if (len <= digits || memcmp(line, number, digits) || line[digits] != ' ')
			continue;
		if (memmem(line, len, " PENDING", 8) || memmem(line, len, " REQUEUE", 8))
			states->waiting++;
		else
			states->running++;
	}
}

bool slurm_look(const struct submission *sub, struct slurm_states *array,
		struct slurm_states *merge)
{
	struct command command = {0};
	struct buf out = {0};
	int status;

	/* Of one job that is long gone it would say that there is none; of two it does not. */
	command_add(&command, "squeue");
	command_add(&command, "--noheader");
	command_add(&command, "--array");
	command_add(&command, "--format=%F %T");
	command_printf(&command, "--jobs=%s,%s", sub->array, sub->merge);
	status = command_run(&command, true, &out);
	if (!status) {
		count_states(sub->array, array, &out);
		count_states(sub->merge, merge, &out);
	}
	command_free(&command);
	buf_free(&out);
	return !status;
}

void slurm_cancel(const struct submission *sub)
{
	struct command command = {0};
	struct buf out = {0};
	int status;

	command_add(&command, "scancel");
	command_add(&command, sub->array);
	if (*sub->merge)
		command_add(&command, sub->merge);
	status = command_run(&command, false, &out);
	if (status)
		message("scancel %s %s: it ended with status %d", sub->array, sub->merge, status);
	command_free(&command);
	buf_free(&out);
}
