/* SPDX-License-Identifier: MIT */
/*
 * httpd - a server on loopback that answers as a test wants it to, which may be badly
 *
 * Each connection has a thread, which reads requests one by one and hands each to the test's
 * function. What that sends is what the client gets, to the byte. The server counts what it has
 * seen; counts may be looked at when the run that asked has ended.
 */
#ifndef BATCHPROC_TESTS_HTTPD_H
#define BATCHPROC_TESTS_HTTPD_H

#include <pthread.h>
#include <stdatomic.h>

#include "support/harness.h"

struct httpd;

/* A request that is to be answered. */
struct asked {
	struct httpd *httpd;
	int fd;
	unsigned int connection, nth; /* of the server, and of the connection, from 1 on */
	char method[16], path[1024];
	char head[8192]; /* all of it */
	char *body; /* as long as Content-Length says */
	size_t body_len;
	bool over; /* set by the answer: the connection ends */
};

typedef void (*answer_fn)(struct asked *asked, void *ctx);

struct httpd {
	_Atomic(answer_fn) answer; /* another one may be given at any time */
	void *ctx;
	int fd;
	unsigned int port;
	char url[32]; /* http://127.0.0.1:PORT */
	pthread_t thread;
	pthread_mutex_t lock;
	int open[4096]; /* descriptors of connections; -1: none */
	pthread_t threads[4096];
	atomic_uint connections, requests, at_once, most_at_once;
	atomic_bool stop;
};

/* Starts it on a port that is free. */
void httpd_start(struct httpd *httpd, answer_fn answer, void *ctx);
/* Ends all connections and waits for all threads. */
void httpd_stop(struct httpd *httpd);

/* The value of a header of the request, until the next call of this thread; NULL: none. */
const char *asked_header(const struct asked *asked, const char *name);

/* Sends bytes, or text; errors are the client's business. */
void say_bytes(struct asked *asked, const void *data, size_t len);
void say(struct asked *asked, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A whole response with a length. @headers are lines, or "". */
void say_ok(struct asked *asked, const char *headers, const void *body, size_t len);
/* Ends the connection, with a FIN or with an RST. */
void say_end(struct asked *asked);
void say_reset(struct asked *asked);
/* Waits until the client ends the connection. */
void say_nothing_more(struct asked *asked);

/* Byte i of what such tests send. */
static inline unsigned char body_byte(size_t i)
{
	return (unsigned char)(i * 31 + i / 251);
}

#endif
