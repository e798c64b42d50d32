/* SPDX-License-Identifier: MIT */
/*
 * submit: the same job as an array on Slurm, and a job behind it that merges what the parts say.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/alloc.h"
#include "base/array.h"
#include "base/calls.h"
#include "base/message.h"
#include "base/parse.h"
#include "base/status.h"
#include "cli/options.h"
#include "verb.h"
#include "verbs/submit/submit.h"

#define SHARDS_MOST 1000000u /* more than any Slurm has in one array */
#define GRACE_NS 60000000000u

/* ---- what the job is */

/* What makes it another one, with a NUL behind each part. */
static void add_identity(struct buf *buf, const struct submission *sub)
{
	buf_printf(buf, "batchproc-submit 1%c%llu%c%s%c", '\0',
		   (unsigned long long)sub->set->shards, '\0', sub->cwd, '\0');
	buf_printf(buf, "%s%c", sub->target.verb->name, '\0');
	for (size_t i = 1; i < sub->target.count; i++)
		buf_add(buf, sub->target.words[i], strlen(sub->target.words[i]) + 1);
}

static void choose_dir(struct submission *sub, const struct buf *identity)
{
	const char *given = sub->set->work_dir;
	struct buf dir = {0};

	if (!given || *given != '/')
		buf_printf(&dir, "%s/", strcmp(sub->cwd, "/") ? sub->cwd : "");
	if (given)
		buf_str(&dir, given);
	else
		buf_printf(&dir, "batchproc-%s-%016llx", sub->target.verb->name,
			   (unsigned long long)XXH3_64bits(identity->data, identity->len));
	while (dir.len > 1 && dir.data[dir.len - 1] == '/')
		dir.len--;
	buf_char(&dir, '\0');
	sub->dir = dir.data;
}

/* False: it is not to be found out, and that is said. */
static bool find_places(struct submission *sub)
{
	char program[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", program, sizeof(program) - 1);

	sub->cwd = getcwd(NULL, 0);
	if (sub->set->program)
		sub->program = xstrdup(sub->set->program);
	else if (len > 0)
		program[len] = '\0', sub->program = xstrdup(program);
	if (!sub->cwd)
		message("cannot find out the working directory: %s", error_text(errno));
	else if (!sub->program)
		message("cannot find out where this program is: --program says it");
	return sub->cwd && sub->program;
}

/* ---- the directory */

static bool write_file(const struct submission *sub, const char *name, const struct buf *text)
{
	char *path = submission_path(sub, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int err = fd < 0 ? -errno : call_write_all(fd, text->data, text->len);

	if (fd >= 0 && close(fd) && !err)
		err = -errno;
	if (err)
		message("cannot write %s: %s", path, error_text(err));
	free(path);
	return !err;
}

/* The file that says what the job is: new, or the same. Its descriptor, or -1. */
static int claim(const struct submission *sub, const struct buf *identity, int *status)
{
	char *path = submission_path(sub, "job");
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct buf found = {0};
	ssize_t n = 0;

	*status = EXIT_TROUBLE;
	if (fd < 0) {
		message("cannot write %s: %s", path, error_text(errno));
		free(path);
		return -1;
	}
	/* Where locks are refused nobody can tell. */
	if (flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK) {
		message("%s: another process submits this job", path);
		*status = EXIT_USAGE;
	} else {
		while ((n = call_read(fd, buf_room(&found, 4096), 4096)) > 0)
			found.len += (size_t)n;
		if (n < 0) {
			message("cannot read %s: %s", path, error_text((int)n));
		} else if (!found.len) {
			n = call_write_all(fd, identity->data, identity->len);
			*status = n ? EXIT_TROUBLE : EXIT_OK;
			if (n)
				message("cannot write %s: %s", path, error_text((int)n));
		} else if (found.len == identity->len &&
			   !memcmp(found.data, identity->data, found.len)) {
			*status = EXIT_OK;
		} else {
			message("%s is of another job: other parts, another command or another "
				"working directory",
				sub->dir);
			*status = EXIT_USAGE;
		}
	}
	buf_free(&found);
	free(path);
	if (*status == EXIT_OK)
		return fd;
	close(fd);
	return -1;
}

/* The jobs of the last time: whether Slurm still has one of them. False: that is not known. */
static bool look_for_last(struct submission *sub, bool *at_work)
{
	char *path = submission_path(sub, "submitted");
	FILE *file = fopen(path, "re");
	struct slurm_states array, merge;
	bool known = false, answered = true;

	*at_work = false;
	if (file) {
		known = fscanf(file, "%31[0-9] %31[0-9]", sub->array, sub->merge) == 2;
		fclose(file);
	}
	free(path);
	if (known)
		answered = slurm_look(sub, &array, &merge);
	if (!answered)
		message("squeue does not say whether the last job, %s, is still at work",
			sub->array);
	*at_work = known && answered &&
		   array.waiting + array.running + merge.waiting + merge.running;
	if (!*at_work)
		*sub->array = *sub->merge = '\0';
	return answered;
}

static bool write_scripts(const struct submission *sub)
{
	struct buf text = {0};
	bool good;

	script_add_part(&text, sub);
	good = write_file(sub, "part.sh", &text);
	text.len = 0;
	script_add_merge(&text, sub);
	good = good && write_file(sub, "merge.sh", &text);
	buf_free(&text);
	return good;
}

/* ---- submitting */

static int submit_both(struct submission *sub)
{
	struct command array = {0}, merge = {0};
	struct buf text = {0};
	int status;

	slurm_array(&array, sub);
	status = slurm_submit(&array, sub->array);
	if (!status) {
		slurm_merge(&merge, sub, sub->array);
		status = slurm_submit(&merge, sub->merge);
		/* Nobody would say what became of the parts. */
		if (status)
			slurm_cancel(sub);
	}
	if (!status) {
		buf_printf(&text, "%s %s\n", sub->array, sub->merge);
		status = write_file(sub, "submitted", &text) ? EXIT_OK : EXIT_TROUBLE;
	}
	command_free(&array);
	command_free(&merge);
	buf_free(&text);
	return status;
}

static int tell(const struct submission *sub)
{
	struct buf dir = {0};

	if (sub->json) {
		buf_json(&dir, sub->dir, strlen(sub->dir));
		printf("{\"v\":1,\"array\":%s,\"merge\":%s,\"parts\":%llu,\"dir\":%.*s}\n",
		       sub->array, sub->merge, (unsigned long long)sub->set->shards, (int)dir.len,
		       dir.data);
	} else {
		printf("job %s in %llu parts, and job %s to merge them; records are in %s\n",
		       sub->array, (unsigned long long)sub->set->shards, sub->merge, sub->dir);
	}
	buf_free(&dir);
	return flush_stdout();
}

static int submit(struct submission *sub, const struct buf *identity)
{
	bool at_work;
	int status, fd;

	if (mkdir(sub->dir, 0700) && errno != EEXIST) {
		message("cannot make %s: %s", sub->dir, error_text(errno));
		return EXIT_TROUBLE;
	}
	fd = claim(sub, identity, &status);
	if (fd < 0)
		return status;
	if (sub->set->wait)
		follow_begin();
	if (!look_for_last(sub, &at_work))
		status = EXIT_TROUBLE;
	else if (!at_work)
		status = write_scripts(sub) ? submit_both(sub) : EXIT_TROUBLE;
	else if (!sub->set->wait) {
		message("it is at work already as job %s: --wait waits for it", sub->array);
		status = EXIT_USAGE;
	} else if (!sub->set->quiet) {
		message("it is at work already as job %s, which is waited for", sub->array);
	}
	close(fd);
	if (status)
		return status;
	return sub->set->wait ? follow(sub) : tell(sub);
}

static int print_scripts(const struct submission *sub)
{
	struct buf text = {0};
	int status;

	script_add_all(&text, sub);
	fwrite(text.data, 1, text.len, stdout);
	status = flush_stdout();
	buf_free(&text);
	return status;
}

/* Whether Slurm is there, by what there is to be called. */
static bool have_sbatch(void)
{
	const char *path = getenv("PATH");
	struct buf name = {0};
	bool found = false;

	while (path && *path && !found) {
		const size_t len = strcspn(path, ":");

		name.len = 0;
		buf_add(&name, path, len);
		buf_printf(&name, "/sbatch%c", '\0');
		found = !access(name.data, X_OK);
		path += len + (path[len] == ':');
	}
	buf_free(&name);
	if (!found)
		message("cannot submit: there is no sbatch on PATH; Slurm is not installed here");
	return found;
}

static int submit_run(const struct options *options)
{
	struct submit_settings *set = options->settings;
	struct submission sub = {.set = set, .json = options->json};
	struct buf identity = {0};
	int status;

	if (!options->arg_count)
		return usage_error(options->verb, "no command was given");
	if (strcmp(options->args[-1], "--"))
		return usage_error(options->verb, "put -- in front of the command: ... -- %s ...",
				   options->args[0]);
	if (!set->shards)
		return usage_error(options->verb, "--shards is not given");
	if (!target_check(&sub.target, options, &status)) {
		target_drop(&sub.target);
		return status;
	}
	status = EXIT_TROUBLE;
	if (find_places(&sub)) {
		add_identity(&identity, &sub);
		choose_dir(&sub, &identity);
		if (set->print)
			status = print_scripts(&sub);
		else if (have_sbatch())
			status = submit(&sub, &identity);
	}
	buf_free(&identity);
	target_drop(&sub.target);
	free(sub.cwd);
	free(sub.program);
	free(sub.dir);
	return status;
}

/* ---- options */

static const char *read_engine(void *to, const char *arg)
{
	const char **engine = to;

	*engine = arg;
	return strcmp(arg, "slurm") ? "slurm" : NULL;
}

static const char *read_number(void *to, const char *arg)
{
	return parse_count(arg, 1, SHARDS_MOST, to) ? NULL : "a number from 1 to 1000000";
}

static const char *read_grace(void *to, const char *arg)
{
	uint64_t *ns = to;

	if (parse_time(arg, ns) && *ns >= 1000000000 && *ns <= UINT64_C(65535) * 1000000000)
		return NULL;
	return "a time from 1s to 65535s";
}

static const char *read_extra(void *to, const char *arg)
{
	struct submit_settings *set = to;

	set->extra = xrealloc(set->extra, (set->extra_count + 1) * sizeof(*set->extra));
	set->extra[set->extra_count++] = arg;
	return *arg == '-' ? NULL : "an option of sbatch, such as --mem=4G";
}

static const char *submit_settle(void *settings, struct common *common)
{
	struct submit_settings *set = settings;

	(void)common;
	if (!set->grace_ns)
		set->grace_ns = GRACE_NS;
	if (set->nodes && set->at_once)
		return "--nodes and --at-once exclude each other";
	if (set->print && set->wait)
		return "--print and --wait exclude each other";
	if (set->work_dir && (!*set->work_dir || strpbrk(set->work_dir, "\n\r")))
		return "--work-dir: not a name that sbatch takes";
	return NULL;
}

static void submit_drop(void *settings)
{
	struct submit_settings *set = settings;

	free(set->extra);
}

#define FIELD(name, is) OPT_AT(struct submit_settings, name, is)

static const struct opt submit_options[] = {
	{0, "engine", "slurm", "which is the default", read_engine, FIELD(engine, const char *)},
	{0, "shards", "N", "divide the items into N parts", read_number, FIELD(shards, uint64_t)},
	{0, "nodes", "N", "on N nodes at once at most, each part with one for itself", read_number,
	 FIELD(nodes, uint64_t)},
	{0, "at-once", "N", "N parts at once at most, wherever there is room", read_number,
	 FIELD(at_once, uint64_t)},
	{0, "time", "LIMIT", "sbatch's --time, for each part",
	 OPT_TEXT(struct submit_settings, time)},
	{0, "partition", "NAME", "sbatch's --partition",
	 OPT_TEXT(struct submit_settings, partition)},
	{0, "sbatch", "OPTION", "any other option of sbatch, as one word; may be given again",
	 read_extra, OPT_WHOLE},
	{0, "stop-before", "T",
	 "stop a part so long before its time is over, and start it again\n"
	 "(default 60s)",
	 read_grace, FIELD(grace_ns, uint64_t)},
	{0, "work-dir", "DIR",
	 "where scripts, journals and records are, which all nodes see;\n"
	 "by default one in this directory, named after the job",
	 OPT_TEXT(struct submit_settings, work_dir)},
	{0, "program", "PATH", "batchproc on the nodes; this one by default",
	 OPT_TEXT(struct submit_settings, program)},
	{0, "print", NULL, "print what would be done as a shell script, do nothing",
	 OPT_FLAG(struct submit_settings, print)},
	{0, "wait", NULL,
	 "wait for the end, show progress, print the summary, end with its\n"
	 "exit status; ^C cancels the job",
	 OPT_FLAG(struct submit_settings, wait)},
	{'q', "quiet", NULL, "no progress", OPT_FLAG(struct submit_settings, quiet)},
	OPT_END,
};

const struct verb submit_verb = {
	.name = "submit",
	.synopsis = "--shards N [options] -- COMMAND [options] [ITEM...]",
	.summary = "The same job in parts as an array on Slurm",
	.details =
		"Each part is 'batchproc COMMAND --shard I/N' with a journal and a file of\n"
		"records; a job behind them merges these. The same command line given again goes\n"
		"on where the last one was.\n",
	.takes = TAKES_JSON,
	.options = submit_options,
	.settings_size = sizeof(struct submit_settings),
	.settle = submit_settle,
	.drop = submit_drop,
	.run = submit_run,
};
