/* SPDX-License-Identifier: MIT */
/*
 * test_sim - random programs under simulated schedules, each checked against the ten promises
 *
 *	test_sim			SEEDS of them (by default 200,000; fewer under sanitizers)
 *	test_sim play FIRST COUNT	those
 *	test_sim trace SEED		that one, event for event
 *
 * Workers take the seeds in batches. A program that breaks a promise, trips an assertion of the
 * library's or hangs ends its worker; then it is made smaller as long as it still fails, and shown
 * with its trace. One program in sixteen is played twice and must go the same way.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "support/harness.h"
#include "lib/sim_prog.h"

#define BATCH 64
#define WORKERS 2
/* A program takes less than a millisecond. */
#define HANG_SECONDS 30
#define SHRINK_SEEDS 12

struct worker {
	pid_t pid;
	uint64_t seed; /* what it plays */
	uint64_t played, items, events;
};

struct shared {
	atomic_ullong next;
	uint64_t end;
	struct worker worker[WORKERS];
};

static void play(const struct prog *prog, struct worker *w)
{
	struct sim_outcome a, b;

	a = prog_run(prog, false);
	w->played++;
	w->items += a.items;
	w->events += a.events;
	if (prog->seed % 16)
		return;
	b = prog_run(prog, false);
	if (a.hash == b.hash && a.events == b.events)
		return;
	fprintf(stderr, "seed %llu: went another way the second time\n",
		(unsigned long long)prog->seed);
	_exit(5);
}

static void work(struct shared *shared, struct worker *w)
{
	struct prog prog;

	for (;;) {
		uint64_t first = atomic_fetch_add(&shared->next, BATCH);

		if (first >= shared->end)
			break;
		alarm(HANG_SECONDS);
		for (uint64_t seed = first; seed < first + BATCH && seed < shared->end; seed++) {
			w->seed = seed;
			prog_make(&prog, seed);
			play(&prog, w);
		}
	}
	alarm(0);
	prog_run_end();
	exit(0);
}

static void start_worker(struct shared *shared, struct worker *w)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid) {
		w->pid = pid;
		return;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	work(shared, w);
}

/* ---------------------------------------------------------------- a failure */

/** Runs a program in a process of its own. Return: whether it fails. */
static bool fails(const struct prog *prog, bool show)
{
	int status, null;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (!pid) {
		alarm(show ? HANG_SECONDS : 5);
		setvbuf(stdout, NULL, _IOLBF, 0);
		if (!show) {
			null = open("/dev/null", O_WRONLY);
			dup2(null, 1);
			dup2(null, 2);
		}
		prog_run(prog, show);
		fflush(stdout);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return status != 0;
}

/** As fails(), for the program's own schedule and a few others; keeps one that fails. */
static bool fails_somehow(struct prog *prog)
{
	uint64_t seed = prog->seed;

	for (unsigned int i = 0; i < SHRINK_SEEDS; i++) {
		if (fails(prog, false))
			return true;
		prog->seed = seed * 31 + i;
	}
	prog->seed = seed;
	return false;
}

static void shrink(struct prog *prog)
{
	time_t end = time(NULL) + 60;
	bool smaller;

	do {
		struct prog next = *prog;

		smaller = false;
		for (unsigned int n = 0; prog_shrink(&next, n) && time(NULL) < end; n++) {
			if (memcmp(&next, prog, sizeof(next)) && fails_somehow(&next)) {
				*prog = next;
				smaller = true;
			}
			next = *prog;
		}
	} while (smaller && time(NULL) < end);
}

static void show_failure(uint64_t seed)
{
	struct prog prog;

	printf("\nSeed %llu fails; made smaller, it is:\n\n", (unsigned long long)seed);
	prog_make(&prog, seed);
	if (fails(&prog, false))
		shrink(&prog);
	prog_print(stdout, &prog);
	printf("\n");
	dup2(1, 2);
	if (!fails(&prog, true))
		printf("It fails only after other programs: play %llu %d\n",
		       (unsigned long long)(seed / BATCH * BATCH), BATCH);
}

/* ---------------------------------------------------------------- many */

/** Plays seeds. Return: how many were played, or 0 after a failure. */
static uint64_t play_many(uint64_t first, uint64_t count)
{
	struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t played = 0, items = 0, events = 0, failed = UINT64_MAX;
	struct timespec begin, end;
	double seconds;

	atomic_store(&shared->next, first);
	shared->end = first + count;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (unsigned int i = 0; i < WORKERS; i++)
		start_worker(shared, &shared->worker[i]);
	for (unsigned int i = 0; i < WORKERS; i++) {
		int status;
		pid_t pid = wait(&status);

		for (unsigned int k = 0; status && k < WORKERS; k++) {
			if (shared->worker[k].pid != pid)
				continue;
			if (WIFSIGNALED(status))
				fprintf(stderr, "seed %llu: ended by signal %d%s\n",
					(unsigned long long)shared->worker[k].seed,
					WTERMSIG(status),
					WTERMSIG(status) == SIGALRM ? ", for it had no end" : "");
			if (shared->worker[k].seed < failed)
				failed = shared->worker[k].seed;
			/* The other one need not go on. */
			atomic_store(&shared->next, shared->end);
		}
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	for (unsigned int i = 0; i < WORKERS; i++) {
		played += shared->worker[i].played;
		items += shared->worker[i].items;
		events += shared->worker[i].events;
	}
	seconds = (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
	printf("played %llu schedules, %llu items, %llu events in %.1f s (%.0f schedules/s)\n",
	       (unsigned long long)played, (unsigned long long)items, (unsigned long long)events,
	       seconds, (double)played / seconds);
	munmap(shared, sizeof(*shared));
	if (failed == UINT64_MAX)
		return played;
	printf("after %llu schedules\n", (unsigned long long)played);
	if (!getenv("SIM_BRIEF"))
		show_failure(failed);
	return 0;
}

static uint64_t seeds_wanted(void)
{
	const char *value = getenv("SEEDS");
	uint64_t seeds = value ? strtoull(value, NULL, 0) : 0;

	return seeds ? seeds : scaled(200000);
}

static void promises_hold_under_random_schedules(struct test *t)
{
	uint64_t seeds = seeds_wanted();

	(void)t;
	alarm(0); /* each worker has its own */
	expect_eq(play_many(0, seeds), seeds);
}

static const struct test_case cases[] = {
	ONCE(promises_hold_under_random_schedules),
};

int main(int argc, char **argv)
{
	struct prog prog;

	if (argc == 4 && !strcmp(argv[1], "play"))
		return !play_many(strtoull(argv[2], NULL, 0), strtoull(argv[3], NULL, 0));
	if (argc == 3 && !strcmp(argv[1], "trace")) {
		prog_make(&prog, strtoull(argv[2], NULL, 0));
		setvbuf(stdout, NULL, _IOLBF, 0);
		prog_print(stdout, &prog);
		printf("\n");
		prog_run(&prog, true);
		return 0;
	}
	return RUN_CASES(argc, argv, cases);
}
