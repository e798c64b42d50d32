/* SPDX-License-Identifier: MIT */
/*
 * pool_net.c - the peer of `batchproc probe`: threads that use blocking sockets
 *
 * usage: pool-net [-t THREADS] tcp|get FILE
 *
 * Each line of FILE is ADDRESS:PORT. tcp connects, get also sends a request and reads the answer.
 * One line is printed for each, and the exit status is 0 whatever they answered. Targets are taken
 * by a counter, so that threads share nothing else; stacks are small, since there may be one for
 * each target.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pool.h"
#include "targets.h"

#define STACK 65536u

static atomic_size_t next;
static bool gets;

static int ask(int fd)
{
	char answer[1024];
	ssize_t n;

	if (send(fd, target_request, target_request_len, MSG_NOSIGNAL) < 0)
		return errno;
	n = recv(fd, answer, sizeof(answer), 0);
	if (n <= 0)
		return n ? errno : ECONNRESET;
	return target_judge(answer, (size_t)n);
}

static int try_target(const struct target *target)
{
	static const int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), err = 0;

	if (fd < 0)
		return errno;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(fd, (const struct sockaddr *)&target->addr, sizeof(target->addr)))
		err = errno;
	else if (gets)
		err = ask(fd);
	close(fd);
	return err;
}

static void *work(void *arg)
{
	size_t i;

	(void)arg;
	while ((i = atomic_fetch_add(&next, 1)) < target_count)
		targets[i].err = try_target(&targets[i]);
	return NULL;
}

static void run(unsigned int threads)
{
	pthread_t *thread = must(calloc(threads, sizeof(*thread)));
	pthread_attr_t attr;
	unsigned int started = 0;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	while (started < threads && !pthread_create(&thread[started], &attr, work, NULL))
		started++;
	/* Where so many cannot be had, fewer do it. */
	if (!started)
		work(NULL);
	while (started)
		pthread_join(thread[--started], NULL);
	pthread_attr_destroy(&attr);
	free(thread);
}

int main(int argc, char **argv)
{
	unsigned int threads = 64;
	int arg = 1, err;

	if (argc > 2 && !strcmp(argv[1], "-t")) {
		threads = (unsigned int)strtoul(argv[2], NULL, 10);
		arg = 3;
	}
	if (argc - arg != 2 || !threads || (strcmp(argv[arg], "tcp") && strcmp(argv[arg], "get"))) {
		fputs("usage: pool-net [-t THREADS] tcp|get FILE\n", stderr);
		return 2;
	}
	gets = !strcmp(argv[arg], "get");
	err = targets_read(argv[arg + 1]);
	if (err) {
		fprintf(stderr, "pool-net: %s: %s\n", argv[arg + 1], strerror(-err));
		return 1;
	}
	run(threads);
	targets_print();
	return 0;
}
