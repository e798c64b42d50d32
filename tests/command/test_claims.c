/* SPDX-License-Identifier: MIT */
/*
 * test_claims - each destination is given to one source, however many there are, in flat memory
 */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "verbs/copy/claims.h"
#include "support/harness.h"

/* The next write finds no room, although it had been promised. */
static bool disk_is_full;

ssize_t pwrite(int fd, const void *data, size_t len, off_t at)
{
	if (disk_is_full) {
		disk_is_full = false;
		errno = ENOSPC;
		return -1;
	}
	return syscall(SYS_pwrite64, fd, data, len, at);
}

/* In memory until there are about 600,000, in a file that is twice as large from 1,200,000 on. */
#define SOME 650000u
#define MANY (UNDER_TSAN || UNDER_ASAN || under_valgrind() ? SOME : 1250000u)
#define LOOKS 5u /* one of so many is asked for again */
#define THREADS 4

static struct claims *claims; /* of the test that runs */

static int take(uint64_t dir, const char *name, uint64_t source)
{
	return claims_take(claims, 1, dir, name, &(struct stat){.st_dev = 2, .st_ino = source}, 0);
}

static int take_one(uint64_t i, uint64_t source)
{
	char name[32];

	snprintf(name, sizeof(name), "file-%llu", (unsigned long long)i);
	return take(i % 1000, name, source);
}

static void a_place_is_given_once(struct test *t)
{
	const struct stat source = {.st_dev = 3, .st_ino = 7};

	(void)t;
	claims = claims_new();
	expect_eq(take(7, "f", 9), CLAIM_FIRST);
	expect_eq(take(7, "f", 9), CLAIM_SAME);
	expect_eq(take(7, "f", 10), CLAIM_OTHER);
	expect_eq(take(7, "f", 9), CLAIM_SAME);
	/* Another directory, another name, another file system. */
	expect_eq(take(8, "f", 10), CLAIM_FIRST);
	expect_eq(take(7, "g", 10), CLAIM_FIRST);
	expect_eq(claims_take(claims, 2, 7, "f", &source, 1), CLAIM_FIRST);
	expect_eq(claims_take(claims, 2, 7, "f", &source, 1), CLAIM_SAME);
	expect_eq(claims_take(claims, 2, 7, "f", &source, 2), CLAIM_OTHER);
	claims_free(claims);
	claims = claims_new();
	expect_eq(take(7, "f", 10), CLAIM_FIRST);
	claims_free(claims);
}

static void take_many(uint64_t count)
{
	unsigned long wrong = 0;

	for (uint64_t i = 0; i < count; i++)
		wrong += take_one(i, i) != CLAIM_FIRST;
	expect_eq(wrong, 0);
	for (uint64_t i = 0; i < count; i += LOOKS) {
		const bool same = i % 3;

		wrong += take_one(i, same ? i : i + 1) != (same ? CLAIM_SAME : CLAIM_OTHER);
	}
	expect_eq(wrong, 0);
}

static void many_are_told_apart_in_flat_memory(struct test *t)
{
	size_t before = mallinfo2().uordblks;

	(void)t;
	claims = claims_new();
	take_many(MANY);
	/* The file is not counted, and all else has been freed. */
	if (!UNDER_TSAN && !UNDER_ASAN && !under_valgrind())
		expect_between(mallinfo2().uordblks, 0, before + 1048576);
	claims_free(claims);
}

static void memory_stands_in_where_no_file_can_be_made(struct test *t)
{
	(void)t;
	claims = claims_new();
	setenv("TMPDIR", "/nowhere", 1);
	take_many(SOME);
	claims_free(claims);
	unsetenv("TMPDIR");
}

static void memory_stands_in_where_a_file_cannot_be_written(struct test *t)
{
	(void)t;
	claims = claims_new();
	disk_is_full = true;
	take_many(SOME);
	expect(!disk_is_full);
	claims_free(claims);
}

struct taker {
	pthread_t thread;
	uint64_t self;
	unsigned long first;
};

static void *take_some(void *arg)
{
	struct taker *taker = arg;

	for (uint64_t i = 0; i < 20000; i++)
		taker->first += take_one(i, taker->self) == CLAIM_FIRST;
	return NULL;
}

static void threads_share_them_out(struct test *t)
{
	struct taker takers[THREADS];
	unsigned long first = 0;

	(void)t;
	claims = claims_new();
	for (uint64_t i = 0; i < THREADS; i++) {
		takers[i] = (struct taker){.self = i};
		assert_int_equal(pthread_create(&takers[i].thread, NULL, take_some, &takers[i]), 0);
	}
	for (size_t i = 0; i < THREADS; i++) {
		pthread_join(takers[i].thread, NULL);
		first += takers[i].first;
	}
	expect_eq(first, 20000);
	claims_free(claims);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		ONCE(a_place_is_given_once),
		ONCE(many_are_told_apart_in_flat_memory),
		ONCE(memory_stands_in_where_no_file_can_be_made),
		ONCE(memory_stands_in_where_a_file_cannot_be_written),
		ONCE(threads_share_them_out),
	};

	return RUN_CASES(argc, argv, cases);
}
