/* SPDX-License-Identifier: MIT */
/*
 * sleepers.c - what COUNT items of a group take while they do nothing but sleep
 *
 * usage: sleepers tasks|items COUNT LOOPS
 *
 * Prints for each of them: bytes of resident memory, bytes of page tables, nanoseconds and those of CPU
 * time from the first start until all of them sleep, and both again from the failure that cancels
 * them until the wait has ended. errgroup-peer does the same with goroutines.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <batchproc.h>

#define HOUR 3600000000000ull

struct sleeper {
	struct bp_op op;
	struct __kernel_timespec *time;
};

static atomic_ulong asleep;
static unsigned long count;

struct times {
	uint64_t wall, cpu;
};

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static struct times now(void)
{
	return (struct times){clock_ns(CLOCK_MONOTONIC), clock_ns(CLOCK_PROCESS_CPUTIME_ID)};
}

/* A line of /proc/self/status, which is in KiB, in bytes. */
static double status_of(const char *what)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[256];
	double kib = 0;

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, what, strlen(what)))
			kib = strtod(line + strlen(what), NULL);
	if (f)
		fclose(f);
	return kib * 1024;
}

static struct {
	double rss, tables;
	struct times start, cancel;
} begin, end;

static void note(double *rss, double *tables)
{
	*rss = status_of("VmRSS:");
	*tables = status_of("VmPTE:");
}

static int sleep_long(void *arg)
{
	(void)arg;
	atomic_fetch_add_explicit(&asleep, 1, memory_order_relaxed);
	return bp_sleep(HOUR);
}

static void prep_sleep(struct bp_op *op, struct io_uring_sqe *sqe)
{
	atomic_fetch_add_explicit(&asleep, 1, memory_order_relaxed);
	io_uring_prep_timeout(sqe, ((struct sleeper *)op)->time, 0, 0);
}

static int done_sleep(struct bp_op *op, int res)
{
	(void)op;
	return res;
}

/* The last to start: when all others sleep it looks at the memory, and fails. */
static int fail_at_last(void *arg)
{
	(void)arg;
	while (atomic_load_explicit(&asleep, memory_order_relaxed) < count) {
		int err = bp_yield();

		if (err)
			return err;
	}
	end.start = now();
	note(&end.rss, &end.tables);
	begin.cancel = now();
	return -EIO;
}

static int run(struct bp_engine *engine, struct sleeper *ops)
{
	static struct __kernel_timespec hour = {.tv_sec = 3600};
	struct bp_group *group;
	unsigned long i;
	int err = bp_group_create(&group, engine, NULL);

	if (err)
		return err;
	for (i = 0; ops && i < count; i++) {
		ops[i].op = (struct bp_op)BP_OP_INIT(prep_sleep, done_sleep);
		ops[i].time = &hour;
	}
	note(&begin.rss, &begin.tables);
	begin.start = now();
	for (i = 0; i < count && !err; i++)
		err = ops ? bp_go_op(group, &ops[i].op) : bp_go(group, sleep_long, NULL);
	if (!err)
		err = bp_go(group, fail_at_last, NULL);
	if (err)
		bp_cancel(group, err);
	err = bp_wait(group);
	end.cancel = now();
	bp_group_destroy(group);
	return err == -EIO ? 0 : err;
}

int main(int argc, char **argv)
{
	struct bp_engine *engine;
	struct sleeper *ops = NULL;
	bool items = argc > 1 && !strcmp(argv[1], "items");
	int err;

	if (argc != 4 || (!items && strcmp(argv[1], "tasks")) || !strtoul(argv[2], NULL, 10)) {
		fputs("usage: sleepers tasks|items COUNT LOOPS\n", stderr);
		return 2;
	}
	count = strtoul(argv[2], NULL, 10);
	if (items) {
		ops = calloc(count, sizeof(*ops));
		if (!ops)
			return 1;
	}
	err = bp_engine_create(&engine,
			       &BP_ENGINE_OPTS(.loops = (unsigned int)strtoul(argv[3], NULL, 10)));
	if (!err) {
		err = run(engine, ops);
		bp_engine_destroy(engine);
	}
	free(ops);
	if (err) {
		fprintf(stderr, "sleepers: %s\n", strerror(-err));
		return 1;
	}
	printf("%.1f %.1f %.1f %.1f %.1f %.1f\n", (end.rss - begin.rss) / (double)count,
	       (end.tables - begin.tables) / (double)count,
	       (double)(end.start.wall - begin.start.wall) / (double)count,
	       (double)(end.start.cpu - begin.start.cpu) / (double)count,
	       (double)(end.cancel.wall - begin.cancel.wall) / (double)count,
	       (double)(end.cancel.cpu - begin.cancel.cpu) / (double)count);
	return 0;
}
