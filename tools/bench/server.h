/* SPDX-License-Identifier: MIT */
/*
 * server.h - slow-server, which lies beside the bench, as a child of it
 */
#ifndef SERVER_H
#define SERVER_H

#include <stdio.h>
#include <sys/types.h>

#include "bench.h"

struct server {
	pid_t pid;
	int in; /* its standard input: it ends with that */
	FILE *out;
	unsigned int port;
};

/* One that answers after so many milliseconds. Return: 0 or -errno; stop it in both cases. */
int server_start(const struct bench *b, struct server *s, const char *ms);

/* Its end. Return: the most requests that it had at one instant. */
unsigned long server_stop(struct server *s);

#endif /* SERVER_H */
