/* SPDX-License-Identifier: MIT */
/*
 * badmount - mounts badfs, the file system that misbehaves on demand, for a test
 *
 * The server is another process: lines go to its standard input and are answered on its standard
 * output. It ends at the end of its input, which only this process holds open.
 */
#include <limits.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "support/badmount.h"

struct badmount {
	struct badmount *next;
	pid_t pid;
	FILE *say, *hear;
	char path[PATH_MAX];
};

static struct badmount *mounts;
/* What else is to be done at the end of the test. */
static void (*others)(void);

void badmount_die(struct badmount *bad)
{
	fputs("die\n", bad->say);
	fflush(bad->say);
	waitpid(bad->pid, NULL, 0);
	bad->pid = 0;
}

void badmount_end(struct badmount *bad)
{
	struct badmount **at = &mounts;

	while (*at != bad)
		at = &(*at)->next;
	*at = bad->next;
	fclose(bad->say);
	fclose(bad->hear);
	if (bad->pid)
		waitpid(bad->pid, NULL, 0);
	else
		umount2(bad->path, MNT_DETACH);
	free(bad);
}

static void end_all(void)
{
	while (mounts)
		badmount_end(mounts);
	if (others)
		others();
}

static void become_server(const char *server, const char *backing, const char *mountpoint,
			  const char *const *lines, const int in[2], const int out[2])
{
	const char *argv[32] = {"badfs", backing, mountpoint};

	for (size_t i = 0; lines[i]; i++) {
		if (i + 4 == COUNT_OF(argv))
			_exit(126);
		argv[i + 3] = lines[i];
	}
	for (int sig = 1; sig < 32; sig++)
		signal(sig, SIG_DFL);
	dup2(in[0], STDIN_FILENO);
	dup2(out[1], STDOUT_FILENO);
	execv(server, (char *const *)argv);
	_exit(127);
}

struct badmount *badmount_begin(struct test *t, const char *backing, const char *mountpoint,
				const char *const *lines)
{
	struct badmount *bad = calloc(1, sizeof(*bad));
	char server[PATH_MAX], line[300] = "";
	int in[2], out[2];

	assert_non_null(bad);
	helper_path(server, "badfs");
	if (access(server, X_OK))
		skip_because(t, "libfuse3 was not there when the tests were built");
	if (access("/dev/fuse", R_OK | W_OK))
		skip_because(t, "/dev/fuse cannot be opened");
	if (t->end != end_all) {
		others = t->end;
		t->end = end_all;
	}
	assert_non_null(realpath(mountpoint, bad->path));
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	fflush(NULL);
	bad->pid = fork();
	assert_true(bad->pid >= 0);
	if (!bad->pid)
		become_server(server, backing, mountpoint, lines, in, out);
	close(in[0]);
	close(out[1]);
	bad->say = fdopen(in[1], "w");
	bad->hear = fdopen(out[0], "r");
	assert_true(bad->say && bad->hear);
	bad->next = mounts;
	mounts = bad;
	if (!fgets(line, sizeof(line), bad->hear))
		fail_msg("badfs ended before it was mounted");
	if (strcmp(line, "mounted\n")) {
		line[strcspn(line, "\n")] = '\0';
		skip_because(t, line);
	}
	return bad;
}

unsigned long badmount_say(struct badmount *bad, const char *format, ...)
{
	unsigned long number = 0;
	char line[64] = "";
	va_list args;

	va_start(args, format);
	vfprintf(bad->say, format, args);
	va_end(args);
	fputc('\n', bad->say);
	fflush(bad->say);
	if (!fgets(line, sizeof(line), bad->hear) || sscanf(line, "ok %lu", &number) != 1)
		fail_msg("badfs does not understand '%s'", format);
	return number;
}
