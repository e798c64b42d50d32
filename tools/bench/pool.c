/* SPDX-License-Identifier: MIT */
/*
 * pool.c - threads that work off a stack of units; see pool.h
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pool.h"

#define THREADS_MAX 512u

static struct {
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct unit *head;
	unsigned long unfinished;
	unsigned int idle;
} queue = {.lock = PTHREAD_MUTEX_INITIALIZER, .work = PTHREAD_COND_INITIALIZER};

static atomic_bool failed;

void complain(const char *path, const char *name, int err)
{
	fprintf(stderr, "%s: %s%s%s: %s\n", program_invocation_short_name, path, name[0] ? "/" : "",
		name, strerror(err));
	failed = true;
}

bool complained(void)
{
	return failed;
}

void *must(void *p)
{
	if (!p) {
		fprintf(stderr, "%s: out of memory\n", program_invocation_short_name);
		exit(125);
	}
	return p;
}

void pool_push(struct unit *u)
{
	bool wake;

	pthread_mutex_lock(&queue.lock);
	u->next = queue.head;
	queue.head = u;
	queue.unfinished++;
	wake = queue.idle > 0;
	pthread_mutex_unlock(&queue.lock);
	if (wake)
		pthread_cond_signal(&queue.work);
}

struct unit *pool_pop(bool done)
{
	struct unit *u;

	pthread_mutex_lock(&queue.lock);
	queue.unfinished -= done;
	while (!queue.head && queue.unfinished) {
		queue.idle++;
		pthread_cond_wait(&queue.work, &queue.lock);
		queue.idle--;
	}
	u = queue.head;
	if (u)
		queue.head = u->next;
	else
		pthread_cond_broadcast(&queue.work);
	pthread_mutex_unlock(&queue.lock);
	return u;
}

void pool_run(unsigned int threads, void *(*work)(void *arg))
{
	pthread_t thread[THREADS_MAX];
	unsigned int i;

	for (i = 0; i < threads; i++) {
		int err = pthread_create(&thread[i], NULL, work, NULL);

		if (err) {
			fprintf(stderr, "%s: pthread_create: %s\n", program_invocation_short_name,
				strerror(err));
			exit(125);
		}
	}
	for (i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
}

unsigned int pool_threads(int argc, char **argv)
{
	unsigned int threads = 2;
	int opt;

	while ((opt = getopt(argc, argv, "+t:")) == 't')
		threads = (unsigned int)strtoul(optarg, NULL, 10);
	return opt == -1 && threads <= THREADS_MAX ? threads : 0;
}
