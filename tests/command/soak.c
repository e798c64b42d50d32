/* SPDX-License-Identifier: MIT */
/*
 * soak - runs under faults, and their records; see soak.h
 */
#include <dirent.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "command/soak.h"

#define RUN_SECONDS 60

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
		snprintf(s->path[i], sizeof(s->path[i]), "%s", in_dir(s, "%s", s->name[i]));
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

const char *in_dir(const struct soak *s, const char *format, ...)
{
	static char paths[4][PATH_ROOM];
	static unsigned int next;
	char *path = paths[next++ % COUNT_OF(paths)];
	int len = snprintf(path, PATH_ROOM, "%s/", s->dir);
	va_list args;

	va_start(args, format);
	assert_true(len + vsnprintf(path + len, PATH_ROOM - (size_t)len, format, args) < PATH_ROOM);
	va_end(args);
	return path;
}

ssize_t content(const char *path, char *to, size_t room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, to, room);

	if (fd >= 0)
		close(fd);
	return len;
}

void make(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
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

/** Standard input has no name in the directory, so that it is not counted as one of the inputs. */
static int input_of(const struct soak *s)
{
	static char text[1u << 16];
	ssize_t len = *s->input ? content(s->input, text, sizeof(text)) : 0;
	int fd = memfd_create("input", 0);

	if (fd < 0 || len < 0 || write(fd, text, (size_t)len) != len || lseek(fd, 0, SEEK_SET))
		_exit(126);
	return fd;
}

static void run_child(struct soak *s, bool faults, int out)
{
	int null = open("/dev/null", O_WRONLY);

	dup2(input_of(s), STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
	close(out);
	close(null);
	if (faults)
		setenv("BATCHPROC_FAULTS", s->faults, 1);
	else
		unsetenv("BATCHPROC_FAULTS");
	/* LeakSanitizer cannot look at a process that is traced already. */
	setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
	alarm(RUN_SECONDS);
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	execv(s->command, s->argv);
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

void soak_run(struct soak *s, bool faults)
{
	const char *path = in_dir(s, "output");
	ssize_t len;
	pid_t pid;
	int out;

	out = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	pid = fork();
	if (!pid)
		run_child(s, faults, out);
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

bool soak_say(const struct soak *s, bool ok, const char *what, const char *line)
{
	if (!ok)
		record_failure("%s: %s: %.200s", s->faults, what, line);
	return ok;
}

void things_clear(struct soak *s)
{
	s->count = 0;
}

struct thing *thing_add(struct soak *s, const char *op, const char *src, const char *digest)
{
	struct thing *thing = &s->things[s->count++];

	assert_true(s->count <= THINGS);
	*thing = (struct thing){.op = op, .digest = digest};
	snprintf(thing->src, sizeof(thing->src), "%s", src);
	return thing;
}

static struct thing *thing_of(struct soak *s, const char *op, const char *src, size_t len)
{
	for (unsigned int i = 0; i < s->count; i++)
		if (!strcmp(s->things[i].op, op) && !strncmp(s->things[i].src, src, len) &&
		    !s->things[i].src[len])
			return &s->things[i];
	return NULL;
}

/** Of a directory that was done all was found. */
static bool may_be_unknown(struct soak *s, const struct thing *thing, enum which which)
{
	const char *slash = strrchr(thing->src, '/');

	if (which == ALL && thing->below)
		return thing_of(s, thing->op, thing->src, (size_t)(slash - thing->src))->end !=
		       END_OK;
	return thing->below || which == SOME;
}

static enum end end_of(const struct soak *s, const struct thing *thing, const char *status,
		       const char *line)
{
	char digest[DIGEST + 1], error[32];

	if (!strcmp(status, "skipped"))
		return END_SKIPPED;
	if (!strcmp(status, "ok")) {
		soak_say(s,
			 !thing->digest ||
				 (value(line, "digest", digest, sizeof(digest)) == DIGEST &&
				  !strcmp(digest, thing->digest)),
			 "a wrong digest", line);
		return END_OK;
	}
	if (strcmp(status, "failed"))
		return END_OTHER;
	soak_say(s, value(line, "errno", error, sizeof(error)) && strcmp(error, "EBADMSG"),
		 "a failure without its reason, or with a wrong digest", line);
	return END_FAILED;
}

/* Under the key that its kind has. */
static bool source_of(const char *line, char *to, size_t room)
{
	return value(line, "src", to, room) || value(line, "url", to, room) ||
	       value(line, "endpoint", to, room);
}

/** Return: whether it is the summary. */
static bool take_record(struct soak *s, const char *line)
{
	char op[16], src[300], status[32];
	struct thing *thing;

	if (strstr(line, "\"summary\":true"))
		return true;
	if (!soak_say(s,
		      value(line, "op", op, sizeof(op)) && source_of(line, src, sizeof(src)) &&
			      value(line, "status", status, sizeof(status)),
		      "a record without operation, source or status", line))
		return false;
	thing = thing_of(s, op, src, strlen(src));
	if (!soak_say(s, thing, "a record of no input", line))
		return false;
	thing->records++;
	thing->end = end_of(s, thing, status, line);
	return false;
}

static void judge(struct soak *s, const char *what, enum which which)
{
	unsigned int ends[END_OTHER + 1] = {0};
	char text[200];
	int code = WEXITSTATUS(s->status), right;

	for (unsigned int i = 0; i < s->count; i++) {
		const struct thing *thing = &s->things[i];

		ends[thing->end]++;
		soak_say(s, thing->records < 2 || which == SOME, "two records", thing->src);
		soak_say(s, thing->records || may_be_unknown(s, thing, which), "no record",
			 thing->src);
	}
	/* What fails last has stopped nothing. */
	right = ends[END_OTHER] ? 3 : ends[END_FAILED] ? 1 : 0;
	snprintf(text, sizeof(text), "exit status %d, with %u ok, %u skipped, %u failed, %u others",
		 code, ends[END_OK], ends[END_SKIPPED], ends[END_FAILED], ends[END_OTHER]);
	soak_say(s, code == right, what, text);
	soak_say(s, s->fail_fast || !ends[END_OTHER], what, text);
	soak_say(s, s->left == 0, what, "a descriptor of an input is left open");
}

void soak_check(struct soak *s, const char *what, enum which which)
{
	const char *line = s->output, *end;
	unsigned int summaries = 0;
	char copy[1024];

	for (unsigned int i = 0; i < s->count; i++) {
		s->things[i].records = 0;
		s->things[i].end = END_NONE;
	}
	if (!soak_say(s, WIFEXITED(s->status), what, "ended by a signal"))
		return;
	for (; (end = strchr(line, '\n')); line = end + 1) {
		snprintf(copy, sizeof(copy), "%.*s", (int)(end - line), line);
		summaries += take_record(s, copy);
	}
	soak_say(s, !*line, what, "a torn last line");
	soak_say(s, summaries == 1, what, "not one summary");
	judge(s, what, which);
}

/* ---------------------------------------------------------------- seeds */

unsigned int pick(uint64_t *x, unsigned int n)
{
	*x = *x * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned int)(*x >> 33) % n;
}

static void choose(struct soak *s, unsigned long seed)
{
	static const unsigned int rare[] = {0, 0, 1, 5}, often[] = {0, 10, 30, 60};
	uint64_t x = seed;
	int len;

	s->seed = seed;
	s->fail_fast = seed % 4 == 1;
	s->input[0] = '\0';
	len = snprintf(s->faults, sizeof(s->faults),
		       "seed=%lu,short=%u,eintr=%u,eagain=%u,eio=%u,enospc=%u,delay=%u,reorder=%u,"
		       "lose_cancel=%u,call_short=%u,call_eio=%u,call_enospc=%u,call_range=%u",
		       seed, often[pick(&x, 4)], rare[pick(&x, 4)], rare[pick(&x, 4)],
		       rare[pick(&x, 4)], rare[pick(&x, 4)], often[pick(&x, 4)], often[pick(&x, 4)],
		       often[pick(&x, 4)], often[pick(&x, 4)], rare[pick(&x, 4)], rare[pick(&x, 4)],
		       often[pick(&x, 4)]);
	snprintf(s->loops, sizeof(s->loops), "%u", 1 + pick(&x, 3));
	snprintf(s->jobs, sizeof(s->jobs), "%u", 1 + pick(&x, 40));
	snprintf(s->faults + len, sizeof(s->faults) - (size_t)len, ",edquot=%u,call_edquot=%u",
		 rare[pick(&x, 4)], rare[pick(&x, 4)]);
}

void soak_arg(struct soak *s, const char *arg)
{
	assert_true(s->argc + 1 < ARGS_ROOM);
	s->argv[s->argc++] = (char *)arg;
	s->argv[s->argc] = NULL;
}

void soak_args(struct soak *s, const char *verb)
{
	s->argc = 0;
	soak_arg(s, s->command);
	soak_arg(s, verb);
	soak_arg(s, "--json");
	soak_arg(s, "--backend");
	soak_arg(s, s->seed % 2 ? "threads" : "uring");
	soak_arg(s, "--loops");
	soak_arg(s, s->loops);
	soak_arg(s, "-j");
	soak_arg(s, s->jobs);
	if (s->seed % 8 == 2) {
		soak_arg(s, "--retries=2");
		soak_arg(s, "--retry-delay=1ms");
	}
	if (s->seed % 8 == 3)
		soak_arg(s, "-k");
	if (s->fail_fast)
		soak_arg(s, "-e");
}

/* Only a debug build notices that these are no faults. */
static bool takes_faults(struct soak *s)
{
	choose(s, 0);
	soak_args(s, "hash");
	soak_arg(s, s->path[0]);
	snprintf(s->faults, sizeof(s->faults), "none");
	soak_run(s, true);
	return WIFEXITED(s->status) && WEXITSTATUS(s->status) == 125;
}

struct soak *soak_begin(struct test *t)
{
	static struct soak s;

	alarm(0); /* each run has its own */
	s = (struct soak){.command = getenv("BATCHPROC")};
	if (!s.command)
		skip_because(t, "BATCHPROC does not name the command");
	make_files(&s, t);
	if (!takes_faults(&s))
		skip_because(t, "the command was not built with DEBUG=1");
	return &s;
}

void soak_seeds(struct soak *s, void (*fn)(struct soak *s))
{
	const char *wanted = getenv("SOAK_SEEDS");
	unsigned long seeds = wanted ? strtoul(wanted, NULL, 0) : 0;

	if (!seeds)
		seeds = scaled(100);
	for (unsigned long seed = 1; seed <= seeds; seed++) {
		choose(s, seed);
		fn(s);
	}
	print_message("%lu seeds\n", seeds);
}
