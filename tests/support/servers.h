/* SPDX-License-Identifier: MIT */
/*
 * servers - real servers on this machine, which serve the test's directory and end with the test
 *
 * Each is started in the foreground from a configuration that is written there, waits on a port
 * that was free, and logs its requests to NAME.log, a line each with the path and the status in it.
 */
#ifndef BATCHPROC_TESTS_SERVERS_H
#define BATCHPROC_TESTS_SERVERS_H

#include "support/cmd.h"

struct server {
	const char *name;
	struct run *run;
	uint16_t port;
	uint16_t second; /* for a script */
};

/**
 * The kinds that serve files: "nginx", "apache2", "lighttpd", "python3"; false: it is not
 * installed.
 */
bool server_start(struct server *server, const char *name);
/** haproxy in front of another one; connections that nobody uses are ended after a moment. */
bool server_start_proxy(struct server *server, uint16_t backend);
/**
 * Another one, by a script for sh that ends in an exec: $1 is its port, on which it takes
 * connections when this returns, and $2 another one. False: there is no program of that name.
 */
bool server_start_script(struct server *server, const char *name, const char *script);
void server_stop(struct server *server);
/** Takes its configuration again, as a service is reloaded. */
void server_reload(const struct server *server);

/** "http://127.0.0.1:PORT/path", kept until the next eight calls. */
const char *server_url(const struct server *server, const char *scheme, const char *path);

/** A number of a port that was free a moment ago. */
uint16_t free_port(void);

#endif
