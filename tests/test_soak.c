// SPDX-License-Identifier: MIT
/*
 * test_soak - the command under injected faults
 *
 * Needs a command that was built with DEBUG=1, for only that takes BATCHPROC_FAULTS. Each seed chooses
 * faults, backend, loops and options; `batchproc hash`, `verify` and `copy` run over files whose
 * digests sha256sum has told. Whatever goes wrong inside: each input has exactly one record, each digest
 * that is printed is right, the exit status fits the records, and at its end the command holds no
 * descriptor of an input. SOAK_SEEDS says how many seeds (100 by default).
 */
#include <dirent.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "harness.h"

#define FILES 24
#define DIGEST 64
#define OUTPUT_MAX (1u << 18)
#define RUN_SECONDS 60
#define FILE_MOST 400000
#define OLD "what was there before"

struct soak {
	const char *command, *dir;
	char name[FILES][32];
	char path[FILES][128];
	char digest[FILES][DIGEST + 1];
	char list[128]; /* in sha256sum's format */
	/* of one run */
	unsigned long seed;
	char faults[300], loops[4], jobs[8];
	char output[OUTPUT_MAX];
	int status, left;
	bool digests; /* each record has one */
};

/* ---------------------------------------------------------------- files */

static size_t size_of(unsigned int i)
{
	static const size_t sizes[] = {0, 1, 511, 4096, 4097, 65536, 65537, 300000};

	return sizes[i % COUNT_OF(sizes)] + i / COUNT_OF(sizes) * 13;
}

/** Makes the files, and asks sha256sum what is in them. */
static void make_files(struct soak *s, struct test *t)
{
	char line[512], command[600];
	FILE *sums, *list;

	s->dir = temp_dir(t);
	for (unsigned int i = 0; i < FILES; i++) {
		snprintf(s->name[i], sizeof(s->name[i]), "file-%02u", i);
		close(temp_file(t, s->name[i], size_of(i), O_RDONLY));
		snprintf(s->path[i], sizeof(s->path[i]), "%s/%s", s->dir, s->name[i]);
	}
	snprintf(s->list, sizeof(s->list), "%s/sums", s->dir);
	snprintf(command, sizeof(command), "sha256sum %s/file-*", s->dir);
	sums = popen(command, "r");
	list = fopen(s->list, "w");
	assert_non_null(sums);
	assert_non_null(list);
	for (unsigned int i = 0; i < FILES; i++) {
		assert_non_null(fgets(line, sizeof(line), sums));
		fputs(line, list);
		memcpy(s->digest[i], line, DIGEST);
		assert_non_null(strstr(line, s->name[i]));
	}
	assert_int_equal(pclose(sums), 0);
	assert_int_equal(fclose(list), 0);
}

/* ---------------------------------------------------------------- a run */

/** Descriptors of a process that lead into the directory of the inputs. */
static int descriptors_left(const struct soak *s, pid_t pid)
{
	char dir[64], link[128], target[300];
	struct dirent *entry;
	int count = 0;
	DIR *fds;

	snprintf(dir, sizeof(dir), "/proc/%d/fd", (int)pid);
	fds = opendir(dir);
	if (!fds)
		return 0;
	while ((entry = readdir(fds))) {
		ssize_t len;

		snprintf(link, sizeof(link), "%s/%.20s", dir, entry->d_name);
		len = readlink(link, target, sizeof(target) - 1);
		if (len > 0 && !strncmp(target, s->dir, strlen(s->dir)))
			count++;
	}
	closedir(fds);
	return count;
}

static void run_child(const struct soak *s, char **argv, int out)
{
	int null = open("/dev/null", O_WRONLY);

	dup2(out, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
	close(out);
	close(null);
	if (*s->faults)
		setenv("BATCHPROC_FAULTS", s->faults, 1);
	else
		unsetenv("BATCHPROC_FAULTS");
	/* LeakSanitizer cannot look at a process that is traced already. */
	setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
	alarm(RUN_SECONDS);
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	execv(s->command, argv);
	_exit(127);
}

/** Lets the child run, and looks at its descriptors when it is about to end. */
static void follow(struct soak *s, pid_t pid)
{
	bool begun = false;

	s->left = 0;
	while (waitpid(pid, &s->status, __WALL) == pid && WIFSTOPPED(s->status)) {
		int sig = WSTOPSIG(s->status);

		if (!begun) {
			begun = true;
			sig = 0;
			ptrace(PTRACE_SETOPTIONS, pid, NULL,
			       PTRACE_O_TRACEEXIT | PTRACE_O_EXITKILL);
		} else if (s->status >> 8 == (SIGTRAP | PTRACE_EVENT_EXIT << 8)) {
			sig = 0;
			s->left = descriptors_left(s, pid);
		}
		ptrace(PTRACE_CONT, pid, NULL, sig);
	}
}

/** Runs the command; its output is in s->output. */
static void run(struct soak *s, char **argv)
{
	char path[160];
	ssize_t len;
	pid_t pid;
	int out;

	snprintf(path, sizeof(path), "%s/output", s->dir);
	out = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	pid = fork();
	if (!pid)
		run_child(s, argv, out);
	follow(s, pid);
	len = pread(out, s->output, sizeof(s->output) - 1, 0);
	s->output[len > 0 ? len : 0] = '\0';
	close(out);
	unlink(path);
}

/* ---------------------------------------------------------------- records */

/** The string value of @key in a record. Return: its length, 0 if there is none. */
static size_t value(const char *line, const char *key, char *to, size_t room)
{
	char pattern[40];
	const char *at, *end;

	snprintf(pattern, sizeof(pattern), "\"%s\":\"", key);
	at = strstr(line, pattern);
	if (!at)
		return 0;
	at += strlen(pattern);
	end = strchr(at, '"');
	if (!end || (size_t)(end - at) >= room)
		return 0;
	memcpy(to, at, (size_t)(end - at));
	to[end - at] = '\0';
	return (size_t)(end - at);
}

struct counts {
	unsigned int records[FILES], ok, failed, other, summaries;
};

static bool say(const struct soak *s, bool ok, const char *what, const char *line)
{
	if (!ok)
		record_failure("%s: %s: %.200s", s->faults, what, line);
	return ok;
}

static void check_record(const struct soak *s, const char *line, struct counts *c)
{
	char src[300], status[32], digest[DIGEST + 1], error[32];
	unsigned int i = 0;

	if (strstr(line, "\"summary\":true")) {
		c->summaries++;
		return;
	}
	if (!say(s, value(line, "src", src, sizeof(src)) && value(line, "status", status, 32),
		 "a record without source or status", line))
		return;
	while (i < FILES && strcmp(src, s->path[i]))
		i++;
	if (!say(s, i < FILES, "a record of no input", line))
		return;
	c->records[i]++;
	if (!strcmp(status, "ok")) {
		c->ok++;
		say(s,
		    !s->digests || (value(line, "digest", digest, sizeof(digest)) == DIGEST &&
				    !strcmp(digest, s->digest[i])),
		    "a wrong digest", line);
	} else if (!strcmp(status, "failed")) {
		c->failed++;
		say(s, value(line, "errno", error, sizeof(error)) && strcmp(error, "EBADMSG"),
		    "a failure without its reason, or with a wrong digest", line);
	} else {
		c->other++;
	}
}

/** Every input has one record, and the exit status fits them. */
static void check_run(const struct soak *s, const char *what, bool fail_fast)
{
	struct counts c = {0};
	const char *line = s->output, *end;
	char copy[1024];
	int code, right;

	if (!say(s, WIFEXITED(s->status), what, "ended by a signal"))
		return;
	code = WEXITSTATUS(s->status);
	for (; (end = strchr(line, '\n')); line = end + 1) {
		snprintf(copy, sizeof(copy), "%.*s", (int)(end - line), line);
		check_record(s, copy, &c);
	}
	say(s, !*line, what, "a torn last line");
	for (unsigned int i = 0; i < FILES; i++)
		say(s, c.records[i] == 1, c.records[i] ? "two records" : "no record", s->path[i]);
	say(s, c.summaries == 1, what, "not one summary");
	right = c.failed && fail_fast ? 3 : c.failed ? 1 : 0;
	snprintf(copy, sizeof(copy), "exit status %d, with %u ok, %u failed, %u others", code, c.ok,
		 c.failed, c.other);
	say(s, code == right || (fail_fast && !c.other && code == 1), what, copy);
	say(s, fail_fast || !c.other, what, copy);
	say(s, s->left == 0, what, "a descriptor of an input is left open");
}

/* ---------------------------------------------------------------- seeds */

static unsigned int pick(uint64_t *x, unsigned int n)
{
	*x = *x * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned int)(*x >> 33) % n;
}

static void choose(struct soak *s, unsigned long seed)
{
	static const unsigned int rare[] = {0, 0, 1, 5}, often[] = {0, 10, 30, 60};
	uint64_t x = seed;

	s->seed = seed;
	snprintf(s->faults, sizeof(s->faults),
		 "seed=%lu,short=%u,eintr=%u,eagain=%u,eio=%u,enospc=%u,delay=%u,reorder=%u,"
		 "lose_cancel=%u,call_short=%u,call_eio=%u,call_enospc=%u,call_range=%u",
		 seed, often[pick(&x, 4)], rare[pick(&x, 4)], rare[pick(&x, 4)], rare[pick(&x, 4)],
		 rare[pick(&x, 4)], often[pick(&x, 4)], often[pick(&x, 4)], often[pick(&x, 4)],
		 often[pick(&x, 4)], rare[pick(&x, 4)], rare[pick(&x, 4)], often[pick(&x, 4)]);
	snprintf(s->loops, sizeof(s->loops), "%u", 1 + pick(&x, 3));
	snprintf(s->jobs, sizeof(s->jobs), "%u", 1 + pick(&x, 40));
}

/* ---------------------------------------------------------------- copies */

static void make_old(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, OLD, sizeof(OLD) - 1), sizeof(OLD) - 1);
	close(fd);
}

/** What is in a file; -1: it is not there. */
static ssize_t content(const char *path, char *to, size_t room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, to, room);

	if (fd >= 0)
		close(fd);
	return len;
}

/** Whole, or as it was before; and nothing else is there. */
static void check_copies(const struct soak *s, const char *dst, bool all)
{
	static char a[FILE_MOST], b[FILE_MOST];
	char path[200];
	unsigned int names = 0, found = 0;
	const struct dirent *entry;
	DIR *dir;

	for (unsigned int i = 0; i < FILES; i++) {
		ssize_t len = content(s->path[i], a, sizeof(a)), got;
		bool whole, old;

		snprintf(path, sizeof(path), "%s/%s", dst, s->name[i]);
		got = content(path, b, sizeof(b));
		whole = got == len && !memcmp(a, b, (size_t)len);
		old = i % 3 ? got < 0 : got == sizeof(OLD) - 1 && !memcmp(b, OLD, (size_t)got);
		say(s, whole || (old && !all), "neither whole nor as it was", path);
		names += got >= 0;
	}
	dir = opendir(dst);
	while (dir && (entry = readdir(dir)))
		found += strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
	if (dir)
		closedir(dir);
	say(s, found == names, "something else is left", dst);
}

/** After faults each copy is whole or was not made; without them a second run makes all. */
static void soak_copy(struct soak *s, char **argv, unsigned int options, bool fail_fast)
{
	static char *const kinds[] = {"--atomic", "--verify", "--reflink=never", "--sync"};
	unsigned int n = options;
	char dst[160], path[200];

	snprintf(dst, sizeof(dst), "%s/copies", s->dir);
	assert_int_equal(mkdir(dst, 0700), 0);
	for (unsigned int i = 0; i < FILES; i += 3) {
		snprintf(path, sizeof(path), "%s/%s", dst, s->name[i]);
		make_old(path);
	}
	argv[1] = "copy";
	if (s->seed % 5) {
		argv[n++] = "--hash";
		argv[n++] = "sha256";
		argv[n++] = kinds[s->seed % 4];
	}
	for (unsigned int i = 0; i < FILES; i++)
		argv[n++] = s->path[i];
	argv[n++] = dst;
	argv[n] = NULL;
	run(s, argv);
	s->digests = s->seed % 5;
	check_run(s, "copy", fail_fast);
	check_copies(s, dst, false);
	s->faults[0] = '\0';
	run(s, argv);
	check_run(s, "copy", fail_fast);
	check_copies(s, dst, true);
	s->digests = true;
	for (unsigned int i = 0; i < FILES; i++) {
		snprintf(path, sizeof(path), "%s/%s", dst, s->name[i]);
		unlink(path);
	}
	assert_int_equal(rmdir(dst), 0);
}

static void soak_seed(struct soak *s, unsigned long seed)
{
	static char *const backends[] = {"uring", "threads"};
	char *argv[FILES + 32];
	bool fail_fast = seed % 4 == 1;
	unsigned int n = 0, options;

	choose(s, seed);
	argv[n++] = (char *)s->command;
	argv[n++] = "hash";
	argv[n++] = "--json";
	argv[n++] = "--backend";
	argv[n++] = backends[seed % 2];
	argv[n++] = "--loops";
	argv[n++] = s->loops;
	argv[n++] = "-j";
	argv[n++] = s->jobs;
	if (seed % 8 == 2) {
		argv[n++] = "--retries";
		argv[n++] = "2";
		argv[n++] = "--retry-delay";
		argv[n++] = "1ms";
	}
	if (seed % 8 == 3)
		argv[n++] = "-k";
	if (fail_fast)
		argv[n++] = "-e";
	options = n;
	for (unsigned int i = 0; i < FILES; i++)
		argv[n++] = s->path[i];
	argv[n] = NULL;
	run(s, argv);
	check_run(s, "hash", fail_fast);

	argv[1] = "verify";
	argv[options] = s->list;
	argv[options + 1] = NULL;
	run(s, argv);
	check_run(s, "verify", fail_fast);

	soak_copy(s, argv, options, fail_fast);
}

static unsigned long seeds_wanted(void)
{
	const char *wanted = getenv("SOAK_SEEDS");
	unsigned long seeds = wanted ? strtoul(wanted, NULL, 0) : 0;

	return seeds ? seeds : scaled(100);
}

/* Only a debug build notices that these are no faults. */
static bool takes_faults(struct soak *s)
{
	char *argv[] = {(char *)s->command, "hash", s->path[0], NULL};

	snprintf(s->faults, sizeof(s->faults), "none");
	run(s, argv);
	return WIFEXITED(s->status) && WEXITSTATUS(s->status) == 125;
}

static void the_command_survives_faults(struct test *t)
{
	static struct soak s;
	unsigned long seeds = seeds_wanted();

	alarm(0); /* each run has its own */
	s.digests = true;
	s.command = getenv("BATCHPROC");
	if (!s.command)
		skip_because(t, "BATCHPROC does not name the command");
	make_files(&s, t);
	if (!takes_faults(&s))
		skip_because(t, "the command was not built with DEBUG=1");
	for (unsigned long seed = 1; seed <= seeds; seed++)
		soak_seed(&s, seed);
	print_message("%lu seeds, %lu runs\n", seeds, 4 * seeds);
}

static const struct test_case cases[] = {
	ONCE(the_command_survives_faults),
};

int main(int argc, char **argv)
{
	return RUN_CASES(argc, argv, cases);
}
