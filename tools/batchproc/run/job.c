/* SPDX-License-Identifier: MIT */
/*
 * job: one run of a verb over many items: the engine and its limits, stopping, the exit status.
 *
 * Main thread only, but for output_failed().
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "run/job.h"
#include "output/output.h"
#include "run/ownfiles.h"
#include "run/progress.h"
#include "run/record.h"
#include "run/signals.h"
#include "run/startup.h"
#include "run/steer.h"
#include "base/clock.h"
#include "base/message.h"
#include "base/status.h"
#include "verb.h"

#define DEPTH_RESERVE 256
#define JOBS_PER_LOOP 64u
/* The most that is found: what the usual depth has room for, if all are on one loop. */
#define JOBS_FOUND_MOST ((long)BP_DEPTH_DEFAULT - DEPTH_RESERVE)
#define IDLE_DIRS_MOST 256u

/* ---- limits */

static unsigned int usable_cpus(void)
{
	cpu_set_t set;
	long online;

	if (!sched_getaffinity(0, sizeof(set), &set))
		return (unsigned int)CPU_COUNT(&set);
	/* More CPUs than the set has room for. */
	online = sysconf(_SC_NPROCESSORS_ONLN);
	return online > 0 ? (unsigned int)online : 1;
}

static unsigned int choose_loops(const struct options *opt, bool expands)
{
	unsigned int loops = usable_cpus();

	if (opt->loops)
		return opt->loops;
	/* A loop that would never get an item need not be started. */
	if (!expands && !opt->list_count && opt->arg_count < loops)
		loops = opt->arg_count ? (unsigned int)opt->arg_count : 1;
	return loops < BP_LOOPS_MAX ? loops : BP_LOOPS_MAX;
}

static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	/* What cannot be raised is what jobs_for_descriptors() then finds. */
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int lowest_descriptor(void)
{
	int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);

	/* Refused, and not because there is none. */
	if (fd < 0 && errno != EMFILE)
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return fd;
}

/*
 * Items whose descriptors fit: each has those of its files, and in a walk may be the last to hold
 * its directory. A walker has the directory that it reads and the next, and a tree has its root.
 * 0: there is no room at all.
 */
static long jobs_for_descriptors(struct job *job, long wanted)
{
	struct rlimit limit;
	long room, each = job->descriptors;
	int lowest = lowest_descriptor();

	job->walkers = WALKERS_MOST;
	job->idle_dirs = IDLE_DIRS_MOST;
	if (lowest >= 0)
		close(lowest);
	if (lowest < 0)
		return 0;
	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur > LONG_MAX)
		return wanted;
	/* The lowest free one: about as many are in use. */
	room = (long)limit.rlim_cur - lowest;
	if (job->ops->walk) {
		if (room < 8 * WALKERS_MOST)
			job->walkers = room < 16 ? 1 : 2;
		if (room < 8 * IDLE_DIRS_MOST)
			job->idle_dirs = (unsigned int)room / 16;
		/* Those of a tree, and of its copy. */
		room -= 1 + 2 * (long)job->walkers + 2 * (long)job->idle_dirs;
		each++;
	}
	room = room < 0 ? 0 : room / each;
	return wanted < room ? wanted : room;
}

/* ---- start and end */

static void output_failed(void *ctx, const char *name, int err)
{
	struct buf what = {0};

	buf_printf(&what, "cannot write %s%c", name, '\0');
	steer_trouble(ctx, what.data, err);
	buf_free(&what);
}

/*
 * Opens it for writing; where it is a FIFO that nobody reads yet, waits for that, but no longer than
 * a signal or the deadline allows. -1 and errno, ETIMEDOUT for the deadline.
 */
static int open_to_write(const struct job *job, const char *name)
{
	static const struct timespec nap = {.tv_nsec = 10000000};
	const int flags = O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	const uint64_t start = clock_now_ns();
	struct stat st;
	int fd;

	while ((fd = open(name, flags, own_file_mode(job))) < 0 && errno == ENXIO) {
		if (stat(name, &st) || !S_ISFIFO(st.st_mode)) {
			errno = ENXIO;
			return -1;
		}
		if (signals_pending())
			signals_die(signals_pending());
		if (job->opt->deadline_ns && clock_now_ns() - start >= job->opt->deadline_ns) {
			errno = ETIMEDOUT;
			return -1;
		}
		nanosleep(&nap, NULL);
	}
	if (fd >= 0)
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
	return fd;
}

/* False: not, and it is said. */
static bool open_failed_to(const struct job *job, int *status)
{
	const struct options *opt = job->opt;
	int fd, standard;

	if (!opt->failed_to)
		return true;
	/* Opened anew, it would be written from its beginning on. */
	standard = own_file_standard(opt->failed_to);
	fd = standard >= 0 ? fcntl(standard, F_DUPFD_CLOEXEC, STDERR_FILENO + 1) :
			     open_to_write(job, opt->failed_to);
	*status = fd < 0 && errno == ETIMEDOUT ? EXIT_DEADLINE : EXIT_USAGE;
	if (fd < 0) {
		message("cannot write %s: %s", opt->failed_to,
			*status == EXIT_DEADLINE ? "nobody reads from it, and --deadline is over" :
						   error_text(errno));
		return false;
	}
	output_set_file(job->output, SINK_FAILED, fd, opt->failed_to);
	own_file_opened(job->own, OWN_FAILED_TO, fd, opt->failed_to);
	return true;
}

/* What a run writes beside its output. False: *@status is the exit status, and all is said. */
static bool open_own_files(struct job *job, int *status)
{
	if (job->opt->journal && !job->ops->journal->open(job, status))
		return false;
	return open_failed_to(job, status);
}

/*
 * So that each item can wait for an operation of its own, even if all of them are on one loop, with
 * some room for those who stop the run and for walkers; 0: the usual depth is enough.
 */
static unsigned int depth_for(long items)
{
	unsigned int depth = BP_DEPTH_MAX;

	if (items < (long)BP_DEPTH_MAX - DEPTH_RESERVE)
		depth = (unsigned int)items + DEPTH_RESERVE;
	return depth > BP_DEPTH_DEFAULT ? depth : 0;
}

static int start_engine(struct job *job)
{
	const struct options *opt = job->opt;
	long wanted;
	int err;

	job->loops = choose_loops(opt, job->ops->walk || job->ops->expands);
	wanted = opt->jobs	  ? (long)opt->jobs :
		 job->finds_limit ? JOBS_FOUND_MOST :
				    (long)(JOBS_PER_LOOP * job->loops);
	err = bp_engine_create(&job->engine,
			       &BP_ENGINE_OPTS(.backend = opt->backend, .loops = job->loops,
					       .depth = depth_for(wanted)));
	if (err) {
		message("cannot start: %s", bp_engine_error());
		return err;
	}
	job->limit = jobs_for_descriptors(job, wanted);
	job->bulk_nap_ns = 100000;
	queue_begin(job);
	if (!job->limit) {
		message("the limit of open files (ulimit -n) leaves no room to work");
		return -EMFILE;
	}
	if (job->limit < wanted && opt->verbose && !job->finds_limit)
		message("%ld items in flight instead of %ld: the limit of open files (ulimit -n) "
			"leaves no room for more",
			job->limit, wanted);
	return 0;
}

static int start_group(struct job *job)
{
	struct timespec real;
	int err;

	clock_gettime(CLOCK_REALTIME, &real);
	job->start_ns = bp_now(job->engine);
	job->real_offset_ns =
		(uint64_t)real.tv_sec * 1000000000u + (uint64_t)real.tv_nsec - job->start_ns;
	if (job->opt->deadline_ns)
		job->deadline_ns = job->start_ns + job->opt->deadline_ns;
	err = bp_group_create(
		&job->group, job->engine,
		&BP_GROUP_OPTS(.limit = job->finds_limit ? BP_LIMIT_AUTO :
							   queue_group_limit(job, job->limit),
			       .auto_most = (uint64_t)job->limit, .stop_after_failures = 0,
			       .deadline_ns = job->deadline_ns,
			       .item_timeout_ns = items_timeout_ns(job),
			       .report = items_never_started, .report_arg = job));
	if (err)
		message("cannot start: %s", error_text(err));
	return err;
}

/* Whether there may be items of this verb. */
static bool takes_part(const struct job *job, const struct verb *verb)
{
	return verb == job->opt->verb || (job->ops->mixes && verb->add);
}

/* What the items of any verb that can be among them need. */
static void size_items(struct job *job)
{
	const struct verb *verb;

	for (size_t i = 0; (verb = verb_at(i)); i++) {
		const struct item_ops *items = verb->items;

		if (!takes_part(job, verb) || !items)
			continue;
		if (items->priv_size > job->priv_size)
			job->priv_size = items->priv_size;
		if (items->descriptors > job->descriptors)
			job->descriptors = items->descriptors;
	}
}

static void job_init(struct job *job, const struct options *opt, const struct job_ops *ops,
		     struct inputs *inputs)
{
	*job = (struct job){
		.opt = opt,
		.ops = ops,
		.class = {.ops = opt->verb->items, .settings = opt->settings},
		.inputs = inputs,
		.output = output_new(),
		.own = own_files_new(),
		.main_thread = pthread_self(),
		.stop_fd = -1,
		.stop_end = -1,
	};
	size_items(job);
	job->finds_limit = !opt->jobs && ops->finds_limit;
	queue_init(job);
	pthread_mutex_init(&job->lock, NULL);
	pthread_mutex_init(&job->overdue.lock, NULL);
	job->wants_messages = (!opt->quiet || ops->quiet_is_own) && (!opt->json || opt->verbose);
}

static void job_exit(struct job *job)
{
	const struct verb *verb;

	if (job->walk)
		job->ops->walk->destroy(job->walk);
	bp_group_destroy(job->group);
	bp_engine_destroy(job->engine);
	items_exit(job);
	for (size_t i = 0; (verb = verb_at(i)); i++)
		if (takes_part(job, verb) && verb->cleanup)
			verb->cleanup(job);
	pace_exit(job);
	if (job->journal)
		job->ops->journal->close(job);
	own_files_free(job->own);
	output_free(job->output);
	steer_exit(job);
	queue_exit(job);
	pthread_mutex_destroy(&job->lock);
	pthread_mutex_destroy(&job->overdue.lock);
}

static int exit_status(const struct job *job)
{
	const struct counts *counts = &job->counts;
	bool all_good = counts->ended == counts->of[STATUS_OK] + counts->of[STATUS_SKIPPED] &&
			!counts->skipped_named;
	int signal = atomic_load(&job->signal);

	if (atomic_load(&job->trouble))
		return EXIT_TROUBLE;
	if (signal)
		return 128 + signal;
	switch ((enum stop)atomic_load(&job->stop)) {
	case STOP_HALT:
		return EXIT_HALTED;
	case STOP_REACHED:
		return EXIT_OK;
	case STOP_DEADLINE:
		return EXIT_DEADLINE;
	default:
		break;
	}
	/* A race or a quorum of nothing is not lost where all is with the other parts. */
	if (!counts->ended && job->other_shards)
		return EXIT_OK;
	if (policy_wants_success(&job->opt->policy) && !job->opt->dry_run)
		return EXIT_SOME_FAILED;
	return all_good ? EXIT_OK : EXIT_SOME_FAILED;
}

/* Something that was to be done was not, and nothing says that it cannot be. */
static bool left_undone(const struct job *job)
{
	const struct counts *counts = &job->counts;

	return counts->of[STATUS_CANCELLED] || counts->of[STATUS_NOT_STARTED] || job->watch.cut;
}

/* The feed has given everything: from here on the number of items is known. */
static void all_fed(struct job *job)
{
	enum verdict verdict;

	pthread_mutex_lock(&job->lock);
	job->view.total = job->next_seq - 1;
	verdict = policy_judge(&job->opt->policy, &job->view);
	pthread_mutex_unlock(&job->lock);
	if (verdict != VERDICT_GO)
		steer_verdict(job, verdict);
}

/* Says how it went. */
static int conclude(struct job *job)
{
	int status, halt = STOP_HALT;
	const struct verb *verb;

	/* What was met by the last that there was to do has stopped nothing. */
	if (!left_undone(job))
		atomic_compare_exchange_strong(&job->stop, &halt, STOP_NONE);

	if (!job->counts.ended && !job->other_shards && !job->opt->allow_empty &&
	    !job->empty_is_fine && !atomic_load(&job->stop)) {
		message("nothing to do: the list of items is empty (--allow-empty lets that pass)");
		return EXIT_USAGE;
	}
	status = exit_status(job);
	for (size_t i = 0; (verb = verb_at(i)); i++)
		if (verb->tell && !job->opt->quiet)
			verb->tell(job);
	if (job->ops->finish && job->ops->finish(job) && status == EXIT_OK)
		status = EXIT_SOME_FAILED;
	progress_end(job);
	record_stop(job, status);
	record_summary(job, status);
	return status;
}

/* Signals are heard until the last byte is written: a reader may be slow for ever. */
static int end_output(const struct job *job, int status)
{
	int err = output_finish(job->output);

	if (err && !atomic_load(&job->trouble))
		message("cannot write the output: %s", error_text(err));
	return err ? EXIT_TROUBLE : status;
}

void job_end_at_once(struct job *job)
{
	/* The journal does not end: what is not waited for may be done yet. */
	int status = end_output(job, conclude(job));

	if (status > 128)
		signals_die(status - 128);
	_exit(status);
}

/* Feeds and waits. */
static int run_items(struct job *job)
{
	int status;

	/* A list is not read once more for nothing. */
	if (job->opt->policy.percent && job->ops->one_each && !job->opt->shard.parts)
		job->view.expected = inputs_count(job->inputs);
	job->ops->feed(job);
	if (job->walk)
		job->ops->walk->wait(job->walk);
	if (job->ops->then)
		job->ops->then(job);
	all_fed(job);
	atomic_store(&job->fed, true);
	bp_wait(job->group);
	/* Whoever else sees to the end ends the program. */
	while (atomic_exchange(&job->ending, true))
		pause();
	status = conclude(job);
	if (job->journal && status != EXIT_USAGE)
		job->ops->journal->ended(job);
	return end_output(job, status);
}

int job_run(const struct options *opt, const struct job_ops *ops, struct inputs *inputs)
{
	struct job job;
	struct output_hooks hooks = {output_failed, progress_tick, &job};
	int status, err;

	raise_descriptor_limit();
	err = signals_block();
	if (err) {
		message("cannot start: signals cannot be blocked: %s", error_text(err));
		return EXIT_TROUBLE;
	}
	job_init(&job, opt, ops, inputs);
	if (!open_own_files(&job, &status))
		goto out;
	status = EXIT_TROUBLE;
	if (steer_init(&job) || start_engine(&job) || start_group(&job))
		goto out;
	if (job.journal && !ops->journal->begin(&job, &status))
		goto out;
	status = EXIT_TROUBLE;
	pace_init(&job);
	steer_watch_lines(&job);
	items_init(&job);
	err = ops->walk ? ops->walk->create(&job) : 0;
	if (!err)
		err = signals_start(&job);
	if (err) {
		message("cannot start: %s", error_text(err));
		goto out;
	}
	err = output_start(job.output, &hooks);
	if (err) {
		message("cannot start: %s", error_text(err));
		goto stop_signals;
	}
	startup_over();
	status = run_items(&job);
stop_signals:
	signals_stop();
out:
	job_exit(&job);
	if (status > 128 && status == 128 + atomic_load(&job.signal))
		signals_die(status - 128);
	return status;
}
