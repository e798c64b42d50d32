/* SPDX-License-Identifier: MIT */
/*
 * harness - the backend table, the runner, expectations, and the events that tests wait for
 *
 * The runner belongs to the main thread. Expectations may be recorded by any thread. Everything
 * that a test leaves behind is its failure, checked here after each test.
 */
#include <dirent.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include "group.h"
#include "support/harness.h"
#include "sim/sim.h"

static const struct row rows[] = {
	{"uring", BP_BACKEND_URING, 0},	    {"uring, 2 loops", BP_BACKEND_URING, 2},
	{"threads", BP_BACKEND_THREADS, 0}, {"threads, 2 loops", BP_BACKEND_THREADS, 2},
	{"sim", BP_BACKEND_SIM, 0},	    {"sim, 2 loops", BP_BACKEND_SIM, 2},
};

static struct test *running;

struct test *current_test(void)
{
	return running;
}

struct instance {
	char name[200];
	const struct test_case *c;
	struct test test;
};

/* ---------------------------------------------------------------- expectations */

static struct {
	pthread_mutex_t lock;
	unsigned int count;
	char text[8][400];
} failures = {.lock = PTHREAD_MUTEX_INITIALIZER};

void record_failure(const char *format, ...)
{
	va_list args;

	pthread_mutex_lock(&failures.lock);
	if (failures.count < COUNT_OF(failures.text)) {
		va_start(args, format);
		vsnprintf(failures.text[failures.count], sizeof(failures.text[0]), format, args);
		va_end(args);
	}
	failures.count++;
	pthread_mutex_unlock(&failures.lock);
}

bool expect_(bool ok, const char *what, const char *file, int line)
{
	if (!ok)
		record_failure("%s:%d: not so: %s", file, line, what);
	return ok;
}

bool expect_eq_(intmax_t a, intmax_t b, const char *what_a, const char *what_b, const char *file,
		int line)
{
	if (a != b)
		record_failure("%s:%d: %s is %jd, not %jd (%s)", file, line, what_a, a, b, what_b);
	return a == b;
}

bool expect_in_(uintmax_t v, uintmax_t low, uintmax_t high, const char *what, const char *file,
		int line)
{
	if (v < low || v > high)
		record_failure("%s:%d: %s is %ju, not in [%ju, %ju]", file, line, what, v, low,
			       high);
	return v >= low && v <= high;
}

static unsigned int print_failures(void)
{
	unsigned int count = failures.count;

	for (unsigned int i = 0; i < count && i < COUNT_OF(failures.text); i++)
		print_error("%s\n", failures.text[i]);
	if (count > COUNT_OF(failures.text))
		print_error("and %zu more\n", count - COUNT_OF(failures.text));
	failures.count = 0;
	return count;
}

unsigned int failures_to(int fd)
{
	unsigned int count = failures.count;

	for (unsigned int i = 0; fd >= 0 && i < count && i < COUNT_OF(failures.text); i++)
		dprintf(fd, "%s\n", failures.text[i]);
	return count;
}

/* ---------------------------------------------------------------- scale */

bool under_valgrind(void)
{
	const char *value = getenv("VALGRIND");

	return value && strcmp(value, "0");
}

unsigned long scaled(unsigned long n)
{
	unsigned long divisor = under_valgrind() ? 100 : UNDER_TSAN ? 20 : UNDER_ASAN ? 5 : 1;
	const char *share = getenv("TEST_SHARE");

	if (share && strtoul(share, NULL, 10) > 1)
		divisor *= strtoul(share, NULL, 10);

	return n / divisor > 0 ? n / divisor : 1;
}

unsigned long live_tasks(unsigned long n)
{
	unsigned long most = under_valgrind() ? 300 : UNDER_TSAN ? 1500 : n;

	return n < most ? n : most;
}

unsigned long raise_nofile(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	return limit.rlim_cur;
}

/* ---------------------------------------------------------------- running */

static char hang_message[300];

static void on_hang(int sig)
{
	(void)sig;
	if (write(STDERR_FILENO, hang_message, strlen(hang_message)) < 0)
		_exit(1);
	abort();
}

static void watch(const char *name)
{
	const char *given = getenv("TEST_SECONDS");
	int usual = under_valgrind() ? 900 : UNDER_TSAN || UNDER_ASAN ? 300 : 100;
	unsigned int seconds = (unsigned int)(given ? atoi(given) : usual);

	snprintf(hang_message, sizeof(hang_message), "%s has not ended after %u seconds\n", name,
		 seconds);
	signal(SIGALRM, on_hang);
	alarm(seconds);
}

#define MEMORY_TRIES 10000 /* a few milliseconds each */

int create_engine(struct bp_engine **engine, const struct bp_engine_opts *opts)
{
	int err;

	for (unsigned int i = 0; i < MEMORY_TRIES; i++) {
		err = bp_engine_create(engine, opts);
		if (err != -ENOMEM || !geteuid())
			break;
		nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
	}
	return err;
}

/* Why the machine does not offer the row; only a refusal by the kernel is a reason to skip. */
static const char *refused(const struct row *row)
{
	struct bp_engine_opts opts = BP_ENGINE_OPTS(.backend = row->backend, .loops = row->loops);
	struct bp_engine *engine;
	int err;

	if (under_valgrind() && row->backend == BP_BACKEND_URING && row->loops)
		return "valgrind lets no other thread run while one stands in io_uring_enter()";
	err = create_engine(&engine, &opts);
	if (err == -EPERM)
		return "io_uring is forbidden here (kernel.io_uring_disabled or a seccomp filter)";
	if (err == -ENOSYS)
		return "the kernel, or a seccomp filter, offers no io_uring";
	if (!err)
		bp_engine_destroy(engine);
	return NULL;
}

void skip_because(struct test *t, const char *reason)
{
	alarm(0);
	bp_engine_destroy(t->engine);
	t->engine = NULL;
	print_message("skipped, because %s\n", reason);
	skip();
}

int open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = 0;

	assert_non_null(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

static void check_engine_is_idle(struct bp_engine *engine)
{
	const struct bp_engine_info *info = bp_engine_info(engine);

	expect_eq(info->live_groups, 0);
	expect_eq(info->live_tasks, 0);
	expect_eq(info->waiting, 0);
	expect_eq(info->in_flight, 0);
	if (sim_of(engine))
		expect_eq(sim_open_fds(engine), 0);
	if (info->live_groups) {
		/* Destroying it would abort the whole program. */
		print_error("the engine is left alone, for a group lives\n");
		return;
	}
	bp_engine_destroy(engine);
}

/* How many schedules of the simulated backend, unless they take long. */
#define SCHEDULES 20
#define SCHEDULES_NS (SECOND / 2)

static void schedules(struct instance *in)
{
	struct test *t = &in->test;
	bool sim = t->row->backend == BP_BACKEND_SIM && !(in->c->flags & CASE_ONCE);
	struct timespec begin, now;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (t->seed = 1; t->seed <= (sim ? SCHEDULES : 1) && !failures.count; t->seed++) {
		in->c->fn(t);
		if (t->engine)
			check_engine_is_idle(t->engine);
		t->engine = NULL;
		if (sim && failures.count)
			record_failure("with seed %llu", (unsigned long long)t->seed);
		clock_gettime(CLOCK_MONOTONIC, &now);
		if ((uint64_t)(now.tv_sec - begin.tv_sec) * SECOND > SCHEDULES_NS)
			break;
	}
}

/* It was asked for, and cannot be had. */
static bool no_refusal;

/** With TEST_REFUSE=EPERM or ENOSYS in the environment all runs where io_uring is refused. */
static void refuse_if_asked(void)
{
	const char *word = getenv("TEST_REFUSE");
	int err = word && !strcmp(word, "ENOSYS") ? ENOSYS : EPERM;

	if (!word)
		return;
	no_refusal = refuse_uring(err);
	if (!no_refusal && (syscall(SYS_io_uring_setup, 1, NULL) >= 0 || errno != err))
		abort();
}

static void run_instance(void **state)
{
	struct instance *in = *state;
	struct test *t = &in->test;
	const char *reason = in->c->flags & CASE_ONCE ? NULL : refused(t->row);

	failures.count = 0;
	if (no_refusal)
		reason = "no seccomp filter can be set here";
	if (reason)
		skip_because(t, reason);
	watch(in->name);
	t->fds = open_fds();
	running = t;
	schedules(in);
	running = NULL;
	expect_eq(open_fds(), t->fds);
	alarm(0);
	if (print_failures())
		fail();
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

/* What a test that failed may leave: what is immutable or closed, and paths of any length. */
static void remove_at_any_cost(const char *dir)
{
	char line[500];

	snprintf(line, sizeof(line),
		 "cd / && { chattr -R -i '%s'; chmod -R u+rwx '%s'; "
		 "rm -rf --one-file-system '%s'; } >/dev/null 2>&1",
		 dir, dir, dir);
	if (system(line))
		print_error("%s is left behind\n", dir);
}

static int clean_up(void **state)
{
	struct instance *in = *state;

	alarm(0);
	print_failures();
	if (in->test.end)
		in->test.end();
	if (in->test.dir[0] && nftw(in->test.dir, remove_one, 32, FTW_DEPTH | FTW_PHYS))
		remove_at_any_cost(in->test.dir);
	in->test.dir[0] = '\0';
	return 0;
}

static bool fits(unsigned int flags, const struct row *row)
{
	if (flags & CASE_ONCE)
		return row == rows;
	if ((flags & CASE_REAL) && row->backend == BP_BACKEND_SIM)
		return false;
	if (flags & CASE_DRIVEN)
		return !row->loops;
	return !(flags & CASE_THREADED) || row->loops;
}

int run_cases(int argc, char **argv, const struct test_case *cases, size_t count,
	      unsigned int all_flags)
{
	struct CMUnitTest *tests = calloc(count * COUNT_OF(rows), sizeof(*tests));
	struct instance *all = calloc(count * COUNT_OF(rows), sizeof(*all));
	const char *group = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
	size_t used = 0;
	int failed = 1;

	if (!tests || !all)
		goto out;
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	/*
	 * Of the surroundings: what other programs print and sort, and who may read what tests
	 * make.
	 */
	setenv("LC_ALL", "C", 1);
	umask(022);
	refuse_if_asked();
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	for (size_t r = 0; r < COUNT_OF(rows); r++) {
		for (size_t i = 0; i < count; i++) {
			struct instance *in = &all[used];

			if (!fits(cases[i].flags | all_flags, &rows[r]))
				continue;
			snprintf(in->name, sizeof(in->name), "%s%s%s%s", cases[i].name,
				 cases[i].flags & CASE_ONCE ? "" : "[",
				 cases[i].flags & CASE_ONCE ? "" : rows[r].name,
				 cases[i].flags & CASE_ONCE ? "" : "]");
			in->c = &cases[i];
			in->test.row = &rows[r];
			tests[used++] =
				(struct CMUnitTest){in->name, run_instance, NULL, clean_up, in};
		}
	}
	failed = _cmocka_run_group_tests(group, tests, used, NULL, NULL);
out:
	free(tests);
	free(all);
	return failed ? 1 : 0;
}

/* ---------------------------------------------------------------- engines and groups */

struct bp_engine *make_engine(struct test *t, const struct bp_engine_opts *opts)
{
	struct bp_engine_opts row_opts = *opts;
	int err;

	assert_null(t->engine);
	row_opts.backend = t->row->backend;
	if (!row_opts.loops)
		row_opts.loops = t->row->loops;
	row_opts.seed = t->seed;
	err = create_engine(&t->engine, &row_opts);
	assert_int_equal(err, 0);
	if (sim_of(t->engine)) {
		/* Any order and any delay, but no misfortune that a test does not expect. */
		sim_of(t->engine)->odds.error = 0;
		sim_of(t->engine)->odds.again = 0;
		sim_of(t->engine)->odds.shorter = 0;
		gates_arrive(t->engine);
	}
	return t->engine;
}

struct bp_group *make_group(struct test *t, const struct bp_group_opts *opts)
{
	struct bp_group *g;

	if (!t->engine)
		engine_with(t, .loops = 0);
	assert_int_equal(bp_group_create(&g, t->engine, opts), 0);
	return g;
}

int run_task(struct test *t, bp_task_fn fn, void *arg)
{
	struct bp_group *g = group_with(t, .limit = 1);
	int err;

	expect_eq(bp_go(g, fn, arg), 0);
	err = bp_wait(g);
	expect_balanced(g);
	bp_group_destroy(g);
	return err;
}

bool driven(const struct test *t)
{
	return t->row->loops == 0;
}

struct bp_group_stats stats_of(const struct bp_group *g)
{
	struct bp_group_stats st = {.sz = sizeof(st)};

	bp_group_stats(g, &st);
	return st;
}

void expect_balanced_(const struct bp_group *g, const char *file, int line)
{
	struct bp_group_stats st = stats_of(g);
	uint64_t ends = st.succeeded + st.failed + st.stopped + st.never_started;

	expect_eq_((intmax_t)ends, (intmax_t)st.accepted, "the sum of the ends", "accepted", file,
		   line);
	expect_eq_((intmax_t)st.running, 0, "running", "nothing runs", file, line);
	expect_eq_((intmax_t)st.waiting, 0, "waiting", "nothing waits", file, line);
}

/* ---------------------------------------------------------------- events */

struct until {
	struct test *t;
	bool (*met)(struct until *u);
	atomic_ulong *counter;
	const struct bp_group *group;
	const struct bp_link_ *queue;
	uint64_t number;
};

static int yield_until(void *arg)
{
	struct until *u = arg;

	while (!u->met(u)) {
		int err = bp_yield();

		if (err)
			return err;
	}
	return 0;
}

/* A task of a group of its own looks again at each turn of its loop. */
static void until(struct until *u)
{
	struct bp_group *g = group_with(u->t, .limit = 1);

	expect_eq(bp_go(g, yield_until, u), 0);
	expect_eq(bp_wait(g), 0);
	bp_group_destroy(g);
}

static bool count_met(struct until *u)
{
	return atomic_load(u->counter) >= u->number;
}

void until_count(struct test *t, atomic_ulong *counter, unsigned long at_least)
{
	until(&(struct until){.t = t, .met = count_met, .counter = counter, .number = at_least});
}

static bool in_flight_met(struct until *u)
{
	return bp_engine_info(u->t->engine)->in_flight >= u->number;
}

void until_in_flight(struct test *t, size_t at_least)
{
	until(&(struct until){.t = t, .met = in_flight_met, .number = at_least});
}

static bool ended_met(struct until *u)
{
	struct bp_group_stats st = stats_of(u->group);

	return st.succeeded + st.failed + st.stopped + st.never_started >= u->number;
}

void until_ended(struct test *t, const struct bp_group *g, uint64_t at_least)
{
	until(&(struct until){.t = t, .met = ended_met, .group = g, .number = at_least});
}

static bool running_met(struct until *u)
{
	return stats_of(u->group).running >= u->number;
}

void until_running(struct test *t, const struct bp_group *g, uint64_t at_least)
{
	until(&(struct until){.t = t, .met = running_met, .group = g, .number = at_least});
}

static bool in_queue_met(struct until *u)
{
	uint64_t count = 0;

	engine_lock(u->t->engine);
	for (const struct bp_link_ *l = u->queue->next; l && l != u->queue; l = l->next)
		count++;
	engine_unlock(u->t->engine);
	return count >= u->number;
}

void until_in_queue(struct test *t, const struct bp_link_ *queue, uint64_t at_least)
{
	until(&(struct until){.t = t, .met = in_queue_met, .queue = queue, .number = at_least});
}

void until_in_line(struct test *t, const struct bp_group *g, uint64_t at_least)
{
	until_in_queue(t, &g->go_waiters, at_least);
}

static bool time_met(struct until *u)
{
	return bp_now(u->t->engine) >= u->number;
}

void until_time(struct test *t, uint64_t when)
{
	until(&(struct until){.t = t, .met = time_met, .number = when});
}

void in_time(struct test *t, uint64_t ns, bool (*attempt)(struct test *t, uint64_t ns))
{
	if (!t->engine)
		engine_with(t, .loops = 0);
	while (!attempt(t, ns) && expect(ns < 60 * SECOND))
		ns *= 2;
}

static int take_turns(void *unused)
{
	(void)unused;
	for (int i = 0; i < 200; i++) {
		int err = bp_yield();

		if (err)
			return err;
	}
	return 0;
}

void many_turns(struct test *t)
{
	struct bp_group *g = group_with(t, .limit = BP_LIMIT_NONE);

	/* More tasks than loops, so that each loop is likely to turn. */
	for (int i = 0; i < 8; i++)
		expect_eq(bp_go(g, take_turns, NULL), 0);
	expect_eq(bp_wait(g), 0);
	bp_group_destroy(g);
}
