/* SPDX-License-Identifier: MIT */
/*
 * hosts: connections by host, for all loops together: how many there may be, which are kept, and
 * when a host wants to be left alone.
 *
 *	conn_get() --> a kept connection, or a new one --> exchange --> conn_put() --> kept or closed
 *	     '--> waits for a place of its host, in the order of asking, or for the end of its pause
 *
 * A place is one connection in use. A host has --max-per-host of them (HOST_PLACES by default; as
 * many as are wanted where it is on this machine); host_answered() halves them at 429 and 503 and
 * gives them back one by one. Kept connections hold no place.
 */
#ifndef BATCHPROC_HOSTS_H
#define BATCHPROC_HOSTS_H

#include <stdbool.h>
#include <stdint.h>

#include "net/names.h"
#include "net/stream.h"

struct bp_engine;
struct host;
struct proxies;
struct proxy;
struct tls_conf;

#define HOST_PLACES 6u

/* How connections are made: of a verb's settings, constant while anything is made with it. */
struct net_conf {
	struct tls_conf *tls;
	const struct proxies *proxies; /* NULL: directly */
	const char *unix_socket; /* all goes through it; NULL: none */
	uint64_t connect_timeout_ns; /* for name, connect, proxy and TLS together; 0: none */
	unsigned int max_per_host; /* 0: HOST_PLACES, none on this machine */
};

/* Where to: host without brackets, a name in ASCII and small letters. */
struct target {
	const char *host;
	uint16_t port;
	bool tls;
	bool raw; /* something else than HTTP: through no proxy */
};

/* What getting a connection took, and why it failed. Zero what did not happen. */
struct dialed {
	uint64_t queue_ns; /* for a place, or the end of a pause */
	uint64_t name_ns;
	uint64_t connect_ns; /* and of the proxy's answer */
	uint64_t tls_ns;
	const char *why; /* of an error, where it is not errno's text; constant text */
	const char *stage; /* what failed: "name", "connect", "proxy", "tls" */
};

/* A connection in use: with a place of its host, and one task's alone. */
struct conn {
	struct conn *next; /* among its host's kept ones */
	struct conn *older, *newer; /* among all kept ones */
	struct stream stream;
	struct host *host;
	const struct proxy
		*proxy; /* it goes to, NULL: none; for http with the whole URL in the request */
	union address address; /* of the other end; family AF_UNIX: the socket of the settings */
	bool reused; /* something was exchanged on it before */
	uint64_t kept_ns; /* when it was put back */
};

/* What a run has of the network: the names and the hosts. */
struct net;

/* Makes it where there is none yet. Main thread. */
void net_begin(struct net **net, struct bp_engine *engine);
/* The end of it, where there is one; no task may outlive it. */
void net_end(struct net **net);

/*
 * A connection to @target. With @fresh no kept one is taken. Returns 0, or -errno: as
 * names_lookup(), dial(), proxy_tunnel() and tls_handshake(), -ETIMEDOUT after the connect timeout
 * (why says so). After -EKEYREJECTED with inspecting settings *@conn is there all the same, to be
 * looked at and put back. @dialed may not be NULL. Task only.
 */
int conn_get(struct net *net, const struct net_conf *conf, const struct target *target, bool fresh,
	     struct conn **conn, struct dialed *dialed);

/* Gives it back: kept for the next one, or closed. Task only, also a cancelled one; never waits. */
void conn_put(struct conn *conn, bool keep);

/*
 * Tells what the host of @conn answered with. 429 and 503 lower its places; @retry_after_ns > 0
 * pauses the host for that long: requests wait, those that run go on.
 */
void host_answered(struct conn *conn, int status, uint64_t retry_after_ns);

#endif
