/* SPDX-License-Identifier: MIT */
/*
 * simulated.c - a race between two tasks, found by playing them under many schedules
 *
 * An account is a file that holds a number. Customers take money out of it, one a tenth of a millisecond after the
 * other: each reads the file, looks whether there is enough, and writes what is left. Between the read and
 * the write the task is suspended, and where one of these takes long the next customer finds the same money once
 * more. bp_sim_run() finds a schedule in which that happens, makes it smaller, and says the seed. The mended program
 * holds a mutex across both, and no schedule breaks it.
 *
 *	simulated			both programs: the first fails, the second holds
 *	simulated "seed=..."		the first again, as the report says, with its events
 */
#include "example.h"

#include <batchproc_sim.h>

#define START 100
#define PRICE 60
#define RECORD 16 /* bytes of the file */

struct account {
	bool mended;
	struct bp_mutex mutex;
	int customers, paid; /* paid: money that was taken out */
};

static int put(int fd, int balance)
{
	char text[RECORD] = "";

	snprintf(text, RECORD, "%d", balance);
	for (size_t done = 0; done < RECORD;) {
		ssize_t n = bp_write(fd, text + done, RECORD - done, done);

		if (n < 0)
			return (int)n;
		done += (size_t)n;
	}
	return 0;
}

static int get(int fd, int *balance)
{
	char text[RECORD];

	for (size_t done = 0; done < RECORD;) {
		ssize_t n = bp_read(fd, text + done, RECORD - done, done);

		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		done += (size_t)n;
	}
	*balance = atoi(text);
	return 0;
}

static int take_out(struct account *a, int fd)
{
	int balance = 0, err = get(fd, &balance);

	if (err)
		return err;
	bp_sim_note("there is %d", balance);
	if (balance < PRICE)
		return 0;
	err = put(fd, balance - PRICE);
	if (!err)
		a->paid += PRICE;
	return err;
}

static int customer(void *arg)
{
	struct account *a = arg;
	int fd, err;

	err = bp_sleep((uint64_t)a->customers++ * MS / 10);
	if (err)
		return err;
	fd = bp_openat(AT_FDCWD, "account", O_RDWR, 0);
	if (fd < 0)
		return fd;
	if (a->mended)
		err = bp_mutex_lock(&a->mutex);
	if (!err) {
		err = take_out(a, fd);
		if (a->mended)
			bp_mutex_unlock(&a->mutex);
	}
	bp_close(fd);
	return err;
}

static int open_account(void *unused)
{
	int fd = bp_openat(AT_FDCWD, "account", O_RDWR | O_CREAT, 0600), err;

	(void)unused;
	if (fd < 0)
		return fd;
	err = put(fd, START);
	bp_close(fd);
	return err;
}

/* Whatever happens, never is more taken out than there was. */
static void never_overdrawn(void *arg)
{
	const struct account *a = arg;

	bp_sim_check(a->paid <= START);
}

/* One run: everything that it needs is made here. */
static int bank(struct bp_engine *engine, void *arg)
{
	struct account *a = arg;
	struct bp_group *group;
	int err;

	a->customers = a->paid = 0;
	bp_mutex_init(&a->mutex, engine);
	err = bp_group_create(&group, engine, NULL);
	if (err)
		return err;
	err = bp_go(group, open_account, a);
	if (!err)
		err = bp_wait(group);
	bp_group_destroy(group);
	if (!err)
		err = bp_group_create(&group, engine, NULL);
	if (err)
		return err;
	for (unsigned long i = 0; i < bp_sim_size() && !err; i++)
		err = bp_go(group, customer, a);
	if (!err)
		err = bp_wait(group);
	bp_group_destroy(group);
	bp_sim_check(bp_sim_open_fds() == 0);
	return err;
}

int main(int argc, char **argv)
{
	struct account account = {.mended = false};
	struct bp_sim_result found = BP_SIM_RESULT();
	struct bp_sim_opts opts = BP_SIM_OPTS(.seeds = 10000, .size = 5, .latency_ns = MS / 100,
					      .invariant = never_overdrawn);

	if (argc > 1) {
		opts.replay = argv[1];
		return bp_sim_run(bank, &account, &opts, NULL) != 1;
	}
	CHECK(bp_sim_run(bank, &account, &opts, &found) == 1);
	CHECK(found.verdict == BP_SIM_FAILED && found.size == 2);
	printf("found after %llu runs; %llu of %llu decisions of the seed make it fail\n",
	       (unsigned long long)found.runs, (unsigned long long)found.decisions,
	       (unsigned long long)found.of_decisions);

	/* The same run again, and it fails again. */
	opts.replay = found.replay;
	opts.report_fd = -1;
	CHECK(bp_sim_run(bank, &account, &opts, NULL) == 1);

	account.mended = true;
	opts.replay = NULL;
	opts.loops = 2;
	opts.seeds = 2000;
	CHECK(bp_sim_run(bank, &account, &opts, &found) == 0);
	printf("mended: %llu runs, %llu events, and it holds\n", (unsigned long long)found.runs,
	       (unsigned long long)found.events);
	return 0;
}
