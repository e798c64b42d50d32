/* SPDX-License-Identifier: MIT */
/*
 * run: a manifest that mixes jobs of other verbs.
 *
 *	line --> manifest_parse() --> cached_for_job() --> verb->check() --> verb->add()
 *	           |  no job              |  not what it takes            '--> items
 *	           '----------------------'--> check_file(): exit 2; bad_line(): a failed item
 *
 * A manifest that is a file is read twice: it is checked to its end before anything starts. A
 * stream cannot be, so there a line that is no job becomes an item that failed. Either way lines
 * are taken one by one, and memory does not grow with their number.
 *
 * What a verb does with its options is made once for all jobs that have the same, and kept until
 * the last item has ended that was made with it. All of a run stands in struct run, which the
 * settings of its job lead to, and those of its items. It belongs to the main thread, but for
 * run_again() and what holds and drops settings.
 */
#include <errno.h>
#include <pthread.h>
#include <search.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "walk/walk.h"
#include "journal/journal.h"
#include "cli/inputs.h"
#include "run/feed.h"
#include "run/job.h"
#include "run/startup.h"
#include "cli/manifest.h"
#include "cli/options.h"
#include "run/record.h"
#include "base/alloc.h"
#include "base/message.h"
#include "base/status.h"
#include "verb.h"

#define ERRORS_SHOWN 10

/* The settings of all jobs of a verb that have the same options. */
struct cached_settings {
	struct run *run;
	const struct verb *verb;
	char *key; /* the options as members of a JSON job; settings point into what follows it */
	atomic_uint refs; /* 1 -> 0 under the lock of the run, when it leaves the tree */
	struct item_class class;
	_Alignas(max_align_t) unsigned char settings[];
};

/* One manifest while it is read. */
struct manifest {
	struct lines *lines;
	bool stream; /* it could not be checked */
	struct stat checked; /* as it was then */
	uint64_t number; /* of the line */
	uint64_t count; /* of lines, when it was checked */
	char *text;
	size_t len;
};

struct run {
	struct manifest *manifests;
	struct manifest_job job; /* of the line that is read */
	struct buf key;
	struct common *common; /* of all settings */
	uint64_t items; /* in manifests that were checked */
	bool uncounted; /* there may be more */
	struct cached_settings *last; /* the one that was used last, held */
	pthread_mutex_t lock;
	void *tree; /* of struct cached_settings, as tsearch() has it; under the lock */
};

/* The settings of the verb itself. */
struct settings {
	struct run *run;
};

/* What stands for the end of a manifest that is gone. */
static const struct item_ops cut_items = {.op = "run"};

/* ---- settings */

static int compare_cached(const void *a, const void *b)
{
	const struct cached_settings *left = a, *right = b;

	if (left->verb != right->verb)
		return left->verb < right->verb ? -1 : 1;
	return strcmp(left->key, right->key);
}

static struct cached_settings *cached_of(const struct item_class *class)
{
	return (struct cached_settings *)((char *)class - offsetof(struct cached_settings, class));
}

static void free_cached(struct cached_settings *cached)
{
	if (cached->verb->drop)
		cached->verb->drop(cached->settings);
	free(cached->key);
	free(cached);
}

static void hold_cached(const struct item_class *class)
{
	atomic_fetch_add_explicit(&cached_of(class)->refs, 1, memory_order_relaxed);
}

/* The last one takes it out of the tree; under the lock, so that it is not found meanwhile. */
static void drop_cached(const struct item_class *class)
{
	struct cached_settings *cached = cached_of(class);
	struct run *run = cached->run;
	unsigned int refs = atomic_load_explicit(&cached->refs, memory_order_relaxed);

	while (refs > 1)
		if (atomic_compare_exchange_weak_explicit(&cached->refs, &refs, refs - 1,
							  memory_order_release,
							  memory_order_relaxed))
			return;
	pthread_mutex_lock(&run->lock);
	refs = atomic_fetch_sub_explicit(&cached->refs, 1, memory_order_acq_rel);
	if (refs == 1)
		tdelete(cached, &run->tree, compare_cached);
	pthread_mutex_unlock(&run->lock);
	if (refs == 1)
		free_cached(cached);
}

/* As option_bad() says it of the command line. */
static void wrong_argument(struct buf *error, const struct manifest_option *option,
			   const char *wanted)
{
	if (option->arg) {
		buf_printf(error, "%s: '", option->opt->name);
		buf_visible(error, option->arg, strlen(option->arg));
		buf_printf(error, "' is not %s", wanted);
	} else {
		buf_printf(error, "%s: %s", option->opt->name, wanted);
	}
}

/* Gives the verb its options. The strings among them are copied behind the key, and stay. */
static bool set_options(struct cached_settings *cached, char *strings)
{
	struct manifest_job *job = &cached->run->job;
	const char *wrong;

	for (size_t i = 0; i < job->option_count; i++) {
		const struct manifest_option *option = &job->options[i];
		const char *arg = option->arg ? strings : NULL;

		if (arg)
			strings = stpcpy(strings, option->arg) + 1;
		wrong = opt_read(option->opt, cached->settings, arg);
		if (wrong) {
			wrong_argument(&job->error, option, wrong);
			return false;
		}
	}
	wrong = cached->verb->settle ? cached->verb->settle(cached->settings, cached->run->common) :
				       NULL;
	if (wrong)
		buf_str(&job->error, wrong);
	return !wrong;
}

static struct cached_settings *cache_settings(struct run *run)
{
	const struct verb *verb = run->job.verb;
	struct cached_settings *cached = xcalloc(1, sizeof(*cached) + verb->settings_size);
	size_t len = run->key.len;

	for (size_t i = 0; i < run->job.option_count; i++)
		if (run->job.options[i].arg)
			len += strlen(run->job.options[i].arg) + 1;
	cached->run = run;
	cached->verb = verb;
	cached->key = xcalloc(1, len);
	memcpy(cached->key, run->key.data, run->key.len);
	cached->class =
		(struct item_class){verb->items, cached->settings, hold_cached, drop_cached};
	atomic_init(&cached->refs, 1);
	if (set_options(cached, cached->key + run->key.len))
		return cached;
	free_cached(cached);
	return NULL;
}

/* One that is there already, held. */
static struct cached_settings *find_cached(struct run *run, const struct cached_settings *probe)
{
	struct cached_settings **node, *cached;

	pthread_mutex_lock(&run->lock);
	/*
	 * The node is the tree's: whoever takes out another one may free it, or give it a new key.
	 */
	node = tfind(probe, &run->tree, compare_cached);
	cached = node ? *node : NULL;
	if (cached)
		hold_cached(&cached->class);
	pthread_mutex_unlock(&run->lock);
	return cached;
}

static struct cached_settings *cache_and_add(struct run *run)
{
	struct cached_settings *cached = cache_settings(run);
	bool added;

	if (!cached)
		return NULL;
	pthread_mutex_lock(&run->lock);
	added = tsearch(cached, &run->tree, compare_cached);
	pthread_mutex_unlock(&run->lock);
	if (!added)
		out_of_memory();
	return cached;
}

static void forget_last(struct run *run)
{
	if (run->last)
		drop_cached(&run->last->class);
	run->last = NULL;
}

/*
 * The settings for the job that was read, until the next one; NULL, and an error, where its options
 * make no sense.
 */
static struct cached_settings *cached_for_job(struct run *run)
{
	struct cached_settings probe = {.verb = run->job.verb};

	run->key.len = 0;
	manifest_add_options(&run->job, &run->key);
	buf_char(&run->key, '\0');
	probe.key = run->key.data;
	if (run->last && !compare_cached(run->last, &probe))
		return run->last;
	forget_last(run);
	run->last = find_cached(run, &probe);
	if (!run->last)
		run->last = cache_and_add(run);
	return run->last;
}

/* ---- lines */

static bool next_line(struct manifest *m, struct job *job)
{
	const bool null = m->lines->separator == '\0';

	if (!lines_next(m->lines, job ? &job->watch : NULL, &m->text, &m->len))
		return false;
	/* What machines that write DOS lines put in front of the first one, and at the end. */
	if (!m->number++ && m->len >= 3 && !memcmp(m->text, "\xef\xbb\xbf", 3)) {
		m->text += 3;
		m->len -= 3;
	}
	if (!null && m->len && m->text[m->len - 1] == '\r')
		m->len--;
	return true;
}

static const char *next_operand(void *job)
{
	return manifest_next(job);
}

/* Takes the line as a job; the error of one that is none is in the job of @run. */
static enum manifest_line read_job(struct run *run, const struct manifest *m, struct jobspec *spec)
{
	enum manifest_line kind = manifest_parse(&run->job, m->text, m->len);
	struct manifest_job *job = &run->job;
	const struct cached_settings *cached;
	const char *wrong;

	if (kind != MANIFEST_JOB)
		return kind;
	cached = cached_for_job(run);
	if (!cached)
		return MANIFEST_BAD;
	*spec = (struct jobspec){.class = &cached->class,
				 .count = job->count,
				 .next = next_operand,
				 .from = job,
				 .last = job->last.data,
				 .exact = job->exact};
	wrong = job->verb->check(spec);
	manifest_rewind(job);
	if (!wrong)
		return MANIFEST_JOB;
	buf_printf(&job->error, "%s %s", job->verb->name, wrong);
	return MANIFEST_BAD;
}

/* Where the line is, for messages. */
static void add_place(struct buf *buf, const struct manifest *m)
{
	buf_visible(buf, m->lines->name, strlen(m->lines->name));
	buf_printf(buf, ":%llu: ", (unsigned long long)m->number);
}

static void say_what_is_wrong(const struct run *run, const struct manifest *m)
{
	struct buf text = {0};

	add_place(&text, m);
	buf_add(&text, run->job.error.data, run->job.error.len);
	buf_char(&text, '\0');
	message("%s", text.data);
	buf_free(&text);
}

/* ---- the check */

static void count_items(struct run *run, const struct jobspec *spec)
{
	const struct verb *verb = run->job.verb;

	run->items += spec->count - (spec->class->ops->dst != NULL);
	run->uncounted |= verb->walks && verb->walks(spec->class->settings);
}

/* Reads a file to its end and counts the lines that are no jobs; -1: it cannot be read. */
static long check_file(struct run *run, struct manifest *m, long bad)
{
	struct jobspec spec;

	fstat(m->lines->fd, &m->checked);
	while (next_line(m, NULL)) {
		enum manifest_line kind = read_job(run, m, &spec);

		if (kind == MANIFEST_JOB)
			count_items(run, &spec);
		else if (kind == MANIFEST_BAD && bad++ < ERRORS_SHOWN)
			say_what_is_wrong(run, m);
	}
	if (m->lines->err) {
		message("cannot read %s: %s", m->lines->name, error_text(m->lines->err));
		return -1;
	}
	lines_rewind(m->lines);
	m->count = m->number;
	m->number = 0;
	return bad;
}

/* False: there are lines that are no jobs, and that is said. */
static bool check_all(struct run *run, struct inputs *inputs)
{
	long bad = 0;

	for (size_t i = 0; i < inputs->opt->list_count && bad >= 0; i++) {
		struct manifest *m = &run->manifests[i];

		m->lines = &inputs->lists[i];
		m->stream = !m->lines->regular || m->lines->fd == STDIN_FILENO;
		run->uncounted |= m->stream;
		if (!m->stream)
			bad = check_file(run, m, bad);
	}
	if (!bad)
		return true;
	if (bad > ERRORS_SHOWN)
		message("%ld more lines are no jobs", bad - ERRORS_SHOWN);
	if (bad > 0)
		message("nothing was started");
	return false;
}

/* ---- the run */

static bool has_changed(const struct manifest *m)
{
	struct stat now;

	return !m->stream && !fstat(m->lines->fd, &now) &&
	       (now.st_size != m->checked.st_size ||
		now.st_mtim.tv_sec != m->checked.st_mtim.tv_sec ||
		now.st_mtim.tv_nsec != m->checked.st_mtim.tv_nsec);
}

/* A line that is no job has a record all the same, and is in the list of what did not succeed. */
static void bad_line(struct job *job, const struct run *run, const struct manifest *m)
{
	struct item *item = item_new(job, &job->class, NULL, m->text, m->len);
	struct buf why = {0};

	add_place(&why, m);
	buf_add(&why, run->job.error.data, run->job.error.len);
	if (has_changed(m))
		buf_str(&why, "; the manifest has changed since it was checked");
	buf_char(&why, '\0');
	item->why = why.data;
	item_finish(item, STATUS_FAILED, -EINVAL);
	buf_free(&why);
}

/* Jobs that were there when the manifest was checked are gone: that is no success. */
static void cut_short(struct job *job, const struct manifest *m)
{
	static const struct item_class class = {.ops = &cut_items};
	const char *name = m->lines->name;
	struct item *item = item_new_undivided(job, &class, NULL, name, strlen(name));

	item->why = "the manifest has changed since it was checked, and is shorter";
	item_finish(item, STATUS_FAILED, -EIO);
}

static void run_feed(struct job *job)
{
	const struct settings *set = job->class.settings;
	struct run *run = set->run;
	struct jobspec spec;

	if (!run->uncounted && !job->opt->shard.parts)
		job->view.expected = run->items;
	for (size_t i = 0; i < job->opt->list_count; i++) {
		struct manifest *m = &run->manifests[i];

		while (next_line(m, job)) {
			enum manifest_line kind = read_job(run, m, &spec);

			if (kind == MANIFEST_JOB)
				run->job.verb->add(job, &spec);
			else if (kind == MANIFEST_BAD)
				bad_line(job, run, m);
		}
		if (m->number < m->count)
			cut_short(job, m);
	}
}

/*
 * On any thread: the settings of an item stand in the struct cached_settings that its job was
 * given.
 */
static void run_again(const struct item *item, struct buf *buf)
{
	/* What the jobs were that are gone nobody knows. */
	if (item->ops == &cut_items)
		return;
	if (item->ops == item->job->class.ops) {
		buf_add(buf, item->name.data, item->name.len);
	} else {
		const unsigned char *settings = item->settings;
		const struct cached_settings *cached =
			(const void *)(settings - offsetof(struct cached_settings, settings));
		bool exact;

		/* A job with a status is a record, whose destination is exact. */
		buf_char(buf, '{');
		exact = record_add_names(buf, item, true);
		buf_str(buf, cached->key);
		if (exact && item->ops->dst)
			record_add_status(buf, item);
		buf_char(buf, '}');
	}
	buf_char(buf, item->job->opt->null ? '\0' : '\n');
}

/* Manifests are lists, whether they are named as operands or with -T. */
static struct options as_lists(const struct options *given)
{
	static const char standard_input[] = "-";
	struct options options = *given;
	size_t count = 0;

	options.list_count += options.arg_count;
	options.list_count += !options.list_count;
	options.lists = xcalloc(options.list_count, sizeof(*options.lists));
	for (size_t i = 0; i < given->arg_count; i++)
		options.lists[count++] = given->args[i];
	for (size_t i = 0; i < given->list_count; i++)
		options.lists[count++] = given->lists[i];
	if (!count)
		options.lists[0] = standard_input;
	options.arg_count = 0;
	return options;
}

static int run_run(const struct options *given)
{
	static const struct job_ops ops = {
		.walk = &walk_hooks,
		.journal = &journal_hooks,
		.mixes = true,
		.finds_limit = true,
		.again = run_again,
		.feed = run_feed,
	};
	struct options options = as_lists(given);
	struct run run = {.lock = PTHREAD_MUTEX_INITIALIZER, .common = options.common};
	struct settings set = {.run = &run};
	struct inputs inputs;
	int status;

	manifest_setup();
	options.settings = &set;
	if (feed_open(&inputs, &options, &status)) {
		run.manifests = xcalloc(options.list_count, sizeof(*run.manifests));
		status = EXIT_USAGE;
		/* Which may be long. */
		startup_over();
		if (check_all(&run, &inputs))
			status = job_run(&options, &ops, &inputs);
	}
	inputs_close(&inputs);
	forget_last(&run);
	manifest_free(&run.job);
	buf_free(&run.key);
	free(run.manifests);
	pthread_mutex_destroy(&run.lock);
	free(options.lists);
	return status;
}

/* Lines that are no jobs. Nobody works on them: they end as they are found. */
static const struct item_ops run_items = {.op = "run", .source = SOURCE_LINE};

const struct verb run_verb = {
	.name = "run",
	.synopsis = "[options] [MANIFEST...]",
	.summary = "Jobs from a manifest that mixes the other commands",
	.details =
		"A MANIFEST has a job a line, as words or as JSON:\n"
		"  hash -a md5 'a b'\n"
		"  {\"op\":\"hash\",\"src\":\"a b\",\"algorithm\":\"md5\"}\n"
		"Words are quoted as for a shell, but nothing is expanded: an unquoted * ? [ { $ ` ~ |\n"
		"& ; < > ( ) is an error. The long options of a command are keys in JSON. Lines that\n"
		"are empty or begin with # are passed over. Jobs run at once, in no order.\n"
		"A file is checked to its end before anything starts. Standard input (-, the default)\n"
		"and FIFOs are not: there a line that is no job fails, and the rest goes on.\n",
	.takes = TAKES_RUN | TAKES_ENGINE | TAKES_JSON | TAKES_WALK,
	.items = &run_items,
	.run = run_run,
};
